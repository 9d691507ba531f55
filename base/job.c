/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/job.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/id.h"
#include "base/text.h"

#define LINE_BYTES 1000u

int nv_job_check(const struct nv_job *job, struct nv_err *err)
{
	if (!job)
		return 0;
	if (atomic_load(&job->cancelled))
		return nv_fail(err, NV_CANCELLED, NV_R_cancelled, "the request was cancelled");
	if (atomic_load(&job->stopping))
		return nv_fail(err, NV_HOLD, NV_R_busy, "the daemon is stopping");
	uint64_t now = nv_mono_ms();
	uint64_t lease = atomic_load(&job->lease_until);
	if (lease && now >= lease)
		return nv_fail(err, NV_RETRY, NV_R_claim_lost, "the claim ran out %llu ms ago",
			       (unsigned long long)(now - lease));
	if (job->deadline && now >= job->deadline)
		return nv_fail(err, NV_RETRY, NV_R_timeout, "the job exceeded its time limit");
	return 0;
}

void nv_job_progress(const struct nv_job *job, const char *step, uint64_t done, uint64_t total)
{
	if (job && job->progress_cb)
		job->progress_cb(job->arg, step, done, total);
}

void nv_job_log(const struct nv_job *job, enum nv_level level, const char *fmt, ...)
{
	char text[LINE_BYTES + 1];
	va_list ap;
	if (!job || !job->log_cb)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	nv_text_clean(text, LINE_BYTES);
	job->log_cb(job->arg, level, text);
}
