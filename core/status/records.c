/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A record: struct ⇄ Redis hash.  The request is one field, its msgpack form; the others are plain
 * text, so that an operator can read them with redis-cli. */
#include <stddef.h>
#include <string.h>

#include "base/id.h"
#include "core/status/claims.h"
#include "core/status/status.h"
#include "core/status/status_internal.h"

enum field_type { FIELD_STR, FIELD_UINT, FIELD_BOOL };

/* What stands in the hash as it stands in the struct. */
static const struct {
	const char *name;
	enum field_type type;
	size_t offset;
} fields[] = {
#define STR(n)                                                      \
	{                                                           \
#n, FIELD_STR, offsetof(struct nv_status_record, n) \
	}
#define UINT(n)                                                      \
	{                                                            \
#n, FIELD_UINT, offsetof(struct nv_status_record, n) \
	}
#define BOOL(n)                                                      \
	{                                                            \
#n, FIELD_BOOL, offsetof(struct nv_status_record, n) \
	}
	STR(step),
	UINT(done),
	UINT(total),
	STR(reason),
	STR(message),
	STR(attempt),
	UINT(failures),
	UINT(next_try),
	UINT(held),
	STR(host),
	BOOL(published),
	UINT(created),
	UINT(modified),
	UINT(started),
	UINT(finished),
	UINT(archived),
	UINT(place),
	STR(course),
	STR(course_url),
	STR(course_shortname),
	STR(course_fullname),
	STR(course_category),
	BOOL(course_user_data),
	BOOL(course_deleted),
	BOOL(enrolled),
#undef STR
#undef UINT
#undef BOOL
};

/* --- to Redis --- */

int nv_args_request(struct nv_args *a, const struct nv_restore_request *q, struct nv_err *err)
{
	nv_auto_buf struct nv_buf b = {0};

	if (!q->id || !q->site || !q->course)
		return nv_fail(err, NV_REJECT, NV_R_internal,
			       "status: a request without id, site or course");
	if (nv_record_encode(&nv_restore_request_record, q, &b, err))
		return -1;
	nv_args_str(a, q->id);
	nv_args_uint(a, q->rev);
	nv_args_str(a, q->site);
	nv_args_str(a, q->course);
	nv_args_str(a, q->user);
	nv_args_uint(a, nv_uuid_time(q->id));
	nv_args_add(a, b.data, b.len);
	return 0;
}

static void add_pair(struct nv_args *a, const char *name, const char *value)
{
	if (!value || !*value)
		return;
	nv_args_str(a, name);
	nv_args_str(a, value);
}

/* Netstrings ("5:hello,"), for a warning may hold any character. */
static void add_warnings(struct nv_args *a, const struct nv_strs *w)
{
	nv_auto_buf struct nv_buf b = {0};

	if (!w->len)
		return;
	for (size_t i = 0; i < w->len; i++)
		nv_buf_printf(&b, "%zu:%s,", strlen(w->items[i]), w->items[i]);
	nv_args_str(a, "warnings");
	nv_args_add(a, b.data, b.len);
}

static void add_differences(struct nv_args *a, const struct nv_list *differences)
{
	nv_auto_buf struct nv_buf b = {0};

	if (!differences->len)
		return;
	nv_differences_put(differences, &b);
	nv_args_str(a, "differences");
	nv_args_add(a, b.data, b.len);
}

void nv_args_outcome(struct nv_args *a, const struct nv_status_outcome *o)
{
	add_pair(a, "reason", o->reason);
	add_pair(a, "message", o->message);
	if (o->state != NV_ST_restored)
		return;
	add_pair(a, "course", o->course);
	add_pair(a, "course_url", o->course_url);
	add_pair(a, "course_shortname", o->course_shortname);
	add_pair(a, "course_fullname", o->course_fullname);
	add_pair(a, "course_category", o->course_category);
	add_pair(a, "course_user_data", o->course_user_data ? "1" : "0");
	add_pair(a, "enrolled", o->enrolled ? "1" : "0");
	add_warnings(a, &o->warnings);
	add_differences(a, &o->differences);
}

