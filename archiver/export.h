/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One request in the archiver, between the two files that serve it:
 *
 *   export.c   the course: started by the intake → exported and uploaded on a thread → ended
 *   export_result.c  what is said of it, and what becomes of its message:
 *              done:   archive.ready confirmed → status ready → ack
 *              failed: status failed, held or cancelled confirmed → dead queue, delay tier or ack
 */
#ifndef NV_ARCHIVER_EXPORT_H
#define NV_ARCHIVER_EXPORT_H

#include <stdatomic.h>

#include "archiver/archiver.h"
#include "core/daemon/request_log.h"

struct export
{
	struct export *next;
	struct archiver *a;
	struct nv_delivery *delivery;
	struct nv_envelope env; /* the request; owned */
	struct nv_buf sealed;	/* the request's envelope as the client signed it */
	char attempt[NV_UUID_SIZE];
	unsigned outages;	     /* its message was held by so many before */
	struct nv_running *running;  /* NULL: the thread has ended */
	uint64_t started;	     /* nv_mono_ms */
	uint64_t seq;		     /* of status events */
	uint64_t reported;	     /* nv_mono_ms of the last progress event */
	bool reporting;		     /* a progress event is not confirmed yet */
	atomic_bool opened;	     /* by the thread: objects are in the store */
	bool announced;		     /* archive.opened was sent */
	struct nv_err why;	     /* how it failed */
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

/* export.c: its delivery has been dealt with. */
void nv_export_free(struct export *e);

/* export_result.c */
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
/* Its first objects are in the store: whoever is to restore it may begin to fetch. */
void nv_export_announce(struct export *e);
/* The archive is in the store.  Ends the export. */
void nv_export_succeeded(struct export *e);
/* e->why says how it failed.  Ends the export. */
void nv_export_failed(struct export *e);

#endif
