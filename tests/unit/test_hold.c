/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The hold: when it begins, that it looks again until what was in the way has passed, and how it
 * ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/id.h"
#include "base/mem.h"
#include "core/daemon/hold.h"

#define WAIT_MS 30000u

struct fixture {
	uv_loop_t loop;
	struct nv_hold *hold;
	_Atomic int in_the_way; /* an enum nv_reason; none: nothing is */
	atomic_uint looks;
	atomic_bool slow; /* a look takes until it is stopped */
	unsigned changes;
	bool closed;
	struct nv_err err;
};

static int look(struct nv_job *job, void *arg, struct nv_err *err)
{
	struct fixture *f = arg;
	enum nv_reason reason = (enum nv_reason)atomic_load(&f->in_the_way);
	atomic_fetch_add(&f->looks, 1);
	while (atomic_load(&f->slow) && nv_job_check(job, err) == 0)
		usleep(1000);
	return reason == NV_R_none ? 0 : nv_fail(err, NV_HOLD, reason, "look: no");
}

static void changed(void *arg)
{
	struct fixture *f = arg;
	f->changes++;
}

static void closed(void *arg)
{
	struct fixture *f = arg;
	f->closed = true;
}

static int set_up(void **state)
{
	struct fixture *f = nv_alloc(sizeof *f);
	uv_loop_init(&f->loop);
	f->hold = nv_hold_new(&(struct nv_hold_options){&f->loop, look, changed, closed, f});
	*state = f;
	return 0;
}

static void close_it(struct fixture *f)
{
	nv_hold_close(f->hold);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_true(f->closed);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	if (!f->closed)
		close_it(f);
	nv_hold_free(f->hold);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	free(f);
	return 0;
}

/* What a job ended with, judged and told as the daemons do. */
static void fail_job(struct fixture *f, enum nv_err_kind kind, enum nv_reason reason)
{
	nv_fail(&f->err, kind, reason, "job: no");
	nv_hold_judge(f->hold, NULL, 0, &f->err);
	nv_hold_begin(f->hold, &f->err);
}

/* What becomes of such a failure, of a message that was held so often before. */
static void assert_judged(struct fixture *f, unsigned outages, enum nv_reason reason,
			  enum nv_err_kind kind)
{
	nv_fail(&f->err, NV_RETRY, reason, "job: no");
	nv_hold_judge(f->hold, NULL, outages, &f->err);
	assert_int_equal(f->err.kind, kind);
	assert_int_equal(f->err.reason, reason);
}

static bool is_held(const struct fixture *f)
{
	return nv_hold_why(f->hold) != NULL;
}

static void tick(uv_timer_t *timer)
{
	(void)timer;
}

/* Until it is held, or is not, or for this reason. */
static void run_until(struct fixture *f, bool held, enum nv_reason reason)
{
	uint64_t until = nv_mono_ms() + WAIT_MS;
	uv_timer_t timer; /* so that each turn of the loop ends */
	uv_timer_init(&f->loop, &timer);
	uv_timer_start(&timer, tick, 0, 5);
	while (is_held(f) != held || (held && nv_hold_why(f->hold)->reason != reason)) {
		assert_true(nv_mono_ms() < until);
		uv_run(&f->loop, UV_RUN_ONCE);
	}
	uv_close((uv_handle_t *)&timer, NULL);
	uv_run(&f->loop, UV_RUN_NOWAIT);
}

static void what_a_look_confirms_is_held_until_it_has_passed(void **state)
{
	struct fixture *f = *state;
	atomic_store(&f->in_the_way, NV_R_site_upgrading);
	fail_job(f, NV_RETRY, NV_R_import_failed);
	assert_int_equal(f->err.kind, NV_HOLD);
	assert_int_equal(f->err.reason, NV_R_site_upgrading);
	assert_string_equal(f->err.msg, "look: no");
	assert_true(is_held(f));
	assert_int_equal(f->changes, 1);
	assert_true(nv_now_ms() - nv_hold_since(f->hold) < WAIT_MS);
	/* Others that meet it change nothing. */
	fail_job(f, NV_RETRY, NV_R_export_failed);
	assert_int_equal(f->changes, 1);
	/* One thing passes while another is in the way: it goes on, and says which. */
	atomic_store(&f->in_the_way, NV_R_store_unavailable);
	run_until(f, true, NV_R_store_unavailable);
	assert_int_equal(f->changes, 2);
	atomic_store(&f->in_the_way, NV_R_none);
	run_until(f, false, NV_R_none);
	assert_int_equal(f->changes, 3);
}

