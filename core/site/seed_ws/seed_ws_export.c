/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Exports a course that the older block backs up: what can be checked before the backup is checked
 * first; what only the archive shows is checked before any of it is passed on. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/id.h"
#include "base/log.h"
#include "core/site/needs.h"
#include "core/site/seed_ws/seed_ws.h"

#define COURSE_BYTES ((size_t)4 << 20) /* a course's summary may be long */
#define ZIP_BYTES ((size_t)64 << 10)
#define WARNINGS 2u
#define TURN_MS 50u /* between two looks whether it is our turn */
#define GET_ZIP "block_my_external_backup_restore_courses_get_courses_zip"

struct export
{
	struct nv_seed *site;
	struct nv_seed_session session;
	const struct nv_restore_request *q;
	const struct nv_config_client *policy;
	const struct nv_archive_limits *limits;
	struct nv_arena *arena;
	char *category; /* identifier; NULL: not known */
	struct nv_strs warnings;
	struct nv_list needs;
};

static bool has_user(const struct export *e)
{
	return e->q->user && *e->q->user;
}

static void warn(struct export *e, const char *text)
{
	if (!e->warnings.items)
		e->warnings.items = nv_arena_alloc(e->arena, WARNINGS * sizeof(char *));
	if (e->warnings.len < WARNINGS)
		e->warnings.items[e->warnings.len++] = nv_arena_strdup(e->arena, text);
}

/* --- before the backup --- */

static int check_policy(const struct export *e, struct nv_err *err)
{
	const struct nv_config_client *policy = e->policy;
	if (!policy)
		return 0;
	if (!has_user(e) && !policy->without_user)
		return nv_fail(err, NV_REJECT, NV_R_policy, "client %s may not ask without a user",
			       policy->name);
	if (e->q->user_data && !policy->user_data)
		return nv_fail(err, NV_REJECT, NV_R_policy, "client %s may not have user data",
			       policy->name);
	return 0;
}

/* The block tells a course's own category, if it is configured to; what lies above it is unknown.
 */
static int check_category(const struct export *e, struct nv_err *err)
{
	const struct nv_config_client *policy = e->policy;
	if (!policy || !policy->categories_len)
		return 0;
	for (size_t i = 0; e->category && i < policy->categories_len; i++)
		if (strcmp(e->category, policy->categories[i]) == 0)
			return 0;
	return nv_fail(err, NV_REJECT, NV_R_policy,
		       "client %s may have courses of some categories only, and %s", policy->name,
		       e->category ? "this course's is none of them"
				   : "the older block does not tell which this course is in");
}

static int no_course(const struct export *e, struct nv_err *err)
{
	return nv_fail(err, NV_REJECT, NV_R_course_missing, "there is no course %s on %s",
		       e->q->course, e->site->url);
}

/* An id as Moodle writes it. */
static int check_id(const struct export *e, uint64_t *ret_id, struct nv_err *err)
{
	const char *id = e->q->course;
	size_t len = strlen(id);
	if (!len || len > 18 || *id == '0' || strspn(id, "0123456789") != len)
		return no_course(e, err);
	*ret_id = strtoull(id, NULL, 10);
	return 0;
}

/* Does Moodle show the token's user this course?  false too for one in a hidden category. */
static int is_shown(struct export *e, bool *ret_shown, bool *ret_front_page, struct nv_err *err)
{
	const char *arguments[] = {"field", "id", "value", e->q->course, NULL};
	struct nv_seed_call call = {"core_course_get_courses_by_field", arguments, e->site->timeout,
				    COURSE_BYTES};
	nv_auto_json json_t *answer = NULL;
	if (nv_seed_ask(&e->session, &call, &answer, err) < 0)
		return -1;
	const json_t *course = json_array_get(json_object_get(answer, "courses"), 0);
	const json_t *category = json_object_get(course, "categoryid");
	*ret_shown = course != NULL;
	*ret_front_page = json_is_integer(category) && json_integer_value(category) == 0;
	return 0;
}

/* Is the course one?  For when there is no list: without a user the block checks nothing. */
static int check_course(struct export *e, struct nv_err *err)
{
	bool shown = false;
	bool front_page = false;
	struct nv_err why = {0};
	if (is_shown(e, &shown, &front_page, &why) < 0) {
		if (why.reason != NV_R_denied) {
			if (err)
				*err = why;
			return -1;
		}
		NV_LOG(NV_WARN, "seed.course", NV_S("req", e->q->id), NV_E(&why));
	}
	return front_page ? no_course(e, err) : 0;
}

/* The block lists the courses in which the user holds one of its roles.  Where Moodle lets no list
 * out because of one course's name, the block looks at the role all the same, before it makes the
 * backup. */
