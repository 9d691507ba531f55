/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What who came from Moodle may. */
#ifndef NV_PRODUCER_SESSION_RIGHTS_H
#define NV_PRODUCER_SESSION_RIGHTS_H

#include "producer/app.h"

struct rights {
	bool served; /* false: nothing at all any more */
	bool manage;
	bool user_data;
	bool link;
};
struct rights_question {
	const char *user;
	uint64_t block;
	struct rights told; /* by their token */
	uint64_t at;	    /* when; ms since the epoch */
};
/* now NULL: unconfirmed by Moodle for too long. */
typedef void (*rights_cb)(void *arg, const struct rights *now);
struct rights_desk *nv_rights_new(struct app *app);
void nv_rights_free(struct rights_desk *d); /* after the back room */
/* Their present rights, at most producer.rights_max_age old; cb is called once, possibly before
 * this returns. */
void nv_rights_judge(struct app *app, const struct rights_question *q, rights_cb cb, void *arg);

#endif
