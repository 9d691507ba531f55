/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the bus guarantees when one queue cannot be consumed: the others are served meanwhile, on
 * connections that stay, and it is named. */
#include <string.h>

#include "base/metrics.h"
#include "tests/integration/bus_rig.h"

#define GOOD "queues.good"
#define BAD "queues.bad"
#define WAIT_MS 30000

/* --- queues of the tests' own --- */

static void declare(const char *queue)
{
	amqp_connection_state_t conn = rig_raw("guest", "guest");
	amqp_table_entry_t quorum = {.key = amqp_cstring_bytes("x-queue-type"),
				     .value = {.kind = AMQP_FIELD_KIND_UTF8,
					       .value.bytes = amqp_cstring_bytes("quorum")}};
	amqp_table_t arguments = {.num_entries = 1, .entries = &quorum};
	assert_non_null(
		amqp_queue_declare(conn, 1, amqp_cstring_bytes(queue), 0, 1, 0, 0, arguments));
	rig_raw_close(conn);
}

static void drop(const char *queue)
{
	amqp_connection_state_t conn = rig_raw("guest", "guest");
	assert_non_null(amqp_queue_delete(conn, 1, amqp_cstring_bytes(queue), 0, 0));
	rig_raw_close(conn);
}

/* Something done to the process in the broker that leads the queue. */
static void to_leader(const char *function, const char *queue)
{
	bool server = strncmp(function, "ra:", 3) == 0;
	nv_auto_free char *line = nv_asprintf(
		"--ctl '%s' -q eval \"%s(%s'%%2F_%s'%s).\"", getenv("NAVETTE_TEST_BROKER_DIR"),
		function, server ? "quorum_queues,{" : "", queue, server ? ",node()}" : "");
	rig_broker(line);
}

static void put(struct rig *r, const char *queue)
{
	rig_publish(r, "", queue, "x");
}

/* --- what is said of it --- */

static void wait_serving(struct rig *r, bool want, struct nv_err *err)
{
	uint64_t until = uv_hrtime() + WAIT_MS * UINT64_C(1000000);
	while (nv_bus_serving(r->bus, err) != want) {
		if (uv_hrtime() > until)
			fail_msg("the queues are %sserved: %s", want ? "not " : "", err->msg);
		rig_run(r, 20);
	}
}

static void assert_metric(struct rig *r, const char *line)
{
	nv_auto_buf struct nv_buf out = {0};
	rig_run(r, 300); /* longer than the loop's tick, which brings them up to date */
	nv_metrics_write(&out);
	nv_buf_put(&out, "", 1);
	if (!strstr((const char *)out.data, line))
		fail_msg("no %s in\n%s", line, (const char *)out.data);
}

/* The good queue is served; what came over its connection before still can be acknowledged. */
static void assert_the_other_is_served(struct rig *r)
{
	size_t seen = r->seen;
	assert_true(r->held_len > 0);
	for (int i = 0; i < 5; i++)
		put(r, GOOD);
	rig_wait(r, &r->seen, seen + 5);
	for (size_t i = 0; i < r->held_len; i++) {
		assert_true(nv_delivery_live(r->held[i]));
		assert_string_equal(nv_delivery_queue(r->held[i]), GOOD);
	}
	while (r->held_len > 1)
		nv_bus_ack(rig_take(r));
}

/* One message of the good queue is at work while the bad one's consumer begins. */
static void begin(struct rig *r)
{
	declare(GOOD);
	rig_consume(r, GOOD, 100);
	put(r, GOOD);
	rig_wait(r, &r->seen, 1);
}

static void end(struct rig *r)
{
	while (r->held_len)
		nv_bus_ack(rig_take(r));
	rig_close(r);
	assert_int_equal(rig_count(GOOD), 0); /* nothing was left, and nothing came back */
	drop(GOOD);
}

/* The bad one's message comes at last. */
static void assert_it_comes(struct rig *r)
{
	struct nv_err err = {0};
	size_t seen = r->seen;
	put(r, BAD);
	wait_serving(r, true, &err);
	rig_wait(r, &r->seen, seen + 1);
	assert_string_equal(nv_delivery_queue(r->held[r->held_len - 1]), BAD);
	assert_metric(r, "navette_bus_queue_unserved{queue=\"" BAD "\"} 0");
}

/* --- the tests --- */

