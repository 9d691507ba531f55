/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Records of proto/messages.h as JSON, by their table of fields: a word for an enumeration, hex for
 * bytes, text for a number that jansson's signed ones do not hold. */
#ifndef NV_SITE_RECORD_JSON_H
#define NV_SITE_RECORD_JSON_H

#include <jansson.h>

#include "proto/schema.h"

/* Owned. Absent fields are omitted. */
json_t *nv_json_record(const struct nv_record *r, const void *in);
/* NV_RETRY/io with the field named.  null counts as absent; limits are not checked. */
int nv_json_to_record(const struct nv_record *r, const json_t *from, void *ret,
		      struct nv_arena *arena, struct nv_err *err);

/* The same for a list of records; absent: empty. */
json_t *nv_json_list(const struct nv_record *r, const struct nv_list *l);
int nv_json_to_list(const struct nv_record *r, const json_t *from, struct nv_list *ret,
		    struct nv_arena *arena);

void nv_json_cleanup(json_t **j);
#define nv_auto_json __attribute__((cleanup(nv_json_cleanup)))

#endif
