/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is unpacked is one layer of one kind, bounded on both sides, and a cancel is heard even
 * where nothing comes out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <zlib.h>

#include "base/fs.h"
#include "core/archive/archive_internal.h"

static const struct nv_archive_limits limits = {64u << 20, 1000, 100000};
static const struct nv_archive_place place = {"lastyear", "campus",
					      "0192f0c1-0000-7000-8000-000000000001",
					      "0192f0c1-0000-7000-8000-000000000002"};

static void read_seed(const char *name, struct nv_buf *ret)
{
	nv_auto_free char *path = nv_asprintf("%s/manifest/%s", CORPUS, name);
	struct nv_err err = {0};
	if (nv_read_file(path, 4096, ret, &err) < 0)
		fail_msg("%s", err.msg);
}

static char *write_temp(const void *data, size_t len)
{
	char path[] = "/tmp/navette-decompress-XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(nv_write_all(fd, data, len, NULL), 0);
	close(fd);
	return nv_strdup(path);
}

static void gzip(const void *data, size_t len, struct nv_buf *ret)
{
	uint8_t out[65536];
	z_stream z = {.next_in = (uint8_t *)(uintptr_t)data, .avail_in = (unsigned)len};
	int rc = Z_OK;
	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY),
			 Z_OK);
	while (rc == Z_OK) {
		z.next_out = out;
		z.avail_out = sizeof out;
		rc = deflate(&z, Z_FINISH);
		nv_buf_put(ret, out, sizeof out - z.avail_out);
	}
	assert_int_equal(rc, Z_STREAM_END);
	deflateEnd(&z);
}

/* All that comes out, 0 or -1. */
static int unpack(enum nv_compression how, const void *data, size_t len, uint64_t max,
		  struct nv_buf *ret, struct nv_err *err)
{
	struct nv_bytes rest = {data, len};
	struct nv_source from = nv_source_bytes(&rest);
	struct nv_decompress *d = nv_decompress_new(how, "it", &from, max, NULL);
	const uint8_t *block;
	ssize_t n;
	while ((n = nv_decompress_next(d, &block, err)) > 0)
		nv_buf_put(ret, block, (size_t)n);
	nv_decompress_free(d);
	return (int)n;
}

/* --- layers --- */

static void zstd_in_zstd_is_not_unpacked(void **state)
{
	(void)state;
	static const char *const seeds[] = {"empty-blocks.zst", "twice.zst"};
	for (size_t i = 0; i < NV_ARRAY_LEN(seeds); i++) {
		nv_auto_buf struct nv_buf seed = {0};
		nv_auto_buf struct nv_buf out = {0};
		nv_auto_arena struct nv_arena arena = {0};
		struct nv_manifest m = {0};
		struct nv_err err = {0};
		struct nv_entry entry;
		read_seed(seeds[i], &seed);
		assert_int_equal(unpack(NV_ZSTD, seed.data, seed.len, UINT64_MAX, &out, &err), 0);
		assert_memory_equal(out.data, "\x28\xb5\x2f\xfd", 4); /* what is inside */
		assert_true(out.len < 1048576);
		/* As a manifest, and as a skeleton. */
		assert_int_equal(nv_manifest_unpack(seed.data, seed.len,
						    &(struct nv_manifest_rules){&place, &limits,
										NV_MANIFEST_MAX},
						    NULL, &m, &arena, &err),
				 -1);
		assert_int_equal(err.kind, NV_REJECT);
		nv_auto_free char *path = write_temp(seed.data, seed.len);
		struct nv_unpack *u = nv_unpack_skeleton(path, 10, 1000, NULL, &err);
		if (u)
			assert_int_equal(nv_unpack_next(u, &entry, &err), -1);
		assert_int_equal(err.kind, NV_REJECT);
		assert_int_equal(err.reason, NV_R_archive_corrupt);
		nv_unpack_free(u);
		unlink(path);
	}
}

static int none_cb(void *ctx, const struct nv_entry *entry, const struct nv_source *from,
		   struct nv_err *err)
{
	(void)ctx;
	(void)entry;
	(void)from;
	(void)err;
	return 0;
}

static void assert_mbz_refused(const void *data, size_t len, enum nv_reason reason)
{
	nv_auto_free char *path = write_temp(data, len);
	struct nv_sink to = {.entry_cb = none_cb};
	struct nv_err err = {0};
	assert_int_equal(nv_mbz_read(path, &limits, &to, NULL, &err), -1);
	unlink(path);
	if (err.kind != NV_REJECT || err.reason != reason)
		fail_msg("%s", err.msg);
}

static void gzip_in_gzip_is_no_backup(void **state)
{
	(void)state;
	nv_auto_buf struct nv_buf once = {0};
	nv_auto_buf struct nv_buf twice = {0};
	static const uint8_t tar[10240];
	gzip(tar, sizeof tar, &once);
	gzip(once.data, once.len, &twice);
	assert_mbz_refused(twice.data, twice.len, NV_R_archive_corrupt);
}

