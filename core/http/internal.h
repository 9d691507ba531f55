/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Within core/http only.
 *
 * A request has two owners: libmicrohttpd, until it tells that the request is completed (conn
 * becomes NULL), and the handler, from its call until its answer or the end of its stream (held).
 * It is freed when neither is left, so a handler may answer after the reader and even the server
 * have gone.
 *
 *   receiving → handling → answered
 *                        ↘ streaming → answered (ended) */
#ifndef NV_HTTP_INTERNAL_H
#define NV_HTTP_INTERNAL_H

#include <microhttpd.h>

#include "core/http/http.h"
#include "core/http/peer.h"

#define NV_HTTP_PARAMS_MAX 8u
#define NV_HTTP_QUERIES_MAX 64u
/* A refused body is read up to here, so that the sender gets to read the answer. */
#define NV_HTTP_DISCARD_MAX (16u << 20)
#define NV_HTTP_STREAM_MAX (256u << 10)

enum nv_http_state { NV_HS_RECEIVING, NV_HS_HANDLING, NV_HS_ANSWERED, NV_HS_STREAMING };

struct nv_http_pair {
	const char *name;
	const char *value;
	struct nv_http_pair *next; /* headers only */
};

struct nv_http_request {
	struct nv_http *http;	     /* NULL: the server has gone */
	struct MHD_Connection *conn; /* NULL: libmicrohttpd has done with it */
	struct nv_http_request *prev, *next;
	struct nv_arena arena;
	enum nv_http_state state;
	bool held;	  /* the handler still owes an answer or the end of its stream */
	bool inside;	  /* called by libmicrohttpd just now: it will look at the state itself */
	bool suspended;	  /* waiting for an answer or for data */
	uint64_t started; /* uv_hrtime */

	const char *method;
	char *path;
	const struct nv_http_route *route; /* NULL: none matched */
	struct nv_http_pair params[NV_HTTP_PARAMS_MAX];
	size_t params_len;
	struct nv_http_pair queries[NV_HTTP_QUERIES_MAX];
	size_t queries_len;
	struct nv_address own; /* the peer's, behind trusted proxies */
	char peer[NV_ADDRESS_SIZE];
	struct nv_buf body;
	size_t discarded;
	void *user;

	/* the server's own refusal, decided before the body is there; 0: none */
	unsigned refused;
	enum nv_reason refused_reason;
	const char *refused_detail;

	struct nv_http_pair *headers;
	struct MHD_Response *response;
	unsigned status;

	struct nv_buf pending; /* of a stream: not yet taken by libmicrohttpd */
	size_t pending_at;
	bool ended;
	bool dropped;
	void (*on_gone_cb)(void *arg);
	void *gone_arg;
};

struct nv_http {
	uv_loop_t *loop;
	struct MHD_Daemon *daemon;
	int listen_fd;
	uint16_t port;
	const struct nv_http_route *routes;
	size_t routes_len;
	const struct nv_http_header *headers;
	size_t headers_len;
	struct nv_proxies proxies;
	size_t max_body;
	unsigned max_connections;
	unsigned connections;
	void (*on_done_cb)(void *arg, const struct nv_http_request *r, unsigned status,
			   uint64_t micros);
	void *arg;

	uv_poll_t poll;
	uv_timer_t timer;    /* libmicrohttpd's next timeout */
	uv_timer_t patience; /* while closing */
	unsigned handles;    /* of the three, not closed yet */
	bool running;	     /* inside MHD_run */
	bool woken;	     /* a connection was resumed since the last turn began */
	bool closing;
	bool late; /* closing, and the time for answers in flight is over */
	struct nv_http_request *requests;
	void (*on_closed_cb)(void *arg);
	void *closed_arg;
};

/* request.c */
struct nv_http_request *nv_http_request_new(struct nv_http *h, struct MHD_Connection *conn,
					    const char *url, const char *method);
void nv_http_request_free(struct nv_http_request *r);
void nv_http_refuse(struct nv_http_request *r, unsigned status, enum nv_reason reason,
		    const char *detail);

/* reply.c */
/* Hand what was answered to libmicrohttpd; only inside its access handler. */
enum MHD_Result nv_http_queue(struct nv_http_request *r);
/* Let the suspended connection go on. */
void nv_http_wake(struct nv_http_request *r);
/* Answer in place of a handler that is too late; its own answer is then thrown away. */
void nv_http_abandon(struct nv_http_request *r);
/* The reader left or the server closes: tell the stream's owner once. */
void nv_http_gone(struct nv_http_request *r);

#endif
