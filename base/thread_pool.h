/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The same work for many items, some at a time: nv_parallel where all of them are known, a crew
 * where they come one by one.
 *
 * A crew lives from nv_thread_pool_new over nv_thread_pool_give to nv_thread_pool_end or
 * nv_thread_pool_abandon, all called by one thread; its threads begin with the first items.  The
 * first item that fails ends it: what was not begun never is, and its error is told in the end.
 *
 * The threads give way: what moves and hashes files leaves the processor to the Moodle beside it
 * (niceness 10 above the process's).  Linux: niceness is a thread's, and a child's that it starts,
 * so no item's work may start one. */
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
/* Blocks only where no thread can be had: then the caller's does the work here.  item is borrowed
 * until it was worked on, or the crew's end. */
void nv_thread_pool_give(struct nv_thread_pool *c, void *item);
/* -1 with its error: an item has failed already. */
int nv_thread_pool_check(struct nv_thread_pool *c, struct nv_err *err);
/* Wait until all is done; frees it. */
int nv_thread_pool_end(struct nv_thread_pool *c, struct nv_err *err);
/* Begin nothing more, wait for what was begun; frees it.  NULL allowed. */
void nv_thread_pool_abandon(struct nv_thread_pool *c);

/* Call work for each index below len, taken in order by at most `threads` threads at once. */
int nv_parallel(unsigned threads, size_t len, int (*work)(void *ctx, size_t i, struct nv_err *err),
		void *ctx, struct nv_err *err);

#endif
