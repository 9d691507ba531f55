/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The producer's own vocabulary: one struct app, owned by main.c, with a part for each file.
 *
 * Handlers run on the loop and answer now or later, exactly once.  What a handler keeps until its
 * answer lives in the request's arena (nv_http_arena). */
#ifndef NV_PRODUCER_H
#define NV_PRODUCER_H

#include <jansson.h>

#include "core/accounts/accounts.h"
#include "core/base/metrics.h"
#include "core/bus/bus.h"
#include "core/daemon/courier.h"
#include "core/daemon/daemon.h"
#include "core/http/http.h"
#include "core/status/status.h"
#include "proto/envelope.h"

struct attempt;
struct back;
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
struct letters;
struct spool;
struct sweep;
struct tidy;
struct tidy_sites;
struct versions;

struct app {
	struct nv_daemon *d;
	const struct nv_config *config;
	struct nv_identity me;
	struct nv_keyring sites; /* whose status.event and catalog.reply we believe */
	struct nv_keyring own;	 /* ourselves: requests that come back inside a message */
	struct nv_status *status;
	struct nv_bus *bus;
	struct nv_courier courier;
	struct nv_http *http;
	struct nv_http_route *routes;
	bool bus_was_up;

	struct {
		struct attempt *first, *last; /* waiting for a thread */
		unsigned running, len;
		void (*on_idle_cb)(struct app *app); /* closing: nobody else is taken */
	} signins;
	struct people *people;
	struct catalog *catalog;
	struct letters *letters;
	struct clocks *clocks;
	struct events *events;
	struct keeper *keeper;
	struct sweep *sweep;
	struct spool *spool;
	struct tidy *tidy;
	struct versions *versions;
	struct rights_desk *rights;
	struct used *used_tokens; /* launch.c */
	struct back *back;
	struct broker_view *broker_view;
	struct note *notes; /* sites.c */
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

/* --- who asks (sessions.c) --- */

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
	uint64_t block; /* of Moodle's, whose button they used; 0: not known */
};

typedef void (*api_handler)(struct app *app, struct nv_http_request *r, const struct session *s);
struct api_route {
	api_handler handler;
	bool open;  /* without a session; s is NULL */
	bool admin; /* administrators only */
};

/* Find the session and check where the request comes from, then admit it to the route's handler,
 * with the session as its user; or answer 401, 403 or 503. */
void sessions_enter(struct app *app, struct nv_http_request *r, const struct api_route *route);
/* Begin one: stores it and answers 201. */
void sessions_begin(struct app *app, struct nv_http_request *r, const struct nv_account *a);
/* The same for who comes from Moodle; answers with the way to the page. */
void sessions_launch(struct app *app, struct nv_http_request *r, const struct session *s);
/* /launch: with a token of Moodle's button (launch.c). */
void launch(struct app *app, struct nv_http_request *r, const struct session *none);
/* A token of this id (hashed) was used at that time, here or with another producer, which said so
 * by this event. */
#define LAUNCH_EVENT "launched"
void launch_used(struct app *app, const char *id, uint64_t at);
void launch_forget(struct app *app);
void sessions_show(struct app *app, struct nv_http_request *r, const struct session *s);
void sessions_end(struct app *app, struct nv_http_request *r, const struct session *s);

/* --- what who came from Moodle may (rights.c) --- */

struct rights {
	bool served; /* false: nothing at all any more */
	bool manage;
	bool user_data;
	bool link;
};
struct rights_question {
	const char *user;
	uint64_t block;
	struct rights told; /* by their token */
	uint64_t at;	    /* when; ms since the epoch */
};
/* now NULL: Moodle has not confirmed them for too long. */
typedef void (*rights_cb)(void *arg, const struct rights *now);
struct rights_desk *rights_new(struct app *app);
void rights_free(struct rights_desk *d); /* after the back room */
/* What they may now, not older than producer.rights_max_age allows; cb once, at once perhaps. */
void rights_judge(struct app *app, const struct rights_question *q, rights_cb cb, void *arg);

/* --- accounts (people.c, signin.c) --- */

struct people *people_new(struct app *app, struct nv_err *err);
void people_free(struct people *p);
/* From the file as it is now; borrowed until control goes back to the loop.  NULL: nobody. */
const struct nv_account *people_find(struct app *app, const char *username);
const struct nv_account *people_find_identity(struct app *app, const char *identity);
const char *people_identity(const struct app *app, const struct nv_account *a);
void signin(struct app *app, struct nv_http_request *r, const struct session *s);
/* After the HTTP server: cb comes when no thread verifies any more. */
void signin_close(struct app *app, void (*cb)(struct app *app));

