/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The messages.  One table a message; struct, codec, limits and proto/README.md come from it.
 *
 *   FB(name, required, doc)                     bool
 *   FU(name, required, max, doc)                uint64_t
 *   FS(name, required, max, doc)                char *, UTF-8
 *   FX(name, required, max, doc)                struct nv_bytes
 *   FI(name, required, doc)                     char *, a UUIDv7
 *   FN(name, required, doc)                     char *, a client's or site's name
 *   FE(name, required, words, doc)              uint64_t, index into words
 *   FT(name, required, max, items, doc)         struct nv_strs
 *   FL(name, required, sub, items, doc)         struct nv_list of struct nv_<sub>
 */
#ifndef NV_PROTO_MESSAGES_H
#define NV_PROTO_MESSAGES_H

#include "proto/schema.h"

#define NV_UNLIMITED UINT64_MAX

enum nv_enrolment { NV_ENROL_ALWAYS, NV_ENROL_WITH_USERS, NV_ENROL_MANUAL };
extern const char *const nv_enrolment_words[]; /* always with-users manual */

enum nv_request_source { NV_SRC_PAGE, NV_SRC_ADMIN, NV_SRC_COMMAND, NV_SRC_API, NV_SRC_CSV };
extern const char *const nv_source_words[]; /* page admin command api csv */

/* What happened on the course server to an attempt. */
enum nv_event_state {
	NV_EV_HELD, /* taken from the queue and put back; reason says why (hold without a reason:
		       the hold is over) */
	NV_EV_EXPORTING, /* progress: step, done, total */
	NV_EV_READY,	 /* the archive is in the store, archive.ready on its way */
	NV_EV_CANCELLED,
	NV_EV_FAILED, /* permanently; reason and message */
};
extern const char *const nv_event_state_words[]; /* held exporting ready cancelled failed */

enum nv_catalog_status { NV_CAT_OK, NV_CAT_UNKNOWN_USER, NV_CAT_ERROR };
extern const char *const nv_catalog_status_words[]; /* ok unknown-user error */

/* Operations on a course server's dead letters. */
enum nv_letters_what { NV_LETTERS_LIST, NV_LETTERS_REQUEUE, NV_LETTERS_DISCARD };
extern const char *const nv_letters_words[]; /* list requeue discard */

extern const char *const nv_level_words[]; /* debug info warn error: of enum nv_level */

/* --- sub-records --- */

#define NV_PLUGIN_FIELDS                                             \
	FS(name, true, 100, "frankenstyle component, e.g. mod_quiz") \
	FU(version, true, NV_UNLIMITED, "its version number, e.g. 2024100700")

#define NV_MODULE_FIELDS                                                                           \
	FS(name, true, 100, "the activity's type: frankenstyle component without mod_, e.g. quiz") \
	FU(count, true, NV_UNLIMITED, "activities of this type")

#define NV_MODULES_MAX 300u
#define NV_COURSE_FIELDS                                                                    \
	FS(course, true, 64, "the course's id on its site")                                 \
	FS(shortname, true, 1333, "short name")                                             \
	FS(fullname, true, 1333, "full name")                                               \
	FS(category, false, 255, "identifier of its category (idnumber unless configured)") \
	FS(category_name, false, 1333, "name of its category")                              \
	FS(role, false, 100, "short name of the role that makes it this user's")            \
	FS(url, false, 1333, "address of the course")                                       \
	FU(size, false, NV_UNLIMITED, "bytes of its archive, 0 where not known")            \
	FU(started, false, NV_UNLIMITED, "start date, ms since the epoch, 0: none")         \
	FS(damaged, false, 512,                                                             \
	   "why its backup cannot be read; absent: nothing is known against it")            \
	FL(modules, false, module, NV_MODULES_MAX, "its activities by type; empty: not known")

/* A line of a request's log: for administrators. */
#define NV_LOG_LINE_BYTES 1000u
#define NV_LOG_LINES_MAX 50u /* in one message */
#define NV_LOG_LINE_FIELDS                                   \
	FU(at, true, NV_UNLIMITED, "ms since the epoch")     \
	FE(level, true, nv_level_words, "how serious it is") \
	FS(text, true, NV_LOG_LINE_BYTES, "one line, in English")

