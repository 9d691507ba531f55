/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "worker/notify/mail_text.h"
#include "core/status/notices.h"
#include "core/status/status.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

const char *nv_mail_text_course(const struct nv_status_record *r)
{
	if (r->course_fullname)
		return r->course_fullname;
	if (r->request.fullname)
		return r->request.fullname;
	return r->request.course;
}

static enum nv_string_event event_of(const struct nv_mail_text_facts *f)
{
	const struct nv_status_record *r = f->record;
	if (r->state == NV_ST_restored)
		return r->differences.len || (f->warnings && r->warnings.len) ? NV_TE_remarks
									      : NV_TE_restored;
	if (r->state == NV_ST_cancelled)
		return NV_TE_cancelled;
	return f->for_admin ? NV_TE_problem : NV_TE_failed;
}

static enum nv_reason reason_from(const char *word)
{
	return word ? nv_reason_from(word) : NV_R_internal;
}

static const char *why_for_admin(enum nv_lang lang, const char *word)
{
	const struct nv_reason_words *w = nv_reason_words(lang, reason_from(word));
	return w->other ? w->other : w->why;
}

/* Where the pages show this request. */
static char *request_url(const char *page_url, const char *id)
{
	size_t len = page_url ? strlen(page_url) : 0;
	const char *slash = len && page_url[len - 1] == '/' ? "" : "/";
	return len && id ? nv_asprintf("%s%s#request=%s", page_url, slash, id) : NULL;
}

/* Whatever is set about warnings: what is gone is said. */
static void say_losses(const struct nv_list *losses, enum nv_lang lang, struct nv_mail_builder *l)
{
	const struct nv_difference *d = losses->items;
	if (!losses->len)
		return;
	nv_mail_builder_para(l, nv_phrase(lang, NV_P_losses), NULL);
	nv_mail_builder_list(l, true);
	for (size_t i = 0; i < losses->len; i++) {
		nv_auto_free char *had = nv_asprintf("%" PRIu64, d[i].had);
		nv_auto_free char *has = nv_asprintf("%" PRIu64, d[i].has);
		const struct nv_slot slots[] = {{"kind", nv_kind_words(lang, d[i].kind)},
						{"type", d[i].type},
						{"had", had},
						{"has", has},
						{0}};
		nv_mail_builder_item(l, nv_phrase(lang, *d[i].type ? NV_P_loss_of_type : NV_P_loss),
				     slots, NULL, NULL);
	}
	nv_mail_builder_list(l, false);
}

static void say_restored(const struct nv_mail_text_facts *f, enum nv_lang lang,
			 struct nv_mail_builder *l)
{
	const struct nv_status_record *r = f->record;
	nv_mail_builder_para(
		l, nv_phrase(lang, r->course_user_data ? NV_P_with_data : NV_P_without_data), NULL);
	if (r->enrolled)
		nv_mail_builder_para(l, nv_phrase(lang, NV_P_enrolled), NULL);
	if (r->course_url)
		nv_mail_builder_link(l, nv_phrase(lang, NV_P_open_course), r->course_url);
	else if (r->course)
		nv_mail_builder_para(l, nv_phrase(lang, NV_P_number),
				     (struct nv_slot[]){{"number", r->course}, {0}});
	say_losses(&r->differences, lang, l);
	if (!f->warnings || !r->warnings.len)
		return;
	nv_mail_builder_para(l, nv_phrase(lang, NV_P_remarks), NULL);
	nv_mail_builder_list(l, true);
	for (size_t i = 0; i < r->warnings.len; i++)
		nv_mail_builder_item(l, "{remark}",
				     (struct nv_slot[]){{"remark", r->warnings.items[i]}, {0}},
				     NULL, NULL);
	nv_mail_builder_list(l, false);
}

static void say_failed(const struct nv_mail_text_facts *f, enum nv_lang lang,
		       struct nv_mail_builder *l)
{
	const char *word = f->record->reason;
	if (f->for_admin) {
		nv_mail_builder_para(l, why_for_admin(lang, word), NULL);
		return;
	}
	const struct nv_reason_words *w = nv_reason_words(lang, reason_from(word));
	nv_mail_builder_para(l, w->why, NULL);
	nv_mail_builder_para(l, w->to_do, NULL);
	nv_mail_builder_para(l, nv_phrase(lang, NV_P_unchanged), NULL);
	if (f->admins_told)
		nv_mail_builder_para(l, nv_phrase(lang, NV_P_told), NULL);
}

static void say_cancelled(enum nv_lang lang, struct nv_mail_builder *l)
{
	nv_mail_builder_para(l, nv_phrase(lang, NV_P_unchanged), NULL);
	nv_mail_builder_para(l, nv_phrase(lang, NV_P_ask_again), NULL);
}

static void say_details(const struct nv_mail_text_facts *f, enum nv_lang lang,
			struct nv_mail_builder *l)
{
	const struct nv_status_record *r = f->record;
	nv_auto_free char *failures = nv_asprintf("%" PRIu64, r->failures);
	const struct {
		enum nv_phrase label;
		const char *value;
	} rows[] = {
		{NV_P_row_request, r->request.id},
		{NV_P_row_requester, r->request.user},
		{NV_P_row_course, r->request.course},
		{NV_P_row_site, r->request.site},
		{NV_P_row_state, nv_state_word(r->state)},
		{NV_P_row_failures, failures},
		{NV_P_row_reason, r->reason},
		{NV_P_row_details, r->message},
		{NV_P_row_host, r->host},
	};
	nv_mail_builder_para(l, nv_phrase(lang, NV_P_admin), NULL);
	nv_mail_builder_table(l, true);
	for (size_t i = 0; i < NV_ARRAY_LEN(rows); i++)
		nv_mail_builder_row(l, nv_phrase(lang, rows[i].label),
				    rows[i].value ? rows[i].value : "-");
	nv_mail_builder_table(l, false);
}

