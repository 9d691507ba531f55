/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whatever a configuration file holds, it is a configuration or a list of mistakes with lines.
 * Files that it names are opened (secrets), so an input that names a device is left out. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fs.h"
#include "core/config/config.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const unsigned roles[] = {NV_ROLE_PRODUCER, NV_ROLE_ARCHIVER, NV_ROLE_WORKER,
					 NV_ROLE_CLI};
	nv_auto_buf struct nv_buf mistakes = {0};
	char path[64];
	int fd;

	if (size == 0 || memmem(data, size, "/dev", 4) || memmem(data, size, "/proc", 5))
		return 0;
	fd = memfd_create("config", MFD_CLOEXEC);
	FUZZ_CHECK(fd >= 0 && nv_write_all(fd, data + 1, size - 1, NULL) == 0);
	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	struct nv_config *c = nv_config_load(path, roles[data[0] % 4], &mistakes);
	FUZZ_CHECK(c || mistakes.len);
	FUZZ_CHECK(!memchr(mistakes.data ? (const char *)mistakes.data : "", 0, mistakes.len));
	nv_config_free(c);
	close(fd);
	return 0;
}
