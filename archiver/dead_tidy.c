/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Removes the dead letters of requests that their client has withdrawn (cancelled, or submitted
 * again), on a thread, after withdrawals. */
#include "archiver/archiver.h"
#include "base/log.h"
#include "core/bus/dead_settled.h"

#define TIDY_AFTER_MS 1000u
#define NAME "archiver, dead letters"

struct nv_withdrawn_tidy {
	struct archiver *a;
	uv_timer_t timer;
	struct nv_dead_requests list;
	size_t gone;
	bool running, again, stopped;
};

static void timer_closed(uv_handle_t *handle)
{
	struct nv_withdrawn_tidy *t = handle->data;
	struct archiver *a = t->a;
	a->tidy = NULL;
	free(t);
	a->on_idle_cb(a);
}

static void end(struct nv_withdrawn_tidy *t)
{
	free(t->list.items);
	t->list = (struct nv_dead_requests){0};
	t->running = false;
	if (t->stopped)
		uv_close((uv_handle_t *)&t->timer, timer_closed);
	else if (t->again)
		nv_withdrawn_tidy_soon(t);
	t->again = false;
}

static int remove_work(struct nv_job *job, void *arg, struct nv_err *err)
{
	struct nv_withdrawn_tidy *t = arg;
	const struct nv_config *c = t->a->config;
	(void)job;
	uv_mutex_lock(&t->a->dead_lock);
	int rc = nv_dead_remove_settled(c, c->identity.site, NAME, &t->list, &t->gone, err);
	uv_mutex_unlock(&t->a->dead_lock);
	return rc;
}

static void removed(void *arg, const struct nv_err *err)
{
	struct nv_withdrawn_tidy *t = arg;
	if (t->gone)
		NV_LOG(NV_INFO, "dead.removed", NV_U("letters", t->gone));
	if (err) /* with the next withdrawal */
		NV_LOG(NV_WARN, "dead.unremoved", NV_E(err));
	end(t);
}

static int look_work(struct nv_job *job, void *arg, struct nv_err *err)
{
	struct nv_withdrawn_tidy *t = arg;
	const struct nv_config *c = t->a->config;
	(void)job;
	uv_mutex_lock(&t->a->dead_lock);
	int rc = nv_dead_look(c, c->identity.site, NAME, &t->a->clients, &t->a->clients, &t->list,
			      err);
	uv_mutex_unlock(&t->a->dead_lock);
	return rc;
}

static void looked(void *arg, const struct nv_err *err)
{
	struct nv_withdrawn_tidy *t = arg;
	bool any = false;
	for (size_t i = 0; i < t->list.len; i++) {
		struct nv_dead_request *r = &t->list.items[i];
		r->settled = r->settled || nv_archiver_withdrawn(t->a, r->client, r->id, r->rev);
		any = any || r->settled;
	}
	if (err)
		NV_LOG(NV_WARN, "dead.unremoved", NV_E(err));
	if (err || !any || t->stopped) {
		end(t);
		return;
	}
	struct nv_run run = {.work = remove_work, .on_done_cb = removed, .arg = t};
	nv_run_start(t->a->daemon->loop, &run);
}

static void tick(uv_timer_t *timer)
{
	struct nv_withdrawn_tidy *t = timer->data;
	t->running = true;
	t->gone = 0;
	struct nv_run run = {.work = look_work, .on_done_cb = looked, .arg = t};
	nv_run_start(t->a->daemon->loop, &run);
}

struct nv_withdrawn_tidy *nv_withdrawn_tidy_new(struct archiver *a)
{
	struct nv_withdrawn_tidy *t = nv_alloc(sizeof *t);
	t->a = a;
	uv_timer_init(a->daemon->loop, &t->timer);
	t->timer.data = t;
	return t;
}

void nv_withdrawn_tidy_soon(struct nv_withdrawn_tidy *t)
{
	if (t->running)
		t->again = true;
	else if (!t->stopped && !uv_is_active((uv_handle_t *)&t->timer))
		uv_timer_start(&t->timer, tick, TIDY_AFTER_MS, 0);
}

void nv_withdrawn_tidy_close(struct nv_withdrawn_tidy *t)
{
	t->stopped = true;
	uv_timer_stop(&t->timer);
	if (!t->running)
		uv_close((uv_handle_t *)&t->timer, timer_closed);
}
