/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Writing an archive into the store: blobs as they come by, then the skeleton, then the manifest.
 */
#include "core/archive/archive_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/fs.h"
#include "base/log.h"

struct entries {
	struct nv_manifest_entry *items;
	size_t len;
	size_t cap;
};

struct nv_archive_put {
	struct nv_store *store;
	const struct nv_archive_place *place;
	uint64_t threshold;
	struct nv_hash_cache *known;
	const struct nv_job *job;
	struct nv_sync_group together; /* all that the manifest names */
	char *skeleton_path;
	struct nv_pack *skeleton;
	struct nv_path_set *names;
	struct nv_partial_writer *teller; /* NULL: nobody is told before the end */
	void (*opened_cb)(void *arg);
	void *opened_arg;
	struct nv_limits_count count;
	struct entries entries;	 /* in the backup's order */
	struct entries contents; /* blobs of a Moodle's pool, in any order */
	/* Blobs are sent by several threads at once; what they share of the above, and the skeleton
	 * as a whole, is under this lock, the three figures under the other. */
	pthread_mutex_t lock;
	pthread_mutex_t figures;
	uint64_t handled; /* bytes of entries, for progress */
	bool telling;	  /* it: blobs may come while the export still tells its own */
	uint64_t sent;
	uint64_t saved;
	struct nv_arena arena;
};

/* Before anything is looked for in the store.  An export that a crash of the machine ends needs
 * none. */
static int put_pin(struct nv_store *store, const struct nv_archive_place *place,
		   const struct nv_job *job, struct nv_err *err)
{
	nv_auto_free char *key = nv_pin_key(place);
	struct nv_bytes rest = {(const uint8_t *)place->id, strlen(place->id)};
	struct nv_source from = nv_source_bytes(&rest);
	struct nv_expect expect = {.size = rest.len, .passing = true};
	return nv_store_put(store, key, &expect, &from, job, NULL, err);
}

static void remove_pin(struct nv_store *store, const struct nv_archive_place *place)
{
	nv_auto_free char *key = nv_pin_key(place);
	struct nv_err err = {0};
	if (nv_store_delete(store, key, &err) < 0) /* the collector does, later */
		NV_LOG(NV_WARN, "pin.left", NV_S("key", key), NV_E(&err));
}

struct nv_archive_put *nv_archive_put_new(struct nv_store *store,
					  const struct nv_archive_place *place,
					  const char *work_dir, uint64_t blob_threshold,
					  const struct nv_archive_limits *limits,
					  struct nv_hash_cache *known, const struct nv_job *job,
					  struct nv_err *err)
{
	if (nv_place_check(place, err) < 0 || nv_mkdir_p(work_dir, 0700, err) < 0 ||
	    put_pin(store, place, job, err) < 0)
		return NULL;
	char *path = nv_asprintf("%s/skeleton.tar.zst", work_dir);
	unlink(path); /* an earlier try's */
	struct nv_pack *skeleton = nv_pack_new(path, NV_PACK_SKELETON, err);
	if (!skeleton) {
		remove_pin(store, place);
		free(path);
		return NULL;
	}
	struct nv_archive_put *p = nv_alloc(sizeof *p);
	p->store = store;
	p->place = place;
	p->threshold = blob_threshold;
	p->known = known;
	p->job = job;
	p->skeleton_path = path;
	p->skeleton = skeleton;
	nv_sync_group_init(&p->together);
	p->names = nv_path_set_new();
	p->count.limits = limits;
	pthread_mutex_init(&p->lock, NULL);
	pthread_mutex_init(&p->figures, NULL);
	return p;
}

static struct nv_manifest_entry *entries_add(struct entries *e)
{
	if (e->len == e->cap) {
		e->cap = e->cap ? e->cap * 2 : 256;
		e->items = nv_realloc(e->items, e->cap * sizeof *e->items);
	}
	return &e->items[e->len++];
}

/* Its index in `to`; under the lock. */
static size_t add_entry(struct nv_archive_put *p, struct entries *to, const struct nv_entry *entry)
{
	*entries_add(to) = (struct nv_manifest_entry){
		.path = nv_arena_strdup(&p->arena, entry->path),
		.folder = entry->folder,
		.size = entry->size,
		.mtime = entry->mtime > 0 ? (uint64_t)entry->mtime : 0,
	};
	return to->len - 1;
}

/* --- a source that tells progress --- */

