/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is written of a restore, and what becomes of its message.
 *
 * The status is written before the message is dealt with, so that a worker which dies in between
 * leaves a message that comes again and finds the outcome written; whoever writes the same outcome
 * twice changes nothing. */
#include "base/fault.h"
#include "base/log.h"
#include "core/status/claims.h"
#include "core/status/kv.h"
#include "core/status/status.h"
#include "worker/restore/restore.h"

/* --- the end: clean up and acknowledge --- */

static void cleaned(void *arg, const struct nv_err *err)
{
	struct restore *r = nv_restore_of_job(arg);
	(void)err;
	nv_fault("worker.before-ack");
	nv_bus_ack(r->delivery);
	nv_restore_end(r);
}

void nv_result_of_duplicate(struct restore *r)
{
	struct nv_run run = {.work = nv_restore_clean, .on_done_cb = cleaned, .arg = &r->job};
	nv_run_start(r->w->daemon->loop, &run);
}

static void seen_marked(void *arg, const struct nv_err *err, bool first)
{
	struct restore *r = arg;
	(void)first;
	if (err)
		nv_restore_again(r, nv_result_finish);
	else
		nv_result_of_duplicate(r);
}

void nv_result_finish(struct restore *r)
{
	nv_status_seen(r->w->status, r->ready.mid, NV_SEEN_TTL_MS, seen_marked, r);
}

/* --- the outcome --- */

static void settled(void *arg, bool dead)
{
	struct restore *r = arg;
	r->result = dead ? "failed" : "retried";
	nv_restore_end(r);
}

void nv_result_settle(struct restore *r)
{
	struct nv_delivery *d = r->delivery;
	if (r->borrowed) {
		r->result = "left";
		nv_bus_ack(d);
		nv_restore_end(r);
		return;
	}
	r->delivery = NULL; /* the bus's from here on: a redelivery is not adopted for it */
	nv_bus_settle(r->w->bus, &r->w->settle, d, &r->why, settled, r);
}

/* What the status now says has been written; what becomes of the message? */
static void outcome_written(struct restore *r)
{
	nv_fault("worker.after-status");
	if (r->why.kind == NV_OK || r->why.kind == NV_CANCELLED) {
		r->result = r->why.kind == NV_OK ? "restored" : "cancelled";
		nv_result_finish(r);
	} else if (r->why.kind == NV_FATAL) {
		struct nv_daemon *d = r->w->daemon;
		struct nv_err fatal = r->why;
		nv_restore_give_back(r);
		nv_daemon_fail(d, &fatal);
	} else if (r->why.kind == NV_HOLD && r->w->daemon->stopping) {
		nv_restore_give_back(r);
	} else {
		nv_result_settle(r);
	}
}

static void outcome_answered(void *arg, const struct nv_err *err)
{
	struct restore *r = arg;
	if (!err) {
		outcome_written(r);
	} else if (err->reason == NV_R_status_unavailable) {
		nv_restore_again(r, nv_result_write);
	} else {
		/* The claim is somebody else's: what we did changes nothing.  Look again later,
		 * whether the other has brought it to its end. */
		NV_LOG(NV_WARN, "outcome.refused", NV_S("req", nv_restore_request(r)->id),
		       NV_E(err));
		nv_fail(&r->why, NV_HOLD, NV_R_busy, "%s", err->msg);
		nv_result_settle(r);
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
		o.retry_in = r->delivery ? nv_settle_delay(&r->w->settle, r->delivery, &r->why) : 0;
	}
	return o;
}

void nv_result_write(struct restore *r)
{
	struct nv_status_outcome o = outcome_of(r);
	o.import_ms = nv_restore_importing(&r->job);
	nv_restore_write_log(r);
	nv_status_finish(r->w->status, nv_restore_request(r), *r->token ? r->token : NULL, &o,
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
		NV_LOG(NV_WARN, "export.unasked", NV_S("req", nv_restore_request(r)->id),
		       NV_E(err));
		nv_result_settle(r);
		return;
	}
	r->result = "exported-again";
	nv_result_finish(r);
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
	nv_bus_publish(r->w->bus, &p, export_asked, r);
}

static void write_rescheduled(struct restore *r);

static void rescheduled(void *arg, const struct nv_err *err)
{
	struct restore *r = arg;
	if (!err)
		ask_export(r);
	else if (err->reason == NV_R_status_unavailable)
		nv_restore_again(r, write_rescheduled);
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
	nv_restore_write_log(r);
	nv_status_finish(r->w->status, nv_restore_request(r), r->token, &o, rescheduled, r);
}

/* --- the job has ended --- */

void nv_result_of_job(struct restore *r)
{
	if (needs_export(r) && may_ask_export(r)) {
		write_rescheduled(r);
		return;
	}
	if (needs_export(r))
		r->why.kind = NV_REJECT; /* the same archive will not come out better */
	nv_result_write(r);
}
