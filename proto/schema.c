/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "proto/schema.h"

#include <msgpack.h>
#include <string.h>

#include "base/id.h"
#include "proto/wire.h"

/* Where we are, for messages: "restore.request.plugins[3].name". */
struct place {
	const struct place *up; /* NULL: the record itself */
	const char *name;
	size_t index; /* of the item in a list */
	bool has_index;
};

static void place_put(const struct place *p, struct nv_buf *out)
{
	if (p->up)
		place_put(p->up, out);
	if (p->has_index) {
		nv_buf_printf(out, "[%zu]", p->index);
		return;
	}
	if (p->up)
		nv_buf_puts(out, ".");
	nv_buf_puts(out, p->name);
}

static int wrong(const struct place *p, enum nv_reason reason, struct nv_err *err, const char *fmt,
		 ...) __attribute__((format(printf, 4, 5)));
static int wrong(const struct place *p, enum nv_reason reason, struct nv_err *err, const char *fmt,
		 ...)
{
	nv_auto_buf struct nv_buf where = {0};
	char what[160];
	va_list args;

	va_start(args, fmt);
	vsnprintf(what, sizeof what, fmt, args);
	va_end(args);
	place_put(p, &where);
	return nv_fail(err, NV_REJECT, reason, "%s: %s", (const char *)where.data, what);
}

static struct place field_place(const struct place *up, const struct nv_field *f)
{
	return (struct place){.up = up, .name = f->name};
}

static struct place item_place(const struct place *up, size_t index)
{
	return (struct place){.up = up, .index = index, .has_index = true};
}

/* --- limits, the same for both directions --- */

static int check_text(const struct nv_field *f, const uint8_t *s, size_t len, const struct place *p,
		      enum nv_reason reason, struct nv_err *err)
{
	if (len > f->max)
		return wrong(p, reason, err, "%zu bytes, at most %ju are allowed", len,
			     (uintmax_t)f->max);
	if (!nv_wire_text_ok(s, len))
		return wrong(p, reason, err, "not UTF-8 text");
	return 0;
}

/* s is NUL-terminated and went through check_text. */
static int check_form(const struct nv_field *f, const char *s, const struct place *p,
		      enum nv_reason reason, struct nv_err *err)
{
	if (f->type == NV_T_UUID && !nv_uuid_valid(s))
		return wrong(p, reason, err, "not a UUIDv7");
	if (f->type == NV_T_NAME && !nv_name_valid(s))
		return wrong(p, reason, err, "not a name of a-z, 0-9 and '-'");
	return 0;
}

static int check_uint(const struct nv_field *f, uint64_t value, const struct place *p,
		      enum nv_reason reason, struct nv_err *err)
{
	if (value > f->max)
		return wrong(p, reason, err, "%ju, at most %ju is allowed", (uintmax_t)value,
			     (uintmax_t)f->max);
	return 0;
}

static int check_bytes(const struct nv_field *f, size_t len, const struct place *p,
		       enum nv_reason reason, struct nv_err *err)
{
	if (len > f->max)
		return wrong(p, reason, err, "%zu bytes, at most %ju are allowed", len,
			     (uintmax_t)f->max);
	return 0;
}

static int check_items(const struct nv_field *f, uint64_t len, const struct place *p,
		       enum nv_reason reason, struct nv_err *err)
{
	if (len > f->max_items)
		return wrong(p, reason, err, "%ju items, at most %ju are allowed", (uintmax_t)len,
			     (uintmax_t)f->max_items);
	return 0;
}

/* --- encoding --- */

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

/* Absent values are left out; so are optional ones whose value equals absence. */
static bool is_absent(const struct nv_field *f, const void *at)
{
	switch (f->type) {
	case NV_T_STR:
	case NV_T_UUID:
	case NV_T_NAME:
		return !*(char *const *)at;
	case NV_T_BIN:
		return !((const struct nv_bytes *)at)->data;
	case NV_T_BOOL:
		return !f->required && !*(const bool *)at;
	case NV_T_UINT:
	case NV_T_ENUM:
		return !f->required && *(const uint64_t *)at == 0;
	case NV_T_STRS:
		return !f->required && ((const struct nv_strs *)at)->len == 0;
	case NV_T_LIST:
		return !f->required && ((const struct nv_list *)at)->len == 0;
	}
	return true;
}

static int encode_record(const struct nv_record *r, const void *in, msgpack_packer *pk,
			 const struct place *p, struct nv_err *err);

