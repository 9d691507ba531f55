/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Bringing an archive from the store to local disk, and reading it there.
 *
 * What an earlier try left is used after its SHA-256 was looked at again.  The tree is always
 * unpacked anew from the verified skeleton: it is small, and a tree cannot be verified by itself.
 * Blobs are durable when the fetch ends: the site may make them its own by another name.  Only then
 * are they known, for whose sake they are not read again. */
#include "core/archive/archive_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/thread_pool.h"

struct fetching {
	struct nv_store *store;
	const struct nv_archive_place *place;
	const struct nv_archive_limits *limits;
	const char *dir;
	const struct nv_fetch_help *help;
	const struct nv_job *job;
	struct nv_fetched *ret;
	uint64_t total;
	struct nv_sync_group together; /* blobs */
	bool hint;	      /* unverified hints: do not remove objects that do not match */
	pthread_mutex_t lock; /* of done: several objects come at once */
	uint64_t done;	      /* bytes of objects, for progress */
};

/* One object. */
struct moving {
	struct fetching *f;
	uint64_t bytes; /* that were counted */
};

static void moved_cb(void *arg, uint64_t bytes)
{
	struct moving *m = arg;
	struct fetching *f = m->f;
	pthread_mutex_lock(&f->lock);
	m->bytes += bytes;
	f->done += bytes;
	nv_job_progress(f->job, "fetch", f->done < f->total ? f->done : f->total, f->total);
	pthread_mutex_unlock(&f->lock);
}

/* Existing files count as well; bytes fetched twice count once. */
static void settle_moved(struct moving *m, uint64_t size)
{
	pthread_mutex_lock(&m->f->lock);
	m->f->done -= m->bytes;
	m->bytes = 0;
	pthread_mutex_unlock(&m->f->lock);
	moved_cb(m, size);
}

/* --- existing files --- */

/* *ret_good: path is a file of that size and SHA-256.  One that is not is removed.  Whether an
 * earlier try came to sync it is not known. */
static int verify_file(const struct fetching *f, const char *path, const struct nv_expect *expect,
		       bool *ret_good, struct nv_err *err)
{
	*ret_good = false;
	nv_auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno == ENOENT)
		return 0;
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0)
		return nv_fail_errno(err, errno, NV_RETRY, NV_R_io, "archive: opening %s", path);
	uint8_t known[NV_SHA256_LEN];
	*ret_good = expect->sha1 && expect->sha256 && (uint64_t)st.st_size == expect->size &&
		    nv_hash_cache_get(f->help->known, expect->sha1, expect->size, st.st_mtim.tv_sec,
				      known) &&
		    memcmp(known, expect->sha256, sizeof known) == 0;
	if (*ret_good)
		return 0;
	nv_auto_free uint8_t *buf = nv_alloc_block(NV_ARCHIVE_BLOCK);
	struct nv_source from = nv_source_fd(&fd);
	struct nv_hash *h = nv_hash_new(NV_SHA256);
	uint8_t digest[NV_SHA256_LEN];
	ssize_t n = 1;
	while (n > 0 && (uint64_t)st.st_size == expect->size) {
		n = nv_job_check(f->job, err) < 0
			    ? -1
			    : from.read_cb(from.ctx, buf, NV_ARCHIVE_BLOCK, err);
		if (n > 0)
			nv_hash_update(h, buf, (size_t)n);
	}
	nv_hash_final(h, digest);
	nv_hash_free(h);
	if (n < 0)
		return -1;
	*ret_good = (uint64_t)st.st_size == expect->size && expect->sha256 &&
		    memcmp(digest, expect->sha256, sizeof digest) == 0;
	if (!*ret_good)
		unlink(path);
	if (!*ret_good || !expect->together)
		return 0;
	return nv_sync_group_file(expect->together, &fd, path, err);
}

/* Have the object at path.  A damaged one is removed from the store where that makes the next
 * export send it again. */
