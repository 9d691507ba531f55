/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/integration/bus_rig.h"

#include <amqp_tcp_socket.h>
#include <signal.h>
#include <string.h>

#include "base/fs.h"
#include "base/id.h"
#include "broker-config/admin.h"

#define WAIT_MS 30000

static const char *clients[] = {"main"};
static const char *sites[] = {"s1", "s2"};

static const char *env(const char *name)
{
	const char *value = getenv(name);
	if (!value)
		fail_msg("%s is not set: run this under tests/integration/with_rabbitmq", name);
	return value;
}

/* --- the broker --- */

void rig_cli_config(struct nv_config *c)
{
	*c = (struct nv_config){0};
	c->broker.management_url =
		nv_asprintf("http://guest@127.0.0.1:%s/", env("NAVETTE_TEST_MGMT_PORT"));
	c->broker.management_password = "guest";
	c->broker.clients = clients;
	c->broker.clients_len = NV_ARRAY_LEN(clients);
	c->broker.sites = sites;
	c->broker.sites_len = NV_ARRAY_LEN(sites);
	c->broker.credentials_dir = nv_asprintf("%s/credentials", env("NAVETTE_TEST_BROKER_DIR"));
	c->broker.replicas = 1;
}

void rig_cli_config_fini(struct nv_config *c)
{
	free((void *)(uintptr_t)c->broker.management_url);
	free((void *)(uintptr_t)c->broker.credentials_dir);
}

int rig_broker_setup(void **state)
{
	nv_auto_buf struct nv_buf report = {0};
	struct nv_config c;
	struct nv_err err = {0};
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	rig_cli_config(&c);
	if (nv_broker_apply(&c.broker, &report, &err))
		fail_msg("%s", err.msg);
	rig_cli_config_fini(&c);
	return 0;
}

void rig_broker(const char *action)
{
	nv_auto_free char *line = nv_asprintf("'%s' %s", env("NAVETTE_TEST_BROKER"), action);
	assert_int_equal(system(line), 0); // NOLINT: the test's own script
}

amqp_connection_state_t rig_raw(const char *user, const char *password)
{
	amqp_connection_state_t conn = amqp_new_connection();
	amqp_socket_t *socket = amqp_tcp_socket_new(conn);
	long port = strtol(env("NAVETTE_TEST_AMQP_PORT"), NULL, 10);
	assert_int_equal(amqp_socket_open(socket, "127.0.0.1", (int)port), AMQP_STATUS_OK);
	amqp_rpc_reply_t r =
		amqp_login(conn, "/", 0, 131072, 0, AMQP_SASL_METHOD_PLAIN, user, password);
	assert_int_equal(r.reply_type, AMQP_RESPONSE_NORMAL);
	amqp_channel_open(conn, 1);
	assert_int_equal(amqp_get_rpc_reply(conn).reply_type, AMQP_RESPONSE_NORMAL);
	return conn;
}

void rig_raw_close(amqp_connection_state_t conn)
{
	amqp_connection_close(conn, AMQP_REPLY_SUCCESS);
	amqp_destroy_connection(conn);
}

char *rig_password(const char *user)
{
	struct nv_buf b = {0};
	struct nv_err err;
	nv_auto_free char *path =
		nv_asprintf("%s/credentials/%s.password", env("NAVETTE_TEST_BROKER_DIR"), user);
	if (nv_read_file(path, 256, &b, &err))
		fail_msg("%s", err.msg);
	return (char *)b.data;
}

uint32_t rig_count(const char *queue)
{
	amqp_connection_state_t conn = rig_raw("guest", "guest");
	amqp_queue_declare_ok_t *ok = amqp_queue_declare(conn, 1, amqp_cstring_bytes(queue), 1, 1,
							 0, 0, amqp_empty_table);
	assert_non_null(ok);
	uint32_t n = ok->message_count;
	rig_raw_close(conn);
	return n;
}

void rig_wait_count(const char *queue, uint32_t want)
{
	uint64_t until = nv_mono_ms() + WAIT_MS;
	while (rig_count(queue) != want)
		if (nv_mono_ms() > until)
			fail_msg("%s: %u messages, not %u", queue, rig_count(queue), want);
}

void rig_purge(const char *queue)
{
	amqp_connection_state_t conn = rig_raw("guest", "guest");
	assert_non_null(amqp_queue_purge(conn, 1, amqp_cstring_bytes(queue)));
	rig_raw_close(conn);
}

/* --- a bus --- */

static void on_state(void *arg, bool up, const struct nv_err *err)
{
	struct rig *r = arg;
	r->up = up;
	r->ups += up;
	if (err)
		r->state_err = *err;
}

