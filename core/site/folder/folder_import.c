/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Making a course: everything is built in tmp/<request id>.<token>/, under the request's lock, and
 * one rename(2) to courses/<request id>/ is the commit.  A rename onto a folder that is not empty
 * fails, so that two courses of one request cannot be, whatever becomes of the locks. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/fault.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/id.h"
#include "base/log.h"
#include "core/site/folder/folder_internal.h"
#include "core/site/needs.h"

#define SMALL 1048576u /* bytes, unpacked: synced with course.json */

struct import {
	struct nv_folder_site *s;
	const struct nv_import *in;
	const struct nv_fetched *from;
	const struct nv_job *job;
	struct nv_folder_model *m;
	struct nv_folder_target target;
	struct nv_imported *ret;
	struct nv_arena *arena;
	char *row; /* of only_one */
	bool row_written;
	char *folder; /* the half-made course */
	struct nv_sync_group together;
};

/* --- only_one --- */

/* "<site>-<sha256 of the course id>": the row of only_one below remote/, owned */
static char *remote_row(const char *course_server, const char *course)
{
	uint8_t digest[NV_SHA256_LEN];
	char hex[NV_SHA256_HEX];
	nv_sha256(course, strlen(course), digest);
	nv_hex(digest, sizeof digest, hex);
	return nv_asprintf("%s-%s", course_server, hex);
}

int nv_folder_remote_holder(const char *site, const char *row, char ret[NV_UUID_SIZE],
			    struct nv_err *err)
{
	nv_auto_free char *path = nv_asprintf("%s/remote/%s", site, row);
	nv_auto_buf struct nv_buf text = {0};
	struct nv_err why = {0};
	*ret = '\0';
	if (nv_read_file(path, 4096, &text, &why) < 0) {
		if (why.code == ENOENT)
			return 0;
		if (err)
			*err = why;
		return -1;
	}
	/* "<request id>\n"; any other content is invalid. */
	if (text.len < NV_UUID_SIZE - 1)
		return 0;
	text.data[NV_UUID_SIZE - 1] = '\0';
	if (nv_uuid_valid((const char *)text.data) &&
	    nv_folder_course_exists(site, (const char *)text.data))
		memcpy(ret, text.data, NV_UUID_SIZE);
	return 0;
}

static int check_only_one(const char *site, const struct nv_import *in, struct nv_err *err)
{
	char holder[NV_UUID_SIZE];
	if (!in->config->restore.only_one)
		return 0;
	nv_auto_free char *row = remote_row(in->site, in->request->course);
	if (nv_folder_remote_holder(site, row, holder, err) < 0)
		return -1;
	if (!*holder || strcmp(holder, in->request->id) == 0)
		return 0;
	return nv_fail(err, NV_REJECT, NV_R_already_restored,
		       "course %s of %s was already restored, by request %s", in->request->course,
		       in->site, holder);
}

/* together NULL: durable when it returns. */
static int write_row(struct import *im, struct nv_sync_group *together, struct nv_err *err)
{
	nv_auto_free char *name = nv_asprintf("remote/%s", im->row);
	char text[NV_UUID_SIZE + 1];
	int len = snprintf(text, sizeof text, "%s\n", im->in->request->id);
	const struct nv_folder_file file = {.lock = im->in->request->id,
					    .name = name,
					    .data = text,
					    .len = (size_t)len,
					    .together = together};
	if (nv_folder_write(im->s->path, &file, err) < 0)
		return -1;
	im->row_written = true;
	return 0;
}

/* Without only_one nobody looks at the row, but somebody may switch the setting on later. */
static void write_row_for_later(struct import *im)
{
	char holder[NV_UUID_SIZE];
	struct nv_err err = {0};
	if (nv_folder_remote_holder(im->s->path, im->row, holder, &err) < 0 ||
	    (!*holder && write_row(im, &im->together, &err) < 0))
		NV_LOG(NV_WARN, "site.import", NV_S("req", im->in->request->id), NV_E(&err));
}

