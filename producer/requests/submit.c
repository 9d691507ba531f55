/* SPDX-License-Identifier: GPL-3.0-or-later */
/* POST /api/v1/requests, in the order in which it happens: read the body, take the Idempotency-Key,
 * ask the course servers whether the courses are the requester's own, make the records, publish,
 * answer.
 *
 * Idempotency-Key: before anything is made, Redis remembers the body's hash and the ids the
 * requests will have; so whoever comes again (also after a crash between the two) makes the same
 * requests, not others.  The finished answer is remembered, too. */
#include <string.h>

#include "base/fault.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/states.h"
#include "core/status/kv.h"
#include "core/status/requests.h"
#include "producer/answer.h"
#include "producer/requests/catalog.h"
#include "producer/requests/dispatch.h"
#include "producer/requests/request_input.h"
#include "producer/requests/request_list.h"
#include "producer/requests/requests.h"
#include "producer/requests/spool.h"
#include "producer/requests/versions.h"
#include "producer/session/people.h"

#define IDEMPOTENCY_MS 86400000u
#define KEY_TRIES 5u

enum submit_state {
	SUBMIT_READING,	  /* the body; nobody outside knows of the requests */
	SUBMIT_KEY,	  /* waits for Redis: is the key ours, or what became of it before? */
	SUBMIT_COURSES,	  /* waits for a course server: whose are the courses? */
	SUBMIT_CREATING,  /* waits for `pending` items, each with a state of its own */
	SUBMIT_ANSWERING, /* the answer is made; waits for Redis to keep it under the key */
	SUBMIT_DONE,	  /* answered: its memory goes with the HTTP request */
};

static const struct nv_states states = {
	.event = "submit.state",
	.len = SUBMIT_DONE + 1,
	.states = {
		[SUBMIT_READING] = {"reading", NV_TO(SUBMIT_KEY, SUBMIT_COURSES, SUBMIT_CREATING,
						     SUBMIT_DONE)},
		[SUBMIT_KEY] = {"key", NV_TO(SUBMIT_COURSES, SUBMIT_CREATING, SUBMIT_DONE)},
		[SUBMIT_COURSES] = {"courses", NV_TO(SUBMIT_CREATING, SUBMIT_DONE)},
		[SUBMIT_CREATING] = {"creating", NV_TO(SUBMIT_ANSWERING)},
		[SUBMIT_ANSWERING] = {"answering", NV_TO(SUBMIT_DONE)},
		[SUBMIT_DONE] = {"done", 0},
	}};

struct submit {
	struct request_list list; /* first: an item's list is its submit's */
	enum submit_state state;
	const char *key; /* in Redis; NULL: without Idempotency-Key */
	unsigned key_tries;
	char hash[65];
	const char *afresh; /* the course server that is asked itself; NULL: what is kept will do */
	size_t pending;
	unsigned status;
	json_t *answer;
};

static struct submit *submit_of(const struct item *it)
{
	return (struct submit *)it->list;
}

static void move(struct submit *sub, enum submit_state to)
{
	nv_states_move(&states, sub->state, to, sub->list.len ? sub->list.items[0].q.id : NULL);
	sub->state = to;
}

static void fail(struct submit *sub, const struct nv_err *err)
{
	move(sub, SUBMIT_DONE);
	nv_api_fail(sub->list.r, err);
}

/* In the order in which they are called. */
static int read_key(struct submit *sub, const json_t *body, struct nv_err *err);
static void take_key(struct submit *sub);
static void ask_catalog(struct submit *sub);
static void create_all(struct submit *sub);
static void item_done(struct submit *sub);
static void answer(struct submit *sub);
static void send_answer(struct submit *sub, const json_t *made);

void nv_requests_submit(struct app *app, struct nv_http_request *r, const struct session *s)
{
	struct nv_err err;
	struct submit *sub = nv_arena_alloc(nv_http_arena(r), sizeof *sub);
	sub->list = (struct request_list){.app = app, .r = r, .s = s};
	json_t *body = nv_request_list_read(&sub->list, false, &err);
	int rc = body ? read_key(sub, body, &err) : -1;
	json_decref(body);
	if (rc < 0)
		fail(sub, &err);
	else if (sub->key)
		take_key(sub);
	else
		ask_catalog(sub);
}

/* --- Idempotency-Key --- */

static void key_kept(void *arg, const struct nv_err *err, bool set);
static void earlier_read(void *arg, const struct nv_err *err, const void *value, size_t len);

