/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Claims: a worker claims a request, works on it and reports the result. */
#ifndef NV_STATUS_CLAIMS_H
#define NV_STATUS_CLAIMS_H

#include "core/status/status.h"

enum nv_claim_result {
	NV_CLAIM_OURS,	     /* token is ours until the lease ends */
	NV_CLAIM_BUSY,	     /* held by another worker: NV_HOLD */
	NV_CLAIM_DONE,	     /* restored already */
	NV_CLAIM_FAILED,     /* failed for good already */
	NV_CLAIM_CANCELLED,  /* withdrawn (cancelling became cancelled by this call) */
	NV_CLAIM_PREFETCHED, /* another worker prefetches the archive: hand it the message */
	NV_CLAIM_SUPERSEDED, /* a newer revision exists; this message is old */
};
typedef void (*nv_claim_cb)(void *arg, const struct nv_err *err, enum nv_claim_result result,
			    const char token[NV_TOKEN_SIZE]);
/* Moves it to importing. A missing record is created, one of an older revision is updated from q.
 * An expired lease does not change the state; the next claim continues.  A failed one may be
 * claimed again by an attempt that began after the failure, and by any attempt with reopen (an
 * operator has requeued the message).  prefetch: the caller's token of nv_status_prefetch, or NULL;
 * it is released. token is NULL except for NV_CLAIM_OURS. */
void nv_status_claim(struct nv_status *s, const struct nv_restore_request *q, const char *attempt,
		     const char *host, uint64_t lease_ms, bool reopen, const char *prefetch,
		     nv_claim_cb cb, void *arg);
/* Prefetch lease: held by the worker that fetches an archive while it is still being written, so
 * that others leave the restore to it. Taken, renewed (with the same token), or released with
 * lease_ms 0. ours false: another worker holds it, or the request is already past that stage. ready
 * (borrowed for the call; len 0: none): an archive.ready that another worker has received
 * meanwhile. */
void nv_status_prefetch(struct nv_status *s, const char *id, const char *token, uint64_t lease_ms,
			void (*cb)(void *arg, const struct nv_err *err, bool ours,
				   struct nv_bytes ready),
			void *arg);
/* Hand archive.ready's envelope to the prefetching worker; kept for a minute. */
void nv_status_prefetch_give(struct nv_status *s, const char *id, const void *ready, size_t len,
			     nv_status_cb cb, void *arg);
enum nv_renew_result { NV_RENEW_OURS, NV_RENEW_LOST, NV_RENEW_CANCELLING };
struct nv_status_progress {
	const char *step; /* NULL: none yet */
	uint64_t done, total;
	uint64_t import_ms; /* duration of the import so far; 0: it has not begun */
};
/* Heartbeat and progress in one. */
void nv_status_renew(struct nv_status *s, const char *id, const char *token, uint64_t lease_ms,
		     const struct nv_status_progress *p,
		     void (*cb)(void *arg, const struct nv_err *err, enum nv_renew_result result),
		     void *arg);
struct nv_status_outcome {
	enum nv_state state; /* restored, failed, cancelled; ready or scheduled: given back */
	const char *reason;  /* NULL: none */
	const char *message;
	bool failed_attempt; /* counts as one */
	bool held;	     /* given back until the condition named by reason is over */
	uint64_t retry_in;  /* given back after a failed attempt: ms until the next; 0: not known */
	uint64_t import_ms; /* since the import began; 0: it did not */
	/* restored: */
	const char *course;
	const char *course_url;
	const char *course_shortname;
	const char *course_fullname;
	const char *course_category;
	bool course_user_data;
	bool enrolled;
	struct nv_strs warnings;
	struct nv_list differences; /* struct nv_difference */
};
/* The last write of a claim; frees it.  NV_RETRY/claim_lost when the token is not the claim's.
 * Exception: state restored is accepted from a worker that lost its claim if nobody else holds one,
 * since the course exists. token NULL: no claim (a message rejected before it was claimed): only
 * failed is allowed; NV_HOLD/busy when another worker holds a claim; for an older revision or a
 * final record: success without any change. Repeating the call after a lost answer succeeds. ready
 * or scheduled for a record that is cancelling makes it cancelled. */
void nv_status_finish(struct nv_status *s, const struct nv_restore_request *q, const char *token,
		      const struct nv_status_outcome *o, nv_status_cb cb, void *arg);

/* The condition for which a request was given back (held) is over; no effect if it continues
 * already. */
void nv_status_passed(struct nv_status *s, const char *id, nv_status_cb cb, void *arg);

struct nv_status_recalled {
	const struct nv_status_outcome *outcome;
	uint64_t at;	 /* ms since the epoch */
	bool deleted;	 /* the course is gone since */
	bool only_known; /* a record that expired or was erased on request is not made again */
};
/* Rebuilds a finished record from the site's history: creates a missing one, marks deleted courses,
 * leaves records in progress alone. Results of the last ten minutes are notified again: their
 * notices may have been lost with Redis. */
void nv_status_recall(struct nv_status *s, const struct nv_restore_request *q,
		      const struct nv_status_recalled *r, nv_status_cb cb, void *arg);
/* Must history be rebuilt in this Redis? True for exactly one caller (which then recalls everything
 * and calls nv_status_rebuilt), and again after a failure. */
void nv_status_needs_rebuild(struct nv_status *s,
			     void (*cb)(void *arg, const struct nv_err *err, bool yes), void *arg);
void nv_status_rebuilt(struct nv_status *s, nv_status_cb cb, void *arg);

/* The message of this revision is held by a temporary condition; the state stays. */
void nv_status_waits(struct nv_status *s, const struct nv_restore_request *q, enum nv_reason reason,
		     const char *message, const char *from, nv_status_cb cb, void *arg);

/* What time it is by the clock of Redis, ms since the epoch. */
void nv_status_time(struct nv_status *s,
		    void (*cb)(void *arg, const struct nv_err *err, uint64_t now_ms), void *arg);

/* "Enrol me": state is pending, joined or an error message; joined adds the user to
 * record.joined. */
void nv_status_join(struct nv_status *s, const char *id, const char *user, const char *state,
		    nv_status_cb cb, void *arg);

#endif
