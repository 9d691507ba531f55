/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One request, on the loop: seen? → claim → job → status → clean → ack.
 *
 * While Redis is away every step that needs it is tried again each second, and the delivery stays
 * unacknowledged.  A step that was done before a crash is done again: the site finds the course the
 * request already has, the status accepts the same outcome twice. */
#include <string.h>

#include "core/base/fault.h"
#include "core/base/log.h"
#include "worker/worker.h"

#define AGAIN_MS 1000u

struct restore {
	struct restore *next;
	struct worker *w;
	struct nv_delivery *delivery;
	struct nv_envelope ready;  /* archive.ready; owned */
	struct nv_envelope wish;   /* the restore.request in it; owned */
	char token[NV_TOKEN_SIZE]; /* the claim's; "" before it */
	struct nv_restore_job job;
	struct nv_running *running;
	struct nv_err why;  /* how the job failed; kind NV_OK: it did not */
	const char *result; /* for log and metrics */
	uint64_t started;   /* nv_mono_ms */
	uint64_t renewing;  /* nv_mono_ms when the renewal under way was sent; 0: none */
	bool ended;	    /* only a renewal under way keeps it */
	void (*step)(struct restore *r); /* what the timer does next */
	uv_timer_t timer;
	char progress_step[32];
	uint64_t done, total;
};

static const struct nv_restore_request *request_of(const struct restore *r)
{
	return &r->wish.body.restore_request;
}

/* The thread's callbacks get the job, which is a member of its restore. */
static struct restore *of_job(void *job)
{
	return (struct restore *)((char *)job - offsetof(struct restore, job));
}

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
	nv_envelope_fini(&r->wish);
	nv_arena_fini(&r->job.arena);
	free(r);
	nv_worker_maybe_stopped(w);
}

/* The delivery has been dealt with. */
static void restore_end(struct restore *r)
{
	double seconds = (double)(nv_mono_ms() - r->started) / 1000;
	nv_metric_add(r->w->metrics.jobs, r->result, 1);
	nv_metric_observe(r->w->metrics.seconds, NULL, seconds);
	NV_LOG(NV_INFO, "restore.done", NV_S("req", request_of(r)->id),
	       NV_S("attempt", r->ready.body.archive_ready.attempt), NV_S("result", r->result),
	       NV_S("course", r->job.outcome.course), NV_D("seconds", seconds));
	r->delivery = NULL;
	r->ended = true;
	if (!r->renewing)
		uv_close((uv_handle_t *)&r->timer, timer_closed);
}

static void give_back(struct restore *r, const char *result)
{
	r->result = result;
	nv_bus_return(r->delivery);
	restore_end(r);
}

static void step_tick(uv_timer_t *timer)
{
	struct restore *r = timer->data;
	r->step(r);
}

/* Redis is away: hold the delivery and do this step again. */
static void again(struct restore *r, void (*step)(struct restore *r))
{
	if (r->w->daemon->stopping) {
		give_back(r, "returned");
		return;
	}
	r->step = step;
	uv_timer_start(&r->timer, step_tick, AGAIN_MS, 0);
}

/* --- the end: clean up and acknowledge --- */

static void cleaned(void *arg, const struct nv_err *err)
{
	struct restore *r = of_job(arg);
	(void)err;
	nv_fault("worker.before-ack");
	nv_bus_ack(r->delivery);
	restore_end(r);
}

static void clean(struct restore *r)
{
	struct nv_run run = {.work = nv_restore_clean, .on_done_cb = cleaned, .arg = &r->job};
	nv_run_start(r->w->daemon->loop, &run);
}

static void mark_seen(struct restore *r);

static void seen_marked(void *arg, const struct nv_err *err, bool first)
{
	struct restore *r = arg;
	(void)first;
	if (err)
		again(r, mark_seen);
	else
		clean(r);
}

static void mark_seen(struct restore *r)
{
	nv_status_seen(r->w->status, r->ready.mid, NV_SEEN_TTL_MS, seen_marked, r);
}

/* --- the outcome --- */

static void settled(void *arg, bool dead)
{
	struct restore *r = arg;
	r->result = dead ? "failed" : "retried";
	restore_end(r);
}

