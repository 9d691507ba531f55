/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A job: blocking work on a thread of its own, as the code that does the work sees it.
 *
 * Long work gets a struct nv_job, calls nv_job_check often (for every block of data), and reports
 * progress and log lines for administrators.  The owner (core/daemon/runner.h) may cancel it from
 * another thread, and extends the lease while it holds the claim. The clock also runs while the
 * process is stopped: a job that resumes after its lease has ended notices at its next check. */
#ifndef NV_JOB_H
#define NV_JOB_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/err.h"
#include "base/log.h"

struct nv_job {
	atomic_bool cancelled;	      /* the request was withdrawn */
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
/* A line for the request's log, which administrators read: no secrets. Cut at 1000 bytes; job NULL:
 * no effect. */
void nv_job_log(const struct nv_job *job, enum nv_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
