/* SPDX-License-Identifier: GPL-3.0-or-later */
/* doctor: broker, Redis, store and producer. */
#include <curl/curl.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/time.h>
#include <unistd.h>

#include "broker-config/admin.h"
#include "cli/amqp.h"
#include "cli/doctor.h"
#include "core/base/fs.h"
#include "core/base/json.h"
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

static void broker_version(struct cli_doctor *d, struct nv_amqp *m)
{
	nv_auto_free char *version = server_version(m);
	if (!version)
		return;
	bool old = cli_version_compare(version, "3.10") < 0;
	cli_found(d, old ? CLI_BAD : CLI_GOOD, "versions",
		  "quorum queues need RabbitMQ 3.10 or later", "RabbitMQ %s", version);
}

static void broker_queues(struct cli_doctor *d, struct nv_amqp *m)
{
	struct cli_owner owners[CLI_OWNERS_MAX];
	size_t len = cli_owners(d->config, owners);
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
			cli_found(d, CLI_BAD, "broker", "navette broker apply", "%s", err.msg);
			if (nv_amqp_reopen(m, &err) < 0)
				return;
		}
	}
	if (good)
		cli_found(d, CLI_GOOD, "broker", NULL, "%zu queues are there", good);
}

static void broker_topology(struct cli_doctor *d)
{
	nv_auto_buf struct nv_buf report = {0};
	struct nv_err err = {0};
	size_t differences = 0;
	if (!d->config->broker.management_url)
		return;
	if (nv_broker_check(d->config, &report, &differences, &err) < 0) {
		cli_found(d, CLI_BAD, "broker",
			  "see that broker.management_url and its password are right and the "
			  "plugin rabbitmq_management is on",
			  "%s", err.msg);
		return;
	}
	cli_found(d, differences ? CLI_BAD : CLI_GOOD, "broker",
		  "navette broker check tells which; navette broker apply makes what is missing",
		  "%zu differences from the topology it should have", differences);
}

void cli_doctor_broker(struct cli_doctor *d)
{
	struct nv_err err = {0};
	if (d->config->broker.uris_len) {
		struct nv_amqp *m = nv_amqp_open(d->config, "navette command", &err);
		if (!m) {
			cli_found(
				d, CLI_BAD, "broker",
				err.reason == NV_R_denied
					? "see broker.uris (user) and broker.password_file"
				: err.reason == NV_R_untrusted
					? "see broker.ca_file, and that the certificate bears the "
					  "name in broker.uris"
					: "see that RabbitMQ runs there and broker.uris is right",
				"%s", err.msg);
			return;
		}
		bool near = strncmp(m->where, "127.", 4) == 0 ||
			    strncmp(m->where, "localhost:", 10) == 0;
		cli_found(d, m->tls || near ? CLI_GOOD : CLI_WARNING, "broker",
			  "use amqps:// in broker.uris", "%s as %s%s", m->where, m->user,
			  m->tls ? " over TLS, verified"
			  : near ? " on this machine"
				 : ", not encrypted");
		broker_version(d, m);
		broker_queues(d, m);
		nv_amqp_close(m);
	}
	broker_topology(d);
}

/* --- Redis --- */

static redisReply *ask(redisContext *r, const char *a, const char *b, const char *c)
{
	const char *argv[] = {a, b, c};
	redisReply *reply = redisCommandArgv(r, c ? 3 : b ? 2 : 1, argv, NULL);
	if (reply && reply->type == REDIS_REPLY_ERROR) {
		snprintf(r->errstr, sizeof(r->errstr), "%.*s", 100, reply->str);
		freeReplyObject(reply);
		reply = NULL;
	}
	return reply;
}

struct redis_place {
	char host[256];
	uint16_t port;
};

/* Each sentinel must be there, and all must agree on the master.  false: none knows it. */
static bool ask_sentinels(struct cli_doctor *d, struct timeval tv, struct redis_place *ret)
{
	const struct nv_config *c = d->config;
	nv_auto_free char *way_out =
		nv_asprintf("see that a Sentinel runs there and monitors \"%s\" (redis.master)",
			    c->redis.master);
	*ret = (struct redis_place){.port = 0};
	for (size_t i = 0; i < c->redis.sentinels_len; i++) {
		struct redis_place at;
		if (nv_config_address(c->redis.sentinels[i], at.host, &at.port, NV_SENTINEL_PORT) <
		    0)
			continue; /* the configuration's check has said so */
		redisContext *r = redisConnectWithTimeout(at.host, at.port, tv);
		redisReply *reply = r && !r->err ? ask(r, "SENTINEL", "get-master-addr-by-name",
						       c->redis.master)
						 : NULL;
		if (reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2) {
			snprintf(at.host, sizeof(at.host), "%s", reply->element[0]->str);
			at.port = (uint16_t)strtoul(reply->element[1]->str, NULL, 10);
			bool same = !ret->port ||
				    (ret->port == at.port && strcmp(ret->host, at.host) == 0);
			cli_found(d, same ? CLI_GOOD : CLI_WARNING, "redis",
				  "a failover may be under way: look again",
				  "%s: the master is %s:%u", c->redis.sentinels[i], at.host,
				  (unsigned)at.port);
			*ret = at;
		} else {
			cli_found(d, CLI_WARNING, "redis", way_out, "%s: %s", c->redis.sentinels[i],
				  !r	       ? "out of memory"
				  : *r->errstr ? r->errstr
					       : "it knows no master of that name");
		}
		freeReplyObject(reply);
		if (r)
			redisFree(r);
	}
	return ret->port != 0;
}

