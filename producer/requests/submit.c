/* SPDX-License-Identifier: GPL-3.0-or-later */
/* POST /api/v1/requests: read all wishes, judge each, ask the course servers whether the courses
 * are the requester's own, make the records, publish, answer.
 *
 * Idempotency-Key: before anything is made, Redis remembers the body's hash and the ids the
 * requests will have; so whoever comes again (also after a crash between the two) makes the same
 * requests, not others.  The finished answer is remembered, too.
 *
 * POST /api/v1/requests/check reads and judges in the same way, and goes on in check.c. */
#include <string.h>

#include "base/fault.h"
#include "base/hash.h"
#include "base/log.h"
#include "core/status/kv.h"
#include "core/status/requests.h"
#include "producer/answer.h"
#include "producer/body.h"
#include "producer/requests/catalog.h"
#include "producer/requests/csv.h"
#include "producer/requests/dispatch.h"
#include "producer/requests/request_input.h"
#include "producer/requests/requests.h"
#include "producer/requests/spool.h"
#include "producer/requests/submit.h"
#include "producer/requests/versions.h"
#include "producer/session/people.h"

#define ITEMS_MAX 1000u
#define IDEMPOTENCY_MS 86400000u
#define KEY_TRIES 5u

void nv_submit_fail(struct submit *sub, const struct nv_err *err)
{
	for (size_t i = 0; i < sub->len; i++)
		json_decref(sub->items[i].record);
	nv_api_fail(sub->r, err);
}

/* --- the answer --- */

static json_t *outcome_json(struct item *it)
{
	if (it->refused)
		return json_pack("{s:i, s:o}", "status", (int)nv_api_status(&it->err), "problem",
				 nv_api_problem(&it->err));
	json_object_set_new(it->record, "published", json_boolean(it->published));
	return json_pack("{s:i, s:s, s:b, s:o}", "status", 202, "id", it->q.id, "published",
			 it->published, "request", it->record);
}

static json_t *item_json(struct item *it)
{
	json_t *o = outcome_json(it);
	if (it->line)
		json_object_set_new(o, "line", json_integer(it->line));
	return o;
}

static void send_answer(struct submit *sub, const char *text)
{
	const char *type = sub->status < 400 ? "application/json" : "application/problem+json";
	if (sub->status == 503)
		nv_http_add_header(sub->r, "Retry-After", "5");
	nv_http_reply(sub->r, sub->status, type, text, strlen(text));
}

static void answer_kept(void *arg, const struct nv_err *err, bool set)
{
	struct submit *sub = arg;
	(void)err; /* without it, the ids are there: the same requests, a newer answer */
	(void)set;
	nv_auto_free char *text = json_dumps(sub->answer, JSON_COMPACT);
	json_decref(sub->answer);
	send_answer(sub, text);
}

static json_t *ids_json(const struct submit *sub)
{
	json_t *ids = json_array();
	for (size_t i = 0; i < sub->len; i++)
		json_array_append_new(ids, json_string(sub->items[i].q.id));
	return ids;
}

static void keep(struct submit *sub, json_t *answer, bool only_if_absent,
		 void (*cb)(void *arg, const struct nv_err *err, bool set))
{
	json_t *o = json_pack("{s:s, s:o}", "hash", sub->hash, "ids", ids_json(sub));
	if (answer) {
		json_object_set_new(o, "status", json_integer(sub->status));
		json_object_set(o, "answer", answer);
	}
	nv_auto_free char *text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	nv_kv_set(sub->app->status, sub->key, text, strlen(text), IDEMPOTENCY_MS, only_if_absent,
		  cb, sub);
}

