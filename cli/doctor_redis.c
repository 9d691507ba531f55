/* SPDX-License-Identifier: GPL-3.0-or-later */
/* doctor: Redis and its sentinels. */
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>

#include "base/id.h"
#include "cli/doctor.h"

static redisReply *ask(redisContext *r, const char *a, const char *b, const char *c)
{
	const char *argv[] = {a, b, c};
	redisReply *reply = redisCommandArgv(r, c ? 3 : b ? 2 : 1, argv, NULL);
	if (reply && reply->type == REDIS_REPLY_ERROR) {
		snprintf(r->errstr, sizeof r->errstr, "%.*s", 100, reply->str);
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
static bool ask_sentinels(struct nv_cli_doctor *d, struct timeval tv, struct redis_place *ret)
{
	const struct nv_config *c = d->config;
	nv_auto_free char *way_out =
		nv_asprintf("check that a Sentinel runs there and monitors \"%s\" (redis.master)",
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
			snprintf(at.host, sizeof at.host, "%s", reply->element[0]->str);
			at.port = (uint16_t)strtoul(reply->element[1]->str, NULL, 10);
			bool same = !ret->port ||
				    (ret->port == at.port && strcmp(ret->host, at.host) == 0);
			nv_cli_found(d, same ? CLI_F_sentinel_ok : CLI_F_sentinel_differs, "redis",
				     "a failover may be under way: check again",
				     "%s: the master is %s:%u", c->redis.sentinels[i], at.host,
				     (unsigned)at.port);
			*ret = at;
		} else {
			nv_cli_found(d, CLI_F_sentinel_away, "redis", way_out, "%s: %s",
				     c->redis.sentinels[i],
				     !r		  ? "out of memory"
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
static redisContext *redis_open(struct nv_cli_doctor *d, char **ret_place)
{
	const struct nv_config *c = d->config;
	struct timeval tv = {.tv_sec = (time_t)(c->redis.timeout / 1000),
			     .tv_usec = (suseconds_t)(c->redis.timeout % 1000) * 1000};
	struct redis_place at = {.port = c->redis.port};
	redisContext *r;
	snprintf(at.host, sizeof at.host, "%s", c->redis.host);
	if (c->redis.sentinels_len && !ask_sentinels(d, tv, &at)) {
		nv_cli_found(d, CLI_F_sentinel_none, "redis",
			     "check redis.sentinels and redis.master",
			     "no sentinel knows the master");
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

struct setting {
	const char *key;
	const char *want;
	enum cli_finding otherwise;
	const char *why;
};

static void redis_setting(struct nv_cli_doctor *d, redisContext *r, const struct setting *s)
{
	redisReply *reply = ask(r, "CONFIG", "GET", s->key);
	nv_auto_free char *way_out =
		nv_asprintf("set \"%s %s\" in redis.conf: %s", s->key, s->want, s->why);
	if (!reply || reply->elements != 2)
		nv_cli_found(d, CLI_F_redis_setting_unknown, "redis", way_out,
			     "%s: this user may not ask for it", s->key);
	else
		nv_cli_found(d,
			     strcmp(reply->element[1]->str, s->want) == 0 ? CLI_F_redis_setting_ok
									  : s->otherwise,
			     "redis", way_out, "%s %s", s->key, reply->element[1]->str);
	freeReplyObject(reply);
}

static void redis_version(struct nv_cli_doctor *d, redisContext *r)
{
	redisReply *reply = ask(r, "INFO", "server", NULL);
	const char *at = reply && reply->str ? strstr(reply->str, "redis_version:") : NULL;
	if (at) {
		nv_auto_free char *version = nv_strndup(at + 14, strcspn(at + 14, "\r\n"));
		nv_cli_found(d,
			     nv_cli_version_compare(version, "7.0") < 0 ? CLI_F_redis_version_old
									: CLI_F_redis_version_ok,
			     "versions", "the status scripts need Redis 7.0 or later", "Redis %s",
			     version);
	}
	freeReplyObject(reply);
}

static void redis_clock(struct nv_cli_doctor *d, redisContext *r)
{
	redisReply *reply = ask(r, "TIME", NULL, NULL);
	if (reply && reply->elements == 2) {
		int64_t ms = (int64_t)strtoll(reply->element[0]->str, NULL, 10) * 1000 +
			     (int64_t)strtoll(reply->element[1]->str, NULL, 10) / 1000;
		nv_cli_found_clock(d, "Redis", ms - (int64_t)nv_now_ms());
	}
	freeReplyObject(reply);
}

static void redis_settings(struct nv_cli_doctor *d, redisContext *r)
{
	static const struct setting settings[] = {
		{"maxmemory-policy", "noeviction", CLI_F_redis_setting_wrong,
		 "Redis must not evict records"},
		{"appendonly", "yes", CLI_F_redis_setting_wrong,
		 "else a restart forgets the status"},
		{"appendfsync", "always", CLI_F_redis_setting_risky,
		 "else a power cut loses the last second"},
	};
	for (size_t i = 0; i < NV_ARRAY_LEN(settings); i++)
		redis_setting(d, r, &settings[i]);
}

/* Errors of refused writes, and their remedies. */
static const struct {
	const char *word;
	enum cli_finding finding;
	const char *way_out;
} refusals[] = {
	{"READONLY", CLI_F_redis_replica,
	 "this is a replica: name the primary (redis.host, redis.socket), or the sentinels "
	 "(redis.sentinels)"},
	{"NOREPLICAS", CLI_F_redis_no_replicas,
	 "start the replicas, or lower min-replicas-to-write in redis.conf"},
	{"MISCONF", CLI_F_redis_disk,
	 "Redis cannot write to its disk: see its log; make room, and its folder must be its own"},
	{"OOM", CLI_F_redis_memory, "give Redis more memory: maxmemory in redis.conf"},
	{"NOPERM", CLI_F_redis_write_denied,
	 "the user of redis.user must be able to write keys nv:* (ACL SETUSER USER ~nv:* &nv:* "
	 "+@all)"},
	{"", CLI_F_redis_write_refused, "see Redis' log"},
};

/* It may answer questions and take nothing. */
static void redis_write(struct nv_cli_doctor *d, redisContext *r)
{
	char token[NV_TOKEN_SIZE];
	nv_token_new(token);
	nv_auto_free char *key = nv_asprintf("nv:doctor:%s", token);
	redisReply *reply = redisCommand(r, "SET %s 1 EX 10", key);
	if (reply && reply->type == REDIS_REPLY_STATUS) {
		nv_cli_found(d, CLI_F_redis_writes, "redis", NULL, "it can be written to");
		freeReplyObject(reply);
		freeReplyObject(ask(r, "DEL", key, NULL));
		return;
	}
	const char *said = reply && reply->type == REDIS_REPLY_ERROR ? reply->str : r->errstr;
	size_t i = 0;
	while (strncmp(said, refusals[i].word, strlen(refusals[i].word)) != 0)
		i++;
	nv_cli_found(d, refusals[i].finding, "redis", refusals[i].way_out,
		     "it refuses to write: %s", said);
	freeReplyObject(reply);
}

static void redis_refused(struct nv_cli_doctor *d, const char *said)
{
	if (strncmp(said, "LOADING", 7) == 0)
		nv_cli_found(d, CLI_F_redis_loading, "redis",
			     "it is loading its data after a start: check again in a moment", "%s",
			     said);
	else
		nv_cli_found(d, CLI_F_redis_denied, "redis",
			     "check redis.user and redis.password_file, and Redis' own users", "%s",
			     said);
}

void nv_cli_doctor_redis(struct nv_cli_doctor *d)
{
	if (!(d->roles & (NV_ROLE_PRODUCER | NV_ROLE_WORKER)) && !d->config->redis.socket &&
	    !d->config->redis.sentinels_len)
		return;
	nv_auto_free char *place = NULL;
	redisContext *r = redis_open(d, &place);
	if (!place)
		return;
	if (!r || r->err) {
		nv_cli_found(
			d, CLI_F_redis_unreachable, "redis",
			"check that Redis runs and redis.socket, or redis.host and redis.port, is "
			"right, and that this user may open the socket",
			"%s: %s", place, r ? r->errstr : "out of memory");
	} else if (!redis_sign_in(r, d->config)) {
		redis_refused(d, r->errstr);
	} else {
		nv_cli_found(d, CLI_F_redis_ok, "redis", NULL, "it answers");
		redis_version(d, r);
		redis_settings(d, r);
		redis_write(d, r);
		redis_clock(d, r);
	}
	if (r)
		redisFree(r);
}
