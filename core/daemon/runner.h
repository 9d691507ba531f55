/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Jobs on threads, as the loop sees them: start, progress, end. The job itself uses struct nv_job.
 * */
#ifndef NV_DAEMON_RUNNER_H
#define NV_DAEMON_RUNNER_H

#include <uv.h>

#include "base/job.h"
#include "proto/messages.h"

struct nv_running;

struct nv_run {
	/* On the job's own thread; returns 0 or -1 with *err. */
	int (*work)(struct nv_job *job, void *arg, struct nv_err *err);
	/* On the loop, the latest progress, every 250 ms at most and never earlier than that; may
	 * be NULL. */
	void (*on_progress_cb)(void *arg, const char *step, uint64_t done, uint64_t total);
	/* On the loop, each line for the request's log, at the latest before on_done_cb; may be
	 * NULL. */
	void (*on_log_cb)(void *arg, const struct nv_log_line *line);
	/* On the loop, once, after the thread ended; err NULL on success.  Frees the handle. */
	void (*on_done_cb)(void *arg, const struct nv_err *err);
	void *arg;
	/* The step reported for a job without progress at the first check; NULL: none.
	 * */
	const char *first_step;
	uint64_t timeout_ms; /* 0: none */
	uint64_t lease_ms;   /* the first lease, extended by nv_run_lease; 0: none */
};
struct nv_running *nv_run_start(uv_loop_t *loop, const struct nv_run *run);
void nv_run_cancel(struct nv_running *r); /* the request was withdrawn */
void nv_run_stop(struct nv_running *r);	  /* the daemon stops: hand the job back */
/* The lease now ends lease_ms after `from_mono_ms` (when the renewal was sent, not when it came
 * back). */
void nv_run_lease(struct nv_running *r, uint64_t from_mono_ms, uint64_t lease_ms);
/* The lease is lost: the job may write nothing more. */
void nv_run_lease_lost(struct nv_running *r);

#endif
