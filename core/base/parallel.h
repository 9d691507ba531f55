/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The same work for many items, some at a time. */
#ifndef NV_PARALLEL_H
#define NV_PARALLEL_H

#include <stddef.h>

#include "core/base/err.h"

/* Call work for each index below len, taken in order by at most `threads` threads (the caller's is
 * one of them; 0 counts as 1).  The first that fails ends it: its error is returned when those that
 * were under way have ended, and the items after it are not begun.  Where no more threads can be
 * had, those there are do all of it. */
int nv_parallel(unsigned threads, size_t len, int (*work)(void *ctx, size_t i, struct nv_err *err),
		void *ctx, struct nv_err *err);

#endif
