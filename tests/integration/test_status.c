/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What core/status keeps, against a real Redis: states, claims, events, lists, history. */
#include "core/status/admin.h"
#include "core/status/claims.h"
#include "core/status/requests.h"
#include "core/status/status.h"
#include "status_fixture.h"

/* --- the table --- */

static void table_lets_each_actor_do_what_the_header_says(void **state)
{
	/* One line a state: what each actor may make of it. */
	static const struct {
		const char *from;
		const char *p, *k, *w;
	} want[] = {
		{"scheduled", "scheduled cancelled failed",
		 "scheduled exporting ready failed cancelled",
		 "ready importing restored failed cancelled"},
		{"exporting", "cancelling", "exporting ready failed cancelled scheduled",
		 "ready importing restored failed scheduled"},
		{"ready", "cancelled", "failed", "importing restored failed cancelled scheduled"},
		{"importing", "cancelling", "",
		 "importing restored failed cancelled ready scheduled"},
		{"restored", "", "", ""},
		{"failed", "scheduled", "scheduled exporting ready failed", "importing restored"},
		{"cancelling", "cancelled", "cancelled failed", "cancelled restored failed"},
		{"cancelled", "scheduled", "", "restored"},
	};

	(void)state;
	assert_int_equal(NV_ARRAY_LEN(want), NV_ST_COUNT);
	for (unsigned i = 0; i < NV_ST_COUNT; i++) {
		enum nv_state from = nv_state_from(want[i].from);
		const char *lists[] = {want[i].p, want[i].k, want[i].w};

		for (unsigned to = 0; to < NV_ST_COUNT; to++)
			for (unsigned who = 0; who < 3; who++) {
				nv_auto_free char *list = nv_asprintf(" %s ", lists[who]);
				nv_auto_free char *word =
					nv_asprintf(" %s ", nv_state_word((enum nv_state)to));

				assert_int_equal(nv_state_may("pkw"[who], from, (enum nv_state)to),
						 strstr(list, word) != NULL);
			}
	}
	assert_false(nv_state_may('x', NV_ST_scheduled, NV_ST_cancelled));
	assert_int_equal(nv_state_from("nonsense"), NV_ST_COUNT);
	assert_int_equal(nv_state_from(NULL), NV_ST_COUNT);
}

/* An attempt that begins a second from now. */
static void uuid_later(char ret[NV_UUID_SIZE])
{
	uint64_t ms = nv_now_ms() + 1000;
	nv_auto_free char *head = nv_asprintf("%08llx-%04llx", (unsigned long long)(ms >> 16),
					      (unsigned long long)(ms & 0xffff));

	nv_uuid_new(ret);
	memcpy(ret, head, 13); /* the time: 8 digits, a dash, 4 digits */
}

/* The scripts obey the table: every event in every state. */
static void every_event_in_every_state_obeys_the_table(void **state)
{
	static const enum nv_state targets[] = {
		[NV_EV_HELD] = NV_ST_scheduled, [NV_EV_EXPORTING] = NV_ST_exporting,
		[NV_EV_READY] = NV_ST_ready,	[NV_EV_CANCELLED] = NV_ST_cancelled,
		[NV_EV_FAILED] = NV_ST_failed,
	};
	struct fixture *f = *state;

	for (unsigned from = 0; from < NV_ST_COUNT; from++)
		for (unsigned ev = 0; ev < NV_ARRAY_LEN(targets); ev++) {
			char id[NV_UUID_SIZE] = "", token[NV_TOKEN_SIZE], attempt[NV_UUID_SIZE];
			struct nv_restore_request q = request(id, "ann", "7");
			enum nv_state want = targets[ev];

			bring_to(f, &q, (enum nv_state)from, token);
			if (!nv_state_may('k', (enum nv_state)from, want))
				want = (enum nv_state)from;
			uuid_later(attempt);
			assert_int_equal(event(f, &q, attempt, 1, (enum nv_event_state)ev, 0),
					 want);
		}
}

static void every_finish_of_a_claim_obeys_the_table(void **state)
{
	struct fixture *f = *state;

	for (unsigned to = 0; to < NV_ST_COUNT; to++)
		for (int cancelling = 0; cancelling < 2; cancelling++) {
			char id[NV_UUID_SIZE] = "", token[NV_TOKEN_SIZE];
			struct nv_restore_request q = request(id, "ann", "7");
			enum nv_state from = cancelling ? NV_ST_cancelling : NV_ST_importing;
			enum nv_state want = (enum nv_state)to;

			if (to == NV_ST_importing)
				continue;
			if (cancelling && (to == NV_ST_ready || to == NV_ST_scheduled))
				want = NV_ST_cancelled;
			bring_to(f, &q, from, token);
			finish(f, &q, token, (enum nv_state)to);
			assert_int_equal(got.failed, !nv_state_may('w', from, want));
			if (got.failed)
				want = from;
			assert_int_equal(get(f, q.id)->state, want);
		}
}

static void drop_claim(struct fixture *f, const char *id)
{
	nv_auto_free char *key = nv_asprintf("nv:claim:%s", id);

	raw_int(f, "DEL %s", key);
}

/* --- records --- */

