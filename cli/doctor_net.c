/* SPDX-License-Identifier: GPL-3.0-or-later */
/* doctor: broker, store and daemons. */
#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/json.h"
#include "broker-config/admin.h"
#include "cli/amqp.h"
#include "cli/doctor.h"
#include "core/store/store.h"

#define METRICS_MAX (4u << 20)

/* --- broker --- */

/* Owned; NULL where the broker does not say. */
static char *server_version(struct nv_amqp *m)
{
	const amqp_table_t *t = amqp_get_server_properties(m->conn);
	for (int i = 0; t && i < t->num_entries; i++) {
		const amqp_table_entry_t *e = &t->entries[i];
		if (e->key.len == 7 && memcmp(e->key.bytes, "version", 7) == 0 &&
		    e->value.kind == AMQP_FIELD_KIND_UTF8)
			return nv_strndup(e->value.value.bytes.bytes, e->value.value.bytes.len);
	}
	return NULL;
}

static void broker_version(struct nv_cli_doctor *d, struct nv_amqp *m)
{
	nv_auto_free char *version = server_version(m);
	if (!version)
		return;
	bool old = nv_cli_version_compare(version, "3.10") < 0;
	nv_cli_found(d, old ? CLI_F_broker_version_old : CLI_F_broker_version_ok, "versions",
		     "quorum queues need RabbitMQ 3.10 or later", "RabbitMQ %s", version);
}

static void broker_queues(struct nv_cli_doctor *d, struct nv_amqp *m)
{
	struct cli_owner owners[CLI_OWNERS_MAX];
	size_t len = nv_cli_owners(d->config, owners);
	size_t good = 0;
	for (size_t i = 0; i < len; i++) {
		struct nv_topology_name names[NV_OWNER_QUEUES];
		size_t n = nv_owner_queues(owners[i].name, owners[i].site, names);
		for (size_t k = 0; k < n; k++) {
			struct nv_amqp_queue_state q;
			struct nv_err err = {0};
			if (nv_amqp_queue(m, names[k].s, &q, &err) == 0) {
				good++;
				continue;
			}
			nv_cli_found(d, CLI_F_queue_missing, "broker", "navette broker apply", "%s",
				     err.msg);
			if (nv_amqp_reopen(m, &err) < 0)
				return;
		}
	}
	if (good)
		nv_cli_found(d, CLI_F_queues_ok, "broker", NULL, "%zu queues are there", good);
}

static void broker_topology(struct nv_cli_doctor *d)
{
	nv_auto_buf struct nv_buf report = {0};
	struct nv_broker_differences found = {0};
	struct nv_err err = {0};
	if (nv_broker_check(&d->config->broker, &report, &found, &err) < 0) {
		bool denied = err.reason == NV_R_denied;
		nv_cli_found(d, denied ? CLI_F_management_denied : CLI_F_management_unreachable,
			     "broker",
			     denied ? "check the user in broker.management_url and its password; "
				      "it needs the tag monitoring, or administrator"
				    : "check that RabbitMQ's plugin rabbitmq_management is enabled "
				      "and broker.management_url is right",
			     "%s", err.msg);
		return;
	}
	if (found.unseen)
		nv_cli_found(d, CLI_F_topology_part, "broker", NULL,
			     "not compared, since the user of broker.management_url may not see it "
			     "(and need not): %s",
			     found.unseen);
	if (found.len)
		nv_cli_found(d, CLI_F_topology_differs, "broker",
			     "navette broker check lists them; navette broker apply creates what "
			     "is missing",
			     "%zu differences from the topology it should have", found.len);
	else if (!found.unseen)
		nv_cli_found(d, CLI_F_topology_ok, "broker", NULL,
			     "its topology is as it should be");
	nv_broker_differences_fini(&found);
}

