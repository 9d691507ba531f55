/* SPDX-License-Identifier: GPL-3.0-or-later */
/* core/http: requests, answers, streams, closing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/http_fixture.h"

static void last_cb(uv_timer_t *timer)
{
	struct fixture *f = timer->data;
	for (unsigned i = 0; i < f->streams_len; i++)
		nv_http_stream_send(f->streams[i], "data: last\n\n", 12);
}

static void last(void *arg, struct nv_http_request *r)
{
	struct fixture *f = arg;
	handle_publish(arg, r);
	uv_timer_start(&f->later, last_cb, 0, 0);
}

static void flood(void *arg, struct nv_http_request *r)
{
	struct fixture *f = arg;
	static char block[64 << 10];
	memset(block, 'x', sizeof block);
	for (unsigned i = 0; i < f->streams_len && !f->gone; i++)
		nv_http_stream_send(f->streams[i], block, sizeof block);
	nv_http_reply(r, 200, "text/plain", f->gone ? "gone" : "more", 4);
}

static void end_all(void *arg, struct nv_http_request *r)
{
	struct fixture *f = arg;
	for (unsigned i = 0; i < f->streams_len; i++)
		nv_http_stream_end(f->streams[i]);
	f->streams_len = 0;
	nv_http_reply(r, 204, NULL, NULL, 0);
}

#define ROUTE(m, p, h)                                        \
	{                                                     \
		.method = (m), .pattern = (p), .handler = (h) \
	}
static const struct nv_http_route routes[] = {
	ROUTE("GET", "/echo", handle_echo),	  ROUTE("POST", "/echo", handle_echo),
	ROUTE("GET", "/thing/{id}", handle_echo), ROUTE("PATCH", "/thing/{id}", handle_echo),
	ROUTE("GET", "/later", handle_later),	  ROUTE("GET", "/never", handle_never),
	ROUTE("GET", "/stream", handle_stream),	  ROUTE("POST", "/publish", handle_publish),
	ROUTE("POST", "/flood", flood),		  ROUTE("POST", "/last", last),
	ROUTE("POST", "/end", end_all),
};

static void run(struct fixture *f, void (*client)(struct fixture *f), unsigned max_connections)
{
	f->options.routes = routes;
	f->options.routes_len = NV_ARRAY_LEN(routes);
	f->options.max_connections = max_connections;
	run_options(f, client);
}

/* --- tests --- */

#define HEAD " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"

static void params_client(struct fixture *f)
{
	ask(f, "GET /thing/a%2Fb%20c?a=1%2B2+3&b=%C3%A9" HEAD "X-Thing: t\r\nCookie: c=d\r\n\r\n");
	expect(f->text, "HTTP/1.1 201");
	expect(f->text, "X-Answer: yes");
	expect(f->text, "GET|/thing/{id}|a/b c|1+2 3|\xc3\xa9|t|d|");
	ask(f, "POST /echo" HEAD "Content-Length: 5\r\n\r\nhello");
	expect(f->text, "POST|/echo|(null)|(null)|(null)|(null)|(null)|hello");
	ask(f, "HEAD /echo" HEAD "\r\n");
	expect(f->text, "HTTP/1.1 201");
	expect_not(f->text, "HEAD|");
	ask(f, "GET /echo?a=%zz" HEAD "\r\n");
	expect(f->text, "HTTP/1.1 400");
	ask(f, "GET /thing/%00" HEAD "\r\n");
	expect(f->text, "HTTP/1.1 404");
}

static void a_handler_sees_params_query_headers_cookies_and_body(void **state)
{
	struct fixture f = {0};
	(void)state;
	run(&f, params_client, 10);
	assert_int_equal(f.done, 5);
}

static void errors_client(struct fixture *f)
{
	ask(f, "GET /nothing" HEAD "\r\n");
	expect(f->text, "HTTP/1.1 404");
	expect(f->text, "application/problem+json");
	expect(f->text, "\"reason\":\"not_found\"");
	ask(f, "GET /thing/1/2" HEAD "\r\n");
	expect(f->text, "HTTP/1.1 404");
	ask(f, "GET /thing/" HEAD "\r\n");
	expect(f->text, "HTTP/1.1 404");
	ask(f, "DELETE /thing/1" HEAD "\r\n");
	expect(f->text, "HTTP/1.1 405");
	expect(f->text, "Allow: GET, HEAD, PATCH");
	ask(f, "GET /echo HTTP/1.1\r\n\r\n"); /* no Host */
	expect(f->text, "400");
}

static void unknown_paths_are_404_and_wrong_methods_405_with_allow(void **state)
{
	struct fixture f = {0};
	(void)state;
	run(&f, errors_client, 10);
}

