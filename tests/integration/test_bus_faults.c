/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the bus guarantees when the broker or the way to it is not well. */
#include <string.h>

#include "tests/integration/bus_rig.h"

static void broker(const char *action, const char *more)
{
	nv_auto_free char *line =
		nv_asprintf("%s '%s' %s", action, getenv("NAVETTE_TEST_BROKER_DIR"), more);
	rig_broker(line);
}

#define NUMBERED 201

static void publish_number(struct rig *p, int n)
{
	nv_auto_free char *body = nv_asprintf("%d", n);
	rig_publish(p, "from.main", "archive.s1", body);
}

/* Acknowledge what is held, and note which numbers have come; how many are still to come? */
static size_t take_numbers(struct rig *c, bool *came)
{
	size_t len = 0;
	size_t missing = 0;
	while (c->held_len) {
		struct nv_delivery *d = rig_take(c);
		const char *bytes = nv_delivery_body(d, &len);
		nv_auto_free char *body = nv_strndup(bytes, len);
		came[strtoul(body, NULL, 10) % NUMBERED] = true;
		nv_bus_ack(d);
	}
	for (size_t i = 0; i < NUMBERED; i++)
		missing += !came[i];
	return missing;
}

static void test_a_killed_broker_loses_nothing(void **state)
{
	struct rig p;
	struct rig c;
	bool came[NUMBERED] = {false};
	(void)state;
	rig_open(&p, "producer.main");
	rig_open(&c, "archiver.s1");
	publish_number(&p, 0);
	rig_wait(&p, &p.confirmed, 1);
	rig_consume(&c, "archive.s1", 500);
	rig_wait(&c, &c.seen, 1);
	for (int i = 1; i < 101; i++)
		publish_number(&p, i);
	broker("--stop", "");
	for (int i = 101; i < NUMBERED; i++)
		publish_number(&p, i);
	rig_wait_bool(&p, &p.up, false);
	rig_wait_bool(&c, &c.up, false);
	assert_int_equal(p.state_err.kind, NV_RETRY);
	/* What came over the old connection is no longer ours, and saying so does no harm. */
	for (int i = 0; i < 300 && nv_delivery_live(c.held[0]); i++)
		rig_run(&c, 100); /* it is another connection than the one whose loss was told */
	assert_false(nv_delivery_live(c.held[0]));
	while (c.held_len)
		nv_bus_ack(rig_take(&c));
	size_t before = c.seen;
	broker("--start", "");
	rig_wait_bool(&p, &p.up, true);
	rig_wait(&p, &p.confirmed, NUMBERED);
	assert_int_equal(p.failed, 0);
	rig_wait_bool(&c, &c.up, true);
	/* Each of them, and twice those the broker had stored but not yet confirmed. */
	for (int i = 0; i < 100 && take_numbers(&c, came); i++)
		rig_run(&c, 100);
	for (int i = 0; i < NUMBERED; i++)
		if (!came[i])
			fail_msg("number %d was lost (%zu came before, %zu in all)", i, before,
				 c.seen);
	rig_run(&c, 300);
	take_numbers(&c, came);
	rig_close(&c);
	rig_close(&p);
	rig_wait_count("archive.s1", 0);
}

static void test_a_block_stops_publishing_but_not_acknowledging(void **state)
{
	struct rig p;
	struct rig c;
	(void)state;
	rig_open(&p, "producer.main");
	rig_open(&c, "archiver.s1");
	for (int i = 0; i < 2; i++)
		rig_publish(&p, "from.main", "archive.s1", "x");
	rig_wait(&p, &p.confirmed, 2);
	rig_consume(&c, "archive.s1", 1);
	rig_wait(&c, &c.seen, 1);
	broker("--ctl", "-q set_vm_memory_high_watermark absolute 1000");
	rig_publish(&p, "from.main", "archive.s1", "blocked");
	rig_run(&p, 500);
	rig_publish(&p, "from.main", "archive.s1", "blocked");
	rig_run(&p, 500);
	assert_int_equal(p.confirmed, 2);
	/* The other connection goes on: the next one comes only after an ack. */
	nv_bus_ack(rig_take(&c));
	rig_wait(&c, &c.seen, 2);
	assert_int_equal(p.confirmed, 2);
	assert_int_equal(p.failed, 0);
	broker("--ctl", "-q set_vm_memory_high_watermark 0.9");
	rig_wait(&p, &p.confirmed, 4);
	nv_bus_ack(rig_take(&c));
	rig_wait(&c, &c.seen, 3);
	rig_close(&c);
	rig_close(&p);
	rig_purge("archive.s1");
}

