/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Cancelled requests and replaced revisions, on the disk, in case Redis loses them. */
#ifndef NV_PRODUCER_REQUESTS_WITHDRAWALS_H
#define NV_PRODUCER_REQUESTS_WITHDRAWALS_H

#include "producer/app.h"

struct withdrawals *nv_withdrawals_new(struct app *app);
/* Redis knows it already.  cancelled: the request, and not only this revision of it. */
void nv_withdrawals_keep(struct withdrawals *w, const char *id, uint64_t rev, bool cancelled);
/* Redis is back, or was emptied. */
void nv_withdrawals_repeat(struct withdrawals *w);
void nv_withdrawals_free(struct withdrawals *w); /* NULL allowed */

#endif
