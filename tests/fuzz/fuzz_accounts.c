/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whatever the file of accounts holds, it is a list of accounts with proper names, each once, or a
 * mistake that is named. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fs.h"
#include "core/accounts/accounts.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nv_accounts a;
	struct nv_err err = {0};
	char path[64];
	int fd = memfd_create("accounts", MFD_CLOEXEC);

	FUZZ_CHECK(fd >= 0 && nv_write_all(fd, data, size, NULL) == 0);
	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if (nv_accounts_load(path, &a, &err) < 0) {
		FUZZ_CHECK(err.kind == NV_FATAL && err.reason == NV_R_config && err.msg[0]);
	} else {
		for (size_t i = 0; i < a.len; i++) {
			FUZZ_CHECK(nv_username_valid(a.items[i].username));
			FUZZ_CHECK(nv_accounts_find(&a, a.items[i].username) == &a.items[i]);
			FUZZ_CHECK(a.items[i].password);
		}
		nv_accounts_fini(&a);
	}
	close(fd);
	return 0;
}
