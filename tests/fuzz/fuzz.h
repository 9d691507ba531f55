/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What libFuzzer, or fuzz_driver.c in its place, calls. */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A wrong result, not only a crash, ends the run. */
#define FUZZ_CHECK(condition)             \
	do {                              \
		if (!(condition))         \
			__builtin_trap(); \
	} while (0)

#endif
