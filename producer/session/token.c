/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "producer/session/token.h"

#include <jansson.h>
#include <rhonabwy.h>
#include <sodium.h>
#include <string.h>

#define HEADER_MAX 128u
#define CLAIMS_MAX 8192u
#define SIGNATURE_MAX 512u
#define TEXT_MAX 255u

const char *nv_token_result_word(enum token_result t)
{
	static const char *const words[] = {
#define X(name, word) word,
		TOKEN_RESULTS(X)
#undef X
	};
	return words[t];
}

/* --- before anything is verified --- */

bool nv_token_form_fits(const char *token)
{
	static const size_t max[] = {HEADER_MAX, CLAIMS_MAX, SIGNATURE_MAX};
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	for (size_t i = 0; i < 3; i++) {
		size_t len = strspn(token, alphabet);
		if (!len || len > max[i] || len % 4 == 1 || token[len] != (i < 2 ? '.' : '\0'))
			return false;
		token += len + 1;
	}
	return true;
}

/* Nothing but the algorithm and the type: a header may also name keys, say that the claims are
 * compressed or that they are a token themselves, and rhonabwy would see to that before it looks
 * at the signature. */
static enum token_result judge_header(const char *token)
{
	char header[HEADER_MAX];
	size_t len = 0;
	if (sodium_base642bin((unsigned char *)header, sizeof header, token, strcspn(token, "."),
			      NULL, &len, NULL, sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0)
		return TOKEN_MALFORMED;
	json_t *o = json_loadb(header, len, JSON_REJECT_DUPLICATES, NULL);
	const json_t *type = json_object_get(o, "typ");
	const char *alg = json_string_value(json_object_get(o, "alg"));
	enum token_result result = TOKEN_FINE;
	if (!alg || json_object_size(o) != (type ? 2u : 1u) || (type && !json_is_string(type)))
		result = TOKEN_MALFORMED;
	else if (strcmp(alg, "HS256") != 0)
		result = TOKEN_ALGORITHM;
	json_decref(o);
	return result;
}

/* --- what it says --- */

/* 1 to max bytes without control characters; NULL when it is anything else. */
static const char *text(const json_t *claims, const char *name, size_t max)
{
	const json_t *v = json_object_get(claims, name);
	const char *s = json_string_value(v);
	size_t len = json_string_length(v);
	if (!s || !len || len > max)
		return NULL;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
			return NULL;
	return s;
}

static bool is(const json_t *claims, const char *name, const char *wanted)
{
	const char *s = json_string_value(json_object_get(claims, name));
	return s && strcmp(s, wanted) == 0;
}

static bool is_address(const json_t *claims, const char *name, const char *wanted)
{
	const char *s = json_string_value(json_object_get(claims, name));
	size_t a = s ? strlen(s) : 0;
	size_t b = strlen(wanted);
	a -= a && s[a - 1] == '/';
	b -= b && wanted[b - 1] == '/';
	return s && a == b && strncmp(s, wanted, a) == 0;
}

static enum token_result judge_times(const struct token_rules *rules, const json_t *claims)
{
	const json_t *issued = json_object_get(claims, "iat");
	const json_t *expires = json_object_get(claims, "exp");
	json_int_t now = (json_int_t)rules->now;
	json_int_t leeway = (json_int_t)rules->leeway;
	if (!json_is_integer(issued) || !json_is_integer(expires) || json_integer_value(issued) < 0)
		return TOKEN_CLAIMS;
	json_int_t iat = json_integer_value(issued);
	json_int_t exp = json_integer_value(expires);
	if (exp <= iat || exp > INT64_MAX / 2 || exp - iat > (json_int_t)TOKEN_LIFE_MAX)
		return TOKEN_CLAIMS;
	if (iat > now + leeway)
		return TOKEN_FUTURE;
	return exp + leeway <= now ? TOKEN_EXPIRED : TOKEN_FINE;
}

static enum token_result read_caps(const json_t *claims, struct token_claims *ret)
{
	const json_t *caps = json_object_get(claims, "caps");
	size_t i;
	json_t *one;
	if (!json_is_array(caps))
		return TOKEN_CLAIMS;
	json_array_foreach(caps, i, one)
	{
		const char *word = json_string_value(one);
		if (!word)
			return TOKEN_CLAIMS;
		ret->user_data = ret->user_data || strcmp(word, "restoreuserdata") == 0;
		ret->link = ret->link || strcmp(word, "seeexternalcourselink") == 0;
		ret->manage = ret->manage || strcmp(word, "manage") == 0;
	}
	return TOKEN_FINE;
}

static enum token_result judge_claims(const struct token_rules *rules, const json_t *claims,
				      struct nv_arena *a, struct token_claims *ret)
{
	const char *id = text(claims, "jti", TEXT_MAX);
	const char *user = text(claims, "sub", TEXT_MAX);
	const json_t *block = json_object_get(claims, "block");
	if (!is(claims, "iss", rules->issuer))
		return TOKEN_ISSUER;
	if (!is_address(claims, "aud", rules->audience))
		return TOKEN_AUDIENCE;
	enum token_result times = judge_times(rules, claims);
	if (times != TOKEN_FINE)
		return times;
	if (!id || strlen(id) < 16 || !user || json_object_get(claims, "nbf") ||
	    (block && (!json_is_integer(block) || json_integer_value(block) <= 0)))
		return TOKEN_CLAIMS;
	ret->id = nv_arena_strdup(a, id);
	ret->user = nv_arena_strdup(a, user);
	ret->name = nv_arena_strdup(a, text(claims, "name", TEXT_MAX));
	ret->mail = nv_arena_strdup(a, text(claims, "email", TEXT_MAX));
	ret->lang = nv_arena_strdup(a, text(claims, "lang", 32));
	ret->block = (uint64_t)json_integer_value(block);
	ret->expires = (uint64_t)json_integer_value(json_object_get(claims, "exp"));
	return read_caps(claims, ret);
}

/* Our algorithm and our key, nothing that the header offers. */
static bool is_signed(jwt_t *jwt, const char *secret)
{
	return r_jwt_get_type(jwt) == R_JWT_TYPE_SIGN &&
	       r_jwt_get_sign_alg(jwt) == R_JWA_ALG_HS256 &&
	       r_jwt_add_sign_key_symmetric(jwt, (const unsigned char *)secret, strlen(secret)) ==
		       RHN_OK &&
	       r_jwt_verify_signature(jwt, NULL, R_FLAG_IGNORE_REMOTE) == RHN_OK;
}

enum token_result nv_token_check(const struct token_rules *rules, const char *token,
				 struct nv_arena *a, struct token_claims *ret)
{
	jwt_t *jwt = NULL;
	memset(ret, 0, sizeof *ret);
	enum token_result result =
		nv_token_form_fits(token) ? judge_header(token) : TOKEN_MALFORMED;
	if (result != TOKEN_FINE)
		return result;
	if (r_jwt_init(&jwt) != RHN_OK ||
	    r_jwt_advanced_parse(jwt, token, R_PARSE_NONE, R_FLAG_IGNORE_REMOTE) != RHN_OK) {
		result = TOKEN_MALFORMED;
	} else if (!is_signed(jwt, rules->secret)) {
		result = TOKEN_SIGNATURE;
	} else {
		json_t *claims = r_jwt_get_full_claims_json_t(jwt);
		result = judge_claims(rules, claims, a, ret);
		json_decref(claims);
	}
	r_jwt_free(jwt);
	return result;
}