/* *ret_place: for people.  NULL: nowhere to connect to, which was said. */
static redisContext *redis_open(struct cli_doctor *d, char **ret_place)
{
	const struct nv_config *c = d->config;
	struct timeval tv = {.tv_sec = (time_t)(c->redis.timeout / 1000),
			     .tv_usec = (suseconds_t)(c->redis.timeout % 1000) * 1000};
	struct redis_place at = {.port = c->redis.port};
	redisContext *r;
	snprintf(at.host, sizeof(at.host), "%s", c->redis.host);
	if (c->redis.sentinels_len && !ask_sentinels(d, tv, &at)) {
		cli_found(d, CLI_BAD, "redis", "see redis.sentinels and redis.master",
			  "no sentinel says where the master is");
		return NULL;
	}
	if (!c->redis.sentinels_len && c->redis.socket) {
		*ret_place = nv_strdup(c->redis.socket);
		r = redisConnectUnixWithTimeout(c->redis.socket, tv);
	} else {
		*ret_place = nv_asprintf("%s:%u", at.host, (unsigned)at.port);
		r = redisConnectWithTimeout(at.host, at.port, tv);
	}
	if (r && !r->err)
		redisSetTimeout(r, tv);
	return r;
}

static bool redis_sign_in(redisContext *r, const struct nv_config *c)
{
	redisReply *reply = NULL;
	if (c->redis.password && c->redis.user)
		reply = ask(r, "AUTH", c->redis.user, c->redis.password);
	else if (c->redis.password)
		reply = ask(r, "AUTH", c->redis.password, NULL);
	else
		reply = ask(r, "PING", NULL, NULL);
	freeReplyObject(reply);
	return reply != NULL;
}

static void redis_setting(struct cli_doctor *d, redisContext *r, const char *key, const char *want,
			  enum cli_health otherwise, const char *why)
{
	redisReply *reply = ask(r, "CONFIG", "GET", key);
	nv_auto_free char *way_out = nv_asprintf("set \"%s %s\" in redis.conf: %s", key, want, why);
	if (!reply || reply->elements != 2)
		cli_found(d, CLI_WARNING, "redis", way_out, "%s: this user may not ask for it",
			  key);
	else
		cli_found(d, strcmp(reply->element[1]->str, want) == 0 ? CLI_GOOD : otherwise,
			  "redis", way_out, "%s %s", key, reply->element[1]->str);
	freeReplyObject(reply);
}

static void redis_version(struct cli_doctor *d, redisContext *r)
{
	redisReply *reply = ask(r, "INFO", "server", NULL);
	const char *at = reply && reply->str ? strstr(reply->str, "redis_version:") : NULL;
	if (at) {
		nv_auto_free char *version = nv_strndup(at + 14, strcspn(at + 14, "\r\n"));
		cli_found(d, cli_version_compare(version, "7.0") < 0 ? CLI_BAD : CLI_GOOD,
			  "versions", "the status scripts need Redis 7.0 or later", "Redis %s",
			  version);
	}
	freeReplyObject(reply);
}

static void redis_clock(struct cli_doctor *d, redisContext *r)
{
	redisReply *reply = ask(r, "TIME", NULL, NULL);
	if (reply && reply->elements == 2) {
		int64_t ms = (int64_t)strtoll(reply->element[0]->str, NULL, 10) * 1000 +
			     (int64_t)strtoll(reply->element[1]->str, NULL, 10) / 1000;
		cli_found_clock(d, "Redis", ms - (int64_t)nv_now_ms());
	}
	freeReplyObject(reply);
}

static void redis_memory(struct cli_doctor *d, redisContext *r)
{
	redis_setting(d, r, "maxmemory-policy", "noeviction", CLI_BAD,
		      "Redis must not throw records away");
	redis_setting(d, r, "appendonly", "yes", CLI_BAD, "else a restart forgets the status");
	redis_setting(d, r, "appendfsync", "always", CLI_WARNING,
		      "else a power cut loses the last second");
}

