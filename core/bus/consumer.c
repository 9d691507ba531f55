/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The thread of one consumer: one connection, on it one channel at a time.
 *
 *   (no session) ── open ──▶ session ── consume ──▶ consuming
 *        ▲                                              │ prefetch changed, cancelled by the broker
 *        └── channel or connection closed ──────────────┴─▶ session, later consuming again
 *
 * What the broker refuses is tried again after a while, which grows while it goes on refusing.  A
 * cancelled consumer keeps its session until everything is acknowledged, or closes it at once so
 * that the broker gives the messages to somebody else; then its thread ends. */
#include <inttypes.h>
#include <string.h>

#include "base/id.h"
#include "base/log.h"
#include "core/bus/bus_internal.h"

#define CHANNEL 1
/* Consuming for so long without a break, it is well again: the next trouble is a new one. */
#define STEADY_MS 10000
#define TICK_MS 250

/* --- errors, reported to the loop --- */

static void tell(struct nv_consumer *c, const struct nv_err *why)
{
	struct nv_bus_item *i = nv_bus_item_new(NV_BUS_SERVED);
	i->c = c;
	if (why) {
		i->err = nv_alloc(sizeof *i->err);
		*i->err = *why;
	}
	nv_bus_queue_put(c->side.events, i);
}

/* Try again later.  why NULL: nothing was wrong with the queue itself. */
static void postpone(struct nv_consumer *c, const struct nv_err *why)
{
	if (c->since && nv_mono_ms() - c->since >= STEADY_MS)
		c->backoff = 0;
	c->since = 0;
	c->retry_at = nv_mono_ms() + nv_bus_backoff(&c->backoff);
	if (!why)
		return;
	NV_LOG(NV_WARN, "bus.consumer-lost", NV_S("queue", c->queue),
	       NV_U("again_ms", c->retry_at - nv_mono_ms()), NV_E(why));
	tell(c, why);
}

/* What to do about it, where the broker's own words do not say: a queue that is there and cannot
 * be consumed is a quorum queue without a leader, as far as we know. */
static const char *way_out(const struct nv_err *why)
{
	if (why->code == AMQP_INTERNAL_ERROR || why->code == AMQP_STATUS_TIMEOUT ||
	    strstr(why->msg, "down or inaccessible"))
		return "; `rabbitmq-queues quorum_status` with the queue's name tells whether it "
		       "has "
		       "a leader: start the broker's nodes that are down";
	return "";
}

/* The result of an RPC on the channel: 0, 1 (closed, will be tried again) or -1 (the connection
 * is gone with it). */
static int outcome(struct nv_consumer *c, const char *what, struct nv_err *err)
{
	struct nv_err why = {0};
	struct nv_err full = {0};
	nv_auto_free char *text = nv_asprintf("%s %s", what, c->queue);
	int r = nv_link_reply(&c->side.link, CHANNEL, text, &why);
	if (!r)
		return 0;
	bool named = strstr(why.msg, c->queue) != NULL;
	nv_fail(&full, why.kind, why.reason, "%s%s%s%s%s", why.msg, named ? "" : " (asked to ",
		named ? "" : text, named ? "" : ")", way_out(&why));
	full.code = why.code;
	postpone(c, &full);
	if (r < 0)
		*err = full;
	return r;
}

/* --- the channel --- */

/* It is closed, by whomever: its deliveries cannot be acknowledged any more. */
static void forget_session(struct nv_consumer *c)
{
	nv_delivery_free(c->incoming);
	c->incoming = NULL;
	c->consuming = false;
	if (!c->session)
		return;
	atomic_store(&c->session->live, false);
	atomic_store_explicit(&c->unacked, 0, memory_order_relaxed);
	nv_session_unref(c->session);
	c->session = NULL;
}

/* One step; whatever the broker closes is forgotten. */
static int step(struct nv_consumer *c, const char *what, struct nv_err *err)
{
	int r = outcome(c, what, err);
	if (r > 0)
		forget_session(c);
	return r;
}

