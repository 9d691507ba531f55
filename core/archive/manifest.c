/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The manifest: its table, its packed form, and what a manifest must be to be used. */
#include "core/archive/archive_internal.h"

#include <string.h>

#include "base/id.h"

#define MAX_ENTRIES 10000000u

#define ENTRY(n, t, req, most, text)                                                          \
	{                                                                                     \
		.name = #n, .type = (t), .required = (req),                                   \
		.offset = offsetof(struct nv_manifest_entry, n), .max = (most), .doc = (text) \
	}
static const struct nv_field entry_fields[] = {
	ENTRY(path, NV_T_STR, true, 1024, "safe relative path, folders without '/' at the end"),
	ENTRY(folder, NV_T_BOOL, true, 0, "a folder"),
	ENTRY(size, NV_T_UINT, true, UINT64_MAX, "bytes"),
	ENTRY(mtime, NV_T_UINT, true, UINT64_MAX, "seconds since the epoch, 0: not known"),
	ENTRY(sha1, NV_T_BIN, false, NV_SHA1_LEN, "of a blob"),
	ENTRY(sha256, NV_T_BIN, false, NV_SHA256_LEN, "of a blob"),
	ENTRY(blob, NV_T_BOOL, true, 0, "an object of its own, not in the skeleton"),
};
static const struct nv_record entry_record = {
	.name = "manifest.entry",
	.size = sizeof(struct nv_manifest_entry),
	.fields = entry_fields,
	.fields_len = NV_ARRAY_LEN(entry_fields),
	.doc = "A file or folder of the backup.",
};

#define FIELD(n, t, req, most, text)                                                    \
	{                                                                               \
		.name = #n, .type = (t), .required = (req),                             \
		.offset = offsetof(struct nv_manifest, n), .max = (most), .doc = (text) \
	}
static const struct nv_field manifest_fields[] = {
	FIELD(format, NV_T_UINT, true, UINT64_MAX, "1"),
	FIELD(id, NV_T_UUID, true, 36, "the request"),
	FIELD(attempt, NV_T_UUID, true, 36, "the export attempt"),
	FIELD(shortname, NV_T_STR, false, 1333, "the course's short name"),
	FIELD(fullname, NV_T_STR, false, 1333, "the course's full name"),
	FIELD(category, NV_T_STR, false, 255, "identifier of its category on the course server"),
	FIELD(moodle_version, NV_T_STR, false, 64, "the course server's Moodle"),
	FIELD(user_data, NV_T_BOOL, true, 0, "user data is in it"),
	{.name = "needs",
	 .type = NV_T_LIST,
	 .offset = offsetof(struct nv_manifest, needs),
	 .max_items = NV_NEEDS_MAX,
	 .sub = &nv_plugin_record,
	 .doc = "plugins that the course needs"},
	{.name = "inventory",
	 .type = NV_T_LIST,
	 .offset = offsetof(struct nv_manifest, inventory),
	 .max_items = NV_INVENTORY_MAX,
	 .sub = &nv_count_record,
	 .doc = "what the course has on its server; absent: not counted"},
	FIELD(size, NV_T_UINT, true, UINT64_MAX, "bytes of all entries"),
	FIELD(skeleton_size, NV_T_UINT, true, UINT64_MAX, "bytes of the skeleton object"),
	FIELD(skeleton_sha256, NV_T_BIN, true, NV_SHA256_LEN, "of the skeleton object"),
	{.name = "entries",
	 .type = NV_T_LIST,
	 .required = true,
	 .offset = offsetof(struct nv_manifest, entries),
	 .max_items = MAX_ENTRIES,
	 .sub = &entry_record,
	 .doc = "everything, in the backup's order"},
};
const struct nv_record nv_manifest_record = {
	.name = "manifest",
	.size = sizeof(struct nv_manifest),
	.fields = manifest_fields,
	.fields_len = NV_ARRAY_LEN(manifest_fields),
	.doc = "What an archive holds.",
};

/* --- names --- */

bool nv_content_path(const char *path, uint8_t ret_sha1[NV_SHA1_LEN])
{
	if (strlen(path) != 6 + 3 + 40 || strncmp(path, "files/", 6) != 0 || path[8] != '/')
		return false;
	return strncmp(path + 6, path + 9, 2) == 0 &&
	       nv_unhex(path + 9, ret_sha1, NV_SHA1_LEN) == 0;
}

char *nv_manifest_key(const struct nv_archive_place *p)
{
	return nv_asprintf("%s/%s/archives/%s/%s/manifest", p->site, p->client, p->id, p->attempt);
}

char *nv_skeleton_key(const struct nv_archive_place *p)
{
	return nv_asprintf("%s/%s/archives/%s/%s/skeleton.tar.zst", p->site, p->client, p->id,
			   p->attempt);
}

char *nv_pin_key(const struct nv_archive_place *p)
{
	return nv_asprintf("%s/%s/pins/%s", p->site, p->client, p->attempt);
}

char *nv_blob_key(const struct nv_archive_place *p, const uint8_t *sha1, uint64_t size)
{
	char hex[NV_SHA1_HEX];
	nv_hex(sha1, NV_SHA1_LEN, hex);
	return nv_asprintf("%s/%s/blobs/%.2s/%s-%llu", p->site, p->client, hex, hex,
			   (unsigned long long)size);
}