static void a_record_comes_back_as_it_was_written(void **state)
{
	struct fixture *f = *state;
	char id[NV_UUID_SIZE] = "", token[NV_TOKEN_SIZE];
	struct nv_restore_request q = request(id, "ann", "7");

	assert_false(create(f, &q, true)->failed);
	assert_int_equal(got.state, NV_ST_scheduled);
	assert_false(got.published);
	assert_int_equal(got.created, nv_uuid_time(id));
	nv_status_published(f->s, id, 1, on_plain, fresh());
	ok(f);
	assert_true(get(f, id)->published);
	/* The same id again: success, nothing changes. */
	assert_false(create(f, &q, true)->failed);
	assert_true(got.published);
	claim(f, &q, LEASE);
	memcpy(token, got.token, sizeof token);
	assert_int_equal(renew(f, id, token, 55), NV_RENEW_OURS);
	assert_int_equal(get(f, id)->bytes, 55);
	assert_false(finish(f, &q, token, NV_ST_restored)->failed);
	assert_int_equal(get(f, id)->state, NV_ST_restored);
	assert_string_equal(got.course, "42");
	assert_string_equal(got.warning, "a: strange, warning");
	assert_string_equal(got.lost, "activity wiki 3 1\nsection - 5 4\n");
	assert_true(got.finished >= got.created);
	nv_status_join(f->s, id, "bob", "pending", on_plain, fresh());
	ok(f);
	assert_string_equal(get(f, id)->joined, "");
	nv_status_join(f->s, id, "bob", "joined", on_plain, fresh());
	ok(f);
	assert_string_equal(get(f, id)->joined, "bob");
	/* An older message about it, which came too late. */
	nv_status_join(f->s, id, "bob", "nobody served it in time", on_plain, fresh());
	ok(f);
	assert_string_equal(get(f, id)->joined, "bob");
	nv_status_get(f->s, "01890000-0000-7000-8000-000000000000", on_record, fresh());
	refused(f, NV_REJECT, NV_R_not_found);
	assert_false(got.have);
}

static void a_change_needs_the_next_revision_and_a_state_that_allows_it(void **state)
{
	struct fixture *f = *state;
	char id[NV_UUID_SIZE] = "", token[NV_TOKEN_SIZE];
	struct nv_restore_request q = request(id, "ann", "7");

	nv_status_change(f->s, &q, true, on_record, fresh());
	refused(f, NV_REJECT, NV_R_not_found);
	create(f, &q, true);
	nv_status_change(f->s, &q, true, on_record, fresh());
	refused(f, NV_REJECT, NV_R_conflict);
	q.rev = 2;
	nv_status_change(f->s, &q, true, on_record, fresh());
	assert_int_equal(ok(f)->rev, 2);
	/* A confirm of the older revision says nothing about this one. */
	nv_status_published(f->s, id, 1, on_plain, fresh());
	ok(f);
	assert_false(get(f, id)->published);
	claim(f, &q, LEASE);
	memcpy(token, got.token, sizeof token);
	q.rev = 3;
	nv_status_change(f->s, &q, true, on_record, fresh());
	refused(f, NV_REJECT, NV_R_conflict);
	assert_false(finish(f, &q, token, NV_ST_failed)->failed);
	assert_int_equal(get(f, id)->failures, 1);
	q.rev = 4; /* the failure taught the record revision 3 */
	nv_status_change(f->s, &q, true, on_record, fresh());
	assert_int_equal(ok(f)->state, NV_ST_scheduled);
	assert_int_equal(got.failures, 0);
	assert_string_equal(got.reason, "");
}

static void cancel_ends_at_once_unless_somebody_works_on_it(void **state)
{
	struct fixture *f = *state;

	for (unsigned from = 0; from < NV_ST_COUNT; from++) {
		char id[NV_UUID_SIZE] = "", token[NV_TOKEN_SIZE];
		struct nv_restore_request q = request(id, "ann", "7");

		bring_to(f, &q, (enum nv_state)from, token);
		nv_status_cancel(f->s, id, "root", on_record, fresh());
		if (nv_state_final((enum nv_state)from)) {
			refused(f, NV_REJECT, NV_R_conflict);
			continue;
		}
		ok(f);
		if (from == NV_ST_scheduled || from == NV_ST_ready)
			assert_int_equal(got.state, NV_ST_cancelled);
		else
			assert_int_equal(got.state, NV_ST_cancelling);
		assert_string_equal(got.reason, "cancelled");
	}
}

static void a_second_cancel_ends_what_has_been_silent_for_long(void **state)
{
	struct fixture *f = *state;
	char id[NV_UUID_SIZE] = "", token[NV_TOKEN_SIZE];
	struct nv_restore_request q = request(id, "ann", "7");
	nv_auto_free char *key = NULL;

	bring_to(f, &q, NV_ST_cancelling, token);
	key = nv_asprintf("nv:req:%s", id);
	raw_int(f, "HSET %s modified 1000", key);
	nv_status_cancel(f->s, id, "ann", on_record, fresh());
	assert_int_equal(ok(f)->state, NV_ST_cancelling); /* its claim is alive */
	drop_claim(f, id);
	nv_status_cancel(f->s, id, "ann", on_record, fresh());
	assert_int_equal(ok(f)->state, NV_ST_cancelled);
}

/* --- claims --- */

static void of_two_claimers_one_wins(void **state)
{
	struct fixture *f = *state;
	char id[NV_UUID_SIZE] = "", token[NV_TOKEN_SIZE];
	struct nv_restore_request q = request(id, "ann", "7");

	/* The record is not there (Redis was emptied): it is made. */
	assert_int_equal(claim(f, &q, LEASE)->result, NV_CLAIM_OURS);
	memcpy(token, got.token, sizeof token);
	assert_int_equal(strlen(token), NV_TOKEN_SIZE - 1);
	assert_int_equal(get(f, id)->state, NV_ST_importing);
	assert_int_equal(claim(f, &q, LEASE)->result, NV_CLAIM_BUSY);
	assert_string_equal(got.token, "");
	assert_int_equal(renew(f, id, token, 1), NV_RENEW_OURS);
	assert_false(finish(f, &q, token, NV_ST_restored)->failed);
	assert_int_equal(claim(f, &q, LEASE)->result, NV_CLAIM_DONE);
}

static void on_ahead(void *arg, const struct nv_err *err, bool ours, struct nv_bytes ready)
{
	on_value(arg, err, ready.len ? ready.data : NULL, ready.len);
	((struct answer *)arg)->have = ours;
}

static struct answer *ahead(struct fixture *f, const char *id, const char *token, uint64_t lease)
{
	nv_status_prefetch(f->s, id, token, lease, on_ahead, fresh());
	return ok(f);
}

static int claim_ahead(struct fixture *f, const struct nv_restore_request *q, const char *token)
{
	nv_status_claim(f->s, q, NULL, "host-a", LEASE, false, token, on_claim, fresh());
	return ok(f)->result;
}

