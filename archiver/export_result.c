/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is said of an export, and what becomes of its message.
 *
 * archive.ready is confirmed before the status says ready, and the delivery is acknowledged last:
 * whatever dies in between, the message comes again and the steps that were done are done again
 * without harm. */
#include <string.h>

#include "archiver/export.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/text.h"

#define PROGRESS_TTL_MS 60000u
#define OPENED_TTL_MS 600000u
/* The limits of archive.ready. */
#define NAME_MAX_BYTES 1333u
#define WARNINGS_MAX 100u
#define WARNING_MAX_BYTES 500u

/* --- telling the client --- */

void nv_export_report(struct export *e, const struct nv_report *r,
		      void (*cb)(void *arg, const struct nv_err *err), void *arg)
{
	struct archiver *a = e->a;
	bool passing = r->passing && !e->lines.len;
	struct nv_status_event event = {
		.request = {e->sealed.data, e->sealed.len},
		.attempt = e->attempt,
		.seq = ++e->seq,
		.state = r->state,
		.step = (char *)(uintptr_t)r->step,
		.done = r->done,
		.total = r->total,
		.reason = r->why ? (char *)(uintptr_t)nv_reason_word(r->why->reason) : NULL,
		.message = r->why ? (char *)(uintptr_t)r->why->msg : NULL,
		.host = a->daemon->host,
		.log_first = e->lines.first,
		.log = {e->lines.items, e->lines.len},
		.hold = r->state == NV_EV_HELD && r->why->kind == NV_HOLD,
		.at = nv_now_ms(),
	};
	if (r->state == NV_EV_HELD) {
		uint64_t delay = nv_settle_delay(&a->settle, e->delivery, r->why);
		event.next_try = delay ? event.at + delay : 0;
	}
	struct nv_send s = {.kind = NV_KIND_STATUS_EVENT,
			    .body = &event,
			    .to = nv_queue_events(e->env.from),
			    .ttl_ms = passing ? PROGRESS_TTL_MS : NV_MESSAGE_TTL_MS,
			    .drop_when_expired = passing};
	nv_sender_send(&a->sender, &s, cb, arg);
}

static void announced(void *arg, const struct nv_err *err)
{
	(void)arg;
	if (err) /* archive.ready will say more */
		NV_LOG(NV_INFO, "opened.unsent", NV_E(err));
}

void nv_export_announce(struct export *e)
{
	struct nv_archive_opened opened = {.request = {e->sealed.data, e->sealed.len},
					   .attempt = e->attempt,
					   .at = nv_now_ms()};
	struct nv_send s = {.kind = NV_KIND_ARCHIVE_OPENED,
			    .body = &opened,
			    .to = nv_queue_opened(e->env.from),
			    .ttl_ms = OPENED_TTL_MS,
			    .drop_when_expired = true};
	e->announced = true;
	NV_LOG(NV_INFO, "export.opened", NV_S("req", nv_export_request(e)->id),
	       NV_S("attempt", e->attempt));
	nv_sender_send(&e->a->sender, &s, announced, NULL);
}

/* --- the message --- */

/* The last line of the attempt. */
static void say_end(struct export *e, const char *result)
{
	if (!nv_request_log_next(&e->lines))
		return; /* it never began */
	nv_request_log_say(&e->lines, NV_INFO, "export attempt %s ends after %.1f s: %s",
			   e->attempt, (double)(nv_mono_ms() - e->started) / 1000, result);
}

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
	nv_export_free(e);
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
	nv_export_free(e);
}

/* --- it was exported --- */

static void ready_reported(void *arg, const struct nv_err *err)
{
	struct export *e = arg;
	if (err) /* archive.ready is on its way, and the worker will tell the status more than this
		  */
		NV_LOG(NV_WARN, "report.lost", NV_S("req", nv_export_request(e)->id), NV_E(err));
	acknowledge(e, "ready");
}

