/* SPDX-License-Identifier: GPL-3.0-or-later */
/* GET /api/v1/queues, and what else RabbitMQ's management interface tells. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "broker-config/admin_internal.h"
#include "broker-config/topology.h"
#include "producer/admin/admin.h"
#include "producer/admin/broker_view.h"
#include "producer/answer.h"
#include "producer/blocking_jobs.h"

#define FRESH_MS 2000u

struct waiter {
	struct waiter *next;
	broker_view_cb cb;
	void *arg;
};

struct broker_view {
	struct app *app;
	struct broker_seen seen;
	struct nv_err err; /* of the last answer; kind NV_OK: none */
	uint64_t asked;	   /* nv_mono_ms; 0: never */
	bool running;
	struct waiter *first, **last;
	json_t *queues, *archivers; /* of the thread, while it runs */
};

struct broker_view *nv_broker_view_new(struct app *app)
{
	struct broker_view *v = nv_alloc(sizeof *v);
	v->app = app;
	v->last = &v->first;
	return v;
}

static void forget(struct broker_view *v)
{
	json_decref(v->seen.queues);
	json_decref(v->seen.archivers);
	v->seen = (struct broker_seen){0};
}

void nv_broker_view_free(struct broker_view *v)
{
	forget(v);
	free(v);
}

/* --- on the thread --- */

static json_t *number(const json_t *o, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(o, key));
	return json_integer(n > 0 ? n : 0);
}

/* Messages a second; null where the broker has none yet. */
static json_t *rate(const json_t *queue, const char *key)
{
	const json_t *details = json_object_get(json_object_get(queue, "message_stats"), key);
	const json_t *n = json_object_get(details, "rate");
	return json_is_number(n) ? json_real(json_number_value(n)) : json_null();
}

static const json_t *named(const json_t *list, const char *name)
{
	size_t i;
	json_t *one;
	json_array_foreach(list, i, one)
	{
		const char *is = json_string_value(json_object_get(one, "name"));
		if (is && strcmp(is, name) == 0)
			return one;
	}
	return NULL;
}

static void add_queue(struct broker_view *v, const json_t *have, const char *owner,
		      const char *name)
{
	const json_t *q = named(have, name);
	json_t *o =
		json_pack("{s:s, s:s, s:b}", "queue", name, "owner", owner, "exists", q != NULL);
	json_object_set_new(o, "ready", number(q, "messages_ready"));
	json_object_set_new(o, "unacknowledged", number(q, "messages_unacknowledged"));
	json_object_set_new(o, "consumers", number(q, "consumers"));
	json_object_set_new(o, "rates",
			    json_pack("{s:o, s:o, s:o}", "in", rate(q, "publish_details"), "out",
				      rate(q, "deliver_get_details"), "acknowledged",
				      rate(q, "ack_details")));
	json_array_append_new(v->queues, o);
}

static void add_owner(struct broker_view *v, const json_t *have, const char *owner, bool site)
{
	struct nv_topology_name names[NV_OWNER_QUEUES];
	size_t n = nv_owner_queues(owner, site, names);
	for (size_t i = 0; i < n; i++)
		add_queue(v, have, owner, names[i].s);
}

/* "archiver HOST:PID …" of a connection of the user archiver.SITE */
static void add_archiver(struct broker_view *v, const json_t *connection)
{
	const char *user = json_string_value(json_object_get(connection, "user"));
	const char *name = json_string_value(json_object_get(
		json_object_get(connection, "client_properties"), "connection_name"));
	if (!user || !name || strncmp(user, "archiver.", 9) != 0 ||
	    !nv_config_site(v->app->config, user + 9) || strncmp(name, "archiver ", 9) != 0)
		return;
	size_t len = strcspn(name + 9, ": ");
	unsigned long pid = name[9 + len] == ':' ? strtoul(name + 9 + len + 1, NULL, 10) : 0;
	if (!len || !pid || pid > INT32_MAX)
		return;
	nv_auto_free char *host = nv_strndup(name + 9, len);
	json_t *o =
		json_pack("{s:s, s:s, s:i, s:I}", "site", user + 9, "host", host, "pid", (int)pid,
			  "since", json_integer_value(json_object_get(connection, "connected_at")));
	if (o)
		json_array_append_new(v->archivers, o);
}

