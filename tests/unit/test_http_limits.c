/* SPDX-License-Identifier: GPL-3.0-or-later */
/* core/http: no client can keep others out, and no body is taken from whom nobody knows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/http_fixture.h"

#define HEAD " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
#define KEEP " HTTP/1.1\r\nHost: x\r\n"

/* --- routes --- */

/* X-Person: who it is; nobody is refused. */
static void admit(void *arg, struct nv_http_request *r)
{
	(void)arg;
	const char *person = nv_http_header(r, "X-Person");
	if (!person)
		nv_http_problem(r, 401, NV_R_denied, "please sign in");
	else
		nv_http_admit(r, person);
}

static void admit_cb(uv_timer_t *timer)
{
	struct fixture *f = timer->data;
	admit(f, f->waiting);
}

static void admit_later(void *arg, struct nv_http_request *r)
{
	struct fixture *f = arg;
	f->waiting = r;
	uv_timer_start(&f->later, admit_cb, 30, 0);
}

#define ASKED 4u

/* Known at once, admitted when so many are. */
static void ask_rights(void *arg, struct nv_http_request *r)
{
	struct fixture *f = arg;
	if (!nv_http_known(r, nv_http_header(r, "X-Person"))) {
		nv_http_problem(r, 429, NV_R_busy, "too many");
		return;
	}
	f->streams[f->streams_len++] = r;
	for (unsigned i = 0; f->streams_len == ASKED && i < ASKED; i++)
		admit(f, f->streams[i]);
}

/* When the server is being closed. */
static void admit_last(void *arg, struct nv_http_request *r)
{
	struct fixture *f = arg;
	handle_never(arg, r);
	uv_timer_start(&f->later, admit_cb, 50, 0);
}

static void count_gone(void *arg)
{
	struct fixture *f = arg;
	f->gone++;
}

static void told(void *arg, struct nv_http_request *r)
{
	struct fixture *f = arg;
	f->waiting = r;
	nv_http_on_end(r, count_gone, f);
}

static void how_many_gone(void *arg, struct nv_http_request *r)
{
	const struct fixture *f = arg;
	const char *text = nv_arena_printf(nv_http_arena(r), "gone %u", f->gone);
	nv_http_reply(r, 200, "text/plain", text, strlen(text));
}

static const struct nv_http_route routes[] = {
	{.method = "GET", .pattern = "/open", .handler = handle_echo},
	{.method = "POST", .pattern = "/open", .handler = handle_echo, .max_body = 100},
	{.method = "POST", .pattern = "/own", .handler = handle_echo, .admit = admit},
	{.method = "POST", .pattern = "/slow", .handler = handle_echo, .admit = admit_later},
	{.method = "GET", .pattern = "/own", .handler = handle_echo, .admit = admit},
	{.method = "GET", .pattern = "/slow", .handler = handle_echo, .admit = admit_later},
	{.method = "GET", .pattern = "/stream", .handler = handle_stream, .admit = admit},
	{.method = "GET", .pattern = "/any-stream", .handler = handle_stream},
	{.method = "POST", .pattern = "/never", .handler = handle_echo, .admit = handle_never},
	{.method = "GET", .pattern = "/asked", .handler = handle_echo, .admit = ask_rights},
	{.method = "GET", .pattern = "/last", .handler = handle_stream, .admit = admit_last},
	{.method = "GET", .pattern = "/told", .handler = told},
	{.method = "GET", .pattern = "/gone", .handler = how_many_gone, .probe = true},
	{.method = "GET", .pattern = "/probe", .handler = handle_echo, .probe = true},
};

static void run(struct fixture *f, void (*client)(struct fixture *f))
{
	f->options.routes = routes;
	f->options.routes_len = NV_ARRAY_LEN(routes);
	run_options(f, client);
}

/* --- a body's length --- */