static void settle(struct restore *r)
{
	struct nv_delivery *d = r->delivery;
	r->delivery = NULL; /* the bus's from here on: a redelivery is not adopted for it */
	nv_bus_settle(r->w->bus, &r->w->settle, d, &r->why, settled, r);
}

/* What the status now says has been written; what becomes of the message? */
static void outcome_written(struct restore *r)
{
	nv_fault("worker.after-status");
	if (r->why.kind == NV_OK || r->why.kind == NV_CANCELLED) {
		r->result = r->why.kind == NV_OK ? "restored" : "cancelled";
		mark_seen(r);
	} else if (r->why.kind == NV_FATAL) {
		struct nv_daemon *d = r->w->daemon;
		struct nv_err fatal = r->why;
		give_back(r, "returned");
		nv_daemon_fail(d, &fatal);
	} else if (r->why.kind == NV_HOLD && r->w->daemon->stopping) {
		give_back(r, "returned");
	} else {
		settle(r);
	}
}

static void write_outcome(struct restore *r);

static void outcome_answered(void *arg, const struct nv_err *err)
{
	struct restore *r = arg;
	if (!err) {
		outcome_written(r);
	} else if (err->reason == NV_R_status_unavailable) {
		again(r, write_outcome);
	} else {
		/* The claim is somebody else's: what we did changes nothing.  Look again later,
		 * whether the other has brought it to its end. */
		NV_LOG(NV_WARN, "outcome.refused", NV_S("req", request_of(r)->id), NV_E(err));
		nv_fail(&r->why, NV_HOLD, NV_R_busy, "%s", err->msg);
		settle(r);
	}
}

static struct nv_status_outcome outcome_of(struct restore *r)
{
	const struct nv_imported *i = &r->job.outcome;
	struct nv_status_outcome o = {.reason = nv_reason_word(r->why.reason),
				      .message = r->why.msg};
	switch (r->why.kind) {
	case NV_OK:
		o = (struct nv_status_outcome){.state = NV_ST_restored,
					       .course = i->course,
					       .course_url = i->url,
					       .course_shortname = i->shortname,
					       .course_fullname = i->fullname,
					       .course_category = i->category,
					       .course_user_data = i->user_data,
					       .enrolled = i->enrolled,
					       .warnings = i->warnings};
		break;
	case NV_CANCELLED:
		o.state = NV_ST_cancelled;
		break;
	default:
		o.state = nv_settle_is_final(&r->w->settle, r->delivery, &r->why) ? NV_ST_failed
										  : NV_ST_ready;
		o.failed_attempt = r->why.kind != NV_HOLD;
	}
	return o;
}

static void write_outcome(struct restore *r)
{
	struct nv_status_outcome o = outcome_of(r);
	nv_status_finish(r->w->status, request_of(r), *r->token ? r->token : NULL, &o,
			 outcome_answered, r);
}

/* --- a new export, when the store has lost or damaged something --- */

static bool needs_export(const struct restore *r)
{
	return r->why.kind == NV_RETRY &&
	       (r->why.reason == NV_R_store_missing || r->why.reason == NV_R_store_corrupt);
}

/* Each export is a new message with no failed attempts, so their number travels in a header of its
 * own: a store that damages everything would be filled and emptied for ever. */
static bool may_ask_export(const struct restore *r)
{
	return nv_delivery_exports(r->delivery) + 1 < r->w->settle.attempts_max &&
	       !nv_settle_is_final(&r->w->settle, r->delivery, &r->why);
}

static void export_asked(void *arg, const struct nv_err *err)
{
	struct restore *r = arg;
	if (err) { /* this archive.ready comes again, fails again, and asks again */
		NV_LOG(NV_WARN, "export.unasked", NV_S("req", request_of(r)->id), NV_E(err));
		settle(r);
		return;
	}
	r->result = "exported-again";
	mark_seen(r);
}

