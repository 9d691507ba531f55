/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The only place where the name of an exchange, queue or broker user is decided, and the whole
 * topology as data, from which `navette broker apply`, `navette broker check` and definitions.json
 * come.
 *
 * For a site S (course server):
 *
 *   from.S            direct  what S sends to others: restore.C, restore.C.now, opened.C,
 *                             events.C of each client C
 *   self.S            direct  S to itself: archive.S, archive.S.now, catalog.S, dead.S (dead
 *                             letters, requeue, and what comes back from a delay)
 *   control.S         fanout  to every archiver of S at once (each has an exclusive queue
 *                             control.S.<token>)
 *   retry.S.<tier>    fanout  to the queue retry.S.<tier>: queue TTL, dead-lettered to self.S with
 *                             the routing key the message had
 *   archive.S         quorum  restore.request, held back outside S's time window
 *   archive.S.now     quorum  the same, served at any time
 *   catalog.S         quorum  catalog.request, served at any time; short-lived: what expires here
 *                             is dropped, not dead-lettered
 *   dead.S            quorum  dead letters of S's archivers
 *
 * For a client C:
 *
 *   from.C            direct  to archive.S, archive.S.now, catalog.S, control.S of each site, and
 *                             restore.C.now (enrol.request)
 *   self.C            direct  C to itself: restore.C, restore.C.now, events.C, dead.C
 *   retry.C.<tier>    fanout  as above, to self.C
 *   restore.C         quorum  archive.ready, held back outside the workers' time window
 *   restore.C.now     quorum  the same at any time, and enrol.request
 *   opened.C          quorum  archive.opened, served within the workers' time window; short-lived:
 *                             a hint that no worker takes is dropped
 *   events.C          quorum  status.event, catalog.reply
 *   dead.C            quorum  dead letters of C's workers and producers
 *
 * Every routing key is the name of the queue it leads to (control.S: of the exchange). Users:
 * archiver.S, producer.C, worker.C.  A principal can write to its own exchanges only, so neither a
 * CC header, a retry nor the default exchange leads anywhere else. */
#ifndef NV_BROKER_CONFIG_TOPOLOGY_H
#define NV_BROKER_CONFIG_TOPOLOGY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* exchange, queue or routing key names are at most so long, NUL included */
#define NV_TOPOLOGY_NAME 96u

/* Delay tiers: X(name, milliseconds).  The last serves all later attempts. */
#define NV_RETRY_TIERS(X) \
	X("1s", 1000)     \
	X("10s", 10000)   \
	X("1m", 60000)    \
	X("10m", 600000)
#define NV_RETRY_TIER_COUNT 4u
/* The tier for messages on hold, such as while another attempt is at work (NV_HOLD). */
#define NV_HOLD_TIER 0u
/* The tier for messages held because of a wrong clock, which takes longer to fix. */
#define NV_CLOCK_TIER 2u

struct nv_topology_name {
	char s[NV_TOPOLOGY_NAME];
};
/* owner: a site's or client's name */
struct nv_topology_name nv_exchange_from(const char *owner);
struct nv_topology_name nv_exchange_self(const char *owner);
struct nv_topology_name nv_exchange_control(const char *site);
struct nv_topology_name nv_exchange_retry(const char *owner, unsigned tier);
struct nv_topology_name nv_queue_archive(const char *site, bool now);
struct nv_topology_name nv_queue_catalog(const char *site);
struct nv_topology_name nv_queue_control(const char *site, const char *token);
struct nv_topology_name nv_queue_restore(const char *client, bool now);
struct nv_topology_name nv_queue_opened(const char *client);
struct nv_topology_name nv_queue_events(const char *client);
struct nv_topology_name nv_queue_dead(const char *owner);
/* which: "archiver", "producer", "worker" */
struct nv_topology_name nv_broker_user(const char *which, const char *owner);
/* All queues of a site or client; returns how many. */
#define NV_OWNER_QUEUES 12u
size_t nv_owner_queues(const char *owner, bool site, struct nv_topology_name ret[NV_OWNER_QUEUES]);
/* The tier for the attempt that comes after `failed` failed ones (1 → tier 0). */
unsigned nv_retry_tier(unsigned failed);
uint64_t nv_retry_tier_ms(unsigned tier);

/* Above the longest job limit plus the longest hold; the broker's consumer_timeout, in ms. */
#define NV_CONSUMER_TIMEOUT_MS 86400000u
/* The broker's own count of returns, the last net under our attempt counter. */
#define NV_DELIVERY_LIMIT 100u

/* The whole topology for these principals, as calls in an order that can be applied as it is. */
struct nv_topology_visitor {
	void (*exchange)(void *ctx, const char *name, const char *type);
	/* ttl_ms 0: none; dlx NULL: none; dlk: the dead letter routing key, NULL: the message's
	 * own. With a ttl it is a delay queue, otherwise with a dlk a queue that gives a message up
	 * after NV_DELIVERY_LIMIT returns. */
	void (*queue)(void *ctx, const char *name, uint64_t ttl_ms, const char *dlx,
		      const char *dlk, unsigned replicas);
	/* to_queue false: destination is an exchange */
	void (*binding)(void *ctx, const char *source, const char *destination, bool to_queue,
			const char *key);
	/* regular expressions as RabbitMQ's permissions take them */
	void (*user)(void *ctx, const char *name, const char *configure, const char *write,
		     const char *read);
	void *ctx;
};
/* -1 when a name is invalid or stands twice (a client and a site may not share a name). */
int nv_topology_visit(const char *const *clients, size_t clients_len, const char *const *sites,
		      size_t sites_len, unsigned replicas, const struct nv_topology_visitor *v);

#endif
