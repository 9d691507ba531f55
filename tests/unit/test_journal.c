/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The log as entries of the journal; what would go there is caught on the way. */
#include "core/daemon/journal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/mem.h"

static struct nv_buf sent; /* the fields, each ended by a line of its own */

int __wrap_sd_journal_sendv(const struct iovec *parts, int len);
int __wrap_sd_journal_sendv(const struct iovec *parts, int len)
{
	for (int i = 0; i < len; i++) {
		nv_buf_put(&sent, parts[i].iov_base, parts[i].iov_len);
		nv_buf_puts(&sent, "\n--\n");
	}
	return 0;
}

static int stop(void **state)
{
	(void)state;
	nv_log_set_sink(NULL);
	nv_buf_fini(&sent);
	unsetenv("JOURNAL_STREAM");
	return 0;
}

static void stream_is(unsigned long long more)
{
	struct stat st;
	char text[64];
	assert_int_equal(fstat(2, &st), 0);
	snprintf(text, sizeof text, "%llu:%llu", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino + more);
	setenv("JOURNAL_STREAM", text, 1);
}

static void only_where_standard_error_is_the_journal(void **state)
{
	(void)state;
	assert_false(nv_journal_use());
	setenv("JOURNAL_STREAM", "nonsense", 1);
	assert_false(nv_journal_use());
	stream_is(1); /* a parent's */
	assert_false(nv_journal_use());
	stream_is(0);
	assert_true(nv_journal_use());
}

static void each_field_is_a_field(void **state)
{
	(void)state;
	struct nv_err err = {0};
	nv_fail(&err, NV_RETRY, NV_R_io, "the disk is \"full\"");
	stream_is(0);
	assert_true(nv_journal_use());
	nv_log_init("worker", NV_INFO);
	NV_LOG(NV_DEBUG, "not.shown", NV_U("n", 1));
	assert_int_equal(sent.len, 0);
	NV_LOG(NV_WARN, "export.failed", NV_S("req", "r\n1"), NV_S("absent", NULL),
	       NV_U("bytes", 7), NV_I("left", -2), NV_D("seconds", 0.5), NV_B("last", true),
	       NV_E(&err));
	nv_buf_put(&sent, "", 1);
	assert_string_equal(
		(const char *)sent.data,
		"MESSAGE=export.failed req=\"r\\n1\" bytes=7 left=-2 seconds=0.5 last=yes "
		"kind=retry "
		"reason=io err=\"the disk is \\\"full\\\"\"\n--\n"
		"PRIORITY=4\n--\nSYSLOG_IDENTIFIER=navette-worker\n--\n"
		"NAVETTE_EVENT=export.failed\n--\nNAVETTE_REQ=r\n1\n--\nNAVETTE_BYTES=7\n--\n"
		"NAVETTE_LEFT=-2\n--\nNAVETTE_SECONDS=0.5\n--\nNAVETTE_LAST=yes\n--\n"
		"NAVETTE_KIND=retry\n--\nNAVETTE_REASON=io\n--\n"
		"NAVETTE_ERR=the disk is \"full\"\n--\n");
}

static void more_fields_than_it_takes(void **state)
{
	(void)state;
	struct nv_log_field many[200];
	for (size_t i = 0; i < NV_ARRAY_LEN(many); i++)
		many[i] = NV_U(
			"a.key-that-is-longer-than-the-sixty-four-letters-that-the-journal-takes",
			i);
	stream_is(0);
	assert_true(nv_journal_use());
	nv_log_write(NV_ERROR, "many", many, NV_ARRAY_LEN(many));
	nv_buf_put(&sent, "", 1);
	assert_non_null(
		strstr((const char *)sent.data,
		       "\nNAVETTE_A_KEY_THAT_IS_LONGER_THAN_THE_SIXTY_FOUR_LETTERS_THAT_TH=59\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(only_where_standard_error_is_the_journal, stop),
		cmocka_unit_test_teardown(each_field_is_a_field, stop),
		cmocka_unit_test_teardown(more_fields_than_it_takes, stop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
