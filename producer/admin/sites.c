/* SPDX-License-Identifier: GPL-3.0-or-later */
/* GET /api/v1/sites and GET /api/v1/workers: what we can honestly know.  A course server reaches us
 * through the broker only: what it said last (producer/site_presence.h), and who is connected there
 * now (RabbitMQ's management interface, where it is configured; otherwise null). */
#include <string.h>

#include "broker-config/topology.h"
#include "core/status/admin.h"
#include "core/status/events.h"
#include "core/status/requests.h"
#include "core/status/status.h"
#include "producer/admin/admin.h"
#include "producer/admin/broker_view.h"
#include "producer/admin/clock.h"
#include "producer/answer.h"
#include "producer/site_presence.h"

/* --- asking all there is to know --- */

struct asking {
	struct app *app;
	struct nv_http_request *r;
	void (*answer)(struct asking *a, const struct broker_seen *seen);
	struct nv_presence *present; /* in the arena, with its texts */
	size_t present_len;
	uint64_t (*counts)[NV_ST_COUNT];
	json_t *jobs; /* of archivers: {site, host, job} */
};

static void seen(void *arg, const struct nv_err *err, const struct broker_seen *broker)
{
	struct asking *a = arg;
	json_t *jobs = a->jobs; /* with the answer the arena may go, and a with it */
	a->answer(a, err ? NULL : broker);
	json_decref(jobs);
}

static void got_present(struct asking *a, const struct nv_presence *list, size_t len)
{
	struct nv_arena *arena = nv_http_arena(a->r);
	a->present = nv_arena_alloc(arena, (len + 1) * sizeof *a->present);
	a->present_len = len;
	for (size_t i = 0; i < len; i++)
		a->present[i] = (struct nv_presence){.name = nv_arena_strdup(arena, list[i].name),
						     .value = nv_arena_strdup(arena, list[i].value),
						     .at = list[i].at};
}

/* "archiver:SITE:HOST" of this site; NULL: not */
static const char *archiver_host(const struct nv_presence *p, const char *site)
{
	const char *rest = nv_site_presence_after(p->name, "archiver:");
	rest = rest ? nv_site_presence_after(rest, site) : NULL;
	return rest && *rest == ':' ? rest + 1 : NULL;
}

/* --- sites --- */

static const struct nv_presence *last_answer(const struct asking *a, const char *site)
{
	for (size_t i = 0; i < a->present_len; i++) {
		const char *name = nv_site_presence_after(a->present[i].name, "answer:");
		if (name && strcmp(name, site) == 0)
			return &a->present[i];
	}
	return NULL;
}

static uint64_t last_seen(const struct asking *a, const char *site)
{
	const struct nv_presence *answer = last_answer(a, site);
	uint64_t at = answer ? answer->at : 0;
	for (size_t i = 0; i < a->present_len; i++)
		if (archiver_host(&a->present[i], site) && a->present[i].at > at)
			at = a->present[i].at;
	return at;
}

/* What is in the way, from an object {reason, message, since}; NULL: nothing. */
static json_t *held_json(const json_t *told)
{
	json_t *reason = json_object_get(told, "reason");
	if (!json_is_string(reason))
		return json_null();
	return json_pack("{s:O, s:o, s:o}", "reason", reason, "message",
			 nv_api_text(json_string_value(json_object_get(told, "message"))), "since",
			 nv_api_time((uint64_t)json_integer_value(json_object_get(told, "since"))));
}

/* Of a course server's archivers on this host; host NULL: on any. */
static json_t *archiver_held(const struct asking *a, const char *site, const char *host)
{
	for (size_t i = 0; i < a->present_len; i++) {
		const char *rest = nv_site_presence_after(a->present[i].name, "hold:");
		rest = rest ? nv_site_presence_after(rest, site) : NULL;
		if (!rest || *rest != ':' || (host && strcmp(rest + 1, host) != 0))
			continue;
		json_t *told = json_loads(a->present[i].value, 0, NULL);
		json_t *held = held_json(told);
		json_decref(told);
		return held;
	}
	return json_null();
}

/* How far its clock is ahead of ours, in seconds, and what that means (clock.c); null: no news. */
static json_t *clock_json(const struct asking *a, const char *site)
{
	char words[256];
	for (size_t i = 0; i < a->present_len; i++) {
		const char *name = nv_site_presence_after(a->present[i].name, "clock:");
		if (!name || strcmp(name, site) != 0)
			continue;
		int64_t ahead = strtoll(a->present[i].value, NULL, 10);
		nv_clock_words(words, sizeof words, site, ahead);
		return json_pack("{s:I, s:s}", "ahead", (json_int_t)(ahead / 1000), "message",
				 words);
	}
	return json_null();
}

/* A count of consumers as a yes or no. */
static json_t *any(int64_t consumers)
{
	return consumers < 0 ? json_null() : json_boolean(consumers > 0);
}

