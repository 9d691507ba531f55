/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Conversion between JSON of the scripts and our structs. */
#include <string.h>

#include "core/site/moodle/moodle_internal.h"

#define WARNINGS_MAX 100u     /* as archive.ready allows */
#define WARNING_BYTES 500u    /* as archive.ready allows */
#define OUTCOME_BYTES 1333u   /* of a name or address, as the messages allow */
#define IDENTIFIER_BYTES 255u /* of a category's identifier, as the messages allow */

char *nv_moodle_cut(const char *text, size_t max, struct nv_arena *arena)
{
	if (!text)
		return NULL;
	size_t len = strlen(text);
	if (len > max) {
		len = max;
		while (len && ((unsigned char)text[len] & 0xc0) == 0x80)
			len--;
	}
	return nv_arena_strndup(arena, text, len);
}

char *nv_moodle_text(const json_t *object, const char *key, struct nv_arena *arena)
{
	const json_t *value = json_object_get(object, key);
	if (json_is_integer(value))
		return nv_arena_printf(arena, "%lld", (long long)json_integer_value(value));
	return nv_arena_strdup(arena, json_string_value(value));
}

uint64_t nv_moodle_uint(const json_t *object, const char *key)
{
	json_int_t value = json_integer_value(json_object_get(object, key));
	return value > 0 ? (uint64_t)value : 0;
}

int nv_moodle_record(const struct nv_record *r, const json_t *from, void *ret,
		     struct nv_arena *arena, struct nv_err *err)
{
	if (nv_json_to_record(r, from, ret, arena, err) < 0)
		return -1;
	for (size_t i = 0; i < r->fields_len; i++) {
		char **at = (char **)(void *)((char *)ret + r->fields[i].offset);
		if (r->fields[i].type == NV_T_STR && *at && strlen(*at) > r->fields[i].max)
			*at = nv_moodle_cut(*at, r->fields[i].max, arena);
	}
	return 0;
}

void nv_moodle_list(const struct nv_record *r, const json_t *from, size_t max, struct nv_list *ret,
		    struct nv_arena *arena)
{
	size_t len = json_array_size(from);
	char *items = nv_arena_alloc(arena, ((len < max ? len : max) + 1) * r->size);
	*ret = (struct nv_list){items, 0};
	for (size_t i = 0; i < len && ret->len < max; i++)
		if (nv_moodle_record(r, json_array_get(from, i), items + ret->len * r->size, arena,
				     NULL) == 0)
			ret->len++;
}

const struct nv_record *nv_moodle_items(const struct nv_record *r, const char *list)
{
	for (size_t i = 0; i < r->fields_len; i++)
		if (strcmp(r->fields[i].name, list) == 0)
			return r->fields[i].sub;
	abort(); /* the field was renamed and this file forgotten */
}

void nv_moodle_warn(struct nv_strs *to, const char *text, struct nv_arena *arena)
{
	if (!text || !*text || to->len == WARNINGS_MAX)
		return;
	if (!to->items)
		to->items = nv_arena_alloc(arena, WARNINGS_MAX * sizeof *to->items);
	to->items[to->len++] = nv_moodle_cut(text, WARNING_BYTES, arena);
}

static char *cut_text(const json_t *object, const char *key, size_t max, struct nv_arena *arena)
{
	return nv_moodle_cut(nv_moodle_text(object, key, arena), max, arena);
}

void nv_moodle_outcome(const json_t *from, struct nv_imported *ret, struct nv_arena *arena)
{
	const json_t *warnings = json_object_get(from, "warnings");
	*ret = (struct nv_imported){
		.course = nv_moodle_text(from, "course", arena),
		.url = cut_text(from, "url", OUTCOME_BYTES, arena),
		.shortname = cut_text(from, "shortname", OUTCOME_BYTES, arena),
		.fullname = cut_text(from, "fullname", OUTCOME_BYTES, arena),
		.category = cut_text(from, "category", IDENTIFIER_BYTES, arena),
		.user_data = json_is_true(json_object_get(from, "user_data")),
		.existed = json_is_true(json_object_get(from, "existed")),
		.enrolled = json_is_true(json_object_get(from, "enrolled")),
		.at = nv_moodle_uint(from, "at"),
	};
	for (size_t i = 0; i < json_array_size(warnings); i++)
		nv_moodle_warn(&ret->warnings, json_string_value(json_array_get(warnings, i)),
			       arena);
	struct nv_list had, has;
	nv_moodle_list(&nv_count_record, json_object_get(from, "had"), NV_INVENTORY_MAX, &had,
		       arena);
	nv_moodle_list(&nv_count_record, json_object_get(from, "has"), NV_INVENTORY_MAX, &has,
		       arena);
	ret->compared = had.len && has.len;
	nv_inventory_compare(&had, &has, &ret->differences, arena);
}

json_t *nv_moodle_policy(const struct nv_config_client *policy)
{
	if (!policy)
		return json_null();
	json_t *categories = json_array();
	for (size_t i = 0; i < policy->categories_len; i++)
		json_array_append_new(categories, json_string(policy->categories[i]));
	return json_pack("{s:s?, s:b, s:b, s:o}", "name", policy->name, "user_data",
			 policy->user_data, "without_user", policy->without_user, "categories",
			 categories);
}

static void set_text(json_t *object, const char *key, const char *text)
{
	if (text && *text)
		json_object_set_new(object, key, json_string(text));
}

static void set_bool(json_t *object, const struct nv_config *c, const char *key, bool value)
{
	if (nv_config_restore_given(c, key))
		json_object_set_new(object, key, json_boolean(value));
}

/* Keys that our file does not set are left to Moodle's settings at the moment of the restore. */
static json_t *settings_json(const struct nv_config *c)
{
	json_t *settings = json_object();
	set_bool(settings, c, "only_one", c->restore.only_one);
	set_bool(settings, c, "check_course_create", c->restore.check_course_create);
	set_bool(settings, c, "enrol_requester", c->restore.enrol_requester);
	if (nv_config_restore_given(c, "default_category"))
		set_text(settings, "default_category", c->restore.default_category);
	if (nv_config_restore_given(c, "user_field"))
		set_text(settings, "user_field", c->restore.user_field);
	if (nv_config_restore_given(c, "enrol_role"))
		set_text(settings, "enrol_role", c->restore.enrol_role);
	return settings;
}

json_t *nv_moodle_import_json(const struct nv_import *in, uint64_t bytes, uint64_t version)
{
	json_t *json = json_object();
	json_object_set_new(json, "request",
			    nv_json_record(&nv_restore_request_record, in->request));
	set_text(json, "site", in->site);
	set_text(json, "category", in->category);
	json_object_set_new(json, "moodle_version", json_integer((json_int_t)version));
	json_object_set_new(json, "bytes", json_integer((json_int_t)bytes));
	if (in->retry_in)
		json_object_set_new(json, "retry_in", json_integer((json_int_t)in->retry_in));
	if (in->needs)
		json_object_set_new(json, "needs", nv_json_list(&nv_plugin_record, in->needs));
	if (in->config)
		json_object_set_new(json, "settings", settings_json(in->config));
	return json;
}