static void what_is_not_compressed_is_no_manifest(void **state)
{
	(void)state;
	nv_auto_buf struct nv_buf out = {0};
	struct nv_err err = {0};
	assert_int_equal(unpack(NV_ZSTD, "\x81\xa2id\x01", 5, 1000, &out, &err), -1);
	assert_int_equal(err.reason, NV_R_archive_corrupt);
	assert_int_equal(unpack(NV_ZSTD, "", 0, 1000, &out, &err), -1);
	assert_int_equal(err.reason, NV_R_archive_corrupt);
}

/* --- gzip as gzip(1) has it --- */

static void gzip_members_follow_one_another_and_what_is_behind_is_left(void **state)
{
	(void)state;
	nv_auto_buf struct nv_buf two = {0};
	nv_auto_buf struct nv_buf out = {0};
	struct nv_err err = {0};
	gzip("one ", 4, &two);
	gzip("two", 3, &two);
	nv_buf_puts(&two, "behind it");
	assert_int_equal(unpack(NV_GZIP, two.data, two.len, 1000, &out, &err), 0);
	assert_int_equal(out.len, 7);
	assert_memory_equal(out.data, "one two", 7);
}

static void gzip_that_is_cut_off_or_damaged_is_refused(void **state)
{
	(void)state;
	nv_auto_buf struct nv_buf good = {0};
	nv_auto_free uint8_t *noise = nv_alloc(100000);
	for (size_t i = 0; i < 100000; i++)
		noise[i] = (uint8_t)((i * i * 31 + i / 7) >> 3);
	gzip(noise, 100000, &good);
	for (size_t len = 0; len < good.len; len += 1 + good.len / 50) {
		nv_auto_buf struct nv_buf out = {0};
		struct nv_err err = {0};
		assert_int_equal(unpack(NV_GZIP, good.data, len, UINT64_MAX, &out, &err), -1);
		assert_int_equal(err.reason, NV_R_archive_corrupt);
	}
	for (size_t at = good.len - 8; at < good.len; at++) { /* CRC and length */
		nv_auto_buf struct nv_buf out = {0};
		struct nv_err err = {0};
		good.data[at] ^= 1;
		assert_int_equal(unpack(NV_GZIP, good.data, good.len, UINT64_MAX, &out, &err), -1);
		assert_int_equal(err.reason, NV_R_archive_corrupt);
		good.data[at] ^= 1;
	}
}

/* --- bounds --- */

static void what_comes_out_is_bounded(void **state)
{
	(void)state;
	nv_auto_buf struct nv_buf packed = {0};
	nv_auto_free uint8_t *zeros = nv_alloc(8u << 20);
	nv_auto_buf struct nv_buf out = {0};
	struct nv_err err = {0};
	gzip(zeros, 8u << 20, &packed);
	assert_int_equal(unpack(NV_GZIP, packed.data, packed.len, 1u << 20, &out, &err), -1);
	assert_int_equal(err.reason, NV_R_archive_too_large);
	assert_true(out.len <= 1u << 20);
	assert_int_equal(unpack(NV_GZIP, packed.data, packed.len, 8u << 20, &out, &err), 0);
}

/* Bytes that mean nothing, for ever; the job is cancelled after some of them. */
struct endless {
	const uint8_t *piece;
	size_t len;
	size_t at;
	const uint8_t *head;
	size_t head_len;
	unsigned reads;
	struct nv_job job;
};

static ssize_t endless_cb(void *ctx, void *buf, size_t len, struct nv_err *err)
{
	struct endless *e = ctx;
	uint8_t *to = buf;
	(void)err;
	for (size_t i = 0; i < len; i++) {
		if (e->head_len) {
			to[i] = *e->head++;
			e->head_len--;
			continue;
		}
		to[i] = e->piece[e->at];
		e->at = (e->at + 1) % e->len;
	}
	if (++e->reads == 20)
		atomic_store(&e->job.cancelled, true);
	return e->reads > 1000 ? 0 : (ssize_t)len;
}

static void assert_cancel_heard(enum nv_compression how, const void *head, size_t head_len,
				const void *piece, size_t len)
{
	struct endless e = {.piece = piece, .len = len, .head = head, .head_len = head_len};
	struct nv_source from = {.read_cb = endless_cb, .ctx = &e};
	struct nv_decompress *d = nv_decompress_new(how, "it", &from, UINT64_MAX, &e.job);
	const uint8_t *block;
	struct nv_err err = {0};
	assert_int_equal(nv_decompress_next(d, &block, &err), -1);
	if (err.kind != NV_CANCELLED)
		fail_msg("%s", err.msg);
	assert_int_equal(e.reads, 20);
	nv_decompress_free(d);
}

