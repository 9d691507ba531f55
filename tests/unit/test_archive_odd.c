/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Archives as other packers and older Moodles leave them: Moodle restores them, so they are read.
 */
#include "tests/unit/test_archive.h"

#include <locale.h>
#include <string.h>

#include "base/fs.h"

#define BACKUP                                                              \
	"<moodle_backup><information><moodle_version>%s</moodle_version>%s" \
	"<original_course_id>7</original_course_id>"                        \
	"<original_course_fullname>Seven</original_course_fullname>"        \
	"<original_course_shortname>C7</original_course_shortname>"         \
	"</information></moodle_backup>"

/* What came out: a line for each entry. */
static int list_entry(void *ctx, const struct nv_entry *entry, const struct nv_source *from,
		      struct nv_err *err)
{
	uint8_t buf[4096];
	ssize_t n = from ? 1 : 0;
	nv_buf_printf(ctx, "%s\n", entry->path);
	while (n > 0)
		n = from->read_cb(from->ctx, buf, sizeof buf, err);
	return (int)n;
}

static void keep_line(void *arg, enum nv_level level, const char *text)
{
	(void)level;
	nv_buf_printf(arg, "%s\n", text);
}

/* log: NULL, or a part of what the request's log must say. */
static void assert_entries(const char *path, const char *entries, const char *log)
{
	nv_auto_buf struct nv_buf seen = {0};
	nv_auto_buf struct nv_buf said = {0};
	struct nv_sink to = {.entry_cb = list_entry, .ctx = &seen};
	struct nv_job job = {.log_cb = keep_line, .arg = &said};
	struct nv_err err = {0};
	nv_buf_puts(&said, "");
	if (nv_mbz_read(path, &wide_limits, &to, &job, &err) < 0)
		fail_msg("%s", err.msg);
	assert_string_equal((const char *)seen.data, entries);
	if (log)
		assert_non_null(strstr((const char *)said.data, log));
	else
		assert_string_equal((const char *)said.data, "");
}

static void an_index_of_other_entries_is_passed_over(void **state)
{
	(void)state;
	const unsigned counts[] = {1, 3, 600};
	for (size_t i = 0; i < NV_ARRAY_LEN(counts); i++) {
		struct maker m;
		char index[128];
		int len = snprintf(index, sizeof index,
				   "Moodle archive file index. Count: %u\na\tf\t1\t?\n", counts[i]);
		make_begin(&m, "index.tgz", false);
		make_add(&m, ".ARCHIVE_INDEX", AE_IFREG, NULL, index, (size_t)len);
		make_add(&m, "a", AE_IFREG, NULL, "x", 1);
		make_end(&m);
		assert_entries(m.path, "a\n", counts[i] == 1 ? NULL : "packed again");
		free(m.path);
	}
}

/* `tar czf x.mbz ./ .ARCHIVE_INDEX` makes the second index a link to the first. */
static void links_are_left_out_wherever_they_point(void **state)
{
	(void)state;
	const char *index = "Moodle archive file index. Count: 2\na\tf\t1\t?\n";
	struct maker m;
	make_begin(&m, "links.tgz", false);
	make_add(&m, "./.ARCHIVE_INDEX", AE_IFREG, NULL, index, strlen(index));
	make_add(&m, "./a", AE_IFREG, NULL, "x", 1);
	make_add(&m, ".ARCHIVE_INDEX", AE_IFREG, "=./.ARCHIVE_INDEX", NULL, 0);
	make_add(&m, "hard", AE_IFREG, "=a", NULL, 0);
	make_add(&m, "out", AE_IFREG, "=/etc/passwd", NULL, 0);
	make_add(&m, "../up", AE_IFLNK, "/etc/passwd", NULL, 0);
	make_add(&m, "files", AE_IFLNK, "/etc", NULL, 0);
	make_add(&m, "files/passwd", AE_IFREG, NULL, "y", 1);
	make_end(&m);
	assert_entries(m.path, "a\nfiles/passwd\n",
		       "left out, as Moodle does: 5, the first is .ARCHIVE_INDEX\n");
	free(m.path);

	make_begin(&m, "links.zip", true);
	make_add(&m, "a", AE_IFREG, NULL, "x", 1);
	make_add(&m, "soft", AE_IFLNK, "/etc/passwd", NULL, 0);
	make_end(&m);
	assert_entries(m.path, "a\n", "left out, as Moodle does: 1, the first is soft\n");
	free(m.path);
}

static void links_count_against_the_limit_of_entries(void **state)
{
	(void)state;
	struct nv_archive_limits few = wide_limits;
	struct maker m;
	struct nv_err err = {0};
	make_begin(&m, "links.tgz", false);
	make_add(&m, "a", AE_IFREG, NULL, "x", 1);
	for (int i = 0; i < 20; i++)
		make_add(&m, "soft", AE_IFLNK, "a", NULL, 0);
	make_end(&m);
	few.max_entries = 20;
	assert_int_equal(read_discarding(m.path, &few, &err), -1);
	assert_int_equal(err.reason, NV_R_archive_too_large);
	few.max_entries = 21;
	if (read_discarding(m.path, &few, &err) < 0)
		fail_msg("%s", err.msg);
	free(m.path);
}

