/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Logging of the connections to broker and Redis: callbacks for nv_bus_options and
 * nv_status_options, used directly or called from a daemon's own callbacks. */
#ifndef NV_DAEMON_LINKS_H
#define NV_DAEMON_LINKS_H

#include <stdbool.h>

#include "base/err.h"

void nv_log_broker_state(void *arg, bool up, const struct nv_err *err);
void nv_log_broker_fatal(void *arg, const struct nv_err *err);
void nv_log_redis_state(void *arg, bool up, const struct nv_err *err);

#endif
