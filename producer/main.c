/* SPDX-License-Identifier: GPL-3.0-or-later */
/* navette-producer: HTTP API and page, sign-in, live events, keeper and sweep, on one loop.
 *
 * Stops in this order: HTTP (answers in flight), jobs on threads, keeper (deliveries being
 * written), sweep and events, bus (confirms), spool, status. */
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "core/daemon/links.h"
#include "core/daemon/workdir.h"
#include "core/status/status.h"
#include "producer/admin/broker_view.h"
#include "producer/admin/clock.h"
#include "producer/admin/dead_tidy.h"
#include "producer/admin/site_letters.h"
#include "producer/api.h"
#include "producer/blocking_jobs.h"
#include "producer/events.h"
#include "producer/keeper.h"
#include "producer/requests/catalog.h"
#include "producer/requests/spool.h"
#include "producer/requests/sweep.h"
#include "producer/requests/versions.h"
#include "producer/requests/withdrawals.h"
#include "producer/session/launch.h"
#include "producer/session/people.h"
#include "producer/session/rights.h"
#include "producer/session/signin.h"
#include "producer/site_presence.h"

#define HTTP_STOP_MS 5000u
#define BUS_STOP_MS 5000u

/* --- states of broker and Redis --- */

static void bus_state(void *arg, bool up, const struct nv_err *err)
{
	struct app *app = arg;
	nv_metric_set(app->m.up, "broker", up);
	nv_log_broker_state(NULL, up, err);
	if (!up)
		return;
	app->bus_was_up = true;
	if (app->spool)
		nv_spool_look(app->spool);
	if (app->sweep)
		nv_sweep_now(app->sweep);
}

/* At start it is a mistake somebody must mend; later the broker is being changed, perhaps. */
static void bus_fatal(void *arg, const struct nv_err *err)
{
	struct app *app = arg;
	nv_log_broker_fatal(NULL, err);
	if (!app->bus_was_up)
		nv_daemon_fail(app->d, err);
}

static void status_state(void *arg, bool up, const struct nv_err *err)
{
	struct app *app = arg;
	nv_metric_set(app->m.up, "redis", up);
	nv_log_redis_state(NULL, up, err);
	if (!up)
		return;
	if (app->withdrawals)
		nv_withdrawals_repeat(app->withdrawals);
	if (app->keeper)
		nv_keeper_retry(app->keeper);
	if (app->spool)
		nv_spool_look(app->spool);
	if (app->sweep)
		nv_sweep_now(app->sweep);
}

static bool ready(struct nv_daemon *d, struct nv_err *err)
{
	struct app *app = d->state;
	if (!app->bus || !nv_bus_up(app->bus))
		nv_fail(err, NV_RETRY, NV_R_broker_unavailable, "broker: not connected");
	else if (!app->status || !nv_status_up(app->status))
		nv_fail(err, NV_RETRY, NV_R_status_unavailable, "redis: not connected");
	else
		return nv_bus_serving(app->bus, err);
	return false;
}

/* --- what it is made of --- */

