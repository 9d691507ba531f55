/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Requests as the producer makes, changes, finds and lists them. */
#ifndef NV_STATUS_REQUESTS_H
#define NV_STATUS_REQUESTS_H

#include "core/status/status.h"

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

#endif