/* A broker under an alarm takes connections and no messages. */
static void alarm_cb(void *arg, const char *node, enum nv_broker_alarm alarm)
{
	struct nv_cli_doctor *d = arg;
	switch (alarm) {
	case NV_BROKER_ALARM_MEMORY:
		nv_cli_found(d, CLI_F_alarm_memory, "broker",
			     "give the node more memory, or raise vm_memory_high_watermark; check "
			     "which queues have grown",
			     "%s: memory alarm: it takes no messages", node);
		break;
	case NV_BROKER_ALARM_DISK:
		nv_cli_found(d, CLI_F_alarm_disk, "broker",
			     "free space on the node's disk (disk_free_limit says how much)",
			     "%s: disk alarm: it takes no messages", node);
		break;
	case NV_BROKER_DOWN:
		nv_cli_found(d, CLI_F_node_down, "broker", "start that node, check its log",
			     "%s: this node of the cluster does not run", node);
		break;
	}
}

static void broker_alarms(struct nv_cli_doctor *d)
{
	struct nv_err err = {0};
	int n = nv_broker_alarms(&d->config->broker, alarm_cb, d, &err);
	if (n == 0)
		nv_cli_found(d, CLI_F_alarms_none, "broker", NULL, "no memory or disk alarm");
	else if (n < 0)
		nv_cli_found(
			d, CLI_F_alarms_unknown, "broker",
			"give the user of broker.management_url the tag monitoring: rabbitmqctl "
			"set_user_tags USER monitoring",
			"memory and disk alarms were not checked: %s", err.msg);
}

static void broker_management(struct nv_cli_doctor *d)
{
	if (d->config->broker.management_url) {
		broker_topology(d);
		broker_alarms(d);
	} else if (d->config->broker.uris_len) {
		nv_cli_found(
			d, CLI_F_management_missing, "broker",
			"set broker.management_url (http(s)://USER@HOST:15672) and "
			"broker.management_password_file; a user with the tag monitoring and no "
			"permissions is enough: rabbitmqctl add_user USER; rabbitmqctl "
			"set_user_tags USER monitoring",
			"broker.management_url is not set: memory and disk alarms, exchanges, "
			"bindings and the queues' settings were not checked");
	}
}

/* false: which was said. */
static bool broker_connection(struct nv_cli_doctor *d)
{
	struct nv_err err = {0};
	struct nv_amqp *m = nv_amqp_open(d->config, "navette command", &err);
	if (!m && err.reason == NV_R_denied)
		nv_cli_found(d, CLI_F_broker_denied, "broker",
			     "check broker.uris (user, virtual host) and broker.password_file",
			     "%s", err.msg);
	else if (!m && err.reason == NV_R_untrusted)
		nv_cli_found(d, CLI_F_broker_untrusted, "broker",
			     "check broker.ca_file, and that the certificate has the name in "
			     "broker.uris",
			     "%s", err.msg);
	else if (!m)
		nv_cli_found(d, CLI_F_broker_unreachable, "broker",
			     "check that RabbitMQ runs there and broker.uris is right", "%s",
			     err.msg);
	if (!m)
		return false;
	bool near = strncmp(m->where, "127.", 4) == 0 || strncmp(m->where, "localhost:", 10) == 0;
	nv_cli_found(d, m->tls || near ? CLI_F_broker_ok : CLI_F_broker_plain, "broker",
		     "use amqps:// in broker.uris", "%s as %s%s", m->where, m->user,
		     m->tls ? " over TLS, verified"
		     : near ? " on this machine"
			    : ", not encrypted");
	broker_version(d, m);
	broker_queues(d, m);
	nv_amqp_close(m);
	return true;
}

void nv_cli_doctor_broker(struct nv_cli_doctor *d)
{
	if (!d->config->broker.uris_len || broker_connection(d) || d->config->broker.management_url)
		broker_management(d);
}

/* --- store --- */

struct probe {
	const char *text;
	size_t at;
};

static ssize_t probe_read(void *ctx, void *buf, size_t len, struct nv_err *err)
{
	struct probe *p = ctx;
	size_t left = strlen(p->text) - p->at;
	(void)err;
	if (len > left)
		len = left;
	memcpy(buf, p->text + p->at, len);
	p->at += len;
	return (ssize_t)len;
}

struct wanted {
	const char *key;
	bool listed;
};

static int listed_cb(void *arg, const char *key, uint64_t size, uint64_t modified_ms)
{
	struct wanted *w = arg;
	(void)size;
	(void)modified_ms;
	w->listed = w->listed || strcmp(key, w->key) == 0;
	return w->listed;
}

