/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The publishing thread: one channel in confirm mode.
 *
 * A publication waits in `waiting` until it may go out, then in `flight`, in the order of the tags
 * the broker confirms by.  A lost connection or channel puts the flight back in front of the
 * waiting: it goes out again.
 *
 * What the broker refuses to take for now (basic.nack) goes again a second later, and when that has
 * happened NACKS_MAX times, over a new connection: a channel of RabbitMQ 3.10 that meets a quorum
 * queue between two leaders refuses everything for that queue ever after, while new channels
 * succeed. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/id.h"
#include "base/log.h"
#include "core/bus/bus_internal.h"

#define CHANNEL 1
#define NACK_DELAY_MS 1000
#define CLOSES_MAX 3
#define NACKS_MAX 3

struct line {
	struct nv_publication *head, **tail;
	size_t len;
};

struct nv_publisher {
	struct nv_conn_thread *side;
	struct line waiting, flight;
	bool channel_open, blocked;
	uint64_t next_tag;
	bool returning;	    /* a basic.return has begun, its properties are next */
	uint64_t opened_at; /* the channel, ms */
	bool anew;	    /* refused too often: over a new connection */
	atomic_uint_fast64_t in_flight, nacked; /* for the metrics */
};

static void line_init(struct line *l)
{
	*l = (struct line){.head = NULL};
	l->tail = &l->head;
}

static void line_put(struct line *l, struct nv_publication *p)
{
	p->next = NULL;
	*l->tail = p;
	l->tail = &p->next;
	l->len++;
}

/* Take the one at *at out. */
static struct nv_publication *line_cut(struct line *l, struct nv_publication **at)
{
	struct nv_publication *p = *at;
	*at = p->next;
	if (!*at)
		l->tail = at;
	l->len--;
	return p;
}

struct nv_publisher *nv_publisher_new(struct nv_conn_thread *side)
{
	struct nv_publisher *p = nv_alloc(sizeof *p);
	p->side = side;
	line_init(&p->waiting);
	line_init(&p->flight);
	return p;
}

void nv_publisher_free(struct nv_publisher *p)
{
	free(p);
}

uint64_t nv_publisher_in_flight(const struct nv_publisher *p)
{
	return atomic_load_explicit(&p->in_flight, memory_order_relaxed);
}

uint64_t nv_publisher_nacked(const struct nv_publisher *p)
{
	return atomic_load_explicit(&p->nacked, memory_order_relaxed);
}

static void settle(struct nv_publisher *s, struct nv_publication *p, enum nv_bus_outcome outcome,
		   const struct nv_err *err)
{
	struct nv_bus_item *i = nv_bus_item_new(NV_BUS_PUBLISHED);
	p->outcome = outcome;
	p->settled_ns = uv_hrtime();
	i->p = p;
	if (err) {
		i->err = nv_alloc(sizeof *err);
		*i->err = *err;
	}
	nv_bus_queue_put(s->side->events, i);
}

static void confirmed(struct nv_publisher *s, struct nv_publication *p)
{
	struct nv_err err;
	if (!p->returned) {
		settle(s, p, NV_BUS_CONFIRMED, NULL);
		return;
	}
	nv_fail(&err, NV_RETRY, NV_R_unroutable,
		"broker: no queue takes %s through exchange %s (`navette broker apply` creates "
		"what is missing)",
		p->m.routing_key, p->m.exchange);
	settle(s, p, NV_BUS_UNROUTED, &err);
}

/* --- the channel --- */

static int open_channel(struct nv_publisher *s, struct nv_err *err)
{
	struct nv_link *l = &s->side->link;
	amqp_channel_open(l->conn, CHANNEL);
	if (nv_link_reply(l, CHANNEL, "open the publishing channel", err))
		return -1;
	amqp_confirm_select(l->conn, CHANNEL);
	if (nv_link_reply(l, CHANNEL, "ask for confirms", err))
		return -1;
	s->channel_open = true;
	s->opened_at = nv_mono_ms();
	s->anew = false;
	s->next_tag = 1;
	s->returning = false;
	return 0;
}

static int publisher_opened(void *ctx, struct nv_err *err)
{
	struct nv_publisher *s = ctx;
	s->blocked = false;
	return open_channel(s, err);
}