static void who_is_ahead_gets_the_claim_and_the_message(void **state)
{
	struct fixture *f = *state;
	char id[NV_UUID_SIZE] = "";
	struct nv_restore_request q = request(id, "ann", "7");
	create(f, &q, false);
	assert_true(ahead(f, id, "mine", LEASE)->have && !got.yes);
	assert_false(ahead(f, id, "another's", LEASE)->have);
	assert_int_equal(claim_ahead(f, &q, NULL), NV_CLAIM_PREFETCHED);
	nv_status_prefetch_give(f->s, id, "sealed", 6, on_plain, fresh());
	ok(f);
	assert_true(ahead(f, id, "mine", LEASE)->have && got.yes);
	assert_memory_equal(got.message, "sealed", 6);
	assert_int_equal(claim_ahead(f, &q, "another's"), NV_CLAIM_PREFETCHED);
	assert_int_equal(claim_ahead(f, &q, "mine"), NV_CLAIM_OURS);
	assert_int_equal(raw_int(f, "EXISTS nv:ahead:%s", id), 0);
	assert_int_equal(raw_int(f, "EXISTS nv:ahead:%s:ready", id), 0);
	/* It has come further: nobody need be ahead any more. */
	assert_false(ahead(f, id, "mine", LEASE)->have);
	assert_int_equal(raw_int(f, "EXISTS nv:ahead:%s", id), 0);
}

static void whoever_lets_go_or_dies_is_ahead_no_more(void **state)
{
	struct fixture *f = *state;
	char id[NV_UUID_SIZE] = "";
	struct nv_restore_request q = request(id, "ann", "7");
	create(f, &q, false);
	ahead(f, id, "mine", LEASE);
	ahead(f, id, "mine", 0);
	/* Nobody is there to be given anything. */
	nv_status_prefetch_give(f->s, id, "sealed", 6, on_plain, fresh());
	ok(f);
	assert_int_equal(raw_int(f, "EXISTS nv:ahead:%s:ready", id), 0);
	ahead(f, id, "dies", 50);
	while (raw_int(f, "EXISTS nv:ahead:%s", id))
		;
	assert_int_equal(claim_ahead(f, &q, NULL), NV_CLAIM_OURS);
}

static void after_its_lease_a_claim_is_worth_nothing(void **state)
{
	struct fixture *f = *state;
	char id[NV_UUID_SIZE] = "", first[NV_TOKEN_SIZE], second[NV_TOKEN_SIZE];
	struct nv_restore_request q = request(id, "ann", "7");

	claim(f, &q, 50);
	memcpy(first, got.token, sizeof first);
	do {
		claim(f, &q, LEASE);
	} while (got.result == NV_CLAIM_BUSY);
	assert_int_equal(got.result, NV_CLAIM_OURS);
	memcpy(second, got.token, sizeof second);
	assert_int_equal(renew(f, id, first, 99), NV_RENEW_LOST);
	for (unsigned to = 0; to < NV_ST_COUNT; to++) {
		finish(f, &q, first, (enum nv_state)to);
		refused(f, NV_RETRY, NV_R_claim_lost);
	}
	assert_int_equal(get(f, id)->state, NV_ST_importing);
	assert_int_equal(got.bytes, 0);
	assert_int_equal(renew(f, id, second, 5), NV_RENEW_OURS);
}

static void a_restored_course_counts_even_when_the_claim_was_lost(void **state)
{
	struct fixture *f = *state;
	char token[NV_TOKEN_SIZE];

	for (unsigned from = 0; from <= NV_ST_COUNT; from++) {
		char id[NV_UUID_SIZE] = "";
		struct nv_restore_request q = request(id, "ann", "7");

		/* NV_ST_COUNT: the record is gone with the whole Redis. */
		if (from < NV_ST_COUNT)
			bring_to(f, &q, (enum nv_state)from, token);
		drop_claim(f, id);
		finish(f, &q, "00000000000000000000000000000000", NV_ST_failed);
		assert_true(got.failed);
		assert_int_equal(got.err.reason, NV_R_claim_lost);
		finish(f, &q, "00000000000000000000000000000000", NV_ST_restored);
		assert_false(got.failed);
		assert_int_equal(get(f, id)->state, NV_ST_restored);
	}
}

static void a_finish_whose_answer_was_lost_may_be_repeated(void **state)
{
	struct fixture *f = *state;
	static const enum nv_state tos[] = {NV_ST_restored, NV_ST_failed, NV_ST_ready};

	for (size_t i = 0; i < NV_ARRAY_LEN(tos); i++) {
		char id[NV_UUID_SIZE] = "", token[NV_TOKEN_SIZE];
		struct nv_restore_request q = request(id, "ann", "7");

		claim(f, &q, LEASE);
		memcpy(token, got.token, sizeof token);
		assert_false(finish(f, &q, token, tos[i])->failed);
		assert_false(finish(f, &q, token, tos[i])->failed);
		assert_int_equal(get(f, id)->failures, tos[i] == NV_ST_failed ? 1 : 0);
	}
}

static void a_failure_without_a_claim_counts_only_when_nobody_holds_one(void **state)
{
	struct fixture *f = *state;
	char id[NV_UUID_SIZE] = "", other[NV_UUID_SIZE] = "";
	struct nv_restore_request q = request(id, "ann", "7");
	struct nv_restore_request o = request(other, "ann", "8");

	claim(f, &q, LEASE);
	finish(f, &q, NULL, NV_ST_failed);
	refused(f, NV_HOLD, NV_R_busy);
	finish(f, &q, NULL, NV_ST_restored);
	refused(f, NV_REJECT, NV_R_internal);
	assert_false(finish(f, &o, NULL, NV_ST_failed)->failed);
	assert_int_equal(get(f, other)->state, NV_ST_failed);
	assert_int_equal(claim(f, &o, LEASE)->result, NV_CLAIM_FAILED);
	/* An old revision's failure leaves the newer one alone. */
	o.rev = 2;
	nv_status_change(f->s, &o, false, on_record, fresh());
	ok(f);
	o.rev = 1;
	assert_false(finish(f, &o, NULL, NV_ST_failed)->failed);
	assert_int_equal(get(f, other)->state, NV_ST_scheduled);
}

