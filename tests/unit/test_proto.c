/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the tables promise, checked for every field of every record by walking the tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "base/fs.h"
#include "tests/unit/proto_samples.h"

#define BYTES(text) (text), sizeof(text) - 1

/* Every record there is, those inside messages too. */
static size_t all_records(const struct nv_record *ret[32])
{
	size_t len = 0;

	for (unsigned k = 0; k < NV_KIND_COUNT; k++) {
		const struct nv_record *r = nv_kind_info((enum nv_kind)k)->record;

		ret[len++] = r;
		for (size_t i = 0; i < r->fields_len; i++) {
			if (r->fields[i].sub)
				ret[len++] = r->fields[i].sub;
		}
	}
	return len;
}

static void assert_same(const struct nv_record *r, const void *a, const void *b);

static void assert_same_field(const struct nv_field *f, const void *a, const void *b)
{
	switch (f->type) {
	case NV_T_BOOL:
		assert_int_equal(*(const bool *)a, *(const bool *)b);
		break;
	case NV_T_UINT:
	case NV_T_ENUM:
		assert_true(*(const uint64_t *)a == *(const uint64_t *)b);
		break;
	case NV_T_STR:
	case NV_T_UUID:
	case NV_T_NAME:
		if (!*(char *const *)a)
			assert_null(*(char *const *)b);
		else
			assert_string_equal(*(char *const *)a, *(char *const *)b);
		break;
	case NV_T_BIN: {
		const struct nv_bytes *x = a;
		const struct nv_bytes *y = b;

		assert_int_equal(!x->data, !y->data);
		assert_int_equal(x->len, y->len);
		if (x->len)
			assert_memory_equal(x->data, y->data, x->len);
		break;
	}
	case NV_T_STRS: {
		const struct nv_strs *x = a;
		const struct nv_strs *y = b;

		assert_int_equal(x->len, y->len);
		for (size_t i = 0; i < x->len; i++)
			assert_string_equal(x->items[i], y->items[i]);
		break;
	}
	case NV_T_LIST: {
		const struct nv_list *x = a;
		const struct nv_list *y = b;

		assert_int_equal(x->len, y->len);
		for (size_t i = 0; i < x->len; i++)
			assert_same(f->sub, (const char *)x->items + i * f->sub->size,
				    (const char *)y->items + i * f->sub->size);
		break;
	}
	}
}

static void assert_same(const struct nv_record *r, const void *a, const void *b)
{
	for (size_t i = 0; i < r->fields_len; i++)
		assert_same_field(&r->fields[i], (const char *)a + r->fields[i].offset,
				  (const char *)b + r->fields[i].offset);
}

/* --- building messages by hand --- */

/* "key value" of one field as the encoder writes it. */
static void put_pair(struct nv_buf *out, const struct nv_record *r, const struct nv_field *f,
		     const void *in)
{
	struct nv_record one = {.name = r->name, .size = r->size, .fields = f, .fields_len = 1};
	nv_auto_buf struct nv_buf buf = {0};

	assert_int_equal(nv_record_encode(&one, in, &buf, NULL), 0);
	nv_buf_put(out, buf.data + 1, buf.len - 1); /* without the head of the map */
}

static void put_head(struct nv_buf *out, uint8_t byte, size_t n, unsigned width)
{
	nv_buf_put(out, &byte, 1);
	while (width-- > 0) {
		uint8_t b = (uint8_t)(n >> (8 * width));

		nv_buf_put(out, &b, 1);
	}
}

static void put_key(struct nv_buf *out, const char *key)
{
	put_head(out, (uint8_t)(0xa0 | strlen(key)), 0, 0);
	nv_buf_puts(out, key);
}

static void put_map(struct nv_buf *out, size_t pairs)
{
	if (pairs < 16)
		put_head(out, (uint8_t)(0x80 | pairs), 0, 0);
	else
		put_head(out, 0xde, pairs, 2);
}

static void put_text(struct nv_buf *out, const char *s, size_t len)
{
	if (len < 32)
		put_head(out, (uint8_t)(0xa0 | len), 0, 0);
	else if (len < 0x100)
		put_head(out, 0xd9, len, 1);
	else if (len < 0x10000)
		put_head(out, 0xda, len, 2);
	else
		put_head(out, 0xdb, len, 4);
	nv_buf_put(out, s, len);
}

