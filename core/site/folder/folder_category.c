/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The category, permission and names of a restored course. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "core/site/folder/folder_internal.h"

#define MOODLE_SHORTNAME_MAX 100u /* characters */
#define COPIES_MAX 10000000u

static bool may_create(const struct nv_folder_model *m, const struct nv_folder_user *u,
		       size_t category)
{
	if (u->create_anywhere)
		return true;
	for (size_t i = 0; i < u->create_in_len; i++) {
		if (nv_folder_within(m, category, u->create_in[i]))
			return true;
	}
	return false;
}

static void warn_default(struct nv_strs *warnings, struct nv_arena *arena, const char *why,
			 const char *identifier)
{
	nv_folder_strs_add(warnings,
			   nv_arena_printf(arena,
					   "%s \"%s\": the course was restored into the default "
					   "category.",
					   why, identifier),
			   arena);
}

/* The category that was asked for; NV_FOLDER_NONE: the default. */
static size_t wanted_category(const struct nv_folder_model *m, const struct nv_import *in,
			      struct nv_strs *warnings, struct nv_arena *arena)
{
	const struct nv_restore_request *q = in->request;
	if (q->keep_category && in->category && *in->category) {
		size_t kept = nv_folder_find_category(m, in->category, false);
		if (kept == NV_FOLDER_NONE)
			warn_default(warnings, arena,
				     "There is no category with the original identifier",
				     in->category);
		return kept;
	}
	if (q->keep_category)
		nv_folder_strs_add(warnings,
				   "The course's category has no identifier on the course server: "
				   "the course was restored into the default category.",
				   arena);
	if (q->keep_category || !q->category || !*q->category)
		return NV_FOLDER_NONE;
	size_t asked = nv_folder_find_category(m, q->category, true);
	if (asked == NV_FOLDER_NONE)
		warn_default(warnings, arena, "There is no category with the identifier",
			     q->category);
	return asked;
}

static int find_requester(const struct nv_folder_model *m, const struct nv_import *in,
			  const struct nv_folder_user **ret, struct nv_err *err)
{
	const char *field = in->config->restore.user_field;
	size_t user = 0;
	*ret = NULL;
	if (!in->request->user || !*in->request->user)
		return 0;
	if (!in->config->restore.enrol_requester && !in->config->restore.check_course_create)
		return 0;
	if (nv_folder_find_user(m, field && *field ? field : "username", in->request->user, &user,
				NULL, err) < 0)
		return -1;
	*ret = &m->users[user];
	return 0;
}

int nv_folder_choose_target(const struct nv_folder_model *m, const struct nv_import *in,
			    struct nv_folder_target *ret, struct nv_strs *warnings,
			    struct nv_arena *arena, struct nv_err *err)
{
	const char *name = in->config->restore.default_category;
	size_t fallback = nv_folder_find_category(m, name, true);
	size_t target = wanted_category(m, in, warnings, arena);
	if (find_requester(m, in, &ret->user, err) < 0)
		return -1;
	if (target == NV_FOLDER_NONE)
		target = fallback;
	if (target == NV_FOLDER_NONE)
		return nv_fail(err, NV_REJECT, NV_R_category_missing,
			       "restore.default_category: there is no category \"%s\" on %s",
			       name ? name : "", m->name);
	ret->category = &m->categories[target];
	if (!ret->user || !in->config->restore.check_course_create ||
	    may_create(m, ret->user, target))
		return 0;
	if (fallback == NV_FOLDER_NONE || !may_create(m, ret->user, fallback))
		return nv_fail(
			err, NV_REJECT, NV_R_capability_missing,
			"the requester may create courses neither in the category \"%s\" nor in "
			"the default category",
			ret->category->name);
	warn_default(warnings, arena, "The requester may not create courses in the category",
		     ret->category->name);
	ret->category = &m->categories[fallback];
	return 0;
}

/* --- names --- */

/* A course's names never change, and many courses are made one after the other: course.json is
 * read once for each, and the folders are listed only after another process has made or deleted a
 * course. */

#define NAMES_WAIT_MS 10000u /* the lock is held for one small file's writing */

int nv_folder_names_lock(const char *site, int *ret_fd, struct nv_err *err)
{
	return nv_folder_lock(site, "names", NAMES_WAIT_MS, ret_fd, err);
}

int nv_folder_names_change(int lock, char ret[NV_TOKEN_SIZE], struct nv_err *err)
{
	nv_token_new(ret);
	if (pwrite(lock, ret, NV_TOKEN_SIZE, 0) != NV_TOKEN_SIZE)
		return nv_fail_errno(err, errno, NV_RETRY, NV_R_io, "write locks/names");
	return 0;
}

/* Nobody has changed anything since we looked.  A lock's file that is new is empty. */
static bool names_hold(const struct nv_folder_site *s, int lock)
{
	char now[NV_TOKEN_SIZE] = "";
	return s->courses && pread(lock, now, sizeof now, 0) == sizeof now &&
	       memcmp(now, s->names_token, sizeof now) == 0;
}

static void forget_names(struct nv_folder_site *s)
{
	json_decref(s->courses);
	json_decref(s->shortnames);
	json_decref(s->fullnames);
	json_decref(s->copies);
	s->courses = s->shortnames = s->fullnames = s->copies = NULL;
}