static int check_role(struct export *e, uint64_t id, struct nv_err *err)
{
	nv_auto_json json_t *list = NULL;
	bool shown = true;
	bool front_page = false;
	struct nv_err why = {0};
	if (nv_seed_courses(&e->session, e->q->user, &e->q->roles, &list, &why) < 0) {
		if (why.code == NV_SEED_INVALID_RESPONSE)
			return check_course(e, err);
		if (err)
			*err = why;
		return -1;
	}
	for (size_t i = 0; i < json_array_size(list); i++) {
		struct nv_seed_course c = nv_seed_course(json_array_get(list, i));
		if (c.id != id)
			continue;
		e->category = nv_arena_strdup(e->arena, c.category);
		return 0;
	}
	if (is_shown(e, &shown, &front_page, &why) < 0) /* it only chooses the reason */
		NV_LOG(NV_WARN, "seed.course", NV_S("req", e->q->id), NV_E(&why));
	if (!shown)
		return no_course(e, err);
	return nv_fail(err, NV_REJECT, NV_R_role_missing,
		       "the requester holds none of the required roles in course %s, as far as the "
		       "older block can see",
		       e->q->course);
}

static int check_version(const struct nv_restore_request *q, uint64_t version, struct nv_err *err)
{
	if (!version || !q->moodle_version || q->moodle_version >= version)
		return 0;
	return nv_fail(err, NV_REJECT, NV_R_version_older,
		       "the client's Moodle %" PRIu64 " is older than the course's %" PRIu64,
		       q->moodle_version, version);
}

static int check_before(struct export *e, struct nv_err *err)
{
	uint64_t id = 0;
	uint64_t version = 0;
	if (check_policy(e, err) < 0 || check_id(e, &id, err) < 0)
		return -1;
	if ((has_user(e) ? check_role(e, id, err) : check_course(e, err)) < 0)
		return -1;
	if (check_category(e, err) < 0 || nv_seed_version(&e->session, &version, err) < 0)
		return -1;
	return check_version(e->q, version, err);
}

/* --- the backup --- */

static int make_backup(struct export *e, uint64_t *ret_file, struct nv_err *err)
{
	const char *arguments[] = {
		"username",	 has_user(e) ? e->q->user : "", "courseid", e->q->course,
		"withuserdatas", e->q->user_data ? "1" : "0",	NULL};
	struct nv_seed_call call = {GET_ZIP, arguments, e->site->backup_timeout, ZIP_BYTES};
	nv_auto_json json_t *answer = NULL;
	nv_job_progress(e->session.job, "export", 0, 0);
	if (nv_seed_ask(&e->session, &call, &answer, err) < 0)
		return -1;
	const json_t *file = json_object_get(answer, "filerecordid");
	if (!json_is_integer(file) || json_integer_value(file) < 0)
		return nv_fail(err, NV_RETRY, NV_R_export_failed,
			       "seed-ws: " GET_ZIP ": the answer has no proper filerecordid");
	*ret_file = (uint64_t)json_integer_value(file);
	if (*ret_file)
		return 0;
	return nv_fail(err, NV_RETRY, NV_R_export_failed,
		       "seed-ws: " GET_ZIP
		       ": the older block could not back course %s up, and does not say why",
		       e->q->course);
}

/* One at a time. */
static int fetch_backup(struct export *e, const char *path, bool *ret_verified, struct nv_err *err)
{
	uint64_t file = 0;
	while (pthread_mutex_trylock(&e->site->backups) != 0) {
		if (nv_job_check(e->session.job, err) < 0)
			return -1;
		usleep(TURN_MS * 1000u);
	}
	int rc = make_backup(e, &file, err);
	if (rc == 0)
		rc = nv_seed_download(&e->session, file, path, e->limits->max_bytes, ret_verified,
				      err);
	pthread_mutex_unlock(&e->site->backups);
	return rc;
}

/* --- after it --- */

static int check_user_data(struct export *e, const struct nv_mbz_info *info, struct nv_err *err)
{
	if (e->q->user_data && !info->users)
		warn(e, "There is no user data in this archive although some were asked for: the "
			"course server's own backup settings leave them out.");
	if (e->q->user_data || !info->users)
		return 0;
	if (e->policy && !e->policy->user_data)
		return nv_fail(err, NV_REJECT, NV_R_policy,
			       "course %s: its archive holds user data although none were asked "
			       "for, and client %s may not have them",
			       e->q->course, e->policy->name);
	warn(e, "This archive holds user data although none were asked for: the course server's "
		"own backup settings put them in.");
	return 0;
}

static int check_plugins(struct export *e, const struct nv_mbz_info *info, struct nv_err *err)
{
	nv_needs_from_names(&info->plugins, &e->needs, e->arena);
	return nv_needs_check(
		&(struct nv_needs_check){&e->needs, &e->q->plugins, e->q->course, e->q->leave_out},
		&e->warnings, e->arena, err);
}

