/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What course servers answer, kept for a while in Redis and announced on the event stream: the
 * keeper that gets an answer may be another producer's than the one that asked.
 *
 * In Redis: "<kind>:<site>:<about>", 8 bytes with the time it was stored (little endian), then the
 * message's record as the site signed it. */
#include <endian.h>
#include <string.h>

#include "core/status/events.h"
#include "core/status/kv.h"
#include "core/status/status.h"
#include "producer/app.h"
#include "producer/requests/replies.h"

const char *nv_reply_key(struct nv_arena *a, const char *kind, const char *site, const char *about)
{
	return nv_arena_printf(a, "%s:%s:%s", kind, site, about);
}

bool nv_reply_read(const struct nv_record *record, const void *value, size_t len, void *ret,
		   struct nv_arena *a, uint64_t *ret_stored)
{
	uint64_t stored;
	if (!value || len < sizeof stored)
		return false;
	memcpy(&stored, value, sizeof stored);
	*ret_stored = le64toh(stored);
	return nv_record_decode(record, (const uint8_t *)value + sizeof stored, len - sizeof stored,
				ret, a, NULL) == 0;
}

struct storing {
	struct app *app;
	const char *kind;
	char *site, *about;
	nv_status_cb cb;
	void *arg;
};

static void announced(void *arg, const struct nv_err *err)
{
	struct storing *st = arg;
	st->cb(st->arg, err);
	free(st->site);
	free(st->about);
	free(st);
}

static void stored(void *arg, const struct nv_err *err, bool set)
{
	struct storing *st = arg;
	(void)set;
	if (err)
		announced(st, err);
	else
		nv_status_announce(st->app->status, st->kind, st->site, st->about, announced, st);
}

void nv_reply_store(struct app *app, const struct reply *reply, nv_status_cb cb, void *arg)
{
	nv_auto_arena struct nv_arena a = {0};
	nv_auto_buf struct nv_buf b = {0};
	struct nv_err err;
	uint64_t now = htole64(nv_now_ms());
	nv_buf_put(&b, &now, sizeof now);
	if (nv_record_encode(reply->record, reply->body, &b, &err) < 0) {
		cb(arg, &err);
		return;
	}
	struct storing *st = nv_alloc(sizeof *st);
	*st = (struct storing){.app = app,
			       .kind = reply->kind,
			       .site = nv_strdup(reply->site),
			       .about = nv_strdup(reply->about),
			       .cb = cb,
			       .arg = arg};
	/* long enough for who waits for it, also where nothing is to be kept */
	uint64_t least = app->config->producer.catalog_timeout + 10000;
	uint64_t ttl = reply->ttl_ms > least ? reply->ttl_ms : least;
	nv_kv_set(app->status, nv_reply_key(&a, reply->kind, reply->site, reply->about), b.data,
		  b.len, ttl, false, stored, st);
}
