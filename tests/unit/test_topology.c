/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <regex.h>
#include <string.h>

#include "base/fs.h"
#include "broker-config/admin.h"
#include "broker-config/topology.h"

static const char *clients[] = {"main", "other"};
static const char *sites[] = {"s1", "s2", "s1-old"};

/* --- everything there is, as lists of names --- */

#define ITEMS 512
struct seen {
	char exchanges[ITEMS][NV_TOPOLOGY_NAME];
	size_t exchanges_len;
	char queues[ITEMS][NV_TOPOLOGY_NAME];
	size_t queues_len;
	struct {
		char from[NV_TOPOLOGY_NAME], to[NV_TOPOLOGY_NAME], key[NV_TOPOLOGY_NAME];
		bool to_queue;
	} bindings[ITEMS];
	size_t bindings_len;
	struct {
		char name[64];
		char patterns[3][256]; /* configure, write, read */
	} users[32];
	size_t users_len;
};

static void note(char *to, size_t size, const char *name)
{
	assert_true((size_t)snprintf(to, size, "%s", name) < size);
}

static bool contains(char (*list)[NV_TOPOLOGY_NAME], size_t len, const char *name)
{
	for (size_t i = 0; i < len; i++)
		if (strcmp(list[i], name) == 0)
			return true;
	return false;
}

static void on_exchange(void *ctx, const char *name, const char *type)
{
	struct seen *s = ctx;
	assert_true(strcmp(type, "direct") == 0 || strcmp(type, "fanout") == 0);
	assert_false(contains(s->exchanges, s->exchanges_len, name));
	note(s->exchanges[s->exchanges_len++], NV_TOPOLOGY_NAME, name);
}

static void on_queue(void *ctx, const char *name, uint64_t ttl_ms, const char *dlx, const char *dlk,
		     unsigned replicas)
{
	struct seen *s = ctx;
	assert_int_equal(replicas, 3);
	assert_false(contains(s->queues, s->queues_len, name));
	note(s->queues[s->queues_len++], NV_TOPOLOGY_NAME, name);
	/* What comes out of a queue goes to its owner's own exchange, which exists by now. */
	if (dlx) {
		assert_true(contains(s->exchanges, s->exchanges_len, dlx));
		assert_memory_equal(dlx, "self.", 5);
		if (dlk)
			assert_true(contains(s->queues, s->queues_len, dlk));
	}
	assert_int_equal(ttl_ms != 0, strncmp(name, "retry.", 6) == 0);
	/* Nothing may be given up from where the dead lie. */
	if (strncmp(name, "dead.", 5) == 0)
		assert_null(dlx);
}

static void on_binding(void *ctx, const char *source, const char *destination, bool to_queue,
		       const char *key)
{
	struct seen *s = ctx;
	assert_true(contains(s->exchanges, s->exchanges_len, source));
	if (to_queue)
		assert_true(contains(s->queues, s->queues_len, destination));
	else
		assert_true(contains(s->exchanges, s->exchanges_len, destination));
	if (strncmp(source, "retry.", 6) != 0)
		assert_string_equal(key, destination);
	note(s->bindings[s->bindings_len].from, NV_TOPOLOGY_NAME, source);
	note(s->bindings[s->bindings_len].to, NV_TOPOLOGY_NAME, destination);
	note(s->bindings[s->bindings_len++].key, NV_TOPOLOGY_NAME, key);
}

static void on_user(void *ctx, const char *name, const char *configure, const char *write,
		    const char *read)
{
	struct seen *s = ctx;
	const char *patterns[3] = {configure, write, read};
	note(s->users[s->users_len].name, sizeof s->users[0].name, name);
	for (int i = 0; i < 3; i++)
		note(s->users[s->users_len].patterns[i], sizeof s->users[0].patterns[0],
		     patterns[i]);
	s->users_len++;
}

static struct seen *walk(void)
{
	struct seen *s = calloc(1, sizeof *s);
	struct nv_topology_visitor v = {on_exchange, on_queue, on_binding, on_user, s};
	assert_int_equal(nv_topology_visit(clients, 2, sites, 3, 3, &v), 0);
	return s;
}

enum { CONFIGURE, WRITE, READ };
static bool may(const struct seen *s, const char *user, int what, const char *name)
{
	for (size_t i = 0; i < s->users_len; i++) {
		regex_t re;
		if (strcmp(s->users[i].name, user) != 0)
			continue;
		assert_int_equal(regcomp(&re, s->users[i].patterns[what], REG_EXTENDED | REG_NOSUB),
				 0);
		int r = regexec(&re, name, 0, NULL, 0);
		regfree(&re);
		return r == 0;
	}
	fail_msg("no user %s", user);
	return false;
}

