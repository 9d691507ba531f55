/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The signed envelope: what is accepted, and the reason for each refusal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <msgpack.h>
#include <sodium.h>

#include "proto/envelope.h"
#include "tests/unit/proto_samples.h"

#define ALL ((1u << NV_KIND_COUNT) - 1)

/* A client and a site that trust each other, and a stranger. */
struct fixture {
	struct nv_identity client;
	struct nv_identity site;
	struct nv_identity stranger;
	struct nv_keyring ring;
};

static void make_identity(struct nv_identity *me, char signer, const char *name)
{
	uint8_t key[crypto_sign_PUBLICKEYBYTES];

	*me = (struct nv_identity){.signer = signer};
	snprintf(me->name, sizeof me->name, "%s", name);
	crypto_sign_keypair(key, me->secret);
}

static void trust(struct nv_keyring *ring, const struct nv_identity *who, const char *name)
{
	char text[NV_PUBLIC_KEY_TEXT];
	struct nv_err err = {0};

	nv_identity_public(who, text);
	if (nv_keyring_add(ring, who->signer, name, text, &err))
		fail_msg("%s", err.msg);
}

static int setup(void **state)
{
	struct fixture *f = nv_alloc(sizeof *f);

	assert_true(sodium_init() >= 0);
	make_identity(&f->client, 'c', "this-year");
	make_identity(&f->site, 's', "last-year");
	make_identity(&f->stranger, 'c', "stranger");
	trust(&f->ring, &f->client, "this-year");
	trust(&f->ring, &f->site, "last-year");
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	nv_keyring_fini(&f->ring);
	free(f);
	return 0;
}

static const struct nv_identity *signer_of(const struct fixture *f, enum nv_kind kind)
{
	return nv_kind_info(kind)->signer == 'c' ? &f->client : &f->site;
}

static void seal(const struct nv_identity *me, enum nv_kind kind, uint64_t ttl, struct nv_buf *out)
{
	nv_auto_arena struct nv_arena arena = {0};
	union sample_any in;
	struct nv_err err = {0};

	sample_fill(nv_kind_info(kind)->record, &in, &arena, SAMPLE_FULL);
	if (nv_envelope_seal(kind, &in, me, ttl, out, NULL, &err))
		fail_msg("%s", err.msg);
}

static int open_and_close(const void *data, size_t len, const struct nv_keyring *ring,
			  unsigned want, uint64_t now, struct nv_err *err)
{
	struct nv_envelope e;
	nv_auto_free void *copy = nv_alloc(len ? len : 1);

	memcpy(copy, data, len);
	if (nv_envelope_open(copy, len, ring, want, now, &e, err))
		return -1;
	nv_envelope_fini(&e);
	return 0;
}

static void assert_refused(const void *data, size_t len, const struct nv_keyring *ring,
			   unsigned want, uint64_t now, enum nv_reason reason, const char *text)
{
	struct nv_err err = {0};

	if (open_and_close(data, len, ring, want, now, &err) == 0)
		fail_msg("accepted, expected: %s", text);
	assert_int_equal(err.kind, NV_REJECT);
	if (err.reason != reason || !strstr(err.msg, text))
		fail_msg("%s (%s) instead of %s (%s)", nv_reason_word(err.reason), err.msg,
			 nv_reason_word(reason), text);
}

/* --- an envelope made by hand, to get each part wrong --- */

struct hand {
	uint64_t v;
	const char *kind;
	const char *from;
	const char *mid;
	uint64_t issued;
	uint64_t expires;
	const void *body;
	size_t body_len;
	const struct nv_identity *key;
	enum { SIGNED, NO_SIGNATURE, SHORT_SIGNATURE } signature;
	const char *extra; /* a key more */
};

static int to_buf(void *data, const char *bytes, size_t len)
{
	nv_buf_put(data, bytes, len);
	return 0;
}

