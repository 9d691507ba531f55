/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One request through libcurl. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/address.h"
#include "base/id.h"
#include "core/store/web.h"

#define UPLOAD_BUFFER 131072L
#define EXPECT_TIMEOUT_MS 3000L
#define ERROR_BODY_MAX 65536u

/* --- callbacks --- */

static void take_etag(struct nv_web_call *c, const char *value)
{
	value += strspn(value, " \t\"");
	(void)snprintf(c->etag, sizeof c->etag, "%.*s", (int)strcspn(value, "\""), value);
}

static size_t header_cb(char *line, size_t size, size_t count, void *arg)
{
	struct nv_web_call *c = arg;
	size_t len = size * count;
	char text[256];
	c->headers_len += len;
	if (c->headers_len > NV_WEB_HEADERS_MAX) {
		nv_fail(&c->err, NV_RETRY, NV_R_store_unavailable,
			"store: %s %s: the answer has more than %u bytes of headers", c->operation,
			c->key, NV_WEB_HEADERS_MAX);
		return 0;
	}
	size_t take = len < sizeof text - 1 ? len : sizeof text - 1;
	memcpy(text, line, take);
	while (take && (text[take - 1] == '\r' || text[take - 1] == '\n'))
		take--;
	text[take] = '\0';
	if (strncmp(text, "HTTP/", 5) == 0) {
		const char *blank = strchr(text, ' ');
		char *end = NULL;
		c->status = blank ? (int)strtol(blank + 1, &end, 10) : 0;
		c->range_start = c->range_total = 0;
		(void)snprintf(c->reason, sizeof c->reason, "%.60s",
			       end && *end == ' ' ? end + 1 : "");
	} else if (strncasecmp(text, "ETag:", 5) == 0) {
		take_etag(c, text + 5);
	} else if (strncasecmp(text, "Content-Range:", 14) == 0) {
		const char *at = strstr(text, "bytes ");
		char *end = NULL;
		if (at)
			c->range_start = strtoull(at + 6, &end, 10);
		at = end ? strchr(end, '/') : NULL;
		if (at)
			c->range_total = strtoull(at + 1, NULL, 10);
	}
	return len;
}

static size_t write_cb(char *data, size_t size, size_t count, void *arg)
{
	struct nv_web_call *c = arg;
	size_t len = size * count;
	if (c->status < 200 || c->status > 299 || !c->body_cb) {
		size_t room = c->body < NV_WEB_ERROR_MAX ? NV_WEB_ERROR_MAX - (size_t)c->body : 0;
		memcpy(c->refusal + (NV_WEB_ERROR_MAX - room), data, len < room ? len : room);
		c->body += len;
		return c->body <= ERROR_BODY_MAX ? len : 0;
	}
	/* Asked here too: libcurl may take many blocks before it reports progress. */
	if (nv_job_check(c->job, &c->err) < 0 || c->body_cb(c->body_ctx, data, len, &c->err) < 0)
		return 0;
	c->body += len;
	return len;
}

static size_t read_cb(char *buf, size_t size, size_t count, void *arg)
{
	struct nv_web_call *c = arg;
	if (nv_job_check(c->job, &c->err) < 0)
		return CURL_READFUNC_ABORT;
	ssize_t n = c->upload->read_cb(c->upload->ctx, buf, size * count, &c->err);
	c->moved_at = nv_mono_ms(); /* a slow source is no stall */
	return n < 0 ? CURL_READFUNC_ABORT : (size_t)n;
}

/* Called by libcurl for each block, and about once a second without one. */
static int progress_cb(void *arg, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
		       curl_off_t up)
{
	(void)down_total;
	(void)up_total;
	struct nv_web_call *c = arg;
	uint64_t moved = (uint64_t)down + (uint64_t)up;
	uint64_t now = nv_mono_ms();
	if (nv_job_check(c->job, &c->err) < 0)
		return 1;
	if (moved != c->moved) {
		c->moved = moved;
		c->moved_at = now;
	}
	if (!c->object && now - c->began > NV_WEB_ANSWER_MS) {
		nv_fail(&c->err, NV_RETRY, NV_R_timeout, "store: %s %s: no answer within %u ms",
			c->operation, c->key, NV_WEB_ANSWER_MS);
		return 1;
	}
	uint64_t limit = c->web->stall_timeout;
	if (moved == 0 && c->web->connect_timeout > limit)
		limit = c->web->connect_timeout;
	if (limit == 0 || now - c->moved_at <= limit)
		return 0;
	nv_fail(&c->err, NV_RETRY, NV_R_timeout, "store: %s %s: no byte moved for %llu ms",
		c->operation, c->key, (unsigned long long)limit);
	return 1;
}

