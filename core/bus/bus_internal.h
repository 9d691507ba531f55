/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Inside the bus: who owns what, and on which thread.
 *
 *   loop thread        bus.c, settle.c     struct nv_bus, callbacks, counters, backlog
 *                      stats.c             metrics
 *   publisher thread   publisher.c         publications from PUBLISH to PUBLISHED
 *   consumer threads   consumer.c          one for each consumer: its channel, its deliveries until
 *                                          DELIVERED
 *
 * The threads share nothing but two kinds of queues, commands to a connection thread and events to
 * the loop, and a few atomic numbers for the metrics.  An item and what it points to belong to the
 * thread that took it from the queue. link.c holds one connection and maps librabbitmq's errors;
 * connection_thread.c is the main loop of all these threads. */
#ifndef NV_BUS_BUS_INTERNAL_H
#define NV_BUS_BUS_INTERNAL_H

#include <amqp.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/metrics.h"
#include "core/bus/bus.h"

/* Backlog limit while nothing can be published; beyond it nv_bus_publish fails at once. */
#define NV_BUS_KEPT_MAX 10000u
#define NV_BUS_KEPT_BYTES 67108864u
/* Unconfirmed publications on the wire at once; bounds what a reconnect sends again. */
#define NV_BUS_INFLIGHT_MAX 512u
/* How often the loop and the threads look at their deadlines. */
#define NV_BUS_TICK_MS 100

/* --- queue.c: items between threads --- */

enum nv_bus_what {
	/* commands */
	NV_BUS_PUBLISH, /* p */
	NV_BUS_CANCEL,	/* flag: return unacknowledged deliveries */
	NV_BUS_ACK,	/* d */
	NV_BUS_RETURN,	/* d */
	NV_BUS_STOP,	/* number: until then, nv_mono_ms */
	/* events */
	NV_BUS_STATE,	  /* side, flag: up, err */
	NV_BUS_FATAL,	  /* err */
	NV_BUS_PUBLISHED, /* p, err */
	NV_BUS_DELIVERED, /* c, d */
	NV_BUS_SERVED,	  /* c, err: why its queue is not consumed, or NULL: it is */
	NV_BUS_STOPPED,	  /* the thread's last event */
};
struct nv_bus_item {
	struct nv_bus_item *next;
	enum nv_bus_what what;
	struct nv_conn_thread *side;
	struct nv_publication *p;
	struct nv_consumer *c;
	struct nv_delivery *d;
	uint64_t number;
	bool flag;
	struct nv_err *err; /* owned; NULL: none */
};
struct nv_bus_queue {
	pthread_mutex_t lock;
	struct nv_bus_item *head, **tail;
	int wake_fd;	  /* eventfd of a connection thread, or -1 */
	uv_async_t *wake; /* of the loop, or NULL */
};
void nv_bus_queue_init(struct nv_bus_queue *q);
void nv_bus_queue_fini(struct nv_bus_queue *q); /* empty by then */
struct nv_bus_item *nv_bus_item_new(enum nv_bus_what what);
void nv_bus_item_free(struct nv_bus_item *i); /* not what p, c and d point to */
void nv_bus_queue_put(struct nv_bus_queue *q, struct nv_bus_item *i);
/* Takes all items, as a list, oldest first; NULL when empty. */
struct nv_bus_item *nv_bus_queue_take(struct nv_bus_queue *q);

/* --- link.c: one connection --- */

struct nv_link {
	const struct nv_config *config;
	char *name;		      /* of the connection, as the broker lists it */
	amqp_connection_state_t conn; /* NULL: closed */
	size_t uri;		      /* the next address to try */
	char *user;		      /* of the open connection */
	/* Deadline of the call the thread is in, for the loop's watchdog: librabbitmq waits for
	 * ever when it sends over a dead link.  0: in no call. */
	_Atomic uint64_t busy_until;
	pthread_mutex_t fd_lock;
	int fd; /* of the open connection, or -1; under fd_lock */
};
int nv_link_init(struct nv_link *l, const struct nv_config *config, const char *name,
		 struct nv_err *err);
void nv_link_fini(struct nv_link *l);
/* Try the next address.  NV_FATAL where trying again cannot help by itself. */
int nv_link_open(struct nv_link *l, struct nv_err *err);
/* polite: say goodbye to the broker. */
void nv_link_close(struct nv_link *l, bool polite);
/* Marks the begin and the end of a call (before the thread sleeps) for the watchdog. */
void nv_link_enter(struct nv_link *l);
void nv_link_leave(struct nv_link *l);
/* Called on the loop: a call that exceeded its deadline loses its socket, and so fails. */
void nv_link_watch(struct nv_link *l);
/* Called on the loop: the call the thread is in, if it is in one, fails now. */
void nv_link_cut(struct nv_link *l);
/* Map a library status and an RPC's reply.  0 when all is well; 1 when the broker closed the
 * channel (close-ok is sent, *err says why); -1 when the connection is of no use any more. */