static json_t *site_json(const struct asking *a, size_t i, const struct broker_seen *broker)
{
	const struct nv_config_site *site = &a->app->config->sites[i];
	const struct nv_presence *answer = last_answer(a, site->name);
	json_t *told = answer ? json_loads(answer->value, 0, NULL) : NULL;
	json_int_t version = json_integer_value(json_object_get(told, "moodle_version"));
	json_int_t status = json_integer_value(json_object_get(told, "status"));
	json_t *last = json_null();
	if (told)
		last = json_pack("{s:o, s:s, s:O}", "at", nv_api_time(answer->at), "status",
				 nv_catalog_status_words[status >= 0 && status <= NV_CAT_ERROR
								 ? status
								 : NV_CAT_ERROR],
				 "error", json_object_get(told, "error"));
	json_t *o = json_pack(
		"{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "site", site->name,
		"label", site->label ? site->label : site->name, "url", nv_api_text(site->url),
		"up", any(nv_broker_seen_consumers(broker, nv_queue_catalog(site->name).s)), "open",
		any(nv_broker_seen_consumers(broker, nv_queue_archive(site->name, false).s)),
		"opens",
		nv_api_time_to_come((uint64_t)json_integer_value(json_object_get(told, "opens"))),
		"moodle_version", version ? json_integer(version) : json_null(), "last_seen",
		nv_api_time(last_seen(a, site->name)), "last_answer", last, "held",
		archiver_held(a, site->name, NULL), "clock", clock_json(a, site->name));
	json_decref(told);
	json_t *counts = json_object();
	for (unsigned s = 0; s < NV_ST_COUNT; s++)
		json_object_set_new(counts, nv_state_word((enum nv_state)s),
				    json_integer((json_int_t)a->counts[i][s]));
	json_object_set_new(o, "requests", counts);
	return o;
}

static void sites_answer(struct asking *a, const struct broker_seen *broker)
{
	json_t *list = json_array();
	for (size_t i = 0; i < a->app->config->sites_len; i++)
		json_array_append_new(list, site_json(a, i, broker));
	nv_api_json(a->r, 200,
		    json_pack("{s:o, s:b}", "sites", list, "broker_seen", broker != NULL));
}

static void sites_counted(void *arg, const struct nv_err *err,
			  const uint64_t (*counts)[NV_ST_COUNT], size_t len)
{
	struct asking *a = arg;
	size_t want = a->app->config->sites_len;
	if (err) {
		nv_api_fail(a->r, err);
		return;
	}
	a->counts = nv_arena_alloc(nv_http_arena(a->r), (want + 1) * sizeof *a->counts);
	memcpy(a->counts, counts, (len < want ? len : want) * sizeof *counts);
	nv_broker_view_ask(a->app, seen, a);
}

static void sites_present(void *arg, const struct nv_err *err, const struct nv_presence *list,
			  size_t len)
{
	struct asking *a = arg;
	const struct nv_config *c = a->app->config;
	if (err) {
		nv_api_fail(a->r, err);
		return;
	}
	got_present(a, list, len);
	const char **names =
		nv_arena_alloc(nv_http_arena(a->r), (c->sites_len + 1) * sizeof *names);
	for (size_t i = 0; i < c->sites_len; i++)
		names[i] = c->sites[i].name;
	nv_status_site_counts(a->app->status, names, c->sites_len, sites_counted, a);
}

static struct asking *begin(struct app *app, struct nv_http_request *r,
			    void (*answer)(struct asking *a, const struct broker_seen *seen))
{
	struct asking *a = nv_arena_alloc(nv_http_arena(r), sizeof *a);
	*a = (struct asking){.app = app, .r = r, .answer = answer};
	return a;
}

void nv_sites_list(struct app *app, struct nv_http_request *r, const struct session *s)
{
	(void)s;
	nv_status_presences(app->status, sites_present, begin(app, r, sites_answer));
}

/* --- workers --- */

static json_t *job_json(const char *request, const char *step, uint64_t since)
{
	return json_pack("{s:s, s:o, s:o}", "request", request, "step", nv_api_text(step), "since",
			 nv_api_time(since));
}

/* "worker:HOST:PID", as worker/sweeper.c says it. */
static json_t *worker_json(const struct nv_presence *p)
{
	json_t *told = json_loads(p->value, 0, NULL);
	json_t *jobs = json_array(), *one, *o = NULL;
	const char *host, *client;
	int pid, slots;
	json_int_t since;
	size_t i;
	json_array_foreach(json_object_get(told, "jobs"), i, one)
	{
		const char *request = json_string_value(json_object_get(one, "request"));
		if (request)
			json_array_append_new(
				jobs,
				job_json(request, json_string_value(json_object_get(one, "step")),
					 (uint64_t)json_integer_value(
						 json_object_get(one, "since"))));
	}
	if (told && !json_unpack(told, "{s:s, s:s, s:i, s:I, s:i}", "host", &host, "client",
				 &client, "pid", &pid, "since", &since, "slots", &slots))
		o = json_pack("{s:s, s:s, s:s, s:[i], s:b, s:o, s:o, s:i, s:O, s:o}", "role",
			      "worker", "owner", client, "host", host, "pids", pid, "alive", true,
			      "since", nv_api_time((uint64_t)since), "heartbeat",
			      nv_api_time(p->at), "slots", slots, "jobs", jobs, "held",
			      held_json(json_object_get(told, "held")));
	json_decref(jobs);
	json_decref(told);
	return o;
}

