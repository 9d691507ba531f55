/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Messages that were seen, and small values with a life time. */
#ifndef NV_STATUS_KV_H
#define NV_STATUS_KV_H

#include "core/status/status.h"

/* Remember that a message was handled to its end; first: nobody had. */
void nv_status_seen(struct nv_status *s, const char *mid, uint64_t ttl_ms,
		    void (*cb)(void *arg, const struct nv_err *err, bool first), void *arg);
/* Has it been? (without remembering) */
void nv_status_was_seen(struct nv_status *s, const char *mid,
			void (*cb)(void *arg, const struct nv_err *err, bool seen), void *arg);

/* Small values with a life time: sessions, idempotency keys, catalog answers, throttles.  value is
 * binary; NULL in get's callback: not there. */
void nv_kv_set(struct nv_status *s, const char *key, const void *value, size_t len, uint64_t ttl_ms,
	       bool only_if_absent, void (*cb)(void *arg, const struct nv_err *err, bool set),
	       void *arg);
void nv_kv_get(struct nv_status *s, const char *key,
	       void (*cb)(void *arg, const struct nv_err *err, const void *value, size_t len),
	       void *arg);
void nv_kv_del(struct nv_status *s, const char *key, nv_status_cb cb, void *arg);
/* Add 1, start the life time at the first; the new value. */
void nv_kv_count(struct nv_status *s, const char *key, uint64_t ttl_ms,
		 void (*cb)(void *arg, const struct nv_err *err, uint64_t value), void *arg);
/* How much of its life time is left, ms; 0: there is no such value. */
void nv_kv_left(struct nv_status *s, const char *key,
		void (*cb)(void *arg, const struct nv_err *err, uint64_t ms), void *arg);

#endif
