/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Archives through a store and back.  The comparison is libarchive's, not ours. */
#include "tests/unit/test_archive.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/id.h"
#include "base/text.h"

#define THRESHOLD 65536u

/* One archive of one store. */
struct trip {
	struct nv_store *store;
	char id[NV_UUID_SIZE];
	char attempt[NV_UUID_SIZE];
	struct nv_archive_place place;
	uint8_t sha256[NV_SHA256_LEN];
	uint64_t manifest_size;
	uint64_t entries;
	uint64_t sent;
	uint64_t saved;
	char *root;
	struct nv_hash_cache *known; /* NULL: none */
	struct nv_fetch_help help;
};

static void trip_begin(struct trip *t, const char *store)
{
	struct nv_config c = {0};
	struct nv_err err = {0};
	memset(t, 0, sizeof *t);
	t->root = in_dir(store);
	c.store.type = NV_STORE_DIRECTORY;
	c.store.path = t->root;
	if (nv_mkdir_p(t->root, 0700, &err) < 0 || !(t->store = nv_store_open(&c, &err)))
		fail_msg("%s", err.msg);
	nv_uuid_new(t->id);
	nv_uuid_new(t->attempt);
	t->place = (struct nv_archive_place){"lastyear", "campus", t->id, t->attempt};
}

static void trip_end(struct trip *t)
{
	nv_store_close(t->store);
	free(t->root);
}

static int put_mbz(struct trip *t, const char *mbz, const struct nv_job *job, struct nv_err *err)
{
	nv_auto_free char *work = in_dir("work");
	uint64_t size = 0;
	char name[] = "XS1";
	struct nv_plugin plugin = {name, 7};
	struct nv_count count = {name, name, 3};
	struct nv_manifest about = {.shortname = name,
				    .user_data = true,
				    .needs = {&plugin, 1},
				    .inventory = {&count, 1}};
	struct nv_archive_put *p = nv_archive_put_new(t->store, &t->place, work, THRESHOLD,
						      &wide_limits, t->known, job, err);
	if (!p)
		return -1;
	struct nv_sink to = nv_archive_put_sink(p);
	int rc = nv_mbz_read(mbz, &wide_limits, &to, job, err);
	if (rc == 0)
		rc = nv_archive_put_commit(p, &about, t->sha256, &t->manifest_size, &size,
					   &t->entries, err);
	nv_archive_put_stats(p, &t->sent, &t->saved);
	nv_archive_put_free(p);
	return rc;
}

static void put_or_fail(struct trip *t, const char *mbz)
{
	struct nv_err err = {0};
	if (put_mbz(t, mbz, NULL, &err) < 0)
		fail_msg("%s: %s", mbz, err.msg);
}

static int fetch(struct trip *t, const char *dir, struct nv_fetched *ret, struct nv_err *err)
{
	return nv_archive_fetch(t->store, &t->place, t->sha256, t->manifest_size, &wide_limits, dir,
				&t->help, NULL, ret, err);
}

static char *fresh_dir(const char *name)
{
	char *dir = in_dir(name);
	struct nv_err err = {0};
	assert_int_equal(nv_remove_tree(dir, &err), 0);
	return dir;
}

/* --- through the store and back --- */

static void assert_same_after_trip(const char *mbz, bool index_too)
{
	struct trip t;
	struct nv_err err = {0};
	struct nv_fetched f;
	nv_auto_buf struct nv_buf before = {0};
	nv_auto_buf struct nv_buf after = {0};
	nv_auto_free char *dir = fresh_dir("fetched");
	nv_auto_free char *out = in_dir("out.mbz");
	trip_begin(&t, "trip");
	put_or_fail(&t, mbz);
	if (fetch(&t, dir, &f, &err) < 0)
		fail_msg("%s", err.msg);
	assert_string_equal(f.manifest.shortname, "XS1");
	assert_int_equal(f.manifest.entries.len, t.entries);
	assert_int_equal(f.manifest.needs.len, 1);
	assert_int_equal(((struct nv_plugin *)f.manifest.needs.items)->version, 7);
	assert_int_equal(f.manifest.inventory.len, 1);
	assert_int_equal(((struct nv_count *)f.manifest.inventory.items)->count, 3);
	unlink(out);
	if (nv_archive_to_mbz(&f, out, NULL, &err) < 0)
		fail_msg("%s", err.msg);
	nv_fetched_fini(&f);
	describe(mbz, &before);
	describe(out, &after);
	const char *same = (const char *)after.data;
	if (!index_too) /* a zip has none */
		same = strchr(same, '\n') + 1;
	assert_non_null(strstr((const char *)after.data, ".ARCHIVE_INDEX"));
	if (index_too)
		assert_string_equal((const char *)before.data, same);
	assert_int_equal(nv_archive_delete(t.store, &t.place, &err), 0);
	trip_end(&t);
}