/* Publications that were in flight are republished first. */
static void take_back(struct nv_publisher *s)
{
	s->channel_open = false;
	if (!s->flight.head)
		return;
	for (struct nv_publication *p = s->flight.head; p; p = p->next)
		p->resent = true;
	*s->flight.tail = s->waiting.head;
	if (s->waiting.head)
		s->flight.tail = s->waiting.tail;
	s->flight.len += s->waiting.len;
	s->waiting.head = s->flight.head;
	s->waiting.tail = s->flight.tail;
	s->waiting.len = s->flight.len;
	line_init(&s->flight);
	for (struct nv_publication *p = s->waiting.head; p; p = p->next)
		p->returned = false;
}

static void publisher_lost(void *ctx)
{
	struct nv_publisher *s = ctx;
	take_back(s);
	s->blocked = false;
}

static void publisher_blocked(void *ctx, bool blocked)
{
	((struct nv_publisher *)ctx)->blocked = blocked;
}

/* --- sending --- */

static amqp_table_entry_t header(const char *key, const char *value)
{
	return (amqp_table_entry_t){
		.key = nv_amqp_bytes(key),
		.value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = nv_amqp_bytes(value)},
	};
}

/* The library cannot put it into frames: its fault, not the connection's. */
static bool is_unsendable(int status)
{
	return status == AMQP_STATUS_TABLE_TOO_BIG || status == AMQP_STATUS_BAD_AMQP_DATA ||
	       status == AMQP_STATUS_INVALID_PARAMETER;
}

/* Returns the library's status. */
static int send_one(struct nv_publisher *s, struct nv_publication *p)
{
	struct nv_link *l = &s->side->link;
	const struct nv_publish *m = &p->m;
	char id[24];
	char expiration[24];
	int n = 0;
	amqp_table_entry_t headers[NV_BUS_HEADERS_MAX + 1];
	amqp_basic_properties_t props = {
		._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_DELIVERY_MODE_FLAG |
			  AMQP_BASIC_CORRELATION_ID_FLAG | AMQP_BASIC_USER_ID_FLAG |
			  AMQP_BASIC_TIMESTAMP_FLAG,
		.content_type = nv_amqp_bytes("application/msgpack"),
		.delivery_mode = AMQP_DELIVERY_PERSISTENT,
		.user_id = nv_amqp_bytes(l->user),
		.timestamp = nv_now_ms() / 1000,
	};
	/* A basic.return carries no tag: this is how it is known again. */
	snprintf(id, sizeof id, "%" PRIu64, p->id);
	props.correlation_id = nv_amqp_bytes(id);
	if (m->message_id) {
		props._flags |= AMQP_BASIC_MESSAGE_ID_FLAG;
		props.message_id = nv_amqp_bytes(m->message_id);
	}
	if (m->type) {
		props._flags |= AMQP_BASIC_TYPE_FLAG;
		props.type = nv_amqp_bytes(m->type);
	}
	if (m->expiration_ms) {
		props._flags |= AMQP_BASIC_EXPIRATION_FLAG;
		snprintf(expiration, sizeof expiration, "%" PRIu64, m->expiration_ms);
		props.expiration = nv_amqp_bytes(expiration);
	}
	for (unsigned i = 0; i < m->headers_len; i++)
		headers[n++] = header(m->headers[i].key, m->headers[i].value);
	if (p->resent)
		headers[n++] = header(NV_H_RESENT, "1");
	if (n) {
		props._flags |= AMQP_BASIC_HEADERS_FLAG;
		props.headers = (amqp_table_t){.num_entries = n, .entries = headers};
	}
	amqp_bytes_t body = {.len = m->len, .bytes = (void *)(uintptr_t)m->body};
	nv_link_enter(l);
	return amqp_basic_publish(l->conn, CHANNEL, nv_amqp_bytes(m->exchange),
				  nv_amqp_bytes(m->routing_key), 1, 0, &props, body);
}

