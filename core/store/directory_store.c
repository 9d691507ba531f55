/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The directory backend: a folder of this machine or a mounted one.
 *
 * A writer fills <root>/.tmp/<random>, whose lock it holds while it lives, fsyncs it, renames it to
 * its key, and fsyncs the folders above: after a crash an object exists completely or not at all.
 * Objects in a sync group are synced later, so a crash of the machine may leave a damaged one,
 * which no durable manifest names; a reader notices that by its hash, and has it removed and sent
 * again. Leftovers of dead writers are temporary files that are not locked.
 *
 * .tmp stays, so a store that was ever written to is never empty: if it is, its file system is not
 * mounted. */
#include "core/store/store_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/id.h"

#define MAX_DEPTH 32

struct dir_store {
	char *root;
	char *tmp;	  /* <root>/.tmp */
	atomic_bool used; /* we have written to it */
};

/* The errors of the store's own file system.  A full disk there is the store's, not ours. */
static int dir_errno(int errnum, const char *operation, const char *key, struct nv_err *err)
{
	enum nv_reason reason = NV_R_store_unavailable;
	if (errnum == ENOSPC || errnum == EDQUOT || errnum == EFBIG)
		reason = NV_R_store_full;
	else if (errnum == EACCES || errnum == EPERM || errnum == EROFS)
		reason = NV_R_store_denied;
	else if (errnum == ENOENT)
		reason = NV_R_store_missing;
	nv_fail(err, NV_RETRY, reason, "store: %s %s: %s", operation, key, strerror(errnum));
	if (err)
		err->code = errnum;
	return -1;
}

/* The top folder is never made here: one that is missing is a file system that is not mounted, and
 * what was written instead would fill the local disk and be hidden later. */
static int look_for_root(const struct dir_store *d, const char *operation, const char *key,
			 struct nv_err *err)
{
	if (access(d->root, F_OK) == 0)
		return 0;
	int why = errno;
	nv_fail(err, NV_RETRY, NV_R_store_unavailable,
		"store: %s %s: the folder %s: %s (mount it, or make it with the daemons' user as "
		"its owner)",
		operation, key, d->root, strerror(why));
	if (err)
		err->code = why;
	return -1;
}

/* Only where somebody has written to the store before: one that is new is empty, too. */
static int look_for_mount(const struct dir_store *d, const char *operation, const char *key,
			  struct nv_err *err)
{
	if (look_for_root(d, operation, key, err) < 0)
		return -1;
	if (!nv_folder_is_empty(d->root))
		return 0;
	return nv_fail(err, NV_RETRY, NV_R_store_unavailable,
		       "store: %s %s: the folder %s is empty: mount it (or make the folder .tmp in "
		       "it, if the store is to begin anew)",
		       operation, key, d->root);
}

/* --- writing --- */

struct dir_temp {
	char *path;
	int fd;
};

static void temp_fini(struct dir_temp *t)
{
	if (t->fd >= 0) {
		unlink(t->path); /* ENOENT when it was renamed */
		close(t->fd);
	}
	free(t->path);
}

/* A sweep may see the new file in the moment before it is locked, and remove it: then its link
 * count is 0 once we hold the lock, and we take another. */
