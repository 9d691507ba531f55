/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sending. */
#ifndef NV_PRODUCER_REQUESTS_DISPATCH_H
#define NV_PRODUCER_REQUESTS_DISPATCH_H

#include "producer/app.h"

/* Put this revision on its way and mark it published.  cb once: whether the broker has confirmed it
 * within a few seconds; if not, it is on the disk (spool.c), or Redis says that it has no queue,
 * and is published later.  err: none of these, so it is only in Redis; published then says whether
 * it may be sent all the same: the broker has got it perhaps, or the disk has kept a part. */
typedef void (*dispatch_cb)(void *arg, const struct nv_err *err, bool published);
void nv_dispatch_request(struct app *app, const struct nv_restore_request *q, dispatch_cb cb,
			 void *arg);
/* Tell every archiver of the site that revisions up to rev are withdrawn. */
void nv_dispatch_withdraw(struct app *app, const struct nv_restore_request *q, uint64_t rev,
			  const char *by);

#endif
