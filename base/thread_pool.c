/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/thread_pool.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/mem.h"

#define THREADS_MAX 64u
#define GIVE_WAY 10 /* niceness; more than 19 is 19 */

struct nv_thread_pool {
	int (*work)(void *ctx, void *item, struct nv_err *err);
	void *ctx;
	unsigned threads_max;
	unsigned threads;
	pthread_t thread[THREADS_MAX];
	pthread_mutex_t lock;
	pthread_cond_t changed; /* an item more, or no more to come */
	void **items;
	size_t next, len, cap;
	unsigned idle; /* threads that wait for an item */
	bool over;     /* no more will come */
	bool failed;
	struct nv_err why;
};

struct nv_thread_pool *nv_thread_pool_new(unsigned threads,
					  int (*work)(void *ctx, void *item, struct nv_err *err),
					  void *ctx)
{
	struct nv_thread_pool *c = nv_alloc(sizeof *c);
	c->work = work;
	c->ctx = ctx;
	c->threads_max = threads < 1 ? 1 : threads > THREADS_MAX ? THREADS_MAX : threads;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->changed, NULL);
	return c;
}

/* false: no items are left and none will come. */
static bool take(struct nv_thread_pool *c, void **ret_item)
{
	pthread_mutex_lock(&c->lock);
	c->idle++;
	while (!c->failed && !c->over && c->next == c->len)
		pthread_cond_wait(&c->changed, &c->lock);
	c->idle--;
	bool more = !c->failed && c->next < c->len;
	if (more)
		*ret_item = c->items[c->next++];
	pthread_mutex_unlock(&c->lock);
	return more;
}

static void fail(struct nv_thread_pool *c, const struct nv_err *why)
{
	pthread_mutex_lock(&c->lock);
	if (!c->failed)
		c->why = *why;
	c->failed = true;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
}

static void work_on(struct nv_thread_pool *c, void *item)
{
	struct nv_err err = {0};
	if (c->work(c->ctx, item, &err) < 0)
		fail(c, &err);
}

static void *run(void *arg)
{
	struct nv_thread_pool *c = arg;
	void *item;
	/* Relative to the process, not to a pool thread that started this one. */
	setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, (id_t)getpid()) + GIVE_WAY);
	while (take(c, &item))
		work_on(c, item);
	return NULL;
}

void nv_thread_pool_give(struct nv_thread_pool *c, void *item)
{
	pthread_mutex_lock(&c->lock);
	if (c->len == c->cap) {
		c->cap = c->cap ? 2 * c->cap : 64;
		c->items = nv_realloc(c->items, c->cap * sizeof *c->items);
	}
	c->items[c->len++] = item;
	bool another = c->idle < c->len - c->next && c->threads < c->threads_max && !c->failed;
	pthread_cond_signal(&c->changed);
	pthread_mutex_unlock(&c->lock);
	if (another && pthread_create(&c->thread[c->threads], NULL, run, c) == 0)
		c->threads++;
	/* No thread can be created: do it here, or nobody ever would. */
	if (!c->threads && take(c, &item))
		work_on(c, item);
}

int nv_thread_pool_check(struct nv_thread_pool *c, struct nv_err *err)
{
	pthread_mutex_lock(&c->lock);
	bool failed = c->failed;
	if (failed && err)
		*err = c->why;
	pthread_mutex_unlock(&c->lock);
	return failed ? -1 : 0;
}

static void dismiss(struct nv_thread_pool *c)
{
	while (c->threads)
		pthread_join(c->thread[--c->threads], NULL);
	pthread_mutex_destroy(&c->lock);
	pthread_cond_destroy(&c->changed);
	free(c->items);
	free(c);
}

static void say_over(struct nv_thread_pool *c, bool drop)
{
	pthread_mutex_lock(&c->lock);
	c->over = true;
	if (drop)
		c->next = c->len;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
}

int nv_thread_pool_end(struct nv_thread_pool *c, struct nv_err *err)
{
	say_over(c, false);
	while (c->threads)
		pthread_join(c->thread[--c->threads], NULL);
	int rc = nv_thread_pool_check(c, err);
	dismiss(c);
	return rc;
}

void nv_thread_pool_abandon(struct nv_thread_pool *c)
{
	if (!c)
		return;
	say_over(c, true);
	dismiss(c);
}

/* --- all of them known --- */

struct indexed {
	int (*work)(void *ctx, size_t i, struct nv_err *err);
	void *ctx;
};

static int work_at(void *ctx, void *item, struct nv_err *err)
{
	const struct indexed *x = ctx;
	return x->work(x->ctx, (size_t)(uintptr_t)item, err);
}

int nv_parallel(unsigned threads, size_t len, int (*work)(void *ctx, size_t i, struct nv_err *err),
		void *ctx, struct nv_err *err)
{
	struct indexed x = {work, ctx};
	struct nv_thread_pool *c = nv_thread_pool_new(threads, work_at, &x);
	for (size_t i = 0; i < len; i++)
		nv_thread_pool_give(c, (void *)(uintptr_t)i);
	return nv_thread_pool_end(c, err);
}
