/* SPDX-License-Identifier: GPL-3.0-or-later */
/* core/accounts: the accounts file. */
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/id.h"
#include "core/accounts/accounts.h"

struct fixture {
	char dir[64];
	char path[96];
};

static int set_up(void **state)
{
	struct fixture *f = nv_alloc(sizeof *f);
	strcpy(f->dir, "/tmp/nv-accounts-XXXXXX");
	if (!mkdtemp(f->dir))
		return -1;
	snprintf(f->path, sizeof f->path, "%s/accounts", f->dir);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	nv_remove_tree(f->dir, NULL);
	free(f);
	return 0;
}

static char anna[] = "anna", name[] = "Anna Berg", mail[] = "anna@example.org", lang[] = "fr",
	    right[] = NV_CAP_USER_DATA;
static char *rights[] = {right};
static const struct nv_account account = {.username = anna,
					  .name = name,
					  .mail = mail,
					  .lang = lang,
					  .capabilities = rights,
					  .capabilities_len = 1};

static void an_added_account_can_be_read_and_its_password_verified(void **state)
{
	struct fixture *f = *state;
	struct nv_err err;
	struct nv_accounts all;
	struct stat st;
	assert_int_equal(nv_account_add(f->path, &account, "correct horse", &err), 0);
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(nv_accounts_load(f->path, &all, &err), 0);
	const struct nv_account *a = nv_accounts_find(&all, "anna");
	assert_non_null(a);
	assert_string_equal(a->name, "Anna Berg");
	assert_string_equal(a->mail, "anna@example.org");
	assert_string_equal(a->lang, "fr");
	assert_false(a->admin);
	assert_true(nv_account_may(a, NV_CAP_USER_DATA));
	assert_false(nv_account_may(a, NV_CAP_COURSE_LINK));
	assert_null(strstr(a->password, "horse"));
	assert_true(nv_password_verify(a->password, "correct horse"));
	assert_false(nv_password_verify(a->password, "correct horsf"));
	assert_false(nv_password_verify(a->password, ""));
	assert_null(nv_accounts_find(&all, "ann"));
	nv_accounts_fini(&all);
}

static void a_name_is_taken_once(void **state)
{
	struct fixture *f = *state;
	struct nv_err err;
	assert_int_equal(nv_account_add(f->path, &account, "correct horse", &err), 0);
	assert_int_equal(nv_account_add(f->path, &account, "another one", &err), -1);
	assert_int_equal(err.reason, NV_R_conflict);
}

static void a_new_password_replaces_the_old(void **state)
{
	struct fixture *f = *state;
	struct nv_err err;
	struct nv_accounts all;
	assert_int_equal(nv_account_add(f->path, &account, "correct horse", &err), 0);
	assert_int_equal(chmod(f->path, 0640), 0);
	assert_int_equal(nv_account_passwd(f->path, "anna", "battery staple", &err), 0);
	assert_int_equal(nv_account_passwd(f->path, "bert", "battery staple", &err), -1);
	assert_int_equal(err.reason, NV_R_not_found);
	assert_int_equal(nv_accounts_load(f->path, &all, &err), 0);
	assert_true(nv_password_verify(all.items[0].password, "battery staple"));
	assert_false(nv_password_verify(all.items[0].password, "correct horse"));
	assert_string_equal(all.items[0].name, "Anna Berg");
	nv_accounts_fini(&all);
	struct stat st;
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
}

static void a_removed_account_is_gone(void **state)
{
	struct fixture *f = *state;
	struct nv_err err;
	struct nv_accounts all;
	assert_int_equal(nv_account_add(f->path, &account, "correct horse", &err), 0);
	assert_int_equal(nv_account_remove(f->path, "anna", &err), 0);
	assert_int_equal(nv_account_remove(f->path, "anna", &err), -1);
	assert_int_equal(err.reason, NV_R_not_found);
	assert_int_equal(nv_accounts_load(f->path, &all, &err), 0);
	assert_int_equal(all.len, 0);
	nv_accounts_fini(&all);
}

