/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "proto/messages.h"

#include <string.h>

#include "base/id.h"
#include "base/log.h"

const char *const nv_enrolment_words[] = {"always", "with-users", "manual", NULL};
const char *const nv_source_words[] = {"page", "admin", "command", "api", "csv", NULL};
const char *const nv_event_state_words[] = {"held",	 "exporting", "ready",
					    "cancelled", "failed",    NULL};
const char *const nv_catalog_status_words[] = {"ok", "unknown-user", "error", NULL};
const char *const nv_letters_words[] = {"list", "requeue", "discard", NULL};
const char *const nv_level_words[] = {"debug", "info", "warn", "error", NULL};

/* A word for each number, and no more. */
_Static_assert(NV_ARRAY_LEN(nv_enrolment_words) == NV_ENROL_MANUAL + 2, "enrolment words");
_Static_assert(NV_ARRAY_LEN(nv_source_words) == NV_SRC_CSV + 2, "source words");
_Static_assert(NV_ARRAY_LEN(nv_event_state_words) == NV_EV_FAILED + 2, "event words");
_Static_assert(NV_ARRAY_LEN(nv_catalog_status_words) == NV_CAT_ERROR + 2, "catalog words");
_Static_assert(NV_ARRAY_LEN(nv_letters_words) == NV_LETTERS_DISCARD + 2, "letters words");
_Static_assert(NV_ARRAY_LEN(nv_level_words) == NV_ERROR + 2, "level words");

/* RECORD is the struct whose table is being written. */
#define FIELD(n, t, req, text)                                                                 \
	.name = #n, .type = NV_T_##t, .required = (req), .offset = offsetof(struct RECORD, n), \
	.doc = (text)

#define FB(n, req, doc) {FIELD(n, BOOL, req, doc)},
#define FU(n, req, limit, doc) {FIELD(n, UINT, req, doc), .max = (limit)},
#define FS(n, req, limit, doc) {FIELD(n, STR, req, doc), .max = (limit)},
#define FX(n, req, limit, doc) {FIELD(n, BIN, req, doc), .max = (limit)},
#define FI(n, req, doc) {FIELD(n, UUID, req, doc), .max = NV_UUID_SIZE - 1},
#define FN(n, req, doc) {FIELD(n, NAME, req, doc), .max = NV_NAME_MAX},
#define FE(n, req, words, doc) {FIELD(n, ENUM, req, doc), .names = (words)},
#define FT(n, req, limit, items, doc) \
	{FIELD(n, STRS, req, doc), .max = (limit), .max_items = (items)},
#define FL(n, req, part, items, doc) \
	{FIELD(n, LIST, req, doc), .max_items = (items), .sub = &nv_##part##_record},

#define RECORD nv_plugin
static const struct nv_field plugin_fields[] = {NV_PLUGIN_FIELDS};
#undef RECORD
const struct nv_record nv_plugin_record = {
	.name = "plugin",
	.size = sizeof(struct nv_plugin),
	.fields = plugin_fields,
	.fields_len = NV_ARRAY_LEN(plugin_fields),
	.doc = "A plugin of a Moodle.",
};

#define RECORD nv_module
static const struct nv_field module_fields[] = {NV_MODULE_FIELDS};
#undef RECORD
static const struct nv_record nv_module_record = {
	.name = "module",
	.size = sizeof(struct nv_module),
	.fields = module_fields,
	.fields_len = NV_ARRAY_LEN(module_fields),
	.doc = "Activities of one type.",
};

#define RECORD nv_course
static const struct nv_field course_fields[] = {NV_COURSE_FIELDS};
#undef RECORD
static const struct nv_record nv_course_record = {
	.name = "course",
	.size = sizeof(struct nv_course),
	.fields = course_fields,
	.fields_len = NV_ARRAY_LEN(course_fields),
	.doc = "A course of a course server.",
};

#define RECORD nv_log_line
static const struct nv_field log_line_fields[] = {NV_LOG_LINE_FIELDS};
#undef RECORD
static const struct nv_record nv_log_line_record = {
	.name = "log_line",
	.size = sizeof(struct nv_log_line),
	.fields = log_line_fields,
	.fields_len = NV_ARRAY_LEN(log_line_fields),
	.doc = "A line of a request's log.",
};

#define RECORD nv_dead_letter
static const struct nv_field dead_letter_fields[] = {NV_DEAD_LETTER_FIELDS};
#undef RECORD
static const struct nv_record nv_dead_letter_record = {
	.name = "dead_letter",
	.size = sizeof(struct nv_dead_letter),
	.fields = dead_letter_fields,
	.fields_len = NV_ARRAY_LEN(dead_letter_fields),
	.doc = "A message that was given up.",
};

#define RECORD nv_restore_request
static const struct nv_field restore_request_fields[] = {NV_RESTORE_REQUEST_FIELDS};
#undef RECORD
#define RECORD nv_cancel_request
static const struct nv_field cancel_request_fields[] = {NV_CANCEL_REQUEST_FIELDS};
#undef RECORD
#define RECORD nv_catalog_request
static const struct nv_field catalog_request_fields[] = {NV_CATALOG_REQUEST_FIELDS};
#undef RECORD
#define RECORD nv_catalog_reply
static const struct nv_field catalog_reply_fields[] = {NV_CATALOG_REPLY_FIELDS};
#undef RECORD
#define RECORD nv_status_event
static const struct nv_field status_event_fields[] = {NV_STATUS_EVENT_FIELDS};
#undef RECORD
#define RECORD nv_archive_ready
static const struct nv_field archive_ready_fields[] = {NV_ARCHIVE_READY_FIELDS};
#undef RECORD
#define RECORD nv_archive_opened
static const struct nv_field archive_opened_fields[] = {NV_ARCHIVE_OPENED_FIELDS};
#undef RECORD
#define RECORD nv_enrol_request
static const struct nv_field enrol_request_fields[] = {NV_ENROL_REQUEST_FIELDS};
#undef RECORD
#define RECORD nv_letters_request
static const struct nv_field letters_request_fields[] = {NV_LETTERS_REQUEST_FIELDS};
#undef RECORD
#define RECORD nv_letters_reply
static const struct nv_field letters_reply_fields[] = {NV_LETTERS_REPLY_FIELDS};
#undef RECORD

/* The decoder keeps what it has seen in 64 bits. */
#define X(kind, word, record, signer, max, text)                                \
	_Static_assert(NV_ARRAY_LEN(record##_fields) <= 64, "too many fields"); \
	const struct nv_record nv_##record##_record = {                         \
		.name = (word),                                                 \
		.size = sizeof(struct nv_##record),                             \
		.fields = record##_fields,                                      \
		.fields_len = NV_ARRAY_LEN(record##_fields),                    \
		.doc = (text),                                                  \
	};
NV_MESSAGES(X)
#undef X

static const struct nv_kind_info kinds[] = {
#define X(kind, word, record, signer, max, text) {word, &nv_##record##_record, signer, max, text},
	NV_MESSAGES(X)
#undef X
};

const struct nv_kind_info *nv_kind_info(enum nv_kind kind)
{
	return (unsigned)kind < NV_KIND_COUNT ? &kinds[kind] : NULL;
}

enum nv_kind nv_kind_from(const char *word)
{
	for (unsigned i = 0; i < NV_KIND_COUNT; i++) {
		if (strcmp(kinds[i].word, word) == 0)
			return (enum nv_kind)i;
	}
	return NV_KIND_COUNT;
}
