/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One connection to Redis that comes back by itself.
 *
 *   WAITING (backoff 0.1 s … 5 s) → CONNECTING (connect, AUTH, SELECT, PING) → UP → WAITING …
 *   any → CLOSING
 *
 * With sentinels (redis.io, "Guidelines for Redis clients with support for Redis Sentinel"): before
 * each CONNECTING the next of them is asked, state ASKING, where the master is, and whoever is
 * there must say by ROLE that it is one.  A failover ends the connection to the old one; where it
 * does not, the first write that is refused with READONLY does.
 *
 * A call made while CONNECTING for the first time waits for its outcome; later, a call made while
 * the connection is not UP fails at once.  Replies come in order, so when the oldest call is late,
 * all are: the connection is dropped and every call on it answered with that.
 *
 * hiredis 0.14 answers pending callbacks with a NULL reply when it frees a context, also from
 * within redisAsyncFree; those failures go to a list that the loop works off, so that no caller is
 * called back from inside its own call. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "core/status/status_internal.h"

#define BACKOFF_MIN 100u
#define BACKOFF_MAX 5000u
#define PING_EVERY 5000u
#define LATE_GRACE 50u
#define DEFAULT_TIMEOUT 5000u

enum conn_state { CONN_WAITING, CONN_ASKING, CONN_CONNECTING, CONN_UP, CONN_CLOSING };

struct nv_call {
	TAILQ_ENTRY(nv_call) link;
	struct nv_conn *conn;
	nv_reply_cb cb;
	void *arg;
	uint64_t deadline; /* of the loop's clock */
	char *wire;	   /* until it is sent */
	size_t wire_len;
	struct nv_err err; /* in the list of failed ones */
};
TAILQ_HEAD(nv_calls, nv_call);

struct nv_conn {
	struct nv_conn_options o;
	enum conn_state state;
	bool failed;	       /* the last attempt, or the connection: calls fail at once */
	redisAsyncContext *ac; /* NULL: none */
	unsigned hello_left;   /* answers to come before it is up */
	size_t sentinel;       /* the one that is asked, or was */
	bool found;	       /* by it: host and port below are the master's */
	char host[256];	       /* where we are, or go; "": the configuration's socket */
	uint16_t port;
	unsigned handles; /* on the loop */
	uint64_t backoff;
	bool late; /* the oldest call's time was up; one more look at the socket */
	uv_timer_t timer;
	uv_timer_t failer;
	struct nv_calls calls;	   /* waiting for a reply, in order */
	struct nv_calls failures;  /* to be answered from the loop */
	struct nv_err why;	   /* the last failure; what callers are told */
	void (*closed_cb)(void *); /* CLOSING */
	void *closed_arg;
};

static void on_timer(uv_timer_t *timer);
static void connect_now(struct nv_conn *c);

bool nv_conn_up(const struct nv_conn *c)
{
	return c->state == CONN_UP;
}

static uint64_t timeout_of(const struct nv_conn *c)
{
	uint64_t t = c->o.config->redis.timeout;

	return t ? t : DEFAULT_TIMEOUT;
}

/* "unix:/run/redis.sock", "host:port" or "sentinel host:port". */
static void where(const struct nv_conn *c, char *ret, size_t size)
{
	if (!*c->host && c->o.config->redis.socket)
		snprintf(ret, size, "unix:%.180s", c->o.config->redis.socket);
	else
		snprintf(ret, size, "%s%.160s:%u", c->state == CONN_ASKING ? "sentinel " : "",
			 c->host, (unsigned)c->port);
}

static void set_why(struct nv_conn *c, const char *text)
{
	char place[200];

	where(c, place, sizeof place);
	nv_fail(&c->why, NV_RETRY, NV_R_status_unavailable, "status: redis at %s: %s", place, text);
}

/* --- failures, from the loop --- */

static void handle_gone(void *arg)
{
	struct nv_conn *c = arg;
	void (*closed_cb)(void *) = c->closed_cb;
	void *closed_arg = c->closed_arg;

	if (--c->handles)
		return;
	free(c);
	closed_cb(closed_arg);
}

