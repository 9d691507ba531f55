/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/dead/settled.h"

#include <string.h>

struct looking {
	const struct nv_keyring *clients;
	struct nv_dead_requests *ret;
};

static bool open_request(const struct nv_letter *l, const struct nv_keyring *clients,
			 struct nv_envelope *env)
{
	const void *data = l->message.body.bytes;
	size_t len = l->message.body.len;
	return nv_envelope_open(data, len, clients, 1u << NV_KIND_RESTORE_REQUEST, 0, env, NULL) ==
		       0 ||
	       nv_envelope_open_inside(data, len, clients, env, NULL) == 0;
}

static bool look(void *arg, struct nv_letter *l)
{
	struct looking *k = arg;
	struct nv_dead_requests *r = k->ret;
	struct nv_envelope env;
	/* A replay says nothing of the request, but that somebody tries something. */
	bool replay = l->reason && strcmp(l->reason, nv_reason_word(NV_R_replayed)) == 0;
	if (replay || !open_request(l, k->clients, &env))
		return false;
	const struct nv_restore_request *q = &env.body.restore_request;
	r->items = nv_realloc(r->items, (r->len + 1) * sizeof *r->items);
	struct nv_dead_request *one = &r->items[r->len++];
	*one = (struct nv_dead_request){.rev = q->rev};
	memcpy(one->letter, l->id, sizeof one->letter);
	snprintf(one->client, sizeof one->client, "%s", env.from);
	snprintf(one->id, sizeof one->id, "%s", q->id);
	nv_envelope_fini(&env);
	return false; /* it is not put anywhere */
}

/* 1: there are letters. */
static int open_queue(struct nv_dead *d, const struct nv_config *config, const char *owner,
		      const char *name, struct nv_err *err)
{
	struct nv_amqp_queue_state q = {0};
	if (nv_dead_open(d, config, owner, name, err) < 0 ||
	    nv_amqp_queue(d->amqp, d->queue.s, &q, err) < 0)
		return -1;
	return q.ready > 0;
}

int nv_dead_look(const struct nv_config *config, const char *owner, const char *name,
		 const struct nv_keyring *clients, struct nv_dead_requests *ret, struct nv_err *err)
{
	struct looking k = {clients, ret};
	struct nv_dead d;
	*ret = (struct nv_dead_requests){0};
	int rc = open_queue(&d, config, owner, name, err);
	if (rc > 0)
		rc = nv_dead_take_all(&d, NV_SETTLED_MAX, look, &k, err);
	nv_dead_close(&d);
	return rc;
}

static bool is_settled(const struct nv_dead_requests *list, const char *letter)
{
	for (size_t i = 0; i < list->len; i++)
		if (list->items[i].settled && strcmp(list->items[i].letter, letter) == 0)
			return true;
	return false;
}

static bool look_at_none(void *arg, struct nv_letter *l)
{
	(void)arg;
	(void)l;
	return false;
}

int nv_dead_remove_settled(const struct nv_config *config, const char *owner, const char *name,
			   const struct nv_dead_requests *list, size_t *ret_gone,
			   struct nv_err *err)
{
	struct nv_dead d;
	*ret_gone = 0;
	int rc = open_queue(&d, config, owner, name, err);
	if (rc > 0)
		rc = nv_dead_take_all(&d, NV_SETTLED_MAX, look_at_none, NULL, err);
	for (size_t i = 0; rc == 0 && i < d.len; i++) {
		if (!is_settled(list, d.letters[i].id))
			continue;
		rc = nv_dead_discard(&d, &d.letters[i], err);
		*ret_gone += rc == 0;
	}
	nv_dead_close(&d);
	return rc;
}
