/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Removes leftovers of crashed attempts, at start and periodically, on a thread; and announces the
 * worker's presence and jobs, for administrators. */
#include <jansson.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "core/daemon/workdir.h"
#include "core/status/admin.h"
#include "worker/restore/restore.h"

#define SWEEP_EVERY_MS 600000u
#define PRESENT_EVERY_MS 5000u
#define PRESENT_TTL_MS 20000u

struct sweeper {
	struct worker *w;
	uv_timer_t timer, heartbeat;
	unsigned handles;
	uint64_t since;	 /* ms since the epoch */
	char name[320];	 /* "worker:HOST:PID" */
	unsigned saying; /* calls to Redis under way */
	bool sweeping, stopped;
};

static void maybe_close(struct sweeper *u);

/* --- we are there --- */

static json_t *jobs_json(const struct worker *w)
{
	json_t *jobs = json_array();
	uint64_t now = nv_now_ms(), mono = nv_mono_ms();
	for (const struct restore *r = w->restores; r; r = r->next) {
		if (r->state == RESTORE_ENDED)
			continue;
		json_t *job = json_pack("{s:s, s:I}", "request", nv_restore_request(r)->id, "since",
					(json_int_t)(now - (mono - r->started)));
		if (*r->progress_step)
			json_object_set_new(job, "step", json_string(r->progress_step));
		json_array_append_new(jobs, job);
	}
	return jobs;
}

/* Redis away: the next one says it. */
static void said(void *arg, const struct nv_err *err)
{
	struct sweeper *u = arg;
	(void)err;
	u->saying--;
	if (u->stopped)
		maybe_close(u);
}

static void say(uv_timer_t *timer)
{
	struct sweeper *u = timer->data;
	const struct worker *w = u->w;
	if (u->saying)
		return;
	json_t *o = json_pack("{s:s, s:s, s:i, s:I, s:I, s:o}", "host", w->daemon->host, "client",
			      w->config->identity.client, "pid", (int)getpid(), "since",
			      (json_int_t)u->since, "slots", (json_int_t)w->config->worker.slots,
			      "jobs", jobs_json(w));
	const struct nv_err *held = nv_hold_why(w->hold);
	if (o && held)
		json_object_set_new(o, "held",
				    json_pack("{s:s, s:s, s:I}", "reason",
					      nv_reason_word(held->reason), "message", held->msg,
					      "since", (json_int_t)nv_hold_since(w->hold)));
	nv_auto_free char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
	json_decref(o);
	if (!text)
		return;
	u->saying++;
	nv_status_present(w->status, u->name, text, PRESENT_TTL_MS, said, u);
}

/* --- sweeping --- */

static int sweep_work(struct nv_job *job, void *arg, struct nv_err *err)
{
	struct sweeper *u = arg;
	const struct nv_config *c = u->w->config;
	(void)job;
	if (nv_workdir_sweep(c->worker.work_dir, c->store.grace, err) < 0)
		return -1;
	return nv_site_sweep(u->w->site, err);
}

static void timer_closed(uv_handle_t *handle)
{
	struct sweeper *u = handle->data;
	struct worker *w = u->w;
	if (--u->handles)
		return;
	w->busy--;
	free(u);
	w->on_idle_cb(w);
}

static void maybe_close(struct sweeper *u)
{
	if (u->sweeping || u->saying || uv_is_closing((uv_handle_t *)&u->timer))
		return;
	uv_close((uv_handle_t *)&u->timer, timer_closed);
	uv_close((uv_handle_t *)&u->heartbeat, timer_closed);
}

static void sweep_ended(void *arg, const struct nv_err *err)
{
	struct sweeper *u = arg;
	u->sweeping = false;
	if (err)
		NV_LOG(NV_WARN, "sweep.failed", NV_E(err));
	if (u->stopped)
		maybe_close(u);
}

static void sweep_tick(uv_timer_t *timer)
{
	struct sweeper *u = timer->data;
	if (u->sweeping)
		return;
	u->sweeping = true;
	struct nv_run run = {.work = sweep_work, .on_done_cb = sweep_ended, .arg = u};
	nv_run_start(u->w->daemon->loop, &run);
}

struct sweeper *nv_sweeper_start(struct worker *w)
{
	struct sweeper *u = nv_alloc(sizeof *u);
	u->w = w;
	w->busy++;
	uv_timer_init(w->daemon->loop, &u->timer);
	u->timer.data = u;
	u->since = nv_now_ms();
	u->handles = 2;
	snprintf(u->name, sizeof u->name, "worker:%s:%d", w->daemon->host, (int)getpid());
	uv_timer_init(w->daemon->loop, &u->heartbeat);
	u->heartbeat.data = u;
	uv_timer_start(&u->heartbeat, say, 0, PRESENT_EVERY_MS);
	uint64_t grace = w->config->store.grace;
	uint64_t every = grace < SWEEP_EVERY_MS ? grace : SWEEP_EVERY_MS;
	uv_timer_start(&u->timer, sweep_tick, 0, every ? every : 1000);
	return u;
}

void nv_sweeper_stop(struct sweeper *u)
{
	u->stopped = true;
	uv_timer_stop(&u->timer);
	uv_timer_stop(&u->heartbeat);
	u->saying++;
	nv_status_absent(u->w->status, u->name, said, u);
}
