/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Serves "enrol me": a user joins a course that a colleague has restored. */
#include "base/log.h"
#include "core/status/claims.h"
#include "worker/worker.h"

#define AGAIN_MS 1000u

struct enrol {
	struct worker *w;
	struct nv_delivery *delivery;
	unsigned outages; /* of the delivery, for the thread */
	struct nv_envelope env;
	struct nv_err why; /* kind NV_OK: it worked */
	uv_timer_t timer;
};

static void timer_closed(uv_handle_t *handle)
{
	struct enrol *e = handle->data;
	struct worker *w = e->w;
	w->busy--;
	nv_envelope_fini(&e->env);
	free(e);
	w->on_idle_cb(w);
}

static void enrol_free(struct enrol *e)
{
	uv_close((uv_handle_t *)&e->timer, timer_closed);
}

static void settled(void *arg, bool dead)
{
	(void)dead;
	enrol_free(arg);
}

static void tell(struct enrol *e);

static void tell_tick(uv_timer_t *timer)
{
	tell(timer->data);
}

static void told(void *arg, const struct nv_err *err)
{
	struct enrol *e = arg;
	if (err)
		NV_LOG(NV_WARN, "enrol.untold", NV_S("req", e->env.body.enrol_request.request),
		       NV_E(err));
	if (err && err->kind == NV_RETRY && e->w->daemon->stopping) {
		nv_bus_return(e->delivery); /* enrolling twice is fine */
		enrol_free(e);
	} else if (err && err->kind == NV_RETRY) {
		uv_timer_start(&e->timer, tell_tick, AGAIN_MS, 0);
	} else if (e->why.kind == NV_OK) {
		nv_bus_ack(e->delivery);
		enrol_free(e);
	} else {
		nv_bus_settle(e->w->bus, &e->w->settle, e->delivery, &e->why, settled, e);
	}
}

/* While Redis is unavailable we keep the delivery and retry. */
static void tell(struct enrol *e)
{
	const struct nv_enrol_request *q = &e->env.body.enrol_request;
	const char *state = "joined";
	if (e->why.kind != NV_OK)
		state = nv_settle_is_final(&e->w->settle, e->delivery, &e->why) ? e->why.msg
										: "pending";
	nv_status_join(e->w->status, q->request, q->user, state, told, e);
}

static void enrol_ended(void *arg, const struct nv_err *err)
{
	struct enrol *e = arg;
	struct worker *w = e->w;
	const struct nv_enrol_request *q = &e->env.body.enrol_request;
	if (err) {
		e->why = *err;
		nv_hold_begin(w->hold, err);
	}
	NV_LOG(err ? NV_WARN : NV_INFO, "enrol.done", NV_S("req", q->request),
	       NV_S("course", q->course), NV_P("user", q->user), NV_E(&e->why));
	nv_metric_add(w->metrics.enrolments, err ? "failed" : "joined", 1);
	tell(e);
}

static int enrol_work(struct nv_job *job, void *arg, struct nv_err *err)
{
	struct enrol *e = arg;
	const struct nv_enrol_request *q = &e->env.body.enrol_request;
	const struct nv_config *c = e->w->config;
	/* Where our file does not say, Moodle's own setting counts, and only the loop may read what
	 * we know of it. */
	bool ours = c->site.type != NV_SITE_MOODLE || nv_config_restore_given(c, "enrol_role");
	if (nv_site_enrol(e->w->site, q->course, q->user, ours ? c->restore.enrol_role : NULL,
			  err) == 0)
		return 0;
	nv_hold_judge(e->w->hold, job, e->outages, err);
	return -1;
}

static struct enrol *enrol_new(struct worker *w, struct nv_delivery *d, struct nv_envelope *env)
{
	struct enrol *e = nv_alloc(sizeof *e);
	e->w = w;
	e->delivery = d;
	e->outages = nv_delivery_outages(d);
	e->env = *env;
	w->busy++;
	uv_timer_init(w->daemon->loop, &e->timer);
	e->timer.data = e;
	return e;
}

void nv_enrol_decline(struct worker *w, struct nv_delivery *d, struct nv_envelope *env,
		      const struct nv_err *why)
{
	enrol_ended(enrol_new(w, d, env), why);
}

void nv_enrol_start(struct worker *w, struct nv_delivery *d, struct nv_envelope *env)
{
	struct enrol *e = enrol_new(w, d, env);
	struct nv_run run = {.work = enrol_work, .on_done_cb = enrol_ended, .arg = e};
	nv_run_start(w->daemon->loop, &run);
}
