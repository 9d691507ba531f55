/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One "enrol me": somebody joins a course that a colleague has restored. */
#include "core/base/log.h"
#include "worker/worker.h"

struct enrol {
	struct worker *w;
	struct nv_delivery *delivery;
	struct nv_envelope env;
	struct nv_err why; /* kind NV_OK: it worked */
};

static void enrol_free(struct enrol *e)
{
	struct worker *w = e->w;
	w->busy--;
	nv_envelope_fini(&e->env);
	free(e);
	nv_worker_maybe_stopped(w);
}

static void settled(void *arg, bool dead)
{
	(void)dead;
	enrol_free(arg);
}

static void told(void *arg, const struct nv_err *err)
{
	struct enrol *e = arg;
	if (err) {
		NV_LOG(NV_WARN, "enrol.untold", NV_S("req", e->env.body.enrol_request.request),
		       NV_E(err));
		nv_bus_return(e->delivery); /* enrolling twice is fine */
		enrol_free(e);
	} else if (e->why.kind == NV_OK) {
		nv_bus_ack(e->delivery);
		enrol_free(e);
	} else {
		nv_bus_settle(e->w->bus, &e->w->settle, e->delivery, &e->why, settled, e);
	}
}

static void enrol_ended(void *arg, const struct nv_err *err)
{
	struct enrol *e = arg;
	struct worker *w = e->w;
	const struct nv_enrol_request *q = &e->env.body.enrol_request;
	const char *state = "joined";
	if (err) {
		e->why = *err;
		bool final = nv_settle_is_final(&w->settle, e->delivery, err);
		state = final ? err->msg : "pending";
	}
	NV_LOG(err ? NV_WARN : NV_INFO, "enrol.done", NV_S("req", q->request),
	       NV_S("course", q->course), NV_S("user", q->user), NV_S("state", state));
	nv_metric_add(w->metrics.enrolments, err ? "failed" : "joined", 1);
	nv_status_join(w->status, q->request, q->user, state, told, e);
}

static int enrol_work(struct nv_job *job, void *arg, struct nv_err *err)
{
	struct enrol *e = arg;
	const struct nv_enrol_request *q = &e->env.body.enrol_request;
	(void)job;
	return nv_site_enrol(e->w->site, q->course, q->user, e->w->config->restore.enrol_role, err);
}

void nv_enrol_start(struct worker *w, struct nv_delivery *d, struct nv_envelope *env)
{
	struct enrol *e = nv_alloc(sizeof *e);
	e->w = w;
	e->delivery = d;
	e->env = *env;
	w->busy++;
	struct nv_run run = {.work = enrol_work, .on_done_cb = enrol_ended, .arg = e};
	nv_run_start(w->daemon->loop, &run);
}
