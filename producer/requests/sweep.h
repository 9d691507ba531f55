/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Publishes unconfirmed requests again. */
#ifndef NV_PRODUCER_REQUESTS_SWEEP_H
#define NV_PRODUCER_REQUESTS_SWEEP_H

#include "producer/app.h"

struct sweep *nv_sweep_new(struct app *app);
void nv_sweep_now(struct sweep *s); /* the broker is back */
void nv_sweep_close(struct sweep *s);

#endif
