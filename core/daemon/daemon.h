/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A daemon's process: command line, configuration, log, loop, signals, monitoring, systemd.
 *
 *   starting → running → stopping → ended
 * SIGTERM or SIGINT: stop is called once; a second signal ends the process at once (the broker
 * requeues unacknowledged messages).  SIGHUP: the configuration is read again.  Exit status 0 after
 * a graceful stop, 1 for run-time errors, 2 for wrong usage or configuration. */
#ifndef NV_DAEMON_H
#define NV_DAEMON_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/err.h"
#include "core/config/config.h"
#include "core/http/http.h"

struct nv_daemon {
	const char *svc;
	uv_loop_t *loop;
	struct nv_config *config; /* changes only by a reload, on the loop */
	char host[256];		  /* this machine's name */
	void *state;		  /* the daemon's own */
	bool stopping;
};

struct nv_daemon_ops {
	const char *svc;   /* "archiver" */
	const char *about; /* one line for --help */
	unsigned roles;	   /* enum nv_role that the configuration must satisfy */
	/* Where /metrics, /healthz and /readyz listen; none, if it is NULL or returns NULL or ""
	 * (the daemon may serve them itself). */
	const char *(*listen)(const struct nv_config *c);
	int (*start)(struct nv_daemon *d, struct nv_err *err);
	/* Begin to stop; call nv_daemon_stopped when nothing is left on the loop. */
	void (*stop)(struct nv_daemon *d);
	void (*reloaded)(struct nv_daemon *d); /* may be NULL */
	/* Ready to work?  Otherwise why not ("broker: …"); called on the loop. */
	bool (*ready)(struct nv_daemon *d, struct nv_err *err);
};

/* main() of a daemon.  Options: -c/--config FILE (default NAVETTE_CONFIG, then
 * /etc/navette/navette.yaml), --check (check the configuration and exit), --version, --help. */
int nv_daemon_main(int argc, char **argv, const struct nv_daemon_ops *ops);
void nv_daemon_stopped(struct nv_daemon *d);
/* Stop gracefully and exit with status 1, because the process cannot continue. */
void nv_daemon_fail(struct nv_daemon *d, const struct nv_err *err);

/* The handlers of /metrics, /healthz and /readyz, for a daemon with an HTTP server of its own
 * (their route's data must be the struct nv_daemon *). */
void nv_daemon_metrics(void *arg, struct nv_http_request *r);
void nv_daemon_healthz(void *arg, struct nv_http_request *r);
void nv_daemon_readyz(void *arg, struct nv_http_request *r);

#endif
