/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Lines for a request's log before they are sent (core/daemon/request_log.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "core/daemon/request_log.h"
#include "core/status/events.h"

static void secrets_are_overwritten(void **state)
{
	static const char *const texts[][2] = {
		{"nothing to hide", "nothing to hide"},
		{"password=hunter2 and more", "password=******* and more"},
		{"dbpass: 'hunter2', next", "dbpass: '*******', next"},
		{"\"wstoken\":\"0123abcd\"}", "\"wstoken\":\"********\"}"},
		{"GET /server.php?wstoken=0123&course=4", "GET /server.php?wstoken=****&course=4"},
		{"Authorization: Bearer abc def", "Authorization: ******************"},
		{"amqp://user:hunter2@host/vhost", "amqp://user:*******@host/vhost"},
		{"https://host/a:b@c", "https://host/a:b@c"},
		{"'password' => 'hunter2')", "'password' => '*******')"},
		{"password", "password"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		char text[128];
		snprintf(text, sizeof text, "%s", texts[i][0]);
		nv_hide_secrets(text);
		if (i == 5) /* whatever stands there: nothing of it is left */
			assert_null(strstr(text, "abc"));
		else
			assert_string_equal(text, texts[i][1]);
	}
}

static void lines_keep_their_numbers_until_they_have_arrived(void **state)
{
	struct nv_request_log l = {0};
	(void)state;
	nv_request_log_add(&l, 1, NV_WARN, "one");
	nv_request_log_add(&l, 2, NV_ERROR, "two");
	uint64_t next = nv_request_log_next(&l);
	assert_int_equal(next, 2);
	nv_request_log_say(&l, NV_INFO, "number %d", 3);
	nv_request_log_sent(&l, next);
	assert_int_equal(l.first, 2);
	assert_int_equal(l.len, 1);
	assert_string_equal(l.items[0].text, "number 3");
	nv_request_log_sent(&l, next); /* the same confirmation again */
	assert_int_equal(l.len, 1);
	nv_request_log_fini(&l);
}

static void a_text_is_said_once(void **state)
{
	struct nv_request_log l = {0};
	char whole[600], cut[501];
	(void)state;
	nv_request_log_add(&l, 1, NV_ERROR, "Moodle: lost");
	nv_request_log_add(&l, 2, NV_WARN, "Moodle: lost");
	assert_int_equal(l.len, 1);
	assert_int_equal(l.items[0].level, NV_ERROR);
	/* As it happens, and cut to a message's limit with the result. */
	memset(whole, 'x', sizeof whole - 1);
	whole[sizeof whole - 1] = '\0';
	memcpy(cut, whole, sizeof cut - 1);
	cut[sizeof cut - 1] = '\0';
	nv_request_log_add(&l, 3, NV_WARN, whole);
	nv_request_log_add(&l, 4, NV_WARN, cut);
	assert_int_equal(l.len, 2);
	/* Also when it has been sent. */
	nv_request_log_sent(&l, 2);
	nv_request_log_add(&l, 5, NV_WARN, whole);
	assert_int_equal(l.len, 0);
	nv_request_log_fini(&l);
}

static void what_has_no_room_is_counted_and_the_end_always_fits(void **state)
{
	struct nv_request_log l = {0};
	char text[16];
	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		snprintf(text, sizeof text, "line %u", i);
		nv_request_log_add(&l, i, NV_WARN, text);
	}
	assert_true(l.len < NV_LOG_LINES_MAX);
	size_t kept = l.len;
	nv_request_log_say(&l, NV_INFO, "the end");
	snprintf(text, sizeof text, "%zu", 100 - kept);
	assert_int_equal(l.len, kept + 2);
	assert_memory_equal(l.items[kept].text, text, strlen(text));
	assert_string_equal(l.items[kept + 1].text, "the end");
	nv_request_log_fini(&l);
}

static void a_line_is_one_clean_line_within_the_message_s_limit(void **state)
{
	struct nv_request_log l = {0};
	nv_auto_buf struct nv_buf out = {0};
	char text[3000];
	struct nv_err err = {0};
	(void)state;
	memset(text, 'y', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	text[3] = '\n';
	text[5] = '\xff';
	nv_request_log_add(&l, 1, NV_WARN, text);
	assert_int_equal(strlen(l.items[0].text), NV_LOG_LINE_BYTES);
	assert_int_equal(l.items[0].text[3], ' ');
	assert_int_equal(l.items[0].text[5], '?');
	struct nv_status_event e = {.request = {(uint8_t *)text, 1},
				    .attempt = (char *)"01a20479-65f4-7708-81db-6a6aba136e37",
				    .seq = 1,
				    .log = {l.items, l.len}};
	assert_int_equal(nv_record_encode(&nv_status_event_record, &e, &out, &err), 0);
	nv_request_log_add(&l, 2, NV_WARN, "");
	assert_int_equal(l.len, 1);
	nv_request_log_fini(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(secrets_are_overwritten),
		cmocka_unit_test(lines_keep_their_numbers_until_they_have_arrived),
		cmocka_unit_test(a_text_is_said_once),
		cmocka_unit_test(what_has_no_room_is_counted_and_the_end_always_fits),
		cmocka_unit_test(a_line_is_one_clean_line_within_the_message_s_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
