/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Plugins that the site had when it was last asked, so that small archives which need nothing else
 * are brought without a question (job.c).  Any thread may use it. */
#ifndef NV_WORKER_RESTORE_KNOWN_PLUGINS_H
#define NV_WORKER_RESTORE_KNOWN_PLUGINS_H

#include "proto/messages.h"

struct known_plugins;
struct known_plugins *nv_known_plugins_new(void);
void nv_known_plugins_free(struct known_plugins *a); /* NULL allowed */
/* Did the site have all of these (struct nv_plugin) within the last ten minutes?  leave_out: or
 * would it leave out what it lacks? */
bool nv_known_plugins_all(struct known_plugins *a, const struct nv_list *needs, bool leave_out);
/* The site takes a course that needs these.  leave_out: as above, so it may lack some of them. */
void nv_known_plugins_add(struct known_plugins *a, const struct nv_list *needs, bool leave_out);

#endif