static void large_client(struct fixture *f)
{
	nv_auto_buf struct nv_buf b = {0};
	nv_buf_puts(&b, "POST /echo" HEAD "Content-Length: 300000\r\n\r\n");
	for (int i = 0; i < 300; i++)
		nv_buf_printf(&b, "%01000d", 0);
	ask(f, (const char *)b.data);
	expect(f->text, "HTTP/1.1 413");
	expect(f->text, "application/problem+json");
	/* without a length */
	b.len = 0;
	nv_buf_puts(&b, "POST /echo" HEAD "Transfer-Encoding: chunked\r\n\r\n");
	for (int i = 0; i < 3; i++)
		nv_buf_printf(&b, "1f4\r\n%0500d\r\n", 0);
	nv_buf_puts(&b, "0\r\n\r\n");
	ask(f, (const char *)b.data);
	expect(f->text, "HTTP/1.1 413");
	/* waiting for leave to send */
	ask(f, "POST /echo" HEAD "Expect: 100-continue\r\nContent-Length: 100000000\r\n\r\n");
	expect(f->text, "HTTP/1.1 413");
	b.len = 0;
	nv_buf_printf(&b, "POST /echo" HEAD "Content-Length: 1000\r\n\r\n%01000d", 0);
	ask(f, (const char *)b.data);
	expect(f->text, "HTTP/1.1 201");
}

static void a_body_above_the_limit_is_413(void **state)
{
	struct fixture f = {0};
	(void)state;
	run(&f, large_client, 10);
}

static void later_client(struct fixture *f)
{
	ask(f, "GET /later" HEAD "\r\n");
	expect(f->text, "HTTP/1.1 200");
	expect(f->text, "late");
}

static void an_answer_may_come_later(void **state)
{
	struct fixture f = {0};
	(void)state;
	run(&f, later_client, 10);
	assert_int_equal(f.last_status, 200);
}

static void many_client(struct fixture *f)
{
	static int fds[MAX_STREAMS];
	char text[4096];
	for (unsigned i = 0; i < MAX_STREAMS; i++) {
		fds[i] = client_connect(f);
		client_send(fds[i], "GET /stream" HEAD "\r\n");
	}
	for (unsigned i = 0; i < MAX_STREAMS; i++)
		client_read(fds[i], text, sizeof text, ": hello");
	for (unsigned round = 0; round < 3; round++) {
		ask(f, "POST /publish" HEAD "Content-Length: 0\r\n\r\n");
		expect(f->text, "HTTP/1.1 204");
		for (unsigned i = 0; i < MAX_STREAMS; i++) {
			client_read(fds[i], text, sizeof text, "data: news\n\n");
			expect(text, "data: news\n\n");
		}
	}
	ask(f, "POST /end" HEAD "Content-Length: 0\r\n\r\n");
	for (unsigned i = 0; i < MAX_STREAMS; i++) {
		client_read(fds[i], text, sizeof text, NULL);
		expect(text, "0\r\n\r\n");
		close(fds[i]);
	}
}

static void a_thousand_streams_wait_and_are_all_told(void **state)
{
	struct fixture *f = nv_alloc(sizeof *f);
	(void)state;
	run(f, many_client, 1100);
	assert_int_equal(f->done, MAX_STREAMS + 4);
	assert_int_equal(f->gone, 0); /* they were ended, not left */
	free(f);
}

static void burst_client(struct fixture *f)
{
	char text[1 << 14];
	size_t len = 0;
	int fd = client_connect(f);
	client_send(fd, "GET /stream" HEAD "\r\n");
	client_read(fd, text, sizeof text, ": hello");
	for (int i = 0; i < 50; i++)
		ask(f, "POST /publish" HEAD "Content-Length: 0\r\n\r\n");
	ask(f, "POST /last" HEAD "Content-Length: 0\r\n\r\n");
	text[0] = '\0';
	while (!strstr(text, "data: last\n\n")) {
		ssize_t n = recv(fd, text + len, sizeof text - 1 - len, 0);
		if (n <= 0)
			break;
		len += (size_t)n;
		text[len] = '\0';
	}
	expect(text, "data: last\n\n");
	close(fd);
}

static void what_is_sent_in_quick_succession_arrives_without_more(void **state)
{
	struct fixture f = {0};
	(void)state;
	run(&f, burst_client, 10);
}

static void slow_client(struct fixture *f)
{
	static char text[1 << 16];
	int fd = client_connect(f);
	int small = 4096;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
	client_send(fd, "GET /stream" HEAD "\r\n");
	client_read(fd, text, sizeof text, ": hello");
	/* never reads again */
	for (int i = 0; i < 2000; i++) {
		ask(f, "POST /flood" HEAD "Content-Length: 0\r\n\r\n");
		if (strstr(f->text, "gone"))
			break;
	}
	expect(f->text, "gone");
	close(fd);
}