static void framing_client(struct fixture *f)
{
	static const char *const wrong[] = {
		"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
		"Content-Length: 3\r\nContent-Length: 30\r\n\r\nabc",
		"Content-Length: 3, 3\r\n\r\nabc",
		"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
		"transfer-encoding: CHUNKED\r\ncontent-length: 3\r\n\r\n0\r\n\r\n",
		"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		"Transfer-Encoding: identity\r\nContent-Length: 3\r\n\r\nabc",
		"Transfer-Encoding: identity\r\n\r\nabc",
		"Transfer-Encoding:\r\nContent-Length: 3\r\n\r\nabc",
		"Transfer-Encoding : chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
		"Content-Length : 3\r\n\r\nabc",
		"Content-Length: +3\r\n\r\nabc",
		"Content-Length: -3\r\n\r\nabc",
		"Content-Length: 0x3\r\n\r\nabc",
		"Content-Length: 3 3\r\n\r\nabc",
		"Content-Length:\r\n\r\nabc",
		"Content-Length: 99999999999999999999\r\n\r\nabc",
		"Host: y\r\nContent-Length: 3\r\n\r\nabc",
	};
	for (size_t i = 0; i < NV_ARRAY_LEN(wrong); i++) {
		/* a second request in the body would be answered, too, if it were taken for one */
		nv_auto_free char *text =
			nv_asprintf("POST /open" KEEP "%sGET /probe" HEAD "\r\n", wrong[i]);
		ask(f, text);
		expect(f->text, strstr(wrong[i], "9999") ? "HTTP/1.1 413" : "HTTP/1.1 400");
		expect_not(f->text, "POST|/open|");
		expect_not(f->text, "GET|/probe|");
	}
	ask(f, "POST /open" HEAD "Content-Length: 3\r\n\r\nabc");
	expect(f->text, "|abc");
	ask(f,
	    "POST /open" HEAD "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n");
	expect(f->text, "|abc");
	/* trailers change nothing */
	ask(f, "POST /open" HEAD "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n"
	       "Content-Length: 7\r\nX-Thing: t\r\n\r\n");
	expect(f->text, "|(null)|(null)|ab");
}

static void a_body_of_unclear_length_is_refused_and_nothing_behind_it_read(void **state)
{
	struct fixture f = {0};
	(void)state;
	run(&f, framing_client);
}

/* --- slow clients --- */

/* Byte after byte, until the server has enough; ms it took. */
static uint64_t trickle(int fd, const char *text)
{
	char none;
	uint64_t began = uv_hrtime();
	while (*text && recv(fd, &none, 1, MSG_DONTWAIT | MSG_PEEK) < 0) {
		if (send(fd, text++, 1, MSG_NOSIGNAL) < 0)
			break;
		usleep(10000);
	}
	return (uv_hrtime() - began) / 1000000;
}

static void expect_end(int fd)
{
	char text[1024];
	client_read(fd, text, sizeof text, NULL);
	expect_not(text, "HTTP/1.1 2");
	close(fd);
}

static void trickling_client(struct fixture *f)
{
	char text[1024];
	static char endless[3000];
	memset(endless, 'x', sizeof endless - 1);
	for (size_t i = 0; i < 5; i++)
		endless[i] = "GET /"[i];
	int fd = client_connect(f);
	uint64_t ms = trickle(fd, endless);
	if (ms < 200 || ms > 5000)
		abort();
	expect_end(fd);
	/* a first request that is answered buys no time for the second */
	fd = client_connect(f);
	client_send(fd, "POST /open" KEEP "Content-Length: 99\r\n\r\n");
	ms = trickle(fd, endless);
	if (ms < 200 || ms > 5000)
		abort();
	expect_end(fd);
	/* who is admitted has more time for the body */
	fd = client_connect(f);
	client_send(fd, "POST /own" HEAD "X-Person: ada\r\nContent-Length: 50\r\n\r\n");
	trickle(fd, endless + 2950 - 1);
	client_read(fd, text, sizeof text, NULL);
	expect(text, "POST|/own|");
	/* but not all the time in the world */
	fd = client_connect(f);
	client_send(fd, "POST /own" HEAD "X-Person: ada\r\nContent-Length: 500\r\n\r\n");
	ms = trickle(fd, endless);
	if (ms < 1000 || ms > 8000)
		abort();
	expect_end(fd);
}

