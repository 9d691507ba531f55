/* SPDX-License-Identifier: GPL-3.0-or-later */
/* GET /api/v1/dead, POST /api/v1/dead/{letter}/requeue, DELETE /api/v1/dead/{letter}: the client's
 * dead queue, by the same module as the command (core/bus/dead_letters.h), on a thread.  With
 * ?site=NAME, those of that course server: dead_letters_site.c. */
#include <string.h>

#include "base/log.h"
#include "core/bus/dead_owner.h"
#include "producer/admin/admin.h"
#include "producer/answer.h"
#include "producer/blocking_jobs.h"
#include "producer/body.h"

#define LIST_MAX 1000u

struct post {
	struct app *app;
	struct nv_http_request *r;
	const struct session *s;
	const char *id; /* NULL: list */
	const char *what;
	int (*use)(struct nv_dead *d, const struct nv_letter *l, struct nv_err *err);
	struct nv_err refused; /* what the broker has nothing to do with */
	json_t *letters;
	json_t *letter;
	bool more;
};

/* --- on the thread --- */

static enum nv_look look(void *arg, struct nv_letter *l)
{
	struct post *p = arg;
	struct nv_whose w;
	if (nv_letter_whose(l, &p->app->own, &w))
		memcpy(l->request, w.request, sizeof l->request);
	return p->id && strcmp(p->id, l->id) == 0 ? NV_LOOK_KEEP : NV_LOOK_NOTE;
}

/* A header may hold any bytes. */
static json_t *text(const char *s)
{
	return nv_api_text(s);
}

static json_t *letter_json(const struct nv_dead *d, const struct nv_letter *l)
{
	json_t *o = json_pack("{s:s, s:I, s:s, s:o, s:o, s:o}", "id", l->id, "n", (json_int_t)l->n,
			      "dead_queue", d->queue.s, "queue", text(l->queue), "reason",
			      text(l->reason), "error", text(l->error));
	json_object_set_new(o, "since", nv_api_time(l->at));
	json_object_set_new(o, "host", text(l->host));
	json_object_set_new(o, "kind", *l->kind ? text(l->kind) : json_null());
	json_object_set_new(o, "message", *l->mid ? text(l->mid) : json_null());
	json_object_set_new(o, "request", *l->request ? text(l->request) : json_null());
	json_object_set_new(o, "size", json_integer((json_int_t)l->size));
	json_object_set_new(o, "attempts", json_integer((json_int_t)l->attempts));
	json_object_set_new(o, "requeued", json_integer((json_int_t)l->requeued));
	return o;
}

static int use(struct post *p, struct nv_dead *d, struct nv_err *err)
{
	const struct nv_letter *l = nv_dead_by_id(d, p->id);
	if (!l) {
		nv_api_err(&p->refused, 404, NV_R_not_found,
			   "there is no such dead letter (any more)");
		return 0;
	}
	p->letter = letter_json(d, l);
	if (p->use(d, l, err) == 0)
		return 0;
	if (err->kind != NV_REJECT)
		return -1;
	nv_api_err(&p->refused, 409, err->reason, "%s", err->msg);
	return 0;
}

static int work(struct app *app, struct nv_job *job, void *arg, struct nv_err *err)
{
	(void)job;
	struct post *p = arg;
	struct nv_dead d;
	int rc = nv_dead_open(&d, app->config, app->me.name, "producer, dead letters", err);
	if (rc == 0)
		rc = p->id ? nv_dead_take_until(&d, p->id, look, p, err)
			   : nv_dead_take_all(&d, LIST_MAX, look, p, err);
	if (rc == 0 && p->id)
		rc = use(p, &d, err);
	for (size_t i = 0; rc == 0 && !p->id && i < d.len; i++)
		json_array_append_new(p->letters, letter_json(&d, &d.letters[i]));
	p->more = d.more;
	nv_dead_close(&d);
	return rc;
}

/* --- on the loop --- */

/* Answers last: the arena may go with the answer, and p with it. */
static void done(void *arg, const struct nv_err *err)
{
	struct post *p = arg;
	struct nv_http_request *r = p->r;
	struct nv_err mine = p->refused;
	json_t *answer = NULL;
	if (err) {
		nv_api_err(&mine, 503,
			   err->reason == NV_R_busy ? NV_R_busy : NV_R_broker_unavailable, "%s",
			   err->msg);
	} else if (mine.kind != NV_OK) {
		; /* said below */
	} else if (p->id) {
		NV_LOG(NV_INFO, "dead.settled", NV_S("what", p->what), NV_S("letter", p->id),
		       NV_S("req", json_string_value(json_object_get(p->letter, "request"))),
		       NV_P("by", p->s->username));
		answer = json_pack("{s:s, s:O}", "done", p->what, "letter", p->letter);
	} else {
		answer = json_pack("{s:O, s:b}", "letters", p->letters, "more", p->more);
	}
	json_decref(p->letter);
	json_decref(p->letters);
	if (answer)
		nv_api_json(r, 200, answer);
	else
		nv_api_fail(r, &mine);
}

static void go(struct app *app, struct nv_http_request *r, const struct session *s,
	       const struct post *as)
{
	struct post *p = nv_arena_alloc(nv_http_arena(r), sizeof *p);
	*p = *as;
	p->app = app;
	p->r = r;
	p->s = s;
	p->letters = json_array();
	struct blocking_job job = {.work = work, .done = done, .arg = p};
	nv_blocking_jobs_run(app, BLOCKING_DEAD, &job);
}

void nv_dead_letters_list(struct app *app, struct nv_http_request *r, const struct session *s)
{
	struct post p = {.id = NULL};
	if (nv_http_query(r, "site"))
		nv_dead_letters_of_site(app, r, s, NV_LETTERS_LIST);
	else
		go(app, r, s, &p);
}

static void settle(struct app *app, struct nv_http_request *r, const struct session *s,
		   const struct post *p)
{
	struct nv_err err;
	if (nv_body_none(r, &err) < 0)
		nv_api_fail(r, &err);
	else
		go(app, r, s, p);
}

void nv_dead_letters_requeue(struct app *app, struct nv_http_request *r, const struct session *s)
{
	struct post p = {
		.id = nv_http_param(r, "letter"), .what = "requeued", .use = nv_dead_requeue};
	if (nv_http_query(r, "site"))
		nv_dead_letters_of_site(app, r, s, NV_LETTERS_REQUEUE);
	else
		settle(app, r, s, &p);
}

void nv_dead_letters_discard(struct app *app, struct nv_http_request *r, const struct session *s)
{
	struct post p = {
		.id = nv_http_param(r, "letter"), .what = "discarded", .use = nv_dead_discard};
	if (nv_http_query(r, "site"))
		nv_dead_letters_of_site(app, r, s, NV_LETTERS_DISCARD);
	else
		settle(app, r, s, &p);
}
