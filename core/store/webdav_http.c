/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One request through libcurl. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/base/id.h"
#include "core/store/webdav.h"

#define UPLOAD_BUFFER 131072L
#define EXPECT_FROM 65536u /* smaller bodies are not worth a round trip */
#define EXPECT_TIMEOUT_MS 3000L
#define ERROR_BODY_MAX 65536u

/* --- callbacks --- */

static size_t header_cb(char *line, size_t size, size_t count, void *arg)
{
	struct nv_dav_call *c = arg;
	size_t len = size * count;
	char text[256];
	size_t take = len < sizeof(text) - 1 ? len : sizeof(text) - 1;
	memcpy(text, line, take);
	while (take && (text[take - 1] == '\r' || text[take - 1] == '\n'))
		take--;
	text[take] = '\0';
	if (strncmp(text, "HTTP/", 5) == 0) {
		const char *blank = strchr(text, ' ');
		char *end = NULL;
		c->status = blank ? (int)strtol(blank + 1, &end, 10) : 0;
		c->range_start = c->range_total = 0;
		(void)snprintf(c->reason, sizeof(c->reason), "%.60s",
			       end && *end == ' ' ? end + 1 : "");
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
	struct nv_dav_call *c = arg;
	size_t len = size * count;
	if (c->status < 200 || c->status > 299 || !c->body_cb) {
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
	struct nv_dav_call *c = arg;
	if (nv_job_check(c->job, &c->err) < 0)
		return CURL_READFUNC_ABORT;
	ssize_t n = nv_intake_read(c->upload, buf, size * count, &c->err);
	c->moved_at = nv_mono_ms(); /* a slow source is no stall */
	return n < 0 ? CURL_READFUNC_ABORT : (size_t)n;
}

/* Called by libcurl for each block, and about once a second without one. */
static int progress_cb(void *arg, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
		       curl_off_t up)
{
	(void)down_total;
	(void)up_total;
	struct nv_dav_call *c = arg;
	uint64_t moved = (uint64_t)down + (uint64_t)up;
	uint64_t now = nv_mono_ms();
	if (nv_job_check(c->job, &c->err) < 0)
		return 1;
	if (moved != c->moved) {
		c->moved = moved;
		c->moved_at = now;
	}
	uint64_t limit = c->dav->stall_timeout;
	if (moved == 0 && c->dav->connect_timeout > limit)
		limit = c->dav->connect_timeout;
	if (limit == 0 || now - c->moved_at <= limit)
		return 0;
	nv_fail(&c->err, NV_RETRY, NV_R_timeout, "store: %s %s: no byte moved for %llu ms",
		c->operation, c->key, (unsigned long long)limit);
	return 1;
}

/* --- set-up --- */

static CURL *take_handle(struct nv_dav *dav)
{
	CURL *curl = NULL;
	pthread_mutex_lock(&dav->lock);
	if (dav->idle_len)
		curl = dav->idle[--dav->idle_len];
	pthread_mutex_unlock(&dav->lock);
	if (!curl)
		curl = curl_easy_init();
	if (!curl)
		abort(); /* as nv_alloc */
	return curl;
}

static void set_access(CURL *curl, const struct nv_dav *dav)
{
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (dav->ca_file)
		curl_easy_setopt(curl, CURLOPT_CAINFO, dav->ca_file);
	if (dav->cert_file)
		curl_easy_setopt(curl, CURLOPT_SSLCERT, dav->cert_file);
	if (dav->cert_key_file)
		curl_easy_setopt(curl, CURLOPT_SSLKEY, dav->cert_key_file);
	if (dav->user) {
		curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
		curl_easy_setopt(curl, CURLOPT_USERNAME, dav->user);
		curl_easy_setopt(curl, CURLOPT_PASSWORD, dav->password ? dav->password : "");
	}
}

void nv_dav_begin(struct nv_dav_call *c, struct nv_dav *dav, const char *operation, const char *key,
		  const struct nv_job *job)
{
	*c = (struct nv_dav_call){.dav = dav, .operation = operation, .key = key, .job = job};
	c->curl = take_handle(dav);
	CURL *curl = c->curl;
	nv_auto_free char *url = nv_asprintf("%s/%s", dav->url, key);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(curl, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "navette/" NAVETTE_VERSION);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)dav->connect_timeout);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, c->error);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, header_cb);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, c);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, write_cb);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, c);
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, progress_cb);
	curl_easy_setopt(curl, CURLOPT_XFERINFODATA, c);
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, UPLOAD_BUFFER);
	set_access(curl, dav);
}

void nv_dav_upload(struct nv_dav_call *c, struct nv_intake *in)
{
	c->upload = in;
	curl_easy_setopt(c->curl, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(c->curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)in->expect->size);
	curl_easy_setopt(c->curl, CURLOPT_READFUNCTION, read_cb);
	curl_easy_setopt(c->curl, CURLOPT_READDATA, c);
	curl_easy_setopt(c->curl, CURLOPT_UPLOAD_BUFFERSIZE, UPLOAD_BUFFER);
	/* A refusal (401, 403, 507) then comes before the body was sent. */
	bool ask = in->expect->size >= EXPECT_FROM;
	c->headers = curl_slist_append(c->headers, ask ? "Expect: 100-continue" : "Expect:");
	curl_easy_setopt(c->curl, CURLOPT_EXPECT_100_TIMEOUT_MS, EXPECT_TIMEOUT_MS);
}

/* --- outcome --- */

static int no_answer(const struct nv_dav_call *c, CURLcode rc, bool *ret_broken, struct nv_err *err)
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

int nv_dav_perform(struct nv_dav_call *c, bool *ret_broken, struct nv_err *err)
{
	bool broken = false;
	if (!ret_broken)
		ret_broken = &broken;
	*ret_broken = false;
	if (c->headers)
		curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, c->headers);
	c->moved_at = nv_mono_ms();
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

int nv_dav_refused(const struct nv_dav_call *c, struct nv_err *err)
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

void nv_dav_end(struct nv_dav_call *c)
{
	struct nv_dav *dav = c->dav;
	/* Forgets the options, keeps the connection. */
	curl_easy_reset(c->curl);
	curl_slist_free_all(c->headers);
	pthread_mutex_lock(&dav->lock);
	bool kept = dav->idle_len < NV_DAV_IDLE;
	if (kept)
		dav->idle[dav->idle_len++] = c->curl;
	pthread_mutex_unlock(&dav->lock);
	if (!kept)
		curl_easy_cleanup(c->curl);
	c->curl = NULL;
}
