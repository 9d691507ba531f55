/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The consuming thread: a channel for each consumer, so that prefetch, cancelling and giving back
 * concern that one only.
 *
 *   (no session) ── open ──▶ session ── consume ──▶ consuming
 *        ▲                                              │ prefetch changed, cancelled by the broker
 *        └── channel or connection closed ──────────────┴─▶ session, later consuming again
 *
 * A cancelled consumer keeps its session until everything is acknowledged, or closes it at once so
 * that the broker gives the messages to somebody else. */
#include <inttypes.h>
#include <string.h>

#include "core/base/id.h"
#include "core/base/log.h"
#include "core/bus/internal.h"

#define CHANNELS 256 /* 0 is the connection's own */

struct channel {
	struct channel *next;
	struct nv_consumer *consumer;
	struct nv_session *session;   /* NULL: not open */
	struct nv_delivery *incoming; /* frames of it have come, not all */
	bool consuming;
	uint16_t wanted, applied; /* prefetch */
	bool cancelled, return_unacked;
	uint64_t retry_at, backoff;
	uint64_t tags; /* consumer tags used */
};

/* The number of a channel that was closed may be used again only when no frame of its former life
 * can be waiting in the library's own queue. */
enum number { FREE, USED, RESTING };

struct nv_consumers {
	struct nv_side *side;
	struct channel *channels;
	enum number numbers[CHANNELS];
};

struct nv_consumers *nv_consumers_new(struct nv_side *side)
{
	struct nv_consumers *s = nv_alloc(sizeof(*s));
	s->side = side;
	return s;
}

void nv_consumers_free(struct nv_consumers *s)
{
	free(s);
}

/* --- channels --- */

static struct channel *by_consumer(struct nv_consumers *s, const struct nv_consumer *c)
{
	struct channel *ch = s->channels;
	while (ch && ch->consumer != c)
		ch = ch->next;
	return ch;
}

static struct channel *by_number(struct nv_consumers *s, amqp_channel_t number)
{
	struct channel *ch = s->channels;
	while (ch && !(ch->session && ch->session->channel == number))
		ch = ch->next;
	return ch;
}

/* The channel is closed, by whomever: its deliveries cannot be acknowledged any more. */
static void forget_session(struct nv_consumers *s, struct channel *ch)
{
	nv_delivery_free(ch->incoming);
	ch->incoming = NULL;
	ch->consuming = false;
	if (!ch->session)
		return;
	s->numbers[ch->session->channel] = RESTING;
	atomic_store(&ch->session->live, false);
	nv_session_unref(ch->session);
	ch->session = NULL;
}

static void remove_channel(struct nv_consumers *s, struct channel *ch)
{
	struct nv_bus_item *i = nv_bus_item_new(NV_BUS_GONE);
	struct channel **at = &s->channels;
	while (*at != ch)
		at = &(*at)->next;
	*at = ch->next;
	i->c = ch->consumer;
	forget_session(s, ch);
	free(ch);
	nv_bus_queue_put(s->side->events, i);
}

static void postpone(struct nv_consumers *s, struct channel *ch, const struct nv_err *err)
{
	ch->retry_at = nv_mono_ms() + nv_bus_backoff(&ch->backoff);
	NV_LOG(NV_WARN, "bus.consumer-lost", NV_S("queue", ch->consumer->queue), NV_E(err));
	if (err->kind == NV_FATAL)
		nv_side_event(s->side, NV_BUS_FATAL, err);
}

/* The result of an RPC on ch's channel: 0, 1 (closed, will be tried again) or -1. */
static int outcome(struct nv_consumers *s, struct channel *ch, const char *what, struct nv_err *err)
{
	struct nv_err why = {0};
	nv_auto_free char *text = nv_asprintf("%s %s", what, ch->consumer->queue);
	int r = nv_link_reply(&s->side->link, ch->session->channel, text, &why);
	if (r > 0) {
		forget_session(s, ch);
		postpone(s, ch, &why);
	}
	if (r < 0)
		*err = why;
	return r;
}

static int open_channel(struct nv_consumers *s, struct channel *ch, struct nv_err *err)
{
	amqp_connection_state_t conn = s->side->link.conn;
	amqp_channel_t n = 1;
	if (!amqp_frames_enqueued(conn))
		for (size_t i = 0; i < CHANNELS; i++)
			if (s->numbers[i] == RESTING)
				s->numbers[i] = FREE;
	while (n < CHANNELS && s->numbers[n] != FREE)
		n++;
	if (n == CHANNELS) /* in a moment, when the queue is empty */
		return 1;
	s->numbers[n] = USED;
	ch->session = nv_session_new(n);
	amqp_channel_open(conn, n);
	return outcome(s, ch, "open a channel for", err);
}

