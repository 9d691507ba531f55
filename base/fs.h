/* SPDX-License-Identifier: GPL-3.0-or-later */
/* File operations that several modules need to get right. */
#ifndef NV_FS_H
#define NV_FS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/mem.h"

/* mkdir -p; existing folders are fine. */
int nv_mkdir_p(const char *path, mode_t mode, struct nv_err *err);
/* rm -rf, not following links; a path that is not there is fine. */
int nv_remove_tree(const char *path, struct nv_err *err);
/* The whole file, refused above max bytes. */
int nv_read_file(const char *path, size_t max, struct nv_buf *ret, struct nv_err *err);
/* The single line of a secret file, in the arena. NULL when it is missing, readable by others,
 * empty, too large or has several lines: the message is "<path> " and why. */
const char *nv_read_secret(struct nv_arena *a, const char *path, struct nv_buf *why);
/* Written under a temporary name, fsynced, renamed, the folder fsynced: after a crash the file has
 * either its old or its new content. */
int nv_write_file(const char *path, const void *data, size_t len, mode_t mode, struct nv_err *err);
/* All of it, or an error. */
int nv_write_all(int fd, const void *data, size_t len, struct nv_err *err);
/* For a file that is written sequentially and synced at the end: called after each write with the
 * length so far, it starts write-back early, so that the sync has little left to wait for. */
void nv_write_behind(int fd, uint64_t len, uint64_t *state);
/* The folder that path lies in, owned: "." and "/" where nothing else is left. */
char *nv_folder_of(const char *path);
int nv_fsync_dir(const char *path, struct nv_err *err);
/* Exclusive flock on path (created when missing). wait false: NV_HOLD/busy when it is held. The
 * lock lives as long as the descriptor; closing it, or the death of the process, frees it. */
int nv_lock_file(const char *path, bool wait, int *ret_fd, struct nv_err *err);
/* Raises the soft limit on open descriptors (usually 1024) to this number, or as far as the hard
 * limit allows. */
void nv_need_descriptors(unsigned count);
/* A relative path of plain components: not empty, no leading '/', no "." or "..", no NUL, no
 * control characters, no backslash, at most 1024 bytes, components of at most 255. */
bool nv_path_is_safe(const char *path);
/* False also where it cannot be read. */
bool nv_folder_is_empty(const char *path);
/* Free bytes for an unprivileged process on the file system of path. */
int nv_disk_free(const char *path, uint64_t *ret_bytes, struct nv_err *err);
/* -1 with NV_HOLD: less room than any job needs (disk_full), or a file cannot be written
 * (disk_full, io). A missing folder is fine: it is created when first needed. */
int nv_disk_look(const char *dir, struct nv_err *err);

#endif
