/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the bus guarantees while the broker is well. */
#include <string.h>

#include "tests/integration/bus_rig.h"

static void test_a_message_arrives_as_it_was_published(void **state)
{
	struct rig p;
	struct rig c;
	size_t len = 0;
	(void)state;
	rig_open(&p, "producer.main");
	rig_open(&c, "archiver.s1");
	rig_consume(&c, "archive.s1", 1);
	struct nv_publish m = {
		.exchange = "from.main",
		.routing_key = "archive.s1",
		.body = "\0bytes",
		.len = 6,
		.message_id = "a-mid",
		.type = "restore.request",
		.headers = {{NV_H_ATTEMPT, "2"}, {NV_H_REQUEUED, "1"}},
		.headers_len = 2,
	};
	nv_bus_publish(p.bus, &m, NULL, NULL);
	rig_wait(&c, &c.seen, 1);
	struct nv_delivery *d = rig_take(&c);
	assert_memory_equal(nv_delivery_body(d, &len), "\0bytes", 6);
	assert_int_equal(len, 6);
	assert_string_equal(nv_delivery_queue(d), "archive.s1");
	assert_string_equal(nv_delivery_message_id(d), "a-mid");
	assert_string_equal(nv_delivery_type(d), "restore.request");
	assert_string_equal(nv_delivery_user(d), "producer.main");
	assert_string_equal(nv_delivery_header(d, NV_H_REQUEUED), "1");
	assert_null(nv_delivery_header(d, NV_H_REASON));
	assert_int_equal(nv_delivery_attempt(d), 2);
	assert_false(nv_delivery_redelivered(d));
	assert_false(nv_delivery_truncated(d));
	assert_true(nv_delivery_live(d));
	nv_bus_ack(d);
	rig_close(&c);
	rig_close(&p);
	rig_wait_count("archive.s1", 0);
}

static void test_every_publication_is_answered_once(void **state)
{
	struct rig p;
	(void)state;
	rig_open(&p, "producer.main");
	for (int i = 0; i < 1500; i++)
		rig_publish(&p, "from.main", "catalog.s1", "x");
	rig_wait(&p, &p.confirmed, 1500);
	rig_run(&p, 200);
	assert_int_equal(p.confirmed, 1500);
	assert_int_equal(p.failed, 0);
	rig_wait_count("catalog.s1", 1500);
	rig_close(&p);
	rig_purge("catalog.s1");
}

static void test_a_message_no_queue_takes_comes_back(void **state)
{
	struct rig p;
	(void)state;
	rig_open(&p, "producer.main");
	rig_publish(&p, "from.main", "archive.nowhere", "x");
	rig_publish(&p, "from.main", "archive.s1", "x");
	rig_wait(&p, &p.failed, 1);
	rig_wait(&p, &p.confirmed, 1);
	assert_int_equal(p.last_err.kind, NV_RETRY);
	assert_int_equal(p.last_err.reason, NV_R_unroutable);
	rig_close(&p);
	rig_purge("archive.s1");
}

static void test_a_forbidden_exchange_is_denied_and_its_neighbours_go_through(void **state)
{
	struct rig p;
	(void)state;
	rig_open(&p, "producer.main");
	for (int i = 0; i < 10; i++)
		rig_publish(&p, "from.main", "archive.s1", "x");
	rig_publish(&p, "from.s1", "events.main", "x");
	for (int i = 0; i < 10; i++)
		rig_publish(&p, "from.main", "archive.s1", "x");
	rig_wait(&p, &p.confirmed, 20);
	rig_wait(&p, &p.failed, 1);
	assert_int_equal(p.last_err.kind, NV_REJECT);
	assert_int_equal(p.last_err.reason, NV_R_denied);
	rig_close(&p);
	rig_purge("archive.s1");
}

static void test_missing_topology_names_the_command_that_creates_it(void **state)
{
	struct rig r;
	(void)state;
	rig_open(&r, "guest");
	rig_publish(&r, "from.nobody", "x", "x");
	rig_wait(&r, &r.failed, 1);
	assert_int_equal(r.last_err.kind, NV_RETRY);
	assert_non_null(strstr(r.last_err.msg, "navette broker apply"));
	r.fatal = (struct nv_err){0};
	rig_consume(&r, "archive.nobody", 1);
	rig_wait_fatal(&r);
	assert_non_null(strstr(r.fatal.msg, "archive.nobody"));
	assert_non_null(strstr(r.fatal.msg, "navette broker apply"));
	rig_close(&r);
}

static void test_no_more_is_handed_out_than_the_prefetch_says(void **state)
{
	struct rig p;
	struct rig c;
	(void)state;
	rig_open(&p, "producer.main");
	rig_open(&c, "archiver.s1");
	for (int i = 0; i < 12; i++)
		rig_publish(&p, "from.main", "archive.s1", "x");
	rig_wait(&p, &p.confirmed, 12);
	rig_consume(&c, "archive.s1", 3);
	rig_wait(&c, &c.seen, 3);
	rig_run(&c, 300);
	assert_int_equal(c.seen, 3);
	nv_bus_ack(rig_take(&c));
	rig_wait(&c, &c.seen, 4);
	rig_run(&c, 300);
	assert_int_equal(c.held_len, 3);
	rig_close(&c);
	rig_close(&p);
	rig_wait_count("archive.s1", 11);
	rig_purge("archive.s1");
}

