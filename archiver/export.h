/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One request in the archiver:
 *
 *   export.c         the flow, on the loop: started by the intake → exported → told → message dealt
 *                    with
 *   export_job.c     the course, on a thread: from the site into the store
 *   export_report.c  what the client is told */
#ifndef NV_ARCHIVER_EXPORT_H
#define NV_ARCHIVER_EXPORT_H

#include <stdatomic.h>

#include "archiver/archiver.h"
#include "core/daemon/request_log.h"

enum export_state {
	EXPORT_NEW,	 /* taken from the queue; nothing was done or said */
	EXPORT_RUNNING,	 /* its thread works, and only that touches what it writes; the loop tells
			  * progress, may cancel and stop it, and adopt a redelivery */
	EXPORT_SENDING,	 /* the archive is in the store; waits for the confirm of archive.ready */
	EXPORT_TELLING,	 /* waits for the confirm of the status.event about its end; `why` stands */
	EXPORT_SETTLING, /* the bus has the delivery, for a delay tier or the dead queue: a
			  * redelivery is no longer adopted */
	EXPORT_ENDED,	 /* the delivery has been dealt with: freed at once */
};

struct export
{
	struct export *next;
	struct archiver *a;
	enum export_state state; /* changed by move() of export.c only */
	struct nv_delivery *delivery;
	struct nv_envelope env; /* the request; owned */
	struct nv_buf sealed;	/* the request's envelope as the client signed it */
	char attempt[NV_UUID_SIZE];
	unsigned outages;	     /* its message was held by so many before */
	struct nv_running *running;  /* in EXPORT_RUNNING */
	uint64_t started;	     /* nv_mono_ms */
	uint64_t seq;		     /* of status events */
	uint64_t reported;	     /* nv_mono_ms of the last progress event */
	bool reporting;		     /* a progress event is not confirmed yet */
	atomic_bool opened;	     /* by the thread: objects are in the store, to be announced */
	struct nv_err why;	     /* how it failed; kind NV_OK: it has not */
	struct nv_request_log lines; /* for the request's log, not yet with the client */
	/* written by the thread, read after it ended */
	struct nv_arena arena;
	struct nv_manifest about;
	struct nv_strs warnings;
	uint8_t manifest_sha256[NV_SHA256_LEN];
	uint64_t manifest_size, size, entries, sent, saved;
};

static inline const struct nv_restore_request *nv_export_request(const struct export *e)
{
	return &e->env.body.restore_request;
}

/* export_job.c: work of nv_run; arg is the export.  When it has ended the archive is whole in the
 * store, or deleted. */
int nv_export_work(struct nv_job *job, void *arg, struct nv_err *err);

/* export_report.c */
struct nv_report {
	enum nv_event_state state;
	const char *step;
	uint64_t done, total;
	const struct nv_err *why;
	bool passing; /* progress: worthless soon */
};
/* Tell the client, and give it the lines of the log that it may not have; cb as in nv_bus_publish.
 */
void nv_export_report(struct export *e, const struct nv_report *r,
		      void (*cb)(void *arg, const struct nv_err *err), void *arg);
/* How far it is, not more often than once a second. */
void nv_export_progress(struct export *e, const char *step, uint64_t done, uint64_t total);
/* The archive is in the store: archive.ready to the client's workers. */
void nv_export_send_ready(struct export *e, void (*cb)(void *arg, const struct nv_err *err),
			  void *arg);

#endif
