/* SPDX-License-Identifier: GPL-3.0-or-later */
/* GET /api/v1/stats/steps: where time goes, of the newest restored requests. */
#include <stdlib.h>
#include <string.h>

#include "core/status/admin.h"
#include "producer/admin/admin.h"
#include "producer/answer.h"
#include "producer/app.h"

static const char *const words[NV_PH_COUNT] = {
#define X(name) #name,
	NV_PHASES(X)
#undef X
};

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

static json_t *summary(const struct nv_status_spent *list, size_t len, unsigned phase)
{
	nv_auto_free uint64_t *ms = nv_alloc((len + 1) * sizeof *ms);
	uint64_t sum = 0;
	for (size_t i = 0; i < len; i++) {
		ms[i] = list[i].ms[phase];
		sum += ms[i];
	}
	if (!len)
		return json_pack("{s:n, s:n, s:n, s:n}", "mean", "median", "p90", "most");
	qsort(ms, len, sizeof *ms, compare);
	return json_pack("{s:I, s:I, s:I, s:I}", "mean", (json_int_t)(sum / len), "median",
			 (json_int_t)ms[(len - 1) / 2], "p90", (json_int_t)ms[(len - 1) * 9 / 10],
			 "most", (json_int_t)ms[len - 1]);
}

static json_t *request(const struct nv_status_spent *one)
{
	json_t *ms = json_object();
	for (unsigned p = 0; p < NV_PH_COUNT; p++)
		json_object_set_new(ms, words[p], json_integer((json_int_t)one->ms[p]));
	return json_pack("{s:s, s:s, s:o, s:o}", "id", one->id, "site", one->site, "finished",
			 nv_api_time(one->finished), "ms", ms);
}

static void answer(void *arg, const struct nv_err *err, const struct nv_status_spent *list,
		   size_t len)
{
	struct nv_http_request *r = arg;
	if (err) {
		nv_api_fail(r, err);
		return;
	}
	json_t *steps = json_object(), *requests = json_array();
	for (unsigned p = 0; p < NV_PH_COUNT; p++)
		json_object_set_new(steps, words[p], summary(list, len, p));
	for (size_t i = 0; i < len; i++)
		json_array_append_new(requests, request(&list[i]));
	nv_api_json(r, 200, json_pack("{s:o, s:o}", "steps", steps, "requests", requests));
}

void nv_stats_steps(struct app *app, struct nv_http_request *r, const struct session *s)
{
	struct nv_err err;
	uint64_t last = 200;
	const char *name;
	(void)s;
	for (size_t i = 0; (name = nv_http_query_name(r, i)); i++) {
		int rc = strcmp(name, "last") != 0 ? nv_api_err(&err, 422, NV_R_bad_message,
								"%.64s: unknown parameter", name)
						   : nv_api_number(name, nv_http_query(r, name), 1,
								   1000, &last, &err);
		if (rc < 0) {
			nv_api_fail(r, &err);
			return;
		}
	}
	nv_status_steps(app->status, last, answer, r);
}
