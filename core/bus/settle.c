/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Settles a delivery that could not be served.  It is republished as a new message with our own
 * headers only: with the x-death of the old one the broker could drop it as a cycle. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/id.h"
#include "broker-config/topology.h"
#include "core/bus/bus_internal.h"

#define NV_DELIVERY_RESERVE 5u

static unsigned header_number(const struct nv_delivery *d, const char *key)
{
	const char *text = nv_delivery_header(d, key);
	unsigned long n = text ? strtoul(text, NULL, 10) : 0;
	return n < 1000000 ? (unsigned)n : 1000000;
}

unsigned nv_delivery_attempt(const struct nv_delivery *d)
{
	return header_number(d, NV_H_ATTEMPT);
}

/* Also what a crash loop, or a message nobody could speak about, has used up at the broker. */
bool nv_delivery_exhausted(const struct nv_delivery *d)
{
	return header_number(d, "x-delivery-count") + NV_DELIVERY_RESERVE >= NV_DELIVERY_LIMIT;
}

bool nv_delivery_is_duplicate(const struct nv_delivery *d)
{
	return d->redelivered || nv_delivery_header(d, NV_H_RESENT);
}

unsigned nv_delivery_outages(const struct nv_delivery *d)
{
	return header_number(d, NV_H_OUTAGES);
}

unsigned nv_delivery_exports(const struct nv_delivery *d)
{
	return header_number(d, NV_H_EXPORTS);
}

bool nv_settle_is_final(const struct nv_settle *s, const struct nv_delivery *d,
			const struct nv_err *why)
{
	/* A queue of one's own cannot be reached from a delay; half a message says nothing. */
	bool once = d->truncated || d->consumer->exclusive;
	switch (why->kind) {
	case NV_REJECT:
		return true;
	case NV_RETRY:
		return once || nv_delivery_attempt(d) + 1 >= s->attempts_max;
	case NV_HOLD:
		return once;
	default:
		return false;
	}
}

uint64_t nv_settle_delay(const struct nv_settle *s, const struct nv_delivery *d,
			 const struct nv_err *why)
{
	if (why->kind != NV_RETRY || nv_settle_is_final(s, d, why))
		return 0;
	return nv_retry_tier_ms(nv_retry_tier(nv_delivery_attempt(d) + 1));
}

/* By the number of holds, one a tier's time: a clock that jumps counts for nothing. */
void nv_settle_bound_clock(const struct nv_delivery *d, struct nv_err *err)
{
	uint64_t most = NV_CLOCK_WAIT_DAYS * 86400000ull / nv_retry_tier_ms(NV_CLOCK_TIER);
	if (err->kind != NV_HOLD || err->reason != NV_R_clock ||
	    header_number(d, NV_H_CLOCK_HOLDS) < most)
		return;
	err->kind = NV_REJECT;
	nv_err_prefix(err, "it has waited %u days", NV_CLOCK_WAIT_DAYS);
}

struct settling {
	struct nv_delivery *d;
	bool dead;
	void (*done_cb)(void *arg, bool dead);
	void *arg;
};

static void on_confirmed(void *arg, const struct nv_err *err)
{
	struct settling *s = arg;
	if (s->done_cb)
		s->done_cb(s->arg, s->dead && !err);
	if (err)
		nv_bus_return_later(s->d);
	else
		nv_bus_ack(s->d);
	free(s);
}

static void add(struct nv_publish *p, const char *key, const char *value)
{
	if (value)
		p->headers[p->headers_len++] = (struct nv_header){.key = key, .value = value};
}

static void add_number(struct nv_publish *p, struct nv_arena *a, const char *key, uint64_t n)
{
	add(p, key, nv_arena_printf(a, "%" PRIu64, n));
}

/* As numbers: a text of the sender's choosing would travel on with us. */
static void count(struct nv_publish *p, struct nv_arena *a, const struct nv_delivery *d,
		  const char *key, bool once_more)
{
	if (once_more || nv_delivery_header(d, key))
		add_number(p, a, key, header_number(d, key) + once_more);
}

static void add_reason(struct nv_publish *p, struct nv_arena *a, const struct nv_delivery *d,
		       const struct nv_err *why)
{
	char host[256] = "";
	gethostname(host, sizeof host - 1);
	add(p, NV_H_REASON, nv_reason_word(d->truncated ? NV_R_bad_message : why->reason));
	if (d->truncated)
		add(p, NV_H_ERROR,
		    nv_arena_printf(a, "a body of %" PRIu64 " bytes: at most %u are accepted",
				    d->size, NV_BUS_BODY_MAX));
	else
		add(p, NV_H_ERROR, nv_arena_strdup(a, why->msg));
	add(p, NV_H_QUEUE, nv_delivery_queue(d));
	add_number(p, a, NV_H_AT, nv_now_ms());
	add(p, NV_H_HOST, nv_arena_strdup(a, host));
}

void nv_bus_settle(struct nv_bus *bus, const struct nv_settle *s, struct nv_delivery *d,
		   const struct nv_err *why, void (*done_cb)(void *arg, bool dead), void *arg)
{
	if (!nv_delivery_live(d)) {
		/* The broker has given it to another already: a second copy would make two of it.
		 */
		if (done_cb)
			done_cb(arg, false);
		nv_bus_ack(d);
		return;
	}
	nv_auto_arena struct nv_arena a = {0};
	struct nv_topology_name exchange = {{0}};
	struct nv_topology_name dead = nv_queue_dead(s->owner);
	bool hold = why->kind == NV_HOLD;
	bool is_final = nv_settle_is_final(s, d, why);
	unsigned attempt = nv_delivery_attempt(d) + (hold ? 0 : 1);
	if (!is_final && why->kind != NV_RETRY && !hold) {
		/* Nothing follows: cancelled and done, or the process goes and another takes it. */
		if (done_cb)
			done_cb(arg, false);
		if (why->kind == NV_FATAL)
			nv_bus_return_later(d);
		else
			nv_bus_ack(d);
		return;
	}
	if (is_final)
		exchange = nv_exchange_self(s->owner);
	else
		exchange = nv_exchange_retry(s->owner, !hold ? nv_retry_tier(attempt)
						       : why->reason == NV_R_clock ? NV_CLOCK_TIER
										   : NV_HOLD_TIER);
	struct nv_publish p = {
		.exchange = exchange.s,
		.routing_key = is_final ? dead.s : nv_delivery_queue(d),
		.body = d->body,
		.len = d->len,
		.message_id = *d->message_id ? d->message_id : NULL,
		.type = *d->type ? d->type : NULL,
	};
	add_number(&p, &a, NV_H_ATTEMPT, attempt);
	count(&p, &a, d, NV_H_HOLDS, hold);
	count(&p, &a, d, NV_H_OUTAGES, hold && nv_reason_passes(why->reason));
	count(&p, &a, d, NV_H_CLOCK_HOLDS, hold && why->reason == NV_R_clock);
	count(&p, &a, d, NV_H_REQUEUED, false);
	count(&p, &a, d, NV_H_EXPORTS, false);
	/* Also in a delay queue, so that the reason is visible there. */
	add_reason(&p, &a, d, why);

	struct settling *settling = nv_alloc(sizeof *settling);
	*settling = (struct settling){.d = d, .dead = is_final, .done_cb = done_cb, .arg = arg};
	nv_bus_publish(bus, &p, on_confirmed, settling);
}
