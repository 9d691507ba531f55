/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Shared by the files of the folder site only. */
#ifndef NV_SITE_FOLDER_FOLDER_INTERNAL_H
#define NV_SITE_FOLDER_FOLDER_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "core/site/record_json.h"
#include "core/site/site.h"

#define NV_FOLDER_NONE SIZE_MAX	 /* no index */
#define NV_FOLDER_NAME_MAX 1333u /* bytes of a course's or category's name, as in the messages */
#define NV_FOLDER_NO_LIMIT (UINT64_MAX / 4) /* where the configuration sets no limit */

/* --- site.json (folder_model.c) --- */

/* References between items are indexes into the model's arrays, NV_FOLDER_NONE where there is none.
 */
struct nv_folder_category {
	const char *id;
	const char *idnumber; /* NULL: it has none */
	const char *name;
	size_t parent;
};
struct nv_folder_user {
	const char *username;
	const char *name;
	const char *email;    /* may be NULL */
	const char *idnumber; /* may be NULL */
	const char *lang;     /* may be NULL */
	bool create_anywhere;
	size_t *create_in; /* categories in which, and below which, courses may be made */
	size_t create_in_len;
};
struct nv_folder_role {
	size_t user;
	const char *role;
	size_t course; /* exactly one of the two is set */
	size_t category;
};
struct nv_folder_course {
	const char *id;
	const char *file; /* safe path below backups/ */
	size_t category;
	const char *shortname; /* NULL: as the backup says */
	const char *fullname;
	struct nv_list inventory; /* struct nv_count; empty: as the backup says */
};
/* Which state of a file something was read from. */
struct nv_folder_stamp {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtime;
};
/* The parsed site.json: immutable, reference-counted. */
struct nv_folder_model {
	atomic_uint refs;
	struct nv_folder_stamp stamp;
	struct nv_arena arena;
	const char *name;
	uint64_t moodle_version; /* 0: not known */
	struct nv_list plugins;	 /* struct nv_plugin */
	struct nv_folder_category *categories;
	size_t categories_len;
	struct nv_folder_user *users;
	size_t users_len;
	struct nv_folder_role *roles;
	size_t roles_len;
	struct nv_folder_course *courses;
	size_t courses_len;
};

/* Cached facts about a backup file, so that a catalog need not read gigabytes each time. */
struct nv_folder_backup {
	char *file;
	struct nv_folder_stamp stamp;
	struct nv_err
		damage; /* why it cannot be read; kind NV_OK: it can, and the rest is valid: */
	struct nv_mbz_info info;
	struct nv_folder_backup *next;
};

struct nv_folder_site {
	struct nv_site base; /* first */
	char *path;
	char *user_field;		 /* default field that identifies a user */
	struct nv_archive_limits limits; /* of inspecting backups */
	pthread_mutex_t mutex;		 /* guards the two below */
	struct nv_folder_model *model;
	struct nv_folder_backup *backups;
	/* Names of the restored courses, read once: guarded by the lock between imports of this
	 * process (names_mutex), looked at under the site's lock `names`. */
	pthread_mutex_t names_mutex;
	char names_token[NV_TOKEN_SIZE]; /* what the lock's file held when they were right */
	json_t *courses;		 /* id → does course.json exist; NULL: to be read again */
	json_t *shortnames;		 /* name → true, of courses */
	json_t *fullnames;
	json_t *copies; /* short name → number of a copy: all lower ones are taken */
};

static inline struct nv_folder_site *nv_folder_site(struct nv_site *s)
{
	return (struct nv_folder_site *)s;
}

struct nv_folder_stamp nv_folder_stamp_of(const struct stat *st);

/* The whole file, checked; NV_FATAL/config with "<file>:<line>: <where>: <what is expected>". */
struct nv_folder_model *nv_folder_model_read(const char *path, struct nv_err *err);
void nv_folder_model_unref(struct nv_folder_model *m); /* NULL allowed */
static inline void nv_folder_model_cleanup(struct nv_folder_model **m)
{
	nv_folder_model_unref(*m);
}
#define nv_auto_model __attribute__((cleanup(nv_folder_model_cleanup)))

