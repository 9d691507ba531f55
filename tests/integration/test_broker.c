/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What `navette broker apply` makes of a broker: complete, repeatable, and nobody gets further than
 * his own exchanges. */
#include <string.h>
#include <sys/stat.h>

#include "broker-config/admin_internal.h"
#include "tests/integration/bus_rig.h"

/* --- apply and check --- */

static void apply(const char *expect_line)
{
	nv_auto_buf struct nv_buf report = {0};
	struct nv_config c;
	struct nv_err err = {0};
	rig_cli_config(&c);
	if (nv_broker_apply(&c.broker, &report, &err))
		fail_msg("%s", err.msg);
	if (expect_line)
		assert_non_null(strstr((const char *)report.data, expect_line));
	else
		assert_int_equal(report.len, 0);
	rig_cli_config_fini(&c);
}

static size_t check(const char *expect_line)
{
	nv_auto_buf struct nv_buf report = {0};
	struct nv_config c;
	struct nv_err err = {0};
	struct nv_broker_differences found;
	rig_cli_config(&c);
	if (nv_broker_check(&c.broker, &report, &found, &err))
		fail_msg("%s", err.msg);
	size_t n = found.len;
	nv_broker_differences_fini(&found);
	if (expect_line && !(report.len && strstr((const char *)report.data, expect_line)))
		fail_msg("no \"%s\" in: %s", expect_line, report.len ? (char *)report.data : "");
	rig_cli_config_fini(&c);
	return n;
}

static void call(const char *method, const char *path, json_t *body)
{
	struct nv_mgmt m;
	struct nv_config c;
	struct nv_err err = {0};
	rig_cli_config(&c);
	assert_int_equal(nv_mgmt_init(&m, &c.broker, &err), 0);
	if (nv_mgmt_call(&m, method, path, body, NULL, &err) < 0)
		fail_msg("%s", err.msg);
	nv_mgmt_fini(&m);
	rig_cli_config_fini(&c);
	json_decref(body);
}

static void test_applying_twice_changes_nothing(void **state)
{
	(void)state;
	assert_int_equal(check(NULL), 0);
	nv_auto_free char *before = rig_password("archiver.s1");
	apply(NULL);
	nv_auto_free char *after = rig_password("archiver.s1");
	assert_string_equal(before, after);
}

static void test_check_names_what_is_missing_and_apply_mends_it(void **state)
{
	(void)state;
	call("DELETE", "queues/%2F/catalog.s2", NULL);
	assert_int_equal(check("missing: queue catalog.s2\n"), 3); /* and its two bindings */
	apply("created: queue catalog.s2\n");
	assert_int_equal(check(NULL), 0);
	call("DELETE", "exchanges/%2F/retry.main.1m", NULL);
	assert_int_equal(check("missing: exchange retry.main.1m\n"), 2);
	apply("created: binding retry.main.1m → retry.main.1m");
	assert_int_equal(check(NULL), 0);
}

static void test_check_names_permissions_that_are_too_wide(void **state)
{
	(void)state;
	call("PUT", "permissions/%2F/archiver.s1",
	     json_pack("{s:s, s:s, s:s}", "configure", "^$", "write", ".*", "read", "^$"));
	assert_int_equal(check("differs: permission to write of archiver.s1 has .*,"), 3);
	apply("created: permissions of archiver.s1\n");
	assert_int_equal(check(NULL), 0);
	call("PUT", "users/worker.main",
	     json_pack("{s:s, s:s}", "password", "x", "tags", "administrator"));
	assert_int_equal(check("user worker.main has tags"), 1);
	call("PUT", "users/worker.main", json_pack("{s:s, s:s}", "password", "x", "tags", ""));
	assert_int_equal(check(NULL), 0);
}

static void test_check_names_a_binding_too_many(void **state)
{
	(void)state;
	call("POST", "bindings/%2F/e/self.s1/q/archive.s2",
	     json_pack("{s:s}", "routing_key", "archive.s2"));
	assert_int_equal(check("not ours: binding self.s1 → archive.s2, key archive.s2\n"), 1);
	call("DELETE", "bindings/%2F/e/self.s1/q/archive.s2/archive.s2", NULL);
	assert_int_equal(check(NULL), 0);
}

