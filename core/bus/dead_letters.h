/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Dead letters: list, requeue and discard them. Blocking calls, for the command and for threads of
 * the producer.
 *
 * A queue can only be inspected by consuming its messages. They are not acknowledged: when the
 * connection closes, the broker puts them back in place. A requeued one is published, confirmed,
 * and then acknowledged.
 *
 * Life cycle: nv_dead_open → nv_dead_take_all → nv_dead_discard, nv_dead_requeue … → nv_dead_close.
 * Only one at a time per queue: messages held by one are invisible to another. */
#ifndef NV_BUS_DEAD_LETTERS_H
#define NV_BUS_DEAD_LETTERS_H

#include "base/hash.h"
#include "base/id.h"
#include "core/bus/sync_client.h"

#define NV_LETTER_ID 33u /* with the NUL */

struct nv_letter {
	uint64_t n;	       /* number that people see, from 1; changes when letters come or go */
	char id[NV_LETTER_ID]; /* of its body and when it was given up; stays */
	char kind[64];	       /* not verified, as the next */
	char mid[NV_UUID_SIZE];
	uint64_t at;	   /* when it was given up, ms since the epoch; 0: not known */
	size_t size;	   /* of its body */
	uint64_t attempts; /* failed */
	uint64_t requeued; /* times an operator has put it back */
	char *queue;	   /* where it was taken from; owned as the next; NULL: not known */
	char *reason; /* delivery_limit, expired … are the broker's words; ours nv_reason_word */
	char *error;
	char *host;
	char request[NV_UUID_SIZE]; /* for the looker to fill, as the next two */
	uint64_t rev;
	bool own;
	uint64_t tag;
	bool whole; /* message is there */
	amqp_message_t message;
};

struct nv_dead {
	const struct nv_config *config;
	const char *owner; /* borrowed, as config and name */
	const char *name;
	struct nv_topology_name queue;
	struct nv_amqp *amqp;
	uint64_t held; /* taken and not acknowledged */
	struct nv_letter *letters;
	size_t len;
	bool more; /* there are more than `most` to keep */
};

/* name: what the broker shows of the connection. */
int nv_dead_open(struct nv_dead *d, const struct nv_config *config, const char *owner,
		 const char *name, struct nv_err *err);
/* Called for each letter with its message; decides what to keep of it. */
enum nv_look {
	NV_LOOK_PASS, /* nothing: it counts for no limit */
	NV_LOOK_NOTE, /* the letter without its message: it can be discarded */
	NV_LOOK_KEEP, /* the message, too: it can be requeued */
};
typedef enum nv_look (*nv_look_fn)(void *arg, struct nv_letter *l);
/* All of them (look NULL: with their messages), oldest first; keeps at most `most` (0: no limit).
 */
int nv_dead_take_all(struct nv_dead *d, size_t most, nv_look_fn look, void *arg,
		     struct nv_err *err);
/* As nv_dead_take_all, but not beyond the letter with this id: the numbers are not those of the
 * whole queue. */
int nv_dead_take_until(struct nv_dead *d, const char *id, nv_look_fn look, void *arg,
		       struct nv_err *err);
/* NULL: there is no such number or id (any more). */
const struct nv_letter *nv_dead_by_number(const struct nv_dead *d, uint64_t n);
const struct nv_letter *nv_dead_by_id(const struct nv_dead *d, const char *id);
int nv_dead_discard(struct nv_dead *d, const struct nv_letter *l, struct nv_err *err);
/* NV_REJECT: not this one, ever; NV_RETRY: the broker is away. */
int nv_dead_requeue(struct nv_dead *d, const struct nv_letter *l, struct nv_err *err);
/* As many as there are now, one after another; letters that arrive meanwhile stay. failed_cb is
 * called for each that fails. */
int nv_dead_requeue_each(struct nv_dead *d, uint64_t *ret_done,
			 void (*failed_cb)(void *arg, const struct nv_err *why), void *arg,
			 struct nv_err *err);
/* Returns the remaining messages and waits until they are back in the queue. Also allowed after a
 * failed nv_dead_open. */
void nv_dead_close(struct nv_dead *d);
/* Does it have the form of a letter's id? */
bool nv_letter_is_id(const char *text);
/* A text header of a letter that was kept, owned; NULL where there is none. */
char *nv_letter_header(const struct nv_letter *l, const char *key);
const amqp_table_t *nv_letter_headers(const struct nv_letter *l);

#endif
