/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The server on the loop: listening, libmicrohttpd's turn, closing. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "core/http/http_internal.h"

/* Shut, but not yet closed by libmicrohttpd. */
#define SHUT_CONNECTIONS 256u
#define IDLE_TIMEOUT_S 60u
#define HEADER_TIMEOUT_MS 10000u
#define BODY_TIMEOUT_MS 60000u
#define CLOCK_MS 500u

/* --- listening --- */

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* "127.0.0.1:8080", "[::1]:0" */
static int parse_listen(const char *text, union address *ret, socklen_t *ret_len,
			struct nv_err *err)
{
	const char *colon = strrchr(text, ':');
	char *end = NULL;
	unsigned long port = colon ? strtoul(colon + 1, &end, 10) : 0;
	if (!colon || end == colon + 1 || *end || port > 65535)
		return nv_fail(err, NV_FATAL, NV_R_config, "listen: \"%s\" is not host:port", text);
	size_t len = (size_t)(colon - text);
	bool v6 = len > 2 && text[0] == '[' && text[len - 1] == ']';
	nv_auto_free char *host = v6 ? nv_strndup(text + 1, len - 2) : nv_strndup(text, len);
	memset(ret, 0, sizeof *ret);
	if (v6) {
		ret->v6.sin6_family = AF_INET6;
		ret->v6.sin6_port = htons((uint16_t)port);
		*ret_len = sizeof ret->v6;
	} else {
		ret->v4.sin_family = AF_INET;
		ret->v4.sin_port = htons((uint16_t)port);
		*ret_len = sizeof ret->v4;
	}
	void *to = v6 ? (void *)&ret->v6.sin6_addr : (void *)&ret->v4.sin_addr;
	const char *name = strcmp(host, "localhost") == 0 ? "127.0.0.1" : host;
	if (inet_pton(v6 ? AF_INET6 : AF_INET, name, to) != 1)
		return nv_fail(err, NV_FATAL, NV_R_config,
			       "listen: \"%s\" is not a numeric address (\"127.0.0.1:8080\", "
			       "\"[::1]:8080\")",
			       text);
	return 0;
}

