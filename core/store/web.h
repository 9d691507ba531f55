/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One request through libcurl, common to the HTTP backends: connection reuse, TLS, stall timeouts,
 * mapping of answers to errors. */
#ifndef NV_STORE_WEB_H
#define NV_STORE_WEB_H

#include <curl/curl.h>
#include <pthread.h>

#include "core/store/store_internal.h"

#define NV_WEB_IDLE 16u		   /* connections kept for reuse */
#define NV_WEB_ASK_FROM 65536u	   /* smaller bodies are sent without waiting for 100 Continue */
#define NV_WEB_ERROR_MAX 4096u	   /* bytes of an error response's body that are read */
#define NV_WEB_HEADERS_MAX 262144u /* bytes of an answer's headers */
#define NV_WEB_ANSWER_MS 120000u   /* for an answer whose body is no object */

struct nv_web_call;

struct nv_web {
	char *url;   /* above all keys, without '/' at the end */
	char *sigv4; /* CURLOPT_AWS_SIGV4's value; NULL: basic authentication */
	void (*finish_headers)(struct nv_web_call *c); /* before each request; may be NULL */
	char *user;
	char *password;
	char *ca_file;
	char *cert_file;
	char *cert_key_file;
	uint64_t connect_timeout; /* ms */
	uint64_t stall_timeout;	  /* ms */

	pthread_mutex_t lock; /* of the rest */
	CURL *idle[NV_WEB_IDLE];
	size_t idle_len;
};
/* Checks store.url, takes the section's access and time limits; NV_FATAL/config. */
int nv_web_init(struct nv_web *h, const struct nv_config *config, struct nv_err *err);
void nv_web_fini(struct nv_web *h);

/* One request.  A body with status 2xx goes to body_cb; others are discarded. */
struct nv_web_call {
	struct nv_web *web;
	const char *operation; /* for messages: "put", "get" … */
	const char *key;
	const struct nv_job *job;
	int (*body_cb)(void *ctx, const void *data, size_t len, struct nv_err *err);
	void *body_ctx;
	const struct nv_source *upload;
	bool object; /* no time limit while bytes keep moving in either direction */

	CURL *curl;
	struct curl_slist *headers;
	char error[CURL_ERROR_SIZE];
	struct nv_err err; /* error of a callback; kind NV_OK: none */
	/* the answer */
	int status;
	char reason[64];
	uint64_t range_start;
	uint64_t range_total; /* of Content-Range; 0 where there is none */
	uint64_t body;	      /* bytes that body_cb took, or of a refusal */
	char payload[72];     /* to be signed: a body's SHA-256 in hex, or a word; "": no body */
	char etag[128];	      /* without its quotes */
	char refusal[NV_WEB_ERROR_MAX + 1]; /* the beginning of an error response's body */
	size_t headers_len;
	/* stall */
	uint64_t began; /* nv_mono_ms */
	uint64_t moved;
	uint64_t moved_at; /* nv_mono_ms */
};

/* Sets the options common to all requests. */
void nv_web_begin(struct nv_web_call *c, struct nv_web *http, const char *operation,
		  const char *key, const struct nv_job *job);
/* PUT size bytes of a source (borrowed); ask: send Expect: 100-continue, so that the server can
 * refuse before the body is sent. */
void nv_web_upload(struct nv_web_call *c, const struct nv_source *from, uint64_t size, bool ask);
void nv_web_header(struct nv_web_call *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* 0: there is an answer, c->status; -1: there is none or a callback failed.  *ret_broken (may be
 * NULL): the connection broke or stalled, trying again makes sense. */
int nv_web_perform(struct nv_web_call *c, bool *ret_broken, struct nv_err *err);
/* The error that an answer means. */
int nv_web_refused(const struct nv_web_call *c, struct nv_err *err);
void nv_web_end(struct nv_web_call *c);

/* --- operations common to the HTTP backends (web_object.c) --- */

/* Maps a status other than 2xx to an error, for backends that differ from nv_web_refused. */
typedef int (*nv_web_refused_fn)(const struct nv_web_call *c, struct nv_err *err);
/* nv_store_get, _head and _delete. */
int nv_web_get(struct nv_web *h, const char *key, const struct nv_expect *expect,
	       const struct nv_store_to *to, nv_web_refused_fn refused, struct nv_err *err);
int nv_web_head(struct nv_web *h, const char *key, bool *ret_exists, uint64_t *ret_size,
		nv_web_refused_fn refused, struct nv_err *err);
int nv_web_delete(struct nv_web *h, const char *key, nv_web_refused_fn refused, struct nv_err *err);

#endif
