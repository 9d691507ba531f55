/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The worker's calls: claim, renew, finish; history and "enrol me". */
#include <string.h>

#include "base/id.h"
#include "core/status/claims.h"
#include "core/status/status.h"
#include "core/status/status_internal.h"

void nv_status_waits(struct nv_status *s, const struct nv_restore_request *q, enum nv_reason reason,
		     const char *message, const char *from, nv_status_cb cb, void *arg)
{
	struct nv_op *op = nv_op_new(s, NV_SC_waits, nv_op_done_plain, NV_CB(cb), arg);

	nv_args_str(&op->args, q->id);
	nv_args_uint(&op->args, q->rev);
	nv_args_str(&op->args, nv_reason_word(reason));
	nv_args_str(&op->args, message);
	nv_args_str(&op->args, from);
	nv_op_run(op);
}

/* TIME answers seconds and microseconds. */
static void done_time(struct nv_op *op, const struct nv_err *err, const redisReply *r)
{
	struct nv_err mine;
	uint64_t now = 0;

	if (!err && (r->type != REDIS_REPLY_ARRAY || r->elements != 2)) {
		nv_reply_odd(&mine);
		err = &mine;
	}
	if (!err)
		now = nv_reply_uint(r->element[0]) * 1000 + nv_reply_uint(r->element[1]) / 1000;
	((void (*)(void *, const struct nv_err *, uint64_t))op->cb)(op->arg, err, now);
}

void nv_status_time(struct nv_status *s,
		    void (*cb)(void *arg, const struct nv_err *err, uint64_t now_ms), void *arg)
{
	struct nv_op *op = nv_op_new(s, NV_SC_COUNT, done_time, NV_CB(cb), arg);

	nv_args_str(&op->args, "TIME");
	nv_op_run(op);
}

#define REBUILD_MS "600000" /* an asker that has not rebuilt history by then is given up */

/* {"ok", word}: the word's place in the list; -1 and *err where it is not. */
static int answer_word(const redisReply *r, const char *const *words, size_t len,
		       struct nv_err *err)
{
	const char *word = nv_reply_str(r, 1);

	if (nv_reply_check(r, err))
		return -1;
	for (size_t i = 0; i < len; i++)
		if (word && strcmp(words[i], word) == 0)
			return (int)i;
	return nv_reply_odd(err);
}

static void done_claim(struct nv_op *op, const struct nv_err *err, const redisReply *r)
{
	static const char *const words[] = {
		[NV_CLAIM_OURS] = "ours",
		[NV_CLAIM_BUSY] = "busy",
		[NV_CLAIM_DONE] = "done",
		[NV_CLAIM_FAILED] = "failed",
		[NV_CLAIM_PREFETCHED] = "ahead",
		[NV_CLAIM_CANCELLED] = "cancelled",
		[NV_CLAIM_SUPERSEDED] = "superseded",
	};
	struct nv_err mine;
	int i = NV_CLAIM_BUSY;

	if (!err && (i = answer_word(r, words, NV_ARRAY_LEN(words), &mine)) < 0)
		err = &mine;
	if (err)
		i = NV_CLAIM_BUSY;
	((nv_claim_cb)op->cb)(op->arg, err, (enum nv_claim_result)i,
			      !err && i == NV_CLAIM_OURS ? op->token : NULL);
}

void nv_status_claim(struct nv_status *s, const struct nv_restore_request *q, const char *attempt,
		     const char *host, uint64_t lease_ms, bool reopen, const char *prefetch,
		     nv_claim_cb cb, void *arg)
{
	struct nv_op *op = nv_op_new(s, NV_SC_claim, done_claim, NV_CB(cb), arg);
	struct nv_err err;

	if (nv_args_request(&op->args, q, &err)) {
		nv_op_fail(op, &err);
		return;
	}
	nv_token_new(op->token);
	nv_args_str(&op->args, attempt);
	nv_args_str(&op->args, host);
	nv_args_str(&op->args, op->token);
	nv_args_uint(&op->args, lease_ms);
	nv_args_str(&op->args, reopen ? "1" : "0");
	nv_args_str(&op->args, prefetch);
	nv_op_run(op);
}

