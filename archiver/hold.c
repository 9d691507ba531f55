/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Outages that hold all exports (the site is being upgraded, the store is unavailable), and the
 * requests that met one, whose clients are notified when it is over. */
#include <string.h>

#include "archiver/export.h"
#include "base/fs.h"

struct held {
	struct held *next;
	struct nv_buf sealed; /* the request, as its client signed it */
	char client[NV_NAME_MAX + 1];
	char attempt[NV_UUID_SIZE];
	uint64_t seq; /* of what was said last */
};

static void held_free(struct held *h)
{
	nv_buf_fini(&h->sealed);
	free(h);
}

/* Without a reason: the hold is over. If this event is lost, the export's own events correct the
 * record. */
static void say_passed(struct archiver *a, const struct held *h)
{
	struct nv_status_event event = {.request = {h->sealed.data, h->sealed.len},
					.attempt = (char *)(uintptr_t)h->attempt,
					.seq = h->seq + 1,
					.state = NV_EV_HELD,
					.hold = true,
					.host = a->daemon->host,
					.at = nv_now_ms()};
	struct nv_send s = {.kind = NV_KIND_STATUS_EVENT,
			    .body = &event,
			    .to = nv_queue_events(h->client),
			    .ttl_ms = NV_MESSAGE_TTL_MS};
	nv_sender_send(&a->sender, &s, NULL, NULL);
}

static void forget_all(struct archiver *a, bool passed)
{
	struct held *next;
	for (struct held *h = a->held; h; h = next) {
		next = h->next;
		if (passed)
			say_passed(a, h);
		held_free(h);
	}
	a->held = NULL;
}

void nv_archiver_held(struct archiver *a, const struct export *e)
{
	nv_hold_begin(a->hold, &e->why);
	if (e->why.kind != NV_HOLD || !nv_reason_passes(e->why.reason) || !nv_hold_why(a->hold))
		return;
	struct held *h = nv_alloc(sizeof *h);
	nv_buf_put(&h->sealed, e->sealed.data, e->sealed.len);
	snprintf(h->client, sizeof h->client, "%s", e->env.from);
	memcpy(h->attempt, e->attempt, sizeof h->attempt);
	h->seq = e->seq + 1; /* of the report to come */
	h->next = a->held;
	a->held = h;
}

/* --- for the hold --- */

static int look(struct nv_job *job, void *arg, struct nv_err *err)
{
	const struct archiver *a = arg;
	const struct nv_config *c = a->config;
	if (nv_disk_look(c->archiver.work_dir, err) < 0 || nv_site_probe(a->site, job, err) < 0)
		return -1;
	if (!c->clients_len)
		return 0;
	nv_auto_free char *prefix = nv_asprintf("%s/%s/", c->identity.site, c->clients[0].name);
	return nv_store_probe(a->store, prefix, true, err);
}

static void changed(void *arg)
{
	struct archiver *a = arg;
	bool held = nv_hold_why(a->hold) != NULL;
	if (!held)
		forget_all(a, true);
	nv_lanes_pause(a->lanes, held);
}

static void closed(void *arg)
{
	struct archiver *a = arg;
	forget_all(a, false);
	a->hold_closed = true;
	a->on_idle_cb(a);
}

struct nv_hold *nv_archiver_hold_new(struct archiver *a)
{
	struct nv_hold_options o = {.loop = a->daemon->loop,
				    .look = look,
				    .changed_cb = changed,
				    .closed_cb = closed,
				    .arg = a};
	return nv_hold_new(&o);
}
