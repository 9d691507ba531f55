/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A new directory site from a folder of .mbz files. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>

#include "base/fs.h"
#include "base/id.h"
#include "core/site/folder/folder.h"
#include "core/site/folder/folder_internal.h"

#define COPY_STEP 65536u

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int find_backups(const char *folder, struct nv_strs *ret, struct nv_arena *arena,
			struct nv_err *err)
{
	struct stat st;
	size_t kept = 0;
	*ret = (struct nv_strs){0};
	if (!folder)
		return 0;
	if (stat(folder, &st) < 0 || !S_ISDIR(st.st_mode))
		return nv_fail(err, NV_REJECT, NV_R_config,
			       "%s: a folder of .mbz files is expected", folder);
	if (nv_folder_names(folder, ret, arena, err) < 0)
		return -1;
	for (size_t i = 0; i < ret->len; i++) {
		size_t len = strlen(ret->items[i]);
		if (len > 4 && strcasecmp(ret->items[i] + len - 4, ".mbz") == 0)
			ret->items[kept++] = ret->items[i];
	}
	ret->len = kept;
	if (kept)
		qsort(ret->items, kept, sizeof *ret->items, by_name);
	return 0;
}

static int copy_file(const char *from, const char *to, struct nv_err *err)
{
	nv_auto_fd int in = open(from, O_RDONLY | O_CLOEXEC);
	if (in < 0)
		return nv_fail_errno(err, errno, NV_RETRY, NV_R_io, "open %s", from);
	nv_auto_fd int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	if (out < 0)
		return nv_fail_errno(err, errno, NV_RETRY, NV_R_io, "create %s", to);
	nv_auto_free char *block = nv_alloc(COPY_STEP);
	ssize_t n;
	while ((n = read(in, block, COPY_STEP)) > 0) {
		if (nv_write_all(out, block, (size_t)n, err) < 0)
			return -1;
	}
	if (n < 0)
		return nv_fail_errno(err, errno, NV_RETRY, NV_R_io, "read %s", from);
	if (fsync(out) < 0)
		return nv_fail_errno(err, errno, NV_RETRY, NV_R_io, "sync %s", to);
	return 0;
}

/* Put the file from at to, whole or not at all.  What an interrupted creation left there (the same
 * file, or a copy of its size) is used; anything else is somebody's and stays. */
static int place_file(const char *from, const char *to, struct nv_err *err)
{
	struct stat source, there;
	nv_auto_free char *part = nv_asprintf("%s.part", to);
	if (stat(from, &source) == 0 && stat(to, &there) == 0) {
		if (source.st_size == there.st_size)
			return 0;
		return nv_fail(err, NV_REJECT, NV_R_conflict, "%s: another file is there already",
			       to);
	}
	/* linkat follows a link: the site must not hang on a name elsewhere. */
	if (linkat(AT_FDCWD, from, AT_FDCWD, to, AT_SYMLINK_FOLLOW) == 0)
		return 0;
	if (copy_file(from, part, err) < 0) {
		unlink(part);
		return -1;
	}
	if (rename(part, to) < 0)
		return nv_fail_errno(err, errno, NV_RETRY, NV_R_io, "rename to %s", to);
	return 0;
}

/* Under its own name where site.json can hold that (UTF-8, no control characters), else under one
 * of ours. */
static char *name_in_site(const char *name, size_t id)
{
	nv_auto_json json_t *as_json = json_string(name);
	return as_json && nv_path_is_safe(name) ? nv_strdup(name)
						: nv_asprintf("course-%zu.mbz", id);
}

struct making {
	const char *site;
	const char *folder; /* of the backups */
	nv_damaged_cb damaged_cb;
	void *arg;
	json_t *courses;
	uint64_t version; /* the newest of the backups' Moodles */
};

static int take_backup(struct making *m, const char *name, size_t id, struct nv_err *err)
{
	static const struct nv_archive_limits limits = {NV_FOLDER_NO_LIMIT, NV_FOLDER_NO_LIMIT,
							NV_FOLDER_NO_LIMIT};
	nv_auto_free char *file = name_in_site(name, id);
	nv_auto_free char *from = nv_asprintf("%s/%s", m->folder, name);
	nv_auto_free char *to = nv_asprintf("%s/backups/%s", m->site, file);
	struct nv_mbz_info info = {0};
	struct nv_err why = {0};
	bool damaged = nv_mbz_inspect(from, &limits, NULL, &info, &why) < 0;
	uint64_t its = nv_moodle_version(info.moodle_version);
	nv_mbz_info_fini(&info);
	if (its > m->version)
		m->version = its;
	if (damaged && m->damaged_cb)
		m->damaged_cb(m->arg, name, &why);
	/* One that cannot even be placed (a folder, a link to nothing) is listed as missing. */
	if (place_file(from, to, err) < 0 && !damaged)
		return -1;
	json_array_append_new(m->courses,
			      json_pack("{s:o, s:s, s:s}", "id", json_sprintf("%zu", id), "file",
					file, "category", "1"));
	return 0;
}