static int have_object(struct fetching *f, const char *key, const struct nv_expect *expect,
		       const char *path, bool remove_damaged, struct nv_err *err)
{
	bool good = false;
	struct moving m = {f, 0};
	const struct nv_store_to to = {
		.path = path, .job = f->job, .moved_cb = moved_cb, .arg = &m};
	struct nv_err local = {0};
	if (verify_file(f, path, expect, &good, err) < 0)
		return -1;
	if (!good && nv_store_get(f->store, key, expect, &to, &local) < 0) {
		struct nv_err deletion = {0};
		if (remove_damaged && local.reason == NV_R_store_corrupt &&
		    nv_store_delete(f->store, key, &deletion) < 0)
			nv_err_prefix(&local, "(it could not be removed: %s)", deletion.msg);
		if (err)
			*err = local;
		return -1;
	}
	settle_moved(&m, expect->size);
	return 0;
}

/* --- manifest --- */

static int fetch_manifest(struct fetching *f, const uint8_t *sha256, uint64_t size,
			  struct nv_err *err)
{
	if (size > NV_MANIFEST_PACKED_MAX)
		return nv_fail(err, NV_REJECT, NV_R_archive_too_large,
			       "archive: a manifest of %" PRIu64 " bytes is refused", size);
	nv_auto_free char *key = nv_manifest_key(f->place);
	nv_auto_free char *path = nv_asprintf("%s/manifest", f->dir);
	/* Temporary: a later attempt verifies it again, as it does the skeleton. */
	struct nv_expect expect = {.size = size, .sha256 = sha256, .passing = true};
	if (have_object(f, key, &expect, path, false, err) < 0)
		return -1;
	nv_auto_buf struct nv_buf packed = {0};
	if (nv_read_file(path, NV_MANIFEST_PACKED_MAX, &packed, err) < 0)
		return -1;
	const struct nv_manifest_rules rules = {f->place, f->limits, NV_MANIFEST_MAX};
	return nv_manifest_unpack(packed.data, packed.len, &rules, f->job, &f->ret->manifest,
				  &f->ret->arena, err);
}

static char *blob_path(const char *dir, const struct nv_manifest_entry *e)
{
	char hex[NV_SHA1_HEX];
	nv_hex(e->sha1.data, NV_SHA1_LEN, hex);
	return nv_asprintf("%s/blobs/%s-%" PRIu64, dir, hex, e->size);
}

static uint64_t size_of(const char *path)
{
	struct stat st;
	return lstat(path, &st) == 0 && st.st_size > 0 ? (uint64_t)st.st_size : 0;
}

/* Bytes of an object that are still to come, judged by length alone. */
static uint64_t missing(const char *path, uint64_t size)
{
	nv_auto_free char *part = nv_asprintf("%s.part", path);
	uint64_t have = size_of(path);
	if (have == 0)
		have = size_of(part);
	return have < size ? size - have : 0;
}

/* Is there room for all of it?  Said before the transfer, not after an hour. */
static int check_room(struct fetching *f, struct nv_err *err)
{
	const struct nv_manifest *m = &f->ret->manifest;
	const struct nv_manifest_entry *e = m->entries.items;
	nv_auto_free char *skeleton = nv_asprintf("%s/skeleton.tar.zst", f->dir);
	uint64_t need = missing(skeleton, m->skeleton_size);
	f->total = f->done + m->skeleton_size;
	for (size_t i = 0; i < m->entries.len; i++) {
		if (!e[i].blob) {
			need += e[i].size; /* the tree is made anew */
			continue;
		}
		nv_auto_free char *path = blob_path(f->dir, &e[i]);
		need += missing(path, e[i].size);
		f->total += e[i].size;
	}
	uint64_t room = 0;
	if (nv_disk_free(f->dir, &room, err) < 0)
		return -1;
	if (need <= room)
		return 0;
	return nv_fail(err, NV_RETRY, NV_R_disk_full,
		       "archive: %s has %" PRIu64 " bytes free, %" PRIu64 " are needed", f->dir,
		       room, need);
}

/* --- skeleton --- */

