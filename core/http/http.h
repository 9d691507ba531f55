/* SPDX-License-Identifier: GPL-3.0-or-later */
/* HTTP server: libmicrohttpd with its epoll descriptor on the loop.
 *
 * A handler gets the whole request (body up to the limit, read before it is called) and answers now
 * or later, exactly once: nv_http_reply, or nv_http_stream for events.  Meanwhile the connection is
 * suspended: a thousand waiting readers cost no thread. The server itself answers 404, 405 (with
 * Allow), 413, 400 for a badly escaped query or a body of unclear length, 429 and 503 above the
 * limits, as problem documents (RFC 9457); anything that is not HTTP is closed or gets
 * libmicrohttpd's own 400.  HEAD is answered by the route of GET.
 *
 * No client can keep others out: headers, bodies and the reading of an answer have deadlines
 * however slowly the bytes come, and when there are too many connections waiting for a request, per
 * address or in total, the oldest is closed (connections.c).
 *
 * A handler may answer after the reader has left: the answer is then discarded. */
#ifndef NV_HTTP_H
#define NV_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/err.h"
#include "base/mem.h"

struct nv_http;
struct nv_http_request;

struct nv_http_route {
	const char *method;  /* GET, POST, PUT, PATCH, DELETE */
	const char *pattern; /* "/api/v1/requests/{id}/cancel"; {x} matches one component */
	void (*handler)(void *arg, struct nv_http_request *r);
	const void *data; /* the handler's own: nv_http_route_data */
	/* Called after the headers, before the body: calls nv_http_admit, or answers, now or later.
	 * NULL: everybody is admitted. */
	void (*admit)(void *arg, struct nv_http_request *r);
	size_t max_body; /* 0: that of the server */
	bool probe;	 /* served also when the server is full */
};
struct nv_http_header {
	const char *name;
	const char *value;
};
struct nv_http_options {
	const char *listen; /* "127.0.0.1:8080", "[::1]:0"; port 0: any, see nv_http_port */
	const struct nv_http_route *routes; /* borrowed */
	size_t routes_len;
	/* added to every answer, the server's own included, unless the handler adds one of that
	 * name; borrowed; may be NULL */
	const struct nv_http_header *headers;
	size_t headers_len;
	size_t max_body;
	/* Connections with a request in hand: above, 503.  As many may wait for a request as there
	 * is room besides. */
	unsigned max_connections;
	unsigned max_per_address; /* per address, of peers not admitted as a person; 0: no limit */
	unsigned max_per_person;  /* of one that nv_http_known names, or nv_http_admit; 0: any */
	uint64_t header_timeout;  /* ms, whole; 0: 10 s */
	uint64_t body_timeout;	  /* ms for the whole body of an admitted request; 0: 60 s */
	uint64_t min_rate; /* bytes/s: an answer may take body_timeout + size/min_rate; 0: as long
			      as bytes move */
	const char *const *trusted_proxies; /* nv_network_parse; NULL: none */
	size_t trusted_proxies_len;
	/* called for each finished request, for logs and metrics; may be NULL.  status 499: the
	 * reader left before the answer */
	void (*on_done_cb)(void *arg, const struct nv_http_request *r, unsigned status,
			   uint64_t micros);
	/* a connection was closed by the server: "headers", "body", "answer" (too slow), "crowded";
	 * may be NULL */
	void (*on_shut_cb)(void *arg, const char *why);
	void *arg; /* passed to handlers and callbacks */
};
struct nv_http *nv_http_new(uv_loop_t *loop, const struct nv_http_options *o, struct nv_err *err);
uint16_t nv_http_port(const struct nv_http *h);
/* Stop listening, end streams, wait for answers in flight at most timeout_ms; then on_closed_cb. */
void nv_http_close(struct nv_http *h, uint64_t timeout_ms, void (*on_closed_cb)(void *arg),
		   void *arg);

/* The request; everything is borrowed until the reply. */
const char *nv_http_method(const struct nv_http_request *r);
const char *nv_http_path(const struct nv_http_request *r);
const char *
nv_http_pattern(const struct nv_http_request *r); /* the route's; "" when none matched */
const void *nv_http_route_data(const struct nv_http_request *r);
const char *nv_http_param(const struct nv_http_request *r, const char *name); /* from {name} */
const char *nv_http_query(const struct nv_http_request *r, const char *name); /* or NULL */
/* Names of the query's parameters one by one, NULL after the last: to refuse unknown ones. */
const char *nv_http_query_name(const struct nv_http_request *r, size_t i);
const char *nv_http_header(const struct nv_http_request *r, const char *name); /* or NULL */
const char *nv_http_cookie(const struct nv_http_request *r, const char *name); /* or NULL */
/* The peer's address without port; behind trusted proxies, the one they report (peer.h). */
const char *nv_http_peer(const struct nv_http_request *r);
const void *nv_http_body(const struct nv_http_request *r, size_t *ret_len);
struct nv_arena *nv_http_arena(struct nv_http_request *r); /* lives as long as the request */
/* A handler's own, e.g. the session. */
void nv_http_set_user(struct nv_http_request *r, void *user);
void *nv_http_user(const struct nv_http_request *r);

/* Called by a route's admit that knows the person but has to wait before it decides: from now on
 * the request counts for the person, not for the address. False: too many; answer 429. */
bool nv_http_known(struct nv_http_request *r, const char *person);
/* Called by a route's admit: continue with the body and the handler. person (copied): counts for
 * max_per_person from now on; NULL: the request still counts for its address. As with an answer, r
 * must not be used afterwards. */
void nv_http_admit(struct nv_http_request *r, const char *person);
/* cb is called once, when the answer is sent or the reader has left, perhaps before there was an
 * answer (the handler must still answer; it is discarded). */
void nv_http_on_end(struct nv_http_request *r, void (*cb)(void *arg), void *arg);

/* Add a header to the coming answer; it replaces the server's of the same name. */
void nv_http_add_header(struct nv_http_request *r, const char *name, const char *value);
/* body is copied; type NULL: no body. */
void nv_http_reply(struct nv_http_request *r, unsigned status, const char *type, const void *body,
		   size_t len);
/* Answer with the first size bytes of an open file (taken: closed afterwards, also on failure). */
void nv_http_reply_file(struct nv_http_request *r, unsigned status, const char *type, int fd,
			uint64_t size);
/* application/problem+json: type "about:blank#<reason word>", title, status, detail, reason. */
void nv_http_problem(struct nv_http_request *r, unsigned status, enum nv_reason reason,
		     const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* A stream (text/event-stream): 200 and headers now, data as it comes.  on_gone_cb: the reader has
 * left or the server closes, perhaps before nv_http_stream returns; r must not be used afterwards.
 * It is not called after nv_http_stream_end. A vanished reader is noticed only when something is
 * sent: send a comment now and then. */
void nv_http_stream(struct nv_http_request *r, const char *type, void (*on_gone_cb)(void *arg),
		    void *arg);
/* Queued; a reader with more than 256 KiB waiting is dropped (it reconnects and catches up). */
void nv_http_stream_send(struct nv_http_request *r, const void *data, size_t len);
void nv_http_stream_end(struct nv_http_request *r);

#endif
