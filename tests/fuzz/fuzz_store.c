/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whatever a store's server answers, what is asked of it ends with keys that are safe or with an
 * error that is tried again.  The first byte says which store, and what is asked; the rest is each
 * answer's body.  Linked so that nv_web_perform is the one here: no server, no network. */
#include <string.h>

#include "core/store/s3.h"
#include "core/store/webdav.h"
#include "fuzz.h"

#define ANSWERS_MAX 20u /* a tree of folders in folders, or a list without end */

static struct {
	const uint8_t *data;
	size_t len;
	int status;
	unsigned left;
} answer;

int __wrap_nv_web_perform(struct nv_web_call *c, bool *ret_broken, struct nv_err *err);

int __wrap_nv_web_perform(struct nv_web_call *c, bool *ret_broken, struct nv_err *err)
{
	size_t some = answer.len < NV_WEB_ERROR_MAX ? answer.len : NV_WEB_ERROR_MAX;

	if (ret_broken)
		*ret_broken = false;
	if (answer.left == 0)
		return nv_fail(err, NV_RETRY, NV_R_timeout, "no more answers");
	answer.left--;
	c->status = answer.status;
	/* PROPFIND is answered by what looks like XML, and refused otherwise. */
	if (c->headers && strncmp(c->headers->data, "Depth:", 6) == 0 && c->status == 200)
		c->status = answer.len && answer.data[0] == '<' ? 207 : 405;
	if (c->status != 200 && c->status != 207)
		memcpy(c->refusal, answer.data, some);
	else if (c->body_cb && answer.len)
		return c->body_cb(c->body_ctx, answer.data, answer.len, err);
	return 0;
}

static int found(void *arg, const char *key, uint64_t size, uint64_t modified_ms)
{
	(void)arg;
	(void)size;
	(void)modified_ms;
	FUZZ_CHECK(nv_store_key_valid(key));
	return 0;
}

static struct nv_store *open_store(bool s3)
{
	struct nv_err err = {0};
	struct nv_config c = {
		.store = {.type = s3 ? NV_STORE_S3 : NV_STORE_WEBDAV,
			  .url = s3 ? "http://127.0.0.1:1" : "http://127.0.0.1:1/staging",
			  .bucket = "staging",
			  .region = "here",
			  .prefix = "navette",
			  .user = "user",
			  .password = "secret",
			  .transfers = 1,
			  .addressing = NV_S3_BY_PATH,
			  .grace = 3600000}};
	struct nv_store *s = nv_store_open(&c, &err);

	FUZZ_CHECK(s != NULL);
	return s;
}

static int put_large(struct nv_store *s, struct nv_err *err)
{
	static uint8_t zeros[NV_S3_PART + 1];
	struct nv_bytes rest = {zeros, sizeof zeros};
	struct nv_source from = nv_source_bytes(&rest);
	struct nv_expect expect = {.size = sizeof zeros};

	return nv_store_put(s, "a/b", &expect, &from, NULL, NULL, err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct nv_store *dav;
	static struct nv_store *s3;
	struct nv_err err = {0};
	bool exists;
	uint64_t length;
	int rc = 0;

	if (!dav) {
		dav = open_store(false);
		s3 = open_store(true);
	}
	if (size == 0)
		return 0;
	answer.data = data + 1;
	answer.len = size - 1;
	answer.left = ANSWERS_MAX;
	answer.status = data[0] >= 'a' && data[0] <= 'z' ? 403 : 200;
	switch (data[0] & ~0x20) {
	case 'W':
		rc = nv_store_list(dav, "", found, NULL, &err);
		break;
	case 'L':
		rc = nv_store_list(s3, "", found, NULL, &err);
		break;
	case 'U':
		rc = nv_store_sweep(s3, &err);
		break;
	case 'P':
		rc = put_large(s3, &err);
		break;
	case 'H':
		rc = nv_store_head(s3, "a/b", &exists, &length, &err);
		break;
	default:
		break;
	}
	FUZZ_CHECK(rc == 0 || (err.kind == NV_RETRY && err.msg[0]));
	return 0;
}
