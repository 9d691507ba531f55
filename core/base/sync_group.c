/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/base/sync_group.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/fs.h"
#include "core/base/mem.h"

void nv_sync_group_init(struct nv_sync_group *g)
{
	*g = (struct nv_sync_group){0};
	pthread_mutex_init(&g->lock, NULL);
}

static void add_folder(struct nv_sync_batch *b, const char *path)
{
	for (size_t i = 0; i < b->folders_len; i++)
		if (strcmp(b->folders[i], path) == 0)
			return;
	if (b->folders_len == b->folders_cap) {
		b->folders_cap = b->folders_cap ? 2 * b->folders_cap : 8;
		b->folders = nv_realloc(b->folders, b->folders_cap * sizeof(*b->folders));
	}
	b->folders[b->folders_len++] = nv_strdup(path);
}

static void batch_fini(struct nv_sync_batch *b)
{
	for (size_t i = 0; i < b->files_len; i++) {
		close(b->files[i].fd);
		free(b->files[i].path);
	}
	for (size_t i = 0; i < b->folders_len; i++)
		free(b->folders[i]);
	free(b->folders);
	*b = (struct nv_sync_batch){0};
}

static int sync_file(const struct nv_synced_file *f, struct nv_err *err)
{
	if (fsync(f->fd) == 0)
		return 0;
	int why = errno;
	unlink(f->path);
	return nv_fail_errno(err, why, NV_RETRY, NV_R_io, "sync %s", f->path);
}

/* The files before the folders that name them.  All of them, whatever happens to one. */
static int sync_batch(struct nv_sync_batch *b, struct nv_err *err)
{
	int rc = 0;
	for (size_t i = 0; i < b->files_len; i++)
		if (sync_file(&b->files[i], rc == 0 ? err : NULL) < 0)
			rc = -1;
	for (size_t i = 0; i < b->folders_len; i++) {
		struct nv_err local = {0};
		if (nv_fsync_dir(b->folders[i], &local) == 0 || local.code == ENOENT)
			continue;
		if (rc == 0 && err)
			*err = local;
		rc = -1;
	}
	batch_fini(b);
	return rc;
}

int nv_sync_group_file(struct nv_sync_group *g, int fd, const char *path, struct nv_err *err)
{
	nv_auto_free char *folder = nv_folder_of(path);
	struct nv_sync_batch full = {0};
	/* Only advice: where it cannot be had, the sync does it all. */
	(void)sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	pthread_mutex_lock(&g->lock);
	struct nv_sync_batch *b = &g->batch;
	b->files[b->files_len++] = (struct nv_synced_file){fd, nv_strdup(path)};
	add_folder(b, folder);
	if (b->files_len == NV_SYNC_GROUP_FILES) {
		full = *b;
		*b = (struct nv_sync_batch){0};
	}
	pthread_mutex_unlock(&g->lock);
	return sync_batch(&full, err); /* the others go on meanwhile */
}

void nv_sync_group_folder(struct nv_sync_group *g, const char *path)
{
	pthread_mutex_lock(&g->lock);
	add_folder(&g->batch, path);
	pthread_mutex_unlock(&g->lock);
}

int nv_sync_group_end(struct nv_sync_group *g, struct nv_err *err)
{
	return sync_batch(&g->batch, err);
}

void nv_sync_group_fini(struct nv_sync_group *g)
{
	batch_fini(&g->batch);
	pthread_mutex_destroy(&g->lock);
}