static void what_is_not_allowed_in_an_account_is_refused(void **state)
{
	struct fixture *f = *state;
	struct nv_err err;
	struct nv_account bad = account;
	char spaced[] = "an na", long_lang[] = "a-language-of-17b";
	assert_int_equal(nv_account_add(f->path, &account, "short", &err), -1);
	assert_int_equal(err.reason, NV_R_bad_message);
	bad.username = spaced;
	assert_int_equal(nv_account_add(f->path, &bad, "correct horse", &err), -1);
	bad = account;
	bad.lang = long_lang;
	assert_int_equal(nv_account_add(f->path, &bad, "correct horse", &err), -1);
	assert_int_equal(access(f->path, F_OK), -1);
}

static void a_wrong_file_is_named_with_account_and_field(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *text;
		const char *want;
	} bad[] = {
		{"{", ":1:"},
		{"[]", "{\"accounts\": [...]}"},
		{"{\"accounts\": [], \"x\": 1}", "{\"accounts\": [...]}"},
		{"{\"accounts\": [1]}", "accounts[0]"},
		{"{\"accounts\": [{\"password\": \"x\"}]}", "accounts[0].username: missing"},
		{"{\"accounts\": [{\"username\": \"a\"}]}", "accounts[0].password: missing"},
		{"{\"accounts\": [{\"username\": \"a\", \"password\": \"x\", \"role\": 1}]}",
		 "accounts[0].role: unknown field"},
		{"{\"accounts\": [{\"username\": \"a b\", \"password\": \"x\"}]}",
		 "accounts[0].username: not"},
		{"{\"accounts\": [{\"username\": \"a\", \"password\": \"x\", \"admin\": \"yes\"}]}",
		 "accounts[0].admin: not true or false"},
		{"{\"accounts\": [{\"username\": \"a\", \"password\": \"x\", \"capabilities\": "
		 "[1]}]}",
		 "accounts[0].capabilities"},
		{"{\"accounts\": [{\"username\": \"a\", \"password\": \"x\"}, "
		 "{\"username\": \"a\", \"password\": \"y\"}]}",
		 "accounts[1].username: stands twice"},
	};
	for (size_t i = 0; i < NV_ARRAY_LEN(bad); i++) {
		struct nv_accounts all;
		struct nv_err err;
		assert_int_equal(
			nv_write_file(f->path, bad[i].text, strlen(bad[i].text), 0600, &err), 0);
		assert_int_equal(nv_accounts_load(f->path, &all, &err), -1);
		assert_int_equal(err.kind, NV_FATAL);
		assert_non_null(strstr(err.msg, f->path));
		if (!strstr(err.msg, bad[i].want))
			fail_msg("\"%s\" does not tell \"%s\"", err.msg, bad[i].want);
	}
}

static void an_unknown_name_takes_as_long_as_a_wrong_password(void **state)
{
	struct fixture *f = *state;
	struct nv_err err;
	struct nv_accounts all;
	assert_int_equal(nv_account_add(f->path, &account, "correct horse", &err), 0);
	assert_int_equal(nv_accounts_load(f->path, &all, &err), 0);
	uint64_t t0 = nv_mono_ms();
	assert_false(nv_password_verify(all.items[0].password, "wrong password"));
	uint64_t t1 = nv_mono_ms();
	assert_false(nv_password_verify(NULL, "wrong password"));
	uint64_t t2 = nv_mono_ms();
	/* the machine may be busy: what is not computed takes no time at all */
	assert_true((t2 - t1) * 5 >= t1 - t0);
	nv_accounts_fini(&all);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(an_added_account_can_be_read_and_its_password_verified),
		T(a_name_is_taken_once),
		T(a_new_password_replaces_the_old),
		T(a_removed_account_is_gone),
		T(what_is_not_allowed_in_an_account_is_refused),
		T(a_wrong_file_is_named_with_account_and_field),
		T(an_unknown_name_takes_as_long_as_a_wrong_password),
	};
	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
