/* SPDX-License-Identifier: GPL-3.0-or-later */
/* submit: one course, many, or all that a site offers. */
#include <stdio.h>
#include <string.h>

#include "cli/api.h"

#define PAGE 1000

static const char *or_empty(const char *text)
{
	return text ? text : "";
}

static bool is_true(const json_t *doc, const char *key)
{
	return json_is_true(json_object_get(doc, key));
}

/* --- submit: the request --- */

/* A switch and its opposite; neither: the API's default holds. */
static void set_switch(json_t *item, const struct cli *c, const char *key, const char *yes,
		       const char *no)
{
	if (nv_cli_has(c, yes))
		json_object_set_new(item, key, json_true());
	if (nv_cli_has(c, no))
		json_object_set_new(item, key, json_false());
}

static json_t *make_item(const struct cli *c, const char *course)
{
	json_t *item = json_pack("{s:o, s:o, s:s}", "site", nv_cli_string(c->args[0]), "course",
				 nv_cli_string(course), "source", "command");
	if (nv_cli_has(c, "user"))
		json_object_set_new(item, "user", nv_cli_string(nv_cli_get(c, "user")));
	if (nv_cli_has(c, "no-user"))
		json_object_set_new(item, "user", json_null());
	if (nv_cli_has(c, "category"))
		json_object_set_new(item, "category", nv_cli_string(nv_cli_get(c, "category")));
	if (nv_cli_has(c, "enrolment"))
		json_object_set_new(item, "enrolment", nv_cli_string(nv_cli_get(c, "enrolment")));
	set_switch(item, c, "keep_category", "keep-category", "no-keep-category");
	set_switch(item, c, "user_data", "user-data", "no-user-data");
	set_switch(item, c, "leave_out", "leave-out", "no-leave-out");
	set_switch(item, c, "now", "now", "");
	return item;
}

/* What a course that is held already is to --all: its request's id where it is being restored or
 * was, so that it is waited for and not asked for again. */
static const char *held_by(const json_t *course)
{
	const json_t *holder = json_object_get(course, "holder");
	const char *state = nv_cli_text(holder, "state");
	if (is_true(course, "available") || !state || is_true(holder, "deleted"))
		return NULL;
	return strcmp(state, "failed") != 0 && strcmp(state, "cancelled") != 0
		       ? nv_cli_text(holder, "id")
		       : NULL;
}

static const json_t *find_site(const json_t *doc, const char *name)
{
	size_t i;
	const json_t *site;
	json_array_foreach(json_object_get(doc, "sites"), i,
			   site) if (strcmp(or_empty(nv_cli_text(site, "site")), name) ==
				     0) return site;
	return NULL;
}

/* Every course of the site: items for those to ask for, ids of those that are held. */
static int all_items(struct cli_api *a, struct cli *c, json_t *items, json_t *held,
		     struct nv_err *err)
{
	size_t i;
	const json_t *course;
	json_t *doc = nv_cli_get_courses(a, c, true, err);
	if (!doc)
		return -1;
	const json_t *site = find_site(doc, c->args[0]);
	nv_auto_free char *trouble = site ? nv_cli_site_trouble(site)
					  : nv_strdup("this producer knows no such course server");
	if (trouble) {
		json_decref(doc);
		return nv_fail(err, NV_REJECT, NV_R_not_found, "%s: %s", c->args[0], trouble);
	}
	json_array_foreach(json_object_get(site, "courses"), i, course)
	{
		const char *id = held_by(course);
		if (id)
			json_array_append_new(held, json_string(id));
		else
			json_array_append_new(items, make_item(c, nv_cli_text(course, "course")));
	}
	json_decref(doc);
	return 0;
}

static int collect(struct cli_api *a, struct cli *c, json_t *items, json_t *held,
		   struct nv_err *err)
{
	for (int i = 1; i < c->args_len; i++)
		json_array_append_new(items, make_item(c, c->args[i]));
	return nv_cli_has(c, "all") ? all_items(a, c, items, held, err) : 0;
}

/* --- submit: sending it --- */

/* One page; sent again with the same key where the answer got lost. */
static json_t *send_page(struct cli_api *a, const json_t *page, struct nv_err *err)
{
	char key[NV_UUID_SIZE];
	json_t *body = json_pack("{s:O}", "requests", page);
	struct cli_call call = {
		.method = "POST", .path = "/api/v1/requests", .body = body, .idempotency_key = key};
	json_t *answer = NULL;
	nv_uuid_new(key);
	for (unsigned i = 0; i < 3 && !answer; i++) {
		answer = nv_cli_api_call(a, &call, err);
		if (!answer && (err->kind != NV_RETRY || err->code))
			break;
	}
	json_decref(body);
	return answer;
}

