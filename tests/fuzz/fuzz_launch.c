/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whatever stands behind /launch?token=, judging it ends with a reason, and only what was signed
 * is good.
 *
 * An input that begins with 'C' is claims, one with 'H' a header: a token is made of it here and
 * signed, or no changed form would ever get past the signature. */
#include <string.h>

#include "fuzz.h"
#include "producer/session/token.h"
#include "tests/unit/token_forge.h"

#define CLAIMS                                                                             \
	"{\"iss\":\"https://moodle.example.org\",\"aud\":\"https://navette.example.org\"," \
	"\"iat\":1000,\"exp\":1060,\"jti\":\"0123456789abcdef\",\"sub\":\"ada\",\"caps\":[]}"

static const struct token_rules rules = {.secret = FORGE_SECRET,
					 .issuer = "https://moodle.example.org",
					 .audience = "https://navette.example.org",
					 .leeway = 5,
					 .now = 1010};

static char *make_token(const uint8_t *data, size_t size)
{
	if (size && data[0] == 'C')
		return forge_token(FORGE_HEADER, strlen(FORGE_HEADER), data + 1, size - 1);
	if (size && data[0] == 'H')
		return forge_token(data + 1, size - 1, CLAIMS, strlen(CLAIMS));
	return nv_strndup((const char *)data, size);
}

static void check_text(const char *s, size_t min)
{
	size_t len = s ? strlen(s) : 0;

	FUZZ_CHECK(len >= min && len <= 255);
	for (size_t i = 0; i < len; i++)
		FUZZ_CHECK((unsigned char)s[i] >= 0x20 && s[i] != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nv_arena a = {0};
	struct token_claims claims;
	nv_auto_free char *token = make_token(data, size);

	if (nv_token_check(&rules, token, &a, &claims) == TOKEN_FINE) {
		FUZZ_CHECK(nv_token_form_fits(token));
		check_text(claims.id, 16);
		check_text(claims.user, 1);
		check_text(claims.name, 0);
		check_text(claims.mail, 0);
		check_text(claims.lang, 0);
		FUZZ_CHECK(claims.expires + rules.leeway > rules.now);
		FUZZ_CHECK(claims.expires <= rules.now + rules.leeway + TOKEN_LIFE_MAX);
	}
	nv_arena_fini(&a);
	return 0;
}
