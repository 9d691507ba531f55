/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a crash of the machine may take: nothing that anybody was told of.
 *
 * fsync and rename are watched (ld's --wrap).  A file or folder counts as durable from its fsync
 * on; a name that was put into a folder counts with the folder's next one. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/sync_group.h"
#include "tests/unit/archive_fixture.h"

#define BLOB 70000u
#define BLOBS (2 * NV_SYNC_GROUP_FILES + 5u) /* two full groups and a part of one */
#define SYNCS_MAX 4096u

/* The n-th fsync was of this inode. */
static struct {
	pthread_mutex_t lock;
	struct {
		dev_t dev;
		ino_t ino;
	} syncs[SYNCS_MAX];
	size_t len;
	unsigned fail_at; /* this fsync, from 1, tells EIO; 0: none */
	char failed[4096];
	char manifest[4096]; /* where one was renamed to, and … */
	size_t before;	     /* … how many fsyncs there had been */
} disk = {.lock = PTHREAD_MUTEX_INITIALIZER};

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);

int __wrap_fsync(int fd)
{
	struct stat st;
	char proc[64];
	pthread_mutex_lock(&disk.lock);
	assert_int_equal(fstat(fd, &st), 0);
	assert_true(disk.len < SYNCS_MAX);
	disk.syncs[disk.len].dev = st.st_dev;
	disk.syncs[disk.len].ino = st.st_ino;
	bool fails = ++disk.len == disk.fail_at;
	if (fails) {
		(void)snprintf(proc, sizeof proc, "/proc/self/fd/%d", fd);
		ssize_t n = readlink(proc, disk.failed, sizeof disk.failed - 1);
		assert_true(n > 0);
		disk.failed[n] = '\0';
	}
	pthread_mutex_unlock(&disk.lock);
	errno = EIO;
	return fails ? -1 : __real_fsync(fd);
}

int __wrap_rename(const char *from, const char *to)
{
	const char *slash = strrchr(to, '/');
	pthread_mutex_lock(&disk.lock);
	if (slash && strcmp(slash, "/manifest") == 0 && strstr(to, "/store/")) {
		(void)snprintf(disk.manifest, sizeof disk.manifest, "%s", to);
		disk.before = disk.len;
	}
	pthread_mutex_unlock(&disk.lock);
	return __real_rename(from, to);
}

static bool synced_within(const char *path, size_t from, size_t to)
{
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	for (size_t i = from; i < to; i++)
		if (disk.syncs[i].dev == st.st_dev && disk.syncs[i].ino == st.st_ino)
			return true;
	return false;
}

/* The path and every folder above it, up to root. */
static void assert_all_synced(const char *path, const char *root, size_t from, size_t to)
{
	char work[512];
	(void)snprintf(work, sizeof work, "%s", path);
	for (;;) {
		if (!synced_within(work, from, to))
			fail_msg("%s was not synced in time", work);
		if (strcmp(work, root) == 0)
			return;
		*strrchr(work, '/') = '\0';
	}
}

static void feed_all(struct fixture *f, char names[BLOBS][128])
{
	struct nv_err err = {0};
	for (unsigned i = 0; i < BLOBS; i++)
		if (fixture_feed(f, 'a', BLOB + i, names[i], &err) < 0)
			fail_msg("%s", err.msg);
}

static void stored_path(const struct fixture *f, const char *name, char ret[512])
{
	(void)snprintf(ret, 512, "%s/lastyear/campus/blobs/%.2s/%s", f->root, name, name);
}

static void fetched_path(const struct fixture *f, const char *name, char ret[512])
{
	(void)snprintf(ret, 512, "%s/blobs/%s", f->there, name);
}

static int setup(void **state)
{
	disk.len = disk.before = 0;
	disk.fail_at = 0;
	disk.failed[0] = disk.manifest[0] = '\0';
	return fixture_setup(state);
}

static void all_that_a_manifest_names_is_durable_before_it_is_there(void **state)
{
	struct fixture *f = *state;
	char names[BLOBS][128];
	char path[512];
	struct nv_err err = {0};
	feed_all(f, names);
	if (fixture_commit(f, &err) < 0)
		fail_msg("%s", err.msg);
	assert_true(disk.before > 0);
	for (unsigned i = 0; i < BLOBS; i++) {
		stored_path(f, names[i], path);
		assert_all_synced(path, f->root, 0, disk.before);
	}
	(void)snprintf(path, sizeof path, "%.*s/skeleton.tar.zst",
		       (int)(strlen(disk.manifest) - strlen("/manifest")), disk.manifest);
	assert_all_synced(path, f->root, 0, disk.before);
	/* The manifest's bytes before its name, the name before anybody is told. */
	assert_true(synced_within(disk.manifest, 0, disk.before));
	*strrchr(disk.manifest, '/') = '\0';
	assert_true(synced_within(disk.manifest, disk.before, disk.len));
}

