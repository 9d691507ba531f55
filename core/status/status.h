/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Status: what everybody may know about a request, in Redis, beside the client's Moodle.
 * Only producer and worker link it.
 *
 * All calls are made on the loop's thread and return at once; each callback is called exactly once,
 * on the loop and never from within the call itself, with err NULL on success.  Redis away:
 * NV_RETRY/status_unavailable at once or after the configured timeout; the connection comes back by
 * itself.  Every change of a record is one Lua script (record, indexes, event stream together).
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
 * Losing Redis: records of requests that the broker has not got come back from the producer's disk
 * (nv_status_accepted), of others in flight with the next message about them (each carries the
 * whole request), restored ones from the site's history (nv_status_recall). */
#ifndef NV_STATUS_H
#define NV_STATUS_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "core/base/config.h"
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
	struct nv_restore_request request; /* as it is wanted now (highest revision) */
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
	char *host;	   /* who works or worked on it */
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
/* Calls in flight get NV_RETRY, followers and notifiers end too; on_closed_cb comes when nothing of
 * it is left on the loop.  No calls after this one. */
void nv_status_close(struct nv_status *s, void (*on_closed_cb)(void *arg), void *arg);

typedef void (*nv_status_cb)(void *arg, const struct nv_err *err);
/* rec is borrowed for the call; NULL on error. */
typedef void (*nv_record_cb)(void *arg, const struct nv_err *err,
			     const struct nv_status_record *rec);

/* --- producer --- */

/* A new request, scheduled.  only_one: NV_REJECT/already_restored when another request that is
 * neither failed nor cancelled nor of a deleted course holds the same site and course (rec is then
 * that other one).  The same id again: success, nothing changes. */
void nv_status_create(struct nv_status *s, const struct nv_restore_request *q, bool only_one,
		      nv_record_cb cb, void *arg);
/* A revision that was accepted and that the broker has not got: the record as it is, which may be
 * of a newer one; made again, unpublished, where this Redis has not heard of it.  only_one, where
 * another holds the course by now: one of the same person's takes its place
 * (NV_REJECT/already_restored), anybody else's makes it fail.  NV_REJECT/not_found: it was removed,
 * and stays away. */
void nv_status_accepted(struct nv_status *s, const struct nv_restore_request *q, bool only_one,
			nv_record_cb cb, void *arg);
enum nv_taken_back {
	NV_GONE,   /* the record was removed; created again it is a new one */
	NV_SHARED, /* another call created it as well, and may have been able to keep it */
	NV_STAYS,  /* this revision was published, changed or ended meanwhile: it goes on */
};
/* A new request is refused after all, to one of those who created it. */
void nv_status_take_back(struct nv_status *s, const char *id, uint64_t rev,
			 void (*cb)(void *arg, const struct nv_err *err, enum nv_taken_back what),
			 void *arg);
/* A changed revision is refused after all: the record is what it was before, for ten minutes after
 * the change; nobody is told again of a final state.  NV_REJECT/conflict: it was published, changed
 * or begun meanwhile. */
void nv_status_undo(struct nv_status *s, const char *id, uint64_t rev, nv_record_cb cb, void *arg);
/* The broker has confirmed this revision. */
void nv_status_published(struct nv_status *s, const char *id, uint64_t rev, nv_status_cb cb,
			 void *arg);
/* Replace the request by q (q->rev must be the present revision + 1): change while scheduled, run
 * now, retry of a failed or cancelled one.  NV_REJECT/conflict in another state or revision;
 * not_found; already_restored as in create. */
void nv_status_change(struct nv_status *s, const struct nv_restore_request *q, bool only_one,
		      nv_record_cb cb, void *arg);
/* To cancelled, or to cancelling where somebody works on it.  NV_REJECT/conflict when it is final.
 * Again on one that is cancelling: nothing changes, unless it was silent for ten minutes and nobody
 * holds a claim; then it is cancelled. */
void nv_status_cancel(struct nv_status *s, const char *id, const char *by, nv_record_cb cb,
		      void *arg);

