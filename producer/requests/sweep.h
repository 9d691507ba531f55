/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Requests that nobody has confirmed are published again. */
#ifndef NV_PRODUCER_REQUESTS_SWEEP_H
#define NV_PRODUCER_REQUESTS_SWEEP_H

#include "producer/app.h"

struct sweep *sweep_new(struct app *app);
void sweep_now(struct sweep *s); /* the broker is back */
void sweep_close(struct sweep *s);

#endif
