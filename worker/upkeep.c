/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sweeping what crashed attempts left: at start and from time to time, on a thread. */
#include "core/base/log.h"
#include "core/daemon/workdir.h"
#include "worker/worker.h"

#define SWEEP_EVERY_MS 600000u

struct upkeep {
	struct worker *w;
	uv_timer_t timer;
	bool sweeping, stopped;
};

static int sweep_work(struct nv_job *job, void *arg, struct nv_err *err)
{
	struct upkeep *u = arg;
	const struct nv_config *c = u->w->config;
	(void)job;
	if (nv_workdir_sweep(c->worker.work_dir, c->store.grace, err) < 0)
		return -1;
	return nv_site_sweep(u->w->site, err);
}

static void timer_closed(uv_handle_t *handle)
{
	struct upkeep *u = handle->data;
	struct worker *w = u->w;
	w->busy--;
	free(u);
	nv_worker_maybe_stopped(w);
}

static void sweep_ended(void *arg, const struct nv_err *err)
{
	struct upkeep *u = arg;
	u->sweeping = false;
	if (err)
		NV_LOG(NV_WARN, "sweep.failed", NV_E(err));
	if (u->stopped)
		uv_close((uv_handle_t *)&u->timer, timer_closed);
}

static void sweep_tick(uv_timer_t *timer)
{
	struct upkeep *u = timer->data;
	if (u->sweeping)
		return;
	u->sweeping = true;
	struct nv_run run = {.work = sweep_work, .on_done_cb = sweep_ended, .arg = u};
	nv_run_start(u->w->daemon->loop, &run);
}

struct upkeep *nv_upkeep_start(struct worker *w)
{
	struct upkeep *u = nv_alloc(sizeof *u);
	u->w = w;
	w->busy++;
	uv_timer_init(w->daemon->loop, &u->timer);
	u->timer.data = u;
	uint64_t grace = w->config->store.grace;
	uint64_t every = grace < SWEEP_EVERY_MS ? grace : SWEEP_EVERY_MS;
	uv_timer_start(&u->timer, sweep_tick, 0, every ? every : 1000);
	return u;
}

void nv_upkeep_stop(struct upkeep *u)
{
	u->stopped = true;
	uv_timer_stop(&u->timer);
	if (!u->sweeping)
		uv_close((uv_handle_t *)&u->timer, timer_closed);
}
