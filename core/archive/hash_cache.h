/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Cache of SHA-256 hashes, by SHA-1, size and modification time: files in a Moodle's file pool
 * never change and need not be read again.
 *
 * An LMDB file, shared by the processes of this machine; losing it costs time only. NULL is an
 * empty cache that stores nothing. */
#ifndef NV_ARCHIVE_HASH_CACHE_H
#define NV_ARCHIVE_HASH_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/hash.h"

struct nv_hash_cache;

/* The file is created when missing. On a file system that LMDB does not support (NFS):
 * NV_RETRY/io. */
struct nv_hash_cache *nv_hash_cache_open(const char *path, struct nv_err *err);
/* <folder>/.known.mdb; NULL, and a line in the log, where it cannot be used. */
struct nv_hash_cache *nv_hash_cache_in(const char *folder);
void nv_hash_cache_close(struct nv_hash_cache *k); /* NULL allowed */

/* mtime: seconds since the epoch. */
bool nv_hash_cache_get(struct nv_hash_cache *k, const uint8_t sha1[NV_SHA1_LEN], uint64_t size,
		       int64_t mtime, uint8_t ret_sha256[NV_SHA256_LEN]);
/* Kept in memory until nv_hash_cache_save; both may be called by several threads at once. */
void nv_hash_cache_put(struct nv_hash_cache *k, const uint8_t sha1[NV_SHA1_LEN], uint64_t size,
		       int64_t mtime, const uint8_t sha256[NV_SHA256_LEN]);
/* In one transaction. Entries that cannot be saved are dropped. */
int nv_hash_cache_save(struct nv_hash_cache *k, struct nv_err *err);

#endif
