/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Final states → messages for people.
 *
 * Redis hands each final state to one of all notifiers; the record says whom it concerns.  The
 * requester is told through the site and by mail, and so are administrators of failures.  Each
 * message has an id made of request, revision and state, and for a failure the time of it: what is
 * sent twice after a crash is seen as one, but not what was requeued and failed again.
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
#include "core/status/events.h"
#include "core/status/notices.h"
#include "core/status/requests.h"
#include "core/status/status.h"
#include "worker/notify/mail.h"
#include "worker/notify/mail_text.h"
#include "worker/worker.h"

#define AGAIN_MS UINT64_C(2000)
#define LONGEST_MS (UINT64_C(15) * 60 * 1000) /* between two tries */
/* One round and the letter that it ends with stay below the time after which a notice goes to
 * another notifier. */
#define ROUND_MS 30000u

/* One message to one person (or to the site's administrators). */
struct letter {
	struct letter *next;
	enum nv_notice_kind kind;
	char *to;	 /* a word for it among those told: site0, mail0, mail1:a@b */
	char *id, *mail; /* mail NULL: through the site */
	char *lang;	 /* as the requester's client calls it; NULL: of no one in particular */
	enum nv_lang words;
	char *user; /* NULL: the administrators */
	char *url;
	struct nv_mail_builder page;
};

/* Mail server or site. */
struct way {
	uint64_t rest_until; /* nv_mono_ms */
	struct nv_err why;   /* the last trouble */
};

struct notifier {
	struct worker *w;
	struct nv_notices *notices;
	uv_timer_t timer;
	bool working, stopped;
	char cursor[64];
	char id[NV_UUID_SIZE];
	char state[16];
	uint64_t rev, first, tries;
	bool digest;		/* it is one; id is its number */
	bool collected;		/* administrators hear of this failure by a digest */
	struct nv_buf told;	/* words with a space behind each */
	struct letter *letters; /* those not sent yet */
	struct way mail, site;	/* only the round that runs touches them */
};

static void letter_free(struct letter *l)
{
	free(l->to);
	free(l->id);
	free(l->mail);
	free(l->lang);
	free(l->user);
	free(l->url);
	nv_mail_builder_fini(&l->page);
	free(l);
}

static void drop_letters(struct notifier *n)
{
	while (n->letters) {
		struct letter *l = n->letters;
		n->letters = l->next;
		letter_free(l);
	}
}

static void timer_closed(uv_handle_t *handle)
{
	struct notifier *n = handle->data;
	struct worker *w = n->w;
	drop_letters(n);
	nv_buf_fini(&n->told);
	free(n);
	w->busy--;
	w->on_idle_cb(w);
}

/* What was said of the last notice still gets to Redis. */
static void end(struct notifier *n)
{
	nv_status_notices_close(n->notices);
	uv_close((uv_handle_t *)&n->timer, timer_closed);
}

static void finished(struct notifier *n, bool done)
{
	n->working = false;
	if (done)
		nv_notice_done(n->notices, n->cursor);
	if (n->stopped)
		end(n);
}

/* --- sending, on a thread --- */

static int send_letter(struct notifier *n, const struct letter *l, struct nv_err *err)
{
	const char *subject = (const char *)l->page.subject.data;
	const char *text = (const char *)l->page.text.data;
	const char *html = (const char *)l->page.html.data;
	if (l->mail) {
		struct nv_mail m = {.to = l->mail,
				    .id = l->id,
				    .subject = subject,
				    .text = text,
				    .html = html,
				    .lang = nv_lang_word(l->words),
				    .date_ms = nv_now_ms()};
		return nv_mail_send(n->w->config, &m, err);
	}
	struct nv_notice notice = {.kind = l->kind,
				   .id = l->id,
				   .user = l->user,
				   .lang = l->lang,
				   .subject = subject,
				   .text = text,
				   .html = html,
				   .url = l->url};
	return nv_site_notify(n->w->site, &notice, err);
}

static struct way *way_of(struct notifier *n, const struct letter *l)
{
	return l->mail ? &n->mail : &n->site;
}

/* true: it needs no other try, having been sent or refused for good. */
static bool try_letter(struct notifier *n, const struct letter *l)
{
	struct way *way = way_of(n, l);
	struct nv_err err = {0};
	uint64_t began = nv_mono_ms();
	if (began < way->rest_until)
		return false;
	if (send_letter(n, l, &err) == 0) {
		nv_metric_add(n->w->metrics.notices, "sent", 1);
		return true;
	}
	if (err.kind == NV_REJECT) {
		nv_metric_add(n->w->metrics.notices, "refused", 1);
		NV_LOG(NV_WARN, "notice.refused", NV_S("req", n->id), NV_P("to", l->to),
		       NV_E(&err));
		return true;
	}
	way->why = err;
	/* What is away is left alone for twice as long as it took to find out, so that the other
	 * way has its share of the time; but a word about one address says nothing about the next.
	 */
	uint64_t now = nv_mono_ms();
	if (!l->mail || err.reason != NV_R_busy)
		way->rest_until = now + 2 * (now - began) + 500;
	return false;
}