static void a_cancel_is_heard_where_nothing_comes_out(void **state)
{
	(void)state;
	nv_auto_buf struct nv_buf member = {0};
	gzip("", 0, &member);
	assert_cancel_heard(NV_GZIP, NULL, 0, member.data, member.len);
	/* Stored blocks of no length in one member. */
	assert_cancel_heard(NV_GZIP, "\x1f\x8b\x08\0\0\0\0\0\0\xff", 10, "\0\0\0\xff\xff", 5);
	/* Raw blocks of no length in one frame; frames without content; frames to be skipped. */
	assert_cancel_heard(NV_ZSTD, "\x28\xb5\x2f\xfd\x00\x58", 6, "\0\0\0", 3);
	assert_cancel_heard(NV_ZSTD, NULL, 0, "\x28\xb5\x2f\xfd\x20\0\1\0\0", 9);
	assert_cancel_heard(NV_ZSTD, "\x28\xb5\x2f\xfd\x20\0\1\0\0", 9,
			    "\x50\x2a\x4d\x18\4\0\0\0abcd", 12);
}

/* --- zip --- */

static void put_le(struct nv_buf *b, uint64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++) {
		uint8_t one = (uint8_t)(value >> (8 * i));
		nv_buf_put(b, &one, 1);
	}
}

/* A file "a" of one byte, packed by a method, named so many times in the directory. */
static void make_zip(struct nv_buf *zip, unsigned method, unsigned times)
{
	nv_buf_put(zip, "PK\3\4", 4);
	put_le(zip, 20, 2);
	put_le(zip, 0, 2);
	put_le(zip, method, 2);
	put_le(zip, 0, 4);
	put_le(zip, 0x8cdc1683, 4); /* CRC of "x" */
	put_le(zip, 1, 4);
	put_le(zip, 1, 4);
	put_le(zip, 1, 2);
	put_le(zip, 0, 2);
	nv_buf_puts(zip, "ax");
	size_t directory = zip->len;
	for (unsigned i = 0; i < times; i++) {
		nv_buf_put(zip, "PK\1\2", 4);
		put_le(zip, 20, 2);
		put_le(zip, 20, 2);
		put_le(zip, 0, 2);
		put_le(zip, method, 2);
		put_le(zip, 0, 4);
		put_le(zip, 0x8cdc1683, 4);
		put_le(zip, 1, 4);
		put_le(zip, 1, 4);
		put_le(zip, 1, 2);
		put_le(zip, 0, 2);
		put_le(zip, 0, 2);
		put_le(zip, 0, 2);
		put_le(zip, 0, 2);
		put_le(zip, 0, 4);
		put_le(zip, 0, 4);
		nv_buf_puts(zip, "a");
	}
	size_t end = zip->len;
	nv_buf_put(zip, "PK\5\6", 4);
	put_le(zip, 0, 4);
	put_le(zip, times & 0xffff, 2);
	put_le(zip, times & 0xffff, 2);
	put_le(zip, end - directory, 4);
	put_le(zip, directory, 4);
	put_le(zip, 0, 2);
}

static void zips_packed_by_other_methods_are_refused(void **state)
{
	(void)state;
	static const unsigned methods[] = {9, 12, 14, 95, 98};
	for (size_t i = 0; i < NV_ARRAY_LEN(methods); i++) {
		nv_auto_buf struct nv_buf zip = {0};
		make_zip(&zip, methods[i], 1);
		assert_mbz_refused(zip.data, zip.len, NV_R_archive_unsafe);
	}
	nv_auto_buf struct nv_buf good = {0};
	make_zip(&good, 0, 1);
	nv_auto_free char *path = write_temp(good.data, good.len);
	struct nv_err err = {0};
	enum nv_form form;
	struct nv_unpack *u = nv_unpack_mbz(path, &limits, NULL, &form, &err);
	struct nv_entry entry;
	assert_int_equal(u ? nv_unpack_next(u, &entry, &err) : -1, 1);
	nv_unpack_free(u);
	unlink(path);
}

static void a_zips_directory_is_bounded(void **state)
{
	(void)state;
	nv_auto_buf struct nv_buf zip = {0};
	make_zip(&zip, 0, 60000);
	assert_mbz_refused(zip.data, zip.len, NV_R_archive_too_large);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(zstd_in_zstd_is_not_unpacked),
		cmocka_unit_test(gzip_in_gzip_is_no_backup),
		cmocka_unit_test(what_is_not_compressed_is_no_manifest),
		cmocka_unit_test(gzip_members_follow_one_another_and_what_is_behind_is_left),
		cmocka_unit_test(gzip_that_is_cut_off_or_damaged_is_refused),
		cmocka_unit_test(what_comes_out_is_bounded),
		cmocka_unit_test(a_cancel_is_heard_where_nothing_comes_out),
		cmocka_unit_test(zips_packed_by_other_methods_are_refused),
		cmocka_unit_test(a_zips_directory_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
