/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Dead letters of a course server, as dead_letters.c shows and settles our own: by questions to its
 * archivers. */
#include <string.h>

#include "base/log.h"
#include "broker-config/topology.h"
#include "core/bus/dead_letters.h"
#include "producer/admin/admin.h"
#include "producer/admin/dead_tidy.h"
#include "producer/admin/site_letters.h"
#include "producer/answer.h"
#include "producer/app.h"
#include "producer/body.h"

struct post {
	struct app *app;
	struct nv_http_request *r;
	const struct session *s;
	const char *site;
	enum nv_letters_what what;
};

static json_t *letter_json(const struct post *p, const struct nv_dead_letter *l, size_t n)
{
	json_t *o = json_pack("{s:s, s:I, s:s, s:s, s:o, s:o, s:o}", "id", l->id, "n",
			      (json_int_t)n, "site", p->site, "dead_queue",
			      nv_queue_dead(p->site).s, "queue", nv_api_text(l->queue), "reason",
			      nv_api_text(l->reason), "error", nv_api_text(l->error));
	json_object_set_new(o, "since", nv_api_time(l->since));
	json_object_set_new(o, "host", nv_api_text(l->host));
	json_object_set_new(o, "kind", *l->kind ? nv_api_text(l->kind) : json_null());
	json_object_set_new(o, "message", nv_api_text(l->mid));
	json_object_set_new(o, "request", nv_api_text(l->request));
	json_object_set_new(o, "size", json_integer((json_int_t)l->size));
	json_object_set_new(o, "attempts", json_integer((json_int_t)l->attempts));
	json_object_set_new(o, "requeued", json_integer((json_int_t)l->requeued));
	return o;
}

static json_t *list_json(const struct post *p, const struct nv_letters_reply *reply)
{
	const struct nv_dead_letter *l = reply->letters.items;
	json_t *letters = json_array();
	for (size_t i = 0; i < reply->letters.len; i++)
		json_array_append_new(letters, letter_json(p, &l[i], i + 1));
	return json_pack("{s:o, s:b, s:I, s:s}", "letters", letters, "more", reply->more, "others",
			 (json_int_t)reply->others, "site", p->site);
}

static void answered(void *arg, const struct nv_err *err, const struct nv_letters_reply *reply)
{
	const struct post *p = arg;
	if (err) {
		nv_api_fail(p->r, err);
		return;
	}
	if (p->what == NV_LETTERS_LIST) {
		if (reply->letters.len)
			nv_dead_tidy_site_seen(p->app->tidy, p->site);
		nv_api_json(p->r, 200, list_json(p, reply));
		return;
	}
	const char *done = p->what == NV_LETTERS_REQUEUE ? "requeued" : "discarded";
	const struct nv_dead_letter *l = reply->letters.items;
	if (!reply->letters.len) { /* no archiver of ours answers so */
		struct nv_err odd;
		nv_api_err(&odd, 502, NV_R_internal, "%s does not say which letter it %s", p->site,
			   done);
		nv_api_fail(p->r, &odd);
		return;
	}
	NV_LOG(NV_INFO, "dead.settled", NV_S("what", done), NV_S("letter", l->id),
	       NV_S("site", p->site), NV_S("req", l->request), NV_P("by", p->s->username));
	nv_api_json(p->r, 200,
		    json_pack("{s:s, s:o}", "done", done, "letter", letter_json(p, l, 1)));
}

/* 0: the question may be asked. */
static int check(struct nv_http_request *r, const struct nv_config_site *site,
		 enum nv_letters_what what, struct nv_err *err)
{
	const char *letter = nv_http_param(r, "letter");
	if (!site)
		return nv_api_err(err, 422, NV_R_site_unknown,
				  "site: there is no course server \"%.64s\"",
				  nv_http_query(r, "site"));
	if (what == NV_LETTERS_LIST)
		return 0;
	if (nv_body_none(r, err) < 0)
		return -1;
	if (!letter || !nv_letter_is_id(letter))
		return nv_api_err(err, 404, NV_R_not_found,
				  "there is no such dead letter (any more)");
	return 0;
}

void nv_dead_letters_of_site(struct app *app, struct nv_http_request *r, const struct session *s,
			     enum nv_letters_what what)
{
	const struct nv_config_site *site = nv_config_site(app->config, nv_http_query(r, "site"));
	struct nv_err err;
	if (check(r, site, what, &err) < 0 || !site) {
		nv_api_fail(r, &err);
		return;
	}
	struct post *p = nv_arena_alloc(nv_http_arena(r), sizeof *p);
	*p = (struct post){.app = app, .r = r, .s = s, .site = site->name, .what = what};
	struct letters_question q = {
		.what = what, .letter = nv_http_param(r, "letter"), .by = s->username};
	nv_site_letters_ask(app, site, &q, answered, p);
}
