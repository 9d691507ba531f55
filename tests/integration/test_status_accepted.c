/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the producer has on its disk is put into a Redis that has lost it, or lost a part; and what
 * is held for a reason is sent again. */
#include "core/status/claims.h"
#include "core/status/requests.h"
#include "core/status/status.h"
#include "status_fixture.h"

static void accepted(struct fixture *f, const struct nv_restore_request *q)
{
	nv_status_accepted(f->s, q, true, on_record, fresh());
	wait_for(f);
}

static void waits(struct fixture *f, const struct nv_restore_request *q)
{
	nv_status_waits(f->s, q, NV_R_clock, "two clocks differ", "worker w1", on_plain, fresh());
	ok(f);
	get(f, q->id);
}

static void unpublished(struct fixture *f, const char *want)
{
	nv_status_unpublished(f->s, 1000, on_list, fresh());
	ok(f);
	assert_int_equal(got.len, want ? 1 : 0);
	if (want)
		assert_string_equal(got.ids[0], want);
}

static void a_lost_record_is_made_again_and_is_the_next_to_be_sent(void **state)
{
	struct fixture *f = *state;
	char id[NV_UUID_SIZE] = "";
	struct nv_restore_request q = request(id, "ann", "7");

	accepted(f, &q);
	assert_false(got.failed);
	assert_int_equal(got.state, NV_ST_scheduled);
	assert_false(got.published);
	unpublished(f, id);
	/* What is there stays as it is. */
	nv_status_cancel(f->s, id, "ann", on_record, fresh());
	ok(f);
	accepted(f, &q);
	assert_int_equal(got.state, NV_ST_cancelled);
}

static void a_newer_revision_takes_the_place_of_an_older_one(void **state)
{
	struct fixture *f = *state;
	char id[NV_UUID_SIZE] = "", token[NV_TOKEN_SIZE];
	struct nv_restore_request q = request(id, "ann", "7");

	create(f, &q, false);
	q.rev = 3;
	accepted(f, &q);
	assert_int_equal(got.rev, 3);
	q.rev = 2;
	accepted(f, &q);
	assert_int_equal(got.rev, 3);
	/* Whoever works on it ends first. */
	q.rev = 3;
	bring_to(f, &q, NV_ST_importing, token);
	q.rev = 4;
	accepted(f, &q);
	assert_int_equal(got.rev, 3);
	assert_int_equal(got.state, NV_ST_importing);
}

static void a_course_that_another_holds_by_now_is_not_doubled(void **state)
{
	struct fixture *f = *state;
	char first[NV_UUID_SIZE] = "", same[NV_UUID_SIZE] = "", other[NV_UUID_SIZE] = "";
	struct nv_restore_request holds = request(first, "ann", "7");
	struct nv_restore_request anns = request(same, "ann", "7");
	struct nv_restore_request bens = request(other, "ben", "7");

	create(f, &holds, true);
	accepted(f, &anns);
	assert_true(got.failed);
	assert_int_equal(got.err.reason, NV_R_already_restored);
	accepted(f, &bens);
	assert_false(got.failed);
	assert_int_equal(got.state, NV_ST_failed);
	assert_string_equal(got.reason, "already_restored");
}

static void what_waits_says_so_and_is_sent_again_by_its_reason(void **state)
{
	struct fixture *f = *state;
	char id[NV_UUID_SIZE] = "", old[NV_UUID_SIZE] = "", token[NV_TOKEN_SIZE];
	struct nv_restore_request q = request(id, "ann", "7"), done = request(old, "ann", "8");

	create(f, &q, false);
	bring_to(f, &q, NV_ST_ready, token);
	waits(f, &q);
	assert_int_equal(got.state, NV_ST_ready);
	assert_string_equal(got.reason, "clock");
	assert_true(got.held);
	unpublished(f, NULL);
	nv_status_republish_held(f->s, q.site, "busy", on_number, fresh());
	assert_int_equal(ok(f)->number, 0);
	nv_status_republish_held(f->s, q.site, "clock", on_number, fresh());
	assert_int_equal(ok(f)->number, 1);
	unpublished(f, id);
	/* It says nothing of what has ended. */
	create(f, &done, false);
	bring_to(f, &done, NV_ST_failed, token);
	waits(f, &done);
	assert_int_equal(got.state, NV_ST_failed);
	assert_int_equal(got.held, 0);
}

