/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Shared by api.c and events.c: a second connection with the same settings and session. */
#ifndef NV_CLI_API_STREAM_H
#define NV_CLI_API_STREAM_H

#include <curl/curl.h>

#include "cli/api.h"

CURL *nv_cli_api_dup(struct cli_api *a); /* owned by the caller */
const char *
nv_cli_api_bearer(const struct cli_api *a); /* the header, borrowed; NULL: not signed in */

#endif