static int encode_text(const struct nv_field *f, const char *s, msgpack_packer *pk,
		       const struct place *p, struct nv_err *err)
{
	if (!s)
		return wrong(p, NV_R_internal, err, "missing");
	if (check_text(f, (const uint8_t *)s, strlen(s), p, NV_R_internal, err) ||
	    check_form(f, s, p, NV_R_internal, err))
		return -1;
	pack_text(pk, s);
	return 0;
}

static int encode_word(const struct nv_field *f, uint64_t value, msgpack_packer *pk,
		       const struct place *p, struct nv_err *err)
{
	uint64_t count = 0;

	while (f->names[count])
		count++;
	if (value >= count)
		return wrong(p, NV_R_internal, err, "%ju is no word's number", (uintmax_t)value);
	pack_text(pk, f->names[value]);
	return 0;
}

static int encode_strs(const struct nv_field *f, const struct nv_strs *strs, msgpack_packer *pk,
		       const struct place *p, struct nv_err *err)
{
	if (check_items(f, strs->len, p, NV_R_internal, err))
		return -1;
	msgpack_pack_array(pk, strs->len);
	for (size_t i = 0; i < strs->len; i++) {
		struct place item = item_place(p, i);

		if (encode_text(f, strs->items[i], pk, &item, err))
			return -1;
	}
	return 0;
}

static int encode_list(const struct nv_field *f, const struct nv_list *list, msgpack_packer *pk,
		       const struct place *p, struct nv_err *err)
{
	if (check_items(f, list->len, p, NV_R_internal, err))
		return -1;
	msgpack_pack_array(pk, list->len);
	for (size_t i = 0; i < list->len; i++) {
		struct place item = item_place(p, i);

		if (encode_record(f->sub, (const char *)list->items + i * f->sub->size, pk, &item,
				  err))
			return -1;
	}
	return 0;
}

static int encode_value(const struct nv_field *f, const void *at, msgpack_packer *pk,
			const struct place *p, struct nv_err *err)
{
	switch (f->type) {
	case NV_T_BOOL:
		*(const bool *)at ? msgpack_pack_true(pk) : msgpack_pack_false(pk);
		return 0;
	case NV_T_UINT:
		if (check_uint(f, *(const uint64_t *)at, p, NV_R_internal, err))
			return -1;
		msgpack_pack_uint64(pk, *(const uint64_t *)at);
		return 0;
	case NV_T_ENUM:
		return encode_word(f, *(const uint64_t *)at, pk, p, err);
	case NV_T_STR:
	case NV_T_UUID:
	case NV_T_NAME:
		return encode_text(f, *(char *const *)at, pk, p, err);
	case NV_T_BIN: {
		const struct nv_bytes *bytes = at;

		if (check_bytes(f, bytes->len, p, NV_R_internal, err))
			return -1;
		msgpack_pack_bin(pk, bytes->len);
		msgpack_pack_bin_body(pk, bytes->data, bytes->len);
		return 0;
	}
	case NV_T_STRS:
		return encode_strs(f, at, pk, p, err);
	case NV_T_LIST:
		return encode_list(f, at, pk, p, err);
	}
	return wrong(p, NV_R_internal, err, "a type nobody knows");
}

static int encode_record(const struct nv_record *r, const void *in, msgpack_packer *pk,
			 const struct place *p, struct nv_err *err)
{
	size_t present = 0;

	for (size_t i = 0; i < r->fields_len; i++)
		present += !is_absent(&r->fields[i], (const char *)in + r->fields[i].offset);
	msgpack_pack_map(pk, present);
	for (size_t i = 0; i < r->fields_len; i++) {
		const struct nv_field *f = &r->fields[i];
		const void *at = (const char *)in + f->offset;
		struct place here = field_place(p, f);

		if (is_absent(f, at)) {
			if (f->required)
				return wrong(&here, NV_R_internal, err, "missing");
			continue;
		}
		pack_text(pk, f->name);
		if (encode_value(f, at, pk, &here, err))
			return -1;
	}
	return 0;
}

int nv_record_encode(const struct nv_record *r, const void *in, struct nv_buf *out,
		     struct nv_err *err)
{
	struct place top = {.name = r->name};
	size_t start = out->len;
	msgpack_packer pk;

	msgpack_packer_init(&pk, out, to_buf);
	if (encode_record(r, in, &pk, &top, err)) {
		out->len = start; /* nothing half-written */
		if (out->data)
			out->data[start] = 0;
		return -1;
	}
	return 0;
}

