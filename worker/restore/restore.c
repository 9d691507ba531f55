/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One request, on the loop, in the order in which it happens.
 *
 *   restored, cancelled:  status → seen → archive deleted → ack
 *   failed, held:         status → dead queue or delay tier
 *   archive damaged:      status scheduled → restore.request again → seen → archive deleted → ack
 *
 * While Redis is away every step that needs it is tried again each second, and the delivery stays
 * unacknowledged.  The status is written before the message is dealt with: a worker that dies in
 * between leaves a message that comes again.  A step that was done before a crash is done again:
 * the site finds the course the request already has, the status accepts the same outcome twice. */
#include "worker/restore/restore.h"

#include <string.h>

#include "base/fault.h"
#include "base/log.h"
#include "base/states.h"
#include "core/status/claims.h"
#include "core/status/kv.h"

#define AGAIN_MS 1000u

static const struct nv_states states = {
	.event = "restore.state",
	.len = RESTORE_ENDED + 1,
	.states = {
		[RESTORE_NEW] = {"new", NV_TO(RESTORE_LOOKING, RESTORE_WRITING)},
		[RESTORE_LOOKING] = {"looking", NV_TO(RESTORE_CLAIMING, RESTORE_CLEANING,
						      RESTORE_SETTLING, RESTORE_ENDED)},
		[RESTORE_CLAIMING] = {"claiming",
				      NV_TO(RESTORE_GIVING, RESTORE_RUNNING, RESTORE_MARKING,
					    RESTORE_SETTLING, RESTORE_ENDED)},
		[RESTORE_GIVING] = {"giving", NV_TO(RESTORE_SETTLING)},
		[RESTORE_RUNNING] = {"running", NV_TO(RESTORE_RESCHEDULING, RESTORE_WRITING)},
		[RESTORE_RESCHEDULING] = {"rescheduling",
					  NV_TO(RESTORE_ASKING, RESTORE_SETTLING, RESTORE_ENDED)},
		[RESTORE_ASKING] = {"asking",
				    NV_TO(RESTORE_MARKING, RESTORE_SETTLING, RESTORE_ENDED)},
		[RESTORE_WRITING] = {"writing",
				     NV_TO(RESTORE_MARKING, RESTORE_SETTLING, RESTORE_ENDED)},
		[RESTORE_MARKING] = {"marking", NV_TO(RESTORE_CLEANING, RESTORE_ENDED)},
		[RESTORE_CLEANING] = {"cleaning", NV_TO(RESTORE_ENDED)},
		[RESTORE_SETTLING] = {"settling", NV_TO(RESTORE_ENDED)},
		[RESTORE_ENDED] = {"ended", 0},
	}};

static void look_whether_seen(struct restore *r);
static void claim(struct restore *r);
static void write_rescheduled(struct restore *r);
static void write_outcome(struct restore *r);
static void mark_seen(struct restore *r);

/* What the timer does. */
static void (*const steps[])(struct restore *r) = {
	[RESTORE_LOOKING] = look_whether_seen,
	[RESTORE_CLAIMING] = claim,
	[RESTORE_RUNNING] = nv_restore_renew,
	[RESTORE_RESCHEDULING] = write_rescheduled,
	[RESTORE_WRITING] = write_outcome,
	[RESTORE_MARKING] = mark_seen,
	[RESTORE_ENDED] = NULL,
};

static void move(struct restore *r, enum restore_state to)
{
	nv_states_move(&states, r->state, to, nv_restore_request(r)->id);
	r->state = to;
}

static void step_tick(uv_timer_t *timer)
{
	struct restore *r = timer->data;
	steps[r->state](r);
}

/* A state that begins with its step. */
static void enter(struct restore *r, enum restore_state to)
{
	move(r, to);
	steps[to](r);
}

/* In the order in which they are called. */
static struct restore *restore_new(struct worker *w, struct nv_delivery *d,
				   struct nv_envelope *ready, struct nv_envelope *request);
