/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sources, and the checked source, which hashes what passes by. */
#include "core/store/store_internal.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static ssize_t fd_read(void *ctx, void *buf, size_t len, struct nv_err *err)
{
	const int *fd = ctx;
	ssize_t n;
	do
		n = read(*fd, buf, len);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return nv_fail_errno(err, errno, NV_RETRY, NV_R_io, "reading a local file");
	return n;
}

struct nv_source nv_source_fd(const int *fd)
{
	/* The callback only reads through it. */
	return (struct nv_source){.read_cb = fd_read, .ctx = (void *)(uintptr_t)fd};
}

void nv_checked_source_init(struct nv_checked_source *in, const char *key,
			    const struct nv_source *from, const struct nv_expect *expect)
{
	*in = (struct nv_checked_source){.key = key, .from = from, .expect = expect};
	nv_digest_init(&in->digest, expect, true);
}

/* All announced bytes were read: is that the end, and are they the right ones? */
static int checked_verify(struct nv_checked_source *in, struct nv_err *err)
{
	uint8_t more;
	ssize_t n = in->from->read_cb(in->from->ctx, &more, 1, err);
	if (n < 0)
		return -1;
	if (n > 0)
		return nv_fail(err, NV_REJECT, NV_R_archive_corrupt,
			       "store: put %s: the source is longer than the %llu bytes announced",
			       in->key, (unsigned long long)in->expect->size);
	const char *wrong = nv_digest_differs(&in->digest, in->expect, in->sha256);
	if (wrong)
		return nv_fail(err, NV_REJECT, NV_R_archive_corrupt,
			       "store: put %s: the source does not have the expected %s", in->key,
			       wrong);
	in->verified = true;
	return 0;
}

ssize_t nv_checked_source_read(struct nv_checked_source *in, void *buf, size_t len,
			       struct nv_err *err)
{
	uint64_t left = in->expect->size - in->done;
	if (left == 0)
		return in->verified ? 0 : checked_verify(in, err);
	if (len > left)
		len = (size_t)left;
	ssize_t n = in->from->read_cb(in->from->ctx, buf, len, err);
	if (n < 0)
		return -1;
	if (n == 0)
		return nv_fail(err, NV_REJECT, NV_R_archive_corrupt,
			       "store: put %s: the source ends after %llu of %llu bytes", in->key,
			       (unsigned long long)in->done, (unsigned long long)in->expect->size);
	nv_digest_update(&in->digest, buf, (size_t)n);
	in->done += (uint64_t)n;
	if (in->done == in->expect->size && checked_verify(in, err) < 0)
		return -1;
	return n;
}

static ssize_t checked_source_read(void *ctx, void *buf, size_t len, struct nv_err *err)
{
	return nv_checked_source_read(ctx, buf, len, err);
}

struct nv_source nv_checked_source_as_source(struct nv_checked_source *in)
{
	return (struct nv_source){.read_cb = checked_source_read, .ctx = in};
}

void nv_checked_source_fini(struct nv_checked_source *in)
{
	nv_digest_fini(&in->digest);
}

static ssize_t bytes_read(void *ctx, void *buf, size_t len, struct nv_err *err)
{
	struct nv_bytes *rest = ctx;
	(void)err;
	if (len > rest->len)
		len = rest->len;
	memcpy(buf, rest->data, len);
	rest->data += len;
	rest->len -= len;
	return (ssize_t)len;
}

struct nv_source nv_source_bytes(struct nv_bytes *rest)
{
	return (struct nv_source){.read_cb = bytes_read, .ctx = rest};
}