static void on_fatal(void *arg, const struct nv_err *err)
{
	((struct rig *)arg)->fatal = *err;
}

void rig_init(struct rig *r, const char *user)
{
	*r = (struct rig){.stopped = false};
	assert_int_equal(uv_loop_init(&r->loop), 0);
	r->uri = nv_asprintf("amqp://%s@127.0.0.1:%s/", user, env("NAVETTE_TEST_AMQP_PORT"));
	r->password = strcmp(user, "guest") == 0 ? nv_strdup("guest") : rig_password(user);
	r->config.broker.uris = (const char **)(uintptr_t)&r->uri;
	r->config.broker.uris_len = 1;
	r->config.broker.password = r->password;
	r->config.broker.heartbeat = 5000;
	r->config.broker.timeout = 5000;
	r->config.broker.publish_timeout = 30000;
}

void rig_start(struct rig *r)
{
	struct nv_err err = {0};
	struct nv_bus_options o = {.config = &r->config,
				   .name = "test",
				   .on_state_cb = on_state,
				   .on_fatal_cb = on_fatal,
				   .arg = r};
	r->bus = nv_bus_new(&r->loop, &o, &err);
	if (!r->bus)
		fail_msg("%s", err.msg);
}

void rig_open(struct rig *r, const char *user)
{
	rig_init(r, user);
	rig_start(r);
	rig_wait_bool(r, &r->up, true);
}

static void on_stopped(void *arg)
{
	((struct rig *)arg)->stopped = true;
}

void rig_close(struct rig *r)
{
	if (r->bus) {
		nv_bus_stop(r->bus, 2000, on_stopped, r);
		rig_wait_bool(r, &r->stopped, true);
		nv_bus_free(r->bus);
	}
	/* After the end too: a job that finishes late lets go of its delivery. */
	while (r->held_len)
		nv_bus_ack(rig_take(r));
	assert_int_equal(uv_loop_close(&r->loop), 0);
	free(r->uri);
	free(r->password);
}

static bool turn(struct rig *r, uint64_t until)
{
	uv_run(&r->loop, UV_RUN_ONCE);
	return nv_mono_ms() < until;
}

void rig_wait(struct rig *r, const size_t *what, size_t want)
{
	uint64_t until = nv_mono_ms() + WAIT_MS;
	while (*what < want)
		if (!turn(r, until))
			fail_msg("%zu instead of %zu; last error: %s; state: %s; fatal: %s", *what,
				 want, r->last_err.msg, r->state_err.msg, r->fatal.msg);
}

void rig_wait_bool(struct rig *r, const bool *what, bool want)
{
	uint64_t until = nv_mono_ms() + WAIT_MS;
	while (*what != want)
		if (!turn(r, until))
			fail_msg("it did not happen; state: %s; fatal: %s", r->state_err.msg,
				 r->fatal.msg);
}

void rig_wait_fatal(struct rig *r)
{
	uint64_t until = nv_mono_ms() + WAIT_MS;
	while (!r->fatal.kind)
		if (!turn(r, until))
			fail_msg("nothing fatal; state: %s", r->state_err.msg);
}

void rig_run(struct rig *r, uint64_t ms)
{
	uint64_t until = nv_mono_ms() + ms;
	while (turn(r, until))
		;
}

static void on_published(void *arg, const struct nv_err *err)
{
	struct rig *r = arg;
	if (err) {
		r->failed++;
		r->last_err = *err;
	} else {
		r->confirmed++;
	}
}

void rig_publish(struct rig *r, const char *exchange, const char *key, const char *body)
{
	struct nv_publish p = {.exchange = exchange,
			       .routing_key = key,
			       .body = body,
			       .len = strlen(body),
			       .message_id = "mid-1",
			       .type = "restore.request"};
	nv_bus_publish(r->bus, &p, on_published, r);
}

void rig_on_delivery(void *arg, struct nv_delivery *d)
{
	struct rig *r = arg;
	assert_true(r->held_len < RIG_KEPT);
	r->held[r->held_len++] = d;
	r->seen++;
}

struct nv_consumer *rig_consume(struct rig *r, const char *queue, uint16_t prefetch)
{
	struct nv_consume c = {
		.queue = queue, .prefetch = prefetch, .on_delivery_cb = rig_on_delivery, .arg = r};
	return nv_bus_consume(r->bus, &c);
}

struct nv_delivery *rig_take(struct rig *r)
{
	assert_true(r->held_len > 0);
	struct nv_delivery *d = r->held[0];
	r->held_len--;
	for (size_t i = 0; i < r->held_len; i++)
		r->held[i] = r->held[i + 1];
	return d;
}
