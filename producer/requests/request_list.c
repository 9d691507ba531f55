/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "producer/requests/request_list.h"

#include <string.h>

#include "base/states.h"
#include "producer/answer.h"
#include "producer/body.h"
#include "producer/requests/csv.h"
#include "producer/requests/request_input.h"

#define ITEMS_MAX 1000u

static const struct nv_states states = {
	.event = "item.state",
	.len = ITEM_REFUSED + 1,
	.states = {
		[ITEM_READ] = {"read", NV_TO(ITEM_THEIRS, ITEM_CREATING, ITEM_REFUSED)},
		[ITEM_THEIRS] = {"theirs", NV_TO(ITEM_CREATING, ITEM_REFUSED)},
		[ITEM_CREATING] = {"creating",
				   NV_TO(ITEM_DISPATCHING, ITEM_ACCEPTED, ITEM_REFUSED)},
		[ITEM_DISPATCHING] = {"dispatching", NV_TO(ITEM_ACCEPTED, ITEM_TAKING_BACK)},
		[ITEM_TAKING_BACK] = {"taking_back", NV_TO(ITEM_ACCEPTED, ITEM_REFUSED)},
		[ITEM_ACCEPTED] = {"accepted", 0},
		[ITEM_REFUSED] = {"refused", 0},
	}};

void nv_item_move(struct item *it, enum item_state to)
{
	nv_states_move(&states, it->state, to, it->q.id);
	it->state = to;
}

void nv_item_refuse(struct item *it, const struct nv_err *err)
{
	it->err = *err;
	nv_item_move(it, ITEM_REFUSED);
}

/* --- the body --- */

static json_t *read_csv(struct request_list *list, struct nv_err *err);
static int read_items(struct request_list *list, json_t *o, const struct csv *csv, bool each,
		      struct nv_err *err);
static int read_item(struct request_list *list, json_t *o, const char *where, bool each,
		     struct nv_err *err);

json_t *nv_request_list_read(struct request_list *list, bool each, struct nv_err *err)
{
	const char *type = nv_http_header(list->r, "Content-Type");
	size_t n = type ? strcspn(type, "; \t") : 0;
	if (n == 8 && strncasecmp(type, "text/csv", n) == 0)
		return read_csv(list, err);
	json_t *o = nv_body_parse(list->r, err);
	if (o && read_items(list, o, NULL, each, err) == 0)
		return o;
	json_decref(o);
	return NULL;
}

static json_t *read_csv(struct request_list *list, struct nv_err *err)
{
	struct csv *csv = nv_arena_alloc(nv_http_arena(list->r), sizeof *csv);
	size_t len;
	const char *text = nv_http_body(list->r, &len);
	if (nv_csv_read(text, len, csv, err) < 0)
		return NULL;
	json_t *o = json_pack("{s:o}", "requests", csv->requests);
	if (read_items(list, o, csv, true, err) == 0)
		return o;
	json_decref(o);
	return NULL;
}

/* csv: NULL unless it came as such. */
static int read_items(struct request_list *list, json_t *o, const struct csv *csv, bool each,
		      struct nv_err *err)
{
	static const char *const fields[] = {"requests"};
	struct nv_arena *a = nv_http_arena(list->r);
	struct body b = {.o = o, .where = "", .err = err};
	json_t *rows = json_object_get(o, "requests");
	if (!rows) {
		list->single = true;
		list->items = nv_arena_alloc(a, sizeof *list->items);
		return read_item(list, o, "", false, err);
	}
	if (nv_body_known(&b, fields, 1) < 0)
		return -1;
	if (!json_is_array(rows) || !json_array_size(rows) || json_array_size(rows) > ITEMS_MAX)
		return nv_body_wrong(&b, "requests", "not a list of 1 to %u requests", ITEMS_MAX);
	list->items = nv_arena_alloc(a, json_array_size(rows) * sizeof *list->items);
	size_t i;
	json_t *one;
	json_array_foreach(rows, i, one)
	{
		/* a row of CSV is known by its line */
		const char *where = csv ? "" : nv_arena_printf(a, "requests[%zu].", i);
		list->items[i].line = csv ? csv->lines[i] : 0;
		if (read_item(list, one, where, each, err) < 0)
			return -1;
	}
	return 0;
}

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

static int read_item(struct request_list *list, json_t *o, const char *where, bool each,
		     struct nv_err *err)
{
	struct nv_arena *a = nv_http_arena(list->r);
	struct item *it = &list->items[list->len];
	struct body b = {.o = o, .where = where, .err = err};
	struct request_input w;
	char id[NV_UUID_SIZE];
	int rc = 0;
	it->list = list;
	nv_uuid_new(id);
	if (json_is_string(o) && each)
		rc = nv_api_err(err, 422, NV_R_bad_message, "%s", json_string_value(o));
	else if (!json_is_object(o))
		rc = nv_api_err(err, 422, NV_R_bad_message, "%s not an object", where);
	else
		rc = nv_request_input_read_new(&b, &w);
	if (rc < 0 && !each)
		return -1;
	if (rc == 0)
		rc = nv_request_input_judge_new(list->app->config, list->s, &w, where, &it->q, a,
						err);
	it->q.id = nv_arena_strdup(a, id);
	if (rc < 0) {
		name_refused(it, o, a);
		nv_item_refuse(it, err);
	}
	list->len++;
	return 0;
}

/* --- what others say of an item --- */

void nv_item_refuse_held(struct item *it, const struct nv_status_record *rec)
{
	const struct nv_restore_request *q = rec ? &rec->request : NULL;
	const char *who = q ? (q->user_name ? q->user_name : q->user ? q->user : q->by) : NULL;
	struct nv_err err;
	nv_api_err(&err, 409, NV_R_already_restored, "course %s was already %s%s%s", it->q.course,
		   rec && rec->state == NV_ST_restored ? "restored" : "asked for",
		   who ? " by " : "", who ? who : "");
	nv_item_refuse(it, &err);
}

void nv_item_judge(struct item *it, const struct catalog_site *sites, size_t len)
{
	struct nv_arena *a = nv_http_arena(it->list->r);
	struct nv_err err;
	for (size_t i = 0; i < len; i++) {
		if (strcmp(sites[i].site->name, it->q.site) != 0)
			continue;
		if (nv_catalog_judge(&sites[i], it->q.course, &err) < 0) {
			nv_item_refuse(it, &err);
			return;
		}
		const struct nv_course *c = nv_catalog_find(&sites[i], it->q.course);
		if (c->damaged) {
			nv_api_err(&err, 409, NV_R_archive_corrupt,
				   "the backup of course %s on %s is damaged: %s", it->q.course,
				   sites[i].site->label, c->damaged);
			nv_item_refuse(it, &err);
			return;
		}
		it->q.shortname = nv_arena_strdup(a, c->shortname);
		it->q.fullname = nv_arena_strdup(a, c->fullname);
	}
	nv_item_move(it, ITEM_THEIRS);
}
