/* SPDX-License-Identifier: GPL-3.0-or-later */
/* core/status against a real Redis.  Started alone, it starts itself again within with_redis. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* cmocka.h wants the four above it. */
#include <cmocka.h>

#include "core/base/id.h"
#include "core/status/internal.h"
#include "core/status/status.h"

#define LEASE 60000u

struct fixture {
	uv_loop_t loop;
	struct nv_config config;
	struct nv_status *s;
	redisContext *raw; /* looks into Redis behind our back */
	int ups;
	int downs;
};

/* What a callback said; the loop runs until done. */
struct answer {
	bool done;
	bool failed;
	struct nv_err err;
	bool yes;
	uint64_t number;
	size_t len;
	char token[NV_TOKEN_SIZE];
	int result;
	bool have;
	enum nv_state state;
	uint64_t rev, total, failures, bytes, created, finished;
	char id[NV_UUID_SIZE], reason[64], message[256], course[64], warning[64], joined[64];
	bool published, deleted;
	char ids[1000][NV_UUID_SIZE];
	uint64_t counts[NV_ST_COUNT];
};

static void put(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from ? from : "");
}

static void note_err(struct answer *a, const struct nv_err *err)
{
	assert_false(a->done); /* exactly once */
	a->done = true;
	a->failed = err != NULL;
	if (err)
		a->err = *err;
}

static void note_record(struct answer *a, const struct nv_status_record *r)
{
	a->have = r != NULL;
	if (!r)
		return;
	a->state = r->state;
	a->rev = r->request.rev;
	a->failures = r->failures;
	a->bytes = r->done;
	a->created = r->created;
	a->finished = r->finished;
	a->published = r->published;
	a->deleted = r->course_deleted;
	put(a->id, sizeof a->id, r->request.id);
	put(a->reason, sizeof a->reason, r->reason);
	put(a->message, sizeof a->message, r->message);
	put(a->course, sizeof a->course, r->course);
	put(a->warning, sizeof a->warning, r->warnings.len ? r->warnings.items[0] : "");
	put(a->joined, sizeof a->joined, r->joined.len ? r->joined.items[0] : "");
}

static void on_plain(void *arg, const struct nv_err *err)
{
	note_err(arg, err);
}

static void on_record(void *arg, const struct nv_err *err, const struct nv_status_record *r)
{
	note_err(arg, err);
	note_record(arg, r);
}

static void on_list(void *arg, const struct nv_err *err, const struct nv_status_record *recs,
		    size_t len, uint64_t total)
{
	struct answer *a = arg;

	note_err(a, err);
	a->len = len;
	a->total = total;
	for (size_t i = 0; i < len; i++)
		put(a->ids[i], NV_UUID_SIZE, recs[i].request.id);
}

static void on_bool(void *arg, const struct nv_err *err, bool yes)
{
	struct answer *a = arg;

	note_err(a, err);
	a->yes = yes;
}

static void on_number(void *arg, const struct nv_err *err, uint64_t n)
{
	struct answer *a = arg;

	note_err(a, err);
	a->number = n;
}

static void on_value(void *arg, const struct nv_err *err, const void *value, size_t len)
{
	struct answer *a = arg;

	note_err(a, err);
	a->yes = value != NULL;
	a->len = len;
	if (value)
		memcpy(a->message, value, len < sizeof a->message ? len : sizeof a->message);
}

static void on_counts(void *arg, const struct nv_err *err, const uint64_t *counts)
{
	struct answer *a = arg;

	note_err(a, err);
	memcpy(a->counts, counts, sizeof a->counts);
}

static void on_claim(void *arg, const struct nv_err *err, enum nv_claim_result result,
		     const char *token)
{
	struct answer *a = arg;

	note_err(a, err);
	a->result = (int)result;
	put(a->token, sizeof a->token, token);
}

static void on_renew(void *arg, const struct nv_err *err, enum nv_renew_result result)
{
	struct answer *a = arg;

	note_err(a, err);
	a->result = (int)result;
}

/* --- the loop --- */

static void on_tick(uv_timer_t *t)
{
	(void)t;
}

/* Run until *what, at most so long; says whether it came. */
static bool run_until(struct fixture *f, const bool *what, uint64_t ms)
{
	uint64_t end = nv_mono_ms() + ms;
	uv_timer_t tick;

	uv_timer_init(&f->loop, &tick);
	uv_timer_start(&tick, on_tick, 10, 10);
	while (!*what && nv_mono_ms() < end)
		uv_run(&f->loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&tick, NULL);
	uv_run(&f->loop, UV_RUN_NOWAIT);
	return *what;
}

/* One answer is enough for all tests: each call starts it afresh. */
static struct answer a;

static void *fresh(void)
{
	memset(&a, 0, sizeof a);
	return &a;
}

static struct answer *wait_for(struct fixture *f)
{
	assert_true(run_until(f, &a.done, 10000));
	return &a;
}

static struct answer *ok(struct fixture *f)
{
	wait_for(f);
	if (a.failed)
		print_error("unexpected: %s\n", a.err.msg);
	assert_false(a.failed);
	return &a;
}

static struct answer *refused(struct fixture *f, enum nv_err_kind kind, enum nv_reason reason)
{
	wait_for(f);
	assert_true(a.failed);
	if (a.err.kind != kind || a.err.reason != reason)
		print_error("unexpected: %s\n", a.err.msg);
	assert_int_equal(a.err.kind, kind);
	assert_int_equal(a.err.reason, reason);
	return &a;
}

