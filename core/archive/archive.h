/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Archives in the staging store: a manifest, a skeleton, and blobs shared between archives.
 *
 * Below `<site>/<client>/` of the store:
 *   archives/<id>/<attempt>/manifest          msgpack record (nv_manifest_record), zstd-compressed
 *   archives/<id>/<attempt>/skeleton.tar.zst  every entry that is not a blob
 *   archives/<id>/<attempt>/opened-<n>        manifests of the blobs uploaded so far, while
 *                                             the rest is on its way; unsigned, hints only
 *   pins/<attempt>                            while it is written: protects all blobs
 *   blobs/<aa>/<sha1>-<size>                  file contents of at least blob_threshold bytes:
 *                                             entries files/<aa>/<sha1> of a Moodle backup
 *
 * The manifest's SHA-256 travels in the signed archive.ready; the manifest holds SHA-256 and size
 * of the skeleton and of each blob, so that all data is verified starting from the signature. Order
 * of writing: pin, blobs, skeleton, manifest; a manifest names only existing objects.
 *
 * Writing: nv_archive_put_new → its sink takes entries → nv_archive_put_commit → _free.
 *
 * Reading: nv_archive_fetch → a folder with everything, verified → nv_archive_each. */
#ifndef NV_ARCHIVE_H
#define NV_ARCHIVE_H

#include "base/id.h"
#include "core/archive/hash_cache.h"
#include "core/archive/mbz.h"
#include "proto/inventory.h"
#include "proto/messages.h"

#define NV_MANIFEST_FORMAT 1u

/* FS, FU … as in proto/messages.h; tables in manifest.c. */
struct nv_manifest_entry {
	char *path;
	bool folder;
	uint64_t size;
	uint64_t mtime;		/* seconds */
	struct nv_bytes sha1;	/* blobs only: the contenthash that Moodle gave it */
	struct nv_bytes sha256; /* blobs only */
	bool blob;		/* an object of its own; otherwise in the skeleton */
};
struct nv_manifest {
	uint64_t format; /* NV_MANIFEST_FORMAT */
	char *id;	 /* request */
	char *attempt;
	char *shortname;
	char *fullname;
	char *category; /* identifier of the category on the course server; may be NULL */
	char *moodle_version;
	bool user_data;
	struct nv_list needs;	  /* struct nv_plugin: as in archive.ready */
	struct nv_list inventory; /* struct nv_count: what the course has; empty: not counted */
	uint64_t size;		  /* bytes of all entries */
	uint64_t skeleton_size;
	struct nv_bytes skeleton_sha256;
	struct nv_list entries; /* struct nv_manifest_entry, in the backup's order */
};
extern const struct nv_record nv_manifest_record;

struct nv_archive_place {
	const char *site;
	const char *client;
	const char *id;
	const char *attempt;
};

struct nv_archive_put;
/* work_dir: a folder of this job, for the skeleton while it grows.  All borrowed until _free. */
struct nv_archive_put *nv_archive_put_new(struct nv_store *store,
					  const struct nv_archive_place *place,
					  const char *work_dir, uint64_t blob_threshold,
					  const struct nv_archive_limits *limits,
					  struct nv_hash_cache *known, const struct nv_job *job,
					  struct nv_err *err);
/* Blobs that the store already has (same key, same size) are not uploaded again; their bytes are
 * read, hashed and compared with their name, unless the hash is in the cache (may be NULL). */
struct nv_sink nv_archive_put_sink(struct nv_archive_put *p);
/* Called before the first entry: write partial manifests, and call opened_cb once, on some thread,
 * when the first of them is in the store. Small archives have none. */
void nv_archive_put_tell(struct nv_archive_put *p, void (*opened_cb)(void *arg), void *arg);
/* Upload the skeleton, then the manifest.  about: shortname … inventory are taken from it. */
int nv_archive_put_commit(struct nv_archive_put *p, const struct nv_manifest *about,
			  uint8_t ret_manifest_sha256[NV_SHA256_LEN], uint64_t *ret_manifest_size,
			  uint64_t *ret_size, uint64_t *ret_entries, struct nv_err *err);
/* Bytes uploaded, and bytes not uploaded because the store had them. */
void nv_archive_put_stats(const struct nv_archive_put *p, uint64_t *ret_sent, uint64_t *ret_saved);
void nv_archive_put_free(struct nv_archive_put *p); /* NULL allowed */

