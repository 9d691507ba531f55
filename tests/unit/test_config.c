/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/address.h"
#include "base/fs.h"
#include "core/config/config.h"
#include "core/config/config_table.h"

#define KEY "ed25519:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define ALL (NV_ROLE_PRODUCER | NV_ROLE_ARCHIVER | NV_ROLE_WORKER)

static char folder[64];
static char file[128];

static int make_folder(void **state)
{
	(void)state;
	(void)snprintf(folder, sizeof folder, "/tmp/navette-config-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	(void)snprintf(file, sizeof file, "%s/navette.yaml", folder);
	for (size_t i = 0; i < nv_cfg_fields_len; i++)
		if (nv_cfg_fields[i].env)
			unsetenv(nv_cfg_fields[i].env);
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	return nv_remove_tree(folder, NULL);
}

/* Load text; out holds the mistakes. */
static struct nv_config *load(const char *text, unsigned roles, struct nv_buf *out)
{
	struct nv_err err;

	nv_buf_fini(out);
	nv_buf_puts(out, "");
	assert_int_equal(nv_write_file(file, text, strlen(text), 0600, &err), 0);
	return nv_config_load(file, roles, out);
}

static void expect_mistake(const char *text, unsigned roles, const char *expected)
{
	nv_auto_buf struct nv_buf out = {0};
	nv_auto_buf struct nv_buf wanted = {0};
	struct nv_config *c = load(text, roles, &out);

	nv_buf_printf(&wanted, "%s:%s\n", file, expected);
	assert_null(c);
	assert_string_equal((char *)out.data, (char *)wanted.data);
}

static struct nv_config *expect_good(const char *text, unsigned roles)
{
	nv_auto_buf struct nv_buf out = {0};
	struct nv_config *c = load(text, roles, &out);

	if (!c)
		print_error("%s", (char *)out.data);
	assert_non_null(c);
	return c;
}

static void parsing_of_times_and_sizes(void **state)
{
	static const char *const bad[] = {"",
					  "s",
					  "5",
					  "-1s",
					  "+1s",
					  "1.5h",
					  "1 s",
					  "1sec",
					  " 1s",
					  "1S",
					  "18446744073709551616ms",
					  "18446744073709551615s"};
	uint64_t n;

	(void)state;
	assert_int_equal(nv_parse_duration("500ms", &n), 0);
	assert_int_equal(n, 500);
	assert_int_equal(nv_parse_duration("90s", &n), 0);
	assert_int_equal(n, 90000);
	assert_int_equal(nv_parse_duration("5m", &n), 0);
	assert_int_equal(n, 300000);
	assert_int_equal(nv_parse_duration("2h", &n), 0);
	assert_int_equal(n, 7200000);
	assert_int_equal(nv_parse_duration("30d", &n), 0);
	assert_int_equal(n, 2592000000);
	for (size_t i = 0; i < NV_ARRAY_LEN(bad); i++)
		assert_int_equal(nv_parse_duration(bad[i], &n), -1);
	assert_int_equal(nv_parse_size("512", &n), 0);
	assert_int_equal(n, 512);
	assert_int_equal(nv_parse_size("64MiB", &n), 0);
	assert_int_equal(n, 67108864);
	assert_int_equal(nv_parse_size("1GB", &n), 0);
	assert_int_equal(n, 1000000000);
	assert_int_equal(nv_parse_size("1 GB", &n), -1);
	assert_int_equal(nv_parse_size("1e3", &n), -1);
	assert_int_equal(nv_parse_size("99999999TiB", &n), -1);
}

/* A value that the row cannot take. */
static const char *wrong_for(const struct nv_cfg_field *f)
{
	switch (f->type) {
	case NV_CFG_TEXT:
		return f->empty_ok ? "\"two\\nlines\"" : "\"\"";
	case NV_CFG_PATH:
	case NV_CFG_SECRET:
		return "relative/path";
	case NV_CFG_NAME:
		return "\"Not A Name\"";
	case NV_CFG_KEY:
		return "ed25519:short";
	case NV_CFG_NUMBER:
		return "99999999999999999999999";
	case NV_CFG_ZONE:
		return "../zoneinfo/Europe/Paris";
	default:
		return "(wrong)";
	}
}

static const char *const wrong_forms[] = {"{a: b}", "", "[[x]]"};

/* Exactly one line that begins with file:line: key and ends with what is allowed. */
static void expect_wrong(const char *text, const char *line_and_key, const struct nv_cfg_field *f)
{
	nv_auto_buf struct nv_buf out = {0};
	nv_auto_buf struct nv_buf allowed = {0};
	nv_auto_buf struct nv_buf start = {0};
	struct nv_config *c = load(text, NV_ROLE_CLI, &out);
	const char *end;

	assert_null(c);
	nv_buf_printf(&start, "%s:%s: ", file, line_and_key);
	nv_cfg_allowed(f, &allowed);
	nv_buf_puts(&allowed, "\n");
	end = (char *)out.data + out.len - allowed.len;
	if (out.len < start.len + allowed.len || memcmp(out.data, start.data, start.len) != 0 ||
	    strcmp(end, (char *)allowed.data) != 0 ||
	    strchr((char *)out.data, '\n') != (char *)out.data + out.len - 1)
		fail_msg("for %s: wanted \"%s ... %s\", got \"%s\"", text, (char *)start.data,
			 (char *)allowed.data, (char *)out.data);
}

static void every_key_given_a_wrong_value_yields_one_line_with_what_is_allowed(void **state)
{
	(void)state;
	for (size_t i = 0; i < nv_cfg_fields_len; i++) {
		const struct nv_cfg_field *f = &nv_cfg_fields[i];
		nv_auto_free char *where = nv_asprintf("3: %s.%s", f->section, f->key);
		nv_auto_free char *text =
			nv_asprintf("# x\n%s:\n  %s: %s\n", f->section, f->key, wrong_for(f));

		expect_wrong(text, where, f);
		for (size_t j = 0; j < NV_ARRAY_LEN(wrong_forms); j++) {
			nv_auto_free char *form = nv_asprintf("# x\n%s:\n  %s: %s\n", f->section,
							      f->key, wrong_forms[j]);

			expect_wrong(form, where, f);
		}
	}
}

static void every_key_of_an_item_given_a_wrong_value_yields_one_line(void **state)
{
	(void)state;
	for (size_t i = 0; i < nv_cfg_sections_len; i++) {
		const struct nv_cfg_section *s = &nv_cfg_sections[i];

		for (size_t j = 0; j < s->items_len; j++) {
			const struct nv_cfg_field *f = &s->items[j];
			nv_auto_free char *where = nv_asprintf("2: %s[1].%s", s->name, f->key);
			nv_auto_free char *text = nv_asprintf(
				"%s:\n  - %s: %s\n%s%s", s->name, f->key, wrong_for(f),
				strcmp(f->key, "name") == 0 ? "" : "    name: x\n",
				strcmp(f->key, "public_key") == 0 ? ""
								  : "    public_key: " KEY "\n");

			expect_wrong(text, where, f);
		}
	}
}

static void every_row_has_a_doc_and_something_to_show(void **state)
{
	(void)state;
	for (size_t i = 0; i < nv_cfg_fields_len; i++) {
		const struct nv_cfg_field *f = &nv_cfg_fields[i];

		assert_non_null(f->doc);
		assert_true(f->fallback || f->sample);
		assert_true(!f->required || !f->fallback);
		assert_true((f->type == NV_CFG_SECRET) == (f->env && f->used));
	}
}

static void unknown_keys_name_the_nearest(void **state)
{
	(void)state;
	expect_mistake("archiver:\n  slot: 2\n", NV_ROLE_CLI,
		       "2: archiver.slot: there is no such key; the nearest is archiver.slots");
	expect_mistake("brokers:\n  uris: x\n", NV_ROLE_CLI,
		       "1: brokers: there is no such section; the nearest is broker");
	expect_mistake("clients:\n  - {name: a, publickey: x, public_key: '" KEY "'}\n",
		       NV_ROLE_CLI,
		       "2: clients[1].publickey: there is no such key; the nearest is "
		       "clients.public_key");
	/* Whoever writes the secret itself is shown where it belongs, and it is not shown. */
	expect_mistake(
		"redis:\n  password: hunter2\n", NV_ROLE_CLI,
		"2: redis.password: there is no such key; the nearest is redis.password_file");
}

static void doubled_keys_are_mistakes(void **state)
{
	(void)state;
	expect_mistake("log:\n  level: info\n  level: warn\n", NV_ROLE_CLI,
		       "3: log.level: is there twice, first on line 2");
	expect_mistake("log:\n  level: info\nlog:\n", NV_ROLE_CLI,
		       "3: log: is there twice, first on line 1");
	expect_mistake("sites:\n  - {name: a, public_key: '" KEY "'}\n"
		       "  - {name: a, public_key: '" KEY "'}\n",
		       NV_ROLE_CLI,
		       "1: sites[2].name: \"a\" is there twice; allowed is each name once");
	expect_mistake("broker:\n  clients: [a, b, a]\n", NV_ROLE_CLI,
		       "2: broker.clients: \"a\" is there twice; allowed is each name once");
}

static void all_mistakes_are_reported_at_once(void **state)
{
	nv_auto_buf struct nv_buf out = {0};

	(void)state;
	assert_null(load("log:\n  level: loud\nredis:\n  port: 0\n  db: x\n", NV_ROLE_CLI, &out));
	assert_non_null(
		strstr((char *)out.data, ":2: log.level: \"loud\" is not one of debug, info"));
	assert_non_null(
		strstr((char *)out.data, ":4: redis.port: \"0\" is not a whole number from 1"));
	assert_non_null(
		strstr((char *)out.data, ":5: redis.db: \"x\" is not a whole number from 0"));
}

static void a_file_that_is_not_a_mapping_is_named_with_its_line(void **state)
{
	nv_auto_buf struct nv_buf out = {0};

	(void)state;
	assert_null(nv_config_load("/nonexistent/navette.yaml", NV_ROLE_CLI, &out));
	assert_non_null(strstr((char *)out.data, "/nonexistent/navette.yaml: No such file"));
	assert_null(load("log:\n  level: [\n", NV_ROLE_CLI, &out));
	assert_non_null(strstr((char *)out.data, "not valid YAML"));
	assert_null(load("log:\n\tlevel: info\n", NV_ROLE_CLI, &out));
	assert_non_null(strstr((char *)out.data, "navette.yaml:2: not valid YAML"));
	expect_mistake("- a\n", NV_ROLE_CLI, "1: the file is not a mapping of sections");
	expect_mistake("log: 5\n", NV_ROLE_CLI, "1: log: is not a mapping of keys to values");
	expect_mistake("log:\n---\nlog:\n", NV_ROLE_CLI, "3: a second document in the file");
	expect_mistake("clients: {a: b}\n", NV_ROLE_CLI, "1: clients: is not a list of mappings");
	expect_mistake("clients:\n  - a\n", NV_ROLE_CLI,
		       "2: clients[1]: is not a mapping with a name");
}

static const char complete[] =
	"identity: {client: next, site: last, key_file: /k}\n"
	"broker:\n  uris: amqp://u@127.0.0.1:5672/v\n"
	"store: {type: directory, path: /s}\n"
	"site: {type: folder, path: /m}\n"
	"archiver: {work_dir: /a, window: '20:00-06:00', timezone: Europe/Paris}\n"
	"worker: {work_dir: /w}\n"
	"restore: {default_category: misc}\n"
	"producer: {accounts_file: /acc}\n"
	"clients:\n  - {name: next, public_key: '" KEY "', categories: [a, b]}\n"
	"sites:\n  - {name: last, public_key: '" KEY "'}\n"
	"  - {name: older, label: Older, public_key: '" KEY "', search_roles: [teacher, x]}\n";

static void what_is_not_given_has_its_default(void **state)
{
	struct nv_config *c = expect_good(complete, ALL);

	(void)state;
	assert_string_equal(c->path, file);
	assert_int_equal(c->log.level, NV_INFO);
	assert_int_equal(c->broker.uris_len, 1);
	assert_string_equal(c->broker.uris[0], "amqp://u@127.0.0.1:5672/v");
	assert_int_equal(c->broker.heartbeat, 10000);
	assert_int_equal(c->broker.replicas, 1);
	assert_null(c->broker.password);
	assert_string_equal(c->redis.host, "127.0.0.1");
	assert_int_equal(c->redis.port, 6379);
	assert_int_equal(c->store.type, NV_STORE_DIRECTORY);
	assert_int_equal(c->store.blob_threshold, 65536);
	assert_int_equal(c->store.max_archive, 20ull << 30);
	assert_int_equal(c->store.grace, 86400000);
	assert_true(c->archiver.window.set);
	assert_int_equal(c->archiver.window.from, 1200);
	assert_string_equal(c->archiver.window.zone, "Europe/Paris");
	assert_false(c->worker.window.set);
	assert_int_equal(c->worker.slots, 2);
	assert_int_equal(c->worker.attempts, 5);
	assert_string_equal(c->worker.listen, "");
	assert_true(c->restore.only_one && c->restore.enrol_button && c->restore.enrol_requester &&
		    c->restore.warnings_to_owner && c->restore.check_course_create &&
		    c->restore.original_category_checked);
	assert_false(c->restore.user_data || c->restore.original_category ||
		     c->restore.url_in_mail);
	assert_int_equal(c->restore.enrolment, 0);
	assert_string_equal(c->restore.enrol_role, "editingteacher");
	assert_string_equal(c->restore.user_field, "username");
	assert_string_equal(c->notify.smtp_url, "");
	assert_string_equal(c->producer.listen, "127.0.0.1:8080");
	assert_int_equal(c->producer.request_ttl, 2592000000);
	assert_int_equal(c->producer.max_connections, 5000);
	assert_int_equal(c->producer.trusted_proxies_len, 2);
	assert_string_equal(c->producer.trusted_proxies[0], "127.0.0.0/8");
	assert_string_equal(c->producer.trusted_proxies[1], "::1");
	assert_int_equal(c->clients_len, 1);
	assert_int_equal(nv_config_client(c, "next")->categories_len, 2);
	assert_false(nv_config_client(c, "next")->user_data);
	assert_null(nv_config_client(c, "other"));
	assert_string_equal(nv_config_site(c, "last")->label, "last");
	size_t roles_len;
	assert_string_equal(nv_config_search_roles(c, nv_config_site(c, "last"), &roles_len)[0],
			    "editingteacher");
	assert_int_equal(roles_len, 1);
	assert_string_equal(nv_config_site(c, "older")->label, "Older");
	assert_string_equal(nv_config_site(c, "older")->search_roles[1], "x");
	assert_null(nv_config_site(c, NULL));
	nv_config_free(c);
}

#define ARCHIVER_BUT_SITE                                                                \
	"identity: {site: a, key_file: /k}\nbroker: {uris: ['amqps://u@b.example/v']}\n" \
	"store: {type: directory, path: /s}\narchiver: {work_dir: /w}\n"                 \
	"clients: [{name: c, public_key: '" KEY "'}]\n"
#define WORKER_BUT_SITE                                                                    \
	"identity: {client: a, key_file: /k}\nbroker: {uris: ['amqps://u@b.example/v']}\n" \
	"store: {type: directory, path: /s}\nworker: {work_dir: /w}\n"                     \
	"restore: {default_category: c}\nsites: [{name: s, public_key: '" KEY "'}]\n"

static void a_site_needs_what_its_type_takes(void **state)
{
	struct nv_config *c;

	(void)state;
	expect_mistake(ARCHIVER_BUT_SITE "site: {type: moodle}\n", NV_ROLE_ARCHIVER,
		       "6: site.path: is missing, needed by a site of type moodle");
	expect_mistake(WORKER_BUT_SITE "site: {type: folder}\n", NV_ROLE_WORKER,
		       "7: site.path: is missing, needed by a site of type folder");
	expect_mistake(WORKER_BUT_SITE "site: {type: seed-ws, url: 'https://m.example'}\n",
		       NV_ROLE_WORKER,
		       "7: site.type: \"seed-ws\" is for an archiver; courses are restored into a "
		       "site of type folder or moodle");
	expect_mistake(ARCHIVER_BUT_SITE "site: {type: seed-ws, url: 'https://m.example'}\n",
		       NV_ROLE_ARCHIVER,
		       "6: site.token_file: is missing, needed by a site of type seed-ws (or "
		       "NAVETTE_SITE_TOKEN in the environment)");
	assert_int_equal(setenv("NAVETTE_SITE_TOKEN", "0123abc", 1), 0);
	expect_mistake(ARCHIVER_BUT_SITE "site: {type: seed-ws}\n", NV_ROLE_ARCHIVER,
		       "6: site.url: is missing, needed by a site of type seed-ws");
	expect_mistake(ARCHIVER_BUT_SITE "site: {type: seed-ws, url: 'http://m.example'}\n",
		       NV_ROLE_ARCHIVER,
		       "6: site.url: http:// to m.example is not encrypted; allowed is https://, "
		       "this machine, or site.allow_plain: yes");
	expect_mistake(ARCHIVER_BUT_SITE "site: {type: seed-ws, url: 'https://m.example'}\n"
					 "restore: {user_field: email}\n",
		       NV_ROLE_ARCHIVER,
		       "7: restore.user_field: \"email\" cannot be asked of a site of type "
		       "seed-ws; allowed is username");
	nv_config_free(expect_good(ARCHIVER_BUT_SITE
				   "site: {type: seed-ws, url: 'http://m.example', "
				   "allow_plain: yes}\n",
				   NV_ROLE_ARCHIVER));
	c = expect_good(ARCHIVER_BUT_SITE "site: {type: seed-ws, url: 'http://127.0.0.1:1/m'}\n",
			NV_ROLE_ARCHIVER);
	assert_int_equal(c->site.type, NV_SITE_SEED_WS);
	assert_string_equal(c->site.token, "0123abc");
	assert_int_equal(c->site.backup_timeout, 3600000);
	nv_config_free(c);
	assert_int_equal(unsetenv("NAVETTE_SITE_TOKEN"), 0);
}

static void what_the_file_lacks_is_as_the_sites_administrator_sets_it(void **state)
{
	struct nv_config *c = expect_good(complete, ALL);
	struct nv_config *again = expect_good(complete, ALL);
	nv_auto_buf struct nv_buf notes = {0};
	const char *roles[] = {"teacher", "manager"};
	struct nv_config_restore site = c->restore;
	size_t len;

	(void)state;
	assert_true(nv_config_restore_given(c, "default_category"));
	assert_false(nv_config_restore_given(c, "only_one"));
	site.only_one = false;
	site.enrolment = 2;
	site.enrol_role = "tutor";
	site.default_category = "THEIRS";
	site.search_roles = roles;
	site.search_roles_len = 2;
	assert_true(nv_config_adopt(c, &site));
	assert_false(nv_config_adopt(c, &site));
	assert_false(c->restore.only_one);
	assert_int_equal(c->restore.enrolment, 2);
	assert_string_equal(c->restore.enrol_role, "tutor");
	assert_string_equal(c->restore.default_category, "misc"); /* stands in the file */
	assert_string_equal(nv_config_search_roles(c, nv_config_site(c, "last"), &len)[1],
			    "manager");
	assert_int_equal(len, 2);
	assert_string_equal(nv_config_search_roles(c, nv_config_site(c, "older"), &len)[0],
			    "teacher");
	/* Reading the same file again changes nothing of that, and is no reason for a restart. */
	nv_config_reload(c, again, &notes);
	assert_int_equal(notes.len, 0);
	assert_false(c->restore.only_one);
	nv_config_free(again);
	nv_config_free(c);
}

static void a_moodle_knows_its_default_category_itself(void **state)
{
	static const char moodle[] = "identity: {client: next, site: last, key_file: /k}\n"
				     "broker:\n  uris: amqp://u@127.0.0.1:5672/v\n"
				     "store: {type: directory, path: /s}\nworker: {work_dir: /w}\n"
				     "sites:\n  - {name: last, public_key: '" KEY "'}\n"
				     "site: {type: moodle, path: /m}\n";
	struct nv_config *c = expect_good(moodle, NV_ROLE_WORKER);

	(void)state;
	assert_null(c->restore.default_category);
	nv_config_free(c);
	nv_auto_free char *text =
		nv_asprintf("%.*s{type: folder, path: /m}\n",
			    (int)(strstr(moodle, "{type: moodle") - moodle), moodle);
	expect_mistake(text, NV_ROLE_WORKER,
		       "1: restore.default_category: is missing, needed by a site of type folder");
}

static void a_folder_site_may_be_called_directory_as_before(void **state)
{
	(void)state;
	static const char *const names[] = {"folder", "directory"};
	for (size_t i = 0; i < NV_ARRAY_LEN(names); i++) {
		nv_auto_free char *text = nv_asprintf("site: {type: %s, path: /m}\n", names[i]);
		struct nv_config *c = expect_good(text, NV_ROLE_CLI);
		assert_int_equal(c->site.type, NV_SITE_FOLDER);
		nv_config_free(c);
	}
	expect_mistake("site: {type: seed, path: /m}\n", NV_ROLE_CLI,
		       "1: site.type: \"seed\" is not one of folder, moodle, seed-ws");
}

static void a_program_needs_the_keys_of_its_role_only(void **state)
{
	nv_auto_buf struct nv_buf out = {0};
	size_t lines = 0;

	(void)state;
	nv_config_free(expect_good("", NV_ROLE_CLI));
	nv_config_free(expect_good("log:\n", NV_ROLE_CLI));
	expect_mistake(
		"identity: {client: a, key_file: /k}\nproducer: {accounts_file: /a}\n"
		"broker:\n  uris: []\nsites: [{name: s, public_key: '" KEY "'}]\n",
		NV_ROLE_PRODUCER,
		"3: broker.uris: is missing, needed by the producer: one or more, each an address "
		"with amqps:// or amqp://, a host and no password");
	nv_config_free(
		expect_good("identity: {client: a, key_file: /k}\n"
			    "broker: {uris: ['amqps://u@b.example/v', 'amqps://u@c.example/v']}\n"
			    "producer: {accounts_file: /a}\n"
			    "sites: [{name: s, public_key: '" KEY "'}]\n",
			    NV_ROLE_PRODUCER));
	assert_null(load("identity:\n  client: a\n", NV_ROLE_ARCHIVER, &out));
	for (const char *p = (char *)out.data; *p; p++)
		lines += *p == '\n';
	assert_int_equal(lines, 7);
	assert_non_null(strstr((char *)out.data, ":1: identity.site: is missing, needed by the "
						 "archiver: a name"));
	assert_non_null(strstr((char *)out.data, "clients: is missing"));
	expect_mistake("clients:\n  - name: x\n", NV_ROLE_CLI,
		       "2: clients[1].public_key: is missing, needed by the archiver: a public key "
		       "(ed25519: and 44 characters of base64)");
}

static void a_store_needs_what_its_type_needs(void **state)
{
	char text[2048];
	char *at;

	(void)state;
	(void)snprintf(text, sizeof text, "%s", complete);
	at = strstr(text, "path: /s}");
	memcpy(at, "user: ux}", 9);
	expect_mistake(text, ALL, "4: store.path: is missing, needed by a store of type directory");
	expect_mistake("broker:\n  cert_file: /c\n", NV_ROLE_CLI,
		       "2: broker.cert_key_file: is missing, needed by broker.cert_file");
	expect_mistake("notify:\n  smtp_url: smtps://mail\n", NV_ROLE_CLI,
		       "2: notify.mail_from: is missing, needed by notify.smtp_url");
}

static void expect_among(const char *text, const char *expected)
{
	nv_auto_buf struct nv_buf out = {0};

	assert_null(load(text, NV_ROLE_PRODUCER, &out));
	assert_non_null(strstr((char *)out.data, expected));
}

static void a_launch_needs_a_long_secret_and_both_addresses(void **state)
{
	(void)state;
	setenv("NAVETTE_LAUNCH_SECRET", "0123456789abcdef0123456789abcdef", 1);
	expect_among(complete, "launch.issuer: is missing, needed by launch.secret_file");
	expect_among(complete, "producer.base_url: is missing, needed by launch.secret_file");
	setenv("NAVETTE_LAUNCH_SECRET", "0123456789abcdef0123456789abcde", 1);
	expect_among(complete, "launch.secret_file: holds 31 bytes; allowed is 32 or more");
	unsetenv("NAVETTE_LAUNCH_SECRET");
	nv_config_free(expect_good(complete, NV_ROLE_PRODUCER));
}

static void tokens_of_a_launch_are_not_sent_in_plain(void **state)
{
	static const char launch[] = "launch: {issuer: 'https://m.example'}\n";
	static const char *const good[] = {"https://n.example",	    "http://127.0.0.1:8080",
					   "http://127.9.9.9/",	    "http://[::1]:8080",
					   "http://localhost:8080", "https://10.0.0.1"};
	static const char *const bad[] = {"n.example", "10.0.0.1", "127.0.0.1.example",
					  "localhost.example"};
	const char *at = strstr(complete, "producer: {") + strlen("producer: {");
	int head = (int)(at - complete);

	(void)state;
	setenv("NAVETTE_LAUNCH_SECRET", "0123456789abcdef0123456789abcdef", 1);
	for (size_t i = 0; i < NV_ARRAY_LEN(good); i++) {
		nv_auto_free char *text = nv_asprintf("%.*sbase_url: '%s', %s%s", head, complete,
						      good[i], at, launch);
		nv_config_free(expect_good(text, NV_ROLE_PRODUCER));
	}
	for (size_t i = 0; i < NV_ARRAY_LEN(bad); i++) {
		nv_auto_free char *text = nv_asprintf("%.*sbase_url: 'http://%s', %s%s", head,
						      complete, bad[i], at, launch);
		nv_auto_free char *wanted = nv_asprintf(
			"9: producer.base_url: http:// to %s is not encrypted; allowed with "
			"launch.secret_file is https://, or this machine",
			bad[i]);
		expect_mistake(text, NV_ROLE_PRODUCER, wanted);
	}
	unsetenv("NAVETTE_LAUNCH_SECRET");
	/* Nobody comes with a token. */
	nv_auto_free char *text =
		nv_asprintf("%.*sbase_url: 'http://n.example', %s", head, complete, at);
	nv_config_free(expect_good(text, NV_ROLE_PRODUCER));
}

static void plain_connections_stay_on_this_machine(void **state)
{
	static const char *const good[] = {
		"broker: {uris: 'amqp://u@localhost/v'}",
		"broker: {uris: ['amqp://u@[::1]:5672/v', 'amqp://127.9.9.9']}",
		"broker: {uris: 'amqp://u@b.example/v', allow_plain: yes}",
		"store: {url: 'https://s.example/'}",
		"store: {url: 'http://s.example/', allow_plain: on}",
		"redis: {host: r.example, allow_remote: true}",
		"redis: {host: r.example, socket: /r}",
		"notify: {smtp_url: 'smtp://localhost:25', mail_from: a@b}",
	};

	(void)state;
	for (size_t i = 0; i < NV_ARRAY_LEN(good); i++)
		nv_config_free(expect_good(good[i], NV_ROLE_CLI));
	expect_mistake("broker:\n  uris: amqp://u@127.0.0.1.example/v\n", NV_ROLE_CLI,
		       "2: broker.uris: amqp:// to 127.0.0.1.example is not encrypted; allowed is "
		       "amqps://, this machine, or broker.allow_plain: yes");
	expect_mistake(
		"store:\n  url: http://localhost@s.example/\n", NV_ROLE_CLI,
		"2: store.url: http:// to s.example is not encrypted; allowed is https://, this "
		"machine, or store.allow_plain: yes");
	expect_mistake(
		"redis:\n  host: 10.0.0.1\n", NV_ROLE_CLI,
		"2: redis.host: the connection to 10.0.0.1 is not encrypted; allowed is this "
		"machine, or redis.allow_remote: yes");
}

static void only_this_machine_is_this_machine(void **state)
{
	const char *here[] = {"localhost", "LOCALHOST", "127.0.0.1", "127.8.9.1", "::1", "[::1]"};
	const char *elsewhere[] = {"127.example.org",
				   "localhost.example.org",
				   "10.0.0.1",
				   "1270.0.0.1",
				   "::2",
				   "[::2]",
				   "128.0.0.1",
				   ""};
	(void)state;
	for (size_t i = 0; i < NV_ARRAY_LEN(here); i++)
		assert_true(nv_host_is_loopback(here[i]));
	for (size_t i = 0; i < NV_ARRAY_LEN(elsewhere); i++)
		assert_false(nv_host_is_loopback(elsewhere[i]));
}

static void mail_to_another_machine_is_encrypted_unless_said_otherwise(void **state)
{
	static const struct {
		const char *url, *more;
		enum nv_smtp_tls want;
	} cases[] = {
		{"smtp://localhost:25", "", NV_SMTP_TLS_OFF},
		{"smtp://127.0.0.1", ", smtp_tls: required", NV_SMTP_TLS_REQUIRED},
		{"smtp://m.example", "", NV_SMTP_TLS_REQUIRED},
		{"smtp://m.example", ", smtp_tls: auto", NV_SMTP_TLS_REQUIRED},
		{"smtp://m.example", ", smtp_tls: optional", NV_SMTP_TLS_OPTIONAL},
		{"smtp://m.example", ", smtp_tls: off", NV_SMTP_TLS_OFF},
		{"smtps://localhost", "", NV_SMTP_TLS_OFF},
	};

	(void)state;
	for (size_t i = 0; i < NV_ARRAY_LEN(cases); i++) {
		nv_auto_free char *text = nv_asprintf("notify: {mail_from: a@b, smtp_url: '%s'%s}",
						      cases[i].url, cases[i].more);
		struct nv_config *c = expect_good(text, NV_ROLE_CLI);
		assert_int_equal(c->notify.smtp_tls, cases[i].want);
		nv_config_free(c);
	}
	expect_mistake("notify:\n  smtp_tls: maybe\n", NV_ROLE_CLI,
		       "2: notify.smtp_tls: \"maybe\" is not one of auto, required, optional, "
		       "off");
}

static void an_address_with_a_password_is_refused_and_not_shown(void **state)
{
	nv_auto_buf struct nv_buf out = {0};

	(void)state;
	assert_null(load("broker:\n  uris: amqps://u:hunter2@b/v\n", NV_ROLE_CLI, &out));
	assert_null(strstr((char *)out.data, "hunter2"));
	assert_non_null(strstr((char *)out.data, ":2: broker.uris: the address given is not an "
						 "address with amqps:// or amqp://, a host and no "
						 "password\n"));
}

static void time_zones_are_those_of_the_system(void **state)
{
	static const char *const bad[] = {"Europe", "Mars/Base", "/etc/localtime", "zone.tab",
					  "CET-1"};

	(void)state;
	nv_config_free(expect_good("worker: {timezone: UTC}\n", NV_ROLE_CLI));
	for (size_t i = 0; i < NV_ARRAY_LEN(bad); i++) {
		nv_auto_free char *text = nv_asprintf("worker:\n  timezone: %s\n", bad[i]);
		nv_auto_free char *wanted =
			nv_asprintf("2: worker.timezone: \"%s\" is not a time zone below "
				    "/usr/share/zoneinfo/ (such as Europe/Paris)",
				    bad[i]);

		expect_mistake(text, NV_ROLE_CLI, wanted);
	}
}

/* A secret file of this content and mode: what becomes of it. */
static void expect_secret(const char *content, mode_t mode, const char *wanted, const char *why)
{
	nv_auto_buf struct nv_buf out = {0};
	nv_auto_free char *path = nv_asprintf("%s/secret", folder);
	nv_auto_free char *text = nv_asprintf("redis:\n  password_file: %s\n", path);
	struct nv_config *c;
	struct nv_err err;

	assert_int_equal(nv_write_file(path, content, strlen(content), mode, &err), 0);
	c = load(text, NV_ROLE_CLI, &out);
	if (wanted) {
		assert_non_null(c);
		assert_string_equal(c->redis.password, wanted);
		nv_config_free(c);
		return;
	}
	assert_null(c);
	assert_non_null(strstr((char *)out.data, ":2: redis.password_file: "));
	assert_non_null(strstr((char *)out.data, why));
	assert_null(strstr((char *)out.data, "hunter"));
}

static void a_secret_file_is_for_its_owner_only(void **state)
{
	(void)state;
	expect_secret("hunter2\n", 0600, "hunter2", NULL);
	expect_secret("hunter2", 0400, "hunter2", NULL);
	expect_secret("hunter2\n", 0640, NULL, "may be used by group or others");
	expect_secret("hunter2\n", 0604, NULL, "may be used by group or others");
	expect_secret("\n", 0600, NULL, "is empty");
	expect_secret("hunter\n2\n", 0600, NULL, "more than one line");
}

static void a_secret_is_taken_from_the_environment_first_and_by_those_who_use_it(void **state)
{
	static const char text[] = "store:\n  password_file: /nonexistent\n";
	nv_auto_buf struct nv_buf out = {0};
	struct nv_config *c;

	(void)state;
	assert_null(load(text, NV_ROLE_CLI, &out));
	setenv("NAVETTE_STORE_PASSWORD", "hunter3", 1);
	c = expect_good(text, NV_ROLE_CLI);
	assert_string_equal(c->store.password, "hunter3");
	nv_config_free(c);
	unsetenv("NAVETTE_STORE_PASSWORD");
	/* The producer has nothing to do with the site. */
	assert_null(load("site:\n  token_file: /nonexistent\n", NV_ROLE_PRODUCER, &out));
	assert_null(strstr((char *)out.data, "token_file"));
}

static void a_producers_folder_needs_no_store_but_a_store_must_be_whole(void **state)
{
	nv_auto_buf struct nv_buf out = {0};

	(void)state;
	assert_null(load("producer:\n  work_dir: /tmp\n", NV_ROLE_PRODUCER, &out));
	assert_null(strstr((char *)out.data, "work_dir"));
	out.len = 0;
	assert_null(load("producer:\n  work_dir: /tmp\nstore:\n  type: webdav\n", NV_ROLE_PRODUCER,
			 &out));
	assert_non_null(strstr((char *)out.data, "store.url: is missing"));
}

static void reload_takes_what_may_change_and_names_what_may_not(void **state)
{
	nv_auto_buf struct nv_buf notes = {0};
	struct nv_config *c = expect_good(complete, ALL);
	struct nv_config *same = expect_good(complete, ALL);
	struct nv_config *fresh = expect_good("log: {level: debug}\nredis: {port: 1}\n"
					      "archiver: {window: '21:00-05:00', timezone: UTC}\n",
					      NV_ROLE_CLI);

	(void)state;
	nv_buf_puts(&notes, "");
	nv_config_reload(c, same, &notes);
	assert_string_equal((char *)notes.data, "");
	nv_config_free(same);
	nv_config_reload(c, fresh, &notes);
	nv_config_free(fresh);
	assert_int_equal(c->log.level, NV_DEBUG);
	assert_int_equal(c->archiver.window.from, 1260);
	assert_string_equal(c->archiver.window.zone, "UTC");
	assert_int_equal(c->redis.port, 6379);
	assert_non_null(strstr((char *)notes.data, "redis.port has changed: needs a restart\n"));
	assert_non_null(strstr((char *)notes.data, "broker.uris has changed: needs a restart\n"));
	assert_non_null(strstr((char *)notes.data, "clients has changed: needs a restart\n"));
	assert_null(strstr((char *)notes.data, "window"));
	nv_config_free(c);
}

/* What a person does who takes away the "#" of the settings chosen. */
static char *uncomment(const char *example, bool with_secrets)
{
	nv_auto_buf struct nv_buf out = {0};
	char *copy = nv_strdup(example);
	char *rest = copy;
	char *text;

	for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
		char *p = line + strspn(line, " ");
		bool setting = *p == '#' && p[1] && (p[1] != ' ' || p[2] == ' ');

		if (setting &&
		    (with_secrets || !(strstr(p, "password_file") || strstr(p, "secret_file") ||
				       strstr(p, "token_file"))))
			nv_buf_printf(&out, "%.*s%s\n", (int)(p - line), line, p + 1);
		else
			nv_buf_printf(&out, "%s\n", line);
	}
	text = nv_strdup((char *)out.data);
	free(copy);
	return text;
}