static void put_bin(struct nv_buf *out, const void *data, size_t len)
{
	if (len < 0x100)
		put_head(out, 0xc4, len, 1);
	else if (len < 0x10000)
		put_head(out, 0xc5, len, 2);
	else
		put_head(out, 0xc6, len, 4);
	nv_buf_put(out, data, len);
}

/* The full sample of r, where field `which` has this value instead of its own. */
static void build_with(struct nv_buf *out, const struct nv_record *r, size_t which,
		       const void *value, size_t len)
{
	nv_auto_arena struct nv_arena arena = {0};
	union sample_any in;

	sample_fill(r, &in, &arena, SAMPLE_FULL);
	out->len = 0;
	put_map(out, r->fields_len);
	for (size_t i = 0; i < r->fields_len; i++) {
		if (i == which) {
			put_key(out, r->fields[i].name);
			nv_buf_put(out, value, len);
		} else {
			put_pair(out, r, &r->fields[i], &in);
		}
	}
}

static int decode(const struct nv_record *r, const void *data, size_t len, struct nv_err *err)
{
	nv_auto_arena struct nv_arena arena = {0};
	nv_auto_free void *ret = nv_alloc(r->size);
	/* A copy of just that size: reading beyond it is seen by the sanitizer. */
	nv_auto_free void *copy = nv_alloc(len ? len : 1);

	memcpy(copy, data, len);
	return nv_record_decode(r, copy, len, ret, &arena, err);
}

/* Refused for good, with "<record>.<field>" in front (field NULL: the record itself). */
static void assert_refused(const struct nv_record *r, const char *field, const struct nv_buf *b,
			   const char *text)
{
	struct nv_err err = {0};
	char want[128];

	snprintf(want, sizeof want, "%s%s%s", r->name, field ? "." : "", field ? field : "");
	if (decode(r, b->data, b->len, &err) == 0)
		fail_msg("%s was accepted, expected: %s", want, text);
	assert_int_equal(err.kind, NV_REJECT);
	assert_int_equal(err.reason, NV_R_bad_message);
	if (strncmp(err.msg, want, strlen(want)) != 0 || !strstr(err.msg, text))
		fail_msg("\"%s\" does not say \"%s … %s\"", err.msg, want, text);
}

static void assert_value_refused(const struct nv_record *r, size_t which, const void *value,
				 size_t len, const char *text)
{
	nv_auto_buf struct nv_buf b = {0};

	build_with(&b, r, which, value, len);
	assert_refused(r, r->fields[which].name, &b, text);
}

#define EACH_RECORD(r)                             \
	const struct nv_record *records[32];       \
	size_t records_len = all_records(records); \
	const struct nv_record *r;                 \
	for (size_t record_i = 0; record_i < records_len && (r = records[record_i], 1); record_i++)

/* --- tests --- */

static void every_message_survives_a_round_trip(void **state)
{
	(void)state;
	EACH_RECORD(r)
	{
		for (int how = SAMPLE_BARE; how <= SAMPLE_CROWDED; how++) {
			nv_auto_arena struct nv_arena arena = {0};
			nv_auto_buf struct nv_buf b = {0};
			struct nv_err err = {0};
			union sample_any in;
			union sample_any out;

			sample_fill(r, &in, &arena, (enum sample)how);
			if (nv_record_encode(r, &in, &b, &err) ||
			    nv_record_decode(r, b.data, b.len, &out, &arena, &err))
				fail_msg("%s", err.msg);
			assert_same(r, &in, &out);
		}
	}
}

static void a_missing_field_is_named_unless_it_is_optional(void **state)
{
	(void)state;
	EACH_RECORD(r)
	{
		nv_auto_arena struct nv_arena arena = {0};
		union sample_any in;

		sample_fill(r, &in, &arena, SAMPLE_FULL);
		for (size_t gone = 0; gone < r->fields_len; gone++) {
			nv_auto_buf struct nv_buf b = {0};

			put_map(&b, r->fields_len - 1);
			for (size_t i = 0; i < r->fields_len; i++) {
				if (i != gone)
					put_pair(&b, r, &r->fields[i], &in);
			}
			if (r->fields[gone].required)
				assert_refused(r, r->fields[gone].name, &b, ": missing");
			else
				assert_int_equal(decode(r, b.data, b.len, NULL), 0);
		}
	}
}