static void pack_str(msgpack_packer *pk, const char *s)
{
	msgpack_pack_str(pk, strlen(s));
	msgpack_pack_str_body(pk, s, strlen(s));
}

static void sign_hand(const struct hand *h, uint8_t ret[64])
{
	nv_auto_buf struct nv_buf b = {0};
	msgpack_packer pk;

	nv_buf_put(&b, "navette-v1", 11);
	msgpack_packer_init(&pk, &b, to_buf);
	msgpack_pack_array(&pk, 7);
	msgpack_pack_uint64(&pk, h->v);
	pack_str(&pk, h->kind);
	pack_str(&pk, h->from);
	pack_str(&pk, h->mid);
	msgpack_pack_uint64(&pk, h->issued);
	msgpack_pack_uint64(&pk, h->expires);
	msgpack_pack_bin(&pk, h->body_len);
	msgpack_pack_bin_body(&pk, h->body, h->body_len);
	crypto_sign_detached(ret, NULL, b.data, b.len, h->key->secret);
}

static void make(const struct hand *h, struct nv_buf *out)
{
	uint8_t signature[64];
	msgpack_packer pk;

	sign_hand(h, signature);
	out->len = 0;
	msgpack_packer_init(&pk, out, to_buf);
	msgpack_pack_map(&pk, 7u + (h->signature != NO_SIGNATURE) + (h->extra ? 1u : 0u));
	if (h->extra) {
		pack_str(&pk, h->extra);
		msgpack_pack_array(&pk, 1);
		msgpack_pack_nil(&pk);
	}
	pack_str(&pk, "v");
	msgpack_pack_uint64(&pk, h->v);
	pack_str(&pk, "kind");
	pack_str(&pk, h->kind);
	pack_str(&pk, "from");
	pack_str(&pk, h->from);
	pack_str(&pk, "mid");
	pack_str(&pk, h->mid);
	pack_str(&pk, "issued");
	msgpack_pack_uint64(&pk, h->issued);
	pack_str(&pk, "expires");
	msgpack_pack_uint64(&pk, h->expires);
	pack_str(&pk, "body");
	msgpack_pack_bin(&pk, h->body_len);
	msgpack_pack_bin_body(&pk, h->body, h->body_len);
	if (h->signature != NO_SIGNATURE) {
		size_t len = h->signature == SIGNED ? 64 : 63;

		pack_str(&pk, "signature");
		msgpack_pack_bin(&pk, len);
		msgpack_pack_bin_body(&pk, signature, len);
	}
}

/* A cancel.request in good order. */
static struct hand good(const struct fixture *f)
{
	static const char body[] = "\x82\xa2id\xd9\x24"
				   "01933b5c-7c00-7abc-8def-0123456789ab\xa3rev\x01";

	return (struct hand){
		.v = 1,
		.kind = "cancel.request",
		.from = "client:this-year",
		.mid = "01933b5c-7c00-7abc-8def-0123456789ab",
		.issued = 1000000,
		.expires = 2000000,
		.body = body,
		.body_len = sizeof body - 1,
		.key = &f->client,
	};
}

#define NOW 1500000u

static void assert_hand_refused(const struct fixture *f, const struct hand *h,
				enum nv_reason reason, const char *text)
{
	nv_auto_buf struct nv_buf b = {0};

	make(h, &b);
	assert_refused(b.data, b.len, &f->ring, ALL, NOW, reason, text);
}

/* --- tests --- */

