/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The plugins a course needs, and whether a site has them. A Moodle checks itself
 * (moodle/block_navette/classes/local/needs.php); this is for other sites. */
#ifndef NV_SITE_NEEDS_H
#define NV_SITE_NEEDS_H

#include "base/err.h"
#include "proto/messages.h"

/* struct nv_plugin without versions, in the arena. */
void nv_needs_from_names(const struct nv_strs *names, struct nv_list *ret, struct nv_arena *arena);
struct nv_needs_check {
	const struct nv_list *needs; /* struct nv_plugin, of the course */
	const struct nv_list *has;   /* of the client; empty: not known, nothing is checked */
	const char *course;	     /* its id, for people */
	bool leave_out; /* the client's Moodle leaves out what it lacks, and tells it */
};
/* A plugin that is missing is NV_REJECT/plugin_missing, a block only a warning. */
int nv_needs_check(const struct nv_needs_check *c, struct nv_strs *warnings, struct nv_arena *arena,
		   struct nv_err *err);

#endif
