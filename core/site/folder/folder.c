/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The folder site: opening, cached data, and the table of its calls. */
#include "core/site/folder/folder.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/fs.h"
#include "core/site/folder/folder_internal.h"
#include "core/site/needs.h"

struct nv_folder_stamp nv_folder_stamp_of(const struct stat *st)
{
	return (struct nv_folder_stamp){st->st_dev, st->st_ino, st->st_size, st->st_mtim};
}

static bool stamp_equal(const struct nv_folder_stamp *a, const struct nv_folder_stamp *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	       a->mtime.tv_sec == b->mtime.tv_sec && a->mtime.tv_nsec == b->mtime.tv_nsec;
}

struct nv_folder_model *nv_folder_model_get(struct nv_folder_site *s, struct nv_err *err)
{
	nv_auto_free char *path = nv_asprintf("%s/site.json", s->path);
	struct nv_folder_model *m = NULL;
	struct stat st;

	pthread_mutex_lock(&s->mutex);
	if (stat(path, &st) == 0 && s->model) {
		struct nv_folder_stamp now = nv_folder_stamp_of(&st);
		if (stamp_equal(&now, &s->model->stamp))
			m = s->model;
	}
	if (!m && (m = nv_folder_model_read(path, err))) {
		nv_folder_model_unref(s->model);
		s->model = m;
	} else if (!m && s->model && err) {
		err->kind = NV_RETRY;
	}
	if (m)
		atomic_fetch_add(&m->refs, 1);
	pthread_mutex_unlock(&s->mutex);
	return m;
}

/* --- looking things up --- */

static const char *user_value(const struct nv_folder_user *u, const char *field)
{
	if (strcmp(field, "idnumber") == 0)
		return u->idnumber;
	return strcmp(field, "email") == 0 ? u->email : u->username;
}

int nv_folder_find_user(const struct nv_folder_model *m, const char *field, const char *value,
			size_t *ret, size_t *ret_matches, struct nv_err *err)
{
	size_t matches = 0;
	bool email = strcmp(field, "email") == 0;
	if (!email && strcmp(field, "idnumber") != 0 && strcmp(field, "username") != 0)
		return nv_fail(err, NV_REJECT, NV_R_bad_message,
			       "users are identified by username, idnumber or email, not by %s",
			       field);
	for (size_t i = 0; i < m->users_len && *value; i++) {
		const char *has = user_value(&m->users[i], field);
		if (!has || (email ? strcasecmp(has, value) : strcmp(has, value)) != 0)
			continue;
		*ret = i;
		matches++;
	}
	if (ret_matches)
		*ret_matches = matches;
	if (matches == 1)
		return 0;
	return nv_fail(err, NV_REJECT, NV_R_unknown_user,
		       "%s accounts of %s have the requester's %s", matches ? "several" : "no",
		       m->name, field);
}

const struct nv_folder_course *nv_folder_find_course(const struct nv_folder_model *m,
						     const char *id)
{
	for (size_t i = 0; i < m->courses_len; i++) {
		if (strcmp(m->courses[i].id, id) == 0)
			return &m->courses[i];
	}
	return NULL;
}

size_t nv_folder_find_category(const struct nv_folder_model *m, const char *identifier, bool by_id)
{
	if (!identifier || !*identifier)
		return NV_FOLDER_NONE;
	for (size_t i = 0; i < m->categories_len; i++) {
		const char *idnumber = m->categories[i].idnumber;
		if (idnumber && strcmp(idnumber, identifier) == 0)
			return i;
	}
	for (size_t i = 0; by_id && i < m->categories_len; i++) {
		if (strcmp(m->categories[i].id, identifier) == 0)
			return i;
	}
	return NV_FOLDER_NONE;
}

bool nv_folder_within(const struct nv_folder_model *m, size_t at, size_t above)
{
	for (size_t steps = 0; at != NV_FOLDER_NONE && steps <= m->categories_len; steps++) {
		if (at == above)
			return true;
		at = m->categories[at].parent;
	}
	return false;
}

static bool role_reaches(const struct nv_folder_model *m, const struct nv_folder_role *r,
			 const struct nv_folder_course *course)
{
	if (r->course != NV_FOLDER_NONE)
		return &m->courses[r->course] == course;
	return nv_folder_within(m, course->category, r->category);
}

