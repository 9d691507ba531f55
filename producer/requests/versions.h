/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The client's own Moodle version and plugins, where a site is configured. */
#ifndef NV_PRODUCER_REQUESTS_VERSIONS_H
#define NV_PRODUCER_REQUESTS_VERSIONS_H

#include "producer/app.h"

/* At start: NV_FATAL when the configured Moodle can never be asked. */
int nv_versions_first(struct app *app, struct nv_err *err);
struct versions *nv_versions_new(struct app *app);
void nv_versions_fill(const struct app *app, struct nv_restore_request *q);
/* We have no plugin for this type of activities (frankenstyle name without mod_); false where that
 * is not known. */
bool nv_versions_lacks(const struct app *app, const char *module);
void nv_versions_close(struct versions *v);

#endif