static void a_deadline_is_for_the_whole_and_not_for_each_byte(void **state)
{
	struct fixture f = {.options = {.header_timeout = 300, .body_timeout = 1500}};
	(void)state;
	run(&f, trickling_client);
	assert_int_equal(f.shut, 3);
}

static void unread_client(struct fixture *f)
{
	int fds[30];
	for (size_t i = 0; i < NV_ARRAY_LEN(fds); i++) {
		fds[i] = client_connect(f);
		client_send(fds[i], "GET /op");
	}
	/* whoever comes is served; those who wait longest have made room */
	for (int i = 0; i < 20; i++) {
		ask(f, "GET /open" HEAD "\r\n");
		expect(f->text, "GET|/open|");
	}
	for (size_t i = 0; i < NV_ARRAY_LEN(fds); i++)
		close(fds[i]);
}

static void slow_clients_of_one_address_keep_out_only_one_another(void **state)
{
	struct fixture f = {.options = {.max_per_address = 5, .max_connections = 100}};
	(void)state;
	run(&f, unread_client);
	assert_true(f.shut >= 25);
}

static void neighbour_client(struct fixture *f)
{
	char text[1024];
	int slow[10];
	int fd = client_connect_from(f, "127.0.0.3");
	client_send(fd, "GET /op");
	for (size_t i = 0; i < NV_ARRAY_LEN(slow); i++)
		slow[i] = client_connect_from(f, "127.0.0.2");
	ask(f, "GET /open" HEAD "\r\n"); /* all are accepted by now */
	client_send(fd, "en" HEAD "\r\n");
	client_read(fd, text, sizeof text, NULL);
	expect(text, "GET|/open|");
	close(fd);
	for (size_t i = 0; i < NV_ARRAY_LEN(slow); i++)
		close(slow[i]);
}

static void another_address_is_not_touched(void **state)
{
	struct fixture f = {.options = {.max_per_address = 3, .max_connections = 100}};
	(void)state;
	run(&f, neighbour_client);
	assert_int_equal(f.shut, 7);
}

static void total_client(struct fixture *f)
{
	int fds[400];
	for (size_t i = 0; i < NV_ARRAY_LEN(fds); i++)
		fds[i] = client_connect(f);
	ask(f, "GET /open" HEAD "\r\n");
	expect(f->text, "GET|/open|");
	for (size_t i = 0; i < NV_ARRAY_LEN(fds); i++)
		close(fds[i]);
}

static void of_too_many_that_wait_the_oldest_go(void **state)
{
	struct fixture f = {0}; /* no limit by address */
	(void)state;
	run(&f, total_client);
	assert_true(f.shut > 200);
}

/* --- full --- */

static void full_client(struct fixture *f)
{
	char text[4096];
	int fds[10], idle[200];
	for (size_t i = 0; i < NV_ARRAY_LEN(fds); i++) {
		fds[i] = client_connect(f);
		client_send(fds[i], "GET /any-stream" HEAD "\r\n");
		client_read(fds[i], text, sizeof text, ": hello");
	}
	for (size_t i = 0; i < NV_ARRAY_LEN(idle); i++)
		idle[i] = client_connect(f);
	for (int i = 0; i < 50; i++) {
		ask(f, "POST /open" HEAD "Content-Length: 3\r\n\r\nabc");
		expect(f->text, "HTTP/1.1 503");
		expect(f->text, "Retry-After: 5");
		ask(f, "GET /probe" HEAD "\r\n");
		expect(f->text, "GET|/probe|");
	}
	close(fds[0]);
	do
		ask(f, "GET /open" HEAD "\r\n");
	while (!strstr(f->text, "GET|/open|"));
	for (size_t i = 1; i < NV_ARRAY_LEN(fds); i++)
		close(fds[i]);
	for (size_t i = 0; i < NV_ARRAY_LEN(idle); i++)
		close(idle[i]);
}