void nv_status_get(struct nv_status *s, const char *id, nv_record_cb cb, void *arg);
enum nv_status_sort {
	NV_SORT_CREATED,
	NV_SORT_MODIFIED,
	NV_SORT_FINISHED,
	NV_SORT_USER,	/* as shown: full name, else the identity */
	NV_SORT_COURSE, /* as shown: full name, else short name, else id */
};
struct nv_status_filter {
	const char *user;   /* requester; NULL: all */
	uint32_t states;    /* mask of 1u << NV_ST_…; 0: all */
	const char *site;   /* NULL: all */
	const char *course; /* remote course id; NULL: all */
	const char *text;   /* part of a name, of the course's id or the request's; any case */
	const char *person; /* part of the requester's or the submitter's name or identity */
	enum nv_status_sort sort;
	bool ascending;	 /* otherwise newest, or last, first */
	uint64_t offset; /* into that order */
	uint64_t limit;	 /* at most 1000 */
};
/* recs borrowed for the call; total: how many match (exact, but for what changes while records are
 * looked into: with a text or a person, or sorted by anything but creation and change). */
typedef void (*nv_list_cb)(void *arg, const struct nv_err *err, const struct nv_status_record *recs,
			   size_t len, uint64_t total);
void nv_status_list(struct nv_status *s, const struct nv_status_filter *f, nv_list_cb cb,
		    void *arg);
/* How many in each state. */
void nv_status_counts(struct nv_status *s,
		      void (*cb)(void *arg, const struct nv_err *err,
				 const uint64_t counts[NV_ST_COUNT]),
		      void *arg);
/* Who holds these courses of a site (only_one rule and the pages' "performed by"): recs holds, for
 * each course id that has one, its holding or latest restored request. */
void nv_status_holders(struct nv_status *s, const char *site, const char *const *courses,
		       size_t len, nv_list_cb cb, void *arg);
/* Requests never confirmed as published and not swept for age_ms, at most 1000, those that wait
 * longest first; total: how many there are.  Each is given once in that time. */
void nv_status_unpublished(struct nv_status *s, uint64_t age_ms, nv_list_cb cb, void *arg);
/* All that have not ended, and are not being cancelled, count as never confirmed: the broker has
 * lost its messages.  requests: how many. */
void nv_status_republish(struct nv_status *s,
			 void (*cb)(void *arg, const struct nv_err *err, uint64_t requests),
			 void *arg);

/* The same of those of this course server that are held for this reason. */
void nv_status_republish_held(struct nv_status *s, const char *site, const char *reason,
			      void (*cb)(void *arg, const struct nv_err *err, uint64_t requests),
			      void *arg);

/* The broker has no queue for this revision: the record says so, the sweep gets it again after a
 * growing time, and once it has been so for give_up_ms it is failed with the reason unroutable. */
void nv_status_unroutable(struct nv_status *s, const char *id, uint64_t rev, uint64_t give_up_ms,
			  const char *message, nv_status_cb cb, void *arg);

/* --- keeper (in the producer) --- */

/* Apply what a site said; site: from the verified key.  Old news (lower rev, lower seq of the same
 * attempt, a final state) changes nothing and succeeds; but a failed record goes on with an attempt
 * that began after it failed.  A record that is not there is made.  Lines for the log are kept from
 * old news, too, each once. */
void nv_status_event(struct nv_status *s, const struct nv_restore_request *q,
		     const struct nv_status_event *e, nv_status_cb cb, void *arg);

/* --- worker --- */

enum nv_claim_result {
	NV_CLAIM_OURS,	     /* token is ours until the lease ends */
	NV_CLAIM_BUSY,	     /* somebody else's lease runs: NV_HOLD */
	NV_CLAIM_DONE,	     /* restored already */
	NV_CLAIM_FAILED,     /* failed for good already */
	NV_CLAIM_CANCELLED,  /* withdrawn (cancelling became cancelled by this call) */
	NV_CLAIM_AHEAD,	     /* another has most of the archive already: give it the message */
	NV_CLAIM_SUPERSEDED, /* a newer revision was asked for; this message is old */
};
typedef void (*nv_claim_cb)(void *arg, const struct nv_err *err, enum nv_claim_result result,
			    const char token[NV_TOKEN_SIZE]);
