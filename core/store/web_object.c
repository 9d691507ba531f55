/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading, asking for and deleting an object: the same requests over WebDAV and S3. */
#include <string.h>

#include "core/store/web.h"

#define RESUMES 5

/* --- get --- */

struct getting {
	struct nv_web_call *call;
	struct nv_part *part;
	uint64_t asked; /* from where on */
	bool begun;	/* the first block of this answer was looked at */
};

/* The first block: is this the object and the place we asked for? */
static int check_start(struct getting *g, struct nv_err *err)
{
	const struct nv_web_call *c = g->call;
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
static int get_once(struct nv_web *h, struct nv_part *part, const struct nv_job *job,
		    nv_web_refused_fn refused, bool *ret_broken, struct nv_err *err)
{
	struct nv_web_call c;
	struct getting g = {.call = &c, .part = part, .asked = part->len};
	char range[32];
	bool broken = false;
	*ret_broken = false;
	nv_web_begin(&c, h, "get", part->key, job);
	c.body_cb = get_body_cb;
	c.body_ctx = &g;
	c.object = true;
	if (part->len) {
		(void)snprintf(range, sizeof range, "%llu-", (unsigned long long)part->len);
		curl_easy_setopt(c.curl, CURLOPT_RANGE, range);
	}
	int rc = nv_web_perform(&c, &broken, err);
	if (rc < 0) {
		*ret_broken = broken && c.body > 0 && c.status < 300;
	} else if (c.status == 416 && part->len) {
		/* The object ends before our part does: the part is of another one. */
		rc = nv_part_restart(part, err);
		*ret_broken = rc == 0;
		if (rc == 0)
			rc = refused(&c, err);
	} else if (c.status < 200 || c.status > 299) {
		rc = refused(&c, err);
	} else if (part->len < part->expect->size) {
		rc = nv_part_corrupt(part, err, "it ends after %llu of %llu bytes",
				     (unsigned long long)part->len,
				     (unsigned long long)part->expect->size);
	}
	nv_web_end(&c);
	return rc;
}

static int get_all(struct nv_web *h, struct nv_part *part, const struct nv_job *job,
		   nv_web_refused_fn refused, struct nv_err *err)
{
	for (int resumes = 0;; resumes++) {
		bool broken = false;
		if (part->len < part->expect->size &&
		    get_once(h, part, job, refused, &broken, err) < 0) {
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

/* By its first byte: Apache does not tell the size of an empty object in answer to HEAD. */
static int ask_size(struct nv_web *h, const char *key, uint64_t *ret, nv_web_refused_fn refused,
		    struct nv_err *err)
{
	struct nv_web_call c;
	curl_off_t length = -1;
	nv_web_begin(&c, h, "head", key, NULL);
	curl_easy_setopt(c.curl, CURLOPT_RANGE, "0-0");
	int rc = nv_web_perform(&c, NULL, err);
	curl_easy_getinfo(c.curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
	if (rc == 0 && (c.status == 206 || c.status == 416))
		*ret = c.range_total;
	else if (rc == 0 && c.status == 200 && length >= 0)
		*ret = (uint64_t)length;
	else if (rc == 0 && c.status == 200)
		rc = nv_fail(err, NV_RETRY, NV_R_store_unavailable,
			     "store: head %s: the server tells no size", key);
	else if (rc == 0)
		rc = refused(&c, err);
	nv_web_end(&c);
	return rc;
}

int nv_web_head(struct nv_web *h, const char *key, bool *ret_exists, uint64_t *ret_size,
		nv_web_refused_fn refused, struct nv_err *err)
{
	struct nv_web_call c;
	nv_web_begin(&c, h, "head", key, NULL);
	curl_easy_setopt(c.curl, CURLOPT_NOBODY, 1L);
	int rc = nv_web_perform(&c, NULL, err);
	if (rc == 0 && c.status == 200) {
		curl_off_t length = -1;
		curl_easy_getinfo(c.curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
		*ret_exists = true;
		*ret_size = length > 0 ? (uint64_t)length : 0;
		if (length < 0)
			rc = ask_size(h, key, ret_size, refused, err);
	} else if (rc == 0 && c.status != 404 && c.status != 410) {
		rc = refused(&c, err);
	}
	nv_web_end(&c);
	return rc;
}

int nv_web_get(struct nv_web *h, const char *key, const struct nv_expect *expect,
	       const struct nv_store_to *to, nv_web_refused_fn refused, struct nv_err *err)
{
	struct nv_part part;
	if (expect->size == 0) { /* no request would be made for its bytes */
		bool exists = false;
		uint64_t size = 0;
		if (nv_web_head(h, key, &exists, &size, refused, err) < 0)
			return -1;
		if (!exists)
			return nv_fail(err, NV_RETRY, NV_R_store_missing,
				       "store: get %s: 404 Not Found", key);
		if (size != 0)
			return nv_fail(err, NV_RETRY, NV_R_store_corrupt,
				       "store: get %s: it has %llu bytes, not 0", key,
				       (unsigned long long)size);
	}
	if (nv_part_open(&part, key, expect, to, err) < 0)
		return -1;
	int rc = get_all(h, &part, to->job, refused, err);
	nv_part_close(&part);
	return rc;
}

int nv_web_delete(struct nv_web *h, const char *key, nv_web_refused_fn refused, struct nv_err *err)
{
	struct nv_web_call c;
	nv_web_begin(&c, h, "delete", key, NULL);
	curl_easy_setopt(c.curl, CURLOPT_CUSTOMREQUEST, "DELETE");
	int rc = nv_web_perform(&c, NULL, err);
	if (rc == 0 && c.status != 404 && c.status != 410 && (c.status < 200 || c.status > 299))
		rc = refused(&c, err);
	nv_web_end(&c);
	return rc;
}