static int temp_open(struct dir_store *d, const char *key, struct dir_temp *t, struct nv_err *err)
{
	if (atomic_load(&d->used) && access(d->tmp, F_OK) < 0 &&
	    look_for_mount(d, "put", key, err) < 0)
		return -1;
	for (int i = 0; i < 100; i++) {
		char token[NV_TOKEN_SIZE];
		nv_token_new(token);
		t->path = nv_asprintf("%s/%s", d->tmp, token);
		t->fd = open(t->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
		/* Another may make the folder at the same time. */
		if (t->fd < 0 && errno == ENOENT && (mkdir(d->tmp, 0750) == 0 || errno == EEXIST))
			t->fd = open(t->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
		if (t->fd < 0)
			return dir_errno(errno, "put", key, err);
		struct stat st;
		if (flock(t->fd, LOCK_EX) < 0 || fstat(t->fd, &st) < 0)
			return dir_errno(errno, "put", key, err);
		if (st.st_nlink > 0) {
			atomic_store(&d->used, true);
			return 0;
		}
		close(t->fd);
		t->fd = -1;
		free(t->path);
		t->path = NULL;
	}
	return dir_errno(EAGAIN, "put", key, err);
}

static int temp_fill(int fd, struct nv_checked_source *in, const struct nv_job *job,
		     struct nv_err *err)
{
	nv_auto_free uint8_t *buf = nv_alloc_block(NV_STORE_BLOCK);
	uint64_t behind = 0;
	for (;;) {
		if (nv_job_check(job, err) < 0)
			return -1;
		ssize_t n = nv_checked_source_read(in, buf, NV_STORE_BLOCK, err);
		if (n <= 0)
			return (int)n;
		for (size_t done = 0; done < (size_t)n;) {
			ssize_t w = write(fd, buf + done, (size_t)n - done);
			if (w < 0 && errno == EINTR)
				continue;
			if (w < 0)
				return dir_errno(errno, "put", in->key, err);
			done += (size_t)w;
		}
		if (!in->expect->passing)
			nv_write_behind(fd, in->done, &behind);
	}
}

/* Every folder above the object.  *ret_gone: one vanished under our hands (a deletion tidies up),
 * try again. */
static int make_parents(const struct dir_store *d, const char *path, const char *key,
			bool *ret_gone, struct nv_err *err)
{
	nv_auto_free char *work = nv_strdup(path);
	for (char *slash = strchr(work + strlen(d->root) + 1, '/'); slash;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(work, 0750) < 0 && errno != EEXIST) {
			*ret_gone = errno == ENOENT;
			return dir_errno(errno, "put", key, err);
		}
		*slash = '/';
	}
	return 0;
}

/* A deletion may remove a folder that has just become empty, so the rename is tried again. */
static int publish(const struct dir_store *d, const struct dir_temp *t, const char *path,
		   const char *key, struct nv_err *err)
{
	for (int i = 0; i < 10; i++) {
		bool gone = false;
		if (rename(t->path, path) == 0)
			return 0;
		if (errno != ENOENT)
			return dir_errno(errno, "put", key, err);
		if (make_parents(d, path, key, &gone, err) < 0 && !gone)
			return -1;
	}
	return dir_errno(EAGAIN, "put", key, err);
}

/* The object's name, and those of the folders above it, whoever made them: he may not have come to
 * it. */
static void sync_names(const struct dir_store *d, const char *path, struct nv_sync_group *g)
{
	nv_auto_free char *folder = nv_folder_of(path);
	nv_sync_group_folder(g, folder);
	for (char *slash; strlen(folder) > strlen(d->root) && (slash = strrchr(folder, '/'));
	     *slash = '\0')
		nv_sync_group_name(g, folder);
}

static int sync_group(struct nv_sync_group *g, const char *key, struct nv_err *err)
{
	struct nv_err local = {0};
	if (nv_sync_group_end(g, &local) < 0)
		return dir_errno(local.code, "put", key, err);
	return 0;
}

static int dir_sync(struct nv_sync_group *together, struct nv_err *err)
{
	return sync_group(together, "of several objects", err);
}

/* What is in the file, called path now, is the group's to sync; its name is sync_names' part. */
static int give(struct dir_temp *t, const char *path, struct nv_sync_group *g, const char *key,
		struct nv_err *err)
{
	struct nv_err local = {0};
	int fd = fcntl(t->fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return dir_errno(errno, "put", key, err);
	if (nv_sync_group_content(g, &fd, path, &local) < 0)
		return dir_errno(local.code, "put", key, err);
	return 0;
}

/* Seen at once, durable with the rest. */
static int publish_together(const struct dir_store *d, struct dir_temp *t, const char *path,
			    struct nv_sync_group *g, const char *key, struct nv_err *err)
{
	if (publish(d, t, path, key, err) < 0 || give(t, path, g, key, err) < 0)
		return -1;
	sync_names(d, path, g);
	return 0;
}

/* First durable, with what the group holds; then seen, and so that it stays. */
static int publish_last(const struct dir_store *d, struct dir_temp *t, const char *path,
			struct nv_sync_group *g, const char *key, struct nv_err *err)
{
	if (give(t, t->path, g, key, err) < 0 || sync_group(g, key, err) < 0 ||
	    publish(d, t, path, key, err) < 0)
		return -1;
	sync_names(d, path, g);
	return sync_group(g, key, err);
}

static int dir_put(void *impl, const char *key, const struct nv_expect *expect,
		   const struct nv_source *from, const struct nv_job *job,
		   uint8_t ret_sha256[NV_SHA256_LEN], struct nv_err *err)
{
	struct dir_store *d = impl;
	struct dir_temp temp = {.fd = -1};
	struct nv_sync_group own;
	struct nv_sync_group *g = expect->together ? expect->together : &own;
	struct nv_checked_source in;
	nv_auto_free char *path = nv_asprintf("%s/%s", d->root, key);
	nv_sync_group_init(&own);
	nv_checked_source_init(&in, key, from, expect);
	int rc = look_for_root(d, "put", key, err);
	if (rc == 0)
		rc = temp_open(d, key, &temp, err);
	if (rc == 0)
		rc = temp_fill(temp.fd, &in, job, err);
	if (rc == 0 && expect->passing)
		rc = publish(d, &temp, path, key, err);
	else if (rc == 0 && expect->together && !expect->last)
		rc = publish_together(d, &temp, path, g, key, err);
	else if (rc == 0)
		rc = publish_last(d, &temp, path, g, key, err);
	if (rc == 0)
		memcpy(ret_sha256, in.sha256, NV_SHA256_LEN);
	temp_fini(&temp);
	nv_checked_source_fini(&in);
	nv_sync_group_fini(&own);
	return rc;
}

/* --- reading --- */

static int copy_rest(int fd, struct nv_part *part, const struct nv_job *job, struct nv_err *err)
{
	nv_auto_free uint8_t *buf = nv_alloc_block(NV_STORE_BLOCK);
	if (lseek(fd, (off_t)part->len, SEEK_SET) < 0)
		return dir_errno(errno, "get", part->key, err);
	for (;;) {
		if (nv_job_check(job, err) < 0)
			return -1;
		ssize_t n = read(fd, buf, NV_STORE_BLOCK);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return dir_errno(errno, "get", part->key, err);
		if (n == 0)
			return 0;
		if (nv_part_write(part, buf, (size_t)n, err) < 0)
			return -1;
	}
}

static int read_object(int fd, struct nv_part *part, const struct nv_job *job, struct nv_err *err)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return dir_errno(errno, "get", part->key, err);
	if ((uint64_t)st.st_size != part->expect->size)
		return nv_part_corrupt(part, err, "it has %lld bytes, not %llu",
				       (long long)st.st_size,
				       (unsigned long long)part->expect->size);
	bool again = true;
	while (again) {
		if (copy_rest(fd, part, job, err) < 0)
			return -1;
		if (part->len != part->expect->size)
			return nv_part_corrupt(part, err, "it ends after %llu of %llu bytes",
					       (unsigned long long)part->len,
					       (unsigned long long)part->expect->size);
		if (nv_part_finish(part, &again, err) < 0)
			return -1;
	}
	return 0;
}

static int dir_get(void *impl, const char *key, const struct nv_expect *expect,
		   const struct nv_store_to *to, struct nv_err *err)
{
	const struct dir_store *d = impl;
	nv_auto_free char *object = nv_asprintf("%s/%s", d->root, key);
	nv_auto_fd int fd = open(object, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0) {
		int why = errno;
		if (look_for_root(d, "get", key, err) < 0)
			return -1;
		return dir_errno(why, "get", key, err);
	}
	struct nv_part part;
	if (nv_part_open(&part, key, expect, to, err) < 0)
		return -1;
	int rc = read_object(fd, &part, to->job, err);
	nv_part_close(&part);
	return rc;
}

static int dir_head(void *impl, const char *key, bool *ret_exists, uint64_t *ret_size,
		    struct nv_err *err)
{
	const struct dir_store *d = impl;
	nv_auto_free char *path = nv_asprintf("%s/%s", d->root, key);
	struct stat st;
	if (lstat(path, &st) < 0) {
		if (errno == ENOENT || errno == ENOTDIR)
			return look_for_root(d, "head", key, err);
		return dir_errno(errno, "head", key, err);
	}
	*ret_exists = S_ISREG(st.st_mode);
	*ret_size = *ret_exists ? (uint64_t)st.st_size : 0;
	return 0;
}

static int dir_delete(void *impl, const char *key, struct nv_err *err)
{
	const struct dir_store *d = impl;
	nv_auto_free char *path = nv_asprintf("%s/%s", d->root, key);
	if (unlink(path) < 0) {
		if (errno != ENOENT && errno != ENOTDIR)
			return dir_errno(errno, "delete", key, err);
		if (look_for_root(d, "delete", key, err) < 0)
			return -1;
	}
	/* Folders that are empty now go too. */
	size_t root = strlen(d->root);
	for (;;) {
		char *slash = strrchr(path, '/');
		if (!slash || (size_t)(slash - path) <= root)
			return 0;
		*slash = '\0';
		if (rmdir(path) < 0)
			return 0;
	}
}

/* --- listing and sweeping --- */

struct walk {
	nv_store_list_cb cb;
	void *arg;
	bool stop;
};

static int walk_folder(int parent, const char *name, const char *prefix, struct walk *w, int depth,
		       struct nv_err *err);

static int walk_entry(int dir_fd, const char *name, const char *prefix, struct walk *w, int depth,
		      struct nv_err *err)
{
	struct stat st;
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno == ENOENT) /* deleted while we look */
			return 0;
		return dir_errno(errno, "list", prefix, err);
	}
	nv_auto_free char *key = nv_asprintf("%s%s", prefix, name);
	if (!nv_store_key_valid(key))
		return 0;
	if (S_ISREG(st.st_mode)) {
		uint64_t ms = (uint64_t)st.st_mtim.tv_sec * 1000u +
			      (uint64_t)(st.st_mtim.tv_nsec / 1000000);
		w->stop = w->cb(w->arg, key, (uint64_t)st.st_size, ms) != 0;
		return 0;
	}
	if (!S_ISDIR(st.st_mode) || depth >= MAX_DEPTH)
		return 0;
	nv_auto_free char *below = nv_asprintf("%s/", key);
	return walk_folder(dir_fd, name, below, w, depth + 1, err);
}