void cli_doctor_redis(struct cli_doctor *d)
{
	if (!(d->roles & (NV_ROLE_PRODUCER | NV_ROLE_WORKER)) && !d->config->redis.socket &&
	    !d->config->redis.sentinels_len)
		return;
	nv_auto_free char *place = NULL;
	redisContext *r = redis_open(d, &place);
	if (!place)
		return;
	if (!r || r->err) {
		cli_found(d, CLI_BAD, "redis",
			  "see that Redis runs and redis.socket, or redis.host and redis.port, is "
			  "right, and that this user may open the socket",
			  "%s: %s", place, r ? r->errstr : "out of memory");
	} else if (!redis_sign_in(r, d->config)) {
		cli_found(d, CLI_BAD, "redis", "see redis.user and redis.password_file", "%s",
			  r->errstr);
	} else {
		cli_found(d, CLI_GOOD, "redis", NULL, "it answers");
		redis_version(d, r);
		redis_memory(d, r);
		redis_clock(d, r);
	}
	if (r)
		redisFree(r);
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

/* Write, look at, read, delete.  local: a file of ours for what is read. */
static int probe_object(struct nv_store *s, const char *key, const char *local, struct nv_err *err)
{
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
			     "store: %s was written and is not there", key);
	if (rc == 0)
		rc = nv_store_get(s, key, &expect, local, NULL, NULL, NULL, err);
	struct nv_err deletion = {0};
	if (nv_store_delete(s, key, rc == 0 ? err : &deletion) < 0)
		rc = -1;
	return rc;
}

static void probe_place(struct cli_doctor *d, struct nv_store *s, const char *site,
			const char *client)
{
	char token[NV_TOKEN_SIZE];
	char local[] = "/tmp/navette-doctor-XXXXXX";
	struct nv_err err = {0};
	nv_token_new(token);
	if (!mkdtemp(local)) {
		cli_found(d, CLI_BAD, "store", "make room in /tmp", "/tmp cannot be written to");
		return;
	}
	nv_auto_free char *key = nv_asprintf("%s/%s/probes/%s", site, client, token);
	nv_auto_free char *file = nv_asprintf("%s/probe", local);
	if (probe_object(s, key, file, &err) == 0)
		cli_found(d, CLI_GOOD, "store", NULL, "written, read and deleted below %s/%s/",
			  site, client);
	else
		cli_found(d, CLI_BAD, "store",
			  err.reason == NV_R_store_denied
				  ? "see store.user and store.password_file, and the store's rights"
			  : err.reason == NV_R_store_full ? "make room in the store"
							  : "see store.path or store.url, and the "
							    "server's log",
			  "%s", err.msg);
	nv_remove_tree(local, &err);
}

void cli_doctor_store(struct cli_doctor *d)
{
	const struct nv_config *c = d->config;
	struct nv_err err = {0};
	if (!c->store.path && !c->store.url)
		return;
	struct nv_store *s = nv_store_open(c, &err);
	if (!s) {
		cli_found(d, CLI_BAD, "store", "see store.path or store.url", "%s", err.msg);
		return;
	}
	cli_found(d, CLI_GOOD, "store", NULL, "%s", nv_store_describe(s));
	for (size_t i = 0; c->identity.client && i < c->sites_len; i++)
		probe_place(d, s, c->sites[i].name, c->identity.client);
	for (size_t i = 0; c->identity.site && i < c->clients_len; i++)
		probe_place(d, s, c->identity.site, c->clients[i].name);
	nv_store_close(s);
}

/* --- the daemons --- */

struct answer {
	struct nv_buf body;
	bool cut;
};

static size_t keep_cb(char *data, size_t size, size_t n, void *arg)
{
	struct answer *a = arg;
	size_t room = sizeof(((struct nv_err *)0)->msg) * 4;
	a->cut = a->cut || a->body.len + size * n > room;
	if (!a->cut)
		nv_buf_put(&a->body, data, size * n);
	return size * n;
}

/* What a daemon that is not ready says of itself; owned. */
static char *reason_given(const struct answer *a)
{
	json_t *problem = nv_json_parse(a->body.data, a->body.len, NULL);
	const char *detail = json_string_value(json_object_get(problem, "detail"));
	char *text = nv_strdup(detail ? detail : "its log tells why");
	json_decref(problem);
	return text;
}

static void daemon_answered(struct cli_doctor *d, const char *daemon, CURL *curl, const char *url,
			    const struct answer *a)
{
	long status = 0;
	struct curl_header *date;
	nv_auto_free char *why = reason_given(a);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	if (status == 200)
		cli_found(d, CLI_GOOD, daemon, NULL, "%s: ready", url);
	else
		cli_found(d, CLI_BAD, daemon,
			  "its log tells more; broker and Redis above are what it needs",
			  "%s: not ready: %s", url, why);
	if (curl_easy_header(curl, "Date", 0, CURLH_HEADER, -1, &date) != CURLHE_OK)
		return;
	time_t then = curl_getdate(date->value, NULL);
	nv_auto_free char *who = nv_asprintf("the %s", daemon);
	if (then > 0) /* whole seconds */
		cli_found_clock(d, who, (int64_t)then * 1000 + 500 - (int64_t)nv_now_ms());
}