static redisContext *raw_connect(void)
{
	for (int i = 0; i < 200; i++) {
		redisContext *c = redisConnectUnix(getenv("NAVETTE_TEST_REDIS_SOCKET"));
		redisReply *r = c && !c->err ? redisCommand(c, "PING") : NULL;
		bool up = r && r->type == REDIS_REPLY_STATUS;

		if (r)
			freeReplyObject(r);
		if (up)
			return c;
		if (c)
			redisFree(c);
		usleep(25000);
	}
	fail_msg("Redis does not come up");
	return NULL;
}

static void raw(struct fixture *f, const char *command)
{
	redisReply *r = redisCommand(f->raw, command);

	assert_non_null(r);
	if (r->type == REDIS_REPLY_ERROR)
		print_error("%s: %s\n", command, r->str);
	assert_int_not_equal(r->type, REDIS_REPLY_ERROR);
	freeReplyObject(r);
}

static long long raw_int(struct fixture *f, const char *command, const char *key)
{
	redisReply *r = redisCommand(f->raw, command, key);
	long long n;

	assert_non_null(r);
	n = r->integer;
	freeReplyObject(r);
	return n;
}

static int redis_pid(void)
{
	nv_auto_free char *path = nv_asprintf("%s/redis.pid", getenv("NAVETTE_TEST_REDIS_DIR"));
	nv_auto_file FILE *file = fopen(path, "re");
	char line[32] = "";

	assert_non_null(file);
	assert_non_null(fgets(line, sizeof line, file));
	return (int)strtol(line, NULL, 10);
}

static void redis_kill(struct fixture *f)
{
	int pid = redis_pid();

	redisFree(f->raw);
	f->raw = NULL;
	assert_int_equal(kill(pid, SIGKILL), 0);
	for (int i = 0; i < 400 && (kill(pid, 0) == 0 || errno != ESRCH); i++)
		usleep(5000);
}

static void redis_start(struct fixture *f)
{
	nv_auto_free char *command = nv_asprintf("redis-server %s/redis.conf >/dev/null",
						 getenv("NAVETTE_TEST_REDIS_DIR"));

	assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): our own words */
	f->raw = raw_connect();
}

static void on_state(void *arg, bool up, const struct nv_err *err)
{
	struct fixture *f = arg;

	if (up)
		f->ups++;
	else
		f->downs++;
	assert_true(up == !err);
}

static struct nv_status *status_new(struct fixture *f)
{
	struct nv_status_options o = {.config = &f->config, .on_state_cb = on_state, .arg = f};
	struct nv_err err;
	struct nv_status *s = nv_status_new(&f->loop, &o, &err);

	assert_non_null(s);
	return s;
}

static void on_closed(void *arg)
{
	*(bool *)arg = true;
}

static void status_close(struct fixture *f, struct nv_status *s)
{
	bool closed = false;

	nv_status_close(s, on_closed, &closed);
	assert_true(run_until(f, &closed, 5000));
}

