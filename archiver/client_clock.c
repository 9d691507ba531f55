/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What time it is by each client's clock.
 *
 * A request that has expired by our clock has either waited for too long, or our clock is ahead.
 * Which of the two, its client's clock tells, by which the time was set.  What that shows we know
 * from the client's questions: the broker drops a question that waits for more than some seconds,
 * so the time at which it was signed is the client's time when it comes.  From then on the time is
 * counted by our monotonic clock, which no correction of the wall clock changes and no suspension
 * stops. */
#include "archiver/client_clock.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/id.h"
#include "base/mem.h"

struct client_clock {
	char client[NV_NAME_MAX + 1];
	uint64_t at;	/* ms since the epoch, by the client's clock … */
	uint64_t heard; /* … when ours was so far (nv_boot_ms) */
};

struct client_clocks {
	struct client_clock *of;
	size_t len;
};

struct client_clocks *nv_client_clocks_new(void)
{
	return nv_alloc(sizeof(struct client_clocks));
}

void nv_client_clocks_free(struct client_clocks *c)
{
	if (!c)
		return;
	free(c->of);
	free(c);
}

static struct client_clock *find(const struct client_clocks *c, const char *client)
{
	for (size_t i = 0; i < c->len; i++)
		if (strcmp(c->of[i].client, client) == 0)
			return &c->of[i];
	return NULL;
}

void nv_client_clock_heard(struct client_clocks *c, const struct nv_envelope *question)
{
	struct client_clock *clock = find(c, question->from);
	if (!clock) {
		c->of = nv_realloc(c->of, (c->len + 1) * sizeof *c->of);
		clock = &c->of[c->len++];
		memcpy(clock->client, question->from, sizeof clock->client);
	}
	clock->at = question->issued;
	clock->heard = nv_boot_ms();
}

void nv_client_clock_judge(const struct client_clocks *c, const struct nv_envelope *env,
			   struct nv_err *err)
{
	const struct client_clock *clock = find(c, env->from);
	if (!clock) {
		nv_fail(err, NV_HOLD, NV_R_clock,
			"it has expired by the clock of this machine; whether that is right shows "
			"when client:%s asks its next question",
			env->from);
		return;
	}
	uint64_t now = nv_now_ms(), theirs = clock->at + (nv_boot_ms() - clock->heard);
	if (theirs >= env->expires || theirs >= now)
		return;
	nv_fail(err, NV_HOLD, NV_R_clock,
		"the clock of client:%s is %" PRIu64 " s behind that of this machine: one of the "
		"two is wrong",
		env->from, (now - theirs) / 1000);
}
