/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One request to the course server, through libcurl. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/id.h"
#include "core/site/seed_ws/seed_ws.h"

#define CONNECT_TIMEOUT_MS 15000L
#define KEEPALIVE_SECONDS 60L /* a backup is made in silence: a dead peer must be noticed */

void nv_seed_session_begin(struct nv_seed_session *s, const struct nv_seed *site,
			   const struct nv_job *job, enum nv_reason reason)
{
	*s = (struct nv_seed_session){.site = site, .job = job, .reason = reason};
	s->curl = curl_easy_init();
	if (!s->curl)
		abort(); /* as nv_alloc */
}

void nv_seed_session_end(struct nv_seed_session *s)
{
	curl_easy_cleanup(s->curl);
	s->curl = NULL;
}

/* --- forms --- */

void nv_seed_form_add(struct nv_buf *form, const char *key, const char *value)
{
	char *encoded = curl_easy_escape(NULL, value, (int)strlen(value));
	if (!encoded)
		abort(); /* as nv_alloc */
	nv_buf_printf(form, "%s%s=%s", form->len ? "&" : "", key, encoded);
	curl_free(encoded);
}

void nv_seed_form_wipe(struct nv_buf *form)
{
	if (form->data)
		explicit_bzero(form->data, form->cap);
	nv_buf_fini(form);
}

/* --- callbacks --- */

static const char *header_value(const char *line, const char *name)
{
	size_t len = strlen(name);
	if (strncasecmp(line, name, len) != 0 || line[len] != ':')
		return NULL;
	line += len + 1;
	return line + strspn(line, " \t");
}

static void take_range(struct nv_seed_post *p, const char *value)
{
	char *end = NULL;
	if (strncasecmp(value, "bytes ", 6) != 0)
		return;
	p->range_start = strtoull(value + 6, &end, 10);
	const char *slash = strchr(end, '/');
	p->range_total = slash ? strtoull(slash + 1, NULL, 10) : 0;
}

static void take_header(struct nv_seed_post *p, const char *line)
{
	const char *value;
	if ((value = header_value(line, "Content-Type")) != NULL) {
		(void)snprintf(p->type, sizeof p->type, "%s", value);
	} else if ((value = header_value(line, "ETag")) != NULL) {
		(void)snprintf(p->etag, sizeof p->etag, "%s", value);
	} else if ((value = header_value(line, "Content-Range")) != NULL) {
		take_range(p, value);
	} else if ((value = header_value(line, "Content-Length")) != NULL) {
		p->has_length = true;
		p->length = strtoull(value, NULL, 10);
	}
}

static size_t header_cb(char *data, size_t size, size_t count, void *arg)
{
	struct nv_seed_post *p = arg;
	size_t len = size * count;
	char line[256];
	size_t take = len < sizeof line - 1 ? len : sizeof line - 1;
	memcpy(line, data, take);
	while (take && (line[take - 1] == '\r' || line[take - 1] == '\n'))
		take--;
	line[take] = '\0';
	if (strncmp(line, "HTTP/", 5) == 0) { /* an interim answer may have come before */
		const char *blank = strchr(line, ' ');
		p->status = blank ? (int)strtol(blank + 1, NULL, 10) : 0;
		p->type[0] = p->etag[0] = '\0';
		p->has_length = false;
		p->length = p->range_start = p->range_total = 0;
	} else {
		take_header(p, line);
	}
	return len;
}

static size_t write_cb(char *data, size_t size, size_t count, void *arg)
{
	struct nv_seed_post *p = arg;
	size_t len = size * count;
	/* Asked here too: libcurl may take many blocks before it reports progress. */
	if (nv_job_check(p->session->job, &p->err) < 0 ||
	    p->body_cb(p->ctx, data, len, &p->err) < 0)
		return CURL_WRITEFUNC_ERROR;
	return len;
}

