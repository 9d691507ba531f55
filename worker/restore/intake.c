/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which messages are served. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "core/status/claims.h"
#include "worker/worker.h"

/* A genuine archive.ready that came too late, or waited for a clock in vain: its people are told.
 */
static bool decline_untimely(struct worker *w, struct nv_delivery *d, const struct nv_err *why)
{
	struct nv_envelope env, request;
	struct nv_err err = {0};
	size_t len;
	const void *body = nv_delivery_body(d, &len);
	if (why->kind != NV_REJECT || (why->reason != NV_R_expired && why->reason != NV_R_clock) ||
	    nv_envelope_open(body, len, &w->sites, 1u << NV_KIND_ARCHIVE_READY, 0, &env, &err) < 0)
		return false;
	if (nv_open_request_of_ready(w, &env, &request, &err) < 0) {
		nv_envelope_fini(&env);
		return false;
	}
	nv_restore_decline(w, d, &env, &request, why);
	return true;
}

/* The same of an enrol.request. */
static bool decline_enrol_request(struct worker *w, struct nv_delivery *d, const struct nv_err *why)
{
	struct nv_envelope env;
	struct nv_err err = {0}, said = *why;
	size_t len;
	const void *body = nv_delivery_body(d, &len);
	if (why->kind != NV_REJECT || (why->reason != NV_R_expired && why->reason != NV_R_clock) ||
	    nv_envelope_open(body, len, &w->myself, 1u << NV_KIND_ENROL_REQUEST, 0, &env, &err) < 0)
		return false;
	if (why->reason == NV_R_expired)
		nv_err_prefix(&said, "nobody served it in time, and it has expired");
	nv_enrol_decline(w, d, &env, &said);
	return true;
}

/* An archive.ready from a key that we do not trust (any more).  Nothing it says is believed; but
 * where the request inside was signed by our own client, and the broker vouches for the course
 * server's user as sender, its people are told that it failed and why.  Whoever forges that gains
 * nothing but a failed request, which may be asked for again. */
static bool decline_untrusted(struct worker *w, struct nv_delivery *d, const struct nv_err *why)
{
	struct nv_envelope unknown = {0}, request;
	struct nv_err err = {0}, said;
	size_t len;
	const void *body = nv_delivery_body(d, &len);
	if ((why->reason != NV_R_untrusted && why->reason != NV_R_unsigned_message) ||
	    nv_envelope_open_inside(body, len, &w->myself, &request, &err) < 0)
		return false;
	const char *site = request.body.restore_request.site;
	if (strcmp(nv_delivery_user(d), nv_broker_user("archiver", site).s) != 0) {
		nv_envelope_fini(&request);
		return false;
	}
	nv_fail(&said, NV_REJECT, NV_R_untrusted,
		"the course server \"%s\" signs with a key that is not trusted here "
		"(sites[].public_key "
		"of the configuration): %s",
		site, why->msg);
	nv_metric_add(w->metrics.refused, nv_reason_word(why->reason), 1);
	nv_restore_decline(w, d, &unknown, &request, &said);
	return true;
}

static void waiting_told(void *arg, const struct nv_err *err)
{
	(void)arg; /* told again when it comes again */
	(void)err;
}

/* Signed in the future: it is held until that is past, and whoever waits is told why. */
static void note_early(struct worker *w, const void *body, size_t len, const struct nv_err *why)
{
	struct nv_envelope env, request;
	struct nv_err err;
	char from[sizeof w->daemon->host + 8];
	if (nv_envelope_open(body, len, &w->sites, 1u << NV_KIND_ARCHIVE_READY, 0, &env, &err) < 0)
		return;
	nv_clock_note(w->metrics.clock_skew, &env);
	if (nv_open_request_of_ready(w, &env, &request, &err) == 0) {
		snprintf(from, sizeof from, "worker %s", w->daemon->host);
		nv_status_waits(w->status, &request.body.restore_request, NV_R_clock, why->msg,
				from, waiting_told, NULL);
		nv_envelope_fini(&request);
	}
	nv_envelope_fini(&env);
}

/* What cannot be served, or not now. */
static void turn_away(struct worker *w, struct nv_delivery *d, bool is_enrol, struct nv_err *why)
{
	size_t len;
	const void *body = nv_delivery_body(d, &len);
	nv_settle_bound_clock(d, why);
	if (why->kind == NV_HOLD && !is_enrol)
		note_early(w, body, len, why);
	bool told = is_enrol ? decline_enrol_request(w, d, why)
			     : decline_untimely(w, d, why) || decline_untrusted(w, d, why);
	if (!told)
		nv_sender_refuse(&w->sender, &w->settle, d, why, w->metrics.refused);
}

/* --- has it expired, or is our clock ahead? --- */

#define ASK_AGAIN_MS 1000u

struct expired {
	struct worker *w;
	struct nv_delivery *d;
	bool is_enrol;
	uint64_t expires;
	struct nv_err why;
	uv_timer_t timer;
};

static void expired_closed(uv_handle_t *handle)
{
	struct expired *e = handle->data;
	struct worker *w = e->w;
	free(e);
	w->busy--;
	w->on_idle_cb(w);
}

static void judge_expired(void *arg, const struct nv_err *err, uint64_t redis_ms);

static void ask_again(uv_timer_t *timer)
{
	struct expired *e = timer->data;
	nv_status_time(e->w->status, judge_expired, e);
}