static void again(struct restore *r);
static void start_job(struct restore *r);
static void after_job(struct restore *r);
static void clean(struct restore *r);
static void settle(struct restore *r);
static void give_back(struct restore *r);
static void end(struct restore *r);

/* --- from the intake --- */

bool nv_restore_adopt(struct worker *w, struct nv_delivery *d, const struct nv_envelope *ready)
{
	for (struct restore *r = w->restores; r; r = r->next)
		if (r->state < RESTORE_SETTLING && strcmp(r->ready.mid, ready->mid) == 0 &&
		    (r->on_hint || !nv_delivery_live(r->delivery))) {
			/* the hint's, or of a connection that is gone: that only frees it */
			nv_bus_ack(r->delivery);
			r->delivery = d;
			r->on_hint = false;
			return true;
		}
	return false;
}

void nv_restore_start(struct worker *w, struct nv_delivery *d, struct nv_envelope *ready,
		      struct nv_envelope *request)
{
	if (nv_delivery_exhausted(d)) {
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
	r->on_hint = b->on_hint;
	r->job.asked = b->asked;
	if (b->prefetch)
		memcpy(r->prefetch, b->prefetch, sizeof r->prefetch);
	enter(r, RESTORE_LOOKING);
}

void nv_restore_decline(struct worker *w, struct nv_delivery *d, struct nv_envelope *ready,
			struct nv_envelope *request, const struct nv_err *why)
{
	struct restore *r = restore_new(w, d, ready, request);
	r->why = *why;
	enter(r, RESTORE_WRITING);
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

void nv_restore_stop_all(struct worker *w)
{
	for (struct restore *r = w->restores; r; r = r->next)
		if (r->state == RESTORE_RUNNING)
			nv_run_stop(r->running);
}

/* Redis is away: hold the delivery and do this state's step again. */
static void again(struct restore *r)
{
	if (r->w->daemon->stopping)
		give_back(r);
	else
		uv_timer_start(&r->timer, step_tick, AGAIN_MS, 0);
}

/* --- was the message served before? --- */

/* A worker has put it back, by way of a delay, or an operator. */
static bool was_in_hands(const struct nv_delivery *d)
{
	return nv_delivery_header(d, NV_H_ATTEMPT) || nv_delivery_header(d, NV_H_REQUEUED);
}

static void looked(void *arg, const struct nv_err *err, bool seen);

static void look_whether_seen(struct restore *r)
{
	nv_status_was_seen(r->w->status, r->ready.mid, looked, r);
}

static void looked(void *arg, const struct nv_err *err, bool seen)
{
	struct restore *r = arg;
	if (err) {
		again(r);
	} else if (!seen || was_in_hands(r->delivery)) {
		enter(r, RESTORE_CLAIMING);
	} else if (r->on_hint || nv_delivery_is_duplicate(r->delivery)) {
		r->result = "copy";
		clean(r);
	} else {
		nv_fail(&r->why, NV_REJECT, NV_R_replayed, "message %s was handled before",
			r->ready.mid);
		nv_metric_add(r->w->metrics.refused, "replayed", 1);
		settle(r);
	}
}

/* --- the claim --- */

static void claimed(void *arg, const struct nv_err *err, enum nv_claim_result result,
		    const char token[NV_TOKEN_SIZE]);
static void give(struct restore *r);

static void claim(struct restore *r)
{
	nv_status_claim(r->w->status, nv_restore_request(r), r->ready.body.archive_ready.attempt,
			r->w->daemon->host, r->w->config->restore.lease,
			nv_delivery_header(r->delivery, NV_H_REQUEUED) != NULL,
			*r->prefetch ? r->prefetch : NULL, claimed, r);
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
		again(r);
	} else if (err) {
		r->why = *err;
		settle(r);
	} else if (result == NV_CLAIM_OURS) {
		memcpy(r->token, token, sizeof r->token);
		start_job(r);
	} else if (result == NV_CLAIM_PREFETCHED && !r->on_hint) {
		give(r);
	} else if (result == NV_CLAIM_BUSY || result == NV_CLAIM_PREFETCHED) {
		nv_fail(&r->why, NV_HOLD, NV_R_busy, "another worker holds the claim");
		settle(r);
	} else {
		r->result = results[result];
		enter(r, RESTORE_MARKING);
	}
}

static void given(void *arg, const struct nv_err *err)
{
	struct restore *r = arg;
	(void)err; /* it comes back in a second all the same */
	nv_fail(&r->why, NV_HOLD, NV_R_busy, "another worker has fetched most of it already");
	settle(r);
}

static void give(struct restore *r)
{
	size_t len;
	const void *body = nv_delivery_body(r->delivery, &len);
	move(r, RESTORE_GIVING);
	nv_status_prefetch_give(r->w->status, nv_restore_request(r)->id, body, len, given, r);
}

/* --- the job --- */

static void job_progress(void *arg, const char *step, uint64_t done, uint64_t total);
static void job_line(void *arg, const struct nv_log_line *line);
static void job_ended(void *arg, const struct nv_err *err);

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
	NV_LOG(NV_INFO, "restore.started", NV_S("req", nv_restore_request(r)->id),
	       NV_S("site", r->ready.from), NV_S("course", nv_restore_request(r)->course),
	       NV_S("attempt", r->ready.body.archive_ready.attempt));
	r->job.first = !was_in_hands(r->delivery) && !nv_delivery_is_duplicate(r->delivery);
	r->job.last = nv_settle_is_final(&w->settle, r->delivery, &failing);
	r->job.outages = nv_delivery_outages(r->delivery);
	r->job.retry_in = nv_settle_delay(&w->settle, r->delivery, &failing);
	move(r, RESTORE_RUNNING);
	r->running = nv_run_start(w->daemon->loop, &run);
	uint64_t every = w->config->restore.lease / 4;
	if (every > AGAIN_MS)
		every = AGAIN_MS; /* progress that people see goes with it */
	uv_timer_start(&r->timer, step_tick, every, every);
}

