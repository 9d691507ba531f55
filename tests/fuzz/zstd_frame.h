/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Bytes as a zstd frame of raw blocks (RFC 8878, 3.1.1): what is changed in them is not undone by
 * a checksum or an entropy coder. */
#ifndef TESTS_ZSTD_FRAME_H
#define TESTS_ZSTD_FRAME_H

#include "base/mem.h"

#define RAW_BLOCK_MAX 65536u

static inline void zstd_frame(const uint8_t *data, size_t len, struct nv_buf *ret)
{
	/* Window of 1 MiB, no size, no checksum. */
	nv_buf_put(ret, "\x28\xb5\x2f\xfd\x00\x50", 6);
	do {
		size_t some = len < RAW_BLOCK_MAX ? len : RAW_BLOCK_MAX;
		uint32_t head = (uint32_t)some << 3 | (some == len);
		uint8_t bytes[] = {(uint8_t)head, (uint8_t)(head >> 8), (uint8_t)(head >> 16)};

		nv_buf_put(ret, bytes, sizeof bytes);
		nv_buf_put(ret, data, some);
		data += some;
		len -= some;
	} while (len);
}

#endif