int nv_link_status(int status, const char *what, struct nv_err *err);
int nv_link_reply(struct nv_link *l, amqp_channel_t channel, const char *what, struct nv_err *err);
/* The same for a close that came by itself.  Always returns 1 and -1 respectively. */
int nv_link_channel_closed(struct nv_link *l, amqp_channel_t channel, const amqp_channel_close_t *m,
			   const char *what, struct nv_err *err);
int nv_link_connection_closed(struct nv_link *l, const amqp_connection_close_t *m,
			      struct nv_err *err);

static inline amqp_bytes_t nv_amqp_bytes(const char *s)
{
	return s ? amqp_cstring_bytes(s) : amqp_empty_bytes;
}

/* --- connection_thread.c: the life of a thread --- */

struct nv_conn_thread_ops {
	/* The connection has come up, or is lost (its channels and deliveries are void). */
	int (*opened)(void *ctx, struct nv_err *err);
	void (*lost)(void *ctx);
	/* Also while there is no connection. */
	int (*command)(void *ctx, struct nv_bus_item *i, struct nv_err *err);
	/* A frame of a channel; -1: the connection is lost. */
	int (*frame)(void *ctx, const amqp_frame_t *f, struct nv_err *err);
	/* Periodic work; connected: the link is open. */
	int (*work)(void *ctx, bool connected, uint64_t now, struct nv_err *err);
	void (*blocked)(void *ctx, bool blocked);
	/* A stop was requested: is everything finished? */
	bool (*idle)(void *ctx);
	/* The thread ends: hand everything back. */
	void (*finish)(void *ctx);
	int tick_ms; /* how often to look at deadlines while nothing happens */
};
struct nv_conn_thread {
	struct nv_bus_queue *events; /* the loop's */
	struct nv_bus_queue commands;
	struct nv_link link;
	const struct nv_conn_thread_ops *ops;
	void *ctx;
	pthread_t thread;
	bool started;
	/* the thread's own */
	uint64_t retry_at, backoff;
	bool stopping;
	uint64_t stop_by;
	/* for the metrics: written by the thread, read by the loop */
	atomic_uint_fast64_t opened;	   /* connections that came up */
	atomic_uint_fast64_t blocked_from; /* nv_mono_ms; 0: is not blocked */
	atomic_uint_fast64_t blocked_ms;   /* of blocks that are over */
	/* the loop's own */
	const char *label; /* the connection's in the metrics */
	bool up;
	struct nv_err err;
	uint64_t opened_told, blocked_told; /* what the metrics say already */
};
int nv_conn_thread_init(struct nv_conn_thread *s, const struct nv_config *config, const char *name,
			const struct nv_conn_thread_ops *ops, void *ctx,
			struct nv_bus_queue *events, struct nv_err *err);
int nv_conn_thread_start(struct nv_conn_thread *s, struct nv_err *err);
void nv_conn_thread_fini(struct nv_conn_thread *s); /* joins the thread when it was started */
void nv_conn_thread_event(struct nv_conn_thread *s, enum nv_bus_what what,
			  const struct nv_err *err);
/* 0.2 s … 10 s, doubled each time, a random half of it. */
uint64_t nv_bus_backoff(uint64_t *backoff);

/* --- publisher.c --- */

/* How it ended, for the metrics. */
enum nv_bus_outcome {
	NV_BUS_REFUSED, /* could not be sent, or may not */
	NV_BUS_CONFIRMED,
	NV_BUS_UNROUTED, /* came back: no queue took it */
	NV_BUS_TIMED_OUT,
	NV_BUS_OUTCOMES
};
struct nv_publication {
	struct nv_publication *next;
	struct nv_arena arena; /* owns the copies */
	struct nv_publish m;
	void (*cb)(void *arg, const struct nv_err *err);
	void *arg;
	uint64_t id;	     /* of this process; travels as correlation-id */
	uint64_t tag;	     /* of the confirm, while in flight */
	uint64_t deadline;   /* nv_mono_ms */
	uint64_t not_before; /* nv_mono_ms; after a nack */
	bool returned;	     /* no queue took it */
	bool resent;	     /* was in flight when a connection or channel broke */
	unsigned nacks;	     /* basic.nack so far */
	unsigned closes;     /* channels that were closed while it was in flight */
	uint64_t sent_ns;    /* uv_hrtime when it went out last */
	uint64_t settled_ns; /* and when it was settled */
	enum nv_bus_outcome outcome;
};
struct nv_publisher;
struct nv_publisher *nv_publisher_new(struct nv_conn_thread *side);
void nv_publisher_free(struct nv_publisher *p);
/* For the metrics: any thread.  On the wire without an answer; nacks so far. */
uint64_t nv_publisher_in_flight(const struct nv_publisher *p);
uint64_t nv_publisher_nacked(const struct nv_publisher *p);
extern const struct nv_conn_thread_ops nv_publisher_ops;