static void every_kind_is_sealed_and_opened(void **state)
{
	const struct fixture *f = *state;

	for (unsigned k = 0; k < NV_KIND_COUNT; k++) {
		const struct nv_identity *me = signer_of(f, (enum nv_kind)k);
		nv_auto_buf struct nv_buf again = {0};
		nv_auto_buf struct nv_buf body = {0};
		nv_auto_arena struct nv_arena arena = {0};
		nv_auto_buf struct nv_buf b = {0};
		char mid[NV_UUID_SIZE];
		union sample_any in;
		struct nv_envelope e = {0};
		struct nv_err err = {0};
		const struct nv_record *r = nv_kind_info((enum nv_kind)k)->record;

		sample_fill(r, &in, &arena, SAMPLE_FULL);
		if (nv_envelope_seal((enum nv_kind)k, &in, me, 60000, &b, mid, &err) ||
		    nv_envelope_open(b.data, b.len, &f->ring, 1u << k, nv_now_ms(), &e, &err))
			fail_msg("%s", err.msg);
		assert_int_equal(e.kind, k);
		assert_int_equal(e.signer, me->signer);
		assert_string_equal(e.from, me->name);
		assert_string_equal(e.mid, mid);
		assert_true(nv_uuid_valid(mid));
		assert_int_equal(e.expires, e.issued + 60000);
		memset(b.data, 0xee, b.len); /* what was opened lives without its input */
		assert_int_equal(nv_record_encode(r, &in, &body, NULL), 0);
		assert_int_equal(nv_record_encode(r, &e.body, &again, NULL), 0);
		assert_int_equal(body.len, again.len);
		assert_memory_equal(body.data, again.data, body.len);
		nv_envelope_fini(&e);
	}
}

static void sealing_appends(void **state)
{
	const struct fixture *f = *state;
	nv_auto_buf struct nv_buf b = {0};

	nv_buf_puts(&b, "before");
	seal(&f->client, NV_KIND_CANCEL_REQUEST, 60000, &b);
	assert_memory_equal(b.data, "before", 6);
	assert_int_equal(open_and_close(b.data + 6, b.len - 6, &f->ring, ALL, nv_now_ms(), NULL),
			 0);
}

static void the_wrong_signer_cannot_seal(void **state)
{
	const struct fixture *f = *state;
	nv_auto_arena struct nv_arena arena = {0};
	nv_auto_buf struct nv_buf b = {0};

	for (unsigned k = 0; k < NV_KIND_COUNT; k++) {
		const struct nv_identity *other =
			signer_of(f, (enum nv_kind)k) == &f->client ? &f->site : &f->client;
		union sample_any in;
		struct nv_err err = {0};

		sample_fill(nv_kind_info((enum nv_kind)k)->record, &in, &arena, SAMPLE_FULL);
		assert_int_equal(
			nv_envelope_seal((enum nv_kind)k, &in, other, 60000, &b, NULL, &err), -1);
		assert_int_equal(err.reason, NV_R_internal);
		assert_int_equal(b.len, 0);
	}
}

static void a_body_beyond_its_kinds_limit_is_not_sealed(void **state)
{
	const struct fixture *f = *state;
	nv_auto_arena struct nv_arena arena = {0};
	nv_auto_buf struct nv_buf b = {0};
	struct nv_catalog_request in = {.id = nv_arena_strdup(&arena, good(f).mid),
					.user = nv_arena_strdup(&arena, "u"),
					.user_field = nv_arena_strdup(&arena, "username")};
	struct nv_catalog_reply reply = {.id = in.id, .user = in.user};
	struct nv_course *courses = nv_arena_alloc(&arena, 5000 * sizeof *courses);
	struct nv_err err = {0};

	for (size_t i = 0; i < 5000; i++) {
		courses[i].course = in.user;
		courses[i].shortname = in.user;
		courses[i].fullname = sample_text(&arena, 1333);
		courses[i].url = courses[i].fullname;
	}
	reply.courses = (struct nv_list){courses, 5000};
	assert_int_equal(
		nv_envelope_seal(NV_KIND_CATALOG_REPLY, &reply, &f->site, 60000, &b, NULL, &err),
		-1);
	assert_int_equal(err.reason, NV_R_internal);
	assert_non_null(strstr(err.msg, "at most 8388608"));
	assert_int_equal(b.len, 0);
	reply.courses.len = 3000; /* 8.0 MB fit, and the envelope with them */
	assert_int_equal(
		nv_envelope_seal(NV_KIND_CATALOG_REPLY, &reply, &f->site, 60000, &b, NULL, &err),
		0);
	assert_int_equal(open_and_close(b.data, b.len, &f->ring, ALL, nv_now_ms(), &err), 0);
}

