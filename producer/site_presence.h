/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What course servers said last, as presences in Redis (core/status/admin.h):
 *
 *   answer:SITE         the last answer about courses
 *   archiver:SITE:HOST  a message of an archiver on that host
 *   hold:SITE:HOST      what is in the way of all exports there
 *
 * The keeper notes it, the administrators' pages show it. */
#ifndef NV_PRODUCER_SITE_PRESENCE_H
#define NV_PRODUCER_SITE_PRESENCE_H

#include "producer/app.h"

/* The keeper has a message whose signature is right. */
void nv_site_presence_heard(struct app *app, const struct nv_envelope *env);
/* Does the course server take messages of this kind, which the first release did not know?  By its
 * last answer about courses. */
void nv_site_presence_understands(struct app *app, const char *site, enum nv_kind kind,
				  void (*cb)(void *arg, const struct nv_err *err, bool understood),
				  void *arg);
/* The rest of "prefix:…"; NULL: another kind of presence. */
const char *nv_site_presence_after(const char *name, const char *prefix);
void nv_site_presence_free(struct app *app);

#endif
