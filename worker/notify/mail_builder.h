/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Builds a mail as plain text and HTML with the same wording.
 *
 * Phrases are ours; names and other foreign values are inserted only through slots such as
 * "{course}".  In HTML a slot's value is escaped and isolated (a right-to-left name does not turn
 * the sentence around it), in both forms it stays on one line: no value makes a tag, a paragraph or
 * a header. */
#ifndef NV_WORKER_NOTIFY_MAIL_BUILDER_H
#define NV_WORKER_NOTIFY_MAIL_BUILDER_H

#include <stdbool.h>

#include "base/mem.h"

/* Zero-initialised is empty.  html: a fragment, for the body of a page. */
struct nv_mail_builder {
	struct nv_buf subject, text, html;
	const char *colon; /* as the language writes it; NULL: ": " */
};
void nv_mail_builder_fini(struct nv_mail_builder *l);

/* Lists end with a slot without name. */
struct nv_slot {
	const char *name, *value; /* value NULL: nothing is put there */
};
/* Long values are cut. */
void nv_mail_builder_subject(struct nv_mail_builder *l, const char *phrase,
			     const struct nv_slot *slots);
void nv_mail_builder_para(struct nv_mail_builder *l, const char *phrase,
			  const struct nv_slot *slots);
/* As a paragraph; an address that is not http(s) is shown without a link. */
void nv_mail_builder_link(struct nv_mail_builder *l, const char *label, const char *url);
void nv_mail_builder_list(struct nv_mail_builder *l, bool begin);
/* url NULL: none, else under this label */
void nv_mail_builder_item(struct nv_mail_builder *l, const char *phrase,
			  const struct nv_slot *slots, const char *label, const char *url);
void nv_mail_builder_table(struct nv_mail_builder *l, bool begin);
void nv_mail_builder_row(struct nv_mail_builder *l, const char *label, const char *value);

#endif
