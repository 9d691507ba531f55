/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "archiver/client_clock.h"
#include "base/id.h"

#define DAY 86400000ull

static struct nv_envelope from(const char *client, uint64_t issued, uint64_t expires)
{
	struct nv_envelope e = {.issued = issued, .expires = expires};
	snprintf(e.from, sizeof e.from, "%s", client);
	return e;
}

/* What becomes of a message that has expired by our clock. */
static struct nv_err judged(const struct client_clocks *c, const char *client, uint64_t expires)
{
	struct nv_envelope e = from(client, expires - DAY, expires);
	struct nv_err err = {0};
	nv_fail(&err, NV_REJECT, NV_R_expired, "envelope.expires: just now");
	nv_client_clock_judge(c, &e, &err);
	return err;
}

static void assert_held(const struct nv_err *err, const char *text)
{
	assert_int_equal(err->kind, NV_HOLD);
	assert_int_equal(err->reason, NV_R_clock);
	assert_non_null(strstr(err->msg, text));
}

static void assert_expired(const struct nv_err *err)
{
	assert_int_equal(err->kind, NV_REJECT);
	assert_int_equal(err->reason, NV_R_expired);
}

static void hear(struct client_clocks *c, const char *client, uint64_t theirs)
{
	struct nv_envelope question = from(client, theirs, theirs + 10000);
	nv_client_clock_heard(c, &question);
}

static void what_has_expired_by_its_clients_clock_has_expired(void **state)
{
	(void)state;
	struct client_clocks *c = nv_client_clocks_new();
	uint64_t now = nv_now_ms();
	hear(c, "north", now);
	struct nv_err err = judged(c, "north", now - 1000);
	assert_expired(&err);
	/* Neither a clock that is ahead of ours. */
	hear(c, "north", now + DAY);
	err = judged(c, "north", now - 1000);
	assert_expired(&err);
	nv_client_clocks_free(c);
}

static void what_has_expired_by_our_clock_alone_is_held(void **state)
{
	(void)state;
	struct client_clocks *c = nv_client_clocks_new();
	uint64_t now = nv_now_ms();
	hear(c, "north", now - 40 * DAY - 500);
	hear(c, "south", now);
	struct nv_err err = judged(c, "north", now - 10 * DAY);
	assert_held(&err, "client:north is 3456000 s behind");
	err = judged(c, "north", now - 41 * DAY);
	assert_expired(&err);
	err = judged(c, "south", now - 10 * DAY);
	assert_expired(&err);
	/* One of the two clocks has been put right. */
	hear(c, "north", now);
	err = judged(c, "north", now - 10 * DAY);
	assert_expired(&err);
	nv_client_clocks_free(c);
}

static void before_the_first_question_nobody_knows(void **state)
{
	(void)state;
	struct client_clocks *c = nv_client_clocks_new();
	hear(c, "south", nv_now_ms());
	struct nv_err err = judged(c, "north", nv_now_ms() - 1000);
	assert_held(&err, "client:north asks its next question");
	nv_client_clocks_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_has_expired_by_its_clients_clock_has_expired),
		cmocka_unit_test(what_has_expired_by_our_clock_alone_is_held),
		cmocka_unit_test(before_the_first_question_nobody_knows),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
