/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading packed files through libarchive.
 *
 * What is compressed comes from decompress.c, and libarchive is given the tar inside, without any
 * filter of its own.  Of zip the seeking reader is used, which knows sizes beforehand and checks
 * each entry's CRC.
 *
 * libarchive turns the names that a zip or a pax header declares as UTF-8 into the locale's
 * characters, so the process must have a UTF-8 one (nv_text_locale). */
#include "core/archive/archive_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "proto/wire.h"

/* A tar has headers and padding besides its contents: so much more may come out. */
#define TAR_OVERHEAD_BASE 67108864u /* 64 MiB */
#define TAR_OVERHEAD_ENTRY 4096u
/* libarchive reads a zip's whole directory, and keeps it in memory, before it tells of an entry: so
 * many bytes for each that there may be. */
#define ZIP_DIRECTORY_BASE 1048576u /* 1 MiB */
#define ZIP_DIRECTORY_ENTRY 256u

struct nv_unpack {
	struct archive *a;
	struct archive_entry *entry; /* borrowed from a */
	char *name;		     /* of the file, for messages */
	char *path;		     /* of the current entry, cleaned */
	uint64_t packed;
	int fd;
	const struct nv_job *job;
	struct nv_err err; /* of reading the file; kind NV_OK: none */
	/* compressed tar only */
	struct nv_source from;
	struct nv_decompress *tar;
	/* zip only */
	uint8_t *buf;
	uint64_t zip_read;
	uint64_t zip_max; /* of zip_read, while there was no entry */
	/* the current entry */
	bool any; /* there was one */
	uint64_t size;
	uint64_t done;
	bool ended;
};

static int corrupt(const struct nv_unpack *u, const char *what, struct nv_err *err)
{
	if (u->err.kind != NV_OK) {
		if (err)
			*err = u->err;
		return -1;
	}
	int code = archive_errno(u->a);
	if (code == EIO || code == EMFILE || code == ENOMEM)
		return nv_fail_errno(err, code, NV_RETRY, NV_R_io, "archive: %s: %s", u->name,
				     what);
	const char *text = archive_error_string(u->a);
	/* Its beginning says that it is a zip: what libarchive looks for at its end is missing. */
	if (!u->tar && text && strcmp(text, "Unrecognized archive format") == 0)
		text = "it is cut off: the zip's directory, at its end, is missing";
	return nv_fail(err, NV_REJECT, NV_R_archive_corrupt, "archive: %s: %s: %s", u->name, what,
		       text ? text : "it is damaged");
}

/* --- what libarchive reads --- */

static la_ssize_t tar_read_cb(struct archive *a, void *ctx, const void **ret_buf)
{
	struct nv_unpack *u = ctx;
	const uint8_t *block = NULL;
	ssize_t n = nv_decompress_next(u->tar, &block, &u->err);
	if (n < 0)
		archive_set_error(a, EINVAL, "%s", u->err.msg);
	*ret_buf = block;
	return n;
}

/* What follows the tar's end up to the end of the compressed stream, where its checksum stands. */
static int tar_drain(struct nv_unpack *u, struct nv_err *err)
{
	const uint8_t *block;
	ssize_t n;
	do
		n = nv_decompress_next(u->tar, &block, err);
	while (n > 0);
	return (int)n;
}

static la_ssize_t zip_read_cb(struct archive *a, void *ctx, const void **ret_buf)
{
	struct nv_unpack *u = ctx;
	*ret_buf = u->buf;
	if (nv_job_check(u->job, &u->err) < 0) {
		archive_set_error(a, EINTR, "%s", u->err.msg);
		return -1;
	}
	ssize_t n = read(u->fd, u->buf, NV_ARCHIVE_BLOCK);
	if (n < 0)
		archive_set_error(a, errno, "reading %s", u->name);
	u->zip_read += n > 0 ? (uint64_t)n : 0;
	if (u->any || u->zip_read <= u->zip_max)
		return n;
	nv_fail(&u->err, NV_REJECT, NV_R_archive_too_large,
		"archive: %s: its directory is larger than is allowed", u->name);
	archive_set_error(a, EINVAL, "%s", u->err.msg);
	return -1;
}

