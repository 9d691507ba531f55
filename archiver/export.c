/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One request, on the loop, in the order in which it happens.
 *
 *   exported:   archive.ready confirmed → status ready confirmed → ack
 *   failed:     status failed or held confirmed → dead queue or delay tier
 *   cancelled:  status cancelled confirmed → ack
 *
 * The delivery is dealt with last: whatever dies before that, the message comes again, and the
 * steps that were done are done again without harm. */
#include "archiver/export.h"

#include <string.h>

#include "base/fault.h"
#include "base/log.h"
#include "base/states.h"

static const struct nv_states states = {
	.event = "export.state",
	.len = EXPORT_ENDED + 1,
	.states = {
		[EXPORT_NEW] = {"new", NV_TO(EXPORT_RUNNING, EXPORT_TELLING, EXPORT_ENDED)},
		[EXPORT_RUNNING] = {"running", NV_TO(EXPORT_SENDING, EXPORT_TELLING, EXPORT_ENDED)},
		[EXPORT_SENDING] = {"sending", NV_TO(EXPORT_TELLING, EXPORT_ENDED)},
		[EXPORT_TELLING] = {"telling", NV_TO(EXPORT_SETTLING, EXPORT_ENDED)},
		[EXPORT_SETTLING] = {"settling", NV_TO(EXPORT_ENDED)},
		[EXPORT_ENDED] = {"ended", 0},
	}};

static void move(struct export *e, enum export_state to)
{
	nv_states_move(&states, e->state, to, nv_export_request(e)->id);
	e->state = to;
}

/* In the order in which they are called. */
static struct export *export_new(struct archiver *a, struct nv_delivery *d,
				 struct nv_envelope *env);
static void failed(struct export *e);
static void acknowledge(struct export *e, const char *result);
static void give_back(struct export *e, const struct nv_err *why);
static void end(struct export *e);

/* --- from the intake --- */

static void job_progress(void *arg, const char *step, uint64_t done, uint64_t total);
static void job_line(void *arg, const struct nv_log_line *line);
static void job_ended(void *arg, const struct nv_err *err);

/* The client hears of it with the runner's first look: an export that is over by then is said to be
 * ready at once, one message less in its queue.  What the log has to tell goes with the next
 * report. */
void nv_export_start(struct archiver *a, struct nv_delivery *d, struct nv_envelope *env)
{
	struct export *e = export_new(a, d, env);
	const struct nv_restore_request *q = nv_export_request(e);
	NV_LOG(NV_INFO, "export.started", NV_S("req", q->id), NV_U("rev", q->rev),
	       NV_S("client", e->env.from), NV_S("course", q->course), NV_P("user", q->user),
	       NV_S("attempt", e->attempt), NV_U("attempts", nv_delivery_attempt(d)));
	nv_request_log_say(&e->lines, NV_INFO, "export attempt %s begins, %u failed before",
			   e->attempt, nv_delivery_attempt(d));
	struct nv_run run = {.work = nv_export_work,
			     .on_progress_cb = job_progress,
			     .on_log_cb = job_line,
			     .on_done_cb = job_ended,
			     .arg = e,
			     .first_step = "export",
			     .timeout_ms = a->config->archiver.job_timeout};
	move(e, EXPORT_RUNNING);
	e->running = nv_run_start(a->daemon->loop, &run);
}

void nv_export_decline(struct archiver *a, struct nv_delivery *d, struct nv_envelope *env,
		       const struct nv_err *why)
{
	struct export *e = export_new(a, d, env);
	e->why = *why;
	failed(e);
}

static struct export *export_new(struct archiver *a, struct nv_delivery *d, struct nv_envelope *env)
{
	struct export *e = nv_alloc(sizeof *e);
	size_t len;
	const void *body = nv_delivery_body(d, &len);
	e->a = a;
	e->delivery = d;
	e->outages = nv_delivery_outages(d);
	e->env = *env;
	nv_buf_put(&e->sealed, body, len);
	nv_uuid_new(e->attempt);
	e->started = nv_mono_ms();
	e->next = a->exports;
	a->exports = e;
	nv_metric_add(a->metrics.running, NULL, 1);
	return e;
}

