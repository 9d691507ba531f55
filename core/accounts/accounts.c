/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading the accounts file, and verifying passwords. */
#include "core/accounts/accounts.h"

#include <jansson.h>
#include <sodium.h>
#include <string.h>

#include "base/fs.h"
#include "base/json.h"

#define FILE_MAX (16u << 20)
#define ALLOWED "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._@+-"

bool nv_username_valid(const char *s)
{
	size_t len = s ? strlen(s) : 0;
	return len && len <= NV_USERNAME_MAX && strspn(s, ALLOWED) == len;
}

struct reader {
	const char *path;
	size_t index;
	struct nv_arena *arena;
	struct nv_err *err;
};

static int wrong(const struct reader *r, const char *field, const char *what)
{
	return nv_fail(r->err, NV_FATAL, NV_R_config, "%s: accounts[%zu].%s: %s", r->path, r->index,
		       field, what);
}

static int known_fields(const struct reader *r, json_t *o)
{
	static const char *const known[] = {"username", "name",		"mail",	   "lang",
					    "admin",	"capabilities", "password"};
	const char *key;
	json_t *value;
	json_object_foreach(o, key, value)
	{
		bool found = false;
		for (size_t i = 0; i < NV_ARRAY_LEN(known); i++)
			found = found || strcmp(known[i], key) == 0;
		if (!found)
			return wrong(r, key, "unknown field");
	}
	return 0;
}

static int read_text(const struct reader *r, json_t *o, const char *field, bool required,
		     char **ret)
{
	json_t *v = json_object_get(o, field);
	if (!v || json_is_null(v))
		return required ? wrong(r, field, "missing") : 0;
	if (!json_is_string(v))
		return wrong(r, field, "not a string");
	if (json_string_length(v) > 255)
		return wrong(r, field, "longer than 255 bytes");
	*ret = nv_arena_strdup(r->arena, json_string_value(v));
	return 0;
}

static int read_capabilities(const struct reader *r, json_t *o, struct nv_account *a)
{
	json_t *list = json_object_get(o, "capabilities");
	if (!list)
		return 0;
	if (!json_is_array(list) || json_array_size(list) > 100)
		return wrong(r, "capabilities", "not a list of at most 100 names");
	a->capabilities = nv_arena_alloc(r->arena, (json_array_size(list) + 1) * sizeof(char *));
	size_t i;
	json_t *v;
	json_array_foreach(list, i, v)
	{
		if (!json_is_string(v))
			return wrong(r, "capabilities", "not a list of names");
		a->capabilities[a->capabilities_len++] =
			nv_arena_strdup(r->arena, json_string_value(v));
	}
	return 0;
}

static int read_account(const struct reader *r, json_t *o, struct nv_account *a)
{
	if (!json_is_object(o))
		return wrong(r, "", "not an object");
	if (known_fields(r, o) < 0 || read_text(r, o, "username", true, &a->username) < 0 ||
	    read_text(r, o, "name", false, &a->name) < 0 ||
	    read_text(r, o, "mail", false, &a->mail) < 0 ||
	    read_text(r, o, "lang", false, &a->lang) < 0 ||
	    read_text(r, o, "password", true, &a->password) < 0 || read_capabilities(r, o, a) < 0)
		return -1;
	if (!nv_username_valid(a->username))
		return wrong(r, "username", "not 1 to 100 of A-Z a-z 0-9 . _ @ + -");
	if (a->lang && strlen(a->lang) > 16)
		return wrong(r, "lang", "longer than 16 bytes");
	json_t *admin = json_object_get(o, "admin");
	if (admin && !json_is_boolean(admin))
		return wrong(r, "admin", "not true or false");
	a->admin = json_is_true(admin);
	return 0;
}

static int read_all(json_t *root, const char *path, struct nv_accounts *ret, struct nv_err *err)
{
	struct reader r = {.path = path, .arena = &ret->arena, .err = err};
	json_t *list = json_object_get(root, "accounts");
	if (!json_is_array(list) || json_object_size(root) != 1)
		return nv_fail(err, NV_FATAL, NV_R_config,
			       "%s: not of the form {\"accounts\": [...]}", path);
	ret->items = nv_arena_alloc(&ret->arena, (json_array_size(list) + 1) * sizeof *ret->items);
	json_t *o;
	json_array_foreach(list, r.index, o)
	{
		struct nv_account *a = &ret->items[ret->len];
		if (read_account(&r, o, a) < 0)
			return -1;
		if (nv_accounts_find(ret, a->username))
			return wrong(&r, "username", "stands twice");
		ret->len++;
	}
	return 0;
}

int nv_accounts_load(const char *path, struct nv_accounts *ret, struct nv_err *err)
{
	nv_auto_buf struct nv_buf text = {0};
	json_error_t je;
	memset(ret, 0, sizeof *ret);
	if (nv_read_file(path, FILE_MAX, &text, err) < 0) {
		if (err) {
			err->kind = NV_FATAL;
			err->reason = NV_R_config;
		}
		return -1;
	}
	json_t *root = nv_json_parse(text.data, text.len, &je);
	sodium_memzero(text.data, text.len);
	if (!root)
		return nv_fail(err, NV_FATAL, NV_R_config, "%s:%d: %s", path, je.line, je.text);
	int rc = read_all(root, path, ret, err);
	json_decref(root);
	if (rc < 0)
		nv_accounts_fini(ret);
	return rc;
}

const struct nv_account *nv_accounts_find(const struct nv_accounts *a, const char *username)
{
	for (size_t i = 0; i < a->len; i++)
		if (strcmp(a->items[i].username, username) == 0)
			return &a->items[i];
	return NULL;
}

bool nv_account_may(const struct nv_account *a, const char *capability)
{
	if (a->admin)
		return true;
	for (size_t i = 0; i < a->capabilities_len; i++)
		if (strcmp(a->capabilities[i], capability) == 0)
			return true;
	return false;
}

void nv_accounts_fini(struct nv_accounts *a)
{
	nv_arena_fini(&a->arena);
	memset(a, 0, sizeof *a);
}

bool nv_password_verify(const char *hash, const char *password)
{
	/* of an unknown password, with the cost of a real one */
	static const char nobody[] = "$argon2id$v=19$m=65536,t=2,p=1$DWKG3yEbVZCUCU0m9YZrkA$"
				     "8JcLIKqhCqcnIVhgMk5f0qWQLwtcqk5xuVcQ6nzXxJQ";
	size_t len = strlen(password);
	bool right = len <= NV_PASSWORD_MAX &&
		     !crypto_pwhash_str_verify(hash ? hash : nobody, password, len);
	return hash && right;
}
