/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Work for many items on some threads. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "base/thread_pool.h"

#define MANY 1000u

struct seen {
	atomic_uint calls[MANY];
	atomic_uint all;
	size_t fails_at;
	unsigned together; /* wait until so many are at it */
	atomic_uint inside;
};

static int work(void *ctx, size_t i, struct nv_err *err)
{
	struct seen *s = ctx;
	atomic_fetch_add(&s->calls[i], 1);
	atomic_fetch_add(&s->all, 1);
	atomic_fetch_add(&s->inside, 1);
	while (atomic_load(&s->inside) < s->together)
		;
	if (i == s->fails_at)
		return nv_fail(err, NV_RETRY, NV_R_io, "item %zu", i);
	return 0;
}

static void every_item_is_done_once(void **state)
{
	static const unsigned threads[] = {0, 1, 4, 1000};
	(void)state;
	for (size_t t = 0; t < sizeof threads / sizeof *threads; t++) {
		struct seen s = {.fails_at = SIZE_MAX};
		struct nv_err err = {0};
		assert_int_equal(nv_parallel(threads[t], MANY, work, &s, &err), 0);
		for (size_t i = 0; i < MANY; i++)
			assert_int_equal(s.calls[i], 1);
	}
	assert_int_equal(nv_parallel(4, 0, work, NULL, NULL), 0);
}

/* Each waits for the others: one thread alone would never come back. */
static void several_are_at_it_at_once(void **state)
{
	struct seen s = {.fails_at = SIZE_MAX, .together = 4};
	(void)state;
	assert_int_equal(nv_parallel(4, 8, work, &s, NULL), 0);
}

static void the_first_error_ends_it_and_is_told(void **state)
{
	struct seen s = {.fails_at = 10};
	struct nv_err err = {0};
	(void)state;
	assert_int_equal(nv_parallel(1, MANY, work, &s, &err), -1);
	assert_string_equal(err.msg, "item 10");
	assert_int_equal(s.all, 11);
	assert_int_equal(nv_parallel(4, MANY, work, &s, NULL), -1);
}

static int look_at_niceness(void *ctx, size_t i, struct nv_err *err)
{
	(void)i;
	(void)err;
	*(int *)ctx = getpriority(PRIO_PROCESS, 0);
	return 0;
}

/* Also one that a crew's thread began. */
static int begin_another(void *ctx, size_t i, struct nv_err *err)
{
	(void)i;
	return nv_parallel(1, 1, look_at_niceness, ctx, err);
}

static void its_threads_give_way_and_nobody_else_does(void **state)
{
	int before = getpriority(PRIO_PROCESS, 0), inside = 99, innermost = 99;
	int wanted = before + 10 < 19 ? before + 10 : 19;
	(void)state;
	assert_int_equal(nv_parallel(1, 1, look_at_niceness, &inside, NULL), 0);
	assert_int_equal(nv_parallel(1, 1, begin_another, &innermost, NULL), 0);
	assert_int_equal(inside, wanted);
	assert_int_equal(innermost, wanted);
	assert_int_equal(getpriority(PRIO_PROCESS, 0), before);
}

/* --- a crew --- */

static int count(void *ctx, void *item, struct nv_err *err)
{
	struct seen *s = ctx;
	return work(s, (size_t)(uintptr_t)item, err);
}

static void a_crew_works_while_items_still_come(void **state)
{
	struct seen s = {.fails_at = SIZE_MAX};
	struct nv_thread_pool *c = nv_thread_pool_new(3, count, &s);
	(void)state;
	for (size_t i = 0; i < MANY; i++) {
		nv_thread_pool_give(c, (void *)(uintptr_t)i);
		while (i == 0 && !atomic_load(&s.all)) /* before the second is given */
			;
	}
	assert_int_equal(nv_thread_pool_check(c, NULL), 0);
	assert_int_equal(nv_thread_pool_end(c, NULL), 0);
	for (size_t i = 0; i < MANY; i++)
		assert_int_equal(s.calls[i], 1);
	assert_int_equal(nv_thread_pool_end(nv_thread_pool_new(3, count, NULL), NULL), 0);
}

static void a_crew_that_failed_begins_nothing_more(void **state)
{
	struct seen s = {.fails_at = 0};
	struct nv_err err = {0};
	struct nv_thread_pool *c = nv_thread_pool_new(1, count, &s);
	(void)state;
	nv_thread_pool_give(c, (void *)(uintptr_t)0);
	while (nv_thread_pool_check(c, &err) == 0)
		;
	assert_string_equal(err.msg, "item 0");
	nv_thread_pool_give(c, (void *)(uintptr_t)1);
	assert_int_equal(nv_thread_pool_end(c, &err), -1);
	assert_int_equal(s.all, 1);
}

static void an_abandoned_crew_ends_what_it_began(void **state)
{
	struct seen s = {.fails_at = SIZE_MAX};
	struct nv_thread_pool *c = nv_thread_pool_new(2, count, &s);
	(void)state;
	for (size_t i = 0; i < MANY; i++)
		nv_thread_pool_give(c, (void *)(uintptr_t)i);
	nv_thread_pool_abandon(c);
	unsigned ended = atomic_load(&s.all);
	unsigned begun = 0;
	for (size_t i = 0; i < MANY; i++)
		begun += atomic_load(&s.calls[i]);
	assert_int_equal(begun, ended);
	nv_thread_pool_abandon(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_item_is_done_once),
		cmocka_unit_test(several_are_at_it_at_once),
		cmocka_unit_test(the_first_error_ends_it_and_is_told),
		cmocka_unit_test(its_threads_give_way_and_nobody_else_does),
		cmocka_unit_test(a_crew_works_while_items_still_come),
		cmocka_unit_test(a_crew_that_failed_begins_nothing_more),
		cmocka_unit_test(an_abandoned_crew_ends_what_it_began),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
