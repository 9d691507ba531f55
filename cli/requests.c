/* SPDX-License-Identifier: GPL-3.0-or-later */
/* courses, submit, list, show, cancel, retry, now: over the producer's API. */
#include <stdio.h>
#include <string.h>

#include "cli/api.h"

#define PAGE 1000

const char *cli_text(const json_t *doc, const char *key)
{
	return json_string_value(json_object_get(doc, key));
}

static const char *or_empty(const char *text)
{
	return text ? text : "";
}

static bool is_true(const json_t *doc, const char *key)
{
	return json_is_true(json_object_get(doc, key));
}

/* Times come as "2026-11-22T17:08:00.123Z". */
static char *short_time(const char *iso)
{
	char *text = nv_strndup(or_empty(iso), iso && strlen(iso) > 16 ? 16 : 0);
	if (strlen(text) == 16)
		text[10] = ' ';
	return text;
}

static json_t *get(struct cli_api *a, const char *path, struct nv_err *err)
{
	return cli_api_call(a, &(struct cli_call){.method = "GET", .path = path}, err);
}

static void add_parameter(struct nv_buf *path, const char *name, const char *value)
{
	if (!value)
		return;
	nv_auto_free char *escaped = cli_api_escape(value);
	bool first = !memchr(path->data, '?', path->len);
	nv_buf_printf(path, "%c%s=%s", first ? '?' : '&', name, escaped);
}

/* --- courses --- */

static json_t *get_courses(struct cli_api *a, const struct cli *c, struct nv_err *err)
{
	nv_auto_buf struct nv_buf path = {0};
	nv_buf_puts(&path, "/api/v1/courses");
	add_parameter(&path, "user", cli_get(c, "user"));
	if (cli_has(c, "refresh"))
		add_parameter(&path, "refresh", "true");
	return get(a, (const char *)path.data, err);
}

/* "restored by Ada L.", "may be chosen" … */
static char *course_status(const json_t *course)
{
	const json_t *holder = json_object_get(course, "holder");
	const char *state = cli_text(holder, "state");
	if (!state)
		return nv_strdup(is_true(course, "available") ? "" : "not available");
	if (is_true(holder, "deleted"))
		return nv_strdup("restored, since deleted");
	if (is_true(holder, "mine"))
		return nv_strdup(state);
	const char *who = cli_text(holder, "user_name");
	return nv_asprintf("%s by %s", state, who ? who : or_empty(cli_text(holder, "by")));
}

static void course_rows(struct cli_table *t, const json_t *site)
{
	size_t i;
	const json_t *course;
	json_array_foreach(json_object_get(site, "courses"), i, course)
	{
		json_int_t bytes = json_integer_value(json_object_get(course, "size"));
		nv_auto_free char *size = bytes ? cli_size((uint64_t)bytes) : nv_strdup("");
		nv_auto_free char *status = course_status(course);
		cli_row(t, or_empty(cli_text(site, "site")), or_empty(cli_text(course, "course")),
			or_empty(cli_text(course, "shortname")),
			or_empty(cli_text(course, "fullname")),
			or_empty(cli_text(course, "category_name")), size, status, NULL);
	}
}

/* What a site that gave no courses said. */
static char *site_trouble(const json_t *site)
{
	const char *status = or_empty(cli_text(site, "status"));
	const char *error = cli_text(site, "error");
	if (strcmp(status, "ok") == 0)
		return NULL;
	if (strcmp(status, "unknown-user") == 0)
		return nv_strdup("the user has no account there");
	return nv_strdup(error ? error : status);
}

int cli_courses(struct cli *c)
{
	struct cli_table table = {0};
	struct nv_err err = {0};
	int status = CLI_OK;
	size_t i;
	const json_t *site;
	struct cli_api *a = cli_api_open(c);
	if (!a)
		return CLI_FAILED;
	json_t *doc = get_courses(a, c, &err);
	if (!doc) {
		status = cli_api_fail(a, &err);
		cli_api_close(a);
		return status;
	}
	cli_row(&table, "SITE", "COURSE", "SHORT NAME", "NAME", "CATEGORY", "SIZE", "STATUS", NULL);
	json_array_foreach(json_object_get(doc, "sites"), i, site)
	{
		nv_auto_free char *trouble = site_trouble(site);
		course_rows(&table, site);
		if (trouble && !c->json)
			fprintf(stderr, "navette: %s: %s\n", or_empty(cli_text(site, "site")),
				trouble);
		if (trouble)
			status = CLI_FAILED;
	}
	cli_api_close(a);
	return cli_answer(c, doc, &table, status);
}

