/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The routes. */
#ifndef NV_PRODUCER_API_H
#define NV_PRODUCER_API_H

#include "producer/app.h"

int nv_api_start(struct app *app, struct nv_err *err);
/* /metrics beside the API, for everybody: only where the configuration asks for it. */
bool nv_api_serves_metrics(const struct nv_config *c);

#endif
