/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The token of Moodle's button (moodle/PROTOCOL.md, "The button's token"): a JWT signed with HS256,
 * checked by rhonabwy, after our own check of its form and of a header with nothing but algorithm
 * and type. The algorithm is fixed, never taken from the token.  Whether it was used before is not
 * known here. */
#ifndef NV_PRODUCER_SESSION_TOKEN_H
#define NV_PRODUCER_SESSION_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

/* Longest accepted life time, whatever the token says. */
#define TOKEN_LIFE_MAX 120u /* seconds */

/* X(name, word in log and problem) */
#define TOKEN_RESULTS(X)          \
	X(FINE, "fine")           \
	X(MALFORMED, "form")      \
	X(ALGORITHM, "algorithm") \
	X(SIGNATURE, "signature") \
	X(ISSUER, "issuer")       \
	X(AUDIENCE, "audience")   \
	X(FUTURE, "future")       \
	X(EXPIRED, "expired")     \
	X(CLAIMS, "claims")
enum token_result {
#define X(name, word) TOKEN_##name,
	TOKEN_RESULTS(X)
#undef X
};
const char *nv_token_result_word(enum token_result t);

struct token_rules {
	const char *secret;
	const char *issuer;
	const char *audience; /* a slash at the end does not matter */
	uint64_t leeway;      /* seconds */
	uint64_t now;	      /* seconds since the epoch */
};
/* Who comes, all in the arena. */
struct token_claims {
	const char *id;
	const char *user;
	const char *name; /* NULL: none, as the next two */
	const char *mail;
	const char *lang;
	uint64_t expires; /* seconds since the epoch */
	bool user_data;	  /* restoreuserdata */
	bool link;	  /* seeexternalcourselink */
	bool manage;
	uint64_t block; /* the block's instance; 0: from an older block_navette */
};
/* Three parts of [A-Za-z0-9_-], each of bounded length; checks the text only. liborcania (under
 * rhonabwy) writes beyond its buffer when there is a "=". */
bool nv_token_form_fits(const char *token);
enum token_result nv_token_check(const struct token_rules *rules, const char *token,
				 struct nv_arena *a, struct token_claims *ret);

#endif