const char *nv_folder_role_held(const struct nv_folder_model *m, size_t user,
				const struct nv_folder_course *course, const struct nv_strs *roles)
{
	for (size_t wanted = 0; wanted < roles->len; wanted++) {
		for (size_t i = 0; i < m->roles_len; i++) {
			const struct nv_folder_role *r = &m->roles[i];
			if (r->user == user && strcmp(r->role, roles->items[wanted]) == 0 &&
			    role_reaches(m, r, course))
				return r->role;
		}
	}
	return NULL;
}

const char *nv_folder_category_identifier(const struct nv_folder_category *c)
{
	return c->idnumber ? c->idnumber : c->id;
}

/* --- what backups are --- */

/* At most max bytes, whole characters. */
static char *cut(struct nv_arena *arena, const char *text, size_t max)
{
	size_t len = strlen(text);
	if (len > max) {
		len = max;
		while (len && ((unsigned char)text[len] & 0xc0) == 0x80)
			len--;
	}
	return nv_arena_strndup(arena, text, len);
}

static void copy_info(const struct nv_folder_course *course, const struct nv_mbz_info *i,
		      struct nv_folder_course_info *ret, struct nv_arena *arena)
{
	const char *shortname = course->shortname ? course->shortname : i->shortname;
	const char *fullname = course->fullname ? course->fullname : i->fullname;
	if (!shortname || !*shortname)
		shortname = course->id;
	if (!fullname || !*fullname)
		fullname = shortname;
	ret->shortname = cut(arena, shortname, NV_FOLDER_NAME_MAX);
	ret->fullname = cut(arena, fullname, NV_FOLDER_NAME_MAX);
	ret->moodle_version = nv_arena_strdup(arena, i->moodle_version);
	ret->users = i->users;
	ret->packed = i->packed;
	ret->unpacked = i->unpacked;
	nv_needs_from_names(&i->plugins, &ret->needs, arena);
	nv_inventory_copy(course->inventory.len ? &course->inventory : &i->inventory,
			  &ret->inventory, arena);
}

/* The remembered state of a file, under the mutex; NULL when it changed or was never read. */
static struct nv_folder_backup *remembered(struct nv_folder_site *s, const char *file,
					   const struct nv_folder_stamp *stamp)
{
	for (struct nv_folder_backup *b = s->backups; b; b = b->next) {
		if (strcmp(b->file, file) == 0)
			return stamp_equal(&b->stamp, stamp) ? b : NULL;
	}
	return NULL;
}

static void backup_free(struct nv_folder_backup *b)
{
	nv_mbz_info_fini(&b->info);
	free(b->file);
	free(b);
}

/* Takes b; an older reading of the same file goes. */
static void remember(struct nv_folder_site *s, struct nv_folder_backup *b)
{
	struct nv_folder_backup **at = &s->backups;
	while (*at && strcmp((*at)->file, b->file) != 0)
		at = &(*at)->next;
	if (*at) {
		struct nv_folder_backup *old = *at;
		*at = old->next;
		backup_free(old);
	}
	b->next = s->backups;
	s->backups = b;
}

static int tell_backup(const struct nv_folder_backup *b, const struct nv_folder_course *course,
		       struct nv_folder_course_info *ret, struct nv_arena *arena,
		       struct nv_err *err)
{
	if (b->damage.kind == NV_OK) {
		copy_info(course, &b->info, ret, arena);
		return 0;
	}
	if (err)
		*err = b->damage;
	nv_err_prefix(err, "course %s", course->id);
	return -1;
}

int nv_folder_check_backups(const struct nv_folder_site *s, const struct nv_folder_model *m,
			    struct nv_err *err)
{
	if (!m->courses_len)
		return 0;
	nv_auto_free char *path = nv_asprintf("%s/backups", s->path);
	DIR *dir = opendir(path);
	bool found = false;
	for (struct dirent *e; dir && !found && (e = readdir(dir));)
		found = strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	if (dir)
		closedir(dir);
	if (found)
		return 0;
	return nv_fail(err, NV_RETRY, NV_R_site_unavailable, "%s: it holds no backup of a course",
		       path);
}

int nv_folder_course_info(struct nv_folder_site *s, const struct nv_folder_course *course,
			  struct nv_folder_course_info *ret, struct nv_arena *arena,
			  struct nv_err *err)
{
	struct stat st;
	*ret = (struct nv_folder_course_info){0};
	ret->path = nv_arena_printf(arena, "%s/backups/%s", s->path, course->file);
	if (stat(ret->path, &st) < 0)
		return nv_fail_errno(err, errno, NV_REJECT, NV_R_course_missing,
				     "course %s: its backup file %s", course->id, course->file);
	struct nv_folder_stamp stamp = nv_folder_stamp_of(&st);
	pthread_mutex_lock(&s->mutex);
	const struct nv_folder_backup *known = remembered(s, course->file, &stamp);
	int rc = known ? tell_backup(known, course, ret, arena, err) : 0;
	pthread_mutex_unlock(&s->mutex);
	if (known)
		return rc;

