/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The producer's own vocabulary: one struct app, owned by main.c, with a part for each file.
 *
 * Handlers run on the loop and answer now or later, exactly once.  What a handler keeps until its
 * answer lives in the request's arena (nv_http_arena). */
#ifndef NV_PRODUCER_APP_H
#define NV_PRODUCER_APP_H

#include <jansson.h>

#include "base/metrics.h"
#include "core/accounts/accounts.h"
#include "core/bus/bus.h"
#include "core/daemon/daemon.h"
#include "core/daemon/sender.h"
#include "core/http/http.h"
#include "proto/envelope.h"

struct attempt;
struct blocking_jobs;
struct broker_view;
struct note;
struct people;
struct used;
struct rights_desk;
struct catalog;
struct download;
struct clocks;
struct events;
struct keeper;
struct spool;
struct sweep;
struct tidy;
struct tidy_sites;
struct letters;
struct versions;
struct withdrawals;

struct app {
	struct nv_daemon *d;
	const struct nv_config *config;
	struct nv_identity me;
	struct nv_keyring sites; /* whose messages we accept */
	struct nv_keyring own;	 /* our own: for the requests inside those messages */
	struct nv_status *status;
	struct nv_bus *bus;
	struct nv_sender sender;
	struct nv_http *http;
	struct nv_http_route *routes;
	bool bus_was_up;
	bool offers_downloads; /* it has a store, and a folder to assemble archives */
	void (*on_signed_out_cb)(struct app *app, const char *session_key); /* events.c */

	struct {
		struct attempt *first, *last; /* waiting for a thread */
		unsigned running, len;
		void (*on_idle_cb)(struct app *app); /* closing: nobody else is taken */
	} signins;
	struct people *people;
	struct catalog *catalog;
	struct clocks *clocks;
	struct events *events;
	struct keeper *keeper;
	struct sweep *sweep;
	struct spool *spool;
	struct withdrawals *withdrawals;
	struct tidy *tidy;
	struct letters *letters;
	struct versions *versions;
	struct rights_desk *rights;
	struct used *used_tokens; /* launch.c */
	struct blocking_jobs *blocking_jobs;
	struct broker_view *broker_view;
	struct note *notes; /* site_presence.c */
	struct download *downloads;
	uint64_t downloads_len;
	uint64_t metrics_refused; /* when it was last logged, nv_mono_ms; 0: not yet */

	struct {
		struct nv_metric *http;	     /* code */
		struct nv_metric *http_time; /* no label */
		/* reason: password session csrf throttled rights launch withdrawn unconfirmed */
		struct nv_metric *refused;
		struct nv_metric *shut;	     /* why: headers body answer crowded */
		struct nv_metric *submitted; /* outcome: accepted refused */
		struct nv_metric *messages;  /* kind or "rejected" */
		struct nv_metric *readers;
		struct nv_metric *downloads;
		struct nv_metric *requests; /* state */
		struct nv_metric *spooled;
		struct nv_metric *clock_skew; /* peer: site */
		struct nv_metric *oldest;     /* site */
		struct nv_metric *failures;   /* site */
		struct nv_metric *up;	      /* part: broker redis */
	} m;
};

/* Copied into the request's arena: accounts may change while an answer is awaited. */
struct session {
	const char *username;
	const char *identity; /* what identifies them on the sites: restore.user_field */
	const char *name;     /* NULL: none, as the next two */
	const char *mail;
	const char *lang;
	const char *home; /* address of the Moodle they came from; NULL: a local account */
	bool admin;
	bool may_user_data; /* capability can_restore_user_datas */
	bool may_link;	    /* capability can_see_external_course_link */
	char **capabilities;
	size_t capabilities_len;
	const char *csrf;
	const char *key; /* in Redis */
	uint64_t expires;
	bool cookie;	/* not a token in Authorization */
	uint64_t block; /* the id of the block whose button they used; 0: not known */
};

typedef void (*api_handler)(struct app *app, struct nv_http_request *r, const struct session *s);
struct api_route {
	api_handler handler;
	bool open;  /* without a session; s is NULL */
	bool admin; /* administrators only */
};

#endif
