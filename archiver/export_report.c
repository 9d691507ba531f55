/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the client is told of an export. */
#include <string.h>

#include "archiver/export.h"
#include "base/log.h"
#include "base/text.h"

#define REPORT_EVERY_MS 1000u
#define PROGRESS_TTL_MS 60000u
#define OPENED_TTL_MS 600000u
/* The limits of archive.ready. */
#define NAME_MAX_BYTES 1333u
#define WARNINGS_MAX 100u
#define WARNING_MAX_BYTES 500u

void nv_export_report(struct export *e, const struct nv_report *r,
		      void (*cb)(void *arg, const struct nv_err *err), void *arg)
{
	struct archiver *a = e->a;
	bool passing = r->passing && !e->lines.len;
	struct nv_status_event event = {
		.request = {e->sealed.data, e->sealed.len},
		.attempt = e->attempt,
		.seq = ++e->seq,
		.state = r->state,
		.step = (char *)(uintptr_t)r->step,
		.done = r->done,
		.total = r->total,
		.reason = r->why ? (char *)(uintptr_t)nv_reason_word(r->why->reason) : NULL,
		.message = r->why ? (char *)(uintptr_t)r->why->msg : NULL,
		.host = a->daemon->host,
		.log_first = e->lines.first,
		.log = {e->lines.items, e->lines.len},
		.hold = r->state == NV_EV_HELD && r->why->kind == NV_HOLD,
		.at = nv_now_ms(),
	};
	if (r->state == NV_EV_HELD) {
		uint64_t delay = nv_settle_delay(&a->settle, e->delivery, r->why);
		event.next_try = delay ? event.at + delay : 0;
	}
	struct nv_send s = {.kind = NV_KIND_STATUS_EVENT,
			    .body = &event,
			    .to = nv_queue_events(e->env.from),
			    .ttl_ms = passing ? PROGRESS_TTL_MS : NV_MESSAGE_TTL_MS,
			    .drop_when_expired = passing};
	nv_sender_send(&a->sender, &s, cb, arg);
}

/* --- while it runs --- */

static void announced(void *arg, const struct nv_err *err)
{
	(void)arg;
	if (err) /* archive.ready will say more */
		NV_LOG(NV_INFO, "opened.unsent", NV_E(err));
}

static void announce(struct export *e)
{
	struct nv_archive_opened opened = {.request = {e->sealed.data, e->sealed.len},
					   .attempt = e->attempt,
					   .at = nv_now_ms()};
	struct nv_send s = {.kind = NV_KIND_ARCHIVE_OPENED,
			    .body = &opened,
			    .to = nv_queue_opened(e->env.from),
			    .ttl_ms = OPENED_TTL_MS,
			    .drop_when_expired = true};
	NV_LOG(NV_INFO, "export.opened", NV_S("req", nv_export_request(e)->id),
	       NV_S("attempt", e->attempt));
	nv_sender_send(&e->a->sender, &s, announced, NULL);
}

/* A confirmed or lost progress report; the export may have ended meanwhile, so only its id comes.
 */
struct progress_sent {
	struct archiver *a;
	uint64_t lines; /* of the log, up to this one */
	char attempt[NV_UUID_SIZE];
};

static void progress_sent(void *arg, const struct nv_err *err)
{
	struct progress_sent *p = arg;
	for (struct export *e = p->a->exports; e; e = e->next) {
		if (strcmp(e->attempt, p->attempt) != 0)
			continue;
		e->reporting = false;
		if (!err)
			nv_request_log_sent(&e->lines, p->lines);
	}
	free(p);
}

void nv_export_progress(struct export *e, const char *step, uint64_t done, uint64_t total)
{
	uint64_t now = nv_mono_ms();
	if (atomic_exchange(&e->opened, false))
		announce(e);
	if (e->reporting || now - e->reported < REPORT_EVERY_MS)
		return;
	struct progress_sent *p = nv_alloc(sizeof *p);
	p->a = e->a;
	p->lines = nv_request_log_next(&e->lines);
	memcpy(p->attempt, e->attempt, sizeof p->attempt);
	e->reported = now;
	e->reporting = true;
	struct nv_report r = {NV_EV_EXPORTING, step, done, total, NULL, true};
	nv_export_report(e, &r, progress_sent, p);
}

/* --- when it was exported --- */

/* What the site says is text of people; the message has limits. */
static void clean_texts(struct export *e)
{
	if (e->about.shortname)
		nv_text_clean(e->about.shortname, NAME_MAX_BYTES);
	if (e->about.fullname)
		nv_text_clean(e->about.fullname, NAME_MAX_BYTES);
	if (e->warnings.len > WARNINGS_MAX)
		e->warnings.len = WARNINGS_MAX;
	for (size_t i = 0; i < e->warnings.len; i++)
		nv_text_clean(e->warnings.items[i], WARNING_MAX_BYTES);
}

void nv_export_send_ready(struct export *e, void (*cb)(void *arg, const struct nv_err *err),
			  void *arg)
{
	const struct nv_restore_request *q = nv_export_request(e);
	unsigned asked = nv_delivery_exports(e->delivery);
	char exports[16];
	snprintf(exports, sizeof exports, "%u", asked);
	clean_texts(e);
	struct nv_archive_ready ready = {
		.request = {e->sealed.data, e->sealed.len},
		.attempt = e->attempt,
		.manifest_sha256 = {e->manifest_sha256, NV_SHA256_LEN},
		.manifest_size = e->manifest_size,
		.size = e->size,
		.entries = e->entries,
		.user_data = e->about.user_data,
		.shortname = e->about.shortname,
		.fullname = e->about.fullname,
		.warnings = e->warnings,
		.needs = e->about.needs,
		.at = nv_now_ms(),
	};
	struct nv_send s = {.kind = NV_KIND_ARCHIVE_READY,
			    .body = &ready,
			    .to = nv_queue_restore(e->env.from, q->now),
			    .ttl_ms = NV_MESSAGE_TTL_MS,
			    .header = {asked ? NV_H_EXPORTS : NULL, exports}};
	nv_sender_send(&e->a->sender, &s, cb, arg);
}
