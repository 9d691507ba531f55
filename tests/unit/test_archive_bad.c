/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Archives that are refused: each with the reason that tells why. */
#include "tests/unit/test_archive.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"

static void assert_refused(const char *path, const struct nv_archive_limits *limits,
			   enum nv_reason reason)
{
	struct nv_err err = {0};
	int rc = read_discarding(path, limits, &err);
	if (rc == 0)
		fail_msg("%s was accepted, expected: %s", path, nv_reason_word(reason));
	if (err.reason != reason || err.kind != NV_REJECT)
		fail_msg("%s: %s, not %s: %s", path, nv_reason_word(err.reason),
			 nv_reason_word(reason), err.msg);
}

struct item {
	const char *path;
	unsigned type;
	const char *link;
};

/* An archive of those entries behind a good one. */
static void assert_entries_refused(const struct item *items, size_t len, bool zip)
{
	struct maker m;
	make_begin(&m, zip ? "bad.zip" : "bad.tgz", zip);
	make_add(&m, "good.xml", AE_IFREG, NULL, "x", 1);
	for (size_t i = 0; i < len; i++)
		make_add(&m, items[i].path, items[i].type, items[i].link, NULL, 0);
	make_end(&m);
	assert_refused(m.path, &wide_limits, NV_R_archive_unsafe);
	free(m.path);
}

static void names_that_leave_the_folder_are_refused(void **state)
{
	(void)state;
	const char *names[] = {"/etc/passwd", "../up", "a/../../up", "a/./b",	  "a//b", "a\\b",
			       "a\nb",	      "..",    "a/..",	     "././../up", "/"};
	for (size_t i = 0; i < NV_ARRAY_LEN(names); i++) {
		struct item item = {names[i], AE_IFREG, NULL};
		assert_entries_refused(&item, 1, false);
		/* In a zip libarchive takes a backslash for a '/', as its makers on Windows mean
		 * it. */
		if (!strchr(names[i], '\\'))
			assert_entries_refused(&item, 1, true);
	}
}

static void devices_are_refused(void **state)
{
	(void)state;
	const struct item items[] = {
		{"device", AE_IFCHR, NULL}, {"disk", AE_IFBLK, NULL}, {"pipe", AE_IFIFO, NULL}};
	for (size_t i = 0; i < NV_ARRAY_LEN(items); i++)
		assert_entries_refused(&items[i], 1, false);
}

static void entries_that_stand_twice_are_refused(void **state)
{
	(void)state;
	const struct item twice[] = {{"a", AE_IFREG, NULL}, {"a", AE_IFREG, NULL}};
	const struct item dotted[] = {{"a", AE_IFREG, NULL}, {"./a", AE_IFREG, NULL}};
	const struct item both[] = {{"a/", AE_IFDIR, NULL}, {"a", AE_IFREG, NULL}};
	const struct item below[] = {{"a", AE_IFREG, NULL}, {"a/b", AE_IFREG, NULL}};
	const struct item above[] = {{"a/b", AE_IFREG, NULL}, {"a", AE_IFREG, NULL}};
	for (int zip = 0; zip < 2; zip++) {
		assert_entries_refused(twice, 2, zip);
		assert_entries_refused(dotted, 2, zip);
		assert_entries_refused(both, 2, zip);
		assert_entries_refused(below, 2, zip);
		assert_entries_refused(above, 2, zip);
	}
}

static void bombs_are_refused(void **state)
{
	(void)state;
	const size_t size = 32u << 20;
	nv_auto_free uint8_t *zeros = nv_alloc(size);
	struct nv_archive_limits ratio = wide_limits;
	ratio.max_ratio = 200;
	struct nv_archive_limits bytes = wide_limits;
	bytes.max_bytes = size - 1;
	for (int zip = 0; zip < 2; zip++) {
		struct maker m;
		struct nv_err err = {0};
		make_begin(&m, "bomb", zip);
		make_add(&m, "zeros", AE_IFREG, NULL, zeros, size);
		make_end(&m);
		assert_refused(m.path, &ratio, NV_R_archive_too_large);
		assert_refused(m.path, &bytes, NV_R_archive_too_large);
		ratio.max_ratio = 2000;
		if (read_discarding(m.path, &ratio, &err) < 0)
			fail_msg("%s", err.msg);
		ratio.max_ratio = 200;
		free(m.path);
	}
}

static void too_many_entries_are_refused(void **state)
{
	(void)state;
	struct nv_archive_limits few = wide_limits;
	struct maker m;
	struct nv_err err = {0};
	make_begin(&m, "many.tgz", false);
	for (int i = 0; i < 1000; i++) {
		char name[32];
		(void)snprintf(name, sizeof name, "d%d/f%d", i / 10, i);
		make_add(&m, name, AE_IFREG, NULL, "x", 1);
	}
	make_end(&m);
	few.max_entries = 999;
	assert_refused(m.path, &few, NV_R_archive_too_large);
	few.max_entries = 1000;
	assert_int_equal(read_discarding(m.path, &few, &err), 0);
	free(m.path);
}

static void write_copy(const char *path, const struct nv_buf *b, size_t len)
{
	struct nv_err err = {0};
	assert_int_equal(nv_write_file(path, b->data, len, 0600, &err), 0);
}

static void assert_said_to_be_cut_off(const char *path)
{
	struct nv_err err = {0};
	assert_int_equal(read_discarding(path, &wide_limits, &err), -1);
	if (!strstr(err.msg, "it is cut off"))
		fail_msg("%s", err.msg);
}

