/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What people have withdrawn: cancelled requests, and revisions that a change has replaced.
 *
 * Course servers hear of a withdrawal by a message, but one that hears it late has exported
 * already, and the archive's message then lies in the workers' queue.  Workers ask Redis; when
 * Redis was emptied, it does not know any more that somebody has changed their mind.  So each
 * producer keeps its newest withdrawals in a file as well, and repeats them whenever its connection
 * to Redis comes back, or an event says that Redis was emptied (nv_status_withdrawn). */
#include <stdlib.h>

#include "base/log.h"
#include "core/daemon/seen_log.h"
#include "core/status/requests.h"
#include "producer/requests/spool.h"
#include "producer/requests/withdrawals.h"

#define KEPT 10000u /* the newest */

struct withdrawals {
	struct app *app;
	struct nv_seen_log *log; /* request id → revision * 2, + 1 if cancelled; NULL: no folder */
};

/* A disk that is full is no reason not to serve. */
struct withdrawals *nv_withdrawals_new(struct app *app)
{
	struct withdrawals *w = nv_alloc(sizeof *w);
	nv_auto_free char *path = nv_spool_beside(app, ".withdrawn");
	struct nv_err err = {0};
	w->app = app;
	w->log = path ? nv_seen_log_open(path, KEPT, &err) : NULL;
	if (path && !w->log)
		NV_LOG(NV_WARN, "withdrawals.unkept", NV_E(&err));
	return w;
}

void nv_withdrawals_free(struct withdrawals *w)
{
	if (!w)
		return;
	nv_seen_log_close(w->log);
	free(w);
}

void nv_withdrawals_keep(struct withdrawals *w, const char *id, uint64_t rev, bool cancelled)
{
	if (w->log)
		nv_seen_log_put(w->log, id, 2 * rev + cancelled);
}

/* --- to Redis --- */

struct batch {
	struct withdrawals *w;
	struct nv_withdrawal list[NV_WITHDRAWALS_MAX];
	size_t len;
};

/* The next connection is told again. */
static void repeated(void *arg, const struct nv_err *err)
{
	(void)arg;
	if (err)
		NV_LOG(NV_WARN, "withdrawals.unsaid", NV_E(err));
}

static void send_batch(struct batch *b)
{
	if (b->len)
		nv_status_withdrawn(b->w->app->status, b->list, b->len, repeated, NULL);
	b->len = 0;
}

static void add(void *arg, const char *id, uint64_t value)
{
	struct batch *b = arg;
	if (!nv_uuid_valid(id))
		return; /* the file was damaged */
	struct nv_withdrawal *one = &b->list[b->len++];
	snprintf(one->id, sizeof one->id, "%s", id);
	one->rev = value / 2;
	one->cancelled = value % 2;
	if (b->len == NV_WITHDRAWALS_MAX)
		send_batch(b);
}

void nv_withdrawals_repeat(struct withdrawals *w)
{
	if (!w->log)
		return;
	struct batch *b = nv_alloc(sizeof *b);
	b->w = w;
	nv_seen_log_each(w->log, add, b);
	send_batch(b);
	free(b);
}
