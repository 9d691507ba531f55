/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Files that are made durable together.
 *
 * An fsync of a new file makes a file system with a journal commit it (ext4, XFS), and waits for
 * the disk: one after each of a thousand small files is a thousand commits.  A group holds the
 * files open, lets the disk begin with each as it comes, and syncs many in a row; the first commit
 * then carries nearly all of them.
 *
 * For who is told of no file before the group has ended: until then a crash of the machine may
 * leave any of them out, or damaged.  By any number of threads at once, except _end and _fini. */
#ifndef NV_SYNC_GROUP_H
#define NV_SYNC_GROUP_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define NV_SYNC_GROUP_FILES 32u /* descriptors held at once; more sync those that came before */

/* Which folder it is, whatever it is called: no other ever has all four. */
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
 * synced is removed: what a later try finds there must be right.  NV_RETRY with errno's reason, and
 * errno in err->code. */
int nv_sync_group_file(struct nv_sync_group *g, int *fd, const char *path, struct nv_err *err);
/* The same without its name: only what is in it. */
int nv_sync_group_content(struct nv_sync_group *g, int *fd, const char *path, struct nv_err *err);
/* A folder, for the names in it.  One that is gone when the group ends is fine. */
void nv_sync_group_folder(struct nv_sync_group *g, const char *path);
/* The name of a folder that is never renamed: syncs the folder it lies in, unless this process has
 * done so since this one was made.  Even a sync that finds nothing to do makes the disk write out
 * its cache.  Where the file system does not tell when a folder was made, it is synced always. */
void nv_sync_group_name(struct nv_sync_group *g, const char *folder);
/* All that came is durable, or the first error of it; the group is empty, and can be used again. */
int nv_sync_group_end(struct nv_sync_group *g, struct nv_err *err);
/* Without syncing what it holds. */
void nv_sync_group_fini(struct nv_sync_group *g);

#endif
