/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Plugins that the site had when it was last asked, so that small archives which need nothing else
 * are brought without a question (job.c).  Any thread may use it. */
#ifndef NV_WORKER_RESTORE_KNOWN_PLUGINS_H
#define NV_WORKER_RESTORE_KNOWN_PLUGINS_H

#include "proto/messages.h"

struct accepted;
struct accepted *nv_accepted_new(void);
void nv_accepted_free(struct accepted *a); /* NULL allowed */
/* Did the site have all of these (struct nv_plugin) within the last ten minutes? */
bool nv_accepted_all(struct accepted *a, const struct nv_list *needs);
void nv_accepted_add(struct accepted *a, const struct nv_list *needs);

#endif
