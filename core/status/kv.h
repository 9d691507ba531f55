/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The log of seen messages, and small values with an expiry. */
#ifndef NV_STATUS_KV_H
#define NV_STATUS_KV_H

#include "core/status/status.h"

/* Marks a message as handled; first: it was not before. */
void nv_status_seen(struct nv_status *s, const char *mid, uint64_t ttl_ms,
		    void (*cb)(void *arg, const struct nv_err *err, bool first), void *arg);
/* Was it handled? (without marking it) */
void nv_status_was_seen(struct nv_status *s, const char *mid,
			void (*cb)(void *arg, const struct nv_err *err, bool seen), void *arg);

/* Small values with an expiry: sessions, idempotency keys, catalog answers, throttles. value is
 * binary; NULL in get's callback: missing or expired. */
void nv_kv_set(struct nv_status *s, const char *key, const void *value, size_t len, uint64_t ttl_ms,
	       bool only_if_absent, void (*cb)(void *arg, const struct nv_err *err, bool set),
	       void *arg);
void nv_kv_get(struct nv_status *s, const char *key,
	       void (*cb)(void *arg, const struct nv_err *err, const void *value, size_t len),
	       void *arg);
void nv_kv_del(struct nv_status *s, const char *key, nv_status_cb cb, void *arg);
/* Increments a counter and returns its new value; the expiry starts with the first increment. */
void nv_kv_count(struct nv_status *s, const char *key, uint64_t ttl_ms,
		 void (*cb)(void *arg, const struct nv_err *err, uint64_t value), void *arg);
/* Time until it expires, ms; 0: there is no such value. */
void nv_kv_left(struct nv_status *s, const char *key,
		void (*cb)(void *arg, const struct nv_err *err, uint64_t ms), void *arg);

#endif