/* To importing.  A record that is not there is made, one of an older revision takes q.  A lease
 * that has ended leaves the state as it is; whoever claims next goes on.  A failed one may be
 * claimed again by an attempt that began after it failed, and by any with reopen: an operator has
 * put the message back.  ahead: the token of nv_status_ahead where the caller was ahead itself, or
 * NULL; it ends.  token is NULL but for NV_CLAIM_OURS. */
void nv_status_claim(struct nv_status *s, const struct nv_restore_request *q, const char *attempt,
		     const char *host, uint64_t lease_ms, bool reopen, const char *ahead,
		     nv_claim_cb cb, void *arg);
/* Fetching ahead: whoever fetches an archive while it is still being written holds this, so that
 * others leave the restore to it.  Taken, renewed (each time with the same token), or with lease_ms
 * 0 let go.  ours false: another is ahead, or the request has come further or to its end.  ready
 * (borrowed for the call; len 0: none): the archive.ready that another worker has met meanwhile. */
void nv_status_ahead(struct nv_status *s, const char *id, const char *token, uint64_t lease_ms,
		     void (*cb)(void *arg, const struct nv_err *err, bool ours,
				struct nv_bytes ready),
		     void *arg);
/* Give archive.ready's envelope to whoever is ahead; kept for a minute. */
void nv_status_ahead_give(struct nv_status *s, const char *id, const void *ready, size_t len,
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

/* --- both --- */

/* A request's log, for administrators: every change of state with its reason (the scripts write
 * that themselves), and what the attempts had to say.  At most 500 lines a request, the newest;
 * a request that history brought back has none. */
struct nv_status_line {
	uint64_t at;	   /* ms since the epoch, by the clock of whoever says it */
	const char *from;  /* "producer", "archiver HOST", "worker HOST" */
	const char *level; /* of nv_level_words */
	const char *text;
};
/* source: what numbers the lines, from 0 (a UUID); first: the number of lines[0].  What was given
 * before under the same numbers is left out, so whoever got no answer gives the same again.
 * NV_REJECT/not_found without a record. */
void nv_status_log(struct nv_status *s, const char *id, const char *source, const char *from,
		   uint64_t first, const struct nv_log_line *lines, size_t len, nv_status_cb cb,
		   void *arg);
/* Oldest first; borrowed for the call.  dropped: older ones that are gone. */
typedef void (*nv_log_cb)(void *arg, const struct nv_err *err, const struct nv_status_line *lines,
			  size_t len, uint64_t dropped);
void nv_status_log_read(struct nv_status *s, const char *id, nv_log_cb cb, void *arg);

/* --- forgetting somebody, or what is old (forget.c) --- */

struct nv_forgotten {
	uint64_t removed; /* records that had ended, with their logs */
	uint64_t kept;	  /* records that have not: cancel them, or wait */
	uint64_t traces;  /* wishes to join, entries of the streams */
};
/* What is here about a user (their name on the course servers).  Not: sessions, answers that are
 * kept for some minutes, rows of digests; these end by themselves, the last after 31 days.  dry:
 * only counts records, and changes nothing. */
void nv_status_forget(struct nv_status *s, const char *user, bool dry,
		      void (*cb)(void *arg, const struct nv_err *err,
				 const struct nv_forgotten *what),
		      void *arg);

/* Archives of requests that nv_status_forget removed, each "<site>/<id>", at most so many: they
 * must leave the store.  done: those of before that have.  Borrowed for the call. */
void nv_status_unstore(struct nv_status *s, const char *const *done, size_t len, uint64_t most,
		       void (*cb)(void *arg, const struct nv_err *err, const char *const *archives,
				  size_t len),
		       void *arg);

/* Records that have ended and that nothing has changed for age_ms go, with their logs; others are
 * counted as kept.  A message about one of them does not bring it back (31 days). */
void nv_status_expire(struct nv_status *s, uint64_t age_ms,
		      void (*cb)(void *arg, const struct nv_err *err,
				 const struct nv_forgotten *what),
		      void *arg);

/* --- who is there, and where time goes (survey.c) --- */

/* Say that somebody is there, with what there is to know (a text of any kind); again before ttl_ms
 * is over.  0: for ever, so that one sees when it was said last. */
void nv_status_present(struct nv_status *s, const char *name, const char *value, uint64_t ttl_ms,
		       nv_status_cb cb, void *arg);
/* They have gone. */
void nv_status_absent(struct nv_status *s, const char *name, nv_status_cb cb, void *arg);
struct nv_presence {
	const char *name;
	const char *value;
	uint64_t at; /* when it was said last, ms since the epoch, by Redis's clock */
};
/* Borrowed for the call; the one that was heard last is last. */
void nv_status_presences(struct nv_status *s,
			 void (*cb)(void *arg, const struct nv_err *err,
				    const struct nv_presence *list, size_t len),
			 void *arg);

/* How many requests of each site are in each state; counts[i] is of sites[i]. */
void nv_status_site_counts(struct nv_status *s, const char *const *sites, size_t len,
			   void (*cb)(void *arg, const struct nv_err *err,
				      const uint64_t (*counts)[NV_ST_COUNT], size_t len),
			   void *arg);

/* How long the request that waits longest for each course server has waited, ms; 0: none waits. */
void nv_status_oldest(struct nv_status *s, const char *const *sites, size_t len,
		      void (*cb)(void *arg, const struct nv_err *err, const uint64_t *ms,
				 size_t len),
		      void *arg);

/* What a request spends its time on, all attempts of its present revision together.
 * X(name): queued (at the course server), export, upload, wait (for a worker), download, import */
#define NV_PHASES(X) \
	X(queued)    \
	X(export)    \
	X(upload)    \
	X(wait)      \
	X(download)  \
	X(import)
enum nv_phase {
#define X(name) NV_PH_##name,
	NV_PHASES(X)
#undef X
		NV_PH_COUNT
};
struct nv_status_spent {
	const char *id;
	const char *site;
	uint64_t finished;
	uint64_t ms[NV_PH_COUNT];
};
/* Of the newest restored requests, at most `most` (up to 1000); borrowed for the call. */
void nv_status_steps(struct nv_status *s, uint64_t most,
		     void (*cb)(void *arg, const struct nv_err *err,
				const struct nv_status_spent *list, size_t len),
		     void *arg);

/* Remember that a message was handled to its end; first: nobody had. */
void nv_status_seen(struct nv_status *s, const char *mid, uint64_t ttl_ms,
		    void (*cb)(void *arg, const struct nv_err *err, bool first), void *arg);
/* Has it been? (without remembering) */
void nv_status_was_seen(struct nv_status *s, const char *mid,
			void (*cb)(void *arg, const struct nv_err *err, bool seen), void *arg);

/* Small values with a life time: sessions, idempotency keys, catalog answers, throttles.  value is
 * binary; NULL in get's callback: not there. */
void nv_kv_set(struct nv_status *s, const char *key, const void *value, size_t len, uint64_t ttl_ms,
	       bool only_if_absent, void (*cb)(void *arg, const struct nv_err *err, bool set),
	       void *arg);
void nv_kv_get(struct nv_status *s, const char *key,
	       void (*cb)(void *arg, const struct nv_err *err, const void *value, size_t len),
	       void *arg);
void nv_kv_del(struct nv_status *s, const char *key, nv_status_cb cb, void *arg);
/* Add 1, start the life time at the first; the new value. */
void nv_kv_count(struct nv_status *s, const char *key, uint64_t ttl_ms,
		 void (*cb)(void *arg, const struct nv_err *err, uint64_t value), void *arg);
/* How much of its life time is left, ms; 0: there is no such value. */
void nv_kv_left(struct nv_status *s, const char *key,
		void (*cb)(void *arg, const struct nv_err *err, uint64_t ms), void *arg);

/* --- events --- */

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
	uint64_t first;	  /* when it was given out first, ms since the epoch */
	uint64_t tries;	  /* how often it was put back */
	const char *told; /* what nv_notice_later was given; NULL: nobody */
};
typedef void (*nv_follow_cb)(void *arg, const struct nv_status_change_event *e);
struct nv_follow;
/* Every event after the cursor ("$": from now on), on a connection of its own, kept up across
 * reconnects; "0-0": from the beginning.  lost_cb (may be NULL): the stream was emptied or cut
 * before the cursor, read anew.  caught_up_cb (may be NULL): once, when all that was there has been
 * told. */
