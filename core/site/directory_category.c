/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where a restored course goes, who may make it there, and what it is called. */
#include <string.h>

#include "core/base/log.h"
#include "core/site/directory_internal.h"

#define MOODLE_SHORTNAME_MAX 100u /* characters */
#define COPIES_MAX 100000u

static bool may_create(const struct nv_dir_model *m, const struct nv_dir_user *u, size_t category)
{
	if (u->create_anywhere)
		return true;
	for (size_t i = 0; i < u->create_in_len; i++) {
		if (nv_dir_within(m, category, u->create_in[i]))
			return true;
	}
	return false;
}

static void warn_default(struct nv_strs *warnings, struct nv_arena *arena, const char *why,
			 const char *identifier)
{
	nv_dir_strs_add(warnings,
			nv_arena_printf(arena,
					"%s \"%s\": the course was restored into the default "
					"category.",
					why, identifier),
			arena);
}

/* The category that was asked for; NV_DIR_NONE: the default. */
static size_t wanted_category(const struct nv_dir_model *m, const struct nv_import *in,
			      struct nv_strs *warnings, struct nv_arena *arena)
{
	const struct nv_restore_request *q = in->request;
	if (q->keep_category && in->category && *in->category) {
		size_t kept = nv_dir_find_category(m, in->category, false);
		if (kept == NV_DIR_NONE)
			warn_default(warnings, arena,
				     "There is no category with the original identifier",
				     in->category);
		return kept;
	}
	if (q->keep_category)
		nv_dir_strs_add(warnings,
				"The course's category has no identifier on the course server: "
				"the course was restored into the default category.",
				arena);
	if (q->keep_category || !q->category || !*q->category)
		return NV_DIR_NONE;
	size_t asked = nv_dir_find_category(m, q->category, true);
	if (asked == NV_DIR_NONE)
		warn_default(warnings, arena, "There is no category with the identifier",
			     q->category);
	return asked;
}

static int find_requester(const struct nv_dir_model *m, const struct nv_import *in,
			  const struct nv_dir_user **ret, struct nv_err *err)
{
	const char *field = in->config->restore.user_field;
	size_t user = 0;
	*ret = NULL;
	if (!in->request->user || !*in->request->user)
		return 0;
	if (!in->config->restore.enrol_requester && !in->config->restore.check_course_create)
		return 0;
	if (nv_dir_find_user(m, field && *field ? field : "username", in->request->user, &user,
			     NULL, err) < 0)
		return -1;
	*ret = &m->users[user];
	return 0;
}

int nv_dir_choose_target(const struct nv_dir_model *m, const struct nv_import *in,
			 struct nv_dir_target *ret, struct nv_strs *warnings,
			 struct nv_arena *arena, struct nv_err *err)
{
	const char *name = in->config->restore.default_category;
	size_t fallback = nv_dir_find_category(m, name, true);
	size_t target = wanted_category(m, in, warnings, arena);
	if (find_requester(m, in, &ret->user, err) < 0)
		return -1;
	if (target == NV_DIR_NONE)
		target = fallback;
	if (target == NV_DIR_NONE)
		return nv_fail(err, NV_REJECT, NV_R_category_missing,
			       "restore.default_category: there is no category \"%s\" on %s",
			       name ? name : "", m->name);
	ret->category = &m->categories[target];
	if (!ret->user || !in->config->restore.check_course_create ||
	    may_create(m, ret->user, target))
		return 0;
	if (fallback == NV_DIR_NONE || !may_create(m, ret->user, fallback))
		return nv_fail(err, NV_REJECT, NV_R_capability_missing,
			       "%s may create courses neither in the category \"%s\" nor in the "
			       "default category",
			       in->request->user, ret->category->name);
	warn_default(warnings, arena, "The requester may not create courses in the category",
		     ret->category->name);
	ret->category = &m->categories[fallback];
	return 0;
}

/* --- names --- */

/* The names in use, as the keys of two objects. */
struct names {
	json_t *shortnames;
	json_t *fullnames;
};

static void take(struct names *n, const char *shortname, const char *fullname)
{
	json_object_set_new(n->shortnames, shortname, json_true());
	json_object_set_new(n->fullnames, fullname, json_true());
}

static int read_names(const char *site, const struct nv_dir_model *m, struct names *n,
		      struct nv_err *err)
{
	nv_auto_arena struct nv_arena arena = {0};
	nv_auto_free char *courses = nv_asprintf("%s/courses", site);
	struct nv_strs ids;
	/* Names that stand in site.json; what only a backup says belongs to the source side. */
	for (size_t i = 0; i < m->courses_len; i++) {
		const struct nv_dir_course *c = &m->courses[i];
		if (c->shortname)
			take(n, c->shortname, c->fullname ? c->fullname : c->shortname);
	}
	if (nv_dir_names(courses, &ids, &arena, err) < 0)
		return -1;
	for (size_t i = 0; i < ids.len; i++) {
		nv_auto_arena struct nv_arena one = {0};
		nv_auto_free char *path = nv_asprintf("%s/%s/course.json", courses, ids.items[i]);
		struct nv_dir_restored r;
		bool found;
		struct nv_err why = {0};
		/* A damaged one must not stop every import: at worst a name stands there twice. */
		if (nv_dir_restored_read(path, &r, &found, &one, &why) < 0)
			NV_LOG(NV_WARN, "site.names", NV_S("file", path), NV_E(&why));
		else if (found)
			take(n, r.outcome.shortname, r.outcome.fullname);
		nv_dir_restored_fini(&r);
	}
	return 0;
}

/* shortname and "_<copy>", cut in front of it so that Moodle's column holds both. */
static char *shortname_of_copy(const char *shortname, unsigned copy, struct nv_arena *arena)
{
	char suffix[16] = "";
	if (copy)
		snprintf(suffix, sizeof(suffix), "_%u", copy);
	size_t room = MOODLE_SHORTNAME_MAX - strlen(suffix);
	size_t len = 0;
	for (; shortname[len]; len++) {
		bool starts = ((unsigned char)shortname[len] & 0xc0) != 0x80;
		if (starts && room-- == 0)
			break;
	}
	return nv_arena_printf(arena, "%.*s%s", (int)len, shortname, suffix);
}

int nv_dir_choose_names(const char *site, const struct nv_dir_model *m, const char *shortname,
			const char *fullname, struct nv_imported *ret, struct nv_arena *arena,
			struct nv_err *err)
{
	nv_auto_json json_t *shortnames = json_object();
	nv_auto_json json_t *fullnames = json_object();
	struct names n = {shortnames, fullnames};
	if (read_names(site, m, &n, err) < 0)
		return -1;
	for (unsigned copy = 0; copy < COPIES_MAX; copy++) {
		ret->shortname = shortname_of_copy(shortname, copy, arena);
		ret->fullname = copy ? nv_arena_printf(arena, "%s copy %u", fullname, copy)
				     : nv_arena_strdup(arena, fullname);
		if (!json_object_get(shortnames, ret->shortname) &&
		    !json_object_get(fullnames, ret->fullname))
			return 0;
	}
	return nv_fail(err, NV_REJECT, NV_R_import_failed, "there are too many copies of \"%s\"",
		       shortname);
}
