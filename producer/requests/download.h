/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Download of a request's archive, for those who may see the request. */
#ifndef NV_PRODUCER_REQUESTS_DOWNLOAD_H
#define NV_PRODUCER_REQUESTS_DOWNLOAD_H

#include "core/status/status.h"
#include "producer/app.h"

void nv_download(struct app *app, struct nv_http_request *r, const struct session *s,
		 const struct nv_status_record *rec);

#endif
