/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Internet addresses and networks, of both families in one form. */
#ifndef NV_ADDRESS_H
#define NV_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>

struct sockaddr;

#define NV_ADDRESS_SIZE 46u /* of the text, with its NUL */

struct nv_address {
	uint8_t bytes[16]; /* of IPv6; an IPv4 address as ::ffff:a.b.c.d */
};
struct nv_network {
	struct nv_address base;
	unsigned bits; /* of 128 */
};

/* "192.0.2.7", "2001:db8::7"; -1: it is none. */
int nv_address_parse(const char *text, struct nv_address *ret);
/* -1: of another family. */
int nv_address_of(const struct sockaddr *sa, struct nv_address *ret);
void nv_address_text(const struct nv_address *a, char ret[NV_ADDRESS_SIZE]);
/* What one subscriber has: the address itself, of IPv6 its /64. */
struct nv_address nv_address_subscriber(const struct nv_address *a);
bool nv_address_equal(const struct nv_address *a, const struct nv_address *b);

/* An address, or a network as "10.0.0.0/8"; -1: it is none. */
int nv_network_parse(const char *text, struct nv_network *ret);
bool nv_network_has(const struct nv_network *n, const struct nv_address *a);

/* Is that host, by its name or address (an IPv6 one in brackets or not), this machine for sure?
 * What travels unencrypted needs a permission of its own elsewhere. */
bool nv_host_is_loopback(const char *host);

#endif