/* A queue of one's own lives as long as its consumer: each start makes it again. */
static int declare(struct nv_consumers *s, struct channel *ch, struct nv_err *err)
{
	amqp_connection_state_t conn = s->side->link.conn;
	amqp_bytes_t queue = nv_amqp_bytes(ch->consumer->queue);
	amqp_bytes_t exchange = nv_amqp_bytes(ch->consumer->bind_exchange);
	amqp_queue_declare(conn, ch->session->channel, queue, 0, 0, 1, 1, amqp_empty_table);
	int r = outcome(s, ch, "declare", err);
	if (r || !ch->consumer->bind_exchange)
		return r;
	amqp_queue_bind(conn, ch->session->channel, queue, exchange, exchange, amqp_empty_table);
	return outcome(s, ch, "bind", err);
}

static void consumer_tag(const struct channel *ch, char ret[32])
{
	snprintf(ret, 32, "nv-%u-%" PRIu64, (unsigned)ch->session->channel, ch->tags);
}

static int start_consuming(struct nv_consumers *s, struct channel *ch, struct nv_err *err)
{
	amqp_connection_state_t conn = s->side->link.conn;
	char tag[32];
	int r = ch->consumer->exclusive ? declare(s, ch, err) : 0;
	if (r)
		return r;
	amqp_basic_qos(conn, ch->session->channel, 0, ch->wanted, 0);
	r = outcome(s, ch, "set the prefetch of", err);
	if (r)
		return r;
	ch->tags++;
	consumer_tag(ch, tag);
	amqp_basic_consume(conn, ch->session->channel, nv_amqp_bytes(ch->consumer->queue),
			   nv_amqp_bytes(tag), 0, 0, 0, amqp_empty_table);
	r = outcome(s, ch, "consume from", err);
	if (r)
		return r;
	ch->applied = ch->wanted;
	ch->consuming = true;
	ch->backoff = 0;
	return 0;
}

static int stop_consuming(struct nv_consumers *s, struct channel *ch, struct nv_err *err)
{
	char tag[32];
	consumer_tag(ch, tag);
	ch->consuming = false;
	amqp_basic_cancel(s->side->link.conn, ch->session->channel, nv_amqp_bytes(tag));
	return outcome(s, ch, "stop consuming from", err);
}

/* --- work --- */

/* ret_removed: ch does not exist any more. */
static int work_cancelled(struct nv_consumers *s, struct channel *ch, struct nv_err *err)
{
	int r = 0;
	if (ch->session && !ch->return_unacked && ch->consuming)
		r = stop_consuming(s, ch, err);
	if (r < 0)
		return -1;
	if (ch->session && (ch->return_unacked || !ch->session->unacked)) {
		amqp_channel_close(s->side->link.conn, ch->session->channel, AMQP_REPLY_SUCCESS);
		r = outcome(s, ch, "close the channel of", err);
		if (r < 0)
			return -1;
		forget_session(s, ch);
	}
	if (!ch->session)
		remove_channel(s, ch);
	return 0;
}

static int work_channel(struct nv_consumers *s, struct channel *ch, uint64_t now,
			struct nv_err *err)
{
	int r = 0;
	nv_link_enter(&s->side->link);
	if (ch->cancelled)
		return work_cancelled(s, ch, err);
	if (now < ch->retry_at)
		return 0;
	if (!ch->session)
		r = open_channel(s, ch, err);
	if (!r && ch->consuming && ch->wanted != ch->applied)
		r = stop_consuming(s, ch, err);
	if (!r && !ch->consuming && ch->wanted)
		r = start_consuming(s, ch, err);
	return r < 0 ? -1 : 0;
}

static int consumers_work(void *ctx, bool connected, uint64_t now, struct nv_err *err)
{
	struct nv_consumers *s = ctx;
	struct channel *next = NULL;
	for (struct channel *ch = s->channels; ch; ch = next) {
		next = ch->next;
		if (connected) {
			if (work_channel(s, ch, now, err))
				return -1;
		} else if (ch->cancelled) {
			remove_channel(s, ch);
		}
	}
	return 0;
}

static int consumers_opened(void *ctx, struct nv_err *err)
{
	struct nv_consumers *s = ctx;
	(void)err;
	memset(s->numbers, 0, sizeof(s->numbers));
	for (struct channel *ch = s->channels; ch; ch = ch->next)
		ch->retry_at = 0;
	return 0;
}

static void consumers_lost(void *ctx)
{
	struct nv_consumers *s = ctx;
	for (struct channel *ch = s->channels; ch; ch = ch->next)
		forget_session(s, ch);
}

/* Acknowledgements are not published: a block does not concern them. */
static void consumers_blocked(void *ctx, bool blocked)
{
	(void)ctx;
	(void)blocked;
}

/* --- commands --- */

