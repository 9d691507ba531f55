/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Notices: final states, each delivered to one of all notifiers.
 *
 * They have a stream of their own (nv:notices), so that other requests' progress cannot push a
 * final state out before it is delivered.  Consumer group "notifier"; an entry leaves the stream
 * when it is done.  One that is not done within a minute is delivered again, to any notifier.  One
 * that cannot be delivered now waits in nv:notices:waiting and returns to the stream when it is
 * due. */
#include <string.h>

#include "core/status/events.h"
#include "core/status/notices.h"
#include "core/status/status_internal.h"

#define BLOCK_MS 5000u
#define AGAIN_MS 200u
#define STREAM "nv:notices"
#define GROUP "notifier"

struct nv_notices {
	struct nv_child child;
	struct nv_status *s;
	struct nv_conn *conn;
	uv_timer_t timer;
	char *consumer;
	char *current; /* the cursor that is out; NULL: none */
	nv_follow_cb cb;
	void *arg;
	unsigned open;
	unsigned settling; /* answers to come to what was said of notices */
	bool ended;
};

static void look(struct nv_notices *n);

static void on_timer(uv_timer_t *t)
{
	struct nv_notices *n = t->data;

	/* Not done in time: it may be given to another, or to us again. */
	free(n->current);
	n->current = NULL;
	look(n);
}

static void look_in(struct nv_notices *n, uint64_t ms)
{
	if (!n->ended)
		uv_timer_start(&n->timer, on_timer, ms, 0);
}

static void on_woken(void *arg, const struct nv_err *err, const redisReply *r)
{
	(void)r;
	if (err)
		look_in(arg, AGAIN_MS);
	else
		look(arg);
}

/* due_ms: when one that waits comes back; UINT64_MAX: none does */
static void wait_for_more(struct nv_notices *n, const char *last, uint64_t due_ms)
{
	uint64_t block = n->s->notice_idle_ms / 2 < BLOCK_MS ? n->s->notice_idle_ms / 2 : BLOCK_MS;
	struct nv_args a = {0};

	if (due_ms < block)
		block = due_ms;

	nv_args_str(&a, "XREAD");
	nv_args_str(&a, "COUNT");
	nv_args_str(&a, "1");
	nv_args_str(&a, "BLOCK");
	nv_args_uint(&a, block ? block : 1);
	nv_args_str(&a, "STREAMS");
	nv_args_str(&a, STREAM);
	nv_args_str(&a, last);
	nv_conn_call(n->conn, &a, block, on_woken, n);
	nv_args_fini(&a);
}

static void on_conn_closed(void *arg);

/* Closing the connection drops what is on its way, so it waits for these. */
static void settled(struct nv_notices *n)
{
	if (--n->settling == 0 && n->ended)
		nv_conn_close(n->conn, on_conn_closed, n);
}

static void on_acked(void *arg, const struct nv_err *err, const redisReply *r)
{
	/* Not acked: it comes again after a minute, as at-least-once allows. */
	(void)err;
	(void)r;
	settled(arg);
}

static void ack(struct nv_notices *n, const char *cursor)
{
	struct nv_args a = {0};

	nv_args_str(&a, "XACK");
	nv_args_str(&a, STREAM);
	nv_args_str(&a, GROUP);
	nv_args_str(&a, cursor);
	n->settling += 2;
	nv_conn_call(n->conn, &a, 0, on_acked, n);
	nv_args_fini(&a);
	nv_args_str(&a, "XDEL");
	nv_args_str(&a, STREAM);
	nv_args_str(&a, cursor);
	nv_conn_call(n->conn, &a, 0, on_acked, n);
	nv_args_fini(&a);
}

static uint64_t due_of(const redisReply *r)
{
	const char *due = nv_reply_str(r, 2);

	return due && *due != '-' ? strtoull(due, NULL, 10) : UINT64_MAX;
}

