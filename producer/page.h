/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The page: what browsers get. */
#ifndef NV_PRODUCER_PAGE_H
#define NV_PRODUCER_PAGE_H

#include "producer/app.h"

void nv_page_asset(struct app *app, struct nv_http_request *r, const struct session *s);
/* Where a file of the page is served, its content's hash in it; name: "app.css". */
const char *nv_page_path(const char *name);

#endif
