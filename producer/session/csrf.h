/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Protection against cross-site request forgery. A browser sends the session cookie with requests
 * from other sites' pages, too; so with a cookie every unsafe method must come from our own pages
 * (Origin, Sec-Fetch-Site) and have the session's secret in a header, which only our own script can
 * read and set. A token in Authorization needs neither. */
#ifndef NV_PRODUCER_SESSION_CSRF_H
#define NV_PRODUCER_SESSION_CSRF_H

#include <stdbool.h>

struct csrf_facts {
	const char *method;
	bool cookie;	      /* the session came by cookie (or is about to: sign-in) */
	bool signing_in;      /* there is no session yet, hence no token */
	const char *sent;     /* X-Navette-CSRF; NULL: absent, as all below */
	const char *expected; /* the session's */
	const char *origin;
	const char *fetch_site;
	const char *host;
	const char *base_url;
};
enum csrf_result { CSRF_FINE, CSRF_OTHER_SITE, CSRF_NO_TOKEN };
enum csrf_result nv_csrf_check(const struct csrf_facts *f);

#endif
