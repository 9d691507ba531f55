/* SPDX-License-Identifier: GPL-3.0-or-later */
/* producer/: bodies, what is allowed to whom, idempotency, cross-site requests. */
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "producer/answer.h"
#include "producer/requests/request_input.h"
#include "producer/session/csrf.h"

/* --- cross-site requests --- */

static struct csrf_facts browser(void)
{
	return (struct csrf_facts){.method = "POST",
				   .cookie = true,
				   .sent = "0123456789abcdef",
				   .expected = "0123456789abcdef",
				   .origin = "https://navette.example.org",
				   .fetch_site = "same-origin",
				   .host = "navette.example.org",
				   .base_url = "https://navette.example.org/"};
}

static void our_own_page_may_change_things(void **state)
{
	(void)state;
	struct csrf_facts f = browser();
	assert_int_equal(nv_csrf_check(&f), CSRF_FINE);
	f.origin = f.fetch_site = NULL; /* an old browser */
	assert_int_equal(nv_csrf_check(&f), CSRF_FINE);
	f = browser();
	f.base_url = "http://127.0.0.1:8080"; /* reached by another name */
	assert_int_equal(nv_csrf_check(&f), CSRF_FINE);
}

static void another_sites_page_may_not(void **state)
{
	(void)state;
	static const char *const origins[] = {"https://evil.example",
					      "null",
					      "http://navette.example.org.evil.example",
					      "https://navette.example.orgx",
					      "https://navette.example.org:444",
					      "ftp://navette.example.org",
					      ""};
	for (size_t i = 0; i < NV_ARRAY_LEN(origins); i++) {
		struct csrf_facts f = browser();
		f.origin = origins[i];
		assert_int_equal(nv_csrf_check(&f), CSRF_OTHER_SITE);
	}
	static const char *const sites[] = {"cross-site", "same-site", "", "Same-Origin"};
	for (size_t i = 0; i < NV_ARRAY_LEN(sites); i++) {
		struct csrf_facts f = browser();
		f.fetch_site = sites[i];
		assert_int_equal(nv_csrf_check(&f), CSRF_OTHER_SITE);
	}
	struct csrf_facts f = browser();
	f.signing_in = true;
	f.origin = "https://evil.example";
	assert_int_equal(nv_csrf_check(&f), CSRF_OTHER_SITE);
}

static void a_cookie_alone_changes_nothing(void **state)
{
	(void)state;
	struct csrf_facts f = browser();
	f.sent = NULL;
	assert_int_equal(nv_csrf_check(&f), CSRF_NO_TOKEN);
	f.sent = "";
	assert_int_equal(nv_csrf_check(&f), CSRF_NO_TOKEN);
	f.sent = "0123456789abcdee";
	assert_int_equal(nv_csrf_check(&f), CSRF_NO_TOKEN);
	f.sent = "0123456789abcde";
	assert_int_equal(nv_csrf_check(&f), CSRF_NO_TOKEN);
	static const char *const methods[] = {"PUT", "PATCH", "DELETE", "BREW"};
	for (size_t i = 0; i < NV_ARRAY_LEN(methods); i++) {
		f.method = methods[i];
		assert_int_equal(nv_csrf_check(&f), CSRF_NO_TOKEN);
	}
	f.method = "GET";
	assert_int_equal(nv_csrf_check(&f), CSRF_FINE);
}

static void a_token_in_authorization_needs_no_more(void **state)
{
	(void)state;
	struct csrf_facts f = {.method = "POST", .host = "x"};
	assert_int_equal(nv_csrf_check(&f), CSRF_FINE);
}

/* --- bodies --- */

struct rig {
	struct nv_config config;
	struct nv_config_site site;
	const char *roles[1];
	struct session teacher, trusted, admin;
	struct nv_arena arena;
	struct nv_err err;
	struct nv_restore_request q;
	struct request_input w;
	json_t *o;
};