static int read_key(struct submit *sub, const json_t *body, struct nv_err *err)
{
	const char *key = nv_http_header(sub->list.r, "Idempotency-Key");
	char hex[65];
	if (!key)
		return 0;
	if (!nv_request_input_key_valid(key))
		return nv_api_err(err, 422, NV_R_bad_message,
				  "Idempotency-Key: not 1 to 200 printable characters");
	nv_request_input_key_hash(sub->list.s->username, key, hex);
	sub->key = nv_arena_printf(nv_http_arena(sub->list.r), "idempotency:%s", hex);
	nv_request_input_hash(body, sub->hash);
	return 0;
}

static json_t *ids_json(const struct submit *sub)
{
	json_t *ids = json_array();
	for (size_t i = 0; i < sub->list.len; i++)
		json_array_append_new(ids, json_string(sub->list.items[i].q.id));
	return ids;
}

/* kept_answer: NULL before there is one. */
static void keep(struct submit *sub, json_t *kept_answer, bool only_if_absent,
		 void (*cb)(void *arg, const struct nv_err *err, bool set))
{
	json_t *o = json_pack("{s:s, s:o}", "hash", sub->hash, "ids", ids_json(sub));
	if (kept_answer) {
		json_object_set_new(o, "status", json_integer(sub->status));
		json_object_set(o, "answer", kept_answer);
	}
	nv_auto_free char *text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	nv_kv_set(sub->list.app->status, sub->key, text, strlen(text), IDEMPOTENCY_MS,
		  only_if_absent, cb, sub);
}

static void try_key(struct submit *sub)
{
	struct nv_err err;
	if (sub->key_tries++ < KEY_TRIES) {
		keep(sub, NULL, true, key_kept);
		return;
	}
	nv_fail(&err, NV_RETRY, NV_R_busy, "Idempotency-Key: others use it just now");
	fail(sub, &err);
}

/* The key is ours, or somebody's before; a few times, since it may go between the two questions. */
static void take_key(struct submit *sub)
{
	move(sub, SUBMIT_KEY);
	try_key(sub);
}

static void key_kept(void *arg, const struct nv_err *err, bool set)
{
	struct submit *sub = arg;
	if (err)
		fail(sub, err);
	else if (set)
		ask_catalog(sub);
	else
		nv_kv_get(sub->list.app->status, sub->key, earlier_read, sub);
}

static bool take_ids(struct submit *sub, json_t *o)
{
	json_t *ids = json_object_get(o, "ids");
	if (json_array_size(ids) != sub->list.len)
		return false;
	for (size_t i = 0; i < sub->list.len; i++) {
		const char *id = json_string_value(json_array_get(ids, i));
		if (!id || !nv_uuid_valid(id))
			return false;
		sub->list.items[i].q.id = nv_arena_strdup(nv_http_arena(sub->list.r), id);
	}
	return true;
}

static void earlier_read(void *arg, const struct nv_err *err, const void *value, size_t len)
{
	struct submit *sub = arg;
	struct nv_err mine;
	if (err) {
		fail(sub, err);
		return;
	}
	if (!value) { /* gone since: refused meanwhile, or Redis was emptied */
		try_key(sub);
		return;
	}
	json_t *o = json_loadb(value, len, 0, NULL);
	const char *hash = json_string_value(json_object_get(o, "hash"));
	const json_t *earlier = json_object_get(o, "answer");
	if (!hash || strcmp(hash, sub->hash) != 0) {
		nv_api_err(&mine, 422, NV_R_conflict,
			   "Idempotency-Key: was used with another body before");
		fail(sub, &mine);
	} else if (earlier) {
		sub->status = (unsigned)json_integer_value(json_object_get(o, "status"));
		send_answer(sub, earlier);
	} else if (take_ids(sub, o)) {
		ask_catalog(sub);
	} else {
		nv_api_err(&mine, 500, NV_R_internal, "Idempotency-Key: what is kept is damaged");
		fail(sub, &mine);
	}
	json_decref(o);
}

/* --- are the courses the requester's own? --- */

static bool site_to_ask(const struct submit *sub, const char **ret);
static void catalog_told(void *arg, const struct nv_err *err, const struct catalog_site *sites,
			 size_t len);
static void ask_afresh(struct submit *sub);

static void ask_catalog(struct submit *sub)
{
	const struct request_list *list = &sub->list;
	const char *site;
	if (list->s->admin || !site_to_ask(sub, &site)) {
		create_all(sub);
		return;
	}
	move(sub, SUBMIT_COURSES);
	nv_catalog_ask(list->app, list->s->identity, site, CATALOG_USUAL, catalog_told, sub);
}

/* The one site all are from; NULL: several.  false: nothing is left to ask about. */
static bool site_to_ask(const struct submit *sub, const char **ret)
{
	bool any = false;
	*ret = NULL;
	for (size_t i = 0; i < sub->list.len; i++) {
		const struct item *it = &sub->list.items[i];
		if (it->state != ITEM_READ)
			continue;
		if (any && *ret && strcmp(*ret, it->q.site) != 0) {
			*ret = NULL;
			return true;
		}
		any = true;
		*ret = it->q.site;
	}
	return any;
}

