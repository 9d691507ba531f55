/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Restored courses: the folder courses/<request id>/ with its course.json.  The folder is there,
 * whole, or it is not; course.json changes only when somebody is enrolled. */
#include <errno.h>
#include <string.h>

#include "base/fs.h"
#include "base/id.h"
#include "base/json.h"
#include "base/log.h"
#include "core/site/folder/folder.h"
#include "core/site/folder/folder_internal.h"

#define COURSE_JSON_MAX (4u << 20)
#define LOCK_WAIT_MS 5000u /* an import holds its course only shortly after it is there */

static char *course_json_path(const char *site, const char *id)
{
	return nv_asprintf("%s/courses/%s/course.json", site, id);
}

bool nv_folder_course_exists(const char *site, const char *request_id)
{
	nv_auto_free char *path = course_json_path(site, request_id);
	return access(path, F_OK) == 0;
}

bool nv_folder_course_was_deleted(const char *site, const char *request_id)
{
	nv_auto_free char *path = nv_asprintf("%s/deleted/%s.json", site, request_id);
	return access(path, F_OK) == 0 && !nv_folder_course_exists(site, request_id);
}

/* --- course.json --- */

json_t *nv_folder_restored_json(const struct nv_import *in, const struct nv_imported *outcome,
				const char *enrolled_user, const char *enrolled_role)
{
	json_t *warnings = json_array();
	for (size_t i = 0; i < outcome->warnings.len; i++)
		json_array_append_new(warnings, json_string(outcome->warnings.items[i]));
	json_t *enrolments = json_array();
	if (enrolled_user)
		json_array_append_new(enrolments, json_pack("{s:s, s:s}", "user", enrolled_user,
							    "role", enrolled_role));
	return json_pack(
		"{s:i, s:s, s:o, s:{s:s, s:s, s:s, s:s, s:b, s:b, s:I, s:o, s:b, s:o}, s:o}",
		"format", 1, "site", in->site, "request",
		nv_json_record(&nv_restore_request_record, in->request), "outcome", "course",
		outcome->course, "shortname", outcome->shortname, "fullname", outcome->fullname,
		"category", outcome->category, "user_data", outcome->user_data, "enrolled",
		outcome->enrolled, "at", (json_int_t)outcome->at, "warnings", warnings, "compared",
		outcome->compared, "differences",
		nv_json_list(&nv_difference_record, &outcome->differences), "enrolments",
		enrolments);
}

static int read_outcome(json_t *json, struct nv_imported *ret, struct nv_arena *arena)
{
	const char *course, *shortname, *fullname, *category;
	int user_data, enrolled;
	json_int_t at;
	const json_t *warnings;
	if (json_unpack(json, "{s:s, s:s, s:s, s:s, s:b, s:b, s:I, s:o}", "course", &course,
			"shortname", &shortname, "fullname", &fullname, "category", &category,
			"user_data", &user_data, "enrolled", &enrolled, "at", &at, "warnings",
			&warnings) < 0)
		return -1;
	*ret = (struct nv_imported){
		.course = nv_arena_strdup(arena, course),
		.shortname = nv_arena_strdup(arena, shortname),
		.fullname = nv_arena_strdup(arena, fullname),
		.category = nv_arena_strdup(arena, category),
		.user_data = user_data,
		.enrolled = enrolled,
		.existed = true,
		.at = (uint64_t)at,
	};
	for (size_t i = 0; i < json_array_size(warnings); i++) {
		const char *text = json_string_value(json_array_get(warnings, i));
		if (text)
			nv_folder_strs_add(&ret->warnings, text, arena);
	}
	/* Courses of before there was a comparison have neither. */
	ret->compared = json_is_true(json_object_get(json, "compared"));
	return nv_json_to_list(&nv_difference_record, json_object_get(json, "differences"),
			       &ret->differences, arena);
}

static int read_parts(const char *path, struct nv_folder_restored *ret, struct nv_arena *arena,
		      struct nv_err *err)
{
	const char *site;
	json_t *request, *outcome;
	if (json_unpack(ret->json, "{s:s, s:o, s:o}", "site", &site, "request", &request, "outcome",
			&outcome) < 0 ||
	    read_outcome(outcome, &ret->outcome, arena) < 0)
		return nv_fail(err, NV_RETRY, NV_R_io,
			       "%s: damaged: site, request and outcome are expected", path);
	ret->site = nv_arena_strdup(arena, site);
	if (nv_json_to_record(&nv_restore_request_record, request, &ret->request, arena, err) == 0)
		return 0;
	nv_err_prefix(err, "%s", path);
	return -1;
}