/* The request as our client signed it goes to the course server once more, its attempts counted. */
static void ask_export(struct restore *r)
{
	const struct nv_bytes *sealed = &r->ready.body.archive_ready.request;
	struct nv_topology_name exchange = nv_exchange_from(r->w->courier.owner);
	struct nv_topology_name queue = nv_queue_archive(request_of(r)->site, request_of(r)->now);
	char attempt[16], exports[16];
	snprintf(attempt, sizeof attempt, "%u", nv_delivery_attempt(r->delivery) + 1);
	snprintf(exports, sizeof exports, "%u", nv_delivery_exports(r->delivery) + 1);
	NV_LOG(NV_WARN, "export.again", NV_S("req", request_of(r)->id), NV_E(&r->why));
	struct nv_publish p = {.exchange = exchange.s,
			       .routing_key = queue.s,
			       .body = sealed->data,
			       .len = sealed->len,
			       .message_id = r->wish.mid,
			       .type = nv_kind_info(NV_KIND_RESTORE_REQUEST)->word,
			       .headers = {{NV_H_ATTEMPT, attempt}, {NV_H_EXPORTS, exports}},
			       .headers_len = 2};
	nv_bus_publish(r->w->bus, &p, export_asked, r);
}

static void write_rescheduled(struct restore *r);

static void rescheduled(void *arg, const struct nv_err *err)
{
	struct restore *r = arg;
	if (!err)
		ask_export(r);
	else if (err->reason == NV_R_status_unavailable)
		again(r, write_rescheduled);
	else
		outcome_answered(r, err);
}

/* Written before the message goes out: a course server that refuses at once must not be overtaken
 * by it. */
static void write_rescheduled(struct restore *r)
{
	struct nv_status_outcome o = {.state = NV_ST_scheduled,
				      .reason = nv_reason_word(r->why.reason),
				      .message = r->why.msg,
				      .failed_attempt = true};
	nv_status_finish(r->w->status, request_of(r), r->token, &o, rescheduled, r);
}

/* --- the job --- */

static void job_ended(void *arg, const struct nv_err *err)
{
	struct restore *r = of_job(arg);
	uv_timer_stop(&r->timer);
	r->running = NULL;
	if (err)
		r->why = *err;
	/* No attempt is used up by what another does, who has the claim or the message. */
	bool ours = nv_delivery_live(r->delivery) && r->why.reason != NV_R_claim_lost;
	if (!ours && (r->why.kind == NV_RETRY || r->why.kind == NV_REJECT))
		r->why.kind = NV_HOLD;
	if (err)
		NV_LOG(NV_WARN, "restore.failed", NV_S("req", request_of(r)->id),
		       NV_U("attempts", nv_delivery_attempt(r->delivery) + 1), NV_E(&r->why));
	else
		nv_fault("worker.after-import");
	if (needs_export(r) && may_ask_export(r)) {
		write_rescheduled(r);
		return;
	}
	if (needs_export(r))
		r->why.kind = NV_REJECT; /* the same archive will not come out better */
	write_outcome(r);
}

static void job_progress(void *arg, const char *step, uint64_t done, uint64_t total)
{
	struct restore *r = of_job(arg);
	snprintf(r->progress_step, sizeof r->progress_step, "%s", step);
	r->done = done;
	r->total = total;
}

static void renewed(void *arg, const struct nv_err *err, enum nv_renew_result result);

