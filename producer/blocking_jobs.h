/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Blocking calls to the broker, the store and Moodle, on threads. */
#ifndef NV_PRODUCER_BLOCKING_JOBS_H
#define NV_PRODUCER_BLOCKING_JOBS_H

#include "base/job.h"
#include "producer/app.h"

enum blocking_lane {
	BLOCKING_BROKER,
	BLOCKING_DEAD,
	BLOCKING_ARCHIVE,
	BLOCKING_RIGHTS,
	BLOCKING_LANES
};
struct blocking_job {
	/* On a thread: must not use the loop, nor anything of app that changes. */
	int (*work)(struct app *app, struct nv_job *job, void *arg, struct nv_err *err);
	void (*done)(void *arg, const struct nv_err *err); /* on the loop, once */
	void *arg;
};
struct blocking_jobs *nv_blocking_jobs_new(struct app *app);
void nv_blocking_jobs_run(struct app *app, enum blocking_lane lane, const struct blocking_job *job);
/* Called after the HTTP server has closed: waiting jobs are refused, running ones are cancelled and
 * awaited. */
void nv_blocking_jobs_close(struct blocking_jobs *b, void (*cb)(struct app *app));

#endif