/* A message that was given up. */
#define NV_DEAD_LETTER_FIELDS                                                                    \
	FS(id, true, 32, "the letter's id")                                                      \
	FS(kind, true, 64,                                                                       \
	   "which message it is, by the client's signature; empty: the "                         \
	   "client's request is inside another message")                                         \
	FS(mid, false, 36, "that message's id")                                                  \
	FI(request, false, "the request it is about, by the client's signature")                 \
	FU(rev, false, NV_UNLIMITED, "the request's revision; 0: no restore.request is in it")   \
	FS(queue, false, 255, "where it was taken from")                                         \
	FS(reason, false, 64, "why it was given up, stable word; see enum nv_reason")            \
	FS(error, false, 512, "its sentence")                                                    \
	FS(host, false, 255, "the machine that gave it up")                                      \
	FU(since, false, NV_UNLIMITED, "when it was given up, ms since the epoch; 0: not known") \
	FU(size, true, NV_UNLIMITED, "bytes of the message")                                     \
	FU(attempts, false, NV_UNLIMITED, "attempts that failed")                                \
	FU(requeued, false, NV_UNLIMITED, "times it was put back")

/* --- messages --- */

#define NV_RESTORE_REQUEST_FIELDS                                                                 \
	FI(id, true, "the request; the same in every later message about it")                     \
	FU(rev, true, 1000000, "revision: raised when the request is changed while it waits")     \
	FN(site, true, "the course server")                                                       \
	FS(course, true, 64, "the course's id on that server")                                    \
	FS(shortname, false, 1333, "its short name when it was asked for; for people")            \
	FS(fullname, false, 1333, "its full name when it was asked for; for people")              \
	FS(user, false, 255,                                                                      \
	   "the requester's identity on both sides (user name unless "                            \
	   "configured); absent: an administrator asks, nobody is enrolled")                      \
	FS(user_name, false, 255, "the requester's full name; for people")                        \
	FS(mail, false, 255, "the requester's mail address")                                      \
	FS(lang, false, 16, "the requester's language, e.g. fr")                                  \
	FS(by, false, 255, "who submitted it, where that is not the requester")                   \
	FE(source, true, nv_source_words, "where it came from")                                   \
	FB(keep_category, true, "restore into the category with the same identifier")             \
	FS(category, false, 255,                                                                  \
	   "identifier of the category to restore into instead of the "                           \
	   "default")                                                                             \
	FB(user_data, true, "with user data")                                                     \
	FE(enrolment, true, nv_enrolment_words, "enrolment-method mode")                          \
	FB(now, true, "outside the time window too: travels through the .now queues")             \
	FT(roles, true, 100, 32, "role short names one of which the user must hold")              \
	FB(leave_out, false,                                                                      \
	   "activities, question types and the course format that the client lacks are left "     \
	   "out and told; otherwise a course that has some is refused")                           \
	FU(moodle_version, false, NV_UNLIMITED, "the client's Moodle version number, 0: unknown") \
	FL(plugins, false, plugin, 2000, "the client's plugins; empty: not checked")              \
	FU(requested, true, NV_UNLIMITED, "when it was submitted, ms since the epoch")

#define NV_CANCEL_REQUEST_FIELDS                                                       \
	FI(id, true, "the request")                                                    \
	FU(rev, true, 1000000, "revisions up to and including this one are withdrawn") \
	FS(by, false, 255, "who withdrew it")

#define NV_CATALOG_REQUEST_FIELDS                                                         \
	FI(id, true, "this question; the answer repeats it")                              \
	FS(user, true, 255, "whose courses")                                              \
	FS(user_field, true, 16, "what identifies the user: username, idnumber or email") \
	FT(roles, true, 100, 32, "role short names, in the course, its category or any above")

#define NV_CATALOG_REPLY_FIELDS                                                                 \
	FI(id, true, "the question")                                                            \
	FS(user, true, 255, "whose courses")                                                    \
	FE(status, true, nv_catalog_status_words, "ok, unknown-user or error")                  \
	FS(error, false, 512, "what went wrong, for people")                                    \
	FU(moodle_version, false, NV_UNLIMITED, "the site's Moodle version number, 0: unknown") \
	FL(courses, true, course, 5000, "the courses")                                          \
	FU(opens, false, NV_UNLIMITED,                                                          \
	   "when the archiver's time window opens, ms since the epoch; 0: it is open")          \
	FS(held, false, 32,                                                                     \
	   "no course is exported while this temporary condition lasts; stable word, see enum " \
	   "nv_reason")                                                                         \
	FS(held_message, false, 512, "its sentence")                                            \
	FT(kinds, false, 64, 32,                                                                \
	   "kinds of messages that this archiver takes and those of the first release do not")  \
	FU(at, true, NV_UNLIMITED, "when it was true, ms since the epoch")