static bool concerns(const struct item *it, const struct catalog_site *site)
{
	return it->state == ITEM_READ && strcmp(site->site->name, it->q.site) == 0;
}

static bool lacks_one(const struct submit *sub, const struct catalog_site *site)
{
	for (size_t i = 0; i < sub->list.len; i++)
		if (concerns(&sub->list.items[i], site) &&
		    nv_catalog_lacks(site, sub->list.items[i].q.course))
			return true;
	return false;
}

static void catalog_told(void *arg, const struct nv_err *err, const struct catalog_site *sites,
			 size_t len)
{
	struct submit *sub = arg;
	if (err) {
		fail(sub, err);
		return;
	}
	for (size_t k = 0; k < len; k++) {
		if (!sub->afresh && lacks_one(sub, &sites[k]))
			continue;
		for (size_t i = 0; i < sub->list.len; i++)
			if (concerns(&sub->list.items[i], &sites[k]))
				nv_item_judge(&sub->list.items[i], &sites[k], 1);
	}
	ask_afresh(sub);
}

/* The course servers whose kept list lacks a course are asked themselves, one after the other: it
 * may be new.  What the others have said is good, also if they are away by now. */
static void ask_afresh(struct submit *sub)
{
	for (size_t i = 0; i < sub->list.len; i++) {
		const struct item *it = &sub->list.items[i];
		if (it->state != ITEM_READ)
			continue;
		sub->afresh = it->q.site;
		nv_catalog_ask(sub->list.app, sub->list.s->identity, sub->afresh, CATALOG_AFRESH,
			       catalog_told, sub);
		return;
	}
	create_all(sub);
}

/* --- records and messages --- */

static void name_people(struct submit *sub, struct nv_restore_request *q);
static void created(void *arg, const struct nv_err *err, const struct nv_status_record *rec);
static void dispatched(void *arg, const struct nv_err *err, bool published);
static void taken_back(void *arg, const struct nv_err *err, enum nv_taken_back what);

static void create_all(struct submit *sub)
{
	struct app *app = sub->list.app;
	struct nv_err err = {0};
	bool unkept = !nv_bus_up(app->bus) && nv_spool_usable(app, &err) < 0;
	move(sub, SUBMIT_CREATING);
	sub->pending = sub->list.len + 1;
	for (size_t i = 0; i < sub->list.len; i++) {
		struct item *it = &sub->list.items[i];
		if (it->state != ITEM_REFUSED && unkept)
			nv_item_refuse(it, &err);
		if (it->state == ITEM_REFUSED) {
			sub->pending--;
			continue;
		}
		name_people(sub, &it->q);
		nv_versions_fill(app, &it->q);
		nv_item_move(it, ITEM_CREATING);
		nv_status_create(app->status, &it->q, app->config->restore.only_one, created, it);
	}
	item_done(sub);
}

static void name_people(struct submit *sub, struct nv_restore_request *q)
{
	struct nv_arena *a = nv_http_arena(sub->list.r);
	const struct session *s = sub->list.s;
	if (!q->user)
		return;
	if (strcmp(q->user, s->identity) == 0) {
		q->user_name = nv_arena_strdup(a, s->name);
		q->mail = nv_arena_strdup(a, s->mail);
		q->lang = nv_arena_strdup(a, s->lang);
		return;
	}
	const struct nv_account *account = nv_people_find_identity(sub->list.app, q->user);
	if (!account)
		return;
	q->user_name = nv_arena_strdup(a, account->name);
	q->mail = nv_arena_strdup(a, account->mail);
	q->lang = nv_arena_strdup(a, account->lang);
}

static void created(void *arg, const struct nv_err *err, const struct nv_status_record *rec)
{
	struct item *it = arg;
	struct submit *sub = submit_of(it);
	if (err && err->reason == NV_R_already_restored) {
		nv_item_refuse_held(it, rec);
		item_done(sub);
		return;
	}
	if (err) {
		nv_item_refuse(it, err);
		item_done(sub);
		return;
	}
	it->record = nv_request_json(sub->list.app, rec);
	it->published = rec->published;
	NV_LOG(NV_INFO, "request.created", NV_S("req", it->q.id), NV_S("site", it->q.site),
	       NV_S("course", it->q.course), NV_P("user", it->q.user),
	       NV_P("by", sub->list.s->username));
	nv_fault("producer.after-create");
	if (!rec->published && rec->state == NV_ST_scheduled && rec->request.rev == it->q.rev) {
		nv_item_move(it, ITEM_DISPATCHING);
		nv_dispatch_request(sub->list.app, &it->q, dispatched, it);
		return;
	}
	nv_item_move(it, ITEM_ACCEPTED);
	item_done(sub);
}

