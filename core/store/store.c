/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/store/store_internal.h"

#include <string.h>

#include "base/id.h"

#define KEY_MAX_LEN 1024u
#define LIST_OBJECTS_MAX 10000000u /* told of by one listing: a server might go on for ever */
#define PROBE_BYTES 65536u

/* One component of a key: up to the next '/' or the end. */
static bool component_valid(const char *s, size_t len)
{
	if (len == 0 || len > 255 || s[0] == '.')
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = s[i];
		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      c == '.' || c == '_' || c == '-'))
			return false;
	}
	return true;
}

bool nv_store_key_valid(const char *key)
{
	if (!key || strnlen(key, KEY_MAX_LEN + 1) > KEY_MAX_LEN)
		return false;
	for (;;) {
		size_t len = strcspn(key, "/");
		if (!component_valid(key, len))
			return false;
		if (!key[len])
			return true;
		key += len + 1;
	}
}

static int check_key(const char *operation, const char *key, struct nv_err *err)
{
	if (nv_store_key_valid(key))
		return 0;
	return nv_fail(err, NV_REJECT, NV_R_internal, "store: %s: \"%s\" is not a valid key",
		       operation, key ? key : "(null)");
}

struct nv_store *nv_store_open(const struct nv_config *config, struct nv_err *err)
{
	struct nv_store *s = nv_alloc(sizeof *s);
	static int (*const open_backend[])(const struct nv_config *config, struct nv_store *s,
					   struct nv_err *err) = {
		[NV_STORE_DIRECTORY] = nv_store_open_directory,
		[NV_STORE_WEBDAV] = nv_store_open_webdav,
		[NV_STORE_S3] = nv_store_open_s3,
	};
	int rc = open_backend[config->store.type](config, s, err);
	s->transfers = config->store.transfers ? (unsigned)config->store.transfers : 1;
	if (rc == 0)
		return s;
	free(s->about);
	free(s);
	return NULL;
}

void nv_store_close(struct nv_store *s)
{
	if (!s)
		return;
	s->ops->close(s->impl);
	free(s->about);
	free(s);
}

const char *nv_store_describe(const struct nv_store *s)
{
	return s->about;
}

unsigned nv_store_transfers(const struct nv_store *s)
{
	return s->transfers;
}

int nv_store_put(struct nv_store *s, const char *key, const struct nv_expect *expect,
		 const struct nv_source *from, const struct nv_job *job,
		 uint8_t ret_sha256[NV_SHA256_LEN], struct nv_err *err)
{
	uint8_t sha256[NV_SHA256_LEN];
	if (check_key("put", key, err) < 0 || nv_job_check(job, err) < 0)
		return -1;
	return s->ops->put(s->impl, key, expect, from, job, ret_sha256 ? ret_sha256 : sha256, err);
}

int nv_store_sync(struct nv_store *s, struct nv_sync_group *together, struct nv_err *err)
{
	return s->ops->sync ? s->ops->sync(together, err) : 0;
}

int nv_store_get(struct nv_store *s, const char *key, const struct nv_expect *expect,
		 const struct nv_store_to *to, struct nv_err *err)
{
	if (check_key("get", key, err) < 0 || nv_job_check(to->job, err) < 0)
		return -1;
	return s->ops->get(s->impl, key, expect, to, err);
}

int nv_store_head(struct nv_store *s, const char *key, bool *ret_exists, uint64_t *ret_size,
		  struct nv_err *err)
{
	*ret_exists = false;
	*ret_size = 0;
	if (check_key("head", key, err) < 0)
		return -1;
	return s->ops->head(s->impl, key, ret_exists, ret_size, err);
}

/* --- is it there? --- */

static int probe_by_writing(struct nv_store *s, const char *key, struct nv_err *err)
{
	static const uint8_t nothing[PROBE_BYTES];
	struct nv_bytes rest = {nothing, sizeof nothing};
	struct nv_source from = nv_source_bytes(&rest);
	struct nv_expect expect = {.size = sizeof nothing, .passing = true};
	struct nv_err left = {0};
	int rc = nv_store_put(s, key, &expect, &from, NULL, NULL, err);
	nv_store_delete(s, key, &left);
	return rc;
}

/* S3 answers 403 for an object that is not there to whoever may not list: then it is let in who may
 * delete that object, as those who read may. */
static int probe_by_reading(struct nv_store *s, const char *key, struct nv_err *err)
{
	struct nv_err still = {0};
	uint64_t size;
	bool exists;
	if (s->ops->look && s->ops->look(s->impl, err) < 0)
		return -1;
	if (nv_store_head(s, key, &exists, &size, err) == 0)
		return 0;
	if (err->reason != NV_R_store_denied)
		return -1;
	return nv_store_delete(s, key, &still);
}

int nv_store_probe(struct nv_store *s, const char *prefix, bool write, struct nv_err *err)
{
	char token[NV_TOKEN_SIZE];
	struct nv_err why = {0};
	nv_token_new(token);
	nv_auto_free char *key = nv_asprintf("%sprobes/%s", prefix, token);
	int rc = write ? probe_by_writing(s, key, &why) : probe_by_reading(s, key, &why);
	if (rc == 0)
		return 0;
	bool known = why.reason == NV_R_store_full || why.reason == NV_R_store_denied;
	return nv_fail(err, NV_HOLD, known ? why.reason : NV_R_store_unavailable, "%s", why.msg);
}

int nv_store_delete(struct nv_store *s, const char *key, struct nv_err *err)
{
	if (check_key("delete", key, err) < 0)
		return -1;
	return s->ops->del(s->impl, key, err);
}

struct counted {
	nv_store_list_cb cb;
	void *arg;
	uint64_t objects;
};

static int count_cb(void *arg, const char *key, uint64_t size, uint64_t modified_ms)
{
	struct counted *c = arg;
	return ++c->objects > LIST_OBJECTS_MAX ? 1 : c->cb(c->arg, key, size, modified_ms);
}

int nv_store_list(struct nv_store *s, const char *prefix, nv_store_list_cb cb, void *arg,
		  struct nv_err *err)
{
	struct counted c = {.cb = cb, .arg = arg};
	size_t len = strlen(prefix);
	if (len) {
		nv_auto_free char *folder = nv_strndup(prefix, len - 1);
		if (prefix[len - 1] != '/' || !nv_store_key_valid(folder))
			return nv_fail(err, NV_REJECT, NV_R_internal,
				       "store: list: \"%s\" is not a valid prefix", prefix);
	}
	if (s->ops->list(s->impl, prefix, count_cb, &c, err) < 0)
		return -1;
	if (c.objects <= LIST_OBJECTS_MAX)
		return 0;
	return nv_fail(err, NV_RETRY, NV_R_store_unavailable,
		       "store: list %s: it tells of more than %u objects", prefix,
		       LIST_OBJECTS_MAX);
}

int nv_store_sweep(struct nv_store *s, struct nv_err *err)
{
	return s->ops->sweep(s->impl, err);
}