struct counted {
	struct nv_archive_put *put;
	const struct nv_source *inner;
};

static void tell_progress(struct nv_archive_put *p, uint64_t more)
{
	pthread_mutex_lock(&p->figures);
	p->handled += more;
	if (p->telling)
		nv_job_progress(p->job, "upload", p->handled, 0);
	pthread_mutex_unlock(&p->figures);
}

static ssize_t counted_read(void *ctx, void *buf, size_t len, struct nv_err *err)
{
	const struct counted *c = ctx;
	ssize_t n = c->inner->read_cb(c->inner->ctx, buf, len, err);
	if (n > 0)
		tell_progress(c->put, (uint64_t)n);
	return n;
}

/* --- blobs --- */

/* The store has it: its bytes are still read, for their SHA-256 and against their name. */
static int hash_blob(struct nv_archive_put *p, const struct nv_entry *entry, const uint8_t *sha1,
		     const struct nv_source *from, uint8_t ret_sha256[NV_SHA256_LEN],
		     struct nv_err *err)
{
	nv_auto_free uint8_t *buf = nv_alloc_block(NV_ARCHIVE_BLOCK);
	struct nv_hash *h256 = nv_hash_new(NV_SHA256);
	struct nv_hash *h1 = nv_hash_new(NV_SHA1);
	uint8_t found[NV_SHA1_LEN];
	uint64_t done = 0;
	int rc = 0;
	for (;;) {
		ssize_t n = nv_job_check(p->job, err) < 0
				    ? -1
				    : from->read_cb(from->ctx, buf, NV_ARCHIVE_BLOCK, err);
		if (n < 0)
			rc = -1;
		if (n <= 0)
			break;
		nv_hash_update(h256, buf, (size_t)n);
		nv_hash_update(h1, buf, (size_t)n);
		done += (uint64_t)n;
	}
	nv_hash_final(h256, ret_sha256);
	nv_hash_final(h1, found);
	nv_hash_free(h256);
	nv_hash_free(h1);
	if (rc == 0 && (done != entry->size || memcmp(found, sha1, sizeof found) != 0))
		rc = nv_fail(err, NV_REJECT, NV_R_archive_corrupt,
			     "archive: the content of %s does not have the SHA-1 of its name",
			     entry->path);
	return rc;
}

static int send_blob(struct nv_archive_put *p, const char *key, const struct nv_entry *entry,
		     const uint8_t *sha1, const struct nv_source *from,
		     uint8_t ret_sha256[NV_SHA256_LEN], struct nv_err *err)
{
	struct nv_expect expect = {.size = entry->size, .sha1 = sha1, .together = &p->together};
	if (nv_store_put(p->store, key, &expect, from, p->job, ret_sha256, err) < 0) {
		if (err && err->reason == NV_R_archive_corrupt)
			nv_err_prefix(err, "archive: %s", entry->path);
		return -1;
	}
	nv_fault("archive.after-blob");
	return 0;
}

static int put_blob(struct nv_archive_put *p, const struct nv_entry *entry, const uint8_t *sha1,
		    const struct nv_source *from, uint8_t ret_sha256[NV_SHA256_LEN],
		    struct nv_err *err)
{
	nv_auto_free char *key = nv_blob_key(p->place, sha1, entry->size);
	bool exists = false;
	uint64_t size = 0;
	if (nv_store_head(p->store, key, &exists, &size, err) < 0)
		return -1;
	bool there = exists && size == entry->size;
	bool known = there && entry->lasting &&
		     nv_hash_cache_get(p->known, sha1, size, entry->mtime, ret_sha256);
	int rc = 0;
	if (there && !known)
		rc = hash_blob(p, entry, sha1, from, ret_sha256, err);
	else if (!there)
		rc = send_blob(p, key, entry, sha1, from, ret_sha256, err);
	if (rc < 0)
		return -1;
	if (entry->lasting && !known)
		nv_hash_cache_put(p->known, sha1, entry->size, entry->mtime, ret_sha256);
	pthread_mutex_lock(&p->figures);
	p->handled += known ? entry->size : 0;
	*(there ? &p->saved : &p->sent) += entry->size;
	pthread_mutex_unlock(&p->figures);
	return 0;
}

/* The skeleton comes once the export has been written. */
static void begin_telling(struct nv_archive_put *p)
{
	pthread_mutex_lock(&p->figures);
	p->telling = true;
	pthread_mutex_unlock(&p->figures);
}