/* --- submit: what is asked for --- */

/* A switch and its opposite; neither: the API's default holds. */
static void set_switch(json_t *item, const struct cli *c, const char *key, const char *yes,
		       const char *no)
{
	if (cli_has(c, yes))
		json_object_set_new(item, key, json_true());
	if (cli_has(c, no))
		json_object_set_new(item, key, json_false());
}

static json_t *make_item(const struct cli *c, const char *course)
{
	json_t *item = json_pack("{s:o, s:o, s:s}", "site", cli_string(c->args[0]), "course",
				 cli_string(course), "source", "command");
	if (cli_has(c, "user"))
		json_object_set_new(item, "user", cli_string(cli_get(c, "user")));
	if (cli_has(c, "no-user"))
		json_object_set_new(item, "user", json_null());
	if (cli_has(c, "category"))
		json_object_set_new(item, "category", cli_string(cli_get(c, "category")));
	if (cli_has(c, "enrolment"))
		json_object_set_new(item, "enrolment", cli_string(cli_get(c, "enrolment")));
	set_switch(item, c, "keep_category", "keep-category", "no-keep-category");
	set_switch(item, c, "user_data", "user-data", "no-user-data");
	set_switch(item, c, "now", "now", "");
	return item;
}

/* What a course that is held already is to --all: its request's id where it is being restored or
 * was, so that it is waited for and not asked for again. */
static const char *held_by(const json_t *course)
{
	const json_t *holder = json_object_get(course, "holder");
	const char *state = cli_text(holder, "state");
	if (is_true(course, "available") || !state || is_true(holder, "deleted"))
		return NULL;
	return strcmp(state, "failed") != 0 && strcmp(state, "cancelled") != 0
		       ? cli_text(holder, "id")
		       : NULL;
}

static const json_t *find_site(const json_t *doc, const char *name)
{
	size_t i;
	const json_t *site;
	json_array_foreach(json_object_get(doc, "sites"), i,
			   site) if (strcmp(or_empty(cli_text(site, "site")), name) ==
				     0) return site;
	return NULL;
}

/* Every course of the site: items for those to ask for, ids of those that are held. */
static int all_items(struct cli_api *a, struct cli *c, json_t *items, json_t *held,
		     struct nv_err *err)
{
	size_t i;
	const json_t *course;
	json_t *doc = get_courses(a, c, err);
	if (!doc)
		return -1;
	const json_t *site = find_site(doc, c->args[0]);
	nv_auto_free char *trouble =
		site ? site_trouble(site) : nv_strdup("this producer knows no such course server");
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
			json_array_append_new(items, make_item(c, cli_text(course, "course")));
	}
	json_decref(doc);
	return 0;
}

static int collect(struct cli_api *a, struct cli *c, json_t *items, json_t *held,
		   struct nv_err *err)
{
	for (int i = 1; i < c->args_len; i++)
		json_array_append_new(items, make_item(c, c->args[i]));
	return cli_has(c, "all") ? all_items(a, c, items, held, err) : 0;
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
		answer = cli_api_call(a, &call, err);
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
			 "detail", cli_string(err->msg));
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
	const char *id = cli_text(result, "id");
	const json_t *request = json_object_get(result, "request");
	const char *name = cli_text(request, "fullname");
	nv_auto_free char *clean =
		cli_clean(id ? name : cli_text(json_object_get(result, "problem"), "detail"));
	if (id)
		printf("%s  course %s  %s%s\n", id, or_empty(cli_text(item, "course")), clean,
		       is_true(result, "published") ? "" : "  (the broker is away: sent later)");
	else
		fprintf(stderr, "navette: course %s: %s\n", or_empty(cli_text(item, "course")),
			clean);
}