static int set_up(void **state)
{
	struct rig *r = nv_alloc(sizeof *r);
	r->roles[0] = "editingteacher";
	r->site = (struct nv_config_site){.name = "last-year",
					  .label = "Last year",
					  .search_roles = r->roles,
					  .search_roles_len = 1};
	r->config.sites = &r->site;
	r->config.sites_len = 1;
	r->teacher = (struct session){.username = "ada", .identity = "ada"};
	r->trusted = r->teacher;
	r->trusted.may_user_data = true;
	r->admin = (struct session){
		.username = "root", .identity = "root", .admin = true, .may_user_data = true};
	*state = r;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *r = *state;
	json_decref(r->o);
	nv_arena_fini(&r->arena);
	free(r);
	return 0;
}

/* The body is read (and judged for s, unless NULL): 0, or the HTTP status. */
static unsigned ask(struct rig *r, const struct session *s, const char *text)
{
	json_decref(r->o);
	r->o = json_loads(text, 0, NULL);
	assert_non_null(r->o);
	struct body b = {.o = r->o, .where = "requests[3].", .err = &r->err};
	if (nv_request_input_read_new(&b, &r->w) < 0 ||
	    (s && nv_request_input_judge_new(&r->config, s, &r->w, b.where, &r->q, &r->arena,
					     &r->err) < 0))
		return nv_api_status(&r->err);
	return 0;
}

static unsigned change(struct rig *r, const struct session *s, const char *text)
{
	json_decref(r->o);
	r->o = json_loads(text, 0, NULL);
	assert_non_null(r->o);
	struct body b = {.o = r->o, .where = "", .err = &r->err};
	if (nv_request_input_read_change(&b, &r->w) < 0 ||
	    nv_request_input_judge_change(&r->config, s, &r->w, &r->q, &r->arena, &r->err) < 0)
		return nv_api_status(&r->err);
	return 0;
}

#define COURSE "\"site\": \"last-year\", \"course\": \"7\""

static void a_plain_wish_becomes_a_request(void **state)
{
	struct rig *r = *state;
	assert_int_equal(ask(r, &r->teacher, "{" COURSE "}"), 0);
	assert_string_equal(r->q.site, "last-year");
	assert_string_equal(r->q.course, "7");
	assert_string_equal(r->q.user, "ada");
	assert_null(r->q.by);
	assert_int_equal(r->q.rev, 1);
	assert_int_equal(r->q.source, NV_SRC_API);
	assert_int_equal(r->q.roles.len, 1);
	assert_string_equal(r->q.roles.items[0], "editingteacher");
	assert_false(r->q.user_data);
	assert_false(r->q.now);
}

static void every_wrong_field_is_named(void **state)
{
	struct rig *r = *state;
	static const struct {
		const char *text, *want;
	} bad[] = {
		{"{\"course\": \"7\"}", "requests[3].site: missing"},
		{"{\"site\": \"last-year\"}", "requests[3].course: missing"},
		{"{\"site\": 1, \"course\": \"7\"}", "requests[3].site: not a string"},
		{"{\"site\": \"Last Year\", \"course\": \"7\"}", "requests[3].site: not the name"},
		{"{\"site\": \"last-year\", \"course\": 7}", "requests[3].course: not a string"},
		{"{\"site\": \"last-year\", \"course\": \"\"}", "requests[3].course: not 1 to 64"},
		{"{\"site\": \"last-year\", \"course\": \"a\\nb\"}", "requests[3].course: holds"},
		{"{" COURSE ", \"colour\": 1}", "requests[3].colour: unknown field"},
		{"{" COURSE ", \"user_data\": 1}", "requests[3].user_data: not true or false"},
		{"{" COURSE ", \"user_data\": null}", "requests[3].user_data: not true or false"},
		{"{" COURSE ", \"keep_category\": \"yes\"}", "requests[3].keep_category: not true"},
		{"{" COURSE ", \"enrolment\": \"never\"}",
		 "requests[3].enrolment: not one of always, with-users, manual"},
		{"{" COURSE ", \"source\": 0}", "requests[3].source: not one of page"},
		{"{" COURSE ", \"now\": \"now\"}", "requests[3].now: not true or false"},
		{"{" COURSE ", \"user\": \"\"}", "requests[3].user: not 1 to 255"},
		{"{" COURSE ", \"category\": 5}", "requests[3].category: not a string"},
	};
	for (size_t i = 0; i < NV_ARRAY_LEN(bad); i++) {
		assert_int_equal(ask(r, NULL, bad[i].text), 422);
		if (strncmp(r->err.msg, bad[i].want, strlen(bad[i].want)) != 0)
			fail_msg("\"%s\" does not begin with \"%s\"", r->err.msg, bad[i].want);
	}
	assert_int_equal(ask(r, &r->teacher, "{\"site\": \"elsewhere\", \"course\": \"7\"}"), 422);
	assert_int_equal(r->err.reason, NV_R_site_unknown);
}

