/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/daemon/hold.h"

#include <stdlib.h>

#include "base/id.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "core/daemon/runner.h"

#define FIRST_LOOK_MS 1000u
#define LAST_LOOK_MS 60000u
#define AGAIN_MS 60000u /* one that begins so soon after another goes on with its looks */
/* Limit of holds per message if the probe finds the outage over already: a course may bring them
 * about itself, every time. */
#define OUTAGES_BELIEVED 3u

struct nv_hold {
	struct nv_hold_options o;
	enum nv_hold_state state;
	struct nv_err why; /* unless open */
	uint64_t since;	   /* ms since the epoch; unless open */
	uint64_t delay;	   /* ms until the next look */
	uint64_t ended;	   /* nv_mono_ms when the last one ended; 0: none did */
	struct nv_running *running;
	uv_timer_t timer;
	struct nv_metric *held;
};

static void look(uv_timer_t *timer);

/* The one way from state to state. */
static void move(struct nv_hold *h, enum nv_hold_state to)
{
	enum nv_hold_state from = h->state;
	h->state = to;
	switch (to) {
	case NV_HOLD_OPEN:
		h->ended = nv_mono_ms();
		nv_metric_set(h->held, nv_reason_word(h->why.reason), 0);
		NV_LOG(NV_INFO, "hold.ended", NV_S("reason", nv_reason_word(h->why.reason)),
		       NV_D("seconds", (double)(nv_now_ms() - h->since) / 1000));
		break;
	case NV_HOLD_HELD:
		if (from == NV_HOLD_OPEN) {
			bool again = h->ended && nv_mono_ms() - h->ended < AGAIN_MS;
			h->delay = again ? h->delay : FIRST_LOOK_MS;
			h->since = nv_now_ms();
			NV_LOG(NV_WARN, "hold.begun", NV_E(&h->why));
		}
		nv_metric_set(h->held, nv_reason_word(h->why.reason), 1);
		uv_timer_start(&h->timer, look, h->delay, 0);
		h->delay = 2 * h->delay < LAST_LOOK_MS ? 2 * h->delay : LAST_LOOK_MS;
		break;
	case NV_HOLD_LOOKING:
		break;
	case NV_HOLD_CLOSED:
		uv_timer_stop(&h->timer);
		break;
	}
	if (to == NV_HOLD_OPEN || (from == NV_HOLD_OPEN && to == NV_HOLD_HELD))
		h->o.changed_cb(h->o.arg);
}

static void timer_closed(uv_handle_t *handle)
{
	struct nv_hold *h = handle->data;
	h->o.closed_cb(h->o.arg);
}

void nv_hold_free(struct nv_hold *h)
{
	free(h);
}

/* --- looking --- */

static int look_work(struct nv_job *job, void *arg, struct nv_err *err)
{
	struct nv_hold *h = arg;
	return h->o.look(job, h->o.arg, err);
}

static void looked(void *arg, const struct nv_err *err)
{
	struct nv_hold *h = arg;
	h->running = NULL;
	if (h->state == NV_HOLD_CLOSED) {
		uv_close((uv_handle_t *)&h->timer, timer_closed);
	} else if (!err) {
		move(h, NV_HOLD_OPEN);
	} else {
		bool other = err->reason != h->why.reason;
		if (other)
			nv_metric_set(h->held, nv_reason_word(h->why.reason), 0);
		h->why = *err;
		move(h, NV_HOLD_HELD);
		if (other) {
			NV_LOG(NV_WARN, "hold.goes-on", NV_E(&h->why));
			h->o.changed_cb(h->o.arg);
		}
	}
}

static void look(uv_timer_t *timer)
{
	struct nv_hold *h = timer->data;
	struct nv_run run = {.work = look_work, .on_done_cb = looked, .arg = h};
	move(h, NV_HOLD_LOOKING);
	h->running = nv_run_start(h->o.loop, &run);
}

void nv_hold_judge(const struct nv_hold *h, const struct nv_job *job, unsigned outages,
		   struct nv_err *err)
{
	struct nv_err seen = {0};
	if (err->kind != NV_RETRY || err->reason == NV_R_claim_lost)
		return;
	if (h->o.look(NULL, h->o.arg, &seen) == 0) {
		if (!nv_reason_proves_outage(err->reason) || outages >= OUTAGES_BELIEVED)
			return;
		seen = *err;
	}
	nv_job_log(job, NV_WARN, "%s: %s", nv_reason_word(err->reason), err->msg);
	NV_LOG(NV_WARN, "job.held", NV_S("found", seen.msg), NV_E(err));
	*err = seen;
	err->kind = NV_HOLD;
}

/* --- life --- */

struct nv_hold *nv_hold_new(const struct nv_hold_options *o)
{
	struct nv_hold *h = nv_alloc(sizeof *h);
	h->o = *o;
	h->held = nv_gauge("navette_held",
			   "1 while no work is taken because of a temporary condition", "reason");
	for (unsigned r = 0; r < NV_R_COUNT; r++)
		if (nv_reason_passes((enum nv_reason)r))
			nv_metric_set(h->held, nv_reason_word((enum nv_reason)r), 0);
	uv_timer_init(o->loop, &h->timer);
	h->timer.data = h;
	return h;
}

void nv_hold_begin(struct nv_hold *h, const struct nv_err *err)
{
	if (h->state != NV_HOLD_OPEN || err->kind != NV_HOLD || !nv_reason_passes(err->reason))
		return;
	h->why = *err;
	move(h, NV_HOLD_HELD);
}

const struct nv_err *nv_hold_why(const struct nv_hold *h)
{
	return h->state == NV_HOLD_HELD || h->state == NV_HOLD_LOOKING ? &h->why : NULL;
}

uint64_t nv_hold_since(const struct nv_hold *h)
{
	return h->since;
}

void nv_hold_close(struct nv_hold *h)
{
	move(h, NV_HOLD_CLOSED);
	if (h->running)
		nv_run_stop(h->running);
	else
		uv_close((uv_handle_t *)&h->timer, timer_closed);
}
