/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Local accounts. */
#ifndef NV_PRODUCER_SESSION_PEOPLE_H
#define NV_PRODUCER_SESSION_PEOPLE_H

#include "producer/app.h"

struct people *nv_people_new(struct app *app, struct nv_err *err);
void nv_people_free(struct people *p);
/* From the present file; borrowed until control returns to the loop. NULL: no such account. */
const struct nv_account *nv_people_find(struct app *app, const char *username);
const struct nv_account *nv_people_find_identity(struct app *app, const char *identity);
const char *nv_people_identity(const struct app *app, const struct nv_account *a);

#endif