/* path, type, size and content of each entry; a zip's times depend on the reader's time zone. */
static void assert_same_contents(const char *one, const char *other)
{
	struct nv_buf b[2] = {{0}, {0}};
	const char *paths[] = {one, other};
	for (int i = 0; i < 2; i++) {
		char *line_state = NULL;
		struct nv_buf all = {0};
		describe(paths[i], &all);
		for (char *line = strtok_r((char *)all.data, "\n", &line_state); line;
		     line = strtok_r(NULL, "\n", &line_state)) {
			char path[512];
			char hex[NV_SHA256_HEX];
			unsigned type = 0;
			/* NOLINTNEXTLINE(cert-err34-c): our own text */
			assert_int_equal(sscanf(line, "%511s %o %*s %*s %64s", path, &type, hex),
					 3);
			if (strcmp(path, ".ARCHIVE_INDEX") != 0)
				nv_buf_printf(&b[i], "%s %o %s\n", path, type, hex);
		}
		nv_buf_fini(&all);
	}
	assert_string_equal((const char *)b[0].data, (const char *)b[1].data);
	nv_buf_fini(&b[0]);
	nv_buf_fini(&b[1]);
}

static void samples_come_back_byte_for_byte(void **state)
{
	(void)state;
	const char *names[] = {"xs-nousers.tgz.mbz", "xs-users.tgz.mbz", "files.tgz.mbz",
			       "s-users-nofiles.tgz.mbz"};
	for (size_t i = 0; i < NV_ARRAY_LEN(names); i++) {
		nv_auto_free char *path = sample(names[i]);
		assert_non_null(path);
		assert_same_after_trip(path, true);
	}
	nv_auto_free char *zip = sample("xs-users.zip.mbz");
	nv_auto_free char *tgz = sample("xs-users.tgz.mbz");
	nv_auto_free char *out = in_dir("out.mbz");
	assert_same_after_trip(zip, false);
	assert_same_contents(zip, out);
	assert_same_contents(tgz, out);
}

static void further_archives_come_back_byte_for_byte(void **state)
{
	(void)state;
	const char *folder = getenv("NAVETTE_FIXTURES");
	if (!folder) {
		skip();
		return; /* skip() does not come back, which clang-tidy does not know */
	}
	DIR *d = opendir(folder);
	assert_non_null(d);
	nv_auto_free char *out = in_dir("out.mbz");
	size_t count = 0;
	struct dirent *e;
	while ((e = readdir(d))) {
		const char *dot = strrchr(e->d_name, '.');
		if (!dot || strcasecmp(dot, ".mbz") != 0)
			continue;
		nv_auto_free char *path = nv_asprintf("%s/%s", folder, e->d_name);
		assert_same_after_trip(path, false);
		assert_same_contents(path, out);
		count++;
	}
	closedir(d);
	assert_true(count > 0);
}

static size_t count_blobs(struct trip *t);
static int count_cb(void *arg, const char *key, uint64_t size, uint64_t modified_ms)
{
	size_t *count = arg;
	(void)key;
	(void)size;
	(void)modified_ms;
	(*count)++;
	return 0;
}
static size_t count_blobs(struct trip *t)
{
	size_t count = 0;
	struct nv_err err = {0};
	assert_int_equal(nv_store_list(t->store, "lastyear/campus/blobs/", count_cb, &count, &err),
			 0);
	return count;
}

