/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Hashes by OpenSSL's EVP interface.  It fails only when memory or the library is broken; no
 * verification could be trusted then, so the process ends. */
#include "base/hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/mem.h"

struct nv_hash {
	EVP_MD_CTX *ctx;
	const EVP_MD *md;
};

__attribute__((noreturn)) static void broken(const char *what)
{
	(void)fprintf(stderr, "navette: hash: %s failed\n", what);
	abort();
}

static const EVP_MD *method(enum nv_hash_kind kind)
{
	switch (kind) {
	case NV_SHA1:
		return EVP_sha1();
	case NV_MD5:
		return EVP_md5();
	default:
		return EVP_sha256();
	}
}

struct nv_hash *nv_hash_new(enum nv_hash_kind kind)
{
	struct nv_hash *h = nv_alloc(sizeof *h);

	h->md = method(kind);
	h->ctx = EVP_MD_CTX_new();
	if (!h->ctx || EVP_DigestInit_ex(h->ctx, h->md, NULL) != 1)
		broken("start");
	return h;
}

void nv_hash_update(struct nv_hash *h, const void *data, size_t len)
{
	if (len && EVP_DigestUpdate(h->ctx, data, len) != 1)
		broken("update");
}

void nv_hash_final(struct nv_hash *h, uint8_t *ret_digest)
{
	if (EVP_DigestFinal_ex(h->ctx, ret_digest, NULL) != 1 ||
	    EVP_DigestInit_ex(h->ctx, h->md, NULL) != 1)
		broken("end");
}

void nv_hash_free(struct nv_hash *h)
{
	if (!h)
		return;
	EVP_MD_CTX_free(h->ctx);
	free(h);
}

void nv_sha256(const void *data, size_t len, uint8_t ret_digest[NV_SHA256_LEN])
{
	if (EVP_Digest(len ? data : "", len, ret_digest, NULL, EVP_sha256(), NULL) != 1)
		broken("sha256");
}

void nv_hash_hex(enum nv_hash_kind kind, const void *data, size_t len, char *ret_hex)
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned digest_len = 0;

	if (EVP_Digest(len ? data : "", len, digest, &digest_len, method(kind), NULL) != 1)
		broken("digest");
	nv_hex(digest, digest_len, ret_hex);
}

void nv_hex(const uint8_t *data, size_t len, char *ret)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		ret[2 * i] = digits[data[i] >> 4];
		ret[2 * i + 1] = digits[data[i] & 15];
	}
	ret[2 * len] = '\0';
}

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

int nv_unhex(const char *hex, uint8_t *ret, size_t len)
{
	if (strnlen(hex, 2 * len + 1) != 2 * len)
		return -1;
	for (size_t i = 0; i < len; i++) {
		int hi = nibble(hex[2 * i]);
		int lo = nibble(hex[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return -1;
		ret[i] = (uint8_t)(hi << 4 | lo);
	}
	return 0;
}
