/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The loop's side: commands out, events in, and every callback. */
#include <string.h>

#include "base/id.h"
#include "base/log.h"
#include "core/bus/bus_internal.h"

#define RETURN_DELAY_MS 2000
#define GOODBYE_MS 2000	      /* for a consumer's thread to end */
#define SHORT_STRING_MAX 255u /* AMQP 0-9-1: routing keys, names, ids */

/* A delivery on its way back to the queue, not at once. */
struct later {
	struct later *next;
	struct nv_delivery *d;
	uint64_t due;
};

struct nv_bus {
	struct nv_bus_options o; /* its name is ours, the rest borrowed */
	char *name;
	uv_loop_t *loop;
	uv_async_t async;
	uv_timer_t timer;
	unsigned handles; /* open ones */
	struct nv_bus_queue events;
	struct nv_conn_thread publish_side;
	struct nv_publisher *publisher;
	struct nv_consumer *consumers; /* those their owners have not cancelled */
	struct nv_consumer *running;   /* those whose threads have not ended */
	struct nv_bus_stats stats;
	struct later *later;
	bool up, told;
	bool stopping;
	bool publish_ended; /* its thread is gone */
	uint64_t cut_at;    /* nv_mono_ms: then no thread may wait for the broker any more */
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
	bool up = b->publish_side.up;
	const struct nv_err *err = &b->publish_side.err;
	if (b->stopping || (b->told && up == b->up && (up || strcmp(err->msg, b->last_err) == 0)))
		return;
	b->told = true;
	b->up = up;
	snprintf(b->last_err, sizeof b->last_err, "%s", up ? "" : err->msg);
	if (up)
		b->last_fatal[0] = '\0';
	if (b->o.on_state_cb)
		b->o.on_state_cb(b->o.arg, up, up ? NULL : err);
}

static void on_fatal(struct nv_bus *b, const struct nv_err *err)
{
	if (b->stopping || strcmp(err->msg, b->last_fatal) == 0)
		return;
	snprintf(b->last_fatal, sizeof b->last_fatal, "%s", err->msg);
	if (b->o.on_fatal_cb)
		b->o.on_fatal_cb(b->o.arg, err);
}

static void on_state(struct nv_bus *b, struct nv_conn_thread *side, const struct nv_err *err)
{
	side->up = !err;
	side->err = err ? *err : (struct nv_err){0};
	if (side == &b->publish_side)
		tell_state(b);
}

/* Its queue is consumed, or cannot be.  That concerns this queue only: the process is told as long
 * as it can do the rest of its work. */
static void on_served(struct nv_bus *b, struct nv_consumer *c, const struct nv_err *err)
{
	bool new = err &&strcmp(err->msg, c->why.msg) != 0;
	if (!err && c->why.kind && !c->cancelled)
		NV_LOG(NV_INFO, "bus.consumer-back", NV_S("queue", c->queue));
	c->why = err ? *err : (struct nv_err){0};
	if (new && err->kind == NV_FATAL && b->up && !c->cancelled)
		on_fatal(b, err);
}

const struct nv_err *nv_consumer_trouble(const struct nv_consumer *c)
{
	if (c->cancelled || c->ended)
		return NULL;
	if (c->why.kind)
		return &c->why;
	return !c->side.up && c->side.err.kind ? &c->side.err : NULL;
}

bool nv_bus_up(const struct nv_bus *b)
{
	return b->up && !b->stopping;
}

bool nv_bus_serving(const struct nv_bus *b, struct nv_err *err)
{
	const struct nv_consumer *first = NULL;
	const struct nv_err *why = NULL;
	nv_auto_buf struct nv_buf more = {0};
	if (!nv_bus_up(b)) {
		nv_fail(err, NV_RETRY, NV_R_broker_unavailable, "broker: not connected%s%s",
			b->last_err[0] ? ": " : "", b->last_err);
		return false;
	}
	for (const struct nv_consumer *c = b->consumers; c; c = c->next) {
		const struct nv_err *trouble = nv_consumer_trouble(c);
		if (!trouble)
			continue;
		if (first) {
			nv_buf_printf(&more, ", %s", c->label);
			continue;
		}
		first = c;
		why = trouble;
	}
	if (!first)
		return true;
	nv_fail(err, NV_RETRY, NV_R_broker_unavailable, "queue %s%.*s: not consumed: %s",
		first->label, (int)more.len, more.len ? (const char *)more.data : "", why->msg);
	return false;
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
	struct nv_publication *p = nv_alloc(sizeof *p);
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

static void publication_free(struct nv_publication *p)
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
		i->err = nv_alloc(sizeof err);
		*i->err = err;
	}
	nv_bus_queue_put(refused ? &b->events : &b->publish_side.commands, i);
}