static int setup(void **state)
{
	struct fixture *f = nv_alloc(sizeof *f);

	assert_int_equal(uv_loop_init(&f->loop), 0);
	f->config.redis.socket = getenv("NAVETTE_TEST_REDIS_SOCKET");
	f->config.redis.timeout = 1000;
	f->raw = raw_connect();
	raw(f, "FLUSHALL");
	f->s = status_new(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	status_close(f, f->s);
	/* Nothing of it may be left on the loop. */
	assert_int_equal(uv_loop_close(&f->loop), 0);
	redisFree(f->raw);
	free(f);
	return 0;
}

/* --- requests --- */

static char roles_teacher[] = "editingteacher";
static char *roles[] = {roles_teacher};

static struct nv_restore_request request(char *id, const char *user, const char *course)
{
	static char site[] = "old";
	static char name[] = "Ann Teacher";
	struct nv_restore_request q = {.rev = 1, .site = site, .user_name = name};

	if (!*id)
		nv_uuid_new(id);
	q.id = id;
	q.course = (char *)course;
	q.user = (char *)user;
	q.roles = (struct nv_strs){.items = roles, .len = 1};
	q.requested = nv_now_ms();
	return q;
}

static struct answer *create(struct fixture *f, const struct nv_restore_request *q, bool only_one)
{
	nv_status_create(f->s, q, only_one, on_record, fresh());
	return wait_for(f);
}

static struct answer *get(struct fixture *f, const char *id)
{
	nv_status_get(f->s, id, on_record, fresh());
	return wait_for(f);
}

static struct answer *claim(struct fixture *f, const struct nv_restore_request *q, uint64_t lease)
{
	nv_status_claim(f->s, q, NULL, "host-a", lease, on_claim, fresh());
	return ok(f);
}

static int renew(struct fixture *f, const char *id, const char *token, uint64_t done)
{
	nv_status_renew(f->s, id, token, LEASE, "import", done, 100, on_renew, fresh());
	return ok(f)->result;
}

static struct answer *finish(struct fixture *f, const struct nv_restore_request *q,
			     const char *token, enum nv_state to)
{
	char warning[] = "a: strange, warning";
	char *warnings[] = {warning};
	struct nv_status_outcome o = {.state = to, .course = "42", .enrolled = true};

	o.warnings = (struct nv_strs){.items = warnings, .len = 1};
	if (to == NV_ST_failed) {
		o.reason = "import_failed";
		o.message = "it broke";
		o.failed_attempt = true;
	}
	nv_status_finish(f->s, q, token, &o, on_plain, fresh());
	return wait_for(f);
}

static enum nv_state event(struct fixture *f, const struct nv_restore_request *q, char *attempt,
			   uint64_t seq, enum nv_event_state state, uint64_t done)
{
	struct nv_status_event e = {.attempt = attempt, .seq = seq, .state = state, .done = done};
	char reason[] = "export_failed";
	char text[] = "no luck";

	if (state == NV_EV_FAILED || state == NV_EV_HELD) {
		e.reason = reason;
		e.message = text;
	}
	nv_status_event(f->s, q, &e, on_plain, fresh());
	ok(f);
	return get(f, q->id)->state;
}

/* A record in this state, by the shortest way.  token: of the claim, where there is one. */
static void bring_to(struct fixture *f, const struct nv_restore_request *q, enum nv_state to,
		     char *token)
{
	char attempt[NV_UUID_SIZE];

	nv_uuid_new(attempt);
	*token = '\0';
	assert_false(create(f, q, false)->failed);
	if (to == NV_ST_exporting)
		event(f, q, attempt, 1, NV_EV_EXPORTING, 0);
	else if (to == NV_ST_failed)
		assert_false(finish(f, q, NULL, to)->failed);
	if (to == NV_ST_ready || to == NV_ST_importing || to == NV_ST_restored ||
	    to == NV_ST_cancelling) {
		claim(f, q, LEASE);
		memcpy(token, a.token, NV_TOKEN_SIZE);
	}
	if (to == NV_ST_ready || to == NV_ST_restored)
		assert_false(finish(f, q, token, to)->failed);
	if (to == NV_ST_cancelling || to == NV_ST_cancelled) {
		nv_status_cancel(f->s, q->id, "ann", on_record, fresh());
		ok(f);
	}
	assert_int_equal(get(f, q->id)->state, to);
}

/* --- the table --- */

static void table_lets_each_actor_do_what_the_header_says(void **state)
{
	/* One line a state: what each actor may make of it. */
	static const struct {
		const char *from;
		const char *p, *k, *w;
	} want[] = {
		{"scheduled", "scheduled cancelled", "scheduled exporting ready failed cancelled",
		 "ready importing restored failed cancelled"},
		{"exporting", "cancelling", "exporting ready failed cancelled scheduled",
		 "ready importing restored failed scheduled"},
		{"ready", "cancelled", "failed", "importing restored failed cancelled scheduled"},
		{"importing", "cancelling", "",
		 "importing restored failed cancelled ready scheduled"},
		{"restored", "", "", ""},
		{"failed", "scheduled", "", "restored"},
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
			if (!nv_state_may('k', (enum nv_state)from, want) ||
			    nv_state_final((enum nv_state)from))
				want = (enum nv_state)from;
			nv_uuid_new(attempt);
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
			assert_int_equal(a.failed, !nv_state_may('w', from, want));
			if (a.failed)
				want = from;
			assert_int_equal(get(f, q.id)->state, want);
		}
}

/* --- records --- */

static void a_record_comes_back_as_it_was_written(void **state)
{
	struct fixture *f = *state;
	char id[NV_UUID_SIZE] = "", token[NV_TOKEN_SIZE];
	struct nv_restore_request q = request(id, "ann", "7");

	assert_false(create(f, &q, true)->failed);
	assert_int_equal(a.state, NV_ST_scheduled);
	assert_false(a.published);
	assert_int_equal(a.created, nv_uuid_time(id));
	nv_status_published(f->s, id, 1, on_plain, fresh());
	ok(f);
	assert_true(get(f, id)->published);
	/* The same id again: success, nothing changes. */
	assert_false(create(f, &q, true)->failed);
	assert_true(a.published);
	claim(f, &q, LEASE);
	memcpy(token, a.token, sizeof token);
	assert_int_equal(renew(f, id, token, 55), NV_RENEW_OURS);
	assert_int_equal(get(f, id)->bytes, 55);
	assert_false(finish(f, &q, token, NV_ST_restored)->failed);
	assert_int_equal(get(f, id)->state, NV_ST_restored);
	assert_string_equal(a.course, "42");
	assert_string_equal(a.warning, "a: strange, warning");
	assert_true(a.finished >= a.created);
	nv_status_join(f->s, id, "bob", "pending", on_plain, fresh());
	ok(f);
	assert_string_equal(get(f, id)->joined, "");
	nv_status_join(f->s, id, "bob", "joined", on_plain, fresh());
	ok(f);
	assert_string_equal(get(f, id)->joined, "bob");
	nv_status_get(f->s, "01890000-0000-7000-8000-000000000000", on_record, fresh());
	refused(f, NV_REJECT, NV_R_not_found);
	assert_false(a.have);
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
	memcpy(token, a.token, sizeof token);
	q.rev = 3;
	nv_status_change(f->s, &q, true, on_record, fresh());
	refused(f, NV_REJECT, NV_R_conflict);
	assert_false(finish(f, &q, token, NV_ST_failed)->failed);
	assert_int_equal(get(f, id)->failures, 1);
	q.rev = 4; /* the failure taught the record revision 3 */
	nv_status_change(f->s, &q, true, on_record, fresh());
	assert_int_equal(ok(f)->state, NV_ST_scheduled);
	assert_int_equal(a.failures, 0);
	assert_string_equal(a.reason, "");
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
			assert_int_equal(a.state, NV_ST_cancelled);
		else
			assert_int_equal(a.state, NV_ST_cancelling);
		assert_string_equal(a.reason, "cancelled");
	}
}

/* --- claims --- */