/* --- may it be done? --- */

/* Ids become names of files. */
static int check_ids(const struct nv_import *in, struct nv_err *err)
{
	if (!nv_uuid_valid(in->request->id))
		return nv_fail(err, NV_REJECT, NV_R_bad_message, "the request's id is no UUIDv7");
	if (!in->site || !nv_name_valid(in->site))
		return nv_fail(err, NV_REJECT, NV_R_bad_message, "the site's name is not valid");
	return 0;
}

static int check_disk(const char *site, uint64_t bytes, struct nv_err *err)
{
	uint64_t available = 0;
	uint64_t needed = bytes > UINT64_MAX / 2 ? bytes : bytes + bytes / 10;
	if (nv_disk_free(site, &available, err) < 0)
		return -1;
	if (available >= needed)
		return 0;
	return nv_fail(err, NV_RETRY, NV_R_disk_full, "%s: %llu bytes are needed and %llu are free",
		       site, (unsigned long long)needed, (unsigned long long)available);
}

static int check_needs(const struct nv_folder_model *m, const struct nv_import *in,
		       struct nv_strs *warnings, struct nv_arena *arena, struct nv_err *err)
{
	if (!in->needs)
		return 0;
	/* Archives are kept whole: nothing can be left out. */
	return nv_needs_check(
		&(struct nv_needs_check){in->needs, &m->plugins, in->request->course, false},
		warnings, arena, err);
}

int nv_folder_preflight(struct nv_site *base, const struct nv_import *in, uint64_t bytes,
			bool *ret_existed, struct nv_err *err)
{
	struct nv_folder_site *s = nv_folder_site(base);
	nv_auto_arena struct nv_arena arena = {0};
	struct nv_strs warnings = {0};
	struct nv_folder_target target = {0};
	if (check_ids(in, err) < 0)
		return -1;
	/* What is there needs no permission any more: the import will only say so. */
	*ret_existed = nv_folder_course_exists(s->path, in->request->id);
	if (*ret_existed)
		return 0;
	nv_auto_model struct nv_folder_model *m = nv_folder_model_get(s, err);
	if (!m || check_needs(m, in, &warnings, &arena, err) < 0 ||
	    nv_folder_choose_target(m, in, &target, &warnings, &arena, err) < 0 ||
	    check_only_one(s->path, in, err) < 0)
		return -1;
	return check_disk(s->path, bytes, err);
}

/* --- doing it --- */

/* What an earlier attempt of this request left; its lock is ours, so nobody works on it. */
static int remove_leftovers(const char *site, const char *id, struct nv_err *err)
{
	nv_auto_arena struct nv_arena arena = {0};
	nv_auto_free char *tmp = nv_asprintf("%s/tmp", site);
	struct nv_strs names;
	if (nv_folder_names(tmp, &names, &arena, err) < 0)
		return -1;
	for (size_t i = 0; i < names.len; i++) {
		nv_auto_free char *path = nv_asprintf("%s/%s", tmp, names.items[i]);
		if (strncmp(names.items[i], id, strlen(id)) == 0 &&
		    names.items[i][strlen(id)] == '.' && nv_remove_tree(path, err) < 0)
			return -1;
	}
	return 0;
}

static int write_archive(struct import *im, struct nv_err *err)
{
	im->folder = nv_folder_temporary(im->s->path, im->in->request->id);
	nv_auto_free char *file = nv_asprintf("%s/backup.mbz", im->folder);
	if (nv_mkdir_p(im->folder, 0750, err) < 0 ||
	    nv_archive_to_mbz(im->from, file, im->job, err) < 0)
		return -1;
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return nv_fail_errno(err, errno, NV_RETRY, NV_R_io, "open %s", file);
	if (nv_sync_group_file(&im->together, &fd, file, err) < 0)
		return -1;
	/* A large one is not for others to wait for, who want the lock of the names. */
	return im->from->manifest.size < SMALL ? 0 : nv_sync_group_end(&im->together, err);
}