static void on_published(struct nv_bus *b, struct nv_publication *p, const struct nv_err *err)
{
	b->kept--;
	b->kept_bytes -= p->m.len;
	nv_stats_published(&b->stats, p);
	if (err)
		NV_LOG(NV_WARN, "bus.publish-failed", NV_S("exchange", p->m.exchange),
		       NV_S("key", p->m.routing_key), NV_S("mid", p->m.message_id), NV_E(err));
	if (p->cb)
		p->cb(p->arg, err);
	publication_free(p);
}

/* --- consuming --- */

static void consumer_unref(struct nv_consumer *c)
{
	if (--c->refs)
		return;
	free(c->queue);
	free(c->label);
	free(c->bind_exchange);
	free(c);
}

static void command(struct nv_consumer *c, enum nv_bus_what what, struct nv_delivery *d,
		    uint64_t number, bool flag)
{
	if (c->ended) {
		nv_delivery_free(d);
		return;
	}
	struct nv_bus_item *i = nv_bus_item_new(what);
	i->d = d;
	i->number = number;
	i->flag = flag;
	nv_bus_queue_put(&c->side.commands, i);
}

/* Threads that cannot be started are the end of the process: no way back. */
static void must_start(int failed, const struct nv_err *err)
{
	if (!failed)
		return;
	NV_LOG(NV_ERROR, "bus.thread", NV_E(err));
	abort();
}

static void start_consumer(struct nv_bus *b, struct nv_consumer *c)
{
	struct nv_err err = {0};
	nv_auto_free char *name = nv_asprintf("%s %s consume", b->o.name, c->label);
	must_start(nv_conn_thread_init(&c->side, b->o.config, name, &nv_consumer_ops, c, &b->events,
				       &err),
		   &err);
	c->side.label = c->label;
	c->refs++; /* the thread's, until NV_BUS_STOPPED */
	c->ended = false;
	c->next_running = b->running;
	b->running = c;
	must_start(nv_conn_thread_start(&c->side, &err), &err);
}

struct nv_consumer *nv_bus_consume(struct nv_bus *b, const struct nv_consume *o)
{
	struct nv_consumer *c = nv_alloc(sizeof *c);
	c->queue = nv_strdup(o->queue);
	c->bind_exchange = nv_strdup(o->bind_exchange);
	c->label = nv_strdup(o->exclusive && o->bind_exchange ? o->bind_exchange : o->queue);
	c->exclusive = o->exclusive;
	c->prefetch = o->prefetch;
	c->on_delivery_cb = o->on_delivery_cb;
	c->arg = o->arg;
	c->bus = b;
	c->refs = 1;
	c->ended = true;
	c->backlog_tail = &c->backlog;
	c->next = b->consumers;
	b->consumers = c;
	if (!b->stopping)
		start_consumer(b, c);
	return c;
}