static void test_a_queue_with_other_arguments_is_not_touched(void **state)
{
	nv_auto_buf struct nv_buf report = {0};
	struct nv_config c;
	struct nv_err err = {0};
	(void)state;
	call("DELETE", "queues/%2F/catalog.s2", NULL);
	call("PUT", "queues/%2F/catalog.s2", json_pack("{s:b}", "durable", 1));
	check("differs: queue catalog.s2 has ");
	rig_cli_config(&c);
	assert_int_equal(nv_broker_apply(&c.broker, &report, &err), -1);
	assert_int_equal(err.reason, NV_R_conflict);
	rig_cli_config_fini(&c);
	call("DELETE", "queues/%2F/catalog.s2", NULL);
	apply("created: queue catalog.s2\n");
}

static void test_a_lost_password_is_made_anew_and_kept_secret(void **state)
{
	struct rig r;
	struct stat st;
	nv_auto_free char *before = rig_password("archiver.s2");
	nv_auto_free char *path = nv_asprintf("%s/credentials/archiver.s2.password",
					      getenv("NAVETTE_TEST_BROKER_DIR"));
	(void)state;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(unlink(path), 0);
	apply("new password: user archiver.s2");
	nv_auto_free char *after = rig_password("archiver.s2");
	assert_string_not_equal(before, after);
	rig_open(&r, "archiver.s2");
	rig_close(&r);
}

static void test_a_user_that_the_broker_lost_comes_back_with_its_password(void **state)
{
	struct rig r;
	nv_auto_free char *before = rig_password("archiver.s2");
	(void)state;
	call("DELETE", "users/archiver.s2", NULL);
	apply("created: user archiver.s2, with the password in ");
	nv_auto_free char *after = rig_password("archiver.s2");
	assert_string_equal(before, after);
	rig_open(&r, "archiver.s2");
	rig_close(&r);
}

static void test_definitions_json_can_be_imported(void **state)
{
	json_error_t e;
	nv_auto_free char *path =
		nv_asprintf("%s/broker-config/definitions.json", getenv("NAVETTE_SOURCE"));
	(void)state;
	json_t *j = json_load_file(path, 0, &e);
	assert_non_null(j);
	call("POST", "definitions", j);
	assert_int_equal(rig_count("archive.lastyear.now"), 0);
	/* To the two sites of this broker the third one's bindings are strange. */
	assert_int_equal(check("not ours: binding from.main → archive.lastyear, "), 4);
}

/* --- isolation --- */

static const char *const forbidden[] = {
	"archive.s2", "archive.s2.now", "catalog.s2", "dead.s2",    "retry.s2.1s",
	"dead.main",  "retry.main.1s",	"archive.s1", "catalog.s1",
};

/* One message, on a channel of its own: a refusal closes it. */
static void try_publish(amqp_connection_state_t conn, const char *exchange, const char *key,
			const char *copy_header, const char *copy_to)
{
	static amqp_channel_t channel = 1;
	amqp_field_value_t to = {.kind = AMQP_FIELD_KIND_UTF8,
				 .value.bytes = amqp_cstring_bytes(copy_to ? copy_to : "")};
	amqp_table_entry_t header = {
		.key = amqp_cstring_bytes(copy_header ? copy_header : ""),
		.value = {.kind = AMQP_FIELD_KIND_ARRAY,
			  .value.array = {.num_entries = 1, .entries = &to}},
	};
	amqp_basic_properties_t props = {
		._flags = AMQP_BASIC_HEADERS_FLAG,
		.headers = {.num_entries = copy_header ? 1 : 0, .entries = &header},
	};
	channel = (amqp_channel_t)(channel < 2000 ? channel + 1 : 2);
	amqp_channel_open(conn, channel);
	assert_int_equal(amqp_get_rpc_reply(conn).reply_type, AMQP_RESPONSE_NORMAL);
	amqp_basic_publish(conn, channel, amqp_cstring_bytes(exchange), amqp_cstring_bytes(key), 0,
			   0, &props, amqp_cstring_bytes("intruder"));
	/* Either closes well, or was closed by a refusal already; the message has been seen. */
	amqp_rpc_reply_t r = amqp_channel_close(conn, channel, AMQP_REPLY_SUCCESS);
	if (r.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION &&
	    r.reply.id == AMQP_CHANNEL_CLOSE_METHOD) {
		amqp_channel_close_ok_t ok = {0};
		amqp_send_method(conn, channel, AMQP_CHANNEL_CLOSE_OK_METHOD, &ok);
	}
	amqp_maybe_release_buffers(conn);
}