static void a_failed_request_goes_on_when_its_message_was_put_back(void **state)
{
	struct fixture *f = *state;
	char id[NV_UUID_SIZE] = "", old[NV_UUID_SIZE], later[NV_UUID_SIZE];
	char token[NV_TOKEN_SIZE];
	struct nv_restore_request q = request(id, "ann", "7");

	nv_uuid_new(old);
	assert_int_equal(claim_as(f, &q, old, LEASE, false)->result, NV_CLAIM_OURS);
	memcpy(token, got.token, sizeof token);
	finish(f, &q, token, NV_ST_failed);
	/* What belongs to the time before the failure does not bring it back. */
	assert_int_equal(claim_as(f, &q, old, LEASE, false)->result, NV_CLAIM_FAILED);
	assert_int_equal(event(f, &q, old, 9, NV_EV_EXPORTING, 1), NV_ST_failed);
	/* archive.ready put back by an operator */
	assert_int_equal(claim_as(f, &q, old, LEASE, true)->result, NV_CLAIM_OURS);
	assert_int_equal(get(f, id)->state, NV_ST_importing);
	assert_int_equal(got.finished, 0);
	assert_int_equal(claim_as(f, &q, old, LEASE, true)->result, NV_CLAIM_BUSY);
	drop_claim(f, id);
	finish(f, &q, NULL, NV_ST_failed);
	/* restore.request put back: a new attempt */
	uuid_later(later);
	assert_int_equal(event(f, &q, later, 1, NV_EV_EXPORTING, 1), NV_ST_exporting);
	assert_int_equal(event(f, &q, later, 2, NV_EV_FAILED, 1), NV_ST_failed);
	/* Its own late news does not, though by its clock it is later than its failure. */
	assert_int_equal(event(f, &q, later, 3, NV_EV_EXPORTING, 1), NV_ST_failed);
	assert_int_equal(claim_as(f, &q, later, LEASE, false)->result, NV_CLAIM_FAILED);
	/* Put back once more, and failed before anybody was told that it runs: a failure of its
	 * own. */
	uint64_t failures = get(f, id)->failures;
	uuid_later(later);
	assert_int_equal(event(f, &q, later, 1, NV_EV_FAILED, 1), NV_ST_failed);
	assert_int_equal(get(f, id)->failures, failures + 1);
	assert_int_equal(event(f, &q, later, 1, NV_EV_FAILED, 1), NV_ST_failed);
	assert_int_equal(get(f, id)->failures, failures + 1);
	uuid_later(later);
	assert_int_equal(claim_as(f, &q, later, LEASE, false)->result, NV_CLAIM_OURS);
	/* What was cancelled or restored stays so. */
	memcpy(token, got.token, sizeof token);
	finish(f, &q, token, NV_ST_restored);
	uuid_later(later);
	assert_int_equal(claim_as(f, &q, later, LEASE, true)->result, NV_CLAIM_DONE);
	assert_int_equal(event(f, &q, later, 1, NV_EV_EXPORTING, 1), NV_ST_restored);
}

static void a_cancel_is_seen_by_the_next_renew(void **state)
{
	struct fixture *f = *state;
	char id[NV_UUID_SIZE] = "", token[NV_TOKEN_SIZE];
	struct nv_restore_request q = request(id, "ann", "7");

	claim(f, &q, LEASE);
	memcpy(token, got.token, sizeof token);
	nv_status_cancel(f->s, id, "ann", on_record, fresh());
	assert_int_equal(ok(f)->state, NV_ST_cancelling);
	assert_int_equal(renew(f, id, token, 1), NV_RENEW_CANCELLING);
	assert_int_equal(claim(f, &q, LEASE)->result, NV_CLAIM_BUSY);
	assert_false(finish(f, &q, token, NV_ST_cancelled)->failed);
	assert_int_equal(get(f, id)->state, NV_ST_cancelled);
	assert_int_equal(claim(f, &q, LEASE)->result, NV_CLAIM_CANCELLED);
}

static void a_claim_on_a_cancelling_request_nobody_works_on_cancels_it(void **state)
{
	struct fixture *f = *state;
	char id[NV_UUID_SIZE] = "", token[NV_TOKEN_SIZE];
	struct nv_restore_request q = request(id, "ann", "7");

	bring_to(f, &q, NV_ST_exporting, token);
	nv_status_cancel(f->s, id, "ann", on_record, fresh());
	assert_int_equal(ok(f)->state, NV_ST_cancelling);
	assert_int_equal(claim(f, &q, LEASE)->result, NV_CLAIM_CANCELLED);
	assert_int_equal(get(f, id)->state, NV_ST_cancelled);
	assert_string_equal(got.reason, "cancelled");
}

static void an_old_revision_is_superseded_a_newer_one_taken(void **state)
{
	struct fixture *f = *state;
	char id[NV_UUID_SIZE] = "";
	struct nv_restore_request q = request(id, "ann", "7");

	create(f, &q, false);
	q.rev = 3;
	assert_int_equal(claim(f, &q, 50)->result, NV_CLAIM_OURS);
	assert_int_equal(get(f, id)->rev, 3);
	q.rev = 2;
	assert_int_equal(claim(f, &q, LEASE)->result, NV_CLAIM_SUPERSEDED);
}

/* --- events --- */

