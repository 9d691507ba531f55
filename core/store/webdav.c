/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The WebDAV backend.  A PUT is atomic on the server's side (nginx writes a temporary file and
 * renames it), and its last bytes leave only when the hash of the whole is right: a body that ends
 * too early is thrown away there. */
#include "core/store/webdav.h"

#include <arpa/inet.h>
#include <string.h>

#define RESUMES 5

/* --- put --- */

static int dav_put(void *impl, const char *key, const struct nv_expect *expect,
		   const struct nv_source *from, const struct nv_job *job,
		   uint8_t ret_sha256[NV_SHA256_LEN], struct nv_err *err)
{
	struct nv_dav *dav = impl;
	struct nv_intake in;
	nv_intake_init(&in, key, from, expect);
	int rc = nv_dav_folders_for(dav, key, job, err);
	if (rc < 0)
		nv_err_prefix(err, "store: put %s", key);
	/* Of an empty object there is no last byte to hold back. */
	if (rc == 0 && expect->size == 0)
		rc = (int)nv_intake_read(&in, ret_sha256, 1, err);
	if (rc < 0) {
		nv_intake_fini(&in);
		return -1;
	}
	struct nv_dav_call c;
	nv_dav_begin(&c, dav, "put", key, job);
	nv_dav_upload(&c, &in);
	rc = nv_dav_perform(&c, NULL, err);
	if (rc == 0 && (c.status < 200 || c.status > 299))
		rc = nv_dav_refused(&c, err);
	if (rc == 0 && !in.verified)
		rc = nv_fail(err, NV_RETRY, NV_R_store_unavailable,
			     "store: put %s: the server answers %d before it has the body", key,
			     c.status);
	if (rc == 0)
		memcpy(ret_sha256, in.sha256, NV_SHA256_LEN);
	nv_dav_end(&c);
	nv_intake_fini(&in);
	return rc;
}

/* --- get --- */

struct getting {
	struct nv_dav_call *call;
	struct nv_part *part;
	uint64_t asked; /* from where on */
	bool begun;	/* the first block of this answer was looked at */
};

