/* SPDX-License-Identifier: GPL-3.0-or-later */
/* XML from others: what is refused, what is told, and that reading it ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/xml.h"

/* "a/b=text;a=;" of each element that ended. */
static bool tell(void *arg, const char *const *names, unsigned depth, const char *text)
{
	struct nv_buf *told = arg;
	for (unsigned i = 0; i < depth; i++)
		nv_buf_printf(told, "%s%s", i ? "/" : "", names[i]);
	nv_buf_printf(told, "=%s;", text);
	return false;
}

static bool tell_nothing(void *arg, const char *const *names, unsigned depth, const char *text)
{
	(void)arg;
	(void)names;
	(void)depth;
	(void)text;
	return false;
}

static void assert_told(const char *xml, const char *want)
{
	nv_auto_buf struct nv_buf told = {0};
	assert_int_equal(nv_xml_walk(xml, strlen(xml), tell, &told), NV_XML_READING);
	assert_string_equal(told.data, want);
	/* Byte by byte it is the same. */
	nv_auto_buf struct nv_buf again = {0};
	struct nv_xml *x = nv_xml_new(UINT64_MAX, tell, &again);
	for (size_t i = 0; i < strlen(xml); i++)
		assert_int_equal(nv_xml_feed(x, xml + i, 1), NV_XML_READING);
	assert_int_equal(nv_xml_end(x), NV_XML_READING);
	assert_string_equal(again.data, want);
	nv_xml_free(x);
}

static void elements_are_told_with_their_own_text(void **state)
{
	(void)state;
	assert_told("<a><b>x</b><c/></a>", "a/b=x;a/c=;a=;");
	assert_told("<?xml version=\"1.0\"?><a>one<!-- -->two<![CDATA[<&]]></a>", "a=onetwo<&;");
	assert_told("<a>&lt;&amp;&gt;&quot;&apos;&#233;&#x20AC;</a>", "a=<&>\"'é€;");
	assert_told("<D:a xmlns:D=\"DAV:\"><D:b>x</D:b></D:a>", "a/b=x;a=;");
	assert_told("<a xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><b>x</b></a>",
		    "a/b=x;a=;");
	assert_told("<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><a>é</a>", "a=é;");
}

static enum nv_xml_state walk(const char *xml)
{
	return nv_xml_walk(xml, strlen(xml), tell_nothing, NULL);
}

static void document_types_and_entities_are_refused(void **state)
{
	(void)state;
	static const char *const cases[] = {
		/* The first two kept a walk over libxml2's tree going for ever. */
		"<!DOCTYPE Error [<!ENTITY a SYSTEM \"file:///etc/passwd\">]>"
		"<Error><Code>&a;</Code></Error>",
		"<!DOCTYPE e [<!ENTITY a \"x\">]><Error><Message>&a;</Message><Code>z</Code>"
		"</Error>",
		"<!DOCTYPE a SYSTEM \"http://127.0.0.1:1/a.dtd\"><a/>",
		"<!DOCTYPE a PUBLIC \"x\" \"http://127.0.0.1:1/a.dtd\"><a/>",
		"<!DOCTYPE a><a/>",
		"<!DOCTYPE a [<!ENTITY % p \"x\"> %p; ]><a/>",
	};
	for (size_t i = 0; i < NV_ARRAY_LEN(cases); i++)
		assert_int_equal(walk(cases[i]), NV_XML_REFUSED);
	assert_int_equal(walk("<a>&b;</a>"), NV_XML_BROKEN);
}

static void what_is_not_well_formed_is_broken(void **state)
{
	(void)state;
	static const char *const cases[] = {"",
					    "x",
					    "<a>",
					    "<a></b>",
					    "<a/><b/>",
					    "<a>\xff</a>",
					    "<a>\x01</a>",
					    "<a b=c/>",
					    "<a>&#0;</a>",
					    "{\"json\": 1}",
					    "<a></a>x"};
	for (size_t i = 0; i < NV_ARRAY_LEN(cases); i++)
		if (walk(cases[i]) != NV_XML_BROKEN)
			fail_msg("%s", cases[i]);
	assert_int_equal(nv_xml_walk("<a>\0</a>", 8, tell_nothing, NULL), NV_XML_BROKEN);
}