static void a_teacher_asks_for_nobody_else_and_for_nothing_reserved(void **state)
{
	struct rig *r = *state;
	assert_int_equal(ask(r, &r->teacher, "{" COURSE ", \"user\": \"ada\"}"), 0);
	assert_int_equal(ask(r, &r->teacher, "{" COURSE ", \"user\": \"emmy\"}"), 403);
	assert_int_equal(ask(r, &r->teacher, "{" COURSE ", \"user\": null}"), 403);
	assert_int_equal(ask(r, &r->teacher, "{" COURSE ", \"now\": true}"), 403);
	assert_int_equal(ask(r, &r->teacher, "{" COURSE ", \"now\": false}"), 0);
	assert_int_equal(ask(r, &r->teacher, "{" COURSE ", \"category\": \"SCI\"}"), 403);
	assert_int_equal(ask(r, &r->teacher, "{" COURSE ", \"source\": \"admin\"}"), 403);
	assert_int_equal(ask(r, &r->teacher, "{" COURSE ", \"source\": \"command\"}"), 0);
	assert_int_equal(r->q.source, NV_SRC_COMMAND);
}

static void user_data_is_chosen_only_by_who_holds_the_capability(void **state)
{
	struct rig *r = *state;
	assert_int_equal(ask(r, &r->teacher, "{" COURSE ", \"user_data\": true}"), 403);
	assert_int_equal(ask(r, &r->teacher, "{" COURSE ", \"user_data\": false}"), 0);
	assert_int_equal(ask(r, &r->teacher, "{" COURSE ", \"enrolment\": \"manual\"}"), 403);
	assert_int_equal(ask(r, &r->trusted, "{" COURSE ", \"user_data\": true}"), 0);
	assert_true(r->q.user_data);
	assert_int_equal(ask(r, &r->trusted, "{" COURSE ", \"enrolment\": \"manual\"}"), 0);
	assert_int_equal(r->q.enrolment, NV_ENROL_MANUAL);
	assert_int_equal(ask(r, &r->trusted, "{" COURSE ", \"enrolment\": \"with-users\"}"), 422);
	assert_int_equal(ask(r, &r->trusted,
			     "{" COURSE ", \"enrolment\": \"with-users\", \"user_data\": true}"),
			 0);
	r->config.restore.user_data = true; /* the setting of the whole site */
	assert_int_equal(ask(r, &r->teacher, "{" COURSE "}"), 0);
	assert_true(r->q.user_data);
	assert_int_equal(ask(r, &r->teacher, "{" COURSE ", \"user_data\": false}"), 403);
}

static void what_the_client_lacks_is_left_out_by_the_setting_or_by_choice(void **state)
{
	struct rig *r = *state;
	for (int yes = 0; yes < 2; yes++) {
		r->config.restore.leave_out = yes;
		assert_int_equal(ask(r, &r->teacher, "{" COURSE "}"), 0);
		assert_int_equal(r->q.leave_out, yes);
		assert_int_equal(ask(r, &r->teacher, "{" COURSE ", \"leave_out\": false}"), 0);
		assert_false(r->q.leave_out);
		assert_int_equal(change(r, &r->teacher, "{\"leave_out\": true}"), 0);
		assert_true(r->q.leave_out);
	}
	assert_int_equal(ask(r, &r->teacher, "{" COURSE ", \"leave_out\": null}"), 422);
}