static void old_news_changes_nothing(void **state)
{
	struct fixture *f = *state;
	char id[NV_UUID_SIZE] = "", one[NV_UUID_SIZE], two[NV_UUID_SIZE];
	struct nv_restore_request q = request(id, "ann", "7");

	nv_uuid_new(one);
	nv_uuid_new(two);
	/* Not there: made, and taken for published. */
	assert_int_equal(event(f, &q, one, 3, NV_EV_EXPORTING, 30), NV_ST_exporting);
	assert_true(got.published);
	assert_int_equal(event(f, &q, one, 2, NV_EV_EXPORTING, 20), NV_ST_exporting);
	assert_int_equal(got.bytes, 30);
	assert_int_equal(event(f, &q, one, 3, NV_EV_EXPORTING, 31), NV_ST_exporting);
	assert_int_equal(got.bytes, 30);
	assert_int_equal(event(f, &q, one, 4, NV_EV_HELD, 0), NV_ST_scheduled);
	assert_string_equal(got.reason, "export_failed");
	assert_string_equal(got.message, "no luck");
	assert_int_equal(got.failures, 1);
	/* Another attempt counts from one again. */
	assert_int_equal(event(f, &q, two, 1, NV_EV_EXPORTING, 7), NV_ST_exporting);
	assert_int_equal(got.bytes, 7);
	assert_string_equal(got.reason, "");
	q.rev = 2;
	assert_int_equal(event(f, &q, two, 2, NV_EV_EXPORTING, 8), NV_ST_exporting);
	q.rev = 1;
	assert_int_equal(event(f, &q, two, 9, NV_EV_FAILED, 0), NV_ST_exporting);
	assert_int_equal(got.rev, 2);
	q.rev = 2;
	assert_int_equal(event(f, &q, two, 9, NV_EV_READY, 0), NV_ST_ready);
	/* The first ready wins over what becomes of another attempt. */
	assert_int_equal(event(f, &q, one, 10, NV_EV_FAILED, 0), NV_ST_ready);
	assert_int_equal(event(f, &q, two, 10, NV_EV_FAILED, 0), NV_ST_failed);
	assert_int_equal(event(f, &q, two, 11, NV_EV_EXPORTING, 0), NV_ST_failed);
	/* A revision that this Redis has lost is none. */
	q.rev = 5;
	assert_int_equal(event(f, &q, one, 1, NV_EV_EXPORTING, 0), NV_ST_exporting);
	assert_int_equal(got.rev, 5);
}

static void while_cancelling_progress_is_shown_but_ready_ignored(void **state)
{
	struct fixture *f = *state;
	char id[NV_UUID_SIZE] = "", one[NV_UUID_SIZE];
	struct nv_restore_request q = request(id, "ann", "7");

	nv_uuid_new(one);
	event(f, &q, one, 1, NV_EV_EXPORTING, 1);
	nv_status_cancel(f->s, id, "ann", on_record, fresh());
	ok(f);
	assert_int_equal(event(f, &q, one, 2, NV_EV_EXPORTING, 2), NV_ST_cancelling);
	assert_int_equal(got.bytes, 2);
	assert_int_equal(event(f, &q, one, 3, NV_EV_READY, 2), NV_ST_cancelling);
	assert_int_equal(event(f, &q, one, 4, NV_EV_CANCELLED, 2), NV_ST_cancelled);
	assert_string_equal(got.reason, "cancelled");
	assert_string_equal(got.message, "the request was cancelled by ann");
}

/* --- only one --- */

static void a_course_is_held_until_its_request_failed_was_cancelled_or_deleted(void **state)
{
	struct fixture *f = *state;

	for (unsigned s = 0; s < NV_ST_COUNT; s++) {
		char one[NV_UUID_SIZE] = "", two[NV_UUID_SIZE] = "", token[NV_TOKEN_SIZE];
		char course[8];
		struct nv_restore_request q, o;
		const char *courses[] = {"nothing", course};

		snprintf(course, sizeof course, "c%u", s);
		q = request(one, "ann", course);
		o = request(two, "bob", course);
		bring_to(f, &q, (enum nv_state)s, token);
		create(f, &o, true);
		if (s == NV_ST_failed || s == NV_ST_cancelled) {
			assert_false(got.failed);
			/* Now the other way round: a retry is not let in either. */
			q.rev = 2;
			nv_status_change(f->s, &q, true, on_record, fresh());
			refused(f, NV_REJECT, NV_R_already_restored);
			assert_string_equal(got.id, two);
			continue;
		}
		refused(f, NV_REJECT, NV_R_already_restored);
		assert_true(got.have);
		assert_string_equal(got.id, one);
		nv_status_holders(f->s, "old", courses, 2, on_list, fresh());
		assert_int_equal(ok(f)->len, 1);
		assert_string_equal(got.ids[0], one);
		/* Without the rule two may be. */
		assert_false(create(f, &o, false)->failed);
	}
}

static void a_deleted_course_is_free_again(void **state)
{
	struct fixture *f = *state;
	char one[NV_UUID_SIZE] = "", two[NV_UUID_SIZE] = "", token[NV_TOKEN_SIZE];
	struct nv_restore_request q = request(one, "ann", "7"), o = request(two, "bob", "7");
	struct nv_status_outcome out = {.state = NV_ST_restored, .course = "42"};
	const char *courses[] = {"7"};

	bring_to(f, &q, NV_ST_restored, token);
	nv_status_recall(f->s, &q,
			 &(struct nv_status_recalled){.outcome = &out, .at = 5, .deleted = true},
			 on_plain, fresh());
	ok(f);
	assert_true(get(f, one)->deleted);
	nv_status_holders(f->s, "old", courses, 1, on_list, fresh());
	assert_int_equal(ok(f)->len, 1); /* the latest, though it holds nothing */
	assert_false(create(f, &o, true)->failed);
	nv_status_holders(f->s, "old", courses, 1, on_list, fresh());
	assert_string_equal(ok(f)->ids[0], two);
}

/* --- lists --- */

static void on_many(void *arg, const struct nv_err *err, const struct nv_status_record *r)
{
	struct answer *all = arg;

	(void)r;
	assert_null(err);
	all->done = ++all->number == 2000;
}

static uint64_t list(struct fixture *f, const char *user, uint32_t states, const char *site,
		     const char *course, uint64_t offset, uint64_t limit)
{
	struct nv_status_filter filter = {.user = user,
					  .states = states,
					  .site = site,
					  .course = course,
					  .offset = offset,
					  .limit = limit};

	nv_status_list(f->s, &filter, on_list, fresh());
	return ok(f)->total;
}

#define BIT(s) (1u << NV_ST_##s)

