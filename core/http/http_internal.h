/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Within core/http only.
 *
 * A request has two owners: libmicrohttpd, until it reports the request as completed (conn becomes
 * NULL), and the handler, from its call until its answer or the end of its stream (held). It is
 * freed when both are done, so a handler may answer after the reader and even the server have gone.
 *
 *   admitting → receiving → handling → answered
 *                                    ↘ streaming → answered (ended) */
#ifndef NV_HTTP_HTTP_INTERNAL_H
#define NV_HTTP_HTTP_INTERNAL_H

#include <microhttpd.h>

#include "core/http/http.h"
#include "core/http/peer.h"

/* Connections above max_connections: for answering 503, and for probes. */
#define NV_HTTP_SPARE 128u
#define NV_HTTP_PARAMS_MAX 8u
#define NV_HTTP_QUERIES_MAX 64u
/* A refused body is read up to this size, so that the sender can read the answer. */
#define NV_HTTP_DISCARD_MAX (16u << 20)
#define NV_HTTP_STREAM_MAX (256u << 10)

/* Room in memory for large bodies, of all requests at once; at least four of the largest.  One
 * person, or one address without a person, may use a quarter of it.  The beginning of each body
 * does not count: small requests are always accepted, as many as there are connections. */
#define NV_HTTP_BODIES_MAX (64u << 20)
#define NV_HTTP_BODY_SMALL (16u << 10)

enum nv_http_state {
	NV_HS_ADMITTING, /* the headers are there, the route's admit has not decided */
	NV_HS_RECEIVING, /* the body comes */
	NV_HS_HANDLING,	 /* the handler has it */
	NV_HS_ANSWERED,	 /* there is a response; the rest of the body is discarded */
	NV_HS_STREAMING,
};

/* What a connection is waiting for; changed only by nv_conn_move. */
enum nv_conn_phase {
	NV_CONN_WAITING, /* for a request's headers; closed first when there are too many */
	NV_CONN_BUSY,	 /* has a request */
	NV_CONN_SHUT,	 /* shut by us: libmicrohttpd closes it in its next turn */
};
struct nv_tally_entry;
struct nv_http_conn {
	struct nv_http *http;
	struct nv_http_conn *prev, *next; /* of its phase, the longest there first */
	int fd;
	enum nv_conn_phase phase;
	const char *step;		/* what the deadline is for, as on_shut_cb tells it */
	uint64_t deadline;		/* uv_now; 0: none */
	bool proxy;			/* a trusted proxy: counts only during a request */
	struct nv_address peer;		/* of the socket */
	struct nv_tally_entry *counted; /* for whom; NULL: nobody */
	struct nv_http_request *request;
};
struct nv_conn_list {
	struct nv_http_conn *first, *last;
	unsigned len;
};

struct nv_http_pair {
	const char *name;
	const char *value;
	struct nv_http_pair *next; /* headers only */
};

struct nv_http_request {
	struct nv_http *http;	     /* NULL: the server has gone */
	struct MHD_Connection *conn; /* NULL: libmicrohttpd has done with it */
	struct nv_http_conn *c;	     /* NULL: likewise */
	struct nv_http_request *prev, *next;
	struct nv_arena arena;
	enum nv_http_state state;
	bool held;	  /* the handler still owes an answer or the end of its stream */
	bool inside;	  /* being called by libmicrohttpd, which checks the state itself */
	bool suspended;	  /* waiting for an answer or for data */
	bool at_headers;  /* libmicrohttpd has not been told to continue with the body */
	bool watched;	  /* in http->watch */
	bool known;	  /* counts for a person, and there was room */
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
	size_t counted; /* its bytes counted in http->bodies */
	size_t max_body;
	size_t discarded;
	void *user;

	/* the server's own refusal, decided before the body is there; 0: none */
	unsigned refused;
	enum nv_reason refused_reason;
	const char *refused_detail;

	struct nv_http_pair *headers;
	struct MHD_Response *response;
	uint64_t size; /* of its body */
	unsigned status;

	struct nv_buf pending; /* of a stream: not yet taken by libmicrohttpd */
	size_t pending_at;
	bool ended;
	bool dropped;
	void (*on_gone_cb)(void *arg);
	void *gone_arg;
	void (*on_end_cb)(void *arg);
	void *end_arg;
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
	unsigned max_connections, max_per_address, max_per_person;
	uint64_t header_timeout, body_timeout, min_rate;
	size_t bodies; /* bytes of all that are received, each without its beginning */
	struct nv_conn_list waiting, busy, shut;
	void *tally; /* of tsearch: struct nv_tally_entry */
	void (*on_shut_cb)(void *arg, const char *why);
	void (*on_done_cb)(void *arg, const struct nv_http_request *r, unsigned status,
			   uint64_t micros);
	void *arg;

	uv_poll_t poll;
	uv_timer_t timer;    /* libmicrohttpd's next timeout */
	uv_timer_t patience; /* while closing */
	uv_timer_t clock;    /* deadlines of connections */
	int watch_fd;	     /* epoll: sockets of readers that may leave while we wait */
	uv_poll_t watch;
	unsigned handles; /* of the five, not closed yet */
	bool running;	  /* inside MHD_run */
	bool woken;	  /* a connection was resumed since the last turn began */
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

/* Is the length of the body given exactly once? Otherwise a proxy in front may interpret it
 * differently. */
bool nv_http_framing_fits(const struct nv_http_request *r);

/* connections.c */
void nv_conn_started(struct nv_http *h, struct MHD_Connection *conn, void **socket_context);
void nv_conn_closed(struct nv_http_conn *c);
struct nv_http_conn *nv_conn_of(struct MHD_Connection *conn);
/* step, within: the step that must be finished within so many ms; 0: no deadline. */
void nv_conn_move(struct nv_http_conn *c, enum nv_conn_phase phase, const char *step,
		  uint64_t within);
/* Count it for its request's own address. False: too many already. */
bool nv_conn_count_address(struct nv_http_conn *c, const struct nv_address *own);
bool nv_conn_count_person(struct nv_http_conn *c, const char *person);
/* The share of http->bodies of the same person or address; NULL: not counted. It does not change
 * from the first byte of a body to the end of its request. */
size_t *nv_conn_bodies(const struct nv_http_conn *c);
void nv_conn_end_request(struct nv_http_conn *c);
void nv_conn_check_deadlines(struct nv_http *h);
/* Notice at once when the reader of this request closes its side. */
void nv_conn_watch(struct nv_http_request *r);
void nv_conn_unwatch(struct nv_http_request *r);
void nv_conn_look(struct nv_http *h); /* something happened on watch_fd */

/* reply.c */
/* Close the connection of a request that libmicrohttpd is not processing. */
void nv_http_drop(struct nv_http_request *r);
/* Hand the answer to libmicrohttpd; only inside its access handler. */
enum MHD_Result nv_http_queue(struct nv_http_request *r);
/* Resume the suspended connection. */
void nv_http_wake(struct nv_http_request *r);
/* Answer in place of a handler that is too late; its own answer is then discarded. */
void nv_http_abandon(struct nv_http_request *r);
/* The reader left or the server closes: notify the stream's owner once. */
void nv_http_gone(struct nv_http_request *r);

#endif
