/* SPDX-License-Identifier: GPL-3.0-or-later */
/* SHA-256 of contents that were hashed before, by SHA-1, size and time of change: what a Moodle has
 * in its file pool never changes, and need not be read again to be named.
 *
 * An LMDB file, shared by the processes of this machine; losing it costs time and nothing else.
 * NULL stands for none: nothing is known, nothing is remembered. */
#ifndef NV_ARCHIVE_HASH_CACHE_H
#define NV_ARCHIVE_HASH_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/hash.h"

struct nv_hash_cache;

/* The file is made when missing.  On a file system that LMDB cannot use (NFS): NV_RETRY/io. */
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
/* In one transaction.  What cannot be saved is forgotten. */
int nv_hash_cache_save(struct nv_hash_cache *k, struct nv_err *err);

#endif
