/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Prefetching: an archive's objects come here while the course server still exports.  In the order
 * in which it happens.
 *
 * archive.opened → held in Redis, so that other workers leave the restore to us → fetch what the
 * lists name, on a thread → archive.ready, from the queue or given by a worker that met it → the
 * restore proper, which finds the objects in its folder.  All of it is a hint: whatever goes wrong
 * here ends it, and archive.ready is served as if nobody had prefetched. */
#include <stdatomic.h>
#include <string.h>

#include "base/log.h"
#include "base/states.h"
#include "core/daemon/workdir.h"
#include "core/status/claims.h"
#include "worker/restore/restore.h"

#define LEASE_MS 10000u
#define RENEW_MS 500u /* how late a message that another has met may be noticed */

enum prefetch_state {
	PREFETCH_ASKING,   /* waits for Redis: is it ours to prefetch? */
	PREFETCH_RUNNING,  /* a thread fetches; waits for archive.ready, from the queue or from
			    * Redis,  while the lease is renewed */
	PREFETCH_STOPPING, /* archive.ready is there, or nobody wants it any more, or the daemon
			    * stops: the thread comes to its end */
	PREFETCH_ENDED,	   /* given to a restore, or up: freed when the timer is closed */
};

static const struct nv_states states = {
	.event = "prefetch.state",
	.len = PREFETCH_ENDED + 1,
	.states = {
		[PREFETCH_ASKING] = {"asking", NV_TO(PREFETCH_RUNNING, PREFETCH_ENDED)},
		[PREFETCH_RUNNING] = {"running", NV_TO(PREFETCH_STOPPING, PREFETCH_ENDED)},
		[PREFETCH_STOPPING] = {"stopping", NV_TO(PREFETCH_ENDED)},
		[PREFETCH_ENDED] = {"ended", 0},
	}};

struct prefetch {
	struct prefetch *next;
	struct worker *w;
	enum prefetch_state state;
	struct nv_delivery *delivery;	 /* archive.opened; NULL: given to the restore */
	struct nv_envelope env, request; /* owned */
	char token[NV_TOKEN_SIZE];
	bool asking; /* a question to Redis is under way */
	uv_timer_t timer;
	struct nv_running *running; /* in PREFETCH_RUNNING and PREFETCH_STOPPING */
	struct nv_buf handed;	    /* archive.ready's envelope, by Redis */
	/* archive.ready, from the queue; owned where delivery is set */
	struct {
		struct nv_delivery *delivery;
		struct nv_envelope env, request;
	} ready;
	/* for the thread: */
	atomic_bool enough;   /* come to an end … */
	atomic_bool unwanted; /* … and leave nothing: no restore follows here */
	/* by the thread, read after it ended: */
	uint64_t bytes;
	bool asked; /* the site would not refuse the course, and does not have it */
};

static const char *request_id(const struct prefetch *p)
{
	return p->request.body.restore_request.id;
}

static void move(struct prefetch *p, enum prefetch_state to)
{
	nv_states_move(&states, p->state, to, request_id(p));
	p->state = to;
}

static bool has_ready(const struct prefetch *p)
{
	return p->ready.delivery || p->handed.len;
}

/* In the order in which they are called. */
static void ask_tick(uv_timer_t *timer);
static void ask(struct prefetch *p);
static void start_job(struct prefetch *p);
static void stop_job(struct prefetch *p);
static void go_on(struct prefetch *p);
static void give_up(struct prefetch *p);
static void end(struct prefetch *p);

/* --- from the intake: archive.opened --- */

static struct prefetch *find(const struct worker *w, const char *id)
{
	for (struct prefetch *p = w->prefetches; p; p = p->next)
		if (p->state != PREFETCH_ENDED && strcmp(request_id(p), id) == 0)
			return p;
	return NULL;
}

void nv_prefetch_start(struct worker *w, struct nv_delivery *d, struct nv_envelope *env,
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
	struct prefetch *p = nv_alloc(sizeof *p);
	p->w = w;
	p->delivery = d;
	p->env = *env;
	p->request = *request;
	nv_token_new(p->token);
	p->next = w->prefetches;
	w->prefetches = p;
	uv_timer_init(w->daemon->loop, &p->timer);
	p->timer.data = p;
	uv_timer_start(&p->timer, ask_tick, RENEW_MS, RENEW_MS);
	NV_LOG(NV_INFO, "ahead.started", NV_S("req", id), NV_S("site", p->env.from));
	ask(p);
}

