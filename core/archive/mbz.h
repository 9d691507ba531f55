/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Moodle backup files (.mbz), read in both forms and written in the standard one.
 *
 * An .mbz is a gzip-compressed tar whose first entry .ARCHIVE_INDEX lists the others ("Moodle
 * archive file index. Count: N", then "path<TAB>f|d<TAB>size<TAB>mtime-or-?" a line; written by
 * lib/filestorage/tgz_packer.php in Moodle), or a zip.  Read by libarchive as a stream, in constant
 * memory; entries that are absolute, contain "..", are devices, stand twice, or exceed the limits
 * are refused with NV_REJECT/archive_unsafe or archive_too_large, damage with archive_corrupt.
 * Links are skipped and a wrong count in the index is ignored, as Moodle does; the job's log
 * mentions both.  Names come in UTF-8. */
#ifndef NV_ARCHIVE_MBZ_H
#define NV_ARCHIVE_MBZ_H

#include "core/store/store.h"
#include "proto/schema.h"

struct nv_archive_limits {
	uint64_t max_bytes; /* of all entries, unpacked */
	uint64_t max_entries;
	uint64_t max_ratio; /* unpacked : packed, looked at above 10 MiB unpacked */
};

struct nv_entry {
	const char *path; /* safe relative path; folders without a trailing '/' */
	bool folder;
	uint64_t size;
	int64_t mtime; /* seconds since the epoch */
	/* A file of a Moodle's file pool, which never changes: if its hash is cached (hash_cache.h)
	 * it need not be read. Entries of an archive always are read: their names prove
	 * nothing. */
	bool lasting;
};

/* Where entries go: called for each, in order; from NULL for a folder.  The callee reads exactly
 * entry->size bytes or fails; of a lasting one, or none at all. */
struct nv_sink {
	int (*entry_cb)(void *ctx, const struct nv_entry *entry, const struct nv_source *from,
			struct nv_err *err);
	void *ctx;
	/* Number of threads that may call it at once with file contents, whose folders may come
	 * later; 0: one.
	 * */
	unsigned threads;
};

/* Feed every entry of the file but .ARCHIVE_INDEX to the sink. */
int nv_mbz_read(const char *path, const struct nv_archive_limits *limits, const struct nv_sink *to,
		const struct nv_job *job, struct nv_err *err);

/* Writing.  The index must come first, so entries are announced before they are added. */
struct nv_mbz_writer;
/* Creates path (which must not exist); entries: all of them, in the order of nv_mbz_add. */
struct nv_mbz_writer *nv_mbz_create(const char *path, const struct nv_entry *entries,
				    size_t entries_len, struct nv_err *err);
int nv_mbz_add(struct nv_mbz_writer *w, const struct nv_source *from, struct nv_err *err);
/* Completes the file, without syncing it. */
int nv_mbz_finish(struct nv_mbz_writer *w, struct nv_err *err);
void nv_mbz_free(struct nv_mbz_writer *w); /* removes an unfinished file; NULL allowed */

/* Facts from moodle_backup.xml and the entries. */
struct nv_mbz_info {
	char *shortname;
	char *fullname;
	char *course;	      /* original_course_id */
	char *category;	      /* name, may be NULL: the backup does not always say */
	char *moodle_version; /* e.g. "2024100705.01" */
	char *moodle_release;
	char *backup_version;
	char *backup_release;
	char *wwwroot; /* original_wwwroot */
	bool users;    /* includes user data (setting users = 1) */
	bool files;    /* include_files; backups made before Moodle 2.6 lack the setting and include
			  files */
	uint64_t backup_date; /* seconds */
	uint64_t packed;      /* bytes of the .mbz */
	uint64_t unpacked;
	uint64_t entries;
	uint64_t file_contents; /* entries below files/ */
	uint64_t file_contents_bytes;
	char *form;		  /* "tgz" or "zip" */
	struct nv_strs plugins;	  /* mod_… that its activities need, sorted, unique */
	struct nv_list inventory; /* struct nv_count: its sections and activities */
	struct nv_arena arena;
};
int nv_mbz_inspect(const char *path, const struct nv_archive_limits *limits,
		   const struct nv_job *job, struct nv_mbz_info *ret, struct nv_err *err);
/* The whole part of a version as Moodle numbers itself ("2024100705.01": year, month, day,
 * release); 0 for NULL and for anything else. */
uint64_t nv_moodle_version(const char *text);
void nv_mbz_info_fini(struct nv_mbz_info *i);
/* The inventory of an unpacked backup, by its moodle_backup.xml. */
int nv_backup_inventory(const char *xml, struct nv_list *ret, struct nv_arena *arena,
			struct nv_err *err);

#endif
