/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The event stream: read on from a cursor, and append.
 *
 * A follower waits with XREAD BLOCK, but takes the entries from a script, which in the same breath
 * sees whether the stream still holds what comes after the cursor. */
#include <string.h>

#include "core/status/events.h"
#include "core/status/status.h"
#include "core/status/status_internal.h"

#define BLOCK_MS 5000u
#define AGAIN_MS 200u /* after an error */
#define BATCH 200u

struct nv_follow {
	struct nv_child child;
	struct nv_status *s;
	struct nv_conn *conn;
	uv_timer_t again;
	char *cursor;
	nv_follow_cb cb;
	void (*lost_cb)(void *arg);
	void (*caught_up_cb)(void *arg); /* NULL: said, or nobody asks */
	void *arg;
	unsigned open; /* connection, timer */
	bool ended;
};

static void look(struct nv_follow *f);

bool nv_event_from_reply(const redisReply *entry, struct nv_status_change_event *ret)
{
	const redisReply *pairs;

	*ret = (struct nv_status_change_event){.cursor = nv_reply_str(entry, 0)};
	if (!ret->cursor || entry->elements < 2)
		return false;
	ret->first = strtoull(ret->cursor, NULL, 10);
	pairs = entry->element[1];
	if (pairs->type != REDIS_REPLY_ARRAY)
		return false;
	for (size_t i = 0; i + 1 < pairs->elements; i += 2) {
		const char *name = nv_reply_str(pairs, i);
		const char *value = nv_reply_str(pairs, i + 1);
		const struct {
			const char *name;
			const char **at;
		} texts[] = {
			{"kind", &ret->kind},	    {"id", &ret->id},	  {"user", &ret->user},
			{"state", &ret->state},	    {"step", &ret->step}, {"reason", &ret->reason},
			{"message", &ret->message}, {"told", &ret->told},
		};

		if (!name || !value)
			continue;
		for (size_t k = 0; k < NV_ARRAY_LEN(texts); k++)
			if (strcmp(texts[k].name, name) == 0)
				*texts[k].at = value;
		if (strcmp(name, "rev") == 0)
			ret->rev = strtoull(value, NULL, 10);
		else if (strcmp(name, "done") == 0)
			ret->done = strtoull(value, NULL, 10);
		else if (strcmp(name, "total") == 0)
			ret->total = strtoull(value, NULL, 10);
		else if (strcmp(name, "next_try") == 0)
			ret->next_try = strtoull(value, NULL, 10);
		else if (strcmp(name, "held") == 0)
			ret->held = strtoull(value, NULL, 10);
		else if (strcmp(name, "tries") == 0)
			ret->tries = strtoull(value, NULL, 10);
		else if (strcmp(name, "first") == 0) /* a stream id: ms-number */
			ret->first = strtoull(value, NULL, 10);
	}
	return ret->kind != NULL;
}

/* --- following --- */

static void on_again(uv_timer_t *t)
{
	look(t->data);
}

static void wait_a_little(struct nv_follow *f)
{
	if (!f->ended)
		uv_timer_start(&f->again, on_again, AGAIN_MS, 0);
}

static void on_woken(void *arg, const struct nv_err *err, const redisReply *r)
{
	(void)r;
	if (err)
		wait_a_little(arg);
	else
		look(arg);
}

static void wait_for_more(struct nv_follow *f)
{
	const char *words[] = {"XREAD", "COUNT", "1", "BLOCK", NULL, "STREAMS", "nv:events", NULL};
	struct nv_args a = {0};

	for (size_t i = 0; i < NV_ARRAY_LEN(words); i++) {
		if (words[i])
			nv_args_str(&a, words[i]);
		else if (i == 4)
			nv_args_uint(&a, BLOCK_MS);
		else
			nv_args_str(&a, f->cursor);
	}
	nv_conn_call(f->conn, &a, BLOCK_MS, on_woken, f);
	nv_args_fini(&a);
}

static void hand_out(struct nv_follow *f, const redisReply *entries)
{
	struct nv_status_change_event e;

	for (size_t i = 0; i < entries->elements && !f->ended; i++)
		if (nv_event_from_reply(entries->element[i], &e))
			f->cb(f->arg, &e);
}

