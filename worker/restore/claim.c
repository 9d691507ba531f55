/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One request's course, on the loop: seen before? → claim → job; result.c does the rest.
 *
 * While Redis is away every step that needs it is tried again each second, and the delivery stays
 * unacknowledged.  A step that was done before a crash is done again: the site finds the course the
 * request already has, the status accepts the same outcome twice. */
#include <string.h>

#include "base/fault.h"
#include "base/log.h"
#include "core/status/claims.h"
#include "core/status/kv.h"
#include "core/status/log.h"
#include "worker/restore/restore.h"

#define AGAIN_MS 1000u

static void timer_closed(uv_handle_t *handle)
{
	struct restore *r = handle->data;
	struct worker *w = r->w;
	struct restore **at = &w->restores;
	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
	nv_metric_add(w->metrics.running, NULL, -1);
	nv_envelope_fini(&r->ready);
	nv_envelope_fini(&r->request);
	nv_arena_fini(&r->job.arena);
	nv_request_log_fini(&r->lines);
	free(r);
	w->on_idle_cb(w);
}

/* The delivery has been dealt with. */
void nv_restore_end(struct restore *r)
{
	double seconds = (double)(nv_mono_ms() - r->started) / 1000;
	nv_metric_add(r->w->metrics.jobs, r->result, 1);
	nv_metric_observe(r->w->metrics.seconds, NULL, seconds);
	NV_LOG(NV_INFO, "restore.done", NV_S("req", nv_restore_request(r)->id),
	       NV_S("attempt", r->ready.body.archive_ready.attempt), NV_S("result", r->result),
	       NV_S("course", r->job.outcome.course), NV_D("seconds", seconds));
	r->delivery = NULL;
	r->ended = true;
	if (!r->renewing)
		uv_close((uv_handle_t *)&r->timer, timer_closed);
}

void nv_restore_give_back(struct restore *r)
{
	r->result = "returned";
	nv_bus_return(r->delivery);
	nv_restore_end(r);
}

static void step_tick(uv_timer_t *timer)
{
	struct restore *r = timer->data;
	r->step(r);
}

/* Redis is away: hold the delivery and do this step again. */
void nv_restore_again(struct restore *r, void (*step)(struct restore *r))
{
	if (r->w->daemon->stopping) {
		nv_restore_give_back(r);
		return;
	}
	r->step = step;
	uv_timer_start(&r->timer, step_tick, AGAIN_MS, 0);
}

/* --- the log --- */

/* Lines that Redis has, or has not; the restore may have ended meanwhile, so only its run comes. */
struct log_written {
	struct worker *w;
	uint64_t lines;
	char run[NV_UUID_SIZE];
};

static void log_written(void *arg, const struct nv_err *err)
{
	struct log_written *l = arg;
	for (struct restore *r = l->w->restores; r; r = r->next) {
		if (strcmp(r->run, l->run) != 0)
			continue;
		r->logging = false;
		if (!err)
			nv_request_log_sent(&r->lines, l->lines);
	}
	free(l);
}

void nv_restore_write_log(struct restore *r)
{
	struct worker *w = r->w;
	char from[sizeof w->daemon->host + 8];
	if (!r->lines.len)
		return;
	struct log_written *l = nv_alloc(sizeof *l);
	l->w = w;
	l->lines = nv_request_log_next(&r->lines);
	memcpy(l->run, r->run, sizeof l->run);
	snprintf(from, sizeof from, "worker %s", w->daemon->host);
	r->logging = true;
	nv_status_log(w->status, nv_restore_request(r)->id, r->run, from, r->lines.first,
		      r->lines.items, r->lines.len, log_written, l);
}

static void job_line(void *arg, const struct nv_log_line *line)
{
	struct restore *r = nv_restore_of_job(arg);
	nv_request_log_add(&r->lines, line->at, (enum nv_level)line->level, line->text);
}

/* --- the job --- */

static void job_ended(void *arg, const struct nv_err *err)
{
	struct restore *r = nv_restore_of_job(arg);
	uv_timer_stop(&r->timer);
	r->running = NULL;
	if (err) {
		r->why = *err;
		nv_worker_held(r->w, nv_restore_request(r)->id, err);
		r->held = err->kind == NV_HOLD && nv_reason_passes(err->reason);
	}
	/* No attempt is used up by what another does, who has the claim or the message. */
	bool failed = r->why.kind == NV_RETRY || r->why.kind == NV_REJECT;
	bool ours =
		!r->borrowed && nv_delivery_live(r->delivery) && r->why.reason != NV_R_claim_lost;
	if (!ours && failed)
		r->why.kind = NV_HOLD;
	if (err)
		NV_LOG(NV_WARN, "restore.failed", NV_S("req", nv_restore_request(r)->id),
		       NV_U("attempts", nv_delivery_attempt(r->delivery) + 1), NV_E(&r->why));
	else
		nv_fault("worker.after-import");
	nv_result_of_job(r);
}