static void a_field_given_twice_is_refused(void **state)
{
	(void)state;
	EACH_RECORD(r)
	{
		nv_auto_arena struct nv_arena arena = {0};
		union sample_any in;

		sample_fill(r, &in, &arena, SAMPLE_FULL);
		for (size_t twice = 0; twice < r->fields_len; twice++) {
			nv_auto_buf struct nv_buf b = {0};

			put_map(&b, r->fields_len + 1);
			for (size_t i = 0; i < r->fields_len; i++)
				put_pair(&b, r, &r->fields[i], &in);
			put_pair(&b, r, &r->fields[twice], &in);
			assert_refused(r, r->fields[twice].name, &b, ": given twice");
		}
	}
}

enum shape { SH_NIL, SH_BOOL, SH_UINT, SH_NEG, SH_FLOAT, SH_STR, SH_BIN, SH_ARRAY, SH_MAP, SH_EXT };

static bool shape_fits(enum shape shape, enum nv_type type)
{
	switch (type) {
	case NV_T_BOOL:
		return shape == SH_BOOL;
	case NV_T_UINT:
		return shape == SH_UINT;
	case NV_T_BIN:
		return shape == SH_BIN;
	case NV_T_STRS:
	case NV_T_LIST:
		return shape == SH_ARRAY;
	default:
		return shape == SH_STR;
	}
}

static void a_value_of_another_type_is_refused(void **state)
{
	static const struct {
		enum shape shape;
		const char *bytes;
		size_t len;
	} values[] = {
		{SH_NIL, BYTES("\xc0")},
		{SH_BOOL, BYTES("\xc3")},
		{SH_UINT, BYTES("\x01")},
		{SH_NEG, BYTES("\xff")},
		{SH_NEG, BYTES("\xd3\x80\0\0\0\0\0\0\0")},
		{SH_FLOAT, BYTES("\xca\x3f\x80\0\0")},
		{SH_FLOAT, BYTES("\xcb\x3f\xf0\0\0\0\0\0\0")},
		{SH_STR, BYTES("\xa1x")},
		{SH_BIN, BYTES("\xc4\x01x")},
		{SH_ARRAY, BYTES("\x90")},
		{SH_MAP, BYTES("\x80")},
		{SH_EXT, BYTES("\xd4\x01x")},
		{SH_EXT, BYTES("\xc7\x00\x01")},
	};

	(void)state;
	EACH_RECORD(r)
	{
		for (size_t f = 0; f < r->fields_len; f++) {
			for (size_t v = 0; v < NV_ARRAY_LEN(values); v++) {
				if (!shape_fits(values[v].shape, r->fields[f].type))
					assert_value_refused(r, f, values[v].bytes, values[v].len,
							     ": not ");
			}
		}
		for (size_t v = 0; v < NV_ARRAY_LEN(values); v++) {
			struct nv_err err = {0};

			if (values[v].shape == SH_MAP)
				continue;
			assert_int_equal(decode(r, values[v].bytes, values[v].len, &err), -1);
			assert_int_equal(err.reason, NV_R_bad_message);
		}
	}
}

/* One more than the limit, on the wire. */
static bool put_too_much(struct nv_buf *out, const struct nv_field *f)
{
	nv_auto_arena struct nv_arena arena = {0};
	struct nv_list list = {0};

	switch (f->type) {
	case NV_T_UINT:
		if (f->max == NV_UNLIMITED)
			return false;
		put_head(out, f->max + 1 < 0x10000 ? 0xcd : 0xce, f->max + 1,
			 f->max + 1 < 0x10000 ? 2 : 4);
		return true;
	case NV_T_STR:
		put_text(out, sample_text(&arena, f->max + 1), f->max + 1);
		return true;
	case NV_T_NAME:
		put_text(out, BYTES("a-name-of-more-than-32-characters"));
		return true;
	case NV_T_BIN:
		put_bin(out, nv_arena_alloc(&arena, f->max + 1), f->max + 1);
		return true;
	case NV_T_STRS:
		put_head(out, 0xdc, f->max_items + 1, 2);
		for (uint64_t i = 0; i <= f->max_items; i++)
			put_text(out, "x", 1);
		return true;
	case NV_T_LIST:
		put_head(out, 0xdc, f->max_items + 1, 2);
		list.items = nv_arena_alloc(&arena, f->sub->size);
		sample_fill(f->sub, list.items, &arena, SAMPLE_FULL);
		for (uint64_t i = 0; i <= f->max_items; i++)
			assert_int_equal(nv_record_encode(f->sub, list.items, out, NULL), 0);
		return true;
	default:
		return false;
	}
}

