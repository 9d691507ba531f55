/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sends requests to the course servers.  The record exists already; then: message confirmed, then
 * marked as published.  A crash in between leaves a record that the sweep publishes again; a second
 * copy of a message does no harm.  Without a confirm, the request goes to the disk before it is
 * reported as accepted. */
#include "producer/requests/dispatch.h"
#include "base/fault.h"
#include "base/log.h"
#include "core/status/requests.h"
#include "producer/app.h"
#include "producer/requests/spool.h"
#include "producer/requests/withdrawals.h"

/* An answer to a person does not wait longer for the broker. */
#define PATIENCE_MS 5000u

struct dispatch {
	struct app *app;
	uv_timer_t timer;
	char id[NV_UUID_SIZE];
	char site[NV_NAME_MAX + 1];
	uint64_t rev;
	struct nv_buf body; /* for the disk */
	dispatch_cb cb;	    /* NULL: has been called */
	void *arg;
	bool keeping;	 /* the disk will answer */
	bool ended;	 /* the broker has */
	bool unroutable; /* and the record says so */
	bool sent;	 /* the broker may have it */
};

static void timer_closed(uv_handle_t *handle)
{
	struct dispatch *d = handle->data;
	nv_buf_fini(&d->body);
	free(d);
}

static void close_when_done(struct dispatch *d)
{
	if (d->ended && !d->keeping)
		uv_close((uv_handle_t *)&d->timer, timer_closed);
}

static void tell(struct dispatch *d, const struct nv_err *err, bool published)
{
	dispatch_cb cb = d->cb;
	d->cb = NULL;
	if (cb)
		cb(d->arg, err, published);
}

static void kept(void *arg, const struct nv_err *err, bool left)
{
	struct dispatch *d = arg;
	d->keeping = false;
	/* what has no queue stands in Redis with its reason, whatever becomes of the disk */
	err = d->unroutable ? NULL : err;
	tell(d, err, err && (d->sent || left));
	close_when_done(d);
}

/* To the disk, if somebody still waits to hear what became of it. */
static void keep(struct dispatch *d)
{
	if (d->cb && !d->keeping) {
		d->keeping = true;
		nv_spool_keep(d->app, d->id, d->rev, &d->body, kept, d);
	}
}

static void end_published(struct dispatch *d)
{
	d->ended = true;
	nv_spool_drop(d->app, d->id, d->rev);
	tell(d, NULL, true);
	close_when_done(d);
}

static void end_unpublished(struct dispatch *d)
{
	d->ended = true;
	if (d->cb && !d->keeping)
		keep(d); /* closes it */
	else
		close_when_done(d);
}

static void marked(void *arg, const struct nv_err *err)
{
	struct dispatch *d = arg;
	if (err)
		NV_LOG(NV_WARN, "request.unmarked", NV_S("req", d->id), NV_U("rev", d->rev),
		       NV_E(err));
	end_published(d);
}

static void postponed(void *arg, const struct nv_err *err)
{
	struct dispatch *d = arg;
	d->unroutable = !err;
	if (err)
		NV_LOG(NV_WARN, "request.unmarked", NV_S("req", d->id), NV_U("rev", d->rev),
		       NV_E(err));
	end_unpublished(d);
}

/* The broker is there and says that it has no queue for this course server: the requester is told,
 * and the sweep tries less and less often. */
static void unroutable(struct dispatch *d)
{
	nv_auto_free char *message = nv_asprintf(
		"the message broker has no queue for the course server \"%s\": it was taken out of "
		"service, or was never set up there (an administrator does that with: navette "
		"broker apply)",
		d->site);
	NV_LOG(NV_WARN, "request.unroutable", NV_S("req", d->id), NV_U("rev", d->rev),
	       NV_S("site", d->site));
	nv_status_unroutable(d->app->status, d->id, d->rev,
			     d->app->config->producer.unroutable_after, message, postponed, d);
}

static void confirmed(void *arg, const struct nv_err *err)
{
	struct dispatch *d = arg;
	if (err && err->reason == NV_R_unroutable && d->app->status) {
		unroutable(d);
		return;
	}
	if (err) {
		NV_LOG(NV_WARN, "request.unpublished", NV_S("req", d->id), NV_U("rev", d->rev),
		       NV_E(err));
		end_unpublished(d);
		return;
	}
	NV_LOG(NV_INFO, "request.published", NV_S("req", d->id), NV_U("rev", d->rev));
	nv_fault("producer.after-publish");
	if (d->app->status)
		nv_status_published(d->app->status, d->id, d->rev, marked, d);
	else
		end_published(d);
}

static void impatient(uv_timer_t *timer)
{
	keep(timer->data);
}

void nv_dispatch_request(struct app *app, const struct nv_restore_request *q, dispatch_cb cb,
			 void *arg)
{
	struct nv_err err = {0};
	struct dispatch *d = nv_alloc(sizeof *d);
	*d = (struct dispatch){.app = app, .rev = q->rev, .cb = cb, .arg = arg};
	snprintf(d->id, sizeof d->id, "%s", q->id);
	snprintf(d->site, sizeof d->site, "%s", q->site);
	uv_timer_init(app->d->loop, &d->timer);
	d->timer.data = d;
	if (nv_record_encode(&nv_restore_request_record, q, &d->body, &err) < 0) {
		d->ended = true; /* no message can be made of it, ever */
		tell(d, &err, false);
		close_when_done(d);
		return;
	}
	if (!app->bus || !nv_bus_up(app->bus)) {
		nv_fail(&err, NV_RETRY, NV_R_broker_unavailable, "broker: not connected");
		confirmed(d, &err);
		return;
	}
	d->sent = true;
	uv_timer_start(&d->timer, impatient, PATIENCE_MS, 0);
	struct nv_send send = {.kind = NV_KIND_RESTORE_REQUEST,
			       .body = q,
			       .to = nv_queue_archive(q->site, q->now),
			       .ttl_ms = app->config->producer.request_ttl};
	nv_sender_send(&app->sender, &send, confirmed, d);
}

/* --- withdrawing --- */

struct withdrawal {
	char id[NV_UUID_SIZE];
	uint64_t rev;
};

/* Nobody there to hear it is fine: no archiver is working on it then. */
static void withdrawn(void *arg, const struct nv_err *err)
{
	struct withdrawal *w = arg;
	if (err && err->reason != NV_R_unroutable)
		NV_LOG(NV_WARN, "request.withdrawal_unsent", NV_S("req", w->id),
		       NV_U("rev", w->rev), NV_E(err));
	free(w);
}

void nv_dispatch_withdraw(struct app *app, const struct nv_restore_request *q, uint64_t rev,
			  const char *by)
{
	/* an older revision than q's: q has replaced it */
	nv_withdrawals_keep(app->withdrawals, q->id, rev, rev == q->rev);
	struct nv_cancel_request body = {.id = q->id, .rev = rev, .by = (char *)(uintptr_t)by};
	struct nv_send send = {.kind = NV_KIND_CANCEL_REQUEST,
			       .body = &body,
			       .to = nv_exchange_control(q->site),
			       .ttl_ms = app->config->producer.request_ttl};
	struct withdrawal *w = nv_alloc(sizeof *w);
	snprintf(w->id, sizeof w->id, "%s", q->id);
	w->rev = rev;
	nv_sender_send(&app->sender, &send, withdrawn, w);
}
