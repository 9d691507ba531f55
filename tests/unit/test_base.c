/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "base/err.h"
#include "base/fault.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/id.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"

static char folder[64];

static int make_folder(void **state)
{
	(void)state;
	(void)snprintf(folder, sizeof folder, "/tmp/navette-base-XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	(void)state;
	return nv_remove_tree(folder, NULL);
}

/* err */

static void every_reason_has_a_word_that_leads_back(void **state)
{
	(void)state;
	for (unsigned i = 0; i < NV_R_COUNT; i++) {
		assert_int_equal(nv_reason_from(nv_reason_word((enum nv_reason)i)), i);
		assert_true(strlen(nv_reason_text((enum nv_reason)i)) > 0);
	}
	assert_int_equal(nv_reason_from("from_a_newer_peer"), NV_R_internal);
	assert_int_equal(nv_reason_from(NULL), NV_R_internal);
	assert_string_equal(nv_err_kind_word(NV_REJECT), "reject");
}

static void an_error_is_one_line_and_may_be_wrapped(void **state)
{
	struct nv_err err;
	char longer[2000];

	(void)state;
	assert_int_equal(nv_fail(&err, NV_REJECT, NV_R_denied, "a\nb\tc\x1b[0m %d", 7), -1);
	assert_string_equal(err.msg, "a b c [0m 7");
	nv_err_prefix(&err, "store: put %s", "x");
	assert_string_equal(err.msg, "store: put x: a b c [0m 7");
	nv_fail(&err, NV_RETRY, NV_R_io, "again: %s", err.msg);
	assert_string_equal(err.msg, "again: store: put x: a b c [0m 7");
	memset(longer, 'x', sizeof longer - 1);
	longer[sizeof longer - 1] = 0;
	nv_fail(&err, NV_RETRY, NV_R_io, "%s", longer);
	assert_int_equal(strlen(err.msg), sizeof err.msg - 1);
	nv_err_prefix(&err, "p");
	assert_int_equal(strlen(err.msg), sizeof err.msg - 1);
	assert_int_equal(nv_fail(NULL, NV_RETRY, NV_R_io, "nobody listens"), -1);
}

static void a_long_message_is_not_cut_inside_a_character(void **state)
{
	struct nv_err err;

	(void)state;
	nv_fail(&err, NV_RETRY, NV_R_io, "%0510d\xc3\xa9", 0);
	assert_int_equal(strlen(err.msg), 510);
	nv_fail(&err, NV_RETRY, NV_R_io, "%0509d\xc3\xa9", 0);
	assert_int_equal(strlen(err.msg), 511);
}

static void descriptors_are_had_as_far_as_the_hard_limit_allows(void **state)
{
	struct rlimit before;
	struct rlimit now;
	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	assert_true(before.rlim_max > 200);
	struct rlimit low = {.rlim_cur = 100, .rlim_max = before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	nv_need_descriptors(50);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &now), 0);
	assert_int_equal(now.rlim_cur, 100);
	nv_need_descriptors(200);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &now), 0);
	assert_int_equal(now.rlim_cur, 200);
	nv_need_descriptors(UINT_MAX);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &now), 0);
	assert_int_equal(now.rlim_cur, before.rlim_max < UINT_MAX ? before.rlim_max : UINT_MAX);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

static void errno_decides_what_is_passing(void **state)
{
	struct nv_err err;

	(void)state;
	nv_fail_errno(&err, ENOSPC, NV_REJECT, NV_R_io, "write x");
	assert_int_equal(err.kind, NV_RETRY);
	assert_int_equal(err.reason, NV_R_disk_full);
	assert_int_equal(err.code, ENOSPC);
	assert_string_equal(err.msg, "write x: No space left on device");
	nv_fail_errno(&err, EMFILE, NV_FATAL, NV_R_io, "open x");
	assert_int_equal(err.kind, NV_RETRY);
	assert_int_equal(err.reason, NV_R_io);
	nv_fail_errno(&err, EACCES, NV_FATAL, NV_R_config, "open x");
	assert_int_equal(err.kind, NV_FATAL);
}

/* mem */