int nv_folder_restored_read(const char *path, struct nv_folder_restored *ret, bool *ret_found,
			    struct nv_arena *arena, struct nv_err *err)
{
	nv_auto_buf struct nv_buf text = {0};
	json_error_t error;
	struct nv_err why = {0};
	*ret = (struct nv_folder_restored){0};
	*ret_found = false;
	if (nv_read_file(path, COURSE_JSON_MAX, &text, &why) < 0) {
		if (why.code == ENOENT || why.code == ENOTDIR)
			return 0;
		if (err)
			*err = why;
		return -1;
	}
	ret->json = nv_json_parse(text.data, text.len, &error);
	if (!ret->json)
		return nv_fail(err, NV_RETRY, NV_R_io, "%s:%d: damaged: %s", path, error.line,
			       error.text);
	*ret_found = true;
	if (read_parts(path, ret, arena, err) == 0)
		return 0;
	nv_folder_restored_fini(ret);
	return -1;
}

void nv_folder_restored_fini(struct nv_folder_restored *r)
{
	json_decref(r->json);
	r->json = NULL;
}

int nv_folder_find(struct nv_site *site, const char *request_id, struct nv_imported *ret,
		   struct nv_arena *arena, struct nv_err *err)
{
	struct nv_folder_restored r;
	bool found;
	*ret = (struct nv_imported){0};
	if (!nv_uuid_valid(request_id))
		return 0;
	nv_auto_free char *path = course_json_path(nv_folder_site(site)->path, request_id);
	if (nv_folder_restored_read(path, &r, &found, arena, err) < 0)
		return -1;
	if (found)
		*ret = r.outcome;
	nv_folder_restored_fini(&r);
	return 0;
}

/* --- enrol --- */

static bool is_enrolled(const json_t *enrolments, const char *user, const char *role)
{
	for (size_t i = 0; i < json_array_size(enrolments); i++) {
		const json_t *e = json_array_get(enrolments, i);
		const char *u = json_string_value(json_object_get(e, "user"));
		const char *r = json_string_value(json_object_get(e, "role"));
		if (u && r && strcmp(u, user) == 0 && strcmp(r, role) == 0)
			return true;
	}
	return false;
}

static int write_json(const char *site, const char *lock, const char *name, const json_t *json,
		      struct nv_err *err)
{
	nv_auto_free char *text = json_dumps(json, JSON_INDENT(2));
	if (!text)
		return nv_fail(err, NV_REJECT, NV_R_internal, "%s: not to be written as JSON",
			       name);
	const struct nv_folder_file file = {
		.lock = lock, .name = name, .data = text, .len = strlen(text)};
	return nv_folder_write(site, &file, err);
}

/* Under the course's lock. */
static int enrol_locked(const char *site, const char *course, const char *user, const char *role,
			struct nv_err *err)
{
	nv_auto_arena struct nv_arena arena = {0};
	nv_auto_free char *path = course_json_path(site, course);
	nv_auto_free char *name = nv_asprintf("courses/%s/course.json", course);
	struct nv_folder_restored r;
	bool found;
	int rc = 0;
	if (nv_folder_restored_read(path, &r, &found, &arena, err) < 0)
		return -1;
	if (!found)
		return nv_fail(err, NV_REJECT, NV_R_course_missing, "there is no course %s",
			       course);
	json_t *enrolments = json_object_get(r.json, "enrolments");
	if (!is_enrolled(enrolments, user, role)) {
		json_array_append_new(enrolments,
				      json_pack("{s:s, s:s}", "user", user, "role", role));
		rc = write_json(site, course, name, r.json, err);
	}
	nv_folder_restored_fini(&r);
	return rc;
}

int nv_folder_enrol(struct nv_site *base, const char *course, const char *user, const char *role,
		    struct nv_err *err)
{
	struct nv_folder_site *s = nv_folder_site(base);
	nv_auto_model struct nv_folder_model *m = nv_folder_model_get(s, err);
	nv_auto_fd int lock = -1;
	size_t who = 0;
	if (!m)
		return -1;
	if (!role || !*role)
		return nv_fail(err, NV_REJECT, NV_R_config, "restore.enrol_role: no role is set");
	if (!nv_uuid_valid(course) || !nv_folder_course_exists(s->path, course))
		return nv_fail(err, NV_REJECT, NV_R_course_missing, "there is no course %s",
			       course);
	if (nv_folder_find_user(m, s->user_field, user, &who, NULL, err) < 0 ||
	    nv_folder_make_folders(s->path, err) < 0 ||
	    nv_folder_lock(s->path, course, LOCK_WAIT_MS, &lock, err) < 0)
		return -1;
	return enrol_locked(s->path, course, m->users[who].username, role, err);
}

