/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Garbage collection in a client's part of a site's prefix. */
#include "core/archive/archive_internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"

struct object {
	char *key;
	uint64_t size;
	uint64_t modified_ms;
};

struct objects {
	struct object *items;
	size_t len;
	size_t cap;
	struct nv_arena arena;
	const struct nv_job *job;
};

struct collecting {
	struct nv_store *store;
	const char *site;
	const char *client;
	const char *work_dir;
	struct nv_collect *c;
	const struct nv_job *job;
};

static int add_object(void *arg, const char *key, uint64_t size, uint64_t modified_ms)
{
	struct objects *o = arg;
	if (o->len == o->cap) {
		o->cap = o->cap ? 2 * o->cap : 256;
		o->items = nv_realloc(o->items, o->cap * sizeof *o->items);
	}
	o->items[o->len++] = (struct object){nv_arena_strdup(&o->arena, key), size, modified_ms};
	return nv_job_check(o->job, NULL);
}

static void objects_fini(struct objects *o)
{
	free(o->items);
	nv_arena_fini(&o->arena);
}

static int list(const struct collecting *g, const char *what, struct objects *ret,
		struct nv_err *err)
{
	nv_auto_free char *prefix = nv_asprintf("%s/%s/%s/", g->site, g->client, what);
	*ret = (struct objects){.job = g->job};
	if (nv_job_check(g->job, err) == 0 &&
	    nv_store_list(g->store, prefix, add_object, ret, err) == 0 &&
	    nv_job_check(g->job, err) == 0) /* or it has stopped in the middle */
		return 0;
	objects_fini(ret);
	return -1;
}

static bool is_older(const struct collecting *g, const struct object *o, uint64_t ms)
{
	return o->modified_ms < g->c->now_ms && g->c->now_ms - o->modified_ms > ms;
}

static int remove_object(const struct collecting *g, const char *key, struct nv_err *err)
{
	if (nv_job_check(g->job, err) < 0)
		return -1;
	return g->c->dry ? 0 : nv_store_delete(g->store, key, err);
}

/* --- pins --- */

/* Somebody is writing an archive: it may rely on blobs that nothing names yet.  What a dead
 * archiver has pinned is let go. */
static int look_at_pins(const struct collecting *g, bool *ret_pinned, struct nv_err *err)
{
	struct objects pins;
	int rc = 0;
	*ret_pinned = false;
	if (list(g, "pins", &pins, err) < 0)
		return -1;
	for (size_t i = 0; i < pins.len && rc == 0; i++)
		if (is_older(g, &pins.items[i], g->c->pin_ms))
			rc = remove_object(g, pins.items[i].key, err);
		else
			*ret_pinned = true;
	objects_fini(&pins);
	return rc;
}

/* --- archives --- */

/* <site>/<client>/archives/<id>/<attempt>/<name>; false: something else. */
static bool place_of(const struct collecting *g, char *key, struct nv_archive_place *ret,
		     const char **ret_name)
{
	char *id = key + strlen(g->site) + strlen(g->client) + strlen("//archives/");
	char *attempt = strchr(id, '/');
	char *name = attempt ? strchr(attempt + 1, '/') : NULL;
	if (!name)
		return false;
	*attempt++ = '\0';
	*name++ = '\0';
	*ret = (struct nv_archive_place){g->site, g->client, id, attempt};
	*ret_name = name;
	return nv_place_check(ret, NULL) == 0;
}

struct named {
	char **keys; /* of blobs, sorted in the end */
	size_t len;
	size_t cap;
	struct nv_arena arena;
};

static void add_named(struct named *n, char *key)
{
	if (n->len == n->cap) {
		n->cap = n->cap ? 2 * n->cap : 256;
		n->keys = nv_realloc(n->keys, n->cap * sizeof *n->keys);
	}
	n->keys[n->len++] = nv_arena_strdup(&n->arena, key);
}

