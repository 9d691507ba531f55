/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One question about dead letters: which of a client's messages were given up here; put one back,
 * throw one away.  Answered on a thread; a client sees and settles only what bears its own
 * signature.  Whoever looks into the dead queue holds its messages meanwhile, so that only one may
 * look at a time: these questions and the tidy (dead_tidy.c) share a lock.
 *
 * Asking twice does no harm: a letter's id names that letter only, and once it has gone there is
 * nothing of this id any more. */
#include <string.h>

#include "archiver/archiver.h"
#include "base/log.h"
#include "base/text.h"
#include "core/bus/dead_owner.h"

#define NAME "archiver, dead letters"
#define ANSWER_TTL_MS 60000u
#define AT_ONCE 2u	 /* one answered, one waiting: questions about courses need threads, too */
#define LOOKED_MAX 1000u /* letters of one look */

struct question {
	struct archiver *a;
	struct nv_delivery *delivery;
	struct nv_envelope env;
	struct nv_arena arena;
	struct nv_letters_reply reply;
};

static const struct nv_letters_request *asked(const struct question *q)
{
	return &q->env.body.letters_request;
}

/* --- on the thread --- */

static char *clean(struct question *q, const char *text, size_t max)
{
	char *copy = text ? nv_arena_strdup(&q->arena, text) : NULL;
	if (copy)
		nv_text_clean(copy, max);
	return copy;
}

/* Headers may hold any bytes; kind, mid and request were verified or are plain ASCII. */
static void add(struct question *q, const struct nv_letter *l)
{
	struct nv_dead_letter *all = q->reply.letters.items;
	all[q->reply.letters.len++] = (struct nv_dead_letter){
		.id = nv_arena_strdup(&q->arena, l->id),
		.kind = nv_arena_strdup(&q->arena, l->kind),
		.mid = *l->mid ? nv_arena_strdup(&q->arena, l->mid) : NULL,
		.request = *l->request ? nv_arena_strdup(&q->arena, l->request) : NULL,
		.rev = l->rev,
		.queue = clean(q, l->queue, 255),
		.reason = clean(q, l->reason, 64),
		.error = clean(q, l->error, 512),
		.host = clean(q, l->host, 255),
		.since = l->at,
		.size = l->size,
		.attempts = l->attempts,
		.requeued = l->requeued,
	};
}

static void find_owner(const struct question *q, struct nv_letter *l)
{
	struct nv_whose w;
	l->own = nv_letter_whose(l, &q->a->clients, &w) && strcmp(w.client, q->env.from) == 0;
	if (!l->own)
		return;
	l->rev = w.rev;
	memcpy(l->request, w.request, sizeof l->request);
	snprintf(l->kind, sizeof l->kind, "%s", w.kind);
}

static bool look_at_all(void *arg, struct nv_letter *l)
{
	find_owner(arg, l);
	return false; /* it is not put anywhere */
}

static bool look_for_one(void *arg, struct nv_letter *l)
{
	const struct question *q = arg;
	bool is_it = asked(q)->letter && strcmp(asked(q)->letter, l->id) == 0;
	if (is_it)
		find_owner(q, l);
	return is_it;
}

static int list(struct question *q, struct nv_dead *d, struct nv_err *err)
{
	if (nv_dead_take_all(d, LOOKED_MAX, look_at_all, q, err) < 0)
		return -1;
	for (size_t i = 0; i < d->len; i++) {
		if (!d->letters[i].own)
			q->reply.others++;
		else if (q->reply.letters.len < NV_LETTERS_MAX)
			add(q, &d->letters[i]);
		else
			q->reply.more = true;
	}
	q->reply.more = q->reply.more || d->more;
	return 0;
}

static int settle(struct question *q, struct nv_dead *d, struct nv_err *err)
{
	bool requeue = asked(q)->what == NV_LETTERS_REQUEUE;
	if (nv_dead_take_until(d, asked(q)->letter ? asked(q)->letter : "", look_for_one, q, err) <
	    0)
		return -1;
	const struct nv_letter *l = nv_dead_by_id(d, asked(q)->letter ? asked(q)->letter : "");
	if (!l || !l->own) /* somebody else's is none of theirs to know of */
		return nv_fail(err, NV_REJECT, NV_R_not_found,
			       "there is no such dead letter (any more)");
	if (requeue && nv_letter_is_replay(l))
		return nv_fail(err, NV_REJECT, NV_R_conflict,
			       "this message was served before; it can only be thrown away");
	if ((requeue ? nv_dead_requeue(d, l, err) : nv_dead_discard(d, l, err)) < 0)
		return -1;
	add(q, l);
	return 0;
}

