/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A job's folder below work_dir: <work_dir>/<name>/, locked by <work_dir>/<name>/.lock while in
 * use. A dead process frees its lock, so the sweep can tell what nobody needs. */
#ifndef NV_DAEMON_WORKDIR_H
#define NV_DAEMON_WORKDIR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct nv_workdir {
	char path[1024];
	int lock; /* -1: not held */
};
/* Make work_dir, for us alone, and what leads to it: folders that are made on the way may be passed
 * through by others, for a job's folder may be opened to the user that Moodle runs as. */
int nv_workdir_make(const char *work_dir, struct nv_err *err);
/* Made, or taken over as it is.  NV_HOLD/busy when another process works in it. */
int nv_workdir_open(const char *work_dir, const char *name, struct nv_workdir *ret,
		    struct nv_err *err);
/* remove: with all that is in it; otherwise it stays for a later try. */
void nv_workdir_close(struct nv_workdir *w, bool remove);
/* Remove it, if it is there and nobody works in it. */
void nv_workdir_discard(const char *work_dir, const char *name);
/* Remove folders that nobody has locked and nobody has touched for min_age_ms. */
int nv_workdir_sweep(const char *work_dir, uint64_t min_age_ms, struct nv_err *err);

#endif