/* Before the sweep comes to it. */
static void what_is_to_be_sent_again_is_whatever_the_held_message_says(void **state)
{
	struct fixture *f = *state;
	char id[NV_UUID_SIZE] = "", token[NV_TOKEN_SIZE];
	struct nv_restore_request q = request(id, "ann", "7");

	create(f, &q, false);
	bring_to(f, &q, NV_ST_ready, token);
	waits(f, &q);
	nv_status_republish_held(f->s, q.site, "clock", on_number, fresh());
	assert_int_equal(ok(f)->number, 1);
	waits(f, &q);
	unpublished(f, id);
	nv_status_published(f->s, q.id, q.rev, on_plain, fresh());
	ok(f);
	waits(f, &q);
	unpublished(f, NULL);
	/* An import that has begun needs no other message. */
	nv_status_republish_held(f->s, q.site, "clock", on_number, fresh());
	assert_int_equal(ok(f)->number, 1);
	claim(f, &q, LEASE);
	unpublished(f, NULL);
}

static void says(struct fixture *f, const struct nv_restore_request *q, enum nv_event_state state)
{
	char attempt[NV_UUID_SIZE];
	struct nv_status_event e = {.attempt = attempt, .seq = 1, .state = state};

	nv_uuid_new(attempt);
	nv_status_apply_event(f->s, q, &e, on_plain, fresh());
	ok(f);
}

static void withdrawn(struct fixture *f, const char *id, uint64_t rev, bool cancelled)
{
	struct nv_withdrawal w = {.rev = rev, .cancelled = cancelled};

	snprintf(w.id, sizeof w.id, "%s", id);
	nv_status_withdrawn(f->s, &w, 1, on_plain, fresh());
	ok(f);
}

static void what_was_withdrawn_is_not_made_again(void **state)
{
	struct fixture *f = *state;
	char id[NV_UUID_SIZE] = "";
	struct nv_restore_request q = request(id, "ann", "7");

	withdrawn(f, id, 1, false);
	assert_int_equal(claim(f, &q, LEASE)->result, NV_CLAIM_SUPERSEDED);
	says(f, &q, NV_EV_READY);
	says(f, &q, NV_EV_CANCELLED); /* this revision only */
	accepted(f, &q);
	assert_int_equal(got.err.reason, NV_R_not_found);
	assert_false(get(f, id)->have);
	/* The revision that replaced it is another matter. */
	q.rev = 2;
	says(f, &q, NV_EV_READY);
	assert_int_equal(get(f, id)->state, NV_ST_ready);
	assert_int_equal(claim(f, &q, LEASE)->result, NV_CLAIM_OURS);
	/* A producer that knows less does not make the newer one valid again. */
	withdrawn(f, id, 3, true);
	withdrawn(f, id, 1, false);
	q.rev = 3;
	assert_int_equal(claim(f, &q, LEASE)->result, NV_CLAIM_BUSY);
	assert_int_equal(get(f, id)->state, NV_ST_cancelling);
}

static void what_was_cancelled_and_came_back_is_cancelled_again(void **state)
{
	struct fixture *f = *state;
	char id[NV_UUID_SIZE] = "", gone[NV_UUID_SIZE] = "";
	struct nv_restore_request q = request(id, "ann", "7"), other = request(gone, "ann", "8");

	says(f, &q, NV_EV_READY);
	withdrawn(f, id, 1, false);
	assert_int_equal(get(f, id)->state, NV_ST_ready);
	assert_int_equal(claim(f, &q, LEASE)->result, NV_CLAIM_SUPERSEDED);
	withdrawn(f, id, 1, true);
	assert_int_equal(get(f, id)->state, NV_ST_cancelled);
	assert_int_equal(raw_int(f, "XLEN %s", "nv:notices"), 1);
	/* Asked for again: its next revision goes on, whoever speaks of it first. */
	q.rev = 2;
	says(f, &q, NV_EV_EXPORTING);
	assert_int_equal(get(f, id)->state, NV_ST_exporting);
	withdrawn(f, id, 1, true);
	assert_int_equal(get(f, id)->state, NV_ST_exporting);
	/* A course server that has carried it out says so, and that is recorded. */
	withdrawn(f, gone, 1, true);
	says(f, &other, NV_EV_CANCELLED);
	assert_int_equal(get(f, gone)->state, NV_ST_cancelled);
}