static void what_one_course_brings_about_stays_an_attempt(void **state)
{
	struct fixture *f = *state;
	fail_job(f, NV_RETRY, NV_R_disk_full);
	assert_int_equal(f->err.kind, NV_RETRY);
	assert_int_equal(f->err.reason, NV_R_disk_full);
	assert_false(is_held(f));
	assert_int_equal(f->looks, 1);
	/* And what is no failure of that kind is not looked at. */
	fail_job(f, NV_REJECT, NV_R_course_missing);
	fail_job(f, NV_CANCELLED, NV_R_cancelled);
	fail_job(f, NV_HOLD, NV_R_busy);
	fail_job(f, NV_RETRY, NV_R_claim_lost);
	assert_int_equal(f->looks, 1);
	assert_int_equal(f->changes, 0);
}

static void an_outage_that_is_over_at_once_uses_up_no_attempt(void **state)
{
	static const enum nv_reason proof[] = {NV_R_site_upgrading, NV_R_site_unavailable,
					       NV_R_store_unavailable};
	struct fixture *f = *state;
	for (size_t i = 0; i < NV_ARRAY_LEN(proof); i++)
		assert_judged(f, 0, proof[i], NV_HOLD);
	fail_job(f, NV_RETRY, NV_R_site_unavailable);
	assert_true(is_held(f));
	assert_string_equal(nv_hold_why(f->hold)->msg, "job: no");
	run_until(f, false, NV_R_none);
	/* One course that brings it about every time ends all the same … */
	assert_judged(f, 2, NV_R_site_unavailable, NV_HOLD);
	assert_judged(f, 3, NV_R_site_unavailable, NV_RETRY);
	/* … and where one course may be the cause, only a look counts. */
	assert_judged(f, 0, NV_R_store_denied, NV_RETRY);
	assert_judged(f, 0, NV_R_io, NV_RETRY);
	/* What a look confirms is held however often. */
	atomic_store(&f->in_the_way, NV_R_site_unavailable);
	assert_judged(f, 1000, NV_R_site_unavailable, NV_HOLD);
}

static void refused_credentials_and_an_unusable_folder_are_held(void **state)
{
	static const enum nv_reason found[] = {NV_R_store_denied, NV_R_io};
	struct fixture *f = *state;
	for (size_t i = 0; i < NV_ARRAY_LEN(found); i++) {
		atomic_store(&f->in_the_way, found[i]);
		fail_job(f, NV_RETRY, found[i]);
		assert_int_equal(f->err.kind, NV_HOLD);
		assert_int_equal(nv_hold_why(f->hold)->reason, found[i]);
		atomic_store(&f->in_the_way, NV_R_none);
		run_until(f, false, NV_R_none);
	}
}

static void a_look_under_way_is_ended_with_the_daemon(void **state)
{
	struct fixture *f = *state;
	atomic_store(&f->in_the_way, NV_R_site_unavailable);
	fail_job(f, NV_RETRY, NV_R_export_failed);
	atomic_store(&f->slow, true);
	unsigned before = atomic_load(&f->looks);
	uint64_t until = nv_mono_ms() + WAIT_MS;
	while (atomic_load(&f->looks) == before && nv_mono_ms() < until)
		uv_run(&f->loop, UV_RUN_ONCE);
	close_it(f);
	assert_false(is_held(f));
	assert_int_equal(f->changes, 1);
	/* A job that fails now begins none. */
	atomic_store(&f->slow, false);
	fail_job(f, NV_RETRY, NV_R_export_failed);
	assert_int_equal(f->err.kind, NV_HOLD);
	assert_false(is_held(f));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		T(what_a_look_confirms_is_held_until_it_has_passed),
		T(what_one_course_brings_about_stays_an_attempt),
		T(an_outage_that_is_over_at_once_uses_up_no_attempt),
		T(refused_credentials_and_an_unusable_folder_are_held),
		T(a_look_under_way_is_ended_with_the_daemon),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