/* Write, look at, list, read, delete.  local: a file of ours for what is read. *ret_unlisted: all
 * is well but the list. */
static int probe_object(struct nv_store *s, const char *folder, const char *key, const char *local,
			bool *ret_unlisted, struct nv_err *err)
{
	struct wanted wanted = {.key = key};
	struct probe p = {.text = "navette doctor was here\n"};
	struct nv_source from = {.read_cb = probe_read, .ctx = &p};
	uint8_t sha256[NV_SHA256_LEN];
	nv_sha256(p.text, strlen(p.text), sha256);
	struct nv_expect expect = {.size = strlen(p.text), .sha256 = sha256};
	bool exists = false;
	uint64_t size = 0;
	if (nv_store_put(s, key, &expect, &from, NULL, NULL, err) < 0)
		return -1;
	int rc = nv_store_head(s, key, &exists, &size, err);
	if (rc == 0 && (!exists || size != expect.size))
		rc = nv_fail(err, NV_REJECT, NV_R_store_missing,
			     "store: %s was written but does not exist", key);
	if (rc == 0)
		rc = nv_store_get(s, key, &expect, &(struct nv_store_to){.path = local}, err);
	if (rc == 0 && (nv_store_list(s, folder, listed_cb, &wanted, err) < 0 || !wanted.listed)) {
		*ret_unlisted = true;
		rc = err->reason ? -1
				 : nv_fail(err, NV_RETRY, NV_R_store_missing,
					   "store: list %s: an existing object is missing", folder);
	}
	struct nv_err deletion = {0};
	if (nv_store_delete(s, key, rc == 0 ? err : &deletion) < 0)
		rc = -1;
	return rc;
}

static void store_failed(struct nv_cli_doctor *d, bool unlisted, const struct nv_err *err)
{
	bool folder = d->config->store.type == NV_STORE_DIRECTORY;
	if (unlisted)
		nv_cli_found(
			d, CLI_F_store_unlisted, "store",
			"a WebDAV server must answer PROPFIND, or nginx have autoindex with the "
			"format json; S3 must allow s3:ListBucket: without lists nothing is "
			"collected (docs/staging.md)",
			"%s", err->msg);
	else if (err->reason == NV_R_store_denied)
		nv_cli_found(
			d, CLI_F_store_denied, "store",
			folder ? "the daemons' user must be able to write below store.path"
			       : "check store.user and store.password_file, and the store's rights",
			"%s", err->msg);
	else if (err->reason == NV_R_store_full)
		nv_cli_found(d, CLI_F_store_full, "store", "make room in the store", "%s",
			     err->msg);
	else
		nv_cli_found(d, CLI_F_store_unavailable, "store",
			     folder ? "check that store.path exists and its disk works"
				    : "check that the server runs at store.url, and its log",
			     "%s", err->msg);
}

