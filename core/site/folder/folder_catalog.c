/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which courses may this user bring? */
#include <string.h>

#include "base/id.h"
#include "base/log.h"
#include "base/text.h"
#include "core/site/folder/folder_internal.h"

#define CATALOG_MAX 5000u /* as catalog.reply allows, and the next */
#define DAMAGED_MAX 512u

/* After its file, where site.json does not name it. */
static void name_damaged(const struct nv_folder_course *course, struct nv_folder_course_info *io,
			 struct nv_arena *arena)
{
	const char *name = course->shortname ? course->shortname : course->fullname;
	io->shortname = nv_arena_strdup(arena, name ? name : course->file);
	io->fullname = nv_arena_strdup(arena, course->fullname ? course->fullname : io->shortname);
	nv_text_clean(io->shortname, NV_FOLDER_NAME_MAX);
	nv_text_clean(io->fullname, NV_FOLDER_NAME_MAX);
}

static void add_course(struct nv_folder_site *s, const struct nv_folder_model *m,
		       const struct nv_folder_course *course, const char *role,
		       struct nv_course *items, size_t *len, struct nv_arena *arena)
{
	struct nv_folder_course_info info;
	struct nv_err err = {0};
	const struct nv_folder_category *category = &m->categories[course->category];
	char *damaged = NULL;

	/* One damaged or missing file hides neither the other courses nor its own. */
	if (nv_folder_course_info(s, course, &info, arena, &err) < 0) {
		NV_LOG(NV_WARN, "site.catalog", NV_S("course", course->id), NV_E(&err));
		damaged = nv_arena_strdup(arena, err.msg);
		nv_text_clean(damaged, DAMAGED_MAX);
		name_damaged(course, &info, arena);
	}
	items[(*len)++] = (struct nv_course){
		.course = nv_arena_strdup(arena, course->id),
		.shortname = info.shortname,
		.fullname = info.fullname,
		.category = nv_arena_strdup(arena, category->idnumber),
		.category_name = nv_arena_strdup(arena, category->name),
		.role = nv_arena_strdup(arena, role),
		.size = info.packed,
		.damaged = damaged,
	};
}

static void list_courses(struct nv_folder_site *s, const struct nv_folder_model *m, size_t user,
			 const struct nv_strs *roles, struct nv_list *ret, struct nv_arena *arena)
{
	struct nv_course *items = nv_arena_alloc(arena, (m->courses_len + 1) * sizeof *items);
	size_t len = 0;
	for (size_t i = 0; i < m->courses_len; i++) {
		const char *role = nv_folder_role_held(m, user, &m->courses[i], roles);
		if (role && len == CATALOG_MAX) {
			NV_LOG(NV_WARN, "site.catalog", NV_P("user", m->users[user].username),
			       NV_S("cut", "the answer holds no more courses"));
			break;
		}
		if (role)
			add_course(s, m, &m->courses[i], role, items, &len, arena);
	}
	*ret = (struct nv_list){items, len};
}

int nv_folder_catalog(struct nv_site *base, const struct nv_catalog_request *q,
		      struct nv_catalog_reply *ret, struct nv_arena *arena, struct nv_err *err)
{
	struct nv_folder_site *s = nv_folder_site(base);
	nv_auto_model struct nv_folder_model *m = nv_folder_model_get(s, err);
	struct nv_err why = {0};
	size_t user = 0;
	size_t matches = 0;
	if (!m || nv_folder_check_backups(s, m, err) < 0)
		return -1;
	*ret = (struct nv_catalog_reply){
		.id = nv_arena_strdup(arena, q->id),
		.user = nv_arena_strdup(arena, q->user),
		.moodle_version = m->moodle_version,
		.at = nv_now_ms(),
	};
	if (nv_folder_find_user(m, q->user_field, q->user, &user, &matches, &why) == 0) {
		ret->status = NV_CAT_OK;
		list_courses(s, m, user, &q->roles, &ret->courses, arena);
		return 0;
	}
	bool nobody = why.reason == NV_R_unknown_user && matches == 0;
	ret->status = nobody ? NV_CAT_UNKNOWN_USER : NV_CAT_ERROR;
	ret->error = nobody ? NULL : nv_arena_strndup(arena, why.msg, strnlen(why.msg, 500));
	return 0;
}
