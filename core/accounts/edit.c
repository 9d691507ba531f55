/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Changing the accounts file: lock, read, check, replace. */
#include <errno.h>
#include <jansson.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "core/accounts/accounts.h"

static int hash_password(const char *password, char ret[crypto_pwhash_STRBYTES], struct nv_err *err)
{
	size_t len = strlen(password);
	if (len < NV_PASSWORD_MIN || len > NV_PASSWORD_MAX)
		return nv_fail(err, NV_REJECT, NV_R_bad_message,
			       "password: not %u to %u bytes long", NV_PASSWORD_MIN,
			       NV_PASSWORD_MAX);
	if (sodium_init() < 0 ||
	    crypto_pwhash_str(ret, password, len, crypto_pwhash_OPSLIMIT_INTERACTIVE,
			      crypto_pwhash_MEMLIMIT_INTERACTIVE) < 0)
		return nv_fail(err, NV_RETRY, NV_R_internal, "password: not enough memory to hash");
	return 0;
}

static int put_text(json_t *o, const char *field, const char *text, struct nv_err *err)
{
	if (!text)
		return 0;
	json_t *v = strlen(text) <= 255 ? json_string(text) : NULL;
	if (!v)
		return nv_fail(err, NV_REJECT, NV_R_bad_message,
			       "%s: not UTF-8 of at most 255 bytes", field);
	return json_object_set_new(o, field, v);
}

static json_t *account_json(const struct nv_account *a, const char *hash, struct nv_err *err)
{
	json_t *o = json_object();
	json_t *capabilities = json_array();
	for (size_t i = 0; i < a->capabilities_len; i++)
		json_array_append_new(capabilities, json_string(a->capabilities[i]));
	if (!nv_username_valid(a->username)) {
		nv_fail(err, NV_REJECT, NV_R_bad_message,
			"username: not 1 to 100 of A-Z a-z 0-9 . _ @ + -");
	} else if (a->lang && strlen(a->lang) > 16) {
		nv_fail(err, NV_REJECT, NV_R_bad_message, "lang: longer than 16 bytes");
	} else if (!put_text(o, "username", a->username, err) &&
		   !put_text(o, "name", a->name, err) && !put_text(o, "mail", a->mail, err) &&
		   !put_text(o, "lang", a->lang, err)) {
		json_object_set_new(o, "admin", json_boolean(a->admin));
		json_object_set_new(o, "capabilities", capabilities);
		json_object_set_new(o, "password", json_string(hash));
		return o;
	}
	json_decref(capabilities);
	json_decref(o);
	return NULL;
}

/* The file as JSON, checked as the producer checks it; an empty list when there is no file. */
static json_t *load(const char *path, struct nv_err *err)
{
	struct nv_accounts check;
	struct stat st;
	if (stat(path, &st) < 0 && errno == ENOENT)
		return json_pack("{s:[]}", "accounts");
	if (nv_accounts_load(path, &check, err) < 0)
		return NULL;
	nv_accounts_fini(&check);
	json_t *root = json_load_file(path, 0, NULL);
	if (!root)
		nv_fail(err, NV_RETRY, NV_R_io, "%s: changed while it was read", path);
	return root;
}

/* Owner and mode stay: the operator may be root, the producer is not. */
static int store(const char *path, json_t *root, struct nv_err *err)
{
	struct stat st;
	bool there = stat(path, &st) == 0;
	nv_auto_free char *text = json_dumps(root, JSON_INDENT(2));
	if (nv_write_file(path, text, strlen(text), there ? st.st_mode & 0777 : 0600, err) < 0)
		return -1;
	if (there && (st.st_uid != geteuid() || st.st_gid != getegid()) &&
	    chown(path, st.st_uid, st.st_gid) < 0)
		return nv_fail_errno(err, errno, NV_RETRY, NV_R_io, "%s: give back to its owner",
				     path);
	return 0;
}

static size_t find(json_t *list, const char *username)
{
	size_t i;
	json_t *o;
	json_array_foreach(list, i, o) if (strcmp(json_string_value(json_object_get(o, "username")),
						  username) == 0) return i;
	return SIZE_MAX;
}

/* One change under the lock; change returns -1 with *err to leave the file as it is. */
static int edit(const char *path, int (*change)(json_t *list, const void *arg, struct nv_err *err),
		const void *arg, struct nv_err *err)
{
	nv_auto_free char *lock_path = nv_asprintf("%s.lock", path);
	nv_auto_fd int lock = -1;
	if (nv_lock_file(lock_path, true, &lock, err) < 0)
		return -1;
	json_t *root = load(path, err);
	if (!root)
		return -1;
	int rc = change(json_object_get(root, "accounts"), arg, err);
	if (!rc)
		rc = store(path, root, err);
	json_decref(root);
	return rc;
}

static int add(json_t *list, const void *arg, struct nv_err *err)
{
	json_t *o = (json_t *)(uintptr_t)arg;
	const char *username = json_string_value(json_object_get(o, "username"));
	if (find(list, username) != SIZE_MAX)
		return nv_fail(err, NV_REJECT, NV_R_conflict, "account %s: exists already",
			       username);
	return json_array_append(list, o);
}

int nv_account_add(const char *path, const struct nv_account *a, const char *password,
		   struct nv_err *err)
{
	char hash[crypto_pwhash_STRBYTES];
	if (hash_password(password, hash, err) < 0)
		return -1;
	json_t *o = account_json(a, hash, err);
	if (!o)
		return -1;
	int rc = edit(path, add, o, err);
	json_decref(o);
	return rc;
}

static int not_found(const char *username, struct nv_err *err)
{
	return nv_fail(err, NV_REJECT, NV_R_not_found, "account %s: there is none", username);
}

static int take_out(json_t *list, const void *arg, struct nv_err *err)
{
	size_t i = find(list, arg);
	return i == SIZE_MAX ? not_found(arg, err) : json_array_remove(list, i);
}

int nv_account_remove(const char *path, const char *username, struct nv_err *err)
{
	return edit(path, take_out, username, err);
}

struct passwd {
	const char *username;
	const char *hash;
};

static int set_password(json_t *list, const void *arg, struct nv_err *err)
{
	const struct passwd *p = arg;
	size_t i = find(list, p->username);
	if (i == SIZE_MAX)
		return not_found(p->username, err);
	return json_object_set_new(json_array_get(list, i), "password", json_string(p->hash));
}

int nv_account_passwd(const char *path, const char *username, const char *password,
		      struct nv_err *err)
{
	char hash[crypto_pwhash_STRBYTES];
	struct passwd p = {.username = username, .hash = hash};
	if (hash_password(password, hash, err) < 0)
		return -1;
	return edit(path, set_password, &p, err);
}