/* With what the course server counted, where it did. */
static int compare(struct import *im, struct nv_err *err)
{
	const struct nv_list *had = &im->from->manifest.inventory;
	nv_auto_free char *xml = nv_asprintf("%s/tree/moodle_backup.xml", im->from->dir);
	struct nv_list has;
	if (!had->len)
		return 0;
	if (nv_backup_inventory(xml, &has, im->arena, err) < 0)
		return -1;
	nv_inventory_compare(had, &has, &im->ret->differences, im->arena);
	im->ret->compared = true;
	return 0;
}

/* Not visible to others yet. */
static int write_course_json(struct import *im, const char *text, struct nv_err *err)
{
	nv_auto_free char *path = nv_asprintf("%s/course.json", im->folder);
	nv_auto_fd int fd = -1;
	if (nv_folder_write_new(path, text, strlen(text), &fd, err) < 0)
		return -1;
	return nv_sync_group_file(&im->together, &fd, path, err);
}

static const char *first_of(const char *a, const char *b, const char *c)
{
	if (a && *a)
		return a;
	return b && *b ? b : c;
}

static int write_course(struct import *im, int names, struct nv_err *err)
{
	const struct nv_restore_request *q = im->in->request;
	const struct nv_manifest *about = &im->from->manifest;
	struct nv_imported *ret = im->ret;
	struct nv_folder_wanted wanted = {
		.shortname = first_of(about->shortname, q->shortname, q->course), .model = im->m};
	const char *role = im->in->config->restore.enrol_role;
	bool enrol = im->in->config->restore.enrol_requester && im->target.user;

	if (enrol && (!role || !*role))
		return nv_fail(err, NV_REJECT, NV_R_config, "restore.enrol_role: no role is set");
	wanted.fullname = first_of(about->fullname, q->fullname, wanted.shortname);
	if (nv_folder_choose_names(im->s, names, &wanted, ret, im->arena, err) < 0)
		return -1;
	ret->course = nv_arena_strdup(im->arena, q->id);
	ret->category =
		nv_arena_strdup(im->arena, nv_folder_category_identifier(im->target.category));
	ret->user_data = about->user_data;
	ret->enrolled = enrol;
	ret->at = nv_now_ms();
	nv_auto_json json_t *json = nv_folder_restored_json(
		im->in, ret, enrol ? im->target.user->username : NULL, role);
	nv_auto_free char *text = json ? json_dumps(json, JSON_INDENT(2)) : NULL;
	if (!text)
		return nv_fail(err, NV_REJECT, NV_R_internal,
			       "course.json: a text is not valid UTF-8");
	return write_course_json(im, text, err);
}

/* What is in the folder is durable before its name is.  The last look at the clock stands right
 * before the rename: whoever lost the lease while stopped changes nothing. */
static int commit(struct import *im, struct nv_err *err)
{
	nv_auto_free char *courses = nv_asprintf("%s/courses", im->s->path);
	nv_auto_free char *final = nv_asprintf("%s/%s", courses, im->in->request->id);
	if (nv_sync_group_end(&im->together, err) < 0 || nv_job_check(im->job, err) < 0)
		return -1;
	if (im->in->config->restore.only_one && write_row(im, NULL, err) < 0)
		return -1;
	if (nv_job_check(im->job, err) < 0)
		return -1;
	if (rename(im->folder, final) < 0) {
		if (errno == ENOTEMPTY || errno == EEXIST)
			return nv_fail(err, NV_HOLD, NV_R_busy,
				       "%s: another attempt has just made the course", final);
		return nv_fail_errno(err, errno, NV_RETRY, NV_R_io, "rename to %s", final);
	}
	free(im->folder);
	im->folder = NULL;
	nv_sync_group_folder(&im->together, courses);
	return 0;
}

/* Names are chosen and taken in one go; the lock between imports is held only for that. */
static int name_and_commit(struct import *im, struct nv_err *err)
{
	nv_auto_fd int names = -1;
	char token[NV_TOKEN_SIZE];
	if (nv_folder_names_lock(im->s->path, &names, err) < 0 ||
	    write_course(im, names, err) < 0 || nv_folder_names_change(names, token, err) < 0 ||
	    commit(im, err) < 0)
		return -1;
	nv_folder_names_taken(im->s, im->ret, token);
	return 0;
}

