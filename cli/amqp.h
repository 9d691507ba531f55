/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One blocking AMQP connection with one channel, for looking and for dead letters.  The daemons use
 * core/bus instead. */
#ifndef NV_CLI_AMQP_H
#define NV_CLI_AMQP_H

#include <amqp.h>

#include "broker-config/topology.h"
#include "cli/cli.h"

struct cli_amqp {
	amqp_connection_state_t conn;
	char *user;  /* of the address that answered */
	char *where; /* "host:port", of the same */
	bool tls;
};
#define CLI_CHANNEL 1

/* Tries broker.uris in turn.  NULL with *err. */
struct cli_amqp *cli_amqp_open(const struct nv_config *config, struct nv_err *err);
void cli_amqp_close(struct cli_amqp *m); /* NULL allowed */
/* 0, or -1 with the meaning of r in *err. */
int cli_amqp_reply(amqp_rpc_reply_t r, const char *what, struct nv_err *err);
/* A channel that an error closed is gone; open it again. */
int cli_amqp_reopen(struct cli_amqp *m, struct nv_err *err);

struct cli_queue {
	uint64_t ready;
	uint64_t consumers;
};
/* Passive declaration: 0; -1 with NV_R_unroutable where there is no such queue. */
int cli_amqp_queue(struct cli_amqp *m, const char *name, struct cli_queue *ret, struct nv_err *err);

/* --- queues.c --- */

/* Whose queues the configuration is about: identity.client and identity.site, else broker.clients
 * and broker.sites. */
#define CLI_OWNERS_MAX 256u
struct cli_owner {
	const char *name;
	bool site;
};
size_t cli_owners(const struct nv_config *config, struct cli_owner ret[CLI_OWNERS_MAX]);
/* The names of an owner's queues; returns how many. */
#define CLI_QUEUES_MAX 12u
size_t cli_owner_queues(const struct cli_owner *owner, struct nv_topology_name ret[CLI_QUEUES_MAX]);

#endif