/* {lost, cursor, entries} */
static void done_look(struct nv_op *op, const struct nv_err *err, const redisReply *r)
{
	struct nv_follow *f = op->arg;
	const char *cursor = err ? NULL : nv_reply_str(r, 1);
	const redisReply *entries;

	if (f->ended)
		return;
	if (!cursor || r->elements < 3 || r->element[2]->type != REDIS_REPLY_ARRAY) {
		wait_a_little(f);
		return;
	}
	entries = r->element[2];
	if (nv_reply_uint(r->element[0]) && f->lost_cb)
		f->lost_cb(f->arg);
	if (!f->ended)
		hand_out(f, entries);
	if (f->ended)
		return;
	free(f->cursor);
	f->cursor = nv_strdup(cursor);
	if (entries->elements == BATCH) {
		look(f);
		return;
	}
	if (f->caught_up_cb)
		f->caught_up_cb(f->arg);
	f->caught_up_cb = NULL;
	if (!f->ended)
		wait_for_more(f);
}

static void look(struct nv_follow *f)
{
	struct nv_op *op;

	if (f->ended)
		return;
	op = nv_op_new(f->s, NV_SC_events, done_look, NULL, f);
	op->conn = f->conn;
	nv_args_str(&op->args, f->cursor);
	nv_args_uint(&op->args, BATCH);
	nv_op_run(op);
}

/* --- life --- */

static void one_closed(struct nv_follow *f)
{
	struct nv_status *s = f->s;

	if (--f->open)
		return;
	free(f->cursor);
	free(f);
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

static void close_follow(struct nv_child *child)
{
	nv_status_unfollow((struct nv_follow *)(void *)child);
}

/* digits-digits, or "$" */
static bool cursor_ok(const char *c)
{
	size_t ms = strspn(c, "0123456789");
	size_t n = c[ms] == '-' ? strspn(c + ms + 1, "0123456789") : 0;

	return strcmp(c, "$") == 0 || (ms && ms < 16 && n && n < 16 && !c[ms + 1 + n]);
}

struct nv_follow *nv_status_follow(struct nv_status *s, const char *cursor, nv_follow_cb cb,
				   void (*lost_cb)(void *arg), void (*caught_up_cb)(void *arg),
				   void *arg)
{
	struct nv_follow *f = nv_alloc(sizeof *f);
	struct nv_conn_options co = {.loop = s->loop, .config = s->options.config};

	f->s = s;
	f->cb = cb;
	f->lost_cb = lost_cb;
	f->caught_up_cb = caught_up_cb;
	f->arg = arg;
	f->child.close = close_follow;
	/* A cursor that never was one: nobody knows what came after it, so from the beginning of
	 * time, which the first look finds cut. */
	f->cursor = nv_strdup(cursor && cursor_ok(cursor) ? cursor : "0-1");
	f->conn = nv_conn_new(&co, NULL); /* the options were checked by nv_status_new */
	uv_timer_init(s->loop, &f->again);
	f->again.data = f;
	f->open = 2;
	nv_status_child_add(s, &f->child);
	look(f);
	return f;
}

void nv_status_unfollow(struct nv_follow *f)
{
	if (!f || f->ended)
		return;
	f->ended = true;
	LIST_REMOVE(&f->child, link);
	uv_close((uv_handle_t *)&f->again, on_timer_closed);
	nv_conn_close(f->conn, on_conn_closed, f);
}

void nv_status_announce(struct nv_status *s, const char *kind, const char *id, const char *user,
			nv_status_cb cb, void *arg)
{
	struct nv_op *op = nv_op_new(s, NV_SC_COUNT, nv_op_done_plain, NV_CB(cb), arg);
	const char *words[] = {"XADD", "nv:events", "MAXLEN", "~", "100000", "*",
			       "kind", kind,	    "id",     id,  "user",   user};
	size_t len = NV_ARRAY_LEN(words) - (user ? 0 : 2);

	nv_args_strs(&op->args, words, len);
	nv_op_run(op);
}