static int send_waiting(struct nv_publisher *s, uint64_t now, struct nv_err *err)
{
	struct nv_publication **at = &s->waiting.head;
	while (*at && s->flight.len < NV_BUS_INFLIGHT_MAX) {
		if ((*at)->not_before > now) {
			at = &(*at)->next;
			continue;
		}
		struct nv_publication *p = line_cut(&s->waiting, at);
		int status = send_one(s, p);
		if (is_unsendable(status)) {
			struct nv_err why;
			nv_fail(&why, NV_REJECT, NV_R_internal, "broker: cannot send to %s: %s",
				p->m.exchange, amqp_error_string2(status));
			settle(s, p, NV_BUS_REFUSED, &why);
			/* The method frame may be out without its content: begin a new channel. */
			return nv_link_status(status, "publish", err);
		}
		p->tag = s->next_tag++;
		p->sent_ns = uv_hrtime();
		line_put(&s->flight, p);
		if (nv_link_status(status, "publish", err))
			return -1;
	}
	return 0;
}

static void expire(struct nv_publisher *s, struct line *l, uint64_t now)
{
	struct nv_err err;
	struct nv_publication **at = &l->head;
	while (*at) {
		if ((*at)->deadline > now) {
			at = &(*at)->next;
			continue;
		}
		struct nv_publication *p = line_cut(l, at);
		nv_fail(&err, NV_RETRY, NV_R_broker_unavailable,
			"broker: no confirm for %s through exchange %s in time%s", p->m.routing_key,
			p->m.exchange,
			s->blocked ? " (the broker is short of memory or disk)" : "");
		settle(s, p, NV_BUS_TIMED_OUT, &err);
	}
}

/* A queue that is full refuses over any connection: not more often than a call may take. */
static int check_refusals(struct nv_publisher *s, uint64_t now, struct nv_err *err)
{
	uint64_t pause = s->side->link.config->broker.timeout;
	if (!s->anew || now < s->opened_at + pause)
		return 0;
	s->anew = false;
	return nv_fail(err, NV_RETRY, NV_R_broker_unavailable,
		       "broker: it repeatedly refuses a message: reconnecting");
}

static int send_what_may_go(struct nv_publisher *s, uint64_t now, struct nv_err *err)
{
	if (!s->channel_open && open_channel(s, err))
		return -1;
	return s->blocked ? 0 : send_waiting(s, now, err);
}

static int publisher_work(void *ctx, bool connected, uint64_t now, struct nv_err *err)
{
	struct nv_publisher *s = ctx;
	expire(s, &s->waiting, now);
	expire(s, &s->flight, now);
	int r = connected ? check_refusals(s, now, err) : 0;
	if (r == 0 && connected)
		r = send_what_may_go(s, now, err);
	atomic_store_explicit(&s->in_flight, s->flight.len, memory_order_relaxed);
	return r;
}

static int publisher_command(void *ctx, struct nv_bus_item *i, struct nv_err *err)
{
	struct nv_publisher *s = ctx;
	(void)err;
	if (i->what == NV_BUS_PUBLISH)
		line_put(&s->waiting, i->p);
	return 0;
}

/* --- answers --- */

static void on_confirm(struct nv_publisher *s, uint64_t tag, bool multiple, bool ack)
{
	struct nv_publication **at = &s->flight.head;
	while (*at && (*at)->tag <= tag) {
		if (!multiple && (*at)->tag != tag) {
			at = &(*at)->next;
			continue;
		}
		struct nv_publication *p = line_cut(&s->flight, at);
		if (ack) {
			confirmed(s, p);
			continue;
		}
		/* A queue could not take it just now (overflow, no majority). */
		atomic_fetch_add_explicit(&s->nacked, 1, memory_order_relaxed);
		p->returned = false;
		p->not_before = nv_mono_ms() + NACK_DELAY_MS;
		s->anew = s->anew || ++p->nacks % NACKS_MAX == 0;
		line_put(&s->waiting, p);
	}
}

static void on_return_header(struct nv_publisher *s, const amqp_basic_properties_t *props)
{
	char text[24] = "";
	amqp_bytes_t id = props->correlation_id;
	if (!(props->_flags & AMQP_BASIC_CORRELATION_ID_FLAG) || id.len >= sizeof text)
		return;
	memcpy(text, id.bytes, id.len);
	uint64_t want = strtoull(text, NULL, 10);
	for (struct nv_publication *p = s->flight.head; p; p = p->next)
		if (p->id == want)
			p->returned = true;
}