#define NV_STATUS_EVENT_FIELDS                                                               \
	FX(request, true, 262144, "the restore.request's envelope, as the client signed it") \
	FI(attempt, true, "this export attempt")                                             \
	FU(seq, true, NV_UNLIMITED,                                                          \
	   "1, 2, 3 … within the attempt; a lower one after a higher is "                  \
	   "old news")                                                                       \
	FE(state, true, nv_event_state_words, "what happened")                               \
	FS(step, false, 64, "export, upload")                                                \
	FU(done, false, NV_UNLIMITED, "bytes done in this step")                             \
	FU(total, false, NV_UNLIMITED, "bytes of this step, 0: not known yet")               \
	FS(reason, false, 32, "stable word, see enum nv_reason")                             \
	FS(message, false, 512, "for people")                                                \
	FS(host, false, 255, "the machine the archiver runs on")                             \
	FU(log_first, false, NV_UNLIMITED,                                                   \
	   "number of the first line of log within the attempt, from 0; a line may come "    \
	   "with several events, its number says that it is the same")                       \
	FL(log, false, log_line, NV_LOG_LINES_MAX, "for the request's log")                  \
	FB(hold, false, "held by a temporary condition; no attempt was used up")             \
	FU(next_try, false, NV_UNLIMITED,                                                    \
	   "held after a failed attempt: when the next one is due, ms since the epoch")      \
	FU(at, true, NV_UNLIMITED, "ms since the epoch")

#define NV_NEEDS_MAX 500u
#define NV_ARCHIVE_READY_FIELDS                                                                  \
	FX(request, true, 262144, "the restore.request's envelope, as the client signed it")     \
	FI(attempt, true, "the export attempt: archives/<id>/<attempt>/ below <site>/<client>/") \
	FX(manifest_sha256, true, 32, "SHA-256 of the manifest object")                          \
	FU(manifest_size, true, 268435456, "bytes of the manifest object")                       \
	FU(size, true, NV_UNLIMITED, "bytes of all entries, unpacked")                           \
	FU(entries, true, 10000000, "number of entries")                                         \
	FB(user_data, true, "whether user data is in it")                                        \
	FS(shortname, false, 1333, "the course's short name")                                    \
	FS(fullname, false, 1333, "the course's full name")                                      \
	FT(warnings, false, 500, 100, "warnings of the export")                                  \
	FL(needs, false, plugin, NV_NEEDS_MAX,                                                   \
	   "plugins that the course needs; a missing block (block_…) is only told, any other " \
	   "refused by the client, too: the archiver may not have known its plugins")            \
	FU(at, true, NV_UNLIMITED, "ms since the epoch")

#define NV_ARCHIVE_OPENED_FIELDS                                                                 \
	FX(request, true, 262144, "the restore.request's envelope, as the client signed it")     \
	FI(attempt, true, "the export attempt: archives/<id>/<attempt>/ below <site>/<client>/") \
	FU(at, true, NV_UNLIMITED, "ms since the epoch")

#define NV_ENROL_REQUEST_FIELDS                                \
	FI(id, true, "this wish")                              \
	FI(request, true, "the restore whose course is meant") \
	FS(course, true, 64, "the course's id on the client")  \
	FS(user, true, 255, "who joins")                       \
	FS(user_name, false, 255, "full name; for people")     \
	FS(lang, false, 16, "language")                        \
	FU(requested, true, NV_UNLIMITED, "ms since the epoch")

#define NV_LETTERS_REQUEST_FIELDS                                                                \
	FI(id, true, "this question; the answer repeats it")                                     \
	FE(what, true, nv_letters_words, "what to do")                                           \
	FS(letter, false, 32, "requeue, discard: the letter's id; list: with since")             \
	FU(since, false, NV_UNLIMITED,                                                           \
	   "list: only letters that were given up later, or at this time and have an id behind " \
	   "letter's: those after the last one of an answer with more")                          \
	FS(by, false, 255, "the person who asks, for the archiver's log")

#define NV_LETTERS_MAX 200u /* in one message */
#define NV_LETTERS_REPLY_FIELDS                                                                  \
	FI(id, true, "the question")                                                             \
	FE(what, true, nv_letters_words, "what was asked")                                       \
	FS(reason, false, 32, "why it failed, stable word, see enum nv_reason; absent: success") \
	FS(message, false, 512, "its sentence")                                                  \
	FL(letters, false, dead_letter, NV_LETTERS_MAX,                                          \
	   "the client's letters, oldest first; requeue, discard: the one that is gone")         \
	FB(more, false, "there are more than were looked at, or fit")                            \
	FU(others, false, NV_UNLIMITED,                                                          \
	   "letters that do not bear the client's signature; only the course server's "          \
	   "administrator sees them")                                                            \
	FU(at, true, NV_UNLIMITED, "when it was true, ms since the epoch")

