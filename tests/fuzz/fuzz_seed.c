/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whatever a Moodle with the older block answers (first byte 'R': refuses), the list of courses
 * made of it fits our messages.  Linked so that nv_seed_post is the one here: no network. */
#include "core/site/seed_ws/seed_ws.h"

#include <string.h>

#include "base/log.h"
#include "fuzz.h"
#include "proto/messages.h"

static struct {
	const uint8_t *data;
	size_t len;
	int status;
} answer;

int __wrap_nv_seed_post(struct nv_seed_post *p, bool *ret_broken, struct nv_err *err);

int __wrap_nv_seed_post(struct nv_seed_post *p, bool *ret_broken, struct nv_err *err)
{
	if (ret_broken)
		*ret_broken = false;
	p->status = answer.status;
	return answer.len ? p->body_cb(p->ctx, answer.data, answer.len, err) : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char url[] = "https://moodle.example.org";
	static char token[] = "0123456789abcdef";
	static char id[] = "0192f0c1-0000-7000-8000-000000000001";
	static char user[] = "ada";
	static char field[] = "username";
	static char role[] = "editingteacher";
	static char *roles[] = {role};
	static struct nv_seed site = {.url = url, .token = token, .timeout = 1000};
	const struct nv_catalog_request q = {
		.id = id, .user = user, .user_field = field, .roles = {roles, 1}};
	nv_auto_arena struct nv_arena arena = {0};
	nv_auto_buf struct nv_buf encoded = {0};
	struct nv_catalog_reply reply;
	struct nv_err err = {0};

	if (size == 0)
		return 0;
	nv_log_set_fd(-1);
	answer.status = data[0] == 'R' ? 503 : 200;
	answer.data = data + 1;
	answer.len = size - 1;
	FUZZ_CHECK(nv_seed_catalog(&site.base, &q, &reply, &arena, &err) == 0);
	FUZZ_CHECK(nv_record_encode(&nv_catalog_reply_record, &reply, &encoded, &err) == 0);
	return 0;
}
