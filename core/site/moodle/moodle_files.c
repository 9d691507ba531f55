/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Folders that we share with a child, and what it left there as entries of an archive.
 *
 * Moodle writes its backup without file contents, and says so: <include_files>0</include_files>. In
 * the archive the contents are beside it, as in any .mbz, and the field becomes 1, so that
 * `navette mbz` gives a file that any Moodle restores.  The block's import sets it back, because
 * it brings the contents in by itself. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/hash.h"
#include "base/id.h"
#include "base/log.h"
#include "core/site/moodle/moodle_internal.h"

#define DEPTH_MAX 32	      /* of folders in a skeleton */
#define HEAD_BYTES (1u << 20) /* the field stands among the first of moodle_backup.xml */
#define OPEN_FLAGS (O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY)

/* --- folders --- */

int nv_moodle_let_through(const struct nv_moodle *s, const char *path, struct nv_err *err)
{
	struct stat st;
	if (!s->user.other)
		return 0;
	if (stat(path, &st) < 0 || chown(path, (uid_t)-1, s->user.gid) < 0 ||
	    chmod(path, (st.st_mode & S_IRWXU) | S_IXGRP) < 0)
		return nv_fail_errno(err, errno, NV_RETRY, NV_R_io, "moodle: letting %s into %s",
				     s->user.name, path);
	return 0;
}

/* nftw tells its callback nothing of ours, and fchownat on a tree that nobody else can write to
 * needs no more than this. */
static __thread const struct nv_moodle_user *giving_to;

static int give_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)at;
	/* A content that Moodle's own pool has under another name is Moodle's. */
	if (type == FTW_F && st->st_nlink > 1)
		return 0;
	return lchown(path, giving_to->uid, giving_to->gid);
}

int nv_moodle_give(const struct nv_moodle *s, const char *path, struct nv_err *err)
{
	if (!s->user.other)
		return 0;
	giving_to = &s->user;
	int rc = nftw(path, give_one, DEPTH_MAX, FTW_PHYS);
	if (rc < 0 && errno != ENOENT)
		return nv_fail_errno(err, errno, NV_RETRY, NV_R_io, "moodle: giving %s to %s", path,
				     s->user.name);
	return 0;
}

int nv_moodle_folder_make(const struct nv_moodle *s, struct nv_moodle_folder *ret,
			  struct nv_err *err)
{
	char token[NV_TOKEN_SIZE];
	nv_token_new(token);
	*ret = (struct nv_moodle_folder){.lock = -1};
	if (nv_mkdir_p(s->export_dir, 0700, err) < 0)
		return -1;
	ret->path = nv_asprintf("%s/moodle-%s", s->export_dir, token);
	ret->out = nv_asprintf("%s/out", ret->path);
	nv_auto_free char *lock = nv_asprintf("%s/.lock", ret->path);
	if (nv_mkdir_p(ret->path, 0700, err) == 0 &&
	    nv_lock_file(lock, false, &ret->lock, err) == 0 &&
	    nv_mkdir_p(ret->out, 0700, err) == 0 && nv_moodle_give(s, ret->out, err) == 0 &&
	    nv_moodle_let_through(s, ret->path, err) == 0 &&
	    nv_moodle_let_through(s, s->export_dir, err) == 0)
		return 0;
	nv_moodle_folder_remove(ret);
	return -1;
}

void nv_moodle_folder_remove(struct nv_moodle_folder *f)
{
	struct nv_err err = {0};
	if (f->path && nv_remove_tree(f->path, &err) < 0)
		NV_LOG(NV_WARN, "moodle.left", NV_S("path", f->path), NV_E(&err));
	if (f->lock >= 0)
		close(f->lock);
	free(f->path);
	free(f->out);
	*f = (struct nv_moodle_folder){.lock = -1};
}

/* --- a file as a source --- */

struct file {
	const char *path; /* for messages */
	int fd;
	uint64_t left;
	uint64_t at;
	uint64_t patch; /* where the byte that becomes '1' stands; UINT64_MAX: nowhere */
	struct nv_hash *hash;
	const char *sha1; /* what it must be, where hash is set */
};

static int check_sha1(struct file *f, struct nv_err *err)
{
	uint8_t digest[NV_SHA1_LEN];
	char hex[NV_SHA1_HEX];
	nv_hash_final(f->hash, digest);
	nv_hex(digest, sizeof digest, hex);
	if (strcmp(hex, f->sha1) == 0)
		return 0;
	return nv_fail(err, NV_REJECT, NV_R_archive_corrupt,
		       "moodle: the content of %s does not have the SHA-1 of its name", f->path);
}

