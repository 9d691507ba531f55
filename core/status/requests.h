/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Creating, changing, finding and listing requests, for the producer. */
#ifndef NV_STATUS_REQUESTS_H
#define NV_STATUS_REQUESTS_H

#include "core/status/status.h"

/* Creates a scheduled request. only_one: NV_REJECT/already_restored when another request holds the
 * same site and course, unless that failed, was cancelled, or its course was deleted (rec is then
 * that other one). The same id again: success without any change. */
void nv_status_create(struct nv_status *s, const struct nv_restore_request *q, bool only_one,
		      nv_record_cb cb, void *arg);
/* For an accepted revision that was not published yet: returns the record, which may be of a newer
 * revision; creates it again, unpublished, if this Redis does not have it. only_one, if another
 * request holds the course by now: one of the same person replaces it (NV_REJECT/already_restored),
 * anybody else's makes it fail. NV_REJECT/not_found: it was removed, and is not created again. */
void nv_status_accepted(struct nv_status *s, const struct nv_restore_request *q, bool only_one,
			nv_record_cb cb, void *arg);
enum nv_taken_back {
	NV_GONE,   /* the record was removed; creating it again makes a new one */
	NV_SHARED, /* another call created it as well, and may have accepted it */
	NV_STAYS,  /* this revision was published, changed or finished meanwhile: it continues */
};
/* Undoes a creation, for one of its callers. */
void nv_status_take_back(struct nv_status *s, const char *id, uint64_t rev,
			 void (*cb)(void *arg, const struct nv_err *err, enum nv_taken_back what),
			 void *arg);
/* Undoes a change, within ten minutes: the record is as before; a final state is not notified
 * again. NV_REJECT/conflict: it was published, changed or started meanwhile. */
void nv_status_undo(struct nv_status *s, const char *id, uint64_t rev, nv_record_cb cb, void *arg);
/* The broker has confirmed this revision. */
void nv_status_published(struct nv_status *s, const char *id, uint64_t rev, nv_status_cb cb,
			 void *arg);
/* Replace the request by q (q->rev must be the present revision + 1): change while scheduled, run
 * now, retry of a failed or cancelled one.  NV_REJECT/conflict in another state or revision;
 * not_found; already_restored as in create. */
void nv_status_change(struct nv_status *s, const struct nv_restore_request *q, bool only_one,
		      nv_record_cb cb, void *arg);
/* Moves it to cancelled, or to cancelling while it is being worked on. NV_REJECT/conflict when it
 * is final. Repeated while cancelling: no effect, unless nothing was heard for ten minutes and no
 * claim is held; then it is cancelled. */
void nv_status_cancel(struct nv_status *s, const char *id, const char *by, nv_record_cb cb,
		      void *arg);

/* A revision that is no longer wanted, nor are those before it; cancelled: nor is a newer one. */
struct nv_withdrawal {
	char id[NV_UUID_SIZE];
	uint64_t rev;
	bool cancelled;
};
#define NV_WITHDRAWALS_MAX 500u
/* Repeats, to a Redis that may have lost it, what was withdrawn: for 31 days no message of such a
 * revision creates a record (but the course server's that it has cancelled a cancelled one), and
 * none is claimed; a record that one has created already is cancelled (if cancelled).  For ten
 * seconds after the first message without a record nothing is claimed: in this time the producers
 * call this (nv_status_follow brings an event "emptied"). At most NV_WITHDRAWALS_MAX. */
void nv_status_withdrawn(struct nv_status *s, const struct nv_withdrawal *list, size_t len,
			 nv_status_cb cb, void *arg);

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
/* recs borrowed for the call; total: the number of matches (with a text or person, or sorted by
 * other than creation or change, records that change during the search may be missed). */
typedef void (*nv_list_cb)(void *arg, const struct nv_err *err, const struct nv_status_record *recs,
			   size_t len, uint64_t total);
void nv_status_list(struct nv_status *s, const struct nv_status_filter *f, nv_list_cb cb,
		    void *arg);
/* How many in each state. */
void nv_status_counts(struct nv_status *s,
		      void (*cb)(void *arg, const struct nv_err *err,
				 const uint64_t counts[NV_ST_COUNT]),
		      void *arg);
/* The holders of these courses of a site (for the only_one rule and the pages' "performed by"):
 * recs has, for each course id that has one, its holding or latest restored request. */
void nv_status_holders(struct nv_status *s, const char *site, const char *const *courses,
		       size_t len, nv_list_cb cb, void *arg);
/* Requests not confirmed as published and not swept for age_ms, at most 1000, the longest waiting
 * first; total: the number of all. Each is returned once in that time. */
void nv_status_unpublished(struct nv_status *s, uint64_t age_ms, nv_list_cb cb, void *arg);
/* The broker has lost its messages: all unfinished requests that are not being cancelled count as
 * unpublished. requests: their number. */
void nv_status_republish(struct nv_status *s,
			 void (*cb)(void *arg, const struct nv_err *err, uint64_t requests),
			 void *arg);

/* The same for requests of this course server that are held for this reason. */
void nv_status_republish_held(struct nv_status *s, const char *site, const char *reason,
			      void (*cb)(void *arg, const struct nv_err *err, uint64_t requests),
			      void *arg);

/* The broker has no queue for this revision: recorded, and swept again after growing intervals;
 * after give_up_ms the request fails with the reason unroutable. */
void nv_status_unroutable(struct nv_status *s, const char *id, uint64_t rev, uint64_t give_up_ms,
			  const char *message, nv_status_cb cb, void *arg);

#endif