static void after_the_first_unknown_message_nothing_is_claimed_for_a_moment(void **state)
{
	struct fixture *f = *state;
	char id[NV_UUID_SIZE] = "", known[NV_UUID_SIZE] = "", token[NV_TOKEN_SIZE];
	struct nv_restore_request q = request(id, "ann", "7"), k = request(known, "ann", "8");

	raw(f, "DEL nv:emptied");
	create(f, &k, false); /* that tells of no loss */
	bring_to(f, &k, NV_ST_importing, token);
	assert_int_equal(raw_int(f, "EXISTS %s", "nv:emptied"), 0);
	assert_int_equal(claim(f, &q, LEASE)->result, NV_CLAIM_BUSY);
	assert_false(get(f, id)->have);
	long long told = raw_int(f, "XLEN %s", "nv:events");
	says(f, &q, NV_EV_READY);
	assert_int_equal(claim(f, &q, LEASE)->result, NV_CLAIM_BUSY);
	assert_int_equal(raw_int(f, "XLEN %s", "nv:events"),
			 told + 1); /* ready; "emptied" was told before */
	raw(f, "SET nv:emptied 1");
	assert_int_equal(claim(f, &q, LEASE)->result, NV_CLAIM_OURS);
}

static struct answer *given_up(struct fixture *f, const struct nv_restore_request *q)
{
	struct nv_status_outcome o = {.state = NV_ST_failed, .reason = "clock"};

	nv_status_finish(f->s, q, NULL, &o, on_plain, fresh());
	ok(f);
	return get(f, q->id);
}

static void gives_up(struct fixture *f, const struct nv_restore_request *q, char *attempt)
{
	struct nv_status_event e = {.attempt = attempt,
				    .seq = 1,
				    .state = NV_EV_FAILED,
				    .reason = (char[]){"clock"},
				    .message = (char[]){"it has waited 7 days"}};

	nv_status_apply_event(f->s, q, &e, on_plain, fresh());
	ok(f);
	get(f, q->id);
}

/* By two producers at once, which is one copy. */
static void sent_again(struct fixture *f, const struct nv_restore_request *q)
{
	for (int i = 0; i < 2; i++) {
		nv_status_republish_held(f->s, q->site, "clock", on_number, fresh());
		assert_int_equal(ok(f)->number, 1);
	}
	unpublished(f, q->id);
	unpublished(f, NULL);
	nv_status_published(f->s, q->id, q->rev, on_plain, fresh());
	ok(f);
}

static void an_archive_given_up_for_its_clock_fails_nothing_that_was_sent_again(void **state)
{
	struct fixture *f = *state;
	char id[NV_UUID_SIZE] = "", token[NV_TOKEN_SIZE];
	struct nv_restore_request q = request(id, "ann", "7");

	create(f, &q, false);
	bring_to(f, &q, NV_ST_ready, token);
	waits(f, &q);
	sent_again(f, &q);
	assert_int_equal(given_up(f, &q)->state, NV_ST_ready);
	/* The copy is given up, too: there is no other. */
	assert_int_equal(given_up(f, &q)->state, NV_ST_failed);
}

static void a_request_given_up_for_its_clock_fails_nothing_that_was_sent_again(void **state)
{
	struct fixture *f = *state;
	char id[NV_UUID_SIZE] = "", old[NV_UUID_SIZE], good[NV_UUID_SIZE], last[NV_UUID_SIZE];
	struct nv_restore_request q = request(id, "ann", "7");

	nv_uuid_new(good);
	nv_uuid_new(old);
	nv_uuid_new(last);
	create(f, &q, false);
	nv_status_published(f->s, id, 1, on_plain, fresh());
	ok(f);
	waits(f, &q);
	sent_again(f, &q);
	gives_up(f, &q, old); /* while the copy waits for its turn */
	assert_int_equal(got.state, NV_ST_scheduled);
	event(f, &q, good, 1, NV_EV_EXPORTING, 0);
	gives_up(f, &q, last); /* and while it is exported, whoever sent that one */
	assert_int_equal(got.state, NV_ST_exporting);
	nv_uuid_new(last);
	event(f, &q, good, 2, NV_EV_HELD, 0);
	gives_up(f, &q, last);
	assert_int_equal(got.state, NV_ST_failed);
	assert_string_equal(got.reason, "clock");
}

static void on_taken_back(void *arg, const struct nv_err *err, enum nv_taken_back what)
{
	on_number(arg, err, what);
}

static enum nv_taken_back take_back(struct fixture *f, const char *id)
{
	nv_status_take_back(f->s, id, 1, on_taken_back, fresh());
	return (enum nv_taken_back)ok(f)->number;
}