static void lists_filter_and_page_2000_records(void **state)
{
	struct fixture *f = *state;
	static char ids[2000][NV_UUID_SIZE];
	uint64_t begin, seen = 0;

	/* 10 users, 50 courses; every fourth is cancelled, every fifth of the rest failed. */
	fresh();
	for (unsigned i = 0; i < 2000; i++) {
		char user[16], course[16];
		struct nv_restore_request q;

		snprintf(user, sizeof user, "user%u", i % 10);
		snprintf(course, sizeof course, "%u", i % 50);
		q = request(ids[i], user, course);
		nv_status_create(f->s, &q, false, on_many, &got);
	}
	ok(f);
	for (unsigned i = 0; i < 2000; i++) {
		struct nv_restore_request q = request(ids[i], "x", "y");

		if (i % 4 == 0)
			nv_status_cancel(f->s, ids[i], NULL, on_record, fresh());
		else if (i % 5 == 0)
			finish(f, &q, NULL, NV_ST_failed);
		else
			continue;
		ok(f);
	}
	begin = nv_mono_ms();
	assert_int_equal(list(f, NULL, 0, NULL, NULL, 0, 50), 2000);
	assert_int_equal(got.len, 50);
	for (unsigned i = 0; i < 50; i++)
		assert_string_equal(got.ids[i], ids[1999 - i]);
	assert_int_equal(list(f, "user5", 0, NULL, NULL, 0, 1), 200);
	assert_int_equal(list(f, NULL, BIT(cancelled), NULL, NULL, 0, 0), 500);
	assert_int_equal(got.len, 0);
	assert_int_equal(list(f, NULL, BIT(failed), NULL, NULL, 0, 9), 300);
	assert_int_equal(list(f, NULL, BIT(failed) | BIT(cancelled), NULL, NULL, 790, 50), 800);
	assert_int_equal(got.len, 10);
	assert_string_equal(got.ids[9], ids[0]);
	assert_int_equal(list(f, "user0", BIT(failed) | BIT(cancelled), NULL, NULL, 0, 1000), 200);
	assert_int_equal(got.len, 200);
	for (unsigned i = 0; i < 200; i++)
		assert_string_equal(got.ids[i], ids[1990 - 10 * i]);
	assert_int_equal(list(f, "user2", BIT(cancelled), NULL, NULL, 95, 50), 100);
	assert_int_equal(got.len, 5);
	assert_int_equal(list(f, "user2", BIT(cancelled), "old", NULL, 0, 50), 100);
	assert_int_equal(list(f, "user2", BIT(cancelled), "new", NULL, 0, 50), 0);
	assert_int_equal(list(f, NULL, 0, "old", "7", 0, 50), 40);
	assert_int_equal(list(f, NULL, BIT(scheduled) | BIT(failed), "old", "7", 0, 5), 40 - 0);
	assert_int_equal(list(f, "user7", 0, "old", "7", 38, 50), 40);
	assert_int_equal(got.len, 2);
	assert_int_equal(list(f, "nobody", 0, NULL, NULL, 0, 50), 0);
	assert_int_equal(list(f, NULL, (1u << NV_ST_COUNT) - 1, NULL, NULL, 5000, 50), 2000);
	assert_int_equal(got.len, 0);
	assert_true(nv_mono_ms() - begin < 5000);
	/* Every page once, nothing twice. */
	for (uint64_t at = 0; at < 2000; at += 300) {
		list(f, NULL, 0, NULL, NULL, at, 300);
		for (size_t i = 0; i < got.len; i++, seen++)
			assert_string_equal(got.ids[i], ids[1999 - seen]);
	}
	assert_int_equal(seen, 2000);
	nv_status_counts(f->s, on_counts, fresh());
	ok(f);
	assert_int_equal(got.counts[NV_ST_scheduled], 1200);
	assert_int_equal(got.counts[NV_ST_cancelled], 500);
	assert_int_equal(got.counts[NV_ST_failed], 300);
}

static void who_waits_knows_its_place(void **state)
{
	struct fixture *f = *state;
	char ids[4][NV_UUID_SIZE] = {"", "", "", ""}, attempt[NV_UUID_SIZE],
	     last[NV_UUID_SIZE] = "";
	char elsewhere[] = "older";
	struct nv_restore_request q[4], other;

	for (unsigned i = 0; i < 4; i++) {
		q[i] = request(ids[i], "ann", "7");
		assert_int_equal(create(f, &q[i], false)->place, i + 1);
	}
	other = request(last, "bob", "7");
	other.site = elsewhere; /* another course server's queue is another */
	assert_int_equal(create(f, &other, false)->place, 1);
	nv_uuid_new(attempt);
	event(f, &q[0], attempt, 1, NV_EV_EXPORTING, 1);
	assert_int_equal(get(f, ids[0])->place, 0);
	assert_int_equal(get(f, ids[1])->place, 1);
	nv_status_cancel(f->s, ids[2], NULL, on_record, fresh());
	assert_int_equal(ok(f)->place, 0);
	assert_int_equal(get(f, ids[3])->place, 2);
	/* What is changed is asked for anew, behind the others. */
	q[1].rev = 2;
	nv_status_change(f->s, &q[1], false, on_record, fresh());
	assert_int_equal(ok(f)->place, 2);
	assert_int_equal(get(f, ids[3])->place, 1);
	assert_int_equal(get(f, last)->place, 1);
	/* Who overtakes does not wait in that queue. */
	q[1].rev = 3;
	q[1].now = true;
	nv_status_change(f->s, &q[1], false, on_record, fresh());
	assert_int_equal(ok(f)->place, 0);
}