static void the_arena_gives_zeroed_aligned_room_of_any_size(void **state)
{
	nv_auto_arena struct nv_arena a = {0};

	(void)state;
	for (size_t size = 0; size < 20000; size = size * 3 + 1) {
		uint8_t *p = nv_arena_alloc(&a, size);

		assert_int_equal((uintptr_t)p % 16, 0);
		for (size_t i = 0; i < size; i++)
			assert_int_equal(p[i], 0);
		if (size)
			memset(p, 0xff, size);
	}
	assert_string_equal(nv_arena_printf(&a, "%s-%d", "x", 3), "x-3");
	assert_string_equal(nv_arena_strndup(&a, "abc", 2), "ab");
	assert_null(nv_arena_strdup(&a, NULL));
}

static void a_bounded_buffer_takes_all_of_it_or_nothing(void **state)
{
	nv_auto_buf struct nv_buf b = {.max = 5};
	char text[] = "abcdef";

	(void)state;
	assert_false(nv_buf_take(&b, text, 6));
	assert_int_equal(b.len, 0);
	assert_true(nv_buf_take(&b, text, 3));
	assert_false(nv_buf_take(&b, text, 3));
	assert_string_equal((char *)b.data, "abc");
	assert_int_equal(nv_buf_write_cb(text, 2, 1, &b), 2);
	assert_string_equal((char *)b.data, "abcab");
	assert_true(nv_buf_write_cb(text, 1, 1, &b) != 1);
	assert_true(nv_buf_take(&b, NULL, 0));
	assert_int_equal(b.len, 5);
}

static void a_buffer_is_always_terminated(void **state)
{
	nv_auto_buf struct nv_buf b = {0};

	(void)state;
	nv_buf_put(&b, NULL, 0);
	assert_string_equal((char *)b.data, "");
	for (int i = 0; i < 1000; i++)
		nv_buf_printf(&b, "%d,", i % 10);
	assert_int_equal(b.len, 2000);
	assert_int_equal(b.data[2000], 0);
	nv_buf_puts(&b, "end");
	assert_string_equal((char *)b.data + 2000, "end");
}

/* hash */