static void test_a_deleted_queue_is_consumed_again_when_it_is_back(void **state)
{
	struct rig r;
	(void)state;
	rig_open(&r, "guest");
	amqp_connection_state_t conn = rig_raw("guest", "guest");
	amqp_bytes_t q = amqp_cstring_bytes("passing");
	assert_non_null(amqp_queue_declare(conn, 1, q, 0, 1, 0, 0, amqp_empty_table));
	rig_consume(&r, "passing", 1);
	rig_run(&r, 300);
	assert_non_null(amqp_queue_delete(conn, 1, q, 0, 0));
	rig_wait_fatal(&r); /* tried again: 404 */
	assert_non_null(amqp_queue_declare(conn, 1, q, 0, 1, 0, 0, amqp_empty_table));
	amqp_basic_publish(conn, 1, amqp_empty_bytes, q, 0, 0, NULL, amqp_cstring_bytes("x"));
	rig_wait(&r, &r.seen, 1);
	nv_bus_ack(rig_take(&r));
	rig_run(&r, 200);
	amqp_queue_delete(conn, 1, q, 0, 0);
	rig_raw_close(conn);
	rig_close(&r);
}

static void test_publications_are_kept_within_bounds_while_there_is_no_broker(void **state)
{
	struct rig r;
	(void)state;
	rig_init(&r, "guest");
	free(r.uri);
	r.uri = nv_strdup("amqp://guest@127.0.0.1:1/");
	r.config.broker.publish_timeout = 60000;
	rig_start(&r);
	for (int i = 0; i < 10001; i++)
		rig_publish(&r, "from.main", "archive.s1", "x");
	assert_int_equal(r.failed, 0); /* no callback before the call has returned */
	rig_wait(&r, &r.failed, 1);
	assert_int_equal(r.failed, 1);
	assert_int_equal(r.last_err.kind, NV_RETRY);
	assert_int_equal(r.last_err.reason, NV_R_broker_unavailable);
	nv_auto_free char *big = nv_alloc(NV_BUS_BODY_MAX + 2);
	memset(big, 'x', NV_BUS_BODY_MAX + 1);
	rig_publish(&r, "from.main", "archive.s1", big);
	rig_wait(&r, &r.failed, 2);
	assert_int_equal(r.last_err.kind, NV_REJECT);
	rig_close(&r);
	assert_int_equal(r.failed, 10002);
	assert_int_equal(r.confirmed, 0);
}

static void test_a_publication_without_a_confirm_fails_in_time(void **state)
{
	struct rig r;
	(void)state;
	rig_init(&r, "guest");
	free(r.uri);
	r.uri = nv_strdup("amqp://guest@127.0.0.1:1/");
	r.config.broker.publish_timeout = 300;
	rig_start(&r);
	rig_publish(&r, "from.main", "archive.s1", "x");
	rig_wait(&r, &r.failed, 1);
	assert_int_equal(r.last_err.reason, NV_R_broker_unavailable);
	rig_close(&r);
}

/* A peer that takes the connection and then says nothing. */
static void test_a_silent_peer_is_given_up(void **state)
{
	struct rig r;
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	(void)state;
	assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
	assert_int_equal(listen(fd, 8), 0);
	getsockname(fd, (struct sockaddr *)&a, &len);
	rig_init(&r, "guest");
	free(r.uri);
	r.uri = nv_asprintf("amqp://guest@127.0.0.1:%d/", ntohs(a.sin_port));
	r.config.broker.timeout = 500;
	rig_start(&r);
	uint64_t before = uv_hrtime();
	while (!r.state_err.kind)
		uv_run(&r.loop, UV_RUN_ONCE);
	assert_true(uv_hrtime() - before < 5000000000u);
	rig_close(&r);
	close(fd);
}

static void test_a_wrong_password_is_fatal(void **state)
{
	struct rig r;
	(void)state;
	rig_init(&r, "producer.main");
	r.config.broker.password = "wrong";
	rig_start(&r);
	rig_wait_fatal(&r);
	assert_int_equal(r.fatal.kind, NV_FATAL);
	assert_int_equal(r.fatal.reason, NV_R_denied);
	assert_null(strstr(r.fatal.msg, "wrong"));
	rig_close(&r);
}