static void probe_place(struct nv_cli_doctor *d, struct nv_store *s, const char *site,
			const char *client)
{
	const char *tmp = getenv("TMPDIR");
	nv_auto_free char *local =
		nv_asprintf("%s/navette-doctor-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	char token[NV_TOKEN_SIZE];
	struct nv_err err = {0};
	bool unlisted = false;
	nv_token_new(token);
	if (!mkdtemp(local)) {
		nv_cli_found(d, CLI_F_tmp_unwritable, "store",
			     "free space there, or set TMPDIR to a writable folder", "%s: %s",
			     local, strerrordesc_np(errno));
		return;
	}
	nv_auto_free char *folder = nv_asprintf("%s/%s/probes/", site, client);
	nv_auto_free char *key = nv_asprintf("%s%s", folder, token);
	nv_auto_free char *file = nv_asprintf("%s/probe", local);
	if (probe_object(s, folder, key, file, &unlisted, &err) == 0)
		nv_cli_found(d, CLI_F_store_ok, "store", NULL,
			     "written, listed, read and deleted below %s/%s/", site, client);
	else
		store_failed(d, unlisted, &err);
	nv_remove_tree(local, &err);
}

/* Before it is opened, which would make it: a file system that is not mounted is no empty store. */
static bool folder_usable(struct nv_cli_doctor *d, const char *path)
{
	if (access(path, R_OK | W_OK | X_OK) == 0)
		return true;
	if (errno == EACCES)
		nv_cli_found(d, CLI_F_store_denied, "store",
			     "the daemons' user must be able to write below store.path", "%s: %s",
			     path, strerrordesc_np(errno));
	else
		nv_cli_found(d, CLI_F_store_missing, "store",
			     "mount it, or create it with the daemons' user as its owner", "%s: %s",
			     path, strerrordesc_np(errno));
	return false;
}

void nv_cli_doctor_store(struct nv_cli_doctor *d)
{
	const struct nv_config *c = d->config;
	struct nv_err err = {0};
	if (!c->store.path && !c->store.url)
		return;
	if (c->store.type == NV_STORE_DIRECTORY && c->store.path &&
	    !folder_usable(d, c->store.path))
		return;
	struct nv_store *s = nv_store_open(c, &err);
	if (!s) {
		nv_cli_found(d, CLI_F_store_config, "store",
			     "check the keys of the section store against navette config example",
			     "%s", err.msg);
		return;
	}
	nv_cli_found(d, CLI_F_store_open, "store", NULL, "%s", nv_store_describe(s));
	/* Writing would make .tmp, and an empty folder without it is how the daemons recognise a
	 * file system that is not mounted. */
	if (c->store.type == NV_STORE_DIRECTORY && nv_folder_is_empty(c->store.path)) {
		nv_cli_found(
			d, CLI_F_store_empty, "store",
			"mount it; if the store is new, nothing need be done: the first archive "
			"is written to it, and then writing can be tried here",
			"%s: empty: new, or not mounted; nothing was written to it", c->store.path);
		nv_store_close(s);
		return;
	}
	for (size_t i = 0; c->identity.client && i < c->sites_len; i++)
		probe_place(d, s, c->sites[i].name, c->identity.client);
	for (size_t i = 0; c->identity.site && i < c->clients_len; i++)
		probe_place(d, s, c->identity.site, c->clients[i].name);
	nv_store_close(s);
}

/* --- the daemons --- */

#define READY "ready\n"					   /* core/daemon/daemon.c */
#define READYZ_MAX (4 * sizeof(((struct nv_err *)0)->msg)) /* bytes; more is none of ours */

/* The message of a daemon that is not ready; owned. NULL: not a Navette daemon. */
static char *reason_given(const struct nv_buf *answer)
{
	json_t *problem = nv_json_parse(answer->data, answer->len, NULL);
	const char *detail = json_string_value(json_object_get(problem, "detail"));
	char *text = detail ? nv_strdup(detail) : NULL;
	json_decref(problem);
	return text;
}

static bool says_ready(const struct nv_buf *answer)
{
	static const char ready[] = READY;
	return answer->len == sizeof ready - 1 &&
	       memcmp(answer->data, ready, sizeof ready - 1) == 0;
}

static void daemon_answered(struct nv_cli_doctor *d, const char *daemon, CURL *curl,
			    const char *url, const struct nv_buf *answer)
{
	long status = 0;
	struct curl_header *date;
	nv_auto_free char *why = reason_given(answer);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	if (status == 200 && says_ready(answer))
		nv_cli_found(d, CLI_F_daemon_ready, daemon, NULL, "%s: ready", url);
	else if (status == 503 && why)
		nv_cli_found(d, CLI_F_daemon_not_ready, daemon,
			     "see its log; it needs the broker and Redis, see above",
			     "%s: not ready: %s", url, why);
	else
		nv_cli_found(d, CLI_F_daemon_other, daemon,
			     "check that this is the daemon's address, or that the proxy there "
			     "forwards to it and the daemon runs",
			     "%s: something else answers there (HTTP status %ld)", url, status);
	if (curl_easy_header(curl, "Date", 0, CURLH_HEADER, -1, &date) != CURLHE_OK)
		return;
	time_t then = curl_getdate(date->value, NULL);
	nv_auto_free char *who = nv_asprintf("the %s", daemon);
	if (then > 0) /* whole seconds */
		nv_cli_found_clock(d, who, (int64_t)then * 1000 + 500 - (int64_t)nv_now_ms());
}

/* base: its address without a slash at the end. */
static void ask_daemon(struct nv_cli_doctor *d, const char *daemon, const char *base,
		       const char *way_out)
{
	const struct nv_config *c = d->config;
	char text[CURL_ERROR_SIZE] = "";
	nv_auto_buf struct nv_buf answer = {.max = READYZ_MAX};
	nv_auto_free char *url = nv_asprintf("%s/readyz", base);
	CURL *curl = curl_easy_init();
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, text);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, 5000L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, 10000L);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, nv_buf_write_cb);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
	curl_easy_setopt(curl, CURLOPT_NOPROXY, "127.0.0.1,localhost,::1");
	if (c->api.ca_file)
		curl_easy_setopt(curl, CURLOPT_CAINFO, c->api.ca_file);
	CURLcode rc = curl_easy_perform(curl);
	if (rc == CURLE_OK || rc == CURLE_WRITE_ERROR)
		daemon_answered(d, daemon, curl, base, &answer);
	else
		nv_cli_found(d, CLI_F_daemon_away, daemon, way_out, "%s: %s", base,
			     text[0] ? text : curl_easy_strerror(rc));
	curl_easy_cleanup(curl);
}

