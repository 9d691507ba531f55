/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Locks, temporary names, and the sweep that removes unlocked leftovers.
 *
 * A lock file may be unlinked by whoever holds its lock (the sweep does).  Somebody who opened it
 * before then gets the lock of a file that has no name any more; so after locking we look whether
 * the name still means the file we locked, and begin again if not. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>

#include "base/fs.h"
#include "base/id.h"
#include "base/log.h"
#include "core/site/folder/folder_internal.h"

#define LOCK_POLL_NS 10000000L

static const char *const written_folders[] = {"courses", "deleted", "locks",
					      "mail",	 "remote",  "tmp"};

int nv_folder_make_folders(const char *site, struct nv_err *err)
{
	for (size_t i = 0; i < NV_ARRAY_LEN(written_folders); i++) {
		nv_auto_free char *path = nv_asprintf("%s/%s", site, written_folders[i]);
		if (nv_mkdir_p(path, 0750, err) < 0)
			return -1;
	}
	return 0;
}

static bool still_named(int fd, const char *path)
{
	struct stat held, named;
	return fstat(fd, &held) == 0 && stat(path, &named) == 0 && held.st_ino == named.st_ino &&
	       held.st_dev == named.st_dev;
}

int nv_folder_lock(const char *site, const char *name, uint64_t wait_ms, int *ret_fd,
		   struct nv_err *err)
{
	nv_auto_free char *path = nv_asprintf("%s/locks/%s", site, name);
	uint64_t until = nv_mono_ms() + wait_ms;
	for (;;) {
		struct nv_err why = {0};
		if (nv_lock_file(path, false, ret_fd, &why) == 0) {
			if (still_named(*ret_fd, path))
				return 0;
			close(*ret_fd);
			*ret_fd = -1;
			continue;
		}
		if (why.kind != NV_HOLD || nv_mono_ms() >= until) {
			if (err)
				*err = why;
			return -1;
		}
		nanosleep(&(struct timespec){.tv_nsec = LOCK_POLL_NS}, NULL);
	}
}

char *nv_folder_temporary(const char *site, const char *lock)
{
	char token[NV_TOKEN_SIZE];
	nv_token_new(token);
	return nv_asprintf("%s/tmp/%s.%s", site, lock, token);
}

int nv_folder_write_new(const char *path, const void *data, size_t len, int *ret_fd,
			struct nv_err *err)
{
	*ret_fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
	if (*ret_fd < 0)
		return nv_fail_errno(err, errno, NV_RETRY, NV_R_io, "create %s", path);
	return nv_write_all(*ret_fd, data, len, err);
}

static int sync_file(int fd, const char *path, struct nv_err *err)
{
	if (fsync(fd) < 0)
		return nv_fail_errno(err, errno, NV_RETRY, NV_R_io, "sync %s", path);
	return 0;
}

int nv_folder_write(const char *site, const struct nv_folder_file *f, struct nv_err *err)
{
	nv_auto_free char *path = nv_asprintf("%s/%s", site, f->name);
	nv_auto_free char *temporary = nv_folder_temporary(site, f->lock);
	nv_auto_free char *folder = nv_folder_of(path);
	nv_auto_fd int fd = -1;
	int rc = nv_folder_write_new(temporary, f->data, f->len, &fd, err);
	if (rc == 0 && !f->together)
		rc = sync_file(fd, temporary, err);
	if (rc == 0 && f->only_new)
		rc = link(temporary, path) == 0 || errno == EEXIST ? 0 : -errno;
	else if (rc == 0)
		rc = rename(temporary, path) == 0 ? 0 : -errno;
	else
		rc = 1; /* err is filled */
	if (rc != 0 || f->only_new)
		unlink(temporary);
	if (rc < 0)
		return nv_fail_errno(err, -rc, NV_RETRY, NV_R_io, "write %s", path);
	if (rc)
		return -1;
	if (!f->together)
		return nv_fsync_dir(folder, err);
	return nv_sync_group_file(f->together, &fd, path, err);
}

