/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Mail by SMTP (RFC 5321) through libcurl; the message is RFC 5322 with RFC 2047 headers, in two
 * forms (multipart/alternative): plain text and HTML. */
#ifndef NV_WORKER_NOTIFY_MAIL_H
#define NV_WORKER_NOTIFY_MAIL_H

#include "base/err.h"
#include "base/job.h"
#include "core/config/config.h"

struct nv_mail {
	const char *to;	     /* one address */
	const char *id;	     /* stable: becomes Message-ID <id@host of mail_from> */
	const char *subject; /* UTF-8 */
	const char *text;    /* UTF-8 */
	const char *html;    /* UTF-8, a page's body; NULL: text only */
	const char *lang;    /* of all three; NULL: not said */
	uint64_t date_ms;
};
/* Blocks; at least once: a crash between the server's answer and ours sends it again under the same
 * Message-ID.  NV_REJECT: the server refuses this address or message for good (5xx).  Everything
 * else is NV_RETRY, with reason busy for a temporary refusal of this address (4xx): others may be
 * accepted.  A server that wants a login or refuses our sender (5xx too) is one that an operator
 * can mend. */
int nv_mail_send(const struct nv_config *config, const struct nv_mail *m, struct nv_err *err);
/* The lines of its header but for those of MIME, to be freed by curl_slist_free_all. */
struct curl_slist;
int nv_mail_headers(const struct nv_config *config, const struct nv_mail *m,
		    struct curl_slist **ret, struct nv_err *err);

#endif