static void job_progress(void *arg, const char *step, uint64_t done, uint64_t total)
{
	struct restore *r = nv_restore_of_job(arg);
	snprintf(r->progress_step, sizeof r->progress_step, "%s", step);
	r->done = done;
	r->total = total;
}

static void job_line(void *arg, const struct nv_log_line *line)
{
	struct restore *r = nv_restore_of_job(arg);
	nv_request_log_add(&r->lines, line->at, (enum nv_level)line->level, line->text);
}

static void job_ended(void *arg, const struct nv_err *err)
{
	struct restore *r = nv_restore_of_job(arg);
	uv_timer_stop(&r->timer);
	if (err) {
		r->why = *err;
		nv_worker_held(r->w, nv_restore_request(r)->id, err);
		r->held = err->kind == NV_HOLD && nv_reason_passes(err->reason);
	}
	/* No attempt is used up by what another does, who has the claim or the message. */
	bool failed = r->why.kind == NV_RETRY || r->why.kind == NV_REJECT;
	bool ours =
		!r->on_hint && nv_delivery_live(r->delivery) && r->why.reason != NV_R_claim_lost;
	if (!ours && failed)
		r->why.kind = NV_HOLD;
	if (err)
		NV_LOG(NV_WARN, "restore.failed", NV_S("req", nv_restore_request(r)->id),
		       NV_U("attempts", nv_delivery_attempt(r->delivery) + 1), NV_E(&r->why));
	else
		nv_fault("worker.after-import");
	after_job(r);
}

/* Each export is a new message with no failed attempts, so their number travels in a header of its
 * own: a store that damages everything would be filled and emptied for ever. */
static bool may_ask_export(const struct restore *r)
{
	return nv_delivery_exports(r->delivery) + 1 < r->w->settle.attempts_max &&
	       !nv_settle_is_final(&r->w->settle, r->delivery, &r->why);
}

static void after_job(struct restore *r)
{
	bool lost = r->why.kind == NV_RETRY &&
		    (r->why.reason == NV_R_store_missing || r->why.reason == NV_R_store_corrupt);
	if (lost && may_ask_export(r)) {
		enter(r, RESTORE_RESCHEDULING);
		return;
	}
	if (lost)
		r->why.kind = NV_REJECT; /* the same archive will not come out better */
	enter(r, RESTORE_WRITING);
}

