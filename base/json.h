/* SPDX-License-Identifier: GPL-3.0-or-later */
/* JSON that others wrote: a request's body, a server's answer, a line of Moodle's, a file.
 * Everything in Navette that reads JSON reads it here; how many bytes may come is the caller's to
 * bound, before it has them.
 *
 * Strict, as RFC 8259 and 7493 have it: UTF-8, no NUL in a text, no name twice in an object,
 * nothing behind the value.  Nested at most NV_JSON_DEPTH_MAX deep: jansson reads, and frees, by
 * recursion. */
#ifndef NV_JSON_H
#define NV_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define NV_JSON_DEPTH_MAX 64u

/* Owned; NULL, and where and why in *ret_wrong (may be NULL).  data may be NULL when len is 0. */
json_t *nv_json_parse(const void *data, size_t len, json_error_t *ret_wrong);
/* The same where a name may stand twice, the last counts: RabbitMQ's management answers so. */
json_t *nv_json_parse_lax(const void *data, size_t len, json_error_t *ret_wrong);

#endif
