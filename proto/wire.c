/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "proto/wire.h"

#include <string.h>

/* The heads 0xc0 … 0xdf: type, bytes of the number, bytes of payload implied by the head (fixext),
 * and the smallest value that needs this form (a smaller one is not in its shortest form).  The
 * numbers of integers are read by the same table. */
struct form {
	uint8_t kind;
	uint8_t width;
	uint8_t fixed;
	uint64_t least;
};

#define NO_FORM 0xff
static const struct form forms[32] = {
	[0x00] = {NV_W_NIL, 0, 0, 0},	     [0x01] = {NO_FORM, 0, 0, 0}, /* 0xc1 is never used */
	[0x02] = {NV_W_BOOL, 0, 0, 0},	     [0x03] = {NV_W_BOOL, 0, 0, 0},
	[0x04] = {NV_W_BIN, 1, 0, 0},	     [0x05] = {NV_W_BIN, 2, 0, 0x100},
	[0x06] = {NV_W_BIN, 4, 0, 0x10000},  [0x07] = {NV_W_EXT, 1, 0, 0},
	[0x08] = {NV_W_EXT, 2, 0, 0x100},    [0x09] = {NV_W_EXT, 4, 0, 0x10000},
	[0x0a] = {NV_W_FLOAT, 4, 0, 0},	     [0x0b] = {NV_W_FLOAT, 8, 0, 0},
	[0x0c] = {NV_W_UINT, 1, 0, 0x80},    [0x0d] = {NV_W_UINT, 2, 0, 0x100},
	[0x0e] = {NV_W_UINT, 4, 0, 0x10000}, [0x0f] = {NV_W_UINT, 8, 0, 0x100000000},
	[0x10] = {NV_W_NEGATIVE, 1, 0, 0},   [0x11] = {NV_W_NEGATIVE, 2, 0, 0},
	[0x12] = {NV_W_NEGATIVE, 4, 0, 0},   [0x13] = {NV_W_NEGATIVE, 8, 0, 0},
	[0x14] = {NV_W_EXT, 0, 1, 0},	     [0x15] = {NV_W_EXT, 0, 2, 0},
	[0x16] = {NV_W_EXT, 0, 4, 0},	     [0x17] = {NV_W_EXT, 0, 8, 0},
	[0x18] = {NV_W_EXT, 0, 16, 0},	     [0x19] = {NV_W_STR, 1, 0, 0x20},
	[0x1a] = {NV_W_STR, 2, 0, 0x100},    [0x1b] = {NV_W_STR, 4, 0, 0x10000},
	[0x1c] = {NV_W_ARRAY, 2, 0, 0x10},   [0x1d] = {NV_W_ARRAY, 4, 0, 0x10000},
	[0x1e] = {NV_W_MAP, 2, 0, 0x10},     [0x1f] = {NV_W_MAP, 4, 0, 0x10000},
};

/* A big-endian number of width bytes. */
static int number(struct nv_wire *w, unsigned width, uint64_t *ret)
{
	uint64_t n = 0;

	if (nv_wire_left(w) < width)
		return -1;
	for (unsigned i = 0; i < width; i++)
		n = n << 8 | w->at[i];
	w->at += width;
	*ret = n;
	return 0;
}

/* A signed number that is not negative, or fits a narrower form, is not in its shortest form. */
static int negative(unsigned width, uint64_t n, struct nv_wire_head *ret)
{
	uint64_t narrower;
	uint64_t sign;

	if (width < 1 || width > 8)
		return -1; /* no such form in the table */
	sign = (uint64_t)1 << (8 * width - 1);
	narrower = width == 1 ? 32 : (uint64_t)1 << (4 * width - 1);
	if (!(n & sign))
		return -1;
	ret->value = n | ~(sign - 1);
	return ~ret->value + 1 > narrower ? 0 : -1;
}