static void what_is_taken_back_is_as_if_it_had_never_been(void **state)
{
	struct fixture *f = *state;
	char id[NV_UUID_SIZE] = "", next[NV_UUID_SIZE] = "", token[NV_TOKEN_SIZE];
	struct nv_restore_request q = request(id, "ann", "7"), other = request(next, "ben", "7");

	create(f, &q, true);
	assert_int_equal(take_back(f, id), NV_GONE);
	nv_status_get(f->s, id, on_record, fresh());
	refused(f, NV_REJECT, NV_R_not_found);
	assert_int_equal(raw_int(f, "ZCARD %s", "nv:idx:unpublished"), 0);
	accepted(f, &q); /* a file of it on some disk */
	assert_int_equal(got.err.reason, NV_R_not_found);
	assert_int_equal(take_back(f, id), NV_GONE);
	/* Anybody may ask for the course again, the same person under the same id, too. */
	create(f, &other, true);
	nv_status_cancel(f->s, next, "ben", on_record, fresh());
	ok(f);
	assert_int_equal(raw_int(f, "EXISTS nv:forgotten:%s", id), 1);
	bring_to(f, &q, NV_ST_importing, token);
	assert_int_equal(raw_int(f, "EXISTS nv:forgotten:%s", id), 0);
}

static void what_was_published_or_changed_meanwhile_is_not_taken_back(void **state)
{
	struct fixture *f = *state;
	char id[NV_UUID_SIZE] = "", sent[NV_UUID_SIZE] = "";
	struct nv_restore_request q = request(id, "ann", "7"), p = request(sent, "ann", "8");

	create(f, &p, true);
	nv_status_published(f->s, sent, 1, on_plain, fresh());
	ok(f);
	assert_int_equal(take_back(f, sent), NV_STAYS);
	create(f, &q, true);
	q.rev = 2;
	nv_status_change(f->s, &q, true, on_record, fresh());
	ok(f);
	assert_int_equal(take_back(f, id), NV_STAYS);
	get(f, id);
	assert_int_equal(got.rev, 2);
}

static void what_two_asked_for_goes_when_both_are_refused(void **state)
{
	struct fixture *f = *state;
	char id[NV_UUID_SIZE] = "";
	struct nv_restore_request q = request(id, "ann", "7");

	create(f, &q, true);
	create(f, &q, true);
	assert_int_equal(take_back(f, id), NV_SHARED);
	get(f, id);
	assert_int_equal(got.state, NV_ST_scheduled);
	create(f, &q, true);
	assert_int_equal(take_back(f, id), NV_SHARED);
	assert_int_equal(take_back(f, id), NV_GONE);
}

/* They asked more than a minute ago. */
static void age(struct fixture *f, const char *id)
{
	char command[100];

	snprintf(command, sizeof command, "HSET nv:req:%s asked 1000", id);
	raw(f, command);
}

static void who_died_while_asking_is_not_waited_for(void **state)
{
	struct fixture *f = *state;
	char id[NV_UUID_SIZE] = "", next[NV_UUID_SIZE] = "", kept[NV_UUID_SIZE] = "";
	struct nv_restore_request q = request(id, "ann", "7"), p = request(next, "ann", "8");
	struct nv_restore_request k = request(kept, "ann", "9");

	create(f, &q, true);
	age(f, id);
	create(f, &q, true);
	assert_int_equal(take_back(f, id), NV_GONE);
	/* Or whose disk takes so long. */
	create(f, &p, true);
	create(f, &p, true);
	age(f, next);
	assert_int_equal(take_back(f, next), NV_GONE);
	/* But what is on a producer's disk was promised, however long ago. */
	create(f, &k, true);
	accepted(f, &k);
	age(f, kept);
	create(f, &k, true);
	assert_int_equal(take_back(f, kept), NV_SHARED);
	assert_int_equal(take_back(f, kept), NV_SHARED);
}

static void undo(struct fixture *f, const char *id, uint64_t rev)
{
	nv_status_undo(f->s, id, rev, on_record, fresh());
	wait_for(f);
}