static la_int64_t zip_seek_cb(struct archive *a, void *ctx, la_int64_t offset, int whence)
{
	const struct nv_unpack *u = ctx;
	off_t at = lseek(u->fd, offset, whence);
	if (at < 0)
		archive_set_error(a, errno, "seeking in %s", u->name);
	return at < 0 ? ARCHIVE_FATAL : at;
}

/* --- opening --- */

static struct nv_unpack *unpack_new(const char *path, int fd, const struct nv_job *job)
{
	struct nv_unpack *u = nv_alloc(sizeof *u);
	const char *slash = strrchr(path, '/');
	u->name = nv_strdup(slash ? slash + 1 : path);
	u->fd = fd;
	u->job = job;
	u->a = archive_read_new();
	if (!u->a)
		abort(); /* as nv_alloc */
	return u;
}

static uint64_t bound(uint64_t base, uint64_t each, uint64_t entries, uint64_t bytes)
{
	uint64_t all = 0;
	if (__builtin_mul_overflow(entries, each, &all) ||
	    __builtin_add_overflow(all, base, &all) || __builtin_add_overflow(all, bytes, &all))
		return UINT64_MAX;
	return all;
}

static int open_tar(struct nv_unpack *u, enum nv_compression how, uint64_t entries, uint64_t bytes,
		    struct nv_err *err)
{
	uint64_t max = bound(TAR_OVERHEAD_BASE, TAR_OVERHEAD_ENTRY, entries, bytes);
	u->from = nv_source_fd(&u->fd);
	u->tar = nv_decompress_new(how, u->name, &u->from, max, u->job);
	archive_read_support_format_tar(u->a);
	if (archive_read_open(u->a, u, NULL, tar_read_cb, NULL) != ARCHIVE_OK)
		return corrupt(u, "opening", err);
	return 0;
}

static int open_zip(struct nv_unpack *u, uint64_t entries, struct nv_err *err)
{
	u->zip_max = bound(ZIP_DIRECTORY_BASE, ZIP_DIRECTORY_ENTRY, entries, 0);
	u->buf = nv_alloc_block(NV_ARCHIVE_BLOCK);
	archive_read_support_format_zip_seekable(u->a);
	archive_read_set_read_callback(u->a, zip_read_cb);
	archive_read_set_seek_callback(u->a, zip_seek_cb);
	archive_read_set_callback_data(u->a, u);
	return archive_read_open1(u->a) == ARCHIVE_OK ? 0 : corrupt(u, "opening", err);
}

struct nv_unpack *nv_unpack_mbz(const char *path, const struct nv_archive_limits *limits,
				const struct nv_job *job, enum nv_form *ret_form,
				struct nv_err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	uint8_t magic[4] = {0};
	if (fd < 0 || fstat(fd, &st) < 0 || pread(fd, magic, sizeof magic, 0) < 0) {
		nv_fail_errno(err, errno, NV_RETRY, NV_R_io, "archive: opening %s", path);
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	struct nv_unpack *u = unpack_new(path, fd, job);
	u->packed = (uint64_t)st.st_size;
	int rc = 0;
	if (magic[0] == 0x1f && magic[1] == 0x8b) {
		*ret_form = NV_FORM_TGZ;
		rc = open_tar(u, NV_GZIP, limits->max_entries, limits->max_bytes, err);
	} else if (memcmp(magic, "PK\3\4", 4) == 0 || memcmp(magic, "PK\5\6", 4) == 0) {
		*ret_form = NV_FORM_ZIP;
		rc = open_zip(u, limits->max_entries, err);
	} else {
		rc = nv_fail(err, NV_REJECT, NV_R_archive_corrupt,
			     "archive: %s is neither a gzip-compressed tar nor a zip", u->name);
	}
	if (rc == 0)
		return u;
	nv_unpack_free(u);
	return NULL;
}

struct nv_unpack *nv_unpack_skeleton(const char *path, uint64_t entries, uint64_t bytes,
				     const struct nv_job *job, struct nv_err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		nv_fail_errno(err, errno, NV_RETRY, NV_R_io, "archive: opening %s", path);
		return NULL;
	}
	struct nv_unpack *u = unpack_new(path, fd, job);
	if (open_tar(u, NV_ZSTD, entries, bytes, err) == 0)
		return u;
	nv_unpack_free(u);
	return NULL;
}

