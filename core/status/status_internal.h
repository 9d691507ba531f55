/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of core/status share.  Three layers:
 *
 *   poll.c         a hiredis context on the libuv loop
 *   connection.c   struct nv_conn: one connection with automatic reconnect; calls with a deadline
 *   scripts.c      struct nv_op: one call of the public interface: a Lua script (or a plain
 *                  command), its arguments and the caller's callback
 *
 * and on top of them one file per subject, each with its header. */
#ifndef NV_STATUS_STATUS_INTERNAL_H
#define NV_STATUS_STATUS_INTERNAL_H

#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <sys/queue.h>

#include "base/err.h"
#include "base/mem.h"
#include "core/status/claims.h"
#include "core/status/events.h"
#include "core/status/status.h"

/* --- poll.c --- */

/* Put ac on the loop.  When hiredis frees the context (after it has answered every pending callback
 * with NULL), gone_cb is called with the context still readable; closed_cb when the loop has let go
 * of the handle. */
struct nv_poll_hooks {
	void (*gone_cb)(void *arg, const redisAsyncContext *ac);
	void (*closed_cb)(void *arg);
	void *arg;
};
int nv_poll_attach(redisAsyncContext *ac, uv_loop_t *loop, const struct nv_poll_hooks *hooks);

/* --- args.c --- */

/* A growing list of arguments; binary. */
struct nv_args {
	char **items;
	size_t *lens;
	size_t len;
	size_t cap;
};
void nv_args_add(struct nv_args *a, const void *data, size_t len);
void nv_args_str(struct nv_args *a, const char *s); /* NULL: "" */
void nv_args_strs(struct nv_args *a, const char *const *list, size_t len);
void nv_args_uint(struct nv_args *a, uint64_t n);
void nv_args_fini(struct nv_args *a);

/* --- connection.c --- */

struct nv_conn;
/* r is borrowed for the call and NULL exactly when err is set; an error reply is an err. */
typedef void (*nv_reply_cb)(void *arg, const struct nv_err *err, const redisReply *r);
struct nv_conn_options {
	uv_loop_t *loop;
	const struct nv_config *config;					/* borrowed */
	void (*state_cb)(void *arg, bool up, const struct nv_err *err); /* may be NULL */
	void *arg;
};
struct nv_conn *nv_conn_new(const struct nv_conn_options *o, struct nv_err *err);
bool nv_conn_up(const struct nv_conn *c);

/* block_ms: how long the command itself may wait in the server, on top of the timeout. */
void nv_conn_call(struct nv_conn *c, const struct nv_args *a, uint64_t block_ms, nv_reply_cb cb,
		  void *arg);
/* Call cb with err, from the loop. */
void nv_conn_fail_later(struct nv_conn *c, const struct nv_err *err, nv_reply_cb cb, void *arg);
/* Ends the calls in flight with an error, then calls closed_cb. */
void nv_conn_close(struct nv_conn *c, void (*closed_cb)(void *arg), void *arg);

/* --- scripts.c --- */

/* X(name, flags): lua/<name>.lua; read-only ones also run while Redis refuses to write. */
#define NV_SCRIPTS(X)               \
	X(create, "")               \
	X(accepted, "")             \
	X(take_back, "")            \
	X(undo, "")                 \
	X(published, "")            \
	X(change, "")               \
	X(cancel, "")               \
	X(withdrawn, "")            \
	X(get, "no-writes")         \
	X(list, "no-writes")        \
	X(counts, "no-writes")      \
	X(holders, "no-writes")     \
	X(unpublished, "")          \
	X(event, "")                \
	X(claim, "")                \
	X(ahead, "")                \
	X(renew, "")                \
	X(finish, "")               \
	X(recall, "")               \
	X(find, "no-writes")        \
	X(records, "no-writes")     \
	X(join, "")                 \
	X(count, "")                \
	X(events, "no-writes")      \
	X(notice, "")               \
	X(notice_later, "")         \
	X(digest, "")               \
	X(digest_read, "")          \
	X(unroutable, "")           \
	X(log, "")                  \
	X(log_read, "no-writes")    \
	X(present, "")              \
	X(presences, "no-writes")   \
	X(site_counts, "no-writes") \
	X(oldest, "no-writes")      \
	X(steps, "no-writes")       \
	X(forget, "")               \
	X(republish, "")            \
	X(republish_held, "")       \
	X(waits, "")                \
	X(unstore, "")              \
	X(passed, "")