static struct nv_bytes keep_bytes(struct nv_arena *arena, const uint8_t *data, size_t len)
{
	uint8_t *copy = nv_arena_alloc(arena, len);
	memcpy(copy, data, len);
	return (struct nv_bytes){copy, len};
}

/* A blob's hash comes later; any other goes into the skeleton, in the manifest's order. */
static int begin_entry(struct nv_archive_put *p, struct entries *to, const struct nv_entry *entry,
		       bool blob, const struct nv_source *from, size_t *ret_i, struct nv_err *err)
{
	pthread_mutex_lock(&p->lock);
	int rc = nv_path_set_add(p->names, entry->path, entry->folder, err);
	if (rc == 0)
		rc = nv_limits_add(&p->count, entry->size, err);
	if (rc == 0 && !blob)
		rc = nv_pack_add(p->skeleton, entry, from, p->job, err);
	if (rc == 0)
		*ret_i = add_entry(p, to, entry);
	pthread_mutex_unlock(&p->lock);
	return rc;
}

static int put_entry(void *ctx, const struct nv_entry *entry, const struct nv_source *from,
		     struct nv_err *err)
{
	struct nv_archive_put *p = ctx;
	uint8_t sha1[NV_SHA1_LEN];
	uint8_t sha256[NV_SHA256_LEN];
	struct counted c = {.put = p, .inner = from};
	struct nv_source counted = {.read_cb = counted_read, .ctx = &c};
	bool blob =
		!entry->folder && entry->size >= p->threshold && nv_content_path(entry->path, sha1);
	struct entries *to = blob && entry->lasting ? &p->contents : &p->entries;
	size_t i = 0;
	if (!blob)
		begin_telling(p);
	if (begin_entry(p, to, entry, blob, &counted, &i, err) < 0)
		return -1;
	if (!blob)
		return 0;
	if (put_blob(p, entry, sha1, &counted, sha256, err) < 0)
		return -1;
	pthread_mutex_lock(&p->lock);
	struct nv_manifest_entry *e = &to->items[i];
	e->blob = true;
	e->sha1 = keep_bytes(&p->arena, sha1, sizeof sha1);
	e->sha256 = keep_bytes(&p->arena, sha256, sizeof sha256);
	struct nv_manifest_entry come = *e; /* the list may move */
	pthread_mutex_unlock(&p->lock);
	if (p->teller)
		nv_partial_writer_add(p->teller, &come);
	return 0;
}

/* The job's owner looks when he hears of progress; the last of it may have been told already. */
static void first_list(void *arg)
{
	struct nv_archive_put *p = arg;
	p->opened_cb(p->opened_arg);
	tell_progress(p, 0);
}

void nv_archive_put_tell(struct nv_archive_put *p, void (*opened_cb)(void *arg), void *arg)
{
	p->opened_cb = opened_cb;
	p->opened_arg = arg;
	p->teller = nv_partial_writer_new(p->store, p->place, p->job, first_list, p);
}

struct nv_sink nv_archive_put_sink(struct nv_archive_put *p)
{
	return (struct nv_sink){
		.entry_cb = put_entry, .ctx = p, .threads = nv_store_transfers(p->store)};
}

/* --- commit --- */

static int send_skeleton(struct nv_archive_put *p, struct nv_manifest *m,
			 uint8_t sha256[NV_SHA256_LEN], struct nv_err *err)
{
	if (nv_pack_finish(p->skeleton, err) < 0)
		return -1;
	nv_auto_fd int fd = open(p->skeleton_path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0)
		return nv_fail_errno(err, errno, NV_RETRY, NV_R_io, "archive: opening %s",
				     p->skeleton_path);
	nv_auto_free char *key = nv_skeleton_key(p->place);
	struct nv_expect expect = {.size = (uint64_t)st.st_size, .together = &p->together};
	struct nv_source from = nv_source_fd(&fd);
	if (nv_store_put(p->store, key, &expect, &from, p->job, sha256, err) < 0)
		return -1;
	p->sent += expect.size;
	m->skeleton_size = expect.size;
	m->skeleton_sha256 = (struct nv_bytes){sha256, NV_SHA256_LEN};
	nv_fault("archive.after-skeleton");
	return 0;
}

