/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Writing the standard .mbz: gzip, ustar, .ARCHIVE_INDEX first. */
#include "core/archive/archive_internal.h"

#include <inttypes.h>
#include <string.h>

struct nv_mbz_writer {
	struct nv_pack *pack;
	struct nv_entry *entries; /* owned, with their paths in the arena */
	size_t len;
	size_t next;
	struct nv_arena arena;
};

/* As tgz_packer writes it: folders end in '/', an unknown time is "?". */
static int put_index(struct nv_mbz_writer *w, struct nv_err *err)
{
	nv_auto_buf struct nv_buf text = {0};
	nv_buf_printf(&text, "Moodle archive file index. Count: %zu\n", w->len);
	for (size_t i = 0; i < w->len; i++) {
		const struct nv_entry *e = &w->entries[i];
		if (e->folder)
			nv_buf_printf(&text, "%s/\td\t0\t?\n", e->path);
		else if (e->mtime > 0)
			nv_buf_printf(&text, "%s\tf\t%" PRIu64 "\t%" PRId64 "\n", e->path, e->size,
				      e->mtime);
		else
			nv_buf_printf(&text, "%s\tf\t%" PRIu64 "\t?\n", e->path, e->size);
	}
	struct nv_bytes rest = {text.data, text.len};
	struct nv_source from = nv_source_bytes(&rest);
	struct nv_entry entry = {.path = ".ARCHIVE_INDEX", .size = text.len};
	return nv_pack_add(w->pack, &entry, &from, NULL, err);
}

struct nv_mbz_writer *nv_mbz_create(const char *path, const struct nv_entry *entries,
				    size_t entries_len, struct nv_err *err)
{
	struct nv_pack *pack = nv_pack_new(path, NV_PACK_MBZ, err);
	if (!pack)
		return NULL;
	struct nv_mbz_writer *w = nv_alloc(sizeof *w);
	w->pack = pack;
	w->len = entries_len;
	w->entries = nv_alloc((entries_len + 1) * sizeof *w->entries);
	for (size_t i = 0; i < entries_len; i++) {
		w->entries[i] = entries[i];
		w->entries[i].path = nv_arena_strdup(&w->arena, entries[i].path);
	}
	if (put_index(w, err) == 0)
		return w;
	nv_mbz_free(w);
	return NULL;
}

int nv_mbz_add(struct nv_mbz_writer *w, const struct nv_source *from, struct nv_err *err)
{
	if (w->next >= w->len)
		return nv_fail(err, NV_REJECT, NV_R_internal,
			       "archive: more entries than were announced");
	return nv_pack_add(w->pack, &w->entries[w->next++], from, NULL, err);
}

int nv_mbz_finish(struct nv_mbz_writer *w, struct nv_err *err)
{
	if (w->next != w->len)
		return nv_fail(err, NV_REJECT, NV_R_internal,
			       "archive: %zu of the announced %zu entries were added", w->next,
			       w->len);
	return nv_pack_finish(w->pack, err);
}

void nv_mbz_free(struct nv_mbz_writer *w)
{
	if (!w)
		return;
	nv_pack_free(w->pack);
	free(w->entries);
	nv_arena_fini(&w->arena);
	free(w);
}
