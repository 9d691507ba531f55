/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The loop's side: commands out, events in, and every callback. */
#include <string.h>

#include "core/base/id.h"
#include "core/base/log.h"
#include "core/bus/internal.h"

#define RETURN_DELAY_MS 2000
#define SHORT_STRING_MAX 255u /* AMQP 0-9-1: routing keys, names, ids */

/* A delivery on its way back to the queue, not at once. */
struct later {
	struct later *next;
	struct nv_delivery *d;
	uint64_t due;
};

struct nv_bus {
	struct nv_bus_options o;
	uv_loop_t *loop;
	uv_async_t async;
	uv_timer_t timer;
	unsigned handles; /* open ones */
	struct nv_bus_queue events;
	struct nv_side publish_side, consume_side;
	struct nv_publisher *publisher;
	struct nv_consumers *consumers_thread;
	struct nv_consumer *consumers; /* those their owners have not cancelled */
	struct later *later;
	bool up, told;
	bool stopping;
	bool consume_ended; /* its thread is gone */
	char last_err[sizeof(((struct nv_err *)0)->msg)];
	char last_fatal[sizeof(((struct nv_err *)0)->msg)];
	uint64_t ids;
	size_t kept; /* publications without an answer, and their bytes */
	size_t kept_bytes;
	void (*on_stopped_cb)(void *arg);
	void *stopped_arg;
};

/* --- state --- */

static void tell_state(struct nv_bus *b)
{
	bool up = b->publish_side.up && b->consume_side.up;
	const struct nv_err *err = b->publish_side.up ? &b->consume_side.err : &b->publish_side.err;
	if (b->stopping || (b->told && up == b->up && (up || !strcmp(err->msg, b->last_err))))
		return;
	/* The first of two connections is no news. */
	if (!up && !b->up && !err->msg[0])
		return;
	b->told = true;
	b->up = up;
	snprintf(b->last_err, sizeof(b->last_err), "%s", up ? "" : err->msg);
	if (up)
		b->last_fatal[0] = '\0';
	if (b->o.on_state_cb)
		b->o.on_state_cb(b->o.arg, up, up ? NULL : err);
}

static void on_state(struct nv_bus *b, struct nv_side *side, const struct nv_err *err)
{
	side->up = !err;
	side->err = err ? *err : (struct nv_err){0};
	tell_state(b);
}

static void on_fatal(struct nv_bus *b, const struct nv_err *err)
{
	if (b->stopping || !strcmp(err->msg, b->last_fatal))
		return;
	snprintf(b->last_fatal, sizeof(b->last_fatal), "%s", err->msg);
	if (b->o.on_fatal_cb)
		b->o.on_fatal_cb(b->o.arg, err);
}

bool nv_bus_up(const struct nv_bus *b)
{
	return b->up && !b->stopping;
}

/* --- publishing --- */

static bool fits(const char *s)
{
	return !s || strlen(s) <= SHORT_STRING_MAX;
}

static int check_publish(const struct nv_bus *b, const struct nv_publish *p, struct nv_err *err)
{
	if (b->stopping)
		return nv_fail(err, NV_RETRY, NV_R_broker_unavailable, "broker: shutting down");
	if (p->len > NV_BUS_BODY_MAX || p->headers_len > NV_BUS_HEADERS_MAX || !fits(p->exchange) ||
	    !fits(p->routing_key) || !fits(p->message_id) || !fits(p->type))
		return nv_fail(err, NV_REJECT, NV_R_internal,
			       "broker: a message for %.100s exceeds the limits", p->exchange);
	if (b->kept >= NV_BUS_KEPT_MAX || b->kept_bytes + p->len > NV_BUS_KEPT_BYTES)
		return nv_fail(err, NV_RETRY, NV_R_broker_unavailable,
			       "broker: %zu messages of %zu bytes wait already%s%s", b->kept,
			       b->kept_bytes, b->last_err[0] ? ": " : "", b->last_err);
	return 0;
}

static struct nv_publication *publication_new(struct nv_bus *b, const struct nv_publish *m)
{
	struct nv_publication *p = nv_alloc(sizeof(*p));
	struct nv_arena *a = &p->arena;
	p->m = *m;
	p->m.exchange = nv_arena_strdup(a, m->exchange);
	p->m.routing_key = nv_arena_strdup(a, m->routing_key);
	p->m.message_id = nv_arena_strdup(a, m->message_id);
	p->m.type = nv_arena_strdup(a, m->type);
	void *body = nv_arena_alloc(a, m->len + 1);
	if (m->len)
		memcpy(body, m->body, m->len);
	p->m.body = body;
	for (unsigned i = 0; i < m->headers_len && i < NV_BUS_HEADERS_MAX; i++) {
		p->m.headers[i].key = nv_arena_strdup(a, m->headers[i].key);
		p->m.headers[i].value = nv_arena_strdup(a, m->headers[i].value);
	}
	p->id = ++b->ids;
	p->deadline = nv_mono_ms() + b->o.config->broker.publish_timeout;
	return p;
}

