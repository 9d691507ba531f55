/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The present rights of users who came through Moodle's button, asked for many at once. */
#include <string.h>

#include "core/site/moodle/moodle_internal.h"

static json_t *question(const struct nv_person_rights *people, size_t len)
{
	json_t *list = json_array();
	for (size_t i = 0; i < len; i++)
		json_array_append_new(list, json_pack("{s:s, s:I}", "user", people[i].user, "block",
						      (json_int_t)people[i].block));
	return json_pack("{s:o}", "people", list);
}

static int read_person(const json_t *from, struct nv_person_rights *ret)
{
	const json_t *served = json_object_get(from, "served");
	const json_t *caps = json_object_get(from, "caps");
	size_t i;
	json_t *one;
	if (!json_is_boolean(served) || !json_is_array(caps))
		return -1;
	ret->served = json_is_true(served);
	ret->manage = ret->user_data = ret->link = false;
	json_array_foreach(caps, i, one)
	{
		const char *word = json_string_value(one);
		if (!word)
			return -1;
		ret->manage = ret->manage || strcmp(word, "manage") == 0;
		ret->user_data = ret->user_data || strcmp(word, "restoreuserdata") == 0;
		ret->link = ret->link || strcmp(word, "seeexternalcourselink") == 0;
	}
	return 0;
}

int nv_moodle_rights(struct nv_site *base, struct nv_person_rights *io, size_t len,
		     const struct nv_job *job, struct nv_err *err)
{
	const struct nv_moodle *s = nv_moodle(base);
	nv_auto_json json_t *result = NULL;
	nv_auto_json json_t *input = question(io, len);
	struct nv_moodle_call call = {
		.operation = "rights",
		.input = input,
		.job = job,
		.timeout = s->timeout,
		.reason = NV_R_internal,
	};
	if (nv_moodle_ask(s, &call, &result, err) < 0)
		return -1;
	const json_t *people = json_object_get(result, "people");
	bool good = json_array_size(people) == len;
	for (size_t i = 0; good && i < len; i++)
		good = read_person(json_array_get(people, i), &io[i]) == 0;
	if (!good)
		return nv_fail(err, NV_RETRY, NV_R_internal,
			       "moodle rights: the result is not what was asked");
	return 0;
}
