/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading msgpack from memory, within proto/ only.
 *
 * msgpack-c's unpacker builds a tree of objects and allocates by the lengths the input claims, so
 * ten bytes could ask for gigabytes.  This cursor allocates nothing and never recurses: it returns
 * one value's head at a time, and only if the rest of the input is as long as the head claims.
 *
 * Source of the format: https://github.com/msgpack/msgpack/blob/master/spec.md.  Stricter than
 * that: a head must have its shortest form, so that each value has exactly one encoding and any
 * changed byte of a signed envelope is noticed. */
#ifndef NV_PROTO_WIRE_H
#define NV_PROTO_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum nv_wire_kind {
	NV_W_NIL,
	NV_W_BOOL,
	NV_W_UINT,
	NV_W_NEGATIVE, /* a negative whole number; value is its two's complement */
	NV_W_FLOAT,    /* value is not set */
	NV_W_STR,
	NV_W_BIN,
	NV_W_EXT,
	NV_W_ARRAY,
	NV_W_MAP,
};

struct nv_wire {
	const uint8_t *at;
	const uint8_t *end;
};

struct nv_wire_head {
	enum nv_wire_kind kind;
	uint64_t value;	     /* BOOL, UINT; items of ARRAY, pairs of MAP; bytes of STR, BIN, EXT */
	const uint8_t *data; /* STR, BIN, EXT: borrowed from the input */
};

/* The next head; the bytes of STR, BIN and EXT are consumed with it, the items of ARRAY and MAP
 * come next.  -1: not msgpack, not its shortest form, or longer than the input. */
int nv_wire_next(struct nv_wire *w, struct nv_wire_head *ret);
/* Skip the contents after a head from nv_wire_next: the items of an array or map. */
int nv_wire_skip(struct nv_wire *w, const struct nv_wire_head *head);
static inline size_t nv_wire_left(const struct nv_wire *w)
{
	return (size_t)(w->end - w->at);
}

/* UTF-8 (RFC 3629: no overlong forms, no surrogates) without NUL. */
bool nv_wire_text_ok(const uint8_t *s, size_t len);

#endif
