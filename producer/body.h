/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Strict reading of JSON bodies: unknown fields, wrong types and values out of range are errors
 * (422) that name the field. */
#ifndef NV_PRODUCER_BODY_H
#define NV_PRODUCER_BODY_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "core/http/http.h"

/* One object of a body. */
struct body {
	json_t *o;
	const char *where; /* "requests[3]." in front of field names, or "" */
	struct nv_err *err;
};

/* The request's body as a JSON object; the caller decrefs it.  NULL: 415, 400 in *err. */
json_t *nv_body_parse(const struct nv_http_request *r, struct nv_err *err);
/* For endpoints without a body: allows none, or {}. */
int nv_body_none(const struct nv_http_request *r, struct nv_err *err);

int nv_body_known(const struct body *b, const char *const *fields, size_t len);
/* 1 to max bytes, no control characters; *ret is unchanged when the field is absent. */
int nv_body_text(const struct body *b, const char *field, size_t max, bool required,
		 const char **ret);
/* As nv_body_text, but null is allowed: *ret_given is then true and *ret NULL. */
int nv_body_text_or_null(const struct body *b, const char *field, size_t max, bool *ret_given,
			 const char **ret);
int nv_body_bool(const struct body *b, const char *field, bool *ret_given, bool *ret);
int nv_body_uint(const struct body *b, const char *field, uint64_t min, uint64_t max,
		 bool *ret_given, uint64_t *ret);
int nv_body_word(const struct body *b, const char *field, const char *const *words, bool *ret_given,
		 uint64_t *ret);
int nv_body_wrong(const struct body *b, const char *field, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