static int make_course(struct import *im, struct nv_err *err)
{
	const struct nv_import *in = im->in;
	if (check_needs(im->m, in, &im->ret->warnings, im->arena, err) < 0 ||
	    nv_folder_choose_target(im->m, in, &im->target, &im->ret->warnings, im->arena, err) <
		    0 ||
	    check_only_one(im->s->path, in, err) < 0 ||
	    check_disk(im->s->path, im->from->manifest.size, err) < 0 ||
	    write_archive(im, err) < 0 || compare(im, err) < 0)
		return -1;
	nv_fault("site.import.before-commit");
	if (name_and_commit(im, err) < 0)
		return -1;
	nv_fault("site.import.after-commit");
	if (!in->config->restore.only_one)
		write_row_for_later(im);
	return nv_sync_group_end(&im->together, err);
}

/* A failed import leaves nothing, unless it had committed: then the course exists. */
static void clean_up(struct import *im)
{
	struct nv_err err = {0};
	nv_auto_free char *row = nv_asprintf("%s/remote/%s", im->s->path, im->row);
	if (!im->folder)
		return;
	if (im->row_written && !nv_folder_course_exists(im->s->path, im->in->request->id))
		unlink(row);
	if (nv_remove_tree(im->folder, &err) < 0) /* the sweep will */
		NV_LOG(NV_WARN, "site.import", NV_S("req", im->in->request->id), NV_E(&err));
}

/* Under the request's lock.  *ret_done: there is nothing left to do. */
static int look_first(struct import *im, bool *ret_done, struct nv_err *err)
{
	const char *id = im->in->request->id;
	if (nv_folder_find(&im->s->base, id, im->ret, im->arena, err) < 0)
		return -1;
	*ret_done = im->ret->course;
	if (!*ret_done && nv_folder_course_was_deleted(im->s->path, id))
		return nv_fail(err, NV_REJECT, NV_R_course_missing,
			       "request %s had its course, which was deleted since", id);
	return *ret_done ? 0 : remove_leftovers(im->s->path, id, err);
}

static int import_locked(struct import *im, struct nv_err *err)
{
	nv_auto_fd int remote = -1;
	bool done = false;
	if (look_first(im, &done, err) < 0 || done)
		return done ? 0 : -1;
	if (im->in->config->restore.only_one) {
		nv_auto_free char *lock = nv_asprintf("remote-%s", im->row);
		if (nv_folder_lock(im->s->path, lock, 0, &remote, err) < 0)
			return -1;
	}
	int rc = make_course(im, err);
	if (rc < 0)
		clean_up(im);
	return rc;
}

int nv_folder_import(struct nv_site *base, const struct nv_import *in,
		     const struct nv_fetched *from, const struct nv_job *job,
		     struct nv_imported *ret, struct nv_arena *arena, struct nv_err *err)
{
	struct nv_folder_site *s = nv_folder_site(base);
	nv_auto_fd int lock = -1;
	*ret = (struct nv_imported){0};
	if (check_ids(in, err) < 0 || nv_job_check(job, err) < 0 ||
	    nv_folder_make_folders(s->path, err) < 0)
		return -1;
	nv_auto_model struct nv_folder_model *m = nv_folder_model_get(s, err);
	if (!m || nv_folder_lock(s->path, in->request->id, 0, &lock, err) < 0)
		return -1;
	struct import im = {
		.s = s,
		.in = in,
		.from = from,
		.job = job,
		.m = m,
		.ret = ret,
		.arena = arena,
		.row = remote_row(in->site, in->request->course),
	};
	nv_sync_group_init(&im.together);
	int rc = import_locked(&im, err);
	nv_sync_group_fini(&im.together);
	free(im.row);
	free(im.folder);
	return rc;
}
