/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The strings of mails and messages, in each language.  "{course}" and the like are slots
 * (mail_builder.h): course, site, name, reason, number, time, user, kind, type, had, has. */
#ifndef NV_WORKER_NOTIFY_STRINGS_H
#define NV_WORKER_NOTIFY_STRINGS_H

#include "base/err.h"

enum nv_lang { NV_LANG_en, NV_LANG_fr, NV_LANG_COUNT };
/* "fr", "fr_ca" and "FR-be" give French; other languages than French and English give the
 * fallback. */
enum nv_lang nv_lang_from(const char *tag, enum nv_lang fallback);
const char *nv_lang_word(enum nv_lang lang);
const char *nv_lang_colon(enum nv_lang lang);

/* Events: subject and first sentence. */
#define NV_TEXT_EVENTS(X)                                        \
	X(restored)                                              \
	X(remarks) /* restored, but something needs attention */ \
	X(failed)                                                \
	X(cancelled)                                             \
	X(problem) /* failed, for administrators */              \
	X(digest)  /* many failed, for administrators */         \
	X(digest_one)
enum nv_string_event {
#define X(name) NV_TE_##name,
	NV_TEXT_EVENTS(X)
#undef X
		NV_TE_COUNT
};

#define NV_PHRASES(X)        \
	X(hello)             \
	X(hello_nobody)      \
	X(open_course)       \
	X(number)            \
	X(remote)            \
	X(page)              \
	X(request)           \
	X(with_data)         \
	X(without_data)      \
	X(enrolled)          \
	X(remarks)           \
	X(losses)            \
	X(loss)              \
	X(loss_of_type)      \
	X(unchanged)         \
	X(told)              \
	X(ask_again)         \
	X(admin)             \
	X(row_request)       \
	X(row_requester)     \
	X(row_course)        \
	X(row_site)          \
	X(row_state)         \
	X(row_failures)      \
	X(row_reason)        \
	X(row_details)       \
	X(row_host)          \
	X(by_reason)         \
	X(reason_count)      \
	X(digest_rows)       \
	X(digest_row)        \
	X(digest_row_nobody) \
	X(digest_more)
enum nv_phrase {
#define X(name) NV_P_##name,
	NV_PHRASES(X)
#undef X
		NV_P_COUNT
};

const char *nv_event_subject(enum nv_lang lang, enum nv_string_event event);
const char *nv_event_opening(enum nv_lang lang, enum nv_string_event event);
const char *nv_phrase(enum nv_lang lang, enum nv_phrase phrase);

/* The name of a kind (proto/inventory.h); unknown kinds are returned unchanged. */
const char *nv_kind_words(enum nv_lang lang, const char *kind);

/* From base/reasons.json, from which the pages have the same sentences. */
struct nv_reason_words {
	const char *why;   /* to the requester */
	const char *to_do; /* by the requester */
	const char *other; /* why, to anybody else; NULL: the same */
};
/* Never NULL; its first two neither. */
const struct nv_reason_words *nv_reason_words(enum nv_lang lang, enum nv_reason reason);

#endif
