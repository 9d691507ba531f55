/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The producer's calls: make, change, cancel and read requests (list.c: lists of them); and the
 * keeper's. */
#include <string.h>

#include "core/status/events.h"
#include "core/status/requests.h"
#include "core/status/status.h"
#include "core/status/status_internal.h"

/* --- life --- */

static void perhaps_closed(struct nv_status *s)
{
	void (*cb)(void *) = s->on_closed_cb;
	void *arg = s->on_closed_arg;

	if (!s->closing || s->open)
		return;
	nv_scripts_fini(s->scripts);
	free(s);
	if (cb)
		cb(arg);
}

static void on_conn_closed(void *arg)
{
	struct nv_status *s = arg;

	s->open--;
	perhaps_closed(s);
}

struct nv_status *nv_status_new(uv_loop_t *loop, const struct nv_status_options *o,
				struct nv_err *err)
{
	struct nv_status *s = nv_alloc(sizeof *s);
	struct nv_conn_options co = {
		.loop = loop, .config = o->config, .state_cb = o->on_state_cb, .arg = o->arg};

	s->options = *o;
	s->loop = loop;
	s->notice_idle_ms = 60000;
	s->find_step = 2000;
	LIST_INIT(&s->children);
	s->conn = nv_conn_new(&co, err);
	if (!s->conn) {
		free(s);
		return NULL;
	}
	s->open = 1;
	nv_scripts_init(s->scripts);
	return s;
}

bool nv_status_up(const struct nv_status *s)
{
	return nv_conn_up(s->conn);
}

void nv_status_close(struct nv_status *s, void (*on_closed_cb)(void *arg), void *arg)
{
	struct nv_child *child;

	if (s->closing)
		return;
	s->closing = true;
	s->on_closed_cb = on_closed_cb;
	s->on_closed_arg = arg;
	while ((child = LIST_FIRST(&s->children)))
		child->close(child); /* takes itself off the list */
	nv_conn_close(s->conn, on_conn_closed, s);
}

void nv_status_child_add(struct nv_status *s, struct nv_child *child)
{
	LIST_INSERT_HEAD(&s->children, child, link);
	s->open++;
}

void nv_status_child_gone(struct nv_status *s)
{
	s->open--;
	perhaps_closed(s);
}

void nv_status_set_notice_idle(struct nv_status *s, uint64_t ms)
{
	s->notice_idle_ms = ms;
}

void nv_status_set_find_step(struct nv_status *s, uint64_t records)
{
	s->find_step = records;
}

/* --- one record --- */

/* {"ok", record} or an error with perhaps the record behind it (already_restored). */
static void done_record(struct nv_op *op, const struct nv_err *err, const redisReply *r)
{
	nv_record_cb cb = (nv_record_cb)op->cb;
	nv_auto_arena struct nv_arena arena = {0};
	struct nv_status_record rec;
	struct nv_err mine, theirs;
	size_t at = 1;
	bool have;

	if (err) {
		cb(op->arg, err, NULL);
		return;
	}
	if (nv_reply_check(r, &mine)) {
		err = &mine;
		at = 3;
	}
	have = r->type == REDIS_REPLY_ARRAY && at < r->elements &&
	       !nv_record_from_reply(r->element[at], &rec, &arena, &theirs);
	if (!have && !err)
		nv_fail(&mine, NV_RETRY, NV_R_internal, "status: redis answered without a record");
	cb(op->arg, have && !err ? NULL : &mine, have ? &rec : NULL);
}

static void with_request(struct nv_op *op, const struct nv_restore_request *q, bool only_one)
{
	struct nv_err err;

	if (nv_args_request(&op->args, q, &err)) {
		nv_op_fail(op, &err);
		return;
	}
	nv_args_str(&op->args, only_one ? "1" : "0");
	nv_op_run(op);
}

void nv_status_create(struct nv_status *s, const struct nv_restore_request *q, bool only_one,
		      nv_record_cb cb, void *arg)
{
	with_request(nv_op_new(s, NV_SC_create, done_record, NV_CB(cb), arg), q, only_one);
}

void nv_status_accepted(struct nv_status *s, const struct nv_restore_request *q, bool only_one,
			nv_record_cb cb, void *arg)
{
	with_request(nv_op_new(s, NV_SC_accepted, done_record, NV_CB(cb), arg), q, only_one);
}

void nv_status_change(struct nv_status *s, const struct nv_restore_request *q, bool only_one,
		      nv_record_cb cb, void *arg)
{
	with_request(nv_op_new(s, NV_SC_change, done_record, NV_CB(cb), arg), q, only_one);
}

