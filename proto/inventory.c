/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "proto/inventory.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define KIND_MAX 32u
#define TYPE_MAX 100u

#define COUNT(n, t, most, text)                                                                    \
	{                                                                                          \
		.name = #n, .type = (t), .required = true, .offset = offsetof(struct nv_count, n), \
		.max = (most), .doc = (text)                                                       \
	}
static const struct nv_field count_fields[] = {
	COUNT(kind, NV_T_STR, KIND_MAX, "section, activity, question, file, person, grade, …"),
	COUNT(type, NV_T_STR, TYPE_MAX, "module, question type or component; may be empty"),
	COUNT(count, NV_T_UINT, UINT64_MAX, "how many of these the course has"),
};
const struct nv_record nv_count_record = {
	.name = "count",
	.size = sizeof(struct nv_count),
	.fields = count_fields,
	.fields_len = NV_ARRAY_LEN(count_fields),
	.doc = "How many of something a course has.",
};

#define DIFFERENCE(n, t, most, text)                                                      \
	{                                                                                 \
		.name = #n, .type = (t), .required = true,                                \
		.offset = offsetof(struct nv_difference, n), .max = (most), .doc = (text) \
	}
static const struct nv_field difference_fields[] = {
	DIFFERENCE(kind, NV_T_STR, KIND_MAX, "as in count"),
	DIFFERENCE(type, NV_T_STR, TYPE_MAX, "as in count"),
	DIFFERENCE(had, NV_T_UINT, UINT64_MAX, "the course"),
	DIFFERENCE(has, NV_T_UINT, UINT64_MAX, "the restored course"),
};
const struct nv_record nv_difference_record = {
	.name = "difference",
	.size = sizeof(struct nv_difference),
	.fields = difference_fields,
	.fields_len = NV_ARRAY_LEN(difference_fields),
	.doc = "What a restored course has less of.",
};

/* --- comparing --- */

/* A name of Moodle's as one word: the other side's may be anything. */
static char *word(const char *name, size_t max, struct nv_arena *arena)
{
	char *w = nv_arena_strndup(arena, name, strnlen(name, max));
	for (char *c = w; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("_-.", *c))
			*c = '_';
	return w;
}

/* Is the kind among them?  Then *ret is how many there are of this type. */
static bool look_up(const struct nv_list *list, const struct nv_count *what, uint64_t *ret)
{
	const struct nv_count *c = list->items;
	bool counted = false;
	*ret = 0;
	for (size_t i = 0; i < list->len; i++) {
		bool same = strcmp(c[i].kind, what->kind) == 0;
		counted = counted || same;
		if (same && strcmp(c[i].type, what->type) == 0)
			*ret = c[i].count;
	}
	return counted;
}

void nv_inventory_compare(const struct nv_list *had, const struct nv_list *has, struct nv_list *ret,
			  struct nv_arena *arena)
{
	const struct nv_count *c = had->items;
	struct nv_difference *d = nv_arena_alloc(arena, (had->len + 1) * sizeof *d);
	size_t len = 0;
	uint64_t there;
	for (size_t i = 0; i < had->len; i++)
		if (look_up(has, &c[i], &there) && there < c[i].count)
			d[len++] = (struct nv_difference){.kind = word(c[i].kind, KIND_MAX, arena),
							  .type = word(c[i].type, TYPE_MAX, arena),
							  .had = c[i].count,
							  .has = there};
	*ret = (struct nv_list){d, len};
}

/* --- as text --- */

void nv_differences_put(const struct nv_list *differences, struct nv_buf *out)
{
	const struct nv_difference *d = differences->items;
	for (size_t i = 0; i < differences->len; i++)
		nv_buf_printf(out, "%s %s %" PRIu64 " %" PRIu64 "\n", d[i].kind,
			      *d[i].type ? d[i].type : "-", d[i].had, d[i].has);
}

static bool read_number(const char *text, uint64_t *ret)
{
	char *end = NULL;
	if (!text || !isdigit((unsigned char)*text))
		return false;
	*ret = strtoull(text, &end, 10);
	return *end == '\0';
}

/* The line is cut into its words. */
static bool read_line(char *line, struct nv_difference *ret, struct nv_arena *arena)
{
	char *rest = NULL;
	const char *kind = strtok_r(line, " ", &rest);
	const char *type = strtok_r(NULL, " ", &rest);
	if (!kind || !type || !read_number(strtok_r(NULL, " ", &rest), &ret->had) ||
	    !read_number(strtok_r(NULL, " ", &rest), &ret->has))
		return false;
	ret->kind = nv_arena_strdup(arena, kind);
	ret->type = nv_arena_strdup(arena, strcmp(type, "-") == 0 ? "" : type);
	return true;
}

void nv_differences_get(const char *text, size_t len, struct nv_list *ret, struct nv_arena *arena)
{
	nv_auto_free char *copy = nv_strndup(text, len);
	size_t lines = 0, found = 0;
	for (const char *c = copy; *c; c++)
		lines += *c == '\n';
	struct nv_difference *d = nv_arena_alloc(arena, (lines + 1) * sizeof *d);
	char *rest = copy;
	for (char *line; found <= lines && (line = strtok_r(rest, "\n", &rest));)
		if (read_line(line, &d[found], arena))
			found++;
	*ret = (struct nv_list){d, found};
}

void nv_inventory_copy(const struct nv_list *from, struct nv_list *ret, struct nv_arena *arena)
{
	const struct nv_count *c = from->items;
	struct nv_count *copy = nv_arena_alloc(arena, (from->len + 1) * sizeof *copy);
	for (size_t i = 0; i < from->len; i++)
		copy[i] = (struct nv_count){.kind = nv_arena_strdup(arena, c[i].kind),
					    .type = nv_arena_strdup(arena, c[i].type),
					    .count = c[i].count};
	*ret = (struct nv_list){copy, from->len};
}

void nv_differences_copy(const struct nv_list *from, struct nv_list *ret, struct nv_arena *arena)
{
	const struct nv_difference *d = from->items;
	struct nv_difference *copy = nv_arena_alloc(arena, (from->len + 1) * sizeof *copy);
	for (size_t i = 0; i < from->len; i++)
		copy[i] = (struct nv_difference){.kind = nv_arena_strdup(arena, d[i].kind),
						 .type = nv_arena_strdup(arena, d[i].type),
						 .had = d[i].had,
						 .has = d[i].has};
	*ret = (struct nv_list){copy, from->len};
}

char *nv_difference_text(const struct nv_difference *d)
{
	return nv_asprintf("%s%s%s: the course had %" PRIu64 ", the restored one has %" PRIu64,
			   d->kind, *d->type ? " " : "", d->type, d->had, d->has);
}