static void contents_are_sent_once_and_shared(void **state)
{
	(void)state;
	struct trip t;
	struct nv_err err = {0};
	nv_auto_free char *mbz = sample("files.tgz.mbz");
	trip_begin(&t, "shared");
	put_or_fail(&t, mbz);
	/* 400000, 300000, 262144, 150000 and 65536 bytes; the rest is below the threshold */
	assert_int_equal(count_blobs(&t), 5);
	assert_int_equal(t.saved, 0);
	assert_true(t.sent > 1177680);
	nv_uuid_new(t.attempt);
	put_or_fail(&t, mbz);
	assert_int_equal(count_blobs(&t), 5);
	assert_int_equal(t.saved, 400000 + 300000 + 262144 + 150000 + 65536);
	assert_true(t.sent < 120000);
	assert_int_equal(nv_archive_delete(t.store, &t.place, &err), 0);
	assert_int_equal(count_blobs(&t), 5);
	trip_end(&t);
}

static void a_content_that_is_not_what_its_name_says_is_refused(void **state)
{
	(void)state;
	const char *path = "files/35/356a192b7913b04c54574d18c28d46e6395428ab"; /* SHA-1 of "1" */
	static uint8_t data[THRESHOLD];
	struct trip t;
	struct maker m;
	make_begin(&m, "lying.tgz", false);
	make_add(&m, path, AE_IFREG, NULL, data, sizeof data);
	make_end(&m);
	trip_begin(&t, "lying");
	for (int i = 0; i < 2; i++) {
		struct nv_err err = {0};
		assert_int_equal(put_mbz(&t, m.path, NULL, &err), -1);
		assert_int_equal(err.kind, NV_REJECT);
		assert_int_equal(err.reason, NV_R_archive_corrupt);
		assert_non_null(strstr(err.msg, path));
		assert_int_equal(count_blobs(&t), 0);
		if (i)
			break;
	}
	/* An object of that name in the store makes it no better. */
	struct nv_expect expect = {.size = THRESHOLD};
	struct nv_err err = {0};
	nv_auto_free char *zeros = in_dir("zeros");
	assert_int_equal(nv_write_file(zeros, data, sizeof data, 0600, &err), 0);
	FILE *f = fopen(zeros, "re");
	assert_non_null(f);
	int fd = fileno(f);
	struct nv_source from = nv_source_fd(&fd);
	nv_auto_free char *key = nv_asprintf("lastyear/campus/blobs/35/%s-%u", path + 9, THRESHOLD);
	assert_int_equal(nv_store_put(t.store, key, &expect, &from, NULL, NULL, &err), 0);
	(void)fclose(f);
	assert_int_equal(put_mbz(&t, m.path, NULL, &err), -1);
	assert_int_equal(err.reason, NV_R_archive_corrupt);
	free(m.path);
	trip_end(&t);
}

/* --- fetching again, and damage --- */

struct listed {
	char blob[256];
	char skeleton[256];
};
static int listed_cb(void *arg, const char *key, uint64_t size, uint64_t modified_ms)
{
	struct listed *l = arg;
	(void)size;
	(void)modified_ms;
	if (strstr(key, "-300000"))
		(void)snprintf(l->blob, sizeof l->blob, "%s", key);
	if (strstr(key, "skeleton"))
		(void)snprintf(l->skeleton, sizeof l->skeleton, "%s", key);
	return 0;
}

static void flip_byte(const char *path)
{
	FILE *f = fopen(path, "r+e");
	assert_non_null(f);
	assert_int_equal(fseek(f, 1000, SEEK_SET), 0);
	int c = fgetc(f);
	assert_int_equal(fseek(f, 1000, SEEK_SET), 0);
	assert_int_not_equal(fputc(c ^ 1, f), EOF);
	assert_int_equal(fclose(f), 0);
}

