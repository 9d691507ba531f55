/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Errors: words, texts, and the formatting of messages. */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

static const struct {
	const char *word;
	const char *text;
	enum nv_passes passes;
} reasons[NV_R_COUNT] = {
#define X(word, text, passes) [NV_R_##word] = {#word, text, passes},
	NV_REASONS(X)
#undef X
};

static const char *const kinds[] = {
	[NV_OK] = "ok",		[NV_RETRY] = "retry",	      [NV_HOLD] = "hold",
	[NV_REJECT] = "reject", [NV_CANCELLED] = "cancelled", [NV_FATAL] = "fatal",
};

const char *nv_reason_word(enum nv_reason reason)
{
	if ((unsigned)reason >= NV_R_COUNT)
		reason = NV_R_internal;
	return reasons[reason].word;
}

const char *nv_reason_text(enum nv_reason reason)
{
	if ((unsigned)reason >= NV_R_COUNT)
		reason = NV_R_internal;
	return reasons[reason].text;
}

enum nv_reason nv_reason_from(const char *word)
{
	for (unsigned i = 0; word && i < NV_R_COUNT; i++)
		if (strcmp(word, reasons[i].word) == 0)
			return (enum nv_reason)i;
	return NV_R_internal;
}

bool nv_reason_passes(enum nv_reason reason)
{
	return (unsigned)reason < NV_R_COUNT && reasons[reason].passes != NV_PASSES_no;
}

bool nv_reason_proves_outage(enum nv_reason reason)
{
	return (unsigned)reason < NV_R_COUNT && reasons[reason].passes == NV_PASSES_outage;
}

const char *nv_err_kind_word(enum nv_err_kind kind)
{
	return (unsigned)kind < NV_ARRAY_LEN(kinds) ? kinds[kind] : "unknown";
}

/* The arguments may point into *err (when an error is wrapped), so the text is formatted in a
 * separate buffer.
 * */
static void fill(struct nv_err *err, enum nv_err_kind kind, enum nv_reason reason, int code,
		 const char *text)
{
	size_t len;

	err->kind = kind;
	err->reason = reason;
	err->code = code;
	len = strnlen(text, sizeof err->msg - 1);
	memcpy(err->msg, text, len);
	err->msg[len] = '\0';
	nv_text_clean(err->msg, sizeof err->msg - 1);
}

int nv_fail(struct nv_err *err, enum nv_err_kind kind, enum nv_reason reason, const char *fmt, ...)
{
	char text[sizeof err->msg];
	va_list ap;

	if (!err)
		return -1;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	fill(err, kind, reason, 0, text);
	return -1;
}

/* Shortages of the machine are temporary whatever the caller classified. */
static void classify_errno(int errnum, enum nv_err_kind *kind, enum nv_reason *reason)
{
	switch (errnum) {
	case ENOSPC:
	case EDQUOT:
		*kind = NV_RETRY;
		*reason = NV_R_disk_full;
		break;
	case EMFILE:
	case ENFILE:
	case ENOMEM:
		*kind = NV_RETRY;
		break;
	default:
		break;
	}
}

int nv_fail_errno(struct nv_err *err, int errnum, enum nv_err_kind kind, enum nv_reason reason,
		  const char *fmt, ...)
{
	char text[2 * sizeof err->msg]; /* fill cuts it */
	char why[128];
	va_list ap;
	int len;

	if (!err)
		return -1;
	va_start(ap, fmt);
	len = vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (len < 0)
		len = 0;
	if ((size_t)len < sizeof text)
		(void)snprintf(text + len, sizeof text - (size_t)len, ": %s",
			       strerror_r(errnum, why, sizeof why));
	classify_errno(errnum, &kind, &reason);
	fill(err, kind, reason, errnum, text);
	return -1;
}

void nv_err_prefix(struct nv_err *err, const char *fmt, ...)
{
	char text[2 * sizeof err->msg]; /* fill cuts it */
	va_list ap;
	int len;

	if (!err)
		return;
	va_start(ap, fmt);
	len = vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (len < 0)
		return;
	if ((size_t)len < sizeof text)
		(void)snprintf(text + len, sizeof text - (size_t)len, ": %s", err->msg);
	fill(err, err->kind, err->reason, err->code, text);
}