static void done_prefetch(struct nv_op *op, const struct nv_err *err, const redisReply *r)
{
	void (*cb)(void *, const struct nv_err *, bool, struct nv_bytes) =
		(void (*)(void *, const struct nv_err *, bool, struct nv_bytes))op->cb;
	static const char *const words[] = {"other", "ours"};
	struct nv_bytes ready = {0};
	struct nv_err mine;
	int i = 0;

	if (!err && (i = answer_word(r, words, NV_ARRAY_LEN(words), &mine)) < 0)
		err = &mine;
	if (!err && i == 1 && r->elements > 2 && r->element[2]->type == REDIS_REPLY_STRING)
		ready = (struct nv_bytes){(const uint8_t *)r->element[2]->str, r->element[2]->len};
	cb(op->arg, err, !err && i == 1, ready);
}

void nv_status_prefetch(struct nv_status *s, const char *id, const char *token, uint64_t lease_ms,
			void (*cb)(void *arg, const struct nv_err *err, bool ours,
				   struct nv_bytes ready),
			void *arg)
{
	struct nv_op *op = nv_op_new(s, NV_SC_ahead, done_prefetch, NV_CB(cb), arg);

	nv_args_str(&op->args, id);
	nv_args_str(&op->args, token);
	nv_args_uint(&op->args, lease_ms);
	nv_args_str(&op->args, "");
	nv_op_run(op);
}

void nv_status_prefetch_give(struct nv_status *s, const char *id, const void *ready, size_t len,
			     nv_status_cb cb, void *arg)
{
	struct nv_op *op = nv_op_new(s, NV_SC_ahead, nv_op_done_plain, NV_CB(cb), arg);

	nv_args_str(&op->args, id);
	nv_args_str(&op->args, "");
	nv_args_str(&op->args, "");
	nv_args_add(&op->args, ready, len);
	nv_op_run(op);
}

static void done_renew(struct nv_op *op, const struct nv_err *err, const redisReply *r)
{
	static const char *const words[] = {
		[NV_RENEW_OURS] = "ours",
		[NV_RENEW_LOST] = "lost",
		[NV_RENEW_CANCELLING] = "cancelling",
	};
	void (*cb)(void *, const struct nv_err *, enum nv_renew_result) =
		(void (*)(void *, const struct nv_err *, enum nv_renew_result))op->cb;
	struct nv_err mine;
	int i = NV_RENEW_LOST;

	if (!err && (i = answer_word(r, words, NV_ARRAY_LEN(words), &mine)) < 0)
		err = &mine;
	cb(op->arg, err, err ? NV_RENEW_LOST : (enum nv_renew_result)i);
}

void nv_status_renew(struct nv_status *s, const char *id, const char *token, uint64_t lease_ms,
		     const struct nv_status_progress *p,
		     void (*cb)(void *arg, const struct nv_err *err, enum nv_renew_result result),
		     void *arg)
{
	struct nv_op *op = nv_op_new(s, NV_SC_renew, done_renew, NV_CB(cb), arg);

	nv_args_str(&op->args, id);
	nv_args_str(&op->args, token);
	nv_args_uint(&op->args, lease_ms);
	nv_args_str(&op->args, p->step);
	nv_args_uint(&op->args, p->done);
	nv_args_uint(&op->args, p->total);
	nv_args_uint(&op->args, p->import_ms);
	nv_op_run(op);
}

