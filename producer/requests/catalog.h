/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The courses that a user may restore. */
#ifndef NV_PRODUCER_REQUESTS_CATALOG_H
#define NV_PRODUCER_REQUESTS_CATALOG_H

#include "core/status/status.h"
#include "producer/app.h"

#define CATALOG_EVENT "catalog"
#define CATALOG_NOBODY "navette-clock" /* the user of a question about no courses */

enum catalog_status {
	CATALOG_OK,
	CATALOG_UNKNOWN_USER,
	CATALOG_ERROR,
	CATALOG_UNREACHABLE,
	CATALOG_NOT_ASKED, /* nothing is cached, and only cached answers were wanted */
};
enum catalog_how {
	CATALOG_USUAL,	/* the cached answer, if fresh enough; otherwise the site is asked */
	CATALOG_AFRESH, /* the site is asked, ignoring the cache */
	CATALOG_KEPT,	/* the cached answer only: immediate */
};
struct catalog_site {
	const struct nv_config_site *site;
	enum catalog_status status;
	const char *error;	       /* NULL: none */
	struct nv_catalog_reply reply; /* when OK */
	uint64_t at;
	bool settled;
};
typedef void (*catalog_cb)(void *arg, const struct nv_err *err, const struct catalog_site *sites,
			   size_t len);
struct catalog *nv_catalog_new(struct app *app);
void nv_catalog_close(struct catalog *c); /* pending questions end with an error */
void nv_catalog_free(struct catalog *c);  /* after bus and status */
/* Ask one site (NULL: all) for the user's courses; cb once, sites borrowed for the call.  err: the
 * status database is away. */
void nv_catalog_ask(struct app *app, const char *user, const char *site, enum catalog_how how,
		    catalog_cb cb, void *arg);
/* Called by the keeper with an answer; or: an answer was announced in Redis. */
void nv_catalog_store(struct app *app, const char *site, const struct nv_catalog_reply *reply,
		      nv_status_cb cb, void *arg);
void nv_catalog_announced(struct app *app, const char *site, const char *user);
/* The site answered without naming the course: a cached list may be older than the course. */
bool nv_catalog_lacks(const struct catalog_site *s, const char *course);
const struct nv_course *nv_catalog_find(const struct catalog_site *s, const char *course);
/* The error for a requested course that is not in this answer; 0: it is. */
int nv_catalog_judge(const struct catalog_site *s, const char *course, struct nv_err *err);

#endif
