/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Launch tokens as Moodle's button makes them, or with any header and claims. */
#ifndef TESTS_TOKEN_FORGE_H
#define TESTS_TOKEN_FORGE_H

#include <stddef.h>

#define FORGE_SECRET "an example of a secret that is long enough"
#define FORGE_HEADER "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"

/* header and claims in base64url, signed by HMAC-SHA256 with FORGE_SECRET; the caller frees it. */
char *forge_token(const void *header, size_t header_len, const void *claims, size_t claims_len);

#endif
