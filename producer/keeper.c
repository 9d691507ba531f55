/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The keeper writes messages of course servers (status.event, catalog.reply, letters.reply) into
 * Redis.
 *
 * A message is acknowledged after it is written; while Redis is unavailable, deliveries are held
 * unacknowledged (at most the prefetch).  Unacceptable messages go to the dead queue with the
 * reason. */
#include <string.h>

#include "base/fault.h"
#include "base/log.h"
#include "core/status/events.h"
#include "core/status/status.h"
#include "producer/admin/clock.h"
#include "producer/admin/dead_tidy.h"
#include "producer/admin/site_letters.h"
#include "producer/app.h"
#include "producer/keeper.h"
#include "producer/requests/catalog.h"
#include "producer/site_presence.h"

#define PREFETCH 64u
#define HELD_MS 1000u
#define PROGRESS_TTL_MAX_MS 600000u
#define PROGRESS_AGE_MAX_MS 86400000u

struct news {
	struct keeper *k;
	struct news *prev, *next;
	struct nv_delivery *d;
	struct nv_envelope env;
	struct nv_envelope request; /* inside a status.event */
	bool has_request;
	bool held; /* waits for Redis */
};

struct keeper {
	struct app *app;
	struct nv_consumer *consumer;
	struct nv_topology_name queue;
	uv_timer_t timer;
	struct news *all;
	bool closing;
	void (*on_closed_cb)(struct app *app);
};

static void timer_closed(uv_handle_t *handle)
{
	struct keeper *k = handle->data;
	k->on_closed_cb(k->app);
	free(k);
}

/* Closing, and nothing waits for Redis any more. */
static void end_when_empty(struct keeper *k)
{
	if (k->closing && !k->all && !uv_is_closing((uv_handle_t *)&k->timer))
		uv_close((uv_handle_t *)&k->timer, timer_closed);
}

static void forget(struct news *n)
{
	struct keeper *k = n->k;
	if (n->prev)
		n->prev->next = n->next;
	else
		k->all = n->next;
	if (n->next)
		n->next->prev = n->prev;
	if (n->has_request)
		nv_envelope_fini(&n->request);
	nv_envelope_fini(&n->env);
	free(n);
	end_when_empty(k);
}

static void reject(struct keeper *k, struct nv_delivery *d, const struct nv_err *err)
{
	struct nv_settle settle = {.owner = k->app->me.name, .attempts_max = 10};
	nv_metric_add(k->app->m.messages, "rejected", 1);
	NV_LOG(NV_WARN, "keeper.rejected", NV_S("mid", nv_delivery_message_id(d)),
	       NV_S("from", nv_delivery_user(d)), NV_E(err));
	nv_bus_settle(k->app->bus, &settle, d, err, NULL, NULL);
}

/* What is held uses up no attempt; an older archiver tells it by the reason alone. */
static bool is_failure(const struct nv_status_event *e)
{
	return e->state == NV_EV_FAILED ||
	       (e->state == NV_EV_HELD && !e->hold && e->reason && strcmp(e->reason, "busy") != 0);
}

/* --- writing --- */

static void written(void *arg, const struct nv_err *err)
{
	struct news *n = arg;
	struct keeper *k = n->k;
	if (err && err->kind != NV_REJECT) {
		n->held = true; /* it stays ours until Redis is back */
		if (!k->closing)
			return;
		nv_bus_return(n->d);
	} else if (err) {
		reject(k, n->d, err);
	} else {
		nv_fault("producer.before-ack");
		nv_metric_add(k->app->m.messages, nv_kind_info(n->env.kind)->word, 1);
		if (n->env.kind == NV_KIND_STATUS_EVENT && is_failure(&n->env.body.status_event))
			nv_metric_add(k->app->m.failures, n->env.from, 1);
		if (n->env.kind == NV_KIND_STATUS_EVENT &&
		    n->env.body.status_event.state == NV_EV_FAILED)
			nv_dead_tidy_site_failed(k->app->tidy, n->env.from);
		nv_bus_ack(n->d);
	}
	forget(n);
}

static void write_news(struct news *n)
{
	struct app *app = n->k->app;
	n->held = false;
	if (n->env.kind == NV_KIND_CATALOG_REPLY)
		nv_catalog_store(app, n->env.from, &n->env.body.catalog_reply, written, n);
	else if (n->env.kind == NV_KIND_LETTERS_REPLY)
		nv_site_letters_store(app, n->env.from, &n->env.body.letters_reply, written, n);
	else
		nv_status_apply_event(app->status, &n->request.body.restore_request,
				      &n->env.body.status_event, written, n);
}

/* --- reading --- */

/* The request inside was signed by us, in time when it was accepted; and only the course server it
 * was meant for may speak about it. */
static int open_request(struct news *n, struct nv_err *err)
{
	const struct nv_bytes *inner = &n->env.body.status_event.request;
	if (nv_envelope_open(inner->data, inner->len, &n->k->app->own,
			     1u << NV_KIND_RESTORE_REQUEST, 0, &n->request, err) < 0) {
		nv_err_prefix(err, "request");
		return -1;
	}
	n->has_request = true;
	if (strcmp(n->request.body.restore_request.site, n->env.from) != 0)
		return nv_fail(err, NV_REJECT, NV_R_untrusted,
			       "site %s speaks about a request to site %s", n->env.from,
			       n->request.body.restore_request.site);
	return 0;
}