static void register_metrics(struct app *app)
{
	app->m.http = nv_counter("navette_http_requests_total", "Answers by status code.", "code");
	app->m.http_time = nv_histogram("navette_http_request_seconds",
					"Time to answer, event streams left out.", NULL);
	app->m.refused = nv_counter("navette_refused_total",
				    "Refused: password, session, csrf, throttled, rights, launch.",
				    "reason");
	app->m.shut = nv_counter(
		"navette_http_shut_total",
		"Connections closed because headers, body or the reading of an answer took "
		"too long, or to make room (crowded).",
		"why");
	app->m.submitted = nv_counter("navette_submitted_total", "Requests submitted.", "outcome");
	app->m.messages = nv_counter("navette_keeper_messages_total",
				     "Messages from course servers.", "kind");
	app->m.readers = nv_gauge("navette_event_readers", "Open event streams.", NULL);
	app->m.downloads = nv_gauge("navette_downloads",
				    "Archives being assembled for downloads, or downloaded.", NULL);
	app->m.requests = nv_gauge("navette_requests", "Requests in each state.", "state");
	app->m.spooled =
		nv_gauge("navette_spooled_requests",
			 "Accepted requests on the disk that are not published yet.", NULL);
	app->m.clock_skew = nv_clock_metric();
	app->m.oldest = nv_gauge(
		"navette_oldest_waiting_seconds",
		"How long the request that waits longest for a course server has waited.", "site");
	app->m.failures = nv_counter("navette_site_failures_total",
				     "Failed export attempts reported by course servers.", "site");
	for (size_t i = 0; i < app->config->sites_len; i++)
		nv_metric_add(app->m.failures, app->config->sites[i].name, 0);
	app->m.up = nv_gauge("navette_up", "1: connected.", "part");
	nv_metric_set(app->m.up, "broker", 0);
	nv_metric_set(app->m.up, "redis", 0);
}

/* What an earlier producer left is of no use. */
static int make_room(const struct app *app, struct nv_err *err)
{
	const char *dir = app->config->producer.work_dir;
	if (!dir)
		return 0;
	return nv_workdir_make(dir, err) < 0 ? -1 : nv_workdir_sweep(dir, 0, err);
}

static int load_keys(struct app *app, struct nv_err *err)
{
	const struct nv_config *c = app->config;
	char public[NV_PUBLIC_KEY_TEXT];
	if (nv_identity_load(c->identity.key_file, 'c', c->identity.client, &app->me, err) < 0)
		return -1;
	nv_identity_public(&app->me, public);
	if (nv_keyring_add(&app->own, 'c', app->me.name, public, err) < 0)
		return -1;
	for (size_t i = 0; i < c->sites_len; i++)
		if (nv_keyring_add(&app->sites, 's', c->sites[i].name, c->sites[i].public_key,
				   err) < 0)
			return -1;
	return 0;
}

/* --- stop --- */

static void nothing(struct app *app)
{
	(void)app;
}

static void free_app(struct app *app)
{
	if (app->blocking_jobs) /* the start failed: nobody has asked for anything */
		nv_blocking_jobs_close(app->blocking_jobs, nothing);
	nv_rights_free(app->rights);
	nv_launch_forget(app);
	nv_spool_free(app->spool);
	nv_withdrawals_free(app->withdrawals);
	nv_people_free(app->people);
	nv_broker_view_free(app->broker_view);
	nv_site_presence_free(app);
	nv_site_letters_free(app->letters);
	nv_catalog_free(app->catalog);
	nv_keyring_fini(&app->sites);
	nv_keyring_fini(&app->own);
	nv_identity_wipe(&app->me);
	free(app->routes);
	free(app);
}

static void status_closed(void *arg)
{
	struct app *app = arg;
	struct nv_daemon *d = app->d;
	free_app(app);
	d->state = NULL;
	nv_daemon_stopped(d);
}

static void spool_closed(struct app *app)
{
	struct nv_status *status = app->status;
	app->status = NULL;
	nv_status_close(status, status_closed, app);
}

static void bus_stopped(void *arg)
{
	struct app *app = arg;
	nv_bus_free(app->bus);
	app->bus = NULL;
	app->sender.bus = NULL;
	if (app->spool)
		nv_spool_close(app->spool, spool_closed);
	else
		spool_closed(app);
}

static void keeper_closed(struct app *app)
{
	app->keeper = NULL;
	nv_sweep_close(app->sweep);
	app->sweep = NULL;
	nv_dead_tidy_close(app->tidy);
	app->tidy = NULL;
	nv_site_letters_close(app->letters); /* what the tidy has asked since HTTP was closed */
	nv_catalog_close(app->catalog);
	nv_clocks_close(app->clocks);
	app->clocks = NULL;
	nv_events_close(app->events);
	app->events = NULL;
	nv_versions_close(app->versions);
	app->versions = NULL;
	nv_bus_stop(app->bus, BUS_STOP_MS, bus_stopped, app);
}

