/* SPDX-License-Identifier: GPL-3.0-or-later */
/* producer/token: which launch tokens get as far as the library that verifies them. */
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

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

static void expect_result(const char *token, enum token_result want)
{
	struct nv_arena a = {0};
	struct token_claims claims;
	enum token_result result = nv_token_check(&rules, token, &a, &claims);
	if (result != want)
		print_error("%.60s…: %s\n", token, nv_token_result_word(result));
	assert_int_equal(result, want);
	nv_arena_fini(&a);
}

static void expect_header(const char *header, const char *claims, enum token_result want)
{
	nv_auto_free char *token = forge_token(header, strlen(header), claims, strlen(claims));
	expect_result(token, want);
}

static void a_token_of_the_button_is_good(void **state)
{
	(void)state;
	expect_header(FORGE_HEADER, CLAIMS, TOKEN_FINE);
	expect_header("{\"typ\": \"JWT\", \"alg\": \"HS256\"}", CLAIMS, TOKEN_FINE);
	expect_header("{\"alg\": \"HS256\"}", CLAIMS, TOKEN_FINE);
}

static void only_three_parts_of_the_alphabet_have_the_form(void **state)
{
	static const char *const wrong[] = {"",
					    "x",
					    "a.b",
					    "aa.bb",
					    "..",
					    "aa..cc",
					    ".bb.cc",
					    "aa.bb.",
					    "aa.bb.cc.",
					    "aa.bb.cc.dd",
					    "aa.bb.cc=",
					    "aa.bb==.cc",
					    "=aa.bb.cc",
					    "aa=.bb.cc",
					    "aa.b=b.cc",
					    "aa.bb.cc\n",
					    " aa.bb.cc",
					    "aa.b b.cc",
					    "aa.b\tb.cc",
					    "aa.b+b.cc",
					    "aa.b/b.cc",
					    "aa.b%b.cc",
					    "aa.b\x80.cc",
					    "aa.bb.c\xff",
					    "aaaaa.bb.cc",
					    "aa.bbbbb.cc",
					    "aa.bb.ccccc",
					    "a.bb.cc"};
	/* from the field: it made liborcania write behind its block */
	static const char found[] = "e30.wfgz2Q_Ay0ffC9ywwD2C1x1QDQADwBC2C0BxC9Dffzz19z2xB1Cggx9x0"
				    "Cz2AQx-wz-QABzA=x.AAAA";
	(void)state;
	for (size_t i = 0; i < NV_ARRAY_LEN(wrong); i++) {
		assert_false(nv_token_form_fits(wrong[i]));
		expect_result(wrong[i], TOKEN_MALFORMED);
	}
	expect_result(found, TOKEN_MALFORMED);
	assert_true(nv_token_form_fits("aa.bb.cc"));
	assert_true(nv_token_form_fits("aA0_.bbb-.cc"));
}

static void each_part_is_bounded(void **state)
{
	static const size_t max[] = {128, 8192, 512};
	(void)state;
	for (size_t part = 0; part < 3; part++) {
		for (size_t more = 0; more <= 4; more += 4) {
			nv_auto_buf struct nv_buf b = {0};
			for (size_t i = 0; i < 3; i++) {
				size_t len = i == part ? max[i] + more : 4;
				while (len--)
					nv_buf_puts(&b, "A");
				nv_buf_puts(&b, i < 2 ? "." : "");
			}
			assert_int_equal(nv_token_form_fits((const char *)b.data), more == 0);
		}
	}
}

/* rhonabwy would inflate, fetch a key, or parse claims that are a token of their own ("=" inside
 * included) before it looks at the signature. */
static void a_header_that_asks_for_more_is_refused_before_anything_is_verified(void **state)
{
	static const char *const headers[] = {
		"{\"alg\":\"HS256\",\"cty\":\"JWT\"}",
		"{\"alg\":\"HS256\",\"zip\":\"DEF\"}",
		"{\"alg\":\"HS256\",\"crit\":[\"exp\"]}",
		"{\"alg\":\"HS256\",\"jwk\":{\"kty\":\"oct\",\"k\":\"AAAA\"}}",
		"{\"alg\":\"HS256\",\"jku\":\"http://127.0.0.1:1/k\"}",
		"{\"alg\":\"HS256\",\"x5c\":[\"AAAA\"]}",
		"{\"alg\":\"HS256\",\"kid\":\"../../dev/null\"}",
		"{\"alg\":\"HS256\",\"alg\":\"HS256\"}",
		"{\"alg\":\"HS256\",\"typ\":1}",
		"{\"alg\":7}",
		"{\"alg\":null,\"typ\":\"JWT\"}",
		"{\"alg\":\"HS256\\u0000\"}",
		"{\"typ\":\"JWT\"}",
		"{}",
		"[]",
		"\"HS256\"",
		"{\"alg\":\"HS256\"",
		"{\"alg\":\"HS256\"}x",
		"{\"alg\":\"HS256\xff\"}",
		"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["};
	static const char *const others[] = {"none",  "None",  "HS384", "HS512",
					     "RS256", "hs256", "dir",	""};
	(void)state;
	for (size_t i = 0; i < NV_ARRAY_LEN(headers); i++) {
		expect_header(headers[i], CLAIMS, TOKEN_MALFORMED);
		expect_header(headers[i], "e30=.AA=A.AA=A.AA=A.AA=A", TOKEN_MALFORMED);
	}
	for (size_t i = 0; i < NV_ARRAY_LEN(others); i++) {
		nv_auto_free char *header = nv_asprintf("{\"alg\":\"%s\"}", others[i]);
		expect_header(header, CLAIMS, TOKEN_ALGORITHM);
	}
}

static void claims_that_are_no_json_object_are_refused(void **state)
{
	static const char *const claims[] = {"x", "{", "\xff\xfe", "{\"a\":\"\\u0000\"}"};
	(void)state;
	for (size_t i = 0; i < NV_ARRAY_LEN(claims); i++)
		expect_header(FORGE_HEADER, claims[i], TOKEN_MALFORMED);
	expect_header(FORGE_HEADER, "[]", TOKEN_ISSUER);
	expect_header(FORGE_HEADER, "7", TOKEN_ISSUER);
	/* as deep as it fits: jansson stops at 2048 levels */
	char deep[6000];
	memset(deep, '[', sizeof deep - 1);
	deep[sizeof deep - 1] = '\0';
	expect_header(FORGE_HEADER, deep, TOKEN_MALFORMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_token_of_the_button_is_good),
		cmocka_unit_test(only_three_parts_of_the_alphabet_have_the_form),
		cmocka_unit_test(each_part_is_bounded),
		cmocka_unit_test(
			a_header_that_asks_for_more_is_refused_before_anything_is_verified),
		cmocka_unit_test(claims_that_are_no_json_object_are_refused),
	};
	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