static void what_is_fetched_is_durable_when_the_site_gets_it(void **state)
{
	struct fixture *f = *state;
	char names[BLOBS][128];
	char path[512];
	struct nv_err err = {0};
	struct nv_fetched fetched;
	feed_all(f, names);
	assert_int_equal(fixture_commit(f, &err), 0);
	size_t from = disk.len;
	if (fixture_fetch(f, NULL, &fetched, &err) < 0)
		fail_msg("%s", err.msg);
	nv_fetched_fini(&fetched);
	for (unsigned i = 0; i < BLOBS; i++) {
		fetched_path(f, names[i], path);
		assert_true(synced_within(path, from, disk.len));
	}
	*strrchr(path, '/') = '\0';
	assert_true(synced_within(path, from, disk.len));
	/* Whether an earlier try came to sync what it left, nobody knows. */
	from = disk.len;
	assert_int_equal(fixture_fetch(f, NULL, &fetched, &err), 0);
	nv_fetched_fini(&fetched);
	fetched_path(f, names[0], path);
	assert_true(synced_within(path, from, disk.len));
}

/* Known is what need not be read again: never before it is durable. */
static void what_could_not_be_synced_is_not_known(void **state)
{
	struct fixture *f = *state;
	char names[BLOBS][128];
	char path[512];
	struct nv_err err = {0};
	struct nv_fetched fetched;
	struct nv_hash_cache *known = nv_hash_cache_in(f->dir);
	struct nv_fetch_help help = {.known = known};
	assert_non_null(known);
	feed_all(f, names);
	assert_int_equal(fixture_commit(f, &err), 0);
	size_t from = disk.len;
	disk.fail_at = (unsigned)from + 1;
	assert_int_equal(fixture_fetch(f, &help, &fetched, &err), -1);
	assert_int_equal(err.kind, NV_RETRY);
	assert_non_null(strstr(err.msg, "sync "));
	assert_true(strlen(disk.failed) > 0);
	assert_int_equal(access(disk.failed, F_OK), -1);
	assert_int_equal(nv_hash_cache_save(known, &err), 0);
	/* All is looked at once more, and synced. */
	from = disk.len;
	assert_int_equal(fixture_fetch(f, &help, &fetched, &err), 0);
	nv_fetched_fini(&fetched);
	for (unsigned i = 0; i < BLOBS; i++) {
		fetched_path(f, names[i], path);
		assert_true(synced_within(path, from, disk.len));
	}
	/* Now they are known. */
	assert_int_equal(nv_hash_cache_save(known, &err), 0);
	from = disk.len;
	assert_int_equal(fixture_fetch(f, &help, &fetched, &err), 0);
	nv_fetched_fini(&fetched);
	assert_int_equal(disk.len, from);
	nv_hash_cache_close(known);
}

static void an_archive_that_cannot_be_synced_is_not_there(void **state)
{
	struct fixture *f = *state;
	char names[BLOBS][128];
	struct nv_err err = {0};
	feed_all(f, names);
	disk.fail_at = (unsigned)disk.len + 1;
	assert_int_equal(fixture_commit(f, &err), -1);
	assert_int_equal(err.kind, NV_RETRY);
	assert_int_equal(err.reason, NV_R_store_unavailable);
	assert_string_equal(disk.manifest, "");
	/* Nor is the object, which the next export would rely on. */
	assert_non_null(strstr(disk.failed, "/blobs/"));
	assert_int_equal(access(disk.failed, F_OK), -1);
}

/* What a failed export has put is found by others: it is made durable all the same. */
static void blobs_of_a_failed_export_are_durable(void **state)
{
	struct fixture *f = *state;
	char name[128];
	char path[512];
	struct nv_err err = {0};
	assert_int_equal(fixture_feed(f, 'a', BLOB, name, &err), 0);
	stored_path(f, name, path);
	assert_false(synced_within(path, 0, disk.len));
	nv_archive_put_free(f->put);
	f->put = NULL;
	assert_all_synced(path, f->root, 0, disk.len);
}

/* Between the processes of a machine a rename is enough. */
static void what_need_not_last_is_not_synced(void **state)
{
	struct fixture *f = *state;
	struct nv_err err = {0};
	struct nv_bytes rest = {(const uint8_t *)"x", 1};
	struct nv_source from = nv_source_bytes(&rest);
	struct nv_expect expect = {.size = 1, .passing = true};
	char path[512];
	size_t before = disk.len;
	assert_int_equal(
		nv_store_put(f->store, "lastyear/new/pin", &expect, &from, NULL, NULL, &err), 0);
	assert_int_equal(disk.len, before);
	/* Its folder, which nobody synced: who needs it does. */
	rest = (struct nv_bytes){(const uint8_t *)"x", 1};
	expect.passing = false;
	assert_int_equal(
		nv_store_put(f->store, "lastyear/new/lasts", &expect, &from, NULL, NULL, &err), 0);
	(void)snprintf(path, sizeof path, "%s/lastyear/new/lasts", f->root);
	assert_all_synced(path, f->root, before, disk.len);
}