static int open_channel(struct nv_consumer *c, struct nv_err *err)
{
	amqp_connection_state_t conn = c->side.link.conn;
	/* A frame of the channel's former life may wait in the library's own queue: it must not be
	 * taken for one of the new.  In a moment it has been read. */
	if (amqp_frames_enqueued(conn))
		return 1;
	c->session = nv_session_new(CHANNEL);
	amqp_channel_open(conn, CHANNEL);
	return step(c, "open a channel for", err);
}

/* A queue of one's own lives as long as its consumer: each start makes it again. */
static int declare(struct nv_consumer *c, struct nv_err *err)
{
	amqp_connection_state_t conn = c->side.link.conn;
	amqp_bytes_t queue = nv_amqp_bytes(c->queue);
	amqp_bytes_t exchange = nv_amqp_bytes(c->bind_exchange);
	amqp_queue_declare(conn, CHANNEL, queue, 0, 0, 1, 1, amqp_empty_table);
	int r = step(c, "declare", err);
	if (r || !c->bind_exchange)
		return r;
	amqp_queue_bind(conn, CHANNEL, queue, exchange, exchange, amqp_empty_table);
	return step(c, "bind", err);
}

static void consumer_tag(const struct nv_consumer *c, char ret[32])
{
	snprintf(ret, 32, "nv-%" PRIu64, c->tags);
}

static int start_consuming(struct nv_consumer *c, struct nv_err *err)
{
	amqp_connection_state_t conn = c->side.link.conn;
	char tag[32];
	int r = c->exclusive ? declare(c, err) : 0;
	if (r)
		return r;
	amqp_basic_qos(conn, CHANNEL, 0, c->prefetch, 0);
	r = step(c, "set the prefetch of", err);
	if (r)
		return r;
	c->tags++;
	consumer_tag(c, tag);
	amqp_basic_consume(conn, CHANNEL, nv_amqp_bytes(c->queue), nv_amqp_bytes(tag), 0, 0, 0,
			   amqp_empty_table);
	r = step(c, "consume from", err);
	if (r)
		return r;
	c->consuming = true;
	if (!c->since)
		c->since = nv_mono_ms();
	tell(c, NULL);
	return 0;
}

static int stop_consuming(struct nv_consumer *c, struct nv_err *err)
{
	char tag[32];
	consumer_tag(c, tag);
	c->consuming = false;
	amqp_basic_cancel(c->side.link.conn, CHANNEL, nv_amqp_bytes(tag));
	return step(c, "stop consuming from", err);
}

/* --- work --- */

static int leave(struct nv_consumer *c, struct nv_err *err)
{
	if (c->session && !c->return_unacked && c->consuming && stop_consuming(c, err) < 0)
		return -1;
	if (!c->session || (!c->return_unacked && c->session->unacked))
		return 0;
	amqp_channel_close(c->side.link.conn, CHANNEL, AMQP_REPLY_SUCCESS);
	if (step(c, "close the channel of", err) < 0)
		return -1;
	forget_session(c);
	return 0;
}

static int consumer_work(void *ctx, bool connected, uint64_t now, struct nv_err *err)
{
	struct nv_consumer *c = ctx;
	int r = 0;
	if (!connected)
		return 0;
	if (c->leaving)
		return leave(c, err);
	if (now < c->retry_at)
		return 0;
	if (!c->session)
		r = open_channel(c, err);
	if (!r && !c->consuming)
		r = start_consuming(c, err);
	return r < 0 ? -1 : 0;
}

static int consumer_opened(void *ctx, struct nv_err *err)
{
	(void)ctx;
	(void)err;
	return 0;
}

static void consumer_lost(void *ctx)
{
	struct nv_consumer *c = ctx;
	/* A queue that goes down just after each consume must not be asked without a pause. */
	if (c->consuming)
		postpone(c, NULL);
	forget_session(c);
}

/* --- commands --- */

static int settle(struct nv_consumer *c, struct nv_delivery *d, bool ack, struct nv_err *err)
{
	amqp_connection_state_t conn = c->side.link.conn;
	struct nv_session *session = d->session;
	int status = 0;
	if (conn && atomic_load(&session->live)) {
		session->unacked--;
		atomic_store_explicit(&c->unacked, session->unacked, memory_order_relaxed);
		if (!ack)
			atomic_fetch_add_explicit(&c->returned, 1, memory_order_relaxed);
		if (ack)
			status = amqp_basic_ack(conn, session->channel, d->tag, 0);
		else
			status = amqp_basic_nack(conn, session->channel, d->tag, 0, 1);
	}
	nv_delivery_free(d);
	return nv_link_status(status, ack ? "acknowledge" : "return", err);
}

