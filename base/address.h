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

/* "192.0.2.7", "2001:db8::7"; -1: not an address. */
int nv_address_parse(const char *text, struct nv_address *ret);
/* -1: of another family. */
int nv_address_of(const struct sockaddr *sa, struct nv_address *ret);
void nv_address_text(const struct nv_address *a, char ret[NV_ADDRESS_SIZE]);
/* The part that identifies one subscriber: an IPv4 address, or the /64 of an IPv6 address. */
struct nv_address nv_address_subscriber(const struct nv_address *a);
bool nv_address_equal(const struct nv_address *a, const struct nv_address *b);

/* An address, or a network such as "10.0.0.0/8"; -1: neither. */
int nv_network_parse(const char *text, struct nv_network *ret);
bool nv_network_has(const struct nv_network *n, const struct nv_address *a);

/* Is the host (a name, or an address with or without brackets) certainly this machine?  Unencrypted
 * connections to any other machine need explicit permission. */
bool nv_host_is_loopback(const char *host);

#endif