static void finish(struct submit *sub)
{
	bool lasting = true; /* what may go better next time is not remembered */
	json_t *results = json_array();
	for (size_t i = 0; i < sub->len; i++) {
		struct item *it = &sub->items[i];
		nv_metric_add(sub->app->m.submitted, it->refused ? "refused" : "accepted", 1);
		if (it->refused && nv_api_status(&it->err) == 403)
			nv_api_refused(sub->app, sub->r, "rights", sub->s->username);
		lasting = lasting && !(it->refused && nv_api_status(&it->err) >= 500);
		json_array_append_new(results, item_json(it));
	}
	sub->status = 202;
	if (sub->single && sub->items[0].refused) {
		sub->status = nv_api_status(&sub->items[0].err);
		sub->answer = nv_api_problem(&sub->items[0].err);
		json_decref(results);
	} else {
		sub->answer = json_pack("{s:o}", "results", results);
	}
	if (sub->key && lasting)
		keep(sub, sub->answer, false, answer_kept);
	else
		answer_kept(sub, NULL, false);
}

static void item_done(struct submit *sub)
{
	if (!--sub->pending)
		finish(sub);
}

/* --- records and messages --- */

static void refuse(struct item *it, const struct nv_err *err)
{
	it->refused = true;
	it->err = *err;
}

/* Gone: no sweep sends what is refused, and it may be asked for again.  Shared: it is refused here,
 * and whoever asks again with the same Idempotency-Key hears whether it was accepted.  It stays: it
 * was published meanwhile, and is accepted.  Where Redis does not answer the record may be there
 * still: then only the same Idempotency-Key asks for the same request. */
static void taken_back(void *arg, const struct nv_err *err, enum nv_taken_back what)
{
	struct item *it = arg;
	if (err) {
		NV_LOG(NV_WARN, "request.not_taken_back", NV_S("req", it->q.id), NV_E(err));
	} else if (what == NV_STAYS) {
		it->published = true;
		item_done(it->sub);
		return;
	} else if (what == NV_GONE) {
		if (it->left) /* any other file is of somebody who has created it again */
			nv_spool_drop(it->sub->app, it->q.id, it->q.rev);
		NV_LOG(NV_INFO, "request.taken_back", NV_S("req", it->q.id));
	}
	json_decref(it->record);
	it->record = NULL;
	it->refused = true;
	item_done(it->sub);
}

/* err: the broker has not got it, and it could not be kept on the disk. */
static void dispatched(void *arg, const struct nv_err *err, bool published)
{
	struct item *it = arg;
	it->published = published && !err;
	it->left = published && err;
	if (err) {
		it->err = *err;
		nv_status_take_back(it->sub->app->status, it->q.id, it->q.rev, taken_back, it);
		return;
	}
	item_done(it->sub);
}

void nv_submit_held_by(struct item *it, const struct nv_status_record *rec)
{
	const struct nv_restore_request *q = rec ? &rec->request : NULL;
	const char *who = q ? (q->user_name ? q->user_name : q->user ? q->user : q->by) : NULL;
	nv_api_err(&it->err, 409, NV_R_already_restored, "course %s was already %s%s%s",
		   it->q.course, rec && rec->state == NV_ST_restored ? "restored" : "asked for",
		   who ? " by " : "", who ? who : "");
	it->refused = true;
}

static void created(void *arg, const struct nv_err *err, const struct nv_status_record *rec)
{
	struct item *it = arg;
	if (err && err->reason == NV_R_already_restored) {
		nv_submit_held_by(it, rec);
	} else if (err) {
		refuse(it, err);
	} else {
		it->record = nv_request_json(it->sub->app, rec);
		it->published = rec->published;
		NV_LOG(NV_INFO, "request.created", NV_S("req", it->q.id), NV_S("site", it->q.site),
		       NV_S("course", it->q.course), NV_P("user", it->q.user),
		       NV_P("by", it->sub->s->username));
		nv_fault("producer.after-create");
		if (!rec->published && rec->state == NV_ST_scheduled &&
		    rec->request.rev == it->q.rev) {
			nv_dispatch_request(it->sub->app, &it->q, dispatched, it);
			return;
		}
	}
	item_done(it->sub);
}

static void name_people(struct submit *sub, struct nv_restore_request *q)
{
	struct nv_arena *a = nv_http_arena(sub->r);
	const struct session *s = sub->s;
	if (!q->user)
		return;
	if (!strcmp(q->user, s->identity)) {
		q->user_name = nv_arena_strdup(a, s->name);
		q->mail = nv_arena_strdup(a, s->mail);
		q->lang = nv_arena_strdup(a, s->lang);
		return;
	}
	const struct nv_account *account = nv_people_find_identity(sub->app, q->user);
	if (!account)
		return;
	q->user_name = nv_arena_strdup(a, account->name);
	q->mail = nv_arena_strdup(a, account->mail);
	q->lang = nv_arena_strdup(a, account->lang);
}

