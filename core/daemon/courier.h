/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Seal a message and put it on the bus, and take work from a pair of queues: the two things every
 * daemon does with proto and bus together. */
#ifndef NV_COURIER_H
#define NV_COURIER_H

#include "broker-config/topology.h"
#include "core/bus/bus.h"
#include "proto/envelope.h"

/* Who speaks on which bus.  owner: the client's or site's name, as in the topology. */
struct nv_courier {
	struct nv_bus *bus;
	const struct nv_identity *me;
	const char *owner;
};

struct nv_send {
	enum nv_kind kind;
	const void *body;	    /* the record's struct */
	struct nv_topology_name to; /* routing key */
	uint64_t ttl_ms;	    /* the envelope's life */
	bool drop_when_expired;	    /* let the broker drop it too (progress, RPC) */
	struct nv_header header;    /* key NULL: none */
};
/* Sealed and published to from.<owner>; cb as in nv_bus_publish, called at once when sealing fails.
 */
void nv_courier_send(const struct nv_courier *c, const struct nv_send *s,
		     void (*cb)(void *arg, const struct nv_err *err), void *arg);

/* Intake: the normal queue within the time window, the .now queue always, each with its own slots,
 * so that what is urgent never waits behind what is not.  What runs when the window closes is
 * finished. */
struct nv_intake_options {
	struct nv_bus *bus;
	uv_loop_t *loop;
	struct nv_topology_name queue;	   /* restore.C or archive.S */
	struct nv_topology_name queue_now; /* restore.C.now or archive.S.now */
	uint16_t slots;			   /* of the normal queue */
	uint16_t slots_now;
	const struct nv_window *window; /* read again at each look; borrowed */
	void (*on_delivery_cb)(void *arg, struct nv_delivery *d);
	void *arg;
};
struct nv_intake;
struct nv_intake *nv_intake_open(const struct nv_intake_options *o);
void nv_intake_look(struct nv_intake *i); /* the window may have changed */
/* No delivery comes after this; what runs can still be acknowledged. */
void nv_intake_close(struct nv_intake *i);

#endif
