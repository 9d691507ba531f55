/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The pages and the API's description, compiled in (assets.c is made from the files at build time).
 * What has its content's hash in its path is kept by browsers for good; the rest is asked for each
 * time and answered with 304 where it is the same. */
#include <string.h>

#include "producer/app.h"
#include "producer/assets.h"
#include "producer/page.h"

const char *nv_page_path(const char *name)
{
	for (size_t i = 0; i < nv_assets_len; i++)
		if (strcmp(nv_assets[i].name, name) == 0)
			return nv_assets[i].path;
	return "/";
}

/* Is the word in a list such as "gzip, deflate, br;q=0.9"?  One that is refused (q=0) is not. */
static bool accepts(const struct nv_http_request *r, const char *coding)
{
	const char *list = nv_http_header(r, "Accept-Encoding");
	size_t len = strlen(coding);
	for (const char *p = list; p && *p; p += strcspn(p, ","), p += *p == ',') {
		p += strspn(p, " \t");
		if (strncmp(p, coding, len) != 0 || !strchr(",; \t", p[len]))
			continue;
		size_t rest = strcspn(p, ",");
		const char *q = memmem(p, rest, "q=", 2);
		return !q || strtod(q + 2, NULL) > 0;
	}
	return false;
}

static bool has_it(const struct nv_http_request *r, const char *etag)
{
	const char *known = nv_http_header(r, "If-None-Match");
	return known && strstr(known, etag + strlen("W/"));
}

static void send_asset(struct nv_http_request *r, const struct asset *a)
{
	const struct asset_bytes *bytes = &a->plain;
	nv_http_add_header(r, "ETag", a->etag);
	nv_http_add_header(r, "Vary", "Accept-Encoding");
	nv_http_add_header(r, "Cache-Control",
			   a->lasting ? "public, max-age=31536000, immutable" : "no-cache");
	if (has_it(r, a->etag)) {
		nv_http_reply(r, 304, NULL, NULL, 0);
		return;
	}
	if (a->brotli.len < bytes->len && accepts(r, "br")) {
		nv_http_add_header(r, "Content-Encoding", "br");
		bytes = &a->brotli;
	} else if (a->gzip.len < bytes->len && accepts(r, "gzip")) {
		nv_http_add_header(r, "Content-Encoding", "gzip");
		bytes = &a->gzip;
	}
	nv_http_reply(r, 200, a->type, bytes->data, bytes->len);
}

void nv_page_asset(struct app *app, struct nv_http_request *r, const struct session *s)
{
	(void)app;
	(void)s;
	for (size_t i = 0; i < nv_assets_len; i++) {
		if (strcmp(nv_http_path(r), nv_assets[i].path) == 0) {
			send_asset(r, &nv_assets[i]);
			return;
		}
	}
	nv_http_problem(r, 404, NV_R_not_found, "nothing is at this address");
}
