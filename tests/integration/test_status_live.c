/* SPDX-License-Identifier: GPL-3.0-or-later */
/* core/status while time passes: followers, notices, life times, and a Redis that is not well. */
#include "core/status/events.h"
#include "core/status/kv.h"
#include "core/status/notices.h"
#include "core/status/requests.h"
#include "core/status/status.h"
#include "status_fixture.h"

/* --- following --- */

struct heard {
	struct fixture *f;
	bool enough;
	unsigned want, events, lost, mine;
	char states[32][16];
	char ids[32][NV_UUID_SIZE];
	char cursor[64];
	struct nv_notices *n;
	bool keep;			 /* do not say done */
	unsigned caught_up, told_before; /* how often that was said; events by then */
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

static void on_caught_up(void *arg)
{
	struct heard *h = arg;

	h->told_before = h->events;
	h->caught_up++;
	h->enough = true;
}

/* Until it has heard so many in all. */
static void hear(struct heard *h, unsigned total)
{
	h->want = total;
	h->enough = h->events >= total;
	assert_true(run_until(h->f, &h->enough, 12000));
}

static void a_follower_says_once_that_it_has_told_all_that_was_there(void **state)
{
	struct fixture *f = *state;
	struct heard h = {.f = f, .want = 1000};
	char id[NV_UUID_SIZE];
	struct nv_restore_request q;

	for (unsigned i = 0; i < 250; i++) { /* more than it takes at a time */
		*id = '\0';
		q = request(id, "ann", "7");
		create(f, &q, false);
	}
	struct nv_follow *follow =
		nv_status_follow(f->s, "0-0", on_event, on_lost, on_caught_up, &h);
	assert_true(run_until(f, &h.enough, 5000));
	assert_int_equal(h.told_before, 250);
	*id = '\0';
	q = request(id, "ann", "7");
	create(f, &q, false);
	hear(&h, 251);
	assert_int_equal(h.caught_up, 1);
	assert_int_equal(h.lost, 0);
	nv_status_unfollow(follow);
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
	follow = nv_status_follow(f->s, "$", on_event, on_lost, NULL, &h);
	/* It begins where its first look finds the end: announce until it hears. */
	while (!h.events) {
		nv_status_announce(f->s, "catalog", "old", NULL, on_plain, fresh());
		ok(f);
	}
	put(after_first, sizeof after_first, h.cursor);
	h.events = 0;
	claim(f, &q, LEASE);
	memcpy(token, got.token, sizeof token);
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
	follow = nv_status_follow(f->s, after_first, on_event, on_lost, NULL, &late);
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
	follow = nv_status_follow(f->s, "0-0", on_event, on_lost, NULL, &h);
	hear(&h, 1);
	put(old, sizeof old, h.cursor);
	redis_kill(f);
	redis_start(f);
	q = request(two, "ann", "7");
	do {
		nv_status_create(f->s, &q, false, on_record, fresh());
		wait_for(f);
	} while (got.failed);
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
	second = nv_status_follow(f->s, old, on_event, on_lost, NULL, &cut);
	third = nv_status_follow(f->s, "';--", on_event, on_lost, NULL, &odd);
	assert_true(run_until(f, &cut.enough, 5000));
	assert_true(run_until(f, &odd.enough, 5000));
	assert_int_equal(cut.lost, 1);
	assert_int_equal(odd.lost, 1);
	nv_status_unfollow(follow);
	nv_status_unfollow(second);
	nv_status_unfollow(third);
}

static void a_follower_behind_a_cut_stream_is_told(void **state)
{
	struct fixture *f = *state;
	struct heard h = {.f = f, .want = 2};
	struct nv_follow *follow;

	for (int i = 0; i < 5; i++) {
		nv_status_announce(f->s, "catalog", "old", "ann", on_plain, fresh());
		ok(f);
	}
	raw(f, "XTRIM nv:events MAXLEN = 2");
	follow = nv_status_follow(f->s, "1-1", on_event, on_lost, NULL, &h);
	assert_true(run_until(f, &h.enough, 5000));
	assert_int_equal(h.lost, 1);
	assert_int_equal(h.events, 2);
	nv_status_unfollow(follow);
}

struct leaver {
	struct nv_follow *follow;
	struct nv_status *s;
	bool left;
	unsigned events;
};

static void on_event_leave(void *arg, const struct nv_status_change_event *e)
{
	struct leaver *l = arg;

	(void)e;
	l->events++;
	l->left = true;
	nv_status_unfollow(l->follow);
}

static void on_value_close(void *arg, const struct nv_err *err, const void *value, size_t len)
{
	struct leaver *l = arg;

	(void)err;
	(void)value;
	(void)len;
	/* Twice called: the second call is answered because of the first one's close. */
	nv_status_close(l->s, on_closed, &l->left);
}

static void a_callback_may_end_what_called_it(void **state)
{
	struct fixture *f = *state;
	struct leaver l = {0};

	for (int i = 0; i < 3; i++) {
		nv_status_announce(f->s, "catalog", "old", NULL, on_plain, fresh());
		ok(f);
	}
	l.follow = nv_status_follow(f->s, "0-0", on_event_leave, NULL, NULL, &l);
	assert_true(run_until(f, &l.left, 5000));
	assert_int_equal(l.events, 1);
	l.left = false;
	l.s = status_new(f);
	nv_kv_get(l.s, "k", on_value_close, &l);
	nv_kv_get(l.s, "k", on_value_close, &l);
	assert_true(run_until(f, &l.left, 5000));
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

/* A notifier that puts the requests of "slow" back as often as it is told to. */
struct patient {
	struct fixture *f;
	struct nv_notices *n;
	unsigned put_back, events;
	struct nv_status_change_event last[16];
	char ids[16][NV_UUID_SIZE], told[16][64];
	char slow[NV_UUID_SIZE];
	uint64_t at[16], delay;
};

static void on_notice(void *arg, const struct nv_status_change_event *e)
{
	struct patient *p = arg;
	unsigned i = p->events++ % 16;

	p->last[i] = *e;
	p->at[i] = nv_mono_ms();
	put(p->ids[i], sizeof p->ids[i], e->id);
	put(p->told[i], sizeof p->told[i], e->told);
	if (strcmp(e->id, p->slow) != 0 || e->tries >= p->put_back)
		nv_notice_done(p->n, e->cursor);
	else
		nv_notice_later(p->n, e->cursor, p->delay, e->tries ? "mail0 site0 " : "mail0 ");
}

static void await_notices(struct patient *p, unsigned total)
{
	bool never = false;
	uint64_t end = nv_mono_ms() + 20000;

	while (p->events < total && nv_mono_ms() < end)
		run_until(p->f, &never, 20);
	assert_int_equal(p->events, total);
}

static void a_notice_that_was_put_back_comes_again_and_holds_up_nobody(void **state)
{
	struct fixture *f = *state;
	struct patient p = {.f = f, .put_back = 2, .delay = 700};
	char id[NV_UUID_SIZE] = "", token[NV_TOKEN_SIZE];
	struct nv_restore_request slow = request(p.slow, "ann", "7"), q = request(id, "bob", "8");
	uint64_t now = nv_now_ms();

	p.n = nv_status_notices(f->s, "a", on_notice, &p);
	bring_to(f, &slow, NV_ST_failed, token);
	await_notices(&p, 1);
	bring_to(f, &q, NV_ST_restored, token);
	await_notices(&p, 4);
	assert_string_equal(p.ids[1], id); /* while the other waits */
	for (unsigned i = 2; i < 4; i++) {
		assert_string_equal(p.ids[i], p.slow);
		assert_int_equal(p.last[i].tries, i - 1);
		assert_int_equal(p.last[i].first, p.last[0].first);
		assert_int_equal(p.last[i].rev, 1);
	}
	assert_in_range(p.last[0].first, now, now + 20000);
	assert_string_equal(p.told[2], "mail0 ");
	assert_string_equal(p.told[3], "mail0 site0 ");
	assert_true(p.at[2] - p.at[0] >= 690 && p.at[3] - p.at[2] >= 690);
	/* Due in time, not only after the longest wait for something new. */
	assert_true(p.at[2] - p.at[0] < 3000 && p.at[3] - p.at[2] < 3000);
	nv_status_get(f->s, id, on_record, fresh()); /* behind the last XDEL, on Redis's side */
	ok(f);
	nv_status_notices_close(p.n);
	assert_int_equal(raw_int(f, "ZCARD %s", "nv:notices:waiting"), 0);
}

static void a_notice_put_back_outlives_its_notifier_and_is_put_back_once(void **state)
{
	struct fixture *f = *state;
	struct heard dead = {.f = f, .keep = true};
	struct patient heir = {.f = f};
	struct nv_status *other = status_new(f);
	char id[NV_UUID_SIZE] = "", token[NV_TOKEN_SIZE];
	struct nv_restore_request q = request(id, "ann", "7");
	uint64_t end = nv_mono_ms() + 20000;
	bool never = false;

	dead.n = nv_status_notices(other, "dead", on_event, &dead);
	bring_to(f, &q, NV_ST_failed, token);
	hear(&dead, 1);
	nv_notice_later(dead.n, dead.cursor, 100, "");
	nv_notice_later(dead.n, dead.cursor, 100, ""); /* it does not become two */
	while (raw_int(f, "ZCARD %s", "nv:notices:waiting") != 1 && nv_mono_ms() < end)
		run_until(f, &never, 10);
	assert_int_equal(raw_int(f, "XLEN %s", "nv:notices"), 0);
	status_close(f, other);
	heir.n = nv_status_notices(f->s, "heir", on_notice, &heir);
	await_notices(&heir, 1);
	assert_string_equal(heir.ids[0], id);
	run_until(f, &never, 200);
	assert_int_equal(heir.events, 1);
	nv_status_notices_close(heir.n);
}

static void what_is_said_of_a_notice_before_the_close_is_heard(void **state)
{
	struct fixture *f = *state;

	for (unsigned later = 0; later < 2; later++) {
		struct nv_status *other = status_new(f);
		struct heard h = {.f = f, .keep = true};
		char id[NV_UUID_SIZE] = "", token[NV_TOKEN_SIZE];
		struct nv_restore_request q = request(id, "ann", "7");

		raw(f, "SCRIPT FLUSH"); /* it takes two tries */
		h.n = nv_status_notices(other, "a", on_event, &h);
		bring_to(f, &q, NV_ST_failed, token);
		hear(&h, 1);
		if (later)
			nv_notice_later(h.n, h.cursor, 60000, "mail0 ");
		else
			nv_notice_done(h.n, h.cursor);
		nv_status_notices_close(h.n);
		status_close(f, other);
		assert_int_equal(raw_int(f, "XLEN %s", "nv:notices"), 0);
		assert_int_equal(raw_int(f, "ZCARD %s", "nv:notices:waiting"), later);
	}
}

/* --- digests --- */

/* Whether this failure, one of ann's, is collected. */
static bool is_collected(struct fixture *f, const char *id, uint64_t rev, const char *reason)
{
	struct nv_digest_failure failure = {
		.row = {.id = id, .course = "A \"course\"", .site = "old", .reason = reason},
		.rev = rev};

	nv_status_digest_add(f->s, &failure, 2, 60000, on_bool, fresh());
	return ok(f)->yes;
}

static struct nv_digest last_digest;
static char last_row[NV_UUID_SIZE], last_course[64];

static void on_digest(void *arg, const struct nv_err *err, const struct nv_digest *d)
{
	on_plain(arg, err);
	if (!d)
		return;
	last_digest = *d;
	put(last_row, sizeof last_row, d->rows[d->rows_len - 1].id);
	put(last_course, sizeof last_course, d->rows[d->rows_len - 1].course);
	assert_null(d->rows[0].user);
	assert_string_equal(d->counts[0].reason, "store_full");
}

static const struct nv_digest *read_digest(struct fixture *f, const char *id)
{
	nv_status_digest_read(f->s, id, on_digest, fresh());
	ok(f);
	return &last_digest;
}

/* Script: as if all members of a zset were from 1970; how many there are. */
#define FIRST_SCORES(zset)                                                                \
	"local all = redis.call('ZRANGE', '" zset "', 0, -1) for _, m in ipairs(all) do " \
	"redis.call('ZADD', '" zset "', 1, m) end return #all"

/* Due now; the digest that a notifier gets then. */
static void await_digest(struct fixture *f, struct heard *h, char *ret)
{
	assert_int_equal(raw_int(f, "EVAL %s 0", FIRST_SCORES("nv:notices:waiting")), 1);
	raw(f, "XADD nv:notices * wakes notifiers");
	hear(h, h->events + 1);
	put(ret, 64, h->ids[h->events - 1]);
}

static void failures_beyond_the_first_are_collected_each_once(void **state)
{
	struct fixture *f = *state;
	struct heard h = {.f = f};
	char ids[30][NV_UUID_SIZE] = {{0}}, token[NV_TOKEN_SIZE], first[64], second[64];

	for (unsigned i = 0; i < 30; i++) {
		struct nv_restore_request q = request(ids[i], "ann", "7");

		bring_to(f, &q, NV_ST_failed, token);
		for (unsigned again = 0; again < 2; again++)
			assert_int_equal(
				is_collected(f, ids[i], 1, i % 3 ? "store_full" : "timeout"),
				i >= 2);
	}
	raw(f, "DEL nv:notices"); /* of the requests themselves: not what this is about */
	assert_int_equal(raw_int(f, "ZCARD %s", "nv:notices:waiting"), 1);
	h.n = nv_status_notices(f->s, "a", on_event, &h);
	await_digest(f, &h, first);
	for (unsigned again = 0; again < 2; again++) {
		const struct nv_digest *d = read_digest(f, first);

		assert_int_equal(d->total, 28);
		assert_int_equal(d->rows_len, NV_DIGEST_ROWS);
		assert_string_equal(last_row, ids[2 + NV_DIGEST_ROWS - 1]);
		assert_string_equal(last_course, "A \"course\"");
		assert_int_equal(d->counts_len, 2);
		assert_int_equal(d->counts[0].number, 19);
		assert_int_equal(d->counts[1].number, 9);
		/* What fails after it was given out goes into the next; what it has, stays. */
		assert_true(is_collected(f, ids[0], 2 + again, "store_full"));
		assert_true(is_collected(f, ids[29], 1, "store_full"));
	}
	await_digest(f, &h, second);
	assert_string_not_equal(first, second);
	assert_int_equal(read_digest(f, second)->total, 2);
	nv_status_digest_read(f->s, "1", on_digest, fresh());
	refused(f, NV_REJECT, NV_R_not_found);
	nv_status_notices_close(h.n);
}

static void what_is_put_back_and_fails_again_is_collected_again(void **state)
{
	struct fixture *f = *state;
	struct heard h = {.f = f};
	char ids[3][NV_UUID_SIZE] = {{0}}, token[NV_TOKEN_SIZE], first[64], second[64];
	struct nv_restore_request q = {0};

	for (unsigned i = 0; i < 3; i++) {
		q = request(ids[i], "ann", "7");
		bring_to(f, &q, NV_ST_failed, token);
		assert_int_equal(is_collected(f, ids[i], 1, "store_full"), i == 2);
	}
	raw(f, "DEL nv:notices"); /* of the requests themselves: not what this is about */
	h.n = nv_status_notices(f->s, "a", on_event, &h);
	await_digest(f, &h, first);
	assert_int_equal(read_digest(f, first)->total, 1);
	/* An operator requeues it: the revision stays the same. */
	put(token, sizeof token, claim_as(f, &q, NULL, LEASE, true)->token);
	assert_false(finish(f, &q, token, NV_ST_failed)->failed);
	for (unsigned again = 0; again < 2; again++)
		assert_true(is_collected(f, ids[2], 1, "store_full"));
	hear(&h, 2); /* of the failure itself */
	await_digest(f, &h, second);
	assert_string_not_equal(first, second);
	assert_int_equal(read_digest(f, second)->total, 1);
	nv_status_notices_close(h.n);
}

static void failures_far_apart_are_told_one_by_one(void **state)
{
	struct fixture *f = *state;
	char ids[3][NV_UUID_SIZE] = {{0}}, token[NV_TOKEN_SIZE];

	for (unsigned i = 0; i < 3; i++) {
		struct nv_restore_request q = request(ids[i], "ann", "7");

		bring_to(f, &q, NV_ST_failed, token);
		assert_false(is_collected(f, ids[i], 1, "timeout"));
		raw_int(f, "EVAL %s 0", FIRST_SCORES("nv:digest:recent"));
	}
	assert_int_equal(raw_int(f, "EXISTS %s", "nv:digest:open"), 0);
	nv_status_digest_add(f->s, &(struct nv_digest_failure){.row = {.id = "nobody"}, .rev = 1},
			     2, 60000, on_bool, fresh());
	refused(f, NV_REJECT, NV_R_not_found);
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
	assert_memory_equal(got.message, "a\0b", 3);
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
	} while (got.failed);
	assert_true(nv_status_up(f->s));
	assert_int_equal(f->ups, 2);
}

static void a_loop_that_was_held_up_still_takes_the_answer(void **state)
{
	struct fixture *f = *state;

	nv_kv_get(f->s, "k", on_value, fresh());
	ok(f);
	nv_kv_get(f->s, "k", on_value, fresh());
	uv_run(&f->loop, UV_RUN_NOWAIT); /* sent */
	usleep(1300000);		 /* longer than the timeout: the thing under test */
	ok(f);
	assert_int_equal(f->downs, 0);
}

/* Several times what a socket holds, so that it is written in parts; what is asked behind it waits.
 * However long a busy disk takes for it. */
static void what_a_socket_does_not_hold_at_once_arrives_whole(void **state)
{
	struct fixture *f = *state;
	size_t len = (size_t)2 << 20;
	struct answer *set = nv_alloc(sizeof *set);
	char *value = nv_alloc(len);
	int pid = redis_pid();

	f->config.redis.timeout = 60000;
	memset(value, 'v', len);
	nv_kv_get(f->s, "k", on_value, fresh());
	ok(f);
	assert_int_equal(kill(pid, SIGSTOP), 0);
	nv_kv_set(f->s, "k", value, len, 60000, false, on_bool, set);
	nv_kv_get(f->s, "k", on_value, fresh());
	for (int i = 0; i < 3; i++)
		uv_run(&f->loop, UV_RUN_NOWAIT);
	assert_false(set->done);
	assert_int_equal(kill(pid, SIGCONT), 0);
	assert_true(run_until(f, &got.done, 60000));
	assert_int_equal(ok(f)->len, len);
	assert_true(set->done && set->yes);
	free(value);
	free(set);
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
	} while (got.failed);
	/* What was confirmed is still there: appendfsync always. */
	assert_int_equal(got.state, NV_ST_scheduled);
}

