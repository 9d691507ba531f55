/* SPDX-License-Identifier: GPL-3.0-or-later */
/* While a restore's job runs: the lease is renewed, and progress and log go to Redis.  Answers may
 * come after the restore has ended, so only its run travels with a question. */
#include <string.h>

#include "core/status/claims.h"
#include "core/status/log.h"
#include "worker/restore/restore.h"

struct question {
	struct worker *w;
	char run[NV_UUID_SIZE];
	uint64_t sent;	/* nv_mono_ms */
	uint64_t lines; /* of the log, up to this one */
};

static struct question *question_new(const struct restore *r)
{
	struct question *q = nv_alloc(sizeof *q);
	q->w = r->w;
	q->sent = nv_mono_ms();
	q->lines = nv_request_log_next(&r->lines);
	memcpy(q->run, r->run, sizeof q->run);
	return q;
}

/* NULL: it has ended. */
static struct restore *restore_of(const struct question *q)
{
	for (struct restore *r = q->w->restores; r; r = r->next)
		if (strcmp(r->run, q->run) == 0)
			return r;
	return NULL;
}

static void renewed(void *arg, const struct nv_err *err, enum nv_renew_result result);

void nv_restore_renew(struct restore *r)
{
	if (!r->logging)
		nv_restore_write_log(r);
	if (r->renewing)
		return;
	struct nv_status_progress p = {.step = *r->progress_step ? r->progress_step : NULL,
				       .done = r->done,
				       .total = r->total,
				       .import_ms = nv_restore_importing(&r->job)};
	r->renewing = true;
	nv_status_renew(r->w->status, nv_restore_request(r)->id, r->token,
			r->w->config->restore.lease, &p, renewed, question_new(r));
}

static void renewed(void *arg, const struct nv_err *err, enum nv_renew_result result)
{
	struct question *q = arg;
	struct restore *r = restore_of(q);
	if (r)
		r->renewing = false;
	/* Redis away: the lease ends by itself if it stays away */
	if (r && r->state == RESTORE_RUNNING && !err) {
		if (result == NV_RENEW_LOST)
			nv_run_lease_lost(r->running);
		else
			nv_run_lease(r->running, q->sent, r->w->config->restore.lease);
		if (result == NV_RENEW_CANCELLING)
			nv_run_cancel(r->running);
	}
	free(q);
}

static void log_written(void *arg, const struct nv_err *err)
{
	struct question *q = arg;
	struct restore *r = restore_of(q);
	if (r)
		r->logging = false;
	if (r && !err)
		nv_request_log_sent(&r->lines, q->lines);
	free(q);
}

void nv_restore_write_log(struct restore *r)
{
	struct worker *w = r->w;
	char from[sizeof w->daemon->host + 8];
	if (!r->lines.len)
		return;
	snprintf(from, sizeof from, "worker %s", w->daemon->host);
	r->logging = true;
	nv_status_log(w->status, nv_restore_request(r)->id, r->run, from, r->lines.first,
		      r->lines.items, r->lines.len, log_written, question_new(r));
}