/* One round over the letters; those that stay wait for another. */
static int send_work(struct nv_job *job, void *arg, struct nv_err *err)
{
	struct notifier *n = arg;
	uint64_t end = nv_mono_ms() + ROUND_MS;
	(void)job;
	(void)err;
	for (struct letter **at = &n->letters; *at && nv_mono_ms() < end;) {
		struct letter *l = *at;
		if (!try_letter(n, l)) {
			at = &l->next;
			continue;
		}
		nv_buf_printf(&n->told, "%s ", l->to);
		*at = l->next;
		letter_free(l);
	}
	return 0;
}

static void give_up(struct notifier *n)
{
	for (const struct letter *l = n->letters; l; l = l->next) {
		NV_LOG(NV_ERROR, "notice.dropped", NV_S("req", n->id), NV_P("to", l->to),
		       NV_U("tries", n->tries + 1), NV_E(&way_of(n, l)->why));
		nv_metric_add(n->w->metrics.notices, "dropped", 1);
	}
	finished(n, true);
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
	uint64_t now = nv_now_ms(), end = n->first + n->w->config->notify.give_up_after;
	if (now >= end) {
		give_up(n);
		return;
	}
	uint64_t delay = next_try(n, end - now);
	NV_LOG(NV_WARN, "notice.delayed", NV_S("req", n->id), NV_P("to", n->letters->to),
	       NV_U("tries", n->tries + 1), NV_D("seconds", (double)delay / 1000),
	       NV_E(&way_of(n, n->letters)->why));
	nv_metric_add(n->w->metrics.notices, "delayed", 1);
	nv_notice_later(n->notices, n->cursor, delay, (const char *)n->told.data);
	finished(n, false);
}

static void letters_sent(void *arg, const struct nv_err *err)
{
	struct notifier *n = arg;
	(void)err;
	if (!n->letters)
		finished(n, true);
	else
		put_back(n);
}

static void send_letters(struct notifier *n)
{
	struct nv_run run = {.work = send_work, .on_done_cb = letters_sent, .arg = n};
	nv_run_start(n->w->daemon->loop, &run);
}

/* --- writing, from the record --- */

static bool was_told(const struct notifier *n, const char *to)
{
	size_t len = strlen(to);
	for (const char *at = (const char *)n->told.data; at && *at; at = strchr(at, ' ') + 1)
		if (strncmp(at, to, len) == 0 && at[len] == ' ')
			return true;
	return false;
}

static enum nv_notice_kind kind_of(const struct nv_status_record *r)
{
	return r->state == NV_ST_restored ? NV_NOTICE_restored : NV_NOTICE_failed;
}

/* Whom a letter is for; id: its part of the letter's id. */
struct address {
	const char *to, *id, *mail, *user;
	bool admin;
};

static enum nv_lang lang_of(const struct notifier *n, const char *tag)
{
	return nv_lang_from(tag, nv_lang_from(n->w->config->notify.lang, NV_LANG_en));
}

static bool by_mail(const struct nv_config *c)
{
	return c->notify.smtp_url && *c->notify.smtp_url;
}

static bool has_admins(const struct nv_config *c)
{
	return c->notify.notify_site || (by_mail(c) && c->notify.admins_len);
}

/* What the letters of one notice are written from: a record, or a digest. */
struct matter {
	const struct nv_status_record *record;
	const struct nv_digest *digest;
};

static void write_text(const struct notifier *n, const struct matter *m, bool admin,
		       struct letter *l)
{
	const struct nv_config *c = n->w->config;
	if (m->digest) {
		nv_mail_text_digest(m->digest, c, l->words, &l->page);
		return;
	}
	const char *name = m->record->request.site;
	const struct nv_config_site *site = nv_config_site(c, name);
	struct nv_mail_text_facts f = {.record = m->record,
				       .site_label = site ? site->label : name,
				       .site_url =
					       site && c->restore.url_in_mail ? site->url : NULL,
				       .page_url = c->producer.base_url,
				       .warnings = admin || c->restore.warnings_to_owner,
				       .admins_told = has_admins(c),
				       .for_admin = admin};
	nv_mail_text(&f, l->words, &l->page);
}

/* A requeued request keeps its revision and may fail again.  It is restored only once, and history,
 * when it tells of that again, may have another time for it (recall.lua). */
static char *letter_id(const struct notifier *n, const struct nv_status_record *r, const char *to)
{
	if (!r)
		return nv_asprintf("digest.%s.%s", n->id, to);
	unsigned long long rev = r->request.rev, finished = r->finished;
	const char *state = nv_state_word(r->state);
	if (r->state == NV_ST_failed)
		return nv_asprintf("%s.%llu.%s.%llu.%s", r->request.id, rev, state, finished, to);
	return nv_asprintf("%s.%llu.%s.%s", r->request.id, rev, state, to);
}

