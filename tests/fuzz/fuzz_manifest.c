/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whatever bytes are a manifest, or a list of blobs on their way, reading them ends with entries
 * that are safe and add up, or with an error that rejects them.
 *
 * An input that begins with 'M' is the record without its zstd. */
#include <string.h>

#include "base/fs.h"
#include "core/archive/archive_internal.h"
#include "fuzz.h"
#include "zstd_frame.h"

static const struct nv_archive_limits limits = {
	.max_bytes = 1u << 30, .max_entries = 1000, .max_ratio = 100};
static const struct nv_archive_place place = {"lastyear", "campus",
					      "0192f0c1-0000-7000-8000-000000000001",
					      "0192f0c1-0000-7000-8000-000000000002"};

static void check_manifest(const struct nv_manifest *m)
{
	const struct nv_manifest_entry *e = m->entries.items;
	uint64_t sum = 0;
	uint8_t sha1[NV_SHA1_LEN];

	FUZZ_CHECK(m->entries.len <= limits.max_entries);
	FUZZ_CHECK(m->skeleton_sha256.len == NV_SHA256_LEN);
	for (size_t i = 0; i < m->entries.len; i++) {
		FUZZ_CHECK(nv_path_is_safe(e[i].path));
		FUZZ_CHECK(!e[i].folder || (!e[i].size && !e[i].blob));
		FUZZ_CHECK(!e[i].blob ||
			   (nv_content_path(e[i].path, sha1) && e[i].sha256.len == NV_SHA256_LEN));
		sum += e[i].size;
	}
	FUZZ_CHECK(sum == m->size && sum <= limits.max_bytes);
}

static void read_one(const uint8_t *data, size_t size, size_t max)
{
	nv_auto_arena struct nv_arena arena = {0};
	struct nv_manifest m = {0};
	struct nv_err err = {0};

	if (nv_manifest_unpack(data, size, &(struct nv_manifest_rules){&place, &limits, max}, NULL,
			       &m, &arena, &err) == 0)
		check_manifest(&m);
	else
		FUZZ_CHECK(err.kind == NV_REJECT && err.msg[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	nv_auto_buf struct nv_buf frame = {0};

	if (size && data[0] == 'M') {
		zstd_frame(data + 1, size - 1, &frame);
		data = frame.data;
		size = frame.len;
	}
	read_one(data, size, 4u << 20);
	return 0;
}
