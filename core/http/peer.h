/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whose request it is: the address that limits are counted by and the log names. */
#ifndef NV_HTTP_PEER_H
#define NV_HTTP_PEER_H

#include <stddef.h>

#include "base/address.h"

/* Proxies whose X-Forwarded-For is believed. */
struct nv_proxies {
	struct nv_network *list;
	size_t len;
};

bool nv_proxies_have(const struct nv_proxies *p, const struct nv_address *a);
/* The peer's own address: that of the socket, unless a trusted proxy is there.  Then the last
 * element of X-Forwarded-For (all its lines joined; NULL: none) that is not a trusted proxy itself:
 * what stands before it, anybody may have written.  An element that is no address counts as
 * unknown, and the proxy that told it stands for it. */
struct nv_address nv_peer_own(const struct nv_proxies *p, const struct nv_address *socket,
			      const char *forwarded);

#endif
