/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Status of requests, in Redis on the client's side. Only producer and worker link it.
 *
 * All calls are made on the loop's thread and return at once; each callback is called exactly once,
 * on the loop and never from within the call itself, with err NULL on success.  Redis away:
 * NV_RETRY/status_unavailable at once or after the configured timeout; the connection is
 * re-established automatically.  Every change of a record is one Lua script (record, indexes, event
 * stream together).
 *
 * Who may move a request where: the table in state.c (nv_state_may), p producer, k keeper, w worker
 * that holds the claim.  In short:
 *
 *   scheduled  -> exporting, ready, importing, failed, cancelled; scheduled (changed, held)
 *   exporting  -> ready, importing, failed, cancelling, scheduled (held, or again)
 *   ready      -> importing, failed, cancelled, scheduled (a new export is needed)
 *   importing  -> restored, failed, cancelling, ready or scheduled (given back)
 *   cancelling -> cancelled, failed, restored (the import had committed)
 *   failed, cancelled -> scheduled (retry: next revision)
 *   failed     -> exporting, ready, scheduled (held), importing, failed (anew): an operator put its
 *                 message back from the dead queue, and an attempt begun after it failed speaks or
 *                 claims
 *   any but restored -> restored, by a worker that had lost its claim: the course is there
 *
 * After a loss of Redis: records of unpublished requests are rebuilt from the producer's disk
 * (nv_status_accepted), those of others in progress from the next message about them (each carries
 * the whole request), restored ones from the site's history (nv_status_recall). */
#ifndef NV_STATUS_H
#define NV_STATUS_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "core/config/config.h"
#include "proto/inventory.h"
#include "proto/messages.h"

/* X(name, final) */
#define NV_STATES(X)         \
	X(scheduled, false)  \
	X(exporting, false)  \
	X(ready, false)      \
	X(importing, false)  \
	X(restored, true)    \
	X(failed, true)      \
	X(cancelling, false) \
	X(cancelled, true)
enum nv_state {
#define X(name, final) NV_ST_##name,
	NV_STATES(X)
#undef X
		NV_ST_COUNT
};
const char *nv_state_word(enum nv_state s);
enum nv_state nv_state_from(const char *word); /* NV_ST_COUNT: no such state */
bool nv_state_final(enum nv_state s);
/* who: 'p', 'k' or 'w' */
bool nv_state_may(char who, enum nv_state from, enum nv_state to);

struct nv_status;

struct nv_status_record {
	struct nv_restore_request request; /* the present (highest) revision */
	enum nv_state state;
	char *step;    /* export, upload, fetch, import; NULL: none */
	uint64_t done; /* bytes of the step */
	uint64_t total;
	char *reason;	   /* nv_reason_word of the last failure or hold; NULL: none */
	char *message;	   /* its sentence */
	char *attempt;	   /* the export attempt last heard of */
	uint64_t failures; /* attempts that failed so far */
	uint64_t next_try; /* after a failed attempt: when the next is due, ms since the epoch */
	uint64_t held;	   /* since when it waits for what passes by itself (reason), ms; 0: it
			      does not */
	char *host;	   /* the host that works or worked on it */
	bool published;	   /* the broker has confirmed it */
	uint64_t created;  /* ms since the epoch, these four; 0: not yet */
	uint64_t modified;
	uint64_t started;
	uint64_t finished;
	uint64_t archived; /* since when its archive is in the store, ms since the epoch; 0: it is
			      not, or nobody noted it (a record from before 0.2) */
	uint64_t place; /* among this client's that wait for the same course server, from 1; 0: it
			   does not */
	/* once restored */
	char *course;
	char *course_url;
	char *course_shortname;
	char *course_fullname;
	char *course_category;
	bool course_user_data;
	bool course_deleted;
	bool enrolled; /* the requester */
	struct nv_strs warnings;
	struct nv_list differences; /* struct nv_difference: what did not arrive */
	struct nv_strs joined;	    /* users that joined by "enrol me" */
};

struct nv_status_options {
	const struct nv_config *config; /* section redis; borrowed */
	void (*on_state_cb)(void *arg, bool up, const struct nv_err *err);
	void *arg;
};
struct nv_status *nv_status_new(uv_loop_t *loop, const struct nv_status_options *o,
				struct nv_err *err);
bool nv_status_up(const struct nv_status *s);
/* Calls in flight end with NV_RETRY, followers and notifiers end, too; on_closed_cb is called when
 * nothing is left on the loop. No calls after this one. */
void nv_status_close(struct nv_status *s, void (*on_closed_cb)(void *arg), void *arg);

typedef void (*nv_status_cb)(void *arg, const struct nv_err *err);
/* rec is borrowed for the call; NULL on error. */
typedef void (*nv_record_cb)(void *arg, const struct nv_err *err,
			     const struct nv_status_record *rec);

#endif
