/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Claims: a worker takes a request, works on it and says how it ended. */
#ifndef NV_STATUS_CLAIMS_H
#define NV_STATUS_CLAIMS_H

#include "core/status/status.h"

enum nv_claim_result {
	NV_CLAIM_OURS,	     /* token is ours until the lease ends */
	NV_CLAIM_BUSY,	     /* somebody else's lease runs: NV_HOLD */
	NV_CLAIM_DONE,	     /* restored already */
	NV_CLAIM_FAILED,     /* failed for good already */
	NV_CLAIM_CANCELLED,  /* withdrawn (cancelling became cancelled by this call) */
	NV_CLAIM_PREFETCHED, /* another prefetches the archive: give it the message */
	NV_CLAIM_SUPERSEDED, /* a newer revision was asked for; this message is old */
};
typedef void (*nv_claim_cb)(void *arg, const struct nv_err *err, enum nv_claim_result result,
			    const char token[NV_TOKEN_SIZE]);
/* To importing.  A record that is not there is made, one of an older revision takes q.  A lease
 * that has ended leaves the state as it is; whoever claims next goes on.  A failed one may be
 * claimed again by an attempt that began after it failed, and by any with reopen: an operator has
 * put the message back.  prefetch: the token of nv_status_prefetch where the caller prefetched it
 * itself, or NULL; it ends.  token is NULL but for NV_CLAIM_OURS. */
void nv_status_claim(struct nv_status *s, const struct nv_restore_request *q, const char *attempt,
		     const char *host, uint64_t lease_ms, bool reopen, const char *prefetch,
		     nv_claim_cb cb, void *arg);
/* Prefetching: whoever fetches an archive while it is still being written holds this, so that
 * others leave the restore to it.  Taken, renewed (each time with the same token), or with lease_ms
 * 0 let go.  ours false: another prefetches it, or the request has come further or to its end.
 * ready (borrowed for the call; len 0: none): the archive.ready that another worker has met
 * meanwhile. */
void nv_status_prefetch(struct nv_status *s, const char *id, const char *token, uint64_t lease_ms,
			void (*cb)(void *arg, const struct nv_err *err, bool ours,
				   struct nv_bytes ready),
			void *arg);
/* Give archive.ready's envelope to whoever prefetches; kept for a minute. */
void nv_status_prefetch_give(struct nv_status *s, const char *id, const void *ready, size_t len,
			     nv_status_cb cb, void *arg);
enum nv_renew_result { NV_RENEW_OURS, NV_RENEW_LOST, NV_RENEW_CANCELLING };
struct nv_status_progress {
	const char *step; /* NULL: none yet */
	uint64_t done, total;
	uint64_t import_ms; /* the import has been going on for so long; 0: it has not begun */
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
	bool held;	     /* given back until what the reason says has passed */
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
 * Exception: state restored is accepted from a worker that lost its claim when nobody else has it,
 * for the course is there.  token NULL: no claim (a message rejected before it was claimed): only
 * failed; NV_HOLD/busy when somebody holds a claim; of an older revision, or when the record is
 * final already: success, nothing changes.  The same call again after an answer got lost: success.
 * ready or scheduled for a record that is cancelling makes it cancelled. */
void nv_status_finish(struct nv_status *s, const struct nv_restore_request *q, const char *token,
		      const struct nv_status_outcome *o, nv_status_cb cb, void *arg);

/* What a request was given back for (held) has passed; one that goes on already is left alone. */
void nv_status_passed(struct nv_status *s, const char *id, nv_status_cb cb, void *arg);

/* Finished history from the site: made when not there (unless only_known: what went by its age, or
 * on request, stays away), deleted marked; a record in flight is left alone.  What ended within the
 * last ten minutes is given to the notifiers again: its notice may have been lost with Redis. */
void nv_status_recall(struct nv_status *s, const struct nv_restore_request *q,
		      const struct nv_status_outcome *o, uint64_t at, bool deleted, bool only_known,
		      nv_status_cb cb, void *arg);
/* Is this a Redis that nobody has rebuilt history in?  True for exactly one asker (who then recalls
 * all), again after failure: call nv_status_rebuilt when done. */
void nv_status_needs_rebuild(struct nv_status *s,
			     void (*cb)(void *arg, const struct nv_err *err, bool yes), void *arg);
void nv_status_rebuilt(struct nv_status *s, nv_status_cb cb, void *arg);

/* The message that is next about this revision waits for what passes by itself; its state stays. */
void nv_status_waits(struct nv_status *s, const struct nv_restore_request *q, enum nv_reason reason,
		     const char *message, const char *from, nv_status_cb cb, void *arg);

/* "Enrol me": state pending, joined or an error's sentence; joined adds to record.joined. */
void nv_status_join(struct nv_status *s, const char *id, const char *user, const char *state,
		    nv_status_cb cb, void *arg);

#endif
