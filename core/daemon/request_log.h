/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Lines for a request's log that are not yet delivered.
 *
 * Lines are numbered from 0 within an attempt and kept until the log has them; since they may be
 * sent more than once, the number identifies duplicates. Each text is logged once: a warning logged
 * as it arises may be repeated in the result. Values that look like secrets are masked, since
 * Moodle and its plugins may write anything. */
#ifndef NV_DAEMON_REQUEST_LOG_H
#define NV_DAEMON_REQUEST_LOG_H

#include "base/log.h"
#include "proto/messages.h"

struct nv_request_log {
	struct nv_log_line items[NV_LOG_LINES_MAX]; /* texts owned */
	size_t len;
	uint64_t first;	   /* number of items[0] */
	uint64_t left_out; /* since the last line: there was no room */
	uint64_t *said;	   /* hashes of the texts so far */
	size_t said_len;
};

/* A line of the job; the last lines are reserved for nv_request_log_say. */
void nv_request_log_add(struct nv_request_log *l, uint64_t at, enum nv_level level,
			const char *text);
/* A line of the daemon itself, now. */
void nv_request_log_say(struct nv_request_log *l, enum nv_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Number of the line after the last, for nv_request_log_sent once the present lines have arrived.
 * */
uint64_t nv_request_log_next(const struct nv_request_log *l);
/* Every line below this number has arrived. */
void nv_request_log_sent(struct nv_request_log *l, uint64_t next);
void nv_request_log_fini(struct nv_request_log *l);

/* Mask, in place, the values after "password=", "token:" and the like, and the password in an
 * address. */
void nv_hide_secrets(char *text);

#endif
