/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/bus/dead_settled.h"

#include <string.h>

#include "core/bus/dead_owner.h"

struct looking {
	const struct nv_keyring *clients;
	const struct nv_keyring *peers;
	struct nv_dead_requests *ret;
};

/* Of a kind that the first release does not know, and given up as not understood, although it can
 * be.  Whatever else was given up so is for an operator to see. */
static bool is_lost_question(const struct nv_letter *l, const struct nv_keyring *peers)
{
	const amqp_bytes_t *body = &l->message.body;
	struct nv_envelope env;
	unsigned kinds = 1u << NV_KIND_LETTERS_REQUEST | 1u << NV_KIND_LETTERS_REPLY;
	if (!l->reason || strcmp(l->reason, nv_reason_word(NV_R_bad_message)) != 0 ||
	    nv_envelope_open(body->bytes, body->len, peers, kinds, 0, &env, NULL) < 0)
		return false;
	nv_envelope_fini(&env);
	return true;
}

static enum nv_look look(void *arg, struct nv_letter *l)
{
	struct looking *k = arg;
	struct nv_dead_requests *r = k->ret;
	struct nv_whose w = {.kind = ""};
	bool lost = is_lost_question(l, k->peers);
	if (!lost && (nv_letter_is_replay(l) || !nv_letter_whose(l, k->clients, &w) || !w.rev))
		return NV_LOOK_PASS;
	r->items = nv_realloc(r->items, (r->len + 1) * sizeof *r->items);
	struct nv_dead_request *one = &r->items[r->len++];
	*one = (struct nv_dead_request){.rev = w.rev, .settled = lost};
	memcpy(one->letter, l->id, sizeof one->letter);
	memcpy(one->client, w.client, sizeof one->client);
	memcpy(one->id, w.request, sizeof one->id);
	return NV_LOOK_NOTE;
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
		 const struct nv_keyring *clients, const struct nv_keyring *peers,
		 struct nv_dead_requests *ret, struct nv_err *err)
{
	struct looking k = {clients, peers, ret};
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

static enum nv_look look_for_settled(void *arg, struct nv_letter *l)
{
	return is_settled(arg, l->id) ? NV_LOOK_NOTE : NV_LOOK_PASS;
}

int nv_dead_remove_settled(const struct nv_config *config, const char *owner, const char *name,
			   const struct nv_dead_requests *list, size_t *ret_gone,
			   struct nv_err *err)
{
	struct nv_dead d;
	*ret_gone = 0;
	int rc = open_queue(&d, config, owner, name, err);
	if (rc > 0)
		rc = nv_dead_take_all(&d, NV_SETTLED_MAX, look_for_settled, (void *)(uintptr_t)list,
				      err);
	for (size_t i = 0; rc == 0 && i < d.len; i++) {
		rc = nv_dead_discard(&d, &d.letters[i], err);
		*ret_gone += rc == 0;
	}
	nv_dead_close(&d);
	return rc;
}
