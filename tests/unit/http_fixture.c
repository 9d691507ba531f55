/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/http_fixture.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

/* --- a reader --- */

void expect(const char *text, const char *want)
{
	if (strstr(text, want))
		return;
	fprintf(stderr, "expected \"%s\" in:\n%s\n", want, text);
	abort();
}

void expect_not(const char *text, const char *unwanted)
{
	if (!strstr(text, unwanted))
		return;
	fprintf(stderr, "did not expect \"%s\" in:\n%s\n", unwanted, text);
	abort();
}

int client_connect(const struct fixture *f)
{
	return client_connect_from(f, "127.0.0.1");
}

int client_connect_from(const struct fixture *f, const char *address)
{
	struct sockaddr_in from = {.sin_family = AF_INET};
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_port = htons(f->port),
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct timeval tv = {.tv_sec = 30};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
	inet_pton(AF_INET, address, &from.sin_addr);
	if (bind(fd, (struct sockaddr *)&from, sizeof from) < 0 ||
	    connect(fd, (struct sockaddr *)&a, sizeof a) < 0)
		abort();
	return fd;
}

void client_send(int fd, const char *text)
{
	size_t len = strlen(text);
	while (len) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);
		if (n <= 0)
			return;
		text += n;
		len -= (size_t)n;
	}
}

size_t client_read(int fd, char *to, size_t max, const char *want)
{
	size_t len = 0;
	to[0] = '\0';
	while (len + 1 < max && (!want || !strstr(to, want))) {
		ssize_t n = recv(fd, to + len, max - 1 - len, 0);
		if (n <= 0)
			break;
		len += (size_t)n;
		to[len] = '\0';
	}
	return len;
}

void ask(struct fixture *f, const char *request)
{
	int fd = client_connect(f);
	client_send(fd, request);
	client_read(fd, f->text, sizeof f->text, NULL);
	close(fd);
}

static void *client_main(void *arg)
{
	struct fixture *f = arg;
	f->client(f);
	uv_async_send(&f->client_done);
	return NULL;
}

/* --- the server's handlers --- */

void handle_echo(void *arg, struct nv_http_request *r)
{
	(void)arg;
	size_t len;
	const char *body = nv_http_body(r, &len);
	char *text =
		nv_arena_printf(nv_http_arena(r), "%s|%s|%s|%s|%s|%s|%s|%.*s", nv_http_method(r),
				nv_http_pattern(r), nv_http_param(r, "id"), nv_http_query(r, "a"),
				nv_http_query(r, "b"), nv_http_header(r, "X-Thing"),
				nv_http_cookie(r, "c"), (int)len, len ? body : "");
	nv_http_add_header(r, "X-Answer", "yes");
	nv_http_reply(r, 201, "text/plain", text, strlen(text));
}

static void later_cb(uv_timer_t *timer)
{
	struct fixture *f = timer->data;
	struct nv_http_request *r = f->waiting;
	f->waiting = NULL;
	nv_http_reply(r, 200, "text/plain", "late", 4);
}

void handle_later(void *arg, struct nv_http_request *r)
{
	struct fixture *f = arg;
	f->waiting = r;
	uv_timer_start(&f->later, later_cb, 30, 0);
}

void handle_never(void *arg, struct nv_http_request *r)
{
	struct fixture *f = arg;
	f->waiting = r;
	uv_async_send(&f->client_done); /* lets the loop close the server */
}

static void gone(void *arg)
{
	struct fixture *f = arg;
	f->gone++;
}

void handle_stream(void *arg, struct nv_http_request *r)
{
	struct fixture *f = arg;
	unsigned before = f->gone;
	nv_http_stream(r, "text/event-stream", gone, f);
	if (f->gone != before) /* the server is being closed */
		return;
	nv_http_stream_send(r, ": hello\n\n", 9);
	f->streams[f->streams_len++] = r;
}

void handle_publish(void *arg, struct nv_http_request *r)
{
	struct fixture *f = arg;
	for (unsigned i = 0; i < f->streams_len; i++)
		nv_http_stream_send(f->streams[i], "data: news\n\n", 12);
	nv_http_reply(r, 204, NULL, NULL, 0);
}

/* --- running --- */

static void on_done(void *arg, const struct nv_http_request *r, unsigned status, uint64_t micros)
{
	(void)r;
	(void)micros;
	struct fixture *f = arg;
	f->done++;
	f->last_status = status;
}

static void on_shut(void *arg, const char *why)
{
	(void)why;
	struct fixture *f = arg;
	f->shut++;
}

static void on_closed(void *arg)
{
	struct fixture *f = arg;
	f->closed = true;
	f->http = NULL;
	uv_close((uv_handle_t *)&f->later, NULL);
	uv_close((uv_handle_t *)&f->client_done, NULL);
}

static void client_done(uv_async_t *async)
{
	struct fixture *f = async->data;
	if (!f->http)
		return;
	nv_http_close(f->http, f->close_timeout, on_closed, f);
	f->http = NULL;
}

void run_options(struct fixture *f, void (*client)(struct fixture *f))
{
	struct nv_err err;
	struct nv_http_options *o = &f->options;
	o->listen = "127.0.0.1:0";
	o->max_body = o->max_body ? o->max_body : 1000;
	o->max_connections = o->max_connections ? o->max_connections : 10;
	o->on_done_cb = on_done;
	o->on_shut_cb = on_shut;
	o->arg = f;
	uv_loop_init(&f->loop);
	uv_timer_init(&f->loop, &f->later);
	uv_async_init(&f->loop, &f->client_done, client_done);
	f->later.data = f->client_done.data = f;
	if (!f->close_timeout)
		f->close_timeout = 5000;
	f->http = nv_http_new(&f->loop, o, &err);
	assert_non_null(f->http);
	f->port = nv_http_port(f->http);
	f->client = client;
	pthread_create(&f->thread, NULL, client_main, f);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	pthread_join(f->thread, NULL);
	assert_true(f->closed);
	assert_int_equal(uv_loop_close(&f->loop), 0);
}
