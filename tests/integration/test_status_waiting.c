/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the record says of a request that waits: for the next attempt, or for what passes by itself.
 */
#include "core/status/claims.h"
#include "core/status/events.h"
#include "core/status/requests.h"
#include "core/status/status.h"
#include "status_fixture.h"

#define MINUTE 60000ull

static void held(struct fixture *f, const struct nv_restore_request *q, struct nv_status_event *e)
{
	e->state = NV_EV_HELD;
	e->seq++;
	nv_status_apply_event(f->s, q, e, on_plain, fresh());
	ok(f);
	get(f, q->id);
}

static void near_to(uint64_t value, uint64_t want)
{
	assert_in_range(value, want - MINUTE / 4, want + MINUTE / 4);
}

static void a_failed_export_says_when_it_is_tried_again(void **state)
{
	struct fixture *f = *state;
	char id[NV_UUID_SIZE] = "", attempt[NV_UUID_SIZE], reason[] = "export_failed";
	struct nv_restore_request q = request(id, "ann", "7");
	struct nv_status_event e = {.attempt = attempt, .reason = reason};
	uint64_t now = nv_now_ms();

	nv_uuid_new(attempt);
	create(f, &q, false);
	e.at = now;
	e.next_try = now + MINUTE;
	held(f, &q, &e);
	assert_int_equal(got.state, NV_ST_scheduled);
	near_to(got.next_try, now + MINUTE);
	assert_int_equal(got.held, 0);
	assert_int_equal(got.failures, 1);
	/* A course server whose clock is an hour ahead, or behind, says nothing about ours. */
	e.at = now + 60 * MINUTE;
	e.next_try = e.at + MINUTE;
	held(f, &q, &e);
	near_to(got.next_try, now + MINUTE);
	e.at = now - 60 * MINUTE;
	e.next_try = e.at + MINUTE;
	held(f, &q, &e);
	near_to(got.next_try, now + MINUTE);
	/* An older one does not say when. */
	e.next_try = 0;
	held(f, &q, &e);
	assert_int_equal(got.next_try, 0);
	assert_int_equal(got.failures, 4);
	/* The next attempt ends the waiting. */
	e.next_try = nv_now_ms() + MINUTE;
	held(f, &q, &e);
	nv_uuid_new(attempt);
	assert_int_equal(event(f, &q, attempt, 1, NV_EV_EXPORTING, 1), NV_ST_exporting);
	assert_int_equal(got.next_try, 0);
}

static void a_held_export_uses_up_no_attempt_and_says_since_when(void **state)
{
	struct fixture *f = *state;
	char id[NV_UUID_SIZE] = "", attempt[NV_UUID_SIZE], later[NV_UUID_SIZE];
	char upgrading[] = "site_upgrading", full[] = "disk_full", busy[] = "busy";
	struct nv_restore_request q = request(id, "ann", "7");
	struct nv_status_event e = {.attempt = attempt, .reason = upgrading, .hold = true};

	nv_uuid_new(attempt);
	create(f, &q, false);
	held(f, &q, &e);
	assert_int_equal(got.state, NV_ST_scheduled);
	assert_string_equal(got.reason, "site_upgrading");
	assert_int_equal(got.failures, 0);
	assert_int_equal(got.next_try, 0);
	near_to(got.held, nv_now_ms());
	/* Seen again: it has been so since then.  For another reason: since now. */
	uint64_t since = got.held;
	while (nv_now_ms() <= since)
		usleep(500);
	held(f, &q, &e);
	assert_int_equal(got.held, since);
	e.reason = full;
	held(f, &q, &e);
	assert_true(got.held > since);
	/* Another attempt at it is nothing to wait for in this sense. */
	e.reason = busy;
	held(f, &q, &e);
	assert_int_equal(got.held, 0);
	/* It has passed: what waits in the queue waits for its turn alone. */
	e.reason = full;
	held(f, &q, &e);
	e.reason = NULL;
	held(f, &q, &e);
	assert_int_equal(got.state, NV_ST_scheduled);
	assert_string_equal(got.reason, "");
	assert_int_equal(got.held, 0);
	assert_int_equal(got.failures, 0);
	/* That is old news once another attempt has begun. */
	do
		nv_uuid_new(later);
	while (strcmp(later, attempt) <= 0);
	assert_int_equal(event(f, &q, later, 1, NV_EV_EXPORTING, 1), NV_ST_exporting);
	held(f, &q, &e);
	assert_int_equal(got.state, NV_ST_exporting);
}

static void what_a_worker_gives_back_says_why_it_waits(void **state)
{
	struct fixture *f = *state;
	char id[NV_UUID_SIZE] = "", token[NV_TOKEN_SIZE];
	struct nv_restore_request q = request(id, "ann", "7");
	struct nv_status_outcome o = {
		.state = NV_ST_ready, .reason = "site_unavailable", .held = true};

	bring_to(f, &q, NV_ST_importing, token);
	nv_status_finish(f->s, &q, token, &o, on_plain, fresh());
	ok(f);
	get(f, id);
	near_to(got.held, nv_now_ms());
	assert_int_equal(got.next_try, 0);
	assert_int_equal(got.failures, 0);
	/* It has passed: it waits for its turn alone. */
	nv_status_passed(f->s, id, on_plain, fresh());
	ok(f);
	get(f, id);
	assert_int_equal(got.state, NV_ST_ready);
	assert_int_equal(got.held, 0);
	assert_string_equal(got.reason, "");
	memcpy(token, claim(f, &q, LEASE)->token, sizeof token);
	nv_status_passed(f->s, id, on_plain, fresh());
	ok(f);
	get(f, id);
	assert_int_equal(got.state, NV_ST_importing);
	o = (struct nv_status_outcome){.state = NV_ST_ready,
				       .reason = "import_failed",
				       .failed_attempt = true,
				       .retry_in = MINUTE};
	nv_status_finish(f->s, &q, token, &o, on_plain, fresh());
	ok(f);
	get(f, id);
	assert_int_equal(got.held, 0);
	near_to(got.next_try, nv_now_ms() + MINUTE);
	assert_int_equal(got.failures, 1);
	/* Nothing is in the way of others, though another course may meet it so. */
	memcpy(token, claim(f, &q, LEASE)->token, sizeof token);
	o = (struct nv_status_outcome){.state = NV_ST_ready, .reason = "store_denied"};
	nv_status_finish(f->s, &q, token, &o, on_plain, fresh());
	ok(f);
	get(f, id);
	assert_string_equal(got.reason, "store_denied");
	assert_int_equal(got.held, 0);
	memcpy(token, claim(f, &q, LEASE)->token, sizeof token);
	o = (struct nv_status_outcome){.state = NV_ST_ready,
				       .reason = "import_failed",
				       .failed_attempt = true,
				       .retry_in = MINUTE};
	nv_status_finish(f->s, &q, token, &o, on_plain, fresh());
	ok(f);
	get(f, id);
	/* What cancels it, or whoever asks anew, ends the waiting. */
	nv_status_cancel(f->s, id, "ann", on_record, fresh());
	ok(f);
	get(f, id);
	assert_int_equal(got.state, NV_ST_cancelled);
	assert_int_equal(got.next_try, 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(a_failed_export_says_when_it_is_tried_again),
		T(a_held_export_uses_up_no_attempt_and_says_since_when),
		T(what_a_worker_gives_back_says_why_it_waits),
	};

	if (!within_redis(argc, argv))
		return 2;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
