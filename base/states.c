/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/states.h"

#include <assert.h>
#include <stdbool.h>
#include <unistd.h>

#include "base/log.h"

static const char *name_of(const struct nv_states *s, unsigned state)
{
	return state < s->len ? s->states[state].name : "no state";
}

void nv_states_move(const struct nv_states *s, unsigned from, unsigned to, const char *req)
{
	bool allowed = from < s->len && to < s->len && (s->states[from].next & NV_STATE_BIT(to));
	if (allowed) {
		NV_LOG(NV_DEBUG, s->event, NV_S("req", req), NV_S("from", name_of(s, from)),
		       NV_S("to", name_of(s, to)));
		return;
	}
	struct nv_err err;
	nv_fail(&err, NV_FATAL, NV_R_internal, "%s: no move from \"%s\" to \"%s\"", s->event,
		name_of(s, from), name_of(s, to));
	NV_LOG(NV_ERROR, "state.impossible", NV_S("req", req), NV_E(&err));
	assert(allowed);
	_exit(1);
}
