/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/daemon/links.h"

#include "base/log.h"

void nv_log_broker_state(void *arg, bool up, const struct nv_err *err)
{
	(void)arg;
	NV_LOG(up ? NV_INFO : NV_WARN, up ? "broker.up" : "broker.down", NV_E(up ? NULL : err));
}

void nv_log_broker_fatal(void *arg, const struct nv_err *err)
{
	(void)arg;
	NV_LOG(NV_ERROR, "broker.refuses", NV_E(err));
}

void nv_log_redis_state(void *arg, bool up, const struct nv_err *err)
{
	(void)arg;
	NV_LOG(up ? NV_INFO : NV_WARN, up ? "redis.up" : "redis.down", NV_E(up ? NULL : err));
}