static void create_all(struct submit *sub)
{
	struct nv_err err = {0};
	bool unkept = !nv_bus_up(sub->app->bus) && nv_spool_usable(sub->app, &err) < 0;
	sub->pending = sub->len + 1;
	for (size_t i = 0; i < sub->len; i++) {
		struct item *it = &sub->items[i];
		if (!it->refused && unkept)
			refuse(it, &err);
		if (it->refused) {
			sub->pending--;
			continue;
		}
		name_people(sub, &it->q);
		nv_versions_fill(sub->app, &it->q);
		nv_status_create(sub->app->status, &it->q, sub->app->config->restore.only_one,
				 created, it);
	}
	item_done(sub);
}

/* --- are they the requester's own? --- */

void nv_submit_judge(struct item *it, const struct catalog_site *sites, size_t len)
{
	struct nv_arena *a = nv_http_arena(it->sub->r);
	for (size_t i = 0; i < len; i++) {
		if (strcmp(sites[i].site->name, it->q.site) != 0)
			continue;
		if (nv_catalog_judge(&sites[i], it->q.course, &it->err) < 0) {
			it->refused = true;
			return;
		}
		const struct nv_course *c = nv_catalog_find(&sites[i], it->q.course);
		if (c->damaged) {
			it->refused = true;
			nv_api_err(&it->err, 409, NV_R_archive_corrupt,
				   "the backup of course %s on %s is damaged: %s", it->q.course,
				   sites[i].site->label, c->damaged);
			return;
		}
		it->q.shortname = nv_arena_strdup(a, c->shortname);
		it->q.fullname = nv_arena_strdup(a, c->fullname);
	}
}

static bool concerns(const struct item *it, const struct catalog_site *site)
{
	return !it->refused && !it->judged && !strcmp(site->site->name, it->q.site);
}

static bool lacks_one(const struct submit *sub, const struct catalog_site *site)
{
	for (size_t i = 0; i < sub->len; i++)
		if (concerns(&sub->items[i], site) &&
		    nv_catalog_lacks(site, sub->items[i].q.course))
			return true;
	return false;
}

static void catalog_told(void *arg, const struct nv_err *err, const struct catalog_site *sites,
			 size_t len);

/* The course servers whose kept list lacks a course are asked themselves, one after the other: it
 * may be new.  What the others have said is good, also if they are away by now. */
static void ask_afresh(struct submit *sub)
{
	for (size_t i = 0; i < sub->len; i++) {
		const struct item *it = &sub->items[i];
		if (it->refused || it->judged)
			continue;
		sub->afresh = it->q.site;
		nv_catalog_ask(sub->app, sub->s->identity, sub->afresh, CATALOG_AFRESH,
			       catalog_told, sub);
		return;
	}
	create_all(sub);
}

static void catalog_told(void *arg, const struct nv_err *err, const struct catalog_site *sites,
			 size_t len)
{
	struct submit *sub = arg;
	if (err) {
		nv_submit_fail(sub, err);
		return;
	}
	for (size_t k = 0; k < len; k++) {
		if (!sub->afresh && lacks_one(sub, &sites[k]))
			continue;
		for (size_t i = 0; i < sub->len; i++) {
			struct item *it = &sub->items[i];
			if (!concerns(it, &sites[k]))
				continue;
			nv_submit_judge(it, &sites[k], 1);
			it->judged = true;
		}
	}
	ask_afresh(sub);
}