struct nv_follow *nv_status_follow(struct nv_status *s, const char *cursor, nv_follow_cb cb,
				   void (*lost_cb)(void *arg), void (*caught_up_cb)(void *arg),
				   void *arg);
void nv_status_unfollow(struct nv_follow *f);
/* Append an event of another kind. */
void nv_status_announce(struct nv_status *s, const char *kind, const char *id, const char *user,
			nv_status_cb cb, void *arg);

/* Final states, each given to one of all notifiers: taken → nv_notice_done, or given to another (or
 * to the same one again) after a minute.  One at a time per follower.  cursor here is of the
 * notices' own stream.  Of what nv_status_recall makes, only the latest.
 * consumer: a name that stays, e.g. the host's; several may share it. */
struct nv_notices;
struct nv_notices *nv_status_notices(struct nv_status *s, const char *consumer, nv_follow_cb cb,
				     void *arg);
void nv_notice_done(struct nv_notices *n, const char *cursor);
/* Put it back: given out again after delay_ms, to anybody, with one more in tries.  told: who needs
 * no more telling.  Where this call gets lost with its worker or Redis, the notice comes again as
 * one that was not done. */
void nv_notice_later(struct nv_notices *n, const char *cursor, uint64_t delay_ms, const char *told);
void nv_status_notices_close(struct nv_notices *n);

