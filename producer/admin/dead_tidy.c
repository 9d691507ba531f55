/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Removes dead letters when their request was restored, cancelled, or submitted again.  After such
 * changes, at the next check: find the requests that have letters, read their records, and discard
 * the letters that are settled.  Letters of requests unknown to Redis stay.  Answers
 * that an older producer did not understand are discarded, too, once an answer is missing.  Those
 * of course servers: dead_tidy_sites.c. */
#include "producer/admin/dead_tidy.h"

#include "base/log.h"
#include "core/bus/dead_settled.h"
#include "core/status/events.h"
#include "core/status/requests.h"
#include "core/status/status.h"
#include "producer/blocking_jobs.h"

#define NAME "producer, dead letters"

struct tidy {
	struct app *app;
	uv_timer_t timer;
	bool due;
	bool settled; /* since the last look: for the course servers' */
	bool running;
	struct nv_dead_requests list;
	size_t asked; /* records of the list */
	size_t gone;
	bool closed;
	struct tidy_sites *sites;
};

static void free_when_over(struct tidy *t)
{
	if (!t->closed || t->running)
		return;
	free(t->list.items);
	free(t);
}

static void end(struct tidy *t, const struct nv_err *err)
{
	if (err) {
		t->due = true; /* the next look */
		NV_LOG(NV_WARN, "dead.unremoved", NV_E(err));
	}
	free(t->list.items);
	t->list = (struct nv_dead_requests){0};
	t->running = false;
	free_when_over(t);
}

static int remove_work(struct app *app, struct nv_job *job, void *arg, struct nv_err *err)
{
	struct tidy *t = arg;
	(void)job;
	return nv_dead_remove_settled(app->config, app->me.name, NAME, &t->list, &t->gone, err);
}

static void removed(void *arg, const struct nv_err *err)
{
	struct tidy *t = arg;
	if (t->gone)
		NV_LOG(NV_INFO, "dead.removed", NV_U("letters", t->gone));
	end(t, err);
}

static void ask_next(struct tidy *t);

bool nv_dead_tidy_is_settled(const struct nv_status_record *rec, uint64_t rev)
{
	return rec->request.rev > rev || rec->state == NV_ST_restored ||
	       rec->state == NV_ST_cancelled;
}

static void got(void *arg, const struct nv_err *err, const struct nv_status_record *rec)
{
	struct tidy *t = arg;
	struct nv_dead_request *r = &t->list.items[t->asked++];
	if (err && err->kind != NV_REJECT) {
		end(t, err);
		return;
	}
	r->settled = !err && rec && nv_dead_tidy_is_settled(rec, r->rev);
	ask_next(t);
}

static void ask_next(struct tidy *t)
{
	bool any = false;
	while (t->asked < t->list.len && t->list.items[t->asked].settled)
		t->asked++;
	if (!t->closed && t->asked < t->list.len) {
		nv_status_get(t->app->status, t->list.items[t->asked].id, got, t);
		return;
	}
	for (size_t i = 0; i < t->list.len; i++)
		any = any || t->list.items[i].settled;
	if (!any || t->closed) {
		end(t, NULL);
		return;
	}
	struct blocking_job job = {.work = remove_work, .done = removed, .arg = t};
	nv_blocking_jobs_run(t->app, BLOCKING_DEAD, &job);
}

static int look_work(struct app *app, struct nv_job *job, void *arg, struct nv_err *err)
{
	struct tidy *t = arg;
	(void)job;
	return nv_dead_look(app->config, app->me.name, NAME, &app->own, &app->sites, &t->list, err);
}

static void looked(void *arg, const struct nv_err *err)
{
	struct tidy *t = arg;
	if (err)
		end(t, err);
	else
		ask_next(t);
}

static void tick(uv_timer_t *timer)
{
	struct tidy *t = timer->data;
	if (!nv_bus_up(t->app->bus) || !nv_status_up(t->app->status))
		return;
	nv_dead_tidy_sites_look(t->sites, t->settled);
	t->settled = false;
	if (!t->due || t->running)
		return;
	t->due = false;
	t->running = true;
	t->asked = t->gone = 0;
	struct blocking_job job = {.work = look_work, .done = looked, .arg = t};
	nv_blocking_jobs_run(t->app, BLOCKING_DEAD, &job);
}

void nv_dead_tidy_heard(struct tidy *t, const struct nv_status_change_event *e)
{
	enum nv_state state = e->state ? nv_state_from(e->state) : NV_ST_COUNT;
	if (t && (state == NV_ST_restored || state == NV_ST_cancelled ||
		  (state == NV_ST_scheduled && e->rev > 1)))
		t->due = t->settled = true;
}

void nv_dead_tidy_answer_lost(struct tidy *t)
{
	if (t)
		t->due = true;
}

void nv_dead_tidy_site_failed(struct tidy *t, const char *site)
{
	if (t)
		nv_dead_tidy_sites_failed(t->sites, site);
}

void nv_dead_tidy_site_seen(struct tidy *t, const char *site)
{
	if (t)
		nv_dead_tidy_sites_seen(t->sites, site);
}

struct tidy *nv_dead_tidy_new(struct app *app)
{
	struct tidy *t = nv_alloc(sizeof *t);
	uint64_t every = app->config->producer.sweep_after;
	t->app = app;
	t->due = true;
	t->sites = nv_dead_tidy_sites_new(app);
	uv_timer_init(app->d->loop, &t->timer);
	t->timer.data = t;
	uv_timer_start(&t->timer, tick, every, every);
	return t;
}

static void timer_closed(uv_handle_t *handle)
{
	struct tidy *t = handle->data;
	t->closed = true;
	free_when_over(t);
}

void nv_dead_tidy_close(struct tidy *t)
{
	nv_dead_tidy_sites_close(t->sites);
	uv_close((uv_handle_t *)&t->timer, timer_closed);
}
