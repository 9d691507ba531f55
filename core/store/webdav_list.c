/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Listing by nginx's `autoindex on; autoindex_format json;`: an array of
 * {"name", "type": "file" | "directory", "mtime": "Sun, 22 Nov 2026 17:08:00 GMT", "size"}. */
#include <jansson.h>
#include <string.h>

#include "core/base/json.h"
#include "core/store/webdav.h"

#define MAX_DEPTH 32
#define FOLDERS_MAX 1000000u  /* of one listing: a server might go on for ever */
#define LISTING_MAX 16777216u /* bytes: some 120,000 files in one folder */

struct listing {
	struct nv_dav *dav;
	nv_store_list_cb cb;
	void *arg;
	unsigned folders; /* looked into */
	bool stop;
};

static int body_cb(void *ctx, const void *data, size_t len, struct nv_err *err)
{
	struct nv_buf *buf = ctx;
	if (buf->len + len > LISTING_MAX)
		return nv_fail(err, NV_RETRY, NV_R_store_unavailable,
			       "store: list: a folder's listing is larger than %u bytes",
			       LISTING_MAX);
	nv_buf_put(buf, data, len);
	return 0;
}

/* *ret NULL: there is no such folder. */
static int read_folder(struct nv_dav *dav, const char *prefix, json_t **ret, struct nv_err *err)
{
	nv_auto_buf struct nv_buf buf = {0};
	struct nv_web_call c;
	*ret = NULL;
	nv_web_begin(&c, &dav->web, "list", prefix, NULL);
	c.body_cb = body_cb;
	c.body_ctx = &buf;
	int rc = nv_web_perform(&c, NULL, err);
	if (rc == 0 && c.status != 200 && c.status != 404)
		rc = nv_web_refused(&c, err);
	int status = c.status;
	nv_web_end(&c);
	if (rc < 0 || status == 404)
		return rc;
	*ret = nv_json_parse(buf.data, buf.len, NULL);
	if (json_is_array(*ret))
		return 0;
	json_decref(*ret);
	*ret = NULL;
	return nv_fail(err, NV_RETRY, NV_R_store_unavailable,
		       "store: list %s: the answer is no JSON listing (nginx: autoindex on; "
		       "autoindex_format json)",
		       prefix);
}

static int list_folder(struct listing *l, const char *prefix, int depth, struct nv_err *err);

static int list_item(struct listing *l, const char *prefix, const json_t *item, int depth,
		     struct nv_err *err)
{
	const char *name = json_string_value(json_object_get(item, "name"));
	const char *type = json_string_value(json_object_get(item, "type"));
	if (!name || !type)
		return 0;
	nv_auto_free char *key = nv_asprintf("%s%s", prefix, name);
	if (!nv_store_key_valid(key))
		return 0;
	if (strcmp(type, "directory") == 0) {
		nv_auto_free char *below = nv_asprintf("%s/", key);
		return depth < MAX_DEPTH ? list_folder(l, below, depth + 1, err) : 0;
	}
	if (strcmp(type, "file") != 0)
		return 0;
	json_int_t size = json_integer_value(json_object_get(item, "size"));
	const char *mtime = json_string_value(json_object_get(item, "mtime"));
	time_t at = mtime ? curl_getdate(mtime, NULL) : 0;
	l->stop = l->cb(l->arg, key, size > 0 ? (uint64_t)size : 0,
			at > 0 ? (uint64_t)at * 1000u : 0) != 0;
	return 0;
}

static int list_folder(struct listing *l, const char *prefix, int depth, struct nv_err *err)
{
	json_t *items = NULL;
	if (++l->folders > FOLDERS_MAX)
		return nv_fail(err, NV_RETRY, NV_R_store_unavailable,
			       "store: list %s: there are more than %u folders", prefix,
			       FOLDERS_MAX);
	if (read_folder(l->dav, prefix, &items, err) < 0)
		return -1;
	int rc = 0;
	for (size_t i = 0; rc == 0 && !l->stop && i < json_array_size(items); i++)
		rc = list_item(l, prefix, json_array_get(items, i), depth, err);
	json_decref(items);
	return rc;
}

int nv_dav_list(void *impl, const char *prefix, nv_store_list_cb cb, void *arg, struct nv_err *err)
{
	struct listing l = {.dav = impl, .cb = cb, .arg = arg};
	return list_folder(&l, prefix, 0, err);
}