int nv_place_check(const struct nv_archive_place *p, struct nv_err *err)
{
	if (nv_name_valid(p->site) && nv_name_valid(p->client) && nv_uuid_valid(p->id) &&
	    nv_uuid_valid(p->attempt))
		return 0;
	return nv_fail(err, NV_REJECT, NV_R_internal,
		       "archive: \"%s/%s/%s/%s\" is no place for an archive", p->site, p->client,
		       p->id, p->attempt);
}

/* --- packed form: zstd around the record --- */

static la_ssize_t buf_write_cb(struct archive *a, void *ctx, const void *data, size_t len)
{
	(void)a;
	nv_buf_put(ctx, data, len);
	return (la_ssize_t)len;
}

static int compress_record(const struct nv_buf *plain, struct nv_buf *ret, struct nv_err *err)
{
	struct archive *a = archive_write_new();
	struct archive_entry *e = archive_entry_new();
	archive_write_set_format_raw(a);
	archive_write_add_filter_zstd(a);
	archive_write_set_filter_option(a, "zstd", "compression-level", NV_ARCHIVE_ZSTD_LEVEL);
	archive_write_set_bytes_in_last_block(a, 1);
	archive_entry_set_filetype(e, AE_IFREG);
	archive_entry_set_pathname(e, "manifest");
	bool good = archive_write_open(a, ret, NULL, buf_write_cb, NULL) == ARCHIVE_OK &&
		    archive_write_header(a, e) == ARCHIVE_OK &&
		    archive_write_data(a, plain->data, plain->len) == (la_ssize_t)plain->len &&
		    archive_write_close(a) == ARCHIVE_OK;
	if (!good) {
		const char *text = archive_error_string(a);
		nv_fail(err, NV_RETRY, NV_R_internal, "archive: compressing the manifest: %s",
			text ? text : "it failed");
		archive_write_fail(a);
	}
	archive_entry_free(e);
	archive_write_free(a);
	return good ? 0 : -1;
}

static int decompress_record(const void *data, size_t len, size_t max, const struct nv_job *job,
			     struct nv_buf *ret, struct nv_err *err)
{
	struct nv_bytes rest = {data, len};
	struct nv_source from = nv_source_bytes(&rest);
	struct nv_decompress *d = nv_decompress_new(NV_ZSTD, "the manifest", &from, max, job);
	const uint8_t *block = NULL;
	ssize_t n;
	while ((n = nv_decompress_next(d, &block, err)) > 0)
		nv_buf_put(ret, block, (size_t)n);
	nv_decompress_free(d);
	return (int)n;
}

int nv_manifest_pack(const struct nv_manifest *m, struct nv_buf *ret, struct nv_err *err)
{
	nv_auto_buf struct nv_buf plain = {0};
	if (nv_record_encode(&nv_manifest_record, m, &plain, err) < 0)
		return -1;
	return compress_record(&plain, ret, err);
}

/* --- what it must be --- */

static int check_entry(const struct nv_manifest_entry *e, struct nv_path_set *names,
		       struct nv_limits_count *count, struct nv_err *err)
{
	uint8_t sha1[NV_SHA1_LEN];
	if (nv_path_set_add(names, e->path, e->folder, err) < 0 ||
	    nv_limits_add(count, e->size, err) < 0)
		return -1;
	bool good = !(e->folder && (e->size || e->blob));
	if (e->blob)
		good = good && e->sha1.len == NV_SHA1_LEN && e->sha256.len == NV_SHA256_LEN &&
		       nv_content_path(e->path, sha1) &&
		       memcmp(sha1, e->sha1.data, NV_SHA1_LEN) == 0;
	if (good)
		return 0;
	return nv_fail(err, NV_REJECT, NV_R_archive_corrupt,
		       "archive: the manifest's entry %s is not well formed", e->path);
}

static int check_manifest(const struct nv_manifest *m, const struct nv_archive_place *place,
			  const struct nv_archive_limits *limits, struct nv_err *err)
{
	if (m->format != NV_MANIFEST_FORMAT)
		return nv_fail(err, NV_REJECT, NV_R_unknown_version,
			       "archive: the manifest has format %llu, this program knows %u",
			       (unsigned long long)m->format, NV_MANIFEST_FORMAT);
	if (strcmp(m->id, place->id) != 0 || strcmp(m->attempt, place->attempt) != 0 ||
	    m->skeleton_sha256.len != NV_SHA256_LEN)
		return nv_fail(err, NV_REJECT, NV_R_archive_corrupt,
			       "archive: the manifest is of %s/%s, not of %s/%s", m->id, m->attempt,
			       place->id, place->attempt);
	struct nv_path_set *names = nv_path_set_new();
	struct nv_limits_count count = {.limits = limits};
	const struct nv_manifest_entry *e = m->entries.items;
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < m->entries.len; i++)
		rc = check_entry(&e[i], names, &count, err);
	nv_path_set_free(names);
	if (rc == 0 && count.bytes != m->size)
		rc = nv_fail(err, NV_REJECT, NV_R_archive_corrupt,
			     "archive: the manifest's sizes do not add up");
	return rc;
}

int nv_manifest_unpack(const void *data, size_t len, const struct nv_manifest_rules *rules,
		       const struct nv_job *job, struct nv_manifest *ret, struct nv_arena *arena,
		       struct nv_err *err)
{
	nv_auto_buf struct nv_buf plain = {0};
	if (decompress_record(data, len, rules->max, job, &plain, err) < 0 ||
	    nv_record_decode(&nv_manifest_record, plain.data, plain.len, ret, arena, err) < 0)
		return -1;
	return check_manifest(ret, rules->place, rules->limits, err);
}
