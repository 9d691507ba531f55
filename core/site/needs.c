/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Plugins that a course needs: which, and whether a site has them. */
#include <string.h>

#include "core/site/needs.h"

#define WARNINGS_MAX 100u /* as archive.ready allows */

void nv_needs_from_names(const struct nv_strs *names, struct nv_list *ret, struct nv_arena *arena)
{
	size_t len = names->len < NV_NEEDS_MAX ? names->len : NV_NEEDS_MAX;
	struct nv_plugin *p = nv_arena_alloc(arena, (len + 1) * sizeof *p);
	for (size_t i = 0; i < len; i++)
		p[i].name = nv_arena_strdup(arena, names->items[i]); /* which version: not known */
	*ret = (struct nv_list){p, len};
}

static bool has_plugin(const struct nv_list *has, const char *name)
{
	const struct nv_plugin *p = has->items;
	for (size_t i = 0; i < has->len; i++)
		if (strcmp(p[i].name, name) == 0)
			return true;
	return false;
}

static void warn(struct nv_strs *to, const char *text, struct nv_arena *arena)
{
	char **items = nv_arena_alloc(arena, (to->len + 1) * sizeof *items);
	if (to->len == WARNINGS_MAX)
		return;
	if (to->len)
		memcpy(items, to->items, to->len * sizeof *items);
	items[to->len++] = nv_arena_strdup(arena, text);
	to->items = items;
}

static bool begins_with(const char *name, const char *prefix)
{
	return strncmp(name, prefix, strlen(prefix)) == 0;
}

int nv_needs_check(const struct nv_needs_check *c, struct nv_strs *warnings, struct nv_arena *arena,
		   struct nv_err *err)
{
	const struct nv_plugin *p = c->needs->items;
	for (size_t i = 0; c->has->len && i < c->needs->len; i++) {
		const char *name = p[i].name;
		bool block = begins_with(name, "block_");
		bool told = begins_with(name, "mod_") || begins_with(name, "qtype_") ||
			    begins_with(name, "format_");
		if (has_plugin(c->has, name) || (c->leave_out && told))
			continue;
		if (!block)
			return nv_fail(err, NV_REJECT, NV_R_plugin_missing,
				       "course %s needs the plugin %s, which the client lacks",
				       c->course, name);
		warn(warnings,
		     nv_arena_printf(arena, "The client lacks %s: the block is left out.", name),
		     arena);
	}
	return 0;
}