static void on_handle_closed(uv_handle_t *h)
{
	handle_gone(h->data);
}

/* The last step: nothing in flight, the context gone; only our two timers are left. */
static void perhaps_end(struct nv_conn *c)
{
	if (c->state != CONN_CLOSING || c->ac || !TAILQ_EMPTY(&c->calls) ||
	    !TAILQ_EMPTY(&c->failures) || uv_is_closing((uv_handle_t *)&c->timer))
		return;
	uv_close((uv_handle_t *)&c->timer, on_handle_closed);
	uv_close((uv_handle_t *)&c->failer, on_handle_closed);
}

static void on_failer(uv_timer_t *timer)
{
	struct nv_conn *c = timer->data;
	struct nv_calls now = TAILQ_HEAD_INITIALIZER(now);
	struct nv_call *call;

	/* Only those that are here now: a caller may call again, and fail again. */
	TAILQ_CONCAT(&now, &c->failures, link);
	while ((call = TAILQ_FIRST(&now))) {
		TAILQ_REMOVE(&now, call, link);
		call->cb(call->arg, &call->err, NULL);
		free(call->wire);
		free(call);
	}
	perhaps_end(c);
}

static void fail_call(struct nv_conn *c, struct nv_call *call, const struct nv_err *err)
{
	call->err = *err;
	TAILQ_INSERT_TAIL(&c->failures, call, link);
	uv_timer_start(&c->failer, on_failer, 0, 0);
}

void nv_conn_fail_later(struct nv_conn *c, const struct nv_err *err, nv_reply_cb cb, void *arg)
{
	struct nv_call *call = nv_alloc(sizeof *call);

	call->cb = cb;
	call->arg = arg;
	call->conn = c;
	fail_call(c, call, err);
}

static void fail_all(struct nv_conn *c)
{
	struct nv_call *call;

	while ((call = TAILQ_FIRST(&c->calls))) {
		TAILQ_REMOVE(&c->calls, call, link);
		fail_call(c, call, &c->why);
	}
}

/* --- going down --- */

static void went_down(struct nv_conn *c)
{
	bool first = c->state == CONN_UP || !c->failed;

	if (c->state == CONN_CLOSING) {
		fail_all(c);
		perhaps_end(c);
		return;
	}
	c->state = CONN_WAITING;
	c->failed = true;
	fail_all(c);
	uv_timer_start(&c->timer, on_timer, c->backoff, 0);
	c->backoff = c->backoff * 2 > BACKOFF_MAX ? BACKOFF_MAX : c->backoff * 2;
	if (first && c->o.state_cb)
		c->o.state_cb(c->o.arg, false, &c->why);
}

/* hiredis frees the context: by its own decision (ac->err says why) or by drop(). */
static void on_gone(void *arg, const redisAsyncContext *ac)
{
	struct nv_conn *c = arg;

	if (ac->err && c->state != CONN_CLOSING)
		set_why(c, ac->errstr ? ac->errstr : "connection lost");
	c->ac = NULL;
	if (c->state == CONN_ASKING && c->found) {
		c->state = CONN_WAITING;
		uv_timer_start(&c->timer, on_timer, 0, 0);
		return;
	}
	c->found = false;
	went_down(c);
}

/* c->why is set. */
static void drop(struct nv_conn *c)
{
	/* Within a callback hiredis only marks the context; on_gone comes in either case. */
	if (c->ac)
		redisAsyncFree(c->ac);
}

/* --- calls --- */

static void arm(struct nv_conn *c)
{
	const struct nv_call *oldest = TAILQ_FIRST(&c->calls);
	uint64_t now = uv_now(c->o.loop);
	uint64_t wait = PING_EVERY;

	if (c->state != CONN_UP)
		return;
	if (oldest)
		wait = oldest->deadline > now ? oldest->deadline - now : 1;
	c->late = false;
	uv_timer_start(&c->timer, on_timer, wait, 0);
}

