/* SPDX-License-Identifier: GPL-3.0-or-later */
/* For administrators: who is there, how many requests each site has, where time goes. */
#include <string.h>

#include "core/status/admin.h"
#include "core/status/status.h"
#include "core/status/status_internal.h"

#define STEPS_MAX 1000u
#define STEP_COLUMNS (3u + NV_PH_COUNT) /* as steps.lua answers */

static const char *text_at(const redisReply *r, size_t i)
{
	const char *s = nv_reply_str(r, i);
	return s ? s : "";
}

/* --- who is there --- */

void nv_status_present(struct nv_status *s, const char *name, const char *value, uint64_t ttl_ms,
		       nv_status_cb cb, void *arg)
{
	struct nv_op *op = nv_op_new(s, NV_SC_present, nv_op_done_plain, NV_CB(cb), arg);

	nv_args_str(&op->args, name);
	nv_args_str(&op->args, value);
	nv_args_uint(&op->args, ttl_ms);
	nv_op_run(op);
}

void nv_status_absent(struct nv_status *s, const char *name, nv_status_cb cb, void *arg)
{
	struct nv_op *op = nv_op_new(s, NV_SC_present, nv_op_done_plain, NV_CB(cb), arg);

	nv_args_str(&op->args, name);
	nv_args_str(&op->args, "");
	nv_args_str(&op->args, "");
	nv_op_run(op);
}

typedef void (*presences_cb)(void *arg, const struct nv_err *err, const struct nv_presence *list,
			     size_t len);

static void done_presences(struct nv_op *op, const struct nv_err *err, const redisReply *r)
{
	presences_cb cb = (presences_cb)op->cb;
	nv_auto_free struct nv_presence *list = NULL;
	struct nv_err mine;

	if (!err && nv_reply_rows(r, 3, &mine))
		err = &mine;
	if (err) {
		cb(op->arg, err, NULL, 0);
		return;
	}
	size_t len = r->elements / 3;
	list = nv_alloc((len + 1) * sizeof *list);
	for (size_t i = 0; i < len; i++)
		list[i] = (struct nv_presence){.name = text_at(r, 3 * i),
					       .at = nv_reply_uint(r->element[3 * i + 1]),
					       .value = text_at(r, 3 * i + 2)};
	cb(op->arg, NULL, list, len);
}

void nv_status_presences(struct nv_status *s, presences_cb cb, void *arg)
{
	nv_op_run(nv_op_new(s, NV_SC_presences, done_presences, NV_CB(cb), arg));
}

/* --- requests of each site --- */

typedef void (*site_counts_cb)(void *arg, const struct nv_err *err,
			       const uint64_t (*counts)[NV_ST_COUNT], size_t len);

static void done_site_counts(struct nv_op *op, const struct nv_err *err, const redisReply *r)
{
	site_counts_cb cb = (site_counts_cb)op->cb;
	nv_auto_free uint64_t(*counts)[NV_ST_COUNT] = NULL;
	struct nv_err mine;

	if (!err && nv_reply_rows(r, NV_ST_COUNT, &mine))
		err = &mine;
	if (err) {
		cb(op->arg, err, NULL, 0);
		return;
	}
	size_t len = r->elements / NV_ST_COUNT;
	counts = nv_alloc((len + 1) * sizeof *counts);
	for (size_t i = 0; i < r->elements; i++)
		counts[i / NV_ST_COUNT][i % NV_ST_COUNT] = nv_reply_uint(r->element[i]);
	cb(op->arg, NULL, (const uint64_t(*)[NV_ST_COUNT])counts, len);
}

void nv_status_site_counts(struct nv_status *s, const char *const *sites, size_t len,
			   site_counts_cb cb, void *arg)
{
	struct nv_op *op = nv_op_new(s, NV_SC_site_counts, done_site_counts, NV_CB(cb), arg);

	nv_args_uint(&op->args, NV_ST_COUNT);
	for (unsigned i = 0; i < NV_ST_COUNT; i++)
		nv_args_str(&op->args, nv_state_word((enum nv_state)i));
	nv_args_strs(&op->args, sites, len);
	nv_op_run(op);
}

typedef void (*oldest_cb)(void *arg, const struct nv_err *err, const uint64_t *ms, size_t len);

static void done_oldest(struct nv_op *op, const struct nv_err *err, const redisReply *r)
{
	oldest_cb cb = (oldest_cb)op->cb;
	nv_auto_free uint64_t *ms = NULL;
	struct nv_err mine;

	if (!err && nv_reply_rows(r, 1, &mine))
		err = &mine;
	if (err) {
		cb(op->arg, err, NULL, 0);
		return;
	}
	ms = nv_alloc((r->elements + 1) * sizeof *ms);
	for (size_t i = 0; i < r->elements; i++)
		ms[i] = nv_reply_uint(r->element[i]);
	cb(op->arg, NULL, ms, r->elements);
}

void nv_status_oldest(struct nv_status *s, const char *const *sites, size_t len, oldest_cb cb,
		      void *arg)
{
	struct nv_op *op = nv_op_new(s, NV_SC_oldest, done_oldest, NV_CB(cb), arg);

	nv_args_strs(&op->args, sites, len);
	nv_op_run(op);
}

/* --- where time goes --- */

typedef void (*steps_cb)(void *arg, const struct nv_err *err, const struct nv_status_spent *list,
			 size_t len);

static void done_steps(struct nv_op *op, const struct nv_err *err, const redisReply *r)
{
	steps_cb cb = (steps_cb)op->cb;
	nv_auto_free struct nv_status_spent *list = NULL;
	struct nv_err mine;

	if (!err && nv_reply_rows(r, STEP_COLUMNS, &mine))
		err = &mine;
	if (err) {
		cb(op->arg, err, NULL, 0);
		return;
	}
	size_t len = r->elements / STEP_COLUMNS;
	list = nv_alloc((len + 1) * sizeof *list);
	for (size_t i = 0; i < len; i++) {
		size_t at = i * STEP_COLUMNS;

		list[i].id = text_at(r, at);
		list[i].site = text_at(r, at + 1);
		list[i].finished = nv_reply_uint(r->element[at + 2]);
		for (unsigned p = 0; p < NV_PH_COUNT; p++)
			list[i].ms[p] = nv_reply_uint(r->element[at + 3 + p]);
	}
	cb(op->arg, NULL, list, len);
}

void nv_status_steps(struct nv_status *s, uint64_t most, steps_cb cb, void *arg)
{
	struct nv_op *op = nv_op_new(s, NV_SC_steps, done_steps, NV_CB(cb), arg);

	nv_args_uint(&op->args, most && most < STEPS_MAX ? most : STEPS_MAX);
	nv_op_run(op);
}
