/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whatever bytes arrive, opening an envelope and decoding a record end with a result or with an
 * error, and what was decoded can be encoded and decoded again to the same. */
#include "fuzz_envelope.h"

#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "proto/envelope.h"

static const struct nv_keyring *ring(void)
{
	static struct nv_keyring keys;

	if (keys.len == 0) {
		FUZZ_CHECK(nv_keyring_add(&keys, 'c', FUZZ_NAME, FUZZ_PUBLIC, NULL) == 0);
		FUZZ_CHECK(nv_keyring_add(&keys, 's', FUZZ_NAME, FUZZ_PUBLIC, NULL) == 0);
	}
	return &keys;
}

static void check_error(const struct nv_err *err)
{
	FUZZ_CHECK(err->kind == NV_REJECT);
	FUZZ_CHECK(err->reason == NV_R_bad_message || err->reason == NV_R_unknown_version ||
		   err->reason == NV_R_unsigned_message || err->reason == NV_R_untrusted ||
		   err->reason == NV_R_expired);
	FUZZ_CHECK(err->msg[0] && memchr(err->msg, 0, sizeof err->msg));
}

static void round_trip(const struct nv_record *r, const void *in)
{
	nv_auto_arena struct nv_arena arena = {0};
	nv_auto_buf struct nv_buf once = {0};
	nv_auto_buf struct nv_buf twice = {0};
	nv_auto_free void *out = nv_alloc(r->size);

	FUZZ_CHECK(nv_record_encode(r, in, &once, NULL) == 0);
	FUZZ_CHECK(nv_record_decode(r, once.data, once.len, out, &arena, NULL) == 0);
	FUZZ_CHECK(nv_record_encode(r, out, &twice, NULL) == 0);
	FUZZ_CHECK(once.len == twice.len && memcmp(once.data, twice.data, once.len) == 0);
}

static void open_one(const uint8_t *data, size_t size, uint64_t now)
{
	struct nv_envelope e;
	struct nv_err err = {0};
	char kind[32];
	char mid[NV_UUID_SIZE];

	nv_envelope_peek(data, size, kind, sizeof kind, mid);
	FUZZ_CHECK(!mid[0] || nv_uuid_valid(mid));
	if (nv_envelope_open(data, size, ring(), (1u << NV_KIND_COUNT) - 1, now, &e, &err)) {
		check_error(&err);
		return;
	}
	FUZZ_CHECK(strcmp(nv_kind_info(e.kind)->word, kind) == 0 && strcmp(e.mid, mid) == 0);
	round_trip(nv_kind_info(e.kind)->record, &e.body);
	nv_envelope_fini(&e);
}

static void decode_one(const struct nv_record *r, const uint8_t *data, size_t size)
{
	nv_auto_arena struct nv_arena arena = {0};
	nv_auto_free void *out = nv_alloc(r->size);
	struct nv_err err = {0};

	if (nv_record_decode(r, data, size, out, &arena, &err))
		check_error(&err);
	else
		round_trip(r, out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] < FUZZ_RECORD)
		open_one(data + 1, size - 1, data[0] == FUZZ_OPEN_NOW ? FUZZ_NOW : 0);
	else if (data[0] < FUZZ_RECORD + NV_KIND_COUNT)
		decode_one(nv_kind_info((enum nv_kind)(data[0] - FUZZ_RECORD))->record, data + 1,
			   size - 1);
	return 0;
}
