/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A list of wishes on its way through submit.c, or, where it is only checked, through check.c. */
#ifndef NV_PRODUCER_REQUESTS_SUBMIT_H
#define NV_PRODUCER_REQUESTS_SUBMIT_H

#include "core/status/status.h"
#include "producer/requests/catalog.h"
#include "producer/requests/request_input.h"

struct submit;
struct item {
	struct submit *sub;
	struct nv_restore_request q;
	struct nv_err err;
	bool refused;
	bool left; /* refused, and perhaps on the disk all the same */
	bool published;
	bool judged;   /* whether the course is theirs */
	bool asked;    /* of a check: the course server knows them and the course is theirs */
	unsigned line; /* of a CSV file; 0: none */
	json_t *record;
};
struct submit {
	struct app *app;
	struct nv_http_request *r;
	const struct session *s;
	bool single;
	bool check; /* nothing is made */
	struct item *items;
	size_t len;
	size_t pending;
	const char *afresh; /* the course server that is asked itself; NULL: what is kept will do */
	const char *key;    /* in Redis; NULL: without Idempotency-Key */
	unsigned key_tries;
	char hash[65];
	unsigned status;
	json_t *answer;
};

/* Another request holds the course. */
void nv_submit_held_by(struct item *it, const struct nv_status_record *rec);
/* Is the course one of theirs?  Refuses it if not. */
void nv_submit_judge(struct item *it, const struct catalog_site *sites, size_t len);
void nv_submit_fail(struct submit *sub, const struct nv_err *err);

/* check.c: answers. */
void nv_check_all(struct submit *sub);

#endif