static void drop_backlog(struct nv_consumer *c)
{
	while (c->backlog) {
		struct nv_delivery *d = c->backlog;
		c->backlog = d->next;
		d->consumer = NULL;
		command(c, NV_BUS_RETURN, d, 0, false);
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
	c->delivered++;
	if (c->cancelled || b->stopping) {
		d->consumer = NULL;
		command(c, NV_BUS_RETURN, d, 0, false);
		return;
	}
	*c->backlog_tail = d;
	c->backlog_tail = &d->next;
}

void nv_bus_cancel(struct nv_consumer *c, bool return_unacked)
{
	struct nv_bus *b = c->bus;
	struct nv_consumer **at = &b->consumers;
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	c->cancelled = true;
	drop_backlog(c);
	command(c, NV_BUS_CANCEL, NULL, 0, return_unacked);
	command(c, NV_BUS_STOP, NULL, UINT64_MAX, false); /* once nothing of it is left */
	consumer_unref(c);
}

/* Its owner lets go of d. */
static void let_go(struct nv_delivery *d, enum nv_bus_what what)
{
	struct nv_consumer *c = d->consumer;
	struct nv_bus *b = c->bus;
	d->consumer = NULL;
	c->held--;
	if (nv_delivery_live(d)) /* then the bus is there too */
		command(c, what, d, 0, false);
	else
		nv_delivery_free(d);
	if (c->backlog) /* there is room now; not from within its owner's call */
		uv_async_send(&b->async);
	consumer_unref(c);
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
	struct later *l = nv_alloc(sizeof *l);
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

/* The publisher's thread has ended.  Only now the others: what was confirmed last has been
 * acknowledged by its callbacks. */
static void publisher_ended(struct nv_bus *b)
{
	b->publish_ended = true;
	b->cut_at = nv_mono_ms() + GOODBYE_MS;
	for (struct nv_consumer *c = b->running; c; c = c->next_running)
		command(c, NV_BUS_STOP, NULL, 0, false);
}

static void consumer_ended(struct nv_bus *b, struct nv_consumer *c)
{
	struct nv_consumer **at = &b->running;
	while (*at != c)
		at = &(*at)->next_running;
	*at = c->next_running;
	c->ended = true;
	nv_stats_consumer(&b->stats, c, b->running);
	nv_consumer_ops.finish(c); /* commands that came after the thread looked last */
	nv_conn_thread_fini(&c->side);
	consumer_unref(c);
}

static void on_stopped(struct nv_bus *b, struct nv_conn_thread *side)
{
	pthread_join(side->thread, NULL);
	side->started = false;
	if (side == &b->publish_side)
		publisher_ended(b);
	else
		consumer_ended(b, side->ctx);
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
	case NV_BUS_SERVED:
		on_served(b, i->c, i->err);
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
	if (b->publish_ended && !b->running)
		close_handles(b);
}

static void on_tick(uv_timer_t *timer)
{
	struct nv_bus *b = timer->data;
	uint64_t now = nv_mono_ms();
	nv_link_watch(&b->publish_side.link);
	nv_stats_side(&b->stats, &b->publish_side, b->publish_side.up && !b->publish_ended);
	nv_stats_publisher(&b->stats, b->publisher, b->kept);
	for (struct nv_consumer *c = b->running; c; c = c->next_running) {
		if (b->cut_at && now >= b->cut_at)
			nv_link_cut(&c->side.link);
		nv_link_watch(&c->side.link);
		nv_stats_consumer(&b->stats, c, b->running);
	}
	return_due(b, now);
}

/* --- life cycle --- */

static int init_publisher(struct nv_bus *b, struct nv_err *err)
{
	nv_auto_free char *name = nv_asprintf("%s publish", b->o.name);
	b->publisher = nv_publisher_new(&b->publish_side);
	nv_bus_queue_init(&b->events);
	if (nv_conn_thread_init(&b->publish_side, b->o.config, name, &nv_publisher_ops,
				b->publisher, &b->events, err)) {
		nv_bus_queue_fini(&b->events);
		nv_publisher_free(b->publisher);
		return -1;
	}
	b->publish_side.label = "publish";
	return 0;
}

static void fini_publisher(struct nv_bus *b)
{
	nv_conn_thread_fini(&b->publish_side);
	nv_bus_queue_fini(&b->events);
	nv_publisher_free(b->publisher);
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
	nv_stats_init(&b->stats);
	must_start(nv_conn_thread_start(&b->publish_side, err), err);
	return 0;
}

static void bus_release(struct nv_bus *b)
{
	free(b->name);
	free(b);
}

struct nv_bus *nv_bus_new(uv_loop_t *loop, const struct nv_bus_options *options, struct nv_err *err)
{
	struct nv_bus *b = nv_alloc(sizeof *b);
	b->o = *options;
	b->name = nv_strdup(options->name);
	b->o.name = b->name;
	b->loop = loop;
	if (init_publisher(b, err)) {
		bus_release(b);
		return NULL;
	}
	if (start(b, err)) {
		fini_publisher(b);
		bus_release(b);
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
		drop_backlog(c);
		command(c, NV_BUS_CANCEL, NULL, 0, false);
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
		consumer_unref(c);
	}
	fini_publisher(b);
	bus_release(b);
}
