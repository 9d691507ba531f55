/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Final states for the notifiers, and digests of many failures. */
#ifndef NV_STATUS_NOTICES_H
#define NV_STATUS_NOTICES_H

#include "core/status/events.h"

/* Final states, each given to one of all notifiers: taken → nv_notice_done, or given to another (or
 * to the same one again) after a minute.  One at a time per follower.  cursor here is of the
 * notices' own stream.  Of what nv_status_recall makes, only the latest.
 * consumer: a name that stays, e.g. the host's; several may share it. */
struct nv_notices;
struct nv_notices *nv_status_notices(struct nv_status *s, const char *consumer, nv_follow_cb cb,
				     void *arg);
void nv_notice_done(struct nv_notices *n, const char *cursor);
/* Put it back: given out again after delay_ms, to anybody, with one more in tries.  told: who needs
 * no more telling.  Where this call gets lost with its worker or Redis, the notice comes again as
 * one that was not done. */
void nv_notice_later(struct nv_notices *n, const char *cursor, uint64_t delay_ms, const char *told);
void nv_status_notices_close(struct nv_notices *n);

/* Digests: of many failures within a window administrators hear the first one by one, and of the
 * others once a window, together.  A digest is a notice of the kind "digest" (its id is no
 * request's), due a window after it was opened. */
#define NV_DIGEST_ROWS 20u    /* the first that it holds; of the others the number only */
#define NV_DIGEST_REASONS 64u /* different ones */
struct nv_digest_row {
	const char *id, *course /* its name */, *site, *user, *reason; /* NULL: not known */
};
struct nv_digest_failure {
	struct nv_digest_row row;
	uint64_t rev;
};
/* collected: a digest will tell of it.  Asked again, for the same id, revision and time of its end,
 * it answers the same.  alone: how many within window_ms are told by themselves.
 * NV_REJECT/not_found: no such request any more. */
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
/* It takes no more failures from now on.  d is borrowed for the call; NULL on error. */
typedef void (*nv_digest_cb)(void *arg, const struct nv_err *err, const struct nv_digest *d);
void nv_status_digest_read(struct nv_status *s, const char *id, nv_digest_cb cb, void *arg);

#endif
