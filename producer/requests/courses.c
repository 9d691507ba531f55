/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The table a teacher chooses from: the sites' courses, and who holds which of them here. */
#include <string.h>

#include "core/status/requests.h"
#include "core/status/status.h"
#include "producer/answer.h"
#include "producer/app.h"
#include "producer/requests/catalog.h"
#include "producer/requests/requests.h"
#include "producer/requests/versions.h"

/* One answer under way: the catalogue, then for each site the holders. */
struct listing {
	struct app *app;
	struct nv_http_request *r;
	const struct session *s;
	const char *user;
	json_t *sites;
	unsigned pending; /* holders to come, and one while asking */
	struct nv_err err;
	bool failed;
};

struct holding {
	struct listing *l;
	json_t *courses; /* borrowed from l->sites */
};

static void finish(struct listing *l)
{
	if (--l->pending)
		return;
	if (l->failed) {
		json_decref(l->sites);
		nv_api_fail(l->r, &l->err);
		return;
	}
	nv_api_json(l->r, 200, json_pack("{s:s, s:o}", "user", l->user, "sites", l->sites));
}

static bool has_joined(const struct nv_status_record *rec, const char *user)
{
	for (size_t i = 0; i < rec->joined.len; i++)
		if (strcmp(rec->joined.items[i], user) == 0)
			return true;
	return rec->enrolled && rec->request.user && strcmp(rec->request.user, user) == 0;
}

static json_t *holder_json(const struct listing *l, const struct nv_status_record *rec)
{
	bool mine = rec->request.user && strcmp(rec->request.user, l->user) == 0;
	bool joined = has_joined(rec, l->user);
	bool there = rec->state == NV_ST_restored && !rec->course_deleted;
	return json_pack(
		"{s:s, s:s, s:b, s:o, s:o, s:s, s:o, s:o, s:b, s:b, s:b, s:o}", "id",
		rec->request.id, "state", nv_state_word(rec->state), "mine", mine, "user_name",
		nv_api_text(rec->request.user_name ? rec->request.user_name : rec->request.user),
		"by", nv_api_text(rec->request.by), "source", nv_source_words[rec->request.source],
		"requested", nv_api_time(rec->request.requested), "finished",
		nv_api_time(rec->finished), "deleted", rec->course_deleted, "joined", joined,
		"can_join", l->app->config->restore.enrol_button && there && !joined && rec->course,
		"url", nv_api_text(there && (mine || joined) ? rec->course_url : NULL));
}

static bool holds(const struct nv_status_record *rec)
{
	if (rec->state == NV_ST_restored)
		return !rec->course_deleted;
	return rec->state != NV_ST_failed && rec->state != NV_ST_cancelled;
}

static void holders(void *arg, const struct nv_err *err, const struct nv_status_record *recs,
		    size_t len, uint64_t total)
{
	struct holding *h = arg;
	struct listing *l = h->l;
	size_t i;
	json_t *o;
	(void)total;
	if (err) {
		l->failed = true;
		l->err = *err;
		finish(l);
		return;
	}
	json_array_foreach(h->courses, i, o)
	{
		const char *course = json_string_value(json_object_get(o, "course"));
		for (size_t k = 0; k < len; k++) {
			if (strcmp(recs[k].request.course, course) != 0)
				continue;
			json_object_set_new(o, "holder", holder_json(l, &recs[k]));
			if (l->app->config->restore.only_one && holds(&recs[k]))
				json_object_set_new(o, "available", json_false());
			break;
		}
	}
	finish(l);
}

/* Its activities that cannot come along: we have no plugin for them. */
static json_t *lacking_json(const struct app *app, const struct nv_course *c)
{
	const struct nv_module *m = c->modules.items;
	json_t *list = json_array();
	for (size_t i = 0; i < c->modules.len; i++)
		if (nv_versions_lacks(app, m[i].name))
			json_array_append_new(list, json_pack("{s:s, s:I}", "type", m[i].name,
							      "count", (json_int_t)m[i].count));
	return list;
}

static json_t *course_json(const struct app *app, const struct nv_course *c, bool may_link)
{
	return json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:I, s:o, s:o, s:o, s:b, s:n}",
			 "course", c->course, "shortname", c->shortname, "fullname", c->fullname,
			 "category", nv_api_text(c->category), "category_name",
			 nv_api_text(c->category_name), "role", nv_api_text(c->role), "url",
			 nv_api_text(may_link ? c->url : NULL), "size", (json_int_t)c->size,
			 "started", nv_api_time(c->started), "lacking", lacking_json(app, c),
			 "damaged", nv_api_text(c->damaged), "available", !c->damaged, "holder");
}

static json_t *held_json(const struct nv_catalog_reply *reply)
{
	return reply->held ? json_pack("{s:s, s:o, s:n}", "reason", reply->held, "message",
				       nv_api_text(reply->held_message), "since")
			   : json_null();
}