static ssize_t file_read(void *ctx, void *buf, size_t len, struct nv_err *err)
{
	struct file *f = ctx;
	ssize_t n;
	if (!f->left)
		return 0;
	len = len < f->left ? len : (size_t)f->left;
	do
		n = read(f->fd, buf, len);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return nv_fail_errno(err, errno, NV_RETRY, NV_R_io, "moodle: reading %s", f->path);
	if (n == 0)
		return nv_fail(err, NV_RETRY, NV_R_export_failed,
			       "moodle: %s has become shorter while it was read", f->path);
	if (f->patch >= f->at && f->patch - f->at < (uint64_t)n)
		((char *)buf)[f->patch - f->at] = '1';
	f->at += (uint64_t)n;
	f->left -= (uint64_t)n;
	if (!f->hash)
		return n;
	nv_hash_update(f->hash, buf, (size_t)n);
	return f->left || check_sha1(f, err) == 0 ? n : -1;
}

/* Where the 0 of <include_files>0</include_files> stands. */
static uint64_t find_field(int fd)
{
	static const char wanted[] = "<include_files>0</include_files>";
	nv_auto_free char *head = nv_alloc(HEAD_BYTES + 1);
	ssize_t n = pread(fd, head, HEAD_BYTES, 0);
	char *at = n > 0 ? memmem(head, (size_t)n, wanted, sizeof wanted - 1) : NULL;
	return at ? (uint64_t)(at - head) + strlen("<include_files>") : UINT64_MAX;
}

/* --- the skeleton --- */

struct feed {
	const struct nv_moodle *s;
	const struct nv_sink *to;
	const struct nv_job *job;
};

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names in the open folder, sorted; takes fd. */
static int read_names(int fd, const char *path, struct nv_strs *ret, struct nv_arena *arena,
		      struct nv_err *err)
{
	DIR *dir = fdopendir(fd);
	size_t cap = 0;
	if (!dir) {
		int why = errno;
		close(fd);
		return nv_fail_errno(err, why, NV_RETRY, NV_R_io, "moodle: reading %s", path);
	}
	for (struct dirent *e; (e = readdir(dir)) != NULL;) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (ret->len == cap) {
			cap = cap ? 2 * cap : 32;
			ret->items = nv_realloc(ret->items, cap * sizeof *ret->items);
		}
		ret->items[ret->len++] = nv_arena_strdup(arena, e->d_name);
	}
	closedir(dir);
	if (ret->len)
		qsort(ret->items, ret->len, sizeof *ret->items, compare_names);
	return 0;
}

static int feed_file(const struct feed *f, int fd, const char *path, const struct stat *st,
		     struct nv_err *err)
{
	struct nv_entry entry = {
		.path = path, .size = (uint64_t)st->st_size, .mtime = st->st_mtim.tv_sec};
	struct file file = {.path = path, .fd = fd, .left = entry.size, .patch = UINT64_MAX};
	struct nv_source from = {file_read, &file};
	if (strcmp(path, "moodle_backup.xml") == 0)
		file.patch = find_field(fd);
	return f->to->entry_cb(f->to->ctx, &entry, &from, err);
}

static int open_as_user(const struct nv_moodle *s, int folder, const char *name, int flags)
{
	nv_moodle_as_user(s, true);
	int fd = openat(folder, name, flags);
	int why = errno;
	nv_moodle_as_user(s, false);
	errno = why;
	return fd;
}

static int feed_folder(const struct feed *f, int folder, const char *path, int depth,
		       struct nv_err *err);

static int feed_one(const struct feed *f, int folder, const char *name, const char *path, int depth,
		    struct nv_err *err)
{
	struct stat st;
	nv_auto_fd int fd = open_as_user(f->s, folder, name, OPEN_FLAGS);
	if (nv_job_check(f->job, err) < 0)
		return -1;
	if (fd < 0 || fstat(fd, &st) < 0)
		return nv_fail_errno(err, errno, NV_RETRY, NV_R_export_failed, "moodle: opening %s",
				     path);
	if (S_ISREG(st.st_mode))
		return feed_file(f, fd, path, &st, err);
	if (!S_ISDIR(st.st_mode) || depth == DEPTH_MAX)
		return nv_fail(err, NV_RETRY, NV_R_export_failed,
			       "moodle: the backup holds %s, which does not belong in a backup",
			       path);
	struct nv_entry entry = {.path = path, .folder = true, .mtime = st.st_mtim.tv_sec};
	if (f->to->entry_cb(f->to->ctx, &entry, NULL, err) < 0)
		return -1;
	return feed_folder(f, fd, path, depth + 1, err);
}

