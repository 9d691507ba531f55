/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Partial manifests: the blobs of an unfinished archive that are already in the store.
 *
 * The writer leaves lists beside the place of its manifest, opened-0, opened-1, … , each a manifest
 * of the blobs uploaded since the last; the reader fetches these while the rest is still coming.
 * Hints only: the lists are not signed, and everything fetched is verified against the signed
 * manifest. */
#include "core/archive/archive_internal.h"

#include <inttypes.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"

#define WORTH_IT 16777216u   /* bytes on their way before anybody is told */
#define FIRST_AFTER_MS 500u  /* between lists; doubled up to … */
#define LATER_AFTER_MS 2000u /* … this */
#define LOOK_EVERY_MS 200u   /* whether the next list exists */
#define PATIENCE_MS 600000u  /* without a list */
#define LISTS_MAX 100000u    /* deleted of one archive */

static char *list_key(const struct nv_archive_place *p, unsigned n)
{
	return nv_asprintf("%s/%s/archives/%s/%s/opened-%u", p->site, p->client, p->id, p->attempt,
			   n);
}

/* --- telling --- */

struct nv_partial_writer {
	struct nv_store *store;
	const struct nv_archive_place *place;
	const struct nv_job *job;
	void (*opened_cb)(void *arg);
	void *arg;
	pthread_mutex_t lock;
	struct nv_manifest_entry *items; /* not told yet */
	size_t len, cap;
	uint64_t bytes; /* of all so far */
	uint64_t next;	/* nv_mono_ms when to tell */
	uint64_t after; /* ms */
	unsigned lists;
	bool telling, broken;
	struct nv_arena arena;
};

struct nv_partial_writer *nv_partial_writer_new(struct nv_store *store,
						const struct nv_archive_place *place,
						const struct nv_job *job,
						void (*opened_cb)(void *arg), void *arg)
{
	struct nv_partial_writer *t = nv_alloc(sizeof *t);
	t->store = store;
	t->place = place;
	t->job = job;
	t->opened_cb = opened_cb;
	t->arg = arg;
	t->after = FIRST_AFTER_MS;
	pthread_mutex_init(&t->lock, NULL);
	return t;
}

void nv_partial_writer_free(struct nv_partial_writer *t)
{
	if (!t)
		return;
	pthread_mutex_destroy(&t->lock);
	nv_arena_fini(&t->arena);
	free(t->items);
	free(t);
}

static int write_list(struct nv_partial_writer *t, const struct nv_manifest_entry *items,
		      size_t len, struct nv_err *err)
{
	static const uint8_t none[NV_SHA256_LEN];
	nv_auto_buf struct nv_buf packed = {0};
	nv_auto_free char *key = list_key(t->place, t->lists);
	struct nv_manifest m = {
		.format = NV_MANIFEST_FORMAT,
		/* The record's fields are not const; it is only read here. */
		.id = (char *)(uintptr_t)t->place->id,
		.attempt = (char *)(uintptr_t)t->place->attempt,
		.skeleton_sha256 = {none, sizeof none},
		.entries = {.items = (void *)(uintptr_t)items, .len = len},
	};
	for (size_t i = 0; i < len; i++)
		m.size += items[i].size;
	if (nv_manifest_pack(&m, &packed, err) < 0)
		return -1;
	struct nv_bytes rest = {packed.data, packed.len};
	struct nv_source from = nv_source_bytes(&rest);
	struct nv_expect expect = {.size = packed.len, .passing = true};
	return nv_store_put(t->store, key, &expect, &from, t->job, NULL, err);
}

/* Without the lock while it writes: the others go on, and leave what they have for the next. */
static void tell(struct nv_partial_writer *t)
{
	struct nv_manifest_entry *items = t->items;
	size_t len = t->len < NV_OPENED_BLOBS ? t->len : NV_OPENED_BLOBS;
	struct nv_err err = {0};
	t->len = t->cap = t->len - len;
	t->items = t->len ? nv_alloc(t->len * sizeof *items) : NULL;
	if (t->len)
		memcpy(t->items, items + len, t->len * sizeof *items);
	t->telling = true;
	pthread_mutex_unlock(&t->lock);
	int rc = write_list(t, items, len, &err);
	free(items);
	if (rc < 0) /* nobody misses it */
		NV_LOG(NV_WARN, "opened.untold", NV_S("req", t->place->id), NV_E(&err));
	else if (t->lists == 0 && t->opened_cb)
		t->opened_cb(t->arg);
	pthread_mutex_lock(&t->lock);
	t->telling = false;
	t->broken = rc < 0;
	t->lists++;
	t->next = nv_mono_ms() + t->after;
	t->after = t->after < LATER_AFTER_MS ? 2 * t->after : LATER_AFTER_MS;
}

