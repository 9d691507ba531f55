/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "archiver/archiver.h"

#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "core/daemon/links.h"
#include "core/daemon/workdir.h"

#define QUESTIONS_AT_ONCE 4u
#define REMEMBERED 65536u

static const char *listen_address(const struct nv_config *c)
{
	return c->archiver.listen;
}

static void register_metrics(struct archiver *a)
{
	static const char *const results[] = {"ready", "failed", "retried", "cancelled", NULL};
	a->metrics.jobs =
		nv_counter("navette_archiver_exports_total", "Exports by outcome", "result");
	nv_metric_begin(a->metrics.jobs, results);
	a->metrics.running = nv_gauge("navette_archiver_exports_running", "Exports now", NULL);
	a->metrics.seconds = nv_histogram("navette_archiver_export_seconds",
					  "From taking a request to acknowledging it", NULL);
	a->metrics.bytes = nv_counter(
		"navette_archiver_blob_bytes_total",
		"Bytes of file contents: sent, saved (already in the store), or garbage-collected",
		"what");
	a->metrics.clock_skew = nv_clock_metric();
	a->metrics.refused = nv_counter("navette_archiver_refused_total",
					"Messages put into the dead queue unserved", "reason");
	a->metrics.catalog = nv_counter("navette_archiver_catalog_total",
					"Catalog questions by outcome", "status");
}

static int load_keys(struct archiver *a, struct nv_err *err)
{
	const struct nv_config *c = a->config;
	if (nv_identity_load(c->identity.key_file, 's', c->identity.site, &a->me, err) < 0)
		return -1;
	for (size_t i = 0; i < c->clients_len; i++)
		if (nv_keyring_add(&a->clients, 'c', c->clients[i].name, c->clients[i].public_key,
				   err) < 0)
			return -1;
	return 0;
}

static int open_memory(struct archiver *a, struct nv_err *err)
{
	const char *dir = a->config->archiver.work_dir;
	nv_auto_free char *finished = nv_asprintf("%s/.finished", dir);
	nv_auto_free char *withdrawn = nv_asprintf("%s/.withdrawn", dir);
	if (nv_workdir_make(dir, err) < 0 || nv_workdir_sweep(dir, 0, err) < 0)
		return -1;
	a->finished = nv_seen_log_open(finished, REMEMBERED, err);
	a->withdrawn = a->finished ? nv_seen_log_open(withdrawn, REMEMBERED, err) : NULL;
	return a->withdrawn ? 0 : -1;
}

static int open_parts(struct archiver *a, struct nv_err *err)
{
	if (load_keys(a, err) < 0 || open_memory(a, err) < 0)
		return -1;
	a->store = nv_store_open(a->config, err);
	a->site = a->store ? nv_site_open(a->config, err) : NULL;
	if (!a->site)
		return -1;
	a->known = nv_hash_cache_in(a->config->archiver.work_dir);
	NV_LOG(NV_INFO, "parts.open", NV_S("store", nv_store_describe(a->store)),
	       NV_S("site", nv_site_describe(a->site)));
	struct nv_err left = {0};
	if (nv_store_sweep(a->store, &left) < 0)
		NV_LOG(NV_WARN, "store.unswept", NV_E(&left));
	return 0;
}

static int connect_bus(struct archiver *a, struct nv_err *err)
{
	char name[320];
	snprintf(name, sizeof name, "archiver %s:%d", a->daemon->host, (int)getpid());
	struct nv_bus_options o = {.config = a->config,
				   .name = name,
				   .on_state_cb = nv_log_broker_state,
				   .on_fatal_cb = nv_log_broker_fatal};
	a->bus = nv_bus_new(a->daemon->loop, &o, err);
	if (!a->bus)
		return -1;
	const char *site = a->config->identity.site;
	a->sender = (struct nv_sender){a->bus, &a->me, site};
	a->settle = (struct nv_settle){site, (unsigned)a->config->archiver.attempts};
	return 0;
}