static void look_at_results(const struct cli *c, struct submission *s)
{
	size_t i;
	const json_t *result;
	json_array_extend(s->ids, s->held);
	json_array_foreach(s->results, i, result)
	{
		const char *id = cli_text(result, "id");
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
		return cli_api_fail(a, &err);
	if (!json_array_size(s->items) && !json_array_size(s->held))
		return cli_failf(c, NV_R_not_found, "%s has no course that this user may bring",
				 c->args[0]);
	if (send_all(a, s->items, s->results, &err) < 0)
		return cli_api_fail(a, &err);
	look_at_results(c, s);
	int status = s->refused ? CLI_FAILED : CLI_OK;
	if (cli_has(c, "wait") && json_array_size(s->ids)) {
		int watched = cli_watch_all(a, c, s->ids);
		return status ? status : watched;
	}
	if (c->json)
		return cli_document(
			c, json_pack("{s:O, s:O}", "results", s->results, "held", s->held), status);
	return status;
}

int cli_submit(struct cli *c)
{
	if (c->args_len < 2 && !cli_has(c, "all"))
		return cli_usage(c, "which courses?  Name them, or use --all");
	if (cli_has(c, "user") && cli_has(c, "no-user"))
		return cli_usage(c, "--user and --no-user do not go together");
	struct cli_api *a = cli_api_open(c);
	if (!a)
		return CLI_FAILED;
	struct submission s = {json_array(), json_array(), json_array(), json_array(), 0};
	int status = submit(a, c, &s);
	json_decref(s.items);
	json_decref(s.held);
	json_decref(s.results);
	json_decref(s.ids);
	cli_api_close(a);
	return status;
}

/* --- list --- */

static json_t *list_page(struct cli_api *a, const struct cli *c, size_t offset, size_t limit,
			 struct nv_err *err)
{
	nv_auto_buf struct nv_buf path = {0};
	nv_buf_printf(&path, "/api/v1/requests?offset=%zu&limit=%zu", offset, limit);
	add_parameter(&path, "state", cli_get(c, "state"));
	add_parameter(&path, "site", cli_get(c, "site"));
	add_parameter(&path, "course", cli_get(c, "course"));
	add_parameter(&path, "user", cli_get(c, "user"));
	return get(a, (const char *)path.data, err);
}

/* {requests, total}, or NULL. */
static json_t *list_all(struct cli_api *a, const struct cli *c, struct nv_err *err)
{
	bool all = cli_has(c, "all");
	json_t *requests = json_array();
	json_int_t total = 0;
	size_t got = 1;
	while (got) {
		json_t *page = list_page(a, c, json_array_size(requests), all ? PAGE : 50, err);
		if (!page) {
			json_decref(requests);
			return NULL;
		}
		const json_t *items = json_object_get(page, "requests");
		got = all ? json_array_size(items) : 0;
		total = json_integer_value(json_object_get(page, "total"));
		json_array_extend(requests, (json_t *)items);
		json_decref(page);
		if ((json_int_t)json_array_size(requests) >= total)
			break;
	}
	return json_pack("{s:o, s:I}", "requests", requests, "total", total);
}

static void request_row(struct cli_table *t, const json_t *r)
{
	const char *user = cli_text(r, "user");
	const char *shortname = cli_text(r, "shortname");
	nv_auto_free char *time = short_time(cli_text(r, "created"));
	cli_row(t, or_empty(cli_text(r, "id")), or_empty(cli_text(r, "state")),
		or_empty(cli_text(r, "site")), or_empty(cli_text(r, "course")),
		shortname ? shortname : "", user ? user : "(nobody)", time,
		or_empty(cli_text(r, "reason")), NULL);
}

int cli_list(struct cli *c)
{
	struct cli_table table = {0};
	struct nv_err err = {0};
	size_t i;
	const json_t *r;
	struct cli_api *a = cli_api_open(c);
	if (!a)
		return CLI_FAILED;
	json_t *doc = list_all(a, c, &err);
	if (!doc) {
		int status = cli_api_fail(a, &err);
		cli_api_close(a);
		return status;
	}
	cli_api_close(a);
	cli_row(&table, "ID", "STATE", "SITE", "COURSE", "SHORT NAME", "USER", "CREATED (UTC)",
		"REASON", NULL);
	json_array_foreach(json_object_get(doc, "requests"), i, r) request_row(&table, r);
	json_int_t total = json_integer_value(json_object_get(doc, "total"));
	size_t shown = json_array_size(json_object_get(doc, "requests"));
	int status = cli_answer(c, doc, &table, CLI_OK);
	if (!c->json && (json_int_t)shown < total)
		printf("(the newest %zu of %lld; --all shows all)\n", shown, (long long)total);
	return status;
}

/* --- one request --- */

static void print_warnings(const json_t *restored)
{
	size_t i;
	const json_t *w;
	json_array_foreach(json_object_get(restored, "warnings"), i, w)
	{
		nv_auto_free char *clean = cli_clean(json_string_value(w));
		printf("Warning:  %s\n", clean);
	}
}

static void field(struct cli_table *t, const char *label, const char *value)
{
	if (value && *value)
		cli_row(t, label, value, NULL);
}

static void time_field(struct cli_table *t, const char *label, const json_t *r, const char *key)
{
	nv_auto_free char *time = short_time(cli_text(r, key));
	nv_auto_free char *text = *time ? nv_asprintf("%s UTC", time) : nv_strdup("");
	field(t, label, text);
}

static void request_fields(struct cli_table *t, const json_t *r)
{
	const char *user = cli_text(r, "user");
	const json_t *restored = json_object_get(r, "restored");
	nv_auto_free char *course = nv_asprintf("%s of %s", or_empty(cli_text(r, "course")),
						or_empty(cli_text(r, "site")));
	field(t, "Request:", cli_text(r, "id"));
	field(t, "State:", cli_text(r, "state"));
	field(t, "Course:", cli_text(r, "fullname"));
	field(t, "Short name:", cli_text(r, "shortname"));
	field(t, "Course id:", course);
	field(t, "For:", user ? user : "nobody");
	field(t, "By:", cli_text(r, "by"));
	field(t, "Source:", cli_text(r, "source"));
	field(t, "User data:", is_true(r, "user_data") ? "yes" : "no");
	field(t, "Enrolment:", cli_text(r, "enrolment"));
	field(t, "Keep category:", is_true(r, "keep_category") ? "yes" : "no");
	field(t, "Category:", cli_text(r, "category"));
	field(t, "At any time:", is_true(r, "now") ? "yes" : "no");
	field(t, "Step:", cli_text(r, "step"));
	field(t, "Reason:", cli_text(r, "reason"));
	field(t, "Message:", cli_text(r, "message"));
	field(t, "Host:", cli_text(r, "host"));
	time_field(t, "Created:", r, "created");
	time_field(t, "Started:", r, "started");
	time_field(t, "Finished:", r, "finished");
	field(t, "Restored as:", cli_text(restored, "fullname"));
	field(t, "Its id:", cli_text(restored, "course"));
	field(t, "Its category:", cli_text(restored, "category"));
	field(t, "Its address:", cli_text(restored, "url"));
}

/* GET or POST on one request, then show what it is now. */
static int act(struct cli *c, const char *method, const char *suffix)
{
	struct cli_table table = {0};
	struct nv_err err = {0};
	if (!nv_uuid_valid(c->args[0]))
		return cli_usage(c, "\"%s\" is not the id of a request", c->args[0]);
	nv_auto_free char *path = nv_asprintf("/api/v1/requests/%s%s", c->args[0], suffix);
	struct cli_api *a = cli_api_open(c);
	if (!a)
		return CLI_FAILED;
	json_t *doc = cli_api_call(a, &(struct cli_call){.method = method, .path = path}, &err);
	int status = doc ? CLI_OK : cli_api_fail(a, &err);
	cli_api_close(a);
	if (!doc)
		return status;
	if (strcmp(method, "GET") == 0)
		request_fields(&table, doc);
	else
		cli_row(&table, or_empty(cli_text(doc, "id")), or_empty(cli_text(doc, "state")),
			NULL);
	json_incref(doc);
	status = cli_answer(c, doc, &table, status);
	if (!c->json && strcmp(method, "GET") == 0)
		print_warnings(json_object_get(doc, "restored"));
	json_decref(doc);
	return status;
}

int cli_show(struct cli *c)
{
	return act(c, "GET", "");
}

int cli_cancel(struct cli *c)
{
	return act(c, "POST", "/cancel");
}

int cli_retry(struct cli *c)
{
	return act(c, "POST", "/retry");
}

int cli_now(struct cli *c)
{
	return act(c, "POST", "/run-now");
}