static void a_client_that_is_a_folder_leaves_nothing_out(void **state)
{
	struct rig *r = *state;
	r->config.restore.leave_out = true;
	r->config.site.type = NV_SITE_FOLDER;
	r->config.site.path = "/srv/courses";
	assert_int_equal(ask(r, &r->teacher, "{" COURSE "}"), 0);
	assert_false(r->q.leave_out);
	r->config.site.type = NV_SITE_MOODLE;
	assert_int_equal(ask(r, &r->teacher, "{" COURSE "}"), 0);
	assert_true(r->q.leave_out);
}

static void a_mode_that_holds_already_may_be_named_also_without_user_data(void **state)
{
	struct rig *r = *state;
	const struct session *const both[] = {&r->teacher, &r->trusted};
	r->config.restore.enrolment = NV_ENROL_WITH_USERS; /* the setting of the whole site */
	for (size_t i = 0; i < NV_ARRAY_LEN(both); i++) {
		assert_int_equal(ask(r, both[i], "{" COURSE ", \"enrolment\": \"with-users\"}"), 0);
		assert_int_equal(r->q.enrolment, NV_ENROL_WITH_USERS);
		assert_int_equal(
			change(r, both[i], "{\"user_data\": false, \"enrolment\": \"with-users\"}"),
			0);
		assert_int_equal(r->q.enrolment, NV_ENROL_WITH_USERS);
	}
	/* Once it is another, it cannot come back without user data. */
	assert_int_equal(change(r, &r->trusted, "{\"enrolment\": \"always\"}"), 0);
	assert_int_equal(change(r, &r->trusted, "{\"enrolment\": \"with-users\"}"), 422);
	assert_int_equal(r->q.enrolment, NV_ENROL_ALWAYS);
}

static void the_original_category_is_kept_only_where_the_site_offers_it(void **state)
{
	struct rig *r = *state;
	assert_int_equal(ask(r, &r->teacher, "{" COURSE ", \"keep_category\": true}"), 403);
	r->config.restore.original_category = true;
	assert_int_equal(ask(r, &r->teacher, "{" COURSE ", \"keep_category\": true}"), 0);
	assert_true(r->q.keep_category);
	assert_int_equal(ask(r, &r->teacher, "{" COURSE "}"), 0);
	assert_false(r->q.keep_category);
	r->config.restore.original_category_checked = true;
	assert_int_equal(ask(r, &r->teacher, "{" COURSE "}"), 0);
	assert_true(r->q.keep_category);
}

static void an_administrator_asks_for_others_or_for_nobody(void **state)
{
	struct rig *r = *state;
	assert_int_equal(ask(r, &r->admin, "{" COURSE "}"), 0);
	assert_null(r->q.user);
	assert_string_equal(r->q.by, "root");
	assert_int_equal(ask(r, &r->admin,
			     "{" COURSE
			     ", \"user\": \"ada\", \"now\": true, \"category\": \"SCI\"}"),
			 0);
	assert_string_equal(r->q.user, "ada");
	assert_string_equal(r->q.by, "root");
	assert_true(r->q.now);
	assert_string_equal(r->q.category, "SCI");
	assert_int_equal(ask(r, &r->admin, "{" COURSE ", \"user\": \"root\"}"), 0);
	assert_null(r->q.by);
}

static void a_change_says_what_and_of_which_revision(void **state)
{
	struct rig *r = *state;
	assert_int_equal(ask(r, &r->admin, "{" COURSE ", \"user\": \"ada\"}"), 0);
	assert_int_equal(change(r, &r->admin, "{}"), 422);
	assert_int_equal(change(r, &r->admin, "{\"rev\": 1}"), 422);
	assert_int_equal(change(r, &r->admin, "{\"rev\": 0, \"user_data\": true}"), 422);
	assert_int_equal(change(r, &r->admin, "{\"site\": \"x\"}"), 422);
	assert_int_equal(change(r, &r->admin, "{\"rev\": 2, \"user_data\": true}"), 409);
	assert_int_equal(change(r, &r->admin, "{\"rev\": 1, \"category\": \"SCI\"}"), 0);
	assert_string_equal(r->q.category, "SCI");
	assert_int_equal(change(r, &r->admin, "{\"category\": null}"), 0);
	assert_null(r->q.category);
	assert_int_equal(change(r, &r->teacher, "{\"user_data\": true}"), 403);
	assert_int_equal(change(r, &r->teacher, "{\"user_data\": false}"), 0);
}