/* --- Redis: is it ours, and has another worker met archive.ready? --- */

/* The answer may come after the prefetch has ended, so only its token travels. */
struct question {
	struct worker *w;
	char token[NV_TOKEN_SIZE];
};

static void answered(void *arg, const struct nv_err *err, bool ours, struct nv_bytes ready);

static void ask_tick(uv_timer_t *timer)
{
	ask(timer->data);
}

static void ask(struct prefetch *p)
{
	if (p->asking)
		return;
	struct question *q = nv_alloc(sizeof *q);
	q->w = p->w;
	memcpy(q->token, p->token, sizeof q->token);
	p->asking = true;
	nv_status_prefetch(p->w->status, request_id(p), p->token, LEASE_MS, answered, q);
}

/* NULL: it has ended. */
static struct prefetch *prefetch_of(const struct question *q)
{
	for (struct prefetch *p = q->w->prefetches; p; p = p->next)
		if (strcmp(p->token, q->token) == 0)
			return p;
	return NULL;
}

static void answered(void *arg, const struct nv_err *err, bool ours, struct nv_bytes ready)
{
	struct question *q = arg;
	struct prefetch *p = prefetch_of(q);
	free(q);
	if (!p)
		return;
	p->asking = false;
	if (p->state == PREFETCH_ASKING && has_ready(p)) {
		go_on(p);
	} else if (p->state == PREFETCH_ASKING && (err || !ours || p->w->daemon->stopping)) {
		give_up(p);
	} else if (p->state == PREFETCH_ASKING) {
		start_job(p);
	} else if (p->state == PREFETCH_RUNNING && !err && (!ours || ready.len)) {
		nv_buf_put(&p->handed, ready.data, ready.len);
		p->unwanted = !ours;
		stop_job(p);
	}
}

/* --- the thread --- */

static int prefetch_work(struct nv_job *job, void *arg, struct nv_err *err);
static void job_ended(void *arg, const struct nv_err *err);

static void start_job(struct prefetch *p)
{
	struct nv_run run = {.work = prefetch_work,
			     .on_done_cb = job_ended,
			     .arg = p,
			     .timeout_ms = p->w->config->worker.job_timeout};
	move(p, PREFETCH_RUNNING);
	p->running = nv_run_start(p->w->daemon->loop, &run);
}

static bool is_enough(void *arg)
{
	const struct prefetch *p = arg;
	return p->enough;
}

static int prefetch_work(struct nv_job *job, void *arg, struct nv_err *err)
{
	struct prefetch *p = arg;
	struct worker *w = p->w;
	const struct nv_config *c = w->config;
	struct nv_archive_limits limits = {c->store.max_archive, c->store.max_entries,
					   c->store.max_ratio};
	struct nv_archive_place place = {p->env.from, c->identity.client, request_id(p),
					 p->env.body.archive_opened.attempt};
	struct nv_reuse_arg reuse = {w, request_id(p), job};
	struct nv_fetch_help help = {
		.known = w->known, .reuse_cb = nv_reuse_contents, .arg = &reuse};
	struct nv_workdir dir;
	struct nv_err unsaved = {0};
	struct nv_import in = {
		.request = &p->request.body.restore_request, .config = c, .site = p->env.from};
	bool existed = false;
	/* What would be refused need not come; how many bytes it will have nobody knows yet. */
	if (nv_site_preflight(w->site, &in, 0, &existed, err) < 0)
		return -1;
	if (existed)
		return 0;
	p->asked = true;
	if (nv_workdir_open(c->worker.work_dir, request_id(p), &dir, err) < 0)
		return -1;
	int rc = nv_archive_prefetch(w->store, &place, &limits, dir.path, &help, is_enough, p, job,
				     &p->bytes, err);
	if (nv_hash_cache_save(w->known, &unsaved) < 0)
		NV_LOG(NV_WARN, "known.unsaved", NV_E(&unsaved));
	/* What has come is the restore's; where none will follow, nobody's.  On a full disk it is
	 * what is in the way. */
	bool full = rc < 0 && err->reason == NV_R_disk_full;
	nv_workdir_close(&dir, p->unwanted || full || (rc == 0 && !p->enough));
	return rc;
}

