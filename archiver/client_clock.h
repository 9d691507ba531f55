/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What time it is by each client's clock, as far as its questions tell. */
#ifndef NV_ARCHIVER_CLIENT_CLOCK_H
#define NV_ARCHIVER_CLIENT_CLOCK_H

#include "proto/envelope.h"

struct client_clocks *nv_client_clocks_new(void);
void nv_client_clocks_free(struct client_clocks *c); /* NULL allowed */
/* A question has come, for the first time. */
void nv_client_clock_heard(struct client_clocks *c, const struct nv_envelope *question);
/* *err says that this message has expired by our clock.  Where it has not by its client's, or that
 * is not known yet, *err becomes NV_HOLD/clock. */
void nv_client_clock_judge(const struct client_clocks *c, const struct nv_envelope *env,
			   struct nv_err *err);

#endif
