/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which courses somebody may bring. */
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
	CATALOG_NOT_ASKED, /* nothing is kept, and only what is kept was wanted */
};
enum catalog_how {
	CATALOG_USUAL,	/* what is kept, if it is fresh enough; otherwise the site is asked */
	CATALOG_AFRESH, /* the site is asked, whatever is kept */
	CATALOG_KEPT,	/* only what is kept: answers at once */
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
void nv_catalog_close(struct catalog *c); /* whoever waits is told that we stop */
void nv_catalog_free(struct catalog *c);  /* after bus and status */
/* Ask one site (NULL: all) for the user's courses; cb once, sites borrowed for the call.  err: the
 * status database is away. */
void nv_catalog_ask(struct app *app, const char *user, const char *site, enum catalog_how how,
		    catalog_cb cb, void *arg);
/* The keeper has an answer; or: somebody's answer was announced. */
void nv_catalog_store(struct app *app, const char *site, const struct nv_catalog_reply *reply,
		      nv_status_cb cb, void *arg);
void nv_catalog_announced(struct app *app, const char *site, const char *user);
/* The site answered and does not name the course: a list that was kept may be older than it. */
bool nv_catalog_lacks(const struct catalog_site *s, const char *course);
const struct nv_course *nv_catalog_find(const struct catalog_site *s, const char *course);
/* What somebody is told who asked for a course that this answer does not give; 0: it does. */
int nv_catalog_judge(const struct catalog_site *s, const char *course, struct nv_err *err);

#endif