static int open_listener(struct nv_http *h, const char *listen_at, struct nv_err *err)
{
	union address a = {0};
	socklen_t len = 0;
	if (parse_listen(listen_at, &a, &len, err) < 0)
		return -1;
	int on = 1;
	h->listen_fd =
		socket(a.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
	if (h->listen_fd < 0 ||
	    setsockopt(h->listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
	    bind(h->listen_fd, &a.any, len) < 0 || listen(h->listen_fd, 1024) < 0)
		return nv_fail_errno(err, errno, NV_FATAL, NV_R_config, "listen on %s", listen_at);
	len = sizeof a;
	getsockname(h->listen_fd, &a.any, &len);
	h->port = ntohs(a.any.sa_family == AF_INET6 ? a.v6.sin6_port : a.v4.sin_port);
	return 0;
}

static int take_proxies(struct nv_http *h, const struct nv_http_options *o, struct nv_err *err)
{
	h->proxies.list = nv_alloc((o->trusted_proxies_len + 1) * sizeof *h->proxies.list);
	for (; h->proxies.len < o->trusted_proxies_len; h->proxies.len++)
		if (nv_network_parse(o->trusted_proxies[h->proxies.len],
				     &h->proxies.list[h->proxies.len]) < 0)
			return nv_fail(err, NV_FATAL, NV_R_config,
				       "trusted proxies: \"%s\" is no address or network",
				       o->trusted_proxies[h->proxies.len]);
	return 0;
}

/* --- libmicrohttpd's callbacks --- */

static void log_cb(void *arg, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
static void log_cb(void *arg, const char *fmt, va_list ap)
{
	(void)arg;
	char text[512];
	vsnprintf(text, sizeof text, fmt, ap);
	text[strcspn(text, "\n")] = '\0';
	NV_LOG(NV_DEBUG, "http.library", NV_S("text", text));
}

/* We decode ourselves, a path component at a time. */
static size_t no_unescape(void *arg, struct MHD_Connection *conn, char *s)
{
	(void)arg;
	(void)conn;
	return strlen(s);
}

static void connection_cb(void *arg, struct MHD_Connection *conn, void **socket_context,
			  enum MHD_ConnectionNotificationCode code)
{
	if (code == MHD_CONNECTION_NOTIFY_STARTED)
		nv_conn_started(arg, conn, socket_context);
	else
		nv_conn_closed(*socket_context);
}

static void suspend(struct nv_http_request *r)
{
	r->suspended = true;
	MHD_suspend_connection(r->conn);
}

static enum MHD_Result refuse_now(struct nv_http_request *r)
{
	nv_http_problem(r, r->refused, r->refused_reason, "%s", r->refused_detail);
	return nv_http_queue(r);
}

static void refuse_and_close(struct nv_http_request *r, unsigned status, enum nv_reason reason,
			     const char *detail)
{
	if (status != 400)
		nv_http_add_header(r, MHD_HTTP_HEADER_RETRY_AFTER, "5");
	nv_http_add_header(r, MHD_HTTP_HEADER_CONNECTION, "close");
	r->refused = 0;
	nv_http_refuse(r, status, reason, detail);
}

/* Refusals without a handler; the body is not even read. */
static bool must_refuse(struct nv_http_request *r)
{
	struct nv_http *h = r->http;
	bool probe = r->route && r->route->probe;
	bool few = nv_conn_count_address(r->c, &r->own);
	if (h->closing)
		refuse_and_close(r, 503, NV_R_busy, "the server stops");
	else if (!nv_http_framing_fits(r))
		refuse_and_close(r, 400, NV_R_bad_message,
				 "the length of the body is given twice, or in two ways");
	else if (!probe && h->busy.len > h->max_connections)
		refuse_and_close(r, 503, NV_R_busy, "too many requests at once");
	else if (!probe && !few)
		refuse_and_close(r, 429, NV_R_busy, "too many requests at once from this address");
	else
		return false;
	return true;
}

static uint64_t announced(const struct nv_http_request *r)
{
	const char *length = nv_http_header(r, MHD_HTTP_HEADER_CONTENT_LENGTH);
	return length ? strtoull(length, NULL, 10) : 0;
}

/* Other bodies are read to their end and discarded: most clients read the answer only then. */
static bool is_not_worth_reading(const struct nv_http_request *r)
{
	return announced(r) > NV_HTTP_DISCARD_MAX || nv_http_header(r, MHD_HTTP_HEADER_EXPECT);
}

/* Also after a suspension: libmicrohttpd then asks again as if the headers had just come. */
static enum MHD_Result go_on(struct nv_http_request *r)
{
	bool trusted = r->state == NV_HS_RECEIVING && r->route && r->route->admit;
	if (r->state == NV_HS_ADMITTING) {
		suspend(r);
		return MHD_YES;
	}
	r->at_headers = false;
	if (r->response && is_not_worth_reading(r))
		return nv_http_queue(r);
	nv_conn_move(r->c, NV_CONN_BUSY, "body",
		     trusted ? r->http->body_timeout : r->http->header_timeout);
	return MHD_YES;
}

static enum MHD_Result begin(struct nv_http *h, struct MHD_Connection *conn, const char *url,
			     const char *method, void **context)
{
	struct nv_http_request *r = nv_http_request_new(h, conn, url, method);
	enum MHD_Result ok;
	*context = r;
	r->inside = true;
	r->at_headers = true;
	nv_conn_move(r->c, NV_CONN_BUSY, "", 0);
	if (announced(r) > r->max_body)
		nv_http_refuse(r, 413, NV_R_bad_message, "the body is too large");
	if (must_refuse(r) || (r->refused && is_not_worth_reading(r))) {
		ok = refuse_now(r);
	} else {
		if (!r->refused && r->route->admit) {
			r->state = NV_HS_ADMITTING;
			r->held = true;
			r->route->admit(h->arg, r);
		}
		ok = go_on(r);
	}
	r->inside = false;
	return ok;
}

/* Make room for len more bytes of its body, or refuse it. */
static bool take_room(struct nv_http_request *r, size_t len)
{
	struct nv_http *h = r->http;
	size_t most = h->max_body > NV_HTTP_BODIES_MAX / 4 ? 4 * h->max_body : NV_HTTP_BODIES_MAX;
	size_t whole = r->body.len + len;
	size_t large = whole > NV_HTTP_BODY_SMALL ? whole - NV_HTTP_BODY_SMALL : 0;
	size_t more = large - r->counted;
	size_t *own = nv_conn_bodies(r->c);
	if (whole > r->max_body) {
		nv_http_refuse(r, 413, NV_R_bad_message, "the body is too large");
	} else if (own && *own + more > most / 4) {
		refuse_and_close(r, 429, NV_R_busy, "you are sending too much at once");
	} else if (h->bodies + more > most) {
		refuse_and_close(r, 503, NV_R_busy, "too much is being sent at once");
	} else {
		r->counted = large;
		h->bodies += more;
		if (own)
			*own += more;
		return true;
	}
	return false;
}

static void give_room_back(struct nv_http_request *r)
{
	size_t *own = nv_conn_bodies(r->c);
	r->http->bodies -= r->counted;
	if (own)
		*own -= r->counted;
	r->counted = 0;
}

static enum MHD_Result take_body(struct nv_http_request *r, const char *data, size_t *len)
{
	bool wanted = !r->refused && r->state != NV_HS_ANSWERED;
	if (wanted && take_room(r, *len))
		nv_buf_put(&r->body, data, *len);
	else
		r->discarded += *len;
	*len = 0;
	return r->discarded > NV_HTTP_DISCARD_MAX ? MHD_NO : MHD_YES;
}

/* The request is there: call its handler, and wait if it does not answer at once. */
static enum MHD_Result handle(struct nv_http_request *r)
{
	enum MHD_Result ok = MHD_YES;
	if (r->http->late) /* it would be suspended as libmicrohttpd stops: finish_close */
		return MHD_NO;
	r->inside = true;
	nv_conn_move(r->c, NV_CONN_BUSY, "", 0);
	if (r->refused) {
		ok = refuse_now(r);
		r->inside = false;
		return ok;
	}
	r->state = NV_HS_HANDLING;
	r->held = true;
	r->route->handler(r->http->arg, r);
	if (r->state == NV_HS_HANDLING)
		suspend(r);
	else
		ok = nv_http_queue(r);
	r->inside = false;
	return ok;
}

static enum MHD_Result access_cb(void *arg, struct MHD_Connection *conn, const char *url,
				 const char *method, const char *version, const char *upload,
				 size_t *upload_len, void **context)
{
	(void)version;
	struct nv_http_request *r = *context;
	if (!r)
		return begin(arg, conn, url, method, context);
	if (r->dropped)
		return MHD_NO;
	if (r->at_headers)
		return go_on(r);
	if (*upload_len)
		return take_body(r, upload, upload_len);
	if (r->state == NV_HS_RECEIVING)
		return handle(r);
	if (r->response)
		return nv_http_queue(r);
	return MHD_YES;
}

static void completed_cb(void *arg, struct MHD_Connection *conn, void **context,
			 enum MHD_RequestTerminationCode why)
{
	(void)conn;
	(void)why;
	struct nv_http *h = arg;
	struct nv_http_request *r = *context;
	if (!r)
		return;
	*context = NULL;
	nv_conn_unwatch(r);
	give_room_back(r);
	nv_conn_end_request(r->c);
	/* 499, as nginx says it: the reader left before the answer */
	if (h->on_done_cb)
		h->on_done_cb(h->arg, r, r->status ? r->status : 499,
			      (uv_hrtime() - r->started) / 1000);
	if (r->prev)
		r->prev->next = r->next;
	else
		h->requests = r->next;
	if (r->next)
		r->next->prev = r->prev;
	r->http = NULL;
	r->conn = NULL;
	r->c = NULL;
	void (*on_end_cb)(void *) = r->on_end_cb;
	r->on_end_cb = NULL;
	if (on_end_cb)
		on_end_cb(r->end_arg);
	if (!r->held)
		nv_http_request_free(r);
	else if (r->state == NV_HS_STREAMING)
		nv_http_gone(r);
}

/* --- turns --- */

static void finish_close(struct nv_http *h);

static void turn(struct nv_http *h)
{
	if (!h->daemon)
		return;
	h->running = true;
	h->woken = false;
	MHD_run(h->daemon);
	h->running = false;
	if (h->closing && (!h->requests || h->late)) {
		finish_close(h);
		return;
	}
	MHD_UNSIGNED_LONG_LONG ms = 0;
	if (h->woken || MHD_get_timeout(h->daemon, &ms) == MHD_YES)
		uv_timer_start(&h->timer, h->timer.timer_cb, ms, 0);
	else
		uv_timer_stop(&h->timer);
}

static void poll_cb(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	turn(poll->data);
}

static void timer_cb(uv_timer_t *timer)
{
	turn(timer->data);
}

static void clock_cb(uv_timer_t *timer)
{
	nv_conn_check_deadlines(timer->data);
}

static void watch_cb(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	nv_conn_look(poll->data);
}

/* --- life --- */

static int start_daemon(struct nv_http *h, struct nv_err *err)
{
	h->daemon = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL,
		access_cb, h, MHD_OPTION_EXTERNAL_LOGGER, log_cb, NULL, MHD_OPTION_LISTEN_SOCKET,
		h->listen_fd, MHD_OPTION_CONNECTION_LIMIT,
		h->max_connections + NV_HTTP_SPARE + SHUT_CONNECTIONS,
		MHD_OPTION_CONNECTION_TIMEOUT, IDLE_TIMEOUT_S, MHD_OPTION_NOTIFY_COMPLETED,
		completed_cb, h, MHD_OPTION_NOTIFY_CONNECTION, connection_cb, h,
		MHD_OPTION_UNESCAPE_CALLBACK, no_unescape, NULL, MHD_OPTION_STRICT_FOR_CLIENT, 1,
		MHD_OPTION_END);
	if (!h->daemon)
		return nv_fail_errno(err, errno, NV_FATAL, NV_R_internal, "http: start");
	return 0;
}

static void take_options(struct nv_http *h, const struct nv_http_options *o)
{
	h->routes = o->routes;
	h->routes_len = o->routes_len;
	h->headers = o->headers;
	h->headers_len = o->headers_len;
	h->max_body = o->max_body;
	h->max_connections = o->max_connections;
	h->max_per_address = o->max_per_address;
	h->max_per_person = o->max_per_person;
	h->header_timeout = o->header_timeout ? o->header_timeout : HEADER_TIMEOUT_MS;
	h->body_timeout = o->body_timeout ? o->body_timeout : BODY_TIMEOUT_MS;
	h->min_rate = o->min_rate;
	h->on_shut_cb = o->on_shut_cb;
	h->on_done_cb = o->on_done_cb;
	h->arg = o->arg;
}

static int start_polls(struct nv_http *h, struct nv_err *err)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	h->watch_fd = epoll_create1(EPOLL_CLOEXEC);
	if (h->watch_fd < 0)
		return nv_fail_errno(err, errno, NV_FATAL, NV_R_internal, "http: epoll");
	uv_timer_init(h->loop, &h->timer);
	uv_timer_init(h->loop, &h->patience);
	uv_timer_init(h->loop, &h->clock);
	uv_poll_init(h->loop, &h->poll, info->epoll_fd);
	uv_poll_init(h->loop, &h->watch, h->watch_fd);
	h->poll.data = h->watch.data = h;
	h->timer.data = h->patience.data = h->clock.data = h;
	h->handles = 5;
	uv_poll_start(&h->poll, UV_READABLE, poll_cb);
	uv_poll_start(&h->watch, UV_READABLE, watch_cb);
	uv_timer_start(&h->timer, timer_cb, 0, 0);
	uv_timer_start(&h->clock, clock_cb, CLOCK_MS, CLOCK_MS);
	return 0;
}

struct nv_http *nv_http_new(uv_loop_t *loop, const struct nv_http_options *o, struct nv_err *err)
{
	struct nv_http *h = nv_alloc(sizeof *h);
	h->loop = loop;
	h->listen_fd = -1;
	take_options(h, o);
	/* Every reader is one. */
	nv_need_descriptors(o->max_connections + NV_HTTP_SPARE + SHUT_CONNECTIONS + 256);
	if (take_proxies(h, o, err) == 0 && open_listener(h, o->listen, err) == 0 &&
	    start_daemon(h, err) == 0 && start_polls(h, err) == 0)
		return h;
	if (h->daemon)
		MHD_stop_daemon(h->daemon); /* closes the listener, too */
	else if (h->listen_fd >= 0)
		close(h->listen_fd);
	free(h->proxies.list);
	free(h);
	return NULL;
}

uint16_t nv_http_port(const struct nv_http *h)
{
	return h->port;
}

/* --- closing --- */

static void handle_closed(uv_handle_t *handle)
{
	struct nv_http *h = handle->data;
	if (--h->handles)
		return;
	close(h->watch_fd);
	void (*cb)(void *) = h->on_closed_cb;
	void *arg = h->closed_arg;
	free(h->proxies.list);
	free(h);
	if (cb)
		cb(arg);
}

/* libmicrohttpd ends with a panic while a connection is suspended: all have been woken, and one
 * more turn takes them back. */
static void finish_close(struct nv_http *h)
{
	struct MHD_Daemon *daemon = h->daemon;
	uv_poll_stop(&h->poll);
	uv_poll_stop(&h->watch);
	for (struct nv_http_request *r = h->requests; r; r = r->next)
		nv_http_wake(r);
	MHD_run(daemon);
	h->daemon = NULL;
	MHD_stop_daemon(daemon);
	uv_close((uv_handle_t *)&h->poll, handle_closed);
	uv_close((uv_handle_t *)&h->timer, handle_closed);
	uv_close((uv_handle_t *)&h->patience, handle_closed);
	uv_close((uv_handle_t *)&h->clock, handle_closed);
	uv_close((uv_handle_t *)&h->watch, handle_closed);
}

static void last_turn(uv_timer_t *timer)
{
	struct nv_http *h = timer->data;
	h->late = true;
	turn(h);
}

/* Answers in place of late handlers, then waits a moment until the answers are sent. */
static void patience_over(uv_timer_t *timer)
{
	struct nv_http *h = timer->data;
	for (struct nv_http_request *r = h->requests; r; r = r->next)
		if (r->state == NV_HS_HANDLING || r->state == NV_HS_ADMITTING)
			nv_http_abandon(r);
	uv_timer_start(&h->patience, last_turn, 100, 0);
}

static void end_streams(struct nv_http *h)
{
	struct nv_http_request *next;
	for (struct nv_http_request *r = h->requests; r; r = next) {
		next = r->next;
		if (r->state != NV_HS_STREAMING)
			continue;
		nv_http_gone(r);
		nv_http_wake(r);
	}
}

void nv_http_close(struct nv_http *h, uint64_t timeout_ms, void (*on_closed_cb)(void *arg),
		   void *arg)
{
	h->closing = true;
	h->on_closed_cb = on_closed_cb;
	h->closed_arg = arg;
	int fd = MHD_quiesce_daemon(h->daemon);
	if (fd >= 0)
		close(fd);
	end_streams(h);
	uv_timer_start(&h->patience, patience_over, timeout_ms, 0);
	uv_timer_start(&h->timer, timer_cb, 0, 0);
}
