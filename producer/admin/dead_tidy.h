/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef NV_PRODUCER_ADMIN_DEAD_TIDY_H
#define NV_PRODUCER_ADMIN_DEAD_TIDY_H

#include "core/status/events.h"
#include "core/status/status.h"
#include "producer/app.h"

/* Dead letters whose request is settled (dead_tidy.c). */
struct tidy *nv_dead_tidy_new(struct app *app);
void nv_dead_tidy_heard(struct tidy *t, const struct nv_status_change_event *e); /* NULL allowed */
/* A course server's answer about letters did not come. NULL allowed. */
void nv_dead_tidy_answer_lost(struct tidy *t);
/* A course server has reported a failed request; or: letters were seen there. NULL allowed. */
void nv_dead_tidy_site_failed(struct tidy *t, const char *site);
void nv_dead_tidy_site_seen(struct tidy *t, const char *site);
/* Letters with this revision of the request are obsolete. */
bool nv_dead_tidy_is_settled(const struct nv_status_record *rec, uint64_t rev);
void nv_dead_tidy_close(struct tidy *t); /* after what works on threads, before the status */

/* Those of course servers, for dead_tidy.c (dead_tidy_sites.c).  settled: requests were, since the
 * last look.
 */
struct tidy_sites *nv_dead_tidy_sites_new(struct app *app);
void nv_dead_tidy_sites_look(struct tidy_sites *t, bool settled);
void nv_dead_tidy_sites_failed(struct tidy_sites *t, const char *site);
void nv_dead_tidy_sites_seen(struct tidy_sites *t, const char *site);
void nv_dead_tidy_sites_close(struct tidy_sites *t); /* before nv_site_letters_close */

#endif