static void back_closed(struct app *app)
{
	app->blocking_jobs = NULL;
	nv_keeper_close(app->keeper, keeper_closed);
}

static void signin_closed(struct app *app)
{
	nv_blocking_jobs_close(app->blocking_jobs, back_closed);
}

static void http_closed(void *arg)
{
	struct app *app = arg;
	app->http = NULL;
	nv_site_letters_close(app->letters);
	nv_catalog_close(app->catalog);
	nv_signin_close(app, signin_closed);
}

static void stop(struct nv_daemon *d)
{
	struct app *app = d->state;
	if (app && app->http) /* otherwise the start failed and closes itself */
		nv_http_close(app->http, HTTP_STOP_MS, http_closed, app);
}

/* --- start --- */

static int connect_bus(struct app *app, struct nv_err *err)
{
	char name[300];
	snprintf(name, sizeof name, "producer %s:%d", app->d->host, (int)getpid());
	struct nv_bus_options o = {.config = app->config,
				   .name = name,
				   .on_state_cb = bus_state,
				   .on_fatal_cb = bus_fatal,
				   .arg = app};
	app->bus = nv_bus_new(app->d->loop, &o, err);
	app->sender = (struct nv_sender){.bus = app->bus, .me = &app->me, .owner = app->me.name};
	return app->bus ? 0 : -1;
}

/* What fails half-way is closed by the same callbacks as at the end. */
static int start(struct nv_daemon *d, struct nv_err *err)
{
	struct app *app = nv_alloc(sizeof *app);
	struct nv_status_options so = {
		.config = d->config, .on_state_cb = status_state, .arg = app};
	d->state = app;
	app->d = d;
	app->config = d->config;
	app->offers_downloads =
		d->config->producer.work_dir && (d->config->store.path || d->config->store.url);
	register_metrics(app);
	app->blocking_jobs = nv_blocking_jobs_new(app);
	app->rights = nv_rights_new(app);
	app->broker_view = nv_broker_view_new(app);
	app->people = nv_people_new(app, err);
	if (!app->people || load_keys(app, err) < 0 || make_room(app, err) < 0)
		goto fail;
	app->status = nv_status_new(d->loop, &so, err);
	if (!app->status)
		goto fail;
	if (connect_bus(app, err) < 0)
		goto fail_status;
	app->spool = nv_spool_new(app, err);
	app->withdrawals = nv_withdrawals_new(app);
	if (!app->spool || nv_versions_first(app, err) < 0 || nv_api_start(app, err) < 0)
		goto fail_bus;
	app->catalog = nv_catalog_new(app);
	app->letters = nv_site_letters_new(app);
	app->events = nv_events_new(app);
	app->sweep = nv_sweep_new(app);
	app->clocks = nv_clocks_new(app);
	app->tidy = nv_dead_tidy_new(app);
	app->versions = nv_versions_new(app);
	app->keeper = nv_keeper_new(app);
	return 0;
fail_bus:
	nv_bus_stop(app->bus, 0, bus_stopped, app);
	return -1;
fail_status:
	nv_status_close(app->status, status_closed, app);
	return -1;
fail:
	free_app(app);
	d->state = NULL;
	return -1;
}

/* Of its own, unless they are to be where the API is. */
static const char *monitors(const struct nv_config *c)
{
	return nv_api_serves_metrics(c) ? NULL : c->producer.metrics_listen;
}

int main(int argc, char **argv)
{
	static const struct nv_daemon_ops ops = {
		.svc = "producer",
		.about = "HTTP API and page, sign-in, live events, status keeper",
		.roles = NV_ROLE_PRODUCER,
		.listen = monitors,
		.start = start,
		.stop = stop,
		.ready = ready,
	};
	return nv_daemon_main(argc, argv, &ops);
}
