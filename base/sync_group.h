/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Group commit: many files are made durable together.
 *
 * On a journalling file system (ext4, XFS) each fsync of a new file is a commit that waits for the
 * disk: a thousand small files would be a thousand commits. A group keeps the files open, starts
 * the write-back of each as it comes, and syncs many in a row; the first commit then covers nearly
 * all of them.
 *
 * Nobody may be told of a file before the group has ended: until then a crash of the machine may
 * lose or damage any of them. All functions but _end and _fini may be called by several threads at
 * once. */
#ifndef NV_SYNC_GROUP_H
#define NV_SYNC_GROUP_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define NV_SYNC_GROUP_FILES \
	32u /* descriptors held at once; the next file syncs all of them first */

/* Identifies a folder independently of its name: no other folder ever has the same four. */
struct nv_folder_birth {
	uint64_t device, inode;
	int64_t s; /* since the epoch, when it was made */
	uint32_t ns;
};

struct nv_synced_name {
	size_t folder; /* of the batch's: it lies in this one */
	struct nv_folder_birth birth;
};

struct nv_sync_batch {
	struct nv_synced_file {
		int fd;
		char *path;
	} files[NV_SYNC_GROUP_FILES];
	size_t files_len;
	char **folders; /* each once */
	size_t folders_len, folders_cap;
	struct nv_synced_name *names;
	size_t names_len, names_cap;
};

struct nv_sync_group {
	pthread_mutex_t lock;
	struct nv_sync_batch batch;
};

void nv_sync_group_init(struct nv_sync_group *g);
/* The file behind *fd, which is the group's from now on (*fd becomes -1), under its final name
 * path. The call that fills the group syncs it and tells of its errors.  A file that cannot be
 * synced is removed, since later attempts trust the files they find.  NV_RETRY with errno's reason,
 * and errno in err->code. */
int nv_sync_group_file(struct nv_sync_group *g, int *fd, const char *path, struct nv_err *err);
/* The same for its content only, not for its name. */
int nv_sync_group_content(struct nv_sync_group *g, int *fd, const char *path, struct nv_err *err);
/* A folder, for the names in it; it may be gone when the group ends. */
void nv_sync_group_folder(struct nv_sync_group *g, const char *path);
/* The name of a folder that is never renamed: syncs its parent, unless this process has done so
 * since the folder was created (even a sync with nothing to do flushes the disk's cache). If the
 * file system does not tell creation times, the parent is always synced. */
void nv_sync_group_name(struct nv_sync_group *g, const char *folder);
/* Makes everything durable, or returns the first error; the group is then empty and can be used
 * again. */
int nv_sync_group_end(struct nv_sync_group *g, struct nv_err *err);
/* Without syncing what it holds. */
void nv_sync_group_fini(struct nv_sync_group *g);

#endif