static bool is(const json_t *o, const char *key, const char *value)
{
	const char *s = json_string_value(json_object_get(o, key));
	return s && strcmp(s, value) == 0;
}

/* The archivers of one site on one host, from all that was said of them. */
static json_t *archiver_json(const struct asking *a, const char *site, const char *host,
			     const struct broker_seen *broker)
{
	json_t *pids = json_array(), *jobs = json_array(), *one;
	uint64_t since = 0, heartbeat = 0;
	size_t i;
	json_array_foreach(broker ? broker->archivers : NULL, i, one)
	{
		uint64_t at = (uint64_t)json_integer_value(json_object_get(one, "since"));
		json_t *pid = json_object_get(one, "pid");
		if (!is(one, "site", site) || !is(one, "host", host))
			continue;
		since = !since || at < since ? at : since;
		bool known = false; /* several connections of one process */
		for (size_t k = 0; k < json_array_size(pids); k++)
			known = known || json_equal(json_array_get(pids, k), pid);
		if (!known)
			json_array_append(pids, pid);
	}
	for (i = 0; i < a->present_len; i++) {
		const char *is_host = archiver_host(&a->present[i], site);
		if (is_host && strcmp(is_host, host) == 0)
			heartbeat = a->present[i].at;
	}
	json_array_foreach(a->jobs, i, one)
	{
		if (is(one, "site", site) && is(one, "host", host))
			json_array_append(jobs, json_object_get(one, "job"));
	}
	json_t *alive = broker ? json_boolean(json_array_size(pids) > 0) : json_null();
	return json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:n, s:o, s:o}", "role", "archiver",
			 "owner", site, "host", host, "pids", pids, "alive", alive, "since",
			 nv_api_time(since), "heartbeat", nv_api_time(heartbeat), "slots", "jobs",
			 jobs, "held", archiver_held(a, site, host));
}

static void add_archiver(const struct asking *a, json_t *list, const char *site, const char *host,
			 const struct broker_seen *broker)
{
	size_t i;
	json_t *one;
	json_array_foreach(list, i, one)
	{
		if (is(one, "role", "archiver") && is(one, "owner", site) && is(one, "host", host))
			return;
	}
	json_array_append_new(list, archiver_json(a, site, host, broker));
}

static void add_archivers(const struct asking *a, json_t *list, const char *site,
			  const struct broker_seen *broker)
{
	size_t i;
	json_t *one;
	json_array_foreach(broker ? broker->archivers : NULL, i, one)
	{
		if (is(one, "site", site))
			add_archiver(a, list, site, json_string_value(json_object_get(one, "host")),
				     broker);
	}
	for (i = 0; i < a->present_len; i++) {
		const char *host = archiver_host(&a->present[i], site);
		if (host)
			add_archiver(a, list, site, host, broker);
	}
}

static void workers_answer(struct asking *a, const struct broker_seen *broker)
{
	json_t *list = json_array();
	for (size_t i = 0; i < a->present_len; i++) {
		json_t *o = nv_site_presence_after(a->present[i].name, "worker:")
				    ? worker_json(&a->present[i])
				    : NULL;
		if (o)
			json_array_append_new(list, o);
	}
	for (size_t i = 0; i < a->app->config->sites_len; i++)
		add_archivers(a, list, a->app->config->sites[i].name, broker);
	nv_api_json(a->r, 200,
		    json_pack("{s:o, s:b}", "workers", list, "broker_seen", broker != NULL));
}

static void workers_exporting(void *arg, const struct nv_err *err,
			      const struct nv_status_record *recs, size_t len, uint64_t total)
{
	struct asking *a = arg;
	(void)total;
	if (err) {
		nv_api_fail(a->r, err);
		return;
	}
	a->jobs = json_array();
	for (size_t i = 0; i < len; i++)
		if (recs[i].host)
			json_array_append_new(
				a->jobs, json_pack("{s:s, s:s, s:o}", "site", recs[i].request.site,
						   "host", recs[i].host, "job",
						   job_json(recs[i].request.id, recs[i].step,
							    recs[i].started)));
	nv_broker_view_ask(a->app, seen, a);
}

static void workers_present(void *arg, const struct nv_err *err, const struct nv_presence *list,
			    size_t len)
{
	struct asking *a = arg;
	struct nv_status_filter f = {.states = 1u << NV_ST_exporting, .limit = 1000};
	if (err) {
		nv_api_fail(a->r, err);
		return;
	}
	got_present(a, list, len);
	nv_status_list(a->app->status, &f, workers_exporting, a);
}

void nv_workers_list(struct app *app, struct nv_http_request *r, const struct session *s)
{
	(void)s;
	nv_status_presences(app->status, workers_present, begin(app, r, workers_answer));
}