uint64_t nv_unpack_packed(const struct nv_unpack *u)
{
	return u->packed;
}

void nv_unpack_free(struct nv_unpack *u)
{
	if (!u)
		return;
	archive_read_free(u->a);
	nv_decompress_free(u->tar);
	close(u->fd);
	free(u->buf);
	free(u->path);
	free(u->name);
	free(u);
}

/* --- entries --- */

/* "./a/b/" → "a/b".  False for the folder itself ("./"). */
static bool clean_path(struct nv_unpack *u, const char *raw)
{
	while (raw[0] == '.' && raw[1] == '/')
		raw += 2;
	size_t len = strlen(raw);
	if (len > 1 && raw[len - 1] == '/')
		len--;
	free(u->path);
	u->path = nv_strndup(raw, len);
	return len > 0 && strcmp(u->path, ".") != 0;
}

/* Moodle's zips are stored or deflated.  Others that libarchive unpacks (LZMA, xz, PPMd) let the
 * file say how much memory is taken.  libarchive tells the method in the format's name only. */
static bool is_plain_zip(struct archive *a)
{
	const char *name = archive_format_name(a);
	return name && (strstr(name, "(uncompressed)") || strstr(name, "(deflation)"));
}

/* Where Windows-1252 differs from Latin-1; 0: no character. */
static const uint16_t windows_1252[32] = {
	0x20ac, 0,	0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160,
	0x2039, 0x0152, 0,	0x017d, 0,	0,	0x2018, 0x2019, 0x201c, 0x201d, 0x2022,
	0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0,	0x017e, 0x0178,
};

static void put_utf8(struct nv_buf *to, uint16_t c)
{
	uint8_t bytes[3];
	size_t len = 0;
	if (c < 0x80) {
		bytes[len++] = (uint8_t)c;
	} else if (c < 0x800) {
		bytes[len++] = (uint8_t)(0xc0 | (c >> 6));
		bytes[len++] = (uint8_t)(0x80 | (c & 0x3f));
	} else {
		bytes[len++] = (uint8_t)(0xe0 | (c >> 12));
		bytes[len++] = (uint8_t)(0x80 | ((c >> 6) & 0x3f));
		bytes[len++] = (uint8_t)(0x80 | (c & 0x3f));
	}
	nv_buf_put(to, bytes, len);
}

/* Packers of the time before UTF-8 wrote names in their machine's characters.  Moodle's own files
 * have names of ASCII, so a wrong guess spoils the name of a file that no restore looks for. */
static int path_to_utf8(struct nv_unpack *u, struct nv_err *err)
{
	nv_auto_buf struct nv_buf text = {0};
	if (nv_wire_text_ok((const uint8_t *)u->path, strlen(u->path)))
		return 0;
	for (const uint8_t *p = (const uint8_t *)u->path; *p; p++) {
		uint16_t c = *p >= 0x80 && *p < 0xa0 ? windows_1252[*p - 0x80] : *p;
		if (!c) {
			nv_text_clean(u->path, strlen(u->path));
			return nv_fail(err, NV_REJECT, NV_R_archive_unsafe,
				       "archive: %s: the entry name \"%s\" is neither UTF-8 nor "
				       "Windows-1252: pack it again with names in UTF-8",
				       u->name, u->path);
		}
		put_utf8(&text, c);
	}
	free(u->path);
	u->path = nv_strndup((const char *)text.data, text.len);
	return 0;
}

static bool is_link(struct archive_entry *e)
{
	return archive_entry_hardlink(e) || archive_entry_hardlink_utf8(e) ||
	       archive_entry_filetype(e) == AE_IFLNK;
}

