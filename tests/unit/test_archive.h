/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of test_archive share. */
#ifndef TEST_ARCHIVE_H
#define TEST_ARCHIVE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <archive.h>
#include <archive_entry.h>

#include "core/archive/archive.h"

extern char *test_dir; /* of this run, removed at its end */
extern const struct nv_archive_limits wide_limits;

char *in_dir(const char *name); /* free it */
/* The path of a backup of the repository's samples; NULL: not there. */
char *sample(const char *name);

/* Every entry of an archive, by libarchive alone: one line "path type size mtime sha256" each. */
void describe(const char *path, struct nv_buf *out);

/* An archive being made by libarchive, with whatever is wanted in it. */
struct maker {
	struct archive *a;
	char *path;
};
void make_begin(struct maker *m, const char *name, bool zip);
/* type: AE_IFREG …; link NULL unless it is one ('=' in front: a hard link). */
void make_add(struct maker *m, const char *path, unsigned type, const char *link, const void *data,
	      size_t len);
void make_end(struct maker *m);

/* Read it with a sink that throws everything away. */
int read_discarding(const char *path, const struct nv_archive_limits *limits, struct nv_err *err);

extern const struct CMUnitTest bad_tests[];
extern const size_t bad_tests_len;
/* test_archive_odd.c */
extern const struct CMUnitTest odd_tests[];
extern const size_t odd_tests_len;
/* test_archive_collect.c */
extern const struct CMUnitTest collect_tests[];
extern const size_t collect_tests_len;

#endif
