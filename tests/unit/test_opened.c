/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An archive that is fetched while it is still being written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/archive/archive.h"
#include "core/base/fs.h"
#include "core/base/hash.h"

#define THRESHOLD 65536u
#define LARGE 9000000u /* two of them are worth telling of */

static char *dir; /* of this run */
static const struct nv_archive_limits limits = {UINT64_MAX, 1000, 1000};

struct fixture {
	struct nv_store *store;
	struct nv_archive_place place;
	struct nv_archive_put *put;
	char root[256], work[256], there[256];
	char id[NV_UUID_SIZE], attempt[NV_UUID_SIZE];
	unsigned opened;
	uint8_t sha256[NV_SHA256_LEN];
	uint64_t manifest_size;
};

static void opened(void *arg)
{
	struct fixture *f = arg;
	f->opened++;
}

static int setup(void **state)
{
	struct fixture *f = nv_alloc(sizeof(*f));
	struct nv_err err = {0};
	nv_uuid_new(f->id);
	nv_uuid_new(f->attempt);
	(void)snprintf(f->root, sizeof(f->root), "%s/%s/store", dir, f->id);
	(void)snprintf(f->work, sizeof(f->work), "%s/%s/work", dir, f->id);
	(void)snprintf(f->there, sizeof(f->there), "%s/%s/there", dir, f->id);
	struct nv_config c = {.store = {.type = NV_STORE_DIRECTORY, .path = f->root}};
	f->place = (struct nv_archive_place){"lastyear", "campus", f->id, f->attempt};
	if (nv_mkdir_p(f->root, 0700, &err) < 0 || !(f->store = nv_store_open(&c, &err)) ||
	    !(f->put = nv_archive_put_new(f->store, &f->place, f->work, THRESHOLD, &limits, NULL,
					  NULL, &err)))
		fail_msg("%s", err.msg);
	nv_archive_put_tell(f->put, opened, f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	nv_archive_put_free(f->put);
	nv_store_close(f->store);
	free(f);
	return 0;
}

/* A content of the pool, all of one letter; its name on the other side in ret. */
static void feed(struct fixture *f, char letter, size_t len, char ret[128])
{
	nv_auto_free uint8_t *data = nv_alloc(len);
	uint8_t sha1[NV_SHA1_LEN];
	char hex[NV_SHA1_HEX];
	char path[64];
	struct nv_err err = {0};
	memset(data, letter, len);
	struct nv_hash *h = nv_hash_new(NV_SHA1);
	nv_hash_update(h, data, len);
	nv_hash_final(h, sha1);
	nv_hash_free(h);
	nv_hex(sha1, sizeof(sha1), hex);
	(void)snprintf(path, sizeof(path), "files/%.2s/%s", hex, hex);
	(void)snprintf(ret, 128, "%s-%zu", hex, len);
	struct nv_entry entry = {.path = path, .size = len, .lasting = true};
	struct nv_bytes rest = {data, len};
	struct nv_source from = nv_source_bytes(&rest);
	struct nv_sink to = nv_archive_put_sink(f->put);
	if (to.entry_cb(to.ctx, &entry, &from, &err) < 0)
		fail_msg("%s", err.msg);
}

static void commit(struct fixture *f)
{
	struct nv_manifest about = {0};
	struct nv_err err = {0};
	uint64_t size = 0;
	uint64_t entries = 0;
	if (nv_archive_put_commit(f->put, &about, f->sha256, &f->manifest_size, &size, &entries,
				  &err) < 0)
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
	(void)snprintf(path, sizeof(path), "%s/blobs/%s", f->there, until);
	return nv_archive_fetch_ahead(f->store, &f->place, &limits, f->there, &none, is_here, path,
				      NULL, ret_bytes, err);
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
	if (nv_archive_fetch(f->store, &f->place, f->sha256, f->manifest_size, &limits, f->there,
			     NULL, NULL, &fetched, &err) < 0)
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
	(void)snprintf(path, sizeof(path), "%s/lastyear/campus/archives/%s/%s", f->root, f->id,
		       f->attempt);
	assert_int_equal(nv_mkdir_p(path, 0700, &err), 0);
	(void)snprintf(path, sizeof(path), "%s/lastyear/campus/archives/%s/%s/opened-0", f->root,
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
	assert_int_equal(err.reason, NV_R_bad_message);
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
	char template[] = "/tmp/navette-opened-XXXXXX";
	struct nv_err err = {0};
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(what_has_come_is_told_fetched_and_used),
		T(a_small_archive_is_not_told_of),
		T(a_damaged_list_leads_nowhere),
		T(a_blob_that_is_not_as_told_stays_in_the_store),
	};
	dir = mkdtemp(template);
	if (!dir)
		return 1;
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	nv_remove_tree(dir, &err);
	return failed ? 1 : 0;
}
