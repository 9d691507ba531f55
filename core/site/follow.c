/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Asking the site for its settings, now and then. */
#include "core/site/follow.h"

#include <string.h>

#include "base/log.h"

#define PATIENCE_MS 20000u /* a start waits no longer */

struct nv_follow {
	struct nv_config *config;
	struct nv_config copy; /* for the thread: the other changes on the loop */
	uv_timer_t timer;
	uv_work_t work;
	bool working;
	bool closing;
	bool failed; /* last time; said once */
	/* what the thread found */
	int rc;
	struct nv_err err;
	struct nv_config_restore got;
	struct nv_arena arena;
};

static int ask(const struct nv_config *c, struct nv_config_restore *io, struct nv_arena *arena,
	       struct nv_err *err)
{
	struct nv_config impatient = *c;
	if (!impatient.site.timeout || impatient.site.timeout > PATIENCE_MS)
		impatient.site.timeout = PATIENCE_MS;
	struct nv_site *site = nv_site_open(&impatient, err);
	int rc = site ? nv_site_settings(site, io, arena, err) : -1;
	nv_site_close(site);
	return rc;
}

static void take_over(struct nv_config *c, const struct nv_config_restore *got)
{
	if (nv_config_adopt(c, got))
		NV_LOG(NV_INFO, "settings.taken", NV_S("from", c->site.path));
}

int nv_follow_once(struct nv_config *c, struct nv_err *err)
{
	nv_auto_arena struct nv_arena arena = {0};
	struct nv_config_restore got = c->restore;
	if (!c->site.path)
		return 0;
	if (ask(c, &got, &arena, err) < 0)
		return -1;
	take_over(c, &got);
	return 0;
}

/* --- again and again --- */

static void ask_work(uv_work_t *work)
{
	struct nv_follow *f = work->data;
	f->rc = ask(&f->copy, &f->got, &f->arena, &f->err);
}

static void closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void asked(uv_work_t *work, int status)
{
	struct nv_follow *f = work->data;
	(void)status;
	f->working = false;
	if (f->closing) {
		uv_close((uv_handle_t *)&f->timer, closed);
	} else if (f->rc == 0) {
		take_over(f->config, &f->got);
	} else if (!f->failed) {
		NV_LOG(NV_WARN, "settings.unknown", NV_E(&f->err),
		       NV_S("meanwhile", "as last known"));
	}
	f->failed = f->rc < 0;
	nv_arena_fini(&f->arena);
}

static void tick(uv_timer_t *timer)
{
	struct nv_follow *f = timer->data;
	if (f->working)
		return;
	f->working = true;
	f->work.data = f;
	f->copy = *f->config;
	f->got = f->config->restore;
	uv_queue_work(timer->loop, &f->work, ask_work, asked);
}

struct nv_follow *nv_follow_start(uv_loop_t *loop, struct nv_config *c)
{
	if (!c->site.path || c->site.type != NV_SITE_MOODLE)
		return NULL;
	struct nv_follow *f = nv_alloc(sizeof *f);
	f->config = c;
	uv_timer_init(loop, &f->timer);
	f->timer.data = f;
	uv_timer_start(&f->timer, tick, NV_FOLLOW_MS, NV_FOLLOW_MS);
	return f;
}

void nv_follow_stop(struct nv_follow *f)
{
	if (!f)
		return;
	f->closing = true;
	uv_timer_stop(&f->timer);
	if (!f->working)
		uv_close((uv_handle_t *)&f->timer, closed);
}
