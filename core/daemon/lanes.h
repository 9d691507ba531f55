/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Taking work from a pair of queues: the normal queue within the time window, the .now queue
 * always, each with its own slots, so that urgent work never waits behind other work. Jobs running
 * when the window closes are finished. While paused (hold.h), nothing is consumed from either. */
#ifndef NV_DAEMON_LANES_H
#define NV_DAEMON_LANES_H

#include "broker-config/topology.h"
#include "core/bus/bus.h"

struct nv_lanes_options {
	struct nv_bus *bus;
	uv_loop_t *loop;
	struct nv_topology_name queue;	   /* restore.C or archive.S */
	struct nv_topology_name queue_now; /* restore.C.now or archive.S.now */
	uint16_t slots;			   /* of the normal queue */
	uint16_t slots_now;
	const struct nv_window *window; /* read at each check; borrowed */
	void (*on_delivery_cb)(void *arg, struct nv_delivery *d);
	void *arg;
};
struct nv_lanes;
struct nv_lanes *nv_lanes_open(const struct nv_lanes_options *o);
void nv_lanes_look(struct nv_lanes *i); /* the window may have changed */
void nv_lanes_pause(struct nv_lanes *i, bool paused);
/* No further deliveries; running ones can still be acknowledged. */
void nv_lanes_close(struct nv_lanes *i);

#endif