static void an_envelope_made_by_hand_is_opened(void **state)
{
	const struct fixture *f = *state;
	struct hand h = good(f);
	nv_auto_buf struct nv_buf b = {0};

	make(&h, &b);
	assert_int_equal(open_and_close(b.data, b.len, &f->ring, ALL, NOW, NULL), 0);
	h.extra = "newer";
	make(&h, &b);
	assert_int_equal(open_and_close(b.data, b.len, &f->ring, ALL, NOW, NULL), 0);
}

static void garbage_is_refused(void **state)
{
	const struct fixture *f = *state;
	static const char *const texts[] = {"",	    "hello", "{\"v\":1}",	    "\x80",
					    "\x90", "\xc1",  "\xdf\xff\xff\xff\xff"};
	uint8_t noise[4096];

	for (size_t i = 0; i < NV_ARRAY_LEN(texts); i++)
		assert_refused(texts[i], strlen(texts[i]), &f->ring, ALL, NOW, NV_R_bad_message,
			       "envelope");
	for (unsigned seed = 0; seed < 200; seed++) {
		struct nv_err err = {0};

		for (size_t i = 0; i < sizeof noise; i++)
			noise[i] = (uint8_t)((seed + 1ul) * 2654435761u * (i + 7) >> 11);
		assert_int_equal(open_and_close(noise, sizeof noise, &f->ring, ALL, NOW, &err), -1);
		assert_int_equal(err.kind, NV_REJECT);
	}
}

static void an_unknown_version_is_refused_before_all_else(void **state)
{
	const struct fixture *f = *state;
	struct hand h = good(f);
	static const char newer[] = "\x83\xa5other\x91\xa5thing\xa1v\x02\x01\x02";

	h.v = 2;
	assert_hand_refused(f, &h, NV_R_unknown_version, "version 2");
	h.v = UINT64_MAX;
	assert_hand_refused(f, &h, NV_R_unknown_version, "version 18446744073709551615");
	h.v = 0;
	assert_hand_refused(f, &h, NV_R_unknown_version, "version 0");
	assert_refused(newer, sizeof newer - 1, &f->ring, ALL, NOW, NV_R_unknown_version,
		       "version 2");
}

static void an_unknown_kind_is_refused(void **state)
{
	const struct fixture *f = *state;
	struct hand h = good(f);

	h.kind = "cancel.everything";
	assert_hand_refused(f, &h, NV_R_bad_message, "\"cancel.everything\" is not known");
}

static void a_kind_that_is_not_wanted_is_refused(void **state)
{
	const struct fixture *f = *state;
	struct hand h = good(f);
	nv_auto_buf struct nv_buf b = {0};

	make(&h, &b);
	assert_refused(b.data, b.len, &f->ring, ALL & ~(1u << NV_KIND_CANCEL_REQUEST), NOW,
		       NV_R_bad_message, "does not belong here");
	assert_refused(b.data, b.len, &f->ring, 0, NOW, NV_R_bad_message, "does not belong here");
}

static void an_unsigned_message_is_refused(void **state)
{
	const struct fixture *f = *state;
	struct hand h = good(f);

	h.signature = NO_SIGNATURE;
	assert_hand_refused(f, &h, NV_R_unsigned_message, "signature: missing");
	h.signature = SHORT_SIGNATURE;
	assert_hand_refused(f, &h, NV_R_unsigned_message, "63 bytes instead of 64");
}

