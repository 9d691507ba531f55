/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "status_fixture.h"
#include "core/status/claims.h"
#include "core/status/events.h"
#include "core/status/requests.h"
#include "core/status/status.h"

void put(char *to, size_t size, const char *from)
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
	a->place = r->place;
	a->next_try = r->next_try;
	a->held = r->held;
	a->published = r->published;
	a->deleted = r->course_deleted;
	put(a->id, sizeof a->id, r->request.id);
	put(a->reason, sizeof a->reason, r->reason);
	put(a->message, sizeof a->message, r->message);
	put(a->course, sizeof a->course, r->course);
	put(a->warning, sizeof a->warning, r->warnings.len ? r->warnings.items[0] : "");
	nv_auto_buf struct nv_buf lost = {0};
	nv_differences_put(&r->differences, &lost);
	put(a->lost, sizeof a->lost, lost.data ? (const char *)lost.data : "");
	put(a->joined, sizeof a->joined, r->joined.len ? r->joined.items[0] : "");
}

void on_plain(void *arg, const struct nv_err *err)
{
	note_err(arg, err);
}

void on_record(void *arg, const struct nv_err *err, const struct nv_status_record *r)
{
	note_err(arg, err);
	note_record(arg, r);
}

void on_list(void *arg, const struct nv_err *err, const struct nv_status_record *recs, size_t len,
	     uint64_t total)
{
	struct answer *a = arg;

	note_err(a, err);
	a->len = len;
	a->total = total;
	for (size_t i = 0; i < len; i++)
		put(a->ids[i], NV_UUID_SIZE, recs[i].request.id);
}

void on_bool(void *arg, const struct nv_err *err, bool yes)
{
	struct answer *a = arg;

	note_err(a, err);
	a->yes = yes;
}

void on_number(void *arg, const struct nv_err *err, uint64_t n)
{
	struct answer *a = arg;

	note_err(a, err);
	a->number = n;
}

void on_value(void *arg, const struct nv_err *err, const void *value, size_t len)
{
	struct answer *a = arg;

	note_err(a, err);
	a->yes = value != NULL;
	a->len = len;
	if (value)
		memcpy(a->message, value, len < sizeof a->message ? len : sizeof a->message);
}

void on_counts(void *arg, const struct nv_err *err, const uint64_t *counts)
{
	struct answer *a = arg;

	note_err(a, err);
	memcpy(a->counts, counts, sizeof a->counts);
}

void on_claim(void *arg, const struct nv_err *err, enum nv_claim_result result, const char *token)
{
	struct answer *a = arg;

	note_err(a, err);
	a->result = (int)result;
	put(a->token, sizeof a->token, token);
}

void on_renew(void *arg, const struct nv_err *err, enum nv_renew_result result)
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
bool run_until(struct fixture *f, const bool *what, uint64_t ms)
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
struct answer got;

void *fresh(void)
{
	memset(&got, 0, sizeof got);
	return &got;
}

struct answer *wait_for(struct fixture *f)
{
	assert_true(run_until(f, &got.done, 10000));
	return &got;
}

struct answer *ok(struct fixture *f)
{
	wait_for(f);
	if (got.failed)
		print_error("unexpected: %s\n", got.err.msg);
	assert_false(got.failed);
	return &got;
}

struct answer *refused(struct fixture *f, enum nv_err_kind kind, enum nv_reason reason)
{
	wait_for(f);
	assert_true(got.failed);
	if (got.err.kind != kind || got.err.reason != reason)
		print_error("unexpected: %s\n", got.err.msg);
	assert_int_equal(got.err.kind, kind);
	assert_int_equal(got.err.reason, reason);
	return &got;
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

void raw(struct fixture *f, const char *command)
{
	redisReply *r = redisCommand(f->raw, command);

	assert_non_null(r);
	if (r->type == REDIS_REPLY_ERROR)
		print_error("%s: %s\n", command, r->str);
	assert_int_not_equal(r->type, REDIS_REPLY_ERROR);
	freeReplyObject(r);
}

long long raw_int(struct fixture *f, const char *command, const char *key)
{
	redisReply *r = redisCommand(f->raw, command, key);
	long long n;

	assert_non_null(r);
	n = r->integer;
	freeReplyObject(r);
	return n;
}

uint16_t redis_port(void)
{
	const char *port = getenv("NAVETTE_TEST_REDIS_PORT");

	return (uint16_t)(port ? strtoul(port, NULL, 10) : 0);
}

int redis_pid(void)
{
	nv_auto_free char *path = nv_asprintf("%s/redis.pid", getenv("NAVETTE_TEST_REDIS_DIR"));
	nv_auto_file FILE *file = fopen(path, "re");
	char line[32] = "";

	assert_non_null(file);
	assert_non_null(fgets(line, sizeof line, file));
	return (int)strtol(line, NULL, 10);
}

void redis_kill(struct fixture *f)
{
	int pid = redis_pid();

	redisFree(f->raw);
	f->raw = NULL;
	assert_int_equal(kill(pid, SIGKILL), 0);
	for (int i = 0; i < 400 && (kill(pid, 0) == 0 || errno != ESRCH); i++)
		usleep(5000);
}

void redis_start(struct fixture *f)
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

struct nv_status *status_new(struct fixture *f)
{
	struct nv_status_options o = {.config = &f->config, .on_state_cb = on_state, .arg = f};
	struct nv_err err;
	struct nv_status *s = nv_status_new(&f->loop, &o, &err);