/* --- answers (api.c, answer.c) --- */

int api_start(struct app *app, struct nv_err *err);
/* /metrics beside the API, for everybody: only where the configuration asks for it. */
bool api_serves_metrics(const struct nv_config *c);
/* Fill *err with what becomes an answer of this HTTP status; returns -1. */
int api_err(struct nv_err *err, unsigned status, enum nv_reason reason, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
unsigned api_status(const struct nv_err *err);
void api_fail(struct nv_http_request *r, const struct nv_err *err);
/* The same where it is known how long it stays so (Retry-After of 429 and 503). */
void api_fail_for(struct nv_http_request *r, const struct nv_err *err, uint64_t seconds);
json_t *api_problem(const struct nv_err *err);			      /* as part of an answer */
void api_json(struct nv_http_request *r, unsigned status, json_t *o); /* takes o */
json_t *api_text(const char *s);				      /* NULL: null */
json_t *api_time_to_come(uint64_t ms); /* null when that is past, or 0 */
json_t *api_time(uint64_t ms);	       /* 0: null */
/* A query parameter's whole number; 422 in *err. */
int api_number(const char *name, const char *text, uint64_t min, uint64_t max, uint64_t *ret,
	       struct nv_err *err);
/* Somebody was refused: logged and counted.  why: label of the metric. */
void api_refused(struct app *app, const struct nv_http_request *r, const char *why,
		 const char *user);

/* --- courses (catalog.c, courses.c) --- */

enum catalog_status {
	CATALOG_OK,
	CATALOG_UNKNOWN_USER,
	CATALOG_ERROR,
	CATALOG_UNREACHABLE,
	CATALOG_NOT_ASKED, /* nothing is kept, and only what is kept was wanted */
};
enum catalog_how {
	CATALOG_USUAL,	/* what is kept, if it is fresh enough; otherwise the site is asked */
	CATALOG_AFRESH, /* the site is asked, whatever is kept */
	CATALOG_KEPT,	/* only what is kept: answers at once */
};
struct catalog_site {
	const struct nv_config_site *site;
	enum catalog_status status;
	const char *error;	       /* NULL: none */
	struct nv_catalog_reply reply; /* when OK */
	uint64_t at;
	bool settled;
};
typedef void (*catalog_cb)(void *arg, const struct nv_err *err, const struct catalog_site *sites,
			   size_t len);
#define CATALOG_EVENT "catalog"
#define CATALOG_NOBODY "navette-clock" /* the user of a question about no courses */
struct catalog *catalog_new(struct app *app);
void catalog_close(struct catalog *c); /* whoever waits is told that we stop */
void catalog_free(struct catalog *c);  /* after bus and status */
/* Ask one site (NULL: all) for the user's courses; cb once, sites borrowed for the call.  err: the
 * status database is away. */
void catalog_ask(struct app *app, const char *user, const char *site, enum catalog_how how,
		 catalog_cb cb, void *arg);
/* The keeper has an answer; or: somebody's answer was announced. */
void catalog_store(struct app *app, const char *site, const struct nv_catalog_reply *reply,
		   nv_status_cb cb, void *arg);
void catalog_announced(struct app *app, const char *site, const char *user);
/* The site answered and does not name the course: a list that was kept may be older than it. */
bool catalog_lacks(const struct catalog_site *s, const char *course);
const struct nv_course *catalog_find(const struct catalog_site *s, const char *course);
/* What somebody is told who asked for a course that this answer does not give; 0: it does. */
int catalog_judge(const struct catalog_site *s, const char *course, struct nv_err *err);
void courses_list(struct app *app, struct nv_http_request *r, const struct session *s);

/* --- answers of course servers, in Redis and announced (replies.c) --- */

struct reply {
	const char *kind; /* of the event; not copied */
	const char *site;
	const char *about; /* whoever waits for it knows this */
	const struct nv_record *record;
	const void *body;
	uint64_t ttl_ms; /* at least as long as somebody may wait */
};
void reply_store(struct app *app, const struct reply *reply, nv_status_cb cb, void *arg);
const char *reply_key(struct nv_arena *a, const char *kind, const char *site, const char *about);
/* false: it is not there, or not readable. */
bool reply_read(const struct nv_record *record, const void *value, size_t len, void *ret,
		struct nv_arena *a, uint64_t *ret_stored);

/* --- dead letters of course servers (letters.c) --- */

#define LETTERS_EVENT "letters"
struct letters_question {
	enum nv_letters_what what;
	/* List: only those given up later than since, or then, with an id behind this (0, NULL:
	 * all). */
	const char *letter;
	uint64_t since;
	const char *by; /* who asks; NULL: the producer itself */
};
/* err: also what the course server refuses, that it does not answer, or is too old to be asked
 * (409). reply: borrowed for the call. */
typedef void (*letters_cb)(void *arg, const struct nv_err *err,
			   const struct nv_letters_reply *reply);
struct letters *letters_new(struct app *app);
void letters_close(struct letters *all); /* whoever waits is told that we stop */
void letters_free(struct letters *all);	 /* after bus and status */
/* cb once, perhaps at once. */
void letters_ask(struct app *app, const struct nv_config_site *site,
		 const struct letters_question *question, letters_cb cb, void *arg);
/* The keeper has an answer; or: somebody's answer was announced. */
void letters_store(struct app *app, const char *site, const struct nv_letters_reply *reply,
		   nv_status_cb cb, void *arg);
void letters_announced(struct app *app, const char *site, const char *id);

/* --- requests --- */

void requests_submit(struct app *app, struct nv_http_request *r, const struct session *s);
void requests_check(struct app *app, struct nv_http_request *r, const struct session *s);
void requests_list(struct app *app, struct nv_http_request *r, const struct session *s);
void requests_show(struct app *app, struct nv_http_request *r, const struct session *s);
void requests_log(struct app *app, struct nv_http_request *r, const struct session *s);
void requests_archive(struct app *app, struct nv_http_request *r, const struct session *s);
void requests_change(struct app *app, struct nv_http_request *r, const struct session *s);
void requests_cancel(struct app *app, struct nv_http_request *r, const struct session *s);
void requests_retry(struct app *app, struct nv_http_request *r, const struct session *s);
void requests_run_now(struct app *app, struct nv_http_request *r, const struct session *s);
void requests_enrol(struct app *app, struct nv_http_request *r, const struct session *s);
void requests_republish(struct app *app, struct nv_http_request *r, const struct session *s);
void users_forget(struct app *app, struct nv_http_request *r, const struct session *s);
json_t *request_json(const struct app *app, const struct nv_status_record *rec);
/* A request copied into an arena, with everything it points to. */
void request_copy(struct nv_restore_request *to, const struct nv_restore_request *from,
		  struct nv_arena *a);
bool request_is_ones_own(const struct nv_restore_request *q, const struct session *s);

/* --- for administrators (sites.c, broker_view.c, dead.c, dead_site.c, steps.c) --- */

void sites_list(struct app *app, struct nv_http_request *r, const struct session *s);
void workers_list(struct app *app, struct nv_http_request *r, const struct session *s);
/* The keeper has a message whose signature is right. */
void sites_heard(struct app *app, const struct nv_envelope *env);
void sites_notes_free(struct app *app);
/* Does the course server take messages of this kind, which the first release did not know?  By its
 * last answer about courses. */
void sites_understand(struct app *app, const char *site, enum nv_kind kind,
		      void (*cb)(void *arg, const struct nv_err *err, bool understood), void *arg);
void queues_list(struct app *app, struct nv_http_request *r, const struct session *s);
void dead_list(struct app *app, struct nv_http_request *r, const struct session *s);
void dead_requeue(struct app *app, struct nv_http_request *r, const struct session *s);
void dead_discard(struct app *app, struct nv_http_request *r, const struct session *s);
/* The same of a course server, where the query names one. */
void dead_site(struct app *app, struct nv_http_request *r, const struct session *s,
	       enum nv_letters_what what);
void stats_steps(struct app *app, struct nv_http_request *r, const struct session *s);

/* --- sending (dispatch.c) --- */

/* Put this revision on its way and mark it published.  cb once: whether the broker has confirmed it
 * within a few seconds; if not, it is on the disk (spool.c), or Redis says that it has no queue,
 * and is published later.  err: none of these, so it is only in Redis; published then says whether
 * it may be sent all the same: the broker has got it perhaps, or the disk has kept a part. */
typedef void (*dispatch_cb)(void *arg, const struct nv_err *err, bool published);
void dispatch_request(struct app *app, const struct nv_restore_request *q, dispatch_cb cb,
		      void *arg);
/* Tell every archiver of the site that revisions up to rev are withdrawn. */
void dispatch_withdraw(struct app *app, const struct nv_restore_request *q, uint64_t rev,
		       const char *by);

/* --- what the broker has not got, on the disk (spool.c) --- */

struct spool *spool_new(struct app *app, struct nv_err *err);
/* 0: there is a folder for it. */
int spool_usable(const struct app *app, struct nv_err *err);
/* It is on the disk, synced; or err.  left: and what the disk has of it cannot be removed, so that
 * it may be sent all the same. */
typedef void (*spool_kept_cb)(void *arg, const struct nv_err *err, bool left);
/* body: the restore.request's, copied. */
void spool_keep(struct app *app, const char *id, uint64_t rev, const struct nv_buf *body,
		spool_kept_cb cb, void *arg);
/* The broker has it, or it was cancelled. */
void spool_drop(struct app *app, const char *id, uint64_t rev);
/* Have all that is kept in Redis again; the broker or Redis is back. */
void spool_look(struct spool *s);
/* After the bus, before the status; cb comes when nothing is being written any more. */
void spool_close(struct spool *s, void (*cb)(struct app *app));
void spool_free(struct spool *s); /* after the status */

/* --- clocks (clock.c) --- */

struct clocks *clocks_new(struct app *app);
void clocks_close(struct clocks *c);
/* What a message, its signature verified, tells about its sender's clock.  again: the broker or a
 * delay brings it once more, so that its age says nothing. */
void clock_heard(struct app *app, const struct nv_envelope *env, bool again);
/* The id of a question that we have just asked: its answer counts, whatever its sender's clock
 * says.
 */
bool clock_is_answer_fresh(const char *question);
void clock_words(char *ret, size_t size, const char *site, int64_t ahead_ms);

/* --- in the background --- */

struct events *events_new(struct app *app);
void events_open(struct app *app, struct nv_http_request *r, const struct session *s);
void events_signed_out(struct app *app, const char *session_key);
void events_close(struct events *e); /* after the HTTP server, before the status */

struct keeper *keeper_new(struct app *app);
void keeper_retry(struct keeper *k); /* the status database is back */
/* Before bus and status: cb comes when no delivery is being written any more. */
void keeper_close(struct keeper *k, void (*on_closed_cb)(struct app *app));

struct sweep *sweep_new(struct app *app);
void sweep_now(struct sweep *s); /* the broker is back */
void sweep_close(struct sweep *s);

/* Dead letters whose request is settled (tidy.c). */
struct tidy *tidy_new(struct app *app);
void tidy_heard(struct tidy *t, const struct nv_status_change_event *e); /* NULL allowed */
/* A course server has given a request up; or: somebody has seen letters there. NULL allowed. */
void tidy_site_failed(struct tidy *t, const char *site);
void tidy_site_seen(struct tidy *t, const char *site);
/* Nobody needs a letter with this revision of the request any more. */
bool tidy_is_settled(const struct nv_status_record *rec, uint64_t rev);
void tidy_close(struct tidy *t); /* after what works on threads, before the status */

/* Those of course servers, for tidy.c (tidy_sites.c).  settled: requests were, since the last look.
 */
struct tidy_sites *tidy_sites_new(struct app *app);
void tidy_sites_look(struct tidy_sites *t, bool settled);
void tidy_sites_failed(struct tidy_sites *t, const char *site);
void tidy_sites_seen(struct tidy_sites *t, const char *site);
void tidy_sites_close(struct tidy_sites *t); /* before letters_close */

/* The client's own Moodle version and plugins, where a site is configured. */
/* Before anybody is served: NV_FATAL when the configured Moodle can never be asked. */
int versions_first(struct app *app, struct nv_err *err);
struct versions *versions_new(struct app *app);
void versions_fill(const struct app *app, struct nv_restore_request *q);
void versions_close(struct versions *v);

/* --- the page (page.c) --- */

void page_asset(struct app *app, struct nv_http_request *r, const struct session *s);
/* Where a file of the page is served, its content's hash in it; name: "app.css". */
const char *page_path(const char *name);

#endif