static int feed_folder(const struct feed *f, int folder, const char *path, int depth,
		       struct nv_err *err)
{
	nv_auto_arena struct nv_arena arena = {0};
	struct nv_strs names = {0};
	int fd = open_as_user(f->s, folder, ".", OPEN_FLAGS | O_DIRECTORY);
	if (fd < 0)
		return nv_fail_errno(err, errno, NV_RETRY, NV_R_export_failed, "moodle: reading %s",
				     path);
	int rc = read_names(fd, path, &names, &arena, err);
	for (size_t i = 0; i < names.len && rc == 0; i++) {
		/* The contents come by themselves. */
		if (!*path && strcmp(names.items[i], "files") == 0)
			continue;
		rc = feed_one(
			f, folder, names.items[i],
			nv_arena_printf(&arena, "%s%s%s", path, *path ? "/" : "", names.items[i]),
			depth, err);
	}
	free(names.items);
	return rc;
}

/* --- the contents --- */

static int compare_contents(const void *a, const void *b)
{
	return strcmp(((const struct nv_moodle_content *)a)->sha1,
		      ((const struct nv_moodle_content *)b)->sha1);
}

int nv_moodle_feed_content(const struct nv_moodle *s, const struct nv_moodle_content *c,
			   const struct nv_sink *to, const struct nv_job *job, struct nv_err *err)
{
	nv_auto_free char *path = nv_asprintf("files/%.2s/%s", c->sha1, c->sha1);
	struct stat st;
	/* Links are Moodle's business here: its data folder may be one. */
	nv_auto_fd int fd = open_as_user(s, AT_FDCWD, c->path, OPEN_FLAGS & ~O_NOFOLLOW);
	if (nv_job_check(job, err) < 0)
		return -1;
	if (fd < 0 || fstat(fd, &st) < 0)
		return nv_fail_errno(err, errno, NV_RETRY, NV_R_export_failed,
				     "moodle: opening the content %s", c->path);
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != c->size)
		return nv_fail(err, NV_RETRY, NV_R_export_failed,
			       "moodle: the content %s does not have its %llu bytes any more",
			       c->path, (unsigned long long)c->size);
	struct nv_entry entry = {
		.path = path, .size = c->size, .mtime = st.st_mtim.tv_sec, .lasting = true};
	struct file file = {.path = c->path,
			    .fd = fd,
			    .left = c->size,
			    .patch = UINT64_MAX,
			    .sha1 = c->sha1,
			    /* Larger ones become objects, whose SHA-1 is looked at there. */
			    .hash = c->size < s->verified ? nv_hash_new(NV_SHA1) : NULL};
	struct nv_source from = {file_read, &file};
	int rc = to->entry_cb(to->ctx, &entry, &from, err);
	nv_hash_free(file.hash);
	return rc;
}

static int feed_content_folders(const struct feed *f, const struct nv_moodle_content *contents,
				size_t len, struct nv_err *err)
{
	struct nv_entry folder = {.path = "files", .folder = true};
	char name[] = "files/xx";
	if (len && f->to->entry_cb(f->to->ctx, &folder, NULL, err) < 0)
		return -1;
	folder.path = name;
	for (size_t i = 0; i < len; i++) {
		if (i && strncmp(contents[i].sha1, contents[i - 1].sha1, 2) == 0)
			continue;
		memcpy(name + strlen("files/"), contents[i].sha1, 2);
		if (f->to->entry_cb(f->to->ctx, &folder, NULL, err) < 0)
			return -1;
	}
	return 0;
}

int nv_moodle_feed(const struct nv_moodle *s, const char *skeleton,
		   struct nv_moodle_content *contents, size_t contents_len,
		   const struct nv_sink *to, const struct nv_job *job, struct nv_err *err)
{
	struct feed f = {s, to, job};
	nv_auto_fd int fd = open_as_user(s, AT_FDCWD, skeleton, OPEN_FLAGS | O_DIRECTORY);
	if (fd < 0)
		return nv_fail_errno(err, errno, NV_RETRY, NV_R_export_failed, "moodle: opening %s",
				     skeleton);
	if (contents_len)
		qsort(contents, contents_len, sizeof *contents, compare_contents);
	int rc = feed_folder(&f, fd, "", 0, err);
	if (rc == 0)
		rc = feed_content_folders(&f, contents, contents_len, err);
	for (size_t i = 0; rc == 0 && i < contents_len; i++)
		if (contents[i].size < s->verified &&
		    (!i || compare_contents(&contents[i - 1], &contents[i]) != 0))
			rc = nv_moodle_feed_content(s, &contents[i], to, job, err);
	return rc;
}