static int send_manifest(struct nv_archive_put *p, const struct nv_manifest *m,
			 uint8_t ret_sha256[NV_SHA256_LEN], uint64_t *ret_size, struct nv_err *err)
{
	nv_auto_buf struct nv_buf packed = {0};
	if (nv_manifest_pack(m, &packed, err) < 0)
		return -1;
	nv_auto_free char *key = nv_manifest_key(p->place);
	struct nv_bytes rest = {packed.data, packed.len};
	struct nv_source from = nv_source_bytes(&rest);
	struct nv_expect expect = {.size = packed.len, .together = &p->together, .last = true};
	if (nv_store_put(p->store, key, &expect, &from, p->job, ret_sha256, err) < 0)
		return -1;
	p->sent += packed.len;
	*ret_size = packed.len;
	nv_fault("archive.after-manifest");
	return 0;
}

static int compare_paths(const void *a, const void *b)
{
	const struct nv_manifest_entry *x = a;
	const struct nv_manifest_entry *y = b;
	return strcmp(x->path, y->path);
}

/* Contents of a pool came in no order, some before the backup's own first entry: they stand behind
 * it, as a reader likes it. */
static void append_contents(struct nv_archive_put *p)
{
	struct entries *all = &p->entries;
	if (p->contents.len)
		qsort(p->contents.items, p->contents.len, sizeof *p->contents.items, compare_paths);
	for (size_t i = 0; i < p->contents.len; i++)
		*entries_add(all) = p->contents.items[i];
	p->contents.len = 0;
}

int nv_archive_put_commit(struct nv_archive_put *p, const struct nv_manifest *about,
			  uint8_t ret_manifest_sha256[NV_SHA256_LEN], uint64_t *ret_manifest_size,
			  uint64_t *ret_size, uint64_t *ret_entries, struct nv_err *err)
{
	uint8_t sha256[NV_SHA256_LEN];
	append_contents(p);
	if (p->teller)
		nv_partial_writer_finish(p->teller);
	struct nv_manifest m = {
		.format = NV_MANIFEST_FORMAT,
		/* The record's fields are not const; it is only read here. */
		.id = nv_arena_strdup(&p->arena, p->place->id),
		.attempt = nv_arena_strdup(&p->arena, p->place->attempt),
		.shortname = about->shortname,
		.fullname = about->fullname,
		.category = about->category,
		/* Information only: one that cannot be a version must not stop the course. */
		.moodle_version =
			nv_moodle_version(about->moodle_version) ? about->moodle_version : NULL,
		.user_data = about->user_data,
		.needs = about->needs,
		.inventory = about->inventory,
		.size = p->count.bytes,
		.entries = {.items = p->entries.items, .len = p->entries.len},
	};
	if (send_skeleton(p, &m, sha256, err) < 0 ||
	    send_manifest(p, &m, ret_manifest_sha256, ret_manifest_size, err) < 0)
		return -1;
	*ret_size = m.size;
	*ret_entries = p->entries.len;
	return 0;
}

void nv_archive_put_stats(const struct nv_archive_put *p, uint64_t *ret_sent, uint64_t *ret_saved)
{
	*ret_sent = p->sent;
	*ret_saved = p->saved;
}

void nv_archive_put_free(struct nv_archive_put *p)
{
	if (!p)
		return;
	struct nv_err err = {0};
	/* Of an export that failed, others may have found blobs there and rely on them. */
	if (nv_store_sync(p->store, &p->together, &err) < 0)
		NV_LOG(NV_WARN, "archive.unsynced", NV_S("req", p->place->id), NV_E(&err));
	nv_sync_group_fini(&p->together);
	remove_pin(p->store, p->place);
	nv_partial_writer_free(p->teller);
	nv_pack_free(p->skeleton);
	unlink(p->skeleton_path);
	free(p->skeleton_path);
	nv_path_set_free(p->names);
	free(p->entries.items);
	free(p->contents.items);
	pthread_mutex_destroy(&p->lock);
	pthread_mutex_destroy(&p->figures);
	nv_arena_fini(&p->arena);
	free(p);
}

int nv_archive_delete(struct nv_store *store, const struct nv_archive_place *place,
		      struct nv_err *err)
{
	if (nv_place_check(place, err) < 0)
		return -1;
	/* The manifest first, since it may name existing objects only. */
	nv_auto_free char *manifest = nv_manifest_key(place);
	nv_auto_free char *skeleton = nv_skeleton_key(place);
	if (nv_store_delete(store, manifest, err) < 0 || nv_store_delete(store, skeleton, err) < 0)
		return -1;
	return nv_partial_delete(store, place, err);
}
