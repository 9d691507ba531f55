/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What stands in the way of every restore, and passes by itself: the site is being upgraded or
 * away, a disk is full, the store is away; and the requests that met it, whose records hear when it
 * has passed. */
#include <stdio.h>
#include <stdlib.h>

#include "base/fs.h"
#include "base/log.h"
#include "core/daemon/workdir.h"
#include "core/status/claims.h"
#include "worker/worker.h"

/* What fills the disk may be what was prefetched or kept for a next try, whose messages rest in
 * the queue while nothing is taken: it is a cache, and goes.  The next look finds the room; who
 * failed for want of it is held by this one. */
static int look_at_disk(const char *work_dir, struct nv_err *err)
{
	struct nv_err unswept = {0};
	if (nv_disk_look(work_dir, err) == 0)
		return 0;
	if (nv_workdir_sweep(work_dir, 0, &unswept) < 0)
		NV_LOG(NV_WARN, "workdir.unswept", NV_E(&unswept));
	return -1;
}

static int look(struct nv_job *job, void *arg, struct nv_err *err)
{
	const struct worker *w = arg;
	const struct nv_config *c = w->config;
	if (look_at_disk(c->worker.work_dir, err) < 0 || nv_site_probe(w->site, job, err) < 0)
		return -1;
	if (!c->sites_len)
		return 0;
	nv_auto_free char *prefix = nv_asprintf("%s/%s/", c->sites[0].name, c->identity.client);
	return nv_store_probe(w->store, prefix, false, err);
}

struct held {
	struct held *next;
	char id[NV_UUID_SIZE];
};

/* One that gets lost is made good by the restore. */
static void said_passed(void *arg, const struct nv_err *err)
{
	struct worker *w = arg;
	(void)err;
	w->busy--;
	w->on_idle_cb(w);
}

static void forget_all(struct worker *w, bool passed)
{
	struct held *next;
	for (struct held *h = w->held; h; h = next) {
		next = h->next;
		if (passed) {
			w->busy++;
			nv_status_passed(w->status, h->id, said_passed, w);
		}
		free(h);
	}
	w->held = NULL;
}

void nv_worker_held(struct worker *w, const char *id, const struct nv_err *err)
{
	nv_hold_begin(w->hold, err);
	if (err->kind != NV_HOLD || !nv_reason_passes(err->reason) || !nv_hold_why(w->hold))
		return;
	struct held *h = nv_alloc(sizeof *h);
	snprintf(h->id, sizeof h->id, "%s", id);
	h->next = w->held;
	w->held = h;
}

static void changed(void *arg)
{
	struct worker *w = arg;
	bool held = nv_hold_why(w->hold) != NULL;
	if (!held)
		forget_all(w, true);
	nv_lanes_pause(w->lanes, held);
}

static void closed(void *arg)
{
	struct worker *w = arg;
	forget_all(w, false);
	w->busy--;
	w->on_idle_cb(w);
}

struct nv_hold *nv_worker_hold_new(struct worker *w)
{
	struct nv_hold_options o = {.loop = w->daemon->loop,
				    .look = look,
				    .changed_cb = changed,
				    .closed_cb = closed,
				    .arg = w};
	w->busy++;
	return nv_hold_new(&o);
}
