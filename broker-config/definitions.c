/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The topology as JSON, in the form RabbitMQ's definitions files have. */
#include "broker-config/admin_internal.h"

#include <string.h>

#include "broker-config/topology.h"

struct rendering {
	json_t *root;
	const char *vhost;
};

static void put(struct rendering *r, const char *list, json_t *item)
{
	json_array_append_new(json_object_get(r->root, list), item);
}

static void on_exchange(void *ctx, const char *name, const char *type)
{
	struct rendering *r = ctx;
	put(r, "exchanges",
	    json_pack("{s:s, s:s, s:s, s:b, s:b, s:b, s:{}}", "name", name, "vhost", r->vhost,
		      "type", type, "durable", 1, "auto_delete", 0, "internal", 0, "arguments"));
}

static void on_queue(void *ctx, const char *name, uint64_t ttl_ms, const char *dlx, const char *dlk,
		     unsigned replicas)
{
	struct rendering *r = ctx;
	json_t *a = json_pack("{s:s, s:i}", "x-queue-type", "quorum", "x-quorum-initial-group-size",
			      (int)replicas);
	if (ttl_ms)
		json_object_set_new(a, "x-message-ttl", json_integer((json_int_t)ttl_ms));
	if (dlx) {
		/* At least once takes these two together, and the feature flag stream_queue. */
		json_object_set_new(a, "x-dead-letter-exchange", json_string(dlx));
		json_object_set_new(a, "x-dead-letter-strategy", json_string("at-least-once"));
		json_object_set_new(a, "x-overflow", json_string("reject-publish"));
	}
	if (dlk) {
		json_object_set_new(a, "x-dead-letter-routing-key", json_string(dlk));
		json_object_set_new(a, "x-delivery-limit", json_integer(NV_DELIVERY_LIMIT));
	}
	put(r, "queues",
	    json_pack("{s:s, s:s, s:b, s:b, s:o}", "name", name, "vhost", r->vhost, "durable", 1,
		      "auto_delete", 0, "arguments", a));
}

static void on_binding(void *ctx, const char *source, const char *destination, bool to_queue,
		       const char *key)
{
	struct rendering *r = ctx;
	put(r, "bindings",
	    json_pack("{s:s, s:s, s:s, s:s, s:s, s:{}}", "source", source, "vhost", r->vhost,
		      "destination", destination, "destination_type",
		      to_queue ? "queue" : "exchange", "routing_key", key, "arguments"));
}

static void on_user(void *ctx, const char *name, const char *configure, const char *write,
		    const char *read)
{
	struct rendering *r = ctx;
	put(r, "permissions",
	    json_pack("{s:s, s:s, s:s, s:s, s:s}", "user", name, "vhost", r->vhost, "configure",
		      configure, "write", write, "read", read));
}

json_t *nv_broker_topology(const struct nv_broker_settings *broker, const char *vhost,
			   struct nv_err *err)
{
	struct rendering r = {
		.root = json_pack("{s:[], s:[], s:[], s:[]}", "permissions", "exchanges", "queues",
				  "bindings"),
		.vhost = vhost,
	};
	struct nv_topology_visitor v = {.exchange = on_exchange,
					.queue = on_queue,
					.binding = on_binding,
					.user = on_user,
					.ctx = &r};
	unsigned replicas = broker->replicas ? (unsigned)broker->replicas : 1;
	if (nv_topology_visit(broker->clients, broker->clients_len, broker->sites,
			      broker->sites_len, replicas, &v) == 0)
		return r.root;
	json_decref(r.root);
	nv_fail(err, NV_FATAL, NV_R_config,
		"broker.clients, broker.sites: a name is not of a-z, 0-9 and -, or stands twice (a "
		"client and a site may not share a name)");
	return NULL;
}

int nv_broker_definitions(const struct nv_broker_settings *broker, struct nv_buf *out,
			  struct nv_err *err)
{
	nv_auto_free char *vhost = nv_broker_vhost(broker);
	nv_auto_json json_t *root = nv_broker_topology(broker, vhost, err);
	if (!root)
		return -1;
	json_object_del(root, "permissions");
	json_object_set_new(root, "vhosts", json_pack("[{s:s}]", "name", vhost));
	char *text = json_dumps(root, JSON_INDENT(2) | JSON_SORT_KEYS);
	nv_buf_puts(out, text);
	nv_buf_puts(out, "\n");
	free(text);
	return 0;
}
