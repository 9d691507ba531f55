/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Clocks of course servers. */
#ifndef NV_PRODUCER_ADMIN_CLOCK_H
#define NV_PRODUCER_ADMIN_CLOCK_H

#include "producer/app.h"

struct clocks *nv_clocks_new(struct app *app);
void nv_clocks_close(struct clocks *c);
/* Measures the sender's clock by a verified message. again: it was redelivered or delayed, so its
 * age is meaningless. */
void nv_clock_heard(struct app *app, const struct nv_envelope *env, bool again);
/* A course server is not sure of the clocks: at the next look it is asked, and sees from that what
 * time it is here. */
void nv_clock_doubted(struct app *app, const char *site);
/* The id of a question that we have just asked: its answer counts, whatever its sender's clock
 * says.
 */
bool nv_clock_is_answer_fresh(const char *question);
void nv_clock_words(char *ret, size_t size, const char *site, int64_t ahead_ms);

#endif
