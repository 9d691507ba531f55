/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Final states → messages for people, in the order in which it happens.
 *
 * Redis hands each final state to one of all notifiers; the record says whom it concerns.  The
 * requester is told through the site and by mail, and so are administrators of failures.
 *
 * What cannot be sent now goes back, with the names of those who have been told, and comes again
 * after a growing time until it is too old: neither a mail server that is away for a night nor one
 * slow address holds up what is told to others, or loses what it was to hear.
 *
 * Before administrators are told of a failure, Redis is asked whether they hear of it alone; where
 * many fail at once they get a digest of the others, which is a notice like any other
 * (core/status/failure_digest.c). */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/states.h"
#include "core/status/events.h"
#include "core/status/notices.h"
#include "core/status/requests.h"
#include "worker/notify/letters.h"
#include "worker/notify/mail_text.h"
#include "worker/worker.h"

#define AGAIN_MS UINT64_C(2000)
#define LONGEST_MS (UINT64_C(15) * 60 * 1000) /* between two tries */

enum notifier_state {
	NOTIFIER_IDLE,	  /* waits for a notice; none is ours */
	NOTIFIER_READING, /* has a notice; waits for Redis: what is to be told, and to whom? */
	NOTIFIER_PAUSED,  /* Redis was away: the timer reads again */
	NOTIFIER_SENDING, /* a thread sends, and only that touches `letters` */
	NOTIFIER_CLOSED,  /* stopped: freed when the timer is closed */
};

static const struct nv_states states = {
	.event = "notifier.state",
	.len = NOTIFIER_CLOSED + 1,
	.states = {
		[NOTIFIER_IDLE] = {"idle", NV_TO(NOTIFIER_READING, NOTIFIER_CLOSED)},
		[NOTIFIER_READING] = {"reading",
				      NV_TO(NOTIFIER_PAUSED, NOTIFIER_SENDING, NOTIFIER_IDLE)},
		[NOTIFIER_PAUSED] = {"paused", NV_TO(NOTIFIER_READING, NOTIFIER_CLOSED)},
		[NOTIFIER_SENDING] = {"sending", NV_TO(NOTIFIER_IDLE)},
		[NOTIFIER_CLOSED] = {"closed", 0},
	}};

struct notifier {
	struct worker *w;
	enum notifier_state state;
	bool stopped; /* it was asked to stop: no other notice is taken */
	struct nv_notices *notices;
	uv_timer_t timer;
	/* the notice */
	char cursor[64];
	char id[NV_UUID_SIZE];
	char state_word[16];
	uint64_t rev, first, tries;
	bool digest;	/* it is one; id is its number */
	bool collected; /* administrators hear of this failure by a digest */
	struct letters letters;
};

static void move(struct notifier *n, enum notifier_state to)
{
	nv_states_move(&states, n->state, to, n->digest || !*n->id ? NULL : n->id);
	n->state = to;
}

/* In the order in which they are called. */
static void noticed(void *arg, const struct nv_status_change_event *e);
static void read_notice(struct notifier *n);
static void send_letters(struct notifier *n);
static void finished(struct notifier *n, bool done);
static void end(struct notifier *n);

struct notifier *nv_notifier_start(struct worker *w)
{
	struct notifier *n = nv_alloc(sizeof *n);
	char consumer[320];
	snprintf(consumer, sizeof consumer, "%s:%d", w->daemon->host, (int)getpid());
	n->w = w;
	n->letters.w = w;
	w->busy++;
	uv_timer_init(w->daemon->loop, &n->timer);
	n->timer.data = n;
	n->notices = nv_status_notices(w->status, consumer, noticed, n);
	return n;
}

/* A round under way comes to its end, so that those who have been told are not told again. */
void nv_notifier_stop(struct notifier *n)
{
	n->stopped = true;
	uv_timer_stop(&n->timer);
	if (n->state == NOTIFIER_IDLE || n->state == NOTIFIER_PAUSED)
		end(n);
}

