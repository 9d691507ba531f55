/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The same work for many items, several at a time: nv_parallel when all items are known, a thread
 * pool when they come one by one.
 *
 * Life cycle: nv_thread_pool_new, nv_thread_pool_give for each item, then nv_thread_pool_end or
 * nv_thread_pool_abandon, all called by one thread. Threads start with the first items. After the
 * first failure no further item is started, and its error is returned at the end.
 *
 * The threads run at lower priority (niceness 10 above the process's), so that moving and hashing
 * files does not slow down the Moodle on the same machine. On Linux a child process inherits the
 * niceness of the thread that starts it: items must not start any. */
#ifndef NV_THREAD_POOL_H
#define NV_THREAD_POOL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct nv_thread_pool;

/* At most `threads` of its own (0 counts as 1, more than 64 as 64). */
struct nv_thread_pool *nv_thread_pool_new(unsigned threads,
					  int (*work)(void *ctx, void *item, struct nv_err *err),
					  void *ctx);
/* Blocks only if no thread can be created: then the caller does the work itself. item is borrowed
 * until it is done, or until the pool ends. */
void nv_thread_pool_give(struct nv_thread_pool *c, void *item);
/* -1 with its error: an item has failed already. */
int nv_thread_pool_check(struct nv_thread_pool *c, struct nv_err *err);
/* Wait until all is done; frees it. */
int nv_thread_pool_end(struct nv_thread_pool *c, struct nv_err *err);
/* Start no further items, wait for the running ones; frees it. NULL allowed. */
void nv_thread_pool_abandon(struct nv_thread_pool *c);

/* Call work for each index below len, taken in order by at most `threads` threads at once. */
int nv_parallel(unsigned threads, size_t len, int (*work)(void *ctx, size_t i, struct nv_err *err),
		void *ctx, struct nv_err *err);

#endif
