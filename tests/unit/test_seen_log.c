/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "core/daemon/seen_log.h"

static int make_folder(void **state)
{
	char *dir = nv_strdup("/tmp/nv-memo-XXXXXX");
	assert_non_null(mkdtemp(dir));
	*state = dir;
	return 0;
}

static int remove_folder(void **state)
{
	assert_int_equal(nv_remove_tree(*state, NULL), 0);
	free(*state);
	return 0;
}

static struct nv_seen_log *open_memo(void **state, size_t capacity)
{
	nv_auto_free char *path = nv_asprintf("%s/memo", (char *)*state);
	struct nv_err err = {0};
	struct nv_seen_log *m = nv_seen_log_open(path, capacity, &err);
	if (!m)
		fail_msg("%s", err.msg);
	return m;
}

static void it_knows_what_it_was_told_and_nothing_else(void **state)
{
	struct nv_seen_log *m = open_memo(state, 8);
	uint64_t value = 0;
	nv_seen_log_put(m, "a", 1);
	nv_seen_log_put(m, "b", 2);
	nv_seen_log_put(m, "a", 3);
	assert_true(nv_seen_log_get(m, "a", &value));
	assert_int_equal(value, 3);
	assert_true(nv_seen_log_get(m, "b", &value));
	assert_int_equal(value, 2);
	assert_false(nv_seen_log_get(m, "c", &value));
	nv_seen_log_close(m);
}

static void it_forgets_the_oldest_first(void **state)
{
	struct nv_seen_log *m = open_memo(state, 4);
	char key[16];
	for (unsigned i = 0; i < 10; i++) {
		snprintf(key, sizeof key, "key%u", i);
		nv_seen_log_put(m, key, i);
	}
	for (unsigned i = 0; i < 10; i++) {
		snprintf(key, sizeof key, "key%u", i);
		assert_int_equal(nv_seen_log_get(m, key, NULL), i >= 6);
	}
	nv_seen_log_close(m);
}

static void it_remembers_across_a_restart(void **state)
{
	struct nv_seen_log *m = open_memo(state, 4);
	uint64_t value = 0;
	assert_true(nv_seen_log_is_empty(m));
	for (unsigned i = 0; i < 6; i++) {
		char key[16];
		snprintf(key, sizeof key, "key%u", i);
		nv_seen_log_put(m, key, i);
	}
	nv_seen_log_put(m, "key5", 50);
	nv_seen_log_close(m);
	m = open_memo(state, 4);
	assert_false(nv_seen_log_is_empty(m));
	assert_false(nv_seen_log_get(m, "key1", NULL));
	assert_true(nv_seen_log_get(m, "key5", &value));
	assert_int_equal(value, 50);
	nv_seen_log_close(m);
	/* and what is put after the restart pushes out the oldest, not the newest */
	m = open_memo(state, 4);
	nv_seen_log_put(m, "new", 1);
	assert_false(nv_seen_log_get(m, "key2", NULL));
	assert_true(nv_seen_log_get(m, "key5", NULL));
	nv_seen_log_close(m);
}

static void a_line_cut_short_by_a_crash_is_no_harm(void **state)
{
	nv_auto_free char *path = nv_asprintf("%s/memo", (char *)*state);
	static const char text[] = "whole 7\nnonsense\n 3\ncut-sho";
	assert_int_equal(nv_write_file(path, text, strlen(text), 0600, NULL), 0);
	struct nv_seen_log *m = open_memo(state, 4);
	uint64_t value = 0;
	assert_true(nv_seen_log_get(m, "whole", &value));
	assert_int_equal(value, 7);
	assert_false(nv_seen_log_get(m, "cut-sho", NULL));
	assert_false(nv_seen_log_get(m, "nonsense", NULL));
	nv_seen_log_close(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)
		T(it_knows_what_it_was_told_and_nothing_else),
		T(it_forgets_the_oldest_first),
		T(it_remembers_across_a_restart),
		T(a_line_cut_short_by_a_crash_is_no_harm),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