void nv_status_undo(struct nv_status *s, const char *id, uint64_t rev, nv_record_cb cb, void *arg)
{
	struct nv_op *op = nv_op_new(s, NV_SC_undo, done_record, NV_CB(cb), arg);

	nv_args_str(&op->args, id);
	nv_args_uint(&op->args, rev);
	nv_op_run(op);
}

static void done_take_back(struct nv_op *op, const struct nv_err *err, const redisReply *r)
{
	void (*cb)(void *, const struct nv_err *, enum nv_taken_back) =
		(void (*)(void *, const struct nv_err *, enum nv_taken_back))op->cb;
	struct nv_err mine;
	enum nv_taken_back what = NV_STAYS;

	if (!err && nv_reply_check(r, &mine))
		err = &mine;
	const char *word = err ? NULL : nv_reply_str(r, 1);
	if (word && strcmp(word, "gone") == 0)
		what = NV_GONE;
	else if (word && strcmp(word, "shared") == 0)
		what = NV_SHARED;
	cb(op->arg, err, what);
}

void nv_status_take_back(struct nv_status *s, const char *id, uint64_t rev,
			 void (*cb)(void *arg, const struct nv_err *err, enum nv_taken_back what),
			 void *arg)
{
	struct nv_op *op = nv_op_new(s, NV_SC_take_back, done_take_back, NV_CB(cb), arg);

	nv_args_str(&op->args, id);
	nv_args_uint(&op->args, rev);
	nv_op_run(op);
}

void nv_status_published(struct nv_status *s, const char *id, uint64_t rev, nv_status_cb cb,
			 void *arg)
{
	struct nv_op *op = nv_op_new(s, NV_SC_published, nv_op_done_plain, NV_CB(cb), arg);

	nv_args_str(&op->args, id);
	nv_args_uint(&op->args, rev);
	nv_op_run(op);
}

void nv_status_cancel(struct nv_status *s, const char *id, const char *by, nv_record_cb cb,
		      void *arg)
{
	struct nv_op *op = nv_op_new(s, NV_SC_cancel, done_record, NV_CB(cb), arg);

	nv_args_str(&op->args, id);
	nv_args_str(&op->args, by);
	nv_op_run(op);
}

void nv_status_withdrawn(struct nv_status *s, const struct nv_withdrawal *list, size_t len,
			 nv_status_cb cb, void *arg)
{
	struct nv_op *op = nv_op_new(s, NV_SC_withdrawn, nv_op_done_plain, NV_CB(cb), arg);

	for (size_t i = 0; i < len && i < NV_WITHDRAWALS_MAX; i++) {
		nv_args_str(&op->args, list[i].id);
		nv_args_uint(&op->args, list[i].rev);
		nv_args_uint(&op->args, list[i].cancelled);
	}
	nv_op_run(op);
}

void nv_status_get(struct nv_status *s, const char *id, nv_record_cb cb, void *arg)
{
	struct nv_op *op = nv_op_new(s, NV_SC_get, done_record, NV_CB(cb), arg);

	nv_args_str(&op->args, id);
	nv_op_run(op);
}

/* --- many --- */

static void done_counts(struct nv_op *op, const struct nv_err *err, const redisReply *r)
{
	void (*cb)(void *, const struct nv_err *, const uint64_t *) =
		(void (*)(void *, const struct nv_err *, const uint64_t *))op->cb;
	uint64_t counts[NV_ST_COUNT] = {0};

	for (size_t i = 0; !err && r->type == REDIS_REPLY_ARRAY && i < NV_ST_COUNT; i++)
		counts[i] = i < r->elements ? nv_reply_uint(r->element[i]) : 0;
	cb(op->arg, err, counts);
}

void nv_status_counts(struct nv_status *s,
		      void (*cb)(void *arg, const struct nv_err *err,
				 const uint64_t counts[NV_ST_COUNT]),
		      void *arg)
{
	struct nv_op *op = nv_op_new(s, NV_SC_counts, done_counts, NV_CB(cb), arg);

	for (unsigned i = 0; i < NV_ST_COUNT; i++)
		nv_args_str(&op->args, nv_state_word((enum nv_state)i));
	nv_op_run(op);
}

void nv_status_holders(struct nv_status *s, const char *site, const char *const *courses,
		       size_t len, nv_list_cb cb, void *arg)
{
	struct nv_op *op = nv_op_new(s, NV_SC_holders, nv_op_done_list, NV_CB(cb), arg);

	nv_args_str(&op->args, site);
	nv_args_strs(&op->args, courses, len);
	nv_op_run(op);
}