/* prefix: the key of this folder, "" or ending in '/'. */
static int walk_folder(int parent, const char *name, const char *prefix, struct walk *w, int depth,
		       struct nv_err *err)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0
							   : dir_errno(errno, "list", prefix, err);
	DIR *dir = fdopendir(fd);
	if (!dir) {
		int saved = errno;
		close(fd);
		return dir_errno(saved, "list", prefix, err);
	}
	int rc = 0;
	while (rc == 0 && !w->stop) {
		errno = 0;
		const struct dirent *e = readdir(dir);
		if (!e) {
			if (errno)
				rc = dir_errno(errno, "list", prefix, err);
			break;
		}
		rc = walk_entry(fd, e->d_name, prefix, w, depth, err);
	}
	closedir(dir);
	return rc;
}

static int dir_list(void *impl, const char *prefix, nv_store_list_cb cb, void *arg,
		    struct nv_err *err)
{
	const struct dir_store *d = impl;
	struct walk w = {.cb = cb, .arg = arg};
	if (look_for_root(d, "list", prefix, err) < 0)
		return -1;
	nv_auto_free char *path = nv_asprintf("%s/%s", d->root, prefix);
	path[strlen(path) - 1] = '\0'; /* O_NOFOLLOW looks at the last component */
	return walk_folder(AT_FDCWD, path, prefix, &w, 0, err);
}