/* The clock of Redis decides, which is usually another machine's.  Where Redis runs on this one,
 * what has expired stays expired.  While Redis is unavailable we keep the delivery: each return
 * counts towards the broker's delivery limit, and beyond that nobody would be told. */
static void judge_expired(void *arg, const struct nv_err *err, uint64_t redis_ms)
{
	struct expired *e = arg;
	uint64_t now = nv_now_ms();
	if (err && !e->w->daemon->stopping) {
		uv_timer_start(&e->timer, ask_again, ASK_AGAIN_MS, 0);
		return;
	}
	if (!err && redis_ms < e->expires && redis_ms < now)
		nv_fail(&e->why, NV_HOLD, NV_R_clock,
			"the clock of this machine is %ju s ahead of that of Redis: one of the two "
			"is wrong",
			(uintmax_t)((now - redis_ms) / 1000));
	if (err)
		nv_bus_return(e->d);
	else
		turn_away(e->w, e->d, e->is_enrol, &e->why);
	uv_close((uv_handle_t *)&e->timer, expired_closed);
}

/* False: it has not expired by our clock, or nobody whom we trust has signed it. */
static bool ask_whether_expired(struct worker *w, struct nv_delivery *d, bool is_enrol,
				const struct nv_err *why)
{
	struct nv_envelope env;
	struct nv_err err = {0};
	size_t len;
	const void *body = nv_delivery_body(d, &len);
	unsigned want = 1u << (is_enrol ? NV_KIND_ENROL_REQUEST : NV_KIND_ARCHIVE_READY);
	if (why->reason != NV_R_expired ||
	    nv_envelope_open(body, len, is_enrol ? &w->myself : &w->sites, want, 0, &env, &err) < 0)
		return false;
	struct expired *e = nv_alloc(sizeof *e);
	*e = (struct expired){w, d, is_enrol, env.expires, *why, {0}};
	uv_timer_init(w->daemon->loop, &e->timer);
	e->timer.data = e;
	nv_envelope_fini(&env);
	w->busy++;
	nv_status_time(w->status, judge_expired, e);
	return true;
}

/* It may be at work here already. */
static void serve(struct worker *w, struct nv_delivery *d, struct nv_envelope *ready,
		  struct nv_envelope *request)
{
	if (nv_restore_adopt(w, d, ready)) {
		nv_envelope_fini(ready);
		nv_envelope_fini(request);
	} else if (!nv_prefetch_take(w, d, ready, request)) {
		nv_restore_start(w, d, ready, request);
	}
}

void nv_worker_delivery(void *arg, struct nv_delivery *d)
{
	struct worker *w = arg;
	struct nv_envelope env, request;
	struct nv_err err = {0};
	char kind[32] = "", mid[NV_UUID_SIZE];
	size_t len;
	const void *body = nv_delivery_body(d, &len);
	nv_envelope_peek(body, len, kind, sizeof kind, mid);
	/* Each kind has its own signers: a site cannot enrol anybody. */
	bool enrol = strcmp(kind, nv_kind_info(NV_KIND_ENROL_REQUEST)->word) == 0;
	unsigned want = 1u << (enrol ? NV_KIND_ENROL_REQUEST : NV_KIND_ARCHIVE_READY);
	if (nv_envelope_open(body, len, enrol ? &w->myself : &w->sites, want, nv_now_ms(), &env,
			     &err) < 0) {
		if (!ask_whether_expired(w, d, enrol, &err))
			turn_away(w, d, enrol, &err);
	} else if (enrol) {
		nv_enrol_start(w, d, &env);
	} else if (nv_open_request_of_ready(w, &env, &request, &err) < 0) {
		nv_sender_refuse(&w->sender, &w->settle, d, &err, w->metrics.refused);
		nv_envelope_fini(&env);
	} else {
		nv_clock_note(w->metrics.clock_skew, &env);
		serve(w, d, &env, &request);
	}
}

/* Outside the window only what is urgent is fetched; nobody waits for the rest. */
static bool is_time(const struct worker *w, const struct nv_restore_request *q)
{
	uint64_t change = 0;
	return q->now || nv_window_open(&w->config->worker.window, nv_now_ms(), &change);
}

void nv_worker_opened(void *arg, struct nv_delivery *d)
{
	struct worker *w = arg;
	struct nv_envelope env, request;
	struct nv_err err = {0};
	size_t len;
	const void *body = nv_delivery_body(d, &len);
	if (nv_envelope_open(body, len, &w->sites, 1u << NV_KIND_ARCHIVE_OPENED, nv_now_ms(), &env,
			     &err) < 0 &&
	    (err.reason == NV_R_expired || err.reason == NV_R_clock)) {
		nv_bus_ack(d); /* a hint out of time */
	} else if (err.kind != NV_OK) {
		nv_sender_refuse(&w->sender, &w->settle, d, &err, w->metrics.refused);
	} else if (nv_open_request(w, &env, &env.body.archive_opened.request, &request, &err) < 0) {
		nv_sender_refuse(&w->sender, &w->settle, d, &err, w->metrics.refused);
		nv_envelope_fini(&env);
	} else if (nv_hold_why(w->hold) || !is_time(w, &request.body.restore_request)) {
		nv_bus_ack(d);
		nv_envelope_fini(&env);
		nv_envelope_fini(&request);
	} else {
		nv_prefetch_start(w, d, &env, &request);
	}
}
