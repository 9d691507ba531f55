/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A job: blocking work on a thread of its own, seen from inside.
 *
 * Whoever does long work gets a struct nv_job, asks nv_job_check often (every block of data), and
 * tells its progress, and what an administrator may want to know.  The owner (core/daemon/runner.h)
 * may cancel it from another thread and moves the lease's end forward while it holds the claim. The
 * clock goes on while a process is stopped: a job that wakes up after its lease ended notices at
 * its next check. */
#ifndef NV_JOB_H
#define NV_JOB_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/err.h"
#include "base/log.h"

struct nv_job {
	atomic_bool cancelled;	      /* somebody withdrew the request */
	atomic_bool stopping;	      /* the daemon shuts down: hand back (NV_HOLD/busy) */
	_Atomic uint64_t lease_until; /* nv_mono_ms; 0: no lease needed */
	uint64_t deadline;	      /* nv_mono_ms; 0: none */
	/* Called on the job's thread; cheap enough to be called for every block. */
	void (*progress_cb)(void *arg, const char *step, uint64_t done, uint64_t total);
	/* A line for the request's log, on the job's thread; text is borrowed for the call. */
	void (*log_cb)(void *arg, enum nv_level level, const char *text);
	void *arg;
};

/* 0, or -1 with NV_CANCELLED/cancelled, NV_HOLD/busy (stopping), NV_RETRY/claim_lost (lease ended)
 * or NV_RETRY/timeout (deadline).  job NULL: always 0. */
int nv_job_check(const struct nv_job *job, struct nv_err *err);
/* step: "export", "upload", "fetch", "import"; total 0: not known yet. */
void nv_job_progress(const struct nv_job *job, const char *step, uint64_t done, uint64_t total);
/* A line for the request's log: what administrators get to read, so no secrets.  Cut at 1000 bytes;
 * job NULL: nothing happens. */
void nv_job_log(const struct nv_job *job, enum nv_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
