/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Obsolete dead letters: their request was restored, cancelled, or submitted again as a new
 * revision.
 *
 * Two blocking steps: find out which requests have letters; then, once the caller has looked up the
 * state of those requests, remove the settled letters.
 *
 * Questions about letters, or answers to them, that a daemon of the first release has put there are
 * removed as well: it does not know these kinds (docs/architecture.md, "New messages, old peers"),
 * and nobody waits for them any more. */
#ifndef NV_BUS_DEAD_SETTLED_H
#define NV_BUS_DEAD_SETTLED_H

#include "core/bus/dead_letters.h"
#include "proto/envelope.h"

#define NV_SETTLED_MAX 1000u /* letters of one look that carry a request */

struct nv_dead_request {
	char letter[NV_LETTER_ID];
	char client[NV_NAME_MAX + 1];
	char id[NV_UUID_SIZE]; /* "": a question or an answer; it is settled */
	uint64_t rev;
	bool settled; /* for the caller to say of requests */
};
struct nv_dead_requests {
	struct nv_dead_request *items;
	size_t len;
};
/* Letters that carry a request signed by one of these clients, alone or inside another message; not
 * wishes to join a course, and no replays.  And questions or answers about letters that one of
 * these peers has signed.  Free items. */
int nv_dead_look(const struct nv_config *config, const char *owner, const char *name,
		 const struct nv_keyring *clients, const struct nv_keyring *peers,
		 struct nv_dead_requests *ret, struct nv_err *err);
/* Remove those that are settled; ret_gone: how many were still there. */
int nv_dead_remove_settled(const struct nv_config *config, const char *owner, const char *name,
			   const struct nv_dead_requests *list, size_t *ret_gone,
			   struct nv_err *err);

#endif
