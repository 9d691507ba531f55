/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef NV_BROKER_CONFIG_ADMIN_INTERNAL_H
#define NV_BROKER_CONFIG_ADMIN_INTERNAL_H

#include <curl/curl.h>
#include <jansson.h>

#include "broker-config/admin.h"

static inline void nv_cleanup_json(json_t **j)
{
	json_decref(*j);
}
#define nv_auto_json __attribute__((cleanup(nv_cleanup_json)))

/* definitions.c: {exchanges, queues, bindings, permissions} as in definitions files; NULL with *err
 * on a bad name.  Owned by the caller. */
json_t *nv_broker_topology(const struct nv_broker_settings *broker, const char *vhost,
			   struct nv_err *err);
/* vhost.c: the virtual host of broker.uris[0], "/" when it names none; to be freed. */
char *nv_broker_vhost(const struct nv_broker_settings *broker);

/* management.c: one request to the management interface. */
struct nv_mgmt {
	const struct nv_broker_settings *broker;
	CURL *curl;
	long timeout_ms; /* of one call; 0: a minute */
	char *base;	 /* without user, password and the last slash */
	char *user;
	char *password;
};
int nv_mgmt_init(struct nv_mgmt *m, const struct nv_broker_settings *broker, struct nv_err *err);
void nv_mgmt_fini(struct nv_mgmt *m);
/* path: below /api/, already encoded.  body NULL: none.  *ret (owned; NULL allowed) is NULL where
 * the answer is empty or 404.  Returns the HTTP status for 2xx and 404, otherwise -1. */
int nv_mgmt_call(struct nv_mgmt *m, const char *method, const char *path, const json_t *body,
		 json_t **ret, struct nv_err *err);
/* "a/b/c" of NULL-terminated parts, each percent-encoded; to be freed. */
char *nv_mgmt_path(const char *const *parts);
#define NV_MGMT_PATH(...) nv_mgmt_path((const char *const[]){__VA_ARGS__, NULL})

#endif