static void job_progress(void *arg, const char *step, uint64_t done, uint64_t total)
{
	struct restore *r = nv_restore_of_job(arg);
	snprintf(r->progress_step, sizeof r->progress_step, "%s", step);
	r->done = done;
	r->total = total;
}

static void renewed(void *arg, const struct nv_err *err, enum nv_renew_result result);

static void renew(struct restore *r)
{
	if (!r->running)
		return;
	if (!r->logging)
		nv_restore_write_log(r);
	if (r->renewing)
		return;
	struct worker *w = r->w;
	r->renewing = nv_mono_ms();
	struct nv_status_progress p = {.step = *r->progress_step ? r->progress_step : NULL,
				       .done = r->done,
				       .total = r->total,
				       .import_ms = nv_restore_importing(&r->job)};
	nv_status_renew(w->status, nv_restore_request(r)->id, r->token, w->config->restore.lease,
			&p, renewed, r);
}

static void renewed(void *arg, const struct nv_err *err, enum nv_renew_result result)
{
	struct restore *r = arg;
	uint64_t sent = r->renewing;
	r->renewing = 0;
	if (r->ended)
		uv_close((uv_handle_t *)&r->timer, timer_closed);
	if (!r->running || err)
		return; /* Redis away: the lease ends by itself if it stays away */
	if (result == NV_RENEW_LOST)
		nv_run_lease_lost(r->running);
	else
		nv_run_lease(r->running, sent, r->w->config->restore.lease);
	if (result == NV_RENEW_CANCELLING)
		nv_run_cancel(r->running);
}

/* A worker has put it back, by way of a delay, or an operator. */
static bool was_in_hands(const struct nv_delivery *d)
{
	return nv_delivery_header(d, NV_H_ATTEMPT) || nv_delivery_header(d, NV_H_REQUEUED);
}

static void start_job(struct restore *r)
{
	struct worker *w = r->w;
	struct nv_run run = {.work = nv_restore_work,
			     .on_progress_cb = job_progress,
			     .on_log_cb = job_line,
			     .on_done_cb = job_ended,
			     .arg = &r->job,
			     .timeout_ms = w->config->worker.job_timeout,
			     .lease_ms = w->config->restore.lease};
	struct nv_err failing = {.kind = NV_RETRY};
	r->job.first = !was_in_hands(r->delivery) && !nv_delivery_is_duplicate(r->delivery);
	r->job.last = nv_settle_is_final(&w->settle, r->delivery, &failing);
	r->job.outages = nv_delivery_outages(r->delivery);
	r->job.retry_in = nv_settle_delay(&w->settle, r->delivery, &failing);
	r->running = nv_run_start(w->daemon->loop, &run);
	uint64_t every = w->config->restore.lease / 4;
	if (every > AGAIN_MS)
		every = AGAIN_MS; /* progress that people see goes with it */
	r->step = renew;
	uv_timer_start(&r->timer, step_tick, every, every);
}

/* --- the claim --- */

static void claim(struct restore *r);

static void given(void *arg, const struct nv_err *err)
{
	struct restore *r = arg;
	(void)err; /* it comes back in a second all the same */
	nv_fail(&r->why, NV_HOLD, NV_R_busy, "another worker has fetched most of it already");
	nv_result_settle(r);
}

static void give(struct restore *r)
{
	size_t len;
	const void *body = nv_delivery_body(r->delivery, &len);
	nv_status_ahead_give(r->w->status, nv_restore_request(r)->id, body, len, given, r);
}

static void claimed(void *arg, const struct nv_err *err, enum nv_claim_result result,
		    const char token[NV_TOKEN_SIZE])
{
	static const char *const results[] = {[NV_CLAIM_DONE] = "already",
					      [NV_CLAIM_FAILED] = "already-failed",
					      [NV_CLAIM_CANCELLED] = "cancelled",
					      [NV_CLAIM_SUPERSEDED] = "superseded"};
	struct restore *r = arg;
	if (err && err->kind == NV_RETRY) {
		nv_restore_again(r, claim);
	} else if (err) {
		r->why = *err;
		nv_result_settle(r);
	} else if (result == NV_CLAIM_OURS) {
		memcpy(r->token, token, sizeof r->token);
		NV_LOG(NV_INFO, "restore.started", NV_S("req", nv_restore_request(r)->id),
		       NV_S("site", r->ready.from), NV_S("course", nv_restore_request(r)->course),
		       NV_S("attempt", r->ready.body.archive_ready.attempt));
		start_job(r);
	} else if (result == NV_CLAIM_AHEAD && !r->borrowed) {
		give(r);
	} else if (result == NV_CLAIM_BUSY || result == NV_CLAIM_AHEAD) {
		nv_fail(&r->why, NV_HOLD, NV_R_busy, "another worker holds the claim");
		nv_result_settle(r);
	} else {
		r->result = results[result];
		nv_result_finish(r);
	}
}

