/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Questions to a course server about our dead letters there: list, requeue, discard.  The answer
 * comes as those about courses do (replies.c).
 *
 * An archiver of the first release would put such a question into its dead queue.  So it is sent
 * only if the course server's last answer about courses names its kind; otherwise the course server
 * is first asked about nobody's courses, since it may have been upgraded meanwhile. */
#include <string.h>

#include "base/log.h"
#include "core/bus/dead_letters.h"
#include "core/status/kv.h"
#include "producer/admin/dead_tidy.h"
#include "producer/admin/site_letters.h"
#include "producer/answer.h"
#include "producer/app.h"
#include "producer/requests/catalog.h"
#include "producer/requests/replies.h"
#include "producer/site_presence.h"

/* Alive until its callback was called and no callback of others is under way. */
struct ask {
	struct letters *all;
	struct ask *prev, *next;
	uv_timer_t timer;
	struct nv_arena arena;
	const struct nv_config_site *site;
	char id[NV_UUID_SIZE];
	enum nv_letters_what what;
	const char *letter; /* as in letters_question, also the next two */
	uint64_t since;
	const char *by; /* NULL: nobody, the producer itself */
	unsigned ops;	/* callbacks to come */
	bool told;	/* the callback was called */
	bool closing;	/* the timer is being closed */
	letters_cb cb;
	void *arg;
};

struct letters {
	struct app *app;
	struct ask *asks;
};

struct letters *nv_site_letters_new(struct app *app)
{
	struct letters *all = nv_alloc(sizeof *all);
	all->app = app;
	return all;
}

void nv_site_letters_free(struct letters *all)
{
	free(all);
}

static void timer_closed(uv_handle_t *handle)
{
	struct ask *q = handle->data;
	nv_arena_fini(&q->arena);
	free(q);
}

static void let_go(struct ask *q)
{
	if (!q->told || q->ops || q->closing)
		return;
	q->closing = true;
	if (q->prev)
		q->prev->next = q->next;
	else
		q->all->asks = q->next;
	if (q->next)
		q->next->prev = q->prev;
	uv_close((uv_handle_t *)&q->timer, timer_closed);
}

static void tell(struct ask *q, const struct nv_err *err, const struct nv_letters_reply *reply)
{
	if (!q->told) {
		q->told = true;
		q->cb(q->arg, err, err ? NULL : reply);
	}
	let_go(q);
}

static void tell_failure(struct ask *q, unsigned status, enum nv_reason reason, const char *why)
{
	struct nv_err err;
	nv_api_err(&err, status, reason, "%s: %s", q->site->label ? q->site->label : q->site->name,
		   why);
	tell(q, &err, NULL);
}

static void too_late(uv_timer_t *timer)
{
	struct ask *q = timer->data;
	nv_dead_tidy_answer_lost(q->all->app->tidy);
	tell_failure(q, 504, NV_R_timeout, "the course server does not answer");
}

void nv_site_letters_close(struct letters *all)
{
	struct nv_err err;
	struct ask *next;
	nv_fail(&err, NV_RETRY, NV_R_busy, "the producer stops");
	for (struct ask *q = all->asks; q; q = next) {
		next = q->next;
		tell(q, &err, NULL);
	}
}

/* --- answers --- */

/* What the course server refuses. */
static unsigned status_of(enum nv_reason reason)
{
	switch (reason) {
	case NV_R_not_found:
		return 404;
	case NV_R_busy:
	case NV_R_broker_unavailable:
		return 503;
	case NV_R_internal:
		return 502;
	default:
		return 409;
	}
}

/* Their ids go into paths of the API, and into those that a page makes. */
static bool are_ids(const struct nv_letters_reply *reply)
{
	const struct nv_dead_letter *l = reply->letters.items;
	for (size_t i = 0; i < reply->letters.len; i++)
		if (!nv_letter_is_id(l[i].id))
			return false;
	return true;
}

static void stored_read(void *arg, const struct nv_err *err, const void *value, size_t len)
{
	struct ask *q = arg;
	struct nv_letters_reply reply;
	uint64_t stored;
	q->ops--;
	if (err || q->told) {
		tell(q, err, NULL);
	} else if (!nv_reply_read(&nv_letters_reply_record, value, len, &reply, &q->arena,
				  &stored)) {
		let_go(q); /* it has expired: so has the question */
	} else if (reply.reason) {
		enum nv_reason reason = nv_reason_from(reply.reason);
		tell_failure(q, status_of(reason), reason,
			     reply.message ? reply.message : nv_reason_text(reason));
	} else if (!are_ids(&reply)) {
		tell_failure(q, 502, NV_R_bad_message, "an answer with an invalid id of a letter");
	} else {
		tell(q, NULL, &reply);
	}
}

