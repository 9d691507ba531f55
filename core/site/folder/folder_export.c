/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Giving a course away: first everything that may forbid it, then its backup's entries. */
#include <string.h>

#include "core/site/folder/folder_internal.h"
#include "core/site/needs.h"

static int check_policy(const struct nv_folder_model *m, const struct nv_folder_course *course,
			const struct nv_restore_request *q, const struct nv_config_client *policy,
			struct nv_err *err)
{
	if (!policy)
		return 0;
	if ((!q->user || !*q->user) && !policy->without_user)
		return nv_fail(err, NV_REJECT, NV_R_policy, "client %s may not ask without a user",
			       policy->name);
	if (q->user_data && !policy->user_data)
		return nv_fail(err, NV_REJECT, NV_R_policy, "client %s may not have user data",
			       policy->name);
	for (size_t i = 0; i < policy->categories_len; i++) {
		size_t allowed = nv_folder_find_category(m, policy->categories[i], false);
		if (allowed != NV_FOLDER_NONE && nv_folder_within(m, course->category, allowed))
			return 0;
	}
	if (!policy->categories_len)
		return 0;
	return nv_fail(err, NV_REJECT, NV_R_policy,
		       "client %s may not have courses of the category \"%s\"", policy->name,
		       m->categories[course->category].name);
}

/* A folder cannot take user data out of an archive.  Whoever may have them gets them with a
 * warning; whoever may not gets nothing. */
static int check_user_data(const struct nv_folder_course_info *info,
			   const struct nv_restore_request *q,
			   const struct nv_config_client *policy, struct nv_strs *warnings,
			   struct nv_arena *arena, struct nv_err *err)
{
	if (!info->users)
		return 0;
	if (policy && !policy->user_data)
		return nv_fail(err, NV_REJECT, NV_R_policy,
			       "course %s: its archive holds user data, which client %s may not "
			       "have, and this site cannot take them out",
			       q->course, policy->name);
	if (!q->user_data)
		nv_folder_strs_add(
			warnings,
			"This archive holds user data although none were asked for: the "
			"course server keeps finished archives and cannot take them out.",
			arena);
	return 0;
}

static int check_role(const struct nv_folder_site *s, const struct nv_folder_model *m,
		      const struct nv_folder_course *course, const struct nv_restore_request *q,
		      struct nv_err *err)
{
	size_t user = 0;
	if (!q->user || !*q->user)
		return 0; /* an administrator's request, which the policy has allowed */
	if (nv_folder_find_user(m, s->user_field, q->user, &user, NULL, err) < 0)
		return -1;
	if (nv_folder_role_held(m, user, course, &q->roles))
		return 0;
	return nv_fail(err, NV_REJECT, NV_R_role_missing,
		       "the requester holds none of the required roles in course %s, its category "
		       "or above",
		       q->course);
}

static int check_version(const struct nv_folder_model *m, const struct nv_folder_course_info *info,
			 const struct nv_restore_request *q, struct nv_err *err)
{
	uint64_t version = m->moodle_version;
	if (!version)
		version = nv_moodle_version(info->moodle_version);
	if (!version || !q->moodle_version || q->moodle_version >= version)
		return 0;
	return nv_fail(err, NV_REJECT, NV_R_version_older,
		       "the client's Moodle %llu is older than the course's %llu",
		       (unsigned long long)q->moodle_version, (unsigned long long)version);
}

/* --- progress: bytes that passed through --- */

struct meter {
	const struct nv_sink *to;
	const struct nv_source *from; /* of the entry at hand */
	const struct nv_job *job;
	uint64_t done;
	uint64_t total;
};

static ssize_t meter_read(void *ctx, void *buf, size_t len, struct nv_err *err)
{
	struct meter *meter = ctx;
	if (nv_job_check(meter->job, err) < 0)
		return -1;
	ssize_t n = meter->from->read_cb(meter->from->ctx, buf, len, err);
	if (n > 0) {
		meter->done += (uint64_t)n;
		nv_job_progress(meter->job, "export", meter->done, meter->total);
	}
	return n;
}

static int meter_entry(void *ctx, const struct nv_entry *entry, const struct nv_source *from,
		       struct nv_err *err)
{
	struct meter *meter = ctx;
	struct nv_source through = {meter_read, meter};
	meter->from = from;
	return meter->to->entry_cb(meter->to->ctx, entry, from ? &through : NULL, err);
}

static int feed(const struct nv_folder_course_info *info, const struct nv_archive_limits *limits,
		const struct nv_sink *to, const struct nv_job *job, struct nv_err *err)
{
	struct meter meter = {.to = to, .job = job, .total = info->unpacked};
	struct nv_sink through = {.entry_cb = meter_entry, .ctx = &meter};
	if (nv_job_check(job, err) < 0)
		return -1;
	nv_job_progress(job, "export", 0, info->unpacked);
	return nv_mbz_read(info->path, limits, &through, job, err);
}

int nv_folder_export(struct nv_site *base, const struct nv_restore_request *q,
		     const struct nv_config_client *policy, const struct nv_archive_limits *limits,
		     const struct nv_sink *to, const struct nv_job *job, struct nv_manifest *ret,
		     struct nv_strs *ret_warnings, struct nv_arena *arena, struct nv_err *err)
{
	struct nv_folder_site *s = nv_folder_site(base);
	nv_auto_model struct nv_folder_model *m = nv_folder_model_get(s, err);
	struct nv_folder_course_info info;
	struct nv_strs warnings = {0};
	if (!m || nv_folder_check_backups(s, m, err) < 0)
		return -1;
	const struct nv_folder_course *course = nv_folder_find_course(m, q->course);
	if (!course)
		return nv_fail(err, NV_REJECT, NV_R_course_missing, "there is no course %s on %s",
			       q->course, m->name);
	if (check_policy(m, course, q, policy, err) < 0 || check_role(s, m, course, q, err) < 0)
		return -1;
	/* Only now, so that unauthorised requests cannot make us read large files. */
	if (nv_folder_course_info(s, course, &info, arena, err) < 0 ||
	    check_user_data(&info, q, policy, &warnings, arena, err) < 0 ||
	    check_version(m, &info, q, err) < 0 ||
	    nv_needs_check(
		    &(struct nv_needs_check){&info.needs, &q->plugins, q->course, q->leave_out},
		    &warnings, arena, err) < 0)
		return -1;
	*ret = (struct nv_manifest){
		.shortname = info.shortname,
		.fullname = info.fullname,
		.category = nv_arena_strdup(arena, m->categories[course->category].idnumber),
		.moodle_version = info.moodle_version,
		.user_data = info.users,
		.needs = info.needs,
		.inventory = info.inventory,
	};
	if (ret_warnings)
		*ret_warnings = warnings;
	return feed(&info, limits ? limits : &s->limits, to, job, err);
}