void nv_partial_writer_add(struct nv_partial_writer *t, const struct nv_manifest_entry *blob)
{
	pthread_mutex_lock(&t->lock);
	if (t->len == t->cap) {
		t->cap = t->cap ? 2 * t->cap : 64;
		t->items = nv_realloc(t->items, t->cap * sizeof *t->items);
	}
	struct nv_manifest_entry *e = &t->items[t->len++];
	*e = *blob;
	e->path = nv_arena_strdup(&t->arena, blob->path);
	t->bytes += blob->size;
	if (!t->telling && !t->broken && t->bytes >= WORTH_IT && nv_mono_ms() >= t->next)
		tell(t);
	pthread_mutex_unlock(&t->lock);
}

void nv_partial_writer_finish(struct nv_partial_writer *t)
{
	pthread_mutex_lock(&t->lock);
	while (t->lists && t->len && !t->telling && !t->broken)
		tell(t);
	pthread_mutex_unlock(&t->lock);
}

int nv_partial_delete(struct nv_store *store, const struct nv_archive_place *place,
		      struct nv_err *err)
{
	for (unsigned n = 0; n < LISTS_MAX; n++) {
		nv_auto_free char *key = list_key(place, n);
		bool exists = false;
		uint64_t size = 0;
		if (nv_store_head(store, key, &exists, &size, err) < 0)
			return -1;
		if (!exists)
			return 0;
		if (nv_store_delete(store, key, err) < 0)
			return -1;
	}
	return 0;
}

/* --- hearing --- */

struct hearing {
	struct nv_store *store;
	const struct nv_archive_place *place;
	const struct nv_archive_limits *limits;
	const char *dir;
	const struct nv_job *job;
	bool (*enough_cb)(void *arg);
	void *arg;
};

/* 1 with *ret_size, 0: enough, or nothing comes any more; -1. */
static int wait_for_list(const struct hearing *h, const char *key, uint64_t *ret_size,
			 struct nv_err *err)
{
	const struct timespec pause = {.tv_nsec = LOOK_EVERY_MS * 1000000L};
	uint64_t until = nv_mono_ms() + PATIENCE_MS;
	while (!h->enough_cb(h->arg) && nv_mono_ms() < until) {
		bool exists = false;
		if (nv_job_check(h->job, err) < 0 ||
		    nv_store_head(h->store, key, &exists, ret_size, err) < 0)
			return -1;
		if (exists)
			return 1;
		nanosleep(&pause, NULL);
	}
	return 0;
}

static int read_list(const struct hearing *h, const char *key, uint64_t size,
		     struct nv_manifest *ret, struct nv_arena *arena, struct nv_err *err)
{
	nv_auto_free char *path = nv_asprintf("%s/opened", h->dir);
	nv_auto_buf struct nv_buf packed = {0};
	struct nv_expect expect = {.size = size, .passing = true};
	if (size > NV_OPENED_MAX)
		return nv_fail(err, NV_REJECT, NV_R_archive_too_large,
			       "archive: a list of %" PRIu64 " bytes is refused", size);
	const struct nv_store_to to = {.path = path, .job = h->job};
	int rc = nv_store_get(h->store, key, &expect, &to, err);
	if (rc == 0)
		rc = nv_read_file(path, NV_OPENED_MAX, &packed, err);
	unlink(path);
	if (rc < 0)
		return -1;
	const struct nv_manifest_rules rules = {h->place, h->limits, NV_OPENED_MAX};
	return nv_manifest_unpack(packed.data, packed.len, &rules, h->job, ret, arena, err);
}

int nv_archive_prefetch(struct nv_store *store, const struct nv_archive_place *place,
			const struct nv_archive_limits *limits, const char *dir,
			const struct nv_fetch_help *help, bool (*enough_cb)(void *arg), void *arg,
			const struct nv_job *job, uint64_t *ret_bytes, struct nv_err *err)
{
	struct hearing h = {store, place, limits, dir, job, enough_cb, arg};
	struct nv_limits_count count = {.limits = limits};
	*ret_bytes = 0;
	if (nv_place_check(place, err) < 0 || nv_mkdir_p(dir, 0750, err) < 0)
		return -1;
	for (unsigned n = 0;; n++) {
		nv_auto_free char *key = list_key(place, n);
		nv_auto_arena struct nv_arena arena = {0};
		struct nv_manifest part = {0};
		uint64_t size = 0;
		int rc = wait_for_list(&h, key, &size, err);
		if (rc <= 0)
			return rc;
		if (read_list(&h, key, size, &part, &arena, err) < 0 ||
		    nv_limits_add(&count, part.size, err) < 0 ||
		    nv_fetch_part(store, place, &part, dir, help, job, err) < 0)
			return -1;
		*ret_bytes += part.size;
	}
}