static void damage_in_the_store_is_noticed_removed_and_mended_by_the_next_put(void **state)
{
	(void)state;
	struct trip t;
	struct listed l = {0};
	struct nv_fetched f;
	struct nv_err err = {0};
	nv_auto_free char *mbz = sample("files.tgz.mbz");
	trip_begin(&t, "damage");
	put_or_fail(&t, mbz);
	assert_int_equal(nv_store_list(t.store, "", listed_cb, &l, &err), 0);
	const char *keys[] = {l.blob, l.skeleton};
	for (size_t i = 0; i < NV_ARRAY_LEN(keys); i++) {
		nv_auto_free char *dir = fresh_dir("damaged");
		nv_auto_free char *object = nv_asprintf("%s/%s", t.root, keys[i]);
		flip_byte(object);
		assert_int_equal(fetch(&t, dir, &f, &err), -1);
		assert_int_equal(err.kind, NV_RETRY);
		assert_int_equal(err.reason, NV_R_store_corrupt);
		assert_int_not_equal(access(object, F_OK), 0);
		assert_int_equal(fetch(&t, dir, &f, &err), -1);
		assert_int_equal(err.reason, NV_R_store_missing);
		put_or_fail(&t, mbz);
		if (fetch(&t, dir, &f, &err) < 0)
			fail_msg("%s", err.msg);
		nv_fetched_fini(&f);
	}
	trip_end(&t);
}

static void what_an_earlier_fetch_left_is_verified_and_used(void **state)
{
	(void)state;
	struct trip t;
	struct listed l = {0};
	struct nv_fetched f;
	struct nv_err err = {0};
	nv_auto_free char *mbz = sample("files.tgz.mbz");
	nv_auto_free char *dir = fresh_dir("again");
	trip_begin(&t, "again-store");
	put_or_fail(&t, mbz);
	assert_int_equal(nv_store_list(t.store, "lastyear/", listed_cb, &l, &err), 0);
	assert_int_equal(fetch(&t, dir, &f, &err), 0);
	nv_fetched_fini(&f);
	/* All is here: the store is not needed for the blob. */
	assert_int_equal(nv_store_delete(t.store, l.blob, &err), 0);
	assert_int_equal(fetch(&t, dir, &f, &err), 0);
	nv_fetched_fini(&f);
	/* A local copy that went bad is not used. */
	nv_auto_free char *local = nv_asprintf("%s/blobs/%s", dir, strrchr(l.blob, '/') + 1);
	flip_byte(local);
	assert_int_equal(fetch(&t, dir, &f, &err), -1);
	assert_int_equal(err.reason, NV_R_store_missing);
	put_or_fail(&t, mbz);
	assert_int_equal(fetch(&t, dir, &f, &err), 0);
	nv_fetched_fini(&f);
	/* A tree that somebody changed is made anew. */
	nv_auto_free char *xml = nv_asprintf("%s/tree/moodle_backup.xml", dir);
	flip_byte(xml);
	assert_int_equal(fetch(&t, dir, &f, &err), 0);
	nv_auto_free char *out = in_dir("again.mbz");
	assert_int_equal(nv_archive_to_mbz(&f, out, NULL, &err), 0);
	assert_same_contents(mbz, out);
	nv_fetched_fini(&f);
	trip_end(&t);
}

static char *first_blob(const struct nv_fetched *f)
{
	const struct nv_manifest_entry *e = f->manifest.entries.items;
	char hex[NV_SHA1_HEX];
	while (!e->blob)
		e++;
	nv_hex(e->sha1.data, NV_SHA1_LEN, hex);
	return nv_asprintf("%s/blobs/%s-%llu", f->dir, hex, (unsigned long long)e->size);
}

/* Change its first byte; touched: its time as well. */
static void damage(const char *path, bool touched)
{
	struct stat st = {0};
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0 && fstat(fd, &st) == 0);
	struct timespec times[2] = {st.st_atim, st.st_mtim};
	times[1].tv_sec += touched ? 10 : 0;
	assert_int_equal(pwrite(fd, "\xff", 1, 0), 1);
	assert_int_equal(futimens(fd, times), 0);
	close(fd);
}

static uint8_t first_byte(const char *path)
{
	uint8_t byte = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(pread(fd, &byte, 1, 0), 1);
	close(fd);
	return byte;
}

