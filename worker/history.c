/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rebuilds finished records in Redis from the site's history.
 *
 * Every few seconds one of all workers checks whether this Redis has a history (one flag there); if
 * not, it reads the site's history on a thread and recalls each request.  Once a minute courses
 * that were deleted on the site are recalled as deleted, which allows another restore. */
#include <string.h>

#include "base/log.h"
#include "core/status/claims.h"
#include "core/status/status.h"
#include "worker/worker.h"

#define LOOK_EVERY_MS 5000u
#define AUDIT_EVERY_MS 60000u

/* One finished request, everything in the arena. */
struct entry {
	struct entry *next;
	struct nv_restore_request request;
	struct nv_imported outcome;
	bool deleted;
};

struct history {
	struct worker *w;
	uv_timer_t timer;
	bool looking, stopped;
	bool audit;	     /* only what was deleted */
	uint64_t next_audit; /* nv_mono_ms */
	struct nv_arena arena;
	struct entry *first;
	uint64_t count;
};

static void history_free(struct history *h)
{
	struct worker *w = h->w;
	nv_arena_fini(&h->arena);
	free(h);
	w->busy--;
	w->on_idle_cb(w);
}

static void timer_closed(uv_handle_t *handle)
{
	history_free(handle->data);
}

static void look_over(struct history *h)
{
	h->looking = false;
	h->first = NULL;
	nv_arena_fini(&h->arena);
	memset(&h->arena, 0, sizeof h->arena);
	if (h->stopped)
		uv_close((uv_handle_t *)&h->timer, timer_closed);
}

static void rebuilt(void *arg, const struct nv_err *err)
{
	struct history *h = arg;
	if (err)
		NV_LOG(NV_WARN, "history.unfinished", NV_E(err));
	else
		NV_LOG(NV_INFO, "history.rebuilt", NV_U("requests", h->count));
	look_over(h);
}

static void recall_next(struct history *h);

static void recalled(void *arg, const struct nv_err *err)
{
	struct history *h = arg;
	if (err && err->kind != NV_REJECT) {
		NV_LOG(NV_WARN, "history.unfinished", NV_E(err)); /* another look will come */
		look_over(h);
		return;
	}
	if (err) /* permanent error for this one; continue with the others */
		NV_LOG(NV_WARN, "history.unreadable", NV_S("req", h->first->request.id), NV_E(err));
	h->first = h->first->next;
	h->count++;
	recall_next(h);
}

static void recall_next(struct history *h)
{
	struct entry *e = h->first;
	if (h->stopped || (!e && h->audit)) {
		look_over(h);
		return;
	}
	if (!e) {
		nv_status_rebuilt(h->w->status, rebuilt, h);
		return;
	}
	struct nv_status_outcome o = {.state = NV_ST_restored,
				      .course = e->outcome.course,
				      .course_url = e->outcome.url,
				      .course_shortname = e->outcome.shortname,
				      .course_fullname = e->outcome.fullname,
				      .course_category = e->outcome.category,
				      .course_user_data = e->outcome.user_data,
				      .enrolled = e->outcome.enrolled,
				      .warnings = e->outcome.warnings,
				      .differences = e->outcome.differences};
	const struct nv_status_recalled r = {
		.outcome = &o, .at = e->outcome.at, .deleted = e->deleted, .only_known = h->audit};
	nv_status_recall(h->w->status, &e->request, &r, recalled, h);
}

/* Copies by the message's own codec, so that no field is forgotten. */
static int copy_request(struct nv_arena *arena, const struct nv_restore_request *from,
			struct nv_restore_request *to)
{
	nv_auto_buf struct nv_buf bytes = {0};
	struct nv_err err = {0};
	if (nv_record_encode(&nv_restore_request_record, from, &bytes, &err) < 0)
		return -1;
	return nv_record_decode(&nv_restore_request_record, bytes.data, bytes.len, to, arena, &err);
}

static int collect(void *arg, const struct nv_restore_request *request,
		   const struct nv_imported *outcome, bool deleted)
{
	struct history *h = arg;
	struct nv_arena *a = &h->arena;
	if (h->audit && !deleted)
		return 0;
	struct entry *e = nv_arena_alloc(a, sizeof *e);
	if (copy_request(a, request, &e->request) < 0) {
		NV_LOG(NV_WARN, "history.unreadable", NV_S("req", request->id));
		return 0;
	}
	e->outcome = *outcome;
	e->outcome.course = nv_arena_strdup(a, outcome->course);
	e->outcome.url = nv_arena_strdup(a, outcome->url);
	e->outcome.shortname = nv_arena_strdup(a, outcome->shortname);
	e->outcome.fullname = nv_arena_strdup(a, outcome->fullname);
	e->outcome.category = nv_arena_strdup(a, outcome->category);
	e->outcome.warnings.items = nv_arena_alloc(a, (outcome->warnings.len + 1) * sizeof(char *));
	for (size_t i = 0; i < outcome->warnings.len; i++)
		e->outcome.warnings.items[i] = nv_arena_strdup(a, outcome->warnings.items[i]);
	nv_differences_copy(&outcome->differences, &e->outcome.differences, a);
	e->deleted = deleted;
	e->next = h->first;
	h->first = e;
	return 0;
}

static int read_history(struct nv_job *job, void *arg, struct nv_err *err)
{
	struct history *h = arg;
	(void)job;
	return nv_site_history(h->w->site, collect, h, err);
}

static void history_read(void *arg, const struct nv_err *err)
{
	struct history *h = arg;
	if (err) {
		NV_LOG(NV_WARN, "history.unread", NV_E(err));
		look_over(h);
		return;
	}
	h->count = 0;
	recall_next(h);
}

static void looked(void *arg, const struct nv_err *err, bool yes)
{
	struct history *h = arg;
	h->audit = !yes;
	if (err || h->stopped || (h->audit && nv_mono_ms() < h->next_audit)) {
		look_over(h);
		return;
	}
	h->next_audit = nv_mono_ms() + AUDIT_EVERY_MS;
	if (yes)
		NV_LOG0(NV_INFO, "history.missing");
	struct nv_run run = {.work = read_history, .on_done_cb = history_read, .arg = h};
	nv_run_start(h->w->daemon->loop, &run);
}

static void look_tick(uv_timer_t *timer)
{
	struct history *h = timer->data;
	if (h->looking || !nv_status_up(h->w->status))
		return;
	h->looking = true;
	nv_status_needs_rebuild(h->w->status, looked, h);
}

struct history *nv_history_start(struct worker *w)
{
	struct history *h = nv_alloc(sizeof *h);
	h->w = w;
	w->busy++;
	uv_timer_init(w->daemon->loop, &h->timer);
	h->timer.data = h;
	uv_timer_start(&h->timer, look_tick, 200, LOOK_EVERY_MS);
	return h;
}

void nv_history_stop(struct history *h)
{
	h->stopped = true;
	uv_timer_stop(&h->timer);
	if (!h->looking)
		uv_close((uv_handle_t *)&h->timer, timer_closed);
}