static void claim(struct restore *r)
{
	nv_status_claim(r->w->status, nv_restore_request(r), r->ready.body.archive_ready.attempt,
			r->w->daemon->host, r->w->config->restore.lease,
			nv_delivery_header(r->delivery, NV_H_REQUEUED) != NULL,
			*r->ahead ? r->ahead : NULL, claimed, r);
}

static void look_whether_seen(struct restore *r);

static void looked(void *arg, const struct nv_err *err, bool seen)
{
	struct restore *r = arg;
	if (err) {
		nv_restore_again(r, look_whether_seen);
	} else if (!seen || was_in_hands(r->delivery)) {
		claim(r);
	} else if (r->borrowed || nv_delivery_is_duplicate(r->delivery)) {
		r->result = "copy";
		nv_result_of_duplicate(r);
	} else {
		nv_fail(&r->why, NV_REJECT, NV_R_replayed, "message %s was handled before",
			r->ready.mid);
		nv_metric_add(r->w->metrics.refused, "replayed", 1);
		nv_result_settle(r);
	}
}

static void look_whether_seen(struct restore *r)
{
	nv_status_was_seen(r->w->status, r->ready.mid, looked, r);
}

/* --- from the intake --- */

/* The broker brings a message again whose connection broke while we were at it. */
static bool adopt(struct worker *w, struct nv_delivery *d, const struct nv_envelope *ready)
{
	for (struct restore *r = w->restores; r; r = r->next)
		if (r->delivery && strcmp(r->ready.mid, ready->mid) == 0 &&
		    (r->borrowed || !nv_delivery_live(r->delivery))) {
			/* archive.opened's, or of a connection that is gone: that only frees it */
			nv_bus_ack(r->delivery);
			r->delivery = d;
			r->borrowed = false;
			return true;
		}
	return false;
}

static struct restore *restore_new(struct worker *w, struct nv_delivery *d,
				   struct nv_envelope *ready, struct nv_envelope *request)
{
	struct restore *r = nv_alloc(sizeof *r);
	r->w = w;
	r->delivery = d;
	r->ready = *ready;
	r->request = *request;
	r->job.worker = w;
	r->job.request = nv_restore_request(r);
	r->job.ready = &r->ready.body.archive_ready;
	r->job.site = r->ready.from;
	r->started = nv_mono_ms();
	nv_uuid_new(r->run);
	r->result = "failed";
	r->next = w->restores;
	w->restores = r;
	nv_metric_add(w->metrics.running, NULL, 1);
	uv_timer_init(w->daemon->loop, &r->timer);
	r->timer.data = r;
	return r;
}

void nv_restore_start(struct worker *w, struct nv_delivery *d, struct nv_envelope *ready,
		      struct nv_envelope *request)
{
	if (adopt(w, d, ready)) {
		nv_envelope_fini(ready);
		nv_envelope_fini(request);
	} else if (nv_ahead_take(w, d, ready, request)) {
		return;
	} else if (nv_delivery_exhausted(d)) {
		struct nv_err err = {0};
		nv_fail(&err, NV_REJECT, NV_R_attempts_exhausted,
			"the broker has brought this message too many times");
		nv_restore_decline(w, d, ready, request, &err);
	} else {
		nv_restore_begin(
			w, &(struct nv_begin){.delivery = d, .ready = ready, .request = request});
	}
}

void nv_restore_begin(struct worker *w, const struct nv_begin *b)
{
	struct restore *r = restore_new(w, b->delivery, b->ready, b->request);
	r->borrowed = b->borrowed;
	r->job.asked = b->asked;
	if (b->ahead)
		memcpy(r->ahead, b->ahead, sizeof r->ahead);
	look_whether_seen(r);
}

void nv_restore_decline(struct worker *w, struct nv_delivery *d, struct nv_envelope *ready,
			struct nv_envelope *request, const struct nv_err *why)
{
	struct restore *r = restore_new(w, d, ready, request);
	r->why = *why;
	nv_result_write(r);
}

void nv_restore_stop_all(struct worker *w)
{
	for (struct restore *r = w->restores; r; r = r->next)
		if (r->running)
			nv_run_stop(r->running);
}
