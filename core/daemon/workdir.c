/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/daemon/workdir.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/id.h"
#include "base/log.h"
#include "base/mem.h"

static bool still_there(const struct nv_workdir *w, const char *lock_path)
{
	/* A sweep may have removed the folder between our opening the lock file and our locking it;
	 * then we hold a lock on nothing. */
	struct stat held, named;
	return fstat(w->lock, &held) == 0 && stat(lock_path, &named) == 0 &&
	       held.st_ino == named.st_ino && held.st_dev == named.st_dev;
}

/* One folder of the way; the umask does not count. */
static int make_passage(const char *path, struct nv_err *err)
{
	if (mkdir(path, 0711) == 0)
		return chmod(path, 0711) == 0
			       ? 0
			       : nv_fail_errno(err, errno, NV_FATAL, NV_R_io, "work_dir: %s", path);
	if (errno == EEXIST)
		return 0;
	return nv_fail_errno(err, errno, NV_FATAL, NV_R_io, "work_dir: making %s", path);
}

int nv_workdir_make(const char *work_dir, struct nv_err *err)
{
	nv_auto_free char *way = nv_strdup(work_dir);
	for (char *slash = way; (slash = strchr(slash + 1, '/')) != NULL;) {
		*slash = '\0';
		if (slash[1] && slash[1] != '/' && make_passage(way, err) < 0)
			return -1;
		*slash = '/';
	}
	return nv_mkdir_p(work_dir, 0700, err);
}

int nv_workdir_open(const char *work_dir, const char *name, struct nv_workdir *ret,
		    struct nv_err *err)
{
	ret->lock = -1;
	int len = snprintf(ret->path, sizeof ret->path, "%s/%s", work_dir, name);
	if (len < 0 || (size_t)len >= sizeof ret->path)
		return nv_fail(err, NV_FATAL, NV_R_config, "work_dir %s: the path is too long",
			       work_dir);
	nv_auto_free char *lock_path = nv_asprintf("%s/.lock", ret->path);
	for (;;) {
		if (nv_mkdir_p(ret->path, 0700, err) < 0)
			return -1;
		if (nv_lock_file(lock_path, false, &ret->lock, err) < 0)
			return -1;
		if (still_there(ret, lock_path))
			return 0;
		close(ret->lock);
		ret->lock = -1;
	}
}

void nv_workdir_close(struct nv_workdir *w, bool remove)
{
	if (w->lock < 0)
		return;
	struct nv_err err = {0};
	if (remove && nv_remove_tree(w->path, &err) < 0)
		NV_LOG(NV_WARN, "workdir.left", NV_S("path", w->path), NV_E(&err));
	close(w->lock);
	w->lock = -1;
}

void nv_workdir_discard(const char *work_dir, const char *name)
{
	struct nv_workdir w = {.lock = -1};
	struct nv_err busy = {0};
	nv_auto_free char *path = nv_asprintf("%s/%s", work_dir, name);
	if (access(path, F_OK) == 0 && nv_workdir_open(work_dir, name, &w, &busy) == 0)
		nv_workdir_close(&w, true);
}

static void sweep_one(const char *work_dir, const char *name, uint64_t min_age_ms)
{
	struct nv_workdir w = {.lock = -1};
	struct nv_err err = {0};
	struct stat st;
	snprintf(w.path, sizeof w.path, "%s/%s", work_dir, name);
	if (lstat(w.path, &st) < 0 || !S_ISDIR(st.st_mode))
		return;
	uint64_t touched =
		(uint64_t)st.st_mtim.tv_sec * 1000 + (uint64_t)st.st_mtim.tv_nsec / 1000000;
	if (touched + min_age_ms > nv_now_ms())
		return;
	if (nv_workdir_open(work_dir, name, &w, &err) < 0)
		return; /* somebody works in it */
	NV_LOG(NV_INFO, "workdir.swept", NV_S("path", w.path));
	nv_workdir_close(&w, true);
}

int nv_workdir_sweep(const char *work_dir, uint64_t min_age_ms, struct nv_err *err)
{
	DIR *dir = opendir(work_dir);
	if (!dir)
		return nv_fail_errno(err, errno, NV_FATAL, NV_R_io, "work_dir %s", work_dir);
	for (struct dirent *e; (e = readdir(dir)) != NULL;)
		if (e->d_name[0] != '.')
			sweep_one(work_dir, e->d_name, min_age_ms);
	closedir(dir);
	return 0;
}
