/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The courses a user may restore.  A question goes to each course server through the broker; the
 * keeper (of whichever producer gets the answer) stores it in Redis as "catalog:<site>:<user>" and
 * announces it on the event stream, where the producer that asked hears of it (replies.c). */
#include <string.h>

#include "base/log.h"
#include "core/status/kv.h"
#include "core/status/status.h"
#include "producer/answer.h"
#include "producer/app.h"
#include "producer/requests/catalog.h"
#include "producer/requests/replies.h"

struct part {
	struct catalog_site site;
	bool asked;    /* by this lookup, or by another whose answer will do */
	uint64_t sent; /* by this lookup, at this time (nv_mono_ms); 0: not */
	bool answered; /* and is being read: whoever comes now must ask again */
};

/* One person's question to some sites; alive until its callback was called and no callback of the
 * status is under way. */
struct lookup {
	struct catalog *c;
	struct lookup *prev, *next;
	uv_timer_t timer;
	struct nv_arena arena;
	char *user;
	enum catalog_how how;
	struct part *parts;
	size_t parts_len;
	unsigned ops; /* callbacks of the status to come */
	bool told;    /* the callback was called */
	bool closing; /* the timer is being closed */
	catalog_cb cb;
	void *arg;
};

struct catalog {
	struct app *app;
	struct lookup *lookups;
};

struct catalog *nv_catalog_new(struct app *app)
{
	struct catalog *c = nv_alloc(sizeof *c);
	c->app = app;
	return c;
}

void nv_catalog_free(struct catalog *c)
{
	free(c);
}

/* --- life of a lookup --- */

static void timer_closed(uv_handle_t *handle)
{
	struct lookup *l = handle->data;
	nv_arena_fini(&l->arena);
	free(l);
}

static void let_go(struct lookup *l)
{
	if (!l->told || l->ops || l->closing)
		return;
	l->closing = true;
	if (l->prev)
		l->prev->next = l->next;
	else
		l->c->lookups = l->next;
	if (l->next)
		l->next->prev = l->prev;
	uv_close((uv_handle_t *)&l->timer, timer_closed);
}

static void tell(struct lookup *l, const struct nv_err *err)
{
	if (l->told)
		return;
	l->told = true;
	struct catalog_site *sites = nv_arena_alloc(&l->arena, (l->parts_len + 1) * sizeof *sites);
	for (size_t i = 0; i < l->parts_len; i++)
		sites[i] = l->parts[i].site;
	l->cb(l->arg, err, err ? NULL : sites, err ? 0 : l->parts_len);
}

static void tell_when_settled(struct lookup *l)
{
	for (size_t i = 0; i < l->parts_len; i++)
		if (!l->parts[i].site.settled)
			return;
	tell(l, NULL);
}

static void settle_unreachable(struct lookup *l, struct part *p, const char *why)
{
	if (p->site.settled)
		return;
	p->site.settled = true;
	p->site.status = CATALOG_UNREACHABLE;
	p->site.error = nv_arena_strdup(&l->arena, why);
}

static void too_late(uv_timer_t *timer)
{
	struct lookup *l = timer->data;
	for (size_t i = 0; i < l->parts_len; i++)
		settle_unreachable(l, &l->parts[i], "the course server does not answer");
	tell(l, NULL);
	let_go(l);
}

void nv_catalog_close(struct catalog *c)
{
	struct nv_err err;
	struct lookup *next;
	nv_fail(&err, NV_RETRY, NV_R_busy, "the producer stops");
	for (struct lookup *l = c->lookups; l; l = next) {
		next = l->next;
		tell(l, &err);
		let_go(l);
	}
}

/* --- asking --- */

/* What outlives the lookup: the broker may answer late. */
struct question {
	struct catalog *c;
	const struct nv_config_site *site;
	char *user;
};

static bool waits_for(const struct lookup *l, const struct part *p, const char *site,
		      const char *user)
{
	return !l->told && p->asked && !p->site.settled && strcmp(p->site.site->name, site) == 0 &&
	       strcmp(l->user, user) == 0;
}

static void question_sent(void *arg, const struct nv_err *err)
{
	struct question *q = arg;
	struct lookup *next;
	if (err) {
		NV_LOG(NV_WARN, "catalog.unsent", NV_S("site", q->site->name), NV_E(err));
		for (struct lookup *l = q->c->lookups; l; l = next) {
			next = l->next;
			for (size_t i = 0; i < l->parts_len; i++)
				if (waits_for(l, &l->parts[i], q->site->name, q->user))
					settle_unreachable(l, &l->parts[i],
							   nv_reason_text(err->reason));
			tell_when_settled(l);
			let_go(l);
		}
	}
	free(q->user);
	free(q);
}