	/* Reading may take long: without the mutex.  Two at once read twice, no more. */
	struct nv_folder_backup *b = nv_alloc(sizeof *b);
	b->file = nv_strdup(course->file);
	b->stamp = stamp;
	nv_mbz_inspect(ret->path, &s->limits, NULL, &b->info, &b->damage);
	rc = tell_backup(b, course, ret, arena, err);
	if (b->damage.kind == NV_RETRY) { /* the disk's fault, say: it may be read next time */
		backup_free(b);
		return rc;
	}
	pthread_mutex_lock(&s->mutex);
	remember(s, b);
	pthread_mutex_unlock(&s->mutex);
	return rc;
}

/* --- opening --- */

static void directory_close(struct nv_site *base)
{
	struct nv_folder_site *s = nv_folder_site(base);
	while (s->backups) {
		struct nv_folder_backup *b = s->backups;
		s->backups = b->next;
		backup_free(b);
	}
	nv_folder_names_fini(s);
	nv_folder_model_unref(s->model);
	pthread_mutex_destroy(&s->mutex);
	free(s->user_field);
	free(s->path);
	free(s->base.describe);
	free(s);
}

static uint64_t or_no_limit(uint64_t limit)
{
	return limit ? limit : NV_FOLDER_NO_LIMIT;
}

static struct nv_site *directory_open(const struct nv_config *config, struct nv_err *err)
{
	if (!config->site.path || !*config->site.path) {
		nv_fail(err, NV_FATAL, NV_R_config, "site.path: the folder of the site is missing");
		return NULL;
	}
	const char *field = config->restore.user_field;
	struct nv_folder_site *s = nv_alloc(sizeof *s);
	s->base.ops = &nv_site_folder_ops;
	s->base.describe = nv_asprintf("directory %s", config->site.path);
	s->path = nv_strdup(config->site.path);
	s->user_field = nv_strdup(field && *field ? field : "username");
	s->limits = (struct nv_archive_limits){
		.max_bytes = or_no_limit(config->store.max_archive),
		.max_entries = or_no_limit(config->store.max_entries),
		.max_ratio = or_no_limit(config->store.max_ratio),
	};
	pthread_mutex_init(&s->mutex, NULL);
	pthread_mutex_init(&s->names_mutex, NULL);
	nv_auto_model struct nv_folder_model *m = nv_folder_model_get(s, err);
	if (m)
		return &s->base;
	directory_close(&s->base);
	return NULL;
}

static int directory_versions(struct nv_site *base, uint64_t *ret_version,
			      struct nv_list *ret_plugins, struct nv_arena *arena,
			      struct nv_err *err)
{
	nv_auto_model struct nv_folder_model *m = nv_folder_model_get(nv_folder_site(base), err);
	if (!m)
		return -1;
	struct nv_plugin *plugins = nv_arena_alloc(arena, (m->plugins.len + 1) * sizeof *plugins);
	for (size_t i = 0; i < m->plugins.len; i++) {
		plugins[i] = ((const struct nv_plugin *)m->plugins.items)[i];
		plugins[i].name = nv_arena_strdup(arena, plugins[i].name);
	}
	*ret_version = m->moodle_version;
	*ret_plugins = (struct nv_list){plugins, m->plugins.len};
	return 0;
}

static int directory_probe(struct nv_site *base, const struct nv_job *job, struct nv_err *err)
{
	struct nv_folder_site *s = nv_folder_site(base);
	nv_auto_model struct nv_folder_model *m = nv_folder_model_get(s, err);
	(void)job;
	if (!m)
		return -1;
	if (nv_folder_check_backups(s, m, err) < 0)
		return -1;
	return nv_disk_look(s->path, err);
}

const struct nv_site_ops nv_site_folder_ops = {
	.type = "directory",
	.open = directory_open,
	.close = directory_close,
	.versions = directory_versions,
	.probe = directory_probe,
	.catalog = nv_folder_catalog,
	.export = nv_folder_export,
	.preflight = nv_folder_preflight,
	.import = nv_folder_import,
	.find = nv_folder_find,
	.enrol = nv_folder_enrol,
	.notify = nv_folder_notify,
	.history = nv_folder_history,
	.sweep = nv_folder_sweep,
};
