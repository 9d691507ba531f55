/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The WebDAV backend.  A PUT is atomic on the server's side (nginx writes a temporary file and
 * renames it), and its last bytes leave only when the hash of the whole is right: a body that ends
 * too early is thrown away there. */
#include "core/store/webdav.h"

#include <string.h>

/* --- put --- */

static int dav_put(void *impl, const char *key, const struct nv_expect *expect,
		   const struct nv_source *from, const struct nv_job *job,
		   uint8_t ret_sha256[NV_SHA256_LEN], struct nv_err *err)
{
	struct nv_dav *dav = impl;
	struct nv_checked_source in;
	nv_checked_source_init(&in, key, from, expect);
	int rc = nv_dav_folders_for(dav, key, job, err);
	if (rc < 0)
		nv_err_prefix(err, "store: put %s", key);
	/* Of an empty object there is no last byte to hold back. */
	if (rc == 0 && expect->size == 0)
		rc = (int)nv_checked_source_read(&in, ret_sha256, 1, err);
	if (rc < 0) {
		nv_checked_source_fini(&in);
		return -1;
	}
	struct nv_web_call c;
	nv_web_begin(&c, &dav->web, "put", key, job);
	struct nv_source body = nv_checked_source_as_source(&in);
	nv_web_upload(&c, &body, expect->size, expect->size >= NV_WEB_ASK_FROM);
	rc = nv_web_perform(&c, NULL, err);
	if (rc == 0 && (c.status == 404 || c.status == 409))
		nv_dav_folders_forget(dav); /* a folder is gone: the next try makes it again */
	if (rc == 0 && (c.status < 200 || c.status > 299))
		rc = nv_web_refused(&c, err);
	if (rc == 0 && !in.verified)
		rc = nv_fail(err, NV_RETRY, NV_R_store_unavailable,
			     "store: put %s: the server answers %d before it has the body", key,
			     c.status);
	if (rc == 0)
		memcpy(ret_sha256, in.sha256, NV_SHA256_LEN);
	nv_web_end(&c);
	nv_checked_source_fini(&in);
	return rc;
}

static int dav_get(void *impl, const char *key, const struct nv_expect *expect,
		   const struct nv_store_to *to, struct nv_err *err)
{
	struct nv_dav *dav = impl;
	return nv_web_get(&dav->web, key, expect, to, nv_web_refused, err);
}

static int dav_head(void *impl, const char *key, bool *ret_exists, uint64_t *ret_size,
		    struct nv_err *err)
{
	struct nv_dav *dav = impl;
	return nv_web_head(&dav->web, key, ret_exists, ret_size, nv_web_refused, err);
}

static int dav_delete(void *impl, const char *key, struct nv_err *err)
{
	struct nv_dav *dav = impl;
	return nv_web_delete(&dav->web, key, nv_web_refused, err);
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
	while (dav->known_len)
		free(dav->known[--dav->known_len]);
	free(dav->known);
	nv_web_fini(&dav->web);
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

int nv_store_open_webdav(const struct nv_config *config, struct nv_store *s, struct nv_err *err)
{
	struct nv_dav *dav = nv_alloc(sizeof *dav);
	if (nv_web_init(&dav->web, config, err) < 0) {
		free(dav);
		return -1;
	}
	pthread_mutex_init(&dav->lock, NULL);
	s->ops = &dav_ops;
	s->impl = dav;
	s->about = nv_asprintf("webdav %s", dav->web.url);
	return 0;
}