/* --- tests --- */

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(nv_exchange_from("s1").s, "from.s1");
	assert_string_equal(nv_exchange_retry("s1", 0).s, "retry.s1.1s");
	assert_string_equal(nv_exchange_retry("s1", 99).s, "retry.s1.10m");
	assert_string_equal(nv_queue_archive("s1", true).s, "archive.s1.now");
	assert_string_equal(nv_queue_control("s1", "0a").s, "control.s1.0a");
	assert_string_equal(nv_queue_restore("main", false).s, "restore.main");
	assert_string_equal(nv_broker_user("worker", "main").s, "worker.main");
}

static void test_the_longest_names_fit(void **state)
{
	static const char name[] = "a1234567890123456789012345678901";
	static const char token[] = "0123456789abcdef0123456789abcdef";
	(void)state;
	struct nv_topology_name n = nv_queue_control(name, token);
	assert_int_equal(strlen(n.s), strlen("control..") + 32 + 32);
}

static void test_later_attempts_wait_longer(void **state)
{
	(void)state;
	assert_int_equal(nv_retry_tier(0), 0);
	assert_int_equal(nv_retry_tier(1), 0);
	assert_int_equal(nv_retry_tier(2), 1);
	assert_int_equal(nv_retry_tier(4), NV_RETRY_TIER_COUNT - 1);
	assert_int_equal(nv_retry_tier(1000), NV_RETRY_TIER_COUNT - 1);
}

static void test_bad_and_doubled_names_are_refused(void **state)
{
	struct seen *s = calloc(1, sizeof *s);
	struct nv_topology_visitor v = {on_exchange, on_queue, on_binding, on_user, s};
	const char *dotted[] = {"s.1"};
	const char *pattern[] = {".*"};
	const char *twice[] = {"main", "main"};
	(void)state;
	assert_int_equal(nv_topology_visit(dotted, 1, NULL, 0, 1, &v), -1);
	assert_int_equal(nv_topology_visit(NULL, 0, pattern, 1, 1, &v), -1);
	assert_int_equal(nv_topology_visit(twice, 2, NULL, 0, 1, &v), -1);
	assert_int_equal(nv_topology_visit(twice, 1, twice, 1, 1, &v), -1);
	assert_int_equal(s->exchanges_len, 0);
	free(s);
}

static void test_every_queue_is_reached_and_every_retry_leads_back(void **state)
{
	struct seen *s = walk();
	(void)state;
	for (size_t q = 0; q < s->queues_len; q++) {
		bool reached = false;
		bool by_self = strncmp(s->queues[q], "retry.", 6) == 0;
		for (size_t b = 0; b < s->bindings_len; b++) {
			if (strcmp(s->bindings[b].to, s->queues[q]) != 0)
				continue;
			reached = true;
			by_self = by_self || strncmp(s->bindings[b].from, "self.", 5) == 0;
		}
		assert_true(reached);
		assert_true(by_self);
	}
	free(s);
}

static void test_an_owners_own_exchange_leads_to_itself_only(void **state)
{
	struct seen *s = walk();
	(void)state;
	for (size_t b = 0; b < s->bindings_len; b++) {
		const char *owner = strchr(s->bindings[b].from, '.') + 1;
		const char *to = strchr(s->bindings[b].to, '.') + 1;
		if (strncmp(s->bindings[b].from, "self.", 5) != 0)
			continue;
		size_t len = strlen(owner);
		assert_memory_equal(to, owner, len);
		assert_true(to[len] == '\0' || to[len] == '.');
	}
	free(s);
}

static void test_an_archiver_has_its_own_and_nothing_else(void **state)
{
	struct seen *s = walk();
	(void)state;
	assert_true(may(s, "archiver.s1", CONFIGURE, "control.s1.0a9f"));
	assert_true(may(s, "archiver.s1", WRITE, "control.s1.0a9f"));
	assert_true(may(s, "archiver.s1", WRITE, "from.s1"));
	assert_true(may(s, "archiver.s1", WRITE, "retry.s1.10m"));
	assert_true(may(s, "archiver.s1", READ, "archive.s1"));
	assert_true(may(s, "archiver.s1", READ, "archive.s1.now"));
	assert_true(may(s, "archiver.s1", READ, "control.s1"));
	assert_false(may(s, "archiver.s1", READ, "archive.s1.nowhere"));
	assert_false(may(s, "archiver.s1", READ, "archivexs1"));
	assert_false(may(s, "archiver.s1", WRITE, "control.s1"));
	assert_false(may(s, "archiver.s1", WRITE, "amq.default"));
	assert_false(may(s, "archiver.s1", CONFIGURE, "archive.s1"));
	/* Nor what belongs to anybody else, a name that begins alike included. */
	for (size_t i = 0; i < s->exchanges_len; i++) {
		const char *x = s->exchanges[i];
		bool own = strcmp(x, "from.s1") == 0 || strcmp(x, "self.s1") == 0 ||
			   strncmp(x, "retry.s1.", 9) == 0;
		assert_int_equal(may(s, "archiver.s1", WRITE, x), own);
		assert_false(may(s, "archiver.s1", CONFIGURE, x));
	}
	for (size_t i = 0; i < s->queues_len; i++) {
		const char *q = s->queues[i];
		bool own = strcmp(q, "archive.s1") == 0 || strcmp(q, "archive.s1.now") == 0 ||
			   strcmp(q, "catalog.s1") == 0 || strcmp(q, "dead.s1") == 0;
		assert_int_equal(may(s, "archiver.s1", READ, q), own);
	}
	free(s);
}

