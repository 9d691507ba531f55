/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What people are told, in English and French. */
#ifndef NV_WORKER_TEXTS_H
#define NV_WORKER_TEXTS_H

#include "core/base/mem.h"
#include "core/status/status.h"

struct nv_text_facts {
	const struct nv_status_record *record;
	const char *site_label; /* the course server as people know it */
	const char *site_url;	/* NULL: not to be shown */
	bool warnings;		/* list the restore's warnings */
	bool for_admin;		/* with the technical details */
};
/* lang: "fr…" gives French, everything else English.  Both texts are plain UTF-8. */
void nv_texts(const struct nv_text_facts *f, const char *lang, struct nv_buf *ret_subject,
	      struct nv_buf *ret_text);

#endif