static void reply_error(const struct nv_conn *c, const redisReply *r, struct nv_err *err)
{
	char place[200];
	/* "ERR …" is about the command: ours, so a bug.  Others are about the server: OOM, LOADING,
	 * READONLY, MISCONF (disk full), BUSY, NOAUTH, WRONGPASS, NOPERM, … */
	bool ours = strncmp(r->str, "ERR ", 4) == 0 || strncmp(r->str, "WRONGTYPE", 9) == 0;

	where(c, place, sizeof place);
	nv_fail(err, NV_RETRY, ours ? NV_R_internal : NV_R_status_unavailable,
		"status: redis at %s: %s", place, r->str);
}

static void on_reply(redisAsyncContext *ac, void *reply, void *data)
{
	struct nv_call *call = data;
	struct nv_conn *c = call->conn;
	const redisReply *r = reply;
	struct nv_err err = {0};

	if (!r && ac->err && c->state != CONN_CLOSING)
		set_why(c, ac->errstr ? ac->errstr : "connection lost");
	TAILQ_REMOVE(&c->calls, call, link);
	if (!r) {
		fail_call(c, call, &c->why);
		return;
	}
	arm(c);
	if (r->type == REDIS_REPLY_ERROR) {
		reply_error(c, r, &err);
		r = NULL;
	}
	bool demoted = c->o.config->redis.sentinels_len && strstr(err.msg, " READONLY ");
	call->cb(call->arg, r ? NULL : &err, r);
	free(call);
	if (demoted && c->ac == ac && c->state == CONN_UP) {
		set_why(c, "it is no longer the master");
		drop(c);
	}
}

static void send_call(struct nv_conn *c, struct nv_call *call)
{
	if (redisAsyncFormattedCommand(c->ac, on_reply, call, call->wire, call->wire_len) !=
	    REDIS_OK) {
		TAILQ_REMOVE(&c->calls, call, link);
		fail_call(c, call, &c->why);
	}
	free(call->wire);
	call->wire = NULL;
}

void nv_conn_call(struct nv_conn *c, const struct nv_args *a, uint64_t block_ms, nv_reply_cb cb,
		  void *arg)
{
	struct nv_call *call;
	char *wire = NULL;
	int len;

	if (c->state == CONN_CLOSING || (c->state != CONN_UP && c->failed)) {
		nv_conn_fail_later(c, &c->why, cb, arg);
		return;
	}
	len = redisFormatCommandArgv(&wire, (int)a->len, (const char **)a->items, a->lens);
	if (len < 0) {
		struct nv_err err;

		nv_fail(&err, NV_RETRY, NV_R_internal, "status: a command cannot be written");
		nv_conn_fail_later(c, &err, cb, arg);
		return;
	}
	call = nv_alloc(sizeof *call);
	*call = (struct nv_call){.conn = c, .cb = cb, .arg = arg, .wire = wire};
	call->wire_len = (size_t)len;
	/* The loop's clock stands still during a callback, and some take long. */
	uv_update_time(c->o.loop);
	call->deadline = uv_now(c->o.loop) + timeout_of(c) + block_ms;
	TAILQ_INSERT_TAIL(&c->calls, call, link);
	if (c->state == CONN_UP) {
		if (TAILQ_FIRST(&c->calls) == call)
			arm(c);
		send_call(c, call);
	}
}

/* --- coming up --- */

static void came_up(struct nv_conn *c)
{
	struct nv_call *call, *next;

	c->state = CONN_UP;
	c->failed = false;
	c->backoff = BACKOFF_MIN;
	/* From now on hiredis refuses calls because the connection is lost. */
	set_why(c, "connection lost");
	for (call = TAILQ_FIRST(&c->calls); call; call = next) {
		next = TAILQ_NEXT(call, link);
		send_call(c, call);
	}
	arm(c);
	if (c->o.state_cb)
		c->o.state_cb(c->o.arg, true, NULL);
}

static void on_hello(redisAsyncContext *ac, void *reply, void *data)
{
	struct nv_conn *c = data;
	const redisReply *r = reply;

	if (!r || c->ac != ac || c->state != CONN_CONNECTING)
		return;
	/* MISCONF: it cannot write, and says so even to PING; reading still works. */
	if (r->type == REDIS_REPLY_ERROR && strncmp(r->str, "MISCONF", 7) != 0) {
		set_why(c, r->str);
		/* The answers still to come must not bring it up. */
		c->hello_left = UINT32_MAX;
		drop(c);
	} else if (!--c->hello_left) {
		came_up(c);
	}
}

