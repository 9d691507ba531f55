/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Listing: folder by folder, by PROPFIND, or where a server does not do that for us by nginx's
 * `autoindex on; autoindex_format json;`: an array of
 * {"name", "type": "file" | "directory", "mtime": "Sun, 22 Nov 2026 17:08:00 GMT", "size"}. */
#include <jansson.h>
#include <string.h>

#include "base/json.h"
#include "core/store/webdav.h"

#define MAX_DEPTH 32
#define FOLDERS_MAX 1000000u  /* of one listing: a server might go on for ever */
#define LISTING_MAX 16777216u /* bytes: some 120,000 files in one folder */

void nv_dav_items_add(struct nv_dav_items *to, const struct nv_dav_item *item)
{
	if (to->len == to->cap) {
		to->cap = to->cap ? 2 * to->cap : 64;
		to->items = nv_realloc(to->items, to->cap * sizeof *to->items);
	}
	to->items[to->len++] = *item;
}

static void items_fini(struct nv_dav_items *items)
{
	nv_arena_fini(&items->arena);
	free(items->items);
	*items = (struct nv_dav_items){0};
}

/* --- nginx's autoindex --- */

static int body_cb(void *ctx, const void *data, size_t len, struct nv_err *err)
{
	if (nv_buf_take(ctx, data, len))
		return 0;
	return nv_fail(err, NV_RETRY, NV_R_store_unavailable,
		       "store: list: a folder's listing is larger than %u bytes", LISTING_MAX);
}

static void take_json(struct nv_dav_items *ret, const json_t *listed)
{
	const char *name = json_string_value(json_object_get(listed, "name"));
	const char *type = json_string_value(json_object_get(listed, "type"));
	const char *mtime = json_string_value(json_object_get(listed, "mtime"));
	json_int_t size = json_integer_value(json_object_get(listed, "size"));
	time_t at = mtime ? curl_getdate(mtime, NULL) : 0;
	if (!name || !type || (strcmp(type, "directory") != 0 && strcmp(type, "file") != 0))
		return;
	struct nv_dav_item item = {.name = nv_arena_strdup(&ret->arena, name),
				   .folder = strcmp(type, "directory") == 0,
				   .size = size > 0 ? (uint64_t)size : 0,
				   .modified_ms = at > 0 ? (uint64_t)at * 1000u : 0};
	nv_dav_items_add(ret, &item);
}

static int read_json(const struct nv_buf *buf, const char *folder, int propfind,
		     struct nv_dav_items *ret, struct nv_err *err)
{
	json_t *list = nv_json_parse(buf->data, buf->len, NULL);
	size_t i;
	json_t *listed;
	int rc = 0;
	if (json_is_array(list))
		json_array_foreach(list, i, listed) take_json(ret, listed);
	else
		rc = nv_fail(err, NV_RETRY, NV_R_store_unavailable,
			     "store: list %s: PROPFIND is answered %d, and GET by no JSON listing "
			     "(nginx: autoindex on; autoindex_format json)",
			     folder, propfind);
	json_decref(list);
	return rc;
}

/* propfind: how that was answered, 0: it was not asked. */
static int by_autoindex(struct nv_dav *dav, const char *folder, int propfind,
			struct nv_dav_items *ret, int *ret_status, struct nv_err *err)
{
	nv_auto_buf struct nv_buf buf = {.max = LISTING_MAX};
	struct nv_web_call c;
	nv_web_begin(&c, &dav->web, "list", folder, NULL);
	c.body_cb = body_cb;
	c.body_ctx = &buf;
	int rc = nv_web_perform(&c, NULL, err);
	*ret_status = c.status;
	if (rc == 0 && c.status != 200 && c.status != 404)
		rc = nv_web_refused(&c, err);
	nv_web_end(&c);
	return rc == 0 && *ret_status == 200 ? read_json(&buf, folder, propfind, ret, err) : rc;
}

/* --- one folder --- */

static enum nv_dav_listing listing_of(struct nv_dav *dav)
{
	pthread_mutex_lock(&dav->lock);
	enum nv_dav_listing listing = dav->listing;
	pthread_mutex_unlock(&dav->lock);
	return listing;
}

static void remember_listing(struct nv_dav *dav, enum nv_dav_listing listing)
{
	pthread_mutex_lock(&dav->lock);
	dav->listing = listing;
	pthread_mutex_unlock(&dav->lock);
}

/* One that is not there has nothing in it. */
static int read_folder(struct nv_dav *dav, const char *folder, struct nv_dav_items *ret,
		       struct nv_err *err)
{
	enum nv_dav_listing known = listing_of(dav);
	int propfind = 0;
	int status = 0;
	if (known != NV_DAV_LISTING_AUTOINDEX) {
		if (nv_dav_propfind(dav, folder, ret, &propfind, err) < 0)
			return -1;
		if (propfind == 207)
			remember_listing(dav, NV_DAV_LISTING_PROPFIND);
		if (propfind == 207 || propfind == 404)
			return 0;
	}
	if (by_autoindex(dav, folder, propfind, ret, &status, err) < 0)
		return -1;
	if (status == 200)
		remember_listing(dav, NV_DAV_LISTING_AUTOINDEX);
	return 0;
}

/* --- all below --- */

struct listing {
	struct nv_dav *dav;
	nv_store_list_cb cb;
	void *arg;
	unsigned folders; /* looked into */
	bool stop;
};

static int list_folder(struct listing *l, const char *prefix, int depth, struct nv_err *err);

static int list_item(struct listing *l, const char *prefix, const struct nv_dav_item *item,
		     int depth, struct nv_err *err)
{
	nv_auto_free char *key = nv_asprintf("%s%s", prefix, item->name);
	if (strchr(item->name, '/') || !nv_store_key_valid(key))
		return 0;
	if (item->folder) {
		nv_auto_free char *below = nv_asprintf("%s/", key);
		return depth < MAX_DEPTH ? list_folder(l, below, depth + 1, err) : 0;
	}
	l->stop = l->cb(l->arg, key, item->size, item->modified_ms) != 0;
	return 0;
}

static int list_folder(struct listing *l, const char *prefix, int depth, struct nv_err *err)
{
	struct nv_dav_items items = {0};
	if (++l->folders > FOLDERS_MAX)
		return nv_fail(err, NV_RETRY, NV_R_store_unavailable,
			       "store: list %s: there are more than %u folders", prefix,
			       FOLDERS_MAX);
	int rc = read_folder(l->dav, prefix, &items, err);
	for (size_t i = 0; rc == 0 && !l->stop && i < items.len; i++)
		rc = list_item(l, prefix, &items.items[i], depth, err);
	items_fini(&items);
	return rc;
}

int nv_dav_list(void *impl, const char *prefix, nv_store_list_cb cb, void *arg, struct nv_err *err)
{
	struct listing l = {.dav = impl, .cb = cb, .arg = arg};
	return list_folder(&l, prefix, 0, err);
}
