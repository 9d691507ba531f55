/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The one table of states: who may move a request from where to where.  The Lua scripts get it from
 * here (scripts.c writes it into their head), so that there is no second one. */
#include <string.h>

#include "core/status/status.h"

static const char *const words[NV_ST_COUNT] = {
#define X(name, final) [NV_ST_##name] = #name,
	NV_STATES(X)
#undef X
};

static const bool finals[NV_ST_COUNT] = {
#define X(name, final) [NV_ST_##name] = (final),
	NV_STATES(X)
#undef X
};

/* who may do it: any of "pkw"; NULL: nobody. */
static const char *const moves[NV_ST_COUNT][NV_ST_COUNT] = {
	[NV_ST_scheduled] =
		{
			[NV_ST_scheduled] = "pk", /* p: changed; k: held, says why */
			[NV_ST_exporting] = "k",
			[NV_ST_ready] = "kw",
			[NV_ST_importing] = "w",
			[NV_ST_failed] = "pkw", /* p: there is no queue for it */
			[NV_ST_cancelled] = "pkw",
			[NV_ST_restored] = "w", /* by a worker that had lost its claim */
		},
	[NV_ST_exporting] =
		{
			[NV_ST_exporting] = "k", /* progress */
			[NV_ST_ready] = "kw",
			[NV_ST_importing] = "w",
			[NV_ST_failed] = "kw",
			[NV_ST_cancelling] = "p",
			[NV_ST_cancelled] = "k", /* the wish to cancel was lost with Redis */
			[NV_ST_scheduled] = "kw",
			[NV_ST_restored] = "w",
		},
	[NV_ST_ready] =
		{
			[NV_ST_importing] = "w",
			[NV_ST_failed] = "kw",
			[NV_ST_cancelled] = "pw",
			[NV_ST_scheduled] = "w", /* a new export is needed */
			[NV_ST_restored] = "w",
		},
	[NV_ST_importing] =
		{
			[NV_ST_importing] = "w", /* progress; claimed anew after a lease ended */
			[NV_ST_restored] = "w",
			[NV_ST_failed] = "w",
			[NV_ST_cancelling] = "p",
			[NV_ST_cancelled] = "w", /* as above: only the worker still knows */
			[NV_ST_ready] = "w",
			[NV_ST_scheduled] = "w",
		},
	[NV_ST_cancelling] =
		{
			[NV_ST_cancelled] = "kwp",
			[NV_ST_restored] = "w", /* the import had committed */
			[NV_ST_failed] = "wk",
		},
	[NV_ST_failed] =
		{
			[NV_ST_scheduled] = "pk", /* p: retry, next revision; k as below */
			[NV_ST_exporting] = "k",  /* an operator requeued the message: */
			[NV_ST_ready] = "k",	  /* an attempt begun after it failed, */
			[NV_ST_failed] = "k",	  /* and over before it was said to run */
			[NV_ST_importing] = "w",  /* requeued likewise */
			[NV_ST_restored] = "w",	  /* it had committed after all */
		},
	[NV_ST_cancelled] =
		{
			[NV_ST_scheduled] = "p",
			[NV_ST_restored] = "w",
		},
};

const char *nv_state_word(enum nv_state s)
{
	return (unsigned)s < NV_ST_COUNT ? words[s] : "unknown";
}

enum nv_state nv_state_from(const char *word)
{
	unsigned i = 0;

	while (i < NV_ST_COUNT && (!word || strcmp(words[i], word) != 0))
		i++;
	return (enum nv_state)i;
}

bool nv_state_final(enum nv_state s)
{
	return (unsigned)s < NV_ST_COUNT && finals[s];
}

bool nv_state_may(char who, enum nv_state from, enum nv_state to)
{
	if ((unsigned)from >= NV_ST_COUNT || (unsigned)to >= NV_ST_COUNT || !who)
		return false;
	return moves[from][to] && strchr(moves[from][to], who);
}
