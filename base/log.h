/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Log: one line of key=value a line, to standard error or a file; where standard error is systemd's
 * journal, an entry with a field each (core/daemon/journal.h).
 *
 *   NV_LOG(NV_WARN, "export.failed", NV_S("req", id), NV_U("attempt", 2), NV_E(&err));
 *   ts=2026-11-22T17:08:00.123Z level=warn svc=archiver event=export.failed req=… attempt=2 …
 *
 * Values with blanks, quotes, '=' or control characters are quoted and escaped, so that a line is
 * always one line.  Secrets are never passed here.  Safe to call from every thread. */
#ifndef NV_LOG_H
#define NV_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum nv_level { NV_DEBUG, NV_INFO, NV_WARN, NV_ERROR };

struct nv_log_field {
	const char *key;
	enum {
		NV_LOG_STR,
		NV_LOG_PERSON,
		NV_LOG_UINT,
		NV_LOG_INT,
		NV_LOG_DOUBLE,
		NV_LOG_BOOL,
		NV_LOG_ERR
	} type;
	union {
		const char *s; /* NULL: the field is left out */
		uint64_t u;
		int64_t i;
		double d;
		bool b;
		const struct nv_err *e; /* becomes kind=… reason=… err="…" */
	};
};

#define NV_S(k, v) ((struct nv_log_field){.key = (k), .type = NV_LOG_STR, .s = (v)})
/* A person's name or address: written only if the configuration allows it (log.people). */
#define NV_P(k, v) ((struct nv_log_field){.key = (k), .type = NV_LOG_PERSON, .s = (v)})
#define NV_U(k, v) ((struct nv_log_field){.key = (k), .type = NV_LOG_UINT, .u = (v)})
#define NV_I(k, v) ((struct nv_log_field){.key = (k), .type = NV_LOG_INT, .i = (v)})
#define NV_D(k, v) ((struct nv_log_field){.key = (k), .type = NV_LOG_DOUBLE, .d = (v)})
#define NV_B(k, v) ((struct nv_log_field){.key = (k), .type = NV_LOG_BOOL, .b = (v)})
#define NV_E(v) ((struct nv_log_field){.key = "err", .type = NV_LOG_ERR, .e = (v)})

/* svc: "producer", "archiver", "worker", "navette"; borrowed for the life of the process. */
void nv_log_init(const char *svc, enum nv_level level);
void nv_log_set_level(enum nv_level level);
/* Whether fields made by NV_P are written; false until set. */
void nv_log_set_people(bool people);
bool nv_log_people(void);
/* Log to this function instead of the descriptor; NULL: the descriptor again. Called by every
 * thread; must not log. */
struct nv_log_entry {
	enum nv_level level;
	const char *event;
	const struct nv_log_field *fields;
	unsigned count;
	const char *svc;
	const char *text; /* event=… and the fields, as in a line */
};
typedef void (*nv_log_sink)(const struct nv_log_entry *line);
void nv_log_set_sink(nv_log_sink sink);
/* Calls back with each key and unquoted value of a field (an error has several). */
typedef void (*nv_log_value_cb)(void *arg, const char *key, const char *value);
void nv_log_values(const struct nv_log_field *f, nv_log_value_cb cb, void *arg);
/* Also or instead write to this file descriptor; default 2. */
void nv_log_set_fd(int fd);
void nv_log_write(enum nv_level level, const char *event, const struct nv_log_field *fields,
		  unsigned count);

/* At least one field. */
#define NV_LOG(level, event, ...)                                              \
	nv_log_write((level), (event), (struct nv_log_field[]){__VA_ARGS__},   \
		     (unsigned)(sizeof((struct nv_log_field[]){__VA_ARGS__}) / \
				sizeof(struct nv_log_field)))
#define NV_LOG0(level, event) nv_log_write((level), (event), NULL, 0)

#endif