static int settle(struct nv_consumers *s, struct nv_delivery *d, bool ack, struct nv_err *err)
{
	amqp_connection_state_t conn = s->side->link.conn;
	struct nv_session *session = d->session;
	int status = 0;
	if (conn && atomic_load(&session->live)) {
		session->unacked--;
		if (ack)
			status = amqp_basic_ack(conn, session->channel, d->tag, 0);
		else
			status = amqp_basic_nack(conn, session->channel, d->tag, 0, 1);
	}
	nv_delivery_free(d);
	return nv_link_status(status, ack ? "acknowledge" : "return", err);
}

static void add_channel(struct nv_consumers *s, struct nv_consumer *c)
{
	struct channel *ch = nv_alloc(sizeof(*ch));
	ch->consumer = c;
	ch->wanted = c->prefetch_at_start;
	ch->next = s->channels;
	s->channels = ch;
}

static int consumers_command(void *ctx, struct nv_bus_item *i, struct nv_err *err)
{
	struct nv_consumers *s = ctx;
	struct channel *ch = i->c ? by_consumer(s, i->c) : NULL;
	switch (i->what) {
	case NV_BUS_CONSUME:
		if (i->c)
			add_channel(s, i->c);
		return 0;
	case NV_BUS_PREFETCH:
		if (ch)
			ch->wanted = (uint16_t)i->number;
		return 0;
	case NV_BUS_CANCEL:
		if (ch) {
			ch->cancelled = true;
			ch->return_unacked = ch->return_unacked || i->flag;
		}
		return 0;
	case NV_BUS_ACK:
	case NV_BUS_RETURN:
		return settle(s, i->d, i->what == NV_BUS_ACK, err);
	default:
		return 0;
	}
}

/* --- frames --- */

static void deliver(struct nv_consumers *s, struct channel *ch)
{
	struct nv_bus_item *i = nv_bus_item_new(NV_BUS_DELIVERED);
	i->c = ch->consumer;
	i->d = ch->incoming;
	ch->incoming = NULL;
	ch->session->unacked++;
	nv_bus_queue_put(s->side->events, i);
}

static int on_method(struct nv_consumers *s, struct channel *ch, const amqp_method_t *m,
		     struct nv_err *err)
{
	struct nv_err why = {0};
	switch (m->id) {
	case AMQP_BASIC_DELIVER_METHOD:
		nv_delivery_free(ch->incoming);
		ch->incoming = nv_delivery_new(ch->consumer, ch->session, m->decoded);
		return 0;
	case AMQP_BASIC_CANCEL_METHOD: /* the queue was deleted or has moved */
		ch->consuming = false;
		nv_fail(&why, NV_RETRY, NV_R_broker_unavailable,
			"broker: it cancelled the consumer of %s", ch->consumer->queue);
		postpone(s, ch, &why);
		return 0;
	case AMQP_CHANNEL_CLOSE_METHOD:
		if (nv_link_channel_closed(&s->side->link, ch->session->channel, m->decoded,
					   ch->consumer->queue, &why) < 0) {
			*err = why;
			return -1;
		}
		forget_session(s, ch);
		postpone(s, ch, &why);
		return 0;
	default:
		return 0;
	}
}

static int consumers_frame(void *ctx, const amqp_frame_t *f, struct nv_err *err)
{
	struct nv_consumers *s = ctx;
	struct channel *ch = by_number(s, f->channel);
	if (!ch)
		return 0; /* the last words of a channel we have closed */
	switch (f->frame_type) {
	case AMQP_FRAME_METHOD:
		return on_method(s, ch, &f->payload.method, err);
	case AMQP_FRAME_HEADER:
		if (ch->incoming)
			nv_delivery_header_frame(ch->incoming, f->payload.properties.body_size,
						 f->payload.properties.decoded);
		break;
	case AMQP_FRAME_BODY:
		if (ch->incoming && ch->incoming->body)
			nv_delivery_body_frame(ch->incoming, f->payload.body_fragment);
		break;
	default:
		break;
	}
	if (ch->incoming && ch->incoming->complete)
		deliver(s, ch);
	return 0;
}

/* --- the end --- */

static bool consumers_idle(void *ctx)
{
	(void)ctx;
	return true; /* what was acknowledged before the stop has been sent */
}

static void consumers_finish(void *ctx)
{
	struct nv_consumers *s = ctx;
	struct nv_bus_item *i = nv_bus_queue_take(&s->side->commands);
	while (i) {
		struct nv_bus_item *next = i->next;
		if (i->what == NV_BUS_CONSUME)
			add_channel(s, i->c);
		if (i->what == NV_BUS_ACK || i->what == NV_BUS_RETURN)
			nv_delivery_free(i->d);
		nv_bus_item_free(i);
		i = next;
	}
	while (s->channels)
		remove_channel(s, s->channels);
}

const struct nv_side_ops nv_consumers_ops = {
	.opened = consumers_opened,
	.lost = consumers_lost,
	.command = consumers_command,
	.frame = consumers_frame,
	.work = consumers_work,
	.blocked = consumers_blocked,
	.idle = consumers_idle,
	.finish = consumers_finish,
};
