/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Shared by the files of the seed-ws site and their test only.
 *
 * A course server that has only the older block my_external_backup_restore_courses is asked over
 * HTTPS: its two web-service functions, two of Moodle's own that the block's service holds as well,
 * and its download script.  All parameters, including the token, travel in the body of a POST, so
 * that the token never appears in an address; and text from the other side passes nv_seed_quote
 * before it is used in a message, so that the token cannot get there.
 *
 *   nv_seed_session_begin → calls, one after the other, on one connection → nv_seed_session_end */
#ifndef NV_SITE_SEED_WS_SEED_WS_H
#define NV_SITE_SEED_WS_SEED_WS_H

#include <curl/curl.h>
#include <jansson.h>
#include <pthread.h>

#include "core/site/site.h"

struct nv_seed {
	struct nv_site base; /* first */
	char *url;	     /* without '/' at the end */
	char *token;
	char *ca_file;	/* NULL: the system's */
	char *work_dir; /* downloads get folders of their own below it */
	struct nv_archive_limits limits;
	uint64_t timeout;	 /* of a short question, and of a download's silence; ms */
	uint64_t backup_timeout; /* of the web request in which the backup is made; ms */
	uint64_t pause;		 /* before a broken download goes on, doubled each time; ms */

	/* Held from a backup to the last byte of its download: Moodle stores backups without user
	 * data under one name, so the next backup of any course overwrites it. */
	pthread_mutex_t backups;

	pthread_mutex_t lock; /* of the rest: cached facts about the site */
	uint64_t version;
	uint64_t version_until; /* nv_mono_ms; 0: not asked yet */
};

static inline struct nv_seed *nv_seed(struct nv_site *s)
{
	return (struct nv_seed *)s;
}

static inline void nv_seed_json_free(json_t **json)
{
	json_decref(*json);
}
#define nv_auto_json __attribute__((cleanup(nv_seed_json_free)))

/* --- requests (seed_ws_http.c) --- */

struct nv_seed_session {
	const struct nv_seed *site;
	const struct nv_job *job; /* may be NULL */
	enum nv_reason reason;	  /* of a failure that has no better one */
	CURL *curl;
};
void nv_seed_session_begin(struct nv_seed_session *s, const struct nv_seed *site,
			   const struct nv_job *job, enum nv_reason reason);
void nv_seed_session_end(struct nv_seed_session *s);

/* One POST.  body_cb gets the answer's body, whatever its status; -1 with err ends the transfer. */
struct nv_seed_post {
	struct nv_seed_session *session;
	const char *what; /* for messages: the function or "download" */
	const char *path; /* below the site's address */
	const char *form; /* "key=value&…" */
	uint64_t timeout; /* of the whole, ms; 0: none but the job's */
	uint64_t silence; /* of a transfer without a byte, ms; 0: none */
	uint64_t from;	  /* ask for the bytes from here on */
	int (*body_cb)(void *ctx, const void *data, size_t len, struct nv_err *err);
	void *ctx;

	char error[CURL_ERROR_SIZE];
	struct nv_err err; /* what a callback met; kind NV_OK: nothing */
	uint64_t moved;	   /* bytes, when that last changed */
	uint64_t moved_at; /* nv_mono_ms */
	bool stalled;
	/* the answer */
	int status;
	char type[80];
	char etag[80];	      /* as it stands there, quotes included */
	bool has_length;      /* Content-Length was given */
	uint64_t length;      /* of this body */
	uint64_t range_start; /* of Content-Range */
	uint64_t range_total; /* 0: there was none */
};
/* 0: there is an answer; -1: there is none or a callback failed.  *ret_broken (may be NULL): the
 * connection broke or stalled, trying again at once makes sense. */
int nv_seed_post(struct nv_seed_post *p, bool *ret_broken, struct nv_err *err);
/* Append key=value, encoded. */
void nv_seed_form_add(struct nv_buf *form, const char *key, const char *value);
/* Overwrite and free a form: it holds the token. */
void nv_seed_form_wipe(struct nv_buf *form);
#define nv_auto_form __attribute__((cleanup(nv_seed_form_wipe)))

/* --- answers (seed_ws_call.c) --- */

/* Text from the other side, made fit for a message: one short line without the token; free it. */
char *nv_seed_quote(const struct nv_seed *s, const char *text);
/* A body that is kept, up to a limit. */
struct nv_seed_body {
	struct nv_buf buf; /* with its max */
	const char *what;
};
int nv_seed_body_cb(void *ctx, const void *data, size_t len, struct nv_err *err);
/* nv_err.code: Moodle refuses the answer of its own function, since a course's name, say, is not
 * what the function promises.  Other codes are HTTP's. */
#define NV_SEED_INVALID_RESPONSE 1
/* Maps an unusable answer to an error; answer: its JSON, or NULL if it is not JSON. Always -1. */
int nv_seed_refused(const struct nv_seed_post *p, const json_t *answer, struct nv_err *err);

struct nv_seed_call {
	const char *function;
	const char *const *arguments; /* key, value, …, NULL */
	uint64_t timeout;	      /* ms */
	size_t max;		      /* bytes of the answer */
};
/* *ret owned. */
int nv_seed_ask(struct nv_seed_session *s, const struct nv_seed_call *call, json_t **ret,
		struct nv_err *err);

/* --- courses (seed_ws_catalog.c) --- */

struct nv_seed_course {
	const char *shortname; /* borrowed from the answer, like the rest */
	const char *fullname;
	const char *category; /* identifier; NULL: the site tells none */
	uint64_t id;
	uint64_t started; /* seconds; 0: none */
};
/* The array of the user's courses, every one of them checked; *ret owned. */
int nv_seed_courses(struct nv_seed_session *s, const char *user, const struct nv_strs *roles,
		    json_t **ret, struct nv_err *err);
struct nv_seed_course nv_seed_course(const json_t *item);
int nv_seed_catalog(struct nv_site *base, const struct nv_catalog_request *q,
		    struct nv_catalog_reply *ret, struct nv_arena *arena, struct nv_err *err);
/* The site's Moodle version, cached for some minutes. */
int nv_seed_version(struct nv_seed_session *s, uint64_t *ret_version, struct nv_err *err);

/* --- archives (seed_ws_download.c, seed_ws_export.c) --- */

/* Download a file made by the block to path, which must not exist; at most max bytes.
 * *ret_verified: its SHA-1 is the one that the site named. */
int nv_seed_download(struct nv_seed_session *s, uint64_t file, const char *path, uint64_t max,
		     bool *ret_verified, struct nv_err *err);
int nv_seed_export(struct nv_site *base, const struct nv_restore_request *q,
		   const struct nv_config_client *policy, const struct nv_archive_limits *limits,
		   const struct nv_sink *to, const struct nv_job *job, struct nv_manifest *ret,
		   struct nv_strs *ret_warnings, struct nv_arena *arena, struct nv_err *err);

#endif
