/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Calls: a Lua script or a plain command, its arguments, and whoever waits for the answer. */
#include <string.h>

#include "base/hash.h"
#include "core/status/status.h"
#include "core/status/status_internal.h"
#include "nv_status_lua.h"

static const struct {
	const char *flags;
	const char *body;
} sources[NV_SC_COUNT] = {
#define X(name, flags) [NV_SC_##name] = {flags, nv_lua_##name},
	NV_SCRIPTS(X)
#undef X
};

/* local MAY = ' p:scheduled>cancelled … '; local FINAL = {…}.  Redis runs this before every script:
 * a text costs nothing there, a table of tables more than a short script itself. */
static void write_table(struct nv_buf *b)
{
	nv_buf_puts(b, "local MAY=' ");
	for (const char *who = "pkw"; *who; who++) {
		for (unsigned from = 0; from < NV_ST_COUNT; from++)
			for (unsigned to = 0; to < NV_ST_COUNT; to++)
				if (nv_state_may(*who, (enum nv_state)from, (enum nv_state)to))
					nv_buf_printf(b, "%c:%s>%s ", *who,
						      nv_state_word((enum nv_state)from),
						      nv_state_word((enum nv_state)to));
	}
	nv_buf_puts(b, "'\nlocal FINAL={");
	for (unsigned s = 0; s < NV_ST_COUNT; s++)
		if (nv_state_final((enum nv_state)s))
			nv_buf_printf(b, "%s=true,", nv_state_word((enum nv_state)s));
	nv_buf_puts(b, "}\n");
}

void nv_scripts_init(struct nv_script_text scripts[NV_SC_COUNT])
{
	struct nv_hash *h = nv_hash_new(NV_SHA1);
	uint8_t digest[NV_SHA1_LEN];

	for (size_t i = 0; i < NV_SC_COUNT; i++) {
		struct nv_buf b = {0};

		/* With this line Redis checks memory and disk once, before the first command: a
		 * script is never cut off half-way. */
		nv_buf_puts(&b, "#!lua");
		if (*sources[i].flags)
			nv_buf_printf(&b, " flags=%s", sources[i].flags);
		nv_buf_puts(&b, "\n");
		write_table(&b);
		nv_buf_puts(&b, nv_lua_common);
		nv_buf_puts(&b, sources[i].body);
		nv_hash_update(h, b.data, b.len);
		nv_hash_final(h, digest);
		nv_hex(digest, sizeof digest, scripts[i].sha1);
		scripts[i].text = (char *)b.data;
		scripts[i].len = b.len;
	}
	nv_hash_free(h);
}

void nv_scripts_fini(struct nv_script_text scripts[NV_SC_COUNT])
{
	for (size_t i = 0; i < NV_SC_COUNT; i++)
		free(scripts[i].text);
}

/* --- calls --- */

struct nv_op *nv_op_new(struct nv_status *s, enum nv_script script, nv_op_done done,
			void (*cb)(void), void *arg)
{
	struct nv_op *op = nv_alloc(sizeof *op);

	op->s = s;
	op->conn = s->conn;
	op->script = script;
	op->done = done;
	op->cb = cb;
	op->arg = arg;
	return op;
}

static void end(struct nv_op *op, const struct nv_err *err, const redisReply *r)
{
	op->done(op, err, r);
	nv_args_fini(&op->args);
	free(op);
}

static void on_answer(void *arg, const struct nv_err *err, const redisReply *r)
{
	struct nv_op *op = arg;

	/* A server that was restarted has forgotten the scripts: send the text. */
	if (err && !op->whole_text && op->script != NV_SC_COUNT && strstr(err->msg, " NOSCRIPT ")) {
		op->whole_text = true;
		nv_op_run(op);
		return;
	}
	end(op, err, r);
}

static void on_failed(void *arg, const struct nv_err *err, const redisReply *r)
{
	end(arg, err, r);
}

void nv_op_run(struct nv_op *op)
{
	const struct nv_script_text *text;
	struct nv_args a = {0};

	if (op->script == NV_SC_COUNT) {
		nv_conn_call(op->conn, &op->args, 0, on_answer, op);
		return;
	}
	text = &op->s->scripts[op->script];
	if (op->whole_text) {
		nv_args_str(&a, "EVAL");
		nv_args_add(&a, text->text, text->len);
	} else {
		nv_args_str(&a, "EVALSHA");
		nv_args_str(&a, text->sha1);
	}
	nv_args_str(&a, "0");
	for (size_t i = 0; i < op->args.len; i++)
		nv_args_add(&a, op->args.items[i], op->args.lens[i]);
	nv_conn_call(op->conn, &a, 0, on_answer, op);
	nv_args_fini(&a);
}

void nv_op_fail(struct nv_op *op, const struct nv_err *err)
{
	nv_conn_fail_later(op->conn, err, on_failed, op);
}

void nv_op_done_plain(struct nv_op *op, const struct nv_err *err, const redisReply *r)
{
	struct nv_err mine;

	if (!err && op->script != NV_SC_COUNT && nv_reply_check(r, &mine))
		err = &mine;
	((nv_status_cb)op->cb)(op->arg, err);
}

/* --- answers --- */

const char *nv_reply_str(const redisReply *r, size_t i)
{
	const redisReply *e;

	if (!r || r->type != REDIS_REPLY_ARRAY || i >= r->elements)
		return NULL;
	e = r->element[i];
	return e && e->type == REDIS_REPLY_STRING && e->len ? e->str : NULL;
}

uint64_t nv_reply_uint(const redisReply *r)
{
	if (!r)
		return 0;
	if (r->type == REDIS_REPLY_INTEGER)
		return r->integer > 0 ? (uint64_t)r->integer : 0;
	if (r->type == REDIS_REPLY_STRING)
		return strtoull(r->str, NULL, 10);
	return 0;
}

int nv_reply_odd(struct nv_err *err)
{
	return nv_fail(err, NV_RETRY, NV_R_internal, "status: redis answered something unexpected");
}

int nv_reply_rows(const redisReply *r, size_t columns, struct nv_err *err)
{
	return r->type == REDIS_REPLY_ARRAY && r->elements % columns == 0 ? 0 : nv_reply_odd(err);
}

int nv_reply_check(const redisReply *r, struct nv_err *err)
{
	static const struct {
		const char *word;
		enum nv_err_kind kind;
	} kinds[] = {{"reject", NV_REJECT}, {"retry", NV_RETRY}, {"hold", NV_HOLD}};
	const char *word = nv_reply_str(r, 0);
	const char *text = nv_reply_str(r, 2);

	if (word && strcmp(word, "ok") == 0)
		return 0;
	for (size_t i = 0; word && i < NV_ARRAY_LEN(kinds); i++)
		if (strcmp(word, kinds[i].word) == 0)
			return nv_fail(err, kinds[i].kind, nv_reason_from(nv_reply_str(r, 1)),
				       "status: %s", text ? text : "refused");
	return nv_reply_odd(err);
}