/* --- deleting --- */

/* The history first, then the course in one rename: a crash in between leaves the course, and a
 * history entry that is ignored as long as the course is there. */
static int delete_locked(const char *site, const char *course, struct nv_err *err)
{
	nv_auto_buf struct nv_buf text = {0};
	nv_auto_free char *json = course_json_path(site, course);
	nv_auto_free char *history = nv_asprintf("deleted/%s.json", course);
	nv_auto_free char *folder = nv_asprintf("%s/courses/%s", site, course);
	nv_auto_free char *courses = nv_asprintf("%s/courses", site);
	nv_auto_free char *gone = nv_folder_temporary(site, course);
	if (!nv_folder_course_exists(site, course))
		return nv_fail(err, NV_REJECT, NV_R_course_missing, "there is no course %s",
			       course);
	if (nv_read_file(json, COURSE_JSON_MAX, &text, err) < 0)
		return -1;
	const struct nv_folder_file file = {
		.lock = course, .name = history, .data = text.data, .len = text.len};
	if (nv_folder_write(site, &file, err) < 0)
		return -1;
	if (rename(folder, gone) < 0)
		return nv_fail_errno(err, errno, NV_RETRY, NV_R_io, "delete %s", folder);
	if (nv_fsync_dir(courses, err) < 0)
		return -1;
	return nv_remove_tree(gone, err);
}

int nv_site_directory_delete(const char *path, const char *course, struct nv_err *err)
{
	nv_auto_fd int lock = -1;
	nv_auto_fd int names = -1;
	char token[NV_TOKEN_SIZE];
	if (!nv_uuid_valid(course))
		return nv_fail(err, NV_REJECT, NV_R_course_missing, "there is no course %s",
			       course);
	if (nv_folder_make_folders(path, err) < 0 ||
	    nv_folder_lock(path, course, LOCK_WAIT_MS, &lock, err) < 0 ||
	    nv_folder_names_lock(path, &names, err) < 0 ||
	    nv_folder_names_change(names, token, err) < 0)
		return -1;
	return delete_locked(path, course, err);
}

/* --- history --- */

struct history {
	const char *site;
	nv_site_history_cb cb;
	void *arg;
	bool stopped;
};

static void tell_one(struct history *h, const char *path, bool deleted)
{
	nv_auto_arena struct nv_arena arena = {0};
	struct nv_folder_restored r;
	struct nv_err err = {0};
	bool found;
	/* One damaged file must not hide the rest of the history. */
	if (nv_folder_restored_read(path, &r, &found, &arena, &err) < 0) {
		NV_LOG(NV_WARN, "site.history", NV_S("file", path), NV_E(&err));
		return;
	}
	if (found)
		h->stopped = h->cb(h->arg, &r.request, &r.outcome, deleted) != 0;
	nv_folder_restored_fini(&r);
}

int nv_folder_history(struct nv_site *base, nv_site_history_cb cb, void *arg, struct nv_err *err)
{
	nv_auto_arena struct nv_arena arena = {0};
	struct history h = {.site = nv_folder_site(base)->path, .cb = cb, .arg = arg};
	nv_auto_free char *courses = nv_asprintf("%s/courses", h.site);
	nv_auto_free char *deleted = nv_asprintf("%s/deleted", h.site);
	struct nv_strs there, gone;
	/* The deleted ones are listed last: a course that is deleted meanwhile is told once more,
	 * not left out. */
	if (nv_folder_names(courses, &there, &arena, err) < 0)
		return -1;
	for (size_t i = 0; i < there.len && !h.stopped; i++) {
		nv_auto_free char *path = course_json_path(h.site, there.items[i]);
		if (nv_uuid_valid(there.items[i]))
			tell_one(&h, path, false);
	}
	if (nv_folder_names(deleted, &gone, &arena, err) < 0)
		return -1;
	for (size_t i = 0; i < gone.len && !h.stopped; i++) {
		nv_auto_free char *path = nv_asprintf("%s/%s", deleted, gone.items[i]);
		nv_auto_free char *id = nv_strndup(gone.items[i], NV_UUID_SIZE - 1);
		if (nv_uuid_valid(id) && nv_folder_course_was_deleted(h.site, id))
			tell_one(&h, path, true);
	}
	return 0;
}