static int write_file(const char *path, const struct nv_source *from, const struct nv_job *job,
		      struct nv_err *err)
{
	nv_auto_fd int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (fd < 0)
		return nv_fail_errno(err, errno, NV_RETRY, NV_R_io, "archive: creating %s", path);
	nv_auto_free uint8_t *buf = nv_alloc_block(NV_ARCHIVE_BLOCK);
	for (;;) {
		if (nv_job_check(job, err) < 0)
			return -1;
		ssize_t n = from->read_cb(from->ctx, buf, NV_ARCHIVE_BLOCK, err);
		if (n <= 0)
			return (int)n;
		if (nv_write_all(fd, buf, (size_t)n, err) < 0)
			return -1;
	}
}

/* Entries of one folder stand together: it is looked for once. */
struct folder {
	char *made; /* the last; NULL: none */
};

static int make_folder_of(struct folder *last, const char *path, struct nv_err *err)
{
	size_t len = (size_t)(strrchr(path, '/') - path);
	if (last->made && strncmp(last->made, path, len) == 0 && !last->made[len])
		return 0;
	free(last->made);
	last->made = nv_strndup(path, len);
	return nv_mkdir_p(last->made, 0750, err);
}

static int unpack_entry(const struct fetching *f, struct nv_unpack *u, const char *tree,
			struct folder *last, const struct nv_entry *entry, struct nv_err *err)
{
	nv_auto_free char *path = nv_asprintf("%s/%s", tree, entry->path);
	if (entry->folder)
		return nv_mkdir_p(path, 0750, err);
	struct nv_source from = nv_unpack_source(u);
	int rc = make_folder_of(last, path, err);
	if (rc == 0)
		rc = write_file(path, &from, f->job, err);
	return rc == 0 ? nv_unpack_entry_end(u, entry, err) : -1;
}

/* The skeleton must hold just the entries that the manifest names, in their order. */
static int unpack_entries(const struct fetching *f, struct nv_unpack *u, const char *tree,
			  struct folder *last, struct nv_err *err)
{
	const struct nv_manifest *m = &f->ret->manifest;
	const struct nv_manifest_entry *e = m->entries.items;
	struct nv_entry entry;
	for (size_t i = 0;; i++) {
		while (i < m->entries.len && e[i].blob)
			i++;
		int rc = nv_unpack_next(u, &entry, err);
		if (rc < 0)
			return -1;
		if (rc == NV_UNPACK_END && i == m->entries.len)
			return 0;
		if (rc != NV_UNPACK_ENTRY || i == m->entries.len ||
		    strcmp(entry.path, e[i].path) != 0 || entry.folder != e[i].folder ||
		    entry.size != e[i].size)
			return nv_fail(err, NV_REJECT, NV_R_archive_corrupt,
				       "archive: the skeleton is not what the manifest says, at %s",
				       rc ? entry.path : e[i].path);
		if (unpack_entry(f, u, tree, last, &entry, err) < 0)
			return -1;
	}
}

static struct nv_unpack *open_skeleton(const struct fetching *f, const char *path,
				       struct nv_err *err)
{
	const struct nv_manifest *m = &f->ret->manifest;
	const struct nv_manifest_entry *e = m->entries.items;
	uint64_t bytes = 0; /* at most m->size, as the manifest was checked for */
	for (size_t i = 0; i < m->entries.len; i++)
		bytes += e[i].blob ? 0 : e[i].size;
	return nv_unpack_skeleton(path, m->entries.len, bytes, f->job, err);
}

static int unpack_skeleton(const struct fetching *f, const char *skeleton, struct nv_err *err)
{
	nv_auto_free char *tree = nv_asprintf("%s/tree", f->dir);
	nv_auto_free char *temp = nv_asprintf("%s/tree.tmp", f->dir);
	if (nv_remove_tree(tree, err) < 0 || nv_remove_tree(temp, err) < 0 ||
	    nv_mkdir_p(temp, 0750, err) < 0)
		return -1;
	struct nv_unpack *u = open_skeleton(f, skeleton, err);
	if (!u)
		return -1;
	struct folder last = {0};
	int rc = unpack_entries(f, u, temp, &last, err);
	free(last.made);
	nv_unpack_free(u);
	if (rc < 0)
		return -1;
	if (rename(temp, tree) < 0)
		return nv_fail_errno(err, errno, NV_RETRY, NV_R_io, "archive: renaming %s", temp);
	return 0;
}