static void ready_sent(void *arg, const struct nv_err *err)
{
	struct export *e = arg;
	if (err && err->kind == NV_REJECT) { /* it cannot be said at all, now or later */
		e->why = *err;
		nv_export_failed(e);
		return;
	}
	if (err) {
		give_back(e, err);
		return;
	}
	nv_fault("archiver.after-ready");
	say_end(e, "the archive is in the store");
	struct nv_report r = {.state = NV_EV_READY, .done = e->size, .total = e->size};
	nv_export_report(e, &r, ready_reported, e);
}

/* What the site says is text of people; the message has limits. */
static void clean_texts(struct export *e)
{
	if (e->about.shortname)
		nv_text_clean(e->about.shortname, NAME_MAX_BYTES);
	if (e->about.fullname)
		nv_text_clean(e->about.fullname, NAME_MAX_BYTES);
	if (e->warnings.len > WARNINGS_MAX)
		e->warnings.len = WARNINGS_MAX;
	for (size_t i = 0; i < e->warnings.len; i++)
		nv_text_clean(e->warnings.items[i], WARNING_MAX_BYTES);
}

void nv_export_succeeded(struct export *e)
{
	const struct nv_restore_request *q = nv_export_request(e);
	unsigned asked = nv_delivery_exports(e->delivery);
	char exports[16];
	snprintf(exports, sizeof exports, "%u", asked);
	clean_texts(e);
	struct nv_archive_ready ready = {
		.request = {e->sealed.data, e->sealed.len},
		.attempt = e->attempt,
		.manifest_sha256 = {e->manifest_sha256, NV_SHA256_LEN},
		.manifest_size = e->manifest_size,
		.size = e->size,
		.entries = e->entries,
		.user_data = e->about.user_data,
		.shortname = e->about.shortname,
		.fullname = e->about.fullname,
		.warnings = e->warnings,
		.needs = e->about.needs,
		.at = nv_now_ms(),
	};
	struct nv_send s = {.kind = NV_KIND_ARCHIVE_READY,
			    .body = &ready,
			    .to = nv_queue_restore(e->env.from, q->now),
			    .ttl_ms = NV_MESSAGE_TTL_MS,
			    .header = {asked ? NV_H_EXPORTS : NULL, exports}};
	nv_fault("archiver.after-upload");
	nv_sender_send(&e->a->sender, &s, ready_sent, e);
}

/* --- it was not --- */

static void cancelled_reported(void *arg, const struct nv_err *err)
{
	struct export *e = arg;
	if (err)
		give_back(e, err);
	else
		acknowledge(e, "cancelled");
}

/* In the dead queue: from there it comes back by an operator's hand only. */
static void failure_settled(void *arg, bool dead)
{
	struct export *e = arg;
	nv_metric_add(e->a->metrics.jobs, dead ? "failed" : "retried", 1);
	if (dead)
		nv_seen_log_put(e->a->finished, e->env.mid, nv_now_ms());
	nv_export_free(e);
}

static void failure_reported(void *arg, const struct nv_err *err)
{
	struct export *e = arg;
	struct nv_delivery *d = e->delivery;
	if (err && err->kind != NV_REJECT) {
		give_back(e, err);
		return;
	}
	if (err) /* it cannot be told; the dead queue still says why */
		NV_LOG(NV_ERROR, "report.impossible", NV_S("req", nv_export_request(e)->id),
		       NV_E(err));
	e->delivery = NULL; /* the bus's from here on: a redelivery is not adopted for it */
	nv_bus_settle(e->a->bus, &e->a->settle, d, &e->why, failure_settled, e);
}

void nv_export_failed(struct export *e)
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
		nv_export_report(e, &r, cancelled_reported, e);
	} else {
		bool final = nv_settle_is_final(&a->settle, e->delivery, &e->why);
		r.state = final ? NV_EV_FAILED : NV_EV_HELD;
		say_end(e, final		    ? "failed for good"
			   : e->why.kind == NV_HOLD ? "held back"
						    : "failed, to be tried again");
		nv_export_report(e, &r, failure_reported, e);
	}
}
