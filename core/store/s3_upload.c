/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Uploads a large object in parts, several at once, each held in memory while it is sent.  Parts
 * from an earlier attempt stay on the server: those whose MD5 (S3's ETag of a part) equals that of
 * the bytes we read are not sent again. */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/thread_pool.h"
#include "core/store/s3.h"

#define TRIES 3u /* of one part, while connections break */
#define PAGES_MAX 1000u

struct part {
	char etag[128]; /* "": not sent yet */
	uint64_t size;
};

/* A part under way. */
struct buffer {
	struct buffer *next; /* idle one */
	struct buffer *older;
	unsigned n; /* which */
	size_t size;
	uint8_t *data; /* part_size bytes */
};

struct upload {
	struct nv_s3 *s3;
	struct nv_checked_source *in;
	const struct nv_job *job;
	char *id; /* encoded for a query */
	uint64_t part_size;
	unsigned parts_len;
	struct part *parts; /* each is written by whoever sends it */
	struct nv_thread_pool *crew;
	pthread_mutex_t lock; /* of the following */
	pthread_cond_t returned;
	bool failed; /* a part; the crew says why */
	struct buffer *idle;
	struct buffer *all;
	unsigned buffers; /* of all */
};

/* --- what is there already --- */

struct found {
	const char *key; /* as the server has it */
	char *id;
	char *started;
};

static int look_at_upload(void *arg, const char *const *values)
{
	struct found *f = arg;
	bool newer = !f->started || (values[2] && strcmp(values[2], f->started) > 0);
	if (!values[0] || !values[1] || strcmp(values[0], f->key) != 0 || !newer)
		return 0;
	free(f->id);
	free(f->started);
	f->id = nv_strdup(values[1]);
	f->started = nv_strdup(values[2] ? values[2] : "");
	return 0;
}

/* It has no such listing, or not for us; the upload itself will show what is wrong besides. */
static bool cannot_list(int status)
{
	return status == 501 || (status >= 400 && status < 500 && status != 408 && status != 429);
}

/* The newest unfinished upload of this object; u->id stays NULL where there is none, or the server
 * cannot tell. */
static int find_upload(struct upload *u, struct nv_err *err)
{
	static const char *const names[] = {"Key", "UploadId", "Initiated", NULL};
	nv_auto_buf struct nv_buf xml = {0};
	nv_auto_free char *key = nv_asprintf("%s%s", u->s3->prefix, u->in->key);
	nv_auto_free char *escaped = nv_s3_escape(key);
	nv_auto_free char *query = nv_asprintf("prefix=%s&uploads=", escaped);
	struct found f = {.key = key};
	struct nv_web_call c;
	nv_s3_begin(&c, u->s3, "look for uploads of", NULL, query, u->job);
	int rc = nv_s3_ask(&c, &xml, err);
	int status = c.status;
	nv_web_end(&c);
	if (rc < 0)
		return cannot_list(status) ? 0 : -1;
	rc = nv_s3_each(xml.data, xml.len, "Upload", names, look_at_upload, &f, err);
	if (rc == 0 && f.id)
		u->id = nv_s3_escape(f.id);
	free(f.id);
	free(f.started);
	return rc;
}

static int look_at_part(void *arg, const char *const *values)
{
	struct upload *u = arg;
	unsigned long n = values[0] ? strtoul(values[0], NULL, 10) : 0;
	if (n < 1 || n > u->parts_len || !values[1] || !values[2])
		return 0;
	struct part *p = &u->parts[n - 1];
	const char *etag = values[1] + strspn(values[1], "\"");
	(void)snprintf(p->etag, sizeof p->etag, "%.*s", (int)strcspn(etag, "\""), etag);
	p->size = strtoull(values[2], NULL, 10);
	return 0;
}

static int find_parts(struct upload *u, struct nv_err *err)
{
	static const char *const names[] = {"PartNumber", "ETag", "Size", NULL};
	char marker[32] = "";
	for (unsigned page = 0; page < PAGES_MAX; page++) {
		nv_auto_buf struct nv_buf xml = {0};
		nv_auto_free char *query =
			nv_asprintf("%s%s%suploadId=%s", *marker ? "part-number-marker=" : "",
				    marker, *marker ? "&" : "", u->id);
		struct nv_web_call c;
		nv_s3_begin(&c, u->s3, "list parts of", u->in->key, query, u->job);
		int rc = nv_s3_ask(&c, &xml, err);
		nv_web_end(&c);
		if (rc < 0)
			return -1;
		if (nv_s3_each(xml.data, xml.len, "Part", names, look_at_part, u, err) < 0)
			return -1;
		nv_auto_free char *next = nv_s3_text(xml.data, xml.len, "NextPartNumberMarker");
		nv_auto_free char *more = nv_s3_text(xml.data, xml.len, "IsTruncated");
		if (!more || strcmp(more, "true") != 0 || !next)
			return 0;
		(void)snprintf(marker, sizeof marker, "%lu", strtoul(next, NULL, 10));
	}
	return 0;
}

/* --- requests --- */

static int begin_upload(struct upload *u, struct nv_err *err)
{
	nv_auto_buf struct nv_buf xml = {0};
	struct nv_web_call c;
	nv_s3_begin(&c, u->s3, "begin upload of", u->in->key, "uploads=", u->job);
	curl_easy_setopt(c.curl, CURLOPT_POST, 1L);
	curl_easy_setopt(c.curl, CURLOPT_POSTFIELDS, "");
	curl_easy_setopt(c.curl, CURLOPT_POSTFIELDSIZE, 0L);
	nv_s3_new_object(&c, u->s3);
	int rc = nv_s3_ask(&c, &xml, err);
	nv_web_end(&c);
	if (rc < 0)
		return -1;
	nv_auto_free char *id = nv_s3_text(xml.data, xml.len, "UploadId");
	if (!id)
		return nv_fail(err, NV_RETRY, NV_R_store_unavailable,
			       "store: put %s: the server begins an upload without an id",
			       u->in->key);
	u->id = nv_s3_escape(id);
	return 0;
}

static int send_once(struct upload *u, const struct buffer *b, bool *ret_broken, struct nv_err *err)
{
	nv_auto_free char *query = nv_asprintf("partNumber=%u&uploadId=%s", b->n + 1, u->id);
	struct nv_bytes rest = {b->data, b->size};
	struct nv_source from = nv_source_bytes(&rest);
	struct nv_web_call c;
	nv_s3_begin(&c, u->s3, "put", u->in->key, query, u->job);
	nv_web_upload(&c, &from, b->size, false);
	if (u->s3->encrypted)
		(void)snprintf(c.payload, sizeof c.payload, "UNSIGNED-PAYLOAD");
	else
		nv_hash_hex(NV_SHA256, b->data, b->size, c.payload);
	int rc = nv_web_perform(&c, ret_broken, err);
	if (rc == 0 && (c.status < 200 || c.status > 299))
		rc = nv_s3_refused(&c, err);
	if (rc == 0 && !*c.etag)
		rc = nv_fail(err, NV_RETRY, NV_R_store_unavailable,
			     "store: put %s: the server gives a part no ETag", u->in->key);
	if (rc == 0)
		(void)snprintf(u->parts[b->n].etag, sizeof u->parts[b->n].etag, "%s", c.etag);
	nv_web_end(&c);
	return rc;
}

static int send_part(struct upload *u, const struct buffer *b, struct nv_err *err)
{
	for (unsigned try = 1;; try++) {
		bool broken = false;
		int rc = send_once(u, b, &broken, err);
		if (rc == 0 || !broken || try == TRIES)
			return rc;
	}
}

static int complete(struct upload *u, struct nv_err *err)
{
	nv_auto_buf struct nv_buf body = {0};
	nv_auto_buf struct nv_buf xml = {0};
	nv_auto_free char *query = nv_asprintf("uploadId=%s", u->id);
	nv_buf_puts(&body, "<CompleteMultipartUpload>");
	for (unsigned n = 0; n < u->parts_len; n++)
		nv_buf_printf(&body, "<Part><PartNumber>%u</PartNumber><ETag>\"%s\"</ETag></Part>",
			      n + 1, u->parts[n].etag);
	nv_buf_puts(&body, "</CompleteMultipartUpload>");
	struct nv_web_call c;
	nv_s3_begin(&c, u->s3, "complete", u->in->key, query, u->job);
	nv_web_header(&c, "Content-Type: application/xml");
	curl_easy_setopt(c.curl, CURLOPT_POST, 1L);
	curl_easy_setopt(c.curl, CURLOPT_POSTFIELDS, (char *)body.data);
	curl_easy_setopt(c.curl, CURLOPT_POSTFIELDSIZE, (long)body.len);
	nv_hash_hex(NV_SHA256, body.data, body.len, c.payload);
	int rc = nv_s3_ask(&c, &xml, err);
	nv_web_end(&c);
	if (rc < 0)
		return -1;
	/* It answers 200 before it begins, and says in the body how it went. */
	nv_auto_free char *code = nv_s3_text(xml.data, xml.len, "Code");
	nv_auto_free char *text = nv_s3_text(xml.data, xml.len, "Message");
	if (!code)
		return 0;
	return nv_fail(err, NV_RETRY, NV_R_store_unavailable, "store: complete %s: %s%s%s",
		       u->in->key, code, text ? ": " : "", text ? text : "");
}

static int abort_upload(struct nv_s3 *s3, const char *key, const char *id, struct nv_err *err)
{
	nv_auto_free char *query = nv_asprintf("uploadId=%s", id);
	struct nv_web_call c;
	nv_s3_begin(&c, s3, "abort upload of", key, query, NULL);
	curl_easy_setopt(c.curl, CURLOPT_CUSTOMREQUEST, "DELETE");
	int rc = nv_s3_ask(&c, NULL, err);
	int status = c.status;
	nv_web_end(&c);
	return rc < 0 && status == 404 ? 0 : rc;
}

/* --- memory: a buffer for each upload, and so many more for all of the store --- */

static bool may_have_another(struct upload *u)
{
	pthread_mutex_lock(&u->s3->lock);
	bool may = u->buffers == 0 || u->s3->spare > 0;
	if (may && u->buffers > 0)
		u->s3->spare--;
	pthread_mutex_unlock(&u->s3->lock);
	return may;
}

static struct buffer *new_buffer(struct upload *u)
{
	struct buffer *b = nv_alloc(sizeof *b);
	b->data = nv_alloc((size_t)u->part_size);
	b->older = u->all;
	u->all = b;
	u->buffers++;
	return b;
}

/* NULL: a part has failed. */
static struct buffer *take_buffer(struct upload *u)
{
	struct buffer *b = NULL;
	pthread_mutex_lock(&u->lock);
	if (!u->idle && !u->failed && may_have_another(u))
		b = new_buffer(u);
	while (!b && !u->failed) {
		b = u->idle;
		if (b)
			u->idle = b->next;
		else
			pthread_cond_wait(&u->returned, &u->lock);
	}
	pthread_mutex_unlock(&u->lock);
	return b;
}

static void return_buffer(struct upload *u, struct buffer *b, bool failed)
{
	pthread_mutex_lock(&u->lock);
	b->next = u->idle;
	u->idle = b;
	u->failed = u->failed || failed;
	pthread_cond_signal(&u->returned);
	pthread_mutex_unlock(&u->lock);
}

static void free_buffers(struct upload *u)
{
	pthread_mutex_lock(&u->s3->lock);
	if (u->buffers)
		u->s3->spare += u->buffers - 1;
	pthread_mutex_unlock(&u->s3->lock);
	while (u->all) {
		struct buffer *b = u->all;
		u->all = b->older;
		free(b->data);
		free(b);
	}
}

/* --- the whole --- */

static int read_part(struct upload *u, struct buffer *b, struct nv_err *err)
{
	for (size_t have = 0; have < b->size;) {
		ssize_t n = nv_job_check(u->job, err) < 0
				    ? -1
				    : nv_checked_source_read(u->in, b->data + have, b->size - have,
							     err);
		if (n < 0)
			return -1;
		have += (size_t)n;
	}
	return 0;
}

/* Is it with the server, with these bytes? */
static bool is_there(const struct upload *u, const struct buffer *b)
{
	char md5[NV_MD5_LEN * 2 + 1];
	if (!*u->parts[b->n].etag || u->parts[b->n].size != b->size)
		return false;
	nv_hash_hex(NV_MD5, b->data, b->size, md5);
	return strcmp(md5, u->parts[b->n].etag) == 0;
}

/* A thread of the crew. */
static int send_and_return(void *ctx, void *item, struct nv_err *err)
{
	struct upload *u = ctx;
	int rc = send_part(u, item, err);
	return_buffer(u, item, rc < 0);
	return rc;
}

/* Read part after part, and give each to the crew unless the server has it; ends early when a part
 * has failed. */
static int read_all(struct upload *u, uint64_t *found, struct nv_err *err)
{
	uint64_t left = u->in->expect->size;
	for (unsigned n = 0; n < u->parts_len; n++) {
		struct buffer *b = take_buffer(u);
		if (!b)
			return 0;
		b->n = n;
		b->size = (size_t)(left < u->part_size ? left : u->part_size);
		left -= b->size;
		if (read_part(u, b, err) < 0)
			return -1;
		if (!is_there(u, b)) {
			nv_thread_pool_give(u->crew, b);
			continue;
		}
		*found += b->size;
		return_buffer(u, b, false);
	}
	return 0;
}

static int send_all(struct upload *u, struct nv_err *err)
{
	uint64_t found = 0;
	u->crew = nv_thread_pool_new(u->s3->transfers, send_and_return, u);
	int rc = read_all(u, &found, err);
	if (rc == 0)
		rc = nv_thread_pool_end(u->crew, err);
	else
		nv_thread_pool_abandon(u->crew);
	if (rc == 0 && found)
		NV_LOG(NV_INFO, "store.resumed", NV_S("key", u->in->key), NV_U("bytes", found));
	return rc;
}

int nv_s3_put_parts(struct nv_s3 *s3, struct nv_checked_source *in, const struct nv_job *job,
		    struct nv_err *err)
{
	uint64_t size = in->expect->size;
	struct upload u = {.s3 = s3, .in = in, .job = job, .part_size = NV_S3_PART};
	struct nv_err ignored = {0};
	while (u.part_size * NV_S3_PARTS_MAX < size)
		u.part_size *= 2;
	u.parts_len = (unsigned)((size + u.part_size - 1) / u.part_size);
	u.parts = nv_alloc(u.parts_len * sizeof *u.parts);
	pthread_mutex_init(&u.lock, NULL);
	pthread_cond_init(&u.returned, NULL);
	int rc = find_upload(&u, err);
	if (rc == 0)
		rc = u.id ? find_parts(&u, err) : begin_upload(&u, err);
	if (rc == 0)
		rc = send_all(&u, err);
	if (rc == 0)
		rc = complete(&u, err);
	/* The source is not what was announced: nothing of it is of use.  Otherwise the next try
	 * goes on where this one ended. */
	if (rc < 0 && u.id && err && err->kind == NV_REJECT)
		abort_upload(s3, in->key, u.id, &ignored);
	free_buffers(&u);
	pthread_mutex_destroy(&u.lock);
	pthread_cond_destroy(&u.returned);
	free(u.id);
	free(u.parts);
	return rc;
}

/* --- what nobody goes on with --- */

struct sweeping {
	struct nv_s3 *s3;
	uint64_t now;
};

static int sweep_one(void *arg, const char *const *values)
{
	const struct sweeping *s = arg;
	size_t skip = strlen(s->s3->prefix);
	uint64_t began = nv_s3_time(values[2]);
	struct nv_err err = {0};
	if (!values[0] || !values[1] || strncmp(values[0], s->s3->prefix, skip) != 0 || !began ||
	    began > s->now || s->now - began <= s->s3->grace)
		return 0;
	nv_auto_free char *id = nv_s3_escape(values[1]);
	if (abort_upload(s->s3, values[0] + skip, id, &err) < 0)
		NV_LOG(NV_WARN, "upload.left", NV_S("key", values[0]), NV_E(&err));
	return 0;
}

int nv_s3_sweep(void *impl, struct nv_err *err)
{
	static const char *const names[] = {"Key", "UploadId", "Initiated", NULL};
	struct sweeping s = {impl, nv_now_ms()};
	nv_auto_free char *prefix = nv_s3_escape(s.s3->prefix);
	nv_auto_buf struct nv_buf xml = {0};
	nv_auto_free char *query = nv_asprintf("prefix=%s&uploads=", prefix);
	struct nv_web_call c;
	nv_s3_begin(&c, s.s3, "list uploads", NULL, query, NULL);
	int rc = nv_s3_ask(&c, &xml, err);
	int status = c.status;
	nv_web_end(&c);
	if (rc < 0) /* 501: the server keeps no such list; its own life cycle rules do it */
		return status == 501 || status == 405 ? 0 : -1;
	return nv_s3_each(xml.data, xml.len, "Upload", names, sweep_one, &s, err);
}
