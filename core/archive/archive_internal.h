/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Shared by the files of this folder. */
#ifndef NV_ARCHIVE_ARCHIVE_INTERNAL_H
#define NV_ARCHIVE_ARCHIVE_INTERNAL_H

#include <archive.h>
#include <archive_entry.h>

#include "core/archive/archive.h"

#define NV_ARCHIVE_BLOCK 131072u /* bytes */
/* Compression level of skeletons and manifests. Compared with libarchive's default 3: 8 % larger,
 * but small next to the contents, with a tenth of the memory, which is cleared for each stream. */
#define NV_ARCHIVE_ZSTD_LEVEL "1"

/* --- path_set.c: the paths of one archive, to find duplicates --- */

struct nv_path_set; /* a hash set of paths and what they are */
struct nv_path_set *nv_path_set_new(void);
void nv_path_set_free(struct nv_path_set *n); /* NULL allowed */
/* Adds a path. NV_REJECT/archive_unsafe when it is not safe, a duplicate, or below a file. */
int nv_path_set_add(struct nv_path_set *n, const char *path, bool folder, struct nv_err *err);

/* --- limits --- */

struct nv_limits_count {
	const struct nv_archive_limits *limits;
	uint64_t packed; /* bytes of the packed form, 0: not looked at */
	uint64_t bytes;
	uint64_t entries;
};
/* Counts an entry of so many bytes; NV_REJECT/archive_too_large. */
int nv_limits_add(struct nv_limits_count *c, uint64_t size, struct nv_err *err);

/* --- decompress.c --- */

enum nv_compression { NV_GZIP, NV_ZSTD };
struct nv_decompress;
/* name and the data of `from` are borrowed; max: limit on output bytes. The job is checked for each
 * input block, so that input without any output can be cancelled, too. */
struct nv_decompress *nv_decompress_new(enum nv_compression how, const char *name,
					const struct nv_source *from, uint64_t max,
					const struct nv_job *job);
/* The next bytes (borrowed until the next call): how many, 0 at the end, -1.
 * NV_REJECT/archive_corrupt, archive_too_large, or the error of the source or the job. */
ssize_t nv_decompress_next(struct nv_decompress *d, const uint8_t **ret, struct nv_err *err);
void nv_decompress_free(struct nv_decompress *d); /* NULL allowed */

/* --- tar.c: libarchive, wrapped once --- */

enum nv_form { NV_FORM_TGZ, NV_FORM_ZIP };

/* An archive being read. */
struct nv_unpack;
/* .mbz of either form, told apart by its first bytes. */
struct nv_unpack *nv_unpack_mbz(const char *path, const struct nv_archive_limits *limits,
				const struct nv_job *job, enum nv_form *ret_form,
				struct nv_err *err);
/* Our own skeleton, of so many entries with so many bytes. */
struct nv_unpack *nv_unpack_skeleton(const char *path, uint64_t entries, uint64_t bytes,
				     const struct nv_job *job, struct nv_err *err);
uint64_t nv_unpack_packed(const struct nv_unpack *u); /* bytes of the file */
/* NV_UNPACK_ENTRY with an entry (borrowed until the next call); NV_UNPACK_LINK with only its path;
 * NV_UNPACK_END; -1.  "./" in front and '/' behind are taken off the path, and a name that is not
 * UTF-8 is taken as Windows-1252; nothing else is checked. */
enum { NV_UNPACK_END = 0, NV_UNPACK_ENTRY, NV_UNPACK_LINK };
int nv_unpack_next(struct nv_unpack *u, struct nv_entry *ret, struct nv_err *err);
struct nv_source nv_unpack_source(struct nv_unpack *u);
/* After the callee read an entry: its end, and its checksum where the form has one. */
int nv_unpack_entry_end(struct nv_unpack *u, const struct nv_entry *entry, struct nv_err *err);
void nv_unpack_free(struct nv_unpack *u); /* NULL allowed */

/* --- pack.c: a tar being written --- */

enum nv_pack_form { NV_PACK_MBZ /* gzip, plain ustar */, NV_PACK_SKELETON /* zstd, GNU tar */ };
struct nv_pack;
/* Creates path, which must not exist. */
struct nv_pack *nv_pack_new(const char *path, enum nv_pack_form form, struct nv_err *err);
int nv_pack_add(struct nv_pack *p, const struct nv_entry *entry, const struct nv_source *from,
		const struct nv_job *job, struct nv_err *err);
/* The file is complete, and not synced. */
int nv_pack_finish(struct nv_pack *p, struct nv_err *err);
void nv_pack_free(struct nv_pack *p); /* removes an unfinished file; NULL allowed */

/* --- manifest.c --- */

#define NV_MANIFEST_PACKED_MAX 268435456u /* 256 MiB */
/* Unpacked; 100,000 entries take about 15 MB. */
#define NV_MANIFEST_MAX 268435456u /* 256 MiB */
char *nv_pin_key(const struct nv_archive_place *place);

/* "files/<aa>/<sha1>" of a Moodle backup: true with its SHA-1. */
bool nv_content_path(const char *path, uint8_t ret_sha1[NV_SHA1_LEN]);
/* Keys in the store; free them. */
char *nv_manifest_key(const struct nv_archive_place *place);
char *nv_skeleton_key(const struct nv_archive_place *place);
char *nv_blob_key(const struct nv_archive_place *place, const uint8_t *sha1, uint64_t size);
int nv_place_check(const struct nv_archive_place *place, struct nv_err *err);

int nv_manifest_pack(const struct nv_manifest *m, struct nv_buf *ret, struct nv_err *err);
/* Limits for a manifest. */
struct nv_manifest_rules {
	const struct nv_archive_place *place;
	const struct nv_archive_limits *limits;
	size_t max; /* bytes it may have when unpacked */
};
/* Decode and check everything a manifest must be. */
int nv_manifest_unpack(const void *data, size_t len, const struct nv_manifest_rules *rules,
		       const struct nv_job *job, struct nv_manifest *ret, struct nv_arena *arena,
		       struct nv_err *err);

/* --- partial_manifest.c: lists of uploaded blobs before the manifest exists --- */

/* Size of one partial manifest, packed or unpacked; they are not signed. */
#define NV_OPENED_MAX 16777216u /* bytes */
#define NV_OPENED_BLOBS 32768u	/* so many take about 6 MB */

struct nv_partial_writer;
/* opened_cb (may be NULL): on the thread that wrote the first list.  All borrowed until _free. */
struct nv_partial_writer *nv_partial_writer_new(struct nv_store *store,
						const struct nv_archive_place *place,
						const struct nv_job *job,
						void (*opened_cb)(void *arg), void *arg);
/* This blob is in the store; called by any thread. */
void nv_partial_writer_add(struct nv_partial_writer *t, const struct nv_manifest_entry *blob);
/* No more blobs will come. */
void nv_partial_writer_finish(struct nv_partial_writer *t);
void nv_partial_writer_free(struct nv_partial_writer *t); /* NULL allowed */
int nv_partial_delete(struct nv_store *store, const struct nv_archive_place *place,
		      struct nv_err *err);

/* --- fetch.c --- */

/* The blobs of a part of an archive, as nv_archive_fetch brings all of them. */
int nv_fetch_part(struct nv_store *store, const struct nv_archive_place *place,
		  const struct nv_manifest *part, const char *dir, const struct nv_fetch_help *help,
		  const struct nv_job *job, struct nv_err *err);

#endif
