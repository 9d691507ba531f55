/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Handlers for administrators. */
#ifndef NV_PRODUCER_ADMIN_ADMIN_H
#define NV_PRODUCER_ADMIN_ADMIN_H

#include "producer/app.h"

void nv_sites_list(struct app *app, struct nv_http_request *r, const struct session *s);
void nv_workers_list(struct app *app, struct nv_http_request *r, const struct session *s);
void nv_queues_list(struct app *app, struct nv_http_request *r, const struct session *s);
void nv_dead_letters_list(struct app *app, struct nv_http_request *r, const struct session *s);
void nv_dead_letters_requeue(struct app *app, struct nv_http_request *r, const struct session *s);
void nv_dead_letters_discard(struct app *app, struct nv_http_request *r, const struct session *s);
/* The same of a course server, where the query names one. */
void nv_dead_letters_of_site(struct app *app, struct nv_http_request *r, const struct session *s,
			     enum nv_letters_what what);
void nv_stats_steps(struct app *app, struct nv_http_request *r, const struct session *s);
void nv_users_forget(struct app *app, struct nv_http_request *r, const struct session *s);
void nv_requests_republish(struct app *app, struct nv_http_request *r, const struct session *s);

#endif
