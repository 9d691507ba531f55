/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Requests that are not published yet, on the disk. */
#ifndef NV_PRODUCER_REQUESTS_SPOOL_H
#define NV_PRODUCER_REQUESTS_SPOOL_H

#include "core/status/status.h"
#include "producer/app.h"

/* Of what is kept beside the spool; NULL: there is no folder.  To be freed. */
char *nv_spool_beside(const struct app *app, const char *name);
struct spool *nv_spool_new(struct app *app, struct nv_err *err);
/* 0: there is a folder for it. */
int nv_spool_usable(const struct app *app, struct nv_err *err);
/* It is on the disk, synced; or err.  left: and what the disk has of it cannot be removed, so that
 * it may be sent all the same. */
typedef void (*spool_kept_cb)(void *arg, const struct nv_err *err, bool left);
/* body: the restore.request's, copied. */
void nv_spool_keep(struct app *app, const char *id, uint64_t rev, const struct nv_buf *body,
		   spool_kept_cb cb, void *arg);
/* It was published or cancelled: remove it. */
void nv_spool_drop(struct app *app, const char *id, uint64_t rev);
/* The broker or Redis is back: record all spooled requests in Redis and publish them. */
void nv_spool_look(struct spool *s);
/* After the bus, before the status; cb comes when nothing is being written any more. */
void nv_spool_close(struct spool *s, void (*cb)(struct app *app));
void nv_spool_free(struct spool *s); /* after the status */

#endif