void nv_publication_free(struct nv_publication *p)
{
	nv_arena_fini(&p->arena);
	free(p);
}

void nv_bus_publish(struct nv_bus *b, const struct nv_publish *m,
		    void (*cb)(void *arg, const struct nv_err *err), void *arg)
{
	struct nv_err err;
	bool refused = check_publish(b, m, &err);
	struct nv_publish none = {.exchange = m->exchange};
	struct nv_publication *p = publication_new(b, refused ? &none : m);
	struct nv_bus_item *i = nv_bus_item_new(refused ? NV_BUS_PUBLISHED : NV_BUS_PUBLISH);
	p->cb = cb;
	p->arg = arg;
	i->p = p;
	b->kept++;
	b->kept_bytes += p->m.len;
	if (refused) { /* answered by the loop too: no callback before we return */
		i->err = nv_alloc(sizeof(err));
		*i->err = err;
	}
	nv_bus_queue_put(refused ? &b->events : &b->publish_side.commands, i);
}

static void on_published(struct nv_bus *b, struct nv_publication *p, const struct nv_err *err)
{
	b->kept--;
	b->kept_bytes -= p->m.len;
	if (err)
		NV_LOG(NV_WARN, "bus.publish-failed", NV_S("exchange", p->m.exchange),
		       NV_S("key", p->m.routing_key), NV_S("mid", p->m.message_id), NV_E(err));
	if (p->cb)
		p->cb(p->arg, err);
	nv_publication_free(p);
}

/* --- consuming --- */

void nv_consumer_unref(struct nv_consumer *c)
{
	if (--c->refs)
		return;
	free(c->queue);
	free(c->bind_exchange);
	free(c);
}

static void command(struct nv_bus *b, enum nv_bus_what what, struct nv_consumer *c,
		    struct nv_delivery *d, uint64_t number, bool flag)
{
	if (b->consume_ended) {
		nv_delivery_free(d);
		return;
	}
	struct nv_bus_item *i = nv_bus_item_new(what);
	i->c = c;
	i->d = d;
	i->number = number;
	i->flag = flag;
	nv_bus_queue_put(&b->consume_side.commands, i);
}

struct nv_consumer *nv_bus_consume(struct nv_bus *b, const struct nv_consume *o)
{
	struct nv_consumer *c = nv_alloc(sizeof(*c));
	c->queue = nv_strdup(o->queue);
	c->bind_exchange = nv_strdup(o->bind_exchange);
	c->exclusive = o->exclusive;
	c->prefetch = c->prefetch_at_start = o->prefetch;
	c->on_delivery_cb = o->on_delivery_cb;
	c->arg = o->arg;
	c->bus = b;
	c->refs = 1;
	c->backlog_tail = &c->backlog;
	c->next = b->consumers;
	b->consumers = c;
	if (!b->stopping) {
		c->refs++; /* the thread's, until NV_BUS_GONE */
		command(b, NV_BUS_CONSUME, c, NULL, 0, false);
	}
	return c;
}

static void drop_backlog(struct nv_bus *b, struct nv_consumer *c)
{
	while (c->backlog) {
		struct nv_delivery *d = c->backlog;
		c->backlog = d->next;
		d->consumer = NULL;
		command(b, NV_BUS_RETURN, NULL, d, 0, false);
	}
	c->backlog_tail = &c->backlog;
}

/* Hand out what its owner has room for. */
static void pump(struct nv_bus *b, struct nv_consumer *c)
{
	while (c->backlog && c->held < c->prefetch && !c->cancelled && !b->stopping) {
		struct nv_delivery *d = c->backlog;
		c->backlog = d->next;
		if (!c->backlog)
			c->backlog_tail = &c->backlog;
		d->next = NULL;
		if (!nv_delivery_live(d)) { /* lost before anybody saw it */
			nv_delivery_free(d);
			continue;
		}
		c->refs++;
		c->held++;
		c->on_delivery_cb(c->arg, d);
	}
}

