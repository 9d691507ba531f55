/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The arguments of a command: a growing list of binary strings. */
#include <string.h>

#include "core/status/status_internal.h"

void nv_args_add(struct nv_args *a, const void *data, size_t len)
{
	if (a->len == a->cap) {
		a->cap = a->cap ? 2 * a->cap : 32;
		a->items = nv_realloc(a->items, a->cap * sizeof *a->items);
		a->lens = nv_realloc(a->lens, a->cap * sizeof *a->lens);
	}
	a->items[a->len] = nv_strndup(data ? data : "", 0);
	if (len) {
		a->items[a->len] = nv_realloc(a->items[a->len], len);
		memcpy(a->items[a->len], data, len);
	}
	a->lens[a->len++] = len;
}

void nv_args_str(struct nv_args *a, const char *s)
{
	nv_args_add(a, s, s ? strlen(s) : 0);
}

void nv_args_strs(struct nv_args *a, const char *const *list, size_t len)
{
	for (size_t i = 0; i < len; i++)
		nv_args_str(a, list[i]);
}

void nv_args_uint(struct nv_args *a, uint64_t n)
{
	char text[24];

	snprintf(text, sizeof text, "%llu", (unsigned long long)n);
	nv_args_str(a, text);
}

void nv_args_fini(struct nv_args *a)
{
	for (size_t i = 0; i < a->len; i++)
		free(a->items[i]);
	free(a->items);
	free(a->lens);
	*a = (struct nv_args){0};
}