static int dir_sweep(void *impl, struct nv_err *err)
{
	const struct dir_store *d = impl;
	if (look_for_root(d, "sweep", ".tmp", err) < 0)
		return -1;
	DIR *dir = opendir(d->tmp);
	if (!dir)
		return errno == ENOENT ? 0 : dir_errno(errno, "sweep", ".tmp", err);
	const struct dirent *e;
	while ((e = readdir(dir))) {
		if (e->d_name[0] == '.')
			continue;
		nv_auto_fd int fd = openat(dirfd(dir), e->d_name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
		/* Removed while we hold its lock: its writer sees that. */
		if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
			(void)unlinkat(dirfd(dir), e->d_name, 0);
	}
	closedir(dir);
	return 0;
}

static int dir_look(void *impl, struct nv_err *err)
{
	return look_for_mount(impl, "read", "", err);
}

static void dir_close(void *impl)
{
	struct dir_store *d = impl;
	free(d->root);
	free(d->tmp);
	free(d);
}

static const struct nv_store_ops dir_ops = {
	.put = dir_put,
	.get = dir_get,
	.head = dir_head,
	.del = dir_delete,
	.list = dir_list,
	.sync = dir_sync,
	.sweep = dir_sweep,
	.look = dir_look,
	.close = dir_close,
};

int nv_store_open_directory(const struct nv_config *config, struct nv_store *s, struct nv_err *err)
{
	const char *path = config->store.path;
	if (!path || !path[0])
		return nv_fail(err, NV_FATAL, NV_R_config, "store: store.path is not set");
	struct dir_store *d = nv_alloc(sizeof *d);
	d->root = nv_strdup(path);
	size_t len = strlen(d->root);
	while (len > 1 && d->root[len - 1] == '/')
		d->root[--len] = '\0';
	d->tmp = nv_asprintf("%s/.tmp", d->root);
	s->ops = &dir_ops;
	s->impl = d;
	s->about = nv_asprintf("directory %s", d->root);
	return 0;
}
