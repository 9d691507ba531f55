/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What was asked: path, parameters, query, headers. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/http/http_internal.h"

void nv_http_refuse(struct nv_http_request *r, unsigned status, enum nv_reason reason,
		    const char *detail)
{
	if (r->refused)
		return;
	r->refused = status;
	r->refused_reason = reason;
	r->refused_detail = detail;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* %xx decoded; NULL for a broken escape or a control character, which nothing here may hold. */
static char *unescape(struct nv_arena *a, const char *s, size_t len)
{
	char *out = nv_arena_alloc(a, len + 1);
	size_t n = 0;
	for (size_t i = 0; i < len; i++) {
		unsigned c = (unsigned char)s[i];
		if (c == '%') {
			if (i + 2 >= len)
				return NULL;
			int high = hex_digit(s[i + 1]);
			int low = hex_digit(s[i + 2]);
			if (high < 0 || low < 0)
				return NULL;
			c = (unsigned)(high * 16 + low);
			i += 2;
		}
		if (c < 0x20 || c == 0x7f)
			return NULL;
		out[n++] = (char)c;
	}
	return out;
}

/* --- routes --- */

static size_t component(const char *s)
{
	return strcspn(s, "/");
}

/* Does the raw path fit the pattern?  Parameters are decoded one component at a time, so that an
 * escaped '/' never makes another path. */
static bool pattern_fits(struct nv_http_request *r, const char *pattern, const char *path)
{
	r->params_len = 0;
	while (*pattern == '/' && *path == '/') {
		pattern++;
		path++;
		size_t want = component(pattern);
		size_t have = component(path);
		if (want > 2 && pattern[0] == '{') {
			if (!have || r->params_len == NV_HTTP_PARAMS_MAX)
				return false;
			struct nv_http_pair *p = &r->params[r->params_len++];
			p->name = nv_arena_strndup(&r->arena, pattern + 1, want - 2);
			p->value = unescape(&r->arena, path, have);
			if (!p->value)
				return false;
		} else if (want != have || memcmp(pattern, path, want) != 0) {
			return false;
		}
		pattern += want;
		path += have;
	}
	return !*pattern && !*path;
}

static bool method_fits(const char *route, const char *method)
{
	return strcmp(route, method) == 0 ||
	       (strcmp(route, "GET") == 0 && strcmp(method, "HEAD") == 0);
}

static void find_route(struct nv_http_request *r)
{
	nv_auto_buf struct nv_buf allow = {0};
	for (size_t i = 0; i < r->http->routes_len; i++) {
		const struct nv_http_route *route = &r->http->routes[i];
		if (!pattern_fits(r, route->pattern, r->path))
			continue;
		if (method_fits(route->method, r->method)) {
			r->route = route;
			return;
		}
		nv_buf_printf(&allow, "%s%s", allow.len ? ", " : "", route->method);
		if (strcmp(route->method, "GET") == 0)
			nv_buf_puts(&allow, ", HEAD");
	}
	r->params_len = 0;
	if (!allow.len) {
		nv_http_refuse(r, 404, NV_R_not_found, "nothing is at this address");
		return;
	}
	nv_http_add_header(r, "Allow", (const char *)allow.data);
	nv_http_refuse(r, 405, NV_R_conflict, "this address does not know this method");
}

/* --- query --- */

static enum MHD_Result take_query(void *arg, enum MHD_ValueKind kind, const char *key,
				  const char *value)
{
	(void)kind;
	struct nv_http_request *r = arg;
	if (r->queries_len == NV_HTTP_QUERIES_MAX) {
		nv_http_refuse(r, 400, NV_R_bad_message, "too many query parameters");
		return MHD_NO;
	}
	struct nv_http_pair *q = &r->queries[r->queries_len];
	q->name = unescape(&r->arena, key, strlen(key));
	q->value = unescape(&r->arena, value ? value : "", value ? strlen(value) : 0);
	if (!q->name || !q->value) {
		nv_http_refuse(r, 400, NV_R_bad_message, "the query is not properly escaped");
		return MHD_NO;
	}
	r->queries_len++;
	return MHD_YES;
}

/* --- life --- */

static enum MHD_Result join_forwarded(void *arg, enum MHD_ValueKind kind, const char *key,
				      const char *value)
{
	(void)kind;
	struct nv_buf *all = arg;
	if (value && strcasecmp(key, "X-Forwarded-For") == 0)
		nv_buf_printf(all, "%s%s", all->len ? "," : "", value);
	return MHD_YES;
}

static void read_peer(struct nv_http_request *r)
{
	nv_auto_buf struct nv_buf forwarded = {0};
	MHD_get_connection_values(r->conn, MHD_HEADER_KIND, join_forwarded, &forwarded);
	r->own = nv_peer_own(&r->http->proxies, &r->c->peer, (const char *)forwarded.data);
	nv_address_text(&r->own, r->peer);
}

struct nv_http_request *nv_http_request_new(struct nv_http *h, struct MHD_Connection *conn,
					    const char *url, const char *method)
{
	struct nv_http_request *r = nv_alloc(sizeof *r);
	r->http = h;
	r->conn = conn;
	r->c = nv_conn_of(conn);
	r->c->request = r;
	r->state = NV_HS_RECEIVING;
	r->started = uv_hrtime();
	r->method = nv_arena_strdup(&r->arena, method);
	r->path = nv_arena_strdup(&r->arena, url);
	r->next = h->requests;
	if (r->next)
		r->next->prev = r;
	h->requests = r;
	read_peer(r);
	find_route(r);
	r->max_body = r->route && r->route->max_body ? r->route->max_body : h->max_body;
	MHD_get_connection_values(conn, MHD_GET_ARGUMENT_KIND, take_query, r);
	return r;
}

void nv_http_request_free(struct nv_http_request *r)
{
	if (r->response)
		MHD_destroy_response(r->response);
	nv_buf_fini(&r->body);
	nv_buf_fini(&r->pending);
	nv_arena_fini(&r->arena);
	free(r);
}

/* --- framing --- */

struct framing {
	unsigned lengths, encodings, hosts;
	bool odd;
};

static enum MHD_Result look_at_header(void *arg, enum MHD_ValueKind kind, const char *key,
				      const char *value)
{
	(void)kind;
	struct framing *f = arg;
	f->odd |= key[strcspn(key, " \t")] != '\0'; /* "Content-Length : 3" is none to MHD */
	if (strcasecmp(key, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0) {
		f->lengths++;
		f->odd |= !value || !*value || value[strspn(value, "0123456789")];
	} else if (strcasecmp(key, MHD_HTTP_HEADER_TRANSFER_ENCODING) == 0) {
		f->encodings++;
		f->odd |= !value || strcasecmp(value, "chunked") != 0;
	} else if (strcasecmp(key, MHD_HTTP_HEADER_HOST) == 0) {
		f->hosts++;
	}
	return MHD_YES;
}

bool nv_http_framing_fits(const struct nv_http_request *r)
{
	struct framing f = {0};
	MHD_get_connection_values(r->conn, MHD_HEADER_KIND, look_at_header, &f);
	return f.lengths + f.encodings <= 1 && f.hosts <= 1 && !f.odd;
}

/* --- for handlers --- */

const char *nv_http_method(const struct nv_http_request *r)
{
	return r->method;
}

const char *nv_http_path(const struct nv_http_request *r)
{
	return r->path;
}

const char *nv_http_pattern(const struct nv_http_request *r)
{
	return r->route ? r->route->pattern : "";
}

const void *nv_http_route_data(const struct nv_http_request *r)
{
	return r->route ? r->route->data : NULL;
}

static const char *find_pair(const struct nv_http_pair *pairs, size_t len, const char *name)
{
	for (size_t i = 0; i < len; i++)
		if (strcmp(pairs[i].name, name) == 0)
			return pairs[i].value;
	return NULL;
}

const char *nv_http_param(const struct nv_http_request *r, const char *name)
{
	return find_pair(r->params, r->params_len, name);
}

const char *nv_http_query(const struct nv_http_request *r, const char *name)
{
	return find_pair(r->queries, r->queries_len, name);
}

const char *nv_http_query_name(const struct nv_http_request *r, size_t i)
{
	return i < r->queries_len ? r->queries[i].name : NULL;
}

const char *nv_http_header(const struct nv_http_request *r, const char *name)
{
	if (!r->conn)
		return NULL;
	return MHD_lookup_connection_value(r->conn, MHD_HEADER_KIND, name);
}

const char *nv_http_cookie(const struct nv_http_request *r, const char *name)
{
	if (!r->conn)
		return NULL;
	return MHD_lookup_connection_value(r->conn, MHD_COOKIE_KIND, name);
}

const char *nv_http_peer(const struct nv_http_request *r)
{
	return r->peer;
}

const void *nv_http_body(const struct nv_http_request *r, size_t *ret_len)
{
	*ret_len = r->body.len;
	return r->body.data;
}

struct nv_arena *nv_http_arena(struct nv_http_request *r)
{
	return &r->arena;
}

void nv_http_set_user(struct nv_http_request *r, void *user)
{
	r->user = user;
}

void *nv_http_user(const struct nv_http_request *r)
{
	return r->user;
}
