/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Lists of requests: by the indexes in one call; where texts are looked for or another order is
 * asked, by going through the records in steps, so that Redis serves others in between. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "core/status/requests.h"
#include "core/status/status.h"
#include "core/status/status_internal.h"

/* {total, record, …} */
void nv_op_done_list(struct nv_op *op, const struct nv_err *err, const redisReply *r)
{
	nv_list_cb cb = (nv_list_cb)op->cb;
	nv_auto_arena struct nv_arena arena = {0};
	nv_auto_free struct nv_status_record *recs = NULL;
	struct nv_err mine;
	size_t len = 0;

	if (!err && (r->type != REDIS_REPLY_ARRAY || !r->elements)) {
		nv_fail(&mine, NV_RETRY, NV_R_internal, "status: redis answered without a list");
		err = &mine;
	}
	if (err) {
		cb(op->arg, err, NULL, 0, 0);
		return;
	}
	recs = nv_alloc(r->elements * sizeof *recs);
	for (size_t i = 1; i < r->elements; i++) {
		/* One damaged record must not hide the others. */
		if (nv_record_from_reply(r->element[i], &recs[len], &arena, &mine))
			NV_LOG(NV_ERROR, "status.damaged", NV_E(&mine));
		else
			len++;
	}
	cb(op->arg, NULL, recs, len, nv_reply_uint(r->element[0]));
}

/* --- step by step --- */

struct hit {
	char *key; /* what it is sorted by */
	char id[NV_UUID_SIZE];
};

struct finding {
	struct nv_status *s;
	nv_list_cb cb;
	void *arg;
	struct nv_args filter; /* find.lua's, from the user on */
	bool ascending;
	uint64_t offset, limit;
	char *score, *seen; /* where the next step begins */
	struct hit *hits;
	size_t len, cap;
};

static void finding_free(struct finding *f)
{
	while (f->len)
		free(f->hits[--f->len].key);
	free(f->hits);
	free(f->score);
	free(f->seen);
	nv_args_fini(&f->filter);
	free(f);
}

static int by_key(const void *a, const void *b)
{
	const struct hit *x = a;
	const struct hit *y = b;
	int order = strcmp(x->key, y->key);
	return order ? order : strcmp(x->id, y->id);
}

static void answer(struct finding *f)
{
	struct nv_op *op = nv_op_new(f->s, NV_SC_records, nv_op_done_list, NV_CB(f->cb), f->arg);

	if (f->len)
		qsort(f->hits, f->len, sizeof *f->hits, by_key);
	nv_args_uint(&op->args, f->len);
	for (uint64_t i = f->offset; i < f->len && i - f->offset < f->limit; i++)
		nv_args_str(&op->args, f->hits[f->ascending ? i : f->len - 1 - i].id);
	finding_free(f);
	nv_op_run(op);
}

static void add(struct finding *f, const char *key, const char *id)
{
	if (f->len == f->cap) {
		f->cap = f->cap ? 2 * f->cap : 64;
		f->hits = nv_realloc(f->hits, f->cap * sizeof *f->hits);
	}
	struct hit *h = &f->hits[f->len++];
	h->key = nv_strdup(key);
	snprintf(h->id, sizeof h->id, "%s", id);
}

static void step(struct finding *f);

/* {score, seen, key, id, key, id …} */
static void done_step(struct nv_op *op, const struct nv_err *err, const redisReply *r)
{
	struct finding *f = op->arg;
	struct nv_err mine;

	if (!err && (r->type != REDIS_REPLY_ARRAY || r->elements < 2 || r->elements % 2)) {
		nv_reply_odd(&mine);
		err = &mine;
	}
	if (err) {
		f->cb(f->arg, err, NULL, 0, 0);
		finding_free(f);
		return;
	}
	for (size_t i = 2; i < r->elements; i += 2) {
		const char *key = nv_reply_str(r, i);
		const char *id = nv_reply_str(r, i + 1);
		if (id)
			add(f, key ? key : "", id);
	}
	const char *score = nv_reply_str(r, 0);
	if (!score) {
		answer(f);
		return;
	}
	free(f->score);
	free(f->seen);
	f->score = nv_strdup(score);
	f->seen = nv_asprintf("%llu", (unsigned long long)nv_reply_uint(r->element[1]));
	step(f);
}