static void consume(struct archiver *a)
{
	const char *site = a->config->identity.site;
	char token[NV_TOKEN_SIZE];
	nv_token_new(token);
	struct nv_topology_name catalog = nv_queue_catalog(site);
	struct nv_topology_name control = nv_queue_control(site, token);
	struct nv_topology_name everyone = nv_exchange_control(site);
	struct nv_consume control_consume = {.queue = control.s,
					     .prefetch = 64,
					     .exclusive = true,
					     .bind_exchange = everyone.s,
					     .on_delivery_cb = nv_archiver_control,
					     .arg = a};
	struct nv_consume catalog_consume = {.queue = catalog.s,
					     .prefetch = QUESTIONS_AT_ONCE,
					     .on_delivery_cb = nv_archiver_catalog,
					     .arg = a};
	struct nv_lanes_options intake = {.bus = a->bus,
					  .loop = a->daemon->loop,
					  .queue = nv_queue_archive(site, false),
					  .queue_now = nv_queue_archive(site, true),
					  .slots = (uint16_t)a->config->archiver.slots,
					  .slots_now = 1,
					  .window = &a->config->archiver.window,
					  .on_delivery_cb = nv_archiver_request,
					  .arg = a};
	a->control = nv_bus_consume(a->bus, &control_consume);
	a->catalog = nv_bus_consume(a->bus, &catalog_consume);
	a->lanes = nv_lanes_open(&intake);
}

static void archiver_free(struct archiver *a)
{
	nv_bus_free(a->bus);
	nv_hold_free(a->hold);
	nv_site_close(a->site);
	nv_hash_cache_close(a->known);
	nv_store_close(a->store);
	nv_seen_log_close(a->finished);
	nv_seen_log_close(a->withdrawn);
	nv_keyring_fini(&a->clients);
	nv_client_clocks_free(a->client_clocks);
	nv_identity_wipe(&a->me);
	uv_mutex_destroy(&a->dead_lock);
	free(a);
}

static void maybe_stopped(struct archiver *a);

static int archiver_start(struct nv_daemon *d, struct nv_err *err)
{
	struct archiver *a = nv_alloc(sizeof *a);
	a->daemon = d;
	a->config = d->config;
	a->on_idle_cb = maybe_stopped;
	a->client_clocks = nv_client_clocks_new();
	d->state = a;
	uv_mutex_init(&a->dead_lock);
	register_metrics(a);
	if (open_parts(a, err) < 0 || connect_bus(a, err) < 0) {
		archiver_free(a);
		return -1;
	}
	uv_timer_init(d->loop, &a->stop_timer);
	a->stop_timer.data = a;
	a->hold = nv_archiver_hold_new(a);
	a->tidy = nv_withdrawn_tidy_new(a);
	if (!nv_seen_log_is_empty(a->withdrawn)) /* reading the queue briefly holds its letters */
		nv_withdrawn_tidy_soon(a->tidy);
	consume(a);
	a->gc = nv_gc_start(a);
	return 0;
}

/* --- stopping: consume no more, finish or hand back running jobs, close the bus --- */

static void bus_stopped(void *arg)
{
	struct archiver *a = arg;
	struct nv_daemon *d = a->daemon;
	archiver_free(a);
	nv_daemon_stopped(d);
}

static void timer_closed(uv_handle_t *handle)
{
	struct archiver *a = handle->data;
	nv_bus_stop(a->bus, a->config->archiver.stop_timeout, bus_stopped, a);
}

static void maybe_stopped(struct archiver *a)
{
	if (!a->daemon->stopping || a->exports || a->questions || a->gc || a->tidy ||
	    !a->hold_closed || a->bus_stopping)
		return;
	a->bus_stopping = true;
	uv_close((uv_handle_t *)&a->stop_timer, timer_closed);
}

static void patience_ended(uv_timer_t *timer)
{
	struct archiver *a = timer->data;
	nv_export_stop_all(a);
}

static void archiver_stop(struct nv_daemon *d)
{
	struct archiver *a = d->state;
	nv_lanes_close(a->lanes);
	nv_hold_close(a->hold);
	nv_gc_stop(a->gc);
	nv_withdrawn_tidy_close(a->tidy);
	nv_bus_cancel(a->catalog, false);
	nv_bus_cancel(a->control, false);
	uv_timer_start(&a->stop_timer, patience_ended, a->config->archiver.stop_timeout, 0);
	maybe_stopped(a);
}

static void archiver_reloaded(struct nv_daemon *d)
{
	struct archiver *a = d->state;
	nv_lanes_look(a->lanes);
}

static bool archiver_ready(struct nv_daemon *d, struct nv_err *err)
{
	struct archiver *a = d->state;
	if (!nv_bus_serving(a->bus, err))
		return false;
	if (nv_hold_why(a->hold))
		*err = *nv_hold_why(a->hold);
	return !nv_hold_why(a->hold);
}

int main(int argc, char **argv)
{
	static const struct nv_daemon_ops ops = {
		.svc = "archiver",
		.about = "exports courses of this course server into the staging store",
		.roles = NV_ROLE_ARCHIVER,
		.listen = listen_address,
		.start = archiver_start,
		.stop = archiver_stop,
		.reloaded = archiver_reloaded,
		.ready = archiver_ready};
	return nv_daemon_main(argc, argv, &ops);
}