/* The clock differences that a daemon has measured. */
static void report_clocks(struct nv_cli_doctor *d, char *metrics)
{
	static const char name[] = "navette_clock_skew_seconds{peer=\"";
	for (char *line; (line = strsep(&metrics, "\n")) != NULL;) {
		char *peer = line + sizeof name - 1;
		char *end = strncmp(line, name, sizeof name - 1) == 0 ? strchr(peer, '"') : NULL;
		if (!end || end[1] != '}')
			continue;
		*end = '\0';
		nv_auto_free char *who = nv_asprintf("%s, as its messages show,", peer);
		nv_cli_found_clock(d, who, (int64_t)(strtod(end + 2, NULL) * 1000));
	}
}

static void ask_clocks(struct nv_cli_doctor *d, const char *base)
{
	nv_auto_buf struct nv_buf text = {.max = METRICS_MAX};
	nv_auto_free char *url = nv_asprintf("%s/metrics", base);
	CURL *curl = curl_easy_init();
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http");
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, 5000L);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, nv_buf_write_cb);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &text);
	curl_easy_setopt(curl, CURLOPT_NOPROXY, "127.0.0.1,localhost,::1");
	if (curl_easy_perform(curl) == CURLE_OK && text.len)
		report_clocks(d, (char *)text.data);
	curl_easy_cleanup(curl);
}

static bool is_address(const char *listen)
{
	size_t len = listen ? strlen(listen) : 0;
	return len && !(len > 2 && strcmp(listen + len - 2, ":0") == 0);
}

/* One of this machine: a queue that it cannot consume is named by nobody else, since the broker
 * shows one without a leader like any other. */
static void ask_local(struct nv_cli_doctor *d, const char *daemon, const char *listen)
{
	if (!is_address(listen))
		return;
	nv_auto_free char *base = nv_asprintf("http://%s", listen);
	nv_auto_free char *way_out =
		nv_asprintf("check that navette-%s runs with this configuration", daemon);
	ask_daemon(d, daemon, base, way_out);
	ask_clocks(d, base);
}

void nv_cli_doctor_api(struct nv_cli_doctor *d)
{
	const struct nv_config *c = d->config;
	ask_local(d, "archiver", c->archiver.listen);
	ask_local(d, "worker", c->worker.listen);
	if ((d->roles & NV_ROLE_PRODUCER) && is_address(c->producer.metrics_listen)) {
		nv_auto_free char *here = nv_asprintf("http://%s", c->producer.metrics_listen);
		ask_clocks(d, here);
	} else if ((d->roles & NV_ROLE_PRODUCER) && c->sites_len) {
		nv_cli_found(
			d, CLI_F_clocks_unserved, "clock",
			"set producer.metrics_listen, 127.0.0.1:9101 say, where doctor reads it",
			"what the producer knows of the course servers' clocks is not served");
	}
	if (!c->api.url)
		return;
	size_t len = strlen(c->api.url);
	while (len && c->api.url[len - 1] == '/')
		len--;
	nv_auto_free char *base = nv_strndup(c->api.url, len);
	ask_daemon(d, "producer", base, "check that navette-producer runs and api.url is right");
}
