/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A request's log. */
#ifndef NV_STATUS_LOG_H
#define NV_STATUS_LOG_H

#include "core/status/status.h"

/* A request's log, for administrators: every change of state with its reason (written by the
 * scripts), and the log lines of its attempts. The newest 500 lines of a request are kept; a record
 * rebuilt from history has none. */
struct nv_status_line {
	uint64_t at;	   /* ms since the epoch, by the clock of the source */
	const char *from;  /* "producer", "archiver HOST", "worker HOST" */
	const char *level; /* of nv_level_words */
	const char *text;
};
/* source: the numbering the lines belong to (a UUID), from 0; first: the number of lines[0]. Lines
 * with known numbers are ignored, so the call may be repeated when its answer was lost.
 * NV_REJECT/not_found without a record. */
void nv_status_log(struct nv_status *s, const char *id, const char *source, const char *from,
		   uint64_t first, const struct nv_log_line *lines, size_t len, nv_status_cb cb,
		   void *arg);
/* Oldest first; borrowed for the call. dropped: older lines that were dropped. */
typedef void (*nv_log_cb)(void *arg, const struct nv_err *err, const struct nv_status_line *lines,
			  size_t len, uint64_t dropped);
void nv_status_log_read(struct nv_status *s, const char *id, nv_log_cb cb, void *arg);

#endif