enum nv_script {
#define X(name, flags) NV_SC_##name,
	NV_SCRIPTS(X)
#undef X
		NV_SC_COUNT, /* also: no script, a plain command */
};
struct nv_script_text {
	char *text;
	size_t len;
	char sha1[41];
};
void nv_scripts_init(struct nv_script_text scripts[NV_SC_COUNT]);
void nv_scripts_fini(struct nv_script_text scripts[NV_SC_COUNT]);

/* A follower or notifier: has a connection of its own and ends with its nv_status. */
struct nv_child {
	LIST_ENTRY(nv_child) link;
	void (*close)(struct nv_child *child);
};

struct nv_status {
	struct nv_status_options options;
	uv_loop_t *loop;
	struct nv_conn *conn;
	struct nv_script_text scripts[NV_SC_COUNT];
	LIST_HEAD(, nv_child) children;
	size_t open; /* connections not yet closed: ours and the children's */
	bool closing;
	uint64_t notice_idle_ms;
	uint64_t find_step; /* records that a search looks at in one call */
	void (*on_closed_cb)(void *arg);
	void *on_closed_arg;
};
/* A child's connection, counted in s->open; closing it calls closed_cb, then perhaps the end of s.
 */
void nv_status_child_add(struct nv_status *s, struct nv_child *child);
void nv_status_child_gone(struct nv_status *s);
/* Tests only: a notice not done for so long is given to another (default a minute). */
void nv_status_set_notice_idle(struct nv_status *s, uint64_t ms);
/* Tests only: a search looks at so many records in one call (default 2,000: some 15 ms of Redis).
 */
void nv_status_set_find_step(struct nv_status *s, uint64_t records);

struct nv_op;
/* err NULL: r is what the script or command answered. */
typedef void (*nv_op_done)(struct nv_op *op, const struct nv_err *err, const redisReply *r);
struct nv_op {
	struct nv_status *s;
	struct nv_conn *conn;
	enum nv_script script;
	bool whole_text; /* EVAL instead of EVALSHA: the server did not know it */
	struct nv_args args;
	nv_op_done done;
	void (*cb)(void); /* the caller's, cast back by done */
	void *arg;
	char token[NV_TOKEN_SIZE];
};
/* script NV_SC_COUNT: args are a plain command. */
struct nv_op *nv_op_new(struct nv_status *s, enum nv_script script, nv_op_done done,
			void (*cb)(void), void *arg);
/* Takes op; err: do not call, fail with this. */
void nv_op_run(struct nv_op *op);
void nv_op_fail(struct nv_op *op, const struct nv_err *err);
#define NV_CB(cb) ((void (*)(void))(cb))

/* A script returns {"ok", …} or {kind, reason, message, …} with kind reject, retry or hold. 0 for
 * the first; -1 and *err for the others and for anything else. */
int nv_reply_check(const redisReply *r, struct nv_err *err);
/* -1 and *err: an unexpected answer. */
int nv_reply_odd(struct nv_err *err);
/* 0: an array of rows of so many columns; -1 and *err. */
int nv_reply_rows(const redisReply *r, size_t columns, struct nv_err *err);
/* element i of an array as text; NULL when it is not there or empty. */
const char *nv_reply_str(const redisReply *r, size_t i);
uint64_t nv_reply_uint(const redisReply *r); /* integer, or digits */
#define NV_LIST_MAX 1000u		     /* records in an answer */
/* {total, record, …}: cb is an nv_list_cb. */
void nv_op_done_list(struct nv_op *op, const struct nv_err *err, const redisReply *r);
/* done for calls without a result: cb is an nv_status_cb. */
void nv_op_done_plain(struct nv_op *op, const struct nv_err *err, const redisReply *r);

/* --- records.c --- */

#define NV_REQUEST_ARGS 7 /* what nv_args_request adds; common.lua's request() reads them */
int nv_args_request(struct nv_args *a, const struct nv_restore_request *q, struct nv_err *err);
/* Lines for a request's log, the last arguments of a script (common.lua: note_lines). */
void nv_args_lines(struct nv_args *a, uint64_t first, const struct nv_log_line *lines, size_t len);
/* Field-value pairs of an outcome: reason, message and what a restored course adds. */
void nv_args_outcome(struct nv_args *a, const struct nv_status_outcome *o);
/* r: what HGETALL answers; everything in rec lives in the arena. */
int nv_record_from_reply(const redisReply *r, struct nv_status_record *rec, struct nv_arena *arena,
			 struct nv_err *err);

/* --- events.c --- */

/* entry: {id, {field, value, …}}; borrowed from it.  false: not an entry. */
bool nv_event_from_reply(const redisReply *entry, struct nv_status_change_event *ret);

#endif
