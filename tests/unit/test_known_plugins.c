/* SPDX-License-Identifier: GPL-3.0-or-later */
/* worker/restore/known_plugins.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "worker/restore/known_plugins.h"

static void what_may_be_left_out_is_not_known_to_be_there(void **state)
{
	(void)state;
	char name[] = "mod_chat";
	struct nv_plugin plugins[] = {{.name = name}};
	struct nv_list needs = {plugins, 1};
	struct known_plugins *a = nv_known_plugins_new();
	assert_false(nv_known_plugins_all(a, &needs, true));
	nv_known_plugins_add(a, &needs, true);
	assert_true(nv_known_plugins_all(a, &needs, true));
	assert_false(nv_known_plugins_all(a, &needs, false));
	nv_known_plugins_add(a, &needs, false);
	nv_known_plugins_add(a, &needs, true); /* takes nothing back */
	assert_true(nv_known_plugins_all(a, &needs, true));
	assert_true(nv_known_plugins_all(a, &needs, false));
	nv_known_plugins_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_may_be_left_out_is_not_known_to_be_there),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
