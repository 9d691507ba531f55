/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fetching ahead: an archive's objects come here while the course server still exports.
 *
 * archive.opened → held in Redis, so that other workers leave the restore to us → fetch what is
 * told of, on a thread → archive.ready, from the queue or given by a worker that met it → the
 * restore proper, which finds the objects in its folder.  All of it is a hint: whatever goes wrong
 * here ends it, and archive.ready is served as if nobody had been ahead. */
#include <stdatomic.h>
#include <string.h>

#include "base/log.h"
#include "core/daemon/workdir.h"
#include "core/status/claims.h"
#include "worker/restore/restore.h"

#define LEASE_MS 10000u
#define RENEW_MS 500u /* how late a message that another has met may be noticed */

struct ahead {
	struct ahead *next;
	struct worker *w;
	struct nv_delivery *delivery;	 /* archive.opened; NULL: given to the restore */
	struct nv_envelope env, request; /* owned */
	char token[NV_TOKEN_SIZE];
	struct nv_running *running;
	bool asking;  /* Redis */
	bool started; /* the thread, once */
	bool ended;
	uv_timer_t timer;
	struct nv_buf handed; /* archive.ready's envelope, by Redis */
	/* archive.ready, from the queue; owned where delivery is set */
	struct {
		struct nv_delivery *delivery;
		struct nv_envelope env, request;
	} ready;
	atomic_bool enough;   /* it is there, or nobody wants it any more … */
	atomic_bool unwanted; /* … and this is why */
	uint64_t bytes;	      /* by the thread, … */
	bool asked;	      /* … and this: the site would not refuse, and has no course of it */
};

static const char *request_id(const struct ahead *a)
{
	return a->request.body.restore_request.id;
}

/* --- the end --- */

static void timer_closed(uv_handle_t *handle)
{
	struct ahead *a = handle->data;
	struct worker *w = a->w;
	struct ahead **at = &w->aheads;
	while (*at != a)
		at = &(*at)->next;
	*at = a->next;
	nv_envelope_fini(&a->env);
	nv_envelope_fini(&a->request);
	nv_buf_fini(&a->handed);
	free(a);
	w->on_idle_cb(w);
}

static void close_timer(struct ahead *a)
{
	if (!a->asking)
		uv_close((uv_handle_t *)&a->timer, timer_closed);
}

static void end(struct ahead *a)
{
	uv_timer_stop(&a->timer);
	if (a->delivery)
		nv_bus_ack(a->delivery);
	a->delivery = NULL;
	a->ended = true;
	close_timer(a);
}

static void let_go(void *arg, const struct nv_err *err, bool ours, struct nv_bytes ready)
{
	struct worker *w = arg;
	(void)err; /* the lease ends by itself */
	(void)ours;
	(void)ready;
	w->busy--;
	w->on_idle_cb(w);
}

/* Whoever takes archive.ready need not wait for us. */
static void give_up(struct ahead *a)
{
	a->w->busy++;
	nv_status_ahead(a->w->status, request_id(a), a->token, 0, let_go, a->w);
	end(a);
}

/* --- to the restore --- */

static void serve_handed(struct ahead *a)
{
	struct nv_envelope env, request;
	struct nv_err err = {0};
	struct worker *w = a->w;
	if (nv_worker_open_ready(w, a->handed.data, a->handed.len, &env, &request, &err) < 0) {
		NV_LOG(NV_WARN, "ahead.refused", NV_S("req", request_id(a)), NV_E(&err));
		give_up(a);
		return;
	}
	struct nv_delivery *d = a->delivery;
	a->delivery = NULL;
	nv_restore_begin(w, &(struct nv_begin){d, &env, &request, a->token, true, a->asked});
	end(a);
}

static bool has_ready(const struct ahead *a)
{
	return a->ready.delivery || a->handed.len;
}

/* A slot may be taken above those of the queue's consumer only by as many as there are. */
static bool has_slot(const struct worker *w)
{
	uint64_t running = 0;
	for (const struct restore *r = w->restores; r; r = r->next)
		running += !r->ended;
	return running < w->config->worker.slots;
}

static void go_on(struct ahead *a)
{
	struct worker *w = a->w;
	struct nv_delivery *d = a->ready.delivery;
	if (d && w->daemon->stopping) {
		nv_bus_return(d);
		nv_envelope_fini(&a->ready.env);
		nv_envelope_fini(&a->ready.request);
		give_up(a);
	} else if (d) {
		nv_restore_begin(w, &(struct nv_begin){d, &a->ready.env, &a->ready.request,
						       a->token, false, a->asked});
		end(a);
	} else if (!w->daemon->stopping && has_slot(w)) {
		serve_handed(a);
	} else {
		give_up(a);
	}
}

/* --- the thread --- */

static bool is_enough(void *arg)
{
	const struct ahead *a = arg;
	return a->enough;
}

