/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Contents that the client's Moodle has need not be fetched.
 *
 * That it has a content of the same SHA-1 is no proof: whoever made the manifest may name a hash
 * without having the file.  Only when the bytes here have the SHA-256 that the manifest gives are
 * they the same, and then they become a hard link among the fetched blobs.  Whatever does not work
 * out is fetched. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/thread_pool.h"
#include "core/site/moodle/moodle_internal.h"

#define BLOCK 262144u
#define THREADS 4u

struct have {
	const struct nv_manifest_entry *e;
	char *path;
};

struct reusing {
	const struct nv_moodle *s;
	const struct nv_reuse *reuse;
	const struct nv_job *job;
	struct have *list;
	size_t len;
	size_t cap;
	atomic_size_t files;
	_Atomic uint64_t bytes;
	struct nv_arena arena;
};

static int content_line(void *arg, const char *key, const json_t *value, struct nv_err *err)
{
	struct reusing *r = arg;
	const struct nv_list *entries = &r->reuse->manifest->entries;
	const char *path = json_string_value(json_object_get(value, "path"));
	uint64_t i = nv_moodle_uint(value, "i");
	if (strcmp(key, "content") != 0)
		return 0;
	const struct nv_manifest_entry *e = entries->items;
	if (i >= entries->len || !e[i].blob || !path || *path != '/')
		return nv_fail(err, NV_RETRY, NV_R_internal,
			       "moodle contents: an answer to a question that was not asked");
	if (r->len == r->cap) {
		r->cap = r->cap ? 2 * r->cap : 64;
		r->list = nv_realloc(r->list, r->cap * sizeof *r->list);
	}
	r->list[r->len++] = (struct have){&e[i], nv_arena_strdup(&r->arena, path)};
	return 0;
}

/* false: it cannot be read to its end. */
static bool hash_file(int fd, uint8_t ret_sha256[NV_SHA256_LEN], const struct nv_job *job)
{
	nv_auto_free uint8_t *buf = nv_alloc_block(BLOCK);
	struct nv_hash *h = nv_hash_new(NV_SHA256);
	ssize_t n = 1;
	while (n > 0) {
		n = nv_job_check(job, NULL) < 0 ? -1 : read(fd, buf, BLOCK);
		if (n > 0)
			nv_hash_update(h, buf, (size_t)n);
	}
	nv_hash_final(h, ret_sha256);
	nv_hash_free(h);
	return n == 0;
}

static bool is_same(const struct reusing *r, const struct nv_manifest_entry *e, int fd)
{
	uint8_t sha256[NV_SHA256_LEN];
	struct stat st;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size != e->size)
		return false;
	if (!nv_hash_cache_get(r->reuse->known, e->sha1.data, e->size, st.st_mtim.tv_sec, sha256)) {
		if (!hash_file(fd, sha256, r->job))
			return false;
		nv_hash_cache_put(r->reuse->known, e->sha1.data, e->size, st.st_mtim.tv_sec,
				  sha256);
	}
	return memcmp(sha256, e->sha256.data, sizeof sha256) == 0;
}

/* Among the fetched blobs. */
static char *place_of(const struct nv_reuse *reuse, const struct nv_manifest_entry *e)
{
	char hex[NV_SHA1_HEX];
	nv_hex(e->sha1.data, NV_SHA1_LEN, hex);
	return nv_asprintf("%s/%s-%" PRIu64, reuse->blobs, hex, e->size);
}

static int reuse_one(void *ctx, size_t i, struct nv_err *err)
{
	struct reusing *r = ctx;
	const struct nv_manifest_entry *e = r->list[i].e;
	char self[64];
	if (nv_job_check(r->job, err) < 0)
		return -1;
	nv_moodle_as_user(r->s, true);
	nv_auto_fd int fd =
		open(r->list[i].path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	nv_moodle_as_user(r->s, false);
	if (fd < 0 || !is_same(r, e, fd))
		return 0;
	nv_auto_free char *to = place_of(r->reuse, e);
	/* The file that was looked at, whatever has its name by now. */
	(void)snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
	if (linkat(AT_FDCWD, self, AT_FDCWD, to, AT_SYMLINK_FOLLOW) < 0)
		return 0; /* on another disk, or there already */
	atomic_fetch_add(&r->files, 1);
	atomic_fetch_add(&r->bytes, e->size);
	return 0;
}

/* [[index, SHA-1, bytes], …] of the manifest's blobs that are not there yet. */
static json_t *wanted(const struct nv_reuse *reuse)
{
	const struct nv_manifest *m = reuse->manifest;
	const struct nv_manifest_entry *e = m->entries.items;
	json_t *list = json_array();
	for (size_t i = 0; i < m->entries.len; i++) {
		char hex[NV_SHA1_HEX];
		if (!e[i].blob)
			continue;
		nv_auto_free char *path = place_of(reuse, &e[i]);
		if (access(path, F_OK) == 0)
			continue;
		nv_hex(e[i].sha1.data, NV_SHA1_LEN, hex);
		json_array_append_new(
			list, json_pack("[I, s, I]", (json_int_t)i, hex, (json_int_t)e[i].size));
	}
	return list;
}

int nv_moodle_reuse(struct nv_site *base, const char *request_id, const struct nv_reuse *reuse,
		    const struct nv_job *job, struct nv_err *err)
{
	struct nv_moodle *s = nv_moodle(base);
	nv_auto_json json_t *input = json_pack("{s:o}", "contents", wanted(reuse));
	struct reusing r = {.s = s, .reuse = reuse, .job = job};
	struct nv_moodle_call call = {
		.operation = "contents",
		.req = request_id,
		.input = input,
		.job = job,
		.timeout = s->timeout,
		.reason = NV_R_import_failed,
		.line_cb = content_line,
		.arg = &r,
	};
	int rc = 0;
	if (json_array_size(json_object_get(input, "contents")))
		rc = nv_moodle_ask(s, &call, NULL, err);
	if (rc == 0)
		rc = nv_parallel(THREADS, r.len, reuse_one, &r, err);
	if (rc == 0 && r.files)
		nv_job_log(job, NV_INFO, "%zu files of %" PRIu64 " bytes are here already", r.files,
			   r.bytes);
	free(r.list);
	nv_arena_fini(&r.arena);
	return rc;
}
