/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Errors: every function that can fail returns 0 or -1 and fills a struct nv_err.
 *
 * A failure is classified once, where it happens; the kind decides what becomes of the job, and
 * nobody further up guesses again.  The reason is a stable word for programs (API, pages,
 * translations, metrics); msg is a sentence for people and says what was being done and with what:
 * "store: put blobs/3f/3f…: 507 Insufficient Storage". */
#ifndef NV_ERR_H
#define NV_ERR_H

#include <stdbool.h>
#include <stddef.h>

enum nv_err_kind {
	NV_OK = 0,
	NV_RETRY,     /* may work later: attempt counter + 1, next delay tier */
	NV_HOLD,      /* it passes by itself (another attempt is at it, the site is being upgraded):
		       * delay tier, no attempt used up */
	NV_REJECT,    /* will never work: dead queue with the reason, status failed, people told */
	NV_CANCELLED, /* somebody asked to stop: clean up, status cancelled */
	NV_FATAL,     /* the process cannot work: exit, the message goes back by itself */
};

/* X(name, text in plain words) */
#define NV_REASONS(X)                                                               \
	X(none, "no error")                                                         \
	X(internal, "an internal error")                                            \
	X(config, "the configuration is wrong")                                     \
	X(bad_message, "the message cannot be understood")                          \
	X(unknown_version, "the message has a version this program does not speak") \
	X(unsigned_message, "the message carries no valid signature")               \
	X(untrusted, "the message is signed by a key that is not trusted here")     \
	X(expired, "the message has expired")                                       \
	X(clock, "the clocks of two machines differ too much")                      \
	X(replayed, "the message was handled before")                               \
	X(policy, "the course server's policy for this client does not allow it")   \
	X(unknown_user, "the user has no account on this platform")                 \
	X(role_missing, "the user holds none of the required roles in the course")  \
	X(course_missing, "the course does not exist")                              \
	X(category_missing, "no category to restore into")                          \
	X(capability_missing, "the requester may not create a course there")        \
	X(already_restored, "the course was already restored or is being restored") \
	X(version_older, "this site's Moodle is older than the course's")           \
	X(plugin_missing, "this site lacks a plugin that the course uses")          \
	X(archive_corrupt, "the course archive is damaged")                         \
	X(archive_unsafe, "the course archive holds entries that are refused")      \
	X(archive_too_large, "the course archive exceeds the limits")               \
	X(store_unavailable, "the staging store cannot be reached")                 \
	X(store_full, "the staging store is full")                                  \
	X(store_denied, "the staging store refuses the credentials")                \
	X(store_missing, "the object is not in the staging store")                  \
	X(store_corrupt, "the object in the staging store is damaged")              \
	X(disk_full, "the disk is full")                                            \
	X(site_upgrading, "the site is being upgraded, or waits for its upgrade")   \
	X(site_unavailable, "the site cannot be used just now")                     \
	X(io, "reading or writing a file failed")                                   \
	X(broker_unavailable, "the message broker cannot be reached")               \
	X(unroutable, "the message broker has no queue for the message")            \
	X(status_unavailable, "the status database cannot be reached")              \
	X(claim_lost, "another worker has taken over the request")                  \
	X(busy, "another attempt is working on the request")                        \
	X(timeout, "it took too long")                                              \
	X(cancelled, "the request was cancelled")                                   \
	X(attempts_exhausted, "it failed too many times")                           \
	X(export_failed, "Moodle could not back the course up")                     \
	X(import_failed, "Moodle could not restore the course")                     \
	X(conflict, "the state of the request does not allow it")                   \
	X(site_unknown, "there is no such course server")                           \
	X(not_found, "there is no such thing")                                      \
	X(denied, "this is not allowed")

enum nv_reason {
#define X(name, text) NV_R_##name,
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

/* The stable word ("store_full") and its text; nv_reason_from returns NV_R_internal for a word
 * nobody knows (a newer peer may send one). */
const char *nv_reason_word(enum nv_reason reason);
const char *nv_reason_text(enum nv_reason reason);
enum nv_reason nv_reason_from(const char *word);
const char *nv_err_kind_word(enum nv_err_kind kind);
/* Is it about what a daemon works with, not about one course, so that it passes by itself? */
bool nv_reason_passes(enum nv_reason reason);
/* Of these: does a failed job that ends with it show by that alone that it met an outage?  A full
 * disk or a refusal may also come from the size of one course. */
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
