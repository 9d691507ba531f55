/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Creating and changing folder sites: quickstart, `navette site create`, tests. The layout of the
 * folder is in README.md beside this file. */
#ifndef NV_SITE_FOLDER_FOLDER_H
#define NV_SITE_FOLDER_FOLDER_H

#include "base/err.h"

/* Identifier of a new site's only category, for restore.default_category. */
#define NV_SITE_DIRECTORY_CATEGORY "courses"

/* Called for each file of courses_dir that is no backup, or a damaged one. */
typedef void (*nv_damaged_cb)(void *arg, const char *file, const struct nv_err *why);

/* Create a folder site at path (created when missing; NV_REJECT/conflict when there is one
 * already): one category, the user `teacher` who may create courses everywhere and is
 * editingteacher in every course, and one course per .mbz file of courses_dir (NULL: none), in the
 * order of their names; a damaged one is a course, too, and listed as damaged.  The files are
 * hard-linked where that works and copied where not. name: a site's or client's name, see
 * nv_name_valid.  damaged_cb may be NULL. */
int nv_site_folder_create(const char *path, const char *name, const char *teacher,
			  const char *courses_dir, nv_damaged_cb damaged_cb, void *arg,
			  struct nv_err *err);

/* Delete a restored course, as in Moodle: its history stays. NV_REJECT/course_missing when there is
 * none, NV_HOLD/busy while an import works on it. */
int nv_site_directory_delete(const char *path, const char *course, struct nv_err *err);

#endif