struct export *nv_export_find(struct archiver *a, const char *client, const char *id)
{
	struct export *found = NULL;
	for (struct export *e = a->exports; e; e = e->next) {
		if (strcmp(e->env.from, client) != 0 || strcmp(nv_export_request(e)->id, id) != 0)
			continue;
		if (e->state == EXPORT_RUNNING)
			return e;
		if (!found)
			found = e;
	}
	return found;
}

bool nv_export_adopt(struct export *e, struct nv_delivery *d, const struct nv_envelope *env)
{
	bool ours = e->state == EXPORT_RUNNING || e->state == EXPORT_SENDING ||
		    e->state == EXPORT_TELLING;
	if (!ours || nv_delivery_live(e->delivery) || strcmp(e->env.mid, env->mid) != 0)
		return false;
	NV_LOG(NV_INFO, "export.adopted", NV_S("req", nv_export_request(e)->id),
	       NV_S("attempt", e->attempt));
	nv_bus_ack(e->delivery); /* of a connection that is gone: only frees it */
	e->delivery = d;
	return true;
}

void nv_export_withdraw(struct export *e, uint64_t rev)
{
	if (nv_export_request(e)->rev <= rev && e->state == EXPORT_RUNNING)
		nv_run_cancel(e->running);
}

void nv_export_stop_all(struct archiver *a)
{
	for (struct export *e = a->exports; e; e = e->next)
		if (e->state == EXPORT_RUNNING)
			nv_run_stop(e->running);
}

/* --- while its thread runs --- */

static void succeeded(struct export *e);

static void job_progress(void *arg, const char *step, uint64_t done, uint64_t total)
{
	nv_export_progress(arg, step, done, total);
}

static void job_line(void *arg, const struct nv_log_line *line)
{
	struct export *e = arg;
	nv_request_log_add(&e->lines, line->at, (enum nv_level)line->level, line->text);
}

static void job_ended(void *arg, const struct nv_err *err)
{
	struct export *e = arg;
	nv_metric_add(e->a->metrics.bytes, "sent", (double)e->sent);
	nv_metric_add(e->a->metrics.bytes, "saved", (double)e->saved);
	if (err) {
		e->why = *err;
		failed(e);
	} else {
		succeeded(e);
	}
}

/* The last line of the attempt. */
static void say_end(struct export *e, const char *result)
{
	if (!nv_request_log_next(&e->lines))
		return; /* it never began */
	nv_request_log_say(&e->lines, NV_INFO, "export attempt %s ends after %.1f s: %s",
			   e->attempt, (double)(nv_mono_ms() - e->started) / 1000, result);
}

/* --- it was exported: archive.ready is confirmed before the status says ready --- */

static void ready_sent(void *arg, const struct nv_err *err);
static void ready_reported(void *arg, const struct nv_err *err);

static void succeeded(struct export *e)
{
	nv_fault("archiver.after-upload");
	move(e, EXPORT_SENDING);
	nv_export_send_ready(e, ready_sent, e);
}

static void ready_sent(void *arg, const struct nv_err *err)
{
	struct export *e = arg;
	if (err && err->kind == NV_REJECT) { /* it cannot be said at all, now or later */
		e->why = *err;
		failed(e);
		return;
	}
	if (err) {
		give_back(e, err);
		return;
	}
	nv_fault("archiver.after-ready");
	say_end(e, "the archive is in the store");
	struct nv_report r = {.state = NV_EV_READY, .done = e->size, .total = e->size};
	move(e, EXPORT_TELLING);
	nv_export_report(e, &r, ready_reported, e);
}

static void ready_reported(void *arg, const struct nv_err *err)
{
	struct export *e = arg;
	if (err) /* archive.ready is on its way, and the worker will tell the status more than this
		  */
		NV_LOG(NV_WARN, "report.lost", NV_S("req", nv_export_request(e)->id), NV_E(err));
	acknowledge(e, "ready");
}

/* --- it failed, as e->why says --- */

static void cancelled_reported(void *arg, const struct nv_err *err);
static void failure_reported(void *arg, const struct nv_err *err);
static void failure_settled(void *arg, bool dead);

