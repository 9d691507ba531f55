/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One request in the worker:
 *
 *   restore.c  the flow, on the loop: seen before? → claim → job → outcome written → message dealt
 *              with
 *   lease.c    while the job runs: the lease is renewed, progress and log go to Redis
 *   job.c      the course, on a thread: preflight → fetch → import */
#ifndef NV_WORKER_RESTORE_RESTORE_H
#define NV_WORKER_RESTORE_RESTORE_H

#include <stddef.h>

#include "core/daemon/request_log.h"
#include "worker/worker.h"

/* Until RESTORE_SETTLING the delivery is the restore's, and a redelivery after a broken connection
 * is adopted.  The timer repeats the step of a state whose question to Redis found it away. */
enum restore_state {
	RESTORE_NEW,	  /* taken from the queue; nothing was done or said */
	RESTORE_LOOKING,  /* waits for Redis: was the message served before? */
	RESTORE_CLAIMING, /* waits for Redis: is the claim ours? */
	RESTORE_GIVING,	  /* waits for Redis to keep the message for the worker that prefetches */
	RESTORE_RUNNING,  /* the claim is ours; the thread works, and only that touches `job`;
			   * the loop renews the lease, may cancel and stop it */
	RESTORE_RESCHEDULING, /* waits for Redis to say scheduled: a new export is needed */
	RESTORE_ASKING,	      /* waits for the confirm of the restore.request sent again */
	RESTORE_WRITING,      /* waits for Redis to write the outcome, as `why` says */
	RESTORE_MARKING,      /* done; waits for Redis to remember the message as served */
	RESTORE_CLEANING,     /* a thread deletes the archive and the folder; only that touches
			       * `job` */
	RESTORE_SETTLING,     /* the bus has the delivery, for a delay tier or the dead queue */
	RESTORE_ENDED,	      /* the delivery has been dealt with: freed when the timer is closed */
};

struct restore {
	struct restore *next;
	struct worker *w;
	enum restore_state state; /* changed by move() of restore.c only */
	struct nv_delivery *delivery;
	struct nv_envelope ready;     /* archive.ready; owned */
	struct nv_envelope request;   /* the restore.request in it; owned */
	char token[NV_TOKEN_SIZE];    /* the claim's; "" before it */
	char prefetch[NV_TOKEN_SIZE]; /* of the prefetch before it; "": there was none */
	/* delivery is the hint's (archive.opened), for archive.ready's is with another worker, in a
	 * delay tier: what does not succeed is left to that, and uses up no attempt. */
	bool on_hint;
	bool held; /* by what is in the way of every restore */
	struct nv_restore_job job;
	struct nv_running *running; /* in RESTORE_RUNNING */
	struct nv_err why;	    /* how the job failed; kind NV_OK: it did not */
	const char *result;	    /* for log and metrics */
	uint64_t started;	    /* nv_mono_ms */
	uv_timer_t timer;
	char run[NV_UUID_SIZE];	     /* numbers the lines of the log */
	struct nv_request_log lines; /* for the request's log, not yet in Redis */
	bool logging;		     /* some are on their way */
	bool renewing;		     /* so is a renewal of the lease */
	char progress_step[32];
	uint64_t done, total;
};

static inline const struct nv_restore_request *nv_restore_request(const struct restore *r)
{
	return &r->request.body.restore_request;
}

/* The thread's callbacks get the job, which is a member of its restore. */
static inline struct restore *nv_restore_of_job(void *job)
{
	return (struct restore *)((char *)job - offsetof(struct restore, job));
}

/* --- restore.c --- */

struct nv_begin {
	struct nv_delivery *delivery; /* taken */
	struct nv_envelope *ready;    /* content taken */
	struct nv_envelope *request;  /* content taken */
	const char *prefetch;	      /* token; NULL: none */
	bool on_hint;
	bool asked; /* the preflight was done */
};
/* After everything that may have kept it from beginning. */
void nv_restore_begin(struct worker *w, const struct nv_begin *b);

/* --- lease.c --- */

/* In RESTORE_RUNNING, again and again: one renewal at a time, with the progress, and one write of
 * the log.  A lost lease and a wish to cancel are handed to the job. */
void nv_restore_renew(struct restore *r);
/* Lines of the log that are not in Redis yet go there; what is asked of Redis later finds them
 * there. */
void nv_restore_write_log(struct restore *r);

#endif