static void step(struct finding *f)
{
	struct nv_op *op = nv_op_new(f->s, NV_SC_find, done_step, NULL, f);

	nv_args_str(&op->args, f->score);
	nv_args_str(&op->args, f->seen);
	nv_args_uint(&op->args, f->s->find_step);
	for (size_t i = 0; i < f->filter.len; i++)
		nv_args_add(&op->args, f->filter.items[i], f->filter.lens[i]);
	nv_op_run(op);
}

/* --- which way --- */

static const char *const sort_words[] = {
	[NV_SORT_CREATED] = "",	 [NV_SORT_MODIFIED] = "modified", [NV_SORT_FINISHED] = "finished",
	[NV_SORT_USER] = "user", [NV_SORT_COURSE] = "course",
};

static void put_place(struct nv_args *a, const struct nv_status_filter *f)
{
	nv_args_str(a, f->user);
	nv_args_str(a, f->site);
	nv_args_str(a, f->course);
}

static void put_states(struct nv_args *a, uint32_t states)
{
	const uint32_t all = (1u << NV_ST_COUNT) - 1;

	for (unsigned i = 0; i < NV_ST_COUNT; i++)
		if ((states & all) != all && (states & (1u << i)))
			nv_args_str(a, nv_state_word((enum nv_state)i));
}

static uint64_t at_most(uint64_t limit)
{
	return limit > NV_LIST_MAX ? NV_LIST_MAX : limit;
}

static struct finding *finding_new(struct nv_status *s, const struct nv_status_filter *filter,
				   nv_list_cb cb, void *arg)
{
	struct finding *f = nv_alloc(sizeof *f);

	*f = (struct finding){.s = s,
			      .cb = cb,
			      .arg = arg,
			      .ascending = filter->ascending,
			      .offset = filter->offset,
			      .limit = at_most(filter->limit),
			      .score = nv_strdup(""),
			      .seen = nv_strdup("0")};
	put_place(&f->filter, filter);
	nv_args_str(&f->filter, sort_words[filter->sort]);
	nv_args_str(&f->filter, filter->text);
	nv_args_str(&f->filter, filter->person);
	put_states(&f->filter, filter->states);
	return f;
}

/* list.lua's answer, or nil where the index of changes does not tell. */
static void done_by_change(struct nv_op *op, const struct nv_err *err, const redisReply *r)
{
	struct finding *f = op->arg;

	if (!err && r->type == REDIS_REPLY_NIL) {
		step(f);
		return;
	}
	op->cb = NV_CB(f->cb);
	op->arg = f->arg;
	finding_free(f);
	nv_op_done_list(op, err, r);
}

void nv_status_list(struct nv_status *s, const struct nv_status_filter *f, nv_list_cb cb, void *arg)
{
	struct nv_op *op;
	struct nv_err err;

	if (f->course && !f->site) {
		nv_fail(&err, NV_REJECT, NV_R_internal, "status: a course without its site");
		op = nv_op_new(s, NV_SC_list, nv_op_done_list, NV_CB(cb), arg);
		nv_op_fail(op, &err);
		return;
	}
	bool texts = (f->text && *f->text) || (f->person && *f->person);
	if (texts || (f->sort != NV_SORT_CREATED && f->sort != NV_SORT_MODIFIED)) {
		step(finding_new(s, f, cb, arg));
		return;
	}
	if (f->sort == NV_SORT_CREATED)
		op = nv_op_new(s, NV_SC_list, nv_op_done_list, NV_CB(cb), arg);
	else
		op = nv_op_new(s, NV_SC_list, done_by_change, NULL, finding_new(s, f, cb, arg));
	put_place(&op->args, f);
	nv_args_uint(&op->args, f->offset);
	nv_args_uint(&op->args, at_most(f->limit));
	nv_args_str(&op->args, f->sort == NV_SORT_MODIFIED ? "1" : "0");
	nv_args_str(&op->args, f->ascending ? "1" : "0");
	put_states(&op->args, f->states);
	nv_op_run(op);
}