static void only_old_unconfirmed_scheduled_requests_are_swept(void **state)
{
	struct fixture *f = *state;
	char ids[4][NV_UUID_SIZE] = {"", "", "", ""};
	struct nv_restore_request q;

	for (unsigned i = 0; i < 4; i++) {
		q = request(ids[i], "ann", "7");
		create(f, &q, false);
	}
	nv_status_unpublished(f->s, 60000, on_list, fresh());
	assert_int_equal(ok(f)->total, 0);
	nv_status_published(f->s, ids[1], 1, on_plain, fresh());
	ok(f);
	nv_status_cancel(f->s, ids[2], NULL, on_record, fresh());
	ok(f);
	nv_status_unpublished(f->s, 0, on_list, fresh());
	assert_int_equal(ok(f)->total, 2);
	assert_string_equal(got.ids[0], ids[0]);
	assert_string_equal(got.ids[1], ids[3]);
	/* A changed request waits for its confirm anew. */
	q = request(ids[1], "ann", "7");
	q.rev = 2;
	nv_status_change(f->s, &q, false, on_record, fresh());
	ok(f);
	nv_status_unpublished(f->s, 0, on_list, fresh());
	assert_int_equal(ok(f)->total, 3);
}

static void many_that_cannot_be_published_keep_no_other_from_its_turn(void **state)
{
	struct fixture *f = *state;
	char last[NV_UUID_SIZE] = "";
	struct nv_restore_request q;

	for (unsigned i = 0; i < 1000; i++) {
		char id[NV_UUID_SIZE] = "";

		q = request(id, "ann", "7");
		create(f, &q, false);
	}
	q = request(last, "ann", "7");
	create(f, &q, false);
	raw(f, "ZADD nv:idx:unpublished 1 nobody"); /* and a damaged one, the first of all */
	nv_status_unpublished(f->s, 0, on_list, fresh());
	assert_int_equal(ok(f)->total, 1002);
	assert_int_equal(got.len, 999);
	nv_status_unpublished(f->s, 0, on_list, fresh());
	ok(f);
	for (size_t i = 0; i < got.len; i++)
		if (strcmp(got.ids[i], last) == 0)
			return;
	fail_msg("the last one was not swept");
}

static void without_a_queue_a_request_says_so_then_fails(void **state)
{
	struct fixture *f = *state;
	char id[NV_UUID_SIZE] = "", other[NV_UUID_SIZE] = "";
	struct nv_restore_request q = request(id, "ann", "7"), o = request(other, "ann", "8");

	create(f, &q, false);
	create(f, &o, false);
	nv_status_unroutable(f->s, id, 1, 3600000, "no queue", on_plain, fresh());
	ok(f);
	assert_int_equal(get(f, id)->state, NV_ST_scheduled);
	assert_string_equal(got.reason, "unroutable");
	assert_string_equal(got.message, "no queue");
	/* Not at once again; the others are. */
	nv_status_unpublished(f->s, 0, on_list, fresh());
	assert_int_equal(ok(f)->len, 1);
	assert_string_equal(got.ids[0], other);
	/* There is one now. */
	nv_status_published(f->s, id, 1, on_plain, fresh());
	ok(f);
	assert_string_equal(get(f, id)->reason, "");
	assert_true(got.published);
	nv_status_unroutable(f->s, id, 1, 0, "no queue", on_plain, fresh()); /* late */
	ok(f);
	assert_int_equal(get(f, id)->state, NV_ST_scheduled);
	/* Never one. */
	nv_status_unroutable(f->s, other, 2, 0, "no queue", on_plain, fresh()); /* not this one */
	ok(f);
	assert_int_equal(get(f, other)->state, NV_ST_scheduled);
	nv_status_unroutable(f->s, other, 1, 0, "no queue", on_plain, fresh());
	ok(f);
	assert_int_equal(get(f, other)->state, NV_ST_failed);
	assert_string_equal(got.reason, "unroutable");
	assert_int_equal(raw_int(f, "XLEN %s", "nv:notices"), 1);
	nv_status_unpublished(f->s, 0, on_list, fresh());
	assert_int_equal(ok(f)->len, 0);
	/* Asked for again, it begins anew. */
	o.rev = 2;
	nv_status_change(f->s, &o, false, on_record, fresh());
	ok(f);
	nv_status_unroutable(f->s, other, 2, 3600000, "no queue", on_plain, fresh());
	ok(f);
	assert_int_equal(get(f, other)->state, NV_ST_scheduled);
}

static void a_late_confirm_leaves_what_has_failed_alone(void **state)
{
	struct fixture *f = *state;
	char id[NV_UUID_SIZE] = "";
	struct nv_restore_request q = request(id, "ann", "7");

	create(f, &q, false);
	nv_status_unroutable(f->s, id, 1, 0, "no queue", on_plain, fresh());
	ok(f);
	assert_int_equal(get(f, id)->state, NV_ST_failed);
	for (unsigned again = 0; again < 2; again++) {
		nv_status_published(f->s, id, 1, on_plain, fresh());
		ok(f);
		assert_int_equal(get(f, id)->state, NV_ST_failed);
		assert_true(got.published);
		assert_string_equal(got.reason, "unroutable");
		assert_string_equal(got.message, "no queue");
		assert_int_equal(raw_int(f, "XLEN %s", "nv:notices"), 1);
	}
}

/* --- history --- */

static void history_is_rebuilt_by_one_and_leaves_the_living_alone(void **state)
{
	struct fixture *f = *state;
	char id[NV_UUID_SIZE] = "", live[NV_UUID_SIZE] = "", token[NV_TOKEN_SIZE];
	struct nv_restore_request q = request(id, "ann", "7"), l = request(live, "ann", "8");
	struct nv_status_outcome o = {.state = NV_ST_restored, .course = "42"};

	nv_status_needs_rebuild(f->s, on_bool, fresh());
	assert_true(ok(f)->yes);
	nv_status_needs_rebuild(f->s, on_bool, fresh());
	assert_false(ok(f)->yes);
	raw(f, "PEXPIRE nv:history 0"); /* the asker died */
	nv_status_needs_rebuild(f->s, on_bool, fresh());
	assert_true(ok(f)->yes);
	nv_status_recall(f->s, &q, &(struct nv_status_recalled){.outcome = &o, .at = 12345},
			 on_plain, fresh());
	ok(f);
	assert_int_equal(get(f, id)->state, NV_ST_restored);
	assert_int_equal(got.finished, 12345);
	assert_string_equal(got.course, "42");
	assert_int_equal(claim(f, &q, LEASE)->result, NV_CLAIM_DONE);
	bring_to(f, &l, NV_ST_importing, token);
	nv_status_recall(f->s, &l, &(struct nv_status_recalled){.outcome = &o, .at = 12345},
			 on_plain, fresh());
	ok(f);
	assert_int_equal(get(f, live)->state, NV_ST_importing);
	nv_status_rebuilt(f->s, on_plain, fresh());
	ok(f);
	assert_int_equal(raw_int(f, "PTTL %s", "nv:history"), -1);
	nv_status_needs_rebuild(f->s, on_bool, fresh());
	assert_false(ok(f)->yes);
	/* Nobody is told again of what is long over. */
	assert_int_equal(raw_int(f, "XLEN %s", "nv:notices"), 0);
}