/* What it holds tells whether it was read again. */
static void a_known_blob_that_is_here_is_not_read_again_unless_it_was_changed(void **state)
{
	(void)state;
	struct trip t;
	struct nv_err err = {0};
	struct nv_fetched f;
	nv_auto_free char *mbz = sample("files.tgz.mbz");
	nv_auto_free char *dir = fresh_dir("known");
	trip_begin(&t, "known-store");
	t.known = t.help.known = nv_hash_cache_in(test_dir);
	assert_non_null(t.known);
	put_or_fail(&t, mbz);
	assert_int_equal(fetch(&t, dir, &f, &err), 0);
	assert_int_equal(nv_hash_cache_save(t.known, &err), 0);
	nv_auto_free char *blob = first_blob(&f);
	nv_fetched_fini(&f);
	uint8_t right = first_byte(blob);
	damage(blob, false);
	assert_int_equal(fetch(&t, dir, &f, &err), 0);
	nv_fetched_fini(&f);
	assert_int_equal(first_byte(blob), 0xff);
	damage(blob, true);
	assert_int_equal(fetch(&t, dir, &f, &err), 0);
	nv_fetched_fini(&f);
	assert_int_equal(first_byte(blob), right);
	nv_hash_cache_close(t.known);
	trip_end(&t);
}

/* The blob that another has put there is not asked of the store. */
static int lend_first(void *arg, const struct nv_manifest *m, const char *blobs, struct nv_err *err)
{
	const struct nv_manifest_entry *e = m->entries.items;
	char hex[NV_SHA1_HEX];
	(void)err;
	while (!e->blob)
		e++;
	nv_hex(e->sha1.data, NV_SHA1_LEN, hex);
	nv_auto_free char *to = nv_asprintf("%s/%s-%llu", blobs, hex, (unsigned long long)e->size);
	return link(arg, to);
}

static void blobs_from_elsewhere_are_verified_and_not_fetched(void **state)
{
	(void)state;
	struct trip t;
	struct nv_err err = {0};
	struct nv_fetched f;
	nv_auto_free char *mbz = sample("files.tgz.mbz");
	nv_auto_free char *dir = fresh_dir("lent");
	nv_auto_free char *other = fresh_dir("lent-again");
	trip_begin(&t, "lent-store");
	put_or_fail(&t, mbz);
	assert_int_equal(fetch(&t, dir, &f, &err), 0);
	nv_auto_free char *blob = first_blob(&f);
	nv_auto_free char *key = nv_asprintf("%s/lastyear/campus/blobs/%.2s/%s", t.root,
					     strrchr(blob, '/') + 1, strrchr(blob, '/') + 1);
	nv_fetched_fini(&f);
	assert_int_equal(unlink(key), 0); /* the store has it no more */
	assert_int_equal(fetch(&t, other, &f, &err), -1);
	assert_int_equal(err.reason, NV_R_store_missing);
	t.help.reuse_cb = lend_first;
	t.help.arg = blob;
	if (fetch(&t, other, &f, &err) < 0)
		fail_msg("%s", err.msg);
	nv_fetched_fini(&f);
	/* One that is not what the manifest says is taken away, and asked of the store after all.
	 */
	assert_int_equal(nv_remove_tree(other, &err), 0);
	damage(blob, false);
	assert_int_equal(fetch(&t, other, &f, &err), -1);
	assert_int_equal(err.reason, NV_R_store_missing);
	trip_end(&t);
}

static void a_manifest_of_another_hash_or_request_is_refused(void **state)
{
	(void)state;
	struct trip t;
	struct nv_fetched f;
	struct nv_err err = {0};
	nv_auto_free char *mbz = sample("xs-nousers.tgz.mbz");
	nv_auto_free char *dir = fresh_dir("manifest");
	trip_begin(&t, "manifest-store");
	put_or_fail(&t, mbz);
	t.sha256[3] ^= 1;
	assert_int_equal(fetch(&t, dir, &f, &err), -1);
	assert_int_equal(err.reason, NV_R_store_corrupt);
	t.sha256[3] ^= 1;
	/* The same bytes under another attempt. */
	char old[NV_UUID_SIZE];
	memcpy(old, t.attempt, sizeof old);
	nv_uuid_new(t.attempt);
	nv_auto_free char *folder = nv_asprintf("%s/lastyear/campus/archives/%s", t.root, t.id);
	nv_auto_free char *from = nv_asprintf("%s/%s", folder, old);
	nv_auto_free char *to = nv_asprintf("%s/%s", folder, t.attempt);
	assert_int_equal(rename(from, to), 0);
	assert_int_equal(fetch(&t, dir, &f, &err), -1);
	assert_int_equal(err.kind, NV_REJECT);
	assert_int_equal(err.reason, NV_R_archive_corrupt);
	trip_end(&t);
}

