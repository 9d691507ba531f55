/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The answer: at once or later, whole or as a stream. */
#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/http/http_internal.h"

void nv_http_add_header(struct nv_http_request *r, const char *name, const char *value)
{
	struct nv_http_pair *h = nv_arena_alloc(&r->arena, sizeof *h);
	h->name = nv_arena_strdup(&r->arena, name);
	h->value = nv_arena_strdup(&r->arena, value);
	h->next = r->headers;
	r->headers = h;
}

static bool has_own(const struct nv_http_request *r, const char *name)
{
	for (const struct nv_http_pair *h = r->headers; h; h = h->next)
		if (strcasecmp(h->name, name) == 0)
			return true;
	return false;
}

static void put_headers(const struct nv_http_request *r, struct MHD_Response *response,
			const char *type)
{
	for (size_t i = 0; i < r->http->headers_len; i++)
		if (!has_own(r, r->http->headers[i].name))
			MHD_add_response_header(response, r->http->headers[i].name,
						r->http->headers[i].value);
	for (const struct nv_http_pair *h = r->headers; h; h = h->next)
		MHD_add_response_header(response, h->name, h->value);
	if (type)
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	if (r->http->closing)
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
}

/* An answer's deadline, by its size; a stream has none. */
static void begin_sending(struct nv_http_request *r, uint64_t size)
{
	uint64_t rate = r->http->min_rate;
	uint64_t within = r->http->body_timeout + (rate ? size / rate * 1000 : 0);
	nv_conn_move(r->c, NV_CONN_BUSY, "answer", rate ? within : 0);
}

enum MHD_Result nv_http_queue(struct nv_http_request *r)
{
	if (r->state == NV_HS_STREAMING)
		nv_conn_watch(r);
	else
		begin_sending(r, r->size);
	enum MHD_Result ok = MHD_queue_response(r->conn, r->status, r->response);
	MHD_destroy_response(r->response);
	r->response = NULL;
	return ok;
}

void nv_http_wake(struct nv_http_request *r)
{
	if (!r->suspended || !r->conn)
		return;
	r->suspended = false;
	MHD_resume_connection(r->conn);
	/* Neither the epoll descriptor nor MHD_get_timeout tells of this: give it a turn. */
	r->http->woken = true;
	if (!r->http->running)
		uv_timer_start(&r->http->timer, r->http->timer.timer_cb, 0, 0);
}

/* The handler is done with it; frees it when libmicrohttpd is as well. */
static bool let_go(struct nv_http_request *r)
{
	r->held = false;
	if (r->conn)
		return false;
	nv_http_request_free(r);
	return true;
}

static void answer_with(struct nv_http_request *r, unsigned status, const char *type,
			struct MHD_Response *response, uint64_t size)
{
	r->response = response;
	r->size = size;
	put_headers(r, r->response, type);
	r->status = status;
	r->state = NV_HS_ANSWERED;
	if (!r->inside)
		nv_http_wake(r);
}

static void answer(struct nv_http_request *r, unsigned status, const char *type, const void *body,
		   size_t len)
{
	answer_with(r, status, type,
		    MHD_create_response_from_buffer(type ? len : 0, (void *)(uintptr_t)body,
						    MHD_RESPMEM_MUST_COPY),
		    type ? len : 0);
}

void nv_http_reply(struct nv_http_request *r, unsigned status, const char *type, const void *body,
		   size_t len)
{
	if (let_go(r) || r->state == NV_HS_ANSWERED)
		return; /* nobody is there to read it */
	answer(r, status, type, body, len);
}

void nv_http_reply_file(struct nv_http_request *r, unsigned status, const char *type, int fd,
			uint64_t size)
{
	if (let_go(r) || r->state == NV_HS_ANSWERED)
		close(fd);
	else
		answer_with(r, status, type, MHD_create_response_from_fd64(size, fd), size);
}

static char *problem_text(unsigned status, enum nv_reason reason, const char *detail)
{
	nv_auto_free char *type = nv_asprintf("about:blank#%s", nv_reason_word(reason));
	json_t *o = json_pack("{s:s, s:s, s:i, s:s*, s:s}", "type", type, "title",
			      nv_reason_text(reason), "status", (int)status, "detail", detail,
			      "reason", nv_reason_word(reason));
	if (!o) /* the detail is not UTF-8 */
		o = json_pack("{s:s, s:s, s:i, s:s}", "type", type, "title", nv_reason_text(reason),
			      "status", (int)status, "reason", nv_reason_word(reason));
	char *text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	return text;
}

