/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/archive/hash_cache.h"

#include <endian.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

#define MAP_BYTES (1ull << 30) /* of address space, some 8 million contents; the file grows */
#define READERS 1024u

struct key {
	uint8_t sha1[NV_SHA1_LEN];
	uint8_t size[8]; /* big-endian */
};
struct value {
	uint8_t sha256[NV_SHA256_LEN];
	uint8_t mtime[8]; /* big-endian */
};
_Static_assert(sizeof(struct key) == 28 && sizeof(struct value) == 40, "as they lie in the file");

struct fresh {
	struct key key;
	struct value value;
};

struct nv_hash_cache {
	MDB_env *env;
	MDB_dbi dbi;
	pthread_mutex_t lock; /* of what follows */
	struct fresh *fresh;
	size_t len;
	size_t cap;
};

static int known_fail(int rc, const char *what, struct nv_err *err)
{
	return nv_fail(err, NV_RETRY, NV_R_io, "known hashes: %s: %s", what, mdb_strerror(rc));
}

static struct key key_of(const uint8_t *sha1, uint64_t size)
{
	struct key k;
	uint64_t big = htobe64(size);
	memcpy(k.sha1, sha1, sizeof k.sha1);
	memcpy(k.size, &big, sizeof k.size);
	return k;
}

struct nv_hash_cache *nv_hash_cache_open(const char *path, struct nv_err *err)
{
	struct nv_hash_cache *k = nv_alloc(sizeof *k);
	MDB_txn *txn = NULL;
	int rc = mdb_env_create(&k->env);
	if (rc == 0)
		rc = mdb_env_set_mapsize(k->env, MAP_BYTES);
	if (rc == 0)
		rc = mdb_env_set_maxreaders(k->env, READERS);
	if (rc == 0)
		rc = mdb_env_open(k->env, path, MDB_NOSUBDIR | MDB_NOTLS, 0600);
	if (rc == 0)
		rc = mdb_txn_begin(k->env, NULL, 0, &txn);
	if (rc == 0)
		rc = mdb_dbi_open(txn, NULL, 0, &k->dbi);
	if (rc == 0)
		rc = mdb_txn_commit(txn);
	else if (txn)
		mdb_txn_abort(txn);
	pthread_mutex_init(&k->lock, NULL);
	if (rc == 0)
		return k;
	known_fail(rc, path, err);
	nv_hash_cache_close(k);
	return NULL;
}

struct nv_hash_cache *nv_hash_cache_in(const char *folder)
{
	nv_auto_free char *path = nv_asprintf("%s/.known.mdb", folder);
	struct nv_err err = {0};
	struct nv_hash_cache *k = nv_hash_cache_open(path, &err);
	if (!k)
		NV_LOG(NV_WARN, "known.unusable", NV_E(&err));
	return k;
}

void nv_hash_cache_close(struct nv_hash_cache *k)
{
	if (!k)
		return;
	if (k->env)
		mdb_env_close(k->env);
	pthread_mutex_destroy(&k->lock);
	free(k->fresh);
	free(k);
}

bool nv_hash_cache_get(struct nv_hash_cache *k, const uint8_t sha1[NV_SHA1_LEN], uint64_t size,
		       int64_t mtime, uint8_t ret_sha256[NV_SHA256_LEN])
{
	MDB_txn *txn;
	if (!k || mdb_txn_begin(k->env, NULL, MDB_RDONLY, &txn) != 0)
		return false;
	struct key key = key_of(sha1, size);
	MDB_val name = {sizeof key, &key};
	MDB_val data;
	uint64_t big = htobe64((uint64_t)mtime);
	bool found =
		mdb_get(txn, k->dbi, &name, &data) == 0 && data.mv_size == sizeof(struct value);
	const struct value *v = found ? data.mv_data : NULL;
	found = v && memcmp(v->mtime, &big, sizeof big) == 0;
	if (found)
		memcpy(ret_sha256, v->sha256, NV_SHA256_LEN);
	mdb_txn_abort(txn);
	return found;
}

void nv_hash_cache_put(struct nv_hash_cache *k, const uint8_t sha1[NV_SHA1_LEN], uint64_t size,
		       int64_t mtime, const uint8_t sha256[NV_SHA256_LEN])
{
	if (!k)
		return;
	struct fresh f = {.key = key_of(sha1, size)};
	uint64_t big = htobe64((uint64_t)mtime);
	memcpy(f.value.sha256, sha256, NV_SHA256_LEN);
	memcpy(f.value.mtime, &big, sizeof big);
	pthread_mutex_lock(&k->lock);
	if (k->len == k->cap) {
		k->cap = k->cap ? 2 * k->cap : 64;
		k->fresh = nv_realloc(k->fresh, k->cap * sizeof *k->fresh);
	}
	k->fresh[k->len++] = f;
	pthread_mutex_unlock(&k->lock);
}

static int write_all(struct nv_hash_cache *k, struct fresh *fresh, size_t len, bool empty_first)
{
	MDB_txn *txn;
	int rc = mdb_txn_begin(k->env, NULL, 0, &txn);
	if (rc != 0)
		return rc;
	if (empty_first)
		rc = mdb_drop(txn, k->dbi, 0);
	for (size_t i = 0; i < len && rc == 0; i++) {
		MDB_val name = {sizeof fresh[i].key, &fresh[i].key};
		MDB_val data = {sizeof fresh[i].value, &fresh[i].value};
		rc = mdb_put(txn, k->dbi, &name, &data, 0);
	}
	if (rc == 0)
		return mdb_txn_commit(txn);
	mdb_txn_abort(txn);
	return rc;
}

int nv_hash_cache_save(struct nv_hash_cache *k, struct nv_err *err)
{
	if (!k)
		return 0;
	pthread_mutex_lock(&k->lock);
	nv_auto_free struct fresh *fresh = k->fresh;
	size_t len = k->len;
	k->fresh = NULL;
	k->len = k->cap = 0;
	pthread_mutex_unlock(&k->lock);
	if (!len)
		return 0;
	int rc = write_all(k, fresh, len, false);
	if (rc == MDB_MAP_FULL) /* begin anew */
		rc = write_all(k, fresh, len, true);
	return rc == 0 ? 0 : known_fail(rc, "saving", err);
}