static void on_delivered(struct nv_bus *b, struct nv_consumer *c, struct nv_delivery *d)
{
	if (c->cancelled || b->stopping) {
		d->consumer = NULL;
		command(b, NV_BUS_RETURN, NULL, d, 0, false);
		return;
	}
	*c->backlog_tail = d;
	c->backlog_tail = &d->next;
}

void nv_bus_prefetch(struct nv_consumer *c, uint16_t prefetch)
{
	if (c->prefetch == prefetch || !c->bus || c->bus->stopping)
		return;
	c->prefetch = prefetch;
	command(c->bus, NV_BUS_PREFETCH, c, NULL, prefetch, false);
	uv_async_send(&c->bus->async);
}

void nv_bus_cancel(struct nv_consumer *c, bool return_unacked)
{
	struct nv_bus *b = c->bus;
	struct nv_consumer **at = &b->consumers;
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	c->cancelled = true;
	drop_backlog(b, c);
	command(b, NV_BUS_CANCEL, c, NULL, 0, return_unacked);
	nv_consumer_unref(c);
}

/* Its owner lets go of d. */
static void let_go(struct nv_delivery *d, enum nv_bus_what what)
{
	struct nv_consumer *c = d->consumer;
	struct nv_bus *b = c->bus;
	d->consumer = NULL;
	c->held--;
	if (nv_delivery_live(d)) /* then the bus is there too */
		command(b, what, NULL, d, 0, false);
	else
		nv_delivery_free(d);
	if (c->backlog) /* there is room now; not from within its owner's call */
		uv_async_send(&b->async);
	nv_consumer_unref(c);
}

void nv_bus_ack(struct nv_delivery *d)
{
	let_go(d, NV_BUS_ACK);
}

void nv_bus_return(struct nv_delivery *d)
{
	let_go(d, NV_BUS_RETURN);
}

void nv_bus_return_later(struct nv_delivery *d)
{
	struct nv_bus *b = d->consumer->bus;
	if (!nv_delivery_live(d) || b->stopping) {
		nv_bus_return(d);
		return;
	}
	struct later *l = nv_alloc(sizeof(*l));
	l->d = d;
	l->due = nv_mono_ms() + RETURN_DELAY_MS;
	l->next = b->later;
	b->later = l;
}

static void return_due(struct nv_bus *b, uint64_t now)
{
	struct later **at = &b->later;
	while (*at) {
		struct later *l = *at;
		if (l->due > now) {
			at = &l->next;
			continue;
		}
		*at = l->next;
		nv_bus_return(l->d);
		free(l);
	}
}

/* --- events --- */

static void close_handles(struct nv_bus *b);

static void on_stopped(struct nv_bus *b, struct nv_side *side)
{
	pthread_join(side->thread, NULL);
	side->started = false;
	if (side == &b->publish_side) {
		/* Only now: what was confirmed last has been acknowledged by its callbacks. */
		command(b, NV_BUS_STOP, NULL, NULL, 0, false);
		return;
	}
	b->consume_ended = true;
	side->ops->finish(side->ctx); /* commands that came after the thread looked last */
}

static void on_event(struct nv_bus *b, struct nv_bus_item *i)
{
	switch (i->what) {
	case NV_BUS_STATE:
		on_state(b, i->side, i->err);
		break;
	case NV_BUS_FATAL:
		on_fatal(b, i->err);
		break;
	case NV_BUS_PUBLISHED:
		on_published(b, i->p, i->err);
		break;
	case NV_BUS_DELIVERED:
		on_delivered(b, i->c, i->d);
		break;
	case NV_BUS_GONE:
		nv_consumer_unref(i->c);
		break;
	case NV_BUS_STOPPED:
		on_stopped(b, i->side);
		break;
	default:
		break;
	}
}

static void pump_all(struct nv_bus *b)
{
	/* A callback may cancel consumers: begin again after each that was served. */
	for (struct nv_consumer *c = b->consumers; c;) {
		bool ready = c->backlog && c->held < c->prefetch && !b->stopping;
		if (ready)
			pump(b, c);
		c = ready ? b->consumers : c->next;
	}
}

static void on_async(uv_async_t *handle)
{
	struct nv_bus *b = handle->data;
	struct nv_bus_item *i = NULL;
	while ((i = nv_bus_queue_take(&b->events))) {
		while (i) {
			struct nv_bus_item *next = i->next;
			on_event(b, i);
			nv_bus_item_free(i);
			i = next;
		}
	}
	pump_all(b);
	if (b->consume_ended)
		close_handles(b);
}

