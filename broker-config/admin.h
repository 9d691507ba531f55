/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Making the topology real: `navette broker apply`, `check` and `definitions`.  Only the command
 * links this; a daemon's user may not create anything.  Blocking calls. */
#ifndef NV_BROKER_ADMIN_H
#define NV_BROKER_ADMIN_H

#include "core/base/config.h"

/* definitions.json for broker.clients and broker.sites: virtual host, exchanges, queues, bindings.
 * Without users and permissions: a node that loads the file at each start would reset their
 * passwords. */
int nv_broker_definitions(const struct nv_config *c, struct nv_buf *out, struct nv_err *err);

/* Create what is missing, by the management interface (broker.management_url): virtual host,
 * feature flag stream_queue, exchanges, queues, bindings, users, permissions.  Idempotent.  A user
 * that is made, or whose file is missing, gets a random password, written to
 * <broker.credentials_dir>/<user>.password, mode 0600.  Nothing is ever deleted.  report: a line
 * for each thing done.  -1 also when something exists in another form (a line says which and what
 * to do); the rest is applied all the same. */
int nv_broker_apply(const struct nv_config *c, struct nv_buf *report, struct nv_err *err);
/* A line for each difference; *ret_differences (NULL allowed) counts them.  -1 only when the broker
 * could not be asked. */
int nv_broker_check(const struct nv_config *c, struct nv_buf *report, size_t *ret_differences,
		    struct nv_err *err);

#endif
