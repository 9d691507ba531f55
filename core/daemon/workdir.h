/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A job's folder below work_dir: <work_dir>/<name>/, locked by <work_dir>/<name>/.lock while in
 * use. A dead process releases its lock, so that the sweep finds abandoned folders. */
#ifndef NV_DAEMON_WORKDIR_H
#define NV_DAEMON_WORKDIR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct nv_workdir {
	char path[1024];
	int lock; /* -1: not held */
};
/* Create work_dir, accessible to us alone, and missing parents, which others may pass through: a
 * job's folder may be opened to Moodle's user. */
int nv_workdir_make(const char *work_dir, struct nv_err *err);
/* Created, or reused with its content. NV_HOLD/busy when another process uses it. */
int nv_workdir_open(const char *work_dir, const char *name, struct nv_workdir *ret,
		    struct nv_err *err);
/* remove: delete it with its content; otherwise it stays for a later attempt. */
void nv_workdir_close(struct nv_workdir *w, bool remove);
/* Remove it if it exists and is not in use. */
void nv_workdir_discard(const char *work_dir, const char *name);
/* Remove folders that are not locked and were not changed for min_age_ms. */
int nv_workdir_sweep(const char *work_dir, uint64_t min_age_ms, struct nv_err *err);

#endif
