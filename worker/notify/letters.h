/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The letters of one notice: written from a record or a digest, sent in rounds. */
#ifndef NV_WORKER_NOTIFY_LETTERS_H
#define NV_WORKER_NOTIFY_LETTERS_H

#include "core/status/notices.h"
#include "worker/notify/mail_builder.h"
#include "worker/notify/strings.h"
#include "worker/worker.h"

/* One message to one person (or to the site's administrators). */
struct letter {
	struct letter *next;
	enum nv_notice_kind kind;
	char *to;	 /* a word for it among those told: site0, mail0, mail1:a@b */
	char *id, *mail; /* mail NULL: through the site */
	char *lang;	 /* as the requester's client calls it; NULL: of no one in particular */
	enum nv_lang words;
	char *user; /* NULL: the administrators */
	char *url;
	struct nv_mail_builder page;
};

/* Mail server or site; what is known of it outlives a notice. */
struct letters_way {
	uint64_t rest_until; /* nv_mono_ms */
	struct nv_err why;   /* the last trouble */
};

struct letters {
	const struct worker *w;
	char id[NV_UUID_SIZE]; /* the request's, or the digest's number */
	struct letter *first;  /* those not sent yet */
	struct nv_buf told;    /* words with a space behind each */
	struct letters_way mail, site;
};

/* Begin another notice.  told: the words for those who need no more telling; NULL: nobody. */
void nv_letters_begin(struct letters *l, const char *id, const char *told);
void nv_letters_fini(struct letters *l);

/* Are there administrators to be told of failures? */
bool nv_letters_has_admins(const struct nv_config *c);
/* Write to the requester, and with admins to the administrators. */
void nv_letters_write(struct letters *l, const struct nv_status_record *rec, bool admins);
void nv_letters_write_digest(struct letters *l, const struct nv_digest *d);

/* One round, on a thread, which alone touches the letters meanwhile; those that stay wait for
 * another.  It takes NV_LETTERS_ROUND_MS at most, and the letter that it ends with. */
#define NV_LETTERS_ROUND_MS 30000u
void nv_letters_send(struct letters *l);
/* Why a letter that stays was not sent. */
const struct nv_err *nv_letters_why(const struct letters *l, const struct letter *one);

#endif
