/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/base/parallel.h"

#include <pthread.h>
#include <stdbool.h>

#define THREADS_MAX 64u

struct shared {
	pthread_mutex_t lock;
	size_t next;
	size_t len;
	int (*work)(void *ctx, size_t i, struct nv_err *err);
	void *ctx;
	bool failed;
	struct nv_err why;
};

/* false: there is nothing left to begin. */
static bool take(struct shared *s, size_t *ret_i)
{
	pthread_mutex_lock(&s->lock);
	bool more = !s->failed && s->next < s->len;
	if (more)
		*ret_i = s->next++;
	pthread_mutex_unlock(&s->lock);
	return more;
}

static void *run(void *arg)
{
	struct shared *s = arg;
	size_t i;
	while (take(s, &i)) {
		struct nv_err err = {0};
		if (s->work(s->ctx, i, &err) == 0)
			continue;
		pthread_mutex_lock(&s->lock);
		if (!s->failed)
			s->why = err;
		s->failed = true;
		pthread_mutex_unlock(&s->lock);
	}
	return NULL;
}

int nv_parallel(unsigned threads, size_t len, int (*work)(void *ctx, size_t i, struct nv_err *err),
		void *ctx, struct nv_err *err)
{
	struct shared s = {.lock = PTHREAD_MUTEX_INITIALIZER, .len = len, .work = work, .ctx = ctx};
	pthread_t others[THREADS_MAX - 1];
	unsigned begun = 0;
	if (threads > THREADS_MAX)
		threads = THREADS_MAX;
	while (begun + 1 < threads && begun + 1 < len &&
	       pthread_create(&others[begun], NULL, run, &s) == 0)
		begun++;
	run(&s);
	while (begun)
		pthread_join(others[--begun], NULL);
	if (!s.failed)
		return 0;
	if (err)
		*err = s.why;
	return -1;
}