static void the_example_loads_and_shows_the_defaults(void **state)
{
	nv_auto_buf struct nv_buf example = {0};
	nv_auto_free char *text = NULL;
	nv_auto_free char *with_secrets = NULL;
	nv_auto_buf struct nv_buf out = {0};
	nv_auto_buf struct nv_buf notes = {0};
	struct nv_config *c;
	struct nv_config *bare;

	(void)state;
	nv_config_example(&example);
	bare = expect_good((char *)example.data, NV_ROLE_CLI);
	text = uncomment((char *)example.data, false);
	c = expect_good(text, ALL);
	assert_string_equal(nv_config_site(c, "last-year")->label, "Last year");
	/* A key with a default shows it: setting it changes nothing. */
	nv_buf_puts(&notes, "");
	nv_config_reload(bare, c, &notes);
	for (size_t i = 0; i < nv_cfg_fields_len; i++) {
		const struct nv_cfg_field *f = &nv_cfg_fields[i];
		nv_auto_free char *note = nv_asprintf("%s.%s has", f->section, f->key);

		if (f->fallback)
			assert_null(strstr((char *)notes.data, note));
	}
	nv_config_free(c);
	nv_config_free(bare);
	/* With the secret files, which are not there, only those are wrong. */
	with_secrets = uncomment((char *)example.data, true);
	assert_null(load(with_secrets, ALL, &out));
	for (char *p = (char *)out.data; *p; p = strchr(p, '\n') + 1)
		assert_non_null(strstr(p, "_file: /etc/navette/"));
}