#define FB(n, req, doc) bool n;
#define FU(n, req, max, doc) uint64_t n;
#define FS(n, req, max, doc) char *n;
#define FX(n, req, max, doc) struct nv_bytes n;
#define FI(n, req, doc) char *n;
#define FN(n, req, doc) char *n;
#define FE(n, req, words, doc) uint64_t n;
#define FT(n, req, max, items, doc) struct nv_strs n;
#define FL(n, req, sub, items, doc) struct nv_list n;

struct nv_plugin {
	NV_PLUGIN_FIELDS
};
struct nv_module {
	NV_MODULE_FIELDS
};
struct nv_course {
	NV_COURSE_FIELDS
};
struct nv_log_line {
	NV_LOG_LINE_FIELDS
};
struct nv_dead_letter {
	NV_DEAD_LETTER_FIELDS
};
struct nv_restore_request {
	NV_RESTORE_REQUEST_FIELDS
};
struct nv_cancel_request {
	NV_CANCEL_REQUEST_FIELDS
};
struct nv_catalog_request {
	NV_CATALOG_REQUEST_FIELDS
};
struct nv_catalog_reply {
	NV_CATALOG_REPLY_FIELDS
};
struct nv_status_event {
	NV_STATUS_EVENT_FIELDS
};
struct nv_archive_ready {
	NV_ARCHIVE_READY_FIELDS
};
struct nv_archive_opened {
	NV_ARCHIVE_OPENED_FIELDS
};
struct nv_enrol_request {
	NV_ENROL_REQUEST_FIELDS
};
struct nv_letters_request {
	NV_LETTERS_REQUEST_FIELDS
};
struct nv_letters_reply {
	NV_LETTERS_REPLY_FIELDS
};

#undef FB
#undef FU
#undef FS
#undef FX
#undef FI
#undef FN
#undef FE
#undef FT
#undef FL

/* X(kind, word, record, who signs: 'c' client 's' site, largest body, doc) */
#define NV_MESSAGES(X)                                                                             \
	X(RESTORE_REQUEST, "restore.request", restore_request, 'c', 262144,                        \
	  "Restore this course. Client to course server; every later message contains all of it.") \
	X(CANCEL_REQUEST, "cancel.request", cancel_request, 'c', 4096,                             \
	  "Cancel. Client to every archiver of the course server.")                                \
	X(CATALOG_REQUEST, "catalog.request", catalog_request, 'c', 16384,                         \
	  "Which courses may this user bring? Client to course server.")                           \
	X(CATALOG_REPLY, "catalog.reply", catalog_reply, 's', 8388608,                             \
	  "The courses. Course server to client.")                                                 \
	X(STATUS_EVENT, "status.event", status_event, 's', 524288,                                 \
	  "Progress and outcome of an export. Course server to client.")                           \
	X(ARCHIVE_READY, "archive.ready", archive_ready, 's', 524288,                              \
	  "The archive is in the staging store. Course server to restore workers.")                \
	X(ARCHIVE_OPENED, "archive.opened", archive_opened, 's', 524288,                           \
	  "The archive's first objects are in the staging store, the rest is on its way; a hint, " \
	  "archive.ready follows. Course server to restore workers.")                              \
	X(ENROL_REQUEST, "enrol.request", enrol_request, 'c', 4096,                                \
	  "Let this person join a restored course. Client to its own restore workers.")            \
	X(LETTERS_REQUEST, "letters.request", letters_request, 'c', 4096,                          \
	  "Which of this client's messages were given up, or put one back, or throw it away. "     \
	  "Client to course server; only to one that names this kind in `catalog.reply.kinds`.")   \
	X(LETTERS_REPLY, "letters.reply", letters_reply, 's', 524288,                              \
	  "The letters, or the result for one. Course server to the client that asked.")

enum nv_kind {
#define X(kind, word, record, signer, max, doc) NV_KIND_##kind,
	NV_MESSAGES(X)
#undef X
		NV_KIND_COUNT
};

#define X(kind, word, record, signer, max, doc) extern const struct nv_record nv_##record##_record;
NV_MESSAGES(X)
#undef X

extern const struct nv_record nv_plugin_record; /* a part of some */

struct nv_kind_info {
	const char *word;
	const struct nv_record *record;
	char signer;
	size_t max_body; /* bytes */
	const char *doc;
};
const struct nv_kind_info *nv_kind_info(enum nv_kind kind);
/* NV_KIND_COUNT for an unknown word. */
enum nv_kind nv_kind_from(const char *word);

/* The contract as Markdown (proto/README.md is this text; a test compares them). */
void nv_proto_document(struct nv_buf *out);

#endif