static void failed(struct export *e)
{
	struct archiver *a = e->a;
	struct nv_report r = {.why = &e->why};
	NV_LOG(e->why.kind == NV_CANCELLED ? NV_INFO : NV_WARN, "export.failed",
	       NV_S("req", nv_export_request(e)->id), NV_S("client", e->env.from),
	       NV_U("attempts", nv_delivery_attempt(e->delivery) + 1), NV_E(&e->why));
	nv_archiver_held(a, e);
	/* Another has the message, or shall have it: it speaks from now on. */
	bool other =
		!nv_delivery_live(e->delivery) || (e->why.kind == NV_HOLD && a->daemon->stopping);
	if (e->why.kind == NV_FATAL) {
		struct nv_err fatal = e->why;
		give_back(e, &fatal);
		nv_daemon_fail(a->daemon, &fatal);
	} else if (other) {
		give_back(e, &e->why);
	} else if (e->why.kind == NV_CANCELLED) {
		r.state = NV_EV_CANCELLED;
		say_end(e, "cancelled");
		move(e, EXPORT_TELLING);
		nv_export_report(e, &r, cancelled_reported, e);
	} else {
		bool final = nv_settle_is_final(&a->settle, e->delivery, &e->why);
		r.state = final ? NV_EV_FAILED : NV_EV_HELD;
		say_end(e, final		    ? "failed for good"
			   : e->why.kind == NV_HOLD ? "held back"
						    : "failed, to be tried again");
		move(e, EXPORT_TELLING);
		nv_export_report(e, &r, failure_reported, e);
	}
}

static void cancelled_reported(void *arg, const struct nv_err *err)
{
	struct export *e = arg;
	if (err)
		give_back(e, err);
	else
		acknowledge(e, "cancelled");
}

static void failure_reported(void *arg, const struct nv_err *err)
{
	struct export *e = arg;
	if (err && err->kind != NV_REJECT) {
		give_back(e, err);
		return;
	}
	if (err) /* it cannot be told; the dead queue still says why */
		NV_LOG(NV_ERROR, "report.impossible", NV_S("req", nv_export_request(e)->id),
		       NV_E(err));
	move(e, EXPORT_SETTLING);
	nv_bus_settle(e->a->bus, &e->a->settle, e->delivery, &e->why, failure_settled, e);
}

/* In the dead queue: from there it comes back by an operator's hand only. */
static void failure_settled(void *arg, bool dead)
{
	struct export *e = arg;
	nv_metric_add(e->a->metrics.jobs, dead ? "failed" : "retried", 1);
	if (dead)
		nv_seen_log_put(e->a->finished, e->env.mid, nv_now_ms());
	end(e);
}

/* --- the end --- */

static void acknowledge(struct export *e, const char *result)
{
	struct archiver *a = e->a;
	double seconds = (double)(nv_mono_ms() - e->started) / 1000;
	nv_fault("archiver.before-ack");
	nv_metric_add(a->metrics.jobs, result, 1);
	nv_metric_observe(a->metrics.seconds, NULL, seconds);
	NV_LOG(NV_INFO, "export.done", NV_S("req", nv_export_request(e)->id),
	       NV_S("client", e->env.from), NV_S("attempt", e->attempt), NV_S("result", result),
	       NV_U("bytes", e->size), NV_U("sent", e->sent), NV_U("saved", e->saved),
	       NV_D("seconds", seconds));
	nv_seen_log_put(a->finished, e->env.mid, nv_now_ms());
	nv_bus_ack(e->delivery);
	end(e);
}

/* Nothing could be said to anybody: the message goes back and is served again. */
static void give_back(struct export *e, const struct nv_err *why)
{
	NV_LOG(NV_WARN, "export.returned", NV_S("req", nv_export_request(e)->id), NV_E(why));
	nv_metric_add(e->a->metrics.jobs, "returned", 1);
	if (e->a->daemon->stopping)
		nv_bus_return(e->delivery);
	else
		nv_bus_return_later(e->delivery);
	end(e);
}

static void end(struct export *e)
{
	struct archiver *a = e->a;
	struct export **at = &a->exports;
	move(e, EXPORT_ENDED);
	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
	nv_metric_add(a->metrics.running, NULL, -1);
	nv_envelope_fini(&e->env);
	nv_buf_fini(&e->sealed);
	nv_arena_fini(&e->arena);
	nv_request_log_fini(&e->lines);
	free(e);
	a->on_idle_cb(a);
}
