/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The sweep: scheduled requests that were never confirmed as published go out again. */
#include "core/base/log.h"
#include "producer/producer.h"

#define COUNTS_MS 10000u

struct sweep {
	struct app *app;
	uv_timer_t timer;
	uv_timer_t counts;
	bool running;
	unsigned open; /* timers, and the answer to come */
	bool closed;
};

static void let_go(struct sweep *s)
{
	if (!--s->open)
		free(s);
}

static void dispatched(void *arg, bool published)
{
	(void)arg;
	(void)published;
}

static void swept(void *arg, const struct nv_err *err, const struct nv_status_record *recs,
		  size_t len, uint64_t total)
{
	struct sweep *s = arg;
	(void)total;
	s->running = false;
	for (size_t i = 0; !err && !s->closed && i < len; i++) {
		NV_LOG(NV_INFO, "sweep.publish", NV_S("req", recs[i].request.id),
		       NV_U("rev", recs[i].request.rev));
		dispatch_request(s->app, &recs[i].request, dispatched, NULL);
	}
	let_go(s);
}

static void run(struct sweep *s, uint64_t age_ms)
{
	if (s->running || s->closed || !nv_bus_up(s->app->bus) || !nv_status_up(s->app->status))
		return;
	s->running = true;
	s->open++;
	nv_status_unpublished(s->app->status, age_ms, swept, s);
}

static void tick(uv_timer_t *timer)
{
	struct sweep *s = timer->data;
	run(s, s->app->config->producer.sweep_after);
}

/* What a person has just sent is still being published by whoever took it. */
void sweep_now(struct sweep *s)
{
	run(s, 1000);
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

struct sweep *sweep_new(struct app *app)
{
	struct sweep *s = nv_alloc(sizeof *s);
	uint64_t every = app->config->producer.sweep_after / 2;
	s->app = app;
	s->open = 2;
	s->timer.data = s->counts.data = s;
	uv_timer_init(app->d->loop, &s->timer);
	uv_timer_init(app->d->loop, &s->counts);
	uv_timer_start(&s->timer, tick, every < 1000 ? 1000 : every, every < 1000 ? 1000 : every);
	uv_timer_start(&s->counts, count, 1000, COUNTS_MS);
	return s;
}

static void timer_closed(uv_handle_t *handle)
{
	let_go(handle->data);
}

void sweep_close(struct sweep *s)
{
	s->closed = true;
	uv_close((uv_handle_t *)&s->timer, timer_closed);
	uv_close((uv_handle_t *)&s->counts, timer_closed);
}
