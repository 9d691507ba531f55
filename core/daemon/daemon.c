/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/daemon/daemon.h"

#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/log.h"
#include "base/metrics.h"
#include "base/text.h"
#include "core/daemon/journal.h"

/* What nv_daemon_main keeps around the daemon; d first, so that one pointer serves both. */
struct process {
	struct nv_daemon d;
	const struct nv_daemon_ops *ops;
	const char *config_path;
	uv_loop_t loop;
	uv_signal_t term, intr, hup;
	uv_timer_t watchdog;
	struct nv_http *http;
	int status;
	bool ended;
};

static struct process *process_of(struct nv_daemon *d)
{
	return (struct process *)d;
}

/* --- command line --- */

static void usage(const struct nv_daemon_ops *ops, FILE *to)
{
	fprintf(to,
		"navette-%s: %s\n\n"
		"usage: navette-%s [-c FILE] [--check]\n"
		"  -c, --config FILE  the configuration (default: $NAVETTE_CONFIG, then\n"
		"                     /etc/navette/navette.yaml)\n"
		"  --check            check the configuration and exit\n"
		"  --version          print the version and exit\n",
		ops->svc, ops->about, ops->svc);
}

/* Returns -1 to go on, otherwise the exit status. */
static int parse_arguments(struct process *p, int argc, char **argv, bool *ret_check)
{
	static const struct option options[] = {{"config", required_argument, NULL, 'c'},
						{"check", no_argument, NULL, 'k'},
						{"version", no_argument, NULL, 'v'},
						{"help", no_argument, NULL, 'h'},
						{NULL, 0, NULL, 0}};
	const char *from_env = getenv("NAVETTE_CONFIG");
	p->config_path = from_env && *from_env ? from_env : "/etc/navette/navette.yaml";
	for (int c; (c = getopt_long(argc, argv, "c:h", options, NULL)) != -1;) {
		switch (c) {
		case 'c':
			p->config_path = optarg;
			break;
		case 'k':
			*ret_check = true;
			break;
		case 'v':
			printf("navette-%s %s\n", p->ops->svc, NAVETTE_VERSION);
			return 0;
		case 'h':
			usage(p->ops, stdout);
			return 0;
		default:
			usage(p->ops, stderr);
			return 2;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "navette-%s: unexpected argument \"%s\"\n", p->ops->svc,
			argv[optind]);
		return 2;
	}
	return -1;
}

/* --- signals --- */

static void begin_stop(struct process *p)
{
	if (p->d.stopping)
		return;
	p->d.stopping = true;
	NV_LOG0(NV_INFO, "daemon.stopping");
	sd_notify(0, "STOPPING=1");
	p->ops->stop(&p->d);
}

static void stop_signal(uv_signal_t *handle, int number)
{
	struct process *p = handle->data;
	if (p->d.stopping) {
		NV_LOG(NV_WARN, "daemon.killed", NV_I("signal", number));
		_exit(1);
	}
	NV_LOG(NV_INFO, "daemon.signal", NV_I("signal", number));
	begin_stop(p);
}

static void reload_signal(uv_signal_t *handle, int number)
{
	(void)number;
	struct process *p = handle->data;
	if (p->d.stopping)
		return; /* what would be told of it is going */
	nv_auto_buf struct nv_buf notes = {0};
	struct nv_config *fresh = nv_config_load(p->config_path, p->ops->roles, &notes);
	if (!fresh) {
		NV_LOG(NV_ERROR, "config.refused", NV_S("file", p->config_path),
		       NV_S("mistakes", (const char *)notes.data));
		return;
	}
	nv_config_reload(p->d.config, fresh, &notes);
	nv_config_free(fresh);
	nv_log_set_level(p->d.config->log.level);
	nv_log_set_people(p->d.config->log.people);
	NV_LOG(NV_INFO, "config.reloaded", NV_S("file", p->config_path),
	       NV_S("notes", notes.len ? (const char *)notes.data : NULL));
	if (p->ops->reloaded)
		p->ops->reloaded(&p->d);
}

static void watchdog_tick(uv_timer_t *handle)
{
	(void)handle;
	sd_notify(0, "WATCHDOG=1");
}

static void listen_to_signals(struct process *p)
{
	signal(SIGPIPE, SIG_IGN);
	uv_signal_init(&p->loop, &p->term);
	uv_signal_init(&p->loop, &p->intr);
	uv_signal_init(&p->loop, &p->hup);
	uv_timer_init(&p->loop, &p->watchdog);
	p->term.data = p->intr.data = p->hup.data = p;
	uv_signal_start(&p->term, stop_signal, SIGTERM);
	uv_signal_start(&p->intr, stop_signal, SIGINT);
	uv_signal_start(&p->hup, reload_signal, SIGHUP);
	uint64_t usec = 0;
	if (sd_watchdog_enabled(0, &usec) > 0)
		uv_timer_start(&p->watchdog, watchdog_tick, 0, usec / 2000);
}

/* --- monitoring --- */

void nv_daemon_metrics(void *arg, struct nv_http_request *r)
{
	(void)arg;
	nv_auto_buf struct nv_buf out = {0};
	nv_metrics_write(&out);
	nv_http_reply(r, 200, "text/plain; version=0.0.4; charset=utf-8", out.data, out.len);
}

void nv_daemon_healthz(void *arg, struct nv_http_request *r)
{
	(void)arg;
	nv_http_reply(r, 200, "text/plain; charset=utf-8", "ok\n", 3);
}