static void depth_is_bounded(void **state)
{
	(void)state;
	nv_auto_buf struct nv_buf good = {0};
	nv_auto_buf struct nv_buf deep = {0};
	for (unsigned i = 0; i < NV_XML_DEPTH_MAX; i++)
		nv_buf_puts(&good, "<a>");
	for (unsigned i = 0; i < NV_XML_DEPTH_MAX; i++)
		nv_buf_puts(&good, "</a>");
	for (unsigned i = 0; i <= NV_XML_DEPTH_MAX; i++)
		nv_buf_puts(&deep, "<a>");
	assert_int_equal(nv_xml_walk(good.data, good.len, tell_nothing, NULL), NV_XML_READING);
	assert_int_equal(nv_xml_walk(deep.data, deep.len, tell_nothing, NULL), NV_XML_REFUSED);
}

static void size_is_bounded(void **state)
{
	(void)state;
	struct nv_xml *x = nv_xml_new(10, tell_nothing, NULL);
	assert_int_equal(nv_xml_feed(x, "<a>1234", 7), NV_XML_READING);
	assert_int_equal(nv_xml_feed(x, "</a>", 4), NV_XML_REFUSED);
	assert_string_equal(nv_xml_why(x), "is too large: refused");
	nv_xml_free(x);
}

/* libxml2 compares attributes each with each: 100,000 of them take seconds. */
static void long_tags_and_comments_are_refused(void **state)
{
	(void)state;
	nv_auto_buf struct nv_buf tag = {0};
	nv_auto_buf struct nv_buf comment = {0};
	nv_buf_puts(&tag, "<a");
	for (unsigned i = 0; i < 50000; i++)
		nv_buf_printf(&tag, " b%u=''", i);
	nv_buf_puts(&tag, "/>");
	nv_buf_puts(&comment, "<a><!--");
	for (unsigned i = 0; i < 10000; i++)
		nv_buf_puts(&comment, "0123456789");
	nv_buf_puts(&comment, "--></a>");
	assert_int_equal(nv_xml_walk(tag.data, tag.len, tell_nothing, NULL), NV_XML_REFUSED);
	assert_int_equal(nv_xml_walk(comment.data, comment.len, tell_nothing, NULL),
			 NV_XML_REFUSED);
}

static bool keep_text(void *arg, const char *const *names, unsigned depth, const char *text)
{
	(void)names;
	(void)depth;
	nv_buf_puts(arg, text);
	return false;
}

/* A page of a course may have 12 MB; what is told of it is cut between two characters. */
static void text_may_be_long_and_its_beginning_is_told(void **state)
{
	(void)state;
	nv_auto_buf struct nv_buf xml = {0};
	nv_auto_buf struct nv_buf told = {0};
	nv_buf_puts(&xml, "<a>x");
	while (xml.len < 12u << 20)
		nv_buf_puts(&xml, "éééééééééé");
	nv_buf_puts(&xml, "</a>");
	assert_int_equal(nv_xml_walk(xml.data, xml.len, keep_text, &told), NV_XML_READING);
	assert_true(told.len > NV_XML_TEXT_MAX - 2 && told.len <= NV_XML_TEXT_MAX);
	assert_int_equal(told.data[told.len - 1], (uint8_t) "é"[1]);
}

static bool enough(void *arg, const char *const *names, unsigned depth, const char *text)
{
	(void)names;
	(void)depth;
	(void)text;
	++*(int *)arg;
	return true;
}

static void a_callback_that_has_enough_is_not_asked_again(void **state)
{
	(void)state;
	int asked = 0;
	assert_int_equal(nv_xml_walk("<a><b/><b/><b/></a>", 19, enough, &asked), NV_XML_STOPPED);
	assert_int_equal(asked, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(elements_are_told_with_their_own_text),
		cmocka_unit_test(document_types_and_entities_are_refused),
		cmocka_unit_test(what_is_not_well_formed_is_broken),
		cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(size_is_bounded),
		cmocka_unit_test(long_tags_and_comments_are_refused),
		cmocka_unit_test(text_may_be_long_and_its_beginning_is_told),
		cmocka_unit_test(a_callback_that_has_enough_is_not_asked_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