static void a_full_server_says_503_and_still_serves_probes(void **state)
{
	struct fixture f = {0};
	(void)state;
	run(&f, full_client);
}

/* --- whom it counts for --- */

/* Streams of one person until one is refused: how many were open. */
static int open_streams(struct fixture *f, int *fds, int max, const char *headers)
{
	nv_auto_free char *request = nv_asprintf("GET /stream" KEEP "%s\r\n", headers);
	for (int i = 0; i < max; i++) {
		fds[i] = client_connect(f);
		client_send(fds[i], request);
		client_read(fds[i], f->text, sizeof f->text, "\r\n\r\n");
		if (!strstr(f->text, "HTTP/1.1 200")) {
			close(fds[i]);
			return i;
		}
	}
	return max;
}

static void person_client(struct fixture *f)
{
	int ada[10], bob[10];
	int a = open_streams(f, ada, 10, "X-Person: ada\r\n");
	expect(f->text, "HTTP/1.1 429");
	int b = open_streams(f, bob, 10, "X-Person: bob\r\n");
	if (a != 4 || b != 4)
		abort();
	ask(f, "GET /own" HEAD "X-Person: ada\r\n\r\n");
	expect(f->text, "HTTP/1.1 429");
	expect(f->text, "Retry-After: 5");
	close(ada[0]);
	do
		ask(f, "GET /own" HEAD "X-Person: ada\r\n\r\n");
	while (!strstr(f->text, "GET|/own|"));
	/* on one connection, too */
	ada[0] = client_connect(f);
	for (int i = 0; i < 3; i++) {
		client_send(ada[0], "GET /own" KEEP "X-Person: ada\r\n\r\n");
		client_read(ada[0], f->text, sizeof f->text, "GET|/own|");
		expect(f->text, "HTTP/1.1 201");
	}
	close(ada[0]);
	for (int i = 1; i < 4; i++)
		close(ada[i]);
	for (int i = 0; i < 4; i++)
		close(bob[i]);
}

/* Eight of two people from one address, of which no more than two may be nobody's. */
static void people_behind_one_address_count_for_themselves(void **state)
{
	struct fixture f = {
		.options = {.max_connections = 50, .max_per_address = 2, .max_per_person = 4}};
	(void)state;
	run(&f, person_client);
}

static void asked_client(struct fixture *f)
{
	static const char *const people[ASKED] = {"ada", "bob", "cid", "dan"};
	int fds[ASKED];
	for (unsigned i = 0; i < ASKED; i++) {
		nv_auto_free char *request =
			nv_asprintf("GET /asked" HEAD "X-Person: %s\r\n\r\n", people[i]);
		if (i == ASKED - 1) { /* nobody has been admitted yet */
			ask(f, "GET /asked" HEAD "X-Person: ada\r\n\r\n");
			expect(f->text, "HTTP/1.1 429");
			expect(f->text, "too many\"");
		}
		fds[i] = client_connect(f);
		client_send(fds[i], request);
		while (f->streams_len <= i) {
			int fd = client_connect_from(f, "127.0.0.2");
			client_send(fd, "GET /probe" HEAD "\r\n");
			client_read(fd, f->text, sizeof f->text, NULL);
			close(fd);
			char none;
			if (recv(fds[i], &none, 1, MSG_DONTWAIT | MSG_PEEK) > 0)
				break; /* answered already */
		}
	}
	for (unsigned i = 0; i < ASKED; i++) {
		client_read(fds[i], f->text, sizeof f->text, NULL);
		expect(f->text, "HTTP/1.1 201");
		close(fds[i]);
	}
}