static int ahead_work(struct nv_job *job, void *arg, struct nv_err *err)
{
	struct ahead *a = arg;
	struct worker *w = a->w;
	const struct nv_config *c = w->config;
	struct nv_archive_limits limits = {c->store.max_archive, c->store.max_entries,
					   c->store.max_ratio};
	struct nv_archive_place place = {a->env.from, c->identity.client, request_id(a),
					 a->env.body.archive_opened.attempt};
	struct nv_borrow b = {w, request_id(a), job};
	struct nv_fetch_help help = {.known = w->known, .reuse_cb = nv_borrow_contents, .arg = &b};
	struct nv_workdir dir;
	struct nv_err unsaved = {0};
	struct nv_import in = {
		.request = &a->request.body.restore_request, .config = c, .site = a->env.from};
	bool existed = false;
	/* What would be refused need not come; how many bytes it will have nobody knows yet. */
	if (nv_site_preflight(w->site, &in, 0, &existed, err) < 0)
		return -1;
	if (existed)
		return 0;
	a->asked = true;
	if (nv_workdir_open(c->worker.work_dir, request_id(a), &dir, err) < 0)
		return -1;
	int rc = nv_archive_fetch_ahead(w->store, &place, &limits, dir.path, &help, is_enough, a,
					job, &a->bytes, err);
	if (nv_hash_cache_save(w->known, &unsaved) < 0)
		NV_LOG(NV_WARN, "known.unsaved", NV_E(&unsaved));
	/* What has come is the restore's; where none will follow, nobody's.  On a full disk it is
	 * what is in the way. */
	bool full = rc < 0 && err->reason == NV_R_disk_full;
	nv_workdir_close(&dir, a->unwanted || full || (rc == 0 && !a->enough));
	return rc;
}

static void ahead_ended(void *arg, const struct nv_err *err)
{
	struct ahead *a = arg;
	a->running = NULL;
	nv_metric_add(a->w->metrics.ahead, NULL, (double)a->bytes);
	NV_LOG(NV_INFO, "ahead.done", NV_S("req", request_id(a)), NV_U("bytes", a->bytes),
	       NV_E(err));
	if (has_ready(a))
		go_on(a);
	else
		give_up(a);
}

/* --- Redis --- */

static void ask(struct ahead *a);

static void answered(void *arg, const struct nv_err *err, bool ours, struct nv_bytes ready)
{
	struct ahead *a = arg;
	a->asking = false;
	if (a->ended) {
		close_timer(a);
	} else if (!a->started && has_ready(a)) {
		go_on(a);
	} else if (!a->started && (err || !ours)) {
		give_up(a);
	} else if (!a->started) {
		struct nv_run run = {.work = ahead_work,
				     .on_done_cb = ahead_ended,
				     .arg = a,
				     .timeout_ms = a->w->config->worker.job_timeout};
		a->started = true;
		a->running = nv_run_start(a->w->daemon->loop, &run);
	} else if (!err && !has_ready(a) && (!ours || ready.len)) {
		nv_buf_put(&a->handed, ready.data, ready.len);
		a->unwanted = !ours;
		a->enough = true;
	}
}

static void ask(struct ahead *a)
{
	if (a->asking)
		return;
	a->asking = true;
	nv_status_ahead(a->w->status, request_id(a), a->token, LEASE_MS, answered, a);
}

static void renew_tick(uv_timer_t *timer)
{
	ask(timer->data);
}

/* --- from the intake --- */

static struct ahead *find(const struct worker *w, const char *id)
{
	for (struct ahead *a = w->aheads; a; a = a->next)
		if (!a->ended && strcmp(request_id(a), id) == 0)
			return a;
	return NULL;
}

void nv_ahead_start(struct worker *w, struct nv_delivery *d, struct nv_envelope *env,
		    struct nv_envelope *request)
{
	const char *id = request->body.restore_request.id;
	bool at_it = find(w, id) != NULL;
	for (const struct restore *r = w->restores; r; r = r->next)
		at_it = at_it || strcmp(nv_restore_request(r)->id, id) == 0;
	if (at_it || w->daemon->stopping) {
		nv_bus_ack(d);
		nv_envelope_fini(env);
		nv_envelope_fini(request);
		return;
	}
	struct ahead *a = nv_alloc(sizeof *a);
	a->w = w;
	a->delivery = d;
	a->env = *env;
	a->request = *request;
	nv_token_new(a->token);
	a->next = w->aheads;
	w->aheads = a;
	uv_timer_init(w->daemon->loop, &a->timer);
	a->timer.data = a;
	uv_timer_start(&a->timer, renew_tick, RENEW_MS, RENEW_MS);
	NV_LOG(NV_INFO, "ahead.started", NV_S("req", id), NV_S("site", a->env.from));
	ask(a);
}

bool nv_ahead_take(struct worker *w, struct nv_delivery *d, struct nv_envelope *ready,
		   struct nv_envelope *request)
{
	struct ahead *a = find(w, request->body.restore_request.id);
	if (!a || a->ready.delivery)
		return false;
	a->ready.delivery = d;
	a->ready.env = *ready;
	a->ready.request = *request;
	a->enough = true;
	return true;
}

void nv_ahead_stop_all(struct worker *w)
{
	for (struct ahead *a = w->aheads; a; a = a->next) {
		a->enough = true;
		if (a->running)
			nv_run_stop(a->running);
	}
}