static void a_value_beyond_its_limit_is_refused(void **state)
{
	(void)state;
	EACH_RECORD(r)
	{
		for (size_t f = 0; f < r->fields_len; f++) {
			nv_auto_buf struct nv_buf v = {0};

			if (put_too_much(&v, &r->fields[f]))
				assert_value_refused(r, f, v.data, v.len, ", at most ");
			if (r->fields[f].type == NV_T_STRS) {
				nv_auto_arena struct nv_arena arena = {0};
				size_t len = r->fields[f].max + 1;

				v.len = 0;
				put_head(&v, 0x91, 0, 0);
				put_text(&v, sample_text(&arena, len), len);
				assert_value_refused(r, f, v.data, v.len, "[0]: ");
			}
		}
	}
}

static void text_that_is_not_utf8_or_holds_a_nul_is_refused(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} texts[] = {
		{BYTES("a\0b")},
		{BYTES("\0")},
		{BYTES("\x80")},
		{BYTES("\xbf\xbf")},
		{BYTES("\xc0\x80")},
		{BYTES("\xc1\xbf")},
		{BYTES("\xc3")},
		{BYTES("\xc3x")},
		{BYTES("\xe0\x9f\xbf")},
		{BYTES("\xe2\x82")},
		{BYTES("\xe2\x82x")},
		{BYTES("\xed\xa0\x80")},
		{BYTES("\xf0\x8f\xbf\xbf")},
		{BYTES("\xf0\x9f\x98")},
		{BYTES("\xf0\x9f\x98x")},
		{BYTES("\xf4\x90\x80\x80")},
		{BYTES("\xf5\x80\x80\x80")},
		{BYTES("x\xff")},
	};

	(void)state;
	EACH_RECORD(r)
	{
		for (size_t f = 0; f < r->fields_len; f++) {
			enum nv_type type = r->fields[f].type;

			if (!shape_fits(SH_STR, type) && type != NV_T_STRS)
				continue;
			for (size_t i = 0; i < NV_ARRAY_LEN(texts); i++) {
				nv_auto_buf struct nv_buf v = {0};

				if (type == NV_T_STRS)
					put_head(&v, 0x91, 0, 0);
				put_text(&v, texts[i].bytes, texts[i].len);
				assert_value_refused(r, f, v.data, v.len,
						     type == NV_T_ENUM ? ": not one of"
								       : ": not UTF-8");
			}
		}
	}
}

static void ids_names_and_words_are_checked(void **state)
{
	(void)state;
	EACH_RECORD(r)
	{
		for (size_t f = 0; f < r->fields_len; f++) {
			switch (r->fields[f].type) {
			case NV_T_UUID:
				assert_value_refused(r, f, BYTES("\xa0"), "not a UUIDv7");
				assert_value_refused(r, f,
						     BYTES("\xd9\x24"
							   "01933b5c-7c00-4abc-8def-0123456789ab"),
						     "not a UUIDv7");
				break;
			case NV_T_NAME:
				assert_value_refused(r, f, BYTES("\xa0"), "not a name");
				assert_value_refused(r, f, BYTES("\xa3../"), "not a name");
				assert_value_refused(r, f, BYTES("\xa1*"), "not a name");
				break;
			case NV_T_ENUM:
				assert_value_refused(r, f, BYTES("\xa0"), "not one of");
				assert_value_refused(r, f, BYTES("\xa4what"), "not one of");
				break;
			default:
				break;
			}
		}
	}
}

