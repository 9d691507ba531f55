/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "broker-config/topology.h"

#include <stdio.h>
#include <string.h>

#include "base/id.h"
#include "base/mem.h"

static struct nv_topology_name name2(const char *prefix, const char *owner, const char *suffix)
{
	struct nv_topology_name n;
	snprintf(n.s, sizeof n.s, "%s.%s%s", prefix, owner, suffix);
	return n;
}

struct nv_topology_name nv_exchange_from(const char *owner)
{
	return name2("from", owner, "");
}

struct nv_topology_name nv_exchange_self(const char *owner)
{
	return name2("self", owner, "");
}

struct nv_topology_name nv_exchange_control(const char *site)
{
	return name2("control", site, "");
}

static const struct {
	const char *suffix;
	uint64_t ms;
} tiers[NV_RETRY_TIER_COUNT] = {
#define X(name, millis) {"." name, millis},
	NV_RETRY_TIERS(X)
#undef X
};

struct nv_topology_name nv_exchange_retry(const char *owner, unsigned tier)
{
	if (tier >= NV_RETRY_TIER_COUNT)
		tier = NV_RETRY_TIER_COUNT - 1;
	return name2("retry", owner, tiers[tier].suffix);
}

struct nv_topology_name nv_queue_archive(const char *site, bool now)
{
	return name2("archive", site, now ? ".now" : "");
}

struct nv_topology_name nv_queue_catalog(const char *site)
{
	return name2("catalog", site, "");
}

struct nv_topology_name nv_queue_control(const char *site, const char *token)
{
	struct nv_topology_name n;
	snprintf(n.s, sizeof n.s, "control.%s.%s", site, token);
	return n;
}

struct nv_topology_name nv_queue_restore(const char *client, bool now)
{
	return name2("restore", client, now ? ".now" : "");
}

struct nv_topology_name nv_queue_opened(const char *client)
{
	return name2("opened", client, "");
}

struct nv_topology_name nv_queue_events(const char *client)
{
	return name2("events", client, "");
}

struct nv_topology_name nv_queue_dead(const char *owner)
{
	return name2("dead", owner, "");
}

struct nv_topology_name nv_broker_user(const char *which, const char *owner)
{
	return name2(which, owner, "");
}

size_t nv_owner_queues(const char *owner, bool site, struct nv_topology_name ret[NV_OWNER_QUEUES])
{
	size_t n = 0;
	ret[n++] = site ? nv_queue_archive(owner, false) : nv_queue_restore(owner, false);
	ret[n++] = site ? nv_queue_archive(owner, true) : nv_queue_restore(owner, true);
	ret[n++] = site ? nv_queue_catalog(owner) : nv_queue_events(owner);
	for (unsigned t = 0; t < NV_RETRY_TIER_COUNT; t++)
		ret[n++] = nv_exchange_retry(owner, t); /* the queue has its exchange's name */
	ret[n++] = nv_queue_dead(owner);
	if (!site)
		ret[n++] = nv_queue_opened(owner);
	return n;
}

unsigned nv_retry_tier(unsigned failed)
{
	unsigned tier = failed ? failed - 1 : 0;
	return tier < NV_RETRY_TIER_COUNT ? tier : NV_RETRY_TIER_COUNT - 1;
}

uint64_t nv_retry_tier_ms(unsigned tier)
{
	return tiers[tier < NV_RETRY_TIER_COUNT ? tier : NV_RETRY_TIER_COUNT - 1].ms;
}

/* --- the whole --- */

/* A queue and the way from the owner's own exchange to it.  dead NULL: a queue without a dead
 * letter queue. */
static void own_queue(const struct nv_topology_visitor *v, const char *owner, const char *queue,
		      const char *dead, unsigned replicas)
{
	struct nv_topology_name self = nv_exchange_self(owner);
	v->queue(v->ctx, queue, 0, dead ? self.s : NULL, dead, replicas);
	v->binding(v->ctx, self.s, queue, true, queue);
}

/* Common to sites and clients: their two exchanges, the delay tiers, the dead queue. */
static void visit_owner(const struct nv_topology_visitor *v, const char *owner, unsigned replicas)
{
	struct nv_topology_name self = nv_exchange_self(owner);
	v->exchange(v->ctx, nv_exchange_from(owner).s, "direct");
	v->exchange(v->ctx, self.s, "direct");
	own_queue(v, owner, nv_queue_dead(owner).s, NULL, replicas);
	for (unsigned t = 0; t < NV_RETRY_TIER_COUNT; t++) {
		struct nv_topology_name retry = nv_exchange_retry(owner, t);
		v->exchange(v->ctx, retry.s, "fanout");
		v->queue(v->ctx, retry.s, tiers[t].ms, self.s, NULL, replicas);
		v->binding(v->ctx, retry.s, retry.s, true, "");
	}
}

static void visit_site(const struct nv_topology_visitor *v, const char *site, unsigned replicas)
{
	struct nv_topology_name dead = nv_queue_dead(site);
	visit_owner(v, site, replicas);
	v->exchange(v->ctx, nv_exchange_control(site).s, "fanout");
	own_queue(v, site, nv_queue_archive(site, false).s, dead.s, replicas);
	own_queue(v, site, nv_queue_archive(site, true).s, dead.s, replicas);
	/* Questions expire in numbers when a site is away: they do not become dead letters. */
	own_queue(v, site, nv_queue_catalog(site).s, NULL, replicas);
}

