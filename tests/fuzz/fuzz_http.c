/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whatever stands in a path, a query or a body of a request, decoding it gives texts without
 * control characters, values within their ranges, or an answer that refuses it.  'B' in front: a
 * body; 'P': a path; else a query.
 *
 * What libmicrohttpd does before (request line, headers) is its own; the file that takes over from
 * it is included, since it decodes what it is given and shows it to nobody else. */
#include "core/http/request.c"

#include <stdio.h>

#include "fuzz.h"
#include "producer/body.h"

const char *__wrap_MHD_lookup_connection_value(struct MHD_Connection *conn, enum MHD_ValueKind kind,
					       const char *name);

const char *__wrap_MHD_lookup_connection_value(struct MHD_Connection *conn, enum MHD_ValueKind kind,
					       const char *name)
{
	(void)conn;
	(void)kind;
	return strcmp(name, "Content-Type") == 0 ? "application/json; charset=utf-8" : NULL;
}

static void check_clean(const char *s)
{
	for (; *s; s++)
		FUZZ_CHECK((unsigned char)*s >= 0x20 && *s != 0x7f);
}

static void check_refused(const struct nv_err *err)
{
	FUZZ_CHECK(err->kind == NV_REJECT && err->code >= 400 && err->code < 500 && err->msg[0]);
}

/* As submit.c reads one wish. */
static void read_fields(json_t *o, const char *where)
{
	static const char *const known[] = {"site", "course", "user", "enrolment", "now", "limit"};
	static const char *const words[] = {"always", "with_users", "never", NULL};
	struct nv_err err = {0};
	const struct body b = {o, where, &err};
	const char *text = NULL;
	bool given = false;
	bool on = false;
	uint64_t n = 5;

	if (nv_body_known(&b, known, NV_ARRAY_LEN(known)) < 0 ||
	    nv_body_text(&b, "site", 63, true, &text) < 0 ||
	    nv_body_text_or_null(&b, "user", 255, &given, &text) < 0 ||
	    nv_body_bool(&b, "now", &given, &on) < 0 ||
	    nv_body_uint(&b, "limit", 1, 100, &given, &n) < 0) {
		check_refused(&err);
		return;
	}
	FUZZ_CHECK(n >= 1 && n <= 100);
	if (text)
		check_clean(text);
	if (nv_body_word(&b, "enrolment", words, &given, &n) < 0)
		check_refused(&err);
}

static void read_body(struct nv_http_request *r, const uint8_t *data, size_t size)
{
	struct nv_err err = {0};
	size_t i;
	json_t *one;

	nv_buf_put(&r->body, data, size);
	if (nv_body_none(r, &err) < 0)
		check_refused(&err);
	json_t *o = nv_body_parse(r, &err);
	if (!o) {
		check_refused(&err);
		return;
	}
	read_fields(o, "");
	json_array_foreach(json_object_get(o, "requests"), i, one)
	{
		read_fields(one, "requests[].");
	}
	json_decref(o);
}

static void read_query(struct nv_http_request *r, char *text)
{
	char *rest = NULL;

	/* As libmicrohttpd cuts it; it decodes nothing, see server.c. */
	for (char *one = strtok_r(text, "&", &rest); one; one = strtok_r(NULL, "&", &rest)) {
		char *value = strchr(one, '=');
		if (value)
			*value++ = '\0';
		if (take_query(r, MHD_GET_ARGUMENT_KIND, one, value) == MHD_NO) {
			FUZZ_CHECK(r->refused == 400);
			break;
		}
	}
	FUZZ_CHECK(r->queries_len <= NV_HTTP_QUERIES_MAX);
	for (size_t i = 0; i < r->queries_len; i++) {
		check_clean(r->queries[i].name);
		check_clean(nv_http_query(r, r->queries[i].name));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct nv_http_route routes[] = {
		{.method = "GET", .pattern = "/api/v1/requests/{id}"},
		{.method = "POST", .pattern = "/api/v1/requests/{id}/{action}"},
		{.method = "GET", .pattern = "/"},
	};
	struct nv_http http = {.routes = routes, .routes_len = NV_ARRAY_LEN(routes)};
	struct nv_http_request *r = nv_alloc(sizeof *r);

	r->http = &http;
	r->conn = (void *)r; /* looked at by nobody */
	r->method = "GET";
	r->path = nv_arena_strndup(&r->arena, size ? (const char *)data + 1 : "",
				   size ? size - 1 : 0);
	if (size && data[0] == 'B')
		read_body(r, data + 1, size - 1);
	else if (size && data[0] == 'P')
		find_route(r);
	else
		read_query(r, r->path);
	for (size_t i = 0; i < r->params_len; i++)
		check_clean(r->params[i].value);
	nv_http_request_free(r);
	return 0;
}
