/* SPDX-License-Identifier: GPL-3.0-or-later */
/* courses, list, show, cancel, retry, now: over the producer's API. */
#include <stdio.h>
#include <string.h>

#include "cli/api.h"
#include "proto/inventory.h"

#define PAGE 1000

const char *nv_cli_text(const json_t *doc, const char *key)
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
	return nv_cli_api_call(a, &(struct cli_call){.method = "GET", .path = path}, err);
}

static void add_parameter(struct nv_buf *path, const char *name, const char *value)
{
	if (!value)
		return;
	nv_auto_free char *escaped = nv_cli_api_escape(value);
	bool first = !memchr(path->data, '?', path->len);
	nv_buf_printf(path, "%c%s=%s", first ? '?' : '&', name, escaped);
}

/* --- courses --- */

json_t *nv_cli_get_courses(struct cli_api *a, const struct cli *c, bool afresh, struct nv_err *err)
{
	nv_auto_buf struct nv_buf path = {0};
	nv_buf_puts(&path, "/api/v1/courses");
	add_parameter(&path, "user", nv_cli_get(c, "user"));
	if (afresh)
		add_parameter(&path, "refresh", "true");
	return get(a, (const char *)path.data, err);
}

/* "restored by Ada L.", "may be chosen" … */
static char *course_status(const json_t *course)
{
	const json_t *holder = json_object_get(course, "holder");
	const char *state = nv_cli_text(holder, "state");
	const char *damaged = nv_cli_text(course, "damaged");
	if (!state && damaged)
		return nv_asprintf("damaged: %s", damaged);
	if (!state)
		return nv_strdup(is_true(course, "available") ? "" : "not available");
	if (is_true(holder, "deleted"))
		return nv_strdup("restored, since deleted");
	if (is_true(holder, "mine"))
		return nv_strdup(state);
	const char *who = nv_cli_text(holder, "user_name");
	return nv_asprintf("%s by %s", state, who ? who : or_empty(nv_cli_text(holder, "by")));
}

static void course_rows(struct cli_table *t, const json_t *site)
{
	size_t i;
	const json_t *course;
	json_array_foreach(json_object_get(site, "courses"), i, course)
	{
		json_int_t bytes = json_integer_value(json_object_get(course, "size"));
		nv_auto_free char *size = bytes ? nv_cli_size((uint64_t)bytes) : nv_strdup("");
		nv_auto_free char *status = course_status(course);
		nv_cli_row(t, or_empty(nv_cli_text(site, "site")),
			   or_empty(nv_cli_text(course, "course")),
			   or_empty(nv_cli_text(course, "shortname")),
			   or_empty(nv_cli_text(course, "fullname")),
			   or_empty(nv_cli_text(course, "category_name")), size, status, NULL);
	}
}

char *nv_cli_site_trouble(const json_t *site)
{
	const char *status = or_empty(nv_cli_text(site, "status"));
	const char *error = nv_cli_text(site, "error");
	if (strcmp(status, "ok") == 0)
		return NULL;
	if (strcmp(status, "unknown-user") == 0)
		return nv_strdup("the user has no account there");
	return nv_strdup(error ? error : status);
}

int nv_cli_courses(struct cli *c)
{
	struct cli_table table = {0};
	struct nv_err err = {0};
	int status = CLI_OK;
	size_t i;
	const json_t *site;
	struct cli_api *a = nv_cli_api_open(c);
	if (!a)
		return CLI_FAILED;
	json_t *doc = nv_cli_get_courses(a, c, nv_cli_has(c, "refresh"), &err);
	if (!doc) {
		status = nv_cli_api_fail(a, &err);
		nv_cli_api_close(a);
		return status;
	}
	nv_cli_row(&table, "SITE", "COURSE", "SHORT NAME", "NAME", "CATEGORY", "SIZE", "STATUS",
		   NULL);
	json_array_foreach(json_object_get(doc, "sites"), i, site)
	{
		nv_auto_free char *trouble = nv_cli_site_trouble(site);
		course_rows(&table, site);
		if (trouble && !c->json)
			fprintf(stderr, "navette: %s: %s\n", or_empty(nv_cli_text(site, "site")),
				trouble);
		if (trouble)
			status = CLI_FAILED;
	}
	nv_cli_api_close(a);
	return nv_cli_answer(c, doc, &table, status);
}

/* --- list --- */

static json_t *list_page(struct cli_api *a, const struct cli *c, size_t offset, size_t limit,
			 struct nv_err *err)
{
	nv_auto_buf struct nv_buf path = {0};
	nv_buf_printf(&path, "/api/v1/requests?offset=%zu&limit=%zu", offset, limit);
	add_parameter(&path, "state", nv_cli_get(c, "state"));
	add_parameter(&path, "site", nv_cli_get(c, "site"));
	add_parameter(&path, "course", nv_cli_get(c, "course"));
	add_parameter(&path, "user", nv_cli_get(c, "user"));
	return get(a, (const char *)path.data, err);
}