/* By another, and so lately that the broker keeps that question for about as long as we wait. */
static bool already_asked(const struct catalog *c, const struct lookup *me, const char *site)
{
	uint64_t now = nv_mono_ms(), lately = c->app->config->producer.catalog_timeout / 2;
	for (const struct lookup *l = c->lookups; l; l = l->next)
		for (size_t i = 0; l != me && i < l->parts_len; i++)
			if (waits_for(l, &l->parts[i], site, me->user) && !l->parts[i].answered &&
			    l->parts[i].sent && now - l->parts[i].sent < lately)
				return true;
	return false;
}

static void ask_site(struct lookup *l, struct part *p)
{
	struct app *app = l->c->app;
	const struct nv_config_site *site = p->site.site;
	const char *field = app->config->restore.user_field;
	char id[NV_UUID_SIZE];
	size_t roles_len;
	const char *const *roles = nv_config_search_roles(app->config, site, &roles_len);
	p->asked = true;
	if (already_asked(l->c, l, site->name))
		return;
	if (!nv_bus_up(app->bus)) {
		settle_unreachable(l, p, nv_reason_text(NV_R_broker_unavailable));
		return;
	}
	p->sent = nv_mono_ms();
	nv_uuid_new(id);
	struct nv_catalog_request body = {
		.id = id,
		.user = l->user,
		.user_field = (char *)(uintptr_t)(field ? field : "username"),
		.roles = {.items = (char **)(uintptr_t)roles, .len = roles_len},
	};
	struct nv_send send = {.kind = NV_KIND_CATALOG_REQUEST,
			       .body = &body,
			       .to = nv_queue_catalog(site->name),
			       .ttl_ms = app->config->producer.catalog_timeout,
			       .drop_when_expired = true};
	struct question *q = nv_alloc(sizeof *q);
	*q = (struct question){.c = l->c, .site = site, .user = nv_strdup(l->user)};
	nv_sender_send(&app->sender, &send, question_sent, q);
}

/* --- answers --- */

struct reading {
	struct lookup *l;
	struct part *p;
	bool fresh_only; /* the first look; later whatever came is the answer */
};

static void settle_from(struct part *p, const struct nv_catalog_reply *reply)
{
	p->site.settled = true;
	p->site.reply = *reply;
	p->site.at = reply->at;
	p->site.error = reply->error;
	p->site.status = reply->status == NV_CAT_OK		? CATALOG_OK
			 : reply->status == NV_CAT_UNKNOWN_USER ? CATALOG_UNKNOWN_USER
								: CATALOG_ERROR;
	if (p->site.status == CATALOG_UNKNOWN_USER && !p->site.error)
		p->site.error = "you have no account on this platform";
	if (p->site.status == CATALOG_ERROR && !p->site.error)
		p->site.error = "the course server could not list your courses";
}

/* false: nothing usable is kept. */
static bool use_stored(const struct reading *rd, const void *value, size_t len)
{
	const struct lookup *l = rd->l;
	struct nv_catalog_reply reply;
	uint64_t stored;
	if (rd->fresh_only && l->how == CATALOG_AFRESH)
		return false;
	if (!nv_reply_read(&nv_catalog_reply_record, value, len, &reply, &rd->l->arena, &stored))
		return false;
	if (rd->fresh_only && stored + l->c->app->config->producer.catalog_ttl <= nv_now_ms())
		return false;
	if (rd->fresh_only && reply.status == NV_CAT_ERROR)
		return false; /* an error is no reason not to ask again */
	settle_from(rd->p, &reply);
	return true;
}

static void ask_unless_kept(struct lookup *l, struct part *p)
{
	if (l->how != CATALOG_KEPT) {
		ask_site(l, p);
		return;
	}
	p->site.settled = true;
	p->site.status = CATALOG_NOT_ASKED;
}

static void stored_read(void *arg, const struct nv_err *err, const void *value, size_t len)
{
	struct reading *rd = arg;
	struct lookup *l = rd->l;
	l->ops--;
	if (err)
		tell(l, err);
	else if (!rd->p->site.settled && !use_stored(rd, value, len) && rd->fresh_only && !l->told)
		ask_unless_kept(l, rd->p);
	if (!l->told)
		tell_when_settled(l);
	let_go(l);
}

