/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a daemon works with is away, full or being upgraded: it takes no more work until that has
 * passed, and no attempt of any request is used up.
 *
 *   open ──a failure that is an outage's──▶ held ──timer──▶ looking ──▶ open
 *                                           ▲                 │
 *                                           └──not yet, later─┘
 *
 * A failed job is judged where it ends, on its thread (nv_hold_judge): it is held when a look at
 * what all jobs need finds something in the way.  When the look finds nothing, the outage may be
 * over already: what the job's own reason proves (nv_reason_proves_outage) is held as well, three
 * times for one message.  So whatever one course brings about (it is larger than the disk, it kills
 * the database) uses up attempts and ends. */
#ifndef NV_DAEMON_HOLD_H
#define NV_DAEMON_HOLD_H

#include <stdint.h>
#include <uv.h>

#include "base/err.h"
#include "base/job.h"

enum nv_hold_state {
	NV_HOLD_OPEN,	 /* work is taken */
	NV_HOLD_HELD,	 /* none is taken; the timer runs to the next look */
	NV_HOLD_LOOKING, /* none is taken; a thread looks whether it has passed */
	NV_HOLD_CLOSED,	 /* the daemon stops; only a look under way keeps it */
};

struct nv_hold_options {
	uv_loop_t *loop;
	/* On a thread, several may at once.  0: nothing is in the way; -1: *err says what is, for a
	 * reason that passes (nv_reason_passes). */
	int (*look)(struct nv_job *job, void *arg, struct nv_err *err);
	void (*changed_cb)(void *arg); /* on the loop: it began, ended or has another reason */
	void (*closed_cb)(void *arg);
	void *arg;
};
struct nv_hold;
struct nv_hold *nv_hold_new(const struct nv_hold_options *o);

/* On a job's thread, when all that it made is removed: a failure that may work later becomes what
 * stands in the way of all (NV_HOLD, with that reason), or stays as it is.  outages: how often its
 * message was held so before (nv_delivery_outages). */
void nv_hold_judge(const struct nv_hold *h, const struct nv_job *job, unsigned outages,
		   struct nv_err *err);
/* On the loop: begins, if the failure was judged so. */
void nv_hold_begin(struct nv_hold *h, const struct nv_err *err);

/* What is in the way; NULL: nothing, work is taken. */
const struct nv_err *nv_hold_why(const struct nv_hold *h);
uint64_t nv_hold_since(const struct nv_hold *h); /* ms since the epoch */

/* closed_cb comes when nothing of it is left on the loop; jobs may still be judged until it is
 * freed. */
void nv_hold_close(struct nv_hold *h);
void nv_hold_free(struct nv_hold *h); /* NULL allowed */

#endif
