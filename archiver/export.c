/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One request: export → upload → archive.ready → status.event → ack.
 *
 * The artefact is durable before archive.ready is published, archive.ready is confirmed before the
 * status says ready, and the delivery is acknowledged last: whatever dies in between, the message
 * comes again and the steps that were done are done again without harm. */
#include "archiver/archiver.h"

#include <string.h>

#include "core/base/fault.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "core/daemon/workdir.h"

#define REPORT_EVERY_MS 1000u
#define PROGRESS_TTL_MS 60000u
/* The limits of archive.ready. */
#define NAME_MAX_BYTES 1333u
#define WARNINGS_MAX 100u
#define WARNING_MAX_BYTES 500u

struct export
{
	struct export *next;
	struct archiver *a;
	struct nv_delivery *delivery;
	struct nv_envelope env; /* the request; owned */
	struct nv_buf sealed;	/* the request's envelope as the client signed it */
	char attempt[NV_UUID_SIZE];
	struct nv_running *running; /* NULL: the thread has ended */
	uint64_t started;	    /* nv_mono_ms */
	uint64_t seq;		    /* of status events */
	uint64_t reported;	    /* nv_mono_ms of the last progress event */
	bool reporting;		    /* a progress event is not confirmed yet */
	struct nv_err why;	    /* how it failed */
	/* written by the thread, read after it ended */
	struct nv_arena arena;
	struct nv_manifest about;
	struct nv_strs warnings;
	uint8_t manifest_sha256[NV_SHA256_LEN];
	uint64_t manifest_size, size, entries, sent, saved;
};

static const struct nv_restore_request *request_of(const struct export *e)
{
	return &e->env.body.restore_request;
}

static struct export *export_new(struct archiver *a, struct nv_delivery *d, struct nv_envelope *env)
{
	struct export *e = nv_alloc(sizeof *e);
	size_t len;
	const void *body = nv_delivery_body(d, &len);
	e->a = a;
	e->delivery = d;
	e->env = *env;
	nv_buf_put(&e->sealed, body, len);
	nv_uuid_new(e->attempt);
	e->started = nv_mono_ms();
	e->next = a->exports;
	a->exports = e;
	nv_metric_add(a->metrics.running, NULL, 1);
	return e;
}

static void export_free(struct export *e)
{
	struct archiver *a = e->a;
	struct export **at = &a->exports;
	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
	nv_metric_add(a->metrics.running, NULL, -1);
	nv_envelope_fini(&e->env);
	nv_buf_fini(&e->sealed);
	nv_arena_fini(&e->arena);
	free(e);
	nv_archiver_maybe_stopped(a);
}

/* --- telling the client --- */

struct report {
	enum nv_event_state state;
	const char *step;
	uint64_t done, total;
	const struct nv_err *why;
	bool passing; /* progress: worthless soon */
};

static void send_report(struct export *e, const struct report *r,
			void (*cb)(void *arg, const struct nv_err *err), void *arg)
{
	struct archiver *a = e->a;
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
		.at = nv_now_ms(),
	};
	struct nv_send s = {.kind = NV_KIND_STATUS_EVENT,
			    .body = &event,
			    .to = nv_queue_events(e->env.from),
			    .ttl_ms = r->passing ? PROGRESS_TTL_MS : NV_MESSAGE_TTL_MS,
			    .drop_when_expired = r->passing};
	nv_courier_send(&a->courier, &s, cb, arg);
}

/* A confirmed or lost progress report; the export may have ended meanwhile, so only its id comes.
 */
struct progress_sent {
	struct archiver *a;
	char attempt[NV_UUID_SIZE];
};

static void progress_sent(void *arg, const struct nv_err *err)
{
	struct progress_sent *p = arg;
	(void)err;
	for (struct export *e = p->a->exports; e; e = e->next)
		if (strcmp(e->attempt, p->attempt) == 0)
			e->reporting = false;
	free(p);
}

static void export_progress(void *arg, const char *step, uint64_t done, uint64_t total)
{
	struct export *e = arg;
	uint64_t now = nv_mono_ms();
	if (e->reporting || now - e->reported < REPORT_EVERY_MS)
		return;
	struct progress_sent *p = nv_alloc(sizeof *p);
	p->a = e->a;
	memcpy(p->attempt, e->attempt, sizeof p->attempt);
	e->reported = now;
	e->reporting = true;
	struct report r = {NV_EV_EXPORTING, step, done, total, NULL, true};
	send_report(e, &r, progress_sent, p);
}

