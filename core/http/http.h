/* SPDX-License-Identifier: GPL-3.0-or-later */
/* HTTP server: libmicrohttpd with its epoll descriptor on the loop.
 *
 * A handler gets the whole request (body up to the limit, read before it is called) and answers now
 * or later, exactly once: nv_http_reply, or nv_http_stream for events.  Meanwhile the connection is
 * suspended: a thousand waiting readers cost no thread.
 * The server itself answers 404, 405 (with Allow), 413, 400 for a badly escaped query or a body of
 * unclear length, 429 and 503 above the limits, as problem documents (RFC 9457); what is not HTTP
 * at all is closed or gets libmicrohttpd's own 400.  HEAD is answered by the route of GET.
 *
 * No client can keep others out: headers, bodies and the reading of an answer have deadlines
 * however the bytes trickle in, and of the connections that wait for a request the oldest is closed
 * when there are too many, of one address or at all (connections.c).
 *
 * A handler may answer after the reader has left: the answer is then thrown away. */
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
	/* Asked when the headers are there, before any body: calls nv_http_admit, or answers, now
	 * or later.  NULL: everybody is admitted. */
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
	unsigned max_per_address; /* of peers that are not admitted as a person; 0: any number */
	unsigned max_per_person;  /* of one that nv_http_known names, or nv_http_admit; 0: any */
	uint64_t header_timeout;  /* ms, whole; 0: 10 s */
	uint64_t body_timeout;	  /* ms, whole, of who is admitted by a route; 0: 60 s */
	uint64_t min_rate; /* bytes/s: an answer may take body_timeout and size/min_rate; 0: as long
			      as it moves */
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

/* What was asked; everything borrowed until the reply. */
const char *nv_http_method(const struct nv_http_request *r);
const char *nv_http_path(const struct nv_http_request *r);
const char *
nv_http_pattern(const struct nv_http_request *r); /* the route's; "" when none matched */
const void *nv_http_route_data(const struct nv_http_request *r);
const char *nv_http_param(const struct nv_http_request *r, const char *name); /* from {name} */
const char *nv_http_query(const struct nv_http_request *r, const char *name); /* or NULL */
/* Names of the query's parameters in turn, NULL after the last: to refuse unknown ones. */
const char *nv_http_query_name(const struct nv_http_request *r, size_t i);
const char *nv_http_header(const struct nv_http_request *r, const char *name); /* or NULL */
const char *nv_http_cookie(const struct nv_http_request *r, const char *name); /* or NULL */
/* The peer's own address without port, behind trusted proxies as they tell it (peer.h). */
const char *nv_http_peer(const struct nv_http_request *r);
const void *nv_http_body(const struct nv_http_request *r, size_t *ret_len);
struct nv_arena *nv_http_arena(struct nv_http_request *r); /* lives as long as the request */
/* A handler's own, e.g. the session. */
void nv_http_set_user(struct nv_http_request *r, void *user);
void *nv_http_user(const struct nv_http_request *r);

/* Of a route's admit, when it knows who it is but has to wait before it decides: that person counts
 * from now on, and not the address.  False: they have too many; answer 429. */
bool nv_http_known(struct nv_http_request *r, const char *person);
/* Of a route's admit: go on to the body and the handler.  person: who counts for max_per_person
 * from now on (copied); NULL: nobody, the address goes on counting.  As with an answer, r is not to
 * be used afterwards. */
void nv_http_admit(struct nv_http_request *r, const char *person);
/* cb once, when nobody reads the answer any more: it is sent, or the reader has left, perhaps
 * before there was one (the handler still answers then, into the void). */
void nv_http_on_end(struct nv_http_request *r, void (*cb)(void *arg), void *arg);

/* Add a header to the answer to come; instead of the server's of the same name. */
void nv_http_add_header(struct nv_http_request *r, const char *name, const char *value);
/* body is copied; type NULL: no body. */
void nv_http_reply(struct nv_http_request *r, unsigned status, const char *type, const void *body,
		   size_t len);
/* The first size bytes of an open file (taken: closed when it is sent, or cannot be), at any time
 * from its beginning. */
void nv_http_reply_file(struct nv_http_request *r, unsigned status, const char *type, int fd,
			uint64_t size);
/* application/problem+json: type "about:blank#<reason word>", title, status, detail, reason. */
void nv_http_problem(struct nv_http_request *r, unsigned status, enum nv_reason reason,
		     const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* A stream (text/event-stream): 200 and headers now, data as it comes.  on_gone_cb: the reader has
 * left or the server closes, perhaps before nv_http_stream returns; r is not to be used afterwards.
 * It is not called after nv_http_stream_end.  A reader whose machine is gone is noticed when
 * something is sent: send a comment now and then. */
void nv_http_stream(struct nv_http_request *r, const char *type, void (*on_gone_cb)(void *arg),
		    void *arg);
/* Queued; a reader with more than 256 KiB waiting is dropped (it will come again and catch up). */
void nv_http_stream_send(struct nv_http_request *r, const void *data, size_t len);
void nv_http_stream_end(struct nv_http_request *r);

#endif
