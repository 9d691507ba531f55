/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/store/internal.h"

int nv_store_open_webdav(const struct nv_config *config, struct nv_store *s, struct nv_err *err)
{
	(void)config;
	(void)s;
	return nv_fail(err, NV_FATAL, NV_R_config, "store: webdav is not in this build");
}
