/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The peer's address, for limits and the log. */
#ifndef NV_HTTP_PEER_H
#define NV_HTTP_PEER_H

#include <stddef.h>

#include "base/address.h"

/* Proxies whose X-Forwarded-For is trusted. */
struct nv_proxies {
	struct nv_network *list;
	size_t len;
};

bool nv_proxies_have(const struct nv_proxies *p, const struct nv_address *a);
/* The peer's own address: that of the socket, unless a trusted proxy is there.  Then the last
 * element of X-Forwarded-For (all its lines joined; NULL: none) that is not a trusted proxy itself:
 * everything before it may be forged. An element that is not an address is replaced by the address
 * of the proxy that sent it. */
struct nv_address nv_peer_own(const struct nv_proxies *p, const struct nv_address *socket,
			      const char *forwarded);

#endif
