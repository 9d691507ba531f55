/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What /metrics says of the bus.  Several buses of a process (only tests have them) share it. */
#include <string.h>

#include "base/id.h"
#include "core/bus/bus_internal.h"

static const char *const outcome_words[NV_BUS_OUTCOMES] = {
	[NV_BUS_REFUSED] = "refused",
	[NV_BUS_CONFIRMED] = "confirmed",
	[NV_BUS_UNROUTED] = "returned",
	[NV_BUS_TIMED_OUT] = "timed_out",
};
#define NACKED "nacked"

void nv_stats_init(struct nv_bus_stats *s)
{
	s->connected = nv_gauge("navette_bus_connected",
				"1: this connection to the broker is up; 0 also for a queue that "
				"is not consumed outside its time window",
				"connection");
	s->reconnects =
		nv_counter("navette_bus_reconnects_total",
			   "Connections to the broker opened after the first", "connection");
	s->blocked = nv_gauge("navette_bus_blocked",
			      "1: the broker, short of memory or disk, takes nothing from this "
			      "connection",
			      "connection");
	s->blocked_seconds = nv_counter("navette_bus_blocked_seconds_total",
					"Time for which the broker took nothing", "connection");
	s->published =
		nv_counter("navette_bus_published_total",
			   "Publications by how they ended; nacked ones go out again and end "
			   "a second time",
			   "outcome");
	s->confirm_seconds =
		nv_histogram("navette_bus_confirm_seconds",
			     "From sending a publication to the broker's confirm", NULL);
	s->unconfirmed = nv_gauge("navette_bus_unconfirmed",
				  "Publications sent that the broker has not confirmed yet", NULL);
	s->unsent = nv_gauge("navette_bus_unsent", "Publications that wait to be sent", NULL);
	s->deliveries =
		nv_counter("navette_bus_deliveries_total", "Messages taken from a queue", "queue");
	s->unacked = nv_gauge("navette_bus_unacked",
			      "Messages taken from a queue and neither acknowledged nor returned",
			      "queue");
	s->returned = nv_counter("navette_bus_returned_total",
				 "Messages given back to their queue unserved", "queue");
	s->unserved = nv_gauge("navette_bus_queue_unserved",
			       "1: this queue should be consumed and cannot be", "queue");
	for (size_t i = 0; i < NV_BUS_OUTCOMES; i++) /* shown as 0 before the first */
		nv_metric_add(s->published, outcome_words[i], 0);
	nv_metric_add(s->published, NACKED, 0);
}

static void put_latencies(struct nv_bus_stats *s)
{
	for (size_t i = 0; i < s->latencies_len; i++)
		nv_metric_observe(s->confirm_seconds, NULL, s->latencies[i]);
	s->latencies_len = 0;
}

void nv_stats_published(struct nv_bus_stats *s, const struct nv_publication *p)
{
	s->outcomes[p->outcome]++;
	if (p->outcome != NV_BUS_CONFIRMED)
		return;
	if (s->latencies_len == NV_BUS_LATENCIES)
		put_latencies(s);
	s->latencies[s->latencies_len++] = (double)(p->settled_ns - p->sent_ns) / 1e9;
}

/* A counter that was *told so far. */
static void count(struct nv_metric *m, const char *value, uint64_t now, uint64_t *told, double unit)
{
	if (now == *told)
		return;
	nv_metric_add(m, value, (double)(now - *told) * unit);
	*told = now;
}

void nv_stats_publisher(struct nv_bus_stats *s, const struct nv_publisher *p, size_t kept)
{
	uint64_t flight = nv_publisher_in_flight(p);
	for (size_t i = 0; i < NV_BUS_OUTCOMES; i++)
		count(s->published, outcome_words[i], s->outcomes[i], &s->outcomes_told[i], 1);
	count(s->published, NACKED, nv_publisher_nacked(p), &s->nacked_told, 1);
	put_latencies(s);
	nv_metric_set(s->unconfirmed, NULL, (double)flight);
	/* The two numbers are not of the same moment. */
	nv_metric_set(s->unsent, NULL, kept > flight ? (double)(kept - flight) : 0);
}

void nv_stats_side(struct nv_bus_stats *s, struct nv_conn_thread *side, bool up)
{
	uint64_t from = atomic_load(&side->blocked_from);
	uint64_t now = nv_mono_ms();
	uint64_t blocked = atomic_load(&side->blocked_ms) + (from && now > from ? now - from : 0);
	uint64_t opened = atomic_load(&side->opened);
	nv_metric_set(s->connected, side->label, up);
	nv_metric_set(s->blocked, side->label, from != 0);
	nv_metric_add(s->blocked_seconds, side->label, 0);
	nv_metric_add(s->reconnects, side->label, 0);
	if (blocked > side->blocked_told)
		count(s->blocked_seconds, side->label, blocked, &side->blocked_told, 0.001);
	if (opened > 1) {
		if (!side->opened_told)
			side->opened_told = 1;
		count(s->reconnects, side->label, opened, &side->opened_told, 1);
	}
}

void nv_stats_consumer(struct nv_bus_stats *s, struct nv_consumer *c,
		       const struct nv_consumer *running)
{
	double unacked = 0;
	bool unserved = false;
	bool up = false;
	/* One that was cancelled may finish its work beside a new one of the same queue. */
	for (const struct nv_consumer *o = running; o; o = o->next_running) {
		if (strcmp(o->label, c->label) != 0)
			continue;
		unacked += (double)atomic_load(&o->unacked);
		unserved = unserved || nv_consumer_trouble(o);
		up = up || o->side.up;
	}
	nv_metric_add(s->deliveries, c->label, 0);
	nv_metric_add(s->returned, c->label, 0);
	count(s->deliveries, c->label, c->delivered, &c->delivered_told, 1);
	count(s->returned, c->label, atomic_load(&c->returned), &c->returned_told, 1);
	nv_metric_set(s->unacked, c->label, unacked);
	nv_metric_set(s->unserved, c->label, unserved);
	nv_stats_side(s, &c->side, up);
}
