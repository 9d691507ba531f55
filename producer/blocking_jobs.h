/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is asked of the broker, the store and Moodle on a thread. */
#ifndef NV_PRODUCER_BLOCKING_JOBS_H
#define NV_PRODUCER_BLOCKING_JOBS_H

#include "base/job.h"
#include "producer/app.h"

enum back_lane { BACK_BROKER, BACK_DEAD, BACK_ARCHIVE, BACK_RIGHTS, BACK_LANES };
struct back_job {
	/* On a thread: touches neither the loop nor anything of app but what never changes. */
	int (*work)(struct app *app, struct nv_job *job, void *arg, struct nv_err *err);
	void (*done)(void *arg, const struct nv_err *err); /* on the loop, once */
	void *arg;
};
struct back *back_new(struct app *app);
void back_run(struct app *app, enum back_lane lane, const struct back_job *job);
/* After the HTTP server: who waits is turned away, who works is told to stop and waited for. */
void back_close(struct back *b, void (*cb)(struct app *app));

#endif
