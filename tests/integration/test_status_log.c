/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A request's log, against a real Redis: what goes in, in which order, and nothing twice. */
#include "core/status/claims.h"
#include "core/status/events.h"
#include "core/status/log.h"
#include "core/status/status.h"
#include "status_fixture.h"

#define LINES_MAX 600u

static struct {
	bool done;
	struct nv_err err;
	size_t len;
	uint64_t dropped;
	uint64_t at[LINES_MAX];
	char text[LINES_MAX][256]; /* "from|level|text" */
} log_is;

static void on_log(void *arg, const struct nv_err *err, const struct nv_status_line *lines,
		   size_t len, uint64_t dropped)
{
	(void)arg;
	memset(&log_is, 0, sizeof log_is);
	if (err)
		log_is.err = *err;
	log_is.dropped = dropped;
	log_is.len = len;
	assert_true(len <= LINES_MAX);
	for (size_t i = 0; i < len; i++) {
		log_is.at[i] = lines[i].at;
		snprintf(log_is.text[i], sizeof log_is.text[i], "%s|%s|%s", lines[i].from,
			 lines[i].level, lines[i].text);
	}
	log_is.done = true;
}

static void read_log(struct fixture *f, const char *id)
{
	log_is.done = false;
	nv_status_log_read(f->s, id, on_log, NULL);
	assert_true(run_until(f, &log_is.done, 5000));
	assert_int_equal(log_is.err.kind, NV_OK);
}

/* Line i begins so. */
static void line_is(size_t i, const char *want)
{
	assert_true(i < log_is.len);
	if (strncmp(log_is.text[i], want, strlen(want)) != 0)
		fail_msg("line %zu is \"%s\", not \"%s…\"", i, log_is.text[i], want);
}

static struct nv_log_line line(uint64_t at, enum nv_level level, const char *text)
{
	return (struct nv_log_line){.at = at, .level = level, .text = (char *)(uintptr_t)text};
}

/* An event with these lines, the first of which has this number. */
static void tell(struct fixture *f, const struct nv_restore_request *q, char *attempt, uint64_t seq,
		 enum nv_event_state state, uint64_t first, struct nv_list lines)
{
	struct nv_status_event e = {.attempt = attempt,
				    .seq = seq,
				    .state = state,
				    .reason = state == NV_EV_HELD ? (char *)"disk_full" : NULL,
				    .message = state == NV_EV_HELD ? (char *)"no room" : NULL,
				    .host = (char *)"old",
				    .log_first = first,
				    .log = lines};

	nv_status_apply_event(f->s, q, &e, on_plain, fresh());
	ok(f);
}

static void a_failure_and_a_success_are_told_in_order(void **state)
{
	struct fixture *f = *state;
	char id[NV_UUID_SIZE] = "", a[NV_UUID_SIZE], b[NV_UUID_SIZE], token[NV_TOKEN_SIZE];
	struct nv_restore_request q = request(id, "ann", "7");
	struct nv_log_line one[] = {line(1, NV_INFO, "A begins"), line(2, NV_INFO, "A ends")};
	struct nv_log_line two[] = {line(3, NV_INFO, "B begins"), line(4, NV_WARN, "a warning")};

	nv_uuid_new(a);
	nv_uuid_new(b);
	create(f, &q, false);
	tell(f, &q, a, 1, NV_EV_EXPORTING, 0, (struct nv_list){one, 1});
	tell(f, &q, a, 2, NV_EV_HELD, 1, (struct nv_list){one + 1, 1});
	tell(f, &q, b, 1, NV_EV_EXPORTING, 0, (struct nv_list){two, 1});
	tell(f, &q, b, 2, NV_EV_READY, 1, (struct nv_list){two + 1, 1});
	memcpy(token, claim(f, &q, LEASE)->token, sizeof token);
	finish(f, &q, token, NV_ST_restored);
	ok(f);
	read_log(f, id);
	assert_int_equal(log_is.len, 11);
	assert_int_equal(log_is.dropped, 0);
	line_is(0, "producer|info|scheduled (revision 1)");
	line_is(1, "archiver old|info|A begins");
	assert_int_equal(log_is.at[1], 1);
	line_is(2, "archiver old|info|exporting (attempt ");
	line_is(3, "archiver old|info|A ends");
	line_is(4, "archiver old|warn|scheduled: disk_full: no room");
	line_is(5, "archiver old|info|B begins");
	line_is(6, "archiver old|info|exporting (attempt ");
	line_is(7, "archiver old|warn|a warning");
	line_is(8, "archiver old|info|ready");
	line_is(9, "worker");
	assert_non_null(strstr(log_is.text[9], "|info|importing (attempt "));
	assert_non_null(strstr(log_is.text[9], ", 1 failed before)"));
	line_is(10, "worker");
	assert_non_null(strstr(log_is.text[10], "|info|restored"));
}

