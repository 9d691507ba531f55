/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Creating and checking the topology: `navette broker apply`, `check` and `definitions`.  Only the
 * command links this; the daemons' broker users may not create anything.  Blocking calls. */
#ifndef NV_BROKER_CONFIG_ADMIN_H
#define NV_BROKER_CONFIG_ADMIN_H

#include "base/err.h"
#include "base/mem.h"
#include "broker-config/settings.h"

/* definitions.json for broker.clients and broker.sites: virtual host, exchanges, queues, bindings.
 * Without users and permissions: a node that loads the file at each start would reset their
 * passwords. */
int nv_broker_definitions(const struct nv_broker_settings *broker, struct nv_buf *out,
			  struct nv_err *err);

/* Create what is missing, by the management interface (broker.management_url): virtual host,
 * feature flag stream_queue, exchanges, queues, bindings, users, permissions.  Idempotent.  A user
 * that is new, or whose password file is missing, gets a random password, written to
 * <broker.credentials_dir>/<user>.password, mode 0600.  Nothing is ever deleted.  report: one line
 * per change. -1 also when something exists with other properties (a line says which, and what to
 * do); the rest is still applied. */
int nv_broker_apply(const struct nv_broker_settings *broker, struct nv_buf *report,
		    struct nv_err *err);
struct nv_broker_differences {
	size_t len;
	char *unseen; /* what the user may not see, such as "users, permissions"; or NULL */
};
/* A line for each difference into report.  A user with the tag monitoring and no permissions sees
 * most of it; what it may not see is reported as unseen, and is no difference.  -1 only when the
 * broker could not be asked, or does not know the user. */
int nv_broker_check(const struct nv_broker_settings *broker, struct nv_buf *report,
		    struct nv_broker_differences *ret, struct nv_err *err);
void nv_broker_differences_fini(struct nv_broker_differences *f);

/* Alarms that keep a node from accepting messages. */
enum nv_broker_alarm { NV_BROKER_ALARM_MEMORY, NV_BROKER_ALARM_DISK, NV_BROKER_DOWN };
/* How many there are; -1 when the user may not ask for them, or the broker cannot be asked. */
int nv_broker_alarms(const struct nv_broker_settings *broker,
		     void (*cb)(void *arg, const char *node, enum nv_broker_alarm alarm), void *arg,
		     struct nv_err *err);

#endif
