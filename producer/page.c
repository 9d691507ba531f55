/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The status page and the API's description, compiled in (assets.c is made from the files at build
 * time). */
#include <string.h>

#include "producer/assets.h"
#include "producer/producer.h"

static const struct {
	const char *path;
	const char *type;
	const unsigned char *data;
	const size_t *len;
} assets[] = {
	{"/", "text/html; charset=utf-8", asset_index_html, &asset_index_html_len},
	{"/app.js", "text/javascript; charset=utf-8", asset_app_js, &asset_app_js_len},
	{"/style.css", "text/css; charset=utf-8", asset_style_css, &asset_style_css_len},
	{"/api/v1/openapi.yaml", "application/yaml", asset_openapi_yaml, &asset_openapi_yaml_len},
};

void page_asset(struct app *app, struct nv_http_request *r, const struct session *s)
{
	(void)app;
	(void)s;
	for (size_t i = 0; i < NV_ARRAY_LEN(assets); i++) {
		if (!strcmp(nv_http_pattern(r), assets[i].path)) {
			nv_http_reply(r, 200, assets[i].type, assets[i].data, *assets[i].len);
			return;
		}
	}
	nv_http_problem(r, 404, NV_R_not_found, "nothing is at this address");
}
