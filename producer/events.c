/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Live events: one follower of Redis's event stream serves all readers of this producer, and keeps
 * the last events so that a reader who reconnects gets those it missed.
 *
 * At each heartbeat every reader's session is checked as for a request: if it has ended, or allows
 * another view than the stream was opened with, the stream ends with the event "close". */
#include <string.h>

#include "base/log.h"
#include "core/status/events.h"
#include "producer/admin/dead_tidy.h"
#include "producer/admin/site_letters.h"
#include "producer/answer.h"
#include "producer/events.h"
#include "producer/requests/catalog.h"
#include "producer/requests/withdrawals.h"
#include "producer/session/launch.h"
#include "producer/session/session.h"

#define KEPT 4096u
#define HEARTBEAT_MS 15000u

struct kept {
	char *cursor;
	char *user; /* NULL: for administrators only */
	char *text; /* the whole event as it is sent */
};

struct reader {
	struct events *e;
	struct reader *prev, *next;
	struct nv_http_request *r;
	char *identity;
	char *session_key;
	bool admin;
	struct look *look; /* under way; NULL: none */
	char *cursor; /* to catch up from, once it is known what there was; NULL: nothing to wait
			 for */
};

/* A look at a reader's session. */
struct look {
	struct reader *rd; /* NULL: left meanwhile */
	struct nv_arena arena;
};

struct events {
	struct app *app;
	struct nv_follow *follow;
	uv_timer_t heartbeat;
	struct reader *readers;
	double readers_len;
	bool caught_up; /* with what was in Redis when this producer began */
	struct kept ring[KEPT];
	size_t first, len;
};

/* --- what is kept --- */

static void drop_oldest(struct events *e)
{
	struct kept *k = &e->ring[e->first];
	free(k->cursor);
	free(k->user);
	free(k->text);
	e->first = (e->first + 1) % KEPT;
	e->len--;
}

static const struct kept *keep(struct events *e, const char *cursor, const char *user,
			       const char *text)
{
	if (e->len == KEPT)
		drop_oldest(e);
	struct kept *k = &e->ring[(e->first + e->len++) % KEPT];
	*k = (struct kept){nv_strdup(cursor), nv_strdup(user), nv_strdup(text)};
	return k;
}

static bool for_reader(const struct kept *k, const struct reader *rd)
{
	return rd->admin || (k->user && strcmp(k->user, rd->identity) == 0);
}

/* --- from Redis --- */

static char *event_text(const struct nv_status_change_event *ev)
{
	json_t *o = json_pack("{s:o, s:s, s:o, s:o, s:I, s:o, s:I, s:I, s:o, s:o, s:o, s:o}", "id",
			      nv_api_text(ev->id), "kind", ev->kind, "user", nv_api_text(ev->user),
			      "state", nv_api_text(ev->state), "rev", (json_int_t)ev->rev, "step",
			      nv_api_text(ev->step), "done", (json_int_t)ev->done, "total",
			      (json_int_t)ev->total, "reason", nv_api_text(ev->reason), "message",
			      nv_api_text(ev->message), "next_try", nv_api_time(ev->next_try),
			      "held", nv_api_time(ev->held));
	nv_auto_free char *data = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	return nv_asprintf("id: %s\nevent: %s\ndata: %s\n\n", ev->cursor, ev->kind, data);
}

