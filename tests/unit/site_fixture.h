/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The directory site's tests share this: a folder with a course server (src) that has real .mbz
 * files, a staging store, and a client's site (dst). */
#ifndef SITE_FIXTURE_H
#define SITE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/fs.h"
#include "base/hash.h"
#include "base/id.h"
#include "base/log.h"
#include "core/site/folder/folder.h"
#include "core/site/site.h"

#define BIG_CONTENT 100000u /* bytes of the one file in a made backup */

extern const struct nv_archive_limits no_limits;
extern const char src_json[];
extern char big_content[BIG_CONTENT];

struct fixture {
	char dir[64];
	struct nv_config src_config;
	struct nv_config dst_config;
	struct nv_site *src;
	struct nv_site *dst;
	struct nv_store *store;
	struct nv_arena arena;
	struct nv_err err;
	struct nv_fetched fetched;
	bool has_fetched;
	struct nv_restore_request request;
	struct nv_import import;
	char *roles[1];
};

char *path_of(struct fixture *f, const char *name);
void put_file(struct fixture *f, const char *name, const char *text);
char *get_file(struct fixture *f, const char *name);
void make_backup(struct fixture *f, const char *name, const char *shortname, bool users);
void make_backup_of(struct fixture *f, const char *name, const char *shortname, const char *version,
		    bool users); /* of a Moodle of that version */
int site_set_up(void **state);
int site_tear_down(void **state);
void new_id(struct fixture *f);
int ignore_entry(void *ctx, const struct nv_entry *entry, const struct nv_source *from,
		 struct nv_err *err);
void fetch(struct fixture *f, const char *course);
int try_import(struct fixture *f, struct nv_imported *ret);
struct nv_imported do_import(struct fixture *f);
unsigned count_in(struct fixture *f, const char *folder);
void fingerprint(const char *mbz, char ret[NV_SHA256_HEX]);
char *restored_mbz(struct fixture *f, const char *course);

#define TEST(name) cmocka_unit_test_setup_teardown(name, site_set_up, site_tear_down)

#endif
