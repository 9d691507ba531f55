/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One compressed stream, read block by block: gzip by zlib, zstd by libarchive.
 *
 * libarchive by itself looks for a filter, then for another inside what comes out, and so on.  Here
 * it is told which one there is, and what comes out is bytes: a stream within a stream is never
 * unpacked.  zlib is asked for gzip itself, since libarchive 3.6 does not check the CRC at its
 * end. */
#include "core/archive/archive_internal.h"

#include <errno.h>
#include <string.h>
#include <zlib.h>

/* Input at once.  32 KiB of zstd can mean 1 GiB, a quarter of a second in which no cancel is heard
 * by the input; the output asks as well. */
#define INPUT_LEN 32768u

struct nv_decompress {
	const char *name; /* for messages */
	struct nv_source from;
	const struct nv_job *job;
	uint64_t left;	   /* bytes that may still come out */
	struct nv_err err; /* of the source or the job; kind NV_OK: none */
	uint8_t in[INPUT_LEN];
	/* zstd */
	struct archive *a;
	bool begun;
	/* gzip */
	z_stream z;
	bool between; /* members */
	bool ended;
	uint8_t *out;
};

static ssize_t read_input(struct nv_decompress *d, uint8_t *buf, size_t len)
{
	if (nv_job_check(d->job, &d->err) < 0)
		return -1;
	return d->from.read_cb(d->from.ctx, buf, len, &d->err);
}

static ssize_t damaged(const struct nv_decompress *d, const char *text, struct nv_err *err)
{
	if (d->err.kind == NV_OK)
		return nv_fail(err, NV_REJECT, NV_R_archive_corrupt, "archive: %s: %s", d->name,
			       text ? text : "it is damaged");
	if (err)
		*err = d->err;
	return -1;
}

/* --- zstd --- */

static la_ssize_t zstd_input_cb(struct archive *a, void *ctx, const void **ret_buf)
{
	struct nv_decompress *d = ctx;
	ssize_t n = read_input(d, d->in, sizeof d->in);
	*ret_buf = d->in;
	if (n < 0)
		archive_set_error(a, EIO, "%s", d->err.msg);
	return n;
}

static void zstd_open(struct nv_decompress *d)
{
	d->a = archive_read_new();
	if (!d->a || archive_read_append_filter(d->a, ARCHIVE_FILTER_ZSTD) != ARCHIVE_OK ||
	    archive_read_support_format_raw(d->a) != ARCHIVE_OK)
		abort(); /* as nv_alloc */
}

static ssize_t zstd_next(struct nv_decompress *d, const uint8_t **ret, struct nv_err *err)
{
	struct archive_entry *entry;
	const void *data = NULL;
	size_t len = 0;
	la_int64_t at;
	int rc = ARCHIVE_OK;
	if (!d->begun) {
		rc = archive_read_open(d->a, d, NULL, zstd_input_cb, NULL);
		if (rc == ARCHIVE_OK)
			rc = archive_read_next_header(d->a, &entry);
		d->begun = true;
	}
	if (rc == ARCHIVE_OK)
		rc = archive_read_data_block(d->a, &data, &len, &at);
	if (rc == ARCHIVE_EOF)
		return 0;
	if (rc != ARCHIVE_OK)
		return damaged(d, archive_error_string(d->a), err);
	*ret = data;
	return (ssize_t)len;
}

/* --- gzip --- */

static void gzip_open(struct nv_decompress *d)
{
	d->out = nv_alloc_block(NV_ARCHIVE_BLOCK);
	if (inflateInit2(&d->z, MAX_WBITS + 16) != Z_OK)
		abort(); /* as nv_alloc */
}

/* Have at least so many bytes of input, if there are any more. */
static int gzip_fill(struct nv_decompress *d, unsigned want)
{
	while (d->z.avail_in < want) {
		memmove(d->in, d->z.next_in, d->z.avail_in);
		ssize_t n = read_input(d, d->in + d->z.avail_in, sizeof d->in - d->z.avail_in);
		if (n < 0)
			return -1;
		d->z.next_in = d->in;
		d->z.avail_in += (unsigned)n;
		if (n == 0)
			break;
	}
	return 0;
}

/* Another member may follow, as gzip(1) has it; anything else is left alone. */
static int gzip_next_member(struct nv_decompress *d)
{
	if (gzip_fill(d, 2) < 0)
		return -1;
	d->between = false;
	d->ended = d->z.avail_in < 2 || d->z.next_in[0] != 0x1f || d->z.next_in[1] != 0x8b;
	return d->ended ? 0 : inflateReset(&d->z);
}

static ssize_t gzip_next(struct nv_decompress *d, const uint8_t **ret, struct nv_err *err)
{
	d->z.next_out = d->out;
	d->z.avail_out = NV_ARCHIVE_BLOCK;
	while (!d->ended && d->z.avail_out) {
		if (d->between && gzip_next_member(d) != Z_OK)
			return damaged(d, "no memory for zlib", err);
		if (d->ended)
			break;
		if (gzip_fill(d, 1) < 0)
			return damaged(d, NULL, err);
		if (d->z.avail_in == 0)
			return damaged(d, "it is cut off", err);
		int rc = inflate(&d->z, Z_NO_FLUSH);
		if (rc != Z_OK && rc != Z_STREAM_END)
			return damaged(d, d->z.msg, err);
		d->between = rc == Z_STREAM_END;
	}
	*ret = d->out;
	return NV_ARCHIVE_BLOCK - (ssize_t)d->z.avail_out;
}

/* --- both --- */

struct nv_decompress *nv_decompress_new(enum nv_compression how, const char *name,
					const struct nv_source *from, uint64_t max,
					const struct nv_job *job)
{
	struct nv_decompress *d = nv_alloc(sizeof *d);
	d->name = name;
	d->from = *from;
	d->left = max;
	d->job = job;
	d->z.next_in = d->in;
	if (how == NV_ZSTD)
		zstd_open(d);
	else
		gzip_open(d);
	return d;
}

ssize_t nv_decompress_next(struct nv_decompress *d, const uint8_t **ret, struct nv_err *err)
{
	if (nv_job_check(d->job, err) < 0)
		return -1;
	ssize_t n = d->a ? zstd_next(d, ret, err) : gzip_next(d, ret, err);
	if (n > 0 && (uint64_t)n > d->left)
		return nv_fail(err, NV_REJECT, NV_R_archive_too_large,
			       "archive: %s: its unpacked size exceeds the limit", d->name);
	if (n > 0)
		d->left -= (uint64_t)n;
	return n;
}

void nv_decompress_free(struct nv_decompress *d)
{
	if (!d)
		return;
	if (d->a)
		archive_read_free(d->a);
	else
		inflateEnd(&d->z);
	free(d->out);
	free(d);
}
