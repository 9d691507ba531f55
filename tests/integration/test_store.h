/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the two files of test_store share. */
#ifndef TEST_STORE_H
#define TEST_STORE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/store/store.h"

/* A source of bytes that anybody can compute again. */
struct pattern {
	uint64_t size;
	uint64_t seed;
	uint64_t pos;
	struct nv_job *cancel; /* cancelled when half was read */
	void (*half_cb)(void);
};
struct nv_source pattern_source(struct pattern *p);
void pattern_digests(uint64_t size, uint64_t seed, uint8_t sha1[NV_SHA1_LEN],
		     uint8_t sha256[NV_SHA256_LEN]);
/* Is the file just these bytes? */
bool pattern_is_file(const char *path, uint64_t size, uint64_t seed);
/* Write the first len bytes of the pattern into a file. */
void pattern_to_file(const char *path, uint64_t len, uint64_t seed);

extern char *test_dir; /* of this run, removed at its end */
struct nv_store *open_or_fail(const struct nv_config *config);
/* Put a pattern of that size under key; with its right digests. */
void put_pattern(struct nv_store *s, const char *key, uint64_t size, uint64_t seed);

/* The tests of test_store_faults.c. */
extern const struct CMUnitTest fault_tests[];
extern const size_t fault_tests_len;

#endif
