/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "producer/body.h"

#include <stdarg.h>
#include <string.h>
#include <strings.h>

#include "base/json.h"

/* An answer of this status, as nv_api_err makes it; here so that the reader stands alone. */
static int unprocessable(struct nv_err *err, unsigned status, const char *text)
{
	nv_fail(err, NV_REJECT, NV_R_bad_message, "%s", text);
	if (err)
		err->code = (int)status;
	return -1;
}

static bool is_json(const char *type)
{
	size_t len = type ? strcspn(type, "; ") : 0;
	return len == strlen("application/json") && strncasecmp(type, "application/json", len) == 0;
}

json_t *nv_body_parse(const struct nv_http_request *r, struct nv_err *err)
{
	size_t len;
	json_error_t je;
	const char *text = nv_http_body(r, &len);
	if (!is_json(nv_http_header(r, "Content-Type"))) {
		unprocessable(err, 415, "the body must be application/json");
		return NULL;
	}
	json_t *o = nv_json_parse(text, len, &je);
	if (!o) {
		char line[256];
		snprintf(line, sizeof line, "the body is not JSON: line %d: %s", je.line, je.text);
		unprocessable(err, 400, line);
	} else if (!json_is_object(o)) {
		json_decref(o);
		unprocessable(err, 422, "the body is not an object");
		return NULL;
	}
	return o;
}

int nv_body_none(const struct nv_http_request *r, struct nv_err *err)
{
	size_t len;
	const char *text = nv_http_body(r, &len);
	json_t *o = len ? nv_json_parse(text, len, NULL) : NULL;
	bool none = !len || (json_is_object(o) && !json_object_size(o));
	json_decref(o);
	return none ? 0 : unprocessable(err, 422, "no body is expected here");
}

int nv_body_wrong(const struct body *b, const char *field, const char *fmt, ...)
{
	char what[256];
	char line[512];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(what, sizeof what, fmt, ap);
	va_end(ap);
	snprintf(line, sizeof line, "%s%.100s: %s", b->where, field, what);
	return unprocessable(b->err, 422, line);
}

int nv_body_known(const struct body *b, const char *const *fields, size_t len)
{
	const char *key;
	json_t *value;
	json_object_foreach(b->o, key, value)
	{
		size_t i = 0;
		while (i < len && strcmp(fields[i], key) != 0)
			i++;
		if (i == len)
			return nv_body_wrong(b, key, "unknown field");
	}
	return 0;
}

static bool has_control(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
			return true;
	return false;
}

int nv_body_text(const struct body *b, const char *field, size_t max, bool required,
		 const char **ret)
{
	json_t *v = json_object_get(b->o, field);
	if (!v)
		return required ? nv_body_wrong(b, field, "missing") : 0;
	if (!json_is_string(v))
		return nv_body_wrong(b, field, "not a string");
	size_t len = json_string_length(v);
	if (!len || len > max)
		return nv_body_wrong(b, field, "not 1 to %zu bytes long", max);
	if (has_control(json_string_value(v), len))
		return nv_body_wrong(b, field, "holds a control character");
	*ret = json_string_value(v);
	return 0;
}

int nv_body_text_or_null(const struct body *b, const char *field, size_t max, bool *ret_given,
			 const char **ret)
{
	json_t *v = json_object_get(b->o, field);
	*ret_given = v != NULL;
	*ret = NULL;
	return json_is_null(v) ? 0 : nv_body_text(b, field, max, false, ret);
}

int nv_body_bool(const struct body *b, const char *field, bool *ret_given, bool *ret)
{
	json_t *v = json_object_get(b->o, field);
	*ret_given = v != NULL;
	if (!v)
		return 0;
	if (!json_is_boolean(v))
		return nv_body_wrong(b, field, "not true or false");
	*ret = json_is_true(v);
	return 0;
}

int nv_body_uint(const struct body *b, const char *field, uint64_t min, uint64_t max,
		 bool *ret_given, uint64_t *ret)
{
	json_t *v = json_object_get(b->o, field);
	*ret_given = v != NULL;
	if (!v)
		return 0;
	json_int_t n = json_is_integer(v) ? json_integer_value(v) : -1;
	if (n < 0 || (uint64_t)n < min || (uint64_t)n > max)
		return nv_body_wrong(b, field, "not a whole number from %llu to %llu",
				     (unsigned long long)min, (unsigned long long)max);
	*ret = (uint64_t)n;
	return 0;
}

int nv_body_word(const struct body *b, const char *field, const char *const *words, bool *ret_given,
		 uint64_t *ret)
{
	json_t *v = json_object_get(b->o, field);
	*ret_given = v != NULL;
	if (!v)
		return 0;
	char known[128] = "";
	for (uint64_t i = 0; words[i]; i++) {
		if (json_is_string(v) && strcmp(words[i], json_string_value(v)) == 0) {
			*ret = i;
			return 0;
		}
		size_t at = strlen(known);
		snprintf(known + at, sizeof known - at, "%s%s", at ? ", " : "", words[i]);
	}
	return nv_body_wrong(b, field, "not one of %s", known);
}
