/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a restored course has less of: found, written as text, read back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "proto/inventory.h"

#define C(kind, type, count)                            \
	{                                               \
		(char *)(kind), (char *)(type), (count) \
	}
#define LIST(array) ((struct nv_list){array, sizeof(array) / sizeof(*(array))})

static const struct nv_difference *at(const struct nv_list *l, size_t i)
{
	assert_in_range(i, 0, l->len - 1);
	return &((const struct nv_difference *)l->items)[i];
}

static void assert_difference(const struct nv_difference *d, const char *kind, const char *type,
			      uint64_t had, uint64_t has)
{
	assert_string_equal(d->kind, kind);
	assert_string_equal(d->type, type);
	assert_true(d->had == had && d->has == has);
}

static void what_is_missing_or_less_is_a_difference(void **state)
{
	(void)state;
	nv_auto_arena struct nv_arena arena = {0};
	struct nv_count had[] = {C("section", "", 5), C("activity", "quiz", 2),
				 C("activity", "wiki", 1), C("activity", "forum", 3)};
	struct nv_count has[] = {C("section", "", 4), C("activity", "forum", 3),
				 C("activity", "quiz", 1)};
	struct nv_list d, lhad = LIST(had), lhas = LIST(has);
	nv_inventory_compare(&lhad, &lhas, &d, &arena);
	assert_int_equal(d.len, 3);
	assert_difference(at(&d, 0), "section", "", 5, 4);
	assert_difference(at(&d, 1), "activity", "quiz", 2, 1);
	assert_difference(at(&d, 2), "activity", "wiki", 1, 0);
}

static void more_than_there_was_is_none(void **state)
{
	(void)state;
	nv_auto_arena struct nv_arena arena = {0};
	struct nv_count had[] = {C("person", "", 5), C("activity", "quiz", 2)};
	struct nv_count has[] = {C("person", "", 6), C("activity", "quiz", 2),
				 C("activity", "qbank", 1)};
	struct nv_list d, lhad = LIST(had), lhas = LIST(has);
	nv_inventory_compare(&lhad, &lhas, &d, &arena);
	assert_int_equal(d.len, 0);
}

static void what_the_other_side_did_not_count_is_not_compared(void **state)
{
	(void)state;
	nv_auto_arena struct nv_arena arena = {0};
	struct nv_count had[] = {C("activity", "wiki", 1), C("dream", "", 7), C("file", "x", 2)};
	struct nv_count has[] = {C("activity", "", 0), C("file", "y", 2)};
	struct nv_list d, lhad = LIST(had), lhas = LIST(has), none = {0};
	nv_inventory_compare(&lhad, &lhas, &d, &arena);
	assert_int_equal(d.len, 2);
	assert_difference(at(&d, 0), "activity", "wiki", 1, 0);
	assert_difference(at(&d, 1), "file", "x", 2, 0);
	nv_inventory_compare(&none, &lhas, &d, &arena);
	assert_int_equal(d.len, 0);
	nv_inventory_compare(&lhad, &none, &d, &arena);
	assert_int_equal(d.len, 0);
}

static void differences_survive_as_text(void **state)
{
	(void)state;
	nv_auto_arena struct nv_arena arena = {0};
	nv_auto_buf struct nv_buf text = {0};
	/* The names are the other side's: they become words. */
	struct nv_count had[] = {C("section", "", UINT64_MAX), C("activity", "a b\n%s-1.x_é", 2)};
	struct nv_count has[] = {C("section", "", 0), C("activity", "", 0)};
	struct nv_list d, back, lhad = LIST(had), lhas = LIST(has);
	nv_inventory_compare(&lhad, &lhas, &d, &arena);
	nv_differences_put(&d, &text);
	assert_int_equal(text.len, strlen("section - 18446744073709551615 0\n"
					  "activity a_b__s-1.x___ 2 0\n"));
	nv_differences_get((const char *)text.data, text.len, &back, &arena);
	assert_int_equal(back.len, 2);
	assert_difference(at(&back, 0), "section", "", UINT64_MAX, 0);
	assert_difference(at(&back, 1), "activity", "a_b__s-1.x___", 2, 0);
}

static void lines_that_are_none_are_left_out(void **state)
{
	(void)state;
	nv_auto_arena struct nv_arena arena = {0};
	static const char text[] = "\n\nactivity wiki 1\nsection - x 0\nfile mod_page 3 1";
	struct nv_list back;
	nv_differences_get(text, sizeof text - 1, &back, &arena);
	assert_int_equal(back.len, 1);
	assert_difference(at(&back, 0), "file", "mod_page", 3, 1);
	nv_differences_get("", 0, &back, &arena);
	assert_int_equal(back.len, 0);
}

static void a_difference_is_said_in_one_line(void **state)
{
	(void)state;
	struct nv_difference typed = {(char *)"activity", (char *)"wiki", 2, 1};
	struct nv_difference plain = {(char *)"section", (char *)"", 5, 4};
	nv_auto_free char *one = nv_difference_text(&typed);
	nv_auto_free char *other = nv_difference_text(&plain);
	assert_string_equal(one, "activity wiki: the course had 2, the restored one has 1");
	assert_string_equal(other, "section: the course had 5, the restored one has 4");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_missing_or_less_is_a_difference),
		cmocka_unit_test(more_than_there_was_is_none),
		cmocka_unit_test(what_the_other_side_did_not_count_is_not_compared),
		cmocka_unit_test(differences_survive_as_text),
		cmocka_unit_test(lines_that_are_none_are_left_out),
		cmocka_unit_test(a_difference_is_said_in_one_line),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
