/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "proto/envelope.h"

#include <msgpack.h>
#include <sodium.h>
#include <string.h>

#include "proto/wire.h"

/* With its NUL. Domain separation: no other use of the key signs data with this prefix. */
static const char domain[] = "navette-v1";

#define FROM_MAX (7u + NV_NAME_MAX) /* "client:" */

/* The envelope as a record, so that it is decoded as strictly as its body. */
struct outer {
	uint64_t v;
	char *kind;
	char *from;
	char *mid;
	uint64_t issued;
	uint64_t expires;
	struct nv_bytes body;
	struct nv_bytes signature;
};

static const struct nv_field outer_fields[] = {
	{.name = "v",
	 .type = NV_T_UINT,
	 .required = true,
	 .offset = offsetof(struct outer, v),
	 .max = NV_UNLIMITED},
	{.name = "kind",
	 .type = NV_T_STR,
	 .required = true,
	 .offset = offsetof(struct outer, kind),
	 .max = 64},
	{.name = "from",
	 .type = NV_T_STR,
	 .required = true,
	 .offset = offsetof(struct outer, from),
	 .max = FROM_MAX},
	{.name = "mid",
	 .type = NV_T_UUID,
	 .required = true,
	 .offset = offsetof(struct outer, mid),
	 .max = NV_UUID_SIZE - 1},
	{.name = "issued",
	 .type = NV_T_UINT,
	 .required = true,
	 .offset = offsetof(struct outer, issued),
	 .max = NV_UNLIMITED},
	{.name = "expires",
	 .type = NV_T_UINT,
	 .required = true,
	 .offset = offsetof(struct outer, expires),
	 .max = NV_UNLIMITED},
	{.name = "body",
	 .type = NV_T_BIN,
	 .required = true,
	 .offset = offsetof(struct outer, body),
	 .max = NV_ENVELOPE_MAX},
	/* Not required by the table, since its absence has a separate reason. */
	{.name = "signature",
	 .type = NV_T_BIN,
	 .required = false,
	 .offset = offsetof(struct outer, signature),
	 .max = NV_ENVELOPE_MAX},
};

static const struct nv_record outer_record = {
	.name = "envelope",
	.size = sizeof(struct outer),
	.fields = outer_fields,
	.fields_len = NV_ARRAY_LEN(outer_fields),
	.doc = "",
};

static int to_buf(void *data, const char *bytes, size_t len)
{
	nv_buf_put(data, bytes, len);
	return 0;
}

static void pack_text(msgpack_packer *pk, const char *s)
{
	size_t len = strlen(s);

	msgpack_pack_str(pk, len);
	msgpack_pack_str_body(pk, s, len);
}

/* The signed bytes, encoded again from the decoded values: so exactly the values that are used are
 * verified. */
static void to_sign(const struct outer *o, struct nv_buf *ret)
{
	msgpack_packer pk;

	nv_buf_put(ret, domain, sizeof domain);
	msgpack_packer_init(&pk, ret, to_buf);
	msgpack_pack_array(&pk, 7);
	msgpack_pack_uint64(&pk, o->v);
	pack_text(&pk, o->kind);
	pack_text(&pk, o->from);
	pack_text(&pk, o->mid);
	msgpack_pack_uint64(&pk, o->issued);
	msgpack_pack_uint64(&pk, o->expires);
	msgpack_pack_bin(&pk, o->body.len);
	msgpack_pack_bin_body(&pk, o->body.data, o->body.len);
}

static const char *signer_word(char signer)
{
	return signer == 'c' ? "client" : "site";
}

/* --- sealing --- */

static int check_seal(const struct nv_kind_info *info, const struct nv_identity *me,
		      struct nv_err *err)
{
	if (!info)
		return nv_fail(err, NV_REJECT, NV_R_internal, "envelope: no such kind");
	if (me->signer != info->signer || !nv_name_valid(me->name))
		return nv_fail(err, NV_REJECT, NV_R_internal, "envelope: a %s is signed by a %s",
			       info->word, signer_word(info->signer));
	if (sodium_init() < 0)
		return nv_fail(err, NV_FATAL, NV_R_internal, "envelope: libsodium does not start");
	return 0;
}

int nv_envelope_seal(enum nv_kind kind, const void *body, const struct nv_identity *me,
		     uint64_t ttl_ms, struct nv_buf *out, char ret_mid[NV_UUID_SIZE],
		     struct nv_err *err)
{
	const struct nv_kind_info *info = nv_kind_info(kind);
	nv_auto_buf struct nv_buf body_buf = {0};
	nv_auto_buf struct nv_buf signed_buf = {0};
	uint8_t signature[crypto_sign_BYTES];
	char word[65];
	char from[FROM_MAX + 1];
	char mid[NV_UUID_SIZE];
	struct outer o;

