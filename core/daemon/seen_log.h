/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Keys with a number each, the newest `capacity` of them, in memory and in a file: an archiver's
 * finished messages (against replays) and withdrawn revisions, since it has no Redis, and the
 * revisions that a producer has withdrawn, in case Redis loses them. An entry survives the end of
 * the process, but not a power failure right after it: the file is not synced. Processes may share
 * a file; each knows its own entries and those that were there when it opened it. */
#ifndef NV_DAEMON_SEEN_LOG_H
#define NV_DAEMON_SEEN_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define NV_MEMO_KEY 96u /* bytes of a key, NUL included */

struct nv_seen_log;
/* Reads the file (lines "key value"), compacts it. */
struct nv_seen_log *nv_seen_log_open(const char *path, size_t capacity, struct nv_err *err);
void nv_seen_log_close(struct nv_seen_log *m); /* NULL allowed */
/* false: not known. */
bool nv_seen_log_get(const struct nv_seen_log *m, const char *key, uint64_t *ret_value);
bool nv_seen_log_is_empty(const struct nv_seen_log *m);
/* Oldest first. */
void nv_seen_log_each(const struct nv_seen_log *m,
		      void (*cb)(void *arg, const char *key, uint64_t value), void *arg);
/* A known key gets the new value. If the file cannot be written, that is logged and the entry is
 * kept in memory. */
void nv_seen_log_put(struct nv_seen_log *m, const char *key, uint64_t value);

#endif