/* Takes courses. */
static json_t *site_json(const char *name, const char *teacher, json_t *courses, uint64_t version)
{
	json_t *roles = json_array();
	for (size_t i = 0; i < json_array_size(courses); i++)
		json_array_append_new(roles,
				      json_pack("{s:s, s:s, s:O}", "user", teacher, "role",
						"editingteacher", "course",
						json_object_get(json_array_get(courses, i), "id")));
	json_t *email = strchr(teacher, '@') ? json_string(teacher)
					     : json_sprintf("%s@example.org", teacher);
	json_t *user =
		json_pack("{s:s, s:s, s:o, s:s, s:[s]}", "username", teacher, "name", teacher,
			  "email", email, "idnumber", teacher, "can_create_in", "*");
	json_t *root =
		json_pack("{s:s, s:[{s:s, s:s, s:s}], s:[o], s:o, s:o}", "name", name, "categories",
			  "id", "1", "idnumber", NV_SITE_DIRECTORY_CATEGORY, "name", "Courses",
			  "users", user, "roles", roles, "courses", courses);
	if (root && version)
		json_object_set_new(root, "moodle_version", json_integer((json_int_t)version));
	return root;
}

static bool is_plain_text(const char *text)
{
	nv_auto_json json_t *as_json = json_string(text); /* NULL when it is not UTF-8 */
	for (const char *p = text; *p; p++) {
		if (iscntrl((unsigned char)*p))
			return false;
	}
	return as_json != NULL;
}

static int check_arguments(const char *path, const char *name, const char *teacher,
			   struct nv_err *err)
{
	nv_auto_free char *site = nv_asprintf("%s/site.json", path);
	if (!nv_name_valid(name))
		return nv_fail(err, NV_REJECT, NV_R_config,
			       "\"%s\": a site's name of a-z, 0-9 and - is expected, at most 32",
			       name);
	if (!*teacher || strlen(teacher) > 200 || !is_plain_text(teacher))
		return nv_fail(err, NV_REJECT, NV_R_config,
			       "the teacher's user name must be text of 1 to 200 bytes");
	if (access(site, F_OK) == 0)
		return nv_fail(err, NV_REJECT, NV_R_conflict, "%s: there is a site already", path);
	return 0;
}

static int write_site(const char *path, const char *name, const char *teacher, json_t *courses,
		      uint64_t version, struct nv_err *err)
{
	nv_auto_free char *file = nv_asprintf("%s/site.json", path);
	nv_auto_json json_t *root = site_json(name, teacher, courses, version);
	nv_auto_free char *text = root ? json_dumps(root, JSON_INDENT(2)) : NULL;
	if (!text)
		return nv_fail(err, NV_REJECT, NV_R_internal, "%s: not to be written as JSON",
			       file);
	return nv_write_file(file, text, strlen(text), 0640, err);
}

int nv_site_folder_create(const char *path, const char *name, const char *teacher,
			  const char *courses_dir, nv_damaged_cb damaged_cb, void *arg,
			  struct nv_err *err)
{
	nv_auto_arena struct nv_arena arena = {0};
	nv_auto_free char *backups = nv_asprintf("%s/backups", path);
	struct nv_strs names;
	struct making m = {
		.site = path, .folder = courses_dir, .damaged_cb = damaged_cb, .arg = arg};
	if (check_arguments(path, name, teacher, err) < 0 ||
	    find_backups(courses_dir, &names, &arena, err) < 0 ||
	    nv_mkdir_p(backups, 0750, err) < 0)
		return -1;
	m.courses = json_array();
	for (size_t i = 0; i < names.len; i++) {
		if (take_backup(&m, names.items[i], i + 1, err) < 0) {
			json_decref(m.courses);
			return -1;
		}
	}
	/* Last: without site.json it is not a site yet, and can be created again. */
	return write_site(path, name, teacher, m.courses, m.version, err);
}
