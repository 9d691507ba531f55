/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Opening messages of course servers: their own signature, and our client's on the request inside.
 * What is restored is what our client signed, not what a site says it asked for. */
#include <string.h>

#include "worker/worker.h"

int nv_open_request(struct worker *w, const struct nv_envelope *env, const struct nv_bytes *inner,
		    struct nv_envelope *ret, struct nv_err *err)
{
	if (nv_envelope_open(inner->data, inner->len, &w->myself, 1u << NV_KIND_RESTORE_REQUEST, 0,
			     ret, err) < 0) {
		nv_err_prefix(err, "the request inside %s", nv_kind_info(env->kind)->word);
		return -1;
	}
	const char *site = ret->body.restore_request.site;
	if (strcmp(site, env->from) == 0)
		return 0;
	nv_fail(err, NV_REJECT, NV_R_untrusted, "site \"%s\" answers a request to site \"%s\"",
		env->from, site);
	nv_envelope_fini(ret);
	return -1;
}

int nv_open_request_of_ready(struct worker *w, const struct nv_envelope *ready,
			     struct nv_envelope *ret, struct nv_err *err)
{
	if (ready->body.archive_ready.manifest_sha256.len != NV_SHA256_LEN)
		return nv_fail(err, NV_REJECT, NV_R_bad_message,
			       "archive.ready.manifest_sha256: not %u bytes", NV_SHA256_LEN);
	return nv_open_request(w, ready, &ready->body.archive_ready.request, ret, err);
}

int nv_open_ready(struct worker *w, const void *data, size_t len, struct nv_envelope *ret,
		  struct nv_envelope *ret_request, struct nv_err *err)
{
	if (nv_envelope_open(data, len, &w->sites, 1u << NV_KIND_ARCHIVE_READY, nv_now_ms(), ret,
			     err) < 0)
		return -1;
	if (nv_open_request_of_ready(w, ret, ret_request, err) == 0)
		return 0;
	nv_envelope_fini(ret);
	return -1;
}