static void a_reader_that_does_not_read_is_dropped(void **state)
{
	struct fixture f = {0};
	(void)state;
	run(&f, slow_client, 10);
	assert_int_equal(f.gone, 1);
}

static void leaving_client(struct fixture *f)
{
	char text[4096];
	int fd = client_connect(f);
	client_send(fd, "GET /stream" HEAD "\r\n");
	client_read(fd, text, sizeof text, ": hello");
	close(fd);
	for (int i = 0; i < 2000; i++) {
		ask(f, "POST /flood" HEAD "Content-Length: 0\r\n\r\n");
		if (strstr(f->text, "gone"))
			break;
	}
	expect(f->text, "gone");
}

static void a_reader_that_left_is_noticed_when_something_is_sent(void **state)
{
	struct fixture f = {0};
	(void)state;
	run(&f, leaving_client, 10);
	assert_int_equal(f.gone, 1);
}

static void open_client(struct fixture *f)
{
	char text[4096];
	int fds[20];
	for (unsigned i = 0; i < 20; i++) {
		fds[i] = client_connect(f);
		client_send(fds[i], "GET /stream" HEAD "\r\n");
		client_read(fds[i], text, sizeof text, ": hello");
	}
	uv_async_send(&f->client_done);
	for (unsigned i = 0; i < 20; i++) {
		client_read(fds[i], text, sizeof text, NULL);
		close(fds[i]);
	}
}

static void closing_ends_open_streams(void **state)
{
	struct fixture f = {0};
	(void)state;
	run(&f, open_client, 30);
	assert_int_equal(f.gone, 20);
	assert_int_equal(f.done, 20);
}

static void never_client(struct fixture *f)
{
	ask(f, "GET /never" HEAD "\r\n");
	expect(f->text, "HTTP/1.1 503");
	expect(f->text, "Retry-After: 5");
}

static void closing_answers_for_handlers_that_are_too_late(void **state)
{
	struct fixture f = {.close_timeout = 50};
	(void)state;
	run(&f, never_client, 10);
	/* the handler's own answer, after everything: thrown away */
	nv_http_reply(f.waiting, 200, "text/plain", "x", 1);
}

static void crowd_client(struct fixture *f)
{
	char text[4096];
	int fds[4];
	for (unsigned i = 0; i < 4; i++) {
		fds[i] = client_connect(f);
		client_send(fds[i], "GET /stream" HEAD "\r\n");
		client_read(fds[i], text, sizeof text, ": hello");
	}
	ask(f, "GET /echo" HEAD "\r\n");
	expect(f->text, "HTTP/1.1 503");
	expect(f->text, "Retry-After: 5");
	ask(f, "POST /echo" HEAD "Content-Length: 2\r\n\r\nab");
	expect(f->text, "HTTP/1.1 503");
	for (unsigned i = 0; i < 4; i++)
		close(fds[i]);
}

static void above_the_number_of_connections_is_503(void **state)
{
	struct fixture f = {0};
	(void)state;
	run(&f, crowd_client, 4);
}

static void a_bad_address_to_listen_on_is_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"", "8080", "x:80", "127.0.0.1:", "127.0.0.1:99999", "127.0.0.1:8a"};
	for (size_t i = 0; i < NV_ARRAY_LEN(bad); i++) {
		uv_loop_t loop;
		struct nv_err err;
		struct nv_http_options o = {.listen = bad[i], .max_connections = 1};
		uv_loop_init(&loop);
		assert_null(nv_http_new(&loop, &o, &err));
		assert_int_equal(err.kind, NV_FATAL);
		assert_int_equal(err.reason, NV_R_config);
		assert_int_equal(uv_loop_close(&loop), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_handler_sees_params_query_headers_cookies_and_body),
		cmocka_unit_test(unknown_paths_are_404_and_wrong_methods_405_with_allow),
		cmocka_unit_test(a_body_above_the_limit_is_413),
		cmocka_unit_test(an_answer_may_come_later),
		cmocka_unit_test(a_thousand_streams_wait_and_are_all_told),
		cmocka_unit_test(what_is_sent_in_quick_succession_arrives_without_more),
		cmocka_unit_test(a_reader_that_does_not_read_is_dropped),
		cmocka_unit_test(a_reader_that_left_is_noticed_when_something_is_sent),
		cmocka_unit_test(closing_ends_open_streams),
		cmocka_unit_test(closing_answers_for_handlers_that_are_too_late),
		cmocka_unit_test(above_the_number_of_connections_is_503),
		cmocka_unit_test(a_bad_address_to_listen_on_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
