/* SPDX-License-Identifier: GPL-3.0-or-later */
/* States of what goes through stages: a request being submitted, an export, a restore.
 *
 * Whoever has such stages lists them in an enum, each value with a comment that says what holds
 * there and who may touch the object; makes one table of the moves that are allowed; and has one
 * function that moves the object, which calls nv_states_move:
 *
 *   static const struct nv_states states = {
 *           .event = "export.state",
 *           .len = 3,
 *           .states = {[NEW] = {"new", NV_TO(RUNNING)},
 *                      [RUNNING] = {"running", NV_TO(ENDED)},
 *                      [ENDED] = {"ended", 0}}};
 *
 *   static void move(struct export *e, enum export_state to)
 *   {
 *           nv_states_move(&states, e->state, to, e->id);
 *           e->state = to;
 *   }
 */
#ifndef NV_STATES_H
#define NV_STATES_H

#include <stdint.h>

#define NV_STATES_MAX 16u
/* The states that may follow, at most six. */
#define NV_TO(...)                                                                             \
	NV_TO_OF(__VA_ARGS__, NV_NO_STATE, NV_NO_STATE, NV_NO_STATE, NV_NO_STATE, NV_NO_STATE, \
		 NV_NO_STATE)
#define NV_TO_OF(a, b, c, d, e, f, ...)                                                            \
	(NV_STATE_BIT(a) | NV_STATE_BIT(b) | NV_STATE_BIT(c) | NV_STATE_BIT(d) | NV_STATE_BIT(e) | \
	 NV_STATE_BIT(f))
#define NV_STATE_BIT(state) (UINT32_C(1) << (state))
#define NV_NO_STATE 31u

struct nv_states {
	const char *event; /* of the line that each move logs at debug */
	unsigned len;
	struct {
		const char *name;
		uint32_t next; /* NV_TO(…) */
	} states[NV_STATES_MAX];
};

/* Logs the move.  req: the request it is about; NULL: none is known.
 *
 * A move that the table does not allow is a mistake in the program, after which nothing that it
 * does to the object can be trusted: the process logs it (event state.impossible) and ends at once,
 * by an assertion in debug builds, otherwise with status 1.  Its messages go back to their queues.
 */
void nv_states_move(const struct nv_states *s, unsigned from, unsigned to, const char *req);

#endif
