/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The restore worker: takes archive.ready from restore.<client>, claims the request, fetches what
 * is missing, imports it into the client's site, enrols, and notifies people.
 *
 * main.c     start, stop and state of the process
 * enrol.c    one "enrol me"
 * hold.c     outages that hold all restores
 * history.c  rebuilds finished records in an emptied Redis
 * sweeper.c  removes leftovers of crashed attempts
 * erase.c    removes the archives of erased users from the store
 *
 * restore/   intake.c         which messages are served
 *            open.c           who signed them, and the request inside
 *            restore.c        one request, on the loop, from its delivery to the acknowledgement
 *                             (restore.h: its states)
 *            lease.c          while its job runs: lease, progress and log
 *            job.c            the same request, on its thread: preflight → fetch → import
 *            prefetch.c       fetches its contents while the archive is still being written
 *            known_plugins.c  cache of the site's plugins
 * notify/    notifier.c       final states → messages for people, its states
 *            letters.c        the recipients of a notice: mails written and sent
 *            mail_text.c      what they say, by the phrases of strings.c
 *            mail_builder.c   the same as plain text and HTML
 *            mail.c           the way by SMTP */
#ifndef NV_WORKER_H
#define NV_WORKER_H

#include "base/metrics.h"
#include "core/daemon/daemon.h"
#include "core/daemon/hold.h"
#include "core/daemon/lanes.h"
#include "core/daemon/runner.h"
#include "core/daemon/sender.h"
#include "core/site/follow.h"

#define NV_SEEN_TTL_MS (30ull * 24 * 3600 * 1000)

struct restore;
struct prefetch;
struct notifier;
struct history;
struct sweeper;
struct erase;
struct held;
struct known_plugins;

struct worker {
	struct nv_daemon *daemon;
	/* Called by each part that has ended: the stop continues when all have. */
	void (*on_idle_cb)(struct worker *w);
	const struct nv_config *config;
	struct nv_identity me;
	struct nv_keyring sites;  /* the course servers' keys */
	struct nv_keyring myself; /* our client's own key, for the requests inside messages */
	struct nv_bus *bus;
	struct nv_sender sender;
	struct nv_settle settle;
	struct nv_status *status;
	struct nv_store *store;
	struct nv_hash_cache *known; /* hashes of the site's contents; NULL: none */
	struct nv_site *site;
	struct known_plugins *known_plugins; /* plugins it has */
	struct nv_lanes *lanes;
	struct nv_hold *hold;
	struct held *held;	    /* requests that met it */
	struct nv_consumer *opened; /* NULL: nothing is prefetched */
	struct prefetch *prefetches;
	struct restore *restores; /* under way, newest first */
	unsigned busy;		  /* enrolments and other small jobs in progress */
	struct notifier *notifier;
	struct history *history;
	struct sweeper *sweeper;
	struct erase *erase;
	struct nv_follow *follow;
	uv_timer_t stop_timer;
	bool closing;
	struct {
		struct nv_metric *jobs; /* by result */
		struct nv_metric *running;
		struct nv_metric *seconds;
		struct nv_metric *refused;    /* by reason */
		struct nv_metric *clock_skew; /* by peer */
		struct nv_metric *prefetched; /* bytes */
		struct nv_metric *enrolments;
		struct nv_metric *notices;
	} metrics;
};

/* intake.c */
void nv_worker_delivery(void *arg, struct nv_delivery *d);
void nv_worker_opened(void *arg, struct nv_delivery *d);

/* open.c: messages of course servers, and the restore.request in them, which our client signed.
 * What comes back is owned by the caller. */
int nv_open_ready(struct worker *w, const void *data, size_t len, struct nv_envelope *ret,
		  struct nv_envelope *ret_request, struct nv_err *err);
/* The request in an archive.ready, or in any other message, that is open. */
int nv_open_request_of_ready(struct worker *w, const struct nv_envelope *ready,
			     struct nv_envelope *ret, struct nv_err *err);