static int fetch_skeleton(struct fetching *f, struct nv_err *err)
{
	const struct nv_manifest *m = &f->ret->manifest;
	nv_auto_free char *key = nv_skeleton_key(f->place);
	nv_auto_free char *path = nv_asprintf("%s/skeleton.tar.zst", f->dir);
	struct nv_expect expect = {
		.size = m->skeleton_size, .sha256 = m->skeleton_sha256.data, .passing = true};
	if (have_object(f, key, &expect, path, true, err) < 0)
		return -1;
	return unpack_skeleton(f, path, err);
}

static int fetch_blob(void *ctx, void *item, struct nv_err *err)
{
	struct fetching *f = ctx;
	const struct nv_manifest_entry *e = item;
	nv_auto_free char *key = nv_blob_key(f->place, e->sha1.data, e->size);
	nv_auto_free char *path = blob_path(f->dir, e);
	struct nv_expect expect = {.size = e->size,
				   .sha1 = e->sha1.data,
				   .sha256 = e->sha256.data,
				   .together = &f->together};
	return have_object(f, key, &expect, path, !f->hint, err);
}

static void remember(struct fetching *f, const struct nv_manifest_entry *e)
{
	nv_auto_free char *path = blob_path(f->dir, e);
	uint8_t known[NV_SHA256_LEN];
	struct stat st;
	if (stat(path, &st) < 0 ||
	    (nv_hash_cache_get(f->help->known, e->sha1.data, e->size, st.st_mtim.tv_sec, known) &&
	     memcmp(known, e->sha256.data, sizeof known) == 0))
		return;
	nv_hash_cache_put(f->help->known, e->sha1.data, e->size, st.st_mtim.tv_sec, e->sha256.data);
}

/* Before the disk space is checked: existing blobs need none. */
static int reuse(struct fetching *f, struct nv_err *err)
{
	nv_auto_free char *dir = nv_asprintf("%s/blobs", f->dir);
	if (nv_mkdir_p(dir, 0750, err) < 0)
		return -1;
	return f->help->reuse_cb ? f->help->reuse_cb(f->help->arg, &f->ret->manifest, dir, err) : 0;
}

static int fetch_blobs_together(struct fetching *f, struct nv_err *err)
{
	struct nv_manifest_entry *entries = f->ret->manifest.entries.items;
	struct nv_thread_pool *crew =
		nv_thread_pool_new(nv_store_transfers(f->store), fetch_blob, f);
	for (size_t i = 0; i < f->ret->manifest.entries.len; i++)
		if (entries[i].blob)
			nv_thread_pool_give(crew, &entries[i]);
	if (nv_thread_pool_end(crew, err) < 0 || nv_sync_group_end(&f->together, err) < 0)
		return -1;
	for (size_t i = 0; i < f->ret->manifest.entries.len; i++)
		if (entries[i].blob)
			remember(f, &entries[i]);
	return 0;
}

static int fetch_blobs(struct fetching *f, struct nv_err *err)
{
	nv_sync_group_init(&f->together);
	int rc = fetch_blobs_together(f, err);
	nv_sync_group_fini(&f->together);
	return rc;
}

int nv_fetch_part(struct nv_store *store, const struct nv_archive_place *place,
		  const struct nv_manifest *part, const char *dir, const struct nv_fetch_help *help,
		  const struct nv_job *job, struct nv_err *err)
{
	struct nv_fetched fetched = {.dir = dir, .manifest = *part};
	struct fetching f = {.store = store,
			     .place = place,
			     .dir = dir,
			     .help = help,
			     .job = job,
			     .ret = &fetched,
			     .hint = true,
			     .lock = PTHREAD_MUTEX_INITIALIZER};
	if (reuse(&f, err) < 0 || check_room(&f, err) < 0)
		return -1;
	return fetch_blobs(&f, err);
}

