/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Hashes that are known from before. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/mem.h"
#include "core/archive/hash_cache.h"

#define MANY 200u

static char folder[] = "/tmp/navette-known-XXXXXX";

static void name_of(unsigned n, uint8_t sha1[NV_SHA1_LEN], uint8_t sha256[NV_SHA256_LEN])
{
	memset(sha1, (int)n, NV_SHA1_LEN);
	memset(sha256, (int)n + 1, NV_SHA256_LEN);
}

static struct nv_hash_cache *open_known(void)
{
	nv_auto_free char *path = nv_asprintf("%s/known.mdb", folder);
	struct nv_err err = {0};
	struct nv_hash_cache *k = nv_hash_cache_open(path, &err);
	if (!k)
		fail_msg("%s", err.msg);
	return k;
}

static void what_was_saved_is_known_by_all_three(void **state)
{
	uint8_t sha1[NV_SHA1_LEN], sha256[NV_SHA256_LEN], found[NV_SHA256_LEN];
	struct nv_hash_cache *k = open_known();
	(void)state;
	name_of(1, sha1, sha256);
	nv_hash_cache_put(k, sha1, 5, 1000, sha256);
	assert_false(nv_hash_cache_get(k, sha1, 5, 1000, found)); /* not before it is saved */
	assert_int_equal(nv_hash_cache_save(k, NULL), 0);
	nv_hash_cache_close(k);
	k = open_known();
	assert_true(nv_hash_cache_get(k, sha1, 5, 1000, found));
	assert_memory_equal(found, sha256, sizeof found);
	assert_false(nv_hash_cache_get(k, sha1, 6, 1000, found));
	assert_false(nv_hash_cache_get(k, sha1, 5, 1001, found));
	name_of(2, sha1, sha256);
	assert_false(nv_hash_cache_get(k, sha1, 5, 1000, found));
	/* It changed since. */
	name_of(1, sha1, sha256);
	memset(sha256, 9, sizeof sha256);
	nv_hash_cache_put(k, sha1, 5, 2000, sha256);
	assert_int_equal(nv_hash_cache_save(k, NULL), 0);
	assert_true(nv_hash_cache_get(k, sha1, 5, 2000, found));
	assert_memory_equal(found, sha256, sizeof found);
	assert_false(nv_hash_cache_get(k, sha1, 5, 1000, found));
	nv_hash_cache_close(k);
}

static void *put_many(void *arg)
{
	uint8_t sha1[NV_SHA1_LEN], sha256[NV_SHA256_LEN];
	for (unsigned i = 0; i < MANY; i++) {
		name_of(i, sha1, sha256);
		nv_hash_cache_put(arg, sha1, 77, 1, sha256);
		if (i % 50 == 0 && nv_hash_cache_save(arg, NULL) < 0)
			return arg;
	}
	return NULL;
}

static void threads_remember_together(void **state)
{
	uint8_t sha1[NV_SHA1_LEN], sha256[NV_SHA256_LEN], found[NV_SHA256_LEN];
	struct nv_hash_cache *k = open_known();
	pthread_t threads[4];
	(void)state;
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, put_many, k), 0);
	for (unsigned i = 0; i < 4; i++) {
		void *failed;
		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
	assert_int_equal(nv_hash_cache_save(k, NULL), 0);
	for (unsigned i = 0; i < MANY; i++) {
		name_of(i, sha1, sha256);
		assert_true(nv_hash_cache_get(k, sha1, 77, 1, found));
		assert_memory_equal(found, sha256, sizeof found);
	}
	nv_hash_cache_close(k);
}

static void without_a_file_nothing_is_known(void **state)
{
	uint8_t sha1[NV_SHA1_LEN], sha256[NV_SHA256_LEN];
	struct nv_err err = {0};
	(void)state;
	name_of(1, sha1, sha256);
	nv_hash_cache_put(NULL, sha1, 5, 1, sha256);
	assert_int_equal(nv_hash_cache_save(NULL, NULL), 0);
	assert_false(nv_hash_cache_get(NULL, sha1, 5, 1, sha256));
	nv_hash_cache_close(NULL);
	assert_null(nv_hash_cache_open("/nonexistent/known.mdb", &err));
	assert_int_equal(err.kind, NV_RETRY);
	assert_non_null(strstr(err.msg, "/nonexistent/known.mdb"));
}

/* Half a file, another program's file: the daemon goes on without. */
static void what_is_no_such_file_is_not_used(void **state)
{
	nv_auto_free char *path = nv_asprintf("%s/other/.known.mdb", folder);
	nv_auto_free char *dir = nv_asprintf("%s/other", folder);
	char text[8192];
	struct nv_err err = {0};
	(void)state;
	memset(text, 'x', sizeof text);
	assert_int_equal(nv_mkdir_p(dir, 0700, &err), 0);
	assert_int_equal(nv_write_file(path, text, sizeof text, 0600, &err), 0);
	assert_null(nv_hash_cache_open(path, &err));
	assert_null(nv_hash_cache_in(dir));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_saved_is_known_by_all_three),
		cmocka_unit_test(threads_remember_together),
		cmocka_unit_test(without_a_file_nothing_is_known),
		cmocka_unit_test(what_is_no_such_file_is_not_used),
	};
	if (!mkdtemp(folder))
		return 1;
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	nv_remove_tree(folder, NULL);
	return failed;
}
