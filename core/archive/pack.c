/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Writing tar files through libarchive.
 *
 * The .mbz is plain ustar, the only form that Moodle's own reader
 * (lib/filestorage/tgz_extractor.php) knows: names of at most 100 bytes, or 155 + 100 cut at a '/',
 * and sizes below 8 GiB.  Our skeleton is GNU tar, which holds any name as it is. */
#include "core/archive/archive_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "base/fs.h"

#define USTAR_MAX_SIZE 077777777777u
#define MOODLE_DEFAULT_TIME 1356998400 /* tgz_packer's DEFAULT_TIMESTAMP */

struct nv_pack {
	struct archive *a;
	struct archive_entry *entry; /* reused */
	char *path;
	int fd;
	gzFile gz; /* of an .mbz */
	enum nv_pack_form form;
	bool finished;
	bool discard;	   /* broken off: nothing is written any more */
	struct nv_err err; /* the first error of writing; kind NV_OK: none */
	uint8_t *buf;
};

static int pack_error(const struct nv_pack *p, const char *what, struct nv_err *err)
{
	if (p->err.kind != NV_OK) {
		if (err)
			*err = p->err;
		return -1;
	}
	const char *text = archive_error_string(p->a);
	return nv_fail(err, NV_RETRY, NV_R_io, "archive: writing %s: %s: %s", p->path, what,
		       text ? text : "it failed");
}

static la_ssize_t write_cb(struct archive *a, void *ctx, const void *data, size_t len)
{
	struct nv_pack *p = ctx;
	(void)a;
	if (p->discard)
		return (la_ssize_t)len;
	errno = 0;
	if (p->gz && gzwrite(p->gz, data, (unsigned)len) != (int)len)
		nv_fail_errno(&p->err, errno ? errno : EIO, NV_RETRY, NV_R_io,
			      "archive: writing %s", p->path);
	else if (!p->gz && nv_write_all(p->fd, data, len, &p->err) < 0)
		nv_err_prefix(&p->err, "archive: writing %s", p->path);
	p->discard = p->err.kind != NV_OK;
	return (la_ssize_t)len;
}

static int open_gzip(struct nv_pack *p)
{
	int fd = fcntl(p->fd, F_DUPFD_CLOEXEC, 0);
	p->gz = fd < 0 ? NULL : gzdopen(fd, "wb");
	if (!p->gz && fd >= 0)
		close(fd);
	if (!p->gz)
		return -1;
	gzbuffer(p->gz, NV_ARCHIVE_BLOCK);
	return 0;
}

static int set_up(struct nv_pack *p)
{
	int rc = ARCHIVE_OK;
	if (p->form == NV_PACK_MBZ) {
		if (open_gzip(p) < 0)
			return -1;
		rc |= archive_write_set_format_ustar(p->a);
	} else {
		rc |= archive_write_set_format_gnutar(p->a);
		rc |= archive_write_add_filter_zstd(p->a);
		rc |= archive_write_set_filter_option(p->a, "zstd", "compression-level",
						      NV_ARCHIVE_ZSTD_LEVEL);
	}
	rc |= archive_write_set_bytes_per_block(p->a, NV_ARCHIVE_BLOCK);
	rc |= archive_write_set_bytes_in_last_block(p->a, 1);
	rc |= archive_write_open(p->a, p, NULL, write_cb, NULL);
	return rc == ARCHIVE_OK ? 0 : -1;
}

struct nv_pack *nv_pack_new(const char *path, enum nv_pack_form form, struct nv_err *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
	if (fd < 0) {
		nv_fail_errno(err, errno, NV_RETRY, NV_R_io, "archive: creating %s", path);
		return NULL;
	}
	struct nv_pack *p = nv_alloc(sizeof *p);
	p->fd = fd;
	p->form = form;
	p->path = nv_strdup(path);
	p->buf = nv_alloc_block(NV_ARCHIVE_BLOCK);
	p->a = archive_write_new();
	p->entry = archive_entry_new();
	if (!p->a || !p->entry)
		abort(); /* as nv_alloc */
	if (set_up(p) == 0)
		return p;
	pack_error(p, "opening", err);
	nv_pack_free(p);
	return NULL;
}