/* Called for each block, and about once a second without one. */
static int progress_cb(void *arg, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
		       curl_off_t up)
{
	struct nv_seed_post *p = arg;
	uint64_t moved = (uint64_t)down + (uint64_t)up;
	uint64_t now = nv_mono_ms();
	(void)down_total;
	(void)up_total;
	if (nv_job_check(p->session->job, &p->err) < 0)
		return 1;
	if (moved != p->moved || !p->moved_at) {
		p->moved = moved;
		p->moved_at = now;
	}
	p->stalled = p->silence && now - p->moved_at > p->silence;
	return p->stalled;
}

/* --- set-up --- */

static void set_access(CURL *curl, const struct nv_seed *site)
{
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (site->ca_file) { /* it, and not the system's beside it */
		curl_easy_setopt(curl, CURLOPT_CAINFO, site->ca_file);
		curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
	}
	/* The token goes to the configured host and to no other. */
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(curl, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
}

static void set_limits(CURL *curl, const struct nv_seed_post *p)
{
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)p->timeout);
	curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(curl, CURLOPT_TCP_KEEPIDLE, KEEPALIVE_SECONDS);
	curl_easy_setopt(curl, CURLOPT_TCP_KEEPINTVL, KEEPALIVE_SECONDS / 2);
}

static void set_request(CURL *curl, struct nv_seed_post *p)
{
	curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "navette/" NAVETTE_VERSION);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, p->form);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, p->error);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, header_cb);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, p);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, write_cb);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, p);
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, progress_cb);
	curl_easy_setopt(curl, CURLOPT_XFERINFODATA, p);
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
}

static struct curl_slist *make_headers(const struct nv_seed_post *p)
{
	/* CURLOPT_RANGE would not do: with a POST it becomes a Content-Range. */
	nv_auto_free char *range = nv_asprintf("Range: bytes=%llu-", (unsigned long long)p->from);
	struct curl_slist *headers = curl_slist_append(NULL, "Expect:");
	return p->from ? curl_slist_append(headers, range) : headers;
}

/* --- outcome --- */

static int no_answer(const struct nv_seed_post *p, CURLcode rc, bool *ret_broken,
		     struct nv_err *err)
{
	const struct nv_seed *site = p->session->site;
	enum nv_reason reason = p->session->reason;
	const char *hint = "";
	nv_auto_free char *text = nv_seed_quote(site, p->stalled    ? "no byte came any more"
						      : p->error[0] ? p->error
								    : curl_easy_strerror(rc));
	if (p->stalled)
		rc = CURLE_OPERATION_TIMEDOUT;
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
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
		reason = NV_R_config;
		hint = " (is site.ca_file its authority's, and site.url its name?)";
		break;
	default:
		break;
	}
	nv_fail(err, NV_RETRY, reason, "seed-ws: %s: %s: %s%s", p->what, site->url, text, hint);
	if (err)
		err->code = (int)rc;
	return -1;
}

int nv_seed_post(struct nv_seed_post *p, bool *ret_broken, struct nv_err *err)
{
	CURL *curl = p->session->curl;
	const struct nv_seed *site = p->session->site;
	nv_auto_free char *url = nv_asprintf("%s/%s", site->url, p->path);
	bool broken = false;
	if (!ret_broken)
		ret_broken = &broken;
	*ret_broken = false;
	if (nv_job_check(p->session->job, err) < 0)
		return -1;
	curl_easy_reset(curl); /* keeps the connection */
	curl_easy_setopt(curl, CURLOPT_URL, url);
	set_access(curl, site);
	set_limits(curl, p);
	set_request(curl, p);
	struct curl_slist *headers = make_headers(p);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	CURLcode rc = curl_easy_perform(curl);
	curl_easy_reset(curl); /* forgets the form */
	curl_slist_free_all(headers);
	if (p->err.kind != NV_OK) {
		if (err)
			*err = p->err;
		return -1;
	}
	return rc == CURLE_OK ? 0 : no_answer(p, rc, ret_broken, err);
}