static void test_a_queue_that_is_not_there(void **state)
{
	struct rig r;
	struct nv_err err = {0};
	(void)state;
	rig_open(&r, "guest");
	begin(&r);
	rig_consume(&r, BAD, 1);
	wait_serving(&r, false, &err);
	assert_non_null(strstr(err.msg, "queue " BAD ": not consumed"));
	assert_non_null(strstr(err.msg, "navette broker apply"));
	assert_metric(&r, "navette_bus_queue_unserved{queue=\"" BAD "\"} 1");
	assert_metric(&r, "navette_bus_queue_unserved{queue=\"" GOOD "\"} 0");
	assert_the_other_is_served(&r);
	assert_true(r.up);
	assert_int_equal(r.ups, 1);
	declare(BAD);
	assert_it_comes(&r);
	end(&r);
	drop(BAD);
}

static void test_a_queue_that_is_deleted_while_it_is_consumed(void **state)
{
	struct rig r;
	struct nv_err err = {0};
	(void)state;
	rig_open(&r, "guest");
	begin(&r);
	declare(BAD);
	rig_consume(&r, BAD, 1);
	assert_it_comes(&r);
	nv_bus_ack(r.held[--r.held_len]);
	rig_run(&r, 100);
	drop(BAD);
	wait_serving(&r, false, &err);
	assert_non_null(strstr(err.msg, BAD));
	assert_the_other_is_served(&r);
	declare(BAD);
	assert_it_comes(&r);
	end(&r);
	drop(BAD);
}

/* RabbitMQ 3.10 closes the whole connection when asked to consume from such a one. */
static void test_a_queue_without_a_leader(void **state)
{
	struct rig r;
	struct nv_err err = {0};
	(void)state;
	rig_open(&r, "guest");
	begin(&r);
	declare(BAD);
	to_leader("ra:stop_server", BAD);
	rig_consume(&r, BAD, 1);
	wait_serving(&r, false, &err);
	assert_non_null(strstr(err.msg, "queue " BAD ": not consumed"));
	assert_non_null(strstr(err.msg, "quorum_status"));
	assert_the_other_is_served(&r);
	rig_run(&r, 1500); /* several attempts */
	assert_the_other_is_served(&r);
	assert_int_equal(r.ups, 1);
	assert_metric(&r, "navette_bus_connected{connection=\"" GOOD "\"} 1");
	assert_metric(&r, "navette_bus_reconnects_total{connection=\"" GOOD "\"} 0");
	to_leader("ra:restart_server", BAD);
	assert_it_comes(&r);
	end(&r);
	drop(BAD);
}

static void test_a_queue_that_never_answers(void **state)
{
	struct rig r;
	struct nv_err err = {0};
	(void)state;
	rig_init(&r, "guest");
	r.config.broker.timeout = 1000;
	rig_start(&r);
	rig_wait_bool(&r, &r.up, true);
	begin(&r);
	declare(BAD);
	to_leader("sys:suspend", BAD);
	rig_consume(&r, BAD, 1);
	/* Already while its answer is waited for. */
	assert_the_other_is_served(&r);
	wait_serving(&r, false, &err);
	assert_non_null(strstr(err.msg, "queue " BAD ": not consumed"));
	assert_non_null(strstr(err.msg, "quorum_status"));
	assert_the_other_is_served(&r);
	to_leader("sys:resume", BAD);
	assert_it_comes(&r);
	end(&r);
	drop(BAD);
}

static void test_a_stop_does_not_wait_for_a_queue_that_never_answers(void **state)
{
	struct rig r;
	(void)state;
	rig_init(&r, "guest");
	r.config.broker.timeout = 60000;
	rig_start(&r);
	rig_wait_bool(&r, &r.up, true);
	begin(&r);
	declare(BAD);
	to_leader("sys:suspend", BAD);
	nv_bus_cancel(rig_consume(&r, BAD, 1), true);
	rig_consume(&r, BAD, 1);
	rig_run(&r, 500);
	uint64_t before = uv_hrtime();
	end(&r);
	assert_true(uv_hrtime() - before < UINT64_C(20000000000));
	to_leader("sys:resume", BAD);
	drop(BAD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_queue_that_is_not_there),
		cmocka_unit_test(test_a_queue_that_is_deleted_while_it_is_consumed),
		cmocka_unit_test(test_a_queue_without_a_leader),
		cmocka_unit_test(test_a_queue_that_never_answers),
		cmocka_unit_test(test_a_stop_does_not_wait_for_a_queue_that_never_answers),
	};
	cmocka_set_test_filter(getenv("NAVETTE_TEST_FILTER"));
	return cmocka_run_group_tests(tests, rig_broker_setup, NULL);
}