/* The present site.json (read again when it changed); a mistake made since the site was opened is
 * NV_RETRY/config. Owned: unref. */
struct nv_folder_model *nv_folder_model_get(struct nv_folder_site *s, struct nv_err *err);

/* Users whose field (username, idnumber, email) is value: 0 with *ret, or NV_REJECT/unknown_user
 * when there is none or more than one; *ret_matches (may be NULL) says how many. */
int nv_folder_find_user(const struct nv_folder_model *m, const char *field, const char *value,
			size_t *ret, size_t *ret_matches, struct nv_err *err);
const struct nv_folder_course *nv_folder_find_course(const struct nv_folder_model *m,
						     const char *id);
/* By its idnumber, else (by_id) by its id; NV_FOLDER_NONE when there is none. */
size_t nv_folder_find_category(const struct nv_folder_model *m, const char *identifier, bool by_id);
/* Is category `at` the same as `above` or below it? Terminates with circular parents, too. */
bool nv_folder_within(const struct nv_folder_model *m, size_t at, size_t above);
/* The role of `roles` that the user holds in the course, its category or any above; NULL: none. If
 * several, the first of `roles`. */
const char *nv_folder_role_held(const struct nv_folder_model *m, size_t user,
				const struct nv_folder_course *course, const struct nv_strs *roles);
/* idnumber, or where it has none its id */
const char *nv_folder_category_identifier(const struct nv_folder_category *c);

/* Facts about a course's backup, or that it is damaged; cached. Strings in the arena. */
struct nv_folder_course_info {
	char *path; /* of the .mbz */
	char *shortname;
	char *fullname;
	char *moodle_version; /* may be NULL */
	bool users;
	uint64_t packed;
	uint64_t unpacked;
	struct nv_list needs;	  /* struct nv_plugin */
	struct nv_list inventory; /* struct nv_count */
};
int nv_folder_course_info(struct nv_folder_site *s, const struct nv_folder_course *course,
			  struct nv_folder_course_info *ret, struct nv_arena *arena,
			  struct nv_err *err);
/* A missing or empty folder of backups counts as not mounted. */
int nv_folder_check_backups(const struct nv_folder_site *s, const struct nv_folder_model *m,
			    struct nv_err *err);

/* --- JSON (folder_json.c) --- */

struct nv_folder_step {
	const char *key; /* NULL: index */
	size_t index;
};
/* The line (from 1) of the value at the path `steps` in valid JSON, or of the innermost existing
 * container. */
unsigned nv_folder_json_line(const char *text, const struct nv_folder_step *steps,
			     size_t steps_len);

/* --- locks and temporary files (folder_lock.c) --- */

/* A lock is the file locks/<name>; a temporary file or folder made under it is tmp/<name>.<token>,
 * and is abandoned once the lock is free. wait_ms: how long to try before NV_HOLD/busy.  The
 * descriptor is the lock. */
int nv_folder_lock(const char *site, const char *name, uint64_t wait_ms, int *ret_fd,
		   struct nv_err *err);
/* "<site>/tmp/<lock>.<token>", owned */
char *nv_folder_temporary(const char *site, const char *lock);
/* Creates a new file, without syncing it. *ret_fd: open, even if writing fails; -1: it could not be
 * created. */
int nv_folder_write_new(const char *path, const void *data, size_t len, int *ret_fd,
			struct nv_err *err);
struct nv_folder_file {
	const char *lock; /* held */
	const char *name; /* below the site's folder */
	const void *data;
	size_t len;
	bool only_new; /* one that exists already stays as it is */
	/* Until the group has ended a crash may damage it; NULL: durable when the call returns. */
	struct nv_sync_group *together;
};
/* Write the file atomically. */
int nv_folder_write(const char *site, const struct nv_folder_file *file, struct nv_err *err);
/* Creates the folders for written files, at the first write. */
int nv_folder_make_folders(const char *site, struct nv_err *err);
/* The names in a folder except "." and ".."; none for a missing folder. */
int nv_folder_names(const char *folder, struct nv_strs *ret, struct nv_arena *arena,
		    struct nv_err *err);
int nv_folder_sweep(struct nv_site *site, struct nv_err *err);

