/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Lists of requests as spreadsheets write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "producer/requests/csv.h"

static struct csv got;
static struct nv_err err;

static const char *read_text(const char *text, size_t len)
{
	static char *out;
	free(out);
	out = NULL;
	if (nv_csv_read(text, len, &got, &err) < 0) {
		assert_int_equal(err.code, 422);
		return err.msg;
	}
	out = json_dumps(got.requests, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(got.requests);
	return out;
}

static const char *read_csv(const char *text)
{
	return read_text(text, strlen(text));
}

#define ROW(site, course) "{\"course\":\"" course "\",\"site\":\"" site "\",\"source\":\"csv\"}"

static void every_separator_and_line_end_is_read(void **state)
{
	static const char *const texts[] = {
		"site,course\nold,7\nold,8\n",
		"site;course\r\nold;7\r\nold;8\r\n",
		"site\tcourse\rold\t7\rold\t8",
		"\xef\xbb\xbfsite;course\nold;7\n\n;\nold;8",
		" Site , COURSE \n old , 7 \n,\nold,8\n\n",
		"\"site\";\"course\"\n\"old\";\"7\"\n\"old\";8;;\n",
	};
	(void)state;
	for (size_t i = 0; i < NV_ARRAY_LEN(texts); i++)
		assert_string_equal(read_csv(texts[i]),
				    "[" ROW("old", "7") "," ROW("old", "8") "]");
}

static void quotes_hold_anything(void **state)
{
	(void)state;
	assert_string_equal(
		read_csv("site,course,user\nold,\"a, \"\"b\"\"\",\"two\nlines\"\nold,8,\n"),
		"[{\"course\":\"a, \\\"b\\\"\",\"site\":\"old\",\"source\":\"csv\",\"user\":"
		"\"two\\nlines\"}," ROW("old", "8") "]");
	assert_int_equal(got.lines[0], 2);
	assert_int_equal(got.lines[1], 4);
	assert_string_equal(read_csv("site,course\nold,7\nold,\"8\n9\n"),
			    "line 3: a quote is never closed");
	assert_string_equal(read_csv("site,course\nold,\"8\"9\n"),
			    "line 2: text after a closing quote");
	/* A quote within a cell is one. */
	assert_string_equal(read_csv("site,course\nold,7\"\n"), "[" ROW("old", "7\\\"") "]");
}

static void switches_are_told_in_words(void **state)
{
	(void)state;
	assert_string_equal(
		read_csv("site,course,user_data,now\no,1,YES,non\no,2,,\no,3,perhaps,1\n"),
		"[{\"course\":\"1\",\"now\":false,\"site\":\"o\",\"source\":\"csv\","
		"\"user_data\":true}," ROW("o", "2") ",{\"course\":\"3\",\"now\":true,\"site\":"
						     "\"o\",\"source\":\"csv\",\"user_"
						     "data\":\"perhaps\"}]");
}

static void a_bad_row_does_not_spoil_the_others(void **state)
{
	(void)state;
	assert_string_equal(
		read_csv("site,course\nold,7,8\nold,\xff\nold,8"),
		"[\"more cells than the first line has columns\",\"not UTF-8: save the list "
		"in that encoding\"," ROW("old", "8") "]");
	assert_int_equal(got.lines[2], 4);
}

static void what_is_no_list_is_refused(void **state)
{
	static const char nul[] = "site,course\no,7\0x";
	(void)state;
	assert_string_equal(read_csv(""),
			    "line 1: \"\" is no column; there are site, course, user, "
			    "keep_category, category, user_data, leave_out, enrolment and now");
	assert_string_equal(read_csv("site,course\n"), "there is no row");
	assert_string_equal(read_csv("site,user\no,a\n"),
			    "line 1: there must be the columns site and course");
	assert_string_equal(read_csv("site,course,site\no,a,b\n"), "line 1: duplicate column site");
	assert_non_null(strstr(read_csv("site,course,colour\n"), "\"colour\" is no column"));
	/* A NUL is a character that the field's reader refuses, not the end. */
	assert_non_null(strstr(read_text(nul, sizeof nul - 1), "\\u0000x"));
	struct nv_buf b = {0};
	nv_buf_puts(&b, "site,course\n");
	for (unsigned i = 0; i < CSV_ROWS_MAX; i++)
		nv_buf_puts(&b, "o,1\n");
	assert_int_equal(*read_text((const char *)b.data, b.len), '[');
	nv_buf_puts(&b, "o,1\n");
	assert_string_equal(read_text((const char *)b.data, b.len), "more than 1000 rows");
	nv_buf_fini(&b);
}

static int free_text(void **state)
{
	(void)state;
	read_csv("");
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_separator_and_line_end_is_read),
		cmocka_unit_test(quotes_hold_anything),
		cmocka_unit_test(switches_are_told_in_words),
		cmocka_unit_test(a_bad_row_does_not_spoil_the_others),
		cmocka_unit_test(what_is_no_list_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, free_text);
}
