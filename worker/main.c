/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <curl/curl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "core/daemon/links.h"
#include "core/daemon/workdir.h"
#include "core/status/status.h"
#include "worker/restore/known_plugins.h"
#include "worker/worker.h"

static const char *listen_address(const struct nv_config *c)
{
	return c->worker.listen;
}

static void register_metrics(struct worker *w)
{
	static const char *const results[] = {"restored", "failed", "retried", "cancelled", NULL};
	static const char *const notices[] = {"sent", "refused", "delayed", "dropped", NULL};
	w->metrics.jobs =
		nv_counter("navette_worker_restores_total", "Restores by outcome", "result");
	nv_metric_begin(w->metrics.jobs, results);
	w->metrics.running = nv_gauge("navette_worker_restores_running", "Restores now", NULL);
	w->metrics.seconds = nv_histogram("navette_worker_restore_seconds",
					  "From taking archive.ready to acknowledging it", NULL);
	w->metrics.clock_skew = nv_clock_metric();
	w->metrics.refused = nv_counter("navette_worker_refused_total",
					"Messages put into the dead queue unserved", "reason");
	w->metrics.prefetched =
		nv_counter("navette_worker_ahead_bytes_total",
			   "Bytes prefetched before their archive was complete", NULL);
	w->metrics.enrolments = nv_counter("navette_worker_enrolments_total",
					   "Requests to join a restored course", "result");
	w->metrics.notices =
		nv_counter("navette_worker_notices_total", "Messages to people", "result");
	nv_metric_begin(w->metrics.notices, notices);
}

static int load_keys(struct worker *w, struct nv_err *err)
{
	const struct nv_config *c = w->config;
	char own[NV_PUBLIC_KEY_TEXT];
	if (nv_identity_load(c->identity.key_file, 'c', c->identity.client, &w->me, err) < 0)
		return -1;
	nv_identity_public(&w->me, own);
	if (nv_keyring_add(&w->myself, 'c', c->identity.client, own, err) < 0)
		return -1;
	for (size_t i = 0; i < c->sites_len; i++)
		if (nv_keyring_add(&w->sites, 's', c->sites[i].name, c->sites[i].public_key, err) <
		    0)
			return -1;
	return 0;
}

static int open_parts(struct worker *w, struct nv_err *err)
{
	if (load_keys(w, err) < 0 || nv_workdir_make(w->config->worker.work_dir, err) < 0)
		return -1;
	w->store = nv_store_open(w->config, err);
	w->site = w->store ? nv_site_open(w->config, err) : NULL;
	if (!w->site)
		return -1;
	if (nv_follow_once(w->daemon->config, err) < 0)
		NV_LOG(NV_WARN, "settings.unknown", NV_E(err),
		       NV_S("meanwhile", "the configuration and its defaults"));
	w->known = nv_hash_cache_in(w->config->worker.work_dir);
	NV_LOG(NV_INFO, "parts.open", NV_S("store", nv_store_describe(w->store)),
	       NV_S("site", nv_site_describe(w->site)));
	return 0;
}

static int connect_parts(struct worker *w, struct nv_err *err)
{
	char name[320];
	snprintf(name, sizeof name, "worker %s:%d", w->daemon->host, (int)getpid());
	struct nv_bus_options bus = {.config = w->config,
				     .name = name,
				     .on_state_cb = nv_log_broker_state,
				     .on_fatal_cb = nv_log_broker_fatal};
	struct nv_status_options status = {.config = w->config, .on_state_cb = nv_log_redis_state};
	w->bus = nv_bus_new(w->daemon->loop, &bus, err);
	if (!w->bus)
		return -1;
	w->status = nv_status_new(w->daemon->loop, &status, err);
	if (!w->status)
		return -1;
	const char *client = w->config->identity.client;
	w->sender = (struct nv_sender){w->bus, &w->me, client};
	w->settle = (struct nv_settle){client, (unsigned)w->config->worker.attempts};
	return 0;
}

