/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Calls that would block the loop, one after another on a thread: one lane for the management
 * interface, one for dead letters (reading a dead queue holds its messages, so only one may at a
 * time), one for downloads (to limit the load on disk and processor) and one for confirming rights
 * with Moodle. */
#include "producer/blocking_jobs.h"

#include <curl/curl.h>

#include "core/daemon/runner.h"

#define WAITING_MAX 64u

struct waiting {
	struct waiting *next;
	struct blocking_jobs *blocking_jobs;
	enum blocking_lane lane;
	struct blocking_job job;
	struct nv_running *handle; /* while it runs */
};

struct blocking_jobs {
	struct app *app;
	struct {
		struct waiting *running, *first, *last;
		unsigned len;
	} lanes[BLOCKING_LANES];
	void (*on_closed_cb)(struct app *app); /* closing */
};

static void next_job(struct blocking_jobs *b, enum blocking_lane lane);

struct blocking_jobs *nv_blocking_jobs_new(struct app *app)
{
	struct blocking_jobs *b = nv_alloc(sizeof *b);
	curl_global_init(CURL_GLOBAL_DEFAULT); /* before there are threads */
	b->app = app;
	return b;
}

static void end_when_idle(struct blocking_jobs *b)
{
	struct app *app = b->app;
	void (*cb)(struct app *) = b->on_closed_cb;
	if (!cb)
		return;
	for (int i = 0; i < BLOCKING_LANES; i++)
		if (b->lanes[i].running)
			return;
	free(b);
	cb(app);
}

static int work(struct nv_job *job, void *arg, struct nv_err *err)
{
	struct waiting *w = arg;
	return w->job.work(w->blocking_jobs->app, job, w->job.arg, err);
}

static void ended(void *arg, const struct nv_err *err)
{
	struct waiting *w = arg;
	struct blocking_jobs *b = w->blocking_jobs;
	enum blocking_lane lane = w->lane;
	b->lanes[lane].running = NULL;
	w->job.done(w->job.arg, err);
	free(w);
	next_job(b, lane);
	end_when_idle(b);
}

static void next_job(struct blocking_jobs *b, enum blocking_lane lane)
{
	struct waiting *w = b->lanes[lane].first;
	if (!w || b->lanes[lane].running)
		return;
	b->lanes[lane].first = w->next;
	if (!w->next)
		b->lanes[lane].last = NULL;
	b->lanes[lane].len--;
	b->lanes[lane].running = w;
	struct nv_run run = {.work = work, .on_done_cb = ended, .arg = w};
	w->handle = nv_run_start(b->app->d->loop, &run);
}

static void turn_away(const struct blocking_job *job)
{
	struct nv_err err;
	nv_fail(&err, NV_RETRY, NV_R_busy, "too many requests of this kind just now");
	job->done(job->arg, &err);
}

void nv_blocking_jobs_run(struct app *app, enum blocking_lane lane, const struct blocking_job *job)
{
	struct blocking_jobs *b = app->blocking_jobs;
	/* Redis may answer late whoever asked it first: then all this is closing, or gone. */
	if (!b || b->on_closed_cb || b->lanes[lane].len >= WAITING_MAX) {
		turn_away(job);
		return;
	}
	struct waiting *w = nv_alloc(sizeof *w);
	*w = (struct waiting){.blocking_jobs = b, .lane = lane, .job = *job};
	if (b->lanes[lane].last)
		b->lanes[lane].last->next = w;
	else
		b->lanes[lane].first = w;
	b->lanes[lane].last = w;
	b->lanes[lane].len++;
	next_job(b, lane);
}

void nv_blocking_jobs_close(struct blocking_jobs *b, void (*cb)(struct app *app))
{
	b->on_closed_cb = cb;
	for (int i = 0; i < BLOCKING_LANES; i++) {
		struct waiting *w;
		while ((w = b->lanes[i].first)) {
			b->lanes[i].first = w->next;
			turn_away(&w->job);
			free(w);
		}
		if (b->lanes[i].running)
			nv_run_stop(b->lanes[i].running->handle);
	}
	end_when_idle(b);
}