static void on_event(void *arg, const struct nv_status_change_event *ev)
{
	struct events *e = arg;
	if (strcmp(ev->kind, LAUNCH_EVENT) == 0) { /* the producers' own */
		if (ev->id)
			nv_launch_used(e->app, ev->id, ev->first);
		return;
	}
	if (strcmp(ev->kind, LETTERS_EVENT) == 0) { /* so is this */
		if (ev->id && ev->user)
			nv_site_letters_announced(e->app, ev->id, ev->user);
		return;
	}
	if (strcmp(ev->kind, NV_STATUS_EMPTIED) == 0) { /* and this */
		nv_withdrawals_repeat(e->app->withdrawals);
		return;
	}
	nv_auto_free char *text = event_text(ev);
	const struct kept *k = keep(e, ev->cursor, ev->user, text);
	for (struct reader *rd = e->readers; rd; rd = rd->next)
		if (!rd->cursor && for_reader(k, rd))
			nv_http_stream_send(rd->r, text, strlen(text));
	nv_dead_tidy_heard(e->app->tidy, ev);
	if (strcmp(ev->kind, CATALOG_EVENT) == 0 && ev->id && ev->user)
		nv_catalog_announced(e->app, ev->id, ev->user);
}

static void send_reset(struct reader *rd)
{
	static const char text[] = "event: reset\ndata: {}\n\n";
	nv_http_stream_send(rd->r, text, sizeof text - 1);
}

static void on_lost(void *arg)
{
	struct events *e = arg;
	while (e->len)
		drop_oldest(e);
	for (struct reader *rd = e->readers; rd; rd = rd->next)
		if (!rd->cursor)
			send_reset(rd);
}

/* --- readers --- */

static void forget(struct reader *rd)
{
	struct events *e = rd->e;
	if (rd->prev)
		rd->prev->next = rd->next;
	else
		e->readers = rd->next;
	if (rd->next)
		rd->next->prev = rd->prev;
	nv_metric_set(e->app->m.readers, NULL, --e->readers_len);
	if (rd->look)
		rd->look->rd = NULL;
	free(rd->identity);
	free(rd->session_key);
	free(rd->cursor);
	free(rd);
}

static void gone(void *arg)
{
	forget(arg);
}

/* why: ended, withdrawn, unconfirmed; or rights: the reader may come again at once and gets
 * another view. */
static void end(struct reader *rd, const char *why)
{
	nv_auto_free char *text = nv_asprintf("event: close\ndata: {\"reason\":\"%s\"}\n\n", why);
	NV_LOG(NV_INFO, "events.closed", NV_P("user", rd->identity), NV_S("why", why));
	nv_http_stream_send(rd->r, text, strlen(text));
	nv_http_stream_end(rd->r);
	forget(rd);
}

/* --- may they still? --- */

static const char *why_not(const struct reader *rd, enum session_result result,
			   const struct session *s)
{
	switch (result) {
	case SESSION_ENDED:
		return "ended";
	case SESSION_WITHDRAWN:
		return "withdrawn";
	case SESSION_UNCONFIRMED:
		return "unconfirmed";
	case SESSION_CROWDED: /* said of requests only */
		return NULL;
	case SESSION_LIVES:
		break;
	}
	return s->admin != rd->admin || strcmp(s->identity, rd->identity) != 0 ? "rights" : NULL;
}

static void looked(void *arg, const struct nv_err *err, enum session_result result,
		   const struct session *s)
{
	struct look *l = arg;
	struct reader *rd = l->rd;
	const char *why = rd && !err ? why_not(rd, result, s) : NULL;
	if (rd)
		rd->look = NULL;
	if (why)
		end(rd, why);
	nv_arena_fini(&l->arena);
	free(l);
}

static void look(struct reader *rd)
{
	struct look *l;
	if (rd->look)
		return;
	l = nv_alloc(sizeof *l);
	l->rd = rd;
	rd->look = l;
	nv_session_find(rd->e->app, NULL, nv_arena_strdup(&l->arena, rd->session_key), &l->arena,
			looked, l);
}

/* A reader that left is noticed by the comment. */
static void heartbeat(uv_timer_t *timer)
{
	struct events *e = timer->data;
	struct reader *next;
	for (struct reader *rd = e->readers; rd; rd = next) {
		next = rd->next;
		nv_http_stream_send(rd->r, ":\n\n", 3);
	}
	for (struct reader *rd = e->readers; rd; rd = next) {
		next = rd->next;
		look(rd);
	}
}