static void the_example_in_deploy_is_the_one_the_table_makes(void **state)
{
	nv_auto_buf struct nv_buf example = {0};
	nv_auto_buf struct nv_buf shipped = {0};
	const char *source = getenv("NAVETTE_SOURCE");
	nv_auto_free char *path =
		nv_asprintf("%s/deploy/navette.yaml.example", source ? source : ".");
	struct nv_err err;

	(void)state;
	nv_config_example(&example);
	assert_int_equal(nv_read_file(path, 1 << 20, &shipped, &err), 0);
	assert_string_equal((char *)shipped.data, (char *)example.data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parsing_of_times_and_sizes),
		cmocka_unit_test(
			every_key_given_a_wrong_value_yields_one_line_with_what_is_allowed),
		cmocka_unit_test(every_key_of_an_item_given_a_wrong_value_yields_one_line),
		cmocka_unit_test(every_row_has_a_doc_and_something_to_show),
		cmocka_unit_test(unknown_keys_name_the_nearest),
		cmocka_unit_test(doubled_keys_are_mistakes),
		cmocka_unit_test(all_mistakes_are_reported_at_once),
		cmocka_unit_test(a_file_that_is_not_a_mapping_is_named_with_its_line),
		cmocka_unit_test(what_is_not_given_has_its_default),
		cmocka_unit_test(what_the_file_lacks_is_as_the_sites_administrator_sets_it),
		cmocka_unit_test(a_moodle_knows_its_default_category_itself),
		cmocka_unit_test(a_folder_site_may_be_called_directory_as_before),
		cmocka_unit_test(a_program_needs_the_keys_of_its_role_only),
		cmocka_unit_test(a_site_needs_what_its_type_takes),
		cmocka_unit_test(a_store_needs_what_its_type_needs),
		cmocka_unit_test(a_launch_needs_a_long_secret_and_both_addresses),
		cmocka_unit_test(tokens_of_a_launch_are_not_sent_in_plain),
		cmocka_unit_test(plain_connections_stay_on_this_machine),
		cmocka_unit_test(only_this_machine_is_this_machine),
		cmocka_unit_test(mail_to_another_machine_is_encrypted_unless_said_otherwise),
		cmocka_unit_test(an_address_with_a_password_is_refused_and_not_shown),
		cmocka_unit_test(time_zones_are_those_of_the_system),
		cmocka_unit_test(a_secret_file_is_for_its_owner_only),
		cmocka_unit_test(
			a_secret_is_taken_from_the_environment_first_and_by_those_who_use_it),
		cmocka_unit_test(a_producers_folder_needs_no_store_but_a_store_must_be_whole),
		cmocka_unit_test(reload_takes_what_may_change_and_names_what_may_not),
		cmocka_unit_test(the_example_loads_and_shows_the_defaults),
		cmocka_unit_test(the_example_in_deploy_is_the_one_the_table_makes),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
