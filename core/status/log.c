/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A request's log. */
#include <string.h>

#include "core/status/log.h"
#include "core/status/status.h"
#include "core/status/status_internal.h"

void nv_args_lines(struct nv_args *a, uint64_t first, const struct nv_log_line *lines, size_t len)
{
	if (!len)
		return;
	nv_args_uint(a, first);
	for (size_t i = 0; i < len; i++) {
		nv_args_uint(a, lines[i].at);
		nv_args_str(a, nv_level_words[lines[i].level]);
		nv_args_str(a, lines[i].text);
	}
}

void nv_status_log(struct nv_status *s, const char *id, const char *source, const char *from,
		   uint64_t first, const struct nv_log_line *lines, size_t len, nv_status_cb cb,
		   void *arg)
{
	struct nv_op *op = nv_op_new(s, NV_SC_log, nv_op_done_plain, NV_CB(cb), arg);

	nv_args_str(&op->args, id);
	nv_args_str(&op->args, source);
	nv_args_str(&op->args, from);
	nv_args_lines(&op->args, first, lines, len);
	nv_op_run(op);
}

/* entry: {field, value, …}; borrowed from it. */
static struct nv_status_line line_from(const redisReply *entry)
{
	struct nv_status_line line = {.from = "", .level = "", .text = ""};

	for (size_t i = 0; i + 1 < entry->elements; i += 2) {
		const char *name = nv_reply_str(entry, i);
		const char *value = nv_reply_str(entry, i + 1);

		if (!name || !value)
			continue;
		if (strcmp(name, "at") == 0)
			line.at = nv_reply_uint(entry->element[i + 1]);
		else if (strcmp(name, "from") == 0)
			line.from = value;
		else if (strcmp(name, "level") == 0)
			line.level = value;
		else if (strcmp(name, "text") == 0)
			line.text = value;
	}
	return line;
}

static void done_log_read(struct nv_op *op, const struct nv_err *err, const redisReply *r)
{
	nv_log_cb cb = (nv_log_cb)op->cb;
	nv_auto_free struct nv_status_line *lines = NULL;
	struct nv_err mine;
	size_t len = 0;

	if (!err && (r->type != REDIS_REPLY_ARRAY || !r->elements)) {
		nv_fail(&mine, NV_RETRY, NV_R_internal, "status: redis answered without a log");
		err = &mine;
	}
	if (err) {
		cb(op->arg, err, NULL, 0, 0);
		return;
	}
	lines = nv_alloc(r->elements * sizeof *lines);
	for (size_t i = 1; i < r->elements; i++)
		if (r->element[i]->type == REDIS_REPLY_ARRAY)
			lines[len++] = line_from(r->element[i]);
	cb(op->arg, NULL, lines, len, nv_reply_uint(r->element[0]));
}

void nv_status_log_read(struct nv_status *s, const char *id, nv_log_cb cb, void *arg)
{
	struct nv_op *op = nv_op_new(s, NV_SC_log_read, done_log_read, NV_CB(cb), arg);

	nv_args_str(&op->args, id);
	nv_op_run(op);
}