/* --- a new export, when the store has lost or damaged something --- */

static void rescheduled(void *arg, const struct nv_err *err);
static void ask_export(struct restore *r);
static void export_asked(void *arg, const struct nv_err *err);
static void outcome_refused(struct restore *r, const struct nv_err *err);

/* Written before the message goes out: a course server that refuses at once must not be overtaken
 * by it. */
static void write_rescheduled(struct restore *r)
{
	struct nv_status_outcome o = {.state = NV_ST_scheduled,
				      .reason = nv_reason_word(r->why.reason),
				      .message = r->why.msg,
				      .failed_attempt = true};
	nv_restore_write_log(r);
	nv_status_finish(r->w->status, nv_restore_request(r), r->token, &o, rescheduled, r);
}

/* Redis has the outcome, has refused it, or is away. */
static void go_on(struct restore *r, const struct nv_err *err, void (*next)(struct restore *r))
{
	if (!err)
		next(r);
	else if (err->reason == NV_R_status_unavailable)
		again(r);
	else
		outcome_refused(r, err);
}

static void rescheduled(void *arg, const struct nv_err *err)
{
	go_on(arg, err, ask_export);
}

/* The request as our client signed it goes to the course server once more, its attempts counted. */
static void ask_export(struct restore *r)
{
	const struct nv_bytes *sealed = &r->ready.body.archive_ready.request;
	struct nv_topology_name exchange = nv_exchange_from(r->w->sender.owner);
	struct nv_topology_name queue =
		nv_queue_archive(nv_restore_request(r)->site, nv_restore_request(r)->now);
	char attempt[16], exports[16];
	snprintf(attempt, sizeof attempt, "%u", nv_delivery_attempt(r->delivery) + 1);
	snprintf(exports, sizeof exports, "%u", nv_delivery_exports(r->delivery) + 1);
	NV_LOG(NV_WARN, "export.again", NV_S("req", nv_restore_request(r)->id), NV_E(&r->why));
	struct nv_publish p = {.exchange = exchange.s,
			       .routing_key = queue.s,
			       .body = sealed->data,
			       .len = sealed->len,
			       .message_id = r->request.mid,
			       .type = nv_kind_info(NV_KIND_RESTORE_REQUEST)->word,
			       .headers = {{NV_H_ATTEMPT, attempt}, {NV_H_EXPORTS, exports}},
			       .headers_len = 2};
	move(r, RESTORE_ASKING);
	nv_bus_publish(r->w->bus, &p, export_asked, r);
}

static void export_asked(void *arg, const struct nv_err *err)
{
	struct restore *r = arg;
	if (err) { /* this archive.ready comes again, fails again, and asks again */
		NV_LOG(NV_WARN, "export.unasked", NV_S("req", nv_restore_request(r)->id),
		       NV_E(err));
		settle(r);
		return;
	}
	r->result = "exported-again";
	enter(r, RESTORE_MARKING);
}

/* --- the outcome --- */

static struct nv_status_outcome outcome_of(struct restore *r);
static void outcome_answered(void *arg, const struct nv_err *err);
static void outcome_written(struct restore *r);

static void write_outcome(struct restore *r)
{
	struct nv_status_outcome o = outcome_of(r);
	o.import_ms = nv_restore_importing(&r->job);
	nv_restore_write_log(r);
	nv_status_finish(r->w->status, nv_restore_request(r), *r->token ? r->token : NULL, &o,
			 outcome_answered, r);
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
					       .warnings = i->warnings,
					       .differences = i->differences};
		break;
	case NV_CANCELLED:
		o.state = NV_ST_cancelled;
		break;
	default:
		o.state = nv_settle_is_final(&r->w->settle, r->delivery, &r->why) ? NV_ST_failed
										  : NV_ST_ready;
		o.failed_attempt = r->why.kind != NV_HOLD;
		o.held = r->held;
		o.retry_in = nv_settle_delay(&r->w->settle, r->delivery, &r->why);
	}
	return o;
}