/* Digests: of many failures within a window administrators hear the first one by one, and of the
 * others once a window, together.  A digest is a notice of the kind "digest" (its id is no
 * request's), due a window after it was opened. */
#define NV_DIGEST_ROWS 20u    /* the first that it holds; of the others the number only */
#define NV_DIGEST_REASONS 64u /* different ones */
struct nv_digest_row {
	const char *id, *course /* its name */, *site, *user, *reason; /* NULL: not known */
};
struct nv_digest_failure {
	struct nv_digest_row row;
	uint64_t rev;
};
/* collected: a digest will tell of it.  Asked again, for the same id, revision and time of its end,
 * it answers the same.  alone: how many within window_ms are told by themselves.
 * NV_REJECT/not_found: no such request any more. */
typedef void (*nv_digest_add_cb)(void *arg, const struct nv_err *err, bool collected);
void nv_status_digest_add(struct nv_status *s, const struct nv_digest_failure *f, uint64_t alone,
			  uint64_t window_ms, nv_digest_add_cb cb, void *arg);
struct nv_digest {
	uint64_t total;
	uint64_t since; /* ms since the epoch */
	struct nv_digest_count {
		const char *reason;
		uint64_t number;
	} counts[NV_DIGEST_REASONS]; /* the most frequent first */
	size_t counts_len;
	struct nv_digest_row rows[NV_DIGEST_ROWS];
	size_t rows_len;
};
/* It takes no more failures from now on.  d is borrowed for the call; NULL on error. */
typedef void (*nv_digest_cb)(void *arg, const struct nv_err *err, const struct nv_digest *d);
void nv_status_digest_read(struct nv_status *s, const char *id, nv_digest_cb cb, void *arg);

#endif
