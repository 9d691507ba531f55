/* SPDX-License-Identifier: GPL-3.0-or-later */
/* core/http/peer: whose request it is, directly and behind proxies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "core/http/peer.h"

static const char *const trusted[] = {"127.0.0.0/8", "::1", "10.1.0.0/16", "2001:db8:1::/48"};

static void expect_own(const char *socket, const char *forwarded, const char *want)
{
	struct nv_network list[NV_ARRAY_LEN(trusted)];
	struct nv_proxies p = {list, NV_ARRAY_LEN(trusted)};
	struct nv_address at;
	char text[NV_ADDRESS_SIZE];

	for (size_t i = 0; i < p.len; i++)
		assert_int_equal(nv_network_parse(trusted[i], &list[i]), 0);
	assert_int_equal(nv_address_parse(socket, &at), 0);
	at = nv_peer_own(&p, &at, forwarded);
	nv_address_text(&at, text);
	assert_string_equal(text, want);
}

static void what_a_stranger_writes_into_the_header_is_not_believed(void **state)
{
	(void)state;
	expect_own("192.0.2.1", "198.51.100.1", "192.0.2.1");
	expect_own("10.2.0.1", "198.51.100.1", "10.2.0.1");
	expect_own("2001:db8:2::1", "198.51.100.1", "2001:db8:2::1");
	/* the proxy appends: what stands before was sent by the stranger */
	expect_own("127.0.0.1", "127.0.0.1, 203.0.113.9, 198.51.100.1", "198.51.100.1");
}

static void the_last_address_that_is_no_trusted_proxy_counts(void **state)
{
	(void)state;
	expect_own("127.0.0.1", NULL, "127.0.0.1");
	expect_own("127.0.0.1", "", "127.0.0.1");
	expect_own("127.0.0.1", "198.51.100.1", "198.51.100.1");
	expect_own("::ffff:127.0.0.1", " 198.51.100.1\t", "198.51.100.1");
	expect_own("::1", "198.51.100.1,10.1.2.3 , ::1", "198.51.100.1");
	expect_own("2001:db8:1::7", "2001:db8:3::9", "2001:db8:3::9");
	/* people on a proxy's own machine or network */
	expect_own("127.0.0.1", "10.1.0.7,10.1.0.8", "10.1.0.7");
}

static void ports_are_left_out_and_rubbish_is_not_believed(void **state)
{
	(void)state;
	expect_own("127.0.0.1", "198.51.100.1:4711", "198.51.100.1");
	expect_own("127.0.0.1", "[2001:db8:3::9]:4711", "2001:db8:3::9");
	expect_own("127.0.0.1", "[2001:db8:3::9]", "2001:db8:3::9");
	expect_own("127.0.0.1", "198.51.100.1, unknown", "127.0.0.1");
	expect_own("127.0.0.1", "198.51.100.1, 10.1.0.7 , ", "127.0.0.1");
	expect_own("127.0.0.1", "198.51.100.1,", "127.0.0.1");
	expect_own("127.0.0.1", ",,,", "127.0.0.1");
	expect_own("127.0.0.1", "[", "127.0.0.1");
	expect_own("127.0.0.1", "[]", "127.0.0.1");
	expect_own("127.0.0.1", "[2001:db8:3::9", "127.0.0.1");
	expect_own("127.0.0.1",
		   "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000",
		   "127.0.0.1");
}

static void expect_inside(const char *network, const char *address, bool want)
{
	struct nv_network n;
	struct nv_address a;

	assert_int_equal(nv_network_parse(network, &n), 0);
	assert_int_equal(nv_address_parse(address, &a), 0);
	assert_int_equal(nv_network_has(&n, &a), want);
}

static void networks_of_both_families(void **state)
{
	static const char *const wrong[] = {"",		"/8",	      "10.0.0.0/",    "10.0.0.0/33",
					    "10.0.0/8", "10.0.0.0/x", "10.0.0.0/8/8", "::1/129",
					    "::1/1000", "host",	      "10.0.0.0/-1"};
	struct nv_network n;
	(void)state;
	for (size_t i = 0; i < NV_ARRAY_LEN(wrong); i++)
		assert_int_equal(nv_network_parse(wrong[i], &n), -1);
	expect_inside("10.0.0.0/8", "10.255.0.1", true);
	expect_inside("10.0.0.0/8", "11.0.0.1", false);
	expect_inside("10.0.0.0/9", "10.127.0.1", true);
	expect_inside("10.0.0.0/9", "10.128.0.1", false);
	expect_inside("0.0.0.0/0", "192.0.2.1", true);
	expect_inside("0.0.0.0/0", "2001:db8::1", false);
	expect_inside("::/0", "192.0.2.1", true);
	expect_inside("192.0.2.1", "192.0.2.1", true);
	expect_inside("192.0.2.1", "192.0.2.2", false);
	expect_inside("2001:db8::/33", "2001:db8:7fff::1", true);
	expect_inside("2001:db8::/33", "2001:db8:8000::1", false);
}

static void one_subscriber_of_ipv6_has_64_bits_of_addresses(void **state)
{
	struct nv_address a, b, c;
	(void)state;
	nv_address_parse("2001:db8::1:2:3:4", &a);
	nv_address_parse("2001:db8::4:3:2:1", &b);
	nv_address_parse("2001:db8:0:1::1", &c);
	a = nv_address_subscriber(&a);
	b = nv_address_subscriber(&b);
	c = nv_address_subscriber(&c);
	assert_true(nv_address_equal(&a, &b));
	assert_false(nv_address_equal(&a, &c));
	nv_address_parse("192.0.2.1", &a);
	nv_address_parse("192.0.2.2", &b);
	a = nv_address_subscriber(&a);
	b = nv_address_subscriber(&b);
	assert_false(nv_address_equal(&a, &b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_stranger_writes_into_the_header_is_not_believed),
		cmocka_unit_test(the_last_address_that_is_no_trusted_proxy_counts),
		cmocka_unit_test(ports_are_left_out_and_rubbish_is_not_believed),
		cmocka_unit_test(networks_of_both_families),
		cmocka_unit_test(one_subscriber_of_ipv6_has_64_bits_of_addresses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