static void try_everything(amqp_connection_state_t conn, const char *queue)
{
	static const char *const exchanges[] = {
		"",	   "amq.direct", "amq.topic",  "from.s1",     "from.s2",       "from.main",
		"self.s2", "self.main",	 "control.s2", "retry.s2.1s", "retry.main.1s",
	};
	static const char *const headers[] = {"CC", "BCC"};
	for (size_t x = 0; x < NV_ARRAY_LEN(exchanges); x++) {
		try_publish(conn, exchanges[x], queue, NULL, NULL);
		for (size_t h = 0; h < 2; h++)
			try_publish(conn, exchanges[x], "nowhere", headers[h], queue);
	}
	/* The ways back that it may use, with somebody else's name as the key. */
	if (strstr(queue, ".s1"))
		return;
	try_publish(conn, "self.s1", queue, NULL, NULL);
	try_publish(conn, "retry.s1.1s", queue, NULL, NULL);
	for (size_t h = 0; h < 2; h++) {
		try_publish(conn, "self.s1", "nowhere", headers[h], queue);
		try_publish(conn, "retry.s1.1s", "nowhere", headers[h], queue);
	}
}

static void test_an_archiver_reaches_no_queue_that_is_not_meant_for_it(void **state)
{
	nv_auto_free char *password = rig_password("archiver.s1");
	amqp_connection_state_t conn = rig_raw("archiver.s1", password);
	struct rig r;
	(void)state;
	for (size_t i = 0; i < NV_ARRAY_LEN(forbidden); i++)
		try_everything(conn, forbidden[i]);
	/* What went into the delay comes out after a second. */
	rig_init(&r, "guest");
	rig_start(&r);
	rig_run(&r, 2500);
	for (size_t i = 0; i < NV_ARRAY_LEN(forbidden); i++)
		if (rig_count(forbidden[i]))
			fail_msg("%s was reached", forbidden[i]);
	rig_close(&r);
	/* The same attempts do arrive where they are meant to. */
	try_publish(conn, "from.s1", "events.main", NULL, NULL);
	try_publish(conn, "retry.s1.1s", "dead.s1", NULL, NULL);
	rig_wait_count("events.main", 1);
	rig_wait_count("dead.s1", 1);
	rig_raw_close(conn);
}

/* Nor may it read there, declare, bind, or speak in another's name. */
static bool refused(amqp_connection_state_t conn)
{
	amqp_rpc_reply_t r = amqp_get_rpc_reply(conn);
	assert_int_equal(r.reply_type, AMQP_RESPONSE_SERVER_EXCEPTION);
	amqp_channel_close_t *m = r.reply.decoded;
	bool no = r.reply.id == AMQP_CHANNEL_CLOSE_METHOD && m->reply_code == AMQP_ACCESS_REFUSED;
	amqp_channel_close_ok_t ok = {0};
	amqp_send_method(conn, 1, AMQP_CHANNEL_CLOSE_OK_METHOD, &ok);
	amqp_channel_open(conn, 1);
	return no;
}