static void hashes_are_those_of_the_standards(void **state)
{
	struct nv_hash *h = nv_hash_new(NV_SHA1);
	uint8_t digest[32];
	char hex[NV_SHA256_HEX];

	(void)state;
	nv_hash_update(h, "a", 1);
	nv_hash_update(h, "bc", 2);
	for (int round = 0; round < 2; round++) { /* final makes it ready for the next */
		nv_hash_final(h, digest);
		nv_hex(digest, NV_SHA1_LEN, hex);
		assert_string_equal(hex, "a9993e364706816aba3e25717850c26c9cd0d89d");
		nv_hash_update(h, "abc", 3);
	}
	nv_hash_free(h);
	nv_hash_free(NULL);
	nv_sha256("abc", 3, digest);
	nv_hex(digest, NV_SHA256_LEN, hex);
	assert_string_equal(hex,
			    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	nv_sha256(NULL, 0, digest);
	nv_hex(digest, 4, hex);
	assert_string_equal(hex, "e3b0c442");
}

static void unhex_takes_exactly_the_length_in_lower_case(void **state)
{
	uint8_t b[2];

	(void)state;
	assert_int_equal(nv_unhex("0aff", b, 2), 0);
	assert_int_equal(b[0], 0x0a);
	assert_int_equal(b[1], 0xff);
	assert_int_equal(nv_unhex("0aFF", b, 2), -1);
	assert_int_equal(nv_unhex("0af", b, 2), -1);
	assert_int_equal(nv_unhex("0aff0", b, 2), -1);
	assert_int_equal(nv_unhex("0axf", b, 2), -1);
}

/* id */

#define IDS ((size_t)10000)

static void *make_ids(void *arg)
{
	char(*ids)[NV_UUID_SIZE] = arg;

	for (size_t i = 0; i < IDS; i++)
		nv_uuid_new(ids[i]);
	return NULL;
}

static int compare_ids(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void uuids_are_valid_ordered_and_unique_across_threads(void **state)
{
	char(*ids)[NV_UUID_SIZE] = nv_alloc(2 * IDS * sizeof *ids);
	uint64_t before = nv_now_ms();
	pthread_t threads[2];

	(void)state;
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, make_ids, ids + i * IDS), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	for (size_t i = 0; i < 2 * IDS; i++) {
		assert_true(nv_uuid_valid(ids[i]));
		if (i % IDS)
			assert_true(strcmp(ids[i - 1], ids[i]) < 0);
	}
	assert_true(nv_uuid_time(ids[0]) >= before);
	assert_true(nv_uuid_time(ids[0]) <= nv_now_ms() + 1000);
	qsort(ids, 2 * IDS, sizeof *ids, compare_ids);
	for (size_t i = 1; i < 2 * IDS; i++)
		assert_string_not_equal(ids[i - 1], ids[i]);
	free(ids);
}

static void only_the_lower_case_form_of_version_7_is_a_uuid(void **state)
{
	(void)state;
	assert_true(nv_uuid_valid("0190a6f0-5c3b-7abc-8def-0123456789ab"));
	assert_int_equal(nv_uuid_time("0190a6f0-5c3b-7abc-8def-0123456789ab"), 0x0190a6f05c3b);
	assert_false(nv_uuid_valid("0190A6F0-5c3b-7abc-8def-0123456789ab"));
	assert_false(nv_uuid_valid("0190a6f0-5c3b-4abc-8def-0123456789ab"));
	assert_false(nv_uuid_valid("0190a6f0-5c3b-7abc-cdef-0123456789ab"));
	assert_false(nv_uuid_valid("0190a6f0-5c3b-7abc-8def-0123456789a"));
	assert_false(nv_uuid_valid("0190a6f0-5c3b-7abc-8def-0123456789abc"));
	assert_false(nv_uuid_valid("0190a6f05c3b-7abc-8def-0123456789ab--"));
	assert_false(nv_uuid_valid(""));
	assert_false(nv_uuid_valid(NULL));
}

static void names_fit_queue_names_and_paths(void **state)
{
	static const char *const bad[] = {"",	 "-a",	"a.b", "A",  "a/b", "a b", "caf\xc3\xa9",
					  "a\n", "a_b", "a*",  "a#", ".."};
	char name[] = "a123456789b123456789c123456789d12x";
	char one[NV_TOKEN_SIZE];
	char two[NV_TOKEN_SIZE];

	(void)state;
	assert_true(nv_name_valid("a"));
	assert_true(nv_name_valid("2026-site"));
	for (size_t i = 0; i < NV_ARRAY_LEN(bad); i++)
		assert_false(nv_name_valid(bad[i]));
	assert_false(nv_name_valid(NULL));
	name[33] = 0;
	assert_false(nv_name_valid(name));
	name[32] = 0;
	assert_true(nv_name_valid(name));
	nv_token_new(one);
	nv_token_new(two);
	assert_int_equal(strlen(one), 32);
	assert_string_not_equal(one, two);
}

static void times_are_iso_in_utc(void **state)
{
	char text[25];

	(void)state;
	nv_time_iso(1795367280123, text);
	assert_string_equal(text, "2026-11-22T17:08:00.123Z");
	nv_time_iso(0, text);
	assert_string_equal(text, "1970-01-01T00:00:00.000Z");
	nv_time_iso(UINT64_MAX, text);
	assert_string_equal(text, "9999-12-31T23:59:59.999Z");
	assert_true(nv_mono_ms() <= nv_mono_ms());
}

/* window */

static uint64_t utc(int year, int month, int day, int hour, int minute)
{
	struct tm tm = {.tm_year = year - 1900,
			.tm_mon = month - 1,
			.tm_mday = day,
			.tm_hour = hour,
			.tm_min = minute};

	return (uint64_t)timegm(&tm) * 1000;
}

#define MINUTES 60000ull

static void a_window_is_two_times_of_day(void **state)
{
	static const char *const bad[] = {"",
					  "20:00",
					  "20:00-6:00",
					  "25:00-06:00",
					  "20:60-06:00",
					  "20:00 06:00",
					  "20:00-06:00 ",
					  "24:01-06:00"};
	struct nv_window w = {0};

	(void)state;
	assert_int_equal(nv_window_parse("20:00-06:30", &w), 0);
	assert_true(w.set);
	assert_int_equal(w.from, 1200);
	assert_int_equal(w.to, 390);
	assert_int_equal(nv_window_parse("12:00-24:00", &w), 0);
	assert_int_equal(w.to, 0);
	for (size_t i = 0; i < NV_ARRAY_LEN(bad); i++)
		assert_int_equal(nv_window_parse(bad[i], &w), -1);
}

static void expect_window(const struct nv_window *w, uint64_t now, bool open, uint64_t change)
{
	uint64_t got;

	assert_int_equal(nv_window_open(w, now, &got), open);
	assert_int_equal(got, change);
	assert_int_equal(nv_window_open(w, now, NULL), open);
}

static void a_window_without_bounds_is_always_open(void **state)
{
	struct nv_window w = {0};

	(void)state;
	expect_window(&w, 0, true, UINT64_MAX);
	assert_int_equal(nv_window_parse("07:00-07:00", &w), 0);
	expect_window(&w, 0, true, UINT64_MAX);
	assert_int_equal(nv_window_parse("00:00-24:00", &w), 0);
	expect_window(&w, 0, true, UINT64_MAX);
}

static void a_window_reaches_over_midnight(void **state)
{
	struct nv_window w;

	(void)state;
	assert_int_equal(nv_window_parse("20:00-06:00", &w), 0);
	w.zone = "UTC";
	expect_window(&w, utc(2026, 6, 1, 19, 59), false, 1 * MINUTES);
	expect_window(&w, utc(2026, 6, 1, 20, 0), true, 600 * MINUTES);
	expect_window(&w, utc(2026, 6, 2, 0, 0), true, 360 * MINUTES);
	expect_window(&w, utc(2026, 6, 2, 5, 59) + 30000, true, 30000);
	expect_window(&w, utc(2026, 6, 2, 6, 0), false, 840 * MINUTES);
	assert_int_equal(nv_window_parse("08:00-12:00", &w), 0);
	w.zone = "UTC";
	expect_window(&w, utc(2026, 6, 1, 7, 0), false, 60 * MINUTES);
	expect_window(&w, utc(2026, 6, 1, 8, 0), true, 240 * MINUTES);
	expect_window(&w, utc(2026, 6, 1, 12, 0), false, 1200 * MINUTES);
}

static void a_window_follows_the_clock_where_it_is_put_forward_or_back(void **state)
{
	struct nv_window w;

	(void)state;
	setenv("TZ", "America/New_York", 1);
	assert_int_equal(nv_window_parse("20:00-06:00", &w), 0);
	w.zone = "Europe/Paris";
	/* 29 March 2026, 02:00 becomes 03:00: the night has nine hours instead of ten. */
	expect_window(&w, utc(2026, 3, 28, 19, 0), true, 540 * MINUTES);
	/* 25 October 2026, 03:00 becomes 02:00: eleven. */
	expect_window(&w, utc(2026, 10, 24, 18, 0), true, 660 * MINUTES);
	/* A window inside the hour that is missing does not open that day. */
	assert_int_equal(nv_window_parse("02:10-02:50", &w), 0);
	w.zone = "Europe/Paris";
	expect_window(&w, utc(2026, 3, 28, 2, 0), false, (46 * 60 + 10) * MINUTES);
	/* Inside the hour that comes twice it opens twice. */
	expect_window(&w, utc(2026, 10, 25, 0, 10), true, 40 * MINUTES);
	expect_window(&w, utc(2026, 10, 25, 0, 50), false, 20 * MINUTES);
	expect_window(&w, utc(2026, 10, 25, 1, 10), true, 40 * MINUTES);
	assert_string_equal(getenv("TZ"), "America/New_York");
	unsetenv("TZ");
	expect_window(&w, utc(2026, 10, 25, 0, 50), false, 20 * MINUTES);
	assert_null(getenv("TZ"));
}

/* fs */

static char *in_folder(const char *name)
{
	static char path[512];

	(void)snprintf(path, sizeof path, "%s/%s", folder, name);
	return path;
}

static void paths_that_could_lead_elsewhere_are_not_safe(void **state)
{
	static const char *const good[] = {"a",	     "a/b",	      "...",
					   ".a/..b", "files/3f/3f00", "caf\xc3\xa9"};
	static const char *const bad[] = {"",	   "/",	   "/a",   "a/",     "a//b",
					  ".",	   "..",   "../a", "a/../b", "a/..",
					  "a/./b", "a\\b", "a\nb", "a\x7f"};
	char path[1026];

	(void)state;
	for (size_t i = 0; i < NV_ARRAY_LEN(good); i++)
		assert_true(nv_path_is_safe(good[i]));
	for (size_t i = 0; i < NV_ARRAY_LEN(bad); i++)
		assert_false(nv_path_is_safe(bad[i]));
	assert_false(nv_path_is_safe(NULL));
	memset(path, 'x', sizeof path);
	path[256] = 0;
	assert_false(nv_path_is_safe(path));
	path[255] = 0;
	assert_true(nv_path_is_safe(path));
	for (size_t i = 0; i < sizeof path; i++)
		path[i] = i % 2 ? '/' : 'x';
	path[1025] = 0;
	assert_false(nv_path_is_safe(path));
	path[1023] = 0;
	assert_true(nv_path_is_safe(path));
}

static void a_file_is_replaced_whole_and_leaves_no_temporary(void **state)
{
	nv_auto_buf struct nv_buf b = {0};
	char path[256];
	struct nv_err err;
	struct stat st;
	int entries = 0;
	DIR *dir;

	(void)state;
	assert_int_equal(nv_mkdir_p(in_folder("w/x//y/"), 0750, &err), 0);
	assert_int_equal(nv_mkdir_p(in_folder("w/x/y"), 0750, &err), 0);
	(void)snprintf(path, sizeof path, "%s", in_folder("w/x/y/f"));
	assert_int_equal(nv_write_file(path, "old", 3, 0600, &err), 0);
	umask(077);
	assert_int_equal(nv_write_file(path, "newer", 5, 0644, &err), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0644);
	assert_int_equal(nv_read_file(path, 5, &b, &err), 0);
	assert_string_equal((char *)b.data, "newer");
	assert_int_equal(nv_read_file(path, 4, &b, &err), -1);
	assert_int_equal(err.kind, NV_REJECT);
	/* What cannot be renamed leaves the old content and nothing beside it. */
	assert_int_equal(nv_write_file(in_folder("w/x"), "z", 1, 0600, &err), -1);
	dir = opendir(in_folder("w"));
	assert_non_null(dir);
	while (readdir(dir))
		entries++;
	closedir(dir);
	assert_int_equal(entries, 3); /* ".", "..", "x" */
	assert_int_equal(nv_read_file(in_folder("none"), 5, &b, &err), -1);
	assert_int_equal(err.code, ENOENT);
}

static void a_tree_is_removed_and_links_are_not_followed(void **state)
{
	struct nv_err err;

	(void)state;
	assert_int_equal(nv_mkdir_p(in_folder("kept"), 0700, &err), 0);
	assert_int_equal(nv_write_file(in_folder("kept/f"), "x", 1, 0600, &err), 0);
	assert_int_equal(nv_mkdir_p(in_folder("t/a/b/c"), 0700, &err), 0);
	assert_int_equal(nv_write_file(in_folder("t/a/f"), "x", 1, 0400, &err), 0);
	assert_int_equal(symlink("../kept", in_folder("t/link")), 0);
	assert_int_equal(nv_remove_tree(in_folder("t"), &err), 0);
	assert_int_equal(access(in_folder("t"), F_OK), -1);
	assert_int_equal(access(in_folder("kept/f"), F_OK), 0);
	assert_int_equal(nv_remove_tree(in_folder("t"), &err), 0);
	assert_int_equal(symlink("kept", in_folder("link")), 0);
	assert_int_equal(nv_remove_tree(in_folder("link"), &err), 0);
	assert_int_equal(access(in_folder("kept/f"), F_OK), 0);
}

static void a_lock_has_one_holder_until_it_is_closed(void **state)
{
	struct nv_err err;
	uint64_t bytes;
	int one;
	int two;

	(void)state;
	assert_int_equal(nv_lock_file(in_folder("lock"), false, &one, &err), 0);
	assert_int_equal(nv_lock_file(in_folder("lock"), false, &two, &err), -1);
	assert_int_equal(err.kind, NV_HOLD);
	assert_int_equal(err.reason, NV_R_busy);
	assert_int_equal(two, -1);
	close(one);
	assert_int_equal(nv_lock_file(in_folder("lock"), true, &two, &err), 0);
	close(two);
	assert_int_equal(nv_disk_free(folder, &bytes, &err), 0);
	assert_true(bytes > 0);
	assert_int_equal(nv_disk_free(in_folder("none"), &bytes, &err), -1);
	assert_int_equal(nv_disk_look(folder, &err), 0);
	assert_int_equal(nv_disk_look(in_folder("none"), &err), 0); /* it will be made */
	assert_int_equal(nv_disk_look(in_folder("lock"), &err), -1);
	assert_int_equal(err.kind, NV_HOLD);
	assert_int_equal(err.reason, NV_R_io);
}

/* log */

static char *log_into(int fds[2])
{
	static char text[4096];
	ssize_t n = read(fds[0], text, sizeof text - 1);

	assert_true(n >= 0);
	text[n] = 0;
	return text;
}

static void whatever_is_logged_is_one_line(void **state)
{
	struct nv_err err;
	int fds[2];
	char *line;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	nv_log_init("test", NV_INFO);
	nv_log_set_fd(fds[1]);
	nv_fail(&err, NV_RETRY, NV_R_store_full, "put \"x\"");
	err.code = 507;
	NV_LOG(NV_DEBUG, "not.shown", NV_U("n", 1));
	NV_LOG(NV_WARN, "export.failed", NV_S("req", "a-1"), NV_S("none", NULL), NV_U("n", 2),
	       NV_I("i", -3), NV_D("d", 0.5), NV_B("b", true), NV_E(&err),
	       NV_S("evil", "x\nts=forged level=\"\\\x1b[2J\xff\xc2\x9b"), NV_S("empty", ""),
	       NV_S("word", "caf\xc3\xa9"));
	line = log_into(fds);
	assert_memory_equal(line, "ts=20", 5);
	assert_int_equal(line[27], ' ');
	assert_string_equal(
		line + 28,
		"level=warn svc=test event=export.failed req=a-1 n=2 i=-3 d=0.5 b=yes "
		"kind=retry reason=store_full code=507 err=\"put \\\"x\\\"\" "
		"evil=\"x\\nts=forged level=\\\"\\\\\\x1b[2J\\xff\\xc2\\x9b\" empty=\"\" "
		"word=caf\xc3\xa9\n");
	nv_log_set_level(NV_DEBUG);
	NV_LOG0(NV_DEBUG, "shown");
	assert_non_null(strstr(log_into(fds), "event=shown\n"));
	nv_log_set_fd(2);
	nv_log_init("test", NV_INFO);
	close(fds[0]);
	close(fds[1]);
}

/* metrics */

static void metrics_are_in_prometheus_text_format(void **state)
{
	nv_auto_buf struct nv_buf out = {0};
	struct nv_metric *c = nv_counter("navette_jobs_total", "Jobs \\ by\nresult.", "result");
	struct nv_metric *g = nv_gauge("navette_slots", "Slots.", NULL);
	struct nv_metric *h = nv_histogram("navette_job_seconds", "Time.", "step");

	(void)state;
	assert_ptr_equal(nv_gauge("navette_slots", "Slots.", NULL), g);
	nv_metric_add(c, "ok", 1);
	nv_metric_add(c, "ok", 2);
	nv_metric_add(c, "a\"b\\c\nd", 1);
	nv_metric_observe(h, "fetch", 0.2);
	nv_metric_observe(h, "fetch", 1000);
	nv_metric_add(NULL, NULL, 1);
	nv_metrics_write(&out);
	assert_non_null(strstr((char *)out.data,
			       "# HELP navette_jobs_total Jobs \\\\ by\\nresult.\n"
			       "# TYPE navette_jobs_total counter\n"
			       "navette_jobs_total{result=\"ok\"} 3\n"
			       "navette_jobs_total{result=\"a\\\"b\\\\c\\nd\"} 1\n"
			       "# HELP navette_slots Slots.\n"
			       "# TYPE navette_slots gauge\n"
			       "navette_slots 0\n"
			       "# HELP navette_job_seconds Time.\n"
			       "# TYPE navette_job_seconds histogram\n"
			       "navette_job_seconds_bucket{step=\"fetch\",le=\"0.005\"} 0\n"));
	assert_non_null(strstr((char *)out.data, "le=\"0.1\"} 0\n"));
	assert_non_null(strstr((char *)out.data, "le=\"0.25\"} 1\n"));
	assert_non_null(strstr((char *)out.data,
			       "le=\"600\"} 1\n"
			       "navette_job_seconds_bucket{step=\"fetch\",le=\"+Inf\"} 2\n"
			       "navette_job_seconds_sum{step=\"fetch\"} 1000.2\n"
			       "navette_job_seconds_count{step=\"fetch\"} 2\n"));
	nv_metrics_fini();
}

static void too_many_values_count_under_other(void **state)
{
	nv_auto_buf struct nv_buf out = {0};
	struct nv_metric *c = nv_counter("navette_x_total", "X.", "who");
	char value[16];

	(void)state;
	for (int i = 0; i < 100; i++) {
		(void)snprintf(value, sizeof value, "v%d", i);
		nv_metric_add(c, value, 1);
	}
	nv_metric_set(c, "v3", 7);
	nv_metrics_write(&out);
	assert_non_null(strstr((char *)out.data, "{who=\"v63\"} 1\n"));
	assert_null(strstr((char *)out.data, "v64"));
	assert_non_null(strstr((char *)out.data, "{who=\"other\"} 36\n"));
	assert_non_null(strstr((char *)out.data, "{who=\"v3\"} 7\n"));
	nv_metrics_fini();
}

/* fault */

#ifdef NAVETTE_FAULTS
static int run_fault(const char *setting, const char *once)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		setenv("NAVETTE_FAULT", setting, 1);
		if (once)
			setenv("NAVETTE_FAULT_ONCE", once, 1);
		nv_fault("here");
		_exit(0);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	if (WIFSTOPPED(status)) {
		kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
		return WSTOPSIG(status);
	}
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void a_fault_point_acts_where_it_is_named_and_only_once_if_asked(void **state)
{
	(void)state;
	assert_int_equal(run_fault("elsewhere", NULL), 0);
	assert_int_equal(run_fault("here.not", NULL), 0);
	assert_int_equal(run_fault("here", NULL), SIGKILL);
	assert_int_equal(run_fault("here:kill", NULL), SIGKILL);
	assert_int_equal(run_fault("here:stop", NULL), SIGSTOP);
	assert_int_equal(run_fault("here", in_folder("once")), SIGKILL);
	assert_int_equal(run_fault("here", in_folder("once")), 0);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_reason_has_a_word_that_leads_back),
		cmocka_unit_test(an_error_is_one_line_and_may_be_wrapped),
		cmocka_unit_test(a_long_message_is_not_cut_inside_a_character),
		cmocka_unit_test(errno_decides_what_is_passing),
		cmocka_unit_test(descriptors_are_had_as_far_as_the_hard_limit_allows),
		cmocka_unit_test(the_arena_gives_zeroed_aligned_room_of_any_size),
		cmocka_unit_test(a_buffer_is_always_terminated),
		cmocka_unit_test(a_bounded_buffer_takes_all_of_it_or_nothing),
		cmocka_unit_test(hashes_are_those_of_the_standards),
		cmocka_unit_test(unhex_takes_exactly_the_length_in_lower_case),
		cmocka_unit_test(uuids_are_valid_ordered_and_unique_across_threads),
		cmocka_unit_test(only_the_lower_case_form_of_version_7_is_a_uuid),
		cmocka_unit_test(names_fit_queue_names_and_paths),
		cmocka_unit_test(times_are_iso_in_utc),
		cmocka_unit_test(a_window_is_two_times_of_day),
		cmocka_unit_test(a_window_without_bounds_is_always_open),
		cmocka_unit_test(a_window_reaches_over_midnight),
		cmocka_unit_test(a_window_follows_the_clock_where_it_is_put_forward_or_back),
		cmocka_unit_test(paths_that_could_lead_elsewhere_are_not_safe),
		cmocka_unit_test(a_file_is_replaced_whole_and_leaves_no_temporary),
		cmocka_unit_test(a_tree_is_removed_and_links_are_not_followed),
		cmocka_unit_test(a_lock_has_one_holder_until_it_is_closed),
		cmocka_unit_test(whatever_is_logged_is_one_line),
		cmocka_unit_test(metrics_are_in_prometheus_text_format),
		cmocka_unit_test(too_many_values_count_under_other),
#ifdef NAVETTE_FAULTS
		cmocka_unit_test(a_fault_point_acts_where_it_is_named_and_only_once_if_asked),
#endif
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
