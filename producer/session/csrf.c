/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "producer/session/csrf.h"

#include <sodium.h>
#include <string.h>
#include <strings.h>

static bool is_safe(const char *method)
{
	return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0 ||
	       strcmp(method, "OPTIONS") == 0;
}

/* "https://host:port" of "https://host:port/path" is this origin? */
static bool same_origin(const char *url, const char *origin)
{
	const char *host = strstr(url, "://");
	if (!host)
		return false;
	size_t len = (size_t)(host + 3 - url) + strcspn(host + 3, "/?#");
	return strlen(origin) == len && strncasecmp(url, origin, len) == 0;
}

static bool names_host(const char *origin, const char *host)
{
	if (strncasecmp(origin, "http://", 7) == 0)
		return strcasecmp(origin + 7, host) == 0;
	if (strncasecmp(origin, "https://", 8) == 0)
		return strcasecmp(origin + 8, host) == 0;
	return false;
}

static bool from_elsewhere(const struct csrf_facts *f)
{
	if (f->fetch_site && strcmp(f->fetch_site, "same-origin") != 0 &&
	    strcmp(f->fetch_site, "none") != 0)
		return true;
	if (!f->origin)
		return false;
	return !(f->base_url && same_origin(f->base_url, f->origin)) &&
	       !(f->host && names_host(f->origin, f->host));
}

enum csrf_result nv_csrf_check(const struct csrf_facts *f)
{
	if (is_safe(f->method) || !f->cookie)
		return CSRF_FINE;
	if (from_elsewhere(f))
		return CSRF_OTHER_SITE;
	if (f->signing_in)
		return CSRF_FINE;
	if (!f->sent || !f->expected || strlen(f->sent) != strlen(f->expected) ||
	    sodium_memcmp(f->sent, f->expected, strlen(f->expected)) != 0)
		return CSRF_NO_TOKEN;
	return CSRF_FINE;
}
