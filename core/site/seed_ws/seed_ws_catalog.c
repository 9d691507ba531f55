/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which courses may this user bring?  The block answers by its own setting search_roles; the roles
 * of the question only decide whom it names as a course's teachers. */
#include <inttypes.h>
#include <string.h>

#include "base/id.h"
#include "base/log.h"
#include "base/text.h"
#include "core/site/seed_ws/seed_ws.h"

#define COURSES_MAX 5000u   /* as catalog.reply allows */
#define NAME_BYTES 1333u    /* as catalog.reply allows */
#define CATEGORY_BYTES 255u /* as catalog.reply allows */
#define ERROR_BYTES 500u    /* as catalog.reply allows */
#define LIST_BYTES ((size_t)16 << 20)
#define INFO_BYTES ((size_t)1 << 20)
#define VERSION_MS 600000u /* a site is not upgraded every day */
#define GET_COURSES "block_my_external_backup_restore_courses_get_courses"

/* --- version --- */

static uint64_t known_version(struct nv_seed *s)
{
	pthread_mutex_lock(&s->lock);
	uint64_t version = nv_mono_ms() < s->version_until ? s->version : 0;
	pthread_mutex_unlock(&s->lock);
	return version;
}

/* A site that tells which functions the token's service has is held to it. */
static int check_service(const json_t *info, struct nv_err *err)
{
	static const char *const needed[] = {GET_COURSES, GET_COURSES "_zip"};
	const json_t *functions = json_object_get(info, "functions");
	const json_t *files = json_object_get(info, "downloadfiles");
	for (size_t i = 0; i < NV_ARRAY_LEN(needed) && json_is_array(functions); i++) {
		size_t at = 0;
		const char *name = "";
		for (; at < json_array_size(functions) && strcmp(name, needed[i]) != 0; at++) {
			name = json_string_value(
				json_object_get(json_array_get(functions, at), "name"));
			name = name ? name : "";
		}
		if (strcmp(name, needed[i]) != 0)
			return nv_fail(err, NV_RETRY, NV_R_denied,
				       "seed-ws: the token's service does not have the function %s",
				       needed[i]);
	}
	if (json_is_integer(files) && !json_integer_value(files))
		return nv_fail(err, NV_RETRY, NV_R_denied,
			       "seed-ws: the token's service may not download files");
	return 0;
}

int nv_seed_version(struct nv_seed_session *s, uint64_t *ret_version, struct nv_err *err)
{
	struct nv_seed *site =
		(struct nv_seed *)(uintptr_t)s->site; /* its lock guards what changes */
	struct nv_seed_call call = {"core_webservice_get_site_info", NULL, site->timeout,
				    INFO_BYTES};
	nv_auto_json json_t *info = NULL;
	*ret_version = known_version(site);
	if (*ret_version)
		return 0;
	if (nv_seed_ask(s, &call, &info, err) < 0 || check_service(info, err) < 0)
		return -1;
	const char *text = json_string_value(json_object_get(info, "version"));
	uint64_t version = text ? strtoull(text, NULL, 10) : 0;
	if (!version)
		return nv_fail(err, NV_RETRY, s->reason,
			       "seed-ws: %s: the answer names no Moodle version", call.function);
	pthread_mutex_lock(&site->lock);
	site->version = version;
	site->version_until = nv_mono_ms() + VERSION_MS;
	pthread_mutex_unlock(&site->lock);
	*ret_version = version;
	return 0;
}

/* --- the list --- */

/* A text, or nothing where that is allowed. */
static const char *text_in(const json_t *item, const char *key, bool optional, const char **wrong)
{
	const json_t *value = json_object_get(item, key);
	if ((!value || json_is_null(value)) && optional)
		return NULL;
	if (!json_is_string(value))
		*wrong = key;
	return json_string_value(value);
}

static uint64_t number_in(const json_t *item, const char *key, bool optional, const char **wrong)
{
	const json_t *value = json_object_get(item, key);
	if ((!value || json_is_null(value)) && optional)
		return 0;
	if (!json_is_integer(value) || json_integer_value(value) < 0)
		*wrong = key;
	return (uint64_t)json_integer_value(value);
}

static struct nv_seed_course read_course(const json_t *item, const char **wrong)
{
	struct nv_seed_course c = {
		.id = number_in(item, "id", false, wrong),
		.shortname = text_in(item, "shortname", false, wrong),
		.fullname = text_in(item, "fullname", false, wrong),
		.category = text_in(item, "categoryidentifier", true, wrong),
		.started = number_in(item, "startdate", true, wrong),
	};
	if (c.category && !*c.category)
		c.category = NULL;
	return c;
}

struct nv_seed_course nv_seed_course(const json_t *item)
{
	const char *wrong = NULL;
	return read_course(item, &wrong);
}