/* A fetched archive on local disk: <dir>/manifest, <dir>/tree/… and <dir>/blobs/<sha1>-<size>. */
struct nv_fetched {
	const char *dir;
	struct nv_manifest manifest;
	struct nv_arena arena;
};
/* Other ways to avoid transfers; each may be NULL. */
struct nv_fetch_help {
	struct nv_hash_cache *known; /* blobs in dir whose hash is cached are not read again */
	/* Called once the manifest is known: puts blobs available elsewhere into the folder blobs,
	 * as <sha1>-<size>. */
	int (*reuse_cb)(void *arg, const struct nv_manifest *m, const char *blobs,
			struct nv_err *err);
	void *arg;
};
/* Fetch everything into dir (created when missing); files left by an earlier attempt are verified
 * and used. A blob or skeleton that does not match its SHA-256 is deleted from the store before
 * NV_RETRY/ store_corrupt is returned, so that the next export sends it again.  Fails with
 * NV_RETRY/disk_full before the first byte when the disk has no room for it. manifest_sha256 NULL:
 * the manifest itself is not verified, for operators who have no signed message; everything it
 * names still is. */
int nv_archive_fetch(struct nv_store *store, const struct nv_archive_place *place,
		     const uint8_t manifest_sha256[NV_SHA256_LEN], uint64_t manifest_size,
		     const struct nv_archive_limits *limits, const char *dir,
		     const struct nv_fetch_help *help, const struct nv_job *job,
		     struct nv_fetched *ret, struct nv_err *err);
void nv_fetched_fini(struct nv_fetched *f);
/* Prefetch: fetch the blobs of the partial manifests into dir while the archive is still being
 * written, until enough_cb (called several times a second, on this thread) returns true or nothing
 * has come for ten minutes; nv_archive_fetch then uses them. *ret_bytes: of the fetched blobs. */
int nv_archive_prefetch(struct nv_store *store, const struct nv_archive_place *place,
			const struct nv_archive_limits *limits, const char *dir,
			const struct nv_fetch_help *help, bool (*enough_cb)(void *arg), void *arg,
			const struct nv_job *job, uint64_t *ret_bytes, struct nv_err *err);
/* Every entry in the manifest's order. */
int nv_archive_each(const struct nv_fetched *f, const struct nv_sink *to, const struct nv_job *job,
		    struct nv_err *err);
/* Find the newest attempt of a request (place->attempt is ignored) with a complete archive;
 * NV_REJECT/not_found: none. */
int nv_archive_find(struct nv_store *store, const struct nv_archive_place *place,
		    char ret_attempt[NV_UUID_SIZE], uint64_t *ret_manifest_size,
		    struct nv_err *err);
/* A file name for it, owned: the course's short name, .mbz; bytes above 0x7f are left as they are.
 */
char *nv_archive_file_name(const struct nv_manifest *m);
/* Write it as a standard .mbz (nv_mbz_create …). */
int nv_archive_to_mbz(const struct nv_fetched *f, const char *path, const struct nv_job *job,
		      struct nv_err *err);
/* Rules of garbage collection in a client's part of the prefix; any number of archivers may collect
 * at once. */
struct nv_collect {
	uint64_t now_ms;   /* since the epoch; ages are by it and the store's own times */
	uint64_t grace_ms; /* unreferenced blobs older than this are deleted */
	uint64_t pin_ms;   /* a younger pin protects all blobs; older ones are deleted: longer than
			      any upload */
	uint64_t keep_ms;  /* older archives, which were never restored, are deleted */
	bool dry;	   /* nothing is removed, only counted */
	uint64_t archives; /* what went */
	uint64_t blobs;
	uint64_t bytes; /* of blobs */
};
/* As the archiver of this configuration does it, now. */
struct nv_collect nv_collect_configured(const struct nv_config *c);
/* work_dir: a folder for downloaded manifests. If a manifest cannot be read it fails, and no blob
 * is deleted: any might be referenced. */
int nv_archive_collect(struct nv_store *store, const char *site, const char *client,
		       const char *work_dir, struct nv_collect *c, const struct nv_job *job,
		       struct nv_err *err);
/* Delete archives/<id>/<attempt>/ (its blobs stay for others). */
int nv_archive_delete(struct nv_store *store, const struct nv_archive_place *place,
		      struct nv_err *err);
/* Delete archives/<id>/ with all its attempts (place->attempt is ignored). */
int nv_archive_delete_all(struct nv_store *store, const struct nv_archive_place *place,
			  const struct nv_job *job, struct nv_err *err);

#endif
