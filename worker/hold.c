/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What stands in the way of every restore, and passes by itself: the site is being upgraded or
 * away, a disk is full, the store is away. */
#include "core/base/fs.h"
#include "worker/worker.h"

static int look(struct nv_job *job, void *arg, struct nv_err *err)
{
	const struct worker *w = arg;
	const struct nv_config *c = w->config;
	if (nv_disk_look(c->worker.work_dir, err) < 0 || nv_site_probe(w->site, job, err) < 0)
		return -1;
	if (!c->sites_len)
		return 0;
	nv_auto_free char *prefix = nv_asprintf("%s/%s/", c->sites[0].name, c->identity.client);
	return nv_store_probe(w->store, prefix, false, err);
}

static void changed(void *arg)
{
	struct worker *w = arg;
	nv_intake_pause(w->intake, nv_hold_why(w->hold) != NULL);
}

static void closed(void *arg)
{
	struct worker *w = arg;
	w->busy--;
	nv_worker_maybe_stopped(w);
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
