/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The archiver: takes restore.request from archive.<site>, has the site export the course into the
 * staging store, and sends archive.ready; answers catalog questions.  Makes outgoing connections
 * only and never sees Redis.
 *
 * main.c            start, stop and state of the process
 * accept.c          which requests are served: trust, policy, replays, withdrawals
 * export.c          one request, from its delivery to the acknowledgement (export.h: its states)
 * export_job.c      its course, on a thread: from the site into the store
 * export_report.c   reports to its client: progress, archive.ready, status.event
 * hold.c            outages that hold all exports
 * answer_catalog.c  answers a question about a user's courses
 * answer_letters.c  answers a question about a client's dead letters
 * client_clock.c    the current time by each client's clock
 * dead_tidy.c       removes dead letters of withdrawn requests
 * gc.c              garbage collection in the store */
#ifndef NV_ARCHIVER_H
#define NV_ARCHIVER_H

#include "archiver/client_clock.h"
#include "base/metrics.h"
#include "core/daemon/daemon.h"
#include "core/daemon/hold.h"
#include "core/daemon/lanes.h"
#include "core/daemon/runner.h"
#include "core/daemon/seen_log.h"
#include "core/daemon/sender.h"
#include "core/site/site.h"

/* archive.ready and status events expire as late as a request may. */
#define NV_MESSAGE_TTL_MS (30ull * 24 * 3600 * 1000)

struct export;
struct held;
struct nv_withdrawn_tidy;
struct gc;

struct archiver {
	struct nv_daemon *daemon;
	/* Called by each part that has ended: the stop continues when all have. */
	void (*on_idle_cb)(struct archiver *a);
	const struct nv_config *config;
	struct nv_identity me;
	struct nv_keyring clients;
	struct client_clocks *client_clocks;
	struct nv_bus *bus;
	struct nv_sender sender;
	struct nv_settle settle;
	struct nv_store *store;
	struct nv_hash_cache *known; /* hashes of the site's contents; NULL: none */
	struct nv_site *site;
	struct nv_seen_log *finished;  /* mid → when */
	struct nv_seen_log *withdrawn; /* client/request id → revision */
	struct nv_lanes *lanes;
	struct nv_hold *hold;
	struct held *held; /* requests that met it */
	bool hold_closed;
	struct nv_withdrawn_tidy *tidy;
	struct nv_consumer *catalog;
	struct nv_consumer *control;
	struct export *exports; /* running, newest first */
	unsigned questions;	/* being answered */
	/* Of these, about dead letters: the one that is answered, then those that wait. */
	struct letters_question *letters;
	uv_mutex_t dead_lock; /* held by the thread that reads the dead queue */
	struct gc *gc;
	uv_timer_t stop_timer;
	bool bus_stopping;
	struct {
		struct nv_metric *jobs; /* by result */
		struct nv_metric *running;
		struct nv_metric *seconds;
		struct nv_metric *bytes;      /* sent, saved, collected */
		struct nv_metric *refused;    /* by reason */
		struct nv_metric *clock_skew; /* by peer */
		struct nv_metric *catalog;
	} metrics;
};

/* accept.c */
/* Has the client withdrawn this revision? */
bool nv_archiver_withdrawn(const struct archiver *a, const char *client, const char *id,
			   uint64_t rev);
void nv_archiver_request(void *arg, struct nv_delivery *d);
void nv_archiver_control(void *arg, struct nv_delivery *d);

/* export.c; takes d and env's content */
void nv_export_start(struct archiver *a, struct nv_delivery *d, struct nv_envelope *env);
/* The running export of this request, or NULL. */
struct export *nv_export_find(struct archiver *a, const char *client, const char *id);
/* The same request was redelivered: true when d is now the export's delivery. */
bool nv_export_adopt(struct export *e, struct nv_delivery *d, const struct nv_envelope *env);
/* Revisions up to rev are withdrawn. */
void nv_export_withdraw(struct export *e, uint64_t rev);
void nv_export_stop_all(struct archiver *a);
/* Report a request that was never exported, then settle or acknowledge d (takes it). */
void nv_export_decline(struct archiver *a, struct nv_delivery *d, struct nv_envelope *env,
		       const struct nv_err *why);

/* hold.c */
struct nv_hold *nv_archiver_hold_new(struct archiver *a);
/* Called for a failed export before it is reported; an outage begins a hold. */
void nv_archiver_held(struct archiver *a, const struct export *e);

/* dead_tidy.c */
struct nv_withdrawn_tidy *nv_withdrawn_tidy_new(struct archiver *a);
void nv_withdrawn_tidy_soon(struct nv_withdrawn_tidy *t); /* something was withdrawn */
void nv_withdrawn_tidy_close(struct nv_withdrawn_tidy *t);

/* answer_catalog.c: questions of either kind */
void nv_archiver_catalog(void *arg, struct nv_delivery *d);

/* answer_letters.c; takes d and env's content, which is a letters.request */
void nv_archiver_letters(struct archiver *a, struct nv_delivery *d, struct nv_envelope *env);

/* gc.c */
struct gc *nv_gc_start(struct archiver *a);
/* a->gc becomes NULL, then on_idle_cb is called. */
void nv_gc_stop(struct gc *u);

#endif
