/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a daemon logs of its links to broker and Redis.  Callbacks for nv_bus_options and
 * nv_status_options as they are; whoever has more to do calls them from its own. */
#ifndef NV_DAEMON_LINKS_H
#define NV_DAEMON_LINKS_H

#include <stdbool.h>

#include "base/err.h"

void nv_log_broker_state(void *arg, bool up, const struct nv_err *err);
void nv_log_broker_fatal(void *arg, const struct nv_err *err);
void nv_log_redis_state(void *arg, bool up, const struct nv_err *err);

#endif