static void say_links(const struct nv_mail_text_facts *f, enum nv_lang lang,
		      struct nv_mail_builder *l)
{
	nv_auto_free char *url = request_url(f->page_url, f->record->request.id);
	if (f->site_url)
		nv_mail_builder_link(l, nv_phrase(lang, NV_P_remote), f->site_url);
	if (f->for_admin && url)
		nv_mail_builder_link(l, nv_phrase(lang, NV_P_request), url);
	else if (f->page_url)
		nv_mail_builder_link(l, nv_phrase(lang, NV_P_page), f->page_url);
}

void nv_mail_text(const struct nv_mail_text_facts *f, enum nv_lang lang,
		  struct nv_mail_builder *ret)
{
	const struct nv_status_record *r = f->record;
	const struct nv_slot slots[] = {{"course", nv_mail_text_course(r)},
					{"site", f->site_label},
					{"name", r->request.user_name},
					{0}};
	bool named = r->request.user_name && !f->for_admin;
	enum nv_string_event event = event_of(f);
	ret->colon = nv_lang_colon(lang);
	nv_mail_builder_subject(ret, nv_event_subject(lang, event), slots);
	nv_mail_builder_para(ret, nv_phrase(lang, named ? NV_P_hello : NV_P_hello_nobody), slots);
	nv_mail_builder_para(ret, nv_event_opening(lang, event), slots);
	if (r->state == NV_ST_restored)
		say_restored(f, lang, ret);
	else if (r->state == NV_ST_cancelled)
		say_cancelled(lang, ret);
	else
		say_failed(f, lang, ret);
	if (f->for_admin)
		say_details(f, lang, ret);
	say_links(f, lang, ret);
}

/* --- digests --- */

static const char *label_of(const struct nv_config *config, const char *site)
{
	const struct nv_config_site *s = site ? nv_config_site(config, site) : NULL;
	return s ? s->label : site;
}

static void say_reasons(const struct nv_digest *d, enum nv_lang lang, struct nv_mail_builder *l)
{
	nv_mail_builder_para(l, nv_phrase(lang, NV_P_by_reason), NULL);
	nv_mail_builder_list(l, true);
	for (size_t i = 0; i < d->counts_len; i++) {
		nv_auto_free char *number = nv_asprintf("%" PRIu64, d->counts[i].number);
		nv_mail_builder_item(
			l, nv_phrase(lang, NV_P_reason_count),
			(struct nv_slot[]){{"number", number},
					   {"reason", why_for_admin(lang, d->counts[i].reason)},
					   {0}},
			NULL, NULL);
	}
	nv_mail_builder_list(l, false);
}

static void say_row(const struct nv_digest_row *row, const struct nv_config *config,
		    enum nv_lang lang, struct nv_mail_builder *l)
{
	const struct nv_slot slots[] = {{"course", row->course},
					{"site", label_of(config, row->site)},
					{"user", row->user},
					{"reason", why_for_admin(lang, row->reason)},
					{0}};
	nv_auto_free char *url = request_url(config->producer.base_url, row->id);
	nv_mail_builder_item(l,
			     nv_phrase(lang, row->user ? NV_P_digest_row : NV_P_digest_row_nobody),
			     slots, nv_phrase(lang, NV_P_request), url);
}

void nv_mail_text_digest(const struct nv_digest *d, const struct nv_config *config,
			 enum nv_lang lang, struct nv_mail_builder *ret)
{
	nv_auto_free char *number = nv_asprintf("%" PRIu64, d->total);
	char since[64];
	time_t seconds = (time_t)(d->since / 1000);
	struct tm tm;
	gmtime_r(&seconds, &tm);
	strftime(since, sizeof since, "%Y-%m-%d %H:%M UTC", &tm);
	const struct nv_slot slots[] = {{"number", number}, {"time", since}, {0}};
	enum nv_string_event event = d->total == 1 ? NV_TE_digest_one : NV_TE_digest;
	ret->colon = nv_lang_colon(lang);
	nv_mail_builder_subject(ret, nv_event_subject(lang, event), slots);
	nv_mail_builder_para(ret, nv_phrase(lang, NV_P_hello_nobody), NULL);
	nv_mail_builder_para(ret, nv_event_opening(lang, event), slots);
	say_reasons(d, lang, ret);
	nv_mail_builder_para(ret, nv_phrase(lang, NV_P_digest_rows), NULL);
	nv_mail_builder_list(ret, true);
	for (size_t i = 0; i < d->rows_len; i++)
		say_row(&d->rows[i], config, lang, ret);
	nv_mail_builder_list(ret, false);
	if (d->total > d->rows_len) {
		nv_auto_free char *more = nv_asprintf("%" PRIu64, d->total - d->rows_len);
		nv_mail_builder_para(ret, nv_phrase(lang, NV_P_digest_more),
				     (struct nv_slot[]){{"number", more}, {0}});
	}
}
