/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The hashes of what passes by, computed by the caller for small objects and beside it for large.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "core/store/store_internal.h"

#define LARGE (20u * 1024 * 1024 + 3)

static uint8_t *data; /* LARGE bytes */

static int fill(void **state)
{
	uint32_t x = 1;
	(void)state;
	data = nv_alloc(LARGE);
	for (size_t i = 0; i < LARGE; i++) {
		x = x * 1664525u + 1013904223u;
		data[i] = (uint8_t)(x >> 24);
	}
	return 0;
}

static int drop(void **state)
{
	(void)state;
	free(data);
	return 0;
}

struct right {
	struct nv_expect expect;
	uint8_t sha1[NV_SHA1_LEN];
	uint8_t sha256[NV_SHA256_LEN];
};

static void right_of(struct right *r, size_t size)
{
	struct nv_hash *h = nv_hash_new(NV_SHA1);
	nv_hash_update(h, data, size);
	nv_hash_final(h, r->sha1);
	nv_hash_free(h);
	nv_sha256(data, size, r->sha256);
	r->expect = (struct nv_expect){.size = size, .sha1 = r->sha1, .sha256 = r->sha256};
}

/* In pieces that fit no block. */
static void feed(struct nv_digest *d, size_t size)
{
	size_t piece = 1;
	for (size_t at = 0; at < size; piece = piece * 3 % 700001) {
		size_t n = piece < size - at ? piece : size - at;
		nv_digest_update(d, data + at, n);
		at += n;
	}
}

static void small_and_large_have_the_same_hashes(void **state)
{
	const size_t sizes[] = {0, 1, 262144, 16777215, 16777216, 16777216 + 262144, LARGE};
	(void)state;
	for (size_t i = 0; i < NV_ARRAY_LEN(sizes); i++) {
		struct right r;
		struct nv_digest d;
		uint8_t told[NV_SHA256_LEN];
		right_of(&r, sizes[i]);
		nv_digest_init(&d, &r.expect, false);
		for (int again = 0; again < 2; again++) { /* it is ready for the next input */
			feed(&d, sizes[i]);
			assert_null(nv_digest_differs(&d, &r.expect, told));
			assert_memory_equal(told, r.sha256, sizeof told);
		}
		nv_digest_fini(&d);
	}
}

static void one_hash_may_be_missing(void **state)
{
	struct right r;
	(void)state;
	right_of(&r, LARGE);
	const uint8_t *sha1 = r.expect.sha1;
	const uint8_t *sha256 = r.expect.sha256;
	for (int which = 0; which < 3; which++) {
		struct nv_digest d;
		r.expect.sha1 = which == 0 ? sha1 : NULL;
		r.expect.sha256 = which == 1 ? sha256 : NULL;
		nv_digest_init(&d, &r.expect, false);
		feed(&d, LARGE);
		assert_null(nv_digest_differs(&d, &r.expect, NULL));
		nv_digest_fini(&d);
	}
}

static const char *with_a_wrong_byte(const struct nv_expect *expect, size_t at)
{
	struct nv_digest d;
	nv_digest_init(&d, expect, false);
	data[at] ^= 1;
	feed(&d, LARGE);
	data[at] ^= 1;
	const char *wrong = nv_digest_differs(&d, expect, NULL);
	nv_digest_fini(&d);
	return wrong;
}

static void a_wrong_byte_is_seen(void **state)
{
	const size_t at[] = {0, LARGE / 2, LARGE - 1};
	struct right r;
	(void)state;
	right_of(&r, LARGE);
	const struct nv_expect sha1_only = {.size = LARGE, .sha1 = r.sha1};
	for (size_t i = 0; i < NV_ARRAY_LEN(at); i++) {
		assert_string_equal(with_a_wrong_byte(&r.expect, at[i]), "SHA-256");
		assert_string_equal(with_a_wrong_byte(&sha1_only, at[i]), "SHA-1");
	}
}

static void it_may_be_given_up_at_any_point(void **state)
{
	const size_t until[] = {0, 1, 262144, 1000000, LARGE - 1};
	struct right r;
	(void)state;
	right_of(&r, LARGE);
	for (size_t i = 0; i < NV_ARRAY_LEN(until); i++) {
		struct nv_digest d;
		nv_digest_init(&d, &r.expect, true);
		feed(&d, until[i]);
		nv_digest_fini(&d);
		assert_null(d.ring);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_and_large_have_the_same_hashes),
		cmocka_unit_test(one_hash_may_be_missing),
		cmocka_unit_test(a_wrong_byte_is_seen),
		cmocka_unit_test(it_may_be_given_up_at_any_point),
	};
	return cmocka_run_group_tests(tests, fill, drop);
}