static void add_site(struct listing *l, const struct catalog_site *s)
{
	static const char *const words[] = {"ok", "unknown-user", "error", "unreachable",
					    "not-asked"};
	struct nv_arena *a = nv_http_arena(l->r);
	const struct nv_course *items = s->reply.courses.items;
	size_t len = s->status == CATALOG_OK ? s->reply.courses.len : 0;
	json_t *courses = json_array();
	const char **ids = nv_arena_alloc(a, (len + 1) * sizeof *ids);
	for (size_t i = 0; i < len; i++) {
		json_array_append_new(courses, course_json(l->app, &items[i], l->s->may_link));
		ids[i] = nv_arena_strdup(a, items[i].course);
	}
	json_array_append_new(
		l->sites,
		json_pack("{s:s, s:s, s:o, s:s, s:o, s:o, s:o, s:o, s:o}", "site", s->site->name,
			  "label", s->site->label, "url", nv_api_text(s->site->url), "status",
			  words[s->status], "error",
			  nv_api_text(s->status == CATALOG_OK ? NULL : s->error), "at",
			  nv_api_time(s->at), "opens", nv_api_time_to_come(s->reply.opens), "held",
			  held_json(&s->reply), "courses", courses));
	if (!len)
		return;
	struct holding *h = nv_arena_alloc(a, sizeof *h);
	*h = (struct holding){.l = l, .courses = courses};
	l->pending++;
	nv_status_holders(l->app->status, s->site->name, ids, len, holders, h);
}

static void answered(void *arg, const struct nv_err *err, const struct catalog_site *sites,
		     size_t len)
{
	struct listing *l = arg;
	if (err) {
		l->failed = true;
		l->err = *err;
	}
	for (size_t i = 0; i < len; i++)
		add_site(l, &sites[i]);
	finish(l);
}

struct query {
	const char *user;
	const char *site; /* NULL: all */
	enum catalog_how how;
};

static int read_switch(const struct nv_http_request *r, const char *name, bool *ret,
		       struct nv_err *err)
{
	const char *value = nv_http_query(r, name);
	if (value && strcmp(value, "true") != 0 && strcmp(value, "false") != 0)
		return nv_api_err(err, 422, NV_R_bad_message, "%s: not true or false", name);
	if (value)
		*ret = strcmp(value, "true") == 0;
	return 0;
}

static int read_site(const struct app *app, const char *name, struct query *q, struct nv_err *err)
{
	q->site = name;
	if (name && !nv_config_site(app->config, name))
		return nv_api_err(err, 422, NV_R_site_unknown,
				  "site: there is no course server \"%.64s\"", name);
	return 0;
}

static int read_query(const struct app *app, const struct nv_http_request *r,
		      const struct session *s, struct query *q, struct nv_err *err)
{
	static const char *const known[] = {"user", "refresh", "wait", "site"};
	const char *name;
	bool refresh = false, wait = true;
	for (size_t i = 0; (name = nv_http_query_name(r, i)); i++) {
		size_t k = 0;
		while (k < NV_ARRAY_LEN(known) && strcmp(name, known[k]) != 0)
			k++;
		if (k == NV_ARRAY_LEN(known))
			return nv_api_err(err, 422, NV_R_bad_message, "%.64s: unknown parameter",
					  name);
	}
	const char *who = nv_http_query(r, "user");
	q->user = s->identity;
	if (read_switch(r, "refresh", &refresh, err) < 0 ||
	    read_switch(r, "wait", &wait, err) < 0 ||
	    read_site(app, nv_http_query(r, "site"), q, err) < 0)
		return -1;
	if (refresh && !wait)
		return nv_api_err(err, 422, NV_R_bad_message,
				  "refresh=true and wait=false do not go together");
	q->how = refresh ? CATALOG_AFRESH : wait ? CATALOG_USUAL : CATALOG_KEPT;
	if (!who || strcmp(who, s->identity) == 0)
		return 0;
	if (!s->admin)
		return nv_api_err(err, 403, NV_R_denied, "user: only administrators may ask this");
	if (!*who || strlen(who) > 255)
		return nv_api_err(err, 422, NV_R_bad_message, "user: not 1 to 255 bytes long");
	q->user = who;
	return 0;
}

void nv_courses_list(struct app *app, struct nv_http_request *r, const struct session *s)
{
	struct nv_err err;
	struct query q = {0};
	if (read_query(app, r, s, &q, &err) < 0) {
		nv_api_fail(r, &err);
		return;
	}
	struct listing *l = nv_arena_alloc(nv_http_arena(r), sizeof *l);
	*l = (struct listing){.app = app,
			      .r = r,
			      .s = s,
			      .user = nv_arena_strdup(nv_http_arena(r), q.user),
			      .sites = json_array(),
			      .pending = 1};
	nv_catalog_ask(app, l->user, q.site, q.how, answered, l);
}