/* --- from Redis --- */

static void push(struct nv_strs *list, struct nv_arena *arena, const char *s, size_t len)
{
	/* Room for 8, 16, 32, …: an arena cannot grow what it gave. */
	if (!list->len || (list->len >= 8 && !(list->len & (list->len - 1)))) {
		size_t cap = list->len ? 2 * list->len : 8;
		char **items = nv_arena_alloc(arena, cap * sizeof *items);

		if (list->len)
			memcpy(items, list->items, list->len * sizeof *items);
		list->items = items;
	}
	list->items[list->len++] = nv_arena_strndup(arena, s, len);
}

static void read_warnings(struct nv_strs *list, struct nv_arena *arena, const char *s, size_t len)
{
	const char *end = s + len;

	while (s < end) {
		char *colon;
		unsigned long n = strtoul(s, &colon, 10);

		if (*colon != ':' || n + 2 > (size_t)(end - colon))
			return;
		push(list, arena, colon + 1, n);
		s = colon + 1 + n + 1;
	}
}

static bool read_plain(struct nv_status_record *rec, struct nv_arena *arena, const char *name,
		       const redisReply *value)
{
	for (size_t i = 0; i < NV_ARRAY_LEN(fields); i++) {
		char *at = (char *)rec + fields[i].offset;

		if (strcmp(fields[i].name, name) != 0)
			continue;
		if (fields[i].type == FIELD_STR && value->len)
			*(char **)(void *)at = nv_arena_strndup(arena, value->str, value->len);
		else if (fields[i].type == FIELD_UINT)
			*(uint64_t *)(void *)at = nv_reply_uint(value);
		else if (fields[i].type == FIELD_BOOL)
			*(bool *)at = strcmp(value->str, "1") == 0;
		return true;
	}
	return false;
}

static int read_field(struct nv_status_record *rec, struct nv_arena *arena, const char *name,
		      const redisReply *value, struct nv_err *err)
{
	if (strcmp(name, "request") == 0)
		return nv_record_decode(&nv_restore_request_record, value->str, value->len,
					&rec->request, arena, err);
	if (strcmp(name, "state") == 0)
		rec->state = nv_state_from(value->str);
	else if (strcmp(name, "warnings") == 0)
		read_warnings(&rec->warnings, arena, value->str, value->len);
	else if (strcmp(name, "differences") == 0)
		nv_differences_get(value->str, value->len, &rec->differences, arena);
	else if (strncmp(name, "join:", 5) == 0 && strcmp(value->str, "joined") == 0)
		push(&rec->joined, arena, name + 5, strlen(name + 5));
	else
		read_plain(rec, arena, name, value);
	return 0;
}

int nv_record_from_reply(const redisReply *r, struct nv_status_record *rec, struct nv_arena *arena,
			 struct nv_err *err)
{
	memset(rec, 0, sizeof *rec);
	rec->state = NV_ST_COUNT;
	if (!r || r->type != REDIS_REPLY_ARRAY)
		return nv_reply_odd(err);
	for (size_t i = 0; i + 1 < r->elements; i += 2) {
		const redisReply *name = r->element[i], *value = r->element[i + 1];

		if (name->type != REDIS_REPLY_STRING || value->type != REDIS_REPLY_STRING)
			continue;
		if (read_field(rec, arena, name->str, value, err)) {
			nv_err_prefix(err, "status: a record in redis");
			return -1;
		}
	}
	if (rec->state == NV_ST_COUNT || !rec->request.id)
		return nv_fail(err, NV_REJECT, NV_R_internal,
			       "status: a record in redis has no state or no request");
	/* An older daemon, which does not know the fields, leaves them when it goes on. */
	if (rec->state != NV_ST_scheduled && rec->state != NV_ST_ready)
		rec->held = rec->next_try = 0;
	if (rec->request.now)
		rec->place = 0; /* it overtakes those that wait, by a queue of its own */
	return 0;
}