/* Is it this exchange the broker complains of?  It names it in quotes. */
static bool names_exchange(const amqp_channel_close_t *m, const char *exchange)
{
	nv_auto_free char *quoted = nv_asprintf("'%s'", exchange);
	return memmem(m->reply_text.bytes, m->reply_text.len, quoted, strlen(quoted)) != NULL;
}

/* An exchange that is missing or forbidden, or something else a publication did.  The confirms of
 * its neighbours are lost with the channel; they go again. */
static int on_channel_close(struct nv_publisher *s, const amqp_channel_close_t *m,
			    struct nv_err *err)
{
	struct nv_err why = {0};
	struct nv_publication **at = &s->flight.head;
	int gone = nv_link_channel_closed(&s->side->link, CHANNEL, m, "publish", &why);
	bool exchange = m->reply_code == AMQP_ACCESS_REFUSED || m->reply_code == AMQP_NOT_FOUND;
	NV_LOG(NV_WARN, "bus.channel-closed", NV_S("connection", s->side->link.name), NV_E(&why));
	if (why.kind == NV_FATAL)
		nv_conn_thread_event(s->side, NV_BUS_FATAL, &why);
	/* For this message: refused for good, or until somebody creates the exchange. */
	why.kind = m->reply_code == AMQP_ACCESS_REFUSED ? NV_REJECT : NV_RETRY;
	while (*at) {
		if (exchange ? !names_exchange(m, (*at)->m.exchange)
			     : ++(*at)->closes < CLOSES_MAX) {
			at = &(*at)->next;
			continue;
		}
		settle(s, line_cut(&s->flight, at), NV_BUS_REFUSED, &why);
	}
	take_back(s);
	if (gone < 0)
		*err = why;
	return gone < 0 ? -1 : 0;
}

static int on_method(struct nv_publisher *s, const amqp_method_t *m, struct nv_err *err)
{
	switch (m->id) {
	case AMQP_BASIC_ACK_METHOD: {
		const amqp_basic_ack_t *ack = m->decoded;
		on_confirm(s, ack->delivery_tag, ack->multiple, true);
		return 0;
	}
	case AMQP_BASIC_NACK_METHOD: {
		const amqp_basic_nack_t *nack = m->decoded;
		on_confirm(s, nack->delivery_tag, nack->multiple, false);
		return 0;
	}
	case AMQP_BASIC_RETURN_METHOD:
		s->returning = true;
		return 0;
	case AMQP_CHANNEL_CLOSE_METHOD:
		return on_channel_close(s, m->decoded, err);
	default:
		return 0;
	}
}

static int publisher_frame(void *ctx, const amqp_frame_t *f, struct nv_err *err)
{
	struct nv_publisher *s = ctx;
	if (f->frame_type == AMQP_FRAME_METHOD)
		return on_method(s, &f->payload.method, err);
	/* The body of what comes back is ours already: only the properties count. */
	if (f->frame_type == AMQP_FRAME_HEADER && s->returning) {
		on_return_header(s, f->payload.properties.decoded);
		s->returning = false;
	}
	return 0;
}

/* --- the end --- */

static bool publisher_idle(void *ctx)
{
	struct nv_publisher *s = ctx;
	return !s->waiting.head && !s->flight.head;
}

static void publisher_finish(void *ctx)
{
	struct nv_publisher *s = ctx;
	struct nv_err err;
	struct nv_bus_item *i = nv_bus_queue_take(&s->side->commands);
	while (i) {
		struct nv_bus_item *next = i->next;
		if (i->what == NV_BUS_PUBLISH)
			line_put(&s->waiting, i->p);
		nv_bus_item_free(i);
		i = next;
	}
	nv_fail(&err, NV_RETRY, NV_R_broker_unavailable,
		"broker: stopped before it had confirmed the message");
	while (s->waiting.head)
		settle(s, line_cut(&s->waiting, &s->waiting.head), NV_BUS_REFUSED, &err);
}

const struct nv_conn_thread_ops nv_publisher_ops = {
	.opened = publisher_opened,
	.lost = publisher_lost,
	.command = publisher_command,
	.frame = publisher_frame,
	.work = publisher_work,
	.blocked = publisher_blocked,
	.idle = publisher_idle,
	.finish = publisher_finish,
	.tick_ms = NV_BUS_TICK_MS,
};