/* {requests, total}, or NULL. */
static json_t *list_all(struct cli_api *a, const struct cli *c, struct nv_err *err)
{
	bool all = nv_cli_has(c, "all");
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
	const char *user = nv_cli_text(r, "user");
	const char *shortname = nv_cli_text(r, "shortname");
	nv_auto_free char *time = short_time(nv_cli_text(r, "created"));
	nv_cli_row(t, or_empty(nv_cli_text(r, "id")), or_empty(nv_cli_text(r, "state")),
		   or_empty(nv_cli_text(r, "site")), or_empty(nv_cli_text(r, "course")),
		   shortname ? shortname : "", user ? user : "(nobody)", time,
		   or_empty(nv_cli_text(r, "reason")), NULL);
}

int nv_cli_list(struct cli *c)
{
	struct cli_table table = {0};
	struct nv_err err = {0};
	size_t i;
	const json_t *r;
	struct cli_api *a = nv_cli_api_open(c);
	if (!a)
		return CLI_FAILED;
	json_t *doc = list_all(a, c, &err);
	if (!doc) {
		int status = nv_cli_api_fail(a, &err);
		nv_cli_api_close(a);
		return status;
	}
	nv_cli_api_close(a);
	nv_cli_row(&table, "ID", "STATE", "SITE", "COURSE", "SHORT NAME", "USER", "CREATED (UTC)",
		   "REASON", NULL);
	json_array_foreach(json_object_get(doc, "requests"), i, r) request_row(&table, r);
	json_int_t total = json_integer_value(json_object_get(doc, "total"));
	size_t shown = json_array_size(json_object_get(doc, "requests"));
	int status = nv_cli_answer(c, doc, &table, CLI_OK);
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
		nv_auto_free char *clean = nv_cli_clean(json_string_value(w));
		printf("Warning:  %s\n", clean);
	}
}

static void print_differences(const json_t *restored)
{
	size_t i;
	const json_t *d;
	json_array_foreach(json_object_get(restored, "differences"), i, d)
	{
		nv_auto_free char *kind = nv_cli_clean(nv_cli_text(d, "kind"));
		nv_auto_free char *type = nv_cli_clean(nv_cli_text(d, "type"));
		const struct nv_difference difference = {
			.kind = kind,
			.type = type,
			.had = (uint64_t)json_integer_value(json_object_get(d, "had")),
			.has = (uint64_t)json_integer_value(json_object_get(d, "has")),
		};
		nv_auto_free char *text = nv_difference_text(&difference);
		printf("Lost:     %s\n", text);
	}
}

static void field(struct cli_table *t, const char *label, const char *value)
{
	if (value && *value)
		nv_cli_row(t, label, value, NULL);
}

static void time_field(struct cli_table *t, const char *label, const json_t *r, const char *key)
{
	nv_auto_free char *time = short_time(nv_cli_text(r, key));
	nv_auto_free char *text = *time ? nv_asprintf("%s UTC", time) : nv_strdup("");
	field(t, label, text);
}

static void request_fields(struct cli_table *t, const json_t *r)
{
	const char *user = nv_cli_text(r, "user");
	const json_t *restored = json_object_get(r, "restored");
	nv_auto_free char *course = nv_asprintf("%s of %s", or_empty(nv_cli_text(r, "course")),
						or_empty(nv_cli_text(r, "site")));
	field(t, "Request:", nv_cli_text(r, "id"));
	field(t, "State:", nv_cli_text(r, "state"));
	field(t, "Course:", nv_cli_text(r, "fullname"));
	field(t, "Short name:", nv_cli_text(r, "shortname"));
	field(t, "Course id:", course);
	field(t, "For:", user ? user : "nobody");
	field(t, "By:", nv_cli_text(r, "by"));
	field(t, "Source:", nv_cli_text(r, "source"));
	field(t, "User data:", is_true(r, "user_data") ? "yes" : "no");
	field(t, "Leave out:", is_true(r, "leave_out") ? "yes" : "no");
	field(t, "Enrolment:", nv_cli_text(r, "enrolment"));
	field(t, "Keep category:", is_true(r, "keep_category") ? "yes" : "no");
	field(t, "Category:", nv_cli_text(r, "category"));
	field(t, "At any time:", is_true(r, "now") ? "yes" : "no");
	field(t, "Step:", nv_cli_text(r, "step"));
	field(t, "Reason:", nv_cli_text(r, "reason"));
	field(t, "Message:", nv_cli_text(r, "message"));
	time_field(t, "Next try:", r, "next_try");
	time_field(t, "Held since:", r, "held");
	field(t, "Host:", nv_cli_text(r, "host"));
	time_field(t, "Created:", r, "created");
	time_field(t, "Started:", r, "started");
	time_field(t, "Finished:", r, "finished");
	field(t, "Restored as:", nv_cli_text(restored, "fullname"));
	field(t, "Its id:", nv_cli_text(restored, "course"));
	field(t, "Its category:", nv_cli_text(restored, "category"));
	field(t, "Its address:", nv_cli_text(restored, "url"));
}

