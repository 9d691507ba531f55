/* SPDX-License-Identifier: GPL-3.0-or-later */
/* queues: by the management interface where it is configured, else by AMQP. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "broker-config/admin_internal.h"
#include "cli/amqp.h"

/* --- whose queues --- */

static size_t add_owner(struct cli_owner *owners, size_t len, const char *name, bool site)
{
	if (!name || len == CLI_OWNERS_MAX)
		return len;
	owners[len] = (struct cli_owner){.name = name, .site = site};
	return len + 1;
}

size_t nv_cli_owners(const struct nv_config *config, struct cli_owner ret[CLI_OWNERS_MAX])
{
	size_t n = add_owner(ret, 0, config->identity.client, false);
	n = add_owner(ret, n, config->identity.site, true);
	if (n)
		return n;
	for (size_t i = 0; i < config->broker.clients_len; i++)
		n = add_owner(ret, n, config->broker.clients[i], false);
	for (size_t i = 0; i < config->broker.sites_len; i++)
		n = add_owner(ret, n, config->broker.sites[i], true);
	return n;
}

/* --- asking --- */

struct asking {
	const struct nv_config *config;
	struct nv_mgmt management;
	struct nv_amqp *amqp; /* NULL: by management */
	char *vhost;
	struct cli_table table;
	json_t *list;
	bool missing;
};

static uint64_t number(const json_t *doc, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(doc, key));
	return n > 0 ? (uint64_t)n : 0;
}

/* 1: there, with *ret_unacked; 0: no such queue; -1. */
static int ask_management(struct asking *a, const char *name, struct nv_amqp_queue_state *ret,
			  uint64_t *ret_unacked, struct nv_err *err)
{
	nv_auto_free char *path = NV_MGMT_PATH("queues", a->vhost, name);
	nv_auto_json json_t *doc = NULL;
	int status = nv_mgmt_call(&a->management, "GET", path, NULL, &doc, err);
	if (status < 0)
		return -1;
	ret->ready = number(doc, "messages_ready");
	ret->consumers = number(doc, "consumers");
	*ret_unacked = number(doc, "messages_unacknowledged");
	return doc != NULL;
}

static int ask_amqp(struct asking *a, const char *name, struct nv_amqp_queue_state *ret,
		    struct nv_err *err)
{
	if (nv_amqp_queue(a->amqp, name, ret, err) == 0)
		return 1;
	return err->reason == NV_R_unroutable ? nv_amqp_reopen(a->amqp, err) : -1;
}

static void add_line(struct asking *a, const char *name, const struct nv_amqp_queue_state *q,
		     const uint64_t *unacked, bool there)
{
	nv_auto_free char *ready = nv_asprintf("%" PRIu64, q->ready);
	nv_auto_free char *held = unacked ? nv_asprintf("%" PRIu64, *unacked) : nv_strdup("?");
	nv_auto_free char *consumers = nv_asprintf("%" PRIu64, q->consumers);
	if (there)
		nv_cli_row(&a->table, name, ready, held, consumers, NULL);
	else
		nv_cli_row(&a->table, name, "missing", "", "", NULL);
	json_t *item = json_pack("{s:s, s:b}", "queue", name, "exists", (int)there);
	if (there) {
		json_object_set_new(item, "ready", json_integer((json_int_t)q->ready));
		json_object_set_new(item, "unacked",
				    unacked ? json_integer((json_int_t)*unacked) : json_null());
		json_object_set_new(item, "consumers", json_integer((json_int_t)q->consumers));
	}
	json_array_append_new(a->list, item);
	if (!there)
		a->missing = true;
}

static int ask(struct asking *a, const char *name, struct nv_err *err)
{
	struct nv_amqp_queue_state q = {0};
	uint64_t unacked = 0;
	int rc = a->amqp ? ask_amqp(a, name, &q, err) : ask_management(a, name, &q, &unacked, err);
	if (rc < 0)
		return -1;
	add_line(a, name, &q, a->amqp ? NULL : &unacked, rc > 0);
	return 0;
}

static int ask_all(struct asking *a, const struct cli_owner *owners, size_t len, struct nv_err *err)
{
	nv_cli_row(&a->table, "QUEUE", "READY", "UNACKED", "CONSUMERS", NULL);
	for (size_t i = 0; i < len; i++) {
		struct nv_topology_name names[NV_OWNER_QUEUES];
		size_t n = nv_owner_queues(owners[i].name, owners[i].site, names);
		for (size_t k = 0; k < n; k++)
			if (ask(a, names[k].s, err) < 0)
				return -1;
	}
	return 0;
}

static int open_asking(struct asking *a, struct nv_err *err)
{
	if (!a->config->broker.management_url) {
		a->amqp = nv_amqp_open(a->config, "navette command", err);
		return a->amqp ? 0 : -1;
	}
	a->vhost = nv_broker_vhost(&a->config->broker);
	return nv_mgmt_init(&a->management, &a->config->broker, err);
}

static void close_asking(struct asking *a)
{
	if (a->config->broker.management_url)
		nv_mgmt_fini(&a->management);
	nv_amqp_close(a->amqp);
	free(a->vhost);
}

int nv_cli_queues(struct cli *c)
{
	struct cli_owner owners[CLI_OWNERS_MAX];
	struct asking a = {.config = nv_cli_config(c)};
	struct nv_err err = {0};
	if (!a.config)
		return CLI_FAILED;
	size_t len = nv_cli_owners(a.config, owners);
	if (!len)
		return nv_cli_failf(
			c, NV_R_config,
			"%s: neither identity.client, identity.site, broker.clients nor "
			"broker.sites is set",
			a.config->path);
	a.list = json_array();
	int rc = open_asking(&a, &err);
	if (rc == 0)
		rc = ask_all(&a, owners, len, &err);
	close_asking(&a);
	if (rc < 0) {
		nv_cli_fail(c, &err); /* after it, the rows that there are */
		return nv_cli_answer(c, json_pack("{s:o}", "queues", a.list), &a.table, CLI_FAILED);
	}
	int status = nv_cli_answer(c, json_pack("{s:o}", "queues", a.list), &a.table,
				   a.missing ? CLI_FAILED : CLI_OK);
	if (a.missing && !c->json)
		fprintf(stderr, "navette: queues are missing; navette broker apply makes them\n");
	return status;
}