static void a_change_that_is_refused_is_undone(void **state)
{
	struct fixture *f = *state;
	char id[NV_UUID_SIZE] = "", token[NV_TOKEN_SIZE];
	struct nv_restore_request q = request(id, "ann", "7");

	/* Asked for again after it had failed. */
	create(f, &q, true);
	bring_to(f, &q, NV_ST_failed, token);
	struct answer failed = *get(f, id);
	long long told = raw_int(f, "XLEN %s", "nv:notices");
	q.rev = 2;
	nv_status_change(f->s, &q, true, on_record, fresh());
	ok(f);
	undo(f, id, 2);
	assert_false(got.failed);
	get(f, id);
	assert_int_equal(got.state, NV_ST_failed);
	assert_int_equal(got.rev, 1);
	assert_string_equal(got.reason, failed.reason);
	assert_int_equal(got.failures, failed.failures);
	assert_int_equal(got.finished, failed.finished);
	assert_int_equal(raw_int(f, "XLEN %s", "nv:notices"), told);
	assert_int_equal(raw_int(f, "TTL nv:req:%s", id), -1);
	unpublished(f, NULL);
	/* It is listed where it was, and nowhere else. */
	assert_int_equal(raw_int(f, "ZCARD %s", "nv:idx:state:failed"), 1);
	assert_int_equal(raw_int(f, "ZCARD %s", "nv:idx:state:scheduled"), 0);
	assert_int_equal(raw_int(f, "ZCARD %s", "nv:idx:user:ann"), 1);
	/* And it may be asked for again. */
	nv_status_change(f->s, &q, true, on_record, fresh());
	ok(f);
	assert_int_equal(got.rev, 2);
	undo(f, id, 1);
	assert_int_equal(got.err.reason, NV_R_conflict);
	nv_status_published(f->s, id, 2, on_plain, fresh());
	ok(f);
	undo(f, id, 2);
	assert_int_equal(got.err.reason, NV_R_conflict);
}

static void a_scheduled_request_waits_on_after_the_undo(void **state)
{
	struct fixture *f = *state;
	char id[NV_UUID_SIZE] = "", sent[NV_UUID_SIZE] = "";
	struct nv_restore_request q = request(id, "ann", "7"), p = request(sent, "ann", "8");

	create(f, &q, true);
	create(f, &p, true);
	nv_status_published(f->s, sent, 1, on_plain, fresh());
	ok(f);
	q.rev = p.rev = 2;
	nv_status_change(f->s, &q, true, on_record, fresh());
	ok(f);
	undo(f, id, 2);
	assert_int_equal(got.rev, 1);
	assert_true(got.place > 0);
	nv_status_change(f->s, &p, true, on_record, fresh());
	ok(f);
	undo(f, sent, 2);
	assert_true(got.published);
	assert_int_equal(raw_int(f, "ZCARD %s", "nv:idx:unpublished"), 1);
}

static void what_a_sweep_has_taken_is_not_undone(void **state)
{
	struct fixture *f = *state;
	char id[NV_UUID_SIZE] = "";
	struct nv_restore_request q = request(id, "ann", "7");

	create(f, &q, true);
	nv_status_published(f->s, id, 1, on_plain, fresh());
	ok(f);
	q.rev = 2;
	nv_status_change(f->s, &q, true, on_record, fresh());
	ok(f);
	nv_status_unpublished(f->s, 0, on_list, fresh());
	assert_int_equal(ok(f)->len, 1);
	undo(f, id, 2);
	assert_int_equal(got.err.reason, NV_R_conflict);
	assert_int_equal(get(f, id)->rev, 2);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(a_lost_record_is_made_again_and_is_the_next_to_be_sent),
		T(a_newer_revision_takes_the_place_of_an_older_one),
		T(a_course_that_another_holds_by_now_is_not_doubled),
		T(what_waits_says_so_and_is_sent_again_by_its_reason),
		T(what_is_to_be_sent_again_is_whatever_the_held_message_says),
		T(what_was_withdrawn_is_not_made_again),
		T(what_was_cancelled_and_came_back_is_cancelled_again),
		T(after_the_first_unknown_message_nothing_is_claimed_for_a_moment),
		T(an_archive_given_up_for_its_clock_fails_nothing_that_was_sent_again),
		T(a_request_given_up_for_its_clock_fails_nothing_that_was_sent_again),
		T(what_is_taken_back_is_as_if_it_had_never_been),
		T(what_two_asked_for_goes_when_both_are_refused),
		T(who_died_while_asking_is_not_waited_for),
		T(what_a_sweep_has_taken_is_not_undone),
		T(a_change_that_is_refused_is_undone),
		T(a_scheduled_request_waits_on_after_the_undo),
		T(what_was_published_or_changed_meanwhile_is_not_taken_back),
	};

	if (!within_redis(argc, argv))
		return 2;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