/* --- what is old --- */

static void on_expired(void *arg, const struct nv_err *err, const struct nv_forgotten *what)
{
	struct answer *a = arg;

	a->done = true;
	assert_null(err);
	a->total = what->removed;
	a->number = what->kept;
}

/* As if it had been changed last an hour ago. */
static void make_older(struct fixture *f, const char *id)
{
	nv_auto_free char *command = nv_asprintf("ZADD nv:idx:modified XX CH %llu %%s",
						 (unsigned long long)nv_now_ms() - 3600000);

	assert_int_equal(raw_int(f, command, id), 1);
}

static void only_what_ended_long_ago_goes(void **state)
{
	struct fixture *f = *state;
	static char ids[NV_ST_COUNT][2][NV_UUID_SIZE]; /* state, young or old */
	char token[NV_TOKEN_SIZE];
	struct nv_status_outcome o = {.state = NV_ST_restored, .course = "42"};
	struct nv_restore_request restored = {0};
	uint64_t ended = 0;

	for (unsigned s = 0; s < NV_ST_COUNT; s++)
		for (unsigned old = 0; old < 2; old++) {
			nv_auto_free char *course = nv_asprintf("c%u-%u", s, old);
			struct nv_restore_request q = request(ids[s][old], "ann", course);

			bring_to(f, &q, (enum nv_state)s, token);
			if (old)
				make_older(f, q.id);
		}
	nv_status_expire(f->s, 7200000, on_expired, fresh());
	assert_int_equal(ok(f)->total, 0);
	nv_status_expire(f->s, 60000, on_expired, fresh());
	ok(f);
	for (unsigned s = 0; s < NV_ST_COUNT; s++)
		ended += nv_state_final((enum nv_state)s);
	assert_int_equal(got.total, ended);
	assert_int_equal(got.number, NV_ST_COUNT - ended);
	for (unsigned s = 0; s < NV_ST_COUNT; s++) {
		assert_true(get(f, ids[s][0])->have);
		get(f, ids[s][1]);
		assert_int_equal(got.have, !nv_state_final((enum nv_state)s));
	}
	assert_int_equal(list(f, NULL, 0, NULL, NULL, 0, 1), 2ull * NV_ST_COUNT - ended);
	assert_int_equal(list(f, "ann", BIT(restored), NULL, NULL, 0, 9), 1);
	/* The site's look after deleted courses marks what is there, and makes nothing. */
	restored = request(ids[NV_ST_restored][1], "ann", "c-again");
	for (unsigned tombstone = 0; tombstone < 2; tombstone++) {
		nv_status_recall(
			f->s, &restored,
			&(struct nv_status_recalled){
				.outcome = &o, .at = 5, .deleted = true, .only_known = true},
			on_plain, fresh());
		ok(f);
		assert_false(get(f, restored.id)->have);
		nv_auto_free char *key = nv_asprintf("nv:forgotten:%s", restored.id);
		assert_int_equal(raw_int(f, "DEL %s", key), !tombstone);
	}
	/* A course whose record went may be brought again. */
	ids[NV_ST_restored][1][0] = '\0';
	restored = request(ids[NV_ST_restored][1], "ann", "c-again");
	assert_false(create(f, &restored, true)->failed);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		cmocka_unit_test(table_lets_each_actor_do_what_the_header_says),
		T(every_event_in_every_state_obeys_the_table),
		T(every_finish_of_a_claim_obeys_the_table),
		T(a_record_comes_back_as_it_was_written),
		T(a_change_needs_the_next_revision_and_a_state_that_allows_it),
		T(cancel_ends_at_once_unless_somebody_works_on_it),
		T(a_second_cancel_ends_what_has_been_silent_for_long),
		T(of_two_claimers_one_wins),
		T(who_is_ahead_gets_the_claim_and_the_message),
		T(whoever_lets_go_or_dies_is_ahead_no_more),
		T(after_its_lease_a_claim_is_worth_nothing),
		T(a_restored_course_counts_even_when_the_claim_was_lost),
		T(a_finish_whose_answer_was_lost_may_be_repeated),
		T(a_failure_without_a_claim_counts_only_when_nobody_holds_one),
		T(a_failed_request_goes_on_when_its_message_was_put_back),
		T(a_cancel_is_seen_by_the_next_renew),
		T(a_claim_on_a_cancelling_request_nobody_works_on_cancels_it),
		T(an_old_revision_is_superseded_a_newer_one_taken),
		T(old_news_changes_nothing),
		T(while_cancelling_progress_is_shown_but_ready_ignored),
		T(a_course_is_held_until_its_request_failed_was_cancelled_or_deleted),
		T(a_deleted_course_is_free_again),
		T(lists_filter_and_page_2000_records),
		T(who_waits_knows_its_place),
		T(only_old_unconfirmed_scheduled_requests_are_swept),
		T(many_that_cannot_be_published_keep_no_other_from_its_turn),
		T(without_a_queue_a_request_says_so_then_fails),
		T(a_late_confirm_leaves_what_has_failed_alone),
		T(history_is_rebuilt_by_one_and_leaves_the_living_alone),
		T(only_what_ended_long_ago_goes),
	};

	if (!within_redis(argc, argv))
		return 2;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