static int use_queue(struct question *q, struct nv_err *err)
{
	const struct nv_config *c = q->a->config;
	struct nv_amqp_queue_state state = {0};
	struct nv_dead d;
	int rc = nv_dead_open(&d, c, c->identity.site, NAME, err);
	if (rc == 0)
		rc = nv_amqp_queue(d.amqp, d.queue.s, &state, err);
	if (rc == 0 && asked(q)->what != NV_LETTERS_LIST)
		rc = settle(q, &d, err);
	else if (rc == 0 && state.ready)
		rc = list(q, &d, err);
	nv_dead_close(&d);
	return rc;
}

static int work(struct nv_job *job, void *arg, struct nv_err *err)
{
	struct question *q = arg;
	(void)job;
	uv_mutex_lock(&q->a->dead_lock);
	int rc = use_queue(q, err);
	uv_mutex_unlock(&q->a->dead_lock);
	return rc;
}

/* --- on the loop --- */

static void answered(void *arg, const struct nv_err *err)
{
	struct question *q = arg;
	struct archiver *a = q->a;
	if (err) /* whoever asked has given up by now and may ask again */
		NV_LOG(NV_WARN, "letters.unanswered", NV_S("client", q->env.from), NV_E(err));
	nv_bus_ack(q->delivery);
	a->questions--;
	nv_envelope_fini(&q->env);
	nv_arena_fini(&q->arena);
	free(q);
	a->on_idle_cb(a);
}

static void answer(struct question *q)
{
	q->reply.id = asked(q)->id;
	q->reply.what = asked(q)->what;
	q->reply.at = nv_now_ms();
	struct nv_send s = {.kind = NV_KIND_LETTERS_REPLY,
			    .body = &q->reply,
			    .to = nv_queue_events(q->env.from),
			    .ttl_ms = ANSWER_TTL_MS,
			    .drop_when_expired = true};
	nv_sender_send(&q->a->courier, &s, answered, q);
}

static void refuse(struct question *q, const struct nv_err *why)
{
	NV_LOG(NV_INFO, "letters.refused", NV_S("client", q->env.from),
	       NV_S("what", nv_letters_words[asked(q)->what]), NV_S("letter", asked(q)->letter),
	       NV_P("by", asked(q)->by), NV_E(why));
	q->reply.letters.len = 0;
	q->reply.reason = (char *)(uintptr_t)nv_reason_word(why->reason);
	q->reply.message = nv_arena_strdup(&q->arena, why->msg);
	nv_text_clean(q->reply.message, 512);
	answer(q);
}

static void ended(void *arg, const struct nv_err *err)
{
	struct question *q = arg;
	q->a->letters--;
	if (err) {
		refuse(q, err);
		return;
	}
	if (asked(q)->what != NV_LETTERS_LIST) {
		const struct nv_dead_letter *l = q->reply.letters.items;
		NV_LOG(NV_INFO, "dead.settled", NV_S("what", nv_letters_words[asked(q)->what]),
		       NV_S("letter", l->id), NV_S("req", l->request), NV_S("client", q->env.from),
		       NV_P("by", asked(q)->by));
	}
	answer(q);
}

void nv_archiver_letters(struct archiver *a, struct nv_delivery *d, struct nv_envelope *env)
{
	struct question *q = nv_alloc(sizeof *q);
	*q = (struct question){.a = a, .delivery = d, .env = *env};
	q->reply.letters.items =
		nv_arena_alloc(&q->arena, NV_LETTERS_MAX * sizeof(struct nv_dead_letter));
	a->questions++;
	if (a->letters >= AT_ONCE) {
		struct nv_err busy;
		nv_fail(&busy, NV_RETRY, NV_R_busy, "too many ask for dead letters just now");
		refuse(q, &busy);
		return;
	}
	a->letters++;
	struct nv_run run = {.work = work, .on_done_cb = ended, .arg = q};
	nv_run_start(a->daemon->loop, &run);
}
