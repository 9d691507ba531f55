/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Shared by the files of the S3 backend: s3.c is the backend and one request of it, s3_upload.c
 * sends a large object in parts, s3_xml.c reads and makes the documents.
 *
 * The protocol is Amazon's S3 REST API of 2006-03-01, signed with Signature Version 4 by libcurl.
 * libcurl 7.88 signs query and path as given (so queries are sorted and encoded here), and the
 * payload's hash only if the header x-amz-content-sha256 has it. */
#ifndef NV_STORE_S3_H
#define NV_STORE_S3_H

#include <pthread.h>

#include "core/store/web.h"

/* Of a part, but the last: S3 wants at least 5 MiB; at most 10,000 parts. */
#define NV_S3_PART 8388608u
#define NV_S3_PARTS_MAX 10000u
/* Bytes of an XML document: 1,000 keys of 1,024 bytes, each written as an entity of 6, and more. */
#define NV_S3_ANSWER_MAX 8388608u

struct nv_s3 {
	struct nv_web web; /* its url: endpoint, bucket and prefix */
	char *bucket_url;
	char *prefix; /* of all keys, "" or ending in '/' */
	char *session_token;
	/* x-amz-server-side-encryption; NULL: as the bucket has it.  A KMS key is the bucket's own:
	 * a second header, whose name begins with this one's, libcurl 7.88 would sign in the wrong
	 * order. */
	char *encryption;
	uint64_t grace;	    /* ms: older uploads are abandoned */
	bool encrypted;	    /* https: the payload need not be signed as well */
	unsigned transfers; /* parts of one object at once */
	pthread_mutex_t lock;
	unsigned spare; /* buffers that may be had besides the one of each upload */
};

/* query: sorted and encoded, NULL: none.  key NULL: the bucket. */
void nv_s3_begin(struct nv_web_call *c, struct nv_s3 *s3, const char *operation, const char *key,
		 const char *query, const struct nv_job *job);
/* The headers of whatever makes a new object. */
void nv_s3_new_object(struct nv_web_call *c, const struct nv_s3 *s3);
/* Perform the request and require 2xx; the body goes into ret (may be NULL). */
int nv_s3_ask(struct nv_web_call *c, struct nv_buf *ret, struct nv_err *err);
/* nv_web_refused_fn: with S3's own error message. */
int nv_s3_refused(const struct nv_web_call *c, struct nv_err *err);
char *nv_s3_escape(const char *text); /* for a query; owned */

/* s3_upload.c */
int nv_s3_put_parts(struct nv_s3 *s3, struct nv_checked_source *in, const struct nv_job *job,
		    struct nv_err *err);
int nv_s3_sweep(void *impl, struct nv_err *err);

/* s3_xml.c */

/* The text of the first element of that name, anywhere in the document; owned, NULL: none. */
char *nv_s3_text(const void *xml, size_t len, const char *name);
/* Each element `item` with the texts of its children `names` (at most 4, NULL-terminated; values
 * NULL where missing, borrowed for the call); -1: not XML. */
int nv_s3_each(const void *xml, size_t len, const char *item, const char *const *names,
	       int (*cb)(void *arg, const char *const *values), void *arg, struct nv_err *err);
/* "2026-11-27T16:44:31.000Z" → ms since the epoch; 0: not a time. */
uint64_t nv_s3_time(const char *text);

#endif
