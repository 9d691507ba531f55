/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Commands that use the broker: the owners of queues (queues.c). */
#ifndef NV_CLI_AMQP_H
#define NV_CLI_AMQP_H

#include "broker-config/topology.h"
#include "cli/cli.h"
#include "core/bus/sync_client.h"

/* The owners whose queues the configuration names: identity.client and identity.site, else
 * broker.clients and broker.sites. */
#define CLI_OWNERS_MAX 256u
struct cli_owner {
	const char *name;
	bool site;
};
size_t nv_cli_owners(const struct nv_config *config, struct cli_owner ret[CLI_OWNERS_MAX]);

#endif