static void visit_client(const struct nv_topology_visitor *v, const char *client, unsigned replicas)
{
	struct nv_topology_name dead = nv_queue_dead(client);
	struct nv_topology_name now = nv_queue_restore(client, true);
	visit_owner(v, client, replicas);
	own_queue(v, client, nv_queue_restore(client, false).s, dead.s, replicas);
	own_queue(v, client, now.s, dead.s, replicas);
	own_queue(v, client, nv_queue_events(client).s, dead.s, replicas);
	/* An archive.opened that no worker takes does not become a dead letter: archive.ready
	 * follows. */
	own_queue(v, client, nv_queue_opened(client).s, NULL, replicas);
	v->binding(v->ctx, nv_exchange_from(client).s, now.s, true, now.s);
}

static void visit_pair(const struct nv_topology_visitor *v, const char *client, const char *site)
{
	struct nv_topology_name from_site = nv_exchange_from(site);
	struct nv_topology_name from_client = nv_exchange_from(client);
	struct nv_topology_name control = nv_exchange_control(site);
	const struct nv_topology_name to_client[] = {
		nv_queue_restore(client, false),
		nv_queue_restore(client, true),
		nv_queue_opened(client),
		nv_queue_events(client),
	};
	const struct nv_topology_name to_site[] = {
		nv_queue_archive(site, false),
		nv_queue_archive(site, true),
		nv_queue_catalog(site),
	};
	for (size_t i = 0; i < NV_ARRAY_LEN(to_client); i++)
		v->binding(v->ctx, from_site.s, to_client[i].s, true, to_client[i].s);
	for (size_t i = 0; i < NV_ARRAY_LEN(to_site); i++)
		v->binding(v->ctx, from_client.s, to_site[i].s, true, to_site[i].s);
	v->binding(v->ctx, from_client.s, control.s, false, control.s);
}

/* Names hold no character that means something in a regular expression but '-', which does so only
 * inside brackets; the dots are ours and escaped here. */
static void visit_site_user(const struct nv_topology_visitor *v, const char *s)
{
	char configure[256];
	char write[512];
	char read[512];
	/* Only the queue this archiver is reached by; the token is 128 random bits in hex. */
	snprintf(configure, sizeof configure, "^control\\.%s\\.[0-9a-f]+$", s);
	/* Binding a queue asks for the right to write to it. */
	snprintf(write, sizeof write,
		 "^(from\\.%s|self\\.%s|retry\\.%s\\.[0-9a-z]+|control\\.%s\\.[0-9a-f]+)$", s, s, s,
		 s);
	snprintf(read, sizeof read,
		 "^(archive\\.%s(\\.now)?|catalog\\.%s|control\\.%s(\\.[0-9a-f]+)?|dead\\.%s)$", s,
		 s, s, s);
	v->user(v->ctx, nv_broker_user("archiver", s).s, configure, write, read);
}

static void visit_client_users(const struct nv_topology_visitor *v, const char *c)
{
	char write[512];
	char read[512];
	snprintf(write, sizeof write, "^(from\\.%s|self\\.%s)$", c, c);
	snprintf(read, sizeof read, "^(events\\.%s|dead\\.%s)$", c, c);
	v->user(v->ctx, nv_broker_user("producer", c).s, "^$", write, read);
	snprintf(write, sizeof write, "^(from\\.%s|self\\.%s|retry\\.%s\\.[0-9a-z]+)$", c, c, c);
	snprintf(read, sizeof read, "^(restore\\.%s(\\.now)?|opened\\.%s|dead\\.%s)$", c, c, c);
	v->user(v->ctx, nv_broker_user("worker", c).s, "^$", write, read);
}

/* Neither invalid nor among the first `before` of clients, then sites. */
static bool name_ok(const char *const *clients, size_t clients_len, const char *const *sites,
		    size_t before)
{
	const char *name = before < clients_len ? clients[before] : sites[before - clients_len];
	if (!name || !nv_name_valid(name))
		return false;
	for (size_t i = 0; i < before; i++) {
		const char *other = i < clients_len ? clients[i] : sites[i - clients_len];
		if (strcmp(other, name) == 0)
			return false;
	}
	return true;
}

int nv_topology_visit(const char *const *clients, size_t clients_len, const char *const *sites,
		      size_t sites_len, unsigned replicas, const struct nv_topology_visitor *v)
{
	for (size_t i = 0; i < clients_len + sites_len; i++)
		if (!name_ok(clients, clients_len, sites, i))
			return -1;
	for (size_t i = 0; i < clients_len; i++)
		visit_client(v, clients[i], replicas);
	for (size_t i = 0; i < sites_len; i++)
		visit_site(v, sites[i], replicas);
	for (size_t c = 0; c < clients_len; c++)
		for (size_t s = 0; s < sites_len; s++)
			visit_pair(v, clients[c], sites[s]);
	for (size_t i = 0; i < clients_len; i++)
		visit_client_users(v, clients[i]);
	for (size_t i = 0; i < sites_len; i++)
		visit_site_user(v, sites[i]);
	return 0;
}
