/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An archive that is fetched while it is still being written. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "tests/unit/archive_fixture.h"

#define LARGE 9000000u /* two of them are worth telling of */

static void feed(struct fixture *f, char letter, size_t len, char ret[128])
{
	struct nv_err err = {0};
	if (fixture_feed(f, letter, len, ret, &err) < 0)
		fail_msg("%s", err.msg);
}

static void commit(struct fixture *f)
{
	struct nv_err err = {0};
	if (fixture_commit(f, &err) < 0)
		fail_msg("%s", err.msg);
}

/* Enough when this blob is here; it has come in by a whole list. */
static bool is_here(void *path)
{
	return access(path, F_OK) == 0;
}

static int ahead(struct fixture *f, const char *until, uint64_t *ret_bytes, struct nv_err *err)
{
	static const struct nv_fetch_help none;
	char path[512];
	(void)snprintf(path, sizeof path, "%s/blobs/%s", f->there, until);
	return nv_archive_prefetch(f->store, &f->place, &fixture_limits, f->there, &none, is_here,
				   path, NULL, ret_bytes, err);
}

static int note(void *arg, const char *key, uint64_t size, uint64_t modified_ms)
{
	struct nv_buf *b = arg;
	(void)size;
	(void)modified_ms;
	nv_buf_printf(b, "%s\n", strrchr(key, '/') + 1);
	return 0;
}

static unsigned lists(struct fixture *f)
{
	nv_auto_buf struct nv_buf names = {0};
	struct nv_err err = {0};
	unsigned n = 0;
	assert_int_equal(nv_store_list(f->store, "lastyear/", note, &names, &err), 0);
	nv_buf_puts(&names, "");
	for (const char *at = (char *)names.data; at && (at = strstr(at, "opened-")); at++)
		n++;
	return n;
}

static void blob_path(const struct fixture *f, const char *name, char ret[512])
{
	(void)snprintf(ret, 512, "%s/lastyear/campus/blobs/%.2s/%s", f->root, name, name);
}

static void what_has_come_is_told_fetched_and_used(void **state)
{
	struct fixture *f = *state;
	char a[128];
	char b[128];
	char c[128];
	char path[512];
	struct nv_err err = {0};
	struct nv_fetched fetched;
	uint64_t bytes = 0;
	feed(f, 'a', LARGE, a);
	assert_int_equal(f->opened, 0);
	feed(f, 'b', LARGE, b);
	assert_int_equal(f->opened, 1);
	assert_int_equal(lists(f), 1);
	if (ahead(f, b, &bytes, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(bytes, 2 * LARGE);
	feed(f, 'c', LARGE, c);
	commit(f);
	assert_int_equal(f->opened, 1);
	assert_int_equal(lists(f), 2); /* the last is told of when nothing more will come */
	/* They are not asked of the store again. */
	blob_path(f, a, path);
	assert_int_equal(unlink(path), 0);
	if (fixture_fetch(f, NULL, &fetched, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(fetched.manifest.entries.len, 3);
	nv_fetched_fini(&fetched);
	assert_int_equal(nv_archive_delete(f->store, &f->place, &err), 0);
	assert_int_equal(lists(f), 0);
}

static void a_small_archive_is_not_told_of(void **state)
{
	struct fixture *f = *state;
	char name[128];
	feed(f, 'a', LARGE, name);
	commit(f);
	assert_int_equal(f->opened, 0);
	assert_int_equal(lists(f), 0);
}

static void write_list(struct fixture *f, const void *data, size_t len)
{
	char path[512];
	struct nv_err err = {0};
	(void)snprintf(path, sizeof path, "%s/lastyear/campus/archives/%s/%s", f->root, f->id,
		       f->attempt);
	assert_int_equal(nv_mkdir_p(path, 0700, &err), 0);
	(void)snprintf(path, sizeof path, "%s/lastyear/campus/archives/%s/%s/opened-0", f->root,
		       f->id, f->attempt);
	assert_int_equal(nv_write_file(path, data, len, 0600, &err), 0);
}

static void a_damaged_list_leads_nowhere(void **state)
{
	struct fixture *f = *state;
	struct nv_err err = {0};
	uint64_t bytes = 0;
	write_list(f, "no list", 7);
	assert_int_equal(ahead(f, "none", &bytes, &err), -1);
	assert_int_equal(err.kind, NV_REJECT);
	assert_int_equal(err.reason, NV_R_archive_corrupt);
}

/* Whoever can write a list cannot have the store's good objects removed by it. */
static void a_blob_that_is_not_as_told_stays_in_the_store(void **state)
{
	struct fixture *f = *state;
	char a[128];
	char b[128];
	char path[512];
	struct nv_err err = {0};
	uint64_t bytes = 0;
	feed(f, 'a', LARGE, a);
	feed(f, 'b', LARGE, b);
	blob_path(f, a, path);
	nv_auto_free uint8_t *other = nv_alloc(LARGE);
	assert_int_equal(nv_write_file(path, other, LARGE, 0600, &err), 0);
	assert_int_equal(ahead(f, b, &bytes, &err), -1);
	assert_int_equal(err.reason, NV_R_store_corrupt);
	assert_int_equal(access(path, F_OK), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
		T(what_has_come_is_told_fetched_and_used),
		T(a_small_archive_is_not_told_of),
		T(a_damaged_list_leads_nowhere),
		T(a_blob_that_is_not_as_told_stays_in_the_store),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