/* A server that a failover has made, or not yet made, a replica. */
static void on_role(redisAsyncContext *ac, void *reply, void *data)
{
	struct nv_conn *c = data;
	const redisReply *r = reply;
	const char *role = r && r->type == REDIS_REPLY_ARRAY ? nv_reply_str(r, 0) : NULL;

	if (!role || c->ac != ac || c->state != CONN_CONNECTING || strcmp(role, "master") == 0) {
		on_hello(ac, reply, data);
		return;
	}
	set_why(c, "it is not the master");
	c->hello_left = UINT32_MAX;
	drop(c);
}

static void hello(struct nv_conn *c, const char *word, const char *one, const char *two)
{
	const char *argv[3] = {word, one, two};
	int argc = 1;

	while (argc < 3 && argv[argc])
		argc++;
	c->hello_left++;
	redisAsyncCommandArgv(c->ac, on_hello, c, argc, argv, NULL);
}

static void say_hello(struct nv_conn *c)
{
	const struct nv_config *g = c->o.config;
	char db[8];

	c->hello_left = 0;
	if (g->redis.password && g->redis.user)
		hello(c, "AUTH", g->redis.user, g->redis.password);
	else if (g->redis.password)
		hello(c, "AUTH", g->redis.password, NULL);
	if (g->redis.db) {
		snprintf(db, sizeof db, "%u", (unsigned)g->redis.db);
		hello(c, "SELECT", db, NULL);
	}
	if (g->redis.sentinels_len) {
		c->hello_left++;
		redisAsyncCommand(c->ac, on_role, c, "ROLE");
	}
	/* After a restart Redis answers LOADING until its data are there. */
	hello(c, "PING", NULL, NULL);
}

/* {host, port} of the master, or nil: this sentinel knows none of that name. */
static void on_master(redisAsyncContext *ac, void *reply, void *data)
{
	struct nv_conn *c = data;
	const redisReply *r = reply;
	const char *host = r && r->type == REDIS_REPLY_ARRAY ? nv_reply_str(r, 0) : NULL;
	const char *port = host ? nv_reply_str(r, 1) : NULL;
	unsigned long number = port ? strtoul(port, NULL, 10) : 0;

	if (!r || c->ac != ac || c->state != CONN_ASKING)
		return;
	if (!number || number > UINT16_MAX || strlen(host) >= sizeof c->host) {
		set_why(c,
			r->type == REDIS_REPLY_ERROR ? r->str : "it knows no master of that name");
	} else if (!c->o.config->redis.allow_remote && !nv_host_is_loopback(host)) {
		set_why(c,
			"the master is on another machine; the connection is not encrypted: use a "
			"tunnel, or set redis.allow_remote");
	} else {
		c->found = true;
		snprintf(c->host, sizeof c->host, "%s", host);
		c->port = (uint16_t)number;
	}
	drop(c);
}

/* Where to: the master that a sentinel has named, else the next sentinel, else as configured. */
static void choose(struct nv_conn *c)
{
	const struct nv_config *g = c->o.config;

	c->state = CONN_CONNECTING;
	if (c->found || (!g->redis.sentinels_len && g->redis.socket))
		return;
	if (!g->redis.sentinels_len) {
		snprintf(c->host, sizeof c->host, "%s", g->redis.host);
		c->port = g->redis.port;
		return;
	}
	c->state = CONN_ASKING;
	c->sentinel = (c->sentinel + 1) % g->redis.sentinels_len;
	nv_config_address(g->redis.sentinels[c->sentinel], c->host, &c->port, NV_SENTINEL_PORT);
}