/* --- decoding --- */

static int decode_record(const struct nv_record *r, struct nv_wire *w, void *ret,
			 struct nv_arena *arena, const struct place *p, struct nv_err *err);

static int next(struct nv_wire *w, struct nv_wire_head *ret, const struct place *p,
		struct nv_err *err)
{
	if (nv_wire_next(w, ret))
		return wrong(p, NV_R_bad_message, err, "not msgpack, or cut short");
	return 0;
}

static int expect(const struct nv_wire_head *head, enum nv_wire_kind kind, const char *what,
		  const struct place *p, struct nv_err *err)
{
	if (head->kind != kind)
		return wrong(p, NV_R_bad_message, err, "not %s", what);
	return 0;
}

static int decode_text(const struct nv_field *f, const struct nv_wire_head *head,
		       struct nv_arena *arena, char **ret, const struct place *p,
		       struct nv_err *err)
{
	if (expect(head, NV_W_STR, "a string", p, err) ||
	    check_text(f, head->data, head->value, p, NV_R_bad_message, err))
		return -1;
	*ret = nv_arena_strndup(arena, (const char *)head->data, head->value);
	return check_form(f, *ret, p, NV_R_bad_message, err);
}

static int decode_word(const struct nv_field *f, const struct nv_wire_head *head, uint64_t *ret,
		       const struct place *p, struct nv_err *err)
{
	if (expect(head, NV_W_STR, "a string", p, err))
		return -1;
	for (uint64_t i = 0; f->names[i]; i++) {
		if (strlen(f->names[i]) == head->value &&
		    memcmp(f->names[i], head->data, head->value) == 0) {
			*ret = i;
			return 0;
		}
	}
	return wrong(p, NV_R_bad_message, err, "not one of the words this version knows");
}

static int decode_strs(const struct nv_field *f, struct nv_wire *w, const struct nv_wire_head *head,
		       struct nv_arena *arena, struct nv_strs *ret, const struct place *p,
		       struct nv_err *err)
{
	if (expect(head, NV_W_ARRAY, "an array", p, err) ||
	    check_items(f, head->value, p, NV_R_bad_message, err))
		return -1;
	if (head->value == 0)
		return 0;
	ret->items = nv_arena_alloc(arena, head->value * sizeof *ret->items);
	for (size_t i = 0; i < head->value; i++) {
		struct place item = item_place(p, i);
		struct nv_wire_head text;

		if (next(w, &text, &item, err) ||
		    decode_text(f, &text, arena, &ret->items[i], &item, err))
			return -1;
		ret->len = i + 1;
	}
	return 0;
}

/* The minimum size of a valid record on the wire: an array that claims more items than the rest of
 * the input can hold is refused before memory is allocated for them. */
static size_t least_size(const struct nv_record *r)
{
	size_t least = 1;

	for (size_t i = 0; i < r->fields_len; i++) {
		if (r->fields[i].required)
			least += 1 + strlen(r->fields[i].name) + 1;
	}
	return least;
}

static int decode_list(const struct nv_field *f, struct nv_wire *w, const struct nv_wire_head *head,
		       struct nv_arena *arena, struct nv_list *ret, const struct place *p,
		       struct nv_err *err)
{
	if (expect(head, NV_W_ARRAY, "an array", p, err) ||
	    check_items(f, head->value, p, NV_R_bad_message, err))
		return -1;
	if (head->value > nv_wire_left(w) / least_size(f->sub))
		return wrong(p, NV_R_bad_message, err, "claims more items than it holds");
	if (head->value == 0)
		return 0;
	ret->items = nv_arena_alloc(arena, head->value * f->sub->size);
	for (size_t i = 0; i < head->value; i++) {
		struct place item = item_place(p, i);

		if (decode_record(f->sub, w, (char *)ret->items + i * f->sub->size, arena, &item,
				  err))
			return -1;
		ret->len = i + 1;
	}
	return 0;
}

static int decode_bytes(const struct nv_field *f, const struct nv_wire_head *head,
			struct nv_arena *arena, struct nv_bytes *ret, const struct place *p,
			struct nv_err *err)
{
	if (expect(head, NV_W_BIN, "binary", p, err) ||
	    check_bytes(f, head->value, p, NV_R_bad_message, err))
		return -1;
	/* A copy, since messages outlive their input buffer; with a NUL, so that data is never NULL
	 * when the field is present. */
	ret->data = (const uint8_t *)nv_arena_strndup(arena, (const char *)head->data, head->value);
	ret->len = head->value;
	return 0;
}

