/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The life all these threads lead: connect, serve commands and frames, sleep, connect again. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/id.h"
#include "base/log.h"
#include "core/bus/bus_internal.h"

#define BACKOFF_MIN_MS 200
#define BACKOFF_MAX_MS 10000
#define FRAMES_AT_ONCE 256 /* then commands get their turn */

uint64_t nv_bus_backoff(uint64_t *backoff)
{
	uint64_t now = *backoff ? *backoff : BACKOFF_MIN_MS;
	uint16_t jitter = 0;
	*backoff = now * 2 < BACKOFF_MAX_MS ? now * 2 : BACKOFF_MAX_MS;
	if (getrandom(&jitter, sizeof jitter, 0) < 0)
		jitter = 0;
	return now / 2 + now / 2 * jitter / UINT16_MAX;
}

void nv_conn_thread_event(struct nv_conn_thread *s, enum nv_bus_what what, const struct nv_err *err)
{
	struct nv_bus_item *i = nv_bus_item_new(what);
	i->side = s;
	if (err) {
		i->err = nv_alloc(sizeof *i->err);
		*i->err = *err;
	}
	nv_bus_queue_put(s->events, i);
}

static void set_blocked(struct nv_conn_thread *s, bool blocked)
{
	uint64_t from = atomic_load(&s->blocked_from);
	if (blocked == (from != 0))
		return;
	if (from)
		atomic_fetch_add(&s->blocked_ms, nv_mono_ms() - from);
	atomic_store(&s->blocked_from, blocked ? nv_mono_ms() : 0);
}

static void lose(struct nv_conn_thread *s, const struct nv_err *err)
{
	nv_link_close(&s->link, false);
	set_blocked(s, false);
	s->ops->lost(s->ctx);
	s->retry_at = nv_mono_ms() + nv_bus_backoff(&s->backoff);
	NV_LOG(NV_WARN, "bus.lost", NV_S("connection", s->link.name), NV_E(err));
	nv_conn_thread_event(s, NV_BUS_STATE, err);
}

static void connect_side(struct nv_conn_thread *s)
{
	struct nv_err err = {0};
	if (nv_link_open(&s->link, &err)) {
		s->retry_at = nv_mono_ms() + nv_bus_backoff(&s->backoff);
		nv_conn_thread_event(s, NV_BUS_STATE, &err);
		if (err.kind == NV_FATAL)
			nv_conn_thread_event(s, NV_BUS_FATAL, &err);
		return;
	}
	if (s->ops->opened(s->ctx, &err)) {
		lose(s, &err);
		return;
	}
	s->backoff = 0;
	atomic_fetch_add(&s->opened, 1);
	NV_LOG(NV_INFO, "bus.connected", NV_S("connection", s->link.name),
	       NV_S("user", s->link.user));
	nv_conn_thread_event(s, NV_BUS_STATE, NULL);
}

/* Frames of channel 0 concern the connection. */
static int connection_frame(struct nv_conn_thread *s, const amqp_frame_t *f, struct nv_err *err)
{
	if (f->frame_type != AMQP_FRAME_METHOD)
		return 0;
	switch (f->payload.method.id) {
	case AMQP_CONNECTION_CLOSE_METHOD:
		return nv_link_connection_closed(&s->link, f->payload.method.decoded, err);
	case AMQP_CONNECTION_BLOCKED_METHOD:
		NV_LOG(NV_WARN, "bus.blocked", NV_S("connection", s->link.name));
		set_blocked(s, true);
		if (s->ops->blocked)
			s->ops->blocked(s->ctx, true);
		return 0;
	case AMQP_CONNECTION_UNBLOCKED_METHOD:
		NV_LOG(NV_INFO, "bus.unblocked", NV_S("connection", s->link.name));
		set_blocked(s, false);
		if (s->ops->blocked)
			s->ops->blocked(s->ctx, false);
		return 0;
	default:
		return 0;
	}
}

