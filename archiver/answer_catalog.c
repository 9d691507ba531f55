/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Answers the question which courses a user may restore. Questions about dead letters arrive
 * through the same queue and are passed to answer_letters.c. */
#include "archiver/archiver.h"

#include <limits.h>

#include "base/id.h"
#include "base/log.h"

#define ANSWER_TTL_MS 60000u

struct question {
	struct archiver *a;
	struct nv_delivery *delivery;
	struct nv_envelope env;
	struct nv_arena arena;
	struct nv_catalog_reply reply;
};

static void question_free(struct question *q)
{
	struct archiver *a = q->a;
	a->questions--;
	nv_envelope_fini(&q->env);
	nv_arena_fini(&q->arena);
	free(q);
	a->on_idle_cb(a);
}

static void answered(void *arg, const struct nv_err *err)
{
	struct question *q = arg;
	if (err) /* by now the sender has given up, and will ask again */
		NV_LOG(NV_WARN, "catalog.unanswered", NV_P("user", q->reply.user), NV_E(err));
	nv_bus_ack(q->delivery);
	question_free(q);
}

/* When the time window opens; 0: it is open. */
static uint64_t opens(const struct archiver *a, uint64_t now)
{
	uint64_t change;
	return nv_window_open(&a->config->archiver.window, now, &change) ? 0 : now + change;
}

/* Kinds that the first release does not know: clients send them only to archivers that announce
 * them. */
static char *understood[] = {(char[]){"letters.request"}};

static void catalog_ended(void *arg, const struct nv_err *err)
{
	struct question *q = arg;
	const struct nv_catalog_request *asked = &q->env.body.catalog_request;
	if (err) {
		NV_LOG(NV_WARN, "catalog.failed", NV_P("user", asked->user), NV_E(err));
		q->reply = (struct nv_catalog_reply){.status = NV_CAT_ERROR};
		q->reply.error = nv_arena_strdup(&q->arena, err->msg);
		nv_hold_begin(q->a->hold, err);
	}
	const struct nv_err *held = nv_hold_why(q->a->hold);
	if (held) {
		q->reply.held = nv_arena_strdup(&q->arena, nv_reason_word(held->reason));
		q->reply.held_message = nv_arena_strdup(&q->arena, held->msg);
	}
	q->reply.id = asked->id;
	q->reply.user = asked->user;
	q->reply.at = nv_now_ms();
	q->reply.kinds = (struct nv_strs){.items = understood, .len = NV_ARRAY_LEN(understood)};
	q->reply.opens = opens(q->a, q->reply.at);
	nv_metric_add(q->a->metrics.catalog, nv_catalog_status_words[q->reply.status], 1);
	struct nv_send s = {.kind = NV_KIND_CATALOG_REPLY,
			    .body = &q->reply,
			    .to = nv_queue_events(q->env.from),
			    .ttl_ms = ANSWER_TTL_MS,
			    .drop_when_expired = true};
	nv_sender_send(&q->a->sender, &s, answered, q);
}

static int catalog_work(struct nv_job *job, void *arg, struct nv_err *err)
{
	struct question *q = arg;
	if (nv_site_catalog(q->a->site, &q->env.body.catalog_request, &q->reply, &q->arena, err) ==
	    0)
		return 0;
	nv_hold_judge(q->a->hold, job, UINT_MAX,
		      err); /* UINT_MAX: a question is answered only once, so an outage that is over
			       does not count */
	return -1;
}

void nv_archiver_catalog(void *arg, struct nv_delivery *d)
{
	struct archiver *a = arg;
	struct nv_envelope env;
	struct nv_err err = {0};
	size_t len;
	const void *body = nv_delivery_body(d, &len);
	unsigned want = 1u << NV_KIND_CATALOG_REQUEST | 1u << NV_KIND_LETTERS_REQUEST;
	/* Accepted whatever the clocks say: the broker drops expired questions, and the client
	 * measures the clock difference by the answer. */
	if (nv_envelope_open(body, len, &a->clients, want, 0, &env, &err) < 0) {
		nv_sender_refuse(&a->sender, &a->settle, d, &err, a->metrics.refused);
		return;
	}
	if (!nv_delivery_is_duplicate(d))
		nv_client_clock_heard(a->client_clocks, &env);
	if (env.kind == NV_KIND_LETTERS_REQUEST) {
		nv_archiver_letters(a, d, &env);
		return;
	}
	struct question *q = nv_alloc(sizeof *q);
	q->env = env;
	q->a = a;
	q->delivery = d;
	a->questions++;
	struct nv_run run = {.work = catalog_work, .on_done_cb = catalog_ended, .arg = q};
	nv_run_start(a->daemon->loop, &run);
}
