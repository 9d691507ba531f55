/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The requests of one body, a list as JSON or CSV, or one alone: read and judged here, then
 * submitted (submit.c) or only checked (check.c). */
#ifndef NV_PRODUCER_REQUESTS_REQUEST_LIST_H
#define NV_PRODUCER_REQUESTS_REQUEST_LIST_H

#include "core/status/status.h"
#include "producer/requests/catalog.h"

/* "waits for" names whose callback may touch the item; nobody else does meanwhile. */
enum item_state {
	ITEM_READ,	  /* the rules allow it */
	ITEM_THEIRS,	  /* and the course server says that the course is the user's */
	ITEM_CREATING,	  /* waits for Redis to make its record */
	ITEM_DISPATCHING, /* has its record; waits for the broker or the disk to get the message */
	ITEM_TAKING_BACK, /* neither got it; waits for Redis to take the record back */
	ITEM_ACCEPTED,	  /* final: `record` and `published` tell of it */
	ITEM_REFUSED,	  /* final: `err` says why */
};

struct request_list;
struct item {
	struct request_list *list;
	enum item_state state; /* changed by nv_item_move only */
	struct nv_restore_request q;
	struct nv_err err;
	bool left; /* the disk may have it although it is not accepted */
	bool published;
	unsigned line; /* of a CSV file; 0: none */
	json_t *record;
};
struct request_list {
	struct app *app;
	struct nv_http_request *r;
	const struct session *s;
	bool single; /* the body was one request, not a list */
	struct item *items;
	size_t len;
};

/* Reads r's body and judges each item by the rules.  each: what is wrong with a row refuses that
 * row only, as it always is with CSV.  Returns the body, which the caller decrefs; NULL with *err:
 * the whole body is refused. */
json_t *nv_request_list_read(struct request_list *list, bool each, struct nv_err *err);

void nv_item_move(struct item *it, enum item_state to);
void nv_item_refuse(struct item *it, const struct nv_err *err);
/* Another request holds the course. */
void nv_item_refuse_held(struct item *it, const struct nv_status_record *rec);
/* Is the course one of theirs, by what their course server said?  Refuses it if not. */
void nv_item_judge(struct item *it, const struct catalog_site *sites, size_t len);

#endif