/* --- idempotency --- */

static void the_same_wishes_have_the_same_hash_however_written(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"{\"site\": \"a\", \"course\": \"1\"}",
		"{\"course\":\"1\",\n \"site\":\"\\u0061\"}",
		"{\"site\": \"a\", \"course\": \"2\"}",
		"{\"requests\": [{\"site\": \"a\", \"course\": \"1\"}]}",
	};
	char hash[4][65];
	for (size_t i = 0; i < 4; i++) {
		json_t *o = json_loads(texts[i], 0, NULL);
		nv_request_input_hash(o, hash[i]);
		json_decref(o);
	}
	assert_string_equal(hash[0], hash[1]);
	assert_string_not_equal(hash[0], hash[2]);
	assert_string_not_equal(hash[0], hash[3]);
}

static void an_idempotency_key_is_one_persons(void **state)
{
	(void)state;
	static const char *const pairs[][2] = {
		{"ada", "b c"},	  {"ada b", "c"},     {"ada", "b"},
		{"ada b", "b c"}, {"ada b b", "c"},   {" 5 ada b", "c"},
		{"5", "ada b c"}, {" ", "5 ada b c"}, {" 5 ada", "b c"},
	};
	char hash[NV_ARRAY_LEN(pairs)][65];
	char known[65];
	for (size_t i = 0; i < NV_ARRAY_LEN(pairs); i++) {
		nv_request_input_key_hash(pairs[i][0], pairs[i][1], hash[i]);
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(hash[i], hash[k]);
	}
	/* As every release has kept it in Redis: sha256("ada b"). */
	nv_hash_hex(NV_SHA256, "ada b", 5, known);
	assert_string_equal(hash[2], known);
}

static void an_idempotency_key_is_printable_and_short(void **state)
{
	(void)state;
	char text[202];
	memset(text, 'k', sizeof text);
	text[200] = '\0';
	assert_true(nv_request_input_key_valid(text));
	text[200] = 'k';
	text[201] = '\0';
	assert_false(nv_request_input_key_valid(text));
	assert_true(nv_request_input_key_valid("a b-c_1"));
	assert_false(nv_request_input_key_valid(""));
	assert_false(nv_request_input_key_valid("a\tb"));
	assert_false(nv_request_input_key_valid("\xc3\xa9"));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(our_own_page_may_change_things),
		cmocka_unit_test(another_sites_page_may_not),
		cmocka_unit_test(a_cookie_alone_changes_nothing),
		cmocka_unit_test(a_token_in_authorization_needs_no_more),
		T(a_plain_wish_becomes_a_request),
		T(every_wrong_field_is_named),
		T(a_teacher_asks_for_nobody_else_and_for_nothing_reserved),
		T(user_data_is_chosen_only_by_who_holds_the_capability),
		T(what_the_client_lacks_is_left_out_by_the_setting_or_by_choice),
		T(a_client_that_is_a_folder_leaves_nothing_out),
		T(a_mode_that_holds_already_may_be_named_also_without_user_data),
		T(the_original_category_is_kept_only_where_the_site_offers_it),
		T(an_administrator_asks_for_others_or_for_nobody),
		T(a_change_says_what_and_of_which_revision),
		cmocka_unit_test(the_same_wishes_have_the_same_hash_however_written),
		cmocka_unit_test(an_idempotency_key_is_one_persons),
		cmocka_unit_test(an_idempotency_key_is_printable_and_short),
	};
	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
