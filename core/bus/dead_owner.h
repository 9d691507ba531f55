/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The owner of a dead letter. Only the signature tells: headers, and the contents of a message that
 * cannot be verified, prove nothing. */
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
/* A replay of a message that was served: it says nothing about the state of its request. */
bool nv_letter_is_replay(const struct nv_letter *l);

#endif