static void a_cancelled_put_leaves_no_manifest(void **state)
{
	(void)state;
	struct trip t;
	struct listed l = {0};
	struct nv_err err = {0};
	struct nv_job job = {0};
	nv_auto_free char *mbz = sample("files.tgz.mbz");
	trip_begin(&t, "cancelled");
	atomic_store(&job.cancelled, true);
	assert_int_equal(put_mbz(&t, mbz, &job, &err), -1);
	assert_int_equal(err.kind, NV_CANCELLED);
	assert_int_equal(nv_store_list(t.store, "", listed_cb, &l, &err), 0);
	assert_string_equal(l.skeleton, "");
	trip_end(&t);
}

/* --- inspect --- */

struct facts {
	const char *name;
	const char *shortname;
	const char *course;
	bool users;
	bool files;
	uint64_t entries;
	uint64_t unpacked;
	uint64_t contents;
	const char *form;
	uint64_t sections;
	uint64_t assigns;
};

static uint64_t number_of(const struct nv_list *inventory, const char *kind, const char *type)
{
	const struct nv_count *c = inventory->items;
	for (size_t i = 0; i < inventory->len; i++)
		if (strcmp(c[i].kind, kind) == 0 && strcmp(c[i].type, type) == 0)
			return c[i].count;
	return 0;
}

static void backups_tell_about_themselves(void **state)
{
	(void)state;
	const struct facts all[] = {
		{"xs-nousers.tgz.mbz", "XS1", "6", false, true, 91, 51684, 4, "tgz", 2, 1},
		{"xs-users.tgz.mbz", "XS1", "6", true, true, 108, 59306, 4, "tgz", 2, 1},
		{"xs-users.zip.mbz", "XS1", "6", true, true, 108, 59306, 4, "zip", 2, 1},
		{"s-users-nofiles.tgz.mbz", "S1", "2", true, false, 902, 552912, 0, "tgz", 11, 10},
	};
	for (size_t i = 0; i < NV_ARRAY_LEN(all); i++) {
		const struct facts *want = &all[i];
		struct nv_mbz_info info;
		struct nv_err err = {0};
		nv_auto_free char *path = sample(want->name);
		assert_non_null(path);
		if (nv_mbz_inspect(path, &wide_limits, NULL, &info, &err) < 0)
			fail_msg("%s: %s", path, err.msg);
		assert_string_equal(info.shortname, want->shortname);
		assert_string_equal(info.course, want->course);
		assert_string_equal(info.category, "Category 1");
		assert_string_equal(info.moodle_version, "2024100705.01");
		assert_string_equal(info.moodle_release, "4.5.5+ (Build: 20250613)");
		assert_string_equal(info.backup_version, "2024100700");
		assert_string_equal(info.backup_release, "4.5");
		assert_string_equal(info.wwwroot, "http://127.0.0.1:8101");
		assert_string_equal(info.form, want->form);
		assert_int_equal(info.users, want->users);
		assert_int_equal(info.files, want->files);
		assert_int_equal(info.entries, want->entries);
		assert_int_equal(info.unpacked, want->unpacked);
		assert_int_equal(info.file_contents, want->contents);
		assert_int_equal(info.plugins.len, 4);
		assert_string_equal(info.plugins.items[0], "mod_assign");
		assert_string_equal(info.plugins.items[3], "mod_resource");
		assert_int_equal(number_of(&info.inventory, "section", ""), want->sections);
		assert_int_equal(number_of(&info.inventory, "activity", "assign"), want->assigns);
		assert_int_equal(number_of(&info.inventory, "activity", "wiki"), 0);
		nv_mbz_info_fini(&info);
	}
}

/* --- writing --- */

static ssize_t letter_read(void *ctx, void *buf, size_t len, struct nv_err *err)
{
	(void)ctx;
	(void)err;
	memset(buf, 'x', len);
	return (ssize_t)len;
}