static void names_of_other_scripts_survive(void **state)
{
	(void)state;
	const char *name = "course/\xc3\xa9t\xc3\xa9-\xe6\x97\xa5\xe6\x9c\xac.xml";
	nv_auto_free char *want = nv_asprintf("%s\n", name);
	for (int zip = 0; zip < 2; zip++) {
		struct maker m;
		nv_auto_free char *was = nv_strdup(setlocale(LC_CTYPE, NULL));
		setlocale(LC_CTYPE, "C.UTF-8"); /* libarchive then marks a zip's names as UTF-8 */
		make_begin(&m, "names", zip);
		make_add(&m, name, AE_IFREG, NULL, "x", 1);
		make_end(&m);
		setlocale(LC_CTYPE, was);
		assert_entries(m.path, want, NULL);
		free(m.path);
	}
}

static void names_that_are_not_utf_8_become_it(void **state)
{
	(void)state;
	struct maker m;
	struct nv_err err = {0};
	make_begin(&m, "names.tgz", false);
	make_add(&m, "course/\xe9t\xe9.txt", AE_IFREG, NULL, "x", 1);
	make_add(&m, "\x80 \x9cuf", AE_IFREG, NULL, "x", 1); /* Windows' euro sign and oe */
	make_end(&m);
	assert_entries(m.path, "course/\xc3\xa9t\xc3\xa9.txt\n\xe2\x82\xac \xc5\x93uf\n", NULL);
	free(m.path);

	make_begin(&m, "names.tgz", false);
	make_add(&m, "course/a\x81.txt", AE_IFREG, NULL, "x", 1); /* no character anywhere */
	make_end(&m);
	assert_int_equal(read_discarding(m.path, &wide_limits, &err), -1);
	assert_int_equal(err.reason, NV_R_archive_unsafe);
	assert_non_null(strstr(err.msg, "names.tgz: the entry name \"course/a?.txt\" is neither"));
	free(m.path);
}

static void inspect(const char *version, const char *more, struct nv_mbz_info *info)
{
	struct maker m;
	struct nv_err err = {0};
	nv_auto_free char *xml = nv_asprintf(BACKUP, version, more);
	make_begin(&m, "old.tgz", false);
	make_add(&m, "moodle_backup.xml", AE_IFREG, NULL, xml, strlen(xml));
	make_end(&m);
	if (nv_mbz_inspect(m.path, &wide_limits, NULL, info, &err) < 0)
		fail_msg("%s", err.msg);
	free(m.path);
}

static void a_backup_that_does_not_say_so_has_its_files(void **state)
{
	(void)state;
	struct nv_mbz_info info;
	inspect("2012120300", "", &info);
	assert_true(info.files);
	nv_mbz_info_fini(&info);
	inspect("2013111800", "<include_files>1</include_files>", &info);
	assert_true(info.files);
	nv_mbz_info_fini(&info);
	inspect("2013111800", "<include_files>0</include_files>", &info);
	assert_false(info.files);
	nv_mbz_info_fini(&info);
}

static void a_version_that_can_be_none_is_not_known(void **state)
{
	(void)state;
	const char *none[] = {"",	    "0",	   "99999999999999999999999999999999",
			      "9999999999", "-2024100705", "2024100705x",
			      "202410070",  "20241007051", "2024100705.000000000000000000000000"};
	for (size_t i = 0; i < NV_ARRAY_LEN(none); i++)
		assert_int_equal(nv_moodle_version(none[i]), 0);
	assert_int_equal(nv_moodle_version(NULL), 0);
	assert_int_equal(nv_moodle_version("2024100705.01"), 2024100705u);
	assert_int_equal(nv_moodle_version("2007101500"), 2007101500u);
	struct nv_mbz_info info;
	inspect("99999999999999999999999999999999", "", &info);
	nv_mbz_info_fini(&info);
}

/* A longer one could not be told to the client: the messages have 100 bytes for "mod_" and it. */
static void a_module_whose_name_fits_no_message_is_not_named(void **state)
{
	(void)state;
	struct nv_mbz_info info;
	char fits[97] = "", longer[98] = "";
	memset(fits, 'a', sizeof fits - 1);
	memset(longer, 'b', sizeof longer - 1);
	nv_auto_free char *more = nv_asprintf(
		"<contents><activities><activity><modulename>%s</modulename></activity>"
		"<activity><modulename>%s</modulename></activity></activities></contents>",
		fits, longer);
	inspect("2024100705", more, &info);
	assert_int_equal(info.plugins.len, 1);
	assert_int_equal(strlen(info.plugins.items[0]), 100);
	assert_string_equal(info.plugins.items[0] + strlen("mod_"), fits);
	nv_mbz_info_fini(&info);
}

const struct CMUnitTest odd_tests[] = {
	cmocka_unit_test(an_index_of_other_entries_is_passed_over),
	cmocka_unit_test(links_are_left_out_wherever_they_point),
	cmocka_unit_test(links_count_against_the_limit_of_entries),
	cmocka_unit_test(names_of_other_scripts_survive),
	cmocka_unit_test(names_that_are_not_utf_8_become_it),
	cmocka_unit_test(a_backup_that_does_not_say_so_has_its_files),
	cmocka_unit_test(a_module_whose_name_fits_no_message_is_not_named),
	cmocka_unit_test(a_version_that_can_be_none_is_not_known),
};
const size_t odd_tests_len = NV_ARRAY_LEN(odd_tests);