static void test_a_wrong_virtual_host_is_fatal(void **state)
{
	struct rig r;
	(void)state;
	rig_init(&r, "producer.main");
	char *more = nv_asprintf("%snowhere", r.uri);
	free(r.uri);
	r.uri = more;
	rig_start(&r);
	rig_wait_fatal(&r);
	assert_non_null(strstr(r.fatal.msg, "navette broker apply"));
	rig_close(&r);
}

static void test_plain_connections_leave_this_machine_only_when_allowed(void **state)
{
	uv_loop_t loop;
	const char *uri = "amqp://guest@broker.example.org/";
	struct nv_config c = {.broker = {.uris = &uri, .uris_len = 1, .timeout = 100}};
	struct nv_bus_options o = {.config = &c, .name = "test"};
	struct nv_err err = {0};
	(void)state;
	uv_loop_init(&loop);
	assert_null(nv_bus_new(&loop, &o, &err));
	assert_int_equal(err.kind, NV_FATAL);
	assert_int_equal(err.reason, NV_R_config);
	assert_non_null(strstr(err.msg, "amqps"));
	uri = "not an address";
	assert_null(nv_bus_new(&loop, &o, &err));
	assert_int_equal(uv_loop_close(&loop), 0);
}

/* --- TLS --- */

static void tls_rig(struct rig *r, const char *host, const char *ca)
{
	rig_init(r, "producer.main");
	free(r->uri);
	r->uri = nv_asprintf("amqps://producer.main@%s:%s/", host,
			     getenv("NAVETTE_TEST_AMQPS_PORT"));
	r->config.broker.ca_file = nv_asprintf("%s/tls/%s", getenv("NAVETTE_TEST_BROKER_DIR"), ca);
	rig_start(r);
}

static void tls_rig_close(struct rig *r)
{
	rig_close(r);
	free((void *)(uintptr_t)r->config.broker.ca_file);
}

static void test_tls_with_the_right_authority_and_name(void **state)
{
	struct rig r;
	(void)state;
	tls_rig(&r, "localhost", "ca.pem");
	rig_wait_bool(&r, &r.up, true);
	for (int i = 0; i < 300; i++)
		rig_publish(&r, "from.main", "archive.s2", "x");
	rig_wait(&r, &r.confirmed, 300);
	tls_rig_close(&r);
	rig_purge("archive.s2");
}

static void tls_is_refused(const char *host, const char *ca, enum nv_reason reason)
{
	struct rig r;
	tls_rig(&r, host, ca);
	rig_wait_fatal(&r);
	assert_int_equal(r.fatal.reason, reason);
	assert_false(r.up);
	tls_rig_close(&r);
}

static void test_tls_with_another_authority_is_refused(void **state)
{
	(void)state;
	tls_is_refused("localhost", "other-ca.pem", NV_R_untrusted);
}

static void test_tls_with_another_host_name_is_refused(void **state)
{
	(void)state;
	tls_is_refused("127.0.0.1", "ca.pem", NV_R_untrusted);
}

static void test_a_missing_file_of_authorities_is_named(void **state)
{
	(void)state;
	tls_is_refused("localhost", "nothing.pem", NV_R_config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_killed_broker_loses_nothing),
		cmocka_unit_test(test_a_block_stops_publishing_but_not_acknowledging),
		cmocka_unit_test(test_a_deleted_queue_is_consumed_again_when_it_is_back),
		cmocka_unit_test(test_publications_are_kept_within_bounds_while_there_is_no_broker),
		cmocka_unit_test(test_a_publication_without_a_confirm_fails_in_time),
		cmocka_unit_test(test_a_silent_peer_is_given_up),
		cmocka_unit_test(test_a_wrong_password_is_fatal),
		cmocka_unit_test(test_a_wrong_virtual_host_is_fatal),
		cmocka_unit_test(test_plain_connections_leave_this_machine_only_when_allowed),
		cmocka_unit_test(test_tls_with_the_right_authority_and_name),
		cmocka_unit_test(test_tls_with_another_authority_is_refused),
		cmocka_unit_test(test_tls_with_another_host_name_is_refused),
		cmocka_unit_test(test_a_missing_file_of_authorities_is_named),
	};
	cmocka_set_test_filter(getenv("NAVETTE_TEST_FILTER")); /* one alone, while mending it */
	return cmocka_run_group_tests(tests, rig_broker_setup, NULL);
}