static int try_put(struct fixture *f, const char *key, struct nv_err *err)
{
	struct nv_bytes rest = {(const uint8_t *)"x", 1};
	struct nv_source from = nv_source_bytes(&rest);
	struct nv_expect expect = {.size = 1};
	return nv_store_put(f->store, key, &expect, &from, NULL, NULL, err);
}

static void put_lasting(struct fixture *f, const char *key)
{
	struct nv_err err = {0};
	if (try_put(f, key, &err) < 0)
		fail_msg("%s", err.msg);
}

static bool folder_synced(const struct fixture *f, const char *folder, size_t from)
{
	char path[512];
	(void)snprintf(path, sizeof path, "%s%s", f->root, folder);
	return synced_within(path, from, disk.len);
}

/* Does the file system tell when a folder was made? */
static bool births_are_told(const char *folder)
{
	struct statx st;
	return statx(AT_FDCWD, folder, 0, STATX_BTIME, &st) == 0 && st.stx_mask & STATX_BTIME;
}

static void the_name_of_a_folder_is_synced_once(void **state)
{
	struct fixture *f = *state;
	bool always = !births_are_told(f->root);
	struct nv_err err = {0};
	put_lasting(f, "site/one/a");
	assert_true(folder_synced(f, "/site/one", 0) && folder_synced(f, "/site", 0) &&
		    folder_synced(f, "", 0));
	size_t from = disk.len;
	put_lasting(f, "site/one/b");
	assert_true(folder_synced(f, "/site/one", from));
	assert_int_equal(folder_synced(f, "/site", from), always);
	assert_int_equal(folder_synced(f, "", from), always);
	/* One that is new beside it. */
	from = disk.len;
	put_lasting(f, "site/two/a");
	assert_true(folder_synced(f, "/site", from));
	assert_int_equal(folder_synced(f, "", from), always);
	/* A temporary name is nobody's. */
	assert_false(folder_synced(f, "/.tmp", 0));
	/* The same names, but other folders: the deletion of the last object took the first. */
	assert_int_equal(nv_store_delete(f->store, "site/one/a", &err), 0);
	assert_int_equal(nv_store_delete(f->store, "site/one/b", &err), 0);
	assert_int_equal(nv_store_delete(f->store, "site/two/a", &err), 0);
	from = disk.len;
	put_lasting(f, "site/one/a");
	assert_true(folder_synced(f, "/site", from) && folder_synced(f, "", from));
}

static void a_name_that_could_not_be_synced_is_synced_again(void **state)
{
	struct fixture *f = *state;
	struct nv_err err = {0};
	put_lasting(f, "site/one/a");
	/* The object, then its folder, then the one above, for the name of its folder. */
	disk.fail_at = (unsigned)disk.len + 3;
	assert_int_equal(try_put(f, "site/two/a", &err), -1);
	assert_string_equal(disk.failed + strlen(disk.failed) - strlen("/site"), "/site");
	size_t before = disk.len;
	put_lasting(f, "site/two/a");
	assert_true(folder_synced(f, "/site", before));
}

static void a_folder_that_is_gone_is_fine(void **state)
{
	struct fixture *f = *state;
	char path[512];
	struct nv_err err = {0};
	struct nv_sync_group g;
	nv_sync_group_init(&g);
	(void)snprintf(path, sizeof path, "%s/gone", f->dir);
	assert_int_equal(mkdir(path, 0700), 0);
	(void)snprintf(path, sizeof path, "%s/gone/file", f->dir);
	int fd = open(path, O_RDWR | O_CREAT, 0600);
	assert_true(fd >= 0);
	assert_int_equal(nv_sync_group_file(&g, &fd, path, &err), 0);
	*strrchr(path, '/') = '\0';
	assert_int_equal(nv_remove_tree(path, &err), 0);
	assert_int_equal(nv_sync_group_end(&g, &err), 0);
	assert_int_equal(disk.len, 1); /* the file's, which is only open */
	/* It is empty now. */
	assert_int_equal(nv_sync_group_end(&g, &err), 0);
	assert_int_equal(disk.len, 1);
	nv_sync_group_fini(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)
		T(all_that_a_manifest_names_is_durable_before_it_is_there),
		T(what_is_fetched_is_durable_when_the_site_gets_it),
		T(what_could_not_be_synced_is_not_known),
		T(an_archive_that_cannot_be_synced_is_not_there),
		T(blobs_of_a_failed_export_are_durable),
		T(what_need_not_last_is_not_synced),
		T(the_name_of_a_folder_is_synced_once),
		T(a_name_that_could_not_be_synced_is_synced_again),
		T(a_folder_that_is_gone_is_fine),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