/* base: its address without a slash at the end. */
static void ask_daemon(struct cli_doctor *d, const char *daemon, const char *base,
		       const char *way_out)
{
	const struct nv_config *c = d->config;
	char text[CURL_ERROR_SIZE] = "";
	struct answer a = {.cut = false};
	nv_auto_free char *url = nv_asprintf("%s/readyz", base);
	CURL *curl = curl_easy_init();
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, text);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, 5000L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, 10000L);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, keep_cb);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &a);
	curl_easy_setopt(curl, CURLOPT_NOPROXY, "127.0.0.1,localhost,::1");
	if (c->api.ca_file)
		curl_easy_setopt(curl, CURLOPT_CAINFO, c->api.ca_file);
	CURLcode rc = curl_easy_perform(curl);
	if (rc == CURLE_OK)
		daemon_answered(d, daemon, curl, base, &a);
	else
		cli_found(d, CLI_BAD, daemon, way_out, "%s: %s", base,
			  text[0] ? text : curl_easy_strerror(rc));
	curl_easy_cleanup(curl);
	nv_buf_fini(&a.body);
}

/* What the daemon has found of its peers' clocks. */
static void report_clocks(struct cli_doctor *d, char *metrics)
{
	static const char name[] = "navette_clock_skew_seconds{peer=\"";
	for (char *line; (line = strsep(&metrics, "\n")) != NULL;) {
		char *peer = line + sizeof(name) - 1;
		char *end = strncmp(line, name, sizeof(name) - 1) == 0 ? strchr(peer, '"') : NULL;
		if (!end || end[1] != '}')
			continue;
		*end = '\0';
		nv_auto_free char *who = nv_asprintf("%s, as its messages show,", peer);
		cli_found_clock(d, who, (int64_t)(strtod(end + 2, NULL) * 1000));
	}
}

static size_t keep_metrics_cb(char *data, size_t size, size_t n, void *arg)
{
	struct nv_buf *b = arg;
	if (b->len + size * n > METRICS_MAX)
		return 0;
	nv_buf_put(b, data, size * n);
	return size * n;
}

static void ask_clocks(struct cli_doctor *d, const char *base)
{
	nv_auto_buf struct nv_buf text = {0};
	nv_auto_free char *url = nv_asprintf("%s/metrics", base);
	CURL *curl = curl_easy_init();
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http");
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, 5000L);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, keep_metrics_cb);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &text);
	curl_easy_setopt(curl, CURLOPT_NOPROXY, "127.0.0.1,localhost,::1");
	if (curl_easy_perform(curl) == CURLE_OK && text.len)
		report_clocks(d, (char *)text.data);
	curl_easy_cleanup(curl);
}

static bool is_address(const char *listen)
{
	size_t len = listen ? strlen(listen) : 0;
	return len && !(len > 2 && !strcmp(listen + len - 2, ":0"));
}

/* One of this machine: a queue that it cannot consume is named by nobody else, since the broker
 * shows one without a leader like any other. */
static void ask_local(struct cli_doctor *d, const char *daemon, const char *listen)
{
	if (!is_address(listen))
		return;
	nv_auto_free char *base = nv_asprintf("http://%s", listen);
	nv_auto_free char *way_out =
		nv_asprintf("see that navette-%s runs with this configuration", daemon);
	ask_daemon(d, daemon, base, way_out);
	ask_clocks(d, base);
}

void cli_doctor_api(struct cli_doctor *d)
{
	const struct nv_config *c = d->config;
	ask_local(d, "archiver", c->archiver.listen);
	ask_local(d, "worker", c->worker.listen);
	if ((d->roles & NV_ROLE_PRODUCER) && is_address(c->producer.metrics_listen)) {
		nv_auto_free char *here = nv_asprintf("http://%s", c->producer.metrics_listen);
		ask_clocks(d, here);
	} else if ((d->roles & NV_ROLE_PRODUCER) && c->sites_len) {
		cli_found(d, CLI_WARNING, "clock",
			  "set producer.metrics_listen, 127.0.0.1:9101 say, where doctor reads it",
			  "what the producer knows of the course servers' clocks is not served");
	}
	if (!c->api.url)
		return;
	size_t len = strlen(c->api.url);
	while (len && c->api.url[len - 1] == '/')
		len--;
	nv_auto_free char *base = nv_strndup(c->api.url, len);
	ask_daemon(d, "producer", base, "see that navette-producer runs and api.url is right");
}
