/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Errors: every function that can fail returns 0 or -1 and fills a struct nv_err.
 *
 * A failure is classified once, where it happens. The kind decides what happens to the job; callers
 * never reclassify it.  The reason is a stable word for programs (API, pages, translations,
 * metrics); msg is a sentence for people that names the operation and its object: "store: put
 * blobs/3f/3f…: 507 Insufficient Storage". */
#ifndef NV_ERR_H
#define NV_ERR_H

#include <stdbool.h>
#include <stddef.h>

#include "nv_reasons.h"

enum nv_err_kind {
	NV_OK = 0,
	NV_RETRY,  /* may work later: attempt counter + 1, next delay tier */
	NV_HOLD,   /* a temporary condition (another attempt holds the request, the site is being
		    * upgraded): delay tier, no attempt used up */
	NV_REJECT, /* permanent: dead queue with the reason, status failed, people are notified */
	NV_CANCELLED, /* cancelled on request: clean up, status cancelled */
	NV_FATAL,     /* the process cannot continue: exit; the broker requeues the message */
};

/* Is it a temporary condition of something all jobs share (site, store, disk)? */
enum nv_passes {
	NV_PASSES_no,
	NV_PASSES_yes,	  /* but one large course may also cause it (a full disk) */
	NV_PASSES_outage, /* a job that fails with it has met an outage */
};

/* All reasons stand in base/reasons.json, from which nv_reasons.h is made.  The sentences that
 * people read are there, too: mails (worker/notify/strings.c) and pages have the same ones. */
enum nv_reason {
#define X(word, text, passes) NV_R_##word,
	NV_REASONS(X)
#undef X
		NV_R_COUNT
};

struct nv_err {
	enum nv_err_kind kind;
	enum nv_reason reason;
	int code;      /* the library's own number (errno, HTTP status, AMQP reply code), 0: none */
	char msg[512]; /* UTF-8, one line, NUL-terminated; cut when longer */
};

/* The stable word ("store_full") and its text; nv_reason_from returns NV_R_internal for an unknown
 * word (a newer peer may send one). */
const char *nv_reason_word(enum nv_reason reason);
const char *nv_reason_text(enum nv_reason reason);
enum nv_reason nv_reason_from(const char *word);
const char *nv_err_kind_word(enum nv_err_kind kind);
/* Is it temporary (NV_PASSES_yes or _outage)? */
bool nv_reason_passes(enum nv_reason reason);
/* Does it prove an outage by itself (NV_PASSES_outage)? */
bool nv_reason_proves_outage(enum nv_reason reason);

/* Fill *err (NULL allowed) and return -1, so that an error path is one line.  Line breaks and
 * control characters in the result are replaced by spaces. */
int nv_fail(struct nv_err *err, enum nv_err_kind kind, enum nv_reason reason, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* As nv_fail, with ": <strerror>" behind.  ENOSPC/EDQUOT become NV_RETRY + disk_full whatever is
 * passed; EMFILE/ENFILE/ENOMEM become NV_RETRY. */
int nv_fail_errno(struct nv_err *err, int errnum, enum nv_err_kind kind, enum nv_reason reason,
		  const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* Put "<text>: " in front of the message. */
void nv_err_prefix(struct nv_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
