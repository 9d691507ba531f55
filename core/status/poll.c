/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A hiredis context on a libuv loop.
 *
 * Why not hiredis/adapters/libuv.h: it ignores poll errors, and its owner never learns when the
 * context and the handle are gone, which is what reconnecting and a clean end need. */
#include <uv.h>

#include "core/status/status_internal.h"

struct nv_poll {
	uv_poll_t handle;
	uv_prepare_t prepare; /* writes what one turn of the loop has asked for, before it sleeps */
	redisAsyncContext *ac; /* NULL: freed by hiredis */
	struct nv_poll_hooks hooks;
	int events;
	bool writing;
	unsigned open; /* handles */
};

static void on_poll(uv_poll_t *handle, int status, int events)
{
	struct nv_poll *p = handle->data;

	/* With an error on the descriptor both ways: reading or writing then says what it is. */
	if (status < 0)
		events = UV_READABLE | UV_WRITABLE;
	if (p->ac && (events & UV_READABLE))
		redisAsyncHandleRead(p->ac);
	if (p->ac && (events & UV_WRITABLE)) {
		p->writing = true;
		redisAsyncHandleWrite(p->ac);
		p->writing = false;
	}
}

static void on_prepare(uv_prepare_t *prepare)
{
	uv_prepare_stop(prepare);
	on_poll(&((struct nv_poll *)prepare->data)->handle, 0, UV_WRITABLE);
}

static void watch(struct nv_poll *p, int events)
{
	if (events == p->events || !p->ac)
		return;
	p->events = events;
	if (events)
		uv_poll_start(&p->handle, events, on_poll);
	else
		uv_poll_stop(&p->handle);
}

static void add_read(void *data)
{
	struct nv_poll *p = data;

	watch(p, p->events | UV_READABLE);
}

static void del_read(void *data)
{
	struct nv_poll *p = data;

	watch(p, p->events & ~UV_READABLE);
}

/* The socket most often has room: it is watched for that only while the connection is being made,
 * and when a write has left something. */
static void add_write(void *data)
{
	struct nv_poll *p = data;

	if (!p->ac)
		return;
	if (p->writing || !(p->ac->c.flags & REDIS_CONNECTED))
		watch(p, p->events | UV_WRITABLE);
	else if (!(p->events & UV_WRITABLE))
		uv_prepare_start(&p->prepare, on_prepare);
}

static void del_write(void *data)
{
	struct nv_poll *p = data;

	uv_prepare_stop(&p->prepare);
	watch(p, p->events & ~UV_WRITABLE);
}

static void on_closed(uv_handle_t *handle)
{
	struct nv_poll *p = handle->data;
	struct nv_poll_hooks hooks = p->hooks;

	if (--p->open)
		return;
	free(p);
	hooks.closed_cb(hooks.arg);
}

static void cleanup(void *data)
{
	struct nv_poll *p = data;
	const redisAsyncContext *ac = p->ac;

	if (!ac)
		return;
	p->ac = NULL;
	uv_close((uv_handle_t *)&p->handle, on_closed);
	uv_close((uv_handle_t *)&p->prepare, on_closed);
	p->hooks.gone_cb(p->hooks.arg, ac);
}

int nv_poll_attach(redisAsyncContext *ac, uv_loop_t *loop, const struct nv_poll_hooks *hooks)
{
	struct nv_poll *p = nv_alloc(sizeof *p);

	if (uv_poll_init(loop, &p->handle, ac->c.fd) != 0) {
		free(p);
		return -1;
	}
	uv_prepare_init(loop, &p->prepare);
	p->open = 2;
	p->handle.data = p->prepare.data = p;
	p->ac = ac;
	p->hooks = *hooks;
	ac->ev.data = p;
	ac->ev.addRead = add_read;
	ac->ev.delRead = del_read;
	ac->ev.addWrite = add_write;
	ac->ev.delWrite = del_write;
	ac->ev.cleanup = cleanup;
	return 0;
}
