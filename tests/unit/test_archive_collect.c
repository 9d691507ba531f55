/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the collector takes and what it leaves. */
#include "tests/unit/test_archive.h"

#include <string.h>

#include "base/fs.h"
#include "base/id.h"

#define HOUR 3600000ull
#define THRESHOLD 65536u

struct town {
	struct nv_store *store;
	char *root;
	char id[NV_UUID_SIZE];
	char attempt[NV_UUID_SIZE];
	struct nv_archive_place place;
	struct nv_collect what;
	struct nv_err err;
};

static int found(void *arg, const char *key, uint64_t size, uint64_t modified_ms)
{
	unsigned *n = arg;
	(void)key;
	(void)size;
	(void)modified_ms;
	++*n;
	return 0;
}

static unsigned count(struct town *t, const char *below)
{
	nv_auto_free char *prefix = nv_asprintf("lastyear/campus/%s/", below);
	unsigned n = 0;
	assert_int_equal(nv_store_list(t->store, prefix, found, &n, &t->err), 0);
	return n;
}

/* An archive of the sample with five blobs, begun; commit: and brought to its end. */
static void put(struct town *t, bool commit)
{
	nv_auto_free char *work = in_dir("collect-put");
	nv_auto_free char *mbz = sample("files.tgz.mbz");
	struct nv_manifest about = {.user_data = true};
	uint8_t sha256[NV_SHA256_LEN];
	uint64_t manifest_size, size, entries;
	nv_uuid_new(t->id);
	nv_uuid_new(t->attempt);
	t->place = (struct nv_archive_place){"lastyear", "campus", t->id, t->attempt};
	struct nv_archive_put *p = nv_archive_put_new(t->store, &t->place, work, THRESHOLD,
						      &wide_limits, NULL, NULL, &t->err);
	assert_non_null(p);
	assert_int_equal(count(t, "pins"), 1);
	struct nv_sink to = nv_archive_put_sink(p);
	assert_int_equal(nv_mbz_read(mbz, &wide_limits, &to, NULL, &t->err), 0);
	if (commit)
		assert_int_equal(nv_archive_put_commit(p, &about, sha256, &manifest_size, &size,
						       &entries, &t->err),
				 0);
	nv_archive_put_free(p);
	assert_int_equal(count(t, "pins"), 0);
}

/* As it would be done so many hours from now. */
static int collect_in(struct town *t, uint64_t hours)
{
	nv_auto_free char *work = in_dir("collect-work");
	assert_int_equal(nv_mkdir_p(work, 0700, &t->err), 0);
	t->what = (struct nv_collect){.now_ms = nv_now_ms() + hours * HOUR,
				      .grace_ms = 24 * HOUR,
				      .pin_ms = 30 * HOUR,
				      .keep_ms = 100 * HOUR};
	return nv_archive_collect(t->store, "lastyear", "campus", work, &t->what, NULL, &t->err);
}

static int set_up(void **state)
{
	struct town *t = nv_alloc(sizeof *t);
	struct nv_config c = {0};
	t->root = in_dir("collect-store");
	assert_int_equal(nv_remove_tree(t->root, &t->err), 0);
	c.store.type = NV_STORE_DIRECTORY;
	c.store.path = t->root;
	assert_int_equal(nv_mkdir_p(t->root, 0700, &t->err), 0);
	t->store = nv_store_open(&c, &t->err);
	assert_non_null(t->store);
	*state = t;
	return 0;
}

static int tear_down(void **state)
{
	struct town *t = *state;
	nv_store_close(t->store);
	free(t->root);
	free(t);
	return 0;
}

static void blobs_that_nothing_names_go_after_the_grace_time(void **state)
{
	struct town *t = *state;
	put(t, false);
	assert_int_equal(count(t, "blobs"), 5);
	assert_int_equal(collect_in(t, 23), 0);
	assert_int_equal(count(t, "blobs"), 5);
	assert_int_equal(collect_in(t, 25), 0);
	assert_int_equal(count(t, "blobs"), 0);
	assert_int_equal(t->what.blobs, 5);
	assert_int_equal(t->what.bytes, 400000 + 300000 + 262144 + 150000 + 65536);
}

static void blobs_of_an_archive_stay_as_long_as_it_does(void **state)
{
	struct town *t = *state;
	put(t, true);
	struct nv_archive_place first = t->place;
	char id[NV_UUID_SIZE], attempt[NV_UUID_SIZE];
	memcpy(id, t->id, sizeof id);
	memcpy(attempt, t->attempt, sizeof attempt);
	first.id = id;
	first.attempt = attempt;
	put(t, true);
	assert_int_equal(nv_archive_delete(t->store, &first, &t->err), 0); /* restored */
	assert_int_equal(collect_in(t, 99), 0);
	assert_int_equal(count(t, "blobs"), 5);
	assert_int_equal(count(t, "archives"), 2);
	/* Nobody has restored it for so long. */
	assert_int_equal(collect_in(t, 101), 0);
	assert_int_equal(t->what.archives, 1);
	assert_int_equal(count(t, "archives"), 0);
	assert_int_equal(count(t, "blobs"), 0);
}

static void while_somebody_writes_no_blob_goes(void **state)
{
	struct town *t = *state;
	nv_auto_free char *pin = NULL;
	struct nv_bytes rest = {(const uint8_t *)"x", 1};
	struct nv_source from = nv_source_bytes(&rest);
	struct nv_expect expect = {.size = 1};
	put(t, false);
	pin = nv_asprintf("lastyear/campus/pins/%s", t->attempt);
	assert_int_equal(nv_store_put(t->store, pin, &expect, &from, NULL, NULL, &t->err), 0);
	assert_int_equal(collect_in(t, 29), 0);
	assert_int_equal(count(t, "blobs"), 5);
	assert_int_equal(count(t, "pins"), 1);
	/* No upload takes that long: its archiver is dead. */
	assert_int_equal(collect_in(t, 31), 0);
	assert_int_equal(count(t, "pins"), 0);
	assert_int_equal(count(t, "blobs"), 0);
}

static void a_manifest_that_cannot_be_read_keeps_every_blob(void **state)
{
	struct town *t = *state;
	nv_auto_free char *path = NULL;
	put(t, true);
	path = nv_asprintf("%s/lastyear/campus/archives/%s/%s/manifest", t->root, t->id,
			   t->attempt);
	assert_int_equal(nv_write_file(path, "nonsense", 8, 0600, &t->err), 0);
	put(t, false);
	assert_int_equal(collect_in(t, 99), -1);
	assert_int_equal(count(t, "blobs"), 5);
}

static void others_parts_are_left_alone(void **state)
{
	struct town *t = *state;
	nv_auto_free char *work = in_dir("collect-work");
	put(t, false);
	t->what = (struct nv_collect){.now_ms = nv_now_ms() + 1000 * HOUR};
	assert_int_equal(
		nv_archive_collect(t->store, "lastyear", "other", work, &t->what, NULL, &t->err),
		0);
	assert_int_equal(
		nv_archive_collect(t->store, "other", "campus", work, &t->what, NULL, &t->err), 0);
	assert_int_equal(count(t, "blobs"), 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

const struct CMUnitTest collect_tests[] = {
	TEST(blobs_that_nothing_names_go_after_the_grace_time),
	TEST(blobs_of_an_archive_stay_as_long_as_it_does),
	TEST(while_somebody_writes_no_blob_goes),
	TEST(a_manifest_that_cannot_be_read_keeps_every_blob),
	TEST(others_parts_are_left_alone),
};
const size_t collect_tests_len = sizeof collect_tests / sizeof *collect_tests;
