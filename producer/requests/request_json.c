/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A request's record as JSON, and copies of requests. */
#include <string.h>

#include "core/status/status.h"
#include "producer/answer.h"
#include "producer/app.h"
#include "producer/requests/requests.h"

static json_t *texts(const struct nv_strs *list)
{
	json_t *a = json_array();
	for (size_t i = 0; i < list->len; i++)
		json_array_append_new(a, nv_api_text(list->items[i]));
	return a;
}

static json_t *differences(const struct nv_list *list)
{
	const struct nv_difference *d = list->items;
	json_t *a = json_array();
	for (size_t i = 0; i < list->len; i++)
		json_array_append_new(
			a, json_pack("{s:o, s:o, s:I, s:I}", "kind", nv_api_text(d[i].kind), "type",
				     nv_api_text(d[i].type), "had", (json_int_t)d[i].had, "has",
				     (json_int_t)d[i].has));
	return a;
}

static json_t *restored_json(const struct nv_status_record *rec)
{
	if (rec->state != NV_ST_restored)
		return json_null();
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:b, s:b, s:b, s:o, s:o}", "course",
			 nv_api_text(rec->course), "url", nv_api_text(rec->course_url), "shortname",
			 nv_api_text(rec->course_shortname), "fullname",
			 nv_api_text(rec->course_fullname), "category",
			 nv_api_text(rec->course_category), "user_data", rec->course_user_data,
			 "deleted", rec->course_deleted, "enrolled", rec->enrolled, "warnings",
			 texts(&rec->warnings), "differences", differences(&rec->differences));
}

static const char *label(const struct app *app, const char *site)
{
	const struct nv_config_site *s = nv_config_site(app->config, site);
	return s && s->label ? s->label : site;
}

/* May the store have its archive?  One that was never made, or that the course server's collector
 * has removed (store.keep), is not offered. */
static bool has_archive(const struct app *app, const struct nv_status_record *rec)
{
	if (rec->state == NV_ST_ready || rec->state == NV_ST_importing)
		return true;
	return rec->state == NV_ST_failed && rec->archived &&
	       nv_now_ms() < rec->archived + app->config->store.keep;
}

static json_t *wanted_json(const struct app *app, const struct nv_restore_request *q)
{
	return json_pack(
		"{s:s, s:I, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:s, s:b, s:o, s:b, s:b, s:s, "
		"s:b, s:o}",
		"id", q->id, "rev", (json_int_t)q->rev, "site", q->site, "site_label",
		label(app, q->site), "course", q->course, "shortname", nv_api_text(q->shortname),
		"fullname", nv_api_text(q->fullname), "user", nv_api_text(q->user), "user_name",
		nv_api_text(q->user_name), "by", nv_api_text(q->by), "source",
		nv_source_words[q->source], "keep_category", q->keep_category, "category",
		nv_api_text(q->category), "user_data", q->user_data, "leave_out", q->leave_out,
		"enrolment", nv_enrolment_words[q->enrolment], "now", q->now, "requested",
		nv_api_time(q->requested));
}

json_t *nv_request_json(const struct app *app, const struct nv_status_record *rec)
{
	json_t *o = wanted_json(app, &rec->request);
	json_t *state = json_pack(
		"{s:s, s:o, s:I, s:I, s:o, s:o, s:I, s:o, s:o, s:o, s:b, s:o, s:o, s:o, "
		"s:o, s:b, s:o, "
		"s:o, s:o}",
		"state", nv_state_word(rec->state), "step", nv_api_text(rec->step), "done",
		(json_int_t)rec->done, "total", (json_int_t)rec->total, "reason",
		nv_api_text(rec->reason), "message", nv_api_text(rec->message), "failures",
		(json_int_t)rec->failures, "next_try", nv_api_time(rec->next_try), "held",
		nv_api_time(rec->held), "host", nv_api_text(rec->host), "published", rec->published,
		"created", nv_api_time(rec->created), "modified", nv_api_time(rec->modified),
		"started", nv_api_time(rec->started), "finished", nv_api_time(rec->finished),
		"archive", has_archive(app, rec), "place",
		rec->place ? json_integer((json_int_t)rec->place) : json_null(), "restored",
		restored_json(rec), "joined", texts(&rec->joined));
	json_object_update(o, state);
	json_decref(state);
	return o;
}

/* By the message's own table of fields, so that none is forgotten. */
void nv_request_copy(struct nv_restore_request *to, const struct nv_restore_request *from,
		     struct nv_arena *a)
{
	nv_auto_buf struct nv_buf b = {0};
	struct nv_err err;
	memset(to, 0, sizeof *to);
	if (nv_record_encode(&nv_restore_request_record, from, &b, &err) < 0 ||
	    nv_record_decode(&nv_restore_request_record, b.data, b.len, to, a, &err) < 0)
		abort(); /* it came through the same table */
}

bool nv_request_is_ones_own(const struct nv_restore_request *q, const struct session *s)
{
	return q->user && strcmp(q->user, s->identity) == 0;
}
