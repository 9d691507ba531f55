/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Status events of course servers, and the stream of all changes. */
#ifndef NV_STATUS_EVENTS_H
#define NV_STATUS_EVENTS_H

#include "core/status/status.h"

/* Applies a site's status event; site: from the verified key. Outdated events (lower rev, lower seq
 * of the same attempt, a final state of this revision, restored) succeed without any change; but a
 * failed record continues with an attempt that began after the failure. A missing record is
 * created, unless the revision was withdrawn. Log lines of outdated events are kept, too, each
 * once. */
void nv_status_apply_event(struct nv_status *s, const struct nv_restore_request *q,
			   const struct nv_status_event *e, nv_status_cb cb, void *arg);

/* One entry of the stream: a request changed (kind "request": read the record for the rest), or
 * something else happened ("catalog", "join"). */
struct nv_status_change_event {
	const char *cursor; /* stream id, for Last-Event-ID */
	const char *kind;
	const char *id;	   /* request; or what the kind says */
	const char *user;  /* requester; may be NULL */
	const char *state; /* new state; NULL: only progress */
	uint64_t rev;
	const char *step;
	uint64_t done;
	uint64_t total;
	const char *reason;
	const char *message;
	uint64_t next_try; /* as in the record, both */
	uint64_t held;
	/* notices only: */
	uint64_t first;	  /* first delivery, ms since the epoch */
	uint64_t tries;	  /* how often it was put back */
	const char *told; /* what nv_notice_later was given; NULL: nobody */
};
/* The kind of the event after which producers repeat what was withdrawn (nv_status_withdrawn). */
#define NV_STATUS_EMPTIED "emptied"
typedef void (*nv_follow_cb)(void *arg, const struct nv_status_change_event *e);
struct nv_follow;
/* Every event after the cursor ("$": from now on), on a connection of its own, kept up across
 * reconnects; "0-0": from the beginning. lost_cb (may be NULL): the stream was emptied or trimmed
 * beyond the cursor; reload. caught_up_cb (may be NULL): once, after all existing events. */
struct nv_follow *nv_status_follow(struct nv_status *s, const char *cursor, nv_follow_cb cb,
				   void (*lost_cb)(void *arg), void (*caught_up_cb)(void *arg),
				   void *arg);
void nv_status_unfollow(struct nv_follow *f);
/* Append an event of another kind. */
void nv_status_announce(struct nv_status *s, const char *kind, const char *id, const char *user,
			nv_status_cb cb, void *arg);

#endif