/* Of one address, of which no more than two may be nobody's. */
static void who_is_known_counts_for_themselves_while_they_wait_to_be_admitted(void **state)
{
	struct fixture f = {
		.options = {.max_connections = 50, .max_per_address = 2, .max_per_person = 1}};
	(void)state;
	run(&f, asked_client);
}

static void proxied_client(struct fixture *f)
{
	char text[4096];
	int fds[3];
	for (size_t i = 0; i < NV_ARRAY_LEN(fds); i++) {
		fds[i] = client_connect(f);
		client_send(fds[i], "GET /any-stream" KEEP "X-Forwarded-For: 198.51.100.1\r\n\r\n");
		client_read(fds[i], text, sizeof text, ": hello");
	}
	ask(f, "GET /open" HEAD "X-Forwarded-For: 192.0.2.9, 198.51.100.1\r\n\r\n");
	expect(f->text, "HTTP/1.1 429");
	expect(f->text, "from this address");
	ask(f, "GET /open" HEAD "X-Forwarded-For: 198.51.100.1, 192.0.2.9\r\n\r\n");
	expect(f->text, "GET|/open|");
	ask(f, "GET /probe" HEAD "X-Forwarded-For: 198.51.100.1\r\n\r\n");
	expect(f->text, "GET|/probe|");
	ask(f, "GET /open" HEAD "\r\n");
	expect(f->text, "GET|/open|");
	/* a connection of the proxy is free for anybody after each answer */
	int fd = client_connect(f);
	for (int i = 0; i < 20; i++) {
		nv_auto_free char *request = nv_asprintf(
			"GET /open" KEEP "X-Forwarded-For: 203.0.113.%d\r\n\r\n", i % 2);
		client_send(fd, request);
		client_read(fd, text, sizeof text, "GET|/open|");
		expect(text, "HTTP/1.1 201");
	}
	close(fd);
	for (size_t i = 0; i < NV_ARRAY_LEN(fds); i++)
		close(fds[i]);
}

static void behind_a_trusted_proxy_the_peers_own_address_counts(void **state)
{
	static const char *const proxies[] = {"127.0.0.1"};
	struct fixture f = {.options = {.max_connections = 50,
					.max_per_address = 3,
					.trusted_proxies = proxies,
					.trusted_proxies_len = 1}};
	(void)state;
	run(&f, proxied_client);
}

/* --- before the body --- */

#define BODY "Content-Length: 3\r\n\r\nabc"
#define PERSON "X-Person: ada\r\n"