void nv_http_problem(struct nv_http_request *r, unsigned status, enum nv_reason reason,
		     const char *fmt, ...)
{
	char detail[1024];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(detail, sizeof detail, fmt, ap);
	va_end(ap);
	nv_auto_free char *text = problem_text(status, reason, detail);
	nv_http_reply(r, status, "application/problem+json", text, strlen(text));
}

void nv_http_abandon(struct nv_http_request *r)
{
	nv_auto_free char *text =
		problem_text(503, NV_R_busy, "the server stops; please ask again");
	nv_http_add_header(r, "Retry-After", "5"); /* as every 503: openapi.yaml */
	answer(r, 503, "application/problem+json", text, strlen(text));
}

/* --- before the answer --- */

bool nv_http_known(struct nv_http_request *r, const char *person)
{
	if (!r->conn || r->state != NV_HS_ADMITTING || r->known)
		return true;
	r->known = nv_conn_count_person(r->c, person);
	return r->known;
}

void nv_http_admit(struct nv_http_request *r, const char *person)
{
	if (let_go(r) || r->state != NV_HS_ADMITTING)
		return; /* the reader has left, or was answered for */
	if (person && !nv_http_known(r, person)) {
		nv_auto_free char *text =
			problem_text(429, NV_R_busy, "you have too many requests open at once");
		nv_http_add_header(r, "Retry-After", "5");
		nv_http_add_header(r, "Connection", "close");
		answer(r, 429, "application/problem+json", text, strlen(text));
		return;
	}
	r->state = NV_HS_RECEIVING;
	if (!r->inside)
		nv_http_wake(r);
}

void nv_http_on_end(struct nv_http_request *r, void (*cb)(void *arg), void *arg)
{
	if (!r->conn) {
		cb(arg);
		return;
	}
	r->on_end_cb = cb;
	r->end_arg = arg;
	nv_conn_watch(r);
}

/* --- streams --- */

static ssize_t stream_read(void *arg, uint64_t at, char *to, size_t max)
{
	(void)at;
	struct nv_http_request *r = arg;
	size_t left = r->pending.len - r->pending_at;
	if (r->dropped)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (!left) {
		if (r->ended)
			return MHD_CONTENT_READER_END_OF_STREAM;
		r->suspended = true;
		MHD_suspend_connection(r->conn);
		return 0;
	}
	size_t n = left < max ? left : max;
	memcpy(to, r->pending.data + r->pending_at, n);
	r->pending_at += n;
	if (r->pending_at == r->pending.len)
		r->pending.len = r->pending_at = 0;
	return (ssize_t)n;
}

void nv_http_stream(struct nv_http_request *r, const char *type, void (*on_gone_cb)(void *arg),
		    void *arg)
{
	r->on_gone_cb = on_gone_cb;
	r->gone_arg = arg;
	if (!r->conn || r->state == NV_HS_ANSWERED) {
		nv_http_gone(r);
		return;
	}
	r->response =
		MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 4096, stream_read, r, NULL);
	put_headers(r, r->response, type);
	r->status = 200;
	r->state = NV_HS_STREAMING;
	if (r->http->closing)
		nv_http_gone(r);
	if (!r->inside)
		nv_http_wake(r);
}

void nv_http_gone(struct nv_http_request *r)
{
	void (*cb)(void *) = r->on_gone_cb;
	void *arg = r->gone_arg;
	if (!r->held)
		return;
	r->ended = true;
	let_go(r);
	if (cb)
		cb(arg);
}

void nv_http_drop(struct nv_http_request *r)
{
	r->dropped = true;
	shutdown(r->c->fd, SHUT_RDWR);
	nv_http_wake(r);
}

void nv_http_stream_send(struct nv_http_request *r, const void *data, size_t len)
{
	if (!r->conn || r->ended || r->dropped)
		return;
	if (r->pending.len - r->pending_at + len > NV_HTTP_STREAM_MAX) {
		nv_http_drop(r);
		return;
	}
	if (r->pending_at > NV_HTTP_STREAM_MAX) {
		r->pending.len -= r->pending_at;
		memmove(r->pending.data, r->pending.data + r->pending_at, r->pending.len);
		r->pending_at = 0;
	}
	nv_buf_put(&r->pending, data, len);
	if (!r->inside)
		nv_http_wake(r);
}

void nv_http_stream_end(struct nv_http_request *r)
{
	r->ended = true;
	if (!let_go(r) && !r->inside)
		nv_http_wake(r);
}
