/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whatever bytes a backup file has, reading and inspecting it ends with entries that are safe and
 * within the limits, or with an error that rejects it.
 *
 * An input that begins with 'T' is a tar without its gzip: it is put into one here, or no changed
 * form would ever get past the CRC. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include "base/fs.h"
#include "core/archive/mbz.h"
#include "fuzz.h"

static const struct nv_archive_limits limits = {
	.max_bytes = 1048576, .max_entries = 100, .max_ratio = 100};

struct seen {
	uint64_t entries;
	uint64_t bytes;
};

static int entry_cb(void *ctx, const struct nv_entry *entry, const struct nv_source *from,
		    struct nv_err *err)
{
	struct seen *seen = ctx;
	uint8_t buf[4096];
	uint64_t done = 0;

	FUZZ_CHECK(nv_path_is_safe(entry->path));
	FUZZ_CHECK(entry->folder == (from == NULL));
	for (ssize_t n = 1; from && n > 0; done += n > 0 ? (uint64_t)n : 0) {
		n = from->read_cb(from->ctx, buf, sizeof buf, err);
		if (n < 0)
			return -1;
		FUZZ_CHECK((size_t)n <= sizeof buf);
	}
	FUZZ_CHECK(done == entry->size);
	seen->entries++;
	seen->bytes += done;
	FUZZ_CHECK(seen->entries <= limits.max_entries && seen->bytes <= limits.max_bytes);
	return 0;
}

static void check_error(const struct nv_err *err)
{
	FUZZ_CHECK(err->kind == NV_REJECT);
	FUZZ_CHECK(err->reason == NV_R_archive_corrupt || err->reason == NV_R_archive_unsafe ||
		   err->reason == NV_R_archive_too_large);
	FUZZ_CHECK(err->msg[0] && memchr(err->msg, 0, sizeof err->msg));
}

static void write_input(int fd, const uint8_t *data, size_t size)
{
	if (size == 0 || data[0] != 'T') {
		FUZZ_CHECK(nv_write_all(fd, data, size, NULL) == 0);
		return;
	}
	gzFile gz = gzdopen(dup(fd), "wb0");
	FUZZ_CHECK(gz != NULL);
	if (size > 1)
		FUZZ_CHECK(gzwrite(gz, data + 1, (unsigned)size - 1) == (int)size - 1);
	FUZZ_CHECK(gzclose_w(gz) == Z_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[64];
	struct seen seen = {0};
	struct nv_sink to = {.entry_cb = entry_cb, .ctx = &seen};
	struct nv_mbz_info info;
	struct nv_err err = {0};
	int fd = memfd_create("mbz", MFD_CLOEXEC);

	FUZZ_CHECK(fd >= 0);
	write_input(fd, data, size);
	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if (nv_mbz_read(path, &limits, &to, NULL, &err) < 0)
		check_error(&err);
	if (nv_mbz_inspect(path, &limits, NULL, &info, &err) < 0) {
		check_error(&err);
	} else {
		FUZZ_CHECK(info.entries == seen.entries && info.unpacked == seen.bytes);
		nv_mbz_info_fini(&info);
	}
	close(fd);
	return 0;
}
