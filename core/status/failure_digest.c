/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Digests: one message to administrators about many failures.
 *
 * Each failure asks, before anybody is told of it, whether it comes alone or is collected.  A
 * digest is a notice like any other: it lies among those that wait from the moment it is opened, so
 * that no crash loses it and one notifier gets it. */
#include <string.h>

#include "core/status/notices.h"
#include "core/status/status_internal.h"

static void done_add(struct nv_op *op, const struct nv_err *err, const redisReply *r)
{
	const char *as = err ? NULL : nv_reply_str(r, 1);
	struct nv_err mine;

	if (!err && nv_reply_check(r, &mine))
		err = &mine;
	((nv_digest_add_cb)op->cb)(op->arg, err, !err && as && strcmp(as, "alone") != 0);
}

void nv_status_digest_add(struct nv_status *s, const struct nv_digest_failure *f, uint64_t alone,
			  uint64_t window_ms, nv_digest_add_cb cb, void *arg)
{
	struct nv_op *op = nv_op_new(s, NV_SC_digest, done_add, NV_CB(cb), arg);

	nv_args_str(&op->args, f->row.id);
	nv_args_uint(&op->args, f->rev);
	nv_args_uint(&op->args, alone);
	nv_args_uint(&op->args, window_ms);
	nv_args_str(&op->args, f->row.course);
	nv_args_str(&op->args, f->row.site);
	nv_args_str(&op->args, f->row.user);
	nv_args_str(&op->args, f->row.reason);
	nv_op_run(op);
}

static size_t elements(const redisReply *r, size_t i)
{
	return r->elements > i && r->element[i]->type == REDIS_REPLY_ARRAY ? r->element[i]->elements
									   : 0;
}

/* {"ok", total, since, {reason, number, …}, {row, …}}; borrows from r */
static void read_digest(const redisReply *r, struct nv_digest *d)
{
	const char *total = nv_reply_str(r, 1), *since = nv_reply_str(r, 2);
	size_t counts = elements(r, 3) / 2, rows = elements(r, 4);

	d->total = total ? strtoull(total, NULL, 10) : 0;
	d->since = since ? strtoull(since, NULL, 10) : 0;
	for (size_t i = 0; i < counts && d->counts_len < NV_DIGEST_REASONS; i++)
		d->counts[d->counts_len++] = (struct nv_digest_count){
			.reason = nv_reply_str(r->element[3], 2 * i),
			.number = nv_reply_uint(r->element[3]->element[2 * i + 1])};
	for (size_t i = 0; i < rows && d->rows_len < NV_DIGEST_ROWS; i++) {
		const redisReply *row = r->element[4]->element[i];

		d->rows[d->rows_len++] = (struct nv_digest_row){.id = nv_reply_str(row, 0),
								.course = nv_reply_str(row, 1),
								.site = nv_reply_str(row, 2),
								.user = nv_reply_str(row, 3),
								.reason = nv_reply_str(row, 4)};
	}
}

static void done_read(struct nv_op *op, const struct nv_err *err, const redisReply *r)
{
	struct nv_digest d = {0};
	struct nv_err mine;

	if (!err && nv_reply_check(r, &mine))
		err = &mine;
	if (!err)
		read_digest(r, &d);
	((nv_digest_cb)op->cb)(op->arg, err, err ? NULL : &d);
}

void nv_status_digest_read(struct nv_status *s, const char *id, nv_digest_cb cb, void *arg)
{
	struct nv_op *op = nv_op_new(s, NV_SC_digest_read, done_read, NV_CB(cb), arg);

	nv_args_str(&op->args, id);
	nv_op_run(op);
}