static void test_an_archiver_may_not_read_declare_or_bind_elsewhere(void **state)
{
	nv_auto_free char *password = rig_password("archiver.s1");
	amqp_connection_state_t conn = rig_raw("archiver.s1", password);
	amqp_bytes_t own = amqp_cstring_bytes("control.s1.0c");
	(void)state;
	amqp_basic_consume(conn, 1, amqp_cstring_bytes("archive.s2"), amqp_empty_bytes, 0, 0, 0,
			   amqp_empty_table);
	assert_true(refused(conn));
	amqp_basic_consume(conn, 1, amqp_cstring_bytes("restore.main"), amqp_empty_bytes, 0, 0, 0,
			   amqp_empty_table);
	assert_true(refused(conn));
	amqp_queue_declare(conn, 1, amqp_cstring_bytes("archive.s3"), 0, 1, 0, 0, amqp_empty_table);
	assert_true(refused(conn));
	amqp_queue_bind(conn, 1, amqp_cstring_bytes("archive.s2"), amqp_cstring_bytes("self.s1"),
			amqp_cstring_bytes("archive.s2"), amqp_empty_table);
	assert_true(refused(conn));
	assert_non_null(amqp_queue_declare(conn, 1, own, 0, 0, 1, 1, amqp_empty_table));
	amqp_queue_bind(conn, 1, own, amqp_cstring_bytes("control.s2"), amqp_empty_bytes,
			amqp_empty_table);
	assert_true(refused(conn));
	/* A dead letter exchange of another's: the way around by declaration. */
	amqp_table_entry_t e = {
		.key = amqp_cstring_bytes("x-dead-letter-exchange"),
		.value = {.kind = AMQP_FIELD_KIND_UTF8,
			  .value.bytes = amqp_cstring_bytes("self.s2")},
	};
	amqp_queue_declare(conn, 1, amqp_cstring_bytes("control.s1.0d"), 0, 0, 1, 1,
			   (amqp_table_t){.num_entries = 1, .entries = &e});
	assert_true(refused(conn));
	rig_raw_close(conn);
}

static void test_nobody_speaks_in_anothers_name(void **state)
{
	nv_auto_free char *password = rig_password("archiver.s1");
	amqp_connection_state_t conn = rig_raw("archiver.s1", password);
	amqp_basic_properties_t props = {._flags = AMQP_BASIC_USER_ID_FLAG,
					 .user_id = amqp_cstring_bytes("producer.main")};
	(void)state;
	uint32_t before = rig_count("events.main");
	amqp_basic_publish(conn, 1, amqp_cstring_bytes("from.s1"),
			   amqp_cstring_bytes("events.main"), 0, 0, &props,
			   amqp_cstring_bytes("x"));
	amqp_rpc_reply_t r = amqp_channel_close(conn, 1, AMQP_REPLY_SUCCESS);
	assert_int_equal(r.reply_type, AMQP_RESPONSE_SERVER_EXCEPTION);
	assert_int_equal(rig_count("events.main"), before);
	amqp_destroy_connection(conn);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_applying_twice_changes_nothing),
		cmocka_unit_test(test_check_names_what_is_missing_and_apply_mends_it),
		cmocka_unit_test(test_check_names_permissions_that_are_too_wide),
		cmocka_unit_test(test_check_names_a_binding_too_many),
		cmocka_unit_test(test_a_queue_with_other_arguments_is_not_touched),
		cmocka_unit_test(test_a_lost_password_is_made_anew_and_kept_secret),
		cmocka_unit_test(test_a_user_that_the_broker_lost_comes_back_with_its_password),
		cmocka_unit_test(test_an_archiver_reaches_no_queue_that_is_not_meant_for_it),
		cmocka_unit_test(test_an_archiver_may_not_read_declare_or_bind_elsewhere),
		cmocka_unit_test(test_nobody_speaks_in_anothers_name),
		/* last: it leaves something behind */
		cmocka_unit_test(test_definitions_json_can_be_imported),
	};
	cmocka_set_test_filter(getenv("NAVETTE_TEST_FILTER")); /* one alone, while mending it */
	return cmocka_run_group_tests(tests, rig_broker_setup, NULL);
}