	if (check_seal(info, me, err) || nv_record_encode(info->record, body, &body_buf, err))
		return -1;
	if (body_buf.len > info->max_body)
		return nv_fail(err, NV_REJECT, NV_R_internal,
			       "%s: %zu bytes, at most %zu are allowed", info->word, body_buf.len,
			       info->max_body);
	nv_uuid_new(mid);
	snprintf(word, sizeof word, "%s", info->word);
	snprintf(from, sizeof from, "%s:%s", signer_word(me->signer), me->name);
	o = (struct outer){
		.v = NV_PROTO_VERSION,
		.kind = word,
		.from = from,
		.mid = mid,
		.issued = nv_now_ms(),
		.body = {body_buf.data, body_buf.len},
		.signature = {signature, sizeof signature},
	};
	o.expires = ttl_ms > UINT64_MAX - o.issued ? UINT64_MAX : o.issued + ttl_ms;
	to_sign(&o, &signed_buf);
	crypto_sign_detached(signature, NULL, signed_buf.data, signed_buf.len, me->secret);
	if (nv_record_encode(&outer_record, &o, out, err))
		return -1;
	if (ret_mid)
		memcpy(ret_mid, mid, sizeof mid);
	return 0;
}

/* --- opening --- */

/* Find one key of the map; false when it is not there or the input is no map. */
static bool find_key(const void *data, size_t len, const char *key, struct nv_wire_head *ret)
{
	struct nv_wire w = {.at = data, .end = (const uint8_t *)data + len};
	struct nv_wire_head map;

	if (len == 0 || nv_wire_next(&w, &map) || map.kind != NV_W_MAP)
		return false;
	for (uint64_t i = 0; i < map.value; i++) {
		struct nv_wire_head name;

		if (nv_wire_next(&w, &name) || name.kind != NV_W_STR || nv_wire_next(&w, ret))
			return false;
		if (name.value == strlen(key) && memcmp(name.data, key, name.value) == 0)
			return true;
		if (nv_wire_skip(&w, ret))
			return false;
	}
	return false;
}

/* The version comes first: another version's envelope may look different in all the rest. */
static int check_version(const void *data, size_t len, struct nv_err *err)
{
	struct nv_wire_head v;

	if (len > NV_ENVELOPE_MAX)
		return nv_fail(err, NV_REJECT, NV_R_bad_message,
			       "envelope: %zu bytes, at most %u are allowed", len, NV_ENVELOPE_MAX);
	if (find_key(data, len, "v", &v) && v.kind == NV_W_UINT && v.value != NV_PROTO_VERSION)
		return nv_fail(err, NV_REJECT, NV_R_unknown_version,
			       "envelope.v: version %ju, this program speaks %u",
			       (uintmax_t)v.value, NV_PROTO_VERSION);
	return 0;
}

static int check_kind(const struct outer *o, unsigned want, enum nv_kind *ret, struct nv_err *err)
{
	const struct nv_kind_info *info;

	*ret = nv_kind_from(o->kind);
	if (*ret == NV_KIND_COUNT)
		return nv_fail(err, NV_REJECT, NV_R_bad_message,
			       "envelope.kind: \"%s\" is not known here", o->kind);
	if (!(want & 1u << *ret))
		return nv_fail(err, NV_REJECT, NV_R_bad_message,
			       "envelope.kind: a %s does not belong here", o->kind);
	info = nv_kind_info(*ret);
	if (o->body.len > info->max_body)
		return nv_fail(err, NV_REJECT, NV_R_bad_message,
			       "envelope.body: %zu bytes, a %s has at most %zu", o->body.len,
			       info->word, info->max_body);
	return 0;
}

/* "client:<name>" or "site:<name>", and the one who signs this kind. */
static int parse_from(const struct outer *o, struct nv_envelope *ret, struct nv_err *err)
{
	const struct nv_kind_info *info = nv_kind_info(ret->kind);
	const char *name = "";

	if (strncmp(o->from, "client:", 7) == 0) {
		ret->signer = 'c';
		name = o->from + 7;
	} else if (strncmp(o->from, "site:", 5) == 0) {
		ret->signer = 's';
		name = o->from + 5;
	}
	if (!nv_name_valid(name))
		return nv_fail(err, NV_REJECT, NV_R_bad_message,
			       "envelope.from: not \"client:<name>\" or \"site:<name>\"");
	if (ret->signer != info->signer)
		return nv_fail(err, NV_REJECT, NV_R_untrusted,
			       "envelope.from: a %s is signed by a %s, not by %s", info->word,
			       signer_word(info->signer), o->from);
	memcpy(ret->from, name, strlen(name) + 1);
	return 0;
}