/* The one site all are from; NULL: several.  false: nothing is left to ask about. */
static bool site_to_ask(const struct submit *sub, const char **ret)
{
	bool any = false;
	*ret = NULL;
	for (size_t i = 0; i < sub->len; i++) {
		const struct item *it = &sub->items[i];
		if (it->refused)
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

static void ask_catalog(struct submit *sub)
{
	const char *site;
	if (!sub->s->admin && site_to_ask(sub, &site))
		nv_catalog_ask(sub->app, sub->s->identity, site, CATALOG_USUAL, catalog_told, sub);
	else
		create_all(sub);
}

/* --- idempotency --- */

static bool take_ids(struct submit *sub, json_t *o)
{
	json_t *ids = json_object_get(o, "ids");
	if (json_array_size(ids) != sub->len)
		return false;
	for (size_t i = 0; i < sub->len; i++) {
		const char *id = json_string_value(json_array_get(ids, i));
		if (!id || !nv_uuid_valid(id))
			return false;
		sub->items[i].q.id = nv_arena_strdup(nv_http_arena(sub->r), id);
	}
	return true;
}

static void take_key(struct submit *sub);

static void earlier_read(void *arg, const struct nv_err *err, const void *value, size_t len)
{
	struct submit *sub = arg;
	struct nv_err mine;
	if (err) {
		nv_submit_fail(sub, err);
		return;
	}
	if (!value) { /* gone since: refused meanwhile, or Redis was emptied */
		take_key(sub);
		return;
	}
	json_t *o = json_loadb(value, len, 0, NULL);
	const char *hash = json_string_value(json_object_get(o, "hash"));
	json_t *answer = json_object_get(o, "answer");
	if (!hash || strcmp(hash, sub->hash) != 0) {
		nv_api_err(&mine, 422, NV_R_conflict,
			   "Idempotency-Key: was used with another body before");
		nv_submit_fail(sub, &mine);
	} else if (answer) {
		sub->status = (unsigned)json_integer_value(json_object_get(o, "status"));
		nv_auto_free char *text = json_dumps(answer, JSON_COMPACT);
		send_answer(sub, text);
	} else if (take_ids(sub, o)) {
		ask_catalog(sub);
	} else {
		nv_api_err(&mine, 500, NV_R_internal, "Idempotency-Key: what is kept is damaged");
		nv_submit_fail(sub, &mine);
	}
	json_decref(o);
}

static void key_kept(void *arg, const struct nv_err *err, bool set)
{
	struct submit *sub = arg;
	if (err)
		nv_submit_fail(sub, err);
	else if (set)
		ask_catalog(sub);
	else
		nv_kv_get(sub->app->status, sub->key, earlier_read, sub);
}

/* The key is ours, or somebody's before; a few times, since it may go between the two questions. */
static void take_key(struct submit *sub)
{
	struct nv_err err;
	if (sub->key_tries++ < KEY_TRIES) {
		keep(sub, NULL, true, key_kept);
		return;
	}
	nv_fail(&err, NV_RETRY, NV_R_busy, "Idempotency-Key: others use it just now");
	nv_submit_fail(sub, &err);
}

static int read_key(struct submit *sub, const json_t *body, struct nv_err *err)
{
	const char *key = nv_http_header(sub->r, "Idempotency-Key");
	char hex[65];
	if (!key)
		return 0;
	if (!nv_request_input_key_valid(key))
		return nv_api_err(err, 422, NV_R_bad_message,
				  "Idempotency-Key: not 1 to 200 printable characters");
	nv_request_input_key_hash(sub->s->username, key, hex);
	sub->key = nv_arena_printf(nv_http_arena(sub->r), "idempotency:%s", hex);
	nv_request_input_hash(body, sub->hash);
	return 0;
}

/* --- the body --- */

static char *text_of(struct nv_arena *a, const json_t *o, const char *key)
{
	return nv_arena_strdup(a, json_string_value(json_object_get(o, key)));
}

/* What a refused row asked for, as far as it can be read: its line alone says little. */
static void name_refused(struct item *it, const json_t *o, struct nv_arena *a)
{
	it->q.site = text_of(a, o, "site");
	it->q.course = text_of(a, o, "course");
	it->q.user = text_of(a, o, "user");
}

/* What is wrong with a row of a list that is CSV, or only checked, concerns that row. */
static int read_item(struct submit *sub, json_t *o, const char *where, bool alone,
		     struct nv_err *err)
{
	struct nv_arena *a = nv_http_arena(sub->r);
	struct item *it = &sub->items[sub->len];
	struct body b = {.o = o, .where = where, .err = err};
	struct request_input w;
	char id[NV_UUID_SIZE];
	int rc = 0;
	it->sub = sub;
	if (json_is_string(o) && alone)
		rc = nv_api_err(err, 422, NV_R_bad_message, "%s", json_string_value(o));
	else if (!json_is_object(o))
		rc = nv_api_err(err, 422, NV_R_bad_message, "%s not an object", where);
	else
		rc = nv_request_input_read_new(&b, &w);
	if (rc < 0 && !alone)
		return -1;
	if (rc < 0)
		refuse(it, err);
	else
		it->refused = nv_request_input_judge_new(sub->app->config, sub->s, &w, where,
							 &it->q, a, &it->err) < 0;
	if (it->refused)
		name_refused(it, o, a);
	nv_uuid_new(id);
	it->q.id = nv_arena_strdup(a, id);
	sub->len++;
	return 0;
}

/* csv: NULL unless it came as such. */
static int read_items(struct submit *sub, json_t *o, const struct csv *csv, struct nv_err *err)
{
	static const char *const fields[] = {"requests"};
	struct nv_arena *a = nv_http_arena(sub->r);
	struct body b = {.o = o, .where = "", .err = err};
	json_t *list = json_object_get(o, "requests");
	if (!list) {
		sub->single = true;
		sub->items = nv_arena_alloc(a, sizeof *sub->items);
		return read_item(sub, o, "", false, err);
	}
	if (nv_body_known(&b, fields, 1) < 0)
		return -1;
	if (!json_is_array(list) || !json_array_size(list) || json_array_size(list) > ITEMS_MAX)
		return nv_body_wrong(&b, "requests", "not a list of 1 to %u requests", ITEMS_MAX);
	sub->items = nv_arena_alloc(a, json_array_size(list) * sizeof *sub->items);
	size_t i;
	json_t *one;
	json_array_foreach(list, i, one)
	{
		/* a row of CSV is known by its line */
		const char *where = csv ? "" : nv_arena_printf(a, "requests[%zu].", i);
		sub->items[i].line = csv ? csv->lines[i] : 0;
		if (read_item(sub, one, where, csv || sub->check, err) < 0)
			return -1;
	}
	return 0;
}

/* JSON, or a list as CSV. */
static json_t *read_body(struct submit *sub, struct nv_err *err)
{
	const char *type = nv_http_header(sub->r, "Content-Type");
	size_t n = type ? strcspn(type, "; \t") : 0;
	size_t len;
	if (n != 8 || strncasecmp(type, "text/csv", n) != 0) {
		json_t *o = nv_body_parse(sub->r, err);
		if (o && read_items(sub, o, NULL, err) == 0)
			return o;
		json_decref(o);
		return NULL;
	}
	struct csv *csv = nv_arena_alloc(nv_http_arena(sub->r), sizeof *csv);
	const char *text = nv_http_body(sub->r, &len);
	if (nv_csv_read(text, len, csv, err) < 0)
		return NULL;
	json_t *o = json_pack("{s:o}", "requests", csv->requests);
	if (read_items(sub, o, csv, err) == 0)
		return o;
	json_decref(o);
	return NULL;
}

static void begin(struct app *app, struct nv_http_request *r, const struct session *s, bool check)
{
	struct nv_err err;
	struct submit *sub = nv_arena_alloc(nv_http_arena(r), sizeof *sub);
	*sub = (struct submit){.app = app, .r = r, .s = s, .check = check};
	json_t *o = read_body(sub, &err);
	int rc = o ? read_key(sub, o, &err) : -1;
	json_decref(o);
	if (rc < 0)
		nv_submit_fail(sub, &err);
	else if (check)
		nv_check_all(sub);
	else if (sub->key)
		take_key(sub);
	else
		ask_catalog(sub);
}

void nv_requests_submit(struct app *app, struct nv_http_request *r, const struct session *s)
{
	begin(app, r, s, false);
}

void nv_requests_check(struct app *app, struct nv_http_request *r, const struct session *s)
{
	begin(app, r, s, true);
}
