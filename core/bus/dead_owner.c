/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/bus/dead_owner.h"

#include <string.h>

/* All that clients sign. */
#define CLIENTS_KINDS                                                   \
	(1u << NV_KIND_RESTORE_REQUEST | 1u << NV_KIND_CANCEL_REQUEST | \
	 1u << NV_KIND_CATALOG_REQUEST | 1u << NV_KIND_ENROL_REQUEST |  \
	 1u << NV_KIND_LETTERS_REQUEST)

static const char *request_of(const struct nv_envelope *env)
{
	switch (env->kind) {
	case NV_KIND_RESTORE_REQUEST:
		return env->body.restore_request.id;
	case NV_KIND_CANCEL_REQUEST:
		return env->body.cancel_request.id;
	case NV_KIND_ENROL_REQUEST:
		return env->body.enrol_request.request;
	default:
		return "";
	}
}

bool nv_letter_whose(const struct nv_letter *l, const struct nv_keyring *clients,
		     struct nv_whose *ret)
{
	const void *data = l->message.body.bytes;
	size_t len = l->message.body.len;
	struct nv_envelope env;
	*ret = (struct nv_whose){.kind = ""};
	if (nv_envelope_open(data, len, clients, CLIENTS_KINDS, 0, &env, NULL) == 0)
		ret->kind = nv_kind_info(env.kind)->word;
	else if (nv_envelope_open_inside(data, len, clients, &env, NULL) < 0)
		return false;
	snprintf(ret->client, sizeof ret->client, "%s", env.from);
	snprintf(ret->request, sizeof ret->request, "%s", request_of(&env));
	if (env.kind == NV_KIND_RESTORE_REQUEST)
		ret->rev = env.body.restore_request.rev;
	nv_envelope_fini(&env);
	return true;
}

bool nv_letter_is_replay(const struct nv_letter *l)
{
	return l->reason && strcmp(l->reason, nv_reason_word(NV_R_replayed)) == 0;
}