static void of_two_claimers_one_wins(void **state)
{
	struct fixture *f = *state;
	char id[NV_UUID_SIZE] = "", token[NV_TOKEN_SIZE];
	struct nv_restore_request q = request(id, "ann", "7");

	/* The record is not there (Redis was emptied): it is made. */
	assert_int_equal(claim(f, &q, LEASE)->result, NV_CLAIM_OURS);
	memcpy(token, a.token, sizeof token);
	assert_int_equal(strlen(token), NV_TOKEN_SIZE - 1);
	assert_int_equal(get(f, id)->state, NV_ST_importing);
	assert_int_equal(claim(f, &q, LEASE)->result, NV_CLAIM_BUSY);
	assert_string_equal(a.token, "");
	assert_int_equal(renew(f, id, token, 1), NV_RENEW_OURS);
	assert_false(finish(f, &q, token, NV_ST_restored)->failed);
	assert_int_equal(claim(f, &q, LEASE)->result, NV_CLAIM_DONE);
}

static void after_its_lease_a_claim_is_worth_nothing(void **state)
{
	struct fixture *f = *state;
	char id[NV_UUID_SIZE] = "", first[NV_TOKEN_SIZE], second[NV_TOKEN_SIZE];
	struct nv_restore_request q = request(id, "ann", "7");

	claim(f, &q, 50);
	memcpy(first, a.token, sizeof first);
	do {
		claim(f, &q, LEASE);
	} while (a.result == NV_CLAIM_BUSY);
	assert_int_equal(a.result, NV_CLAIM_OURS);
	memcpy(second, a.token, sizeof second);
	assert_int_equal(renew(f, id, first, 99), NV_RENEW_LOST);
	for (unsigned to = 0; to < NV_ST_COUNT; to++) {
		finish(f, &q, first, (enum nv_state)to);
		refused(f, NV_RETRY, NV_R_claim_lost);
	}
	assert_int_equal(get(f, id)->state, NV_ST_importing);
	assert_int_equal(a.bytes, 0);
	assert_int_equal(renew(f, id, second, 5), NV_RENEW_OURS);
}

