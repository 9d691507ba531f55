/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/json.h"

#include <stdio.h>
#include <string.h>

/* The depth of nested brackets outside strings. Whether it is valid JSON, jansson decides.
 * */
static bool is_flat_enough(const char *text, size_t len)
{
	bool in_text = false;
	size_t depth = 0;
	for (size_t i = 0; i < len; i++) {
		if (in_text && text[i] == '\\')
			i++;
		else if (text[i] == '"')
			in_text = !in_text;
		else if (!in_text && (text[i] == '[' || text[i] == '{') &&
			 ++depth > NV_JSON_DEPTH_MAX)
			return false;
		else if (!in_text && (text[i] == ']' || text[i] == '}') && depth)
			depth--;
	}
	return true;
}

static json_t *parse(const void *data, size_t len, size_t flags, json_error_t *ret_wrong)
{
	json_error_t wrong;
	const char *text = data ? data : "";
	if (!ret_wrong)
		ret_wrong = &wrong;
	if (is_flat_enough(text, len))
		return json_loadb(text, len, flags, ret_wrong);
	*ret_wrong = (json_error_t){.line = 1};
	(void)snprintf(ret_wrong->text, sizeof ret_wrong->text, "nested more than %u deep",
		       NV_JSON_DEPTH_MAX);
	return NULL;
}

json_t *nv_json_parse(const void *data, size_t len, json_error_t *ret_wrong)
{
	return parse(data, len, JSON_REJECT_DUPLICATES, ret_wrong);
}

json_t *nv_json_parse_lax(const void *data, size_t len, json_error_t *ret_wrong)
{
	return parse(data, len, 0, ret_wrong);
}