static int check_archive(struct export *e, const struct nv_mbz_info *info, struct nv_err *err)
{
	if (strcmp(info->course, e->q->course) != 0)
		return nv_fail(err, NV_RETRY, NV_R_export_failed,
			       "seed-ws: course %s was asked for, the archive holds course %.20s",
			       e->q->course, info->course);
	if (!info->files)
		return nv_fail(err, NV_REJECT, NV_R_export_failed,
			       "seed-ws: the course server's own backup settings leave the files "
			       "out (Site administration > Courses > Backups)");
	if (check_user_data(e, info, err) < 0 ||
	    check_version(e->q, nv_moodle_version(info->moodle_version), err) < 0)
		return -1;
	return check_plugins(e, info, err);
}

static void describe(const struct export *e, const struct nv_mbz_info *info,
		     struct nv_manifest *ret)
{
	*ret = (struct nv_manifest){
		.shortname = nv_arena_strdup(e->arena, info->shortname),
		.fullname = nv_arena_strdup(e->arena, info->fullname),
		.category = e->category,
		.moodle_version = nv_arena_strdup(e->arena, info->moodle_version),
		.user_data = info->users,
		.needs = e->needs,
	};
	nv_inventory_copy(&info->inventory, &ret->inventory, e->arena);
}

static int pass_on(struct export *e, const char *path, bool verified, const struct nv_sink *to,
		   struct nv_manifest *ret, struct nv_err *err)
{
	struct nv_mbz_info info;
	struct nv_err why = {0};
	if (nv_mbz_inspect(path, e->limits, e->session.job, &info, &why) < 0) {
		/* Nobody has said that this is what the server has: it may be the way's fault. */
		if (why.reason == NV_R_archive_corrupt && !verified)
			why.kind = NV_RETRY;
		if (err)
			*err = why;
		return -1;
	}
	int rc = check_archive(e, &info, err);
	if (rc == 0)
		describe(e, &info, ret);
	nv_mbz_info_fini(&info);
	return rc < 0 ? -1 : nv_mbz_read(path, e->limits, to, e->session.job, err);
}

/* --- the folder --- */

/* <work_dir>/seed-<token>/ with a lock in it, as core/daemon's work folders have, so that their
 * sweep finds what a crash left. */
struct folder {
	char *path;
	int lock;
};

static void folder_remove(struct folder *f)
{
	struct nv_err err = {0};
	if (nv_remove_tree(f->path, &err) < 0)
		NV_LOG(NV_WARN, "seed.left", NV_S("path", f->path), NV_E(&err));
	if (f->lock >= 0)
		close(f->lock);
	free(f->path);
}

static int folder_make(const struct nv_seed *s, struct folder *ret, struct nv_err *err)
{
	char token[NV_TOKEN_SIZE];
	nv_token_new(token);
	*ret = (struct folder){nv_asprintf("%s/seed-%s", s->work_dir, token), -1};
	nv_auto_free char *lock = nv_asprintf("%s/.lock", ret->path);
	if (nv_mkdir_p(ret->path, 0700, err) == 0 &&
	    nv_lock_file(lock, false, &ret->lock, err) == 0)
		return 0;
	folder_remove(ret);
	return -1;
}

/* --- all of it --- */

static int export_into(struct export *e, const char *folder, const struct nv_sink *to,
		       struct nv_manifest *ret, struct nv_err *err)
{
	nv_auto_free char *path = nv_asprintf("%s/course.mbz", folder);
	bool verified = false;
	if (check_before(e, err) < 0 || fetch_backup(e, path, &verified, err) < 0)
		return -1;
	return pass_on(e, path, verified, to, ret, err);
}

int nv_seed_export(struct nv_site *base, const struct nv_restore_request *q,
		   const struct nv_config_client *policy, const struct nv_archive_limits *limits,
		   const struct nv_sink *to, const struct nv_job *job, struct nv_manifest *ret,
		   struct nv_strs *ret_warnings, struct nv_arena *arena, struct nv_err *err)
{
	struct nv_seed *s = nv_seed(base);
	struct export e = {.site = s,
			   .q = q,
			   .policy = policy,
			   .limits = limits ? limits : &s->limits,
			   .arena = arena};
	struct folder folder;
	if (folder_make(s, &folder, err) < 0)
		return -1;
	nv_seed_session_begin(&e.session, s, job, NV_R_export_failed);
	int rc = export_into(&e, folder.path, to, ret, err);
	nv_seed_session_end(&e.session);
	folder_remove(&folder);
	if (rc == 0 && ret_warnings)
		*ret_warnings = e.warnings;
	return rc;
}