static void what_comes_again_is_not_appended_twice(void **state)
{
	struct fixture *f = *state;
	char id[NV_UUID_SIZE] = "", a[NV_UUID_SIZE];
	struct nv_restore_request q = request(id, "ann", "7");
	struct nv_log_line lines[] = {line(1, NV_INFO, "one"), line(2, NV_INFO, "two"),
				      line(3, NV_INFO, "three")};

	nv_uuid_new(a);
	create(f, &q, false);
	tell(f, &q, a, 1, NV_EV_EXPORTING, 0, (struct nv_list){lines, 2});
	tell(f, &q, a, 1, NV_EV_EXPORTING, 0, (struct nv_list){lines, 2}); /* redelivered */
	tell(f, &q, a, 2, NV_EV_READY, 0,
	     (struct nv_list){lines, 3}); /* what was not confirmed comes along */
	tell(f, &q, a, 2, NV_EV_READY, 0, (struct nv_list){lines, 3});
	read_log(f, id);
	assert_int_equal(log_is.len, 6);
	line_is(1, "archiver old|info|one");
	line_is(2, "archiver old|info|two");
	line_is(3, "archiver old|info|exporting");
	line_is(4, "archiver old|info|three");
	line_is(5, "archiver old|info|ready");
	/* A worker that got no answer says it again. */
	for (unsigned i = 0; i < 2; i++) {
		nv_status_log(f->s, id, "01a20479-65f4-7708-81db-6a6aba136e37", "worker new", 0,
			      lines, 3, on_plain, fresh());
		ok(f);
	}
	read_log(f, id);
	assert_int_equal(log_is.len, 9);
	line_is(8, "worker new|info|three");
}

static void old_news_still_brings_its_lines(void **state)
{
	struct fixture *f = *state;
	char id[NV_UUID_SIZE] = "", a[NV_UUID_SIZE];
	struct nv_restore_request q = request(id, "ann", "7");
	struct nv_log_line end = line(1, NV_WARN, "a warning");

	nv_uuid_new(a);
	create(f, &q, false);
	claim(f, &q, LEASE); /* archive.ready was faster than the event */
	tell(f, &q, a, 2, NV_EV_READY, 0, (struct nv_list){&end, 1});
	assert_int_equal(get(f, id)->state, NV_ST_importing);
	read_log(f, id);
	assert_int_equal(log_is.len, 3);
	line_is(2, "archiver old|warn|a warning");
}

static void the_oldest_lines_go_and_are_counted(void **state)
{
	struct fixture *f = *state;
	char id[NV_UUID_SIZE] = "", text[32];
	struct nv_restore_request q = request(id, "ann", "7");

	create(f, &q, false);
	for (unsigned i = 0; i < 550; i++) {
		snprintf(text, sizeof text, "line %u", i);
		struct nv_log_line l = line(i, NV_DEBUG, text);
		nv_status_log(f->s, id, "a source", "worker", i, &l, 1, on_plain, fresh());
		ok(f);
	}
	read_log(f, id);
	assert_int_equal(log_is.len, 500);
	assert_int_equal(log_is.dropped, 51);
	line_is(0, "worker|debug|line 50");
	line_is(499, "worker|debug|line 549");
}

static void a_hold_tried_each_second_is_said_once(void **state)
{
	struct fixture *f = *state;
	char id[NV_UUID_SIZE] = "";
	struct nv_restore_request q = request(id, "ann", "7");
	struct nv_status_outcome busy = {.state = NV_ST_ready, .reason = "busy", .message = "wait"};

	create(f, &q, false);
	for (unsigned i = 0; i < 5; i++) {
		char token[NV_TOKEN_SIZE];
		memcpy(token, claim(f, &q, LEASE)->token, sizeof token);
		nv_status_finish(f->s, &q, token, &busy, on_plain, fresh());
		ok(f);
	}
	read_log(f, id);
	assert_int_equal(log_is.len, 3);
	assert_non_null(strstr(log_is.text[1], "|info|importing"));
	assert_non_null(strstr(log_is.text[2], "|info|ready: busy: wait"));
}

static void without_a_record_there_is_no_log(void **state)
{
	struct fixture *f = *state;
	char id[NV_UUID_SIZE] = "", other[NV_UUID_SIZE] = "";
	struct nv_restore_request q = request(id, "ann", "7");
	struct nv_restore_request old = request(other, "ann", "8");
	struct nv_status_outcome o = {.state = NV_ST_restored, .course = "4"};
	struct nv_log_line l = line(1, NV_INFO, "lost");

	nv_status_log(f->s, id, "a source", "worker", 0, &l, 1, on_plain, fresh());
	refused(f, NV_REJECT, NV_R_not_found);
	read_log(f, q.id);
	assert_int_equal(log_is.len, 0);
	nv_auto_free char *key = nv_asprintf("nv:log:%s", q.id);
	assert_int_equal(raw_int(f, "EXISTS %s", key), 0);
	/* What history brings back has none. */
	nv_status_recall(f->s, &old, &(struct nv_status_recalled){.outcome = &o, .at = nv_now_ms()},
			 on_plain, fresh());
	ok(f);
	read_log(f, other);
	assert_int_equal(log_is.len, 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(a_failure_and_a_success_are_told_in_order),
		T(what_comes_again_is_not_appended_twice),
		T(old_news_still_brings_its_lines),
		T(the_oldest_lines_go_and_are_counted),
		T(a_hold_tried_each_second_is_said_once),
		T(without_a_record_there_is_no_log),
	};

	if (!within_redis(argc, argv))
		return 2;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