static void begin(struct worker *w)
{
	const char *client = w->config->identity.client;
	struct nv_lanes_options o = {.bus = w->bus,
				     .loop = w->daemon->loop,
				     .queue = nv_queue_restore(client, false),
				     .queue_now = nv_queue_restore(client, true),
				     .slots = (uint16_t)w->config->worker.slots,
				     .slots_now = 1,
				     .window = &w->config->worker.window,
				     .on_delivery_cb = nv_worker_delivery,
				     .arg = w};
	uv_timer_init(w->daemon->loop, &w->stop_timer);
	w->stop_timer.data = w;
	w->hold = nv_worker_hold_new(w);
	w->sweeper = nv_sweeper_start(w);
	w->erase = nv_erase_start(w);
	w->follow = nv_follow_start(w->daemon->loop, w->daemon->config);
	w->history = nv_history_start(w);
	w->notifier = nv_notifier_start(w);
	w->lanes = nv_lanes_open(&o);
	struct nv_topology_name opened = nv_queue_opened(client);
	struct nv_consume prefetch = {.queue = opened.s,
				      .prefetch = (uint16_t)w->config->worker.ahead,
				      .on_delivery_cb = nv_worker_opened,
				      .arg = w};
	if (prefetch.prefetch)
		w->opened = nv_bus_consume(w->bus, &prefetch);
}

static void worker_free(struct worker *w)
{
	nv_bus_free(w->bus);
	nv_hold_free(w->hold);
	nv_site_close(w->site);
	nv_hash_cache_close(w->known);
	nv_known_plugins_free(w->known_plugins);
	nv_store_close(w->store);
	nv_keyring_fini(&w->sites);
	nv_keyring_fini(&w->myself);
	nv_identity_wipe(&w->me);
	free(w);
}

static void maybe_stopped(struct worker *w);

static int worker_start(struct nv_daemon *d, struct nv_err *err)
{
	struct worker *w = nv_alloc(sizeof *w);
	w->daemon = d;
	w->config = d->config;
	w->on_idle_cb = maybe_stopped;
	w->known_plugins = nv_known_plugins_new();
	d->state = w;
	register_metrics(w);
	curl_global_init(CURL_GLOBAL_DEFAULT); /* before there are threads */
	if (open_parts(w, err) < 0) {
		worker_free(w);
		return -1;
	}
	if (connect_parts(w, err) < 0)
		return -1; /* the process ends, which closes everything */
	begin(w);
	return 0;
}

/* --- stopping: consume no more, finish or hand back running jobs, close Redis and the bus --- */

static void bus_stopped(void *arg)
{
	struct worker *w = arg;
	struct nv_daemon *d = w->daemon;
	worker_free(w);
	nv_daemon_stopped(d);
}

static void status_closed(void *arg)
{
	struct worker *w = arg;
	nv_bus_stop(w->bus, w->config->worker.stop_timeout, bus_stopped, w);
}

static void timer_closed(uv_handle_t *handle)
{
	struct worker *w = handle->data;
	nv_status_close(w->status, status_closed, w);
}

static void maybe_stopped(struct worker *w)
{
	if (!w->daemon->stopping || w->restores || w->prefetches || w->busy || w->closing)
		return;
	w->closing = true;
	uv_close((uv_handle_t *)&w->stop_timer, timer_closed);
}

static void patience_ended(uv_timer_t *timer)
{
	nv_restore_stop_all(timer->data);
}

static void worker_stop(struct nv_daemon *d)
{
	struct worker *w = d->state;
	nv_lanes_close(w->lanes);
	nv_hold_close(w->hold);
	if (w->opened)
		nv_bus_cancel(w->opened, false);
	nv_prefetch_stop_all(w);
	nv_sweeper_stop(w->sweeper);
	nv_erase_stop(w->erase);
	nv_follow_stop(w->follow);
	nv_history_stop(w->history);
	nv_notifier_stop(w->notifier);
	uv_timer_start(&w->stop_timer, patience_ended, w->config->worker.stop_timeout, 0);
	maybe_stopped(w);
}

static void worker_reloaded(struct nv_daemon *d)
{
	struct worker *w = d->state;
	nv_lanes_look(w->lanes);
}

static bool worker_ready(struct nv_daemon *d, struct nv_err *err)
{
	struct worker *w = d->state;
	if (!nv_status_up(w->status)) {
		nv_fail(err, NV_RETRY, NV_R_status_unavailable, "redis: not connected");
		return false;
	}
	if (!nv_bus_serving(w->bus, err))
		return false;
	if (nv_hold_why(w->hold))
		*err = *nv_hold_why(w->hold);
	return !nv_hold_why(w->hold);
}

int main(int argc, char **argv)
{
	static const struct nv_daemon_ops ops = {
		.svc = "worker",
		.about = "restores courses from the staging store into this client's site",
		.roles = NV_ROLE_WORKER,
		.listen = listen_address,
		.start = worker_start,
		.stop = worker_stop,
		.reloaded = worker_reloaded,
		.ready = worker_ready};
	return nv_daemon_main(argc, argv, &ops);
}