static void a_signature_by_another_key_is_refused(void **state)
{
	const struct fixture *f = *state;
	struct hand h = good(f);

	h.key = &f->stranger;
	assert_hand_refused(f, &h, NV_R_unsigned_message, "not made by the key of");
	h.key = &f->site;
	assert_hand_refused(f, &h, NV_R_unsigned_message, "not made by the key of");
}

static void a_key_that_is_not_trusted_is_refused(void **state)
{
	const struct fixture *f = *state;
	struct nv_keyring empty = {0};
	nv_auto_buf struct nv_buf b = {0};

	seal(&f->stranger, NV_KIND_CANCEL_REQUEST, 60000, &b);
	assert_refused(b.data, b.len, &f->ring, ALL, nv_now_ms(), NV_R_untrusted,
		       "no key of client:stranger");
	assert_refused(b.data, b.len, &empty, ALL, nv_now_ms(), NV_R_untrusted,
		       "no key of client:stranger");
}

static void the_right_key_under_another_name_is_refused(void **state)
{
	const struct fixture *f = *state;
	struct nv_keyring ring = {0};
	struct hand h = good(f);
	nv_auto_buf struct nv_buf b = {0};

	/* Both are trusted, each as itself only. */
	trust(&ring, &f->client, "this-year");
	trust(&ring, &f->stranger, "stranger");
	h.key = &f->stranger;
	make(&h, &b);
	assert_refused(b.data, b.len, &ring, ALL, NOW, NV_R_unsigned_message, "not made by");
	h.key = &f->client;
	h.from = "client:nobody";
	make(&h, &b);
	assert_refused(b.data, b.len, &ring, ALL, NOW, NV_R_untrusted, "no key of client:nobody");
	nv_keyring_fini(&ring);
}

static void a_client_cannot_speak_as_a_site_nor_a_site_as_a_client(void **state)
{
	const struct fixture *f = *state;
	struct hand h = good(f);
	struct nv_keyring ring = {0};
	nv_auto_buf struct nv_buf b = {0};

	h.from = "site:last-year";
	h.key = &f->site;
	assert_hand_refused(f, &h, NV_R_untrusted, "is signed by a client");
	h.kind = "status.event";
	h.from = "client:this-year";
	h.key = &f->client;
	assert_hand_refused(f, &h, NV_R_untrusted, "is signed by a site");
	/* A site and a client of the same name are two. */
	h = good(f);
	h.from = "client:last-year";
	h.key = &f->site;
	trust(&ring, &f->site, "last-year");
	make(&h, &b);
	assert_refused(b.data, b.len, &ring, ALL, NOW, NV_R_untrusted, "client:last-year");
	nv_keyring_fini(&ring);
}

static void a_name_may_have_two_keys(void **state)
{
	const struct fixture *f = *state;
	struct nv_keyring ring = {0};
	struct hand h = good(f);
	nv_auto_buf struct nv_buf b = {0};

	trust(&ring, &f->stranger, "this-year");
	trust(&ring, &f->client, "this-year");
	make(&h, &b);
	assert_int_equal(open_and_close(b.data, b.len, &ring, ALL, NOW, NULL), 0);
	nv_keyring_fini(&ring);
}

static void a_sender_that_is_no_name_is_refused(void **state)
{
	static const char *const senders[] = {"",	    "client", "client:",   "client:A",
					      "client:a/b", "site",   "Client:a",  "clients:a",
					      "this-year",  ":a",     "client: a", "client:a:b"};
	const struct fixture *f = *state;

	for (size_t i = 0; i < NV_ARRAY_LEN(senders); i++) {
		struct hand h = good(f);

		h.from = senders[i];
		assert_hand_refused(f, &h, NV_R_bad_message, "envelope.from");
	}
}

