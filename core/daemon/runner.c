/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/daemon/runner.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/id.h"
#include "base/mem.h"

#define PROGRESS_EVERY_MS 250u
#define LINES_MAX 200u /* of the log, between two checks */

struct nv_running {
	struct nv_job job;
	struct nv_run run;
	struct nv_err err;
	int result;
	uv_async_t async; /* the thread's end */
	uv_timer_t timer; /* looks at progress and log */
	uv_thread_t thread;
	unsigned closing;
	pthread_mutex_t lock; /* guards what is below */
	char step[32];
	uint64_t done, total;
	bool fresh;
	struct nv_log_line *lines;
	size_t lines_len;
	uint64_t lines_lost;
};

static void note_progress(void *arg, const char *step, uint64_t done, uint64_t total)
{
	struct nv_running *r = arg;
	pthread_mutex_lock(&r->lock);
	strncpy(r->step, step, sizeof r->step - 1);
	r->done = done;
	r->total = total;
	r->fresh = true;
	pthread_mutex_unlock(&r->lock);
}

static void note_line(void *arg, enum nv_level level, const char *text)
{
	struct nv_running *r = arg;
	pthread_mutex_lock(&r->lock);
	if (!r->lines)
		r->lines = nv_alloc(LINES_MAX * sizeof *r->lines);
	if (r->lines_len < LINES_MAX)
		r->lines[r->lines_len++] = (struct nv_log_line){
			.at = nv_now_ms(), .level = level, .text = nv_strdup(text)};
	else
		r->lines_lost++;
	pthread_mutex_unlock(&r->lock);
}

static void tell_lines(struct nv_running *r)
{
	pthread_mutex_lock(&r->lock);
	struct nv_log_line *lines = r->lines;
	size_t len = r->lines_len;
	uint64_t lost = r->lines_lost;
	r->lines = NULL;
	r->lines_len = 0;
	r->lines_lost = 0;
	pthread_mutex_unlock(&r->lock);
	for (size_t i = 0; i < len; i++) {
		if (r->run.on_log_cb)
			r->run.on_log_cb(r->run.arg, &lines[i]);
		free(lines[i].text);
	}
	free(lines);
	if (lost && r->run.on_log_cb) {
		char text[64];
		snprintf(text, sizeof text, "%llu lines dropped here: too many at once",
			 (unsigned long long)lost);
		struct nv_log_line line = {.at = nv_now_ms(), .level = NV_WARN, .text = text};
		r->run.on_log_cb(r->run.arg, &line);
	}
}

static void tell_progress(struct nv_running *r)
{
	char step[sizeof r->step];
	pthread_mutex_lock(&r->lock);
	memcpy(step, r->step, sizeof step);
	uint64_t done = r->done, total = r->total;
	bool fresh = r->fresh;
	r->fresh = false;
	pthread_mutex_unlock(&r->lock);
	if (fresh && r->run.on_progress_cb)
		r->run.on_progress_cb(r->run.arg, step, done, total);
}

static void progress_tick(uv_timer_t *timer)
{
	tell_lines(timer->data);
	tell_progress(timer->data);
}

static void handle_closed(uv_handle_t *handle)
{
	struct nv_running *r = handle->data;
	if (--r->closing)
		return;
	pthread_mutex_destroy(&r->lock);
	free(r);
}

static void thread_ended(uv_async_t *async)
{
	struct nv_running *r = async->data;
	uv_thread_join(&r->thread);
	uv_timer_stop(&r->timer);
	tell_lines(r);
	r->run.on_done_cb(r->run.arg, r->result < 0 ? &r->err : NULL);
	r->closing = 2;
	uv_close((uv_handle_t *)&r->async, handle_closed);
	uv_close((uv_handle_t *)&r->timer, handle_closed);
}

static void thread_main(void *arg)
{
	struct nv_running *r = arg;
	r->result = r->run.work(&r->job, r->run.arg, &r->err);
	uv_async_send(&r->async);
}

struct nv_running *nv_run_start(uv_loop_t *loop, const struct nv_run *run)
{
	struct nv_running *r = nv_alloc(sizeof *r);
	uint64_t now = nv_mono_ms();
	r->run = *run;
	r->job.progress_cb = note_progress;
	r->job.log_cb = note_line;
	r->job.arg = r;
	r->job.deadline = run->timeout_ms ? now + run->timeout_ms : 0;
	atomic_init(&r->job.lease_until, run->lease_ms ? now + run->lease_ms : 0);
	pthread_mutex_init(&r->lock, NULL);
	if (run->first_step)
		note_progress(r, run->first_step, 0, 0);
	uv_async_init(loop, &r->async, thread_ended);
	uv_timer_init(loop, &r->timer);
	r->async.data = r->timer.data = r;
	uv_timer_start(&r->timer, progress_tick, PROGRESS_EVERY_MS, PROGRESS_EVERY_MS);
	if (uv_thread_create(&r->thread, thread_main, r) != 0)
		abort(); /* no thread: no job can ever run; the broker hands our messages on */
	return r;
}

void nv_run_cancel(struct nv_running *r)
{
	atomic_store(&r->job.cancelled, true);
}

void nv_run_stop(struct nv_running *r)
{
	atomic_store(&r->job.stopping, true);
}

void nv_run_lease(struct nv_running *r, uint64_t from_mono_ms, uint64_t lease_ms)
{
	atomic_store(&r->job.lease_until, from_mono_ms + lease_ms);
}

void nv_run_lease_lost(struct nv_running *r)
{
	atomic_store(&r->job.lease_until, 1);
}
