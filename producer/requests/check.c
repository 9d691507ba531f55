/* SPDX-License-Identifier: GPL-3.0-or-later */
/* POST /api/v1/requests/check: what would become of each row, and nothing is made.
 *
 * Beyond what the rules say: does another row ask for the same, is the course one of that person's
 * on the course server (asked of so many persons only, a few at a time, and of no server that did
 * not answer), does another request hold it. */
#include <string.h>

#include "core/status/requests.h"
#include "core/status/status.h"
#include "producer/answer.h"
#include "producer/requests/catalog.h"
#include "producer/requests/submit.h"

#define ASK_MOST 100u
#define ASK_AT_ONCE 8u

/* One question to a course server: whose courses? */
struct person {
	struct check *c;
	const char *site, *user;
	bool asked_afresh;
};
struct check {
	struct submit *sub;
	struct person *people;
	size_t len, next;
	unsigned asking;
	bool asked;
	const char **silent; /* course servers that did not answer */
	size_t silent_len;
	size_t holding; /* answers of Redis to come */
	struct nv_err err;
	bool failed;
};

/* --- the answer --- */

static json_t *row_json(const struct item *it)
{
	json_t *o = json_pack("{s:i}", "status", it->refused ? (int)nv_api_status(&it->err) : 200);
	if (it->line)
		json_object_set_new(o, "line", json_integer(it->line));
	json_t *rest =
		json_pack("{s:o, s:o, s:o, s:o, s:o}", "site", nv_api_text(it->q.site), "course",
			  nv_api_text(it->q.course), "shortname", nv_api_text(it->q.shortname),
			  "fullname", nv_api_text(it->q.fullname), "user", nv_api_text(it->q.user));
	if (it->refused)
		json_object_set_new(o, "problem", nv_api_problem(&it->err));
	else
		json_object_set_new(o, "checked",
				    json_string(it->asked ? "course-server" : "rules"));
	json_object_update(o, rest);
	json_decref(rest);
	return o;
}

static void answer(struct check *c)
{
	struct submit *sub = c->sub;
	json_t *rows = json_array();
	size_t good = 0;
	if (c->failed) {
		nv_submit_fail(sub, &c->err);
		return;
	}
	for (size_t i = 0; i < sub->len; i++) {
		good += !sub->items[i].refused;
		json_array_append_new(rows, row_json(&sub->items[i]));
	}
	nv_api_json(sub->r, 200,
		    json_pack("{s:o, s:I}", "results", rows, "good", (json_int_t)good));
}

/* --- does another request hold it? --- */

static bool holds(const struct nv_status_record *rec)
{
	return rec->state != NV_ST_failed && rec->state != NV_ST_cancelled &&
	       !(rec->state == NV_ST_restored && rec->course_deleted);
}

static void held(void *arg, const struct nv_err *err, const struct nv_status_record *recs,
		 size_t len, uint64_t total)
{
	struct check *c = arg;
	struct submit *sub = c->sub;
	(void)total;
	if (err) {
		c->failed = true;
		c->err = *err;
	}
	for (size_t k = 0; k < len; k++)
		for (size_t i = 0; holds(&recs[k]) && i < sub->len; i++)
			if (!sub->items[i].refused &&
			    !strcmp(sub->items[i].q.site, recs[k].request.site) &&
			    !strcmp(sub->items[i].q.course, recs[k].request.course))
				nv_submit_held_by(&sub->items[i], &recs[k]);
	if (!--c->holding)
		answer(c);
}

static void ask_holders(struct check *c)
{
	struct submit *sub = c->sub;
	const struct nv_config *config = sub->app->config;
	const char **courses =
		nv_arena_alloc(nv_http_arena(sub->r), (sub->len + 1) * sizeof *courses);
	c->holding = 1;
	for (size_t s = 0; config->restore.only_one && s < config->sites_len; s++) {
		size_t n = 0;
		for (size_t i = 0; i < sub->len; i++)
			if (!sub->items[i].refused &&
			    !strcmp(sub->items[i].q.site, config->sites[s].name))
				courses[n++] = sub->items[i].q.course;
		if (!n)
			continue;
		c->holding++;
		nv_status_holders(sub->app->status, config->sites[s].name, courses, n, held, c);
	}
	if (!--c->holding)
		answer(c);
}