	assert_non_null(s);
	return s;
}

void on_closed(void *arg)
{
	*(bool *)arg = true;
}

void status_close(struct fixture *f, struct nv_status *s)
{
	bool closed = false;

	nv_status_close(s, on_closed, &closed);
	assert_true(run_until(f, &closed, 5000));
}

int setup(void **state)
{
	struct fixture *f = nv_alloc(sizeof *f);

	assert_int_equal(uv_loop_init(&f->loop), 0);
	f->config.redis.socket = getenv("NAVETTE_TEST_REDIS_SOCKET");
	f->config.redis.timeout = 1000;
	f->raw = raw_connect();
	raw(f, "FLUSHALL");
	raw(f, "SET nv:emptied 1"); /* what messages say of requests is believed at once */
	f->s = status_new(f);
	*state = f;
	return 0;
}

int teardown(void **state)
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

struct nv_restore_request request(char *id, const char *user, const char *course)
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

struct answer *create(struct fixture *f, const struct nv_restore_request *q, bool only_one)
{
	nv_status_create(f->s, q, only_one, on_record, fresh());
	return wait_for(f);
}

struct answer *get(struct fixture *f, const char *id)
{
	nv_status_get(f->s, id, on_record, fresh());
	return wait_for(f);
}

struct answer *claim(struct fixture *f, const struct nv_restore_request *q, uint64_t lease)
{
	return claim_as(f, q, NULL, lease, false);
}

struct answer *claim_as(struct fixture *f, const struct nv_restore_request *q, const char *attempt,
			uint64_t lease, bool reopen)
{
	nv_status_claim(f->s, q, attempt, "host-a", lease, reopen, NULL, on_claim, fresh());
	return ok(f);
}

int renew(struct fixture *f, const char *id, const char *token, uint64_t done)
{
	struct nv_status_progress p = {.step = "import", .done = done, .total = 100};
	nv_status_renew(f->s, id, token, LEASE, &p, on_renew, fresh());
	return ok(f)->result;
}

struct answer *finish(struct fixture *f, const struct nv_restore_request *q, const char *token,
		      enum nv_state to)
{
	char warning[] = "a: strange, warning";
	char *warnings[] = {warning};
	struct nv_difference lost[] = {{(char *)"activity", (char *)"wiki", 3, 1},
				       {(char *)"section", (char *)"", 5, 4}};
	struct nv_status_outcome o = {.state = to, .course = "42", .enrolled = true};

	o.warnings = (struct nv_strs){.items = warnings, .len = 1};
	o.differences = (struct nv_list){.items = lost, .len = 2};
	if (to == NV_ST_failed) {
		o.reason = "import_failed";
		o.message = "it broke";
		o.failed_attempt = true;
	}
	nv_status_finish(f->s, q, token, &o, on_plain, fresh());
	return wait_for(f);
}

enum nv_state event(struct fixture *f, const struct nv_restore_request *q, char *attempt,
		    uint64_t seq, enum nv_event_state state, uint64_t done)
{
	struct nv_status_event e = {.attempt = attempt, .seq = seq, .state = state, .done = done};
	char reason[] = "export_failed";
	char text[] = "no luck";

	if (state == NV_EV_FAILED || state == NV_EV_HELD) {
		e.reason = reason;
		e.message = text;
	}
	nv_status_apply_event(f->s, q, &e, on_plain, fresh());
	ok(f);
	return get(f, q->id)->state;
}

/* A record in this state, by the shortest way.  token: of the claim, where there is one. */
void bring_to(struct fixture *f, const struct nv_restore_request *q, enum nv_state to, char *token)
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
		memcpy(token, got.token, NV_TOKEN_SIZE);
	}
	if (to == NV_ST_ready || to == NV_ST_restored)
		assert_false(finish(f, q, token, to)->failed);
	if (to == NV_ST_cancelling || to == NV_ST_cancelled) {
		nv_status_cancel(f->s, q->id, "ann", on_record, fresh());
		ok(f);
	}
	assert_int_equal(get(f, q->id)->state, to);
}

bool within_redis(int argc, char **argv)
{
	const char *source = getenv("NAVETTE_SOURCE");
	nv_auto_free char *with =
		nv_asprintf("%s/tests/integration/with_redis", source ? source : ".");

	if (getenv("NAVETTE_TEST_REDIS_SOCKET")) {
		if (argc > 1)
			cmocka_set_test_filter(argv[1]);
		return true;
	}
	execv(with, (char *[]){with, argv[0], argc > 1 ? argv[1] : NULL, NULL});
	perror(with);
	return false;
}
