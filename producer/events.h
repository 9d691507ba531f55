/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The live event stream. */
#ifndef NV_PRODUCER_EVENTS_H
#define NV_PRODUCER_EVENTS_H

#include "producer/app.h"

struct events *nv_events_new(struct app *app);
void nv_events_open(struct app *app, struct nv_http_request *r, const struct session *s);
void nv_events_close(struct events *e); /* after the HTTP server, before the status */

#endif
