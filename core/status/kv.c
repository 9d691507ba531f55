/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Small values with a life time, and which messages were handled. */
#include <string.h>

#include "core/status/kv.h"
#include "core/status/status.h"
#include "core/status/status_internal.h"

typedef void (*bool_cb)(void *arg, const struct nv_err *err, bool yes);

static struct nv_op *command(struct nv_status *s, const char *word, const char *prefix,
			     const char *key, nv_op_done done, void (*cb)(void), void *arg)
{
	struct nv_op *op = nv_op_new(s, NV_SC_COUNT, done, cb, arg);
	nv_auto_free char *whole = nv_asprintf("%s%s", prefix, key);

	nv_args_str(&op->args, word);
	nv_args_str(&op->args, whole);
	return op;
}

static void ttl(struct nv_op *op, uint64_t ms)
{
	if (!ms)
		return;
	nv_args_str(&op->args, "PX");
	nv_args_uint(&op->args, ms);
}

/* SET answers OK, or nil where NX forbade it; EXISTS answers a number. */
static void done_bool(struct nv_op *op, const struct nv_err *err, const redisReply *r)
{
	((bool_cb)op->cb)(op->arg, err,
			  !err && (r->type == REDIS_REPLY_STATUS || nv_reply_uint(r) > 0));
}

void nv_status_seen(struct nv_status *s, const char *mid, uint64_t ttl_ms,
		    void (*cb)(void *arg, const struct nv_err *err, bool first), void *arg)
{
	struct nv_op *op = command(s, "SET", "nv:seen:", mid, done_bool, NV_CB(cb), arg);

	nv_args_str(&op->args, "1");
	nv_args_str(&op->args, "NX");
	ttl(op, ttl_ms);
	nv_op_run(op);
}

void nv_status_was_seen(struct nv_status *s, const char *mid,
			void (*cb)(void *arg, const struct nv_err *err, bool seen), void *arg)
{
	nv_op_run(command(s, "EXISTS", "nv:seen:", mid, done_bool, NV_CB(cb), arg));
}

void nv_kv_set(struct nv_status *s, const char *key, const void *value, size_t len, uint64_t ttl_ms,
	       bool only_if_absent, void (*cb)(void *arg, const struct nv_err *err, bool set),
	       void *arg)
{
	struct nv_op *op = command(s, "SET", "nv:kv:", key, done_bool, NV_CB(cb), arg);

	nv_args_add(&op->args, value, len);
	if (only_if_absent)
		nv_args_str(&op->args, "NX");
	ttl(op, ttl_ms);
	nv_op_run(op);
}

static void done_value(struct nv_op *op, const struct nv_err *err, const redisReply *r)
{
	void (*cb)(void *, const struct nv_err *, const void *, size_t) =
		(void (*)(void *, const struct nv_err *, const void *, size_t))op->cb;
	bool there = !err && r->type == REDIS_REPLY_STRING;

	cb(op->arg, err, there ? r->str : NULL, there ? r->len : 0);
}

void nv_kv_get(struct nv_status *s, const char *key,
	       void (*cb)(void *arg, const struct nv_err *err, const void *value, size_t len),
	       void *arg)
{
	nv_op_run(command(s, "GET", "nv:kv:", key, done_value, NV_CB(cb), arg));
}

void nv_kv_del(struct nv_status *s, const char *key, nv_status_cb cb, void *arg)
{
	nv_op_run(command(s, "DEL", "nv:kv:", key, nv_op_done_plain, NV_CB(cb), arg));
}

static void done_count(struct nv_op *op, const struct nv_err *err, const redisReply *r)
{
	void (*cb)(void *, const struct nv_err *, uint64_t) =
		(void (*)(void *, const struct nv_err *, uint64_t))op->cb;

	cb(op->arg, err, err ? 0 : nv_reply_uint(r));
}

void nv_kv_count(struct nv_status *s, const char *key, uint64_t ttl_ms,
		 void (*cb)(void *arg, const struct nv_err *err, uint64_t value), void *arg)
{
	struct nv_op *op = nv_op_new(s, NV_SC_count, done_count, NV_CB(cb), arg);
	nv_auto_free char *whole = nv_asprintf("nv:kv:%s", key);

	nv_args_str(&op->args, whole);
	nv_args_uint(&op->args, ttl_ms);
	nv_op_run(op);
}

/* PTTL answers -2 for what is not there. */
static void done_left(struct nv_op *op, const struct nv_err *err, const redisReply *r)
{
	void (*cb)(void *, const struct nv_err *, uint64_t) =
		(void (*)(void *, const struct nv_err *, uint64_t))op->cb;
	bool there = !err && r->type == REDIS_REPLY_INTEGER && r->integer > 0;

	cb(op->arg, err, there ? (uint64_t)r->integer : 0);
}

void nv_kv_left(struct nv_status *s, const char *key,
		void (*cb)(void *arg, const struct nv_err *err, uint64_t ms), void *arg)
{
	nv_op_run(command(s, "PTTL", "nv:kv:", key, done_left, NV_CB(cb), arg));
}
