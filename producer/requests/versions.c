/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Version, plugins and settings of the local Moodle, if this host's configuration names one:
 * version and plugins travel with each request, so that a course server can refuse it before any
 * transfer; the settings apply to restores (core/site/follow.h).  Polled on threads, since Moodle
 * may be upgraded or reconfigured. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "core/site/follow.h"
#include "producer/app.h"
#include "producer/requests/versions.h"

#define EVERY_MS 600000u

struct versions {
	struct app *app;
	struct nv_follow *follow;
	uv_timer_t timer;
	uv_work_t work;
	bool working;
	bool closing;
	uint64_t version;
	struct nv_list plugins;
	struct nv_arena arena;
	struct nv_arena before; /* of the answer before: requests under way still point there */
	/* what the thread found */
	int rc;
	struct nv_err err;
	uint64_t new_version;
	struct nv_list new_plugins;
	struct nv_arena new_arena;
};

static void ask(uv_work_t *work)
{
	struct versions *v = work->data;
	struct nv_site *site = nv_site_open(v->app->config, &v->err);
	v->rc = site ? nv_site_versions(site, &v->new_version, &v->new_plugins, &v->new_arena,
					&v->err)
		     : -1;
	nv_site_close(site);
}

static void timer_closed(uv_handle_t *handle)
{
	struct versions *v = handle->data;
	nv_arena_fini(&v->arena);
	nv_arena_fini(&v->before);
	free(v);
}

static int by_name(const void *a, const void *b)
{
	const struct nv_plugin *x = a, *y = b;
	return strcmp(x->name, y->name);
}

static void asked(uv_work_t *work, int status)
{
	struct versions *v = work->data;
	(void)status;
	v->working = false;
	if (v->rc < 0) {
		NV_LOG(NV_WARN, "versions.unknown", NV_E(&v->err));
		nv_arena_fini(&v->new_arena);
	} else {
		nv_arena_fini(&v->before);
		v->before = v->arena;
		v->arena = v->new_arena;
		v->version = v->new_version;
		v->plugins = v->new_plugins;
		if (v->plugins.len)
			qsort(v->plugins.items, v->plugins.len, sizeof(struct nv_plugin), by_name);
	}
	memset(&v->new_arena, 0, sizeof v->new_arena);
	if (v->closing)
		uv_close((uv_handle_t *)&v->timer, timer_closed);
}

static void tick(uv_timer_t *timer)
{
	struct versions *v = timer->data;
	if (v->working)
		return;
	v->working = true;
	v->work.data = v;
	uv_queue_work(v->app->d->loop, &v->work, ask, asked);
}

/* A Moodle that can never be asked is a mistake in the file, as it is to the worker: the two would
 * go by different settings.  One that does not answer now will later. */
int nv_versions_first(struct app *app, struct nv_err *err)
{
	if (nv_follow_once(app->d->config, err) == 0)
		return 0;
	if (err->kind != NV_FATAL) {
		NV_LOG(NV_WARN, "settings.unknown", NV_E(err),
		       NV_S("meanwhile", "the configuration and its defaults"));
		return 0;
	}
	return nv_fail(err, NV_FATAL, NV_R_config,
		       "%s; the producer asks the Moodle that the section site names for its "
		       "versions and settings: run it as that Moodle's user, or leave the section "
		       "out of a file of its own",
		       nv_arena_strdup(&app->d->config->arena, err->msg));
}

struct versions *nv_versions_new(struct app *app)
{
	if (!app->config->site.path)
		return NULL;
	struct versions *v = nv_alloc(sizeof *v);
	v->app = app;
	uv_timer_init(app->d->loop, &v->timer);
	v->timer.data = v;
	uv_timer_start(&v->timer, tick, 0, EVERY_MS);
	v->follow = nv_follow_start(app->d->loop, app->d->config);
	return v;
}

/* Borrowed: valid for at least EVERY_MS, and a request is answered long before. */
void nv_versions_fill(const struct app *app, struct nv_restore_request *q)
{
	if (!app->versions)
		return;
	q->moodle_version = app->versions->version;
	q->plugins = app->versions->plugins;
}

/* Of a list of courses each type of each course is looked for. */
static int against_module(const void *module, const void *plugin)
{
	static const char prefix[] = "mod_";
	const char *name = ((const struct nv_plugin *)plugin)->name;
	int order = strncmp(prefix, name, sizeof prefix - 1);
	return order ? order : strcmp(module, name + sizeof prefix - 1);
}

bool nv_versions_lacks(const struct app *app, const char *module)
{
	const struct versions *v = app->versions;
	if (!v || !v->plugins.len)
		return false;
	return !bsearch(module, v->plugins.items, v->plugins.len, sizeof(struct nv_plugin),
			against_module);
}

void nv_versions_close(struct versions *v)
{
	if (!v)
		return;
	v->closing = true;
	nv_follow_stop(v->follow);
	uv_timer_stop(&v->timer);
	if (!v->working)
		uv_close((uv_handle_t *)&v->timer, timer_closed);
}
