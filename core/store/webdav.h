/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Between the WebDAV backend's files: webdav_http.c does one request and maps its errors,
 * webdav_folders.c makes folders where a server wants that, webdav_list.c lists, webdav.c is the
 * backend. */
#ifndef NV_STORE_WEBDAV_H
#define NV_STORE_WEBDAV_H

#include <curl/curl.h>
#include <pthread.h>

#include "core/store/internal.h"

#define NV_DAV_IDLE 16u /* connections kept for reuse */

/* Does the server make the folders above an object by itself? */
enum nv_dav_folders { NV_DAV_FOLDERS_UNKNOWN, NV_DAV_FOLDERS_MADE, NV_DAV_FOLDERS_WANTED };

struct nv_dav {
	char *url; /* without '/' at the end */
	char *user;
	char *password;
	char *ca_file;
	char *cert_file;
	char *cert_key_file;
	uint64_t connect_timeout; /* ms */
	uint64_t stall_timeout;	  /* ms */

	pthread_mutex_t lock; /* of the rest */
	CURL *idle[NV_DAV_IDLE];
	size_t idle_len;
	enum nv_dav_folders folders;
	char **known; /* folders that exist */
	size_t known_len;
};

/* One request.  A body that arrives with status 2xx goes to body_cb; another is thrown away. */
struct nv_dav_call {
	struct nv_dav *dav;
	const char *operation; /* for messages: "put", "get" … */
	const char *key;
	const struct nv_job *job;
	int (*body_cb)(void *ctx, const void *data, size_t len, struct nv_err *err);
	void *body_ctx;
	struct nv_intake *upload;

	CURL *curl;
	struct curl_slist *headers;
	char error[CURL_ERROR_SIZE];
	struct nv_err err; /* what a callback of ours met; kind NV_OK: nothing */
	/* the answer */
	int status;
	char reason[64];
	uint64_t range_start;
	uint64_t range_total; /* of Content-Range; 0 where there is none */
	uint64_t body;	      /* bytes that body_cb took */
	/* stall */
	uint64_t moved;
	uint64_t moved_at; /* nv_mono_ms */
};

/* Fills in the options that every request has. */
void nv_dav_begin(struct nv_dav_call *c, struct nv_dav *dav, const char *operation, const char *key,
		  const struct nv_job *job);
void nv_dav_upload(struct nv_dav_call *c, struct nv_intake *in);
/* 0: there is an answer, c->status; -1: there is none or a callback failed.  *ret_broken (may be
 * NULL): the connection broke or stalled, trying again makes sense. */
int nv_dav_perform(struct nv_dav_call *c, bool *ret_broken, struct nv_err *err);
/* The error that an answer means. */
int nv_dav_refused(const struct nv_dav_call *c, struct nv_err *err);
void nv_dav_end(struct nv_dav_call *c);

/* Make sure that the folders above key are there, or that the server makes them. */
int nv_dav_folders_for(struct nv_dav *dav, const char *key, const struct nv_job *job,
		       struct nv_err *err);
int nv_dav_list(void *impl, const char *prefix, nv_store_list_cb cb, void *arg, struct nv_err *err);

#endif
