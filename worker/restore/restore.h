/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One request in the worker, between the files that serve it:
 *
 *   claim.c    the course: seen before? → claim → job, on a thread (job.c), while the lease is
 *               renewed → ended
 *   result.c   what is written of it, and what becomes of its message:
 *               restored, cancelled: status → seen → archive deleted → ack
 *               failed, held:        status → dead queue or delay tier
 *               archive damaged:     status scheduled → restore.request again → seen → … → ack */
#ifndef NV_WORKER_RESTORE_RESTORE_H
#define NV_WORKER_RESTORE_RESTORE_H

#include <stddef.h>

#include "core/daemon/request_log.h"
#include "worker/worker.h"

struct restore {
	struct restore *next;
	struct worker *w;
	struct nv_delivery *delivery;
	struct nv_envelope ready;   /* archive.ready; owned */
	struct nv_envelope request; /* the restore.request in it; owned */
	char token[NV_TOKEN_SIZE];  /* the claim's; "" before it */
	char ahead[NV_TOKEN_SIZE];  /* of whoever fetched ahead for it; "": nobody */
	/* delivery is archive.opened's, for archive.ready's is with another worker, in a delay
	 * tier: what does not succeed is left to that, and uses up no attempt. */
	bool borrowed;
	bool held; /* by what is in the way of every restore */
	struct nv_restore_job job;
	struct nv_running *running;
	struct nv_err why;  /* how the job failed; kind NV_OK: it did not */
	const char *result; /* for log and metrics */
	uint64_t started;   /* nv_mono_ms */
	uint64_t renewing;  /* nv_mono_ms when the renewal under way was sent; 0: none */
	bool ended;	    /* only a renewal under way keeps it */
	void (*step)(struct restore *r); /* what the timer does next */
	uv_timer_t timer;
	char run[NV_UUID_SIZE];	     /* numbers the lines of the log */
	struct nv_request_log lines; /* for the request's log, not yet in Redis */
	bool logging;		     /* some are on their way */
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

/* --- claim.c --- */

struct nv_begin {
	struct nv_delivery *delivery; /* taken */
	struct nv_envelope *ready;    /* content taken */
	struct nv_envelope *request;  /* content taken */
	const char *ahead;	      /* token; NULL: none */
	bool borrowed;
	bool asked; /* the preflight was done */
};
/* After everything that may have kept it from beginning. */
void nv_restore_begin(struct worker *w, const struct nv_begin *b);

/* Its delivery has been dealt with; r->result says how. */
void nv_restore_end(struct restore *r);
/* The delivery goes back to its queue. */
void nv_restore_give_back(struct restore *r);
/* Redis is away: hold the delivery and do this step again. */
void nv_restore_again(struct restore *r, void (*step)(struct restore *r));

/* Lines of the log that are not in Redis yet go there; what is asked of Redis later finds them
 * there. */
void nv_restore_write_log(struct restore *r);

/* --- result.c: each ends the restore --- */

/* The job has ended; r->why and r->job.outcome say how. */
void nv_result_of_job(struct restore *r);
/* Write r->why (or success) into the status, then deal with the message. */
void nv_result_write(struct restore *r);
/* The status needs no word: into a delay tier or the dead queue, as r->why says. */
void nv_result_settle(struct restore *r);
/* Nothing is left to be done for this message: never again, and its archive is not needed. */
void nv_result_finish(struct restore *r);
/* The same for a copy of a message that was finished. */
void nv_result_of_duplicate(struct restore *r);

#endif
