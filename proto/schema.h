/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Records as tables of fields: codec, validation and documentation come from one description.
 *
 * On the wire a record is a msgpack map (https://github.com/msgpack/msgpack/blob/master/spec.md)
 * with string keys.  Strict: a missing required field, a wrong type, a value out of its limits, a
 * doubled key, a string that is not UTF-8 or holds a NUL, and a trailing byte are errors that name
 * the field ("restore.request.site: missing").  Unknown extra fields are ignored: a newer peer may
 * send them.  Every value must have msgpack's shortest form (see wire.h). */
#ifndef NV_PROTO_SCHEMA_H
#define NV_PROTO_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

enum nv_type {
	NV_T_BOOL, /* bool */
	NV_T_UINT, /* uint64_t, at most max */
	NV_T_STR,  /* char *, UTF-8, at most max bytes; NULL: absent */
	NV_T_BIN,  /* struct nv_bytes, at most max bytes; data NULL: absent */
	NV_T_UUID, /* char *, a UUIDv7; NULL: absent */
	NV_T_NAME, /* char *, see nv_name_valid; NULL: absent */
	NV_T_ENUM, /* uint64_t index into names; on the wire the word; absent: 0 */
	NV_T_STRS, /* struct nv_strs, at most max_items of at most max bytes */
	NV_T_LIST, /* struct nv_list of sub's structs, at most max_items */
};

struct nv_strs {
	char **items;
	size_t len;
};
struct nv_list {
	void *items; /* array of the sub-record's struct */
	size_t len;
};

struct nv_record;
struct nv_field {
	const char *name;
	enum nv_type type;
	bool required;
	size_t offset;		  /* in the struct */
	uint64_t max;		  /* largest value, or bytes */
	uint64_t max_items;	  /* STRS, LIST */
	const char *const *names; /* ENUM: words, NULL-terminated */
	const struct nv_record *sub;
	const char *doc;
};
struct nv_record {
	const char *name;
	size_t size; /* of the struct */
	const struct nv_field *fields;
	size_t fields_len;
	const char *doc;
};

/* Append the record's msgpack form to out.  NV_REJECT/internal when in breaks its own limits. */
int nv_record_encode(const struct nv_record *r, const void *in, struct nv_buf *out,
		     struct nv_err *err);
/* Decode exactly len bytes into *ret (r->size bytes, zeroed first); strings and lists live in the
 * arena.  NV_REJECT/bad_message with the field named.  Never allocates more than a small multiple
 * of len, never recurses deeper than the tables. */
int nv_record_decode(const struct nv_record *r, const void *data, size_t len, void *ret,
		     struct nv_arena *arena, struct nv_err *err);

#endif