static void connect_now(struct nv_conn *c)
{
	const struct nv_config *g = c->o.config;
	struct nv_poll_hooks hooks = {.gone_cb = on_gone, .closed_cb = handle_gone, .arg = c};
	redisAsyncContext *ac;

	choose(c);
	ac = *c->host ? redisAsyncConnect(c->host, c->port)
		      : redisAsyncConnectUnix(g->redis.socket);
	/* It fails in two ways: no context, or one with an error. */
	if (!ac || ac->err || nv_poll_attach(ac, c->o.loop, &hooks)) {
		set_why(c, ac && ac->errstr && *ac->errstr ? ac->errstr : "cannot connect");
		if (ac)
			redisAsyncFree(ac);
		c->found = false;
		went_down(c);
		return;
	}
	c->handles++;
	c->ac = ac;
	if (c->state == CONN_ASKING)
		redisAsyncCommand(ac, on_master, c, "SENTINEL get-master-addr-by-name %s",
				  g->redis.master);
	else
		say_hello(c);
	uv_update_time(
		c->o.loop); /* a host's name is looked up in redisAsyncConnect, which waits */
	uv_timer_start(&c->timer, on_timer, timeout_of(c), 0);
}

/* --- time --- */

static void on_ping(void *arg, const struct nv_err *err, const redisReply *r)
{
	/* A dead connection is found by the call's deadline. */
	(void)arg;
	(void)err;
	(void)r;
}

static void ping(struct nv_conn *c)
{
	struct nv_args a = {0};

	nv_args_str(&a, "PING");
	nv_conn_call(c, &a, 0, on_ping, NULL);
	nv_args_fini(&a);
}

static void check_oldest(struct nv_conn *c)
{
	const struct nv_call *oldest = TAILQ_FIRST(&c->calls);

	if (!oldest) {
		ping(c);
	} else if (oldest->deadline > uv_now(c->o.loop)) {
		arm(c);
	} else if (!c->late) {
		/* Timers run before sockets are read: when the loop itself was held up, the answer
		 * lies there already. */
		c->late = true;
		uv_timer_start(&c->timer, on_timer, LATE_GRACE, 0);
	} else {
		set_why(c, "no answer in time");
		drop(c);
	}
}

static void on_timer(uv_timer_t *timer)
{
	struct nv_conn *c = timer->data;

	switch (c->state) {
	case CONN_WAITING:
		connect_now(c);
		break;
	case CONN_ASKING:
	case CONN_CONNECTING:
		set_why(c, "no answer in time while connecting");
		drop(c);
		break;
	case CONN_UP:
		check_oldest(c);
		break;
	case CONN_CLOSING:
		break;
	}
}

/* --- life --- */

struct nv_conn *nv_conn_new(const struct nv_conn_options *o, struct nv_err *err)
{
	const struct nv_config *g = o->config;
	struct nv_conn *c;

	if (!g->redis.sentinels_len && !g->redis.socket && (!g->redis.host || !g->redis.port)) {
		nv_fail(err, NV_FATAL, NV_R_config, "redis: neither socket nor host and port set");
		return NULL;
	}
	if (!g->redis.sentinels_len && !g->redis.socket && !g->redis.allow_remote &&
	    !nv_host_is_loopback(g->redis.host)) {
		nv_fail(err, NV_FATAL, NV_R_config,
			"redis.host: %s is another machine; the connection is not encrypted: "
			"use a tunnel, or set redis.allow_remote",
			g->redis.host);
		return NULL;
	}
	c = nv_alloc(sizeof *c);
	c->o = *o;
	c->backoff = BACKOFF_MIN;
	TAILQ_INIT(&c->calls);
	TAILQ_INIT(&c->failures);
	uv_timer_init(o->loop, &c->timer);
	uv_timer_init(o->loop, &c->failer);
	c->timer.data = c;
	c->failer.data = c;
	c->handles = 2;
	/* From the loop, so that state_cb never comes before this returns. */
	uv_timer_start(&c->timer, on_timer, 0, 0);
	return c;
}

void nv_conn_close(struct nv_conn *c, void (*closed_cb)(void *arg), void *arg)
{
	c->state = CONN_CLOSING;
	c->closed_cb = closed_cb;
	c->closed_arg = arg;
	set_why(c, "the connection was closed here");
	uv_timer_stop(&c->timer);
	if (c->ac)
		drop(c);
	else
		went_down(c);
}