static int long_head(struct nv_wire *w, uint8_t byte, struct nv_wire_head *ret)
{
	const struct form *form = &forms[byte - 0xc0];
	uint64_t n;

	if (form->kind == NO_FORM || number(w, form->width, &n) || n < form->least)
		return -1;
	ret->kind = (enum nv_wire_kind)form->kind;
	switch (ret->kind) {
	case NV_W_BOOL:
		ret->value = byte & 1;
		return 0;
	case NV_W_NEGATIVE:
		return negative(form->width, n, ret);
	case NV_W_FLOAT:
		return 0;
	case NV_W_EXT: /* and one byte of type, which is ignored */
		ret->value = (form->fixed ? form->fixed : n) + 1;
		return 0;
	default:
		ret->value = n;
		return 0;
	}
}

static int any_head(struct nv_wire *w, struct nv_wire_head *ret)
{
	uint8_t byte;

	if (w->at == w->end)
		return -1;
	byte = *w->at++;
	if (byte >= 0xc0 && byte <= 0xdf)
		return long_head(w, byte, ret);
	if (byte <= 0x7f) {
		ret->kind = NV_W_UINT;
		ret->value = byte;
	} else if (byte <= 0x8f) {
		ret->kind = NV_W_MAP;
		ret->value = byte & 0x0f;
	} else if (byte <= 0x9f) {
		ret->kind = NV_W_ARRAY;
		ret->value = byte & 0x0f;
	} else if (byte <= 0xbf) {
		ret->kind = NV_W_STR;
		ret->value = byte & 0x1f;
	} else {
		ret->kind = NV_W_NEGATIVE;
		ret->value = ~(uint64_t)0xff | byte;
	}
	return 0;
}

int nv_wire_next(struct nv_wire *w, struct nv_wire_head *ret)
{
	memset(ret, 0, sizeof *ret);
	if (any_head(w, ret))
		return -1;
	switch (ret->kind) {
	case NV_W_STR:
	case NV_W_BIN:
	case NV_W_EXT:
		if (ret->value > nv_wire_left(w))
			return -1;
		ret->data = w->at;
		w->at += ret->value;
		return 0;
	case NV_W_ARRAY: /* an item takes at least a byte */
		return ret->value > nv_wire_left(w) ? -1 : 0;
	case NV_W_MAP:
		return ret->value > nv_wire_left(w) / 2 ? -1 : 0;
	default:
		return 0;
	}
}

static uint64_t items_of(const struct nv_wire_head *head)
{
	if (head->kind == NV_W_ARRAY)
		return head->value;
	return head->kind == NV_W_MAP ? head->value * 2 : 0;
}

int nv_wire_skip(struct nv_wire *w, const struct nv_wire_head *head)
{
	/* Counts the remaining items instead of recursing, so that depth costs nothing. */
	uint64_t owed = items_of(head);

	while (owed > 0) {
		struct nv_wire_head item;

		if (owed > nv_wire_left(w) || nv_wire_next(w, &item))
			return -1;
		owed += items_of(&item);
		owed--;
	}
	return 0;
}

/* The bytes behind the first, and the range of the second (RFC 3629, section 4). */
static unsigned sequence(uint8_t first, uint8_t *ret_low, uint8_t *ret_high)
{
	*ret_low = 0x80;
	*ret_high = 0xbf;
	if (first >= 0xc2 && first <= 0xdf)
		return 1;
	if (first >= 0xe0 && first <= 0xef) {
		if (first == 0xe0)
			*ret_low = 0xa0;
		if (first == 0xed)
			*ret_high = 0x9f;
		return 2;
	}
	if (first >= 0xf0 && first <= 0xf4) {
		if (first == 0xf0)
			*ret_low = 0x90;
		if (first == 0xf4)
			*ret_high = 0x8f;
		return 3;
	}
	return 0;
}

bool nv_wire_text_ok(const uint8_t *s, size_t len)
{
	for (size_t i = 0; i < len;) {
		uint8_t low;
		uint8_t high;
		unsigned more;

		if (s[i] == 0)
			return false;
		if (s[i] < 0x80) {
			i++;
			continue;
		}
		more = sequence(s[i], &low, &high);
		if (more == 0 || more >= len - i || s[i + 1] < low || s[i + 1] > high)
			return false;
		for (unsigned k = 2; k <= more; k++) {
			if ((s[i + k] & 0xc0) != 0x80)
				return false;
		}
		i += more + 1;
	}
	return true;
}
