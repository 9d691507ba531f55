/* SPDX-License-Identifier: GPL-3.0-or-later */
/* JSON from others: what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/mem.h"

static bool parses(const char *text, size_t len)
{
	json_error_t wrong = {0};
	json_t *o = nv_json_parse(text, len, &wrong);
	bool good = o != NULL;
	if (!good)
		assert_true(wrong.text[0]);
	json_decref(o);
	return good;
}

static void what_is_no_strict_json_is_refused(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		size_t len;
	} cases[] = {
		{"{\"a\":1,\"a\":2}", 13}, /* which of them? */
		{"{\"a\":1}x", 8},
		{"{\"a\":1}\0", 8},
		{"\"\\u0000\"", 8},
		{"\"a\0b\"", 5},
		{"\"\xff\"", 3},
		{"\"\xc0\x80\"", 4},
		{"\"\xed\xa0\x80\"", 5},
		{"\"\\ud800\"", 8},
		{"[1e999]", 7},
		{"[NaN]", 5},
		{"[1,]", 4},
		{"\xef\xbb\xbf{}", 5},
		{"[99999999999999999999]", 22},
	};
	for (size_t i = 0; i < NV_ARRAY_LEN(cases); i++)
		if (parses(cases[i].text, cases[i].len))
			fail_msg("%s", cases[i].text);
	assert_false(parses(NULL, 0));
	assert_true(parses("{\"a\":1,\"b\":{\"a\":\"\xc3\xa9\"}}", 22));
	json_t *last = nv_json_parse_lax("{\"a\":1,\"a\":2}", 13, NULL);
	assert_int_equal(json_integer_value(json_object_get(last, "a")), 2);
	json_decref(last);
}

static void depth_is_bounded_before_anything_is_built(void **state)
{
	(void)state;
	nv_auto_buf struct nv_buf text = {0};
	for (unsigned i = 0; i < NV_JSON_DEPTH_MAX; i++)
		nv_buf_puts(&text, i % 2 ? "[" : "{\"[[[\\\"[[[\":");
	nv_buf_puts(&text, "1");
	for (unsigned i = NV_JSON_DEPTH_MAX; i > 0; i--)
		nv_buf_puts(&text, i % 2 ? "}" : "]");
	assert_true(parses((char *)text.data, text.len));
	nv_auto_buf struct nv_buf deep = {0};
	nv_buf_printf(&deep, "[%s]", text.data);
	assert_false(parses((char *)deep.data, deep.len));
	for (unsigned i = 0; i < 1000000; i++)
		nv_buf_puts(&deep, "[");
	assert_false(parses((char *)deep.data, deep.len));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_no_strict_json_is_refused),
		cmocka_unit_test(depth_is_bounded_before_anything_is_built),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
