/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Signing in with a password. */
#ifndef NV_PRODUCER_SESSION_SIGNIN_H
#define NV_PRODUCER_SESSION_SIGNIN_H

#include "producer/app.h"

void nv_signin(struct app *app, struct nv_http_request *r, const struct session *s);
/* Called after the HTTP server has closed: cb is called when all verifying threads have ended. */
void nv_signin_close(struct app *app, void (*cb)(struct app *app));

#endif