void nv_status_unpublished(struct nv_status *s, uint64_t age_ms, nv_list_cb cb, void *arg)
{
	struct nv_op *op = nv_op_new(s, NV_SC_unpublished, nv_op_done_list, NV_CB(cb), arg);

	nv_args_uint(&op->args, age_ms);
	nv_args_uint(&op->args, NV_LIST_MAX);
	nv_op_run(op);
}

static void done_republish(struct nv_op *op, const struct nv_err *err, const redisReply *r)
{
	void (*cb)(void *, const struct nv_err *, uint64_t) =
		(void (*)(void *, const struct nv_err *, uint64_t))op->cb;

	struct nv_err mine;

	if (!err && nv_reply_check(r, &mine))
		err = &mine;
	cb(op->arg, err, err ? 0 : nv_reply_uint(r->element[1]));
}

void nv_status_republish(struct nv_status *s,
			 void (*cb)(void *arg, const struct nv_err *err, uint64_t requests),
			 void *arg)
{
	struct nv_op *op = nv_op_new(s, NV_SC_republish, done_republish, NV_CB(cb), arg);

	/* Not what is being cancelled: nobody waits for that. */
	for (unsigned i = 0; i < NV_ST_COUNT; i++)
		if (!nv_state_final((enum nv_state)i) && i != NV_ST_cancelling)
			nv_args_str(&op->args, nv_state_word((enum nv_state)i));
	nv_op_run(op);
}

void nv_status_republish_held(struct nv_status *s, const char *site, const char *reason,
			      void (*cb)(void *arg, const struct nv_err *err, uint64_t requests),
			      void *arg)
{
	struct nv_op *op = nv_op_new(s, NV_SC_republish_held, done_republish, NV_CB(cb), arg);

	nv_args_str(&op->args, site);
	nv_args_str(&op->args, reason);
	nv_op_run(op);
}

void nv_status_unroutable(struct nv_status *s, const char *id, uint64_t rev, uint64_t give_up_ms,
			  const char *message, nv_status_cb cb, void *arg)
{
	struct nv_op *op = nv_op_new(s, NV_SC_unroutable, nv_op_done_plain, NV_CB(cb), arg);

	nv_args_str(&op->args, id);
	nv_args_uint(&op->args, rev);
	nv_args_uint(&op->args, give_up_ms);
	nv_args_str(&op->args, message);
	nv_op_run(op);
}

/* --- keeper --- */

/* What a word of the archiver makes of the record.  By the word, for a newer peer may know more of
 * them. */
static enum nv_state event_target(const char *word)
{
	static const struct {
		const char *word;
		enum nv_state state;
	} targets[] = {
		{"held", NV_ST_scheduled}, {"exporting", NV_ST_exporting},
		{"ready", NV_ST_ready},	   {"cancelled", NV_ST_cancelled},
		{"failed", NV_ST_failed},
	};

	for (size_t i = 0; i < NV_ARRAY_LEN(targets); i++)
		if (strcmp(targets[i].word, word) == 0)
			return targets[i].state;
	return NV_ST_COUNT;
}

void nv_status_apply_event(struct nv_status *s, const struct nv_restore_request *q,
			   const struct nv_status_event *e, nv_status_cb cb, void *arg)
{
	struct nv_op *op = nv_op_new(s, NV_SC_event, nv_op_done_plain, NV_CB(cb), arg);
	enum nv_state to = event_target(nv_event_state_words[e->state]);
	struct nv_err err;

	if (to == NV_ST_COUNT) {
		nv_fail(&err, NV_REJECT, NV_R_bad_message, "status: an event of an unknown state");
		nv_op_fail(op, &err);
		return;
	}
	if (nv_args_request(&op->args, q, &err)) {
		nv_op_fail(op, &err);
		return;
	}
	nv_args_str(&op->args, e->attempt);
	nv_args_uint(&op->args, e->seq);
	nv_args_str(&op->args, nv_state_word(to));
	nv_args_str(&op->args, e->step);
	nv_args_uint(&op->args, e->done);
	nv_args_uint(&op->args, e->total);
	nv_args_str(&op->args, e->reason);
	nv_args_str(&op->args, e->message);
	nv_args_str(&op->args, e->host);
	nv_args_str(&op->args, e->hold ? "1" : "0");
	nv_args_uint(&op->args, e->next_try);
	nv_args_uint(&op->args, e->at);
	nv_args_lines(&op->args, e->log_first, e->log.items, e->log.len);
	nv_op_run(op);
}