static void bytes_behind_the_end_are_refused(void **state)
{
	(void)state;
	EACH_RECORD(r)
	{
		nv_auto_arena struct nv_arena arena = {0};
		nv_auto_buf struct nv_buf b = {0};
		union sample_any in;

		sample_fill(r, &in, &arena, SAMPLE_FULL);
		assert_int_equal(nv_record_encode(r, &in, &b, NULL), 0);
		nv_buf_put(&b, "\0", 1);
		assert_refused(r, NULL, &b, "behind its end");
	}
}

static void a_message_cut_short_anywhere_is_refused(void **state)
{
	(void)state;
	EACH_RECORD(r)
	{
		nv_auto_arena struct nv_arena arena = {0};
		nv_auto_buf struct nv_buf b = {0};
		union sample_any in;

		sample_fill(r, &in, &arena, SAMPLE_FULL);
		assert_int_equal(nv_record_encode(r, &in, &b, NULL), 0);
		for (size_t len = 0; len < b.len; len++) {
			struct nv_err err = {0};

			assert_int_equal(decode(r, b.data, len, &err), -1);
			assert_int_equal(err.reason, NV_R_bad_message);
		}
	}
}

static void unknown_fields_are_passed_over(void **state)
{
	/* One of each form, deep ones too. */
	static const char extra[] =
		"\xa3new\x9c\xc0\xc2\x81\x01\x91\x90\xca\0\0\0\0\xcb\0\0\0\0\0\0\0\0"
		"\xd0\x80\xd1\x80\0\xd2\x80\0\0\0\xd8\0\0\0\0\0\0\0\0\0\0\0\0\0"
		"\0\0\0\0\xc7\x03\0xyz\xc4\0\xa1y";

	(void)state;
	EACH_RECORD(r)
	{
		nv_auto_arena struct nv_arena arena = {0};
		nv_auto_buf struct nv_buf b = {0};
		struct nv_err err = {0};
		union sample_any in;
		union sample_any out;

		sample_fill(r, &in, &arena, SAMPLE_FULL);
		put_map(&b, r->fields_len + 2);
		nv_buf_put(&b, extra, sizeof extra - 1);
		for (size_t i = 0; i < r->fields_len; i++)
			put_pair(&b, r, &r->fields[i], &in);
		nv_buf_put(&b, extra, sizeof extra - 1);
		if (nv_record_decode(r, b.data, b.len, &out, &arena, &err))
			fail_msg("%s", err.msg);
		assert_same(r, &in, &out);
	}
}

static void an_unknown_field_may_nest_a_million_deep(void **state)
{
	const struct nv_record *r = &nv_cancel_request_record;
	nv_auto_arena struct nv_arena arena = {0};
	nv_auto_buf struct nv_buf b = {0};
	union sample_any in;

	(void)state;
	sample_fill(r, &in, &arena, SAMPLE_FULL);
	put_map(&b, r->fields_len + 1);
	for (size_t i = 0; i < r->fields_len; i++)
		put_pair(&b, r, &r->fields[i], &in);
	put_key(&b, "deep");
	for (int i = 0; i < 1000000; i++)
		nv_buf_put(&b, "\x91", 1);
	assert_refused(r, NULL, &b, "cut short");
	nv_buf_put(&b, "\xc0", 1);
	assert_int_equal(decode(r, b.data, b.len, NULL), 0);
}

static void claims_beyond_the_input_allocate_nothing(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} inputs[] = {
		{BYTES("\xdf\xff\xff\xff\xff")},
		{BYTES("\x81\xa5roles\xdd\xff\xff\xff\xff")},
		{BYTES("\x81\xa5roles\xdc\x00\x20")},
		{BYTES("\x81\xa7plugins\xdd\xff\xff\xff\xff")},
		{BYTES("\x81\xa7plugins\xdc\x07\xd0\x80\x80\x80")},
		{BYTES("\x81\xa6"
		       "course\xdb\xff\xff\xff\xff")},
		{BYTES("\x81\xa4user\xc6\xff\xff\xff\xff")},
		{BYTES("\x81\xa3new\xdd\xff\xff\xff\xff")},
		{BYTES("\x81\xa3new\xc9\xff\xff\xff\xff\x01")},
	};

	(void)state;
	for (size_t i = 0; i < NV_ARRAY_LEN(inputs); i++) {
		nv_auto_arena struct nv_arena arena = {0};
		struct nv_restore_request ret;

		assert_int_equal(nv_record_decode(&nv_restore_request_record, inputs[i].bytes,
						  inputs[i].len, &ret, &arena, NULL),
				 -1);
		assert_null(arena.chunks);
	}
}

