/* SPDX-License-Identifier: GPL-3.0-or-later */
/* JSON: the line a value stands on (jansson forgets it). */
#include <ctype.h>
#include <string.h>

#include "core/site/folder/folder_internal.h"

static const char *skip_blank(const char *p)
{
	while (*p && isspace((unsigned char)*p))
		p++;
	return p;
}

/* Behind the string, number or word at p. */
static const char *skip_scalar(const char *p)
{
	if (*p != '"') {
		while (*p && !strchr(",]} \t\r\n", *p))
			p++;
		return p;
	}
	for (p++; *p && *p != '"'; p++) {
		if (*p == '\\' && p[1])
			p++;
	}
	return *p ? p + 1 : p;
}

/* Behind the value at p.  Counts brackets, so that it needs no recursion. */
static const char *skip_value(const char *p)
{
	size_t depth = 0;
	do {
		p = skip_blank(p);
		if (*p == '{' || *p == '[') {
			depth++;
			p++;
		} else if (*p == '}' || *p == ']') {
			depth -= depth > 0;
			p++;
		} else if (*p == ',' || *p == ':') {
			p++;
		} else if (*p) {
			p = skip_scalar(p);
		}
	} while (depth && *p);
	return p;
}

/* The value of one step inside the container at p; NULL when it has none. */
static const char *enter(const char *p, const struct nv_folder_step *step)
{
	if (*p != (step->key ? '{' : '['))
		return NULL;
	p = skip_blank(p + 1);
	for (size_t i = 0; *p && *p != '}' && *p != ']'; i++) {
		bool found = !step->key && i == step->index;
		if (step->key) {
			const char *end = skip_scalar(p);
			size_t len = strlen(step->key);
			found = (size_t)(end - p) == len + 2 && memcmp(p + 1, step->key, len) == 0;
			p = skip_blank(end);
			p = skip_blank(*p == ':' ? p + 1 : p);
		}
		if (found)
			return p;
		p = skip_blank(skip_value(p));
		p = skip_blank(*p == ',' ? p + 1 : p);
	}
	return NULL;
}

unsigned nv_folder_json_line(const char *text, const struct nv_folder_step *steps, size_t steps_len)
{
	const char *at = skip_blank(text);
	for (size_t i = 0; i < steps_len; i++) {
		const char *next = enter(at, &steps[i]);
		if (!next)
			break;
		at = next;
	}
	unsigned line = 1;
	for (const char *p = text; p < at; p++)
		line += *p == '\n';
	return line;
}
