/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Files compiled into the producer; web/build.mjs makes them. */
#ifndef NV_PRODUCER_ASSETS_H
#define NV_PRODUCER_ASSETS_H

#include <stdbool.h>
#include <stddef.h>

struct asset_bytes {
	const unsigned char *data;
	size_t len;
};
struct asset {
	const char *path; /* where it is served */
	const char *name; /* without the hash: "app.css" */
	const char *type;
	const char *etag;
	bool lasting; /* its path changes with its content */
	struct asset_bytes plain, gzip, brotli;
};
extern const struct asset nv_assets[];
extern const size_t nv_assets_len;

#endif