static void a_list_that_cannot_hold_its_items_allocates_nothing(void **state)
{
	nv_auto_arena struct nv_arena arena = {0};
	nv_auto_buf struct nv_buf b = {0};
	struct nv_restore_request ret;
	struct nv_err err = {0};

	(void)state;
	put_map(&b, 1);
	put_key(&b, "plugins");
	put_head(&b, 0xdc, 2000, 2);
	for (int i = 0; i < 2000; i++)
		put_map(&b, 0); /* a byte an item, but no plugin is that small */
	assert_int_equal(
		nv_record_decode(&nv_restore_request_record, b.data, b.len, &ret, &arena, &err),
		-1);
	assert_non_null(strstr(err.msg, "plugins: claims more items"));
	assert_null(arena.chunks);
}

static void only_the_shortest_form_is_taken(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} values[] = {
		{BYTES("\xcc\x7f")},
		{BYTES("\xcd\0\xff")},
		{BYTES("\xce\0\0\xff\xff")},
		{BYTES("\xcf\0\0\0\0\xff\xff\xff\xff")},
		{BYTES("\xd0\x01")},
		{BYTES("\xd3\0\0\0\x01\0\0\0\0")},
		{BYTES("\xd9\x1f"
		       "0123456789012345678901234567890")},
		{BYTES("\xda\0\x01x")},
		{BYTES("\xdb\0\0\0\x01x")},
		{BYTES("\xc5\0\x01x")},
		{BYTES("\xc6\0\0\0\x01x")},
		{BYTES("\xdc\0\0")},
		{BYTES("\xdd\0\0\0\0")},
		{BYTES("\xde\0\0")},
		{BYTES("\xdf\0\0\0\0")},
		{BYTES("\xd0\xe0")},
		{BYTES("\xd1\xff\x80")},
		{BYTES("\xd2\xff\xff\x80\0")},
		{BYTES("\xd3\xff\xff\xff\xff\x80\0\0\0")},
		{BYTES("\xc1")},
	};

	(void)state;
	EACH_RECORD(r)
	{
		for (size_t f = 0; f < r->fields_len; f++) {
			for (size_t v = 0; v < NV_ARRAY_LEN(values); v++)
				assert_value_refused(r, f, values[v].bytes, values[v].len,
						     ": not msgpack");
		}
	}
}

static void a_field_in_a_list_is_named_with_its_place(void **state)
{
	const struct nv_record *r = &nv_restore_request_record;
	nv_auto_buf struct nv_buf b = {0};
	nv_auto_buf struct nv_buf v = {0};
	size_t which = 0;

	(void)state;
	while (strcmp(r->fields[which].name, "plugins") != 0)
		which++;
	put_head(&v, 0x92, 0, 0);
	for (int i = 0; i < 2; i++) {
		put_map(&v, i == 0 ? 2 : 1);
		put_key(&v, "version");
		put_head(&v, 5, 0, 0);
		if (i == 0) {
			put_key(&v, "name");
			put_text(&v, BYTES("mod_quiz-and-something-behind-it"));
		}
	}
	build_with(&b, r, which, v.data, v.len);
	assert_refused(r, "plugins[1].name: missing", &b, "");
}

