/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A request's archive as a file, for who may see the request. */
#ifndef NV_PRODUCER_REQUESTS_DOWNLOAD_H
#define NV_PRODUCER_REQUESTS_DOWNLOAD_H

#include "core/status/status.h"
#include "producer/app.h"

void nv_download(struct app *app, struct nv_http_request *r, const struct session *s,
		 const struct nv_status_record *rec);

#endif