static int check_list(const struct nv_seed_session *s, const json_t *list, struct nv_err *err)
{
	if (!json_is_array(list))
		return nv_fail(err, NV_RETRY, s->reason, "seed-ws: %s: the answer is no list",
			       GET_COURSES);
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *item = json_array_get(list, i);
		const char *wrong = NULL;
		if (read_course(item, &wrong).id == 0 && !wrong)
			wrong = "id";
		if (wrong)
			return nv_fail(err, NV_RETRY, s->reason,
				       "seed-ws: %s: course %zu of the answer has no proper %s",
				       GET_COURSES, i + 1, wrong);
	}
	return 0;
}

int nv_seed_courses(struct nv_seed_session *s, const char *user, const struct nv_strs *roles,
		    json_t **ret, struct nv_err *err)
{
	nv_auto_buf struct nv_buf joined = {0};
	nv_buf_puts(&joined, "");
	for (size_t i = 0; i < roles->len; i++)
		nv_buf_printf(&joined, "%s%s", i ? "," : "", roles->items[i]);
	const char *arguments[] = {"username", user, "concernedroles", (char *)joined.data, NULL};
	struct nv_seed_call call = {GET_COURSES, arguments, s->site->timeout, LIST_BYTES};
	if (nv_seed_ask(s, &call, ret, err) < 0)
		return -1;
	if (check_list(s, *ret, err) == 0)
		return 0;
	json_decref(*ret);
	*ret = NULL;
	return -1;
}

/* --- the answer --- */

static char *cut(const char *text, size_t max, struct nv_arena *arena)
{
	char *copy = nv_arena_strdup(arena, text);
	if (copy)
		nv_text_clean(copy, max);
	return copy;
}

static void fill(const struct nv_seed *site, const json_t *list, const struct nv_catalog_request *q,
		 struct nv_catalog_reply *ret, struct nv_arena *arena)
{
	size_t len = json_array_size(list);
	if (len > COURSES_MAX) {
		NV_LOG(NV_WARN, "site.catalog", NV_P("user", q->user),
		       NV_S("cut", "the answer holds no more courses"));
		len = COURSES_MAX;
	}
	struct nv_course *items = nv_arena_alloc(arena, (len + 1) * sizeof *items);
	for (size_t i = 0; i < len; i++) {
		struct nv_seed_course c = nv_seed_course(json_array_get(list, i));
		items[i] = (struct nv_course){
			.course = nv_arena_printf(arena, "%" PRIu64, c.id),
			.shortname = cut(c.shortname, NAME_BYTES, arena),
			.fullname = cut(c.fullname, NAME_BYTES, arena),
			.category = cut(c.category, CATEGORY_BYTES, arena),
			.url = nv_arena_printf(arena, "%s/course/view.php?id=%" PRIu64, site->url,
					       c.id),
			.started = c.started * 1000,
		};
	}
	ret->courses = (struct nv_list){items, len};
}

/* Nice to have: the page can then say beforehand that the client is older. */
static uint64_t version_or_none(struct nv_seed_session *s)
{
	struct nv_err why = {0};
	uint64_t version = 0;
	if (nv_seed_version(s, &version, &why) < 0)
		NV_LOG(NV_WARN, "site.catalog", NV_E(&why));
	return version;
}

int nv_seed_catalog(struct nv_site *base, const struct nv_catalog_request *q,
		    struct nv_catalog_reply *ret, struct nv_arena *arena, struct nv_err *err)
{
	struct nv_seed *site = nv_seed(base);
	struct nv_seed_session s;
	nv_auto_json json_t *list = NULL;
	struct nv_err why = {0};
	(void)err;
	*ret = (struct nv_catalog_reply){.id = nv_arena_strdup(arena, q->id),
					 .user = nv_arena_strdup(arena, q->user),
					 .at = nv_now_ms()};
	if (strcmp(q->user_field, "username") != 0) {
		ret->status = NV_CAT_ERROR;
		ret->error = nv_arena_printf(arena,
					     "seed-ws: the older block knows people by their user "
					     "name only, not by %.20s",
					     q->user_field);
		return 0;
	}
	nv_seed_session_begin(&s, site, NULL, NV_R_internal);
	if (nv_seed_courses(&s, q->user, &q->roles, &list, &why) == 0) {
		ret->status = NV_CAT_OK;
		ret->moodle_version = version_or_none(&s);
		fill(site, list, q, ret, arena);
	} else if (why.reason == NV_R_unknown_user) {
		ret->status = NV_CAT_UNKNOWN_USER;
	} else {
		ret->status = NV_CAT_ERROR;
		ret->error = cut(why.msg, ERROR_BYTES, arena);
		NV_LOG(NV_WARN, "site.catalog", NV_P("user", q->user), NV_E(&why));
	}
	nv_seed_session_end(&s);
	return 0;
}
