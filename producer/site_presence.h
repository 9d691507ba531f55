/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What course servers said last, as presences in Redis (core/status/admin.h):
 *
 *   answer:SITE         the last answer about courses
 *   archiver:SITE:HOST  a message of an archiver on that host
 *   hold:SITE:HOST      the hold of all exports there
 *
 * The keeper notes it, the administrators' pages show it. */
#ifndef NV_PRODUCER_SITE_PRESENCE_H
#define NV_PRODUCER_SITE_PRESENCE_H

#include "producer/app.h"

/* Called by the keeper for each verified message. */
void nv_site_presence_heard(struct app *app, const struct nv_envelope *env);
/* Does the course server accept messages of this kind, which the first release does not know?  By
 * its last answer about courses. */
void nv_site_presence_understands(struct app *app, const char *site, enum nv_kind kind,
				  void (*cb)(void *arg, const struct nv_err *err, bool understood),
				  void *arg);
/* The rest of "prefix:…"; NULL: another kind of presence. */
const char *nv_site_presence_after(const char *name, const char *prefix);
void nv_site_presence_free(struct app *app);

#endif