static void stop_job(struct prefetch *p)
{
	move(p, PREFETCH_STOPPING);
	p->enough = true;
}

/* archive.ready from the queue. */
bool nv_prefetch_take(struct worker *w, struct nv_delivery *d, struct nv_envelope *ready,
		      struct nv_envelope *request)
{
	struct prefetch *p = find(w, request->body.restore_request.id);
	if (!p || p->ready.delivery)
		return false;
	p->ready.delivery = d;
	p->ready.env = *ready;
	p->ready.request = *request;
	if (p->state == PREFETCH_RUNNING)
		stop_job(p);
	return true;
}

void nv_prefetch_stop_all(struct worker *w)
{
	for (struct prefetch *p = w->prefetches; p; p = p->next) {
		if (p->state == PREFETCH_RUNNING)
			stop_job(p);
		if (p->state == PREFETCH_STOPPING)
			nv_run_stop(p->running);
	}
}

static void job_ended(void *arg, const struct nv_err *err)
{
	struct prefetch *p = arg;
	nv_metric_add(p->w->metrics.prefetched, NULL, (double)p->bytes);
	NV_LOG(NV_INFO, "ahead.done", NV_S("req", request_id(p)), NV_U("bytes", p->bytes),
	       NV_E(err));
	if (has_ready(p))
		go_on(p);
	else
		give_up(p);
}

/* --- to the restore --- */

static bool has_slot(const struct worker *w);
static void serve_handed(struct prefetch *p);

static void go_on(struct prefetch *p)
{
	struct worker *w = p->w;
	struct nv_delivery *d = p->ready.delivery;
	if (d && w->daemon->stopping) {
		nv_bus_return(d);
		nv_envelope_fini(&p->ready.env);
		nv_envelope_fini(&p->ready.request);
		give_up(p);
	} else if (d) {
		nv_restore_begin(w, &(struct nv_begin){d, &p->ready.env, &p->ready.request,
						       p->token, false, p->asked});
		end(p);
	} else if (!w->daemon->stopping && has_slot(w)) {
		serve_handed(p);
	} else {
		give_up(p);
	}
}

/* A slot may be taken above those of the queue's consumer only by as many as there are. */
static bool has_slot(const struct worker *w)
{
	uint64_t running = 0;
	for (const struct restore *r = w->restores; r; r = r->next)
		running += r->state != RESTORE_ENDED;
	return running < w->config->worker.slots;
}

static void serve_handed(struct prefetch *p)
{
	struct nv_envelope env, request;
	struct nv_err err = {0};
	struct worker *w = p->w;
	if (nv_open_ready(w, p->handed.data, p->handed.len, &env, &request, &err) < 0) {
		NV_LOG(NV_WARN, "ahead.refused", NV_S("req", request_id(p)), NV_E(&err));
		give_up(p);
		return;
	}
	struct nv_delivery *d = p->delivery;
	p->delivery = NULL;
	nv_restore_begin(w, &(struct nv_begin){d, &env, &request, p->token, true, p->asked});
	end(p);
}

/* --- the end --- */

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
static void give_up(struct prefetch *p)
{
	p->w->busy++;
	nv_status_prefetch(p->w->status, request_id(p), p->token, 0, let_go, p->w);
	end(p);
}

static void timer_closed(uv_handle_t *handle);

static void end(struct prefetch *p)
{
	move(p, PREFETCH_ENDED);
	uv_timer_stop(&p->timer);
	if (p->delivery)
		nv_bus_ack(p->delivery);
	uv_close((uv_handle_t *)&p->timer, timer_closed);
}

static void timer_closed(uv_handle_t *handle)
{
	struct prefetch *p = handle->data;
	struct worker *w = p->w;
	struct prefetch **at = &w->prefetches;
	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	nv_envelope_fini(&p->env);
	nv_envelope_fini(&p->request);
	nv_buf_fini(&p->handed);
	free(p);
	w->on_idle_cb(w);
}
