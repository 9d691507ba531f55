/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A server of core/http on a loop, its reader on a thread with plain sockets. */
#ifndef TESTS_HTTP_FIXTURE_H
#define TESTS_HTTP_FIXTURE_H

#include <pthread.h>

#include "core/http/http.h"

#define MAX_STREAMS 1000u

struct fixture {
	uv_loop_t loop;
	uv_async_t client_done;
	struct nv_http *http;
	uint16_t port;
	pthread_t thread;
	void (*client)(struct fixture *f);
	uv_timer_t later;
	struct nv_http_request *waiting;
	struct nv_http_request *streams[MAX_STREAMS];
	unsigned streams_len;
	unsigned gone;
	unsigned done;
	unsigned last_status;
	bool closed;
	uint64_t close_timeout;
	unsigned shut;
	char text[4096];
	/* of the server; run fills in what is missing */
	struct nv_http_options options;
};

/* cmocka's asserts jump within the main thread only: a reader that is wrong ends the program. */
void expect(const char *text, const char *want);
void expect_not(const char *text, const char *unwanted);

int client_connect(const struct fixture *f);
/* From another address of this machine. */
int client_connect_from(const struct fixture *f, const char *address);
void client_send(int fd, const char *text);
/* Until the text holds want, or the end. */
size_t client_read(int fd, char *to, size_t max, const char *want);
/* One request on a connection of its own, the whole answer into f->text. */
void ask(struct fixture *f, const char *request);

/* Handlers: method|pattern|…|body; after 30 ms; never; a stream; and what all streams get. */
void handle_echo(void *arg, struct nv_http_request *r);
void handle_later(void *arg, struct nv_http_request *r);
void handle_never(void *arg, struct nv_http_request *r);
void handle_stream(void *arg, struct nv_http_request *r);
void handle_publish(void *arg, struct nv_http_request *r);

/* Serve until the reader is done; f->options: routes at least. */
void run_options(struct fixture *f, void (*client)(struct fixture *f));

#endif