/* --- set-up --- */

static CURL *take_handle(struct nv_web *h)
{
	CURL *curl = NULL;
	pthread_mutex_lock(&h->lock);
	if (h->idle_len)
		curl = h->idle[--h->idle_len];
	pthread_mutex_unlock(&h->lock);
	if (!curl)
		curl = curl_easy_init();
	if (!curl)
		abort(); /* as nv_alloc */
	return curl;
}

static void set_access(CURL *curl, const struct nv_web *h)
{
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (h->ca_file)
		curl_easy_setopt(curl, CURLOPT_CAINFO, h->ca_file);
	if (h->cert_file)
		curl_easy_setopt(curl, CURLOPT_SSLCERT, h->cert_file);
	if (h->cert_key_file)
		curl_easy_setopt(curl, CURLOPT_SSLKEY, h->cert_key_file);
	if (h->sigv4)
		curl_easy_setopt(curl, CURLOPT_AWS_SIGV4, h->sigv4);
	if (h->user) {
		if (!h->sigv4)
			curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
		curl_easy_setopt(curl, CURLOPT_USERNAME, h->user);
		curl_easy_setopt(curl, CURLOPT_PASSWORD, h->password ? h->password : "");
	}
}

void nv_web_begin(struct nv_web_call *c, struct nv_web *h, const char *operation, const char *key,
		  const struct nv_job *job)
{
	*c = (struct nv_web_call){.web = h, .operation = operation, .key = key, .job = job};
	c->curl = take_handle(h);
	CURL *curl = c->curl;
	nv_auto_free char *url = nv_asprintf("%s/%s", h->url, key);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(curl, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "navette/" NAVETTE_VERSION);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)h->connect_timeout);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, c->error);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, header_cb);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, c);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, write_cb);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, c);
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, progress_cb);
	curl_easy_setopt(curl, CURLOPT_XFERINFODATA, c);
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, UPLOAD_BUFFER);
	set_access(curl, h);
}

void nv_web_header(struct nv_web_call *c, const char *fmt, ...)
{
	char line[1024];
	va_list args;
	va_start(args, fmt);
	(void)vsnprintf(line, sizeof line, fmt, args);
	va_end(args);
	c->headers = curl_slist_append(c->headers, line);
}

void nv_web_upload(struct nv_web_call *c, const struct nv_source *from, uint64_t size, bool ask)
{
	c->upload = from;
	c->object = true;
	curl_easy_setopt(c->curl, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(c->curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)size);
	curl_easy_setopt(c->curl, CURLOPT_READFUNCTION, read_cb);
	curl_easy_setopt(c->curl, CURLOPT_READDATA, c);
	curl_easy_setopt(c->curl, CURLOPT_UPLOAD_BUFFERSIZE, UPLOAD_BUFFER);
	/* A refusal (401, 403, 507) then comes before the body was sent. */
	if (!c->web->sigv4) /* which would sign it */
		nv_web_header(c, ask ? "Expect: 100-continue" : "Expect:");
	curl_easy_setopt(c->curl, CURLOPT_EXPECT_100_TIMEOUT_MS, EXPECT_TIMEOUT_MS);
}

/* --- outcome --- */

static int no_answer(const struct nv_web_call *c, CURLcode rc, bool *ret_broken, struct nv_err *err)
{
	const char *text = c->error[0] ? c->error : curl_easy_strerror(rc);
	enum nv_reason reason = NV_R_store_unavailable;
	switch (rc) {
	case CURLE_OPERATION_TIMEDOUT:
		reason = NV_R_timeout;
		*ret_broken = true;
		break;
	case CURLE_PARTIAL_FILE:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
	case CURLE_GOT_NOTHING:
	case CURLE_COULDNT_CONNECT:
		*ret_broken = true;
		break;
	default:
		break;
	}
	nv_fail(err, NV_RETRY, reason, "store: %s %s: %s", c->operation, c->key, text);
	if (err)
		err->code = (int)rc;
	return -1;
}

int nv_web_perform(struct nv_web_call *c, bool *ret_broken, struct nv_err *err)
{
	bool broken = false;
	if (!ret_broken)
		ret_broken = &broken;
	*ret_broken = false;
	if (c->web->finish_headers)
		c->web->finish_headers(c);
	if (c->headers)
		curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, c->headers);
	c->began = c->moved_at = nv_mono_ms();
	CURLcode rc = curl_easy_perform(c->curl);
	if (c->err.kind != NV_OK) {
		*ret_broken = c->err.kind == NV_RETRY && c->err.reason == NV_R_timeout &&
			      nv_job_check(c->job, NULL) == 0;
		if (err)
			*err = c->err;
		return -1;
	}
	/* A server that refuses in the middle of a body and closes: its answer says more than the
	 * broken connection. */
	if (rc != CURLE_OK && c->status >= 400)
		return 0;
	if (rc != CURLE_OK)
		return no_answer(c, rc, ret_broken, err);
	return 0;
}

