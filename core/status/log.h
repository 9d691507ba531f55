/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A request's log. */
#ifndef NV_STATUS_LOG_H
#define NV_STATUS_LOG_H

#include "core/status/status.h"

/* A request's log, for administrators: every change of state with its reason (the scripts write
 * that themselves), and what the attempts had to say.  At most 500 lines a request, the newest;
 * a request that history brought back has none. */
struct nv_status_line {
	uint64_t at;	   /* ms since the epoch, by the clock of whoever says it */
	const char *from;  /* "producer", "archiver HOST", "worker HOST" */
	const char *level; /* of nv_level_words */
	const char *text;
};
/* source: what numbers the lines, from 0 (a UUID); first: the number of lines[0].  What was given
 * before under the same numbers is left out, so whoever got no answer gives the same again.
 * NV_REJECT/not_found without a record. */
void nv_status_log(struct nv_status *s, const char *id, const char *source, const char *from,
		   uint64_t first, const struct nv_log_line *lines, size_t len, nv_status_cb cb,
		   void *arg);
/* Oldest first; borrowed for the call.  dropped: older ones that are gone. */
typedef void (*nv_log_cb)(void *arg, const struct nv_err *err, const struct nv_status_line *lines,
			  size_t len, uint64_t dropped);
void nv_status_log_read(struct nv_status *s, const char *id, nv_log_cb cb, void *arg);

#endif
