/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The hashes of what passes by.  Of a large object each hash is computed by a thread of its own,
 * fed through a ring of blocks, while the caller reads and writes on: one large file alone then
 * moves at the speed of the slowest of the three.  Where several go at once, they keep the
 * processors busy themselves. */
#include "core/store/store_internal.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

#define ASIDE_FROM 16777216u /* bytes: below it a thread is not worth its start */
#define BLOCKS 4u	     /* of NV_STORE_BLOCK bytes: one is filled, the others are hashed */
#define HASHES 2u

struct hasher {
	struct nv_ring *ring;
	struct nv_hash *hash;
	uint64_t done; /* blocks */
	pthread_t thread;
};

struct nv_ring {
	pthread_mutex_t lock;
	pthread_cond_t more; /* the hashers wait for a block, or for the end */
	pthread_cond_t less; /* the caller waits for the hashers */
	uint8_t *data;	     /* BLOCKS of them */
	size_t len[BLOCKS];
	size_t filled;	/* bytes in the block that the caller fills */
	uint64_t given; /* blocks handed over */
	bool over;
	struct hasher hashers[HASHES];
	unsigned hashers_len;
};

static atomic_uint under_way; /* large objects, of the process */

static bool processors_are_idle(void)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned enough = processors > 3 ? (unsigned)processors / 2 : 1;
	return atomic_load(&under_way) <= enough;
}

static void *run(void *arg)
{
	struct hasher *h = arg;
	struct nv_ring *r = h->ring;
	pthread_mutex_lock(&r->lock);
	for (;;) {
		while (h->done == r->given && !r->over)
			pthread_cond_wait(&r->more, &r->lock);
		if (h->done == r->given)
			break;
		size_t slot = h->done % BLOCKS;
		pthread_mutex_unlock(&r->lock);
		nv_hash_update(h->hash, r->data + slot * NV_STORE_BLOCK, r->len[slot]);
		pthread_mutex_lock(&r->lock);
		h->done++;
		pthread_cond_signal(&r->less);
	}
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

/* Until no hasher is more than so many blocks behind; with the lock held. */
static void wait_for_hashers(struct nv_ring *r, uint64_t behind)
{
	for (unsigned i = 0; i < r->hashers_len; i++)
		while (r->given - r->hashers[i].done > behind)
			pthread_cond_wait(&r->less, &r->lock);
}

/* Hand over what has been filled in, and wait for a free block. */
static void give(struct nv_ring *r)
{
	pthread_mutex_lock(&r->lock);
	r->len[r->given % BLOCKS] = r->filled;
	r->given++;
	pthread_cond_broadcast(&r->more);
	wait_for_hashers(r, BLOCKS - 1);
	pthread_mutex_unlock(&r->lock);
	r->filled = 0;
}

static void put_into(struct nv_ring *r, const uint8_t *data, size_t len)
{
	while (len) {
		size_t n = NV_STORE_BLOCK - r->filled;
		if (n > len)
			n = len;
		memcpy(r->data + r->given % BLOCKS * NV_STORE_BLOCK + r->filled, data, n);
		r->filled += n;
		data += n;
		len -= n;
		if (r->filled == NV_STORE_BLOCK)
			give(r);
	}
}

/* All that was put in is hashed; the threads wait for more. */
static void drain(struct nv_ring *r)
{
	if (r->filled)
		give(r);
	pthread_mutex_lock(&r->lock);
	wait_for_hashers(r, 0);
	pthread_mutex_unlock(&r->lock);
}

/* A thread for this hash; NULL needs none. */
static bool employ(struct nv_ring *r, struct nv_hash *hash)
{
	struct hasher *h = &r->hashers[r->hashers_len];
	if (!hash)
		return true;
	*h = (struct hasher){.ring = r, .hash = hash};
	if (pthread_create(&h->thread, NULL, run, h) != 0)
		return false;
	r->hashers_len++;
	return true;
}

static void ring_free(struct nv_ring *r)
{
	if (!r)
		return;
	pthread_mutex_lock(&r->lock);
	r->over = true;
	pthread_cond_broadcast(&r->more);
	pthread_mutex_unlock(&r->lock);
	for (unsigned i = 0; i < r->hashers_len; i++)
		pthread_join(r->hashers[i].thread, NULL);
	pthread_mutex_destroy(&r->lock);
	pthread_cond_destroy(&r->more);
	pthread_cond_destroy(&r->less);
	free(r->data);
	free(r);
}

/* NULL: no thread can be had. */
static struct nv_ring *ring_new(struct nv_hash *sha256, struct nv_hash *sha1)
{
	struct nv_ring *r = nv_alloc(sizeof *r);
	r->data = nv_alloc_block((size_t)BLOCKS * NV_STORE_BLOCK);
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->more, NULL);
	pthread_cond_init(&r->less, NULL);
	if (employ(r, sha256) && employ(r, sha1))
		return r;
	ring_free(r);
	return NULL;
}

void nv_digest_init(struct nv_digest *d, const struct nv_expect *expect, bool want_sha256)
{
	*d = (struct nv_digest){0};
	d->sha256 = want_sha256 || expect->sha256 ? nv_hash_new(NV_SHA256) : NULL;
	d->sha1 = expect->sha1 ? nv_hash_new(NV_SHA1) : NULL;
	d->large = expect->size >= ASIDE_FROM;
	if (!d->large)
		return;
	atomic_fetch_add(&under_way, 1);
	if (processors_are_idle())
		d->ring = ring_new(d->sha256, d->sha1);
}

void nv_digest_update(struct nv_digest *d, const void *data, size_t len)
{
	if (d->ring) {
		put_into(d->ring, data, len);
		return;
	}
	if (d->sha256)
		nv_hash_update(d->sha256, data, len);
	if (d->sha1)
		nv_hash_update(d->sha1, data, len);
}

const char *nv_digest_differs(struct nv_digest *d, const struct nv_expect *expect,
			      uint8_t ret_sha256[NV_SHA256_LEN])
{
	uint8_t sha256[NV_SHA256_LEN];
	uint8_t sha1[NV_SHA1_LEN];
	const char *wrong = NULL;
	if (d->ring)
		drain(d->ring);
	if (d->sha256) {
		nv_hash_final(d->sha256, sha256);
		if (expect->sha256 && memcmp(sha256, expect->sha256, sizeof sha256) != 0)
			wrong = "SHA-256";
		if (ret_sha256)
			memcpy(ret_sha256, sha256, sizeof sha256);
	}
	if (d->sha1) {
		nv_hash_final(d->sha1, sha1);
		if (!wrong && expect->sha1 && memcmp(sha1, expect->sha1, sizeof sha1) != 0)
			wrong = "SHA-1";
	}
	return wrong;
}

void nv_digest_fini(struct nv_digest *d)
{
	ring_free(d->ring);
	if (d->large)
		atomic_fetch_sub(&under_way, 1);
	nv_hash_free(d->sha256);
	nv_hash_free(d->sha1);
	*d = (struct nv_digest){0};
}
