/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Signing in with a token of Moodle's button. */
#ifndef NV_PRODUCER_SESSION_LAUNCH_H
#define NV_PRODUCER_SESSION_LAUNCH_H

#include "producer/app.h"

/* /launch: with a token of Moodle's button (launch.c). */
void nv_launch(struct app *app, struct nv_http_request *r, const struct session *none);
/* A token of this id (hashed) was used at that time, here or with another producer, which said so
 * by this event. */
#define LAUNCH_EVENT "launched"
void nv_launch_used(struct app *app, const char *id, uint64_t at);
void nv_launch_forget(struct app *app);

#endif