static void admitted_client(struct fixture *f)
{
	ask(f, "POST /own" HEAD PERSON BODY);
	expect(f->text, "POST|/own|(null)|(null)|(null)|(null)|(null)|abc");
	ask(f, "POST /slow" HEAD PERSON BODY);
	expect(f->text, "POST|/slow|(null)|(null)|(null)|(null)|(null)|abc");
	ask(f, "POST /slow" HEAD PERSON "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
	expect(f->text, "|abc");
	ask(f, "POST /slow" HEAD PERSON "Expect: 100-continue\r\n" BODY);
	expect(f->text, "HTTP/1.1 100");
	expect(f->text, "|abc");
	ask(f, "GET /own" HEAD PERSON "\r\n");
	expect(f->text, "GET|/own|");
	ask(f, "GET /slow" HEAD PERSON "\r\n");
	expect(f->text, "GET|/slow|");
}

static void who_is_admitted_reaches_the_handler(void **state)
{
	struct fixture f = {0};
	(void)state;
	run(&f, admitted_client);
}

/* headers, then len bytes of body. */
static void send_large(int fd, const char *headers, size_t len)
{
	static char block[10000];
	memset(block, 'x', sizeof block);
	client_send(fd, headers);
	while (len) {
		size_t n = len < sizeof block ? len : sizeof block;
		if (send(fd, block, n, MSG_NOSIGNAL) < 0)
			return;
		len -= n;
	}
}

static void refused_client(struct fixture *f)
{
	static const char *const paths[] = {"/own", "/slow"};
	for (size_t i = 0; i < NV_ARRAY_LEN(paths); i++) {
		nv_auto_free char *head = nv_asprintf(
			"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n", paths[i]);
		nv_auto_free char *plain = nv_asprintf("%s\r\n", head);
		nv_auto_free char *careful = nv_asprintf("%sExpect: 100-continue\r\n\r\n", head);
		int fd = client_connect(f);
		/* read to its end, for nobody, so that the answer is seen */
		send_large(fd, plain, 1000000);
		client_read(fd, f->text, sizeof f->text, "please sign in");
		expect(f->text, "HTTP/1.1 401");
		/* and the connection goes on */
		client_send(fd, "GET /open" HEAD "\r\n");
		client_read(fd, f->text, sizeof f->text, NULL);
		expect(f->text, "GET|/open|");
		close(fd);
		ask(f, careful);
		expect(f->text, "HTTP/1.1 401");
		expect_not(f->text, "100 Continue");
	}
	ask(f, "POST /own" HEAD "Content-Length: 99000000\r\n\r\n");
	expect(f->text, "HTTP/1.1 413");
	ask(f, "GET /own" HEAD "\r\n");
	expect(f->text, "HTTP/1.1 401");
}

static void nobodys_body_is_not_kept(void **state)
{
	struct fixture f = {.options = {.max_body = 2000000}};
	(void)state;
	run(&f, refused_client);
}

/* --- the room for bodies --- */

#define LARGE ((size_t)1000000)

/* A large body of ada, but for its last byte. */
static int withhold(struct fixture *f)
{
	int fd = client_connect(f);
	send_large(fd, "POST /own" HEAD PERSON "Content-Length: 1000000\r\n\r\n", LARGE - 1);
	return fd;
}

static void post(struct fixture *f, const char *headers, size_t len)
{
	nv_auto_free char *head =
		nv_asprintf("POST /own" HEAD "%sContent-Length: %zu\r\n\r\n", headers, len);
	int fd = client_connect(f);
	send_large(fd, head, len);
	client_read(fd, f->text, sizeof f->text, "\r\n\r\n");
	close(fd);
}

static void close_all(const int *fds, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static void hoarding_client(struct fixture *f)
{
	int fds[70];
	for (size_t i = 0; i < NV_ARRAY_LEN(fds); i++)
		fds[i] = withhold(f);
	do /* until the server has read them */
		post(f, PERSON, LARGE);
	while (strstr(f->text, "HTTP/1.1 201"));
	expect(f->text, "HTTP/1.1 429");
	expect(f->text, "Retry-After: 5");
	ask(f, "POST /own" HEAD PERSON BODY);
	expect(f->text, "HTTP/1.1 201");
	ask(f, "POST /open" HEAD BODY);
	expect(f->text, "HTTP/1.1 201");
	post(f, "X-Person: bob\r\n", LARGE);
	expect(f->text, "HTTP/1.1 201");
	close_all(fds, NV_ARRAY_LEN(fds));
	do /* until the server has noticed */
		post(f, PERSON, LARGE);
	while (!strstr(f->text, "HTTP/1.1 201"));
}

static void one_persons_bodies_leave_room_for_others(void **state)
{
	struct fixture f = {.options = {.max_connections = 100, .max_body = LARGE}};
	(void)state;
	run(&f, hoarding_client);
}

/* Ten large bodies of each person; seven people fill the room, but for what a body that came in
 * between had taken when theirs were refused. */
#define CROWD 120u

static void fill_room(struct fixture *f, int fds[CROWD])
{
	memset(f->text, 0, sizeof f->text);
	for (unsigned i = 0; i < CROWD; i++) {
		nv_auto_free char *head = nv_asprintf(
			"POST /own" HEAD "X-Person: p%u\r\nContent-Length: 1000000\r\n\r\n",
			i / 10);
		fds[i] = -1;
		if (strstr(f->text, "HTTP/1.1 503"))
			continue;
		fds[i] = client_connect(f);
		send_large(fds[i], head, LARGE - 1);
		if (i >= 70)
			post(f, PERSON, 60000);
	}
	expect(f->text, "HTTP/1.1 503");
	expect(f->text, "Retry-After: 5");
}

static void full_room_client(struct fixture *f)
{
	int fds[CROWD], small[20];
	fill_room(f, fds);
	for (size_t i = 0; i < NV_ARRAY_LEN(small); i++) {
		small[i] = client_connect(f);
		send_large(small[i], "POST /own" HEAD PERSON "Content-Length: 16000\r\n\r\n",
			   15999);
	}
	ask(f, "POST /open" HEAD BODY);
	expect(f->text, "HTTP/1.1 201");
	for (size_t i = 0; i < NV_ARRAY_LEN(small); i++) {
		client_send(small[i], "x");
		client_read(small[i], f->text, sizeof f->text, "\r\n\r\n");
		expect(f->text, "HTTP/1.1 201");
	}
	close_all(small, NV_ARRAY_LEN(small));
	close_all(fds, CROWD);
}

static void small_bodies_need_no_room(void **state)
{
	struct fixture f = {.options = {.max_connections = 200, .max_body = LARGE}};
	(void)state;
	run(&f, full_room_client);
}

static void chunks_client(struct fixture *f)
{
	int fds[CROWD];
	fill_room(f, fds);
	int fd = client_connect(f);
	send_large(fd, "POST /own" HEAD PERSON "Transfer-Encoding: chunked\r\n\r\n1e8480\r\n",
		   2 * LARGE);
	client_send(fd, "\r\n");
	for (int i = 0; i < 100000; i++)
		client_send(fd, "1\r\nx\r\n");
	client_send(fd, "0\r\n\r\n");
	client_read(fd, f->text, sizeof f->text, NULL);
	expect(f->text, "HTTP/1.1 503");
	const char *first = strstr(f->text, "Retry-After");
	expect(f->text, "Retry-After");
	expect_not(first + 1, "Retry-After");
	close(fd);
	close_all(fds, CROWD);
}

static void what_follows_a_refused_body_changes_nothing(void **state)
{
	struct fixture f = {.options = {.max_connections = 200, .max_body = 4 * LARGE}};
	(void)state;
	run(&f, chunks_client);
}

static void small_client(struct fixture *f)
{
	int fd = client_connect(f);
	send_large(fd, "POST /open" HEAD "Content-Length: 100\r\n\r\n", 100);
	client_read(fd, f->text, sizeof f->text, NULL);
	expect(f->text, "POST|/open|");
	close(fd);
	fd = client_connect(f);
	send_large(fd, "POST /open" HEAD "Content-Length: 101\r\n\r\n", 101);
	client_read(fd, f->text, sizeof f->text, NULL);
	expect(f->text, "HTTP/1.1 413");
	close(fd);
	fd = client_connect(f);
	send_large(fd, "POST /open" HEAD "Transfer-Encoding: chunked\r\n\r\n65\r\n", 101);
	client_send(fd, "\r\n0\r\n\r\n");
	client_read(fd, f->text, sizeof f->text, NULL);
	expect(f->text, "HTTP/1.1 413");
	close(fd);
}

static void an_open_route_takes_small_bodies_only(void **state)
{
	struct fixture f = {0};
	(void)state;
	run(&f, small_client);
}

static void leaving_early_client(struct fixture *f)
{
	int fd = client_connect(f);
	client_send(fd, "POST /slow" HEAD PERSON BODY);
	close(fd);
	do
		ask(f, "GET /open" HEAD "\r\n");
	while (!f->waiting);
	/* admitted when nobody is there any more */
	usleep(60000);
	ask(f, "GET /open" HEAD "\r\n");
}

static void who_leaves_before_being_admitted_is_forgotten(void **state)
{
	struct fixture f = {0};
	(void)state;
	run(&f, leaving_early_client);
}

static void undecided_client(struct fixture *f)
{
	int fd = client_connect(f);
	client_send(fd, "POST /never" HEAD "Content-Length: 3\r\n\r\nabc");
	client_read(fd, f->text, sizeof f->text, NULL);
	expect(f->text, "HTTP/1.1 503");
	close(fd);
}

static void closing_answers_also_who_is_not_admitted_yet(void **state)
{
	struct fixture f = {.close_timeout = 50};
	(void)state;
	run(&f, undecided_client);
	nv_http_admit(f.waiting, "ada"); /* after everything */
}

static void last_stream_client(struct fixture *f)
{
	int fd = client_connect(f);
	client_send(fd, "GET /last" HEAD PERSON "\r\n");
	client_read(fd, f->text, sizeof f->text, NULL);
	expect(f->text, "HTTP/1.1 200");
	expect_not(f->text, ": hello");
	close(fd);
}

static void a_stream_that_begins_during_the_close_ends_at_once(void **state)
{
	struct fixture f = {.close_timeout = 500};
	(void)state;
	run(&f, last_stream_client);
	assert_int_equal(f.gone, 1);
}

/* --- who leaves --- */

static void until_gone(struct fixture *f, const char *want)
{
	do
		ask(f, "GET /gone" HEAD "\r\n");
	while (!strstr(f->text, want));
}

static void leaving_client(struct fixture *f)
{
	int fd = client_connect(f);
	client_send(fd, "GET /any-stream" HEAD "\r\n");
	client_read(fd, f->text, sizeof f->text, ": hello");
	close(fd);
	until_gone(f, "gone 1"); /* though nothing was sent to it */
	fd = client_connect(f);
	client_send(fd, "GET /told" HEAD "\r\n");
	do
		ask(f, "GET /gone" HEAD "\r\n");
	while (!f->waiting);
	expect(f->text, "gone 1");
	close(fd);
	until_gone(f, "gone 2");
}

static void a_reader_that_leaves_is_noticed_at_once(void **state)
{
	struct fixture f = {0};
	(void)state;
	run(&f, leaving_client);
	assert_int_equal(f.gone, 2);
	nv_http_reply(f.waiting, 200, "text/plain", "x", 1); /* into the void */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_body_of_unclear_length_is_refused_and_nothing_behind_it_read),
		cmocka_unit_test(a_deadline_is_for_the_whole_and_not_for_each_byte),
		cmocka_unit_test(slow_clients_of_one_address_keep_out_only_one_another),
		cmocka_unit_test(another_address_is_not_touched),
		cmocka_unit_test(of_too_many_that_wait_the_oldest_go),
		cmocka_unit_test(a_full_server_says_503_and_still_serves_probes),
		cmocka_unit_test(people_behind_one_address_count_for_themselves),
		cmocka_unit_test(who_is_known_counts_for_themselves_while_they_wait_to_be_admitted),
		cmocka_unit_test(behind_a_trusted_proxy_the_peers_own_address_counts),
		cmocka_unit_test(who_is_admitted_reaches_the_handler),
		cmocka_unit_test(nobodys_body_is_not_kept),
		cmocka_unit_test(one_persons_bodies_leave_room_for_others),
		cmocka_unit_test(small_bodies_need_no_room),
		cmocka_unit_test(what_follows_a_refused_body_changes_nothing),
		cmocka_unit_test(an_open_route_takes_small_bodies_only),
		cmocka_unit_test(who_leaves_before_being_admitted_is_forgotten),
		cmocka_unit_test(closing_answers_also_who_is_not_admitted_yet),
		cmocka_unit_test(a_stream_that_begins_during_the_close_ends_at_once),
		cmocka_unit_test(a_reader_that_leaves_is_noticed_at_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