/* Regular files and folders only, of known size, without tricks. */
static int check_type(const struct nv_unpack *u, struct nv_err *err)
{
	struct archive_entry *e = u->entry;
	const char *what = NULL;
	if (archive_entry_filetype(e) != AE_IFREG && archive_entry_filetype(e) != AE_IFDIR)
		what = "neither a file nor a folder";
	else if (archive_entry_sparse_count(e) > 0)
		what = "a sparse file";
	else if (archive_entry_is_encrypted(e))
		what = "encrypted";
	else if (!u->tar && !is_plain_zip(u->a))
		what = "packed by another method than deflate";
	if (what)
		return nv_fail(err, NV_REJECT, NV_R_archive_unsafe,
			       "archive: the entry \"%s\" is %s: refused", u->path, what);
	if (archive_entry_filetype(e) == AE_IFREG &&
	    (!archive_entry_size_is_set(e) || archive_entry_size(e) < 0))
		return nv_fail(err, NV_REJECT, NV_R_archive_corrupt,
			       "archive: the entry %s has no size", u->path);
	return 0;
}

/* The next header with a name that is not the archive's own folder. */
static int next_header(struct nv_unpack *u, struct nv_err *err)
{
	for (;;) {
		int rc = archive_read_next_header(u->a, &u->entry);
		if (rc == ARCHIVE_EOF)
			return u->tar ? tar_drain(u, err) : 0;
		/* A warning is about a name in a character set that this process does not use. */
		if (rc != ARCHIVE_OK && rc != ARCHIVE_WARN)
			return corrupt(u, "reading the next entry", err);
		const char *raw = archive_entry_pathname(u->entry);
		if (!raw)
			raw = archive_entry_pathname_utf8(u->entry);
		if (!raw)
			return corrupt(u, "an entry's name", err);
		if (clean_path(u, raw))
			return 1;
	}
}

int nv_unpack_next(struct nv_unpack *u, struct nv_entry *ret, struct nv_err *err)
{
	int rc = next_header(u, err);
	if (rc <= 0)
		return rc;
	if (path_to_utf8(u, err) < 0)
		return -1;
	if (is_link(u->entry)) {
		*ret = (struct nv_entry){.path = u->path};
		return NV_UNPACK_LINK;
	}
	if (check_type(u, err) < 0)
		return -1;
	bool folder = archive_entry_filetype(u->entry) == AE_IFDIR;
	u->any = true;
	u->size = folder ? 0 : (uint64_t)archive_entry_size(u->entry);
	u->done = 0;
	u->ended = false;
	*ret = (struct nv_entry){.path = u->path,
				 .folder = folder,
				 .size = u->size,
				 .mtime = archive_entry_mtime_is_set(u->entry)
						  ? (int64_t)archive_entry_mtime(u->entry)
						  : 0};
	return NV_UNPACK_ENTRY;
}

static ssize_t unpack_read(void *ctx, void *buf, size_t len, struct nv_err *err)
{
	struct nv_unpack *u = ctx;
	if (u->ended || len == 0)
		return 0;
	la_ssize_t n = archive_read_data(u->a, buf, len);
	if (n < 0)
		return corrupt(u, u->path, err);
	u->done += (uint64_t)n;
	if (u->done > u->size || (n == 0 && u->done != u->size))
		return nv_fail(err, NV_REJECT, NV_R_archive_corrupt,
			       "archive: the entry %s does not have the %llu bytes announced",
			       u->path, (unsigned long long)u->size);
	u->ended = n == 0;
	return n;
}

struct nv_source nv_unpack_source(struct nv_unpack *u)
{
	return (struct nv_source){.read_cb = unpack_read, .ctx = u};
}

int nv_unpack_entry_end(struct nv_unpack *u, const struct nv_entry *entry, struct nv_err *err)
{
	uint8_t more;
	if (entry->folder || u->ended)
		return 0;
	if (u->done != u->size)
		return nv_fail(err, NV_REJECT, NV_R_internal, "archive: %s was not read to its end",
			       entry->path);
	return unpack_read(u, &more, 1, err) < 0 ? -1 : 0;
}
