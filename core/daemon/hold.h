/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Hold: while something that all jobs need (site, store, disk) is unavailable, full or being
 * upgraded, the daemon takes no work, and no request uses up an attempt.
 *
 *   open ──a failure that is an outage's──▶ held ──timer──▶ looking ──▶ open
 *                                           ▲                 │
 *                                           └──not yet, later─┘
 *
 * A failed job is judged where it ends, on its thread (nv_hold_judge): it is held if a probe of
 * what all jobs need finds an outage. If the probe finds none, the outage may already be over: a
 * reason that proves an outage (nv_reason_proves_outage) is held as well, up to three times per
 * message. Failures caused by a single course (larger than the disk, crashing the database)
 * therefore use up attempts and end. */
#ifndef NV_DAEMON_HOLD_H
#define NV_DAEMON_HOLD_H

#include <stdint.h>
#include <uv.h>

#include "base/err.h"
#include "base/job.h"

enum nv_hold_state {
	NV_HOLD_OPEN,	 /* work is taken */
	NV_HOLD_HELD,	 /* no work is taken; the timer runs until the next probe */
	NV_HOLD_LOOKING, /* no work is taken; a thread probes whether the outage is over */
	NV_HOLD_CLOSED,	 /* the daemon stops; waits only for a running probe */
};

struct nv_hold_options {
	uv_loop_t *loop;
	/* The probe: on a thread, possibly several at once. 0: no outage; -1: *err describes it,
	 * with a temporary reason (nv_reason_passes). */
	int (*look)(struct nv_job *job, void *arg, struct nv_err *err);
	void (*changed_cb)(void *arg); /* on the loop: a hold began, ended or changed its reason */
	void (*closed_cb)(void *arg);
	void *arg;
};
struct nv_hold;
struct nv_hold *nv_hold_new(const struct nv_hold_options *o);

/* On a job's thread, after its clean-up: turns a retryable failure into NV_HOLD with the reason of
 * the outage, or leaves it. outages: how often the message was held by outages before
 * (nv_delivery_outages). */
void nv_hold_judge(const struct nv_hold *h, const struct nv_job *job, unsigned outages,
		   struct nv_err *err);
/* On the loop: begins the hold, if the failure was judged so. */
void nv_hold_begin(struct nv_hold *h, const struct nv_err *err);

/* The outage; NULL: none, work is taken. */
const struct nv_err *nv_hold_why(const struct nv_hold *h);
uint64_t nv_hold_since(const struct nv_hold *h); /* ms since the epoch */

/* closed_cb is called when nothing is left on the loop; jobs may still be judged until it is
 * freed. */
void nv_hold_close(struct nv_hold *h);
void nv_hold_free(struct nv_hold *h); /* NULL allowed */

#endif
