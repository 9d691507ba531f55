/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Common to all daemons: seal and publish a message, reject an unusable one. */
#ifndef NV_DAEMON_SENDER_H
#define NV_DAEMON_SENDER_H

#include "base/metrics.h"
#include "broker-config/topology.h"
#include "core/bus/bus.h"
#include "proto/envelope.h"

/* The sender and its bus. owner: the client's or site's name, as in the topology. */
struct nv_sender {
	struct nv_bus *bus;
	const struct nv_identity *me;
	const char *owner;
};

struct nv_send {
	enum nv_kind kind;
	const void *body;	    /* the record's struct */
	struct nv_topology_name to; /* routing key */
	uint64_t ttl_ms;	    /* the envelope's life */
	bool drop_when_expired;	 /* the broker may drop it after that time, too (progress, RPC) */
	struct nv_header header; /* key NULL: none */
};
/* Sealed and published to from.<owner>; cb as in nv_bus_publish, called at once when sealing fails.
 */
void nv_sender_send(const struct nv_sender *c, const struct nv_send *s,
		    void (*cb)(void *arg, const struct nv_err *err), void *arg);

/* navette_clock_skew_seconds by peer: how far its clock is ahead of ours, as far as messages
 * show. */
struct nv_metric *nv_clock_metric(void);
/* env: just opened, or opened without regard to the time. */
void nv_clock_note(struct nv_metric *m, const struct nv_envelope *env);

/* Reject an unusable message: into the dead queue, counted by reason in refused. Takes d. */
void nv_sender_refuse(const struct nv_sender *c, const struct nv_settle *settle,
		      struct nv_delivery *d, const struct nv_err *why, struct nv_metric *refused);

#endif
