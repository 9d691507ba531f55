/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Final states → messages for people.
 *
 * Redis hands each final state to one of all notifiers; the record says whom it concerns.  The
 * requester is told through the site and by mail, administrators are mailed failures.  Each message
 * has an id made of request, revision and state: what is sent twice after a crash is seen as one.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/log.h"
#include "worker/mail.h"
#include "worker/texts.h"
#include "worker/worker.h"

/* All tries together stay below the time after which a notice goes to another notifier. */
#define AGAIN_MS 2000u
#define TRIES 5u

/* One message to one person. */
struct letter {
	struct letter *next;
	char *id, *mail, *lang; /* mail NULL: through the site */
	char *user;
	char *url;
	struct nv_buf subject, text;
};

struct notifier {
	struct worker *w;
	struct nv_notices *notices;
	uv_timer_t timer;
	bool working, stopped;
	char cursor[64];
	char id[NV_UUID_SIZE];
	char state[16];
	unsigned tries;
	struct letter *letters; /* those not sent yet */
};

static void letter_free(struct letter *l)
{
	free(l->id);
	free(l->mail);
	free(l->lang);
	free(l->user);
	free(l->url);
	nv_buf_fini(&l->subject);
	nv_buf_fini(&l->text);
	free(l);
}

static void timer_closed(uv_handle_t *handle)
{
	struct notifier *n = handle->data;
	struct worker *w = n->w;
	while (n->letters) {
		struct letter *l = n->letters;
		n->letters = l->next;
		letter_free(l);
	}
	free(n);
	w->busy--;
	nv_worker_maybe_stopped(w);
}

static void finished(struct notifier *n, bool done)
{
	n->working = false;
	if (done && !n->stopped)
		nv_notice_done(n->notices, n->cursor);
	if (n->stopped)
		uv_close((uv_handle_t *)&n->timer, timer_closed);
}

/* --- sending, on a thread --- */

static int send_letter(struct notifier *n, const struct letter *l, struct nv_err *err)
{
	const char *subject = (const char *)l->subject.data, *text = (const char *)l->text.data;
	if (l->mail) {
		struct nv_mail m = {.to = l->mail,
				    .id = l->id,
				    .subject = subject,
				    .text = text,
				    .date_ms = nv_now_ms()};
		return nv_mail_send(n->w->config, &m, err);
	}
	struct nv_notice notice = {.id = l->id,
				   .user = l->user,
				   .lang = l->lang,
				   .subject = subject,
				   .text = text,
				   .url = l->url};
	return nv_site_notify(n->w->site, &notice, err);
}

/* Sends what can be sent; a letter that will never arrive is logged and dropped. */
static int send_work(struct nv_job *job, void *arg, struct nv_err *err)
{
	struct notifier *n = arg;
	(void)job;
	while (n->letters) {
		struct letter *l = n->letters;
		bool sent = send_letter(n, l, err) == 0;
		if (!sent && err->kind == NV_RETRY)
			return -1;
		nv_metric_add(n->w->metrics.notices, sent ? "sent" : "refused", 1);
		if (!sent)
			NV_LOG(NV_WARN, "notice.refused", NV_S("req", n->id), NV_E(err));
		n->letters = l->next;
		letter_free(l);
	}
	return 0;
}

static void send_letters(struct notifier *n);

static void send_tick(uv_timer_t *timer)
{
	send_letters(timer->data);
}

static void letters_sent(void *arg, const struct nv_err *err)
{
	struct notifier *n = arg;
	if (!err) {
		finished(n, true);
	} else if (n->stopped) {
		finished(n, false); /* another notifier gets it */
	} else if (++n->tries < TRIES) {
		NV_LOG(NV_WARN, "notice.delayed", NV_S("req", n->id), NV_E(err));
		uv_timer_start(&n->timer, send_tick, AGAIN_MS, 0);
	} else {
		NV_LOG(NV_ERROR, "notice.dropped", NV_S("req", n->id), NV_E(err));
		nv_metric_add(n->w->metrics.notices, "dropped", 1);
		finished(n, true);
	}
}

static void send_letters(struct notifier *n)
{
	struct nv_run run = {.work = send_work, .on_done_cb = letters_sent, .arg = n};
	nv_run_start(n->w->daemon->loop, &run);
}

/* --- writing, from the record --- */

static struct letter *add_letter(struct notifier *n, const struct nv_status_record *r,
				 const char *to, const char *mail, bool for_admin)
{
	const struct nv_config *c = n->w->config;
	const struct nv_config_site *site = nv_config_site(c, r->request.site);
	struct nv_text_facts f = {.record = r,
				  .site_label = site ? site->label : r->request.site,
				  .site_url = site && c->restore.url_in_mail ? site->url : NULL,
				  .warnings = for_admin || c->restore.warnings_to_owner,
				  .for_admin = for_admin};
	struct letter *l = nv_alloc(sizeof *l);
	l->id = nv_asprintf("%s.%llu.%s.%s%u", r->request.id, (unsigned long long)r->request.rev,
			    nv_state_word(r->state), mail ? "mail" : "site", for_admin);
	l->user = nv_strdup(to);
	l->mail = nv_strdup(mail);
	l->lang = nv_strdup(for_admin ? NULL : r->request.lang);
	l->url = nv_strdup(r->course_url);
	nv_texts(&f, l->lang, &l->subject, &l->text);
	l->next = n->letters;
	n->letters = l;
	return l;
}

static void write_letters(struct notifier *n, const struct nv_status_record *r)
{
	const struct nv_config *c = n->w->config;
	bool by_mail = c->notify.smtp_url && *c->notify.smtp_url;
	if (r->request.user && c->notify.notify_site)
		add_letter(n, r, r->request.user, NULL, false);
	if (r->request.user && r->request.mail && by_mail)
		add_letter(n, r, r->request.user, r->request.mail, false);
	for (size_t i = 0; by_mail && r->state == NV_ST_failed && i < c->notify.admins_len; i++) {
		struct letter *l = add_letter(n, r, NULL, c->notify.admins[i], true);
		char *id = nv_asprintf("%s.%zu", l->id, i);
		free(l->id);
		l->id = id;
	}
}

static void look(struct notifier *n);

static void look_tick(uv_timer_t *timer)
{
	look(timer->data);
}

static void record_read(void *arg, const struct nv_err *err, const struct nv_status_record *rec)
{
	struct notifier *n = arg;
	if (n->stopped) {
		finished(n, false);
	} else if (err && err->kind == NV_RETRY) {
		uv_timer_start(&n->timer, look_tick, AGAIN_MS, 0);
	} else if (err || strcmp(nv_state_word(rec->state), n->state) != 0) {
		finished(n, true); /* gone, or asked for again since: nothing to tell */
	} else {
		write_letters(n, rec);
		send_letters(n);
	}
}

static void look(struct notifier *n)
{
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
	n->working = true;
	n->tries = 0;
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

void nv_notifier_stop(struct notifier *n)
{
	bool waiting = uv_is_active((uv_handle_t *)&n->timer);
	n->stopped = true;
	uv_timer_stop(&n->timer);
	nv_status_notices_close(n->notices);
	if (!n->working || waiting)
		uv_close((uv_handle_t *)&n->timer, timer_closed);
}