/* Everything after its cursor; reset when it is not known (any more). */
static void catch_up(struct reader *rd)
{
	struct events *e = rd->e;
	nv_auto_free char *cursor = rd->cursor;
	rd->cursor = NULL;
	size_t i = 0;
	while (i < e->len && strcmp(e->ring[(e->first + i) % KEPT].cursor, cursor) != 0)
		i++;
	if (i == e->len) {
		send_reset(rd);
		return;
	}
	for (i++; i < e->len; i++) {
		const struct kept *k = &e->ring[(e->first + i) % KEPT];
		if (for_reader(k, rd))
			nv_http_stream_send(rd->r, k->text, strlen(k->text));
	}
}

/* Who came back sooner than what they missed was read from Redis. */
static void on_caught_up(void *arg)
{
	struct events *e = arg;
	struct reader *next;
	e->caught_up = true;
	for (struct reader *rd = e->readers; rd; rd = next) {
		next = rd->next;
		if (rd->cursor)
			catch_up(rd);
	}
}

static bool has_too_many(const struct events *e, const char *identity)
{
	uint64_t n = 0;
	for (const struct reader *rd = e->readers; rd; rd = rd->next)
		n += strcmp(rd->identity, identity) == 0;
	return n >= e->app->config->producer.max_streams;
}

void nv_events_open(struct app *app, struct nv_http_request *r, const struct session *s)
{
	static const char hello[] = "retry: 3000\n\n";
	struct events *e = app->events;
	struct nv_err err;
	if (has_too_many(e, s->identity)) {
		nv_api_err(&err, 429, NV_R_busy, "you have too many pages open");
		nv_api_fail(r, &err);
		return;
	}
	if (strcmp(nv_http_method(r), "HEAD") == 0) {
		nv_http_reply(r, 200, "text/event-stream", NULL, 0);
		return;
	}
	const char *last = nv_http_header(r, "Last-Event-ID");
	struct reader *rd = nv_alloc(sizeof *rd);
	*rd = (struct reader){.e = e,
			      .next = e->readers,
			      .r = r,
			      .identity = nv_strdup(s->identity),
			      .session_key = nv_strdup(s->key),
			      .admin = s->admin,
			      .cursor = nv_strdup(last)}; /* the stream outlives its headers */
	if (rd->next)
		rd->next->prev = rd;
	e->readers = rd;
	nv_metric_set(app->m.readers, NULL, ++e->readers_len);
	nv_http_add_header(r, "X-Accel-Buffering", "no");
	nv_http_stream(r, "text/event-stream", gone, rd);
	if (e->readers != rd) /* the reader left before this */
		return;
	nv_http_stream_send(r, hello, sizeof hello - 1);
	if (rd->cursor && e->caught_up)
		catch_up(rd);
}

static void signed_out(struct app *app, const char *session_key)
{
	struct reader *next;
	for (struct reader *rd = app->events->readers; rd; rd = next) {
		next = rd->next;
		if (strcmp(rd->session_key, session_key) == 0)
			end(rd, "ended");
	}
}

/* --- life --- */

struct events *nv_events_new(struct app *app)
{
	struct events *e = nv_alloc(sizeof *e);
	e->app = app;
	app->on_signed_out_cb = signed_out;
	uv_timer_init(app->d->loop, &e->heartbeat);
	e->heartbeat.data = e;
	uv_timer_start(&e->heartbeat, heartbeat, HEARTBEAT_MS, HEARTBEAT_MS);
	/* from the stream's beginning: readers of an earlier producer catch up here */
	e->follow = nv_status_follow(app->status, "0-0", on_event, on_lost, on_caught_up, e);
	return e;
}

static void timer_closed(uv_handle_t *handle)
{
	struct events *e = handle->data;
	while (e->len)
		drop_oldest(e);
	free(e);
}

void nv_events_close(struct events *e)
{
	nv_status_unfollow(e->follow);
	uv_close((uv_handle_t *)&e->heartbeat, timer_closed);
}