void nv_daemon_readyz(void *arg, struct nv_http_request *r)
{
	(void)arg;
	struct nv_daemon *d = (struct nv_daemon *)(uintptr_t)nv_http_route_data(r);
	struct nv_err err = {0};
	if (d->stopping)
		nv_http_problem(r, 503, NV_R_busy, "stopping");
	else if (!process_of(d)->ops->ready(d, &err))
		nv_http_problem(r, 503, err.reason, "%s", err.msg);
	else
		nv_http_reply(r, 200, "text/plain; charset=utf-8", "ready\n", 6);
}

static int listen_for_monitors(struct process *p, struct nv_http_route routes[3],
			       struct nv_err *err)
{
	const char *listen = p->ops->listen ? p->ops->listen(p->d.config) : NULL;
	if (!listen || !*listen)
		return 0;
	routes[0] = (struct nv_http_route){.method = "GET",
					   .pattern = "/metrics",
					   .handler = nv_daemon_metrics,
					   .data = &p->d,
					   .probe = true};
	routes[1] = (struct nv_http_route){.method = "GET",
					   .pattern = "/healthz",
					   .handler = nv_daemon_healthz,
					   .data = &p->d,
					   .probe = true};
	routes[2] = (struct nv_http_route){.method = "GET",
					   .pattern = "/readyz",
					   .handler = nv_daemon_readyz,
					   .data = &p->d,
					   .probe = true};
	struct nv_http_options o = {.listen = listen,
				    .routes = routes,
				    .routes_len = 3,
				    .max_body = 1024,
				    .max_connections = 64};
	p->http = nv_http_new(&p->loop, &o, err);
	if (!p->http)
		return -1;
	NV_LOG(NV_INFO, "monitor.listening", NV_S("listen", listen),
	       NV_U("port", nv_http_port(p->http)));
	return 0;
}

/* --- life --- */

static void http_closed(void *arg)
{
	(void)arg;
}

void nv_daemon_stopped(struct nv_daemon *d)
{
	struct process *p = process_of(d);
	if (p->ended)
		return;
	p->ended = true;
	uv_close((uv_handle_t *)&p->term, NULL);
	uv_close((uv_handle_t *)&p->intr, NULL);
	uv_close((uv_handle_t *)&p->hup, NULL);
	uv_close((uv_handle_t *)&p->watchdog, NULL);
	if (p->http)
		nv_http_close(p->http, 1000, http_closed, NULL);
	p->http = NULL;
}

void nv_daemon_fail(struct nv_daemon *d, const struct nv_err *err)
{
	struct process *p = process_of(d);
	NV_LOG(NV_ERROR, "daemon.failed", NV_E(err));
	p->status = 1;
	begin_stop(p);
}

static struct nv_config *load_config(struct process *p)
{
	nv_auto_buf struct nv_buf mistakes = {0};
	struct nv_config *c = nv_config_load(p->config_path, p->ops->roles, &mistakes);
	if (!c)
		fprintf(stderr, "%s", (const char *)mistakes.data);
	return c;
}

static int run(struct process *p)
{
	struct nv_http_route routes[3];
	struct nv_err err = {0};
	uv_loop_init(&p->loop);
	p->d.loop = &p->loop;
	listen_to_signals(p);
	if (listen_for_monitors(p, routes, &err) < 0 || p->ops->start(&p->d, &err) < 0) {
		NV_LOG(NV_ERROR, "daemon.failed", NV_E(&err));
		p->status = 1;
		nv_daemon_stopped(&p->d);
	} else {
		NV_LOG(NV_INFO, "daemon.started", NV_S("version", NAVETTE_VERSION),
		       NV_S("config", p->config_path), NV_I("pid", getpid()));
		sd_notify(0, "READY=1");
	}
	uv_run(&p->loop, UV_RUN_DEFAULT);
	uv_loop_close(&p->loop);
	NV_LOG(NV_INFO, "daemon.ended", NV_I("status", p->status));
	return p->status;
}

/* A job runs on threads of its own that work with pieces of a megabyte.  glibc would keep an arena
 * for each, eight a processor, and in each such a piece when it is free again. */
#define ARENAS_MAX 4

static void keep_few_arenas(void)
{
#ifdef M_ARENA_MAX
	mallopt(M_ARENA_MAX, ARENAS_MAX);
#endif
}

int nv_daemon_main(int argc, char **argv, const struct nv_daemon_ops *ops)
{
	struct process p = {.ops = ops, .d = {.svc = ops->svc}};
	bool check = false;
	nv_text_locale();
	int status = parse_arguments(&p, argc, argv, &check);
	if (status >= 0)
		return status;
	keep_few_arenas();
	if (sodium_init() < 0) {
		fprintf(stderr, "navette-%s: libsodium cannot be initialised\n", ops->svc);
		return 1;
	}
	nv_log_init(ops->svc, NV_INFO);
	nv_journal_use();
	p.d.config = load_config(&p);
	if (!p.d.config)
		return 2;
	if (check) {
		printf("%s: fine\n", p.config_path);
		nv_config_free(p.d.config);
		return 0;
	}
	nv_log_set_level(p.d.config->log.level);
	nv_log_set_people(p.d.config->log.people);
	if (gethostname(p.d.host, sizeof p.d.host - 1) < 0)
		strcpy(p.d.host, "localhost");
	status = run(&p);
	nv_config_free(p.d.config);
	nv_metrics_fini();
	return status;
}