/* Serve what has arrived.  1: there may be more. */
static int serve_frames(struct nv_conn_thread *s, struct nv_err *err)
{
	for (int n = 0; n < FRAMES_AT_ONCE; n++) {
		struct timeval now = {0};
		amqp_frame_t f;
		nv_link_enter(&s->link);
		amqp_maybe_release_buffers(s->link.conn);
		int status = amqp_simple_wait_frame_noblock(s->link.conn, &f, &now);
		if (status == AMQP_STATUS_TIMEOUT)
			return 0;
		if (nv_link_status(status, "wait for a frame", err))
			return -1;
		if (f.channel == 0 ? connection_frame(s, &f, err) : s->ops->frame(s->ctx, &f, err))
			return -1;
	}
	return 1;
}

static void serve_commands(struct nv_conn_thread *s)
{
	struct nv_err err = {0};
	struct nv_bus_item *i = nv_bus_queue_take(&s->commands);
	while (i) {
		struct nv_bus_item *next = i->next;
		if (i->what == NV_BUS_STOP) {
			s->stopping = true;
			s->stop_by = i->number;
		} else if (s->link.conn) {
			nv_link_enter(&s->link);
		}
		if (i->what != NV_BUS_STOP && s->ops->command(s->ctx, i, &err))
			lose(s, &err);
		nv_bus_item_free(i);
		i = next;
	}
}

static void sleep_until_something(struct nv_conn_thread *s)
{
	uint64_t count = 0;
	struct pollfd fds[2] = {{.fd = s->commands.wake_fd, .events = POLLIN},
				{.fd = s->link.conn ? s->link.fd : -1, .events = POLLIN}};
	nv_link_leave(&s->link);
	poll(fds, 2, s->ops->tick_ms);
	if (read(s->commands.wake_fd, &count, sizeof count) < 0 && errno != EAGAIN)
		NV_LOG(NV_ERROR, "bus.eventfd", NV_S("text", strerror(errno)));
}

static bool finished(const struct nv_conn_thread *s)
{
	return s->stopping && (s->ops->idle(s->ctx) || nv_mono_ms() >= s->stop_by);
}

static void *side_main(void *arg)
{
	struct nv_conn_thread *s = arg;
	sigset_t all;
	/* Signals are the loop's; a write to a closed TLS socket is an error here, not a SIGPIPE.
	 */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	for (;;) {
		struct nv_err err = {0};
		int more = 0;
		serve_commands(s);
		if (finished(s))
			break;
		if (!s->link.conn && nv_mono_ms() >= s->retry_at)
			connect_side(s);
		bool connected = s->link.conn != NULL;
		if (connected)
			nv_link_enter(&s->link);
		if (s->ops->work(s->ctx, connected, nv_mono_ms(), &err))
			more = -1;
		else if (connected)
			more = serve_frames(s, &err);
		if (more < 0)
			lose(s, &err);
		if (more == 0)
			sleep_until_something(s);
	}
	nv_link_close(&s->link, true);
	set_blocked(s, false);
	s->ops->lost(s->ctx);
	s->ops->finish(s->ctx);
	nv_conn_thread_event(s, NV_BUS_STOPPED, NULL);
	return NULL;
}

int nv_conn_thread_init(struct nv_conn_thread *s, const struct nv_config *config, const char *name,
			const struct nv_conn_thread_ops *ops, void *ctx,
			struct nv_bus_queue *events, struct nv_err *err)
{
	*s = (struct nv_conn_thread){.ops = ops, .ctx = ctx, .events = events};
	if (nv_link_init(&s->link, config, name, err))
		return -1;
	nv_bus_queue_init(&s->commands);
	s->commands.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->commands.wake_fd < 0) {
		nv_fail_errno(err, errno, NV_FATAL, NV_R_internal, "bus: eventfd");
		nv_conn_thread_fini(s);
		return -1;
	}
	return 0;
}

int nv_conn_thread_start(struct nv_conn_thread *s, struct nv_err *err)
{
	int e = pthread_create(&s->thread, NULL, side_main, s);
	if (e)
		return nv_fail_errno(err, e, NV_FATAL, NV_R_internal, "bus: start a thread");
	s->started = true;
	return 0;
}

void nv_conn_thread_fini(struct nv_conn_thread *s)
{
	if (s->started)
		pthread_join(s->thread, NULL);
	nv_link_fini(&s->link);
	nv_bus_queue_fini(&s->commands);
}
