/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef NV_PRODUCER_TIDY_H
#define NV_PRODUCER_TIDY_H

#include "core/status/events.h"
#include "producer/app.h"

/* Dead letters whose request is settled (tidy.c). */
struct tidy *tidy_new(struct app *app);
void tidy_heard(struct tidy *t, const struct nv_status_change_event *e); /* NULL allowed */
void tidy_close(struct tidy *t); /* after what works on threads, before the status */

#endif
