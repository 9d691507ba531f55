/* SPDX-License-Identifier: GPL-3.0-or-later */
/* POST /api/v1/requests/check: what would become of each row, and nothing is made.  In the order in
 * which it happens.
 *
 * Beyond what the rules say: does another row ask for the same, is the course one of that person's
 * on the course server (asked of so many persons only, a few at a time, and of no server that did
 * not answer), does another request hold it. */
#include <string.h>

#include "base/states.h"
#include "core/status/requests.h"
#include "core/status/status.h"
#include "producer/answer.h"
#include "producer/requests/catalog.h"
#include "producer/requests/request_list.h"
#include "producer/requests/requests.h"

#define ASK_MOST 100u
#define ASK_AT_ONCE 8u

enum check_state {
	CHECK_READING, /* the body */
	CHECK_COURSES, /* waits for `asking` answers of course servers: whose are the courses? */
	CHECK_HOLDERS, /* waits for `holding` answers of Redis: who holds them already? */
	CHECK_DONE,    /* answered: its memory goes with the HTTP request */
};

static const struct nv_states states = {
	.event = "check.state",
	.len = CHECK_DONE + 1,
	.states = {
		[CHECK_READING] = {"reading", NV_TO(CHECK_COURSES, CHECK_DONE)},
		[CHECK_COURSES] = {"courses", NV_TO(CHECK_HOLDERS, CHECK_DONE)},
		[CHECK_HOLDERS] = {"holders", NV_TO(CHECK_DONE)},
		[CHECK_DONE] = {"done", 0},
	}};

/* One question to a course server: whose courses? */
struct person {
	struct check *c;
	const char *site, *user;
	bool asked_afresh;
};
struct check {
	struct request_list list;
	enum check_state state;
	struct person *people;
	size_t len, next;
	unsigned asking;
	const char **silent; /* course servers that did not answer */
	size_t silent_len;
	size_t holding;
	struct nv_err err; /* kind NV_OK: none has failed */
};

static void move(struct check *c, enum check_state to)
{
	nv_states_move(&states, c->state, to, NULL);
	c->state = to;
}

static void refuse_doubles(struct request_list *list);
static void add_person(struct check *c, const struct nv_restore_request *q);
static void ask_more(struct check *c);
static void ask_holders(struct check *c);
static void answer(struct check *c);

void nv_requests_check(struct app *app, struct nv_http_request *r, const struct session *s)
{
	struct nv_arena *a = nv_http_arena(r);
	struct check *c = nv_arena_alloc(a, sizeof *c);
	struct nv_err err;
	*c = (struct check){.list = {.app = app, .r = r, .s = s}};
	json_t *body = nv_request_list_read(&c->list, true, &err);
	if (!body) {
		c->err = err;
		answer(c);
		return;
	}
	json_decref(body);
	c->people = nv_arena_alloc(a, ASK_MOST * sizeof *c->people);
	c->silent = nv_arena_alloc(a, ASK_MOST * sizeof *c->silent);
	if (app->config->restore.only_one)
		refuse_doubles(&c->list);
	for (size_t i = 0; i < c->list.len; i++)
		if (c->list.items[i].state != ITEM_REFUSED && c->list.items[i].q.user)
			add_person(c, &c->list.items[i].q);
	move(c, CHECK_COURSES);
	ask_more(c);
}

/* --- rows against rows --- */

static bool same_course(const struct item *a, const struct item *b)
{
	return strcmp(a->q.course, b->q.course) == 0 && strcmp(a->q.site, b->q.site) == 0;
}

static void refuse_doubles(struct request_list *list)
{
	for (size_t i = 1; i < list->len; i++) {
		struct item *it = &list->items[i];
		for (size_t k = 0; it->state != ITEM_REFUSED && k < i; k++) {
			const struct item *other = &list->items[k];
			struct nv_err err;
			if (other->state == ITEM_REFUSED || !same_course(it, other))
				continue;
			nv_api_err(&err, 409, NV_R_conflict,
				   "course %s is asked for by %s %zu already", it->q.course,
				   other->line ? "line" : "number",
				   other->line ? (size_t)other->line : k + 1);
			nv_item_refuse(it, &err);
		}
	}
}

/* --- is it theirs? --- */

static void told(void *arg, const struct nv_err *err, const struct catalog_site *sites, size_t len);

static void add_person(struct check *c, const struct nv_restore_request *q)
{
	for (size_t i = 0; i < c->len; i++)
		if (strcmp(c->people[i].site, q->site) == 0 &&
		    strcmp(c->people[i].user, q->user) == 0)
			return;
	if (c->len < ASK_MOST)
		c->people[c->len++] = (struct person){.c = c, .site = q->site, .user = q->user};
}

static bool is_silent(const struct check *c, const char *site)
{
	for (size_t i = 0; i < c->silent_len; i++)
		if (strcmp(c->silent[i], site) == 0)
			return true;
	return false;
}

/* An answer may come before the call that asks returns, and asks for more itself. */
static void ask_more(struct check *c)
{
	bool failed = c->err.kind != NV_OK;
	while (!failed && c->next < c->len && c->asking < ASK_AT_ONCE) {
		struct person *p = &c->people[c->next++];
		if (is_silent(c, p->site))
			continue;
		c->asking++;
		nv_catalog_ask(c->list.app, p->user, p->site, CATALOG_USUAL, told, p);
		failed = c->err.kind != NV_OK;
	}
	if (c->state != CHECK_COURSES || c->asking || (!failed && c->next < c->len))
		return;
	if (failed)
		answer(c);
	else
		ask_holders(c);
}