/* The answer to one call.  NULL: what went wrong is printed. */
static json_t *ask_once(struct cli *c, const char *method, const char *path, const json_t *body)
{
	struct nv_err err = {0};
	struct cli_api *a = nv_cli_api_open(c);
	if (!a)
		return NULL;
	json_t *doc = nv_cli_api_call(
		a, &(struct cli_call){.method = method, .path = path, .body = body}, &err);
	if (!doc)
		nv_cli_api_fail(a, &err);
	nv_cli_api_close(a);
	return doc;
}

/* GET or POST on one request, then show what it is now. */
static int act(struct cli *c, const char *method, const char *suffix, const json_t *body)
{
	struct cli_table table = {0};
	if (!nv_uuid_valid(c->args[0]))
		return nv_cli_usage(c, "\"%s\" is not the id of a request", c->args[0]);
	nv_auto_free char *path = nv_asprintf("/api/v1/requests/%s%s", c->args[0], suffix);
	json_t *doc = ask_once(c, method, path, body);
	if (!doc)
		return CLI_FAILED;
	if (strcmp(method, "GET") == 0)
		request_fields(&table, doc);
	else
		nv_cli_row(&table, or_empty(nv_cli_text(doc, "id")),
			   or_empty(nv_cli_text(doc, "state")), NULL);
	json_incref(doc);
	int status = nv_cli_answer(c, doc, &table, CLI_OK);
	if (!c->json && strcmp(method, "GET") == 0) {
		print_differences(json_object_get(doc, "restored"));
		print_warnings(json_object_get(doc, "restored"));
	}
	json_decref(doc);
	return status;
}

/* --- its log --- */

static void print_lines(const json_t *doc)
{
	json_int_t dropped = json_integer_value(json_object_get(doc, "dropped"));
	size_t i;
	const json_t *line;
	if (dropped)
		printf("(%lld older lines were dropped)\n", (long long)dropped);
	json_array_foreach(json_object_get(doc, "lines"), i, line)
	{
		nv_auto_free char *from = nv_cli_clean(nv_cli_text(line, "from"));
		nv_auto_free char *text = nv_cli_clean(nv_cli_text(line, "text"));
		printf("%s  %-5s  %s: %s\n", or_empty(nv_cli_text(line, "at")),
		       or_empty(nv_cli_text(line, "level")), from, text);
	}
}

static int show_log(struct cli *c)
{
	if (!nv_uuid_valid(c->args[0]))
		return nv_cli_usage(c, "\"%s\" is not the id of a request", c->args[0]);
	nv_auto_free char *path = nv_asprintf("/api/v1/requests/%s/log", c->args[0]);
	json_t *doc = ask_once(c, "GET", path, NULL);
	if (!doc)
		return CLI_FAILED;
	if (c->json)
		return nv_cli_document(c, doc, CLI_OK);
	print_lines(doc);
	json_decref(doc);
	return CLI_OK;
}

int nv_cli_show(struct cli *c)
{
	return nv_cli_has(c, "log") ? show_log(c) : act(c, "GET", "", NULL);
}

int nv_cli_cancel(struct cli *c)
{
	return act(c, "POST", "/cancel", NULL);
}

int nv_cli_retry(struct cli *c)
{
	if (!nv_cli_has(c, "without-user-data"))
		return act(c, "POST", "/retry", NULL);
	json_t *change = json_pack("{s:s, s:b}", "state", "scheduled", "user_data", 0);
	int status = act(c, "PATCH", "", change);
	json_decref(change);
	return status;
}

int nv_cli_now(struct cli *c)
{
	return act(c, "POST", "/run-now", NULL);
}

/* --- erasing a user --- */

int nv_cli_forget(struct cli *c)
{
	bool dry = nv_cli_has(c, "dry-run");
	nv_auto_free char *user = nv_cli_api_escape(c->args[0]);
	nv_auto_free char *path =
		nv_asprintf("/api/v1/users/%s%s", user, dry ? "?dry_run=true" : "");
	json_t *doc = ask_once(c, "DELETE", path, NULL);
	if (!doc)
		return CLI_FAILED;
	if (c->json)
		return nv_cli_document(c, doc, CLI_OK);
	json_int_t removed = json_integer_value(json_object_get(doc, "removed"));
	json_int_t kept = json_integer_value(json_object_get(doc, "kept"));
	json_int_t traces = json_integer_value(json_object_get(doc, "traces"));
	if (dry)
		printf("%lld requests would be removed.\n", (long long)removed);
	else
		printf("%lld requests and %lld other traces removed.\n", (long long)removed,
		       (long long)traces);
	if (kept)
		printf("%lld are unfinished and were kept: cancel them, or wait, and run this "
		       "again.\n",
		       (long long)kept);
	json_decref(doc);
	return CLI_OK;
}

/* --- a broker that lost its messages --- */

int nv_cli_republish(struct cli *c)
{
	json_t *doc = ask_once(c, "POST", "/api/v1/requests/republish", NULL);
	if (!doc)
		return CLI_FAILED;
	if (c->json)
		return nv_cli_document(c, doc, CLI_OK);
	printf("%lld requests are published again.\n",
	       (long long)json_integer_value(json_object_get(doc, "requests")));
	json_decref(doc);
	return CLI_OK;
}