static int check_signature(const struct outer *o, const struct nv_keyring *keys,
			   const struct nv_envelope *e, struct nv_err *err)
{
	nv_auto_buf struct nv_buf signed_buf = {0};
	bool known = false;

	if (!o->signature.data)
		return nv_fail(err, NV_REJECT, NV_R_unsigned_message,
			       "envelope.signature: missing");
	if (o->signature.len != crypto_sign_BYTES)
		return nv_fail(err, NV_REJECT, NV_R_unsigned_message,
			       "envelope.signature: %zu bytes instead of 64", o->signature.len);
	if (sodium_init() < 0)
		return nv_fail(err, NV_FATAL, NV_R_internal, "envelope: libsodium does not start");
	to_sign(o, &signed_buf);
	/* A name may have several keys while one replaces another. */
	for (size_t i = 0; i < keys->len; i++) {
		const struct nv_trusted *t = &keys->items[i];

		if (t->signer != e->signer || strcmp(t->name, e->from) != 0)
			continue;
		known = true;
		if (crypto_sign_verify_detached(o->signature.data, signed_buf.data, signed_buf.len,
						t->key) == 0)
			return 0;
	}
	if (known)
		return nv_fail(err, NV_REJECT, NV_R_unsigned_message,
			       "envelope.signature: not made by the key of %s", o->from);
	return nv_fail(err, NV_REJECT, NV_R_untrusted,
		       "envelope.from: no key of %s is trusted here", o->from);
}

static int check_times(const struct outer *o, uint64_t now_ms, struct nv_err *err)
{
	if (now_ms == 0)
		return 0;
	if (now_ms >= o->expires)
		return nv_fail(err, NV_REJECT, NV_R_expired, "envelope.expires: %ju s ago",
			       (uintmax_t)((now_ms - o->expires) / 1000));
	if (o->issued > now_ms && o->issued - now_ms > NV_CLOCK_SKEW_MS)
		return nv_fail(err, NV_HOLD, NV_R_clock,
			       "the clock of %s is %ju s ahead of that of this machine: one of the "
			       "two is wrong",
			       o->from, (uintmax_t)((o->issued - now_ms) / 1000));
	return 0;
}

static int open_into(const void *data, size_t len, const struct nv_keyring *keys, unsigned want,
		     uint64_t now_ms, struct nv_envelope *ret, struct nv_err *err)
{
	nv_auto_arena struct nv_arena scratch = {0};
	struct outer o;

	if (check_version(data, len, err) ||
	    nv_record_decode(&outer_record, data, len, &o, &scratch, err) ||
	    check_kind(&o, want, &ret->kind, err) || parse_from(&o, ret, err) ||
	    check_signature(&o, keys, ret, err) || check_times(&o, now_ms, err))
		return -1;
	memcpy(ret->mid, o.mid, sizeof ret->mid);
	ret->issued = o.issued;
	ret->expires = o.expires;
	return nv_record_decode(nv_kind_info(ret->kind)->record, o.body.data, o.body.len,
				&ret->body, &ret->arena, err);
}

int nv_envelope_open(const void *data, size_t len, const struct nv_keyring *keys, unsigned want,
		     uint64_t now_ms, struct nv_envelope *ret, struct nv_err *err)
{
	memset(ret, 0, sizeof *ret);
	if (open_into(data, len, keys, want, now_ms, ret, err)) {
		nv_envelope_fini(ret);
		return -1;
	}
	return 0;
}

void nv_envelope_fini(struct nv_envelope *e)
{
	nv_arena_fini(&e->arena);
	memset(e, 0, sizeof *e);
}

/* --- looking without verifying --- */

int nv_envelope_open_inside(const void *data, size_t len, const struct nv_keyring *own,
			    struct nv_envelope *ret, struct nv_err *err)
{
	struct nv_wire_head body, request;

	if (len > NV_ENVELOPE_MAX || !find_key(data, len, "body", &body) || body.kind != NV_W_BIN ||
	    !find_key(body.data, body.value, "request", &request) || request.kind != NV_W_BIN)
		return nv_fail(err, NV_REJECT, NV_R_bad_message,
			       "envelope.body: there is no request inside");
	return nv_envelope_open(request.data, request.value, own, 1u << NV_KIND_RESTORE_REQUEST, 0,
				ret, err);
}

static bool peek_text(const void *data, size_t len, const char *key, char *ret, size_t size)
{
	struct nv_wire_head head;

	if (!find_key(data, len, key, &head) || head.kind != NV_W_STR || head.value >= size)
		return false;
	/* Printable ASCII only: the result goes into logs and terminals. */
	for (uint64_t i = 0; i < head.value; i++) {
		if (head.data[i] <= ' ' || head.data[i] > '~')
			return false;
	}
	memcpy(ret, head.data, head.value);
	ret[head.value] = 0;
	return true;
}

int nv_envelope_peek(const void *data, size_t len, char *ret_kind, size_t kind_size, char *ret_mid)
{
	bool kind;
	bool mid;

	if (kind_size > 0)
		ret_kind[0] = 0;
	ret_mid[0] = 0;
	kind = peek_text(data, len, "kind", ret_kind, kind_size);
	mid = peek_text(data, len, "mid", ret_mid, NV_UUID_SIZE) && nv_uuid_valid(ret_mid);
	if (!mid)
		ret_mid[0] = 0;
	return kind && mid ? 0 : -1;
}