static void test_producer_and_worker_have_their_own_and_nothing_else(void **state)
{
	struct seen *s = walk();
	(void)state;
	for (size_t i = 0; i < s->exchanges_len; i++) {
		const char *x = s->exchanges[i];
		bool own = strcmp(x, "from.main") == 0 || strcmp(x, "self.main") == 0;
		bool delay = strncmp(x, "retry.main.", 11) == 0;
		assert_int_equal(may(s, "producer.main", WRITE, x), own);
		assert_int_equal(may(s, "worker.main", WRITE, x), own || delay);
	}
	for (size_t i = 0; i < s->queues_len; i++) {
		const char *q = s->queues[i];
		bool dead = strcmp(q, "dead.main") == 0;
		bool restore = strcmp(q, "restore.main") == 0 ||
			       strcmp(q, "restore.main.now") == 0 || strcmp(q, "opened.main") == 0;
		assert_int_equal(may(s, "producer.main", READ, q),
				 dead || strcmp(q, "events.main") == 0);
		assert_int_equal(may(s, "worker.main", READ, q), dead || restore);
		assert_false(may(s, "producer.main", CONFIGURE, q));
		assert_false(may(s, "worker.main", CONFIGURE, q));
	}
	free(s);
}

/* --- the files beside the code --- */

static void read_source(const char *name, struct nv_buf *ret)
{
	struct nv_err err;
	nv_auto_free char *path =
		nv_asprintf("%s/broker-config/%s", getenv("NAVETTE_SOURCE"), name);
	if (nv_read_file(path, 1 << 20, ret, &err))
		fail_msg("%s", err.msg);
}

static void test_rabbitmq_conf_has_our_consumer_timeout(void **state)
{
	nv_auto_buf struct nv_buf conf = {0};
	nv_auto_free char *line = nv_asprintf("\nconsumer_timeout = %u\n", NV_CONSUMER_TIMEOUT_MS);
	(void)state;
	read_source("rabbitmq.conf", &conf);
	assert_non_null(strstr((const char *)conf.data, line));
}

static void test_definitions_json_is_what_the_topology_says(void **state)
{
	nv_auto_buf struct nv_buf file = {0};
	nv_auto_buf struct nv_buf made = {0};
	const char *client = "main";
	const char *site = "lastyear";
	struct nv_broker_settings broker = {.clients = &client,
					    .clients_len = 1,
					    .sites = &site,
					    .sites_len = 1,
					    .replicas = 1};
	struct nv_err err;
	(void)state;
	assert_int_equal(nv_broker_definitions(&broker, &made, &err), 0);
	if (getenv("NAVETTE_UPDATE")) {
		nv_auto_free char *path =
			nv_asprintf("%s/broker-config/definitions.json", getenv("NAVETTE_SOURCE"));
		assert_int_equal(nv_write_file(path, made.data, made.len, 0644, &err), 0);
	}
	read_source("definitions.json", &file);
	assert_string_equal((const char *)made.data, (const char *)file.data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_the_longest_names_fit),
		cmocka_unit_test(test_later_attempts_wait_longer),
		cmocka_unit_test(test_bad_and_doubled_names_are_refused),
		cmocka_unit_test(test_every_queue_is_reached_and_every_retry_leads_back),
		cmocka_unit_test(test_an_owners_own_exchange_leads_to_itself_only),
		cmocka_unit_test(test_an_archiver_has_its_own_and_nothing_else),
		cmocka_unit_test(test_producer_and_worker_have_their_own_and_nothing_else),
		cmocka_unit_test(test_rabbitmq_conf_has_our_consumer_timeout),
		cmocka_unit_test(test_definitions_json_is_what_the_topology_says),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
