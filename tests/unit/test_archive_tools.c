/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/test_archive.h"

#include <string.h>
#include <unistd.h>

#include "base/hash.h"

char *test_dir;
const struct nv_archive_limits wide_limits = {
	.max_bytes = 1ull << 40, .max_entries = 1000000, .max_ratio = 1000};

char *in_dir(const char *name)
{
	return nv_asprintf("%s/%s", test_dir, name);
}

char *sample(const char *name)
{
	const char *source = getenv("NAVETTE_SOURCE");
	char *path = nv_asprintf("%s/tests/samples/%s", source ? source : ".", name);
	if (access(path, R_OK) == 0)
		return path;
	free(path);
	return NULL;
}

static void hash_entry(struct archive *a, char ret[NV_SHA256_HEX])
{
	struct nv_hash *h = nv_hash_new(NV_SHA256);
	uint8_t digest[NV_SHA256_LEN];
	uint8_t buf[8192];
	la_ssize_t n;
	while ((n = archive_read_data(a, buf, sizeof buf)) > 0)
		nv_hash_update(h, buf, (size_t)n);
	assert_int_equal(n, 0);
	nv_hash_final(h, digest);
	nv_hash_free(h);
	nv_hex(digest, sizeof digest, ret);
}

void describe(const char *path, struct nv_buf *out)
{
	struct archive *a = archive_read_new();
	struct archive_entry *e;
	int rc;
	archive_read_support_filter_all(a);
	archive_read_support_format_all(a);
	if (archive_read_open_filename(a, path, 65536) != ARCHIVE_OK)
		fail_msg("%s: %s", path, archive_error_string(a));
	while ((rc = archive_read_next_header(a, &e)) == ARCHIVE_OK) {
		char hex[NV_SHA256_HEX];
		hash_entry(a, hex);
		nv_buf_printf(out, "%s %o %lld %lld %s\n", archive_entry_pathname(e),
			      (unsigned)archive_entry_filetype(e), (long long)archive_entry_size(e),
			      (long long)archive_entry_mtime(e), hex);
	}
	assert_int_equal(rc, ARCHIVE_EOF);
	archive_read_free(a);
}

void make_begin(struct maker *m, const char *name, bool zip)
{
	m->path = in_dir(name);
	m->a = archive_write_new();
	unlink(m->path);
	if (zip) {
		archive_write_set_format_zip(m->a);
	} else {
		archive_write_set_format_gnutar(m->a);
		archive_write_add_filter_gzip(m->a);
	}
	archive_write_set_bytes_in_last_block(m->a, 1);
	assert_int_equal(archive_write_open_filename(m->a, m->path), ARCHIVE_OK);
}

void make_add(struct maker *m, const char *path, unsigned type, const char *link, const void *data,
	      size_t len)
{
	struct archive_entry *e = archive_entry_new();
	archive_entry_set_pathname(e, path);
	archive_entry_set_filetype(e, type);
	archive_entry_set_perm(e, 0644);
	archive_entry_set_size(e, (la_int64_t)len);
	archive_entry_set_mtime(e, 1795363151, 0);
	if (link && link[0] == '=')
		archive_entry_set_hardlink(e, link + 1);
	else if (link)
		archive_entry_set_symlink(e, link);
	if (archive_write_header(m->a, e) < ARCHIVE_WARN)
		fail_msg("%s: %s", path, archive_error_string(m->a));
	if (len)
		assert_int_equal(archive_write_data(m->a, data, len), (la_ssize_t)len);
	archive_entry_free(e);
}

void make_end(struct maker *m)
{
	assert_int_equal(archive_write_close(m->a), ARCHIVE_OK);
	archive_write_free(m->a);
}

static int discard(void *ctx, const struct nv_entry *entry, const struct nv_source *from,
		   struct nv_err *err)
{
	static const size_t block = 65536;
	nv_auto_free uint8_t *buf = nv_alloc(block);
	uint64_t done = 0;
	(void)ctx;
	for (ssize_t n = 1; from && n > 0; done += n > 0 ? (uint64_t)n : 0) {
		n = from->read_cb(from->ctx, buf, block, err);
		if (n < 0)
			return -1;
	}
	assert_int_equal(done, entry->size);
	return 0;
}

int read_discarding(const char *path, const struct nv_archive_limits *limits, struct nv_err *err)
{
	struct nv_sink to = {.entry_cb = discard};
	return nv_mbz_read(path, limits, &to, NULL, err);
}