static void renew(struct restore *r)
{
	if (!r->running || r->renewing)
		return;
	struct worker *w = r->w;
	r->renewing = nv_mono_ms();
	nv_status_renew(w->status, request_of(r)->id, r->token, w->config->restore.lease,
			r->progress_step[0] ? r->progress_step : NULL, r->done, r->total, renewed,
			r);
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

static void start_job(struct restore *r)
{
	struct worker *w = r->w;
	struct nv_run run = {.work = nv_restore_work,
			     .on_progress_cb = job_progress,
			     .on_done_cb = job_ended,
			     .arg = &r->job,
			     .timeout_ms = w->config->worker.job_timeout,
			     .lease_ms = w->config->restore.lease};
	r->running = nv_run_start(w->daemon->loop, &run);
	uint64_t every = w->config->restore.lease / 4;
	if (every > AGAIN_MS)
		every = AGAIN_MS; /* progress that people see goes with it */
	r->step = renew;
	uv_timer_start(&r->timer, step_tick, every, every);
}

/* --- the claim --- */

static void claim(struct restore *r);

static void claimed(void *arg, const struct nv_err *err, enum nv_claim_result result,
		    const char token[NV_TOKEN_SIZE])
{
	static const char *const results[] = {"",	   "",		"already", "already-failed",
					      "cancelled", "superseded"};
	struct restore *r = arg;
	if (err && err->kind == NV_RETRY) {
		again(r, claim);
	} else if (err) {
		r->why = *err;
		settle(r);
	} else if (result == NV_CLAIM_OURS) {
		memcpy(r->token, token, sizeof r->token);
		NV_LOG(NV_INFO, "restore.started", NV_S("req", request_of(r)->id),
		       NV_S("site", r->ready.from), NV_S("course", request_of(r)->course),
		       NV_S("attempt", r->ready.body.archive_ready.attempt));
		start_job(r);
	} else if (result == NV_CLAIM_BUSY) {
		nv_fail(&r->why, NV_HOLD, NV_R_busy, "another worker holds the claim");
		settle(r);
	} else {
		r->result = results[result];
		mark_seen(r);
	}
}

static void claim(struct restore *r)
{
	nv_status_claim(r->w->status, request_of(r), r->ready.body.archive_ready.attempt,
			r->w->daemon->host, r->w->config->restore.lease,
			nv_delivery_header(r->delivery, NV_H_REQUEUED) != NULL, claimed, r);
}

static void look_whether_seen(struct restore *r);

static void looked(void *arg, const struct nv_err *err, bool seen)
{
	struct restore *r = arg;
	if (err) {
		again(r, look_whether_seen);
	} else if (!seen || nv_delivery_header(r->delivery, NV_H_ATTEMPT) ||
		   nv_delivery_header(r->delivery, NV_H_REQUEUED)) {
		claim(r);
	} else if (nv_delivery_again(r->delivery)) {
		r->result = "copy";
		clean(r);
	} else {
		nv_fail(&r->why, NV_REJECT, NV_R_replayed, "message %s was handled before",
			r->ready.mid);
		nv_metric_add(r->w->metrics.refused, "replayed", 1);
		settle(r);
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
		    !nv_delivery_live(r->delivery)) {
			nv_bus_ack(r->delivery); /* of a connection that is gone: only frees it */
			r->delivery = d;
			return true;
		}
	return false;
}

static struct restore *restore_new(struct worker *w, struct nv_delivery *d,
				   struct nv_envelope *ready, struct nv_envelope *wish)
{
	struct restore *r = nv_alloc(sizeof *r);
	r->w = w;
	r->delivery = d;
	r->ready = *ready;
	r->wish = *wish;
	r->job.worker = w;
	r->job.request = request_of(r);
	r->job.ready = &r->ready.body.archive_ready;
	r->job.site = r->ready.from;
	r->started = nv_mono_ms();
	r->result = "failed";
	r->next = w->restores;
	w->restores = r;
	nv_metric_add(w->metrics.running, NULL, 1);
	uv_timer_init(w->daemon->loop, &r->timer);
	r->timer.data = r;
	return r;
}

void nv_restore_start(struct worker *w, struct nv_delivery *d, struct nv_envelope *ready,
		      struct nv_envelope *wish)
{
	if (adopt(w, d, ready)) {
		nv_envelope_fini(ready);
		nv_envelope_fini(wish);
	} else if (nv_delivery_exhausted(d)) {
		struct nv_err err = {0};
		nv_fail(&err, NV_REJECT, NV_R_attempts_exhausted,
			"the broker has brought this message too many times");
		nv_restore_decline(w, d, ready, wish, &err);
	} else {
		look_whether_seen(restore_new(w, d, ready, wish));
	}
}

void nv_restore_decline(struct worker *w, struct nv_delivery *d, struct nv_envelope *ready,
			struct nv_envelope *wish, const struct nv_err *why)
{
	struct restore *r = restore_new(w, d, ready, wish);
	r->why = *why;
	write_outcome(r);
}

void nv_restore_stop_all(struct worker *w)
{
	for (struct restore *r = w->restores; r; r = r->next)
		if (r->running)
			nv_run_stop(r->running);
}