int nv_web_refused(const struct nv_web_call *c, struct nv_err *err)
{
	enum nv_reason reason = NV_R_store_unavailable;
	const char *hint = "";
	switch (c->status) {
	case 401:
	case 403:
	case 407:
		reason = NV_R_store_denied;
		break;
	case 404:
	case 410:
		reason = NV_R_store_missing;
		break;
	case 413:
		reason = NV_R_store_denied;
		hint = " (the server limits the size of a body; nginx: client_max_body_size)";
		break;
	case 408:
	case 504:
		reason = NV_R_timeout;
		break;
	case 507:
		reason = NV_R_store_full;
		break;
	default:
		if (c->status >= 300 && c->status < 400)
			hint = " (redirects are not followed)";
		break;
	}
	nv_fail(err, NV_RETRY, reason, "store: %s %s: %d %s%s", c->operation, c->key, c->status,
		c->reason, hint);
	if (err)
		err->code = c->status;
	return -1;
}

void nv_web_end(struct nv_web_call *c)
{
	struct nv_web *h = c->web;
	/* Forgets the options, keeps the connection. */
	curl_easy_reset(c->curl);
	curl_slist_free_all(c->headers);
	pthread_mutex_lock(&h->lock);
	bool kept = h->idle_len < NV_WEB_IDLE;
	if (kept)
		h->idle[h->idle_len++] = c->curl;
	pthread_mutex_unlock(&h->lock);
	if (!kept)
		curl_easy_cleanup(c->curl);
	c->curl = NULL;
}

/* --- life --- */

/* http or https, a host, no credentials in it (they would be shown), plain http only where that is
 * allowed. */
static int check_url(const struct nv_config *config, struct nv_err *err)
{
	const char *url = config->store.url;
	CURLU *parsed = curl_url();
	char *scheme = NULL;
	char *host = NULL;
	char *user = NULL;
	const char *wrong = NULL;
	if (!url || curl_url_set(parsed, CURLUPART_URL, url, 0) != CURLUE_OK ||
	    curl_url_get(parsed, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
	    curl_url_get(parsed, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
	    (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0) || strpbrk(url, "?#"))
		wrong = "is no http(s) address";
	else if (curl_url_get(parsed, CURLUPART_USER, &user, 0) == CURLUE_OK)
		wrong = "holds a user name: use store.user and store.password_file";
	else if (strcmp(scheme, "http") == 0 && !nv_host_is_loopback(host) &&
		 !config->store.allow_plain)
		wrong = "is not encrypted: use https, or allow it with store.allow_plain";
	curl_free(scheme);
	curl_free(host);
	curl_free(user);
	curl_url_cleanup(parsed);
	if (wrong)
		return nv_fail(err, NV_FATAL, NV_R_config, "store: store.url %s", wrong);
	return 0;
}

static void init_curl(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

int nv_web_init(struct nv_web *h, const struct nv_config *config, struct nv_err *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, init_curl);
	if (check_url(config, err) < 0)
		return -1;
	*h = (struct nv_web){
		.url = nv_strdup(config->store.url),
		.user = nv_strdup(config->store.user),
		.password = nv_strdup(config->store.password),
		.ca_file = nv_strdup(config->store.ca_file),
		.cert_file = nv_strdup(config->store.cert_file),
		.cert_key_file = nv_strdup(config->store.cert_key_file),
		.connect_timeout = config->store.connect_timeout,
		.stall_timeout = config->store.stall_timeout,
	};
	size_t len = strlen(h->url);
	while (len && h->url[len - 1] == '/')
		h->url[--len] = '\0';
	pthread_mutex_init(&h->lock, NULL);
	return 0;
}

void nv_web_fini(struct nv_web *h)
{
	while (h->idle_len)
		curl_easy_cleanup(h->idle[--h->idle_len]);
	free(h->url);
	free(h->sigv4);
	free(h->user);
	if (h->password)
		explicit_bzero(h->password, strlen(h->password));
	free(h->password);
	free(h->ca_file);
	free(h->cert_file);
	free(h->cert_key_file);
	pthread_mutex_destroy(&h->lock);
}