void nv_site_letters_announced(struct app *app, const char *site, const char *id)
{
	for (struct ask *q = app->letters->asks; q; q = q->next) {
		if (q->told || strcmp(q->id, id) != 0 || strcmp(q->site->name, site) != 0)
			continue;
		q->ops++;
		nv_kv_get(app->status, nv_reply_key(&q->arena, LETTERS_EVENT, site, id),
			  stored_read, q);
		return;
	}
}

void nv_site_letters_store(struct app *app, const char *site, const struct nv_letters_reply *reply,
			   nv_status_cb cb, void *arg)
{
	struct reply r = {.kind = LETTERS_EVENT,
			  .site = site,
			  .about = reply->id,
			  .record = &nv_letters_reply_record,
			  .body = reply};
	nv_reply_store(app, &r, cb, arg);
}

/* --- asking --- */

static void sent(void *arg, const struct nv_err *err)
{
	struct ask *q = arg;
	q->ops--;
	if (err && !q->told)
		tell_failure(q, 504, NV_R_timeout, nv_reason_text(err->reason));
	else
		let_go(q);
}

static void send_question(struct ask *q)
{
	struct app *app = q->all->app;
	struct nv_letters_request body = {
		.id = q->id,
		.what = q->what,
		.letter = (char *)(uintptr_t)q->letter,
		.since = q->since,
		.by = (char *)(uintptr_t)q->by,
	};
	struct nv_send s = {.kind = NV_KIND_LETTERS_REQUEST,
			    .body = &body,
			    .to = nv_queue_catalog(q->site->name),
			    .ttl_ms = app->config->producer.catalog_timeout,
			    .drop_when_expired = true};
	q->ops++;
	nv_sender_send(&app->sender, &s, sent, q);
}

static bool takes_them(const struct nv_strs *kinds)
{
	const char *word = nv_kind_info(NV_KIND_LETTERS_REQUEST)->word;
	for (size_t i = 0; i < kinds->len; i++)
		if (strcmp(kinds->items[i], word) == 0)
			return true;
	return false;
}

static void asked_afresh(void *arg, const struct nv_err *err, const struct catalog_site *sites,
			 size_t len)
{
	struct ask *q = arg;
	q->ops--;
	if (err || q->told)
		tell(q, err, NULL);
	else if (!len || sites->status == CATALOG_UNREACHABLE)
		tell_failure(q, 504, NV_R_timeout,
			     len ? sites->error : "the course server does not answer");
	else if (takes_them(&sites->reply.kinds))
		send_question(q);
	else
		tell_failure(q, 409, NV_R_unknown_version,
			     "the archiver there is too old to show or settle dead letters from "
			     "here: upgrade it, or use \"navette dead\" on the course server");
}

static void known(void *arg, const struct nv_err *err, bool understood)
{
	struct ask *q = arg;
	struct app *app = q->all->app;
	q->ops--;
	if (err || q->told) {
		tell(q, err, NULL);
	} else if (!nv_bus_up(app->bus)) {
		tell_failure(q, 503, NV_R_broker_unavailable,
			     nv_reason_text(NV_R_broker_unavailable));
	} else if (understood) {
		send_question(q);
	} else {
		q->ops++;
		nv_catalog_ask(app, CATALOG_NOBODY, q->site->name, CATALOG_AFRESH, asked_afresh, q);
	}
}

void nv_site_letters_ask(struct app *app, const struct nv_config_site *site,
			 const struct letters_question *question, letters_cb cb, void *arg)
{
	struct ask *q = nv_alloc(sizeof *q);
	*q = (struct ask){.all = app->letters,
			  .site = site,
			  .what = question->what,
			  .since = question->since,
			  .cb = cb,
			  .arg = arg};
	q->letter = question->letter ? nv_arena_strdup(&q->arena, question->letter) : NULL;
	q->by = question->by ? nv_arena_strdup(&q->arena, question->by) : NULL;
	nv_uuid_new(q->id);
	q->next = app->letters->asks;
	if (q->next)
		q->next->prev = q;
	app->letters->asks = q;
	uv_timer_init(app->d->loop, &q->timer);
	q->timer.data = q;
	uv_timer_start(&q->timer, too_late, app->config->producer.catalog_timeout, 0);
	q->ops++;
	nv_site_presence_understands(app, site->name, NV_KIND_LETTERS_REQUEST, known, q);
}
