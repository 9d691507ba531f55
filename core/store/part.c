/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The `.part` file a reading fills: resumed at its length, verified, renamed. */
#include "core/store/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"

static int part_errno(const struct nv_part *p, const char *what, struct nv_err *err)
{
	return nv_fail_errno(err, errno, NV_RETRY, NV_R_io, "store: get %s: %s %s", p->key, what,
			     p->part);
}

/* Hash what an earlier try left, so that the whole is verified in the end. */
static int hash_existing(struct nv_part *p, const struct nv_job *job, struct nv_err *err)
{
	nv_auto_free uint8_t *buf = nv_alloc_block(NV_STORE_BLOCK);
	for (;;) {
		if (nv_job_check(job, err) < 0)
			return -1;
		ssize_t n = read(p->fd, buf, NV_STORE_BLOCK);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return part_errno(p, "reading", err);
		if (n == 0)
			return 0;
		nv_digest_update(&p->digest, buf, (size_t)n);
		p->len += (uint64_t)n;
	}
}

int nv_part_open(struct nv_part *p, const char *key, const struct nv_expect *expect,
		 const struct nv_store_to *to, struct nv_err *err)
{
	*p = (struct nv_part){
		.key = key, .part = nv_asprintf("%s.part", to->path), .expect = expect, .to = to};
	nv_digest_init(&p->digest, expect, false);
	p->fd = open(p->part, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct stat st;
	if (p->fd < 0 || fstat(p->fd, &st) < 0) {
		part_errno(p, "opening", err);
		goto fail;
	}
	if ((uint64_t)st.st_size > expect->size) {
		if (nv_part_restart(p, err) < 0)
			goto fail;
	} else if (hash_existing(p, to->job, err) < 0) {
		goto fail;
	}
	p->resumed = p->len > 0;
	return 0;
fail:
	nv_part_close(p);
	return -1;
}

int nv_part_write(struct nv_part *p, const void *data, size_t len, struct nv_err *err)
{
	if (len > p->expect->size - p->len)
		return nv_part_corrupt(p, err, "it is longer than %llu bytes",
				       (unsigned long long)p->expect->size);
	if (nv_write_all(p->fd, data, len, err) < 0) {
		nv_err_prefix(err, "store: get %s", p->key);
		return -1;
	}
	nv_digest_update(&p->digest, data, len);
	p->len += len;
	if (!p->expect->passing)
		nv_write_behind(p->fd, p->len, &p->behind);
	if (p->to->moved_cb)
		p->to->moved_cb(p->to->arg, len);
	return 0;
}

int nv_part_restart(struct nv_part *p, struct nv_err *err)
{
	uint8_t unused[NV_SHA256_LEN];
	nv_digest_differs(&p->digest, p->expect, unused); /* empties the running hashes */
	p->len = 0;
	p->resumed = false;
	if (ftruncate(p->fd, 0) < 0 || lseek(p->fd, 0, SEEK_SET) < 0)
		return part_errno(p, "emptying", err);
	return 0;
}

int nv_part_corrupt(struct nv_part *p, struct nv_err *err, const char *fmt, ...)
{
	char text[256];
	va_list args;
	va_start(args, fmt);
	(void)vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	unlink(p->part);
	return nv_fail(err, NV_RETRY, NV_R_store_corrupt, "store: get %s: %s", p->key, text);
}

int nv_part_finish(struct nv_part *p, bool *ret_again, struct nv_err *err)
{
	*ret_again = false;
	bool resumed = p->resumed;
	const char *wrong = nv_digest_differs(&p->digest, p->expect, NULL);
	if (wrong && resumed) {
		*ret_again = true;
		return nv_part_restart(p, err);
	}
	if (wrong)
		return nv_part_corrupt(p, err, "its %s is not the expected one", wrong);
	bool at_once = !p->expect->passing && !p->expect->together;
	if (at_once && fsync(p->fd) < 0)
		return part_errno(p, "fsync of", err);
	if (rename(p->part, p->to->path) < 0)
		return part_errno(p, "renaming", err);
	if (at_once) {
		nv_auto_free char *dir = nv_folder_of(p->to->path);
		return nv_fsync_dir(dir, err);
	}
	if (p->expect->passing)
		return 0;
	return nv_sync_group_file(p->expect->together, &p->fd, p->to->path, err);
}

void nv_part_close(struct nv_part *p)
{
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
	free(p->part);
	p->part = NULL;
	nv_digest_fini(&p->digest);
}