static int decode_value(const struct nv_field *f, struct nv_wire *w, void *at,
			struct nv_arena *arena, const struct place *p, struct nv_err *err)
{
	struct nv_wire_head head;

	if (next(w, &head, p, err))
		return -1;
	switch (f->type) {
	case NV_T_BOOL:
		if (expect(&head, NV_W_BOOL, "a bool", p, err))
			return -1;
		*(bool *)at = head.value != 0;
		return 0;
	case NV_T_UINT:
		if (expect(&head, NV_W_UINT, "a whole number from 0", p, err) ||
		    check_uint(f, head.value, p, NV_R_bad_message, err))
			return -1;
		*(uint64_t *)at = head.value;
		return 0;
	case NV_T_ENUM:
		return decode_word(f, &head, at, p, err);
	case NV_T_STR:
	case NV_T_UUID:
	case NV_T_NAME:
		return decode_text(f, &head, arena, at, p, err);
	case NV_T_BIN:
		return decode_bytes(f, &head, arena, at, p, err);
	case NV_T_STRS:
		return decode_strs(f, w, &head, arena, at, p, err);
	case NV_T_LIST:
		return decode_list(f, w, &head, arena, at, p, err);
	}
	return wrong(p, NV_R_internal, err, "a type nobody knows");
}

static const struct nv_field *find_field(const struct nv_record *r, const struct nv_wire_head *key)
{
	for (size_t i = 0; i < r->fields_len; i++) {
		if (strlen(r->fields[i].name) == key->value &&
		    memcmp(r->fields[i].name, key->data, key->value) == 0)
			return &r->fields[i];
	}
	return NULL;
}

/* One key and its value; seen has a bit for each field already met. */
static int decode_pair(const struct nv_record *r, struct nv_wire *w, void *ret, uint64_t *seen,
		       struct nv_arena *arena, const struct place *p, struct nv_err *err)
{
	const struct nv_field *f;
	struct nv_wire_head head;
	struct place here;
	uint64_t bit;

	if (next(w, &head, p, err) || expect(&head, NV_W_STR, "a map with string keys", p, err))
		return -1;
	f = find_field(r, &head);
	if (!f) {
		if (next(w, &head, p, err))
			return -1;
		if (nv_wire_skip(w, &head))
			return wrong(p, NV_R_bad_message, err, "not msgpack, or cut short");
		return 0;
	}
	here = field_place(p, f);
	bit = (uint64_t)1 << (f - r->fields);
	if (*seen & bit)
		return wrong(&here, NV_R_bad_message, err, "given twice");
	*seen |= bit;
	return decode_value(f, w, (char *)ret + f->offset, arena, &here, err);
}

static int decode_record(const struct nv_record *r, struct nv_wire *w, void *ret,
			 struct nv_arena *arena, const struct place *p, struct nv_err *err)
{
	struct nv_wire_head head;
	uint64_t seen = 0;

	if (r->fields_len > 64)
		return wrong(p, NV_R_internal, err, "a table of more than 64 fields");
	if (next(w, &head, p, err) || expect(&head, NV_W_MAP, "a map", p, err))
		return -1;
	for (uint64_t i = 0; i < head.value; i++) {
		if (decode_pair(r, w, ret, &seen, arena, p, err))
			return -1;
	}
	for (size_t i = 0; i < r->fields_len; i++) {
		struct place here = field_place(p, &r->fields[i]);

		if (r->fields[i].required && !(seen & (uint64_t)1 << i))
			return wrong(&here, NV_R_bad_message, err, "missing");
	}
	return 0;
}

int nv_record_decode(const struct nv_record *r, const void *data, size_t len, void *ret,
		     struct nv_arena *arena, struct nv_err *err)
{
	static const uint8_t nothing[1];
	const uint8_t *at = data ? data : nothing;
	struct nv_wire w = {.at = at, .end = at + (data ? len : 0)};
	struct place top = {.name = r->name};

	memset(ret, 0, r->size);
	if (decode_record(r, &w, ret, arena, &top, err))
		return -1;
	if (nv_wire_left(&w) > 0)
		return wrong(&top, NV_R_bad_message, err, "%zu bytes behind its end",
			     nv_wire_left(&w));
	return 0;
}