/* --- the end --- */

static void acknowledge(struct export *e, const char *result)
{
	struct archiver *a = e->a;
	double seconds = (double)(nv_mono_ms() - e->started) / 1000;
	nv_fault("archiver.before-ack");
	nv_metric_add(a->metrics.jobs, result, 1);
	nv_metric_observe(a->metrics.seconds, NULL, seconds);
	NV_LOG(NV_INFO, "export.done", NV_S("req", request_of(e)->id), NV_S("client", e->env.from),
	       NV_S("attempt", e->attempt), NV_S("result", result), NV_U("bytes", e->size),
	       NV_U("sent", e->sent), NV_U("saved", e->saved), NV_D("seconds", seconds));
	nv_memo_put(a->finished, e->env.mid, nv_now_ms());
	nv_bus_ack(e->delivery);
	export_free(e);
}

/* Nothing could be said to anybody: the message goes back and is served again. */
static void give_back(struct export *e, const struct nv_err *why)
{
	NV_LOG(NV_WARN, "export.returned", NV_S("req", request_of(e)->id), NV_E(why));
	nv_metric_add(e->a->metrics.jobs, "returned", 1);
	if (e->a->daemon->stopping)
		nv_bus_return(e->delivery);
	else
		nv_bus_return_later(e->delivery);
	export_free(e);
}

static void export_failed(struct export *e);

static void ready_reported(void *arg, const struct nv_err *err)
{
	struct export *e = arg;
	if (err) /* archive.ready is on its way, and the worker will tell the status more than this
		  */
		NV_LOG(NV_WARN, "report.lost", NV_S("req", request_of(e)->id), NV_E(err));
	acknowledge(e, "ready");
}

static void ready_sent(void *arg, const struct nv_err *err)
{
	struct export *e = arg;
	if (err && err->kind == NV_REJECT) { /* it cannot be said at all, now or later */
		e->why = *err;
		export_failed(e);
		return;
	}
	if (err) {
		give_back(e, err);
		return;
	}
	nv_fault("archiver.after-ready");
	struct report r = {.state = NV_EV_READY, .done = e->size, .total = e->size};
	send_report(e, &r, ready_reported, e);
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

static void send_ready(struct export *e)
{
	const struct nv_restore_request *q = request_of(e);
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
		.at = nv_now_ms(),
	};
	struct nv_send s = {.kind = NV_KIND_ARCHIVE_READY,
			    .body = &ready,
			    .to = nv_queue_restore(e->env.from, q->now),
			    .ttl_ms = NV_MESSAGE_TTL_MS,
			    .header = {asked ? NV_H_EXPORTS : NULL, exports}};
	nv_fault("archiver.after-upload");
	nv_courier_send(&e->a->courier, &s, ready_sent, e);
}

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
		nv_memo_put(e->a->finished, e->env.mid, nv_now_ms());
	export_free(e);
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
		NV_LOG(NV_ERROR, "report.impossible", NV_S("req", request_of(e)->id), NV_E(err));
	e->delivery = NULL; /* the bus's from here on: a redelivery is not adopted for it */
	nv_bus_settle(e->a->bus, &e->a->settle, d, &e->why, failure_settled, e);
}

static void export_failed(struct export *e)
{
	struct archiver *a = e->a;
	struct report r = {.why = &e->why};
	NV_LOG(e->why.kind == NV_CANCELLED ? NV_INFO : NV_WARN, "export.failed",
	       NV_S("req", request_of(e)->id), NV_S("client", e->env.from),
	       NV_U("attempts", nv_delivery_attempt(e->delivery) + 1), NV_E(&e->why));
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
		send_report(e, &r, cancelled_reported, e);
	} else {
		bool final = nv_settle_is_final(&a->settle, e->delivery, &e->why);
		r.state = final ? NV_EV_FAILED : NV_EV_HELD;
		send_report(e, &r, failure_reported, e);
	}
}

