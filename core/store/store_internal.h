/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Shared by store.c and its backends only.
 *
 * A backend is a table of functions. Common to all backends: struct nv_checked_source hashes the
 * data being written and releases the last bytes only when the hash is right; struct nv_part is the
 * `.part` file that a read fills, resumes and verifies. */
#ifndef NV_STORE_STORE_INTERNAL_H
#define NV_STORE_STORE_INTERNAL_H

#include "core/store/store.h"

#define NV_STORE_BLOCK 262144u /* bytes */

struct nv_store_ops {
	int (*put)(void *impl, const char *key, const struct nv_expect *expect,
		   const struct nv_source *from, const struct nv_job *job,
		   uint8_t ret_sha256[NV_SHA256_LEN], struct nv_err *err);
	int (*get)(void *impl, const char *key, const struct nv_expect *expect,
		   const struct nv_store_to *to, struct nv_err *err);
	int (*head)(void *impl, const char *key, bool *ret_exists, uint64_t *ret_size,
		    struct nv_err *err);
	int (*del)(void *impl, const char *key, struct nv_err *err);
	int (*list)(void *impl, const char *prefix, nv_store_list_cb cb, void *arg,
		    struct nv_err *err);
	int (*sync)(struct nv_sync_group *together,
		    struct nv_err *err); /* NULL: see nv_store_sync */
	int (*sweep)(void *impl, struct nv_err *err);
	/* For who reads what others have written: is the store there? NULL: reading shows it. */
	int (*look)(void *impl, struct nv_err *err);
	void (*close)(void *impl);
};

struct nv_store {
	const struct nv_store_ops *ops;
	void *impl; /* owned */
	char *about;
	unsigned transfers;
};

int nv_store_open_directory(const struct nv_config *config, struct nv_store *s, struct nv_err *err);
int nv_store_open_s3(const struct nv_config *config, struct nv_store *s, struct nv_err *err);
int nv_store_open_webdav(const struct nv_config *config, struct nv_store *s, struct nv_err *err);

/* A key as described in store.h; components starting with a dot are reserved for the backends. */
bool nv_store_key_valid(const char *key);

/* --- digests (stream_hash.c) --- */

/* The hashes that an expectation asks for; SHA-256 always when asked by want_sha256.  It may use
 * threads; all calls come from one. */
struct nv_digest {
	struct nv_hash *sha256;
	struct nv_hash *sha1;
	bool large;
	struct nv_ring *ring; /* NULL: the caller hashes */
};
void nv_digest_init(struct nv_digest *d, const struct nv_expect *expect, bool want_sha256);
void nv_digest_update(struct nv_digest *d, const void *data, size_t len);
/* NULL when everything matches, otherwise "SHA-1" or "SHA-256".  Ready for the next input. */
const char *nv_digest_differs(struct nv_digest *d, const struct nv_expect *expect,
			      uint8_t ret_sha256[NV_SHA256_LEN]);
void nv_digest_fini(struct nv_digest *d);

/* The source of an object that is written. */
struct nv_checked_source {
	const char *key;
	const struct nv_source *from;
	const struct nv_expect *expect;
	struct nv_digest digest;
	uint64_t done;
	bool verified; /* all bytes were read and match the expectation */
	uint8_t sha256[NV_SHA256_LEN];
};
void nv_checked_source_init(struct nv_checked_source *in, const char *key,
			    const struct nv_source *from, const struct nv_expect *expect);
/* As a source's read_cb.  The call that returns the last byte (for an empty object, the first call)
 * has verified the object. */
ssize_t nv_checked_source_read(struct nv_checked_source *in, void *buf, size_t len,
			       struct nv_err *err);
struct nv_source nv_checked_source_as_source(struct nv_checked_source *in);
void nv_checked_source_fini(struct nv_checked_source *in);

/* --- part files (part.c) --- */

struct nv_part {
	const char *key;
	char *part; /* path.part */
	int fd;
	const struct nv_expect *expect;
	uint64_t len;	 /* bytes in the file, all of them hashed */
	bool resumed;	 /* some of them are from an earlier attempt */
	uint64_t behind; /* of nv_write_behind */
	struct nv_digest digest;
	const struct nv_store_to *to;
};
int nv_part_open(struct nv_part *p, const char *key, const struct nv_expect *expect,
		 const struct nv_store_to *to, struct nv_err *err);
int nv_part_write(struct nv_part *p, const void *data, size_t len, struct nv_err *err);
/* Discard the content. */
int nv_part_restart(struct nv_part *p, struct nv_err *err);
/* The object does not match: removes the part file, returns -1 with store_corrupt. */
int nv_part_corrupt(struct nv_part *p, struct nv_err *err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Verify, fsync (or leave that to the group), rename.  *ret_again: it did not match, but part of it
 * was from an earlier attempt and may be wrong; the part is now empty and the caller reads once
 * more. */
int nv_part_finish(struct nv_part *p, bool *ret_again, struct nv_err *err);
void nv_part_close(struct nv_part *p);

#endif