static void add_letter(struct notifier *n, const struct matter *m, const struct address *a)
{
	const struct nv_status_record *r = m->record;
	if (was_told(n, a->to))
		return;
	struct letter *l = nv_alloc(sizeof *l);
	l->kind = a->admin ? NV_NOTICE_problem : kind_of(r);
	l->to = nv_strdup(a->to);
	l->id = letter_id(n, r, a->id);
	l->user = nv_strdup(a->user);
	l->mail = nv_strdup(a->mail);
	l->lang = nv_strdup(a->admin ? NULL : r->request.lang);
	l->words = lang_of(n, l->lang);
	l->url = nv_strdup(r ? r->course_url : NULL);
	write_text(n, m, a->admin, l);
	l->next = n->letters;
	n->letters = l;
}

static void write_to_admins(struct notifier *n, const struct matter *m)
{
	const struct nv_config *c = n->w->config;
	if (c->notify.notify_site)
		add_letter(n, m, &(struct address){.to = "site1", .id = "site1", .admin = true});
	for (size_t i = 0; by_mail(c) && i < c->notify.admins_len; i++) {
		nv_auto_free char *to = nv_asprintf("mail1:%s", c->notify.admins[i]);
		nv_auto_free char *id = nv_asprintf("mail1.%zu", i);
		add_letter(n, m,
			   &(struct address){
				   .to = to, .id = id, .mail = c->notify.admins[i], .admin = true});
	}
}

static void write_to_requester(struct notifier *n, const struct matter *m)
{
	const struct nv_config *c = n->w->config;
	const char *user = m->record->request.user, *mail = m->record->request.mail;
	if (user && mail && by_mail(c))
		add_letter(n, m,
			   &(struct address){
				   .to = "mail0", .id = "mail0", .mail = mail, .user = user});
	if (user && c->notify.notify_site)
		add_letter(n, m, &(struct address){.to = "site0", .id = "site0", .user = user});
}

/* --- looking up what it is about --- */

static void look(struct notifier *n);

static void look_tick(uv_timer_t *timer)
{
	look(timer->data);
}

/* false: n goes on otherwise. */
static bool goes_on(struct notifier *n, const struct nv_err *err)
{
	if (n->stopped)
		finished(n, false);
	else if (err && err->kind == NV_RETRY)
		uv_timer_start(&n->timer, look_tick, AGAIN_MS, 0);
	else
		return true;
	return false;
}

/* Not the record of which this notice tells: gone, or asked for again since. */
static bool is_old(const struct notifier *n, const struct nv_status_record *rec)
{
	return rec->request.rev != n->rev || strcmp(nv_state_word(rec->state), n->state) != 0;
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
	struct matter m = {.record = rec};
	if (rec->state == NV_ST_failed && !n->collected)
		write_to_admins(n, &m);
	write_to_requester(n, &m);
	send_letters(n);
}

static void digest_asked(void *arg, const struct nv_err *err, bool collected)
{
	struct notifier *n = arg;
	if (!goes_on(n, err))
		return;
	n->collected = collected;
	nv_status_get(n->w->status, n->id, record_read, n);
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
	write_to_admins(n, &(struct matter){.digest = d});
	send_letters(n);
}

static void look(struct notifier *n)
{
	bool failed = strcmp(n->state, nv_state_word(NV_ST_failed)) == 0;
	if (n->digest)
		nv_status_digest_read(n->w->status, n->id, digest_read, n);
	else if (failed && has_admins(n->w->config))
		nv_status_get(n->w->status, n->id, failure_read, n);
	else
		nv_status_get(n->w->status, n->id, record_read, n);
}

static void noticed(void *arg, const struct nv_status_change_event *e)
{
	struct notifier *n = arg;
	if (n->working)
		return; /* it is given out again, to us or another */
	snprintf(n->cursor, sizeof n->cursor, "%s", e->cursor);
	snprintf(n->id, sizeof n->id, "%s", e->id);
	snprintf(n->state, sizeof n->state, "%s", e->state ? e->state : "");
	n->rev = e->rev;
	n->digest = strcmp(e->kind, "digest") == 0;
	n->collected = false;
	n->first = e->first;
	n->tries = e->tries;
	n->told.len = 0;
	nv_buf_puts(&n->told, e->told ? e->told : "");
	drop_letters(n);
	n->working = true;
	look(n);
}

struct notifier *nv_notifier_start(struct worker *w)
{
	struct notifier *n = nv_alloc(sizeof *n);
	char consumer[320];
	snprintf(consumer, sizeof consumer, "%s:%d", w->daemon->host, (int)getpid());
	n->w = w;
	w->busy++;
	uv_timer_init(w->daemon->loop, &n->timer);
	n->timer.data = n;
	n->notices = nv_status_notices(w->status, consumer, noticed, n);
	return n;
}

/* A round under way comes to its end, so that those who have been told are not told again. */
void nv_notifier_stop(struct notifier *n)
{
	bool waiting = uv_is_active((uv_handle_t *)&n->timer);
	n->stopped = true;
	uv_timer_stop(&n->timer);
	if (!n->working || waiting)
		end(n);
}
