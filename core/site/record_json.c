/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/site/record_json.h"

#include <ctype.h>
#include <string.h>

#include "base/hash.h"

void nv_json_cleanup(json_t **j)
{
	json_decref(*j);
}

/* jansson's integers are signed: what does not fit travels as text. */
static json_t *uint_json(uint64_t u)
{
	if (u <= INT64_MAX)
		return json_integer((json_int_t)u);
	return json_sprintf("%llu", (unsigned long long)u);
}

static json_t *bytes_json(const struct nv_bytes *b)
{
	if (!b->data)
		return NULL;
	nv_auto_free char *hex = nv_alloc(2 * b->len + 1);
	nv_hex(b->data, b->len, hex);
	return json_string(hex);
}

static json_t *strs_json(const struct nv_strs *s)
{
	json_t *array = json_array();
	for (size_t i = 0; i < s->len; i++)
		json_array_append_new(array, json_string(s->items[i]));
	return array;
}

json_t *nv_json_list(const struct nv_record *r, const struct nv_list *l)
{
	json_t *array = json_array();
	for (size_t i = 0; i < l->len; i++)
		json_array_append_new(array,
				      nv_json_record(r, (const char *)l->items + i * r->size));
	return array;
}

static json_t *field_json(const struct nv_field *f, const void *at)
{
	switch (f->type) {
	case NV_T_BOOL:
		return json_boolean(*(const bool *)at);
	case NV_T_UINT:
		return uint_json(*(const uint64_t *)at);
	case NV_T_ENUM:
		return json_string(f->names[*(const uint64_t *)at]);
	case NV_T_STR:
	case NV_T_UUID:
	case NV_T_NAME:
		return *(char *const *)at ? json_string(*(char *const *)at) : NULL;
	case NV_T_BIN:
		return bytes_json(at);
	case NV_T_STRS:
		return strs_json(at);
	case NV_T_LIST:
		return nv_json_list(f->sub, at);
	}
	return NULL;
}

json_t *nv_json_record(const struct nv_record *r, const void *in)
{
	json_t *object = json_object();
	for (size_t i = 0; i < r->fields_len; i++) {
		const struct nv_field *f = &r->fields[i];
		json_t *value = field_json(f, (const char *)in + f->offset);
		if (value)
			json_object_set_new(object, f->name, value);
	}
	return object;
}

static bool uint_from(const json_t *j, uint64_t *ret)
{
	if (json_is_integer(j) && json_integer_value(j) >= 0) {
		*ret = (uint64_t)json_integer_value(j);
		return true;
	}
	const char *text = json_string_value(j);
	char *end = NULL;
	if (!text || !isdigit((unsigned char)*text))
		return false;
	*ret = strtoull(text, &end, 10);
	return *end == '\0';
}

static bool enum_from(const struct nv_field *f, const json_t *j, uint64_t *ret)
{
	const char *word = json_string_value(j);
	for (*ret = 0; word && f->names[*ret]; (*ret)++) {
		if (strcmp(f->names[*ret], word) == 0)
			return true;
	}
	return false;
}

static bool strs_from(const json_t *j, struct nv_strs *ret, struct nv_arena *arena)
{
	if (!json_is_array(j))
		return false;
	size_t len = json_array_size(j);
	ret->items = nv_arena_alloc(arena, (len + 1) * sizeof *ret->items);
	for (ret->len = 0; ret->len < len; ret->len++) {
		const char *text = json_string_value(json_array_get(j, ret->len));
		if (!text)
			return false;
		ret->items[ret->len] = nv_arena_strdup(arena, text);
	}
	return true;
}

static bool list_from(const struct nv_record *r, const json_t *j, struct nv_list *ret,
		      struct nv_arena *arena)
{
	if (!json_is_array(j))
		return false;
	size_t len = json_array_size(j);
	ret->items = nv_arena_alloc(arena, (len + 1) * r->size);
	for (ret->len = 0; ret->len < len; ret->len++) {
		char *item = (char *)ret->items + ret->len * r->size;
		if (nv_json_to_record(r, json_array_get(j, ret->len), item, arena, NULL) < 0)
			return false;
	}
	return true;
}

static bool bytes_from(const json_t *j, struct nv_bytes *ret, struct nv_arena *arena)
{
	const char *hex = json_string_value(j);
	size_t len = hex ? strlen(hex) / 2 : 0;
	uint8_t *data = nv_arena_alloc(arena, len + 1);
	if (!hex || nv_unhex(hex, data, len) < 0)
		return false;
	*ret = (struct nv_bytes){data, len};
	return true;
}

static bool field_from(const struct nv_field *f, const json_t *j, void *at, struct nv_arena *arena)
{
	switch (f->type) {
	case NV_T_BOOL:
		*(bool *)at = json_is_true(j);
		return json_is_boolean(j);
	case NV_T_UINT:
		return uint_from(j, at);
	case NV_T_ENUM:
		return enum_from(f, j, at);
	case NV_T_STR:
	case NV_T_UUID:
	case NV_T_NAME:
		*(char **)at = nv_arena_strdup(arena, json_string_value(j));
		return json_is_string(j);
	case NV_T_BIN:
		return bytes_from(j, at, arena);
	case NV_T_STRS:
		return strs_from(j, at, arena);
	case NV_T_LIST:
		return list_from(f->sub, j, at, arena);
	}
	return false;
}

int nv_json_to_list(const struct nv_record *r, const json_t *from, struct nv_list *ret,
		    struct nv_arena *arena)
{
	*ret = (struct nv_list){0};
	return !from || json_is_null(from) || list_from(r, from, ret, arena) ? 0 : -1;
}

int nv_json_to_record(const struct nv_record *r, const json_t *from, void *ret,
		      struct nv_arena *arena, struct nv_err *err)
{
	memset(ret, 0, r->size);
	if (!json_is_object(from))
		return nv_fail(err, NV_RETRY, NV_R_io, "%s: not an object", r->name);
	for (size_t i = 0; i < r->fields_len; i++) {
		const struct nv_field *f = &r->fields[i];
		const json_t *value = json_object_get(from, f->name);
		if ((!value || json_is_null(value)) && !f->required)
			continue;
		if (!value || !field_from(f, value, (char *)ret + f->offset, arena))
			return nv_fail(err, NV_RETRY, NV_R_io, "%s.%s: %s", r->name, f->name,
				       value ? "not what belongs there" : "missing");
	}
	return 0;
}