static void export_ended(void *arg, const struct nv_err *err)
{
	struct export *e = arg;
	e->running = NULL;
	nv_metric_add(e->a->metrics.bytes, "sent", (double)e->sent);
	nv_metric_add(e->a->metrics.bytes, "saved", (double)e->saved);
	if (err) {
		e->why = *err;
		export_failed(e);
	} else {
		send_ready(e);
	}
}

/* --- the thread --- */

static int upload(struct export *e, const char *work_dir, const struct nv_archive_place *place,
		  struct nv_job *job, struct nv_err *err)
{
	const struct nv_config *c = e->a->config;
	struct nv_archive_limits limits = {c->store.max_archive, c->store.max_entries,
					   c->store.max_ratio};
	struct nv_archive_put *put = nv_archive_put_new(e->a->store, place, work_dir,
							c->store.blob_threshold, &limits, job, err);
	if (!put)
		return -1;
	struct nv_sink sink = nv_archive_put_sink(put);
	int result = nv_site_export(e->a->site, request_of(e), nv_config_client(c, e->env.from),
				    &limits, &sink, job, &e->about, &e->warnings, &e->arena, err);
	if (result == 0)
		result = nv_archive_put_commit(put, &e->about, e->manifest_sha256,
					       &e->manifest_size, &e->size, &e->entries, err);
	nv_archive_put_stats(put, &e->sent, &e->saved);
	nv_archive_put_free(put);
	return result;
}

static int export_work(struct nv_job *job, void *arg, struct nv_err *err)
{
	struct export *e = arg;
	struct nv_workdir dir;
	struct nv_archive_place place = {e->a->config->identity.site, e->env.from,
					 request_of(e)->id, e->attempt};
	if (nv_workdir_open(e->a->config->archiver.work_dir, e->attempt, &dir, err) < 0)
		return -1;
	int result = upload(e, dir.path, &place, job, err);
	nv_workdir_close(&dir, true);
	if (result < 0) {
		struct nv_err left = {0};
		if (nv_archive_delete(e->a->store, &place, &left) < 0)
			NV_LOG(NV_WARN, "archive.left", NV_S("req", place.id),
			       NV_S("attempt", place.attempt), NV_E(&left));
	}
	return result;
}

/* --- from the intake --- */

void nv_export_start(struct archiver *a, struct nv_delivery *d, struct nv_envelope *env)
{
	struct export *e = export_new(a, d, env);
	const struct nv_restore_request *q = request_of(e);
	NV_LOG(NV_INFO, "export.started", NV_S("req", q->id), NV_U("rev", q->rev),
	       NV_S("client", e->env.from), NV_S("course", q->course), NV_S("user", q->user),
	       NV_S("attempt", e->attempt), NV_U("attempts", nv_delivery_attempt(d)));
	struct nv_run run = {.work = export_work,
			     .on_progress_cb = export_progress,
			     .on_done_cb = export_ended,
			     .arg = e,
			     .timeout_ms = a->config->archiver.job_timeout};
	e->running = nv_run_start(a->daemon->loop, &run);
	export_progress(e, "export", 0, 0);
}

struct export *nv_export_find(struct archiver *a, const char *client, const char *id)
{
	for (struct export *e = a->exports; e; e = e->next)
		if (strcmp(e->env.from, client) == 0 && strcmp(request_of(e)->id, id) == 0)
			return e;
	return NULL;
}

bool nv_export_adopt(struct export *e, struct nv_delivery *d, const struct nv_envelope *env)
{
	if (!e->delivery || nv_delivery_live(e->delivery) || strcmp(e->env.mid, env->mid) != 0)
		return false;
	NV_LOG(NV_INFO, "export.adopted", NV_S("req", request_of(e)->id),
	       NV_S("attempt", e->attempt));
	nv_bus_ack(e->delivery); /* of a connection that is gone: only frees it */
	e->delivery = d;
	return true;
}

void nv_export_withdraw(struct export *e, uint64_t rev)
{
	if (request_of(e)->rev <= rev && e->running)
		nv_run_cancel(e->running);
}

void nv_export_stop_all(struct archiver *a)
{
	for (struct export *e = a->exports; e; e = e->next)
		if (e->running)
			nv_run_stop(e->running);
}

void nv_export_decline(struct archiver *a, struct nv_delivery *d, struct nv_envelope *env,
		       const struct nv_err *why)
{
	struct export *e = export_new(a, d, env);
	e->why = *why;
	export_failed(e);
}
