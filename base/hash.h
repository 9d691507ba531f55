/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Hashes: SHA-256 for verification, SHA-1 because Moodle names its files by it (contenthash). Both
 * through OpenSSL's EVP interface, which uses the processor's SHA instructions. */
#ifndef NV_HASH_H
#define NV_HASH_H

#include <stddef.h>
#include <stdint.h>

#define NV_SHA256_LEN 32u
#define NV_SHA1_LEN 20u
#define NV_SHA256_HEX 65u /* with the NUL */
#define NV_SHA1_HEX 41u

#define NV_MD5_LEN 16u /* not for verification: S3 names parts by it */
enum nv_hash_kind { NV_SHA256, NV_SHA1, NV_MD5 };

struct nv_hash; /* opaque: one running hash */
struct nv_hash *nv_hash_new(enum nv_hash_kind kind);
void nv_hash_update(struct nv_hash *h, const void *data, size_t len);
/* Writes 32 or 20 bytes and makes the hash ready for the next input. */
void nv_hash_final(struct nv_hash *h, uint8_t *ret_digest);
void nv_hash_free(struct nv_hash *h); /* NULL allowed */
/* Of bytes in memory, as hex with a NUL. */
void nv_hash_hex(enum nv_hash_kind kind, const void *data, size_t len, char *ret_hex);

void nv_sha256(const void *data, size_t len, uint8_t ret_digest[NV_SHA256_LEN]);

/* Lower-case hex; ret must hold 2 * len + 1 bytes. */
void nv_hex(const uint8_t *data, size_t len, char *ret);
/* 0, or -1 when hex is not exactly len bytes in lower-case hex. */
int nv_unhex(const char *hex, uint8_t *ret, size_t len);

#endif
