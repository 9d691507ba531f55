/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The mails and messages to people, in their language, as plain text and HTML. strings.h has the
 * strings. */
#ifndef NV_WORKER_NOTIFY_MAIL_TEXT_H
#define NV_WORKER_NOTIFY_MAIL_TEXT_H

#include "core/status/notices.h"
#include "core/status/status.h"
#include "worker/notify/mail_builder.h"
#include "worker/notify/strings.h"

struct nv_mail_text_facts {
	const struct nv_status_record *record;
	const char *site_label; /* the course server as people know it */
	const char *site_url;	/* NULL: not to be shown */
	const char *page_url;	/* Navette's own; NULL: not known here */
	bool warnings;		/* list the restore's warnings */
	bool admins_told;	/* of a failure, they as well */
	bool for_admin;		/* with the technical details */
};
void nv_mail_text(const struct nv_mail_text_facts *f, enum nv_lang lang,
		  struct nv_mail_builder *ret);
/* The course's name as people know it. */
const char *nv_mail_text_course(const struct nv_status_record *r);

/* config: for the sites' labels. */
void nv_mail_text_digest(const struct nv_digest *d, const struct nv_config *config,
			 enum nv_lang lang, struct nv_mail_builder *ret);

#endif