static bool concerns(const struct item *it, const struct person *p)
{
	return it->state == ITEM_READ && it->q.user && strcmp(it->q.user, p->user) == 0 &&
	       strcmp(it->q.site, p->site) == 0;
}

/* Does the list that was kept not name a course that this person's rows ask for? */
static bool may_be_old(const struct person *p, const struct catalog_site *sites, size_t len)
{
	const struct request_list *list = &p->c->list;
	for (size_t i = 0; len && i < list->len; i++)
		if (concerns(&list->items[i], p) &&
		    nv_catalog_lacks(&sites[0], list->items[i].q.course))
			return true;
	return false;
}

static void told(void *arg, const struct nv_err *err, const struct catalog_site *sites, size_t len)
{
	struct person *p = arg;
	struct check *c = p->c;
	struct request_list *list = &c->list;
	/* a teacher's row would be refused now; an administrator's is served when it comes back */
	bool silent = !err && len && sites[0].status == CATALOG_UNREACHABLE;
	if (!err && !p->asked_afresh && may_be_old(p, sites, len)) {
		p->asked_afresh = true;
		nv_catalog_ask(list->app, p->user, p->site, CATALOG_AFRESH, told, p);
		return;
	}
	c->asking--;
	if (err)
		c->err = *err;
	else if (silent && !is_silent(c, p->site))
		c->silent[c->silent_len++] = p->site;
	for (size_t i = 0; !err && !(silent && list->s->admin) && i < list->len; i++)
		if (concerns(&list->items[i], p))
			nv_item_judge(&list->items[i], sites, len);
	ask_more(c);
}

/* --- does another request hold it? --- */

static void held(void *arg, const struct nv_err *err, const struct nv_status_record *recs,
		 size_t len, uint64_t total);

static void ask_holders(struct check *c)
{
	const struct request_list *list = &c->list;
	const struct nv_config *config = list->app->config;
	const char **courses =
		nv_arena_alloc(nv_http_arena(list->r), (list->len + 1) * sizeof *courses);
	move(c, CHECK_HOLDERS);
	c->holding = 1;
	for (size_t s = 0; config->restore.only_one && s < config->sites_len; s++) {
		size_t n = 0;
		for (size_t i = 0; i < list->len; i++)
			if (list->items[i].state != ITEM_REFUSED &&
			    strcmp(list->items[i].q.site, config->sites[s].name) == 0)
				courses[n++] = list->items[i].q.course;
		if (!n)
			continue;
		c->holding++;
		nv_status_holders(list->app->status, config->sites[s].name, courses, n, held, c);
	}
	if (!--c->holding)
		answer(c);
}

static bool holds(const struct nv_status_record *rec)
{
	return rec->state != NV_ST_failed && rec->state != NV_ST_cancelled &&
	       !(rec->state == NV_ST_restored && rec->course_deleted);
}

static void held(void *arg, const struct nv_err *err, const struct nv_status_record *recs,
		 size_t len, uint64_t total)
{
	struct check *c = arg;
	struct request_list *list = &c->list;
	(void)total;
	if (err)
		c->err = *err;
	for (size_t k = 0; k < len; k++)
		for (size_t i = 0; holds(&recs[k]) && i < list->len; i++)
			if (list->items[i].state != ITEM_REFUSED &&
			    strcmp(list->items[i].q.site, recs[k].request.site) == 0 &&
			    strcmp(list->items[i].q.course, recs[k].request.course) == 0)
				nv_item_refuse_held(&list->items[i], &recs[k]);
	if (!--c->holding)
		answer(c);
}

/* --- the answer --- */

static json_t *row_json(const struct item *it)
{
	bool refused = it->state == ITEM_REFUSED;
	const char *checked = it->state == ITEM_THEIRS ? "course-server" : "rules";
	json_t *o = json_pack("{s:i}", "status", refused ? (int)nv_api_status(&it->err) : 200);
	if (it->line)
		json_object_set_new(o, "line", json_integer(it->line));
	json_t *rest =
		json_pack("{s:o, s:o, s:o, s:o, s:o}", "site", nv_api_text(it->q.site), "course",
			  nv_api_text(it->q.course), "shortname", nv_api_text(it->q.shortname),
			  "fullname", nv_api_text(it->q.fullname), "user", nv_api_text(it->q.user));
	if (refused)
		json_object_set_new(o, "problem", nv_api_problem(&it->err));
	else
		json_object_set_new(o, "checked", json_string(checked));
	json_object_update(o, rest);
	json_decref(rest);
	return o;
}

static void answer(struct check *c)
{
	const struct request_list *list = &c->list;
	size_t good = 0;
	move(c, CHECK_DONE);
	if (c->err.kind != NV_OK) {
		nv_api_fail(list->r, &c->err);
		return;
	}
	json_t *rows = json_array();
	for (size_t i = 0; i < list->len; i++) {
		good += list->items[i].state != ITEM_REFUSED;
		json_array_append_new(rows, row_json(&list->items[i]));
	}
	nv_api_json(list->r, 200,
		    json_pack("{s:o, s:I}", "results", rows, "good", (json_int_t)good));
}
