/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Final states for the notifiers, and digests of many failures. */
#ifndef NV_STATUS_NOTICES_H
#define NV_STATUS_NOTICES_H

#include "core/status/events.h"

/* Final states, each delivered to one of all notifiers: taken → nv_notice_done; otherwise delivered
 * again after a minute, to any of them. One at a time per follower. cursor belongs to the stream of
 * notices. Of records made by nv_status_recall only the latest is delivered. consumer: a permanent
 * name, e.g. the host's; several may share it. */
struct nv_notices;
struct nv_notices *nv_status_notices(struct nv_status *s, const char *consumer, nv_follow_cb cb,
				     void *arg);
void nv_notice_done(struct nv_notices *n, const char *cursor);
/* Puts it back: delivered again after delay_ms, to any notifier, with tries + 1. told: the people
 * already told. If the call is lost with its worker or Redis, the notice is delivered again as not
 * done. */
void nv_notice_later(struct nv_notices *n, const char *cursor, uint64_t delay_ms, const char *told);
void nv_status_notices_close(struct nv_notices *n);

/* Digests: of many failures within a window, administrators are told of the first ones individually
 * and of the others together, once a window. A digest is a notice of kind "digest" (its id is not a
 * request's), due one window after it was opened. */
#define NV_DIGEST_ROWS 20u    /* the first failures; the others are only counted */
#define NV_DIGEST_REASONS 64u /* different ones */
struct nv_digest_row {
	const char *id, *course /* its name */, *site, *user, *reason; /* NULL: not known */
};
struct nv_digest_failure {
	struct nv_digest_row row;
	uint64_t rev;
};
/* collected: a digest will report it. Repeated calls for the same id, revision and end time give
 * the same answer. alone: the number of individual messages within window_ms. NV_REJECT/not_found:
 * the request no longer exists. */
typedef void (*nv_digest_add_cb)(void *arg, const struct nv_err *err, bool collected);
void nv_status_digest_add(struct nv_status *s, const struct nv_digest_failure *f, uint64_t alone,
			  uint64_t window_ms, nv_digest_add_cb cb, void *arg);
struct nv_digest {
	uint64_t total;
	uint64_t since; /* ms since the epoch */
	struct nv_digest_count {
		const char *reason;
		uint64_t number;
	} counts[NV_DIGEST_REASONS]; /* the most frequent first */
	size_t counts_len;
	struct nv_digest_row rows[NV_DIGEST_ROWS];
	size_t rows_len;
};
/* Reads a digest and closes it to further failures. d is borrowed for the call; NULL on error. */
typedef void (*nv_digest_cb)(void *arg, const struct nv_err *err, const struct nv_digest *d);
void nv_status_digest_read(struct nv_status *s, const char *id, nv_digest_cb cb, void *arg);

#endif