static void cut_off_files_are_refused(void **state)
{
	(void)state;
	nv_auto_free char *copy = in_dir("cut.mbz");
	const char *names[] = {"xs-nousers.tgz.mbz", "xs-users.zip.mbz"};
	for (size_t k = 0; k < NV_ARRAY_LEN(names); k++) {
		nv_auto_free char *path = sample(names[k]);
		nv_auto_buf struct nv_buf b = {0};
		struct nv_err err = {0};
		assert_int_equal(nv_read_file(path, 1u << 24, &b, &err), 0);
		for (size_t len = 0; len < b.len; len += b.len / 23) {
			write_copy(copy, &b, len);
			assert_refused(copy, &wide_limits, NV_R_archive_corrupt);
			if (len > 4)
				assert_said_to_be_cut_off(copy);
		}
		for (size_t less = 1; less < 12; less++) {
			write_copy(copy, &b, b.len - less);
			assert_refused(copy, &wide_limits, NV_R_archive_corrupt);
		}
	}
}

/* A bit flipped anywhere in the contents: the CRC of gzip, or of the zip's entry, tells. */
static void flipped_bits_are_refused(void **state)
{
	(void)state;
	nv_auto_free char *copy = in_dir("flipped.mbz");
	nv_auto_free char *path = sample("files.tgz.mbz");
	nv_auto_buf struct nv_buf b = {0};
	struct nv_err err = {0};
	assert_int_equal(nv_read_file(path, 1u << 24, &b, &err), 0);
	for (size_t at = 200000; at < b.len; at += 150000) {
		b.data[at] ^= 1;
		write_copy(copy, &b, b.len);
		assert_refused(copy, &wide_limits, NV_R_archive_corrupt);
		b.data[at] ^= 1;
	}
	b.data[b.len - 6] ^= 1; /* the CRC itself */
	write_copy(copy, &b, b.len);
	assert_refused(copy, &wide_limits, NV_R_archive_corrupt);

	struct maker m;
	uint8_t noise[5000];
	uint32_t r = 1;
	for (size_t i = 0; i < sizeof noise; i++) { /* xorshift: does not compress */
		r ^= r << 13;
		r ^= r >> 17;
		r ^= r << 5;
		noise[i] = (uint8_t)r;
	}
	make_begin(&m, "crc.zip", true);
	make_add(&m, "noise", AE_IFREG, NULL, noise, sizeof noise);
	make_end(&m);
	nv_auto_buf struct nv_buf z = {0};
	assert_int_equal(nv_read_file(m.path, 1u << 24, &z, &err), 0);
	assert_int_equal(read_discarding(m.path, &wide_limits, &err), 0);
	z.data[2000] ^= 1;
	write_copy(m.path, &z, z.len);
	assert_refused(m.path, &wide_limits, NV_R_archive_corrupt);
	free(m.path);
}

static void what_is_no_archive_is_refused(void **state)
{
	(void)state;
	nv_auto_free char *path = in_dir("garbage");
	const struct {
		const char *data;
		size_t len;
	} cases[] = {
		{"", 0},
		{"hello", 5},
		{"\x1f\x8b", 2},
		{"\x1f\x8b\x08garbage that is no deflate", 30},
		{"PK\3\4garbage that is no zip at all", 33},
		{"PK\5\6\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 22},
	};
	for (size_t i = 0; i < NV_ARRAY_LEN(cases); i++) {
		struct nv_err err = {0};
		assert_int_equal(nv_write_file(path, cases[i].data, cases[i].len, 0600, &err), 0);
		assert_refused(path, &wide_limits, NV_R_archive_corrupt);
	}
}

static void assert_not_a_backup(const char *xml, enum nv_reason reason)
{
	struct maker m;
	struct nv_mbz_info info;
	struct nv_err err = {0};
	make_begin(&m, "xml.tgz", false);
	make_add(&m, xml ? "moodle_backup.xml" : "other.xml", AE_IFREG, NULL, xml ? xml : "<a/>",
		 xml ? strlen(xml) : 4);
	make_end(&m);
	assert_int_equal(nv_mbz_inspect(m.path, &wide_limits, NULL, &info, &err), -1);
	assert_int_equal(err.kind, NV_REJECT);
	if (err.reason != reason)
		fail_msg("%s", err.msg);
	free(m.path);
}

static void what_is_no_backup_is_told(void **state)
{
	(void)state;
	assert_not_a_backup(NULL, NV_R_archive_corrupt);
	assert_not_a_backup("", NV_R_archive_corrupt);
	assert_not_a_backup("<moodle_backup><information>", NV_R_archive_corrupt);
	assert_not_a_backup("<moodle_backup/>", NV_R_archive_corrupt);
	assert_not_a_backup("<!DOCTYPE a SYSTEM \"http://127.0.0.1:1/x.dtd\"><moodle_backup/>",
			    NV_R_archive_unsafe);
	assert_not_a_backup("<!DOCTYPE m [<!ENTITY a SYSTEM \"file:///etc/passwd\">]>"
			    "<moodle_backup><information><original_course_shortname>&a;"
			    "</original_course_shortname></information></moodle_backup>",
			    NV_R_archive_unsafe);
}

const struct CMUnitTest bad_tests[] = {
	cmocka_unit_test(names_that_leave_the_folder_are_refused),
	cmocka_unit_test(devices_are_refused),
	cmocka_unit_test(entries_that_stand_twice_are_refused),
	cmocka_unit_test(bombs_are_refused),
	cmocka_unit_test(too_many_entries_are_refused),
	cmocka_unit_test(cut_off_files_are_refused),
	cmocka_unit_test(flipped_bits_are_refused),
	cmocka_unit_test(what_is_no_archive_is_refused),
	cmocka_unit_test(what_is_no_backup_is_told),
};
const size_t bad_tests_len = NV_ARRAY_LEN(bad_tests);
