/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Applying a changed file, or the site's settings, key by key. */
#include "core/config/config_table.h"

#include <string.h>

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_value(const struct nv_cfg_field *f, const void *a, const void *b)
{
	const char *at = (const char *)a + f->offset;
	const char *bt = (const char *)b + f->offset;
	const char *as;
	const char *bs;

	if (f->list) {
		size_t *alen;
		size_t *blen;
		const char **al = *nv_cfg_list(f, (void *)a, &alen);
		const char **bl = *nv_cfg_list(f, (void *)b, &blen);

		if (*alen != *blen)
			return false;
		for (size_t i = 0; i < *alen; i++)
			if (!same_text(al[i], bl[i]))
				return false;
		return true;
	}
	if (f->type == NV_CFG_WINDOW) {
		struct nv_window aw;
		struct nv_window bw;

		memcpy(&aw, at, sizeof aw);
		memcpy(&bw, bt, sizeof bw);
		return aw.set == bw.set && aw.from == bw.from && aw.to == bw.to;
	}
	if (f->type <= NV_CFG_WORD)
		return memcmp(at, bt, f->size) == 0;
	memcpy(&as, at, sizeof as);
	memcpy(&bs, bt, sizeof bs);
	return same_text(as, bs);
}

/* Texts are copied: fresh goes away. The old ones stay in the arena, others may still read them. */
static void take_over(const struct nv_cfg_field *f, struct nv_config *c,
		      const struct nv_config *fresh)
{
	char *to = (char *)c + f->offset;
	const char *from = (const char *)fresh + f->offset;
	const char *text;

	if (f->type == NV_CFG_WINDOW) {
		struct nv_window w;
		struct nv_window old;

		memcpy(&old, to, sizeof old);
		memcpy(&w, from, sizeof w);
		w.zone = old.zone;
		memcpy(to, &w, sizeof w);
	} else if (f->type <= NV_CFG_WORD) {
		memcpy(to, from, f->size);
	} else {
		memcpy(&text, from, sizeof text);
		text = nv_arena_strdup(&c->arena, text);
		memcpy(to, &text, sizeof text);
	}
}

static bool same_items(const struct nv_cfg_section *s, const struct nv_config *a,
		       const struct nv_config *b)
{
	const char *ai;
	const char *bi;
	size_t alen;
	size_t blen;

	memcpy(&alen, (const char *)a + s->len_offset, sizeof alen);
	memcpy(&blen, (const char *)b + s->len_offset, sizeof blen);
	memcpy(&ai, (const char *)a + s->offset, sizeof ai);
	memcpy(&bi, (const char *)b + s->offset, sizeof bi);
	if (alen != blen)
		return false;
	for (size_t i = 0; i < alen; i++)
		for (size_t j = 0; j < s->items_len; j++)
			if (!same_value(&s->items[j], ai + i * s->item_size, bi + i * s->item_size))
				return false;
	return true;
}

void nv_config_reload(struct nv_config *c, const struct nv_config *fresh, struct nv_buf *ret_notes)
{
	for (size_t i = 0; i < nv_cfg_fields_len; i++) {
		const struct nv_cfg_field *f = &nv_cfg_fields[i];

		/* What no file has is not its matter: the site's administrator may have set it. */
		if (same_value(f, c, fresh) ||
		    (c->given && fresh->given && !c->given[i] && !fresh->given[i]))
			continue;
		if (f->reloadable)
			take_over(f, c, fresh);
		else
			nv_buf_printf(ret_notes, "%s.%s has changed: needs a restart\n", f->section,
				      f->key);
	}
	for (size_t i = 0; i < nv_cfg_sections_len; i++) {
		const struct nv_cfg_section *s = &nv_cfg_sections[i];

		if (s->items && !same_items(s, c, fresh))
			nv_buf_printf(ret_notes, "%s has changed: needs a restart\n", s->name);
	}
}

/* --- the site's settings --- */

static bool is_restore(const struct nv_cfg_field *f, const char *key)
{
	return strcmp(f->section, "restore") == 0 && (!key || strcmp(f->key, key) == 0);
}

bool nv_config_restore_given(const struct nv_config *c, const char *key)
{
	for (size_t i = 0; c->given && i < nv_cfg_fields_len; i++)
		if (is_restore(&nv_cfg_fields[i], key))
			return c->given[i];
	return true;
}

static bool same_texts(const char **a, size_t a_len, const char **b, size_t b_len)
{
	if (a_len != b_len)
		return false;
	for (size_t i = 0; i < a_len; i++)
		if (!same_text(a[i], b[i]))
			return false;
	return true;
}

static bool adopt_roles(struct nv_config *c, const struct nv_config_restore *site)
{
	struct nv_config_restore *r = &c->restore;
	const char **roles;

	if (same_texts(r->search_roles, r->search_roles_len, site->search_roles,
		       site->search_roles_len))
		return false;
	roles = nv_arena_alloc(&c->arena, (site->search_roles_len + 1) * sizeof *roles);
	for (size_t i = 0; i < site->search_roles_len; i++)
		roles[i] = nv_arena_strdup(&c->arena, site->search_roles[i]);
	r->search_roles = roles;
	r->search_roles_len = site->search_roles_len;
	return true;
}

bool nv_config_adopt(struct nv_config *c, const struct nv_config_restore *site)
{
	struct nv_config fresh = {.restore = *site};
	bool changed = adopt_roles(c, site);

	for (size_t i = 0; i < nv_cfg_fields_len; i++) {
		const struct nv_cfg_field *f = &nv_cfg_fields[i];

		if (!is_restore(f, NULL) || !c->given || c->given[i] || same_value(f, c, &fresh))
			continue;
		take_over(f, c, &fresh);
		changed = true;
	}
	return changed;
}

const char *const *nv_config_search_roles(const struct nv_config *c,
					  const struct nv_config_site *site, size_t *ret_len)
{
	static const char *const fallback[] = {"editingteacher"};

	*ret_len = site->search_roles_len;
	if (*ret_len)
		return site->search_roles;
	*ret_len = c->restore.search_roles_len;
	if (*ret_len)
		return c->restore.search_roles;
	*ret_len = NV_ARRAY_LEN(fallback);
	return fallback;
}

/* A folder of backups takes a course whole or not at all, so the course server is to refuse it
 * before it exports anything. */
bool nv_config_leaves_out(const struct nv_config *c)
{
	bool folder = c->site.path && c->site.type == NV_SITE_FOLDER;
	return c->restore.leave_out && !folder;
}
