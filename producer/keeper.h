/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The keeper writes status events of course servers into records. */
#ifndef NV_PRODUCER_KEEPER_H
#define NV_PRODUCER_KEEPER_H

#include "producer/app.h"

struct keeper *nv_keeper_new(struct app *app);
void nv_keeper_retry(struct keeper *k); /* the status database is back */
/* Before bus and status: cb comes when no delivery is being written any more. */
void nv_keeper_close(struct keeper *k, void (*on_closed_cb)(struct app *app));

#endif
