/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sample messages made from the tables, for the tests of proto/ and the fuzz corpus. */
#ifndef TESTS_PROTO_SAMPLES_H
#define TESTS_PROTO_SAMPLES_H

#include <string.h>

#include "base/id.h"
#include "core/status/events.h"
#include "proto/messages.h"

enum sample {
	SAMPLE_BARE,	/* only what is required, and that empty or 0 */
	SAMPLE_FULL,	/* every field, short */
	SAMPLE_EXTREME, /* every field at its limit, lists of two */
	SAMPLE_CROWDED, /* lists and arrays at their limit, of bare items */
};

/* len bytes of UTF-8, of the longest sequences there are. */
static inline char *sample_text(struct nv_arena *arena, size_t len)
{
	char *s = nv_arena_alloc(arena, len + 1);
	size_t i = 0;

	for (; len - i >= 4; i += 4)
		memcpy(s + i, "\xf4\x8f\xbf\xbf", 4); /* U+10FFFF */
	for (; i < len; i++)
		s[i] = 'x';
	return s;
}

static inline char *sample_str(struct nv_arena *arena, const struct nv_field *f, enum sample how)
{
	switch (f->type) {
	case NV_T_UUID:
		return nv_arena_strdup(arena, "01933b5c-7c00-7abc-8def-0123456789ab");
	case NV_T_NAME:
		return nv_arena_strdup(
			arena, how == SAMPLE_EXTREME ? "a-name-of-just-thirty-two-chars0" : "a");
	default:
		if (how == SAMPLE_BARE || how == SAMPLE_CROWDED)
			return nv_arena_strdup(arena, "");
		return how == SAMPLE_FULL ? nv_arena_strdup(arena, "Été \t\"x\"")
					  : sample_text(arena, f->max);
	}
}

static inline uint64_t sample_uint(const struct nv_field *f, enum sample how)
{
	static const uint64_t full[] = {1,	0x7f,	 0x80,	     0xff,	  0x100,
					0xffff, 0x10000, 0xffffffff, 0x100000000, UINT64_MAX};
	uint64_t value = full[strlen(f->name) % NV_ARRAY_LEN(full)];

	if (how == SAMPLE_BARE || how == SAMPLE_CROWDED)
		return 0;
	return how == SAMPLE_EXTREME || value > f->max ? f->max : value;
}

static inline size_t sample_items(const struct nv_field *f, enum sample how)
{
	if (how == SAMPLE_BARE)
		return 0;
	return how == SAMPLE_CROWDED ? f->max_items : 2;
}

static inline void sample_fill(const struct nv_record *r, void *ret, struct nv_arena *arena,
			       enum sample how);

static inline void sample_field(const struct nv_field *f, void *at, struct nv_arena *arena,
				enum sample how)
{
	size_t items = sample_items(f, how);

	switch (f->type) {
	case NV_T_BOOL:
		*(bool *)at = how == SAMPLE_FULL || how == SAMPLE_EXTREME;
		break;
	case NV_T_UINT:
		*(uint64_t *)at = sample_uint(f, how);
		break;
	case NV_T_ENUM:
		for (uint64_t i = 1; how != SAMPLE_BARE && f->names[i]; i++)
			*(uint64_t *)at = i;
		break;
	case NV_T_STR:
	case NV_T_UUID:
	case NV_T_NAME:
		*(char **)at = sample_str(arena, f, how);
		break;
	case NV_T_BIN: {
		struct nv_bytes *b = at;

		b->len = how == SAMPLE_EXTREME ? f->max : (how == SAMPLE_FULL ? 9 : 0);
		b->data = memset(nv_arena_alloc(arena, b->len + 1), 0xc1, b->len);
		break;
	}
	case NV_T_STRS: {
		struct nv_strs *strs = at;

		strs->len = items;
		strs->items = items ? nv_arena_alloc(arena, items * sizeof(char *)) : NULL;
		for (size_t i = 0; i < items; i++)
			strs->items[i] = sample_str(arena, f, how);
		break;
	}
	case NV_T_LIST: {
		struct nv_list *list = at;

		list->len = items;
		list->items = items ? nv_arena_alloc(arena, items * f->sub->size) : NULL;
		for (size_t i = 0; i < items; i++)
			sample_fill(f->sub, (char *)list->items + i * f->sub->size, arena,
				    how == SAMPLE_CROWDED ? SAMPLE_BARE : how);
		break;
	}
	}
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the tables */
static inline void sample_fill(const struct nv_record *r, void *ret, struct nv_arena *arena,
			       enum sample how)
{
	memset(ret, 0, r->size);
	for (size_t i = 0; i < r->fields_len; i++) {
		if (r->fields[i].required || how != SAMPLE_BARE)
			sample_field(&r->fields[i], (char *)ret + r->fields[i].offset, arena, how);
	}
}

/* Room for any message. */
union sample_any {
	struct nv_plugin plugin;
	struct nv_course course;
	struct nv_log_line log_line;
	struct nv_restore_request restore_request;
	struct nv_cancel_request cancel_request;
	struct nv_catalog_request catalog_request;
	struct nv_catalog_reply catalog_reply;
	struct nv_status_event status_event;
	struct nv_archive_ready archive_ready;
	struct nv_archive_opened archive_opened;
	struct nv_enrol_request enrol_request;
	struct nv_dead_letter dead_letter;
	struct nv_letters_request letters_request;
	struct nv_letters_reply letters_reply;
};

#endif
