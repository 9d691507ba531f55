/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The bus: AMQP 0-9-1 by librabbitmq, on threads of its own.
 *
 * One connection to publish and one for each consumer, each served by its own thread.  A blocked
 * publisher cannot stall acknowledgements, and a queue that cannot be consumed (missing, forbidden,
 * or without a leader, for which RabbitMQ closes the connection with 541) affects no other queue:
 * it is retried with backoff, and named in the log, by nv_bus_serving and in the metrics.
 * librabbitmq sends heartbeats only inside its calls, so all threads poll.  The owner's libuv loop
 * and the threads exchange commands; every function here is called on the loop's thread and returns
 * at once, every callback runs on it.
 *
 * Life cycle: nv_bus_new → (connecting ⇄ up) → nv_bus_stop → on_stopped → nv_bus_free.
 *   connecting  publishes are kept; backoff 0.2 s … 10 s with jitter, broker addresses in turn
 *   up          everything unconfirmed has been published again
 *   stopping    no new deliveries; unacknowledged ones go back to their queues
 * After a reconnect, deliveries of the old connection can no longer be acknowledged (the broker has
 * put them back): nv_bus_ack on them does nothing. */
#ifndef NV_BUS_H
#define NV_BUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/err.h"
#include "core/config/config.h"

struct nv_bus;
struct nv_consumer;
struct nv_delivery;

struct nv_bus_options {
	const struct nv_config *config; /* section broker; borrowed */
	const char *name; /* shown as the connection's name, e.g. "archiver host:pid" */
	/* The publishing connection is up, or is not: err says why. */
	void (*on_state_cb)(void *arg, bool up, const struct nv_err *err);
	/* Errors that retrying alone does not fix: refused credentials, missing topology (the
	 * message names `navette broker apply`), a TLS peer that does not verify. The bus keeps
	 * trying; the owner decides (a daemon exits at start, logs later). For a queue that cannot
	 * be consumed it is called only while up, since other work can continue. */
	void (*on_fatal_cb)(void *arg, const struct nv_err *err);
	void *arg;
};

/* Starts connecting.  NULL with *err on bad options only. */
struct nv_bus *nv_bus_new(uv_loop_t *loop, const struct nv_bus_options *options,
			  struct nv_err *err);
bool nv_bus_up(const struct nv_bus *bus); /* can publish */
/* Up, and every queue that should be consumed is?  Otherwise *err says why not, naming the queues:
 * the text for /readyz. */
bool nv_bus_serving(const struct nv_bus *bus, struct nv_err *err);
/* Graceful: waits up to timeout_ms for outstanding confirms, then closes the connections.
 * Publishes without a confirm get their callback with NV_RETRY. */
void nv_bus_stop(struct nv_bus *bus, uint64_t timeout_ms, void (*on_stopped_cb)(void *arg),
		 void *arg);
void nv_bus_free(struct nv_bus *bus); /* after on_stopped_cb; NULL allowed */

/* --- publishing --- */

#define NV_BUS_HEADERS_MAX 12u
struct nv_header {
	const char *key;
	const char *value; /* UTF-8, sent as a long string */
};
/* Headers we use: the only state that travels outside a signed body. */
#define NV_H_ATTEMPT "nv-attempt" /* failed attempts so far, decimal */
#define NV_H_HOLDS "nv-holds"	  /* times held back, decimal */
#define NV_H_OUTAGES "nv-outages" /* of these for temporary conditions, decimal */
/* of these for a clock, decimal */
#define NV_H_CLOCK_HOLDS "nv-clock-holds"
#define NV_H_REASON "nv-reason"	    /* dead letters: nv_reason_word */
#define NV_H_ERROR "nv-error"	    /* dead letters: the message */
#define NV_H_QUEUE "nv-queue"	    /* dead letters: the queue it was taken from */
#define NV_H_AT "nv-at"		    /* dead letters: ms since the epoch */
#define NV_H_HOST "nv-host"	    /* dead letters: by whom */
#define NV_H_REQUEUED "nv-requeued" /* put back by an operator, decimal count */
#define NV_H_RESENT "nv-resent"	    /* sent before on a connection that broke: may be a copy */
#define NV_H_EXPORTS "nv-exports"   /* times a worker asked for the export again, decimal */

struct nv_publish {
	const char *exchange;
	const char *routing_key;
	const void *body;
	size_t len;
	const char *message_id; /* the envelope's mid */
	const char *type;	/* the envelope's kind */
	uint64_t expiration_ms; /* 0: none */
	struct nv_header headers[NV_BUS_HEADERS_MAX];
	unsigned headers_len;
};
/* Copied.  Always persistent and mandatory, with user-id set to the connection's user.  cb (may be
 * NULL) is called exactly once: err NULL when the broker has confirmed it; NV_RETRY/unroutable when
 * no queue took it (basic.return); NV_RETRY/broker_unavailable when publish_timeout passed without
 * a confirm.  After a reconnect, unconfirmed messages are published again: receivers are
 * idempotent. */
