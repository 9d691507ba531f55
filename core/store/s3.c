/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The S3 backend.  A PUT and the completion of an upload in parts are atomic on the server's side;
 * both happen only when the hash of the whole is right. */
#include "core/store/s3.h"

#include <stdio.h>
#include <string.h>

/* SHA-256 of nothing, as every request without a body says it. */
#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define NAME_LEN 63u /* of a bucket, at most */
#define LIST_PAGES_MAX 100000u

/* --- one request --- */

static void finish_headers(struct nv_web_call *c)
{
	const struct nv_s3 *s3 = (const struct nv_s3 *)(const void *)c->web; /* its first member */
	nv_web_header(c, "x-amz-content-sha256: %s", *c->payload ? c->payload : EMPTY);
	if (s3->session_token)
		nv_web_header(c, "x-amz-security-token: %s", s3->session_token);
}

void nv_s3_begin(struct nv_web_call *c, struct nv_s3 *s3, const char *operation, const char *key,
		 const char *query, const struct nv_job *job)
{
	nv_web_begin(c, &s3->web, operation, key ? key : "", job);
	if (key && !query)
		return;
	nv_auto_free char *url = nv_asprintf("%s/%s%s%s", key ? s3->web.url : s3->bucket_url,
					     key ? key : "", query ? "?" : "", query ? query : "");
	curl_easy_setopt(c->curl, CURLOPT_URL, url);
}

void nv_s3_new_object(struct nv_web_call *c, const struct nv_s3 *s3)
{
	if (s3->encryption)
		nv_web_header(c, "x-amz-server-side-encryption: %s", s3->encryption);
}

char *nv_s3_escape(const char *text)
{
	char *escaped = curl_easy_escape(NULL, text, 0);
	char *own = nv_strdup(escaped);
	curl_free(escaped);
	return own;
}

int nv_s3_refused(const struct nv_web_call *c, struct nv_err *err)
{
	size_t len = strlen(c->refusal);
	nv_auto_free char *code = nv_s3_text(c->refusal, len, "Code");
	nv_auto_free char *text = nv_s3_text(c->refusal, len, "Message");
	nv_web_refused(c, err);
	if (!err || !code)
		return -1;
	if (strcmp(code, "NoSuchBucket") == 0)
		err->reason = NV_R_store_denied;
	else if (strcmp(code, "QuotaExceeded") == 0 || strcmp(code, "XMinioStorageFull") == 0)
		err->reason = NV_R_store_full;
	bool clock = strcmp(code, "RequestTimeTooSkewed") == 0;
	enum nv_reason reason = err->reason;
	nv_fail(err, NV_RETRY, reason, "store: %s %s: %d %s%s%s%s", c->operation, c->key, c->status,
		code, text ? ": " : "", text ? text : "",
		clock ? " (set this machine's clock)" : "");
	err->code = c->status;
	return -1;
}

static int keep_body(void *ctx, const void *data, size_t len, struct nv_err *err)
{
	if (nv_buf_take(ctx, data, len))
		return 0;
	return nv_fail(err, NV_RETRY, NV_R_store_unavailable,
		       "store: the server's answer is larger than %u bytes", NV_S3_ANSWER_MAX);
}

int nv_s3_ask(struct nv_web_call *c, struct nv_buf *ret, struct nv_err *err)
{
	if (ret) {
		ret->max = NV_S3_ANSWER_MAX;
		c->body_cb = keep_body;
		c->body_ctx = ret;
	}
	int rc = nv_web_perform(c, NULL, err);
	if (rc == 0 && (c->status < 200 || c->status > 299))
		rc = nv_s3_refused(c, err);
	return rc;
}

/* --- put --- */