/* --- consumer.c, delivery.c --- */

/* One opening of a channel.  A delivery can be acknowledged on the one it came by and no other. */
struct nv_session {
	atomic_uint refs;
	atomic_bool live;
	amqp_channel_t channel;
	uint64_t unacked; /* the thread's */
};
struct nv_session *nv_session_new(amqp_channel_t channel);
void nv_session_unref(struct nv_session *s);

/* A consumer has a connection and a thread of its own: RabbitMQ answers a basic.consume that the
 * queue cannot serve (a quorum queue without a leader) by closing the connection, after up to a
 * minute of silence. On a shared connection that would stop every other queue, too. */
struct nv_consumer {
	/* set once */
	char *queue;
	char *label; /* in metrics and names: the queue, or for one of its own what it is bound to
		      */
	char *bind_exchange;
	bool exclusive;
	uint16_t prefetch;
	void (*on_delivery_cb)(void *arg, struct nv_delivery *d);
	void *arg;
	struct nv_conn_thread side;
	/* the thread's: see consumer.c */
	struct nv_session *session;   /* NULL: no channel is open */
	struct nv_delivery *incoming; /* frames of it have come, not all */
	bool consuming;
	bool leaving, return_unacked;
	uint64_t retry_at, backoff;
	uint64_t since; /* nv_mono_ms: consuming without a break */
	uint64_t tags;	/* consumer tags used */
	/* for the metrics: written by the thread, read by the loop */
	atomic_uint_fast64_t unacked, returned;
	/* the loop's */
	struct nv_consumer *next;	  /* of those their owners have not cancelled */
	struct nv_consumer *next_running; /* of those whose thread has not ended */
	struct nv_bus *bus;		  /* NULL once the bus is freed */
	unsigned refs;	/* the bus's, the thread's, and one for each delivery handed out */
	unsigned held;	/* deliveries handed out and not yet settled */
	bool cancelled; /* cancelled by the owner, which no longer has the handle */
	bool ended;	/* its thread has ended, or never began */
	struct nv_delivery *backlog, **backlog_tail;
	struct nv_err why; /* its queue is not consumed; kind 0: nothing wrong */
	uint64_t delivered, delivered_told, returned_told;
};
/* Why its queue is not consumed, or NULL. */
const struct nv_err *nv_consumer_trouble(const struct nv_consumer *c);

struct nv_delivery {
	struct nv_delivery *next;
	struct nv_consumer *consumer; /* a reference once handed out */
	struct nv_session *session;   /* a reference */
	struct nv_arena arena;	      /* owns the strings */
	uint64_t tag;
	bool redelivered;
	bool truncated;
	bool complete;
	uint64_t size; /* of the body as it was sent */
	uint64_t seen; /* bytes of it that have come */
	uint8_t *body;
	size_t len; /* what we have of it */
	const char *message_id, *type, *user;
	struct nv_header *headers;
	size_t headers_len;
};
/* The three steps of an arriving message. */
struct nv_delivery *nv_delivery_new(struct nv_consumer *c, struct nv_session *s,
				    const amqp_basic_deliver_t *m);
void nv_delivery_header_frame(struct nv_delivery *d, uint64_t size,
			      const amqp_basic_properties_t *p);
void nv_delivery_body_frame(struct nv_delivery *d, amqp_bytes_t part);
void nv_delivery_free(struct nv_delivery *d);

extern const struct nv_conn_thread_ops nv_consumer_ops; /* ctx: struct nv_consumer */

/* --- stats.c: metrics of the bus --- */

/* Numbers are gathered by their threads and put into the registry by the loop's tick, so that no
 * message pays for the registry's lock. */
#define NV_BUS_LATENCIES 128u
struct nv_bus_stats {
	uint64_t outcomes[NV_BUS_OUTCOMES], outcomes_told[NV_BUS_OUTCOMES];
	uint64_t nacked_told;
	double latencies[NV_BUS_LATENCIES]; /* not yet in the histogram, in seconds */
	size_t latencies_len;
	struct nv_metric *connected, *reconnects, *blocked, *blocked_seconds;
	struct nv_metric *published, *confirm_seconds, *unconfirmed, *unsent;
	struct nv_metric *deliveries, *unacked, *returned, *unserved;
};
void nv_stats_init(struct nv_bus_stats *s);
void nv_stats_published(struct nv_bus_stats *s, const struct nv_publication *p);
/* up: whether it is connected; a thread that has ended is not. */
void nv_stats_side(struct nv_bus_stats *s, struct nv_conn_thread *side, bool up);
/* kept: publications without an answer, sent or not. */
void nv_stats_publisher(struct nv_bus_stats *s, const struct nv_publisher *p, size_t kept);
/* running: the list its thread is in, or was. */
void nv_stats_consumer(struct nv_bus_stats *s, struct nv_consumer *c,
		       const struct nv_consumer *running);

#endif
