/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Erasing a user's data or old records, step by step, each a script that looks at STEP things, so
 * that Redis serves others between two. */
#include <inttypes.h>
#include <string.h>

#include "core/status/admin.h"
#include "core/status/status_internal.h"

#define STEP 500u

enum part { COUNT, AGED, RECORDS, JOINS, EVENTS, NOTICES, DONE };
static const char *const part_words[] = {"count", "aged", "records", "joins", "events", "notices"};

typedef void (*forgotten_cb)(void *arg, const struct nv_err *err, const struct nv_forgotten *what);

struct forgetting {
	struct nv_status *s;
	char *user; /* aged: ms */
	enum part part;
	struct nv_forgotten sum;
	forgotten_cb cb;
	void *arg;
};

static void step(struct forgetting *f, const char *cursor);

static void end(struct forgetting *f, const struct nv_err *err)
{
	f->cb(f->arg, err, err ? NULL : &f->sum);
	free(f->user);
	free(f);
}

static void add(struct forgetting *f, uint64_t removed, uint64_t kept)
{
	if (f->part <= RECORDS) {
		f->sum.removed += removed;
		f->sum.kept += kept;
	} else {
		f->sum.traces += removed;
	}
}

static void done_step(struct nv_op *op, const struct nv_err *err, const redisReply *r)
{
	struct forgetting *f = op->arg;
	struct nv_err mine;
	if (!err && (r->type != REDIS_REPLY_ARRAY || r->elements != 3)) {
		nv_reply_odd(&mine);
		err = &mine;
	}
	if (err) {
		end(f, err);
		return;
	}
	add(f, nv_reply_uint(r->element[0]), nv_reply_uint(r->element[1]));
	const char *cursor = nv_reply_str(r, 2);
	if (cursor) {
		step(f, cursor);
		return;
	}
	f->part = f->part < RECORDS ? DONE : f->part + 1;
	if (f->part == DONE)
		end(f, NULL);
	else
		step(f, "");
}

static void step(struct forgetting *f, const char *cursor)
{
	struct nv_op *op = nv_op_new(f->s, NV_SC_forget, done_step, NULL, f);
	nv_args_str(&op->args, f->user);
	nv_args_str(&op->args, part_words[f->part]);
	nv_args_str(&op->args, cursor);
	nv_args_uint(&op->args, STEP);
	nv_op_run(op);
}

static void begin(struct nv_status *s, char *user, enum part part, forgotten_cb cb, void *arg)
{
	struct forgetting *f = nv_alloc(sizeof *f);
	f->s = s;
	f->user = user;
	f->part = part;
	f->cb = cb;
	f->arg = arg;
	step(f, "");
}

void nv_status_forget(struct nv_status *s, const char *user, bool dry, forgotten_cb cb, void *arg)
{
	begin(s, nv_strdup(user), dry ? COUNT : RECORDS, cb, arg);
}

typedef void (*unstore_cb)(void *arg, const struct nv_err *err, const char *const *archives,
			   size_t len);

static void done_unstore(struct nv_op *op, const struct nv_err *err, const redisReply *r)
{
	unstore_cb cb = (unstore_cb)op->cb;
	struct nv_err mine;
	if (!err && nv_reply_rows(r, 1, &mine))
		err = &mine;
	if (err) {
		cb(op->arg, err, NULL, 0);
		return;
	}
	nv_auto_free const char **archives = nv_alloc((r->elements + 1) * sizeof *archives);
	size_t len = 0;
	for (size_t i = 0; i < r->elements; i++) {
		archives[len] = nv_reply_str(r, i);
		len += archives[len] != NULL;
	}
	cb(op->arg, NULL, archives, len);
}

void nv_status_unstore(struct nv_status *s, const char *const *done, size_t len, uint64_t most,
		       unstore_cb cb, void *arg)
{
	struct nv_op *op = nv_op_new(s, NV_SC_unstore, done_unstore, NV_CB(cb), arg);
	nv_args_uint(&op->args, most);
	nv_args_strs(&op->args, done, len);
	nv_op_run(op);
}

void nv_status_expire(struct nv_status *s, uint64_t age_ms, forgotten_cb cb, void *arg)
{
	begin(s, nv_asprintf("%" PRIu64, age_ms), AGED, cb, arg);
}