static void outcome_answered(void *arg, const struct nv_err *err)
{
	go_on(arg, err, outcome_written);
}

/* The claim is somebody else's: what we did changes nothing.  Look again later, whether the other
 * has brought it to its end. */
static void outcome_refused(struct restore *r, const struct nv_err *err)
{
	NV_LOG(NV_WARN, "outcome.refused", NV_S("req", nv_restore_request(r)->id), NV_E(err));
	nv_fail(&r->why, NV_HOLD, NV_R_busy, "%s", err->msg);
	settle(r);
}

/* What becomes of the message? */
static void outcome_written(struct restore *r)
{
	nv_fault("worker.after-status");
	if (r->why.kind == NV_OK || r->why.kind == NV_CANCELLED) {
		r->result = r->why.kind == NV_OK ? "restored" : "cancelled";
		enter(r, RESTORE_MARKING);
	} else if (r->why.kind == NV_FATAL) {
		struct nv_daemon *d = r->w->daemon;
		struct nv_err fatal = r->why;
		give_back(r);
		nv_daemon_fail(d, &fatal);
	} else if (r->why.kind == NV_HOLD && r->w->daemon->stopping) {
		give_back(r);
	} else {
		settle(r);
	}
}

/* --- the end: it is not served again, and its archive is not needed --- */

static void seen_marked(void *arg, const struct nv_err *err, bool first);
static void cleaned(void *arg, const struct nv_err *err);

static void mark_seen(struct restore *r)
{
	nv_status_seen(r->w->status, r->ready.mid, NV_SEEN_TTL_MS, seen_marked, r);
}

static void seen_marked(void *arg, const struct nv_err *err, bool first)
{
	struct restore *r = arg;
	(void)first;
	if (err)
		again(r);
	else
		clean(r);
}

static void clean(struct restore *r)
{
	struct nv_run run = {.work = nv_restore_clean, .on_done_cb = cleaned, .arg = &r->job};
	move(r, RESTORE_CLEANING);
	nv_run_start(r->w->daemon->loop, &run);
}

static void cleaned(void *arg, const struct nv_err *err)
{
	struct restore *r = nv_restore_of_job(arg);
	(void)err;
	nv_fault("worker.before-ack");
	nv_bus_ack(r->delivery);
	end(r);
}

/* --- the end: it goes into a delay tier or the dead queue, as r->why says, or back --- */

static void settled(void *arg, bool dead);

static void settle(struct restore *r)
{
	if (r->on_hint) {
		r->result = "left";
		nv_bus_ack(r->delivery);
		end(r);
		return;
	}
	move(r, RESTORE_SETTLING);
	nv_bus_settle(r->w->bus, &r->w->settle, r->delivery, &r->why, settled, r);
}

static void settled(void *arg, bool dead)
{
	struct restore *r = arg;
	r->result = dead ? "failed" : "retried";
	end(r);
}

static void give_back(struct restore *r)
{
	r->result = "returned";
	nv_bus_return(r->delivery);
	end(r);
}

static void timer_closed(uv_handle_t *handle);

static void end(struct restore *r)
{
	double seconds = (double)(nv_mono_ms() - r->started) / 1000;
	move(r, RESTORE_ENDED);
	nv_metric_add(r->w->metrics.jobs, r->result, 1);
	nv_metric_observe(r->w->metrics.seconds, NULL, seconds);
	NV_LOG(NV_INFO, "restore.done", NV_S("req", nv_restore_request(r)->id),
	       NV_S("attempt", r->ready.body.archive_ready.attempt), NV_S("result", r->result),
	       NV_S("course", r->job.outcome.course), NV_D("seconds", seconds));
	uv_close((uv_handle_t *)&r->timer, timer_closed);
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
	nv_envelope_fini(&r->request);
	nv_arena_fini(&r->job.arena);
	nv_request_log_fini(&r->lines);
	free(r);
	w->on_idle_cb(w);
}