static void names_beyond_the_short_form_are_written_and_refused_as_moodle_reads_them(void **state)
{
	(void)state;
	nv_auto_free char *path = in_dir("long.mbz");
	struct nv_source from = {.read_cb = letter_read};
	struct nv_err err = {0};
	char fits[160];
	char too_long[160];
	memset(fits, 'a', sizeof fits);
	fits[90] = '/';
	fits[150] = '\0';
	memset(too_long, 'b', sizeof too_long);
	too_long[150] = '\0'; /* one component of more than 100 */
	const struct nv_entry entries[] = {{.path = fits, .size = 5},
					   {.path = too_long, .size = 5}};
	struct nv_mbz_writer *w = nv_mbz_create(path, entries, 1, &err);
	assert_non_null(w);
	assert_int_equal(nv_mbz_add(w, &from, &err), 0);
	assert_int_equal(nv_mbz_finish(w, &err), 0);
	nv_mbz_free(w);
	nv_auto_buf struct nv_buf text = {0};
	describe(path, &text);
	assert_non_null(strstr((const char *)text.data, fits));
	assert_null(nv_mbz_create(path, entries, 1, &err)); /* it exists */
	unlink(path);
	w = nv_mbz_create(path, entries, 2, &err);
	assert_int_equal(nv_mbz_add(w, &from, &err), 0);
	assert_int_equal(nv_mbz_add(w, &from, &err), -1);
	assert_int_equal(err.kind, NV_REJECT);
	nv_mbz_free(w);
	assert_int_not_equal(access(path, F_OK), 0); /* unfinished: removed */
}

static void a_full_disk_leaves_no_half_written_file(void **state)
{
	(void)state;
	nv_auto_free char *path = in_dir("full.mbz");
	nv_auto_free char *mbz = sample("files.tgz.mbz");
	nv_auto_free char *dir = fresh_dir("full");
	struct nv_err err = {0};
	struct nv_fetched f;
	struct trip t;
	struct rlimit before;
	trip_begin(&t, "full-store");
	put_or_fail(&t, mbz);
	assert_int_equal(fetch(&t, dir, &f, &err), 0);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	struct rlimit small = {.rlim_cur = 500000, .rlim_max = before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	int rc = nv_archive_to_mbz(&f, path, NULL, &err);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(rc, -1);
	assert_int_equal(err.kind, NV_RETRY);
	assert_int_not_equal(access(path, F_OK), 0);
	nv_fetched_fini(&f);
	trip_end(&t);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(samples_come_back_byte_for_byte),
	cmocka_unit_test(further_archives_come_back_byte_for_byte),
	cmocka_unit_test(contents_are_sent_once_and_shared),
	cmocka_unit_test(a_content_that_is_not_what_its_name_says_is_refused),
	cmocka_unit_test(damage_in_the_store_is_noticed_removed_and_mended_by_the_next_put),
	cmocka_unit_test(what_an_earlier_fetch_left_is_verified_and_used),
	cmocka_unit_test(a_known_blob_that_is_here_is_not_read_again_unless_it_was_changed),
	cmocka_unit_test(blobs_from_elsewhere_are_verified_and_not_fetched),
	cmocka_unit_test(a_manifest_of_another_hash_or_request_is_refused),
	cmocka_unit_test(a_cancelled_put_leaves_no_manifest),
	cmocka_unit_test(backups_tell_about_themselves),
	cmocka_unit_test(names_beyond_the_short_form_are_written_and_refused_as_moodle_reads_them),
	cmocka_unit_test(a_full_disk_leaves_no_half_written_file),
};

int main(void)
{
	char template[] = "/tmp/navette-archive-XXXXXX";
	struct nv_err err = {0};
	nv_text_locale();
	test_dir = mkdtemp(template);
	if (!test_dir)
		return 1;
	int failed = cmocka_run_group_tests_name("archives", tests, NULL, NULL);
	failed +=
		_cmocka_run_group_tests("collector", collect_tests, collect_tests_len, NULL, NULL);
	failed += _cmocka_run_group_tests("odd archives", odd_tests, odd_tests_len, NULL, NULL);
	failed += _cmocka_run_group_tests("refused archives", bad_tests, bad_tests_len, NULL, NULL);
	nv_remove_tree(test_dir, &err);
	return failed ? 1 : 0;
}