static void drop_claim(struct fixture *f, const char *id)
{
	nv_auto_free char *key = nv_asprintf("nv:claim:%s", id);

	raw_int(f, "DEL %s", key);
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
		assert_true(a.failed);
		assert_int_equal(a.err.reason, NV_R_claim_lost);
		finish(f, &q, "00000000000000000000000000000000", NV_ST_restored);
		assert_false(a.failed);
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
		memcpy(token, a.token, sizeof token);
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

static void a_cancel_is_seen_by_the_next_renew(void **state)
{
	struct fixture *f = *state;
	char id[NV_UUID_SIZE] = "", token[NV_TOKEN_SIZE];
	struct nv_restore_request q = request(id, "ann", "7");

	claim(f, &q, LEASE);
	memcpy(token, a.token, sizeof token);
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
	assert_string_equal(a.reason, "cancelled");
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
	assert_true(a.published);
	assert_int_equal(event(f, &q, one, 2, NV_EV_EXPORTING, 20), NV_ST_exporting);
	assert_int_equal(a.bytes, 30);
	assert_int_equal(event(f, &q, one, 3, NV_EV_EXPORTING, 31), NV_ST_exporting);
	assert_int_equal(a.bytes, 30);
	assert_int_equal(event(f, &q, one, 4, NV_EV_HELD, 0), NV_ST_scheduled);
	assert_string_equal(a.reason, "export_failed");
	assert_string_equal(a.message, "no luck");
	assert_int_equal(a.failures, 1);
	/* Another attempt counts from one again. */
	assert_int_equal(event(f, &q, two, 1, NV_EV_EXPORTING, 7), NV_ST_exporting);
	assert_int_equal(a.bytes, 7);
	assert_string_equal(a.reason, "");
	q.rev = 2;
	assert_int_equal(event(f, &q, two, 2, NV_EV_EXPORTING, 8), NV_ST_exporting);
	q.rev = 1;
	assert_int_equal(event(f, &q, two, 9, NV_EV_FAILED, 0), NV_ST_exporting);
	assert_int_equal(a.rev, 2);
	q.rev = 2;
	assert_int_equal(event(f, &q, two, 9, NV_EV_READY, 0), NV_ST_ready);
	/* The first ready wins over what becomes of another attempt. */
	assert_int_equal(event(f, &q, one, 10, NV_EV_FAILED, 0), NV_ST_ready);
	assert_int_equal(event(f, &q, two, 10, NV_EV_FAILED, 0), NV_ST_failed);
	q.rev = 5;
	assert_int_equal(event(f, &q, two, 11, NV_EV_EXPORTING, 0), NV_ST_failed);
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
	assert_int_equal(a.bytes, 2);
	assert_int_equal(event(f, &q, one, 3, NV_EV_READY, 2), NV_ST_cancelling);
	assert_int_equal(event(f, &q, one, 4, NV_EV_CANCELLED, 2), NV_ST_cancelled);
	assert_string_equal(a.reason, "cancelled");
	assert_string_equal(a.message, "the request was cancelled by ann");
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
			assert_false(a.failed);
			/* Now the other way round: a retry is not let in either. */
			q.rev = 2;
			nv_status_change(f->s, &q, true, on_record, fresh());
			refused(f, NV_REJECT, NV_R_already_restored);
			assert_string_equal(a.id, two);
			continue;
		}
		refused(f, NV_REJECT, NV_R_already_restored);
		assert_true(a.have);
		assert_string_equal(a.id, one);
		nv_status_holders(f->s, "old", courses, 2, on_list, fresh());
		assert_int_equal(ok(f)->len, 1);
		assert_string_equal(a.ids[0], one);
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
	nv_status_recall(f->s, &q, &out, 5, true, on_plain, fresh());
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
	struct nv_status_filter filter = {user, states, site, course, offset, limit};

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
		nv_status_create(f->s, &q, false, on_many, &a);
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
	assert_int_equal(a.len, 50);
	for (unsigned i = 0; i < 50; i++)
		assert_string_equal(a.ids[i], ids[1999 - i]);
	assert_int_equal(list(f, "user5", 0, NULL, NULL, 0, 1), 200);
	assert_int_equal(list(f, NULL, BIT(cancelled), NULL, NULL, 0, 0), 500);
	assert_int_equal(a.len, 0);
	assert_int_equal(list(f, NULL, BIT(failed), NULL, NULL, 0, 9), 300);
	assert_int_equal(list(f, NULL, BIT(failed) | BIT(cancelled), NULL, NULL, 790, 50), 800);
	assert_int_equal(a.len, 10);
	assert_string_equal(a.ids[9], ids[0]);
	assert_int_equal(list(f, "user0", BIT(failed) | BIT(cancelled), NULL, NULL, 0, 1000), 200);
	assert_int_equal(a.len, 200);
	for (unsigned i = 0; i < 200; i++)
		assert_string_equal(a.ids[i], ids[1990 - 10 * i]);
	assert_int_equal(list(f, "user2", BIT(cancelled), NULL, NULL, 95, 50), 100);
	assert_int_equal(a.len, 5);
	assert_int_equal(list(f, "user2", BIT(cancelled), "old", NULL, 0, 50), 100);
	assert_int_equal(list(f, "user2", BIT(cancelled), "new", NULL, 0, 50), 0);
	assert_int_equal(list(f, NULL, 0, "old", "7", 0, 50), 40);
	assert_int_equal(list(f, NULL, BIT(scheduled) | BIT(failed), "old", "7", 0, 5), 40 - 0);
	assert_int_equal(list(f, "user7", 0, "old", "7", 38, 50), 40);
	assert_int_equal(a.len, 2);
	assert_int_equal(list(f, "nobody", 0, NULL, NULL, 0, 50), 0);
	assert_int_equal(list(f, NULL, (1u << NV_ST_COUNT) - 1, NULL, NULL, 5000, 50), 2000);
	assert_int_equal(a.len, 0);
	assert_true(nv_mono_ms() - begin < 5000);
	/* Every page once, nothing twice. */
	for (uint64_t at = 0; at < 2000; at += 300) {
		list(f, NULL, 0, NULL, NULL, at, 300);
		for (size_t i = 0; i < a.len; i++, seen++)
			assert_string_equal(a.ids[i], ids[1999 - seen]);
	}
	assert_int_equal(seen, 2000);
	nv_status_counts(f->s, on_counts, fresh());
	ok(f);
	assert_int_equal(a.counts[NV_ST_scheduled], 1200);
	assert_int_equal(a.counts[NV_ST_cancelled], 500);
	assert_int_equal(a.counts[NV_ST_failed], 300);
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
	assert_string_equal(a.ids[0], ids[0]);
	assert_string_equal(a.ids[1], ids[3]);
	/* A changed request waits for its confirm anew. */
	q = request(ids[1], "ann", "7");
	q.rev = 2;
	nv_status_change(f->s, &q, false, on_record, fresh());
	ok(f);
	nv_status_unpublished(f->s, 0, on_list, fresh());
	assert_int_equal(ok(f)->total, 3);
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
	nv_status_recall(f->s, &q, &o, 12345, false, on_plain, fresh());
	ok(f);
	assert_int_equal(get(f, id)->state, NV_ST_restored);
	assert_int_equal(a.finished, 12345);
	assert_string_equal(a.course, "42");
	assert_int_equal(claim(f, &q, LEASE)->result, NV_CLAIM_DONE);
	bring_to(f, &l, NV_ST_importing, token);
	nv_status_recall(f->s, &l, &o, 12345, false, on_plain, fresh());
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

/* --- following --- */

struct heard {
	struct fixture *f;
	bool enough;
	unsigned want, events, lost, mine;
	char states[32][16];
	char ids[32][NV_UUID_SIZE];
	char cursor[64];
	struct nv_notices *n;
	bool keep; /* do not say done */
};

static void on_event(void *arg, const struct nv_status_change_event *e)
{
	struct heard *h = arg;

	if (h->events < 32) {
		put(h->states[h->events], 16, e->state);
		put(h->ids[h->events], NV_UUID_SIZE, e->id);
	}
	put(h->cursor, sizeof h->cursor, e->cursor);
	h->enough = ++h->events >= h->want;
	if (h->n && !h->keep)
		nv_notice_done(h->n, e->cursor);
}

static void on_lost(void *arg)
{
	struct heard *h = arg;

	h->lost++;
	h->enough = h->enough || !h->want;
}

/* Until it has heard so many in all. */
static void hear(struct heard *h, unsigned total)
{
	h->want = total;
	h->enough = h->events >= total;
	assert_true(run_until(h->f, &h->enough, 12000));
}

static void a_follower_hears_every_change_in_order(void **state)
{
	struct fixture *f = *state;
	struct heard h = {.f = f}, late = {.f = f};
	char id[NV_UUID_SIZE] = "", token[NV_TOKEN_SIZE];
	struct nv_restore_request q = request(id, "ann", "7");
	struct nv_follow *follow;
	char after_first[64];

	create(f, &q, false); /* before "$": not heard */
	follow = nv_status_follow(f->s, "$", on_event, on_lost, &h);
	/* It begins where its first look finds the end: announce until it hears. */
	while (!h.events) {
		nv_status_announce(f->s, "catalog", "old", NULL, on_plain, fresh());
		ok(f);
	}
	put(after_first, sizeof after_first, h.cursor);
	h.events = 0;
	claim(f, &q, LEASE);
	memcpy(token, a.token, sizeof token);
	renew(f, id, token, 10);
	finish(f, &q, token, NV_ST_restored);
	while (!h.events || strcmp(h.states[h.events - 1], "restored") != 0)
		hear(&h, h.events + 1);
	assert_true(h.events >= 3);
	assert_string_equal(h.states[h.events - 3], "importing");
	assert_string_equal(h.states[h.events - 2], "");
	assert_string_equal(h.ids[h.events - 1], id);
	nv_status_unfollow(follow);
	/* Last-Event-ID: from there on, nothing lost. */
	late.want = 3;
	follow = nv_status_follow(f->s, after_first, on_event, on_lost, &late);
	assert_true(run_until(f, &late.enough, 5000));
	assert_int_equal(late.lost, 0);
	nv_status_unfollow(follow);
}

static void a_follower_survives_a_restart_and_notices_an_emptied_redis(void **state)
{
	struct fixture *f = *state;
	struct heard h = {.f = f}, cut = {.f = f}, odd = {.f = f};
	char one[NV_UUID_SIZE] = "", two[NV_UUID_SIZE] = "", three[NV_UUID_SIZE] = "";
	struct nv_restore_request q = request(one, "ann", "7");
	struct nv_follow *follow, *second, *third;
	char old[64];

	create(f, &q, false);
	follow = nv_status_follow(f->s, "0-0", on_event, on_lost, &h);
	hear(&h, 1);
	put(old, sizeof old, h.cursor);
	redis_kill(f);
	redis_start(f);
	q = request(two, "ann", "7");
	do {
		nv_status_create(f->s, &q, false, on_record, fresh());
		wait_for(f);
	} while (a.failed);
	hear(&h, 2);
	assert_int_equal(h.lost, 0);
	assert_string_equal(h.ids[1], two);
	raw(f, "FLUSHALL");
	q = request(three, "ann", "7");
	create(f, &q, false);
	hear(&h, 3);
	assert_int_equal(h.lost, 1);
	assert_string_equal(h.ids[2], three);
	/* Emptied, and nothing new: told all the same. */
	raw(f, "FLUSHALL");
	h.want = 0;
	h.enough = false;
	assert_true(run_until(f, &h.enough, 12000));
	assert_int_equal(h.lost, 2);
	/* A cursor from before, and one that never was one. */
	q.id = one;
	create(f, &q, false);
	cut.want = odd.want = 1;
	second = nv_status_follow(f->s, old, on_event, on_lost, &cut);
	third = nv_status_follow(f->s, "';--", on_event, on_lost, &odd);
	assert_true(run_until(f, &cut.enough, 5000));
	assert_true(run_until(f, &odd.enough, 5000));
	assert_int_equal(cut.lost, 1);
	assert_int_equal(odd.lost, 1);
	nv_status_unfollow(follow);
	nv_status_unfollow(second);
	nv_status_unfollow(third);
}

/* --- notices --- */

static void notices_reach_exactly_one_of_two_notifiers(void **state)
{
	struct fixture *f = *state;
	struct heard h[2] = {{.f = f}, {.f = f}};
	struct nv_status *other = status_new(f);
	bool all = false;
	uint64_t end = nv_mono_ms() + 20000;

	h[0].n = nv_status_notices(f->s, "a", on_event, &h[0]);
	h[1].n = nv_status_notices(other, "b", on_event, &h[1]);
	for (unsigned i = 0; i < 20; i++) {
		char id[NV_UUID_SIZE] = "", token[NV_TOKEN_SIZE];
		struct nv_restore_request q = request(id, "ann", "7");

		bring_to(f, &q, i % 2 ? NV_ST_restored : NV_ST_failed, token);
	}
	while (h[0].events + h[1].events < 20 && nv_mono_ms() < end)
		run_until(f, &all, 50);
	run_until(f, &all, 100);
	assert_int_equal(h[0].events + h[1].events, 20);
	for (unsigned i = 0; i < h[0].events; i++) {
		assert_true(nv_state_final(nv_state_from(h[0].states[i])));
		for (unsigned k = 0; k < h[1].events; k++)
			assert_string_not_equal(h[0].ids[i], h[1].ids[k]);
	}
	/* Done is done: nothing is kept. */
	assert_int_equal(raw_int(f, "XLEN %s", "nv:notices"), 0);
	status_close(f, other); /* closes its notifier, too */
}

static void a_notice_whose_holder_died_goes_to_another(void **state)
{
	struct fixture *f = *state;
	struct heard dead = {.f = f, .keep = true}, heir = {.f = f};
	struct nv_status *other = status_new(f);
	char id[NV_UUID_SIZE] = "", token[NV_TOKEN_SIZE];
	struct nv_restore_request q = request(id, "ann", "7");
	uint64_t taken;

	nv_status_set_notice_idle(f->s, 600);
	nv_status_set_notice_idle(other, 600);
	dead.n = nv_status_notices(other, "dead", on_event, &dead);
	bring_to(f, &q, NV_ST_restored, token);
	hear(&dead, 1);
	taken = nv_mono_ms();
	status_close(f, other);
	heir.n = nv_status_notices(f->s, "heir", on_event, &heir);
	hear(&heir, 1);
	assert_string_equal(heir.ids[0], id);
	assert_true(nv_mono_ms() - taken >= 500);
	/* An emptied Redis: the group is made again. */
	raw(f, "FLUSHALL");
	bring_to(f, &q, NV_ST_failed, token);
	hear(&heir, 2);
	assert_string_equal(heir.states[1], "failed");
	nv_status_notices_close(heir.n);
}

static void a_notice_not_done_comes_again(void **state)
{
	struct fixture *f = *state;
	struct heard h = {.f = f, .keep = true};
	char id[NV_UUID_SIZE] = "", token[NV_TOKEN_SIZE];
	struct nv_restore_request q = request(id, "ann", "7");

	nv_status_set_notice_idle(f->s, 200);
	h.n = nv_status_notices(f->s, "a", on_event, &h);
	bring_to(f, &q, NV_ST_restored, token);
	hear(&h, 2);
	assert_string_equal(h.ids[0], h.ids[1]);
}

/* --- small values --- */

static void values_end_with_their_life_time(void **state)
{
	struct fixture *f = *state;

	nv_kv_set(f->s, "k", "a\0b", 3, 0, true, on_bool, fresh());
	assert_true(ok(f)->yes);
	nv_kv_set(f->s, "k", "c", 1, 0, true, on_bool, fresh());
	assert_false(ok(f)->yes);
	nv_kv_get(f->s, "k", on_value, fresh());
	assert_int_equal(ok(f)->len, 3);
	assert_memory_equal(a.message, "a\0b", 3);
	nv_kv_del(f->s, "k", on_plain, fresh());
	ok(f);
	nv_kv_get(f->s, "k", on_value, fresh());
	assert_false(ok(f)->yes);
	nv_kv_set(f->s, "k", "", 0, 50, false, on_bool, fresh());
	ok(f);
	nv_kv_get(f->s, "k", on_value, fresh());
	assert_true(ok(f)->yes); /* there, and empty */
	do {
		nv_kv_get(f->s, "k", on_value, fresh());
	} while (ok(f)->yes);
	for (uint64_t i = 1; i <= 3; i++) {
		nv_kv_count(f->s, "n", 60000, on_number, fresh());
		assert_int_equal(ok(f)->number, i);
	}
	assert_in_range(raw_int(f, "PTTL %s", "nv:kv:n"), 1, 60000);
	nv_status_was_seen(f->s, "m", on_bool, fresh());
	assert_false(ok(f)->yes);
	nv_status_seen(f->s, "m", 60000, on_bool, fresh());
	assert_true(ok(f)->yes);
	nv_status_seen(f->s, "m", 60000, on_bool, fresh());
	assert_false(ok(f)->yes);
	nv_status_was_seen(f->s, "m", on_bool, fresh());
	assert_true(ok(f)->yes);
	assert_in_range(raw_int(f, "PTTL %s", "nv:seen:m"), 1, 60000);
}

/* --- when Redis is not well --- */

static void a_redis_that_does_not_answer_is_an_error_not_a_hang(void **state)
{
	struct fixture *f = *state;
	int pid = redis_pid();
	uint64_t begin;

	nv_kv_get(f->s, "k", on_value, fresh());
	ok(f);
	assert_true(nv_status_up(f->s));
	assert_int_equal(kill(pid, SIGSTOP), 0);
	begin = nv_mono_ms();
	nv_kv_get(f->s, "k", on_value, fresh());
	refused(f, NV_RETRY, NV_R_status_unavailable);
	assert_in_range(nv_mono_ms() - begin, 900, 3000);
	assert_false(nv_status_up(f->s));
	assert_int_equal(f->downs, 1);
	/* Now known to be away: at once. */
	begin = nv_mono_ms();
	nv_kv_get(f->s, "k", on_value, fresh());
	refused(f, NV_RETRY, NV_R_status_unavailable);
	assert_true(nv_mono_ms() - begin < 500);
	assert_int_equal(kill(pid, SIGCONT), 0);
	do {
		nv_kv_get(f->s, "k", on_value, fresh());
		wait_for(f);
	} while (a.failed);
	assert_true(nv_status_up(f->s));
	assert_int_equal(f->ups, 2);
}

static void a_redis_killed_in_the_middle_answers_every_call_and_comes_back(void **state)
{
	struct fixture *f = *state;
	struct answer *many = nv_alloc(20 * sizeof *many);
	char id[NV_UUID_SIZE] = "";
	struct nv_restore_request q = request(id, "ann", "7");
	int pid = redis_pid();

	assert_false(create(f, &q, false)->failed);
	assert_int_equal(kill(pid, SIGSTOP), 0); /* so that they are surely in flight */
	for (int i = 0; i < 20; i++)
		nv_status_get(f->s, id, on_record, &many[i]);
	redis_kill(f);
	for (int i = 0; i < 20; i++) {
		assert_true(run_until(f, &many[i].done, 5000));
		assert_true(many[i].failed);
		assert_int_equal(many[i].err.kind, NV_RETRY);
		assert_int_equal(many[i].err.reason, NV_R_status_unavailable);
	}
	free(many);
	redis_start(f);
	do {
		wait_for(f);
		get(f, id);
	} while (a.failed);
	/* What was confirmed is still there: appendfsync always. */
	assert_int_equal(a.state, NV_ST_scheduled);
}

static void calls_in_flight_are_answered_when_it_closes(void **state)
{
	struct fixture *f = *state;
	struct nv_status *other = status_new(f);
	bool closed = false;

	nv_kv_get(other, "k", on_value, fresh());
	nv_status_close(other, on_closed, &closed);
	assert_false(a.done); /* not from within the call */
	assert_true(run_until(f, &closed, 5000));
	assert_true(a.done);
	assert_int_equal(a.err.kind, NV_RETRY);
	/* Once more with a call that is already on its way, and followers. */
	other = status_new(f);
	nv_kv_get(other, "k", on_value, fresh());
	ok(f);
	nv_status_follow(other, "$", on_event, NULL, NULL);
	nv_status_notices(other, "x", on_event, NULL);
	nv_kv_get(other, "k", on_value, fresh());
	status_close(f, other);
	assert_true(a.done);
	assert_true(a.failed);
}

static void no_redis_at_all_is_an_error_at_once(void **state)
{
	struct fixture *f = *state;
	struct fixture g = {.config.redis = {.socket = "/nonexistent/redis.sock", .timeout = 1000}};
	struct nv_status_options o = {.config = &g.config};
	struct nv_err err;
	struct nv_status *s = nv_status_new(&f->loop, &o, &err);

	assert_non_null(s);
	nv_kv_get(s, "k", on_value, fresh());
	refused(f, NV_RETRY, NV_R_status_unavailable);
	status_close(f, s);
	/* TCP, refused */
	g.config.redis.socket = NULL;
	g.config.redis.host = "127.0.0.1";
	g.config.redis.port = 1;
	s = nv_status_new(&f->loop, &o, &err);
	nv_kv_get(s, "k", on_value, fresh());
	refused(f, NV_RETRY, NV_R_status_unavailable);
	status_close(f, s);
	/* Another machine without a word in the configuration. */
	g.config.redis.host = "192.0.2.1";
	assert_null(nv_status_new(&f->loop, &o, &err));
	assert_int_equal(err.kind, NV_FATAL);
	assert_int_equal(err.reason, NV_R_config);
}

static void tcp_with_user_password_and_database(void **state)
{
	struct fixture *f = *state;
	struct fixture g = {.config.redis = {.host = "127.0.0.1", .timeout = 1000, .db = 3}};
	struct nv_status_options o = {.config = &g.config};
	struct nv_status *s;

	g.config.redis.port = (uint16_t)strtol(getenv("NAVETTE_TEST_REDIS_PORT"), NULL, 10);
	g.config.redis.user = "navette";
	g.config.redis.password = "s3cret";
	raw(f, "ACL SETUSER navette on >s3cret ~nv:* +@all");
	s = nv_status_new(&f->loop, &o, NULL);
	nv_kv_set(s, "k", "v", 1, 0, false, on_bool, fresh());
	assert_true(ok(f)->yes);
	status_close(f, s);
	raw(f, "SELECT 3");
	assert_int_equal(raw_int(f, "EXISTS %s", "nv:kv:k"), 1);
	raw(f, "SELECT 0");
	g.config.redis.password = "wrong";
	s = nv_status_new(&f->loop, &o, NULL);
	nv_kv_get(s, "k", on_value, fresh());
	refused(f, NV_RETRY, NV_R_status_unavailable);
	assert_non_null(strstr(a.err.msg, "WRONGPASS"));
	status_close(f, s);
}

static void a_full_redis_refuses_whole_changes_with_its_own_words(void **state)
{
	struct fixture *f = *state;
	char id[NV_UUID_SIZE] = "";
	struct nv_restore_request q = request(id, "ann", "7");

	raw(f, "CONFIG SET maxmemory 1");
	nv_status_create(f->s, &q, false, on_record, fresh());
	wait_for(f);
	raw(f, "CONFIG SET maxmemory 0");
	assert_true(a.failed);
	assert_int_equal(a.err.kind, NV_RETRY);
	assert_int_equal(a.err.reason, NV_R_status_unavailable);
	assert_non_null(strstr(a.err.msg, "OOM"));
	assert_int_equal(raw_int(f, "DBSIZE%s", ""), 0);
	raw(f, "SCRIPT FLUSH");
	assert_false(create(f, &q, false)->failed);
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
		T(of_two_claimers_one_wins),
		T(after_its_lease_a_claim_is_worth_nothing),
		T(a_restored_course_counts_even_when_the_claim_was_lost),
		T(a_finish_whose_answer_was_lost_may_be_repeated),
		T(a_failure_without_a_claim_counts_only_when_nobody_holds_one),
		T(a_cancel_is_seen_by_the_next_renew),
		T(a_claim_on_a_cancelling_request_nobody_works_on_cancels_it),
		T(an_old_revision_is_superseded_a_newer_one_taken),
		T(old_news_changes_nothing),
		T(while_cancelling_progress_is_shown_but_ready_ignored),
		T(a_course_is_held_until_its_request_failed_was_cancelled_or_deleted),
		T(a_deleted_course_is_free_again),
		T(lists_filter_and_page_2000_records),
		T(only_old_unconfirmed_scheduled_requests_are_swept),
		T(history_is_rebuilt_by_one_and_leaves_the_living_alone),
		T(a_follower_hears_every_change_in_order),
		T(a_follower_survives_a_restart_and_notices_an_emptied_redis),
		T(notices_reach_exactly_one_of_two_notifiers),
		T(a_notice_whose_holder_died_goes_to_another),
		T(a_notice_not_done_comes_again),
		T(values_end_with_their_life_time),
		T(a_redis_that_does_not_answer_is_an_error_not_a_hang),
		T(a_redis_killed_in_the_middle_answers_every_call_and_comes_back),
		T(calls_in_flight_are_answered_when_it_closes),
		T(no_redis_at_all_is_an_error_at_once),
		T(tcp_with_user_password_and_database),
		T(a_full_redis_refuses_whole_changes_with_its_own_words),
	};

	if (!getenv("NAVETTE_TEST_REDIS_SOCKET")) {
		const char *source = getenv("NAVETTE_SOURCE");
		nv_auto_free char *with =
			nv_asprintf("%s/tests/unit/with_redis", source ? source : ".");

		execl(with, with, argv[0], (char *)NULL);
		perror(with);
		return 2;
	}
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
