/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Handlers for administrators. */
#ifndef NV_PRODUCER_ADMIN_ADMIN_H
#define NV_PRODUCER_ADMIN_ADMIN_H

#include "producer/app.h"

void sites_list(struct app *app, struct nv_http_request *r, const struct session *s);
void workers_list(struct app *app, struct nv_http_request *r, const struct session *s);
/* The keeper has a message whose signature is right. */
void sites_heard(struct app *app, const struct nv_envelope *env);
/* Does the course server take messages of this kind, which the first release did not know?  By its
 * last answer about courses. */
void sites_understand(struct app *app, const char *site, enum nv_kind kind,
		      void (*cb)(void *arg, const struct nv_err *err, bool understood), void *arg);
void sites_notes_free(struct app *app);
void queues_list(struct app *app, struct nv_http_request *r, const struct session *s);
void dead_list(struct app *app, struct nv_http_request *r, const struct session *s);
void dead_requeue(struct app *app, struct nv_http_request *r, const struct session *s);
void dead_discard(struct app *app, struct nv_http_request *r, const struct session *s);
/* The same of a course server, where the query names one. */
void dead_site(struct app *app, struct nv_http_request *r, const struct session *s,
	       enum nv_letters_what what);
void stats_steps(struct app *app, struct nv_http_request *r, const struct session *s);
void users_forget(struct app *app, struct nv_http_request *r, const struct session *s);
void requests_republish(struct app *app, struct nv_http_request *r, const struct session *s);

#endif