static void what_breaks_its_limits_is_not_encoded(void **state)
{
	(void)state;
	EACH_RECORD(r)
	{
		for (size_t i = 0; i < r->fields_len; i++) {
			const struct nv_field *f = &r->fields[i];
			nv_auto_arena struct nv_arena arena = {0};
			nv_auto_buf struct nv_buf b = {0};
			struct nv_err err = {0};
			union sample_any in;
			void *at = (char *)&in + f->offset;

			sample_fill(r, &in, &arena, SAMPLE_FULL);
			if (f->type == NV_T_UINT && f->max < NV_UNLIMITED)
				*(uint64_t *)at = f->max + 1;
			else if (f->type == NV_T_ENUM)
				*(uint64_t *)at = 1000;
			else if (shape_fits(SH_STR, f->type))
				*(char **)at = sample_text(&arena, f->max + 1);
			else if (f->type == NV_T_STRS)
				((struct nv_strs *)at)->items[1] = nv_arena_strdup(&arena, "\xff");
			else if (f->type == NV_T_LIST)
				((struct nv_list *)at)->len = f->max_items + 1;
			else if (f->type == NV_T_BIN)
				((struct nv_bytes *)at)->len = f->max + 1;
			else
				continue;
			nv_buf_puts(&b, "before");
			assert_int_equal(nv_record_encode(r, &in, &b, &err), -1);
			assert_int_equal(err.kind, NV_REJECT);
			assert_int_equal(err.reason, NV_R_internal);
			assert_non_null(strstr(err.msg, f->name));
			assert_string_equal((char *)b.data, "before");
			assert_int_equal(b.len, 6);
		}
	}
}

static void a_required_text_must_be_there_to_be_encoded(void **state)
{
	nv_auto_buf struct nv_buf b = {0};
	struct nv_cancel_request in = {.rev = 1};
	struct nv_err err = {0};

	(void)state;
	assert_int_equal(nv_record_encode(&nv_cancel_request_record, &in, &b, &err), -1);
	assert_string_equal(err.msg, "cancel.request.id: missing");
}

static void kinds_are_found_by_their_words(void **state)
{
	(void)state;
	for (unsigned i = 0; i < NV_KIND_COUNT; i++) {
		const struct nv_kind_info *info = nv_kind_info((enum nv_kind)i);

		assert_int_equal(nv_kind_from(info->word), i);
		assert_string_equal(info->word, info->record->name);
	}
	assert_int_equal(nv_kind_from("restore"), NV_KIND_COUNT);
	assert_int_equal(nv_kind_from(""), NV_KIND_COUNT);
	assert_null(nv_kind_info(NV_KIND_COUNT));
}

static void the_readme_is_what_the_tables_say(void **state)
{
	const char *source = getenv("NAVETTE_SOURCE");
	nv_auto_buf struct nv_buf want = {0};
	nv_auto_buf struct nv_buf have = {0};
	nv_auto_free char *path = NULL;
	struct nv_err err = {0};

	(void)state;
	if (!source)
		skip();
	path = nv_asprintf("%s/proto/README.md", source);
	nv_proto_document(&want);
	if (getenv("NAVETTE_UPDATE") && nv_write_file(path, want.data, want.len, 0644, &err))
		fail_msg("%s", err.msg);
	if (nv_read_file(path, 1048576, &have, &err))
		fail_msg("%s", err.msg);
	if (have.len != want.len || memcmp(have.data, want.data, want.len) != 0)
		fail_msg("proto/README.md is not what the tables say; write it anew with "
			 "NAVETTE_UPDATE=1 ctest -R unit.test_proto");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_message_survives_a_round_trip),
		cmocka_unit_test(a_missing_field_is_named_unless_it_is_optional),
		cmocka_unit_test(a_field_given_twice_is_refused),
		cmocka_unit_test(a_value_of_another_type_is_refused),
		cmocka_unit_test(a_value_beyond_its_limit_is_refused),
		cmocka_unit_test(text_that_is_not_utf8_or_holds_a_nul_is_refused),
		cmocka_unit_test(ids_names_and_words_are_checked),
		cmocka_unit_test(bytes_behind_the_end_are_refused),
		cmocka_unit_test(a_message_cut_short_anywhere_is_refused),
		cmocka_unit_test(unknown_fields_are_passed_over),
		cmocka_unit_test(an_unknown_field_may_nest_a_million_deep),
		cmocka_unit_test(claims_beyond_the_input_allocate_nothing),
		cmocka_unit_test(a_list_that_cannot_hold_its_items_allocates_nothing),
		cmocka_unit_test(only_the_shortest_form_is_taken),
		cmocka_unit_test(a_field_in_a_list_is_named_with_its_place),
		cmocka_unit_test(what_breaks_its_limits_is_not_encoded),
		cmocka_unit_test(a_required_text_must_be_there_to_be_encoded),
		cmocka_unit_test(kinds_are_found_by_their_words),
		cmocka_unit_test(the_readme_is_what_the_tables_say),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
