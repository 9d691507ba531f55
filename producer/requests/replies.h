/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Answers of course servers, in Redis and announced: whichever producer gets one, the one that
 * asked hears of it. */
#ifndef NV_PRODUCER_REQUESTS_REPLIES_H
#define NV_PRODUCER_REQUESTS_REPLIES_H

#include "core/status/status.h"
#include "producer/app.h"

struct reply {
	const char *kind; /* of the event; not copied */
	const char *site;
	const char *about; /* whoever waits for it knows this */
	const struct nv_record *record;
	const void *body;
	uint64_t ttl_ms; /* at least as long as anybody may wait for it */
};
void nv_reply_store(struct app *app, const struct reply *reply, nv_status_cb cb, void *arg);
const char *nv_reply_key(struct nv_arena *a, const char *kind, const char *site, const char *about);
/* false: missing, or not readable. */
bool nv_reply_read(const struct nv_record *record, const void *value, size_t len, void *ret,
		   struct nv_arena *a, uint64_t *ret_stored);

#endif
