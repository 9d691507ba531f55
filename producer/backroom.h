/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is asked of the broker, the store and Moodle on a thread, and what the broker told. */
#ifndef NV_PRODUCER_BACKROOM_H
#define NV_PRODUCER_BACKROOM_H

#include "core/base/job.h"
#include "producer/producer.h"

/* --- backroom.c --- */

enum back_lane { BACK_BROKER, BACK_DEAD, BACK_ARCHIVE, BACK_RIGHTS, BACK_LANES };
struct back_job {
	/* On a thread: touches neither the loop nor anything of app but what never changes. */
	int (*work)(struct app *app, struct nv_job *job, void *arg, struct nv_err *err);
	void (*done)(void *arg, const struct nv_err *err); /* on the loop, once */
	void *arg;
};
struct back *back_new(struct app *app);
void back_run(struct app *app, enum back_lane lane, const struct back_job *job);
/* After the HTTP server: who waits is turned away, who works is told to stop and waited for. */
void back_close(struct back *b, void (*cb)(struct app *app));

/* --- broker_view.c --- */

struct broker_seen {
	uint64_t at;	   /* ms since the epoch */
	json_t *queues;	   /* as GET /queues shows them */
	json_t *archivers; /* {site, host, pid, since (ms)} of each connection */
};
typedef void (*broker_view_cb)(void *arg, const struct nv_err *err, const struct broker_seen *seen);
struct broker_view *broker_view_new(struct app *app);
void broker_view_free(struct broker_view *v);
/* What the management interface tells, at most two seconds old; seen is borrowed for the call. */
void broker_view_ask(struct app *app, broker_view_cb cb, void *arg);
/* Consumers of this queue; -1: not known. */
int64_t broker_seen_consumers(const struct broker_seen *seen, const char *queue);

#endif