/* --- restored courses (folder_course.c) --- */

/* courses/<id>/course.json, or deleted/<id>.json. */
struct nv_folder_restored {
	struct nv_restore_request request;
	char *site; /* the course server it came from */
	struct nv_imported outcome;
	json_t *json; /* the whole, owned */
};
/* 0 with *ret_found; damaged: NV_RETRY/io. */
int nv_folder_restored_read(const char *path, struct nv_folder_restored *ret, bool *ret_found,
			    struct nv_arena *arena, struct nv_err *err);
void nv_folder_restored_fini(struct nv_folder_restored *r);
json_t *nv_folder_restored_json(const struct nv_import *in, const struct nv_imported *outcome,
				const char *enrolled_user, const char *enrolled_role);
/* Does the request have a course? Checks for the file without reading it. */
bool nv_folder_course_exists(const char *site, const char *request_id);
bool nv_folder_course_was_deleted(const char *site, const char *request_id);
int nv_folder_find(struct nv_site *site, const char *request_id, struct nv_imported *ret,
		   struct nv_arena *arena, struct nv_err *err);
int nv_folder_enrol(struct nv_site *site, const char *course, const char *user, const char *role,
		    struct nv_err *err);
int nv_folder_history(struct nv_site *site, nv_site_history_cb cb, void *arg, struct nv_err *err);

/* --- destination of a course (folder_category.c) --- */

struct nv_folder_target {
	const struct nv_folder_category *category;
	const struct nv_folder_user *user; /* NULL: an administrator's request */
};
/* category_missing, capability_missing, unknown_user; deviations from the request are in
 * warnings. */
int nv_folder_choose_target(const struct nv_folder_model *m, const struct nv_import *in,
			    struct nv_folder_target *ret, struct nv_strs *warnings,
			    struct nv_arena *arena, struct nv_err *err);
/* The lock of names. Its file holds a token that changes with each course created or deleted. */
int nv_folder_names_lock(const char *site, int *ret_fd, struct nv_err *err);
/* Announces a change of courses, which invalidates cached names. Under the lock; returns the
 * token. */
int nv_folder_names_change(int lock, char ret[NV_TOKEN_SIZE], struct nv_err *err);
struct nv_folder_wanted {
	const char *shortname, *fullname;
	const struct nv_folder_model *model;
};
/* Names as Moodle makes them unique: "X copy 1", X_1.  Under the lock, as the next one. */
int nv_folder_choose_names(struct nv_folder_site *s, int lock,
			   const struct nv_folder_wanted *wanted, struct nv_imported *ret,
			   struct nv_arena *arena, struct nv_err *err);
/* The course with these names was created; token: of the change announced before. */
void nv_folder_names_taken(struct nv_folder_site *s, const struct nv_imported *course,
			   const char *token);
void nv_folder_names_fini(struct nv_folder_site *s);

/* --- the calls --- */

int nv_folder_catalog(struct nv_site *s, const struct nv_catalog_request *q,
		      struct nv_catalog_reply *ret, struct nv_arena *arena, struct nv_err *err);
int nv_folder_export(struct nv_site *s, const struct nv_restore_request *q,
		     const struct nv_config_client *policy, const struct nv_archive_limits *limits,
		     const struct nv_sink *to, const struct nv_job *job, struct nv_manifest *ret,
		     struct nv_strs *ret_warnings, struct nv_arena *arena, struct nv_err *err);
int nv_folder_preflight(struct nv_site *s, const struct nv_import *in, uint64_t bytes,
			bool *ret_existed, struct nv_err *err);
int nv_folder_import(struct nv_site *s, const struct nv_import *in, const struct nv_fetched *from,
		     const struct nv_job *job, struct nv_imported *ret, struct nv_arena *arena,
		     struct nv_err *err);
int nv_folder_notify(struct nv_site *s, const struct nv_notice *n, struct nv_err *err);
/* The request that holds a row: "" when nobody does, or its course is gone. */
int nv_folder_remote_holder(const char *site, const char *row, char ret[NV_UUID_SIZE],
			    struct nv_err *err);

void nv_folder_strs_add(struct nv_strs *to, const char *text, struct nv_arena *arena);

#endif