/* A single item's refusal is the whole answer's; made to look like many's. */
static json_t *refusal(const struct nv_err *err)
{
	return json_pack("{s:[{s:i, s:{s:i, s:s, s:o}}]}", "results", "status", err->code,
			 "problem", "status", err->code, "reason", nv_reason_word(err->reason),
			 "detail", nv_cli_string(err->msg));
}

/* All items, in pages; results are appended in their order. */
static int send_all(struct cli_api *a, const json_t *items, json_t *results, struct nv_err *err)
{
	for (size_t from = 0; from < json_array_size(items); from += PAGE) {
		json_t *page = json_array();
		for (size_t i = from; i < json_array_size(items) && i < from + PAGE; i++)
			json_array_append(page, json_array_get(items, i));
		json_t *answer = send_page(a, page, err);
		bool one = json_array_size(page) == 1;
		json_decref(page);
		if (!answer && one && err->kind == NV_REJECT && err->code && err->code != 401)
			answer = refusal(err);
		if (!answer)
			return -1;
		json_array_extend(results, json_object_get(answer, "results"));
		json_decref(answer);
	}
	return 0;
}

struct submission {
	json_t *items;
	json_t *held;
	json_t *results;
	json_t *ids; /* to wait for */
	size_t refused;
};

static void print_result(const json_t *item, const json_t *result)
{
	const char *id = nv_cli_text(result, "id");
	const json_t *request = json_object_get(result, "request");
	const char *name = nv_cli_text(request, "fullname");
	nv_auto_free char *clean =
		nv_cli_clean(id ? name : nv_cli_text(json_object_get(result, "problem"), "detail"));
	if (id)
		printf("%s  course %s  %s%s\n", id, or_empty(nv_cli_text(item, "course")), clean,
		       is_true(result, "published") ? "" : "  (the broker is away: sent later)");
	else
		fprintf(stderr, "navette: course %s: %s\n", or_empty(nv_cli_text(item, "course")),
			clean);
}

static void look_at_results(const struct cli *c, struct submission *s)
{
	size_t i;
	const json_t *result;
	json_array_extend(s->ids, s->held);
	json_array_foreach(s->results, i, result)
	{
		const char *id = nv_cli_text(result, "id");
		if (!c->json)
			print_result(json_array_get(s->items, i), result);
		if (id)
			json_array_append_new(s->ids, json_string(id));
		else
			s->refused++;
	}
	if (!c->json && json_array_size(s->held))
		printf("%zu courses are being restored or were restored already.\n",
		       json_array_size(s->held));
	fflush(stdout);
}

static int submit(struct cli_api *a, struct cli *c, struct submission *s)
{
	struct nv_err err = {0};
	if (collect(a, c, s->items, s->held, &err) < 0)
		return nv_cli_api_fail(a, &err);
	if (!json_array_size(s->items) && !json_array_size(s->held))
		return nv_cli_failf(c, NV_R_not_found, "%s has no course that this user may bring",
				    c->args[0]);
	if (send_all(a, s->items, s->results, &err) < 0)
		return nv_cli_api_fail(a, &err);
	look_at_results(c, s);
	int status = s->refused ? CLI_FAILED : CLI_OK;
	if (nv_cli_has(c, "wait") && json_array_size(s->ids)) {
		int watched = nv_cli_watch_all(a, c, s->ids);
		return status ? status : watched;
	}
	if (c->json)
		return nv_cli_document(
			c, json_pack("{s:O, s:O}", "results", s->results, "held", s->held), status);
	return status;
}

int nv_cli_submit(struct cli *c)
{
	if (c->args_len < 2 && !nv_cli_has(c, "all"))
		return nv_cli_usage(c, "which courses?  Name them, or use --all");
	if (nv_cli_has(c, "user") && nv_cli_has(c, "no-user"))
		return nv_cli_usage(c, "--user and --no-user do not go together");
	struct cli_api *a = nv_cli_api_open(c);
	if (!a)
		return CLI_FAILED;
	struct submission s = {json_array(), json_array(), json_array(), json_array(), 0};
	int status = submit(a, c, &s);
	json_decref(s.items);
	json_decref(s.held);
	json_decref(s.results);
	json_decref(s.ids);
	nv_cli_api_close(a);
	return status;
}