/* All of it in memory: its hash goes into the signature, which is sent first. */
static int put_whole(struct nv_s3 *s3, struct nv_checked_source *in, const struct nv_job *job,
		     struct nv_err *err)
{
	size_t size = (size_t)in->expect->size;
	nv_auto_free uint8_t *data = nv_alloc(size + 1);
	size_t have = 0;
	for (ssize_t n = 1; n > 0; have += (size_t)n) {
		n = nv_job_check(job, err) < 0
			    ? -1
			    : nv_checked_source_read(in, data + have, size + 1 - have, err);
		if (n < 0)
			return -1;
	}
	struct nv_bytes rest = {data, size};
	struct nv_source from = nv_source_bytes(&rest);
	struct nv_web_call c;
	nv_s3_begin(&c, s3, "put", in->key, NULL, job);
	nv_web_upload(&c, &from, size, false);
	nv_hex(in->sha256, NV_SHA256_LEN, c.payload);
	nv_s3_new_object(&c, s3);
	int rc = nv_s3_ask(&c, NULL, err);
	nv_web_end(&c);
	return rc;
}

static int s3_put(void *impl, const char *key, const struct nv_expect *expect,
		  const struct nv_source *from, const struct nv_job *job,
		  uint8_t ret_sha256[NV_SHA256_LEN], struct nv_err *err)
{
	struct nv_s3 *s3 = impl;
	struct nv_checked_source in;
	nv_checked_source_init(&in, key, from, expect);
	int rc = expect->size <= NV_S3_PART ? put_whole(s3, &in, job, err)
					    : nv_s3_put_parts(s3, &in, job, err);
	if (rc == 0)
		memcpy(ret_sha256, in.sha256, NV_SHA256_LEN);
	nv_checked_source_fini(&in);
	return rc;
}

/* --- the rest --- */

static int s3_get(void *impl, const char *key, const struct nv_expect *expect,
		  const struct nv_store_to *to, struct nv_err *err)
{
	struct nv_s3 *s3 = impl;
	return nv_web_get(&s3->web, key, expect, to, nv_s3_refused, err);
}

static int s3_head(void *impl, const char *key, bool *ret_exists, uint64_t *ret_size,
		   struct nv_err *err)
{
	struct nv_s3 *s3 = impl;
	return nv_web_head(&s3->web, key, ret_exists, ret_size, nv_s3_refused, err);
}

static int s3_delete(void *impl, const char *key, struct nv_err *err)
{
	struct nv_s3 *s3 = impl;
	return nv_web_delete(&s3->web, key, nv_s3_refused, err);
}

struct listing {
	const struct nv_s3 *s3;
	nv_store_list_cb cb;
	void *arg;
	bool stop;
};

static int list_one(void *arg, const char *const *values)
{
	struct listing *l = arg;
	size_t skip = strlen(l->s3->prefix);
	const char *key = values[0];
	if (l->stop || !key || strncmp(key, l->s3->prefix, skip) != 0 ||
	    !nv_store_key_valid(key + skip))
		return 0;
	uint64_t size = values[1] ? strtoull(values[1], NULL, 10) : 0;
	l->stop = l->cb(l->arg, key + skip, size, nv_s3_time(values[2])) != 0;
	return 0;
}

/* A page of at most 1,000; *token (owned) is the next page's, NULL after the last. */
static int list_page(struct listing *l, struct nv_s3 *s3, const char *prefix, char **token,
		     struct nv_err *err)
{
	static const char *const names[] = {"Key", "Size", "LastModified", NULL};
	nv_auto_buf struct nv_buf xml = {0};
	nv_auto_free char *below = nv_asprintf("%s%s", s3->prefix, prefix);
	nv_auto_free char *prefix_text = nv_s3_escape(below);
	nv_auto_free char *token_text = *token ? nv_s3_escape(*token) : NULL;
	nv_auto_free char *query =
		nv_asprintf("%s%s%slist-type=2&prefix=%s", token_text ? "continuation-token=" : "",
			    token_text ? token_text : "", token_text ? "&" : "", prefix_text);
	struct nv_web_call c;
	free(*token);
	*token = NULL;
	nv_s3_begin(&c, s3, "list", NULL, query, NULL);
	int rc = nv_s3_ask(&c, &xml, err);
	nv_web_end(&c);
	if (rc == 0)
		rc = nv_s3_each(xml.data, xml.len, "Contents", names, list_one, l, err);
	if (rc == 0)
		*token = nv_s3_text(xml.data, xml.len, "NextContinuationToken");
	return rc;
}