static void publish_three_and_consume(struct rig *p, struct rig *c, struct nv_consumer **ret)
{
	rig_open(p, "producer.main");
	rig_open(c, "archiver.s1");
	for (int i = 0; i < 3; i++)
		rig_publish(p, "from.main", "archive.s1", "x");
	rig_wait(p, &p->confirmed, 3);
	*ret = rig_consume(c, "archive.s1", 2);
	rig_wait(c, &c->seen, 2);
}

static void test_what_was_taken_before_a_cancel_can_still_be_acknowledged(void **state)
{
	struct rig p;
	struct rig c;
	struct nv_consumer *consumer = NULL;
	(void)state;
	publish_three_and_consume(&p, &c, &consumer);
	nv_bus_cancel(consumer, false);
	rig_run(&c, 300);
	assert_int_equal(c.seen, 2);
	assert_true(nv_delivery_live(c.held[0]));
	nv_bus_ack(rig_take(&c));
	nv_bus_ack(rig_take(&c));
	rig_run(&c, 300);
	rig_close(&c);
	rig_close(&p);
	rig_wait_count("archive.s1", 1);
	rig_purge("archive.s1");
}

static void test_a_returning_cancel_gives_everything_back_at_once(void **state)
{
	struct rig p;
	struct rig c;
	struct rig other;
	struct nv_consumer *consumer = NULL;
	(void)state;
	publish_three_and_consume(&p, &c, &consumer);
	nv_bus_cancel(consumer, true);
	rig_open(&other, "archiver.s1");
	rig_run(&c, 300);
	assert_false(nv_delivery_live(c.held[0]));
	rig_consume(&other, "archive.s1", 10);
	rig_wait(&other, &other.seen, 3);
	nv_bus_ack(rig_take(&c)); /* does nothing */
	while (other.held_len)
		nv_bus_ack(rig_take(&other));
	rig_close(&other);
	rig_close(&c);
	rig_close(&p);
	rig_wait_count("archive.s1", 0);
}

static void test_what_is_unacknowledged_at_the_stop_goes_back(void **state)
{
	struct rig p;
	struct rig c;
	struct nv_consumer *consumer = NULL;
	(void)state;
	publish_three_and_consume(&p, &c, &consumer);
	nv_bus_return(rig_take(&c));
	rig_close(&c);
	rig_close(&p);
	rig_wait_count("archive.s1", 3);
	rig_purge("archive.s1");
}

static void test_control_messages_reach_every_archiver(void **state)
{
	struct rig p;
	struct rig c[2];
	static const char *const queues[2] = {"control.s1.0a", "control.s1.0b"};
	(void)state;
	rig_open(&p, "producer.main");
	for (int i = 0; i < 2; i++) {
		rig_open(&c[i], "archiver.s1");
		struct nv_consume o = {.queue = queues[i],
				       .prefetch = 10,
				       .exclusive = true,
				       .bind_exchange = "control.s1",
				       .on_delivery_cb = rig_on_delivery,
				       .arg = &c[i]};
		nv_bus_consume(c[i].bus, &o);
		rig_run(&c[i], 300);
	}
	rig_publish(&p, "from.main", "control.s1", "stop");
	for (int i = 0; i < 2; i++) {
		rig_wait(&c[i], &c[i].seen, 1);
		nv_bus_ack(rig_take(&c[i]));
		rig_close(&c[i]);
	}
	rig_close(&p);
}

/* --- settle --- */

static void on_settled(void *arg, bool dead)
{
	struct rig *r = arg;
	r->settled++;
	r->dead += dead;
}

static void settle_next(struct rig *r, enum nv_err_kind kind, enum nv_reason reason)
{
	static const struct nv_settle s = {.owner = "s1", .attempts_max = 3};
	struct nv_err why;
	size_t before = r->settled;
	nv_fail(&why, kind, reason, "the store is on fire");
	nv_bus_settle(r->bus, &s, rig_take(r), &why, on_settled, r);
	rig_wait(r, &r->settled, before + 1);
}