void nv_bus_publish(struct nv_bus *bus, const struct nv_publish *p,
		    void (*cb)(void *arg, const struct nv_err *err), void *arg);

/* --- consuming --- */

struct nv_consume {
	const char *queue;
	/* Deliveries the owner holds at once, at least 1. Those of a lost connection count until
	 * the owner releases them, since it is still working on them. */
	uint16_t prefetch;
	bool exclusive;		   /* declare it exclusive and auto-delete first, and bind it … */
	const char *bind_exchange; /* … to this exchange */
	/* d is owned by the receiver until nv_bus_ack or nv_bus_return. */
	void (*on_delivery_cb)(void *arg, struct nv_delivery *d);
	void *arg;
};
struct nv_consumer *nv_bus_consume(struct nv_bus *bus, const struct nv_consume *c);
/* Stop consuming. return_unacked: the channel is closed, so that unacknowledged messages go back to
 * the queue at once; otherwise they can still be acknowledged.  The handle is freed by the bus; no
 * delivery comes after this call returns. */
void nv_bus_cancel(struct nv_consumer *c, bool return_unacked);

/* A message with a larger body is not held in memory: the delivery then has its first
 * NV_BUS_BODY_CUT bytes and says that it is truncated.  nv_bus_settle always rejects such a one. */
#define NV_BUS_BODY_MAX 16777216u
#define NV_BUS_BODY_CUT 65536u

/* What a delivery holds; borrowed until it is acknowledged or returned. */
const void *nv_delivery_body(const struct nv_delivery *d, size_t *ret_len);
const char *nv_delivery_queue(const struct nv_delivery *d);
const char *nv_delivery_message_id(const struct nv_delivery *d); /* "" when there is none */
const char *nv_delivery_user(const struct nv_delivery *d);	 /* validated user-id, or "" */
const char *nv_delivery_header(const struct nv_delivery *d, const char *key); /* or NULL */
const char *nv_delivery_type(const struct nv_delivery *d); /* "" when there is none */
bool nv_delivery_truncated(const struct nv_delivery *d);
bool nv_delivery_redelivered(const struct nv_delivery *d);
/* Can it still be acknowledged, that is: is its connection still open? */
bool nv_delivery_live(const struct nv_delivery *d);

void nv_bus_ack(struct nv_delivery *d);	   /* frees d */
void nv_bus_return(struct nv_delivery *d); /* back to the queue at once; frees d */
/* Back to the queue after a while (at once when the bus stops), so that a message that cannot be
 * served now does not use up the broker's delivery limit in a tight loop; takes d. */
void nv_bus_return_later(struct nv_delivery *d);

/* --- settling a delivery that could not be served (core/bus/settle.c) --- */

struct nv_settle {
	const char *owner;     /* whose retry.*, self.* exchanges */
	unsigned attempts_max; /* after so many failed attempts a retry becomes a rejection */
};
/* Publish d again into a delay tier (NV_RETRY: attempt + 1; NV_HOLD: attempt unchanged), or into
 * the owner's dead queue with the reason (NV_REJECT, or attempts used up), then acknowledge it.
 * Takes d. When publishing fails, d is returned to its queue instead.  done_cb (may be NULL) tells
 * whether it ended in the dead queue. The order is the design's: next message confirmed → (status
 * is written by done_cb's owner before this call or in before_ack_cb) → ack. */
void nv_bus_settle(struct nv_bus *bus, const struct nv_settle *s, struct nv_delivery *d,
		   const struct nv_err *why, void (*done_cb)(void *arg, bool dead), void *arg);
/* A message signed in the future (NV_HOLD/clock) is held for at most this long, then rejected. */
#define NV_CLOCK_WAIT_DAYS 7u
void nv_settle_bound_clock(const struct nv_delivery *d, struct nv_err *err);
/* Would settling with this error end in the dead queue? */
bool nv_settle_is_final(const struct nv_settle *s, const struct nv_delivery *d,
			const struct nv_err *why);
/* How long after settling with this error the message is back for its next attempt, ms; 0: there is
 * none, or it is not counted as one (NV_HOLD). */
uint64_t nv_settle_delay(const struct nv_settle *s, const struct nv_delivery *d,
			 const struct nv_err *why);
unsigned nv_delivery_attempt(const struct nv_delivery *d); /* failed attempts so far */
unsigned nv_delivery_outages(const struct nv_delivery *d); /* times held by a temporary condition */
unsigned nv_delivery_exports(const struct nv_delivery *d); /* exports asked for again so far */
/* The broker will soon dead-letter the message by its delivery limit, without a reason: reject it
 * now, with one. */
bool nv_delivery_exhausted(const struct nv_delivery *d);
/* Redelivered by the broker or the bus: a copy of a message that may have been served. */
bool nv_delivery_is_duplicate(const struct nv_delivery *d);

#endif
