/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/sync_group.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"

void nv_sync_group_init(struct nv_sync_group *g)
{
	*g = (struct nv_sync_group){0};
	pthread_mutex_init(&g->lock, NULL);
}

/* --- folders whose names are durable --- */

#define SLOTS_BITS 10 /* of 32 bytes each; a newer one takes an older one's place */

/* Shared by all groups of the process. */
static struct {
	pthread_mutex_t lock;
	struct nv_folder_birth slots[1u << SLOTS_BITS];
} durable = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool birth_of(const char *folder, struct nv_folder_birth *ret)
{
	struct statx st;
	if (statx(AT_FDCWD, folder, AT_SYMLINK_NOFOLLOW, STATX_INO | STATX_BTIME, &st) < 0 ||
	    !(st.stx_mask & STATX_INO) || !(st.stx_mask & STATX_BTIME))
		return false;
	*ret = (struct nv_folder_birth){
		.device = (uint64_t)st.stx_dev_major << 32 | st.stx_dev_minor,
		.inode = st.stx_ino,
		.s = st.stx_btime.tv_sec,
		.ns = st.stx_btime.tv_nsec,
	};
	return true;
}

static struct nv_folder_birth *slot_of(const struct nv_folder_birth *b)
{
	uint64_t mixed = (b->inode ^ b->ns) * 0x9e3779b97f4a7c15u; /* Fibonacci hashing */
	return &durable.slots[mixed >> (64 - SLOTS_BITS)];
}

static bool is_durable(const struct nv_folder_birth *b)
{
	pthread_mutex_lock(&durable.lock);
	const struct nv_folder_birth *known = slot_of(b);
	bool is = known->device == b->device && known->inode == b->inode && known->s == b->s &&
		  known->ns == b->ns;
	pthread_mutex_unlock(&durable.lock);
	return is;
}

/* The names in the batch's i-th folder. */
static void now_durable(const struct nv_sync_batch *batch, size_t i)
{
	pthread_mutex_lock(&durable.lock);
	for (size_t n = 0; n < batch->names_len; n++)
		if (batch->names[n].folder == i)
			*slot_of(&batch->names[n].birth) = batch->names[n].birth;
	pthread_mutex_unlock(&durable.lock);
}

/* --- a batch --- */

/* Its index. */
static size_t add_folder(struct nv_sync_batch *b, const char *path)
{
	for (size_t i = 0; i < b->folders_len; i++)
		if (strcmp(b->folders[i], path) == 0)
			return i;
	if (b->folders_len == b->folders_cap) {
		b->folders_cap = b->folders_cap ? 2 * b->folders_cap : 8;
		b->folders = nv_realloc(b->folders, b->folders_cap * sizeof *b->folders);
	}
	b->folders[b->folders_len] = nv_strdup(path);
	return b->folders_len++;
}

static void add_name(struct nv_sync_batch *b, size_t folder, const struct nv_folder_birth *birth)
{
	if (b->names_len == b->names_cap) {
		b->names_cap = b->names_cap ? 2 * b->names_cap : 8;
		b->names = nv_realloc(b->names, b->names_cap * sizeof *b->names);
	}
	b->names[b->names_len++] = (struct nv_synced_name){folder, *birth};
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
	free(b->names);
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

/* Files before the folders that name them; an error does not stop the others. */
static int sync_batch(struct nv_sync_batch *b, struct nv_err *err)
{
	int rc = 0;
	for (size_t i = 0; i < b->files_len; i++)
		if (sync_file(&b->files[i], rc == 0 ? err : NULL) < 0)
			rc = -1;
	for (size_t i = 0; i < b->folders_len; i++) {
		struct nv_err local = {0};
		if (nv_fsync_dir(b->folders[i], &local) == 0) {
			now_durable(b, i);
			continue;
		}
		if (local.code == ENOENT)
			continue;
		if (rc == 0 && err)
			*err = local;
		rc = -1;
	}
	batch_fini(b);
	return rc;
}

/* --- the group --- */

/* folder: of its name; NULL: that does not count. */
static int add_file(struct nv_sync_group *g, int *fd, const char *path, const char *folder,
		    struct nv_err *err)
{
	struct nv_sync_batch full = {0};
	/* Advice only: if it fails, the sync does all the work. */
	(void)sync_file_range(*fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	pthread_mutex_lock(&g->lock);
	struct nv_sync_batch *b = &g->batch;
	b->files[b->files_len++] = (struct nv_synced_file){*fd, nv_strdup(path)};
	*fd = -1;
	if (folder)
		add_folder(b, folder);
	if (b->files_len == NV_SYNC_GROUP_FILES) {
		full = *b;
		*b = (struct nv_sync_batch){0};
	}
	pthread_mutex_unlock(&g->lock);
	return sync_batch(&full, err); /* the others go on meanwhile */
}

int nv_sync_group_file(struct nv_sync_group *g, int *fd, const char *path, struct nv_err *err)
{
	nv_auto_free char *folder = nv_folder_of(path);
	return add_file(g, fd, path, folder, err);
}

int nv_sync_group_content(struct nv_sync_group *g, int *fd, const char *path, struct nv_err *err)
{
	return add_file(g, fd, path, NULL, err);
}

void nv_sync_group_folder(struct nv_sync_group *g, const char *path)
{
	pthread_mutex_lock(&g->lock);
	add_folder(&g->batch, path);
	pthread_mutex_unlock(&g->lock);
}

void nv_sync_group_name(struct nv_sync_group *g, const char *folder)
{
	nv_auto_free char *above = nv_folder_of(folder);
	struct nv_folder_birth birth;
	bool told = birth_of(folder, &birth);
	if (told && is_durable(&birth))
		return;
	pthread_mutex_lock(&g->lock);
	size_t i = add_folder(&g->batch, above);
	if (told)
		add_name(&g->batch, i, &birth);
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
