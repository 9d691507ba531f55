/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/token_forge.h"

#include <sodium.h>
#include <string.h>

#include "base/mem.h"

static char *base64url(const void *data, size_t len)
{
	size_t size = sodium_base64_ENCODED_LEN(len, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	char *text = nv_alloc(size);
	return sodium_bin2base64(text, size, data, len, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

char *forge_token(const void *header, size_t header_len, const void *claims, size_t claims_len)
{
	unsigned char mac[crypto_auth_hmacsha256_BYTES];
	crypto_auth_hmacsha256_state state;
	nv_auto_free char *first = base64url(header, header_len);
	nv_auto_free char *second = base64url(claims, claims_len);
	nv_auto_free char *body = nv_asprintf("%s.%s", first, second);
	crypto_auth_hmacsha256_init(&state, (const unsigned char *)FORGE_SECRET,
				    strlen(FORGE_SECRET));
	crypto_auth_hmacsha256_update(&state, (const unsigned char *)body, strlen(body));
	crypto_auth_hmacsha256_final(&state, mac);
	nv_auto_free char *third = base64url(mac, sizeof mac);
	return nv_asprintf("%s.%s", body, third);
}