int nv_open_request(struct worker *w, const struct nv_envelope *env, const struct nv_bytes *inner,
		    struct nv_envelope *ret, struct nv_err *err);

/* restore.c */
/* The broker brings a message again whose connection broke while we were at it: true when d now is
 * the restore's delivery. */
bool nv_restore_adopt(struct worker *w, struct nv_delivery *d, const struct nv_envelope *ready);
/* Takes d, the content of ready and of request. */
void nv_restore_start(struct worker *w, struct nv_delivery *d, struct nv_envelope *ready,
		      struct nv_envelope *request);
/* Tell that a request failed before its archive was looked at; takes the same. */
void nv_restore_decline(struct worker *w, struct nv_delivery *d, struct nv_envelope *ready,
			struct nv_envelope *request, const struct nv_err *why);
void nv_restore_stop_all(struct worker *w);

/* prefetch.c; takes d (archive.opened), the content of env and of request */
void nv_prefetch_start(struct worker *w, struct nv_delivery *d, struct nv_envelope *env,
		       struct nv_envelope *request);
/* Is this archive.ready's request being prefetched here? Then it takes the same, and begins the
 * restore when the prefetch has stopped. */
bool nv_prefetch_take(struct worker *w, struct nv_delivery *d, struct nv_envelope *ready,
		      struct nv_envelope *request);
void nv_prefetch_stop_all(struct worker *w);

/* hold.c */
struct nv_hold *nv_worker_hold_new(struct worker *w);
/* Called for a failed restore before it is recorded; an outage begins a hold. */
void nv_worker_held(struct worker *w, const char *id, const struct nv_err *err);

/* enrol.c; takes d and env's content */
void nv_enrol_start(struct worker *w, struct nv_delivery *d, struct nv_envelope *env);
/* Tell that it was given up before anything was tried; takes the same. */
void nv_enrol_decline(struct worker *w, struct nv_delivery *d, struct nv_envelope *env,
		      const struct nv_err *why);

/* job.c: what the thread of a restore works on */
struct nv_restore_job {
	const struct worker *worker;
	const struct nv_restore_request *request;
	const struct nv_archive_ready *ready;
	const char *site;
	bool first;		    /* no earlier attempt can have made the course */
	unsigned outages;	    /* outages that held its message before */
	bool last;		    /* no attempt follows one that fails */
	uint64_t retry_in;	    /* ms until that; 0: the same */
	bool asked;		    /* the preflight was done already */
	_Atomic uint64_t importing; /* nv_mono_ms when the import began; 0: it has not */
	struct nv_imported outcome; /* strings in the arena */
	struct nv_arena arena;
};
/* A nv_fetch_help.reuse_cb: contents that the site has need not be fetched. */
struct nv_reuse_arg {
	const struct worker *worker;
	const char *request;
	const struct nv_job *job;
};
int nv_reuse_contents(void *arg, const struct nv_manifest *m, const char *blobs,
		      struct nv_err *err);
int nv_restore_work(struct nv_job *job, void *arg, struct nv_err *err);
/* Duration of its import so far, ms; 0: it has not begun. */
uint64_t nv_restore_importing(const struct nv_restore_job *j);
/* Delete the attempt's archive from the store, and leftovers of crashed workers on this machine;
 * failures are only logged. */
int nv_restore_clean(struct nv_job *job, void *arg, struct nv_err *err);

/* notifier.c */
struct notifier *nv_notifier_start(struct worker *w);
void nv_notifier_stop(struct notifier *n); /* ends by itself, then on_idle_cb */

/* history.c: check now, and every few seconds */
struct history *nv_history_start(struct worker *w);
void nv_history_stop(struct history *h);

/* sweeper.c */
struct sweeper *nv_sweeper_start(struct worker *w);
void nv_sweeper_stop(struct sweeper *u);

/* erase.c: check now, and once a minute */
struct erase *nv_erase_start(struct worker *w);
void nv_erase_stop(struct erase *u); /* ends by itself, then on_idle_cb */

#endif
