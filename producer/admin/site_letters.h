/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Dead letters of course servers, listed, requeued and discarded by signed questions. */
#ifndef NV_PRODUCER_ADMIN_SITE_LETTERS_H
#define NV_PRODUCER_ADMIN_SITE_LETTERS_H

#include "core/status/status.h"
#include "producer/app.h"

#define LETTERS_EVENT "letters"
struct letters_question {
	enum nv_letters_what what;
	/* List: only those given up later than since, or then, with an id behind this (0, NULL:
	 * all). */
	const char *letter;
	uint64_t since;
	const char *by; /* the person who asks; NULL: the producer itself */
};
/* err: also for refusals, no answer, or an archiver too old for such questions (409). reply:
 * borrowed for the call. */
typedef void (*letters_cb)(void *arg, const struct nv_err *err,
			   const struct nv_letters_reply *reply);
struct letters *nv_site_letters_new(struct app *app);
void nv_site_letters_close(struct letters *all); /* pending questions end with an error */
void nv_site_letters_free(struct letters *all);	 /* after bus and status */
/* cb once, perhaps at once. */
void nv_site_letters_ask(struct app *app, const struct nv_config_site *site,
			 const struct letters_question *question, letters_cb cb, void *arg);
/* Called by the keeper with an answer; or: an answer was announced in Redis. */
void nv_site_letters_store(struct app *app, const char *site, const struct nv_letters_reply *reply,
			   nv_status_cb cb, void *arg);
void nv_site_letters_announced(struct app *app, const char *site, const char *id);

#endif