static void an_expired_message_is_refused_unless_time_does_not_count(void **state)
{
	const struct fixture *f = *state;
	struct hand h = good(f);
	nv_auto_buf struct nv_buf b = {0};

	make(&h, &b);
	assert_int_equal(open_and_close(b.data, b.len, &f->ring, ALL, 1999999, NULL), 0);
	assert_refused(b.data, b.len, &f->ring, ALL, 2000000, NV_R_expired, "expires");
	assert_refused(b.data, b.len, &f->ring, ALL, UINT64_MAX, NV_R_expired, "expires");
	assert_int_equal(open_and_close(b.data, b.len, &f->ring, ALL, 0, NULL), 0);
}

static void assert_hand_held(const struct fixture *f, const struct hand *h)
{
	nv_auto_buf struct nv_buf b = {0};
	struct nv_envelope e;
	struct nv_err err = {0};

	make(h, &b);
	assert_int_equal(nv_envelope_open(b.data, b.len, &f->ring, ALL, NOW, &e, &err), -1);
	assert_int_equal(err.kind, NV_HOLD);
	assert_int_equal(err.reason, NV_R_clock);
	assert_non_null(strstr(err.msg, "one of the two is wrong"));
}

static void a_message_from_the_future_is_held(void **state)
{
	const struct fixture *f = *state;
	struct hand h = good(f);
	nv_auto_buf struct nv_buf b = {0};

	h.issued = NOW + NV_CLOCK_SKEW_MS;
	make(&h, &b);
	assert_int_equal(open_and_close(b.data, b.len, &f->ring, ALL, NOW, NULL), 0);
	h.issued++;
	assert_hand_held(f, &h);
	h.issued = UINT64_MAX;
	assert_hand_held(f, &h);
}

static void a_body_that_breaks_its_rules_is_refused_although_signed(void **state)
{
	const struct fixture *f = *state;
	struct hand h = good(f);
	uint8_t *large = nv_alloc(4097);

	h.body_len--;
	assert_hand_refused(f, &h, NV_R_bad_message, "cancel.request.rev");
	h.body_len += 2; /* the NUL behind the literal */
	assert_hand_refused(f, &h, NV_R_bad_message, "behind its end");
	h.body_len = 0;
	assert_hand_refused(f, &h, NV_R_bad_message, "cancel.request");
	h.body = large;
	h.body_len = 4097;
	assert_hand_refused(f, &h, NV_R_bad_message, "at most 4096");
	free(large);
}

static void an_oversized_envelope_is_refused_unread(void **state)
{
	const struct fixture *f = *state;
	static const uint8_t version[] = {0x81, 0xa1, 'v', 2};
	uint8_t *large = nv_alloc(10u << 20);

	/* Not even the version is looked at. */
	memcpy(large, version, sizeof version);
	assert_refused(large, 10u << 20, &f->ring, ALL, NOW, NV_R_bad_message, "at most 8392704");
	assert_refused(large, NV_ENVELOPE_MAX + 1, &f->ring, ALL, NOW, NV_R_bad_message, "at most");
	assert_refused(large, NV_ENVELOPE_MAX, &f->ring, ALL, NOW, NV_R_unknown_version, "2");
	free(large);
}

static void a_change_of_any_byte_is_noticed(void **state)
{
	const struct fixture *f = *state;

	for (unsigned k = 0; k < NV_KIND_COUNT; k++) {
		nv_auto_buf struct nv_buf b = {0};

		seal(signer_of(f, (enum nv_kind)k), (enum nv_kind)k, 60000, &b);
		for (size_t i = 0; i < b.len; i++) {
			uint8_t was = b.data[i];

			/* Every bit; for one kind, every other value there is. */
			for (unsigned x = 1; x < 256;
			     x = k == NV_KIND_CANCEL_REQUEST ? x + 1 : x * 2) {
				struct nv_err err = {0};

				b.data[i] = (uint8_t)(was ^ x);
				if (open_and_close(b.data, b.len, &f->ring, ALL, 0, &err) == 0)
					fail_msg("byte %zu: %02x for %02x went unnoticed", i,
						 was ^ x, was);
				assert_int_equal(err.kind, NV_REJECT);
			}
			b.data[i] = was;
		}
		for (size_t len = 0; len < b.len; len++)
			assert_int_equal(open_and_close(b.data, len, &f->ring, ALL, 0, NULL), -1);
		nv_buf_put(&b, "\0", 1);
		assert_refused(b.data, b.len, &f->ring, ALL, 0, NV_R_bad_message, "behind its end");
	}
}