static int put_header(struct nv_pack *p, const struct nv_entry *entry, struct nv_err *err)
{
	if (p->form == NV_PACK_MBZ && entry->size > USTAR_MAX_SIZE)
		return nv_fail(err, NV_REJECT, NV_R_archive_too_large,
			       "archive: %s has 8 GiB or more, Moodle cannot read that",
			       entry->path);
	bool known = entry->mtime > 0 && !entry->folder;
	nv_auto_free char *folder = entry->folder ? nv_asprintf("%s/", entry->path) : NULL;
	archive_entry_clear(p->entry);
	archive_entry_set_pathname(p->entry, folder ? folder : entry->path);
	archive_entry_set_filetype(p->entry, entry->folder ? AE_IFDIR : AE_IFREG);
	archive_entry_set_perm(p->entry, entry->folder ? 0755 : 0644);
	archive_entry_set_size(p->entry, (la_int64_t)entry->size);
	archive_entry_set_mtime(p->entry, known ? (time_t)entry->mtime : MOODLE_DEFAULT_TIME, 0);
	int rc = archive_write_header(p->a, p->entry);
	if ((rc == ARCHIVE_OK || rc == ARCHIVE_WARN) && p->err.kind == NV_OK)
		return 0;
	if (p->err.kind == NV_OK && archive_errno(p->a) == ENAMETOOLONG)
		return nv_fail(err, NV_REJECT, NV_R_archive_unsafe,
			       "archive: the name %s is too long for Moodle's reader", entry->path);
	return pack_error(p, entry->path, err);
}

int nv_pack_add(struct nv_pack *p, const struct nv_entry *entry, const struct nv_source *from,
		const struct nv_job *job, struct nv_err *err)
{
	if (put_header(p, entry, err) < 0)
		return -1;
	for (uint64_t left = entry->folder ? 0 : entry->size; left > 0;) {
		if (nv_job_check(job, err) < 0)
			return -1;
		size_t want = left < NV_ARCHIVE_BLOCK ? (size_t)left : NV_ARCHIVE_BLOCK;
		ssize_t n = from->read_cb(from->ctx, p->buf, want, err);
		if (n < 0)
			return -1;
		if (n == 0)
			return nv_fail(err, NV_REJECT, NV_R_archive_corrupt,
				       "archive: %s ends %llu bytes too early", entry->path,
				       (unsigned long long)left);
		if (archive_write_data(p->a, p->buf, (size_t)n) != n || p->err.kind != NV_OK)
			return pack_error(p, entry->path, err);
		left -= (uint64_t)n;
	}
	return 0;
}

int nv_pack_finish(struct nv_pack *p, struct nv_err *err)
{
	if (archive_write_close(p->a) != ARCHIVE_OK || p->err.kind != NV_OK)
		return pack_error(p, "closing", err);
	if (p->gz) {
		errno = 0;
		int rc = gzclose_w(p->gz);
		p->gz = NULL;
		if (rc != Z_OK)
			return nv_fail_errno(err, errno ? errno : EIO, NV_RETRY, NV_R_io,
					     "archive: writing %s", p->path);
	}
	p->finished = true;
	return 0;
}

void nv_pack_free(struct nv_pack *p)
{
	if (!p)
		return;
	p->discard = true; /* closing an unfinished tar writes what its last entry lacks */
	archive_write_free(p->a);
	if (p->gz)
		gzclose_w(p->gz);
	if (!p->finished)
		unlink(p->path);
	archive_entry_free(p->entry);
	close(p->fd);
	free(p->path);
	free(p->buf);
	free(p);
}