static void on_tick(uv_timer_t *timer)
{
	struct nv_bus *b = timer->data;
	nv_link_watch(&b->publish_side.link);
	nv_link_watch(&b->consume_side.link);
	return_due(b, nv_mono_ms());
}

/* --- life cycle --- */

static int init_sides(struct nv_bus *b, struct nv_err *err)
{
	const struct nv_config *config = b->o.config;
	nv_auto_free char *publish = nv_asprintf("%s publish", b->o.name);
	nv_auto_free char *consume = nv_asprintf("%s consume", b->o.name);
	b->publisher = nv_publisher_new(&b->publish_side);
	b->consumers_thread = nv_consumers_new(&b->consume_side);
	nv_bus_queue_init(&b->events);
	if (nv_side_init(&b->publish_side, config, publish, &nv_publisher_ops, b->publisher,
			 &b->events, err))
		goto fail;
	if (nv_side_init(&b->consume_side, config, consume, &nv_consumers_ops, b->consumers_thread,
			 &b->events, err))
		goto fail_publish;
	return 0;
fail_publish:
	nv_side_fini(&b->publish_side);
fail:
	nv_bus_queue_fini(&b->events);
	nv_publisher_free(b->publisher);
	nv_consumers_free(b->consumers_thread);
	return -1;
}

static void fini_sides(struct nv_bus *b)
{
	nv_side_fini(&b->publish_side);
	nv_side_fini(&b->consume_side);
	nv_bus_queue_fini(&b->events);
	nv_publisher_free(b->publisher);
	nv_consumers_free(b->consumers_thread);
}

static int start(struct nv_bus *b, struct nv_err *err)
{
	int e = uv_async_init(b->loop, &b->async, on_async);
	if (e)
		return nv_fail_errno(err, -e, NV_FATAL, NV_R_internal, "bus: wake-up handle");
	uv_timer_init(b->loop, &b->timer);
	b->async.data = b->timer.data = b;
	b->handles = 2;
	b->events.wake = &b->async;
	uv_timer_start(&b->timer, on_tick, NV_BUS_TICK_MS, NV_BUS_TICK_MS);
	/* Threads that cannot be started are the end of the process anyway: no way back. */
	if (nv_side_start(&b->publish_side, err) || nv_side_start(&b->consume_side, err)) {
		NV_LOG(NV_ERROR, "bus.thread", NV_E(err));
		abort();
	}
	return 0;
}

struct nv_bus *nv_bus_new(uv_loop_t *loop, const struct nv_bus_options *options, struct nv_err *err)
{
	struct nv_bus *b = nv_alloc(sizeof(*b));
	b->o = *options;
	b->loop = loop;
	if (init_sides(b, err)) {
		free(b);
		return NULL;
	}
	if (start(b, err)) {
		fini_sides(b);
		free(b);
		return NULL;
	}
	return b;
}

void nv_bus_stop(struct nv_bus *b, uint64_t timeout_ms, void (*on_stopped_cb)(void *arg), void *arg)
{
	if (b->stopping)
		return;
	b->stopping = true;
	b->on_stopped_cb = on_stopped_cb;
	b->stopped_arg = arg;
	for (struct nv_consumer *c = b->consumers; c; c = c->next) {
		drop_backlog(b, c);
		command(b, NV_BUS_CANCEL, c, NULL, 0, false);
	}
	return_due(b, UINT64_MAX);
	struct nv_bus_item *i = nv_bus_item_new(NV_BUS_STOP);
	i->number = nv_mono_ms() + timeout_ms;
	nv_bus_queue_put(&b->publish_side.commands, i);
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct nv_bus *b = handle->data;
	if (--b->handles == 0 && b->on_stopped_cb)
		b->on_stopped_cb(b->stopped_arg);
}

static void close_handles(struct nv_bus *b)
{
	if (uv_is_closing((uv_handle_t *)&b->async))
		return;
	b->events.wake = NULL; /* no thread is left */
	uv_close((uv_handle_t *)&b->async, on_handle_closed);
	uv_close((uv_handle_t *)&b->timer, on_handle_closed);
}

void nv_bus_free(struct nv_bus *b)
{
	if (!b)
		return;
	on_async(&b->async); /* answers of calls made after the stop */
	while (b->consumers) {
		struct nv_consumer *c = b->consumers;
		b->consumers = c->next;
		c->bus = NULL;
		nv_consumer_unref(c);
	}
	fini_sides(b);
	free(b);
}
