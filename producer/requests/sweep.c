/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The sweep publishes requests again that were never confirmed, or whose messages the broker has
 * lost, and removes old finished ones. */
#include "producer/requests/sweep.h"
#include "base/log.h"
#include "core/status/admin.h"
#include "core/status/requests.h"
#include "core/status/status.h"
#include "producer/app.h"
#include "producer/requests/dispatch.h"

#define COUNTS_MS 10000u
#define EXPIRE_MS 3600000u
#define JUST_NOW_MS 1000u

struct sweep {
	struct app *app;
	uv_timer_t timer;
	uv_timer_t counts;
	uv_timer_t expiry;
	bool running;
	bool expiring;
	uint64_t age_ms;
	bool more; /* than one answer holds, and all went out so far */
	unsigned sending;
	unsigned open; /* timers, and the answers to come */
	bool closed;
};

static void let_go(struct sweep *s)
{
	if (!--s->open)
		free(s);
}

static void run(struct sweep *s, uint64_t age_ms);

static void sent(struct sweep *s)
{
	if (--s->sending)
		return;
	s->running = false;
	if (s->more)
		run(s, s->age_ms);
}

static void dispatched(void *arg, const struct nv_err *err, bool published)
{
	struct sweep *s = arg;
	s->more = s->more && !err && published; /* the next sweep finds the others again */
	sent(s);
	let_go(s);
}

static void swept(void *arg, const struct nv_err *err, const struct nv_status_record *recs,
		  size_t len, uint64_t total)
{
	struct sweep *s = arg;
	s->more = !err && total > len;
	s->sending = 1; /* this one */
	for (size_t i = 0; !err && !s->closed && i < len; i++) {
		NV_LOG(NV_INFO, "sweep.publish", NV_S("req", recs[i].request.id),
		       NV_U("rev", recs[i].request.rev));
		s->sending++;
		s->open++;
		nv_dispatch_request(s->app, &recs[i].request, dispatched, s);
	}
	sent(s);
	let_go(s);
}

static void run(struct sweep *s, uint64_t age_ms)
{
	if (s->running || s->closed || !nv_bus_up(s->app->bus) || !nv_status_up(s->app->status))
		return;
	s->running = true;
	s->age_ms = age_ms;
	s->open++;
	nv_status_unpublished(s->app->status, age_ms, swept, s);
}

static void tick(uv_timer_t *timer)
{
	struct sweep *s = timer->data;
	run(s, s->app->config->producer.sweep_after);
}

/* What a person has just sent is still being published by whoever took it. */
void nv_sweep_now(struct sweep *s)
{
	run(s, JUST_NOW_MS);
}

/* --- for /metrics --- */

static void counted(void *arg, const struct nv_err *err, const uint64_t counts[NV_ST_COUNT])
{
	struct sweep *s = arg;
	for (unsigned i = 0; !err && i < NV_ST_COUNT; i++)
		nv_metric_set(s->app->m.requests, nv_state_word(i), (double)counts[i]);
	let_go(s);
}

static void waited(void *arg, const struct nv_err *err, const uint64_t *ms, size_t len)
{
	struct sweep *s = arg;
	for (size_t i = 0; !err && i < len; i++)
		nv_metric_set(s->app->m.oldest, s->app->config->sites[i].name,
			      (double)ms[i] / 1000);
	let_go(s);
}

static void count(uv_timer_t *timer)
{
	struct sweep *s = timer->data;
	const struct nv_config *c = s->app->config;
	nv_auto_free const char **sites = nv_alloc((c->sites_len + 1) * sizeof *sites);
	for (size_t i = 0; i < c->sites_len; i++)
		sites[i] = c->sites[i].name;
	s->open += 2;
	nv_status_counts(s->app->status, counted, s);
	nv_status_oldest(s->app->status, sites, c->sites_len, waited, s);
}

/* --- what ended long ago --- */

static void expired(void *arg, const struct nv_err *err, const struct nv_forgotten *what)
{
	struct sweep *s = arg;
	s->expiring = false;
	if (err)
		NV_LOG(NV_WARN, "sweep.unfinished", NV_E(err)); /* the next time does it */
	else if (what->removed)
		NV_LOG(NV_INFO, "sweep.removed", NV_U("requests", what->removed));
	let_go(s);
}

static void expire(uv_timer_t *timer)
{
	struct sweep *s = timer->data;
	if (s->expiring || !nv_status_up(s->app->status))
		return;
	s->expiring = true;
	s->open++;
	nv_status_expire(s->app->status, s->app->config->producer.keep, expired, s);
}

struct sweep *nv_sweep_new(struct app *app)
{
	struct sweep *s = nv_alloc(sizeof *s);
	uint64_t every = app->config->producer.sweep_after / 2;
	s->app = app;
	s->open = 3;
	s->timer.data = s->counts.data = s->expiry.data = s;
	uv_timer_init(app->d->loop, &s->timer);
	uv_timer_init(app->d->loop, &s->counts);
	uv_timer_init(app->d->loop, &s->expiry);
	uv_timer_start(&s->timer, tick, every < 1000 ? 1000 : every, every < 1000 ? 1000 : every);
	uv_timer_start(&s->counts, count, 1000, COUNTS_MS);
	uv_timer_start(&s->expiry, expire, 1000, EXPIRE_MS);
	return s;
}

static void timer_closed(uv_handle_t *handle)
{
	let_go(handle->data);
}

void nv_sweep_close(struct sweep *s)
{
	s->closed = true;
	uv_close((uv_handle_t *)&s->timer, timer_closed);
	uv_close((uv_handle_t *)&s->counts, timer_closed);
	uv_close((uv_handle_t *)&s->expiry, timer_closed);
}
