/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Each letter has an id made of request, revision and state, and for a failure the time of it: what
 * is sent twice after a crash is seen as one, but not what was requeued and failed again. */
#include "worker/notify/letters.h"

#include <string.h>

#include "base/log.h"
#include "worker/notify/mail.h"
#include "worker/notify/mail_text.h"

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

static void drop_all(struct letters *l)
{
	while (l->first) {
		struct letter *one = l->first;
		l->first = one->next;
		letter_free(one);
	}
}

void nv_letters_begin(struct letters *l, const char *id, const char *told)
{
	drop_all(l);
	snprintf(l->id, sizeof l->id, "%s", id);
	l->told.len = 0;
	nv_buf_puts(&l->told, told ? told : "");
}

void nv_letters_fini(struct letters *l)
{
	drop_all(l);
	nv_buf_fini(&l->told);
}

/* --- writing --- */

static bool was_told(const struct letters *all, const char *to)
{
	size_t len = strlen(to);
	for (const char *at = (const char *)all->told.data; at && *at; at = strchr(at, ' ') + 1)
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

static enum nv_lang lang_of(const struct letters *all, const char *tag)
{
	return nv_lang_from(tag, nv_lang_from(all->w->config->notify.lang, NV_LANG_en));
}

static bool by_mail(const struct nv_config *c)
{
	return c->notify.smtp_url && *c->notify.smtp_url;
}

bool nv_letters_has_admins(const struct nv_config *c)
{
	return c->notify.notify_site || (by_mail(c) && c->notify.admins_len);
}

/* What the letters of one notice are written from: a record, or a digest. */
struct matter {
	const struct nv_status_record *record;
	const struct nv_digest *digest;
};

static void write_text(const struct letters *all, const struct matter *m, bool admin,
		       struct letter *l)
{
	const struct nv_config *c = all->w->config;
	if (!m->record) {
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
				       .admins_told = nv_letters_has_admins(c),
				       .for_admin = admin};
	nv_mail_text(&f, l->words, &l->page);
}

/* A requeued request keeps its revision and may fail again.  It is restored only once, and history,
 * when it tells of that again, may have another time for it (recall.lua). */
static char *letter_id(const struct letters *all, const struct nv_status_record *r, const char *to)
{
	if (!r)
		return nv_asprintf("digest.%s.%s", all->id, to);
	unsigned long long rev = r->request.rev, finished = r->finished;
	const char *state = nv_state_word(r->state);
	if (r->state == NV_ST_failed)
		return nv_asprintf("%s.%llu.%s.%llu.%s", r->request.id, rev, state, finished, to);
	return nv_asprintf("%s.%llu.%s.%s", r->request.id, rev, state, to);
}

static void add_letter(struct letters *all, const struct matter *m, const struct address *a)
{
	const struct nv_status_record *r = m->record;
	if (was_told(all, a->to))
		return;
	struct letter *l = nv_alloc(sizeof *l);
	l->kind = a->admin ? NV_NOTICE_problem : kind_of(r);
	l->to = nv_strdup(a->to);
	l->id = letter_id(all, r, a->id);
	l->user = nv_strdup(a->user);
	l->mail = nv_strdup(a->mail);
	l->lang = nv_strdup(a->admin ? NULL : r->request.lang);
	l->words = lang_of(all, l->lang);
	l->url = nv_strdup(r ? r->course_url : NULL);
	write_text(all, m, a->admin, l);
	l->next = all->first;
	all->first = l;
}

static void write_to_admins(struct letters *all, const struct matter *m)
{
	const struct nv_config *c = all->w->config;
	if (c->notify.notify_site)
		add_letter(all, m, &(struct address){.to = "site1", .id = "site1", .admin = true});
	for (size_t i = 0; by_mail(c) && i < c->notify.admins_len; i++) {
		nv_auto_free char *to = nv_asprintf("mail1:%s", c->notify.admins[i]);
		nv_auto_free char *id = nv_asprintf("mail1.%zu", i);
		add_letter(all, m,
			   &(struct address){
				   .to = to, .id = id, .mail = c->notify.admins[i], .admin = true});
	}
}

static void write_to_requester(struct letters *all, const struct matter *m)
{
	const struct nv_config *c = all->w->config;
	const char *user = m->record->request.user, *mail = m->record->request.mail;
	if (user && mail && by_mail(c))
		add_letter(all, m,
			   &(struct address){
				   .to = "mail0", .id = "mail0", .mail = mail, .user = user});
	if (user && c->notify.notify_site)
		add_letter(all, m, &(struct address){.to = "site0", .id = "site0", .user = user});
}

void nv_letters_write(struct letters *all, const struct nv_status_record *rec, bool admins)
{
	struct matter m = {.record = rec};
	if (admins)
		write_to_admins(all, &m);
	write_to_requester(all, &m);
}

void nv_letters_write_digest(struct letters *all, const struct nv_digest *d)
{
	write_to_admins(all, &(struct matter){.digest = d});
}

/* --- sending --- */

static int send_letter(struct letters *all, const struct letter *l, struct nv_err *err)
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
		return nv_mail_send(all->w->config, &m, err);
	}
	struct nv_notice notice = {.kind = l->kind,
				   .id = l->id,
				   .user = l->user,
				   .lang = l->lang,
				   .subject = subject,
				   .text = text,
				   .html = html,
				   .url = l->url};
	return nv_site_notify(all->w->site, &notice, err);
}

static struct letters_way *way_of(struct letters *all, const struct letter *l)
{
	return l->mail ? &all->mail : &all->site;
}

/* true: it needs no other try, having been sent or refused for good. */
static bool try_letter(struct letters *all, const struct letter *l)
{
	struct letters_way *way = way_of(all, l);
	struct nv_err err = {0};
	uint64_t began = nv_mono_ms();
	if (began < way->rest_until)
		return false;
	if (send_letter(all, l, &err) == 0) {
		nv_metric_add(all->w->metrics.notices, "sent", 1);
		return true;
	}
	if (err.kind == NV_REJECT) {
		nv_metric_add(all->w->metrics.notices, "refused", 1);
		NV_LOG(NV_WARN, "notice.refused", NV_S("req", all->id), NV_P("to", l->to),
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

void nv_letters_send(struct letters *all)
{
	uint64_t end = nv_mono_ms() + NV_LETTERS_ROUND_MS;
	for (struct letter **at = &all->first; *at && nv_mono_ms() < end;) {
		struct letter *l = *at;
		if (!try_letter(all, l)) {
			at = &l->next;
			continue;
		}
		nv_buf_printf(&all->told, "%s ", l->to);
		*at = l->next;
		letter_free(l);
	}
}

const struct nv_err *nv_letters_why(const struct letters *all, const struct letter *one)
{
	return one->mail ? &all->mail.why : &all->site.why;
}
