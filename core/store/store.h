/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The staging store: objects under keys, written once, never changed.
 *
 * One interface, the backends of this folder behind it: directory (temporary name, fsync, rename),
 * WebDAV (RFC 4918's PUT, GET with Range, HEAD, DELETE, MKCOL; listing by nginx's autoindex JSON)
 * and S3 (Amazon's REST API; what is larger than 8 MiB in parts, resumed). All calls block and
 * belong on a job's thread; a store may be used by several threads at once.
 *
 * Keys are safe relative paths of [A-Za-z0-9._/-].  An object appears whole or not at all.
 * Errors: store_unavailable, store_full (507, ENOSPC), timeout → NV_RETRY; store_denied (401, 403)
 * → NV_RETRY (an administrator mends it); store_missing (404) and store_corrupt (hash) → NV_RETRY,
 * the caller decides whether that means a new export.  Each names the operation and the key. */
#ifndef NV_STORE_H
#define NV_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/job.h"
#include "base/sync_group.h"
#include "core/config/config.h"

struct nv_store;

/* A stream to read from: returns bytes read, 0 at the end, -1 with *err. */
struct nv_source {
	ssize_t (*read_cb)(void *ctx, void *buf, size_t len, struct nv_err *err);
	void *ctx;
};
/* A source over an open file descriptor (borrowed; at its current position). */
struct nv_source nv_source_fd(const int *fd);
/* A source over bytes in memory; rest (borrowed) shrinks as they are read. */
struct nv_source nv_source_bytes(struct nv_bytes *rest);

/* The expected object. sha1 or sha256 NULL: not checked; the size always is. */
struct nv_expect {
	uint64_t size;
	const uint8_t *sha1;
	const uint8_t *sha256;
	bool passing; /* temporary: need not survive a crash of the machine (no fsync) */
	/* The group in which its file is made durable; NULL: durable when the call returns. */
	struct nv_sync_group *together;
	/* The last object of the group: it appears when the others are durable, and is durable when
	 * the call returns. */
	bool last;
};

struct nv_store *nv_store_open(const struct nv_config *config, struct nv_err *err);
void nv_store_close(struct nv_store *s); /* NULL allowed */
/* "directory /srv/staging", "webdav https://…": for logs and doctor */
const char *nv_store_describe(const struct nv_store *s);
/* Parallel transfers of one job (store.transfers), at least 1. */
unsigned nv_store_transfers(const struct nv_store *s);

/* Write an object from a stream of exactly expect->size bytes.  The bytes are hashed on their way;
 * if they are not what is expected, the object never appears and the error is
 * NV_REJECT/archive_corrupt (the source is at fault).  An object of that key and size that exists
 * is overwritten atomically. ret_sha256 may be NULL.  With expect->together it may be visible
 * before it is durable: refer to it only after the last object, or nv_store_sync. */
int nv_store_put(struct nv_store *s, const char *key, const struct nv_expect *expect,
		 const struct nv_source *from, const struct nv_job *job,
		 uint8_t ret_sha256[NV_SHA256_LEN], struct nv_err *err);

/* Makes the objects of the group durable. No effect for remote stores, which are responsible for
 * what they acknowledged. */
int nv_store_sync(struct nv_store *s, struct nv_sync_group *together, struct nv_err *err);

/* Destination of an object that is read. */
struct nv_store_to {
	const char *path;
	const struct nv_job *job; /* may be NULL */
	/* Called with the length of each block, for progress; may be NULL. */
	void (*moved_cb)(void *arg, uint64_t bytes);
	void *arg;
};
/* Read an object into the file `path`: into `path`.part, resumed at its length when that exists
 * (Range), verified, fsynced, renamed (with expect->together: verified, renamed, and durable when
 * the group has ended).  A break in the middle is resumed here up to 5 times while
 * bytes keep coming.  On store_corrupt the part file is gone. */
int nv_store_get(struct nv_store *s, const char *key, const struct nv_expect *expect,
		 const struct nv_store_to *to, struct nv_err *err);

/* 0 with *ret_exists; *ret_size where it exists. */
int nv_store_head(struct nv_store *s, const char *key, bool *ret_exists, uint64_t *ret_size,
		  struct nv_err *err);
/* Success if there is no such object. */
int nv_store_delete(struct nv_store *s, const char *key, struct nv_err *err);

/* Each object below prefix ("" or ending in '/'), recursively; cb returns non-zero to stop. */
typedef int (*nv_store_list_cb)(void *arg, const char *key, uint64_t size, uint64_t modified_ms);
int nv_store_list(struct nv_store *s, const char *prefix, nv_store_list_cb cb, void *arg,
		  struct nv_err *err);

/* Is the store reachable, are the credentials accepted and, with write, is there room? Writes and
 * deletes a small object below prefix ("<site>/<client>/").  -1 with NV_HOLD and store_unavailable,
 * store_full or store_denied. */
int nv_store_probe(struct nv_store *s, const char *prefix, bool write, struct nv_err *err);

/* Remove leftovers of crashed writers (unlocked temporary files, uploads older than store.grace).
 * */
int nv_store_sweep(struct nv_store *s, struct nv_err *err);

#endif
