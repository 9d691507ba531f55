/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading .mbz files of either form. */
#include "core/archive/archive_internal.h"

#include <inttypes.h>
#include <string.h>

#define INDEX_NAME ".ARCHIVE_INDEX"
#define INDEX_START "Moodle archive file index. Count: "
#define RATIO_FROM 10485760u /* 10 MiB */

struct reading {
	struct nv_unpack *unpack;
	const struct nv_sink *to;
	const struct nv_job *job;
	struct nv_path_set *names;
	struct nv_limits_count count;
	bool index_seen;
	uint64_t index_count; /* entries the index announces, 0: no index */
	uint64_t links;	      /* counted as entries, too */
	char *first_link;     /* the path of one of them */
};

int nv_limits_add(struct nv_limits_count *c, uint64_t size, struct nv_err *err)
{
	const struct nv_archive_limits *l = c->limits;
	if (++c->entries > l->max_entries)
		return nv_fail(err, NV_REJECT, NV_R_archive_too_large,
			       "archive: it has more than %" PRIu64 " entries", l->max_entries);
	if (size > l->max_bytes || c->bytes > l->max_bytes - size)
		return nv_fail(err, NV_REJECT, NV_R_archive_too_large,
			       "archive: it unpacks to more than %" PRIu64 " bytes", l->max_bytes);
	c->bytes += size;
	if (c->packed && c->bytes > RATIO_FROM && c->bytes / c->packed >= l->max_ratio)
		return nv_fail(err, NV_REJECT, NV_R_archive_too_large,
			       "archive: its %" PRIu64 " bytes unpack to more than %" PRIu64
			       " times as much",
			       c->packed, l->max_ratio);
	return 0;
}

/* --- the entry on its way to the sink: each block asks the job --- */

struct checked {
	struct nv_source inner;
	const struct nv_job *job;
};

static ssize_t checked_read(void *ctx, void *buf, size_t len, struct nv_err *err)
{
	const struct checked *c = ctx;
	if (nv_job_check(c->job, err) < 0)
		return -1;
	return c->inner.read_cb(c->inner.ctx, buf, len, err);
}

/* The index is Moodle's, for its progress bar; whoever packs a backup again leaves an old one in
 * it. Of it we take how many entries it announces. */
static int read_index(struct reading *r, const struct nv_entry *entry, struct nv_err *err)
{
	char buf[4096];
	char head[64] = "";
	size_t have = 0;
	struct nv_source from = nv_unpack_source(r->unpack);
	if (r->index_seen)
		return nv_fail(err, NV_REJECT, NV_R_archive_unsafe,
			       "archive: the entry " INDEX_NAME " stands twice");
	r->index_seen = true;
	if (nv_limits_add(&r->count, entry->size, err) < 0)
		return -1;
	r->count.entries--; /* not one of the backup's */
	r->count.bytes -= entry->size;
	for (;;) {
		ssize_t n = from.read_cb(from.ctx, buf, sizeof buf, err);
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		size_t take = sizeof head - 1 - have;
		if (take > (size_t)n)
			take = (size_t)n;
		memcpy(head + have, buf, take);
		have += take;
	}
	head[have] = '\0';
	if (strncmp(head, INDEX_START, strlen(INDEX_START)) == 0)
		r->index_count = strtoull(head + strlen(INDEX_START), NULL, 10);
	return 0;
}

static int read_entry(struct reading *r, const struct nv_entry *entry, struct nv_err *err)
{
	if (!entry->folder && strcmp(entry->path, INDEX_NAME) == 0)
		return read_index(r, entry, err);
	if (nv_path_set_add(r->names, entry->path, entry->folder, err) < 0 ||
	    nv_limits_add(&r->count, entry->size, err) < 0)
		return -1;
	struct checked c = {.inner = nv_unpack_source(r->unpack), .job = r->job};
	struct nv_source from = {.read_cb = checked_read, .ctx = &c};
	if (r->to->entry_cb(r->to->ctx, entry, entry->folder ? NULL : &from, err) < 0)
		return -1;
	return nv_unpack_entry_end(r->unpack, entry, err);
}

/* Moodle leaves links out, and so do we: whatever one points to is neither read nor made. */
static int skip_link(struct reading *r, const struct nv_entry *link, struct nv_err *err)
{
	if (nv_limits_add(&r->count, 0, err) < 0)
		return -1;
	if (r->links++ == 0)
		r->first_link = nv_strdup(link->path);
	return 0;
}

static void tell_oddities(const struct reading *r)
{
	uint64_t entries = r->count.entries - r->links;
	if (r->index_count && r->index_count != entries)
		nv_job_log(r->job, NV_WARN,
			   "the backup has %" PRIu64 " entries, its index says %" PRIu64
			   ": it was packed again",
			   entries, r->index_count);
	if (r->links)
		nv_job_log(r->job, NV_WARN,
			   "links in the backup were left out, as Moodle does: %" PRIu64
			   ", the first is %s",
			   r->links, r->first_link);
}

static int read_all(struct reading *r, struct nv_err *err)
{
	struct nv_entry entry;
	for (;;) {
		if (nv_job_check(r->job, err) < 0)
			return -1;
		int rc = nv_unpack_next(r->unpack, &entry, err);
		if (rc < 0)
			return -1;
		if (rc == NV_UNPACK_END)
			break;
		if (rc == NV_UNPACK_LINK ? skip_link(r, &entry, err) < 0
					 : read_entry(r, &entry, err) < 0)
			return -1;
	}
	if (r->count.entries == r->links)
		return nv_fail(err, NV_REJECT, NV_R_archive_corrupt, "archive: it has no entries");
	tell_oddities(r);
	return 0;
}

int nv_mbz_read(const char *path, const struct nv_archive_limits *limits, const struct nv_sink *to,
		const struct nv_job *job, struct nv_err *err)
{
	enum nv_form form;
	struct reading r = {.to = to, .job = job, .count = {.limits = limits}};
	r.unpack = nv_unpack_mbz(path, limits, job, &form, err);
	if (!r.unpack)
		return -1;
	r.count.packed = nv_unpack_packed(r.unpack);
	r.names = nv_path_set_new();
	int rc = read_all(&r, err);
	nv_path_set_free(r.names);
	nv_unpack_free(r.unpack);
	free(r.first_link);
	return rc;
}