static int consumer_command(void *ctx, struct nv_bus_item *i, struct nv_err *err)
{
	struct nv_consumer *c = ctx;
	switch (i->what) {
	case NV_BUS_CANCEL:
		c->leaving = true;
		c->return_unacked = c->return_unacked || i->flag;
		return 0;
	case NV_BUS_ACK:
	case NV_BUS_RETURN:
		return settle(c, i->d, i->what == NV_BUS_ACK, err);
	default:
		return 0;
	}
}

/* --- frames --- */

static void deliver(struct nv_consumer *c)
{
	struct nv_bus_item *i = nv_bus_item_new(NV_BUS_DELIVERED);
	i->c = c;
	i->d = c->incoming;
	c->incoming = NULL;
	c->session->unacked++;
	atomic_store_explicit(&c->unacked, c->session->unacked, memory_order_relaxed);
	nv_bus_queue_put(c->side.events, i);
}

static int on_method(struct nv_consumer *c, const amqp_method_t *m, struct nv_err *err)
{
	struct nv_err why = {0};
	switch (m->id) {
	case AMQP_BASIC_DELIVER_METHOD:
		nv_delivery_free(c->incoming);
		c->incoming = nv_delivery_new(c, c->session, m->decoded);
		return 0;
	case AMQP_BASIC_CANCEL_METHOD: /* the queue was deleted or has moved */
		c->consuming = false;
		nv_fail(&why, NV_RETRY, NV_R_broker_unavailable,
			"broker: it cancelled the consumer of %s", c->queue);
		postpone(c, &why);
		return 0;
	case AMQP_CHANNEL_CLOSE_METHOD:
		if (nv_link_channel_closed(&c->side.link, CHANNEL, m->decoded, c->queue, &why) <
		    0) {
			*err = why;
			return -1;
		}
		forget_session(c);
		postpone(c, &why);
		return 0;
	default:
		return 0;
	}
}

static int consumer_frame(void *ctx, const amqp_frame_t *f, struct nv_err *err)
{
	struct nv_consumer *c = ctx;
	if (!c->session || f->channel != CHANNEL)
		return 0; /* the last words of a channel we have closed */
	switch (f->frame_type) {
	case AMQP_FRAME_METHOD:
		return on_method(c, &f->payload.method, err);
	case AMQP_FRAME_HEADER:
		if (c->incoming)
			nv_delivery_header_frame(c->incoming, f->payload.properties.body_size,
						 f->payload.properties.decoded);
		break;
	case AMQP_FRAME_BODY:
		if (c->incoming && c->incoming->body)
			nv_delivery_body_frame(c->incoming, f->payload.body_fragment);
		break;
	default:
		break;
	}
	if (c->incoming && c->incoming->complete)
		deliver(c);
	return 0;
}

/* --- the end --- */

/* A stop for a cancelled one waits until nothing of it is left; the bus's own has a time limit,
 * which is over at once: what was acknowledged before has been sent by then. */
static bool consumer_idle(void *ctx)
{
	return !((struct nv_consumer *)ctx)->session;
}

static void consumer_finish(void *ctx)
{
	struct nv_consumer *c = ctx;
	struct nv_bus_item *i = nv_bus_queue_take(&c->side.commands);
	while (i) {
		struct nv_bus_item *next = i->next;
		if (i->what == NV_BUS_ACK || i->what == NV_BUS_RETURN)
			nv_delivery_free(i->d);
		nv_bus_item_free(i);
		i = next;
	}
}

const struct nv_conn_thread_ops nv_consumer_ops = {
	.opened = consumer_opened,
	.lost = consumer_lost,
	.command = consumer_command,
	.frame = consumer_frame,
	.work = consumer_work,
	.idle = consumer_idle,
	.finish = consumer_finish,
	.tick_ms = TICK_MS,
};