/* The first block: is this the object and the place we asked for? */
static int check_start(struct getting *g, struct nv_err *err)
{
	const struct nv_dav_call *c = g->call;
	uint64_t size = g->part->expect->size;
	uint64_t total = 0;
	g->begun = true;
	if (c->status == 206 && c->range_start == g->asked) {
		total = c->range_total;
	} else if (c->status == 200) {
		curl_off_t length = -1;
		curl_easy_getinfo(c->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
		total = length < 0 ? size : (uint64_t)length;
		/* No ranges here: from the start. */
		if (g->part->len && nv_part_restart(g->part, err) < 0)
			return -1;
	} else {
		return nv_fail(err, NV_RETRY, NV_R_store_unavailable,
			       "store: get %s: %d %s, another part than was asked for", c->key,
			       c->status, c->reason);
	}
	if (total == size)
		return 0;
	return nv_part_corrupt(g->part, err, "it has %llu bytes, not %llu",
			       (unsigned long long)total, (unsigned long long)size);
}

static int get_body_cb(void *ctx, const void *data, size_t len, struct nv_err *err)
{
	struct getting *g = ctx;
	if (!g->begun && check_start(g, err) < 0)
		return -1;
	return nv_part_write(g->part, data, len, err);
}

/* One request for what is missing.  *ret_broken: it broke, but bytes came. */
static int get_once(struct nv_dav *dav, struct nv_part *part, const struct nv_job *job,
		    bool *ret_broken, struct nv_err *err)
{
	struct nv_dav_call c;
	struct getting g = {.call = &c, .part = part, .asked = part->len};
	char range[32];
	bool broken = false;
	*ret_broken = false;
	nv_dav_begin(&c, dav, "get", part->key, job);
	c.body_cb = get_body_cb;
	c.body_ctx = &g;
	if (part->len) {
		(void)snprintf(range, sizeof(range), "%llu-", (unsigned long long)part->len);
		curl_easy_setopt(c.curl, CURLOPT_RANGE, range);
	}
	int rc = nv_dav_perform(&c, &broken, err);
	if (rc < 0) {
		*ret_broken = broken && c.body > 0 && c.status < 300;
	} else if (c.status == 416 && part->len) {
		/* The object ends before our part does: the part is of another one. */
		rc = nv_part_restart(part, err);
		*ret_broken = rc == 0;
		if (rc == 0)
			rc = nv_dav_refused(&c, err);
	} else if (c.status < 200 || c.status > 299) {
		rc = nv_dav_refused(&c, err);
	} else if (part->len < part->expect->size) {
		rc = nv_part_corrupt(part, err, "it ends after %llu of %llu bytes",
				     (unsigned long long)part->len,
				     (unsigned long long)part->expect->size);
	}
	nv_dav_end(&c);
	return rc;
}

static int get_all(struct nv_dav *dav, struct nv_part *part, const struct nv_job *job,
		   struct nv_err *err)
{
	for (int resumes = 0;; resumes++) {
		bool broken = false;
		if (part->len < part->expect->size && get_once(dav, part, job, &broken, err) < 0) {
			if (!broken || resumes == RESUMES)
				return -1;
			continue;
		}
		bool again = false;
		if (nv_part_finish(part, &again, err) < 0)
			return -1;
		if (!again)
			return 0;
	}
}

static int dav_head(void *impl, const char *key, bool *ret_exists, uint64_t *ret_size,
		    struct nv_err *err)
{
	struct nv_dav_call c;
	nv_dav_begin(&c, impl, "head", key, NULL);
	curl_easy_setopt(c.curl, CURLOPT_NOBODY, 1L);
	int rc = nv_dav_perform(&c, NULL, err);
	if (rc == 0 && c.status == 200) {
		curl_off_t length = -1;
		curl_easy_getinfo(c.curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
		if (length < 0)
			rc = nv_fail(err, NV_RETRY, NV_R_store_unavailable,
				     "store: head %s: the server tells no size", key);
		*ret_exists = rc == 0;
		*ret_size = rc == 0 ? (uint64_t)length : 0;
	} else if (rc == 0 && c.status != 404 && c.status != 410) {
		rc = nv_dav_refused(&c, err);
	}
	nv_dav_end(&c);
	return rc;
}

static int dav_get(void *impl, const char *key, const struct nv_expect *expect, const char *path,
		   const struct nv_job *job, nv_moved_cb moved_cb, void *arg, struct nv_err *err)
{
	struct nv_part part;
	if (expect->size == 0) { /* no request would be made for its bytes */
		bool exists = false;
		uint64_t size = 0;
		if (dav_head(impl, key, &exists, &size, err) < 0)
			return -1;
		if (!exists)
			return nv_fail(err, NV_RETRY, NV_R_store_missing,
				       "store: get %s: 404 Not Found", key);
		if (size != 0)
			return nv_fail(err, NV_RETRY, NV_R_store_corrupt,
				       "store: get %s: it has %llu bytes, not 0", key,
				       (unsigned long long)size);
	}
	if (nv_part_open(&part, key, path, expect, job, moved_cb, arg, err) < 0)
		return -1;
	int rc = get_all(impl, &part, job, err);
	nv_part_close(&part);
	return rc;
}

static int dav_delete(void *impl, const char *key, struct nv_err *err)
{
	struct nv_dav_call c;
	nv_dav_begin(&c, impl, "delete", key, NULL);
	curl_easy_setopt(c.curl, CURLOPT_CUSTOMREQUEST, "DELETE");
	int rc = nv_dav_perform(&c, NULL, err);
	if (rc == 0 && c.status != 404 && c.status != 410 && (c.status < 200 || c.status > 299))
		rc = nv_dav_refused(&c, err);
	nv_dav_end(&c);
	return rc;
}

/* What a broken upload left is the server's to remove: it never had a key. */
static int dav_sweep(void *impl, struct nv_err *err)
{
	(void)impl;
	(void)err;
	return 0;
}

static void dav_close(void *impl)
{
	struct nv_dav *dav = impl;
	while (dav->idle_len)
		curl_easy_cleanup(dav->idle[--dav->idle_len]);
	while (dav->known_len)
		free(dav->known[--dav->known_len]);
	free(dav->known);
	free(dav->url);
	free(dav->user);
	if (dav->password)
		explicit_bzero(dav->password, strlen(dav->password));
	free(dav->password);
	free(dav->ca_file);
	free(dav->cert_file);
	free(dav->cert_key_file);
	pthread_mutex_destroy(&dav->lock);
	free(dav);
}

static const struct nv_store_ops dav_ops = {
	.put = dav_put,
	.get = dav_get,
	.head = dav_head,
	.del = dav_delete,
	.list = nv_dav_list,
	.sweep = dav_sweep,
	.close = dav_close,
};

static bool is_loopback(const char *host)
{
	struct in_addr v4;
	if (inet_pton(AF_INET, host, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	return strcmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0;
}

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
	else if (strcmp(scheme, "http") == 0 && !is_loopback(host) && !config->store.allow_plain)
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

int nv_store_open_webdav(const struct nv_config *config, struct nv_store *s, struct nv_err *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, init_curl);
	if (check_url(config, err) < 0)
		return -1;
	struct nv_dav *dav = nv_alloc(sizeof(*dav));
	dav->url = nv_strdup(config->store.url);
	size_t len = strlen(dav->url);
	while (len && dav->url[len - 1] == '/')
		dav->url[--len] = '\0';
	dav->user = nv_strdup(config->store.user);
	dav->password = nv_strdup(config->store.password);
	dav->ca_file = nv_strdup(config->store.ca_file);
	dav->cert_file = nv_strdup(config->store.cert_file);
	dav->cert_key_file = nv_strdup(config->store.cert_key_file);
	dav->connect_timeout = config->store.connect_timeout;
	dav->stall_timeout = config->store.stall_timeout;
	pthread_mutex_init(&dav->lock, NULL);
	s->ops = &dav_ops;
	s->impl = dav;
	s->about = nv_asprintf("webdav %s", dav->url);
	return 0;
}
