/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

#define IPV4_PREFIX 12u /* bytes before an IPv4 address */
#define SUBSCRIBER_BYTES 8u

static const uint8_t mapped[IPV4_PREFIX] = {[10] = 0xff, [11] = 0xff};

static bool is_ipv4(const struct nv_address *a)
{
	return memcmp(a->bytes, mapped, sizeof mapped) == 0;
}

int nv_address_parse(const char *text, struct nv_address *ret)
{
	memcpy(ret->bytes, mapped, sizeof mapped);
	if (inet_pton(AF_INET, text, ret->bytes + IPV4_PREFIX) == 1)
		return 0;
	return inet_pton(AF_INET6, text, ret->bytes) == 1 ? 0 : -1;
}

int nv_address_of(const struct sockaddr *sa, struct nv_address *ret)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;

	if (sa->sa_family == AF_INET) {
		memcpy(&in, sa, sizeof in);
		memcpy(ret->bytes, mapped, sizeof mapped);
		memcpy(ret->bytes + IPV4_PREFIX, &in.sin_addr, sizeof in.sin_addr);
		return 0;
	}
	if (sa->sa_family != AF_INET6)
		return -1;
	memcpy(&in6, sa, sizeof in6);
	memcpy(ret->bytes, &in6.sin6_addr, sizeof ret->bytes);
	return 0;
}

void nv_address_text(const struct nv_address *a, char ret[NV_ADDRESS_SIZE])
{
	if (is_ipv4(a))
		inet_ntop(AF_INET, a->bytes + IPV4_PREFIX, ret, NV_ADDRESS_SIZE);
	else
		inet_ntop(AF_INET6, a->bytes, ret, NV_ADDRESS_SIZE);
}

struct nv_address nv_address_subscriber(const struct nv_address *a)
{
	struct nv_address s = *a;

	if (!is_ipv4(a))
		memset(s.bytes + SUBSCRIBER_BYTES, 0, sizeof s.bytes - SUBSCRIBER_BYTES);
	return s;
}

bool nv_address_equal(const struct nv_address *a, const struct nv_address *b)
{
	return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

int nv_network_parse(const char *text, struct nv_network *ret)
{
	char host[NV_ADDRESS_SIZE];
	size_t len = strcspn(text, "/");
	unsigned bits = 0;

	if (len >= sizeof host)
		return -1;
	memcpy(host, text, len);
	host[len] = '\0';
	if (nv_address_parse(host, &ret->base) < 0)
		return -1;
	bool v4 = !strchr(host, ':');
	unsigned width = v4 ? 32 : 128;
	if (!text[len]) {
		ret->bits = 128;
		return 0;
	}
	const char *digits = text + len + 1;
	size_t digits_len = strlen(digits);
	if (!digits_len || digits_len > 3 || strspn(digits, "0123456789") != digits_len)
		return -1;
	for (; *digits; digits++)
		bits = bits * 10 + (unsigned)(*digits - '0');
	if (bits > width)
		return -1;
	ret->bits = 128 - width + bits;
	return 0;
}

bool nv_network_has(const struct nv_network *n, const struct nv_address *a)
{
	unsigned bytes = n->bits / 8;
	unsigned rest = n->bits % 8;

	if (memcmp(n->base.bytes, a->bytes, bytes) != 0)
		return false;
	return !rest || (n->base.bytes[bytes] ^ a->bytes[bytes]) >> (8 - rest) == 0;
}

bool nv_host_is_loopback(const char *host)
{
	uint8_t addr[16];

	if (strcasecmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0)
		return true;
	if (inet_pton(AF_INET, host, addr) == 1)
		return addr[0] == 127;
	if (inet_pton(AF_INET6, host, addr) == 1)
		return memcmp(addr, &in6addr_loopback, sizeof addr) == 0;
	return false;
}
