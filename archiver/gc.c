/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Garbage collection in the store: at start and periodically, on a thread, one client after the
 * other. */
#include "archiver/archiver.h"
#include "base/log.h"
#include "core/daemon/workdir.h"

#define COLLECT_EVERY_MS 3600000u

struct gc {
	struct archiver *a;
	uv_timer_t timer;
	struct nv_running *running;
	uint64_t bytes; /* of the run that is under way */
	bool stopped;
};

static int collect_of(const struct archiver *a, const char *client, const char *dir,
		      struct nv_job *job, uint64_t *bytes, struct nv_err *err)
{
	const struct nv_config *c = a->config;
	struct nv_collect what = nv_collect_configured(c);
	int rc = nv_archive_collect(a->store, c->identity.site, client, dir, &what, job, err);
	*bytes += what.bytes;
	if (what.archives || what.blobs)
		NV_LOG(NV_INFO, "store.collected", NV_S("client", client),
		       NV_U("archives", what.archives), NV_U("blobs", what.blobs),
		       NV_U("bytes", what.bytes));
	if (rc < 0)
		nv_err_prefix(err, "garbage collection for client %s", client);
	return rc;
}

static int collect_work(struct nv_job *job, void *arg, struct nv_err *err)
{
	struct gc *u = arg;
	const struct nv_config *c = u->a->config;
	struct nv_workdir dir;
	char name[NV_UUID_SIZE];
	int rc = 0;
	nv_uuid_new(name);
	if (nv_workdir_open(c->archiver.work_dir, name, &dir, err) < 0)
		return -1;
	for (size_t i = 0; i < c->clients_len && rc == 0; i++)
		rc = collect_of(u->a, c->clients[i].name, dir.path, job, &u->bytes, err);
	nv_workdir_close(&dir, true);
	return rc;
}

static void timer_closed(uv_handle_t *handle)
{
	struct gc *u = handle->data;
	struct archiver *a = u->a;
	a->gc = NULL;
	free(u);
	a->on_idle_cb(a);
}

/* The store is unavailable: left to the next run. */
static void collect_ended(void *arg, const struct nv_err *err)
{
	struct gc *u = arg;
	u->running = NULL;
	nv_metric_add(u->a->metrics.bytes, "collected", (double)u->bytes);
	if (err && !u->stopped)
		NV_LOG(NV_WARN, "collect.failed", NV_E(err));
	if (u->stopped)
		uv_close((uv_handle_t *)&u->timer, timer_closed);
}

static void tick(uv_timer_t *timer)
{
	struct gc *u = timer->data;
	if (u->running)
		return;
	u->bytes = 0;
	struct nv_run run = {.work = collect_work, .on_done_cb = collect_ended, .arg = u};
	u->running = nv_run_start(u->a->daemon->loop, &run);
}

struct gc *nv_gc_start(struct archiver *a)
{
	struct gc *u = nv_alloc(sizeof *u);
	uint64_t grace = a->config->store.grace;
	u->a = a;
	uv_timer_init(a->daemon->loop, &u->timer);
	u->timer.data = u;
	uv_timer_start(&u->timer, tick, 0, grace < COLLECT_EVERY_MS ? grace : COLLECT_EVERY_MS);
	return u;
}

void nv_gc_stop(struct gc *u)
{
	u->stopped = true;
	uv_timer_stop(&u->timer);
	if (u->running)
		nv_run_stop(u->running);
	else
		uv_close((uv_handle_t *)&u->timer, timer_closed);
}
