/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The broker as its management interface shows it. */
#ifndef NV_PRODUCER_ADMIN_BROKER_VIEW_H
#define NV_PRODUCER_ADMIN_BROKER_VIEW_H

#include "producer/app.h"

struct broker_seen {
	uint64_t at;	   /* ms since the epoch */
	json_t *queues;	   /* as GET /queues shows them */
	json_t *archivers; /* {site, host, pid, since (ms)} of each connection */
};
typedef void (*broker_view_cb)(void *arg, const struct nv_err *err, const struct broker_seen *seen);
struct broker_view *nv_broker_view_new(struct app *app);
void nv_broker_view_free(struct broker_view *v);
/* Asks the management interface, or returns an answer at most two seconds old; seen is borrowed for
 * the call. */
void nv_broker_view_ask(struct app *app, broker_view_cb cb, void *arg);
/* Consumers of this queue; -1: not known. */
int64_t nv_broker_seen_consumers(const struct broker_seen *seen, const char *queue);

#endif