static int s3_list(void *impl, const char *prefix, nv_store_list_cb cb, void *arg,
		   struct nv_err *err)
{
	struct nv_s3 *s3 = impl;
	struct listing l = {.s3 = s3, .cb = cb, .arg = arg};
	nv_auto_free char *token = NULL;
	for (unsigned page = 0; page < LIST_PAGES_MAX; page++) {
		nv_auto_free char *before = nv_strdup(token);
		if (list_page(&l, s3, prefix, &token, err) < 0)
			return -1;
		if (!token || !*token || l.stop)
			return 0;
		if (before && strcmp(before, token) == 0)
			break;
	}
	return nv_fail(err, NV_RETRY, NV_R_store_unavailable,
		       "store: list %s: the server gives the same page again and again", prefix);
}

/* --- life --- */

static void s3_close(void *impl)
{
	struct nv_s3 *s3 = impl;
	nv_web_fini(&s3->web);
	free(s3->bucket_url);
	free(s3->prefix);
	if (s3->session_token)
		explicit_bzero(s3->session_token, strlen(s3->session_token));
	free(s3->session_token);
	free(s3->encryption);
	pthread_mutex_destroy(&s3->lock);
	free(s3);
}

static const struct nv_store_ops s3_ops = {
	.put = s3_put,
	.get = s3_get,
	.head = s3_head,
	.del = s3_delete,
	.list = s3_list,
	.sweep = nv_s3_sweep,
	.close = s3_close,
};

/* https://BUCKET.host/… or https://host/BUCKET/… */
static char *bucket_address(const struct nv_config *config, const char *endpoint)
{
	const char *host = strstr(endpoint, "://") + 3;
	if (config->store.addressing == NV_S3_BY_PATH)
		return nv_asprintf("%s/%s", endpoint, config->store.bucket);
	return nv_asprintf("%.*s%s.%s", (int)(host - endpoint), endpoint, config->store.bucket,
			   host);
}

static int check_names(const struct nv_config *config, struct nv_err *err)
{
	const char *bucket = config->store.bucket;
	const char *prefix = config->store.prefix;
	if (!bucket || strlen(bucket) > NAME_LEN || strchr(bucket, '/') ||
	    !nv_store_key_valid(bucket))
		return nv_fail(err, NV_FATAL, NV_R_config,
			       "store: store.bucket \"%s\" is no bucket's name",
			       bucket ? bucket : "");
	if (prefix && *prefix && !nv_store_key_valid(prefix))
		return nv_fail(err, NV_FATAL, NV_R_config,
			       "store: store.prefix \"%s\" is not of letters, digits, '.', '_', "
			       "'-' and '/' between them",
			       prefix);
	if (!config->store.user || !config->store.password)
		return nv_fail(err, NV_FATAL, NV_R_config,
			       "store: a store of type s3 needs store.user (the access key's id) "
			       "and store.password_file (its secret)");
	return 0;
}

int nv_store_open_s3(const struct nv_config *config, struct nv_store *s, struct nv_err *err)
{
	struct nv_s3 *s3 = nv_alloc(sizeof *s3);
	const char *prefix = config->store.prefix;
	bool has_prefix = prefix && *prefix;
	if (check_names(config, err) < 0 || nv_web_init(&s3->web, config, err) < 0) {
		free(s3);
		return -1;
	}
	nv_auto_free char *endpoint = s3->web.url;
	s3->encrypted = strncmp(endpoint, "https:", 6) == 0;
	s3->bucket_url = bucket_address(config, endpoint);
	s3->prefix = has_prefix ? nv_asprintf("%s/", prefix) : nv_strdup("");
	s3->web.url = nv_asprintf("%s%s%s", s3->bucket_url, has_prefix ? "/" : "",
				  has_prefix ? prefix : "");
	s3->web.sigv4 = nv_asprintf("aws:amz:%s:s3", config->store.region);
	s3->web.finish_headers = finish_headers;
	s3->session_token = nv_strdup(config->store.session_token);
	s3->encryption = nv_strdup(config->store.encryption);
	s3->grace = config->store.grace;
	s3->transfers = s3->spare = (unsigned)config->store.transfers;
	pthread_mutex_init(&s3->lock, NULL);
	s->ops = &s3_ops;
	s->impl = s3;
	s->about = nv_asprintf("s3 %s", s3->web.url);
	return 0;
}
