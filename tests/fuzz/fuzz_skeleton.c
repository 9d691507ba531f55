/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whatever bytes a skeleton has, reading it ends with files and folders of the sizes they say, or
 * with an error that rejects it.
 *
 * An input that begins with 'T' is the tar without its zstd. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fs.h"
#include "core/archive/archive_internal.h"
#include "fuzz.h"
#include "zstd_frame.h"

#define ENTRIES_MAX 100u
#define BYTES_MAX 1048576u

static int read_entry(struct nv_unpack *u, const struct nv_entry *entry, struct nv_err *err)
{
	struct nv_source from = nv_unpack_source(u);
	uint8_t buf[4096];
	uint64_t done = 0;
	ssize_t n = 1;

	while (!entry->folder && n > 0) {
		n = from.read_cb(from.ctx, buf, sizeof buf, err);
		if (n < 0)
			return -1;
		done += (uint64_t)n;
	}
	FUZZ_CHECK(done == entry->size);
	return nv_unpack_entry_end(u, entry, err);
}

static int read_all(const char *path, struct nv_err *err)
{
	struct nv_unpack *u = nv_unpack_skeleton(path, ENTRIES_MAX, BYTES_MAX, NULL, err);
	struct nv_entry entry;
	int rc = u ? 1 : -1;

	for (unsigned i = 0; rc == 1 && i < ENTRIES_MAX; i++) {
		rc = nv_unpack_next(u, &entry, err);
		FUZZ_CHECK(rc != 1 || (entry.path[0] && (!entry.folder || !entry.size)));
		if (rc == 1 && entry.size > BYTES_MAX)
			break; /* the manifest has another */
		if (rc == 1 && read_entry(u, &entry, err) < 0)
			rc = -1;
	}
	nv_unpack_free(u);
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	nv_auto_buf struct nv_buf frame = {0};
	struct nv_err err = {0};
	char path[64];
	int fd = memfd_create("skeleton", MFD_CLOEXEC);

	FUZZ_CHECK(fd >= 0);
	if (size && data[0] == 'T') {
		zstd_frame(data + 1, size - 1, &frame);
		data = frame.data;
		size = frame.len;
	}
	FUZZ_CHECK(nv_write_all(fd, data, size, NULL) == 0);
	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if (read_all(path, &err) < 0)
		FUZZ_CHECK(err.kind == NV_REJECT && err.msg[0]);
	close(fd);
	return 0;
}
