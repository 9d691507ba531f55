/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/http/peer.h"

#include <string.h>

bool nv_proxies_have(const struct nv_proxies *p, const struct nv_address *a)
{
	for (size_t i = 0; i < p->len; i++)
		if (nv_network_has(&p->list[i], a))
			return true;
	return false;
}

/* One element: an address, with a port perhaps ("192.0.2.7:443", "[2001:db8::7]:443"). */
static int read_element(const char *s, size_t len, struct nv_address *ret)
{
	char text[NV_ADDRESS_SIZE];
	const char *colon;

	while (len && (*s == ' ' || *s == '\t')) {
		s++;
		len--;
	}
	while (len && (s[len - 1] == ' ' || s[len - 1] == '\t'))
		len--;
	const char *bracket = len && *s == '[' ? memchr(s, ']', len) : NULL;
	if (bracket) {
		s++;
		len = (size_t)(bracket - s);
	} else if ((colon = memchr(s, ':', len)) && memrchr(s, ':', len) == colon) {
		len = (size_t)(colon - s);
	}
	if (len >= sizeof text)
		return -1;
	memcpy(text, s, len);
	text[len] = '\0';
	return nv_address_parse(text, ret);
}

struct nv_address nv_peer_own(const struct nv_proxies *p, const struct nv_address *socket,
			      const char *forwarded)
{
	struct nv_address own = *socket;
	size_t end = forwarded ? strlen(forwarded) : 0;

	while (end && nv_proxies_have(p, &own)) {
		const char *comma = memrchr(forwarded, ',', end);
		size_t from = comma ? (size_t)(comma - forwarded) + 1 : 0;
		struct nv_address told;

		if (read_element(forwarded + from, end - from, &told) < 0)
			break;
		own = told;
		end = comma ? from - 1 : 0;
	}
	return own;
}
