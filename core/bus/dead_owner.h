/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whose a dead letter is.  Only a signature tells: headers, and what a message that cannot be
 * verified says of itself, are somebody's word. */
#ifndef NV_BUS_DEAD_OWNER_H
#define NV_BUS_DEAD_OWNER_H

#include "core/bus/dead_letters.h"
#include "proto/envelope.h"

struct nv_whose {
	char client[NV_NAME_MAX + 1];
	const char *kind;	    /* "": the client's request is inside another message */
	char request[NV_UUID_SIZE]; /* the request it is about; "": about none */
	uint64_t rev;		    /* of the restore.request in it; 0: none is */
};
/* false: the letter bears the signature of none of these clients.  Whatever the clocks say, also
 * when it has expired.  Only while the letter's message is there. */
bool nv_letter_whose(const struct nv_letter *l, const struct nv_keyring *clients,
		     struct nv_whose *ret);
/* It was served before: it says nothing of its request, but that somebody tries something. */
bool nv_letter_is_replay(const struct nv_letter *l);

#endif