static void peeking_tells_kind_and_mid_without_a_key(void **state)
{
	const struct fixture *f = *state;
	struct hand h = good(f);
	nv_auto_buf struct nv_buf b = {0};
	char kind[32];
	char mid[NV_UUID_SIZE];

	h.key = &f->stranger;
	make(&h, &b);
	assert_int_equal(nv_envelope_peek(b.data, b.len, kind, sizeof kind, mid), 0);
	assert_string_equal(kind, "cancel.request");
	assert_string_equal(mid, h.mid);
	/* Cut off in the body: kind and mid still stand in front. */
	assert_int_equal(nv_envelope_peek(b.data, b.len - 100, kind, sizeof kind, mid), 0);
	assert_string_equal(kind, "cancel.request");
	for (size_t len = 0; len < b.len; len++)
		nv_envelope_peek(b.data, len, kind, sizeof kind, mid);
	assert_int_equal(nv_envelope_peek(b.data, b.len, kind, 5, mid), -1);
	assert_string_equal(kind, "");
	assert_string_equal(mid, h.mid);
	assert_int_equal(nv_envelope_peek(NULL, 0, kind, sizeof kind, mid), -1);
	assert_string_equal(mid, "");
}

static void peeking_gives_plain_characters_only(void **state)
{
	const struct fixture *f = *state;
	struct hand h = good(f);
	nv_auto_buf struct nv_buf b = {0};
	char kind[32];
	char mid[NV_UUID_SIZE];

	h.kind = "a\x1b[2J\nlevel=error";
	h.mid = "../../etc/passwd";
	make(&h, &b);
	assert_int_equal(nv_envelope_peek(b.data, b.len, kind, sizeof kind, mid), -1);
	assert_string_equal(kind, "");
	assert_string_equal(mid, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_is_sealed_and_opened),
		cmocka_unit_test(sealing_appends),
		cmocka_unit_test(the_wrong_signer_cannot_seal),
		cmocka_unit_test(a_body_beyond_its_kinds_limit_is_not_sealed),
		cmocka_unit_test(an_envelope_made_by_hand_is_opened),
		cmocka_unit_test(garbage_is_refused),
		cmocka_unit_test(an_unknown_version_is_refused_before_all_else),
		cmocka_unit_test(an_unknown_kind_is_refused),
		cmocka_unit_test(a_kind_that_is_not_wanted_is_refused),
		cmocka_unit_test(an_unsigned_message_is_refused),
		cmocka_unit_test(a_signature_by_another_key_is_refused),
		cmocka_unit_test(a_key_that_is_not_trusted_is_refused),
		cmocka_unit_test(the_right_key_under_another_name_is_refused),
		cmocka_unit_test(a_client_cannot_speak_as_a_site_nor_a_site_as_a_client),
		cmocka_unit_test(a_name_may_have_two_keys),
		cmocka_unit_test(a_sender_that_is_no_name_is_refused),
		cmocka_unit_test(an_expired_message_is_refused_unless_time_does_not_count),
		cmocka_unit_test(a_message_from_the_future_is_held),
		cmocka_unit_test(a_body_that_breaks_its_rules_is_refused_although_signed),
		cmocka_unit_test(an_oversized_envelope_is_refused_unread),
		cmocka_unit_test(a_change_of_any_byte_is_noticed),
		cmocka_unit_test(peeking_tells_kind_and_mid_without_a_key),
		cmocka_unit_test(peeking_gives_plain_characters_only),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
