/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Parsing and authorising the input of a request, without HTTP and Redis, so that the rules can be
 * tested alone. */
#ifndef NV_PRODUCER_REQUESTS_REQUEST_INPUT_H
#define NV_PRODUCER_REQUESTS_REQUEST_INPUT_H

#include "producer/app.h"
#include "producer/body.h"

struct request_input {
	const char *site;
	const char *course;
	bool user_given;
	const char *user; /* NULL: nobody */
	bool keep_category_given, keep_category;
	bool category_given;
	const char *category; /* NULL: the default */
	bool user_data_given, user_data;
	bool leave_out_given, leave_out;
	bool enrolment_given;
	uint64_t enrolment;
	bool now_given, now;
	bool source_given;
	uint64_t source;
	bool state_given;
	uint64_t state; /* of a change: REQUEST_INPUT_… */
	bool rev_given;
	uint64_t rev;
};

/* State changes by PATCH: retry a failed or cancelled request; cancel. */
enum request_input_state { REQUEST_INPUT_SCHEDULED, REQUEST_INPUT_CANCELLED };

/* One new request; strings are borrowed from b->o. */
int nv_request_input_read_new(const struct body *b, struct request_input *ret);
/* A change of one. */
int nv_request_input_read_change(const struct body *b, struct request_input *ret);

/* May this person request it? Fills all of q but id, names and versions; strings are copied into
 * the arena.  403 or 422, with `where` before the field. */
int nv_request_input_judge_new(const struct nv_config *c, const struct session *s,
			       const struct request_input *w, const char *where,
			       struct nv_restore_request *q, struct nv_arena *a,
			       struct nv_err *err);
/* Apply a change to q, the present request. */
int nv_request_input_judge_change(const struct nv_config *c, const struct session *s,
				  const struct request_input *w, struct nv_restore_request *q,
				  struct nv_arena *a, struct nv_err *err);

/* The whole body with its keys sorted, hashed: the same wishes have the same hash however their
 * JSON was written. */
void nv_request_input_hash(const json_t *body, char ret[65]);
/* Redis key of an Idempotency-Key: different for each user and key. */
void nv_request_input_key_hash(const char *username, const char *key, char ret[65]);
/* 1 to 200 printable ASCII characters. */
bool nv_request_input_key_valid(const char *idempotency_key);

#endif
