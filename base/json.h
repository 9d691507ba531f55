/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Untrusted JSON: a request body, a server's answer, a line from Moodle's scripts, a file. All JSON
 * in Navette is read here; the caller limits the number of bytes before it reads them.
 *
 * Strict, as RFC 8259 and 7493 demand: UTF-8, no NUL in a string, no duplicate names in an object,
 * nothing after the value.  Nested at most NV_JSON_DEPTH_MAX deep: jansson reads, and frees, by
 * recursion. */
#ifndef NV_JSON_H
#define NV_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define NV_JSON_DEPTH_MAX 64u

/* Owned; NULL on error, with place and cause in *ret_wrong (may be NULL).  data may be NULL when
 * len is 0. */
json_t *nv_json_parse(const void *data, size_t len, json_error_t *ret_wrong);
/* The same, but duplicate names are allowed and the last counts, as in RabbitMQ's management
 * answers. */
json_t *nv_json_parse_lax(const void *data, size_t len, json_error_t *ret_wrong);

#endif