void nv_status_finish(struct nv_status *s, const struct nv_restore_request *q, const char *token,
		      const struct nv_status_outcome *o, nv_status_cb cb, void *arg)
{
	struct nv_op *op = nv_op_new(s, NV_SC_finish, nv_op_done_plain, NV_CB(cb), arg);
	struct nv_err err;

	if (!token && o->state != NV_ST_failed) {
		nv_fail(&err, NV_REJECT, NV_R_internal, "status: only a failure needs no claim");
		nv_op_fail(op, &err);
		return;
	}
	if (nv_args_request(&op->args, q, &err)) {
		nv_op_fail(op, &err);
		return;
	}
	nv_args_str(&op->args, token);
	nv_args_str(&op->args, nv_state_word(o->state));
	nv_args_str(&op->args, o->failed_attempt ? "1" : o->held ? "held" : "0");
	nv_args_uint(&op->args, o->import_ms);
	nv_args_uint(&op->args, o->retry_in);
	nv_args_outcome(&op->args, o);
	nv_op_run(op);
}

void nv_status_passed(struct nv_status *s, const char *id, nv_status_cb cb, void *arg)
{
	struct nv_op *op = nv_op_new(s, NV_SC_passed, nv_op_done_plain, NV_CB(cb), arg);

	nv_args_str(&op->args, id);
	nv_op_run(op);
}

/* --- history --- */

void nv_status_recall(struct nv_status *s, const struct nv_restore_request *q,
		      const struct nv_status_recalled *r, nv_status_cb cb, void *arg)
{
	struct nv_op *op = nv_op_new(s, NV_SC_recall, nv_op_done_plain, NV_CB(cb), arg);
	struct nv_err err;

	if (!nv_state_final(r->outcome->state)) {
		nv_fail(&err, NV_REJECT, NV_R_internal, "status: history holds final states only");
		nv_op_fail(op, &err);
		return;
	}
	if (nv_args_request(&op->args, q, &err)) {
		nv_op_fail(op, &err);
		return;
	}
	nv_args_str(&op->args, nv_state_word(r->outcome->state));
	nv_args_uint(&op->args, r->at);
	nv_args_str(&op->args, r->deleted ? "1" : "0");
	nv_args_str(&op->args, r->only_known ? "1" : "0");
	nv_args_outcome(&op->args, r->outcome);
	nv_op_run(op);
}

/* SET … NX answers OK where nobody was before. */
static void done_needs_rebuild(struct nv_op *op, const struct nv_err *err, const redisReply *r)
{
	void (*cb)(void *, const struct nv_err *, bool) =
		(void (*)(void *, const struct nv_err *, bool))op->cb;

	cb(op->arg, err, !err && r->type == REDIS_REPLY_STATUS);
}

void nv_status_needs_rebuild(struct nv_status *s,
			     void (*cb)(void *arg, const struct nv_err *err, bool yes), void *arg)
{
	static const char *const words[] = {"SET", "nv:history", "begun", "NX", "PX", REBUILD_MS};
	struct nv_op *op = nv_op_new(s, NV_SC_COUNT, done_needs_rebuild, NV_CB(cb), arg);

	for (size_t i = 0; i < NV_ARRAY_LEN(words); i++)
		nv_args_str(&op->args, words[i]);
	nv_op_run(op);
}

void nv_status_rebuilt(struct nv_status *s, nv_status_cb cb, void *arg)
{
	struct nv_op *op = nv_op_new(s, NV_SC_COUNT, nv_op_done_plain, NV_CB(cb), arg);

	nv_args_str(&op->args, "SET");
	nv_args_str(&op->args, "nv:history");
	nv_args_str(&op->args, "done");
	nv_op_run(op);
}

void nv_status_join(struct nv_status *s, const char *id, const char *user, const char *state,
		    nv_status_cb cb, void *arg)
{
	struct nv_op *op = nv_op_new(s, NV_SC_join, nv_op_done_plain, NV_CB(cb), arg);

	nv_args_str(&op->args, id);
	nv_args_str(&op->args, user);
	nv_args_str(&op->args, state);
	nv_op_run(op);
}