/* The word of a course server whose clock is behind by more than a message lives. */
static bool tells_of_a_clock(const struct nv_status_event *e)
{
	return e->reason && nv_reason_from(e->reason) == NV_R_clock;
}

/* Out of time by its sender's clock, or ours, but genuine.  A question's id tells when we asked:
 * the answer counts if that was just now.  What is said of an attempt has an order of its own, and
 * the broker drops progress that is old. */
static bool is_timely(const struct news *n, const struct nv_err *why)
{
	const struct nv_envelope *env = &n->env;
	if (env->kind == NV_KIND_CATALOG_REPLY)
		return nv_clock_is_answer_fresh(env->body.catalog_reply.id);
	if (env->kind == NV_KIND_LETTERS_REPLY)
		return nv_clock_is_answer_fresh(env->body.letters_reply.id);
	return why->reason == NV_R_clock || tells_of_a_clock(&env->body.status_event) ||
	       (env->expires - env->issued <= PROGRESS_TTL_MAX_MS &&
		nv_now_ms() - env->issued <= PROGRESS_AGE_MAX_MS);
}

/* 0: go on.  Otherwise the delivery is settled. */
static int open_news(struct news *n)
{
	static const unsigned want = 1u << NV_KIND_STATUS_EVENT | 1u << NV_KIND_CATALOG_REPLY |
				     1u << NV_KIND_LETTERS_REPLY;
	struct keeper *k = n->k;
	struct nv_err err, again;
	size_t len;
	const void *body = nv_delivery_body(n->d, &len);
	if (nv_envelope_open(body, len, &k->app->sites, want, nv_now_ms(), &n->env, &err) == 0)
		return 0;
	if ((err.reason != NV_R_clock && err.reason != NV_R_expired) ||
	    nv_envelope_open(body, len, &k->app->sites, want, 0, &n->env, &again) < 0) {
		reject(k, n->d, &err);
		return -1;
	}
	if (is_timely(n, &err))
		return 0;
	if (n->env.kind != NV_KIND_STATUS_EVENT)
		nv_bus_ack(n->d); /* nobody waits for it any more */
	else
		reject(k, n->d, &err);
	nv_envelope_fini(&n->env);
	return -1;
}

/* The broker or a delay brings it once more: it may be old. */
static bool comes_again(const struct nv_delivery *d)
{
	return nv_delivery_is_duplicate(d) || nv_delivery_header(d, NV_H_HOLDS) ||
	       nv_delivery_header(d, NV_H_REQUEUED);
}

static void on_delivery(void *arg, struct nv_delivery *d)
{
	struct keeper *k = arg;
	struct nv_err err;
	struct news *n = nv_alloc(sizeof *n);
	n->k = k;
	n->d = d;
	if (open_news(n) < 0) {
		free(n);
		return;
	}
	n->next = k->all;
	if (n->next)
		n->next->prev = n;
	k->all = n;
	if (n->env.kind == NV_KIND_STATUS_EVENT && open_request(n, &err) < 0) {
		reject(k, d, &err);
		forget(n);
		return;
	}
	nv_clock_heard(k->app, &n->env, comes_again(d));
	nv_site_presence_heard(k->app, &n->env);
	if (n->env.kind == NV_KIND_STATUS_EVENT && tells_of_a_clock(&n->env.body.status_event))
		nv_clock_doubted(k->app, n->env.from);
	write_news(n);
}

/* --- life --- */

/* Oldest first: the list is newest first. */
void nv_keeper_retry(struct keeper *k)
{
	struct news *n = k->all;
	struct news *prev;
	while (n && n->next)
		n = n->next;
	for (; n; n = prev) {
		prev = n->prev;
		if (!n->held)
			continue;
		if (nv_delivery_live(n->d)) {
			write_news(n);
		} else {
			nv_bus_ack(n->d); /* the broker has given it out again */
			forget(n);
		}
	}
}

static void tick(uv_timer_t *timer)
{
	struct keeper *k = timer->data;
	if (nv_status_up(k->app->status))
		nv_keeper_retry(k);
}

struct keeper *nv_keeper_new(struct app *app)
{
	struct keeper *k = nv_alloc(sizeof *k);
	k->app = app;
	k->queue = nv_queue_events(app->me.name);
	uv_timer_init(app->d->loop, &k->timer);
	k->timer.data = k;
	uv_timer_start(&k->timer, tick, HELD_MS, HELD_MS);
	struct nv_consume c = {
		.queue = k->queue.s, .prefetch = PREFETCH, .on_delivery_cb = on_delivery, .arg = k};
	k->consumer = nv_bus_consume(app->bus, &c);
	return k;
}

void nv_keeper_close(struct keeper *k, void (*on_closed_cb)(struct app *app))
{
	struct news *next;
	k->on_closed_cb = on_closed_cb;
	nv_bus_cancel(k->consumer, false);
	for (struct news *n = k->all; n; n = next) {
		next = n->next;
		if (!n->held)
			continue; /* its callback comes */
		nv_bus_return(n->d);
		forget(n);
	}
	k->closing = true;
	end_when_empty(k);
}
