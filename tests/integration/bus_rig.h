/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the tests against a real broker share (they run under tests/integration/with_rabbitmq): the
 * broker with a topology for the client "main" and the sites "s1" and "s2", and a bus on a loop. */
#ifndef NV_TEST_BUS_RIG_H
#define NV_TEST_BUS_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <amqp.h>
#include <cmocka.h>

#include "core/bus/bus.h"
#include "core/config/config.h"

/* --- the broker --- */

int rig_broker_setup(void **state); /* applies the topology; a cmocka group setup */
void rig_cli_config(struct nv_config *c);
void rig_cli_config_fini(struct nv_config *c);
void rig_broker(const char *action); /* "--stop", "--start", "--ctl"; with_rabbitmq */
/* As guest, by librabbitmq itself. */
amqp_connection_state_t rig_raw(const char *user, const char *password);
void rig_raw_close(amqp_connection_state_t conn);
char *rig_password(const char *user);
uint32_t rig_count(const char *queue);
void rig_wait_count(const char *queue, uint32_t want);
void rig_purge(const char *queue);

/* --- a bus --- */

#define RIG_KEPT 512
struct rig {
	uv_loop_t loop;
	struct nv_config config;
	char *uri;
	char *password;
	struct nv_bus *bus;
	bool up, stopped;
	unsigned ups;
	struct nv_err state_err, fatal;
	/* publications */
	size_t confirmed, failed;
	struct nv_err last_err;
	/* deliveries that are held, in the order they came */
	struct nv_delivery *held[RIG_KEPT];
	size_t held_len, seen;
	/* settled */
	size_t settled, dead;
};
void rig_init(struct rig *r, const char *user); /* does not connect */
void rig_start(struct rig *r);			/* connects, does not wait */
void rig_open(struct rig *r, const char *user); /* all of it, and waits */
void rig_close(struct rig *r);
/* Run the loop until *what >= want, or fail the test after 30 s. */
void rig_wait(struct rig *r, const size_t *what, size_t want);
void rig_wait_bool(struct rig *r, const bool *what, bool want);
void rig_wait_fatal(struct rig *r);
/* Run it for a while, to see that something does not happen. */
void rig_run(struct rig *r, uint64_t ms);
void rig_publish(struct rig *r, const char *exchange, const char *key, const char *body);
struct nv_consumer *rig_consume(struct rig *r, const char *queue, uint16_t prefetch);
void rig_on_delivery(void *arg, struct nv_delivery *d);
/* Take the oldest held delivery out. */
struct nv_delivery *rig_take(struct rig *r);

#endif
