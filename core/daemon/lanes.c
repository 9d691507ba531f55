/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/daemon/lanes.h"

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sync_group.h"

/* The longest interval between checks of the window, within which changes of clock or zone are
 * noticed. */
#define LOOK_EVERY_MS 30000u
#define JOB_DESCRIPTORS (NV_SYNC_GROUP_FILES + 32u) /* of one, at most */

struct nv_lanes {
	struct nv_lanes_options o;
	struct nv_consumer *normal;
	struct nv_consumer *now;
	bool open;   /* the window at the last check */
	bool paused; /* something is in the way of all jobs */
	uv_timer_t timer;
};

static struct nv_consumer *consume(struct nv_lanes *i, const struct nv_topology_name *queue,
				   uint16_t slots)
{
	struct nv_consume c = {.queue = queue->s,
			       .prefetch = slots,
			       .on_delivery_cb = i->o.on_delivery_cb,
			       .arg = i->o.arg};
	return nv_bus_consume(i->o.bus, &c);
}

/* Take from a queue, or take no more from it. */
static void serve(struct nv_lanes *i, struct nv_consumer **c, bool wanted,
		  const struct nv_topology_name *queue, uint16_t slots)
{
	if (wanted && !*c) {
		*c = consume(i, queue, slots);
	} else if (!wanted && *c) {
		nv_bus_cancel(*c, false);
		*c = NULL;
	}
}

void nv_lanes_look(struct nv_lanes *i)
{
	uint64_t change = 0;
	bool open = nv_window_open(i->o.window, nv_now_ms(), &change);
	if (open != i->open)
		NV_LOG(NV_INFO, open ? "window.open" : "window.closed",
		       NV_S("queue", i->o.queue.s));
	i->open = open;
	serve(i, &i->normal, open && !i->paused, &i->o.queue, i->o.slots);
	serve(i, &i->now, !i->paused, &i->o.queue_now, i->o.slots_now);
}

void nv_lanes_pause(struct nv_lanes *i, bool paused)
{
	i->paused = paused;
	nv_lanes_look(i);
}

static void look_tick(uv_timer_t *timer)
{
	nv_lanes_look(timer->data);
}

struct nv_lanes *nv_lanes_open(const struct nv_lanes_options *o)
{
	struct nv_lanes *i = nv_alloc(sizeof *i);
	i->o = *o;
	nv_need_descriptors(JOB_DESCRIPTORS * (unsigned)(o->slots + o->slots_now) + 256);
	uv_timer_init(o->loop, &i->timer);
	i->timer.data = i;
	uv_timer_start(&i->timer, look_tick, LOOK_EVERY_MS, LOOK_EVERY_MS);
	nv_lanes_look(i);
	return i;
}

static void timer_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void nv_lanes_close(struct nv_lanes *i)
{
	if (i->normal)
		nv_bus_cancel(i->normal, false);
	if (i->now)
		nv_bus_cancel(i->now, false);
	uv_close((uv_handle_t *)&i->timer, timer_closed);
}
