/* SPDX-License-Identifier: GPL-3.0-or-later */
/* For administrators: erasing a user's or old records, presences, and time spent in each step. */
#ifndef NV_STATUS_ADMIN_H
#define NV_STATUS_ADMIN_H

#include "core/status/status.h"

struct nv_forgotten {
	uint64_t removed; /* finished records, with their logs */
	uint64_t kept;	  /* unfinished records: cancel them, or wait */
	uint64_t traces;  /* wishes to join, entries of the streams */
};
/* Erases what Redis holds about a user (their name on the course servers). Not erased: sessions,
 * answers cached for minutes, rows of digests; these expire, the last after 31 days. dry: only
 * counts records. */
void nv_status_forget(struct nv_status *s, const char *user, bool dry,
		      void (*cb)(void *arg, const struct nv_err *err,
				 const struct nv_forgotten *what),
		      void *arg);

/* The archives of erased requests, each "<site>/<id>", at most so many: they must be deleted from
 * the store. done: those returned before that are deleted. Borrowed for the call. */
void nv_status_unstore(struct nv_status *s, const char *const *done, size_t len, uint64_t most,
		       void (*cb)(void *arg, const struct nv_err *err, const char *const *archives,
				  size_t len),
		       void *arg);

/* Removes finished records unchanged for age_ms, with their logs; others are counted as kept. For
 * 31 days a late message does not create a removed record again. */
void nv_status_expire(struct nv_status *s, uint64_t age_ms,
		      void (*cb)(void *arg, const struct nv_err *err,
				 const struct nv_forgotten *what),
		      void *arg);

/* Announces a presence with a value (any text); to be repeated before ttl_ms is over. 0: it never
 * expires, and shows when it was announced last. */
void nv_status_present(struct nv_status *s, const char *name, const char *value, uint64_t ttl_ms,
		       nv_status_cb cb, void *arg);
/* They have gone. */
void nv_status_absent(struct nv_status *s, const char *name, nv_status_cb cb, void *arg);
struct nv_presence {
	const char *name;
	const char *value;
	uint64_t at; /* last announcement, ms since the epoch, by Redis's clock */
};
/* Borrowed for the call; the most recent one is last. */
void nv_status_presences(struct nv_status *s,
			 void (*cb)(void *arg, const struct nv_err *err,
				    const struct nv_presence *list, size_t len),
			 void *arg);

/* How many requests of each site are in each state; counts[i] is of sites[i]. */
void nv_status_site_counts(struct nv_status *s, const char *const *sites, size_t len,
			   void (*cb)(void *arg, const struct nv_err *err,
				      const uint64_t (*counts)[NV_ST_COUNT], size_t len),
			   void *arg);

/* The longest wait of a request for each course server, ms; 0: none waits. */
void nv_status_oldest(struct nv_status *s, const char *const *sites, size_t len,
		      void (*cb)(void *arg, const struct nv_err *err, const uint64_t *ms,
				 size_t len),
		      void *arg);

/* Time spent in each step, over all attempts of the present revision. X(name): queued (at the
 * course server), export, upload, wait (for a worker), download, import */
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

#endif
