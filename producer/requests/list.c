/* SPDX-License-Identifier: GPL-3.0-or-later */
/* GET /api/v1/requests: one's own, or everybody's for administrators. */
#include <string.h>

#include "core/status/requests.h"
#include "core/status/status.h"
#include "producer/answer.h"
#include "producer/app.h"
#include "producer/requests/requests.h"

struct listing {
	struct app *app;
	struct nv_http_request *r;
	struct nv_status_filter f;
};

static void listed(void *arg, const struct nv_err *err, const struct nv_status_record *recs,
		   size_t len, uint64_t total)
{
	struct listing *l = arg;
	if (err) {
		nv_api_fail(l->r, err);
		return;
	}
	json_t *list = json_array();
	for (size_t i = 0; i < len; i++)
		json_array_append_new(list, nv_request_json(l->app, &recs[i]));
	nv_api_json(l->r, 200,
		    json_pack("{s:o, s:I, s:I, s:I}", "requests", list, "total", (json_int_t)total,
			      "offset", (json_int_t)l->f.offset, "limit", (json_int_t)l->f.limit));
}

static int wrong(struct nv_err *err, const char *name, const char *what)
{
	return nv_api_err(err, 422, NV_R_bad_message, "%.64s: %s", name, what);
}

static int read_states(const char *text, uint32_t *ret, struct nv_err *err)
{
	while (*text) {
		char word[16];
		size_t len = strcspn(text, ",");
		snprintf(word, sizeof word, "%.*s", (int)(len < 15 ? len : 15), text);
		enum nv_state state = nv_state_from(word);
		if (state == NV_ST_COUNT)
			return wrong(err, "state", "not a state, or states separated by commas");
		*ret |= 1u << state;
		text += len + (text[len] == ',');
	}
	return *ret ? 0 : wrong(err, "state", "empty");
}

/* "-user": from the last to the first. */
static int read_sort(const char *text, struct nv_status_filter *f, struct nv_err *err)
{
	static const char *const words[] = {
		[NV_SORT_CREATED] = "created",	 [NV_SORT_MODIFIED] = "modified",
		[NV_SORT_FINISHED] = "finished", [NV_SORT_USER] = "user",
		[NV_SORT_COURSE] = "course",
	};
	f->ascending = *text != '-';
	text += !f->ascending;
	for (unsigned i = 0; i < NV_ARRAY_LEN(words); i++) {
		if (strcmp(words[i], text) == 0) {
			f->sort = (enum nv_status_sort)i;
			return 0;
		}
	}
	return wrong(err, "sort",
		     "not created, modified, finished, user or course, perhaps with - before it");
}

static int read_part(const char *name, const char *value, const char **ret, struct nv_err *err)
{
	*ret = value;
	return *value && strlen(value) <= 255 ? 0 : wrong(err, name, "not 1 to 255 bytes long");
}

static int read_one(struct listing *l, const struct session *s, const char *name, const char *value,
		    struct nv_err *err)
{
	if (strcmp(name, "state") == 0)
		return read_states(value, &l->f.states, err);
	if (strcmp(name, "offset") == 0)
		return nv_api_number(name, value, 0, 1000000, &l->f.offset, err);
	if (strcmp(name, "limit") == 0)
		return nv_api_number(name, value, 1, 1000, &l->f.limit, err);
	if (strcmp(name, "sort") == 0)
		return read_sort(value, &l->f, err);
	if (strcmp(name, "text") == 0)
		return read_part(name, value, &l->f.text, err);
	if (strcmp(name, "person") == 0)
		return read_part(name, value, &l->f.person, err);
	if (strcmp(name, "site") == 0) {
		l->f.site = value;
		return nv_name_valid(value) ? 0 : wrong(err, name, "not a course server's name");
	}
	if (strcmp(name, "course") == 0) {
		l->f.course = value;
		return *value && strlen(value) <= 64 ? 0 : wrong(err, name, "not a course's id");
	}
	if (strcmp(name, "user") == 0) {
		if (!*value || strlen(value) > 255)
			return wrong(err, name, "not 1 to 255 bytes long");
		if (!s->admin && strcmp(value, s->identity) != 0)
			return nv_api_err(err, 403, NV_R_denied,
					  "user: only administrators may ask this");
		l->f.user = value;
		return 0;
	}
	return wrong(err, name, "unknown parameter");
}

void nv_requests_list(struct app *app, struct nv_http_request *r, const struct session *s)
{
	struct nv_err err;
	const char *name;
	struct listing *l = nv_arena_alloc(nv_http_arena(r), sizeof *l);
	*l = (struct listing){.app = app, .r = r, .f = {.limit = 100}};
	for (size_t i = 0; (name = nv_http_query_name(r, i)); i++) {
		if (read_one(l, s, name, nv_http_query(r, name), &err) < 0) {
			nv_api_fail(r, &err);
			return;
		}
	}
	if (l->f.course && !l->f.site) { /* an id means something on its server only */
		wrong(&err, "course", "needs a site beside it");
		nv_api_fail(r, &err);
		return;
	}
	if (!s->admin)
		l->f.user = s->identity;
	nv_status_list(app->status, &l->f, listed, l);
}