int nv_folder_names(const char *folder, struct nv_strs *ret, struct nv_arena *arena,
		    struct nv_err *err)
{
	*ret = (struct nv_strs){0};
	DIR *dir = opendir(folder);
	if (!dir && errno == ENOENT)
		return 0;
	if (!dir)
		return nv_fail_errno(err, errno, NV_RETRY, NV_R_io, "read %s", folder);
	size_t cap = 0;
	char **items = NULL;
	struct dirent *e;
	while ((e = readdir(dir))) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (ret->len == cap) {
			cap = cap ? 2 * cap : 64;
			items = nv_realloc(items, cap * sizeof *items);
		}
		items[ret->len++] = nv_arena_strdup(arena, e->d_name);
	}
	closedir(dir);
	ret->items = nv_arena_alloc(arena, (ret->len + 1) * sizeof *items);
	if (ret->len)
		memcpy(ret->items, items, ret->len * sizeof *items);
	free(items);
	return 0;
}

void nv_folder_strs_add(struct nv_strs *to, const char *text, struct nv_arena *arena)
{
	char **items = nv_arena_alloc(arena, (to->len + 1) * sizeof *items);
	if (to->len)
		memcpy(items, to->items, to->len * sizeof *items);
	items[to->len] = nv_arena_strdup(arena, text);
	*to = (struct nv_strs){items, to->len + 1};
}

/* --- sweep --- */

static bool lock_name_valid(const char *name)
{
	return *name && name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-")] == '\0';
}

/* 1: held by us, 0: somebody is at it (or it cannot be had now), leave it alone. */
static int try_lock(const char *site, const char *name, int *ret_fd)
{
	struct nv_err err = {0};
	*ret_fd = -1;
	if (!lock_name_valid(name))
		return 0;
	if (nv_folder_lock(site, name, 0, ret_fd, &err) == 0)
		return 1;
	if (err.kind != NV_HOLD)
		NV_LOG(NV_WARN, "site.sweep", NV_S("lock", name), NV_E(&err));
	return 0;
}

static int sweep_temporary(const char *site, const char *name, struct nv_err *err)
{
	nv_auto_free char *lock = nv_strndup(name, strcspn(name, "."));
	nv_auto_free char *path = nv_asprintf("%s/tmp/%s", site, name);
	nv_auto_fd int fd = -1;
	if (!try_lock(site, lock, &fd))
		return 0;
	NV_LOG(NV_INFO, "site.sweep", NV_S("removed", path));
	return nv_remove_tree(path, err);
}

/* A row whose course is gone, or never came, is free. */
static int sweep_row(const char *site, const char *row, struct nv_err *err)
{
	char holder[NV_UUID_SIZE];
	nv_auto_free char *lock = nv_asprintf("remote-%s", row);
	nv_auto_free char *path = nv_asprintf("%s/remote/%s", site, row);
	nv_auto_fd int fd = -1;
	if (!try_lock(site, lock, &fd))
		return 0;
	if (nv_folder_remote_holder(site, row, holder, err) < 0)
		return -1;
	if (!*holder && unlink(path) < 0 && errno != ENOENT)
		return nv_fail_errno(err, errno, NV_RETRY, NV_R_io, "remove %s", path);
	return 0;
}

static int sweep_lock(const char *site, const char *name, struct nv_err *err)
{
	nv_auto_free char *path = nv_asprintf("%s/locks/%s", site, name);
	nv_auto_fd int fd = -1;
	if (!try_lock(site, name, &fd))
		return 0;
	if (unlink(path) < 0 && errno != ENOENT)
		return nv_fail_errno(err, errno, NV_RETRY, NV_R_io, "remove %s", path);
	return 0;
}

int nv_folder_sweep(struct nv_site *site, struct nv_err *err)
{
	static const struct {
		const char *folder;
		int (*sweep)(const char *site, const char *name, struct nv_err *err);
	} parts[] = {{"tmp", sweep_temporary}, {"remote", sweep_row}, {"locks", sweep_lock}};
	const char *path = nv_folder_site(site)->path;

	if (nv_folder_make_folders(path, err) < 0)
		return -1;
	for (size_t i = 0; i < NV_ARRAY_LEN(parts); i++) {
		nv_auto_arena struct nv_arena arena = {0};
		nv_auto_free char *folder = nv_asprintf("%s/%s", path, parts[i].folder);
		struct nv_strs names;
		if (nv_folder_names(folder, &names, &arena, err) < 0)
			return -1;
		for (size_t n = 0; n < names.len; n++) {
			if (parts[i].sweep(path, names.items[n], err) < 0)
				return -1;
		}
	}
	return 0;
}