/* --- a notice: what is to be told, and to whom? --- */

static void noticed(void *arg, const struct nv_status_change_event *e)
{
	struct notifier *n = arg;
	if (n->state != NOTIFIER_IDLE)
		return; /* it is given out again, to us or another */
	snprintf(n->cursor, sizeof n->cursor, "%s", e->cursor);
	snprintf(n->id, sizeof n->id, "%s", e->id);
	snprintf(n->state_word, sizeof n->state_word, "%s", e->state ? e->state : "");
	n->rev = e->rev;
	n->digest = strcmp(e->kind, "digest") == 0;
	n->collected = false;
	n->first = e->first;
	n->tries = e->tries;
	nv_letters_begin(&n->letters, n->id, e->told);
	move(n, NOTIFIER_READING);
	read_notice(n);
}

static void digest_read(void *arg, const struct nv_err *err, const struct nv_digest *d);
static void failure_read(void *arg, const struct nv_err *err, const struct nv_status_record *rec);
static void ask_for_digest(struct notifier *n, const struct nv_status_record *rec);
static void digest_asked(void *arg, const struct nv_err *err, bool collected);
static void record_read(void *arg, const struct nv_err *err, const struct nv_status_record *rec);

static void read_notice(struct notifier *n)
{
	bool failed = strcmp(n->state_word, nv_state_word(NV_ST_failed)) == 0;
	if (n->digest)
		nv_status_digest_read(n->w->status, n->id, digest_read, n);
	else if (failed && nv_letters_has_admins(n->w->config))
		nv_status_get(n->w->status, n->id, failure_read, n);
	else
		nv_status_get(n->w->status, n->id, record_read, n);
}

static void read_again(uv_timer_t *timer)
{
	struct notifier *n = timer->data;
	move(n, NOTIFIER_READING);
	read_notice(n);
}

/* false: n goes on otherwise. */
static bool goes_on(struct notifier *n, const struct nv_err *err)
{
	if (n->stopped) {
		finished(n, false);
	} else if (err && err->kind == NV_RETRY) {
		move(n, NOTIFIER_PAUSED);
		uv_timer_start(&n->timer, read_again, AGAIN_MS, 0);
	} else {
		return true;
	}
	return false;
}

static void digest_read(void *arg, const struct nv_err *err, const struct nv_digest *d)
{
	struct notifier *n = arg;
	if (!goes_on(n, err))
		return;
	if (err) {
		finished(n, true);
		return;
	}
	NV_LOG(NV_INFO, "notice.digest", NV_S("digest", n->id), NV_U("failures", d->total));
	nv_letters_write_digest(&n->letters, d);
	send_letters(n);
}

/* Not the record of which this notice tells: gone, or asked for again since. */
static bool is_old(const struct notifier *n, const struct nv_status_record *rec)
{
	return rec->request.rev != n->rev || strcmp(nv_state_word(rec->state), n->state_word) != 0;
}

/* The record is read a second time behind the answer, which comes after it is gone. */
static void failure_read(void *arg, const struct nv_err *err, const struct nv_status_record *rec)
{
	struct notifier *n = arg;
	if (!goes_on(n, err))
		return;
	if (err || is_old(n, rec))
		finished(n, true);
	else
		ask_for_digest(n, rec);
}

static void ask_for_digest(struct notifier *n, const struct nv_status_record *rec)
{
	const struct nv_config *c = n->w->config;
	struct nv_digest_failure f = {.row = {.id = rec->request.id,
					      .course = nv_mail_text_course(rec),
					      .site = rec->request.site,
					      .user = rec->request.user,
					      .reason = rec->reason},
				      .rev = rec->request.rev};
	nv_status_digest_add(n->w->status, &f, c->notify.digest_after, c->notify.digest_window,
			     digest_asked, n);
}