static int ask(struct broker_view *v, struct nv_mgmt *m, struct nv_err *err)
{
	const struct nv_config *c = v->app->config;
	nv_auto_free char *vhost = nv_broker_vhost(&c->broker);
	nv_auto_free char *queues = NV_MGMT_PATH("queues", vhost);
	nv_auto_free char *connections = NV_MGMT_PATH("vhosts", vhost, "connections");
	nv_auto_json json_t *have = NULL;
	nv_auto_json json_t *open = NULL;
	size_t i;
	json_t *one;
	int status = nv_mgmt_call(m, "GET", queues, NULL, &have, err);
	if (status == 404)
		return nv_fail(err, NV_RETRY, NV_R_broker_unavailable,
			       "broker: there is no virtual host %s", vhost);
	if (status < 0 || nv_mgmt_call(m, "GET", connections, NULL, &open, err) < 0)
		return -1;
	add_owner(v, have, v->app->me.name, false);
	for (size_t k = 0; k < c->sites_len; k++)
		add_owner(v, have, c->sites[k].name, true);
	json_array_foreach(open, i, one) add_archiver(v, one);
	return 0;
}

static int work(struct app *app, struct nv_job *job, void *arg, struct nv_err *err)
{
	(void)job;
	struct broker_view *v = arg;
	struct nv_mgmt m;
	if (nv_mgmt_init(&m, &app->config->broker, err) < 0)
		return -1;
	m.timeout_ms = (long)app->config->broker.timeout;
	int rc = ask(v, &m, err);
	nv_mgmt_fini(&m);
	return rc;
}

/* --- on the loop --- */

static void tell(struct broker_view *v)
{
	struct waiter *w;
	while ((w = v->first)) {
		v->first = w->next;
		if (!v->first)
			v->last = &v->first;
		w->cb(w->arg, v->err.kind == NV_OK ? NULL : &v->err, &v->seen);
		free(w);
	}
}

/* Whatever was wrong is wrong between us and the broker, not with who asks. */
static void done(void *arg, const struct nv_err *err)
{
	struct broker_view *v = arg;
	v->running = false;
	v->asked = nv_mono_ms();
	forget(v);
	v->err = (struct nv_err){0};
	if (err) {
		json_decref(v->queues);
		json_decref(v->archivers);
		nv_api_err(&v->err, 503, NV_R_broker_unavailable, "%s", err->msg);
	} else {
		v->seen = (struct broker_seen){nv_now_ms(), v->queues, v->archivers};
	}
	tell(v);
}

void nv_broker_view_ask(struct app *app, broker_view_cb cb, void *arg)
{
	struct broker_view *v = app->broker_view;
	struct nv_err err;
	if (!app->config->broker.management_url) {
		nv_api_err(&err, 501, NV_R_config,
			   "the producer's configuration does not set broker.management_url");
		cb(arg, &err, NULL);
		return;
	}
	struct waiter *w = nv_alloc(sizeof *w);
	*w = (struct waiter){.cb = cb, .arg = arg};
	*v->last = w;
	v->last = &w->next;
	if (v->running)
		return;
	if (v->asked && nv_mono_ms() - v->asked < FRESH_MS) {
		tell(v);
		return;
	}
	v->running = true;
	v->queues = json_array();
	v->archivers = json_array();
	struct blocking_job job = {.work = work, .done = done, .arg = v};
	nv_blocking_jobs_run(app, BLOCKING_BROKER, &job);
}

int64_t nv_broker_seen_consumers(const struct broker_seen *seen, const char *queue)
{
	size_t i;
	json_t *q;
	json_array_foreach(seen ? seen->queues : NULL, i, q)
	{
		if (strcmp(json_string_value(json_object_get(q, "queue")), queue) == 0 &&
		    json_is_true(json_object_get(q, "exists")))
			return json_integer_value(json_object_get(q, "consumers"));
	}
	return -1;
}

static void answer(void *arg, const struct nv_err *err, const struct broker_seen *seen)
{
	struct nv_http_request *r = arg;
	if (err)
		nv_api_fail(r, err);
	else
		nv_api_json(r, 200,
			    json_pack("{s:o, s:O}", "at", nv_api_time(seen->at), "queues",
				      seen->queues));
}

void nv_queues_list(struct app *app, struct nv_http_request *r, const struct session *s)
{
	(void)s;
	nv_broker_view_ask(app, answer, r);
}
