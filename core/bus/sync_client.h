/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One blocking AMQP connection with one channel, for inspection and dead letters: used by the
 * command and on threads of the producer. Everything else in the daemons uses bus.h. */
#ifndef NV_BUS_SYNC_CLIENT_H
#define NV_BUS_SYNC_CLIENT_H

#include <amqp.h>

#include "base/err.h"
#include "broker-config/topology.h"
#include "core/config/config.h"

struct nv_amqp {
	amqp_connection_state_t conn;
	char *user;  /* of the address that answered */
	char *where; /* "host:port", of the same */
	bool tls;
};
#define NV_AMQP_CHANNEL 1

/* Tries broker.uris in turn.  name: what the broker shows of it.  NULL with *err. */
struct nv_amqp *nv_amqp_open(const struct nv_config *config, const char *name, struct nv_err *err);
void nv_amqp_close(struct nv_amqp *m); /* NULL allowed */
/* 0, or -1 with the meaning of r in *err. */
int nv_amqp_reply(amqp_rpc_reply_t r, const char *what, struct nv_err *err);
/* A channel that an error closed is gone; open it again. */
int nv_amqp_reopen(struct nv_amqp *m, struct nv_err *err);

struct nv_amqp_queue_state {
	uint64_t ready;
	uint64_t consumers;
};
/* Passive declaration: 0; -1 with NV_R_unroutable where there is no such queue. */
int nv_amqp_queue(struct nv_amqp *m, const char *name, struct nv_amqp_queue_state *ret,
		  struct nv_err *err);

#endif
