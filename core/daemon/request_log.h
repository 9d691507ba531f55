/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a daemon has to say for a request's log and has not got rid of yet.
 *
 * Lines are numbered from 0 within an attempt, and kept until whoever keeps the log has them: they
 * may be sent more than once, and the number tells that they are the same.  Each text is said once:
 * what comes as it happens may come again with the result.  Values that look like secrets are
 * overwritten, for Moodle and its plugins write what they like. */
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

/* A line of the job; the last places are kept for nv_request_log_say. */
void nv_request_log_add(struct nv_request_log *l, uint64_t at, enum nv_level level,
			const char *text);
/* A line of the daemon itself, now. */
void nv_request_log_say(struct nv_request_log *l, enum nv_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Number of the line after the last: what nv_request_log_sent wants when those of now have arrived.
 */
uint64_t nv_request_log_next(const struct nv_request_log *l);
/* Every line below this number has arrived. */
void nv_request_log_sent(struct nv_request_log *l, uint64_t next);
void nv_request_log_fini(struct nv_request_log *l);

/* Overwrite, in place, what stands behind "password=", "token:" and the like, and the password in
 * an address. */
void nv_hide_secrets(char *text);

#endif
