/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Erasure on request, in the store: deletes the archives of erased requests. Redis keeps the list;
 * any number of workers may process it. */
#include <string.h>

#include "base/log.h"
#include "core/daemon/runner.h"
#include "core/status/admin.h"
#include "core/status/status.h"
#include "worker/worker.h"

#define LOOK_EVERY_MS 60000u
#define AT_ONCE 100u

struct erase {
	struct worker *w;
	uv_timer_t timer;
	struct nv_arena arena;
	const char **archives; /* "<site>/<id>" */
	size_t len;
	bool busy, stopped;
};

static void look(struct erase *u, const char *const *done, size_t len);

static void timer_closed(uv_handle_t *handle)
{
	struct erase *u = handle->data;
	struct worker *w = u->w;
	nv_arena_fini(&u->arena);
	free(u);
	w->busy--;
	w->on_idle_cb(w);
}

static void idle(struct erase *u)
{
	u->busy = false;
	if (u->stopped)
		uv_close((uv_handle_t *)&u->timer, timer_closed);
}

/* Only we write the list; invalid names are skipped anyway. */
static int remove_one(const struct worker *w, const char *archive, const struct nv_job *job,
		      struct nv_err *err)
{
	const char *id = strchr(archive, '/');
	nv_auto_free char *site = nv_strndup(archive, id ? (size_t)(id - archive) : 0);
	if (!id || !nv_name_valid(site) || !nv_uuid_valid(id + 1))
		return 0;
	struct nv_archive_place place = {site, w->config->identity.client, id + 1, NULL};
	return nv_archive_delete_all(w->store, &place, job, err);
}

static int remove_all(struct nv_job *job, void *arg, struct nv_err *err)
{
	struct erase *u = arg;
	for (size_t i = 0; i < u->len; i++)
		if (remove_one(u->w, u->archives[i], job, err) < 0)
			return -1;
	return 0;
}

static void removed(void *arg, const struct nv_err *err)
{
	struct erase *u = arg;
	if (err) {
		NV_LOG(NV_WARN, "unstore.unfinished", NV_E(err)); /* the next look does it */
		idle(u);
		return;
	}
	NV_LOG(NV_INFO, "unstore.removed", NV_U("requests", u->len));
	look(u, u->archives, u->len);
}

static void looked(void *arg, const struct nv_err *err, const char *const *archives, size_t len)
{
	struct erase *u = arg;
	if (err || !len || u->stopped) {
		idle(u);
		return;
	}
	nv_arena_fini(&u->arena);
	u->arena = (struct nv_arena){0};
	u->archives = nv_arena_alloc(&u->arena, len * sizeof *u->archives);
	u->len = len;
	for (size_t i = 0; i < len; i++)
		u->archives[i] = nv_arena_strdup(&u->arena, archives[i]);
	struct nv_run run = {.work = remove_all, .on_done_cb = removed, .arg = u};
	nv_run_start(u->w->daemon->loop, &run);
}

static void look(struct erase *u, const char *const *done, size_t len)
{
	nv_status_unstore(u->w->status, done, len, AT_ONCE, looked, u);
}

static void tick(uv_timer_t *timer)
{
	struct erase *u = timer->data;
	if (u->busy || !nv_status_up(u->w->status))
		return;
	u->busy = true;
	look(u, NULL, 0);
}

struct erase *nv_erase_start(struct worker *w)
{
	struct erase *u = nv_alloc(sizeof *u);
	u->w = w;
	w->busy++;
	uv_timer_init(w->daemon->loop, &u->timer);
	u->timer.data = u;
	uv_timer_start(&u->timer, tick, 1000, LOOK_EVERY_MS);
	return u;
}

void nv_erase_stop(struct erase *u)
{
	u->stopped = true;
	uv_timer_stop(&u->timer);
	if (!u->busy)
		idle(u);
}