static int read_manifest(const struct collecting *g, const struct nv_archive_place *place,
			 uint64_t size, struct named *named, struct nv_err *err)
{
	static const struct nv_archive_limits any = {UINT64_MAX, UINT64_MAX, UINT64_MAX};
	nv_auto_arena struct nv_arena arena = {0};
	nv_auto_buf struct nv_buf packed = {0};
	nv_auto_free char *key = nv_manifest_key(place);
	nv_auto_free char *path = nv_asprintf("%s/manifest", g->work_dir);
	struct nv_expect expect = {.size = size, .passing = true};
	struct nv_manifest m = {0};
	const struct nv_manifest_rules rules = {place, &any, NV_MANIFEST_MAX};
	if (size > NV_MANIFEST_PACKED_MAX)
		return nv_fail(err, NV_REJECT, NV_R_archive_too_large,
			       "archive: %s has %llu bytes: refused", key,
			       (unsigned long long)size);
	const struct nv_store_to to = {.path = path, .job = g->job};
	int rc = nv_store_get(g->store, key, &expect, &to, err);
	if (rc == 0)
		rc = nv_read_file(path, NV_MANIFEST_PACKED_MAX, &packed, err);
	unlink(path);
	if (rc == 0)
		rc = nv_manifest_unpack(packed.data, packed.len, &rules, g->job, &m, &arena, err);
	if (rc < 0)
		return -1;
	const struct nv_manifest_entry *e = m.entries.items;
	for (size_t i = 0; i < m.entries.len; i++) {
		if (!e[i].blob)
			continue;
		nv_auto_free char *blob = nv_blob_key(place, e[i].sha1.data, e[i].size);
		add_named(named, blob);
	}
	return 0;
}

/* The archive goes, or stays and its blobs are named. */
static int judge_manifest(const struct collecting *g, const struct object *o,
			  const struct nv_archive_place *place, struct named *named,
			  struct nv_err *err)
{
	struct nv_err local = {0};
	if (is_older(g, o, g->c->keep_ms)) {
		g->c->archives++;
		return g->c->dry ? 0 : nv_archive_delete(g->store, place, err);
	}
	if (read_manifest(g, place, o->size, named, &local) == 0 ||
	    local.reason == NV_R_store_missing) /* restored meanwhile */
		return 0;
	if (err)
		*err = local;
	return -1;
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int look_at_archives(const struct collecting *g, struct named *named, struct nv_err *err)
{
	struct objects all;
	int rc = 0;
	if (list(g, "archives", &all, err) < 0)
		return -1;
	for (size_t i = 0; i < all.len && rc == 0; i++) {
		struct nv_archive_place place;
		const char *name;
		nv_auto_free char *whole = nv_strdup(all.items[i].key);
		if (!place_of(g, all.items[i].key, &place, &name))
			continue;
		if (strcmp(name, "manifest") == 0)
			rc = judge_manifest(g, &all.items[i], &place, named, err);
		else if (is_older(g, &all.items[i], g->c->keep_ms) &&
			 is_older(g, &all.items[i], g->c->pin_ms))
			rc = remove_object(g, whole, err); /* of an upload that never ended */
	}
	objects_fini(&all);
	if (named->len)
		qsort(named->keys, named->len, sizeof *named->keys, compare);
	return rc;
}

/* --- blobs --- */

static int remove_blobs(const struct collecting *g, const struct named *named, struct nv_err *err)
{
	struct objects blobs;
	bool pinned = false;
	int rc = 0;
	/* Listed before the last look at the pins: who pins after that has its blobs still to look
	 * for, or is sent for another export by the worker that misses one. */
	if (list(g, "blobs", &blobs, err) < 0)
		return -1;
	rc = look_at_pins(g, &pinned, err);
	for (size_t i = 0; i < blobs.len && rc == 0 && !pinned; i++) {
		struct object *o = &blobs.items[i];
		if (!is_older(g, o, g->c->grace_ms) ||
		    (named->len &&
		     bsearch(&o->key, named->keys, named->len, sizeof *named->keys, compare)))
			continue;
		rc = remove_object(g, o->key, err);
		if (rc == 0) {
			g->c->blobs++;
			g->c->bytes += o->size;
		}
	}
	objects_fini(&blobs);
	return rc;
}

struct nv_collect nv_collect_configured(const struct nv_config *c)
{
	return (struct nv_collect){.now_ms = nv_now_ms(),
				   .grace_ms = c->store.grace,
				   .pin_ms = c->archiver.job_timeout + c->store.grace,
				   .keep_ms = c->store.keep};
}

int nv_archive_collect(struct nv_store *store, const char *site, const char *client,
		       const char *work_dir, struct nv_collect *c, const struct nv_job *job,
		       struct nv_err *err)
{
	struct collecting g = {store, site, client, work_dir, c, job};
	struct named named = {0};
	bool pinned = false;
	c->archives = c->blobs = c->bytes = 0;
	int rc = look_at_pins(&g, &pinned, err);
	if (rc == 0)
		rc = look_at_archives(&g, &named, err);
	if (rc == 0 && !pinned)
		rc = remove_blobs(&g, &named, err);
	free(named.keys);
	nv_arena_fini(&named.arena);
	return rc;
}
