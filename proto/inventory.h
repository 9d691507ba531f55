/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Counts of a course's contents by kind and type, and the comparison with the restored course.
 *
 * The course server counts the course (from its database, or its archive), the client counts the
 * restored course.  Kinds: section, activity (by module), question (by type), file (by component),
 * and, with user data, person, grade (by module), completion (by module). New kinds may be added at
 * any time: a kind that one side has not counted is not compared. */
#ifndef NV_PROTO_INVENTORY_H
#define NV_PROTO_INVENTORY_H

#include "proto/schema.h"

#define NV_INVENTORY_MAX 2000u /* lines */

struct nv_count {
	char *kind;
	char *type; /* "": the kind has none */
	uint64_t count;
};
extern const struct nv_record nv_count_record;

struct nv_difference {
	char *kind;
	char *type;
	uint64_t had; /* the course, on the course server */
	uint64_t has; /* the restored course */
};
extern const struct nv_record nv_difference_record;

/* What the restored course lacks: takes lists of struct nv_count, returns struct nv_difference in
 * the arena. More is no loss: the requester is enrolled, and a question bank may become an
 * activity. A kind is compared if `has` contains it, even with count 0. */
void nv_inventory_compare(const struct nv_list *had, const struct nv_list *has, struct nv_list *ret,
			  struct nv_arena *arena);

/* As lines "kind type had has", "-" for no type, and back; other lines are ignored. */
void nv_differences_put(const struct nv_list *differences, struct nv_buf *out);
void nv_differences_get(const char *text, size_t len, struct nv_list *ret, struct nv_arena *arena);
void nv_inventory_copy(const struct nv_list *from, struct nv_list *ret, struct nv_arena *arena);
void nv_differences_copy(const struct nv_list *from, struct nv_list *ret, struct nv_arena *arena);

/* "activity wiki: the course had 1, the restored one has 0", owned */
char *nv_difference_text(const struct nv_difference *d);

#endif
