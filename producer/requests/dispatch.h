/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sending. */
#ifndef NV_PRODUCER_REQUESTS_DISPATCH_H
#define NV_PRODUCER_REQUESTS_DISPATCH_H

#include "producer/app.h"

/* Publish this revision and mark it published. cb is called once, with whether the broker confirmed
 * it within a few seconds; if not, it is on the disk (spool.c) or recorded in Redis as without a
 * queue, and is published later. err: neither worked, so it is only in Redis; published then says
 * whether it may still be sent, since the broker may have received it, or the disk may hold a
 * part. */
typedef void (*dispatch_cb)(void *arg, const struct nv_err *err, bool published);
void nv_dispatch_request(struct app *app, const struct nv_restore_request *q, dispatch_cb cb,
			 void *arg);
/* Notify every archiver of the site that revisions up to rev are withdrawn. */
void nv_dispatch_withdraw(struct app *app, const struct nv_restore_request *q, uint64_t rev,
			  const char *by);

#endif