/* --- is it theirs? --- */

static void ask_more(struct check *c);

static bool is_silent(const struct check *c, const char *site)
{
	for (size_t i = 0; i < c->silent_len; i++)
		if (!strcmp(c->silent[i], site))
			return true;
	return false;
}

static bool concerns(const struct item *it, const struct person *p)
{
	return !it->refused && it->q.user && !strcmp(it->q.user, p->user) &&
	       !strcmp(it->q.site, p->site);
}

/* Does the list that was kept not name a course that this person's rows ask for? */
static bool may_be_old(const struct person *p, const struct catalog_site *sites, size_t len)
{
	const struct submit *sub = p->c->sub;
	for (size_t i = 0; len && i < sub->len; i++)
		if (concerns(&sub->items[i], p) &&
		    nv_catalog_lacks(&sites[0], sub->items[i].q.course))
			return true;
	return false;
}

static void told(void *arg, const struct nv_err *err, const struct catalog_site *sites, size_t len)
{
	struct person *p = arg;
	struct check *c = p->c;
	struct submit *sub = c->sub;
	/* a teacher's row would be refused now; an administrator's is served when it comes back */
	bool silent = !err && len && sites[0].status == CATALOG_UNREACHABLE;
	if (!err && !p->asked_afresh && may_be_old(p, sites, len)) {
		p->asked_afresh = true;
		nv_catalog_ask(sub->app, p->user, p->site, CATALOG_AFRESH, told, p);
		return;
	}
	c->asking--;
	if (err) {
		c->failed = true;
		c->err = *err;
	} else if (silent && !is_silent(c, p->site)) {
		c->silent[c->silent_len++] = p->site;
	}
	for (size_t i = 0; !err && !(silent && sub->s->admin) && i < sub->len; i++) {
		struct item *it = &sub->items[i];
		if (!concerns(it, p))
			continue;
		nv_submit_judge(it, sites, len);
		it->asked = !it->refused;
	}
	ask_more(c);
}

static void ask_more(struct check *c)
{
	while (!c->failed && c->next < c->len && c->asking < ASK_AT_ONCE) {
		struct person *p = &c->people[c->next++];
		if (is_silent(c, p->site))
			continue;
		c->asking++;
		nv_catalog_ask(c->sub->app, p->user, p->site, CATALOG_USUAL, told, p);
	}
	if (!c->asking && !c->asked && (c->failed || c->next == c->len)) {
		c->asked = true;
		if (c->failed)
			answer(c);
		else
			ask_holders(c);
	}
}

static void add_person(struct check *c, const struct nv_restore_request *q)
{
	for (size_t i = 0; i < c->len; i++)
		if (!strcmp(c->people[i].site, q->site) && !strcmp(c->people[i].user, q->user))
			return;
	if (c->len < ASK_MOST)
		c->people[c->len++] = (struct person){.c = c, .site = q->site, .user = q->user};
}

/* --- rows against rows --- */

static void refuse_doubles(struct submit *sub)
{
	for (size_t i = 1; i < sub->len; i++) {
		struct item *it = &sub->items[i];
		for (size_t k = 0; !it->refused && k < i; k++) {
			const struct item *other = &sub->items[k];
			if (other->refused || strcmp(other->q.course, it->q.course) != 0 ||
			    strcmp(other->q.site, it->q.site) != 0)
				continue;
			nv_api_err(&it->err, 409, NV_R_conflict,
				   "course %s is asked for by %s %zu already", it->q.course,
				   other->line ? "line" : "number",
				   other->line ? (size_t)other->line : k + 1);
			it->refused = true;
		}
	}
}

void nv_check_all(struct submit *sub)
{
	struct nv_arena *a = nv_http_arena(sub->r);
	struct check *c = nv_arena_alloc(a, sizeof *c);
	*c = (struct check){.sub = sub};
	c->people = nv_arena_alloc(a, ASK_MOST * sizeof *c->people);
	c->silent = nv_arena_alloc(a, ASK_MOST * sizeof *c->silent);
	if (sub->app->config->restore.only_one)
		refuse_doubles(sub);
	for (size_t i = 0; i < sub->len; i++)
		if (!sub->items[i].refused && sub->items[i].q.user)
			add_person(c, &sub->items[i].q);
	ask_more(c);
}