static void test_a_retry_comes_back_counted_and_ends_in_the_dead_queue(void **state)
{
	struct rig p;
	struct rig c;
	(void)state;
	rig_open(&p, "producer.main");
	rig_open(&c, "archiver.s1");
	rig_publish(&p, "from.main", "archive.s1", "body");
	rig_consume(&c, "archive.s1", 1);
	rig_wait(&c, &c.seen, 1);
	settle_next(&c, NV_RETRY, NV_R_store_full);
	rig_wait(&c, &c.seen, 2);
	assert_int_equal(nv_delivery_attempt(c.held[0]), 1);
	settle_next(&c, NV_HOLD, NV_R_busy);
	rig_wait(&c, &c.seen, 3);
	assert_int_equal(nv_delivery_attempt(c.held[0]), 1);
	assert_string_equal(nv_delivery_header(c.held[0], NV_H_HOLDS), "1");
	assert_string_equal(nv_delivery_message_id(c.held[0]), "mid-1");
	settle_next(&c, NV_RETRY, NV_R_store_full);
	assert_int_equal(c.dead, 0);
	rig_wait(&c, &c.seen, 4); /* tier 2: ten seconds */
	settle_next(&c, NV_RETRY, NV_R_store_full);
	assert_int_equal(c.dead, 1);
	rig_consume(&c, "dead.s1", 1);
	rig_wait(&c, &c.seen, 5);
	struct nv_delivery *d = rig_take(&c);
	assert_string_equal(nv_delivery_header(d, NV_H_ATTEMPT), "3");
	assert_string_equal(nv_delivery_header(d, NV_H_REASON), "store_full");
	assert_string_equal(nv_delivery_header(d, NV_H_ERROR), "the store is on fire");
	assert_string_equal(nv_delivery_header(d, NV_H_QUEUE), "archive.s1");
	assert_non_null(nv_delivery_header(d, NV_H_AT));
	assert_non_null(nv_delivery_header(d, NV_H_HOST));
	nv_bus_ack(d);
	rig_close(&c);
	rig_close(&p);
	rig_wait_count("archive.s1", 0);
}

static void test_a_rejection_goes_to_the_dead_queue_at_once(void **state)
{
	struct rig p;
	struct rig c;
	(void)state;
	rig_open(&p, "producer.main");
	rig_open(&c, "archiver.s1");
	rig_publish(&p, "from.main", "archive.s1.now", "rubbish");
	rig_consume(&c, "archive.s1.now", 1);
	rig_wait(&c, &c.seen, 1);
	settle_next(&c, NV_REJECT, NV_R_bad_message);
	assert_int_equal(c.dead, 1);
	rig_close(&c);
	rig_close(&p);
	rig_wait_count("dead.s1", 1);
	rig_wait_count("archive.s1.now", 0);
	rig_purge("dead.s1");
}

static void test_a_body_too_large_is_cut_and_rejected(void **state)
{
	struct rig c;
	size_t len = 0;
	(void)state;
	amqp_bytes_t body = amqp_bytes_malloc(NV_BUS_BODY_MAX + 1000);
	memset(body.bytes, 'x', body.len);
	amqp_connection_state_t conn = rig_raw("guest", "guest");
	amqp_basic_publish(conn, 1, amqp_cstring_bytes("self.s1"), amqp_cstring_bytes("archive.s1"),
			   0, 0, NULL, body);
	amqp_bytes_free(body);
	rig_raw_close(conn);
	rig_open(&c, "archiver.s1");
	rig_consume(&c, "archive.s1", 1);
	rig_wait(&c, &c.seen, 1);
	assert_true(nv_delivery_truncated(c.held[0]));
	nv_delivery_body(c.held[0], &len);
	assert_int_equal(len, NV_BUS_BODY_CUT);
	settle_next(&c, NV_RETRY, NV_R_io);
	assert_int_equal(c.dead, 1);
	rig_consume(&c, "dead.s1", 1);
	rig_wait(&c, &c.seen, 2);
	assert_string_equal(nv_delivery_header(c.held[0], NV_H_REASON), "bad_message");
	nv_bus_ack(rig_take(&c));
	rig_close(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_message_arrives_as_it_was_published),
		cmocka_unit_test(test_every_publication_is_answered_once),
		cmocka_unit_test(test_a_message_no_queue_takes_comes_back),
		cmocka_unit_test(test_a_forbidden_exchange_is_denied_and_its_neighbours_go_through),
		cmocka_unit_test(test_missing_topology_names_the_command_that_creates_it),
		cmocka_unit_test(test_no_more_is_handed_out_than_the_prefetch_says),
		cmocka_unit_test(test_what_was_taken_before_a_cancel_can_still_be_acknowledged),
		cmocka_unit_test(test_a_returning_cancel_gives_everything_back_at_once),
		cmocka_unit_test(test_what_is_unacknowledged_at_the_stop_goes_back),
		cmocka_unit_test(test_control_messages_reach_every_archiver),
		cmocka_unit_test(test_a_retry_comes_back_counted_and_ends_in_the_dead_queue),
		cmocka_unit_test(test_a_rejection_goes_to_the_dead_queue_at_once),
		cmocka_unit_test(test_a_body_too_large_is_cut_and_rejected),
	};
	cmocka_set_test_filter(getenv("NAVETTE_TEST_FILTER")); /* one alone, while mending it */
	return cmocka_run_group_tests(tests, rig_broker_setup, NULL);
}