int nv_archive_fetch(struct nv_store *store, const struct nv_archive_place *place,
		     const uint8_t manifest_sha256[NV_SHA256_LEN], uint64_t manifest_size,
		     const struct nv_archive_limits *limits, const char *dir,
		     const struct nv_fetch_help *help, const struct nv_job *job,
		     struct nv_fetched *ret, struct nv_err *err)
{
	static const struct nv_fetch_help none = {0};
	*ret = (struct nv_fetched){0};
	ret->dir = nv_arena_strdup(&ret->arena, dir);
	struct fetching f = {.store = store,
			     .place = place,
			     .limits = limits,
			     .dir = dir,
			     .help = help ? help : &none,
			     .job = job,
			     .ret = ret,
			     .total = manifest_size,
			     .lock = PTHREAD_MUTEX_INITIALIZER};
	if (nv_place_check(place, err) == 0 && nv_mkdir_p(dir, 0750, err) == 0 &&
	    fetch_manifest(&f, manifest_sha256, manifest_size, err) == 0 && reuse(&f, err) == 0 &&
	    check_room(&f, err) == 0 && fetch_skeleton(&f, err) == 0 && fetch_blobs(&f, err) == 0)
		return 0;
	nv_fetched_fini(ret);
	return -1;
}

void nv_fetched_fini(struct nv_fetched *f)
{
	nv_arena_fini(&f->arena);
	*f = (struct nv_fetched){0};
}

/* --- reading it --- */

static int open_entry(const struct nv_fetched *f, const struct nv_manifest_entry *e, int *ret_fd,
		      struct nv_err *err)
{
	nv_auto_free char *path =
		e->blob ? blob_path(f->dir, e) : nv_asprintf("%s/tree/%s", f->dir, e->path);
	struct stat st;
	*ret_fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (*ret_fd < 0 || fstat(*ret_fd, &st) < 0)
		return nv_fail_errno(err, errno, NV_RETRY, NV_R_io, "archive: opening %s", path);
	if ((uint64_t)st.st_size != e->size)
		return nv_fail(err, NV_RETRY, NV_R_io, "archive: %s has changed on disk", path);
	return 0;
}

static struct nv_entry entry_of(const struct nv_manifest_entry *e)
{
	return (struct nv_entry){
		.path = e->path,
		.folder = e->folder,
		.size = e->size,
		.mtime = e->mtime > INT64_MAX ? 0 : (int64_t)e->mtime,
	};
}

int nv_archive_each(const struct nv_fetched *f, const struct nv_sink *to, const struct nv_job *job,
		    struct nv_err *err)
{
	const struct nv_manifest_entry *e = f->manifest.entries.items;
	for (size_t i = 0; i < f->manifest.entries.len; i++) {
		struct nv_entry entry = entry_of(&e[i]);
		nv_auto_fd int fd = -1;
		if (nv_job_check(job, err) < 0 ||
		    (!entry.folder && open_entry(f, &e[i], &fd, err) < 0))
			return -1;
		struct nv_source from = nv_source_fd(&fd);
		if (to->entry_cb(to->ctx, &entry, entry.folder ? NULL : &from, err) < 0)
			return -1;
	}
	return 0;
}

static int mbz_entry(void *ctx, const struct nv_entry *entry, const struct nv_source *from,
		     struct nv_err *err)
{
	(void)entry; /* announced */
	return nv_mbz_add(ctx, from, err);
}

int nv_archive_to_mbz(const struct nv_fetched *f, const char *path, const struct nv_job *job,
		      struct nv_err *err)
{
	const struct nv_manifest_entry *e = f->manifest.entries.items;
	size_t len = f->manifest.entries.len;
	nv_auto_free struct nv_entry *entries = nv_alloc((len + 1) * sizeof *entries);
	for (size_t i = 0; i < len; i++)
		entries[i] = entry_of(&e[i]);
	struct nv_mbz_writer *w = nv_mbz_create(path, entries, len, err);
	if (!w)
		return -1;
	struct nv_sink to = {.entry_cb = mbz_entry, .ctx = w};
	int rc = nv_archive_each(f, &to, job, err);
	if (rc == 0)
		rc = nv_mbz_finish(w, err);
	nv_mbz_free(w);
	return rc;
}
