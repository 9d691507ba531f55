/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Answers questions about dead letters: list a client's letters, requeue or discard one. Answered
 * on a thread; a client sees and settles only letters with its own signature. Reading the dead
 * queue holds its messages, so there may be only one reader at a time: these questions are answered
 * one after another, and share a lock with dead_tidy.c. Each client has its own places in the line,
 * so that none keeps the others from their letters.
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
#define PLACES 2u      /* per client: for its administrators, and for its tidy */
#define OWN_MAX 10000u /* letters of the client in one look */

struct letters_question {
	struct letters_question *next;
	struct archiver *a;
	struct nv_delivery *delivery;
	struct nv_envelope env;
	struct nv_arena arena;
	struct nv_letters_reply reply;
};

static const struct nv_letters_request *asked(const struct letters_question *q)
{
	return &q->env.body.letters_request;
}

/* --- on the thread --- */

static char *clean(struct letters_question *q, const char *text, size_t max)
{
	char *copy = text ? nv_arena_strdup(&q->arena, text) : NULL;
	if (copy)
		nv_text_clean(copy, max);
	return copy;
}

/* Headers may hold any bytes; kind, mid and request are verified or printable ASCII. */
static void add(struct letters_question *q, const struct nv_letter *l)
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

static void find_owner(const struct letters_question *q, struct nv_letter *l)
{
	struct nv_whose w;
	l->own = nv_letter_whose(l, &q->a->clients, &w) && strcmp(w.client, q->env.from) == 0;
	if (!l->own)
		return;
	l->rev = w.rev;
	memcpy(l->request, w.request, sizeof l->request);
	snprintf(l->kind, sizeof l->kind, "%s", w.kind);
}

/* The last letter that the client has seen, or an earlier one. */
static bool is_seen(const struct nv_letters_request *r, const struct nv_letter *l)
{
	if (l->at != r->since)
		return l->at < r->since;
	return r->letter && strcmp(l->id, r->letter) <= 0;
}

/* Other clients' letters, however many, must not hide the client's own. */
static enum nv_look look_at_all(void *arg, struct nv_letter *l)
{
	struct letters_question *q = arg;
	find_owner(q, l);
	q->reply.others += !l->own;
	return l->own && !is_seen(asked(q), l) ? NV_LOOK_NOTE : NV_LOOK_PASS;
}

static enum nv_look look_for_one(void *arg, struct nv_letter *l)
{
	const struct letters_question *q = arg;
	if (strcmp(asked(q)->letter, l->id) != 0)
		return NV_LOOK_PASS;
	find_owner(q, l);
	return NV_LOOK_KEEP;
}

static int list(struct letters_question *q, struct nv_dead *d, struct nv_err *err)
{
	if (nv_dead_take_all(d, OWN_MAX, look_at_all, q, err) < 0)
		return -1;
	for (size_t i = 0; i < d->len && i < NV_LETTERS_MAX; i++)
		add(q, &d->letters[i]);
	q->reply.more = d->more || d->len > NV_LETTERS_MAX;
	return 0;
}

static int fail_not_found(struct nv_err *err)
{
	return nv_fail(err, NV_REJECT, NV_R_not_found, "there is no such dead letter (any more)");
}

static int settle(struct letters_question *q, struct nv_dead *d, struct nv_err *err)
{
	bool requeue = asked(q)->what == NV_LETTERS_REQUEUE;
	if (nv_dead_take_until(d, asked(q)->letter, look_for_one, q, err) < 0)
		return -1;
	const struct nv_letter *l = nv_dead_by_id(d, asked(q)->letter);
	if (!l || !l->own) /* do not reveal letters of other clients */
		return fail_not_found(err);
	if (requeue && nv_letter_is_replay(l))
		return nv_fail(err, NV_REJECT, NV_R_conflict,
			       "this message was served before; it can only be discarded");
	if ((requeue ? nv_dead_requeue(d, l, err) : nv_dead_discard(d, l, err)) < 0)
		return -1;
	add(q, l);
	return 0;
}

static int use_queue(struct letters_question *q, struct nv_err *err)
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
	struct letters_question *q = arg;
	(void)job;
	uv_mutex_lock(&q->a->dead_lock);
	int rc = use_queue(q, err);
	uv_mutex_unlock(&q->a->dead_lock);
	return rc;
}

/* --- on the loop --- */

static void answered(void *arg, const struct nv_err *err)
{
	struct letters_question *q = arg;
	struct archiver *a = q->a;
	if (err) /* by now the sender has given up, and may ask again */
		NV_LOG(NV_WARN, "letters.unanswered", NV_S("client", q->env.from), NV_E(err));
	nv_bus_ack(q->delivery);
	a->questions--;
	nv_envelope_fini(&q->env);
	nv_arena_fini(&q->arena);
	free(q);
	a->on_idle_cb(a);
}

static void answer(struct letters_question *q)
{
	q->reply.id = asked(q)->id;
	q->reply.what = asked(q)->what;
	q->reply.at = nv_now_ms();
	struct nv_send s = {.kind = NV_KIND_LETTERS_REPLY,
			    .body = &q->reply,
			    .to = nv_queue_events(q->env.from),
			    .ttl_ms = ANSWER_TTL_MS,
			    .drop_when_expired = true};
	nv_sender_send(&q->a->sender, &s, answered, q);
}

static void refuse(struct letters_question *q, const struct nv_err *why)
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

static void finish(struct letters_question *q, const struct nv_err *err)
{
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

static void start_first(struct archiver *a);

static void ended(void *arg, const struct nv_err *err)
{
	struct letters_question *q = arg;
	struct archiver *a = q->a;
	a->letters = q->next;
	start_first(a);
	finish(q, err);
}

static void start_first(struct archiver *a)
{
	struct letters_question *q;
	struct nv_err stops;
	nv_fail(&stops, NV_RETRY, NV_R_busy, "the archiver stops");
	while (a->daemon->stopping && (q = a->letters)) {
		a->letters = q->next;
		refuse(q, &stops);
	}
	if (!a->letters)
		return;
	struct nv_run run = {.work = work, .on_done_cb = ended, .arg = a->letters};
	nv_run_start(a->daemon->loop, &run);
}

/* A question that is refused needs no place in the line. */
static int check(const struct letters_question *q, struct nv_err *err)
{
	if (asked(q)->what != NV_LETTERS_LIST &&
	    !(asked(q)->letter && nv_letter_is_id(asked(q)->letter)))
		return fail_not_found(err);
	unsigned places = 0;
	for (const struct letters_question *w = q->a->letters; w; w = w->next)
		places += strcmp(w->env.from, q->env.from) == 0;
	if (places >= PLACES)
		return nv_fail(err, NV_RETRY, NV_R_busy,
			       "this client asks too much about dead letters just now");
	return 0;
}

void nv_archiver_letters(struct archiver *a, struct nv_delivery *d, struct nv_envelope *env)
{
	struct letters_question *q = nv_alloc(sizeof *q);
	struct letters_question **last = &a->letters;
	struct nv_err err;
	*q = (struct letters_question){.a = a, .delivery = d, .env = *env};
	q->reply.letters.items =
		nv_arena_alloc(&q->arena, NV_LETTERS_MAX * sizeof(struct nv_dead_letter));
	a->questions++;
	if (check(q, &err) < 0) {
		refuse(q, &err);
		return;
	}
	while (*last)
		last = &(*last)->next;
	*last = q;
	if (a->letters == q)
		start_first(a);
}