/* err: the broker has not got it, and it could not be kept on the disk. */
static void dispatched(void *arg, const struct nv_err *err, bool published)
{
	struct item *it = arg;
	it->published = published && !err;
	it->left = published && err;
	if (err) {
		it->err = *err;
		nv_item_move(it, ITEM_TAKING_BACK);
		nv_status_take_back(it->list->app->status, it->q.id, it->q.rev, taken_back, it);
		return;
	}
	nv_item_move(it, ITEM_ACCEPTED);
	item_done(submit_of(it));
}

/* Gone: no sweep sends what is refused, and it may be asked for again.  Shared: it is refused here,
 * and whoever asks again with the same Idempotency-Key hears whether it was accepted.  It stays: it
 * was published meanwhile, and is accepted.  Where Redis does not answer the record may be there
 * still: then only the same Idempotency-Key asks for the same request. */
static void taken_back(void *arg, const struct nv_err *err, enum nv_taken_back what)
{
	struct item *it = arg;
	if (!err && what == NV_STAYS) {
		it->published = true;
		nv_item_move(it, ITEM_ACCEPTED);
		item_done(submit_of(it));
		return;
	}
	if (err) {
		NV_LOG(NV_WARN, "request.not_taken_back", NV_S("req", it->q.id), NV_E(err));
	} else if (what == NV_GONE) {
		if (it->left) /* any other file is of somebody who has created it again */
			nv_spool_drop(it->list->app, it->q.id, it->q.rev);
		NV_LOG(NV_INFO, "request.taken_back", NV_S("req", it->q.id));
	}
	json_decref(it->record);
	it->record = NULL;
	nv_item_move(it, ITEM_REFUSED);
	item_done(submit_of(it));
}

static void item_done(struct submit *sub)
{
	if (!--sub->pending)
		answer(sub);
}

/* --- the answer --- */

static json_t *item_json(struct item *it);
static void answer_kept(void *arg, const struct nv_err *err, bool set);

static void answer(struct submit *sub)
{
	struct request_list *list = &sub->list;
	bool lasting = true; /* what may go better next time is not remembered */
	json_t *results = json_array();
	move(sub, SUBMIT_ANSWERING);
	for (size_t i = 0; i < list->len; i++) {
		struct item *it = &list->items[i];
		bool refused = it->state == ITEM_REFUSED;
		nv_metric_add(list->app->m.submitted, refused ? "refused" : "accepted", 1);
		if (refused && nv_api_status(&it->err) == 403)
			nv_api_refused(list->app, list->r, "rights", list->s->username);
		lasting = lasting && !(refused && nv_api_status(&it->err) >= 500);
		json_array_append_new(results, item_json(it));
	}
	sub->status = 202;
	if (list->single && list->items[0].state == ITEM_REFUSED) {
		sub->status = nv_api_status(&list->items[0].err);
		sub->answer = nv_api_problem(&list->items[0].err);
		json_decref(results);
	} else {
		sub->answer = json_pack("{s:o}", "results", results);
	}
	if (sub->key && lasting)
		keep(sub, sub->answer, false, answer_kept);
	else
		answer_kept(sub, NULL, false);
}

static json_t *result_json(struct item *it)
{
	if (it->state == ITEM_REFUSED)
		return json_pack("{s:i, s:o}", "status", (int)nv_api_status(&it->err), "problem",
				 nv_api_problem(&it->err));
	json_object_set_new(it->record, "published", json_boolean(it->published));
	return json_pack("{s:i, s:s, s:b, s:o}", "status", 202, "id", it->q.id, "published",
			 it->published, "request", it->record);
}

static json_t *item_json(struct item *it)
{
	json_t *o = result_json(it);
	if (it->line)
		json_object_set_new(o, "line", json_integer(it->line));
	return o;
}

static void answer_kept(void *arg, const struct nv_err *err, bool set)
{
	struct submit *sub = arg;
	(void)err; /* without it, the ids are there: the same requests, a newer answer */
	(void)set;
	json_t *made = sub->answer;
	send_answer(sub, made);
	json_decref(made);
}

static void send_answer(struct submit *sub, const json_t *made)
{
	const char *type = sub->status < 400 ? "application/json" : "application/problem+json";
	nv_auto_free char *text = json_dumps(made, JSON_COMPACT);
	move(sub, SUBMIT_DONE);
	if (sub->status == 503)
		nv_http_add_header(sub->list.r, "Retry-After", "5");
	nv_http_reply(sub->list.r, sub->status, type, text, strlen(text));
}
