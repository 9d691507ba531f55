/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Handlers of requests, and what they share. */
#ifndef NV_PRODUCER_REQUESTS_REQUESTS_H
#define NV_PRODUCER_REQUESTS_REQUESTS_H

#include "core/status/status.h"
#include "producer/app.h"

void nv_courses_list(struct app *app, struct nv_http_request *r, const struct session *s);
void nv_requests_submit(struct app *app, struct nv_http_request *r, const struct session *s);
void nv_requests_check(struct app *app, struct nv_http_request *r, const struct session *s);
void nv_requests_list(struct app *app, struct nv_http_request *r, const struct session *s);
void nv_requests_show(struct app *app, struct nv_http_request *r, const struct session *s);
void nv_requests_log(struct app *app, struct nv_http_request *r, const struct session *s);
void nv_requests_archive(struct app *app, struct nv_http_request *r, const struct session *s);
void nv_requests_change(struct app *app, struct nv_http_request *r, const struct session *s);
void nv_requests_cancel(struct app *app, struct nv_http_request *r, const struct session *s);
void nv_requests_retry(struct app *app, struct nv_http_request *r, const struct session *s);
void nv_requests_run_now(struct app *app, struct nv_http_request *r, const struct session *s);
void nv_requests_enrol(struct app *app, struct nv_http_request *r, const struct session *s);

json_t *nv_request_json(const struct app *app, const struct nv_status_record *rec);
/* A request copied into an arena, with everything it points to. */
void nv_request_copy(struct nv_restore_request *to, const struct nv_restore_request *from,
		     struct nv_arena *a);
bool nv_request_is_ones_own(const struct nv_restore_request *q, const struct session *s);

#endif