/* {entry or nil, last id, ms until the next one is due} */
static void done_look(struct nv_op *op, const struct nv_err *err, const redisReply *r)
{
	struct nv_notices *n = op->arg;
	const char *last = err ? NULL : nv_reply_str(r, 1);
	struct nv_status_change_event e;

	if (n->ended)
		return;
	if (!last) {
		look_in(n, AGAIN_MS);
		return;
	}
	if (r->element[0]->type != REDIS_REPLY_ARRAY) {
		wait_for_more(n, last, due_of(r));
		return;
	}
	if (!nv_event_from_reply(r->element[0], &e)) {
		const char *cursor = nv_reply_str(r->element[0], 0);

		if (cursor)
			ack(n, cursor);
		look_in(n, AGAIN_MS);
		return;
	}
	n->current = nv_strdup(e.cursor);
	look_in(n, n->s->notice_idle_ms);
	n->cb(n->arg, &e);
}

static void look(struct nv_notices *n)
{
	struct nv_op *op;

	if (n->ended)
		return;
	op = nv_op_new(n->s, NV_SC_notice, done_look, NULL, n);
	op->conn = n->conn;
	nv_args_str(&op->args, n->consumer);
	nv_args_uint(&op->args, n->s->notice_idle_ms);
	nv_op_run(op);
}

/* false: it comes late; another one may be out already, and stays it. */
static bool is_current(const struct nv_notices *n, const char *cursor)
{
	return n->current && strcmp(n->current, cursor) == 0;
}

void nv_notice_done(struct nv_notices *n, const char *cursor)
{
	if (n->ended)
		return;
	ack(n, cursor);
	if (is_current(n, cursor))
		look_in(n, 0);
}

/* The next look must see it waiting. */
static void done_later(struct nv_op *op, const struct nv_err *err, const redisReply *r)
{
	struct nv_notices *n = op->arg;

	(void)err; /* not put back: it comes again after a minute */
	(void)r;
	look_in(n, 0);
	settled(n);
}

static void done_late(struct nv_op *op, const struct nv_err *err, const redisReply *r)
{
	(void)err;
	(void)r;
	settled(op->arg);
}

void nv_notice_later(struct nv_notices *n, const char *cursor, uint64_t delay_ms, const char *told)
{
	struct nv_op *op;

	if (n->ended)
		return;
	if (is_current(n, cursor))
		uv_timer_stop(&n->timer);
	op = nv_op_new(n->s, NV_SC_notice_later, is_current(n, cursor) ? done_later : done_late,
		       NULL, n);
	n->settling++;
	op->conn = n->conn;
	nv_args_str(&op->args, cursor);
	nv_args_uint(&op->args, delay_ms);
	nv_args_str(&op->args, told);
	nv_op_run(op);
}

/* --- life --- */

static void one_closed(struct nv_notices *n)
{
	struct nv_status *s = n->s;

	if (--n->open)
		return;
	free(n->consumer);
	free(n->current);
	free(n);
	nv_status_child_gone(s);
}

static void on_conn_closed(void *arg)
{
	one_closed(arg);
}

static void on_timer_closed(uv_handle_t *h)
{
	one_closed(h->data);
}

static void close_notices(struct nv_child *child)
{
	nv_status_notices_close((struct nv_notices *)(void *)child);
}

struct nv_notices *nv_status_notices(struct nv_status *s, const char *consumer, nv_follow_cb cb,
				     void *arg)
{
	struct nv_notices *n = nv_alloc(sizeof *n);
	struct nv_conn_options co = {.loop = s->loop, .config = s->options.config};

	n->s = s;
	n->consumer = nv_strdup(consumer);
	n->cb = cb;
	n->arg = arg;
	n->child.close = close_notices;
	n->conn = nv_conn_new(&co, NULL);
	uv_timer_init(s->loop, &n->timer);
	n->timer.data = n;
	n->open = 2;
	nv_status_child_add(s, &n->child);
	look(n);
	return n;
}

void nv_status_notices_close(struct nv_notices *n)
{
	if (!n || n->ended)
		return;
	n->ended = true;
	LIST_REMOVE(&n->child, link);
	uv_close((uv_handle_t *)&n->timer, on_timer_closed);
	if (!n->settling)
		nv_conn_close(n->conn, on_conn_closed, n);
}