static void digest_asked(void *arg, const struct nv_err *err, bool collected)
{
	struct notifier *n = arg;
	if (!goes_on(n, err))
		return;
	n->collected = collected;
	nv_status_get(n->w->status, n->id, record_read, n);
}

static void record_read(void *arg, const struct nv_err *err, const struct nv_status_record *rec)
{
	struct notifier *n = arg;
	if (!goes_on(n, err))
		return;
	if (err || is_old(n, rec)) {
		finished(n, true); /* nothing to tell */
		return;
	}
	nv_letters_write(&n->letters, rec, rec->state == NV_ST_failed && !n->collected);
	send_letters(n);
}

/* --- sending, on a thread --- */

static void letters_sent(void *arg, const struct nv_err *err);
static void put_back(struct notifier *n);
static void give_up(struct notifier *n);

static int send_work(struct nv_job *job, void *arg, struct nv_err *err)
{
	struct notifier *n = arg;
	(void)job;
	(void)err;
	nv_letters_send(&n->letters);
	return 0;
}

static void send_letters(struct notifier *n)
{
	struct nv_run run = {.work = send_work, .on_done_cb = letters_sent, .arg = n};
	move(n, NOTIFIER_SENDING);
	nv_run_start(n->w->daemon->loop, &run);
}

static void letters_sent(void *arg, const struct nv_err *err)
{
	struct notifier *n = arg;
	(void)err;
	if (!n->letters.first)
		finished(n, true);
	else
		put_back(n);
}

/* Doubling, and once more just before it is too old. */
static uint64_t next_try(const struct notifier *n, uint64_t left)
{
	uint64_t delay = n->tries < 10 ? AGAIN_MS << n->tries : LONGEST_MS;
	if (delay > LONGEST_MS)
		delay = LONGEST_MS;
	return delay < left ? delay : left;
}

static void put_back(struct notifier *n)
{
	const struct letter *l = n->letters.first;
	uint64_t now = nv_now_ms(), too_old = n->first + n->w->config->notify.give_up_after;
	if (now >= too_old) {
		give_up(n);
		return;
	}
	uint64_t delay = next_try(n, too_old - now);
	NV_LOG(NV_WARN, "notice.delayed", NV_S("req", n->id), NV_P("to", l->to),
	       NV_U("tries", n->tries + 1), NV_D("seconds", (double)delay / 1000),
	       NV_E(nv_letters_why(&n->letters, l)));
	nv_metric_add(n->w->metrics.notices, "delayed", 1);
	nv_notice_later(n->notices, n->cursor, delay, (const char *)n->letters.told.data);
	finished(n, false);
}

static void give_up(struct notifier *n)
{
	for (const struct letter *l = n->letters.first; l; l = l->next) {
		NV_LOG(NV_ERROR, "notice.dropped", NV_S("req", n->id), NV_P("to", l->to),
		       NV_U("tries", n->tries + 1), NV_E(nv_letters_why(&n->letters, l)));
		nv_metric_add(n->w->metrics.notices, "dropped", 1);
	}
	finished(n, true);
}

/* --- the end: of the notice, of the notifier --- */

static void timer_closed(uv_handle_t *handle);

static void finished(struct notifier *n, bool done)
{
	move(n, NOTIFIER_IDLE);
	if (done)
		nv_notice_done(n->notices, n->cursor);
	if (n->stopped)
		end(n);
}

/* What was said of the last notice still gets to Redis. */
static void end(struct notifier *n)
{
	move(n, NOTIFIER_CLOSED);
	nv_status_notices_close(n->notices);
	uv_close((uv_handle_t *)&n->timer, timer_closed);
}

static void timer_closed(uv_handle_t *handle)
{
	struct notifier *n = handle->data;
	struct worker *w = n->w;
	nv_letters_fini(&n->letters);
	free(n);
	w->busy--;
	w->on_idle_cb(w);
}
