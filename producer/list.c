/* SPDX-License-Identifier: GPL-3.0-or-later */
/* GET /api/v1/requests: one's own, or everybody's for administrators. */
#include <string.h>

#include "producer/producer.h"

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
		api_fail(l->r, err);
		return;
	}
	json_t *list = json_array();
	for (size_t i = 0; i < len; i++)
		json_array_append_new(list, request_json(l->app, &recs[i]));
	api_json(l->r, 200,
		 json_pack("{s:o, s:I, s:I, s:I}", "requests", list, "total", (json_int_t)total,
			   "offset", (json_int_t)l->f.offset, "limit", (json_int_t)l->f.limit));
}

static int wrong(struct nv_err *err, const char *name, const char *what)
{
	return api_err(err, 422, NV_R_bad_message, "%.64s: %s", name, what);
}

static int read_number(const char *name, const char *text, uint64_t min, uint64_t max,
		       uint64_t *ret, struct nv_err *err)
{
	size_t len = strlen(text);
	uint64_t n = strtoull(text, NULL, 10);
	if (!len || len > 9 || strspn(text, "0123456789") != len || n < min || n > max)
		return api_err(err, 422, NV_R_bad_message,
			       "%s: not a whole number from %llu to %llu", name,
			       (unsigned long long)min, (unsigned long long)max);
	*ret = n;
	return 0;
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

static int read_one(struct listing *l, const struct session *s, const char *name, const char *value,
		    struct nv_err *err)
{
	if (!strcmp(name, "state"))
		return read_states(value, &l->f.states, err);
	if (!strcmp(name, "offset"))
		return read_number(name, value, 0, 1000000, &l->f.offset, err);
	if (!strcmp(name, "limit"))
		return read_number(name, value, 1, 1000, &l->f.limit, err);
	if (!strcmp(name, "site")) {
		l->f.site = value;
		return nv_name_valid(value) ? 0 : wrong(err, name, "not a course server's name");
	}
	if (!strcmp(name, "course")) {
		l->f.course = value;
		return *value && strlen(value) <= 64 ? 0 : wrong(err, name, "not a course's id");
	}
	if (!strcmp(name, "user")) {
		if (!*value || strlen(value) > 255)
			return wrong(err, name, "not 1 to 255 bytes long");
		if (!s->admin && strcmp(value, s->identity) != 0)
			return api_err(err, 403, NV_R_denied,
				       "user: only administrators may ask this");
		l->f.user = value;
		return 0;
	}
	return wrong(err, name, "unknown parameter");
}

void requests_list(struct app *app, struct nv_http_request *r, const struct session *s)
{
	struct nv_err err;
	const char *name;
	struct listing *l = nv_arena_alloc(nv_http_arena(r), sizeof *l);
	*l = (struct listing){.app = app, .r = r, .f = {.limit = 100}};
	for (size_t i = 0; (name = nv_http_query_name(r, i)); i++) {
		if (read_one(l, s, name, nv_http_query(r, name), &err) < 0) {
			api_fail(r, &err);
			return;
		}
	}
	if (l->f.course && !l->f.site) { /* an id means something on its server only */
		wrong(&err, "course", "needs a site beside it");
		api_fail(r, &err);
		return;
	}
	if (!s->admin)
		l->f.user = s->identity;
	nv_status_list(app->status, &l->f, listed, l);
}