static void know_names(struct nv_folder_site *s, const char *id, const struct nv_imported *course)
{
	json_object_set_new(s->courses, id, json_true());
	json_object_set_new(s->shortnames, course->shortname, json_true());
	json_object_set_new(s->fullnames, course->fullname, json_true());
}

void nv_folder_names_taken(struct nv_folder_site *s, const struct nv_imported *course,
			   const char *token)
{
	pthread_mutex_lock(&s->names_mutex);
	know_names(s, course->course, course);
	memcpy(s->names_token, token, sizeof s->names_token);
	pthread_mutex_unlock(&s->names_mutex);
}

void nv_folder_names_fini(struct nv_folder_site *s)
{
	forget_names(s);
	pthread_mutex_destroy(&s->names_mutex);
}

static void read_course_names(struct nv_folder_site *s, const char *folder, const char *id)
{
	nv_auto_arena struct nv_arena arena = {0};
	nv_auto_free char *path = nv_asprintf("%s/%s/course.json", folder, id);
	struct nv_folder_restored r;
	bool found;
	struct nv_err why = {0};
	/* A damaged one must not stop every import: at worst a name stands there twice. */
	if (nv_folder_restored_read(path, &r, &found, &arena, &why) < 0)
		NV_LOG(NV_WARN, "site.names", NV_S("file", path), NV_E(&why));
	if (found)
		know_names(s, id, &r.outcome);
	else
		json_object_set_new(s->courses, id, json_false());
	nv_folder_restored_fini(&r);
}

/* Under names_mutex and the site's lock. */
static int look_at_names(struct nv_folder_site *s, struct nv_err *err)
{
	nv_auto_arena struct nv_arena arena = {0};
	nv_auto_free char *folder = nv_asprintf("%s/courses", s->path);
	struct nv_strs ids;
	if (nv_folder_names(folder, &ids, &arena, err) < 0)
		return -1;
	for (;;) {
		size_t known = 0;
		if (!s->courses) {
			s->courses = json_object();
			s->shortnames = json_object();
			s->fullnames = json_object();
			s->copies = json_object();
		}
		for (size_t i = 0; i < ids.len; i++)
			known += json_object_get(s->courses, ids.items[i]) != NULL;
		/* One that was there has been deleted: its names are free. */
		if (known < json_object_size(s->courses)) {
			forget_names(s);
			continue;
		}
		for (size_t i = 0; i < ids.len && known < ids.len; i++)
			if (!json_object_get(s->courses, ids.items[i]))
				read_course_names(s, folder, ids.items[i]);
		return 0;
	}
}

/* Names that stand in site.json; what only a backup says belongs to the source side. */
static bool is_in_model(const struct nv_folder_model *m, const char *shortname,
			const char *fullname)
{
	for (size_t i = 0; i < m->courses_len; i++) {
		const struct nv_folder_course *c = &m->courses[i];
		if (c->shortname &&
		    (strcmp(c->shortname, shortname) == 0 ||
		     strcmp(c->fullname ? c->fullname : c->shortname, fullname) == 0))
			return true;
	}
	return false;
}

/* shortname and "_<copy>", cut in front of it so that Moodle's column holds both. */
static char *shortname_of_copy(const char *shortname, unsigned copy, struct nv_arena *arena)
{
	char suffix[16] = "";
	if (copy)
		snprintf(suffix, sizeof suffix, "_%u", copy);
	size_t room = MOODLE_SHORTNAME_MAX - strlen(suffix);
	size_t len = 0;
	for (; shortname[len]; len++) {
		bool starts = ((unsigned char)shortname[len] & 0xc0) != 0x80;
		if (starts && room-- == 0)
			break;
	}
	return nv_arena_printf(arena, "%.*s%s", (int)len, shortname, suffix);
}

static int choose(struct nv_folder_site *s, const struct nv_folder_wanted *wanted,
		  struct nv_imported *ret, struct nv_arena *arena, struct nv_err *err)
{
	const char *shortname = wanted->shortname;
	unsigned copy = (unsigned)json_integer_value(json_object_get(s->copies, shortname));
	for (; copy < COPIES_MAX; copy++) {
		ret->shortname = shortname_of_copy(shortname, copy, arena);
		ret->fullname = copy ? nv_arena_printf(arena, "%s copy %u", wanted->fullname, copy)
				     : nv_arena_strdup(arena, wanted->fullname);
		if (!json_object_get(s->shortnames, ret->shortname) &&
		    !json_object_get(s->fullnames, ret->fullname) &&
		    !is_in_model(wanted->model, ret->shortname, ret->fullname)) {
			json_object_set_new(s->copies, shortname, json_integer((json_int_t)copy));
			return 0;
		}
	}
	return nv_fail(err, NV_REJECT, NV_R_import_failed, "there are too many copies of \"%s\"",
		       shortname);
}

int nv_folder_choose_names(struct nv_folder_site *s, int lock,
			   const struct nv_folder_wanted *wanted, struct nv_imported *ret,
			   struct nv_arena *arena, struct nv_err *err)
{
	pthread_mutex_lock(&s->names_mutex);
	int rc = names_hold(s, lock) ? 0 : look_at_names(s, err);
	if (rc == 0)
		rc = choose(s, wanted, ret, arena, err);
	pthread_mutex_unlock(&s->names_mutex);
	return rc;
}