static void read_stored(struct lookup *l, struct part *p, bool fresh_only)
{
	struct reading *rd = nv_arena_alloc(&l->arena, sizeof *rd);
	*rd = (struct reading){.l = l, .p = p, .fresh_only = fresh_only};
	l->ops++;
	nv_kv_get(l->c->app->status,
		  nv_reply_key(&l->arena, CATALOG_EVENT, p->site.site->name, l->user), stored_read,
		  rd);
}

void nv_catalog_announced(struct app *app, const char *site, const char *user)
{
	for (struct lookup *l = app->catalog->lookups; l; l = l->next)
		for (size_t i = 0; i < l->parts_len; i++)
			if (waits_for(l, &l->parts[i], site, user)) {
				l->parts[i].answered = true;
				read_stored(l, &l->parts[i], false);
			}
}

/* --- for the others --- */

static bool take_sites(struct lookup *l, const struct nv_config *c, const char *only)
{
	l->parts = nv_arena_alloc(&l->arena, (c->sites_len + 1) * sizeof *l->parts);
	for (size_t i = 0; i < c->sites_len; i++)
		if (!only || strcmp(only, c->sites[i].name) == 0)
			l->parts[l->parts_len++].site.site = &c->sites[i];
	return l->parts_len > 0;
}

void nv_catalog_ask(struct app *app, const char *user, const char *site, enum catalog_how how,
		    catalog_cb cb, void *arg)
{
	struct lookup *l = nv_alloc(sizeof *l);
	l->c = app->catalog;
	l->how = how;
	l->cb = cb;
	l->arg = arg;
	l->user = nv_arena_strdup(&l->arena, user);
	l->next = app->catalog->lookups;
	if (l->next)
		l->next->prev = l;
	app->catalog->lookups = l;
	uv_timer_init(app->d->loop, &l->timer);
	l->timer.data = l;
	uv_timer_start(&l->timer, too_late, app->config->producer.catalog_timeout, 0);
	l->ops++; /* callbacks that come at once must not free it below us */
	if (take_sites(l, app->config, site))
		for (size_t i = 0; i < l->parts_len; i++)
			read_stored(l, &l->parts[i], true);
	else
		tell(l, NULL);
	l->ops--;
	let_go(l);
}

const struct nv_course *nv_catalog_find(const struct catalog_site *s, const char *course)
{
	const struct nv_course *courses = s->reply.courses.items;
	for (size_t i = 0; s->status == CATALOG_OK && i < s->reply.courses.len; i++)
		if (strcmp(courses[i].course, course) == 0)
			return &courses[i];
	return NULL;
}

bool nv_catalog_lacks(const struct catalog_site *s, const char *course)
{
	return s->status == CATALOG_OK && !nv_catalog_find(s, course);
}

int nv_catalog_judge(const struct catalog_site *s, const char *course, struct nv_err *err)
{
	switch (s->status) {
	case CATALOG_UNREACHABLE:
		return nv_api_err(err, 504, NV_R_timeout, "%s: %s", s->site->label, s->error);
	case CATALOG_UNKNOWN_USER:
		return nv_api_err(err, 403, NV_R_unknown_user, "%s: %s", s->site->label, s->error);
	case CATALOG_ERROR:
		return nv_api_err(err, 502, NV_R_internal, "%s: %s", s->site->label, s->error);
	case CATALOG_NOT_ASKED:
		return nv_api_err(err, 503, NV_R_busy, "%s was not asked", s->site->label);
	case CATALOG_OK:
		break;
	}
	if (nv_catalog_lacks(s, course))
		return nv_api_err(err, 403, NV_R_role_missing,
				  "course %s is not one of your courses on %s", course,
				  s->site->label);
	return 0;
}

/* --- for the keeper --- */

void nv_catalog_store(struct app *app, const char *site, const struct nv_catalog_reply *reply,
		      nv_status_cb cb, void *arg)
{
	struct reply r = {.kind = CATALOG_EVENT,
			  .site = site,
			  .about = reply->user,
			  .record = &nv_catalog_reply_record,
			  .body = reply,
			  .ttl_ms = app->config->producer.catalog_ttl};
	nv_reply_store(app, &r, cb, arg);
}