static void calls_in_flight_are_answered_when_it_closes(void **state)
{
	struct fixture *f = *state;
	struct nv_status *other = status_new(f);
	bool closed = false;

	nv_kv_get(other, "k", on_value, fresh());
	nv_status_close(other, on_closed, &closed);
	assert_false(got.done); /* not from within the call */
	assert_true(run_until(f, &closed, 5000));
	assert_true(got.done);
	assert_int_equal(got.err.kind, NV_RETRY);
	/* Once more with a call that is already on its way, and followers. */
	other = status_new(f);
	nv_kv_get(other, "k", on_value, fresh());
	ok(f);
	nv_status_follow(other, "$", on_event, NULL, NULL, NULL);
	nv_status_notices(other, "x", on_event, NULL);
	nv_kv_get(other, "k", on_value, fresh());
	status_close(f, other);
	assert_true(got.done);
	assert_true(got.failed);
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

	g.config.redis.port = redis_port();
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
	assert_non_null(strstr(got.err.msg, "WRONGPASS"));
	status_close(f, s);
}

static void a_full_redis_refuses_whole_changes_with_its_own_words(void **state)
{
	struct fixture *f = *state;
	char id[NV_UUID_SIZE] = "";
	struct nv_restore_request q = request(id, "ann", "7");

	raw(f, "FLUSHALL");
	raw(f, "CONFIG SET maxmemory 1");
	nv_status_create(f->s, &q, false, on_record, fresh());
	wait_for(f);
	raw(f, "CONFIG SET maxmemory 0");
	assert_true(got.failed);
	assert_int_equal(got.err.kind, NV_RETRY);
	assert_int_equal(got.err.reason, NV_R_status_unavailable);
	assert_non_null(strstr(got.err.msg, "OOM"));
	assert_int_equal(raw_int(f, "DBSIZE%s", ""), 0);
	raw(f, "SCRIPT FLUSH");
	assert_false(create(f, &q, false)->failed);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(a_follower_says_once_that_it_has_told_all_that_was_there),
		T(a_follower_hears_every_change_in_order),
		T(a_follower_survives_a_restart_and_notices_an_emptied_redis),
		T(a_follower_behind_a_cut_stream_is_told),
		T(a_callback_may_end_what_called_it),
		T(notices_reach_exactly_one_of_two_notifiers),
		T(a_notice_whose_holder_died_goes_to_another),
		T(a_notice_not_done_comes_again),
		T(a_notice_that_was_put_back_comes_again_and_holds_up_nobody),
		T(a_notice_put_back_outlives_its_notifier_and_is_put_back_once),
		T(what_is_said_of_a_notice_before_the_close_is_heard),
		T(failures_beyond_the_first_are_collected_each_once),
		T(what_is_put_back_and_fails_again_is_collected_again),
		T(failures_far_apart_are_told_one_by_one),
		T(values_end_with_their_life_time),
		T(a_redis_that_does_not_answer_is_an_error_not_a_hang),
		T(a_loop_that_was_held_up_still_takes_the_answer),
		T(what_a_socket_does_not_hold_at_once_arrives_whole),
		T(a_redis_killed_in_the_middle_answers_every_call_and_comes_back),
		T(calls_in_flight_are_answered_when_it_closes),
		T(no_redis_at_all_is_an_error_at_once),
		T(tcp_with_user_password_and_database),
		T(a_full_redis_refuses_whole_changes_with_its_own_words),
	};

	if (!within_redis(argc, argv))
		return 2;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
