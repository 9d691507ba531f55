/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The producer's HTTP API, called over libcurl (producer/openapi.yaml is the contract).
 *
 * nv_cli_api_open signs in → nv_cli_api_call … → nv_cli_api_close signs out. */
#ifndef NV_CLI_API_H
#define NV_CLI_API_H

#include "cli/cli.h"

struct cli_api;

/* NULL after the error was printed. */
struct cli_api *nv_cli_api_open(struct cli *c);
void nv_cli_api_close(struct cli_api *a); /* NULL allowed */

struct cli_call {
	const char *method;
	const char *path;	     /* with its query */
	const json_t *body;	     /* borrowed; NULL: none */
	const char *idempotency_key; /* NULL: none */
};
/* The answer (new reference; json_null for none), or NULL with *err: NV_RETRY where it may work
 * later, NV_REJECT where the API refused. */
json_t *nv_cli_api_call(struct cli_api *a, const struct cli_call *call, struct nv_err *err);
/* text, percent-encoded for a path or query; owned */
char *nv_cli_api_escape(const char *text);
/* Prints what went wrong, with the problem document in JSON; returns CLI_FAILED. */
int nv_cli_api_fail(struct cli_api *a, const struct nv_err *err);

/* The address without credentials, of the page and for messages; borrowed. */
const char *nv_cli_api_url(const struct cli_api *a);

/* --- events.c --- */

/* Live events.  Each callback ends the stream with a value other than 0. */
struct cli_events {
	char *last_id;		   /* of the last event; owned by the caller; NULL: none yet */
	int (*open_cb)(void *arg); /* from now on changes arrive as events */
	int (*event_cb)(void *arg, const char *name, const json_t *data); /* data borrowed */
	int (*tick_cb)(void *arg);					  /* about once a second */
	void *arg;
};
/* Blocks.  1: a callback ended it; 0: the stream ended, call again to go on after last_id; -1 with
 * *err: it did not begin. */
int nv_cli_api_events(struct cli_api *a, struct cli_events *e, struct nv_err *err);

/* --- watch.c --- */

/* Follow these requests until all are final (ids of strings; borrowed).  known: documents by id,
 * may be empty.  Prints progress and outcome; returns the exit status. */
int nv_cli_watch_all(struct cli_api *a, struct cli *c, const json_t *ids);

/* --- requests.c --- */

/* A member's text; NULL where it is missing or null. */
const char *nv_cli_text(const json_t *doc, const char *key);
/* The sites and their courses, with --user and --refresh. */
json_t *nv_cli_get_courses(struct cli_api *a, const struct cli *c, bool afresh, struct nv_err *err);
/* The error of a site without an answer, owned; NULL: it answered. */
char *nv_cli_site_trouble(const json_t *site);

#endif
