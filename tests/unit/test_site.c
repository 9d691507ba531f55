/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The directory site: its site.json, catalog, export, and making one. */
#include "tests/unit/site_fixture.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int run_catalog(struct fixture *f, const char *field, const char *user,
		       struct nv_catalog_reply *ret)
{
	struct nv_catalog_request q = {
		.id = f->request.id,
		.user = nv_arena_strdup(&f->arena, user),
		.user_field = nv_arena_strdup(&f->arena, field),
		.roles = {f->roles, 1},
	};
	return nv_site_catalog(f->src, &q, ret, &f->arena, &f->err);
}

/* "10,11" */
static const char *ids_of(struct fixture *f, const struct nv_catalog_reply *r)
{
	const struct nv_course *c = r->courses.items;
	char *all = nv_arena_strdup(&f->arena, "");
	for (size_t i = 0; i < r->courses.len; i++)
		all = nv_arena_printf(&f->arena, "%s%s%s", all, i ? "," : "", c[i].course);
	return all;
}

static int run_export(struct fixture *f, const struct nv_config_client *policy,
		      struct nv_manifest *ret, struct nv_strs *warnings)
{
	unsigned count = 0;
	struct nv_sink sink = {.entry_cb = ignore_entry, .ctx = &count};
	int rc = nv_site_export(f->src, &f->request, policy, &no_limits, &sink, NULL, ret, warnings,
				&f->arena, &f->err);
	assert_true(rc == 0 ? count == 3 : count == 0);
	return rc;
}

static void expect_export_refused(struct fixture *f, const struct nv_config_client *policy,
				  enum nv_reason reason)
{
	struct nv_manifest about = {0};
	struct nv_strs warnings = {0};
	f->err = (struct nv_err){0};
	assert_int_equal(run_export(f, policy, &about, &warnings), -1);
	assert_int_equal(f->err.kind, NV_REJECT);
	if (f->err.reason != reason)
		fail_msg("%s is not %s: %s", nv_reason_word(f->err.reason), nv_reason_word(reason),
			 f->err.msg);
}

/* --- catalog --- */

static void catalog_finds_roles_in_the_course_and_in_categories_above(void **state)
{
	struct fixture *f = *state;
	struct nv_catalog_reply r;
	assert_int_equal(run_catalog(f, "username", "ada", &r), 0);
	assert_int_equal(r.status, NV_CAT_OK);
	assert_string_equal(ids_of(f, &r), "10"); /* student of 11, nothing in 12 */
	const struct nv_course *c = r.courses.items;
	assert_string_equal(c->shortname, "P1");
	assert_string_equal(c->fullname, "Course P1");
	assert_string_equal(c->category, "BIO");
	assert_string_equal(c->category_name, "Biology");
	assert_string_equal(c->role, "editingteacher");
	assert_true(c->size > 0);
	assert_true(r.at > 0 && r.moodle_version == 2024100705);
	assert_int_equal(run_catalog(f, "username", "dean", &r), 0);
	assert_string_equal(ids_of(f, &r), "10,11"); /* two categories up */
	c = r.courses.items;
	assert_string_equal(c[1].shortname, "U'; DROP");
	assert_string_equal(c[1].fullname, "Übung <b>");
	assert_int_equal(run_catalog(f, "username", "bob", &r), 0);
	assert_string_equal(ids_of(f, &r), "");
}

static void catalog_reply_can_be_encoded(void **state)
{
	struct fixture *f = *state;
	struct nv_catalog_reply r;
	nv_auto_buf struct nv_buf out = {0};
	assert_int_equal(run_catalog(f, "username", "dean", &r), 0);
	if (nv_record_encode(&nv_catalog_reply_record, &r, &out, &f->err) < 0)
		fail_msg("%s", f->err.msg);
}

static void catalog_knows_unknown_from_ambiguous_users(void **state)
{
	struct fixture *f = *state;
	struct nv_catalog_reply r;
	assert_int_equal(run_catalog(f, "username", "' OR 1=1 --", &r), 0);
	assert_int_equal(r.status, NV_CAT_UNKNOWN_USER);
	assert_int_equal(r.courses.len, 0);
	assert_int_equal(run_catalog(f, "email", "twin@example.org", &r), 0);
	assert_int_equal(r.status, NV_CAT_ERROR);
	assert_non_null(strstr(r.error, "several accounts"));
	assert_int_equal(run_catalog(f, "email", "ADA@example.org", &r), 0);
	assert_string_equal(ids_of(f, &r), "10");
	assert_int_equal(run_catalog(f, "idnumber", "7", &r), 0);
	assert_string_equal(ids_of(f, &r), "10");
	assert_int_equal(run_catalog(f, "idnumber", "", &r), 0);
	assert_int_equal(r.status, NV_CAT_UNKNOWN_USER); /* no idnumber is not an empty one */
	assert_int_equal(run_catalog(f, "password", "x", &r), 0);
	assert_int_equal(r.status, NV_CAT_ERROR);
}

static void catalog_ends_on_circular_categories(void **state)
{
	struct fixture *f = *state;
	struct nv_catalog_reply r;
	put_file(f, "src/site.json",
		 "{\"name\": \"x\", \"categories\": ["
		 "{\"id\": 1, \"name\": \"a\", \"parent\": 2},"
		 "{\"id\": 2, \"name\": \"b\", \"parent\": 1},"
		 "{\"id\": 3, \"name\": \"c\"}],"
		 "\"users\": [{\"username\": \"u\"}],"
		 "\"roles\": [{\"user\": \"u\", \"role\": \"editingteacher\", \"category\": 3}],"
		 "\"courses\": [{\"id\": 1, \"file\": \"plain.mbz\", \"category\": 1}]}");
	assert_int_equal(run_catalog(f, "username", "u", &r), 0);
	assert_int_equal(r.status, NV_CAT_OK);
	assert_int_equal(r.courses.len, 0);
}

static void catalog_says_which_courses_are_damaged(void **state)
{
	struct fixture *f = *state;
	struct nv_catalog_reply r;
	put_file(f, "src/backups/users.mbz", "no archive");
	assert_int_equal(run_catalog(f, "username", "dean", &r), 0);
	const struct nv_course *c = r.courses.items;
	assert_string_equal(ids_of(f, &r), "10,11");
	assert_null(c[0].damaged);
	assert_string_equal(
		c[1].damaged,
		"course 11: archive: users.mbz is neither a gzip-compressed tar nor a zip");
	assert_string_equal(c[1].shortname, "U'; DROP");	     /* as site.json names it */
	assert_int_equal(run_catalog(f, "username", "dean", &r), 0); /* as it is remembered */
	c = r.courses.items;
	assert_non_null(c[1].damaged);
	unlink(path_of(f, "src/backups/plain.mbz"));
	assert_int_equal(run_catalog(f, "username", "dean", &r), 0);
	c = r.courses.items;
	assert_string_equal(ids_of(f, &r), "10,11");
	assert_non_null(strstr(c[0].damaged, "its backup file plain.mbz"));
	/* A good one in its place is found by itself. */
	unlink(path_of(f, "src/backups/users.mbz"));
	make_backup(f, "src/backups/users.mbz", "U2", true);
	assert_int_equal(run_catalog(f, "username", "dean", &r), 0);
	c = r.courses.items;
	assert_null(c[1].damaged);
}

static void a_changed_backup_is_read_again(void **state)
{
	struct fixture *f = *state;
	struct nv_catalog_reply r;
	assert_int_equal(run_catalog(f, "username", "ada", &r), 0);
	unlink(path_of(f, "src/backups/plain.mbz"));
	make_backup(f, "src/backups/plain.mbz", "P2", false);
	assert_int_equal(run_catalog(f, "username", "ada", &r), 0);
	assert_string_equal(((struct nv_course *)r.courses.items)->shortname, "P2");
}

/* --- site.json --- */

static void a_mistake_in_site_json_is_named_with_its_line(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *json;
		const char *expected;
	} cases[] = {
		{"{\"name\": \"x\",\n \"users\": [}", "/src/site.json:2: not JSON: "},
		{"[]", "/src/site.json:1: an object { … } is expected"},
		{"{}", "/src/site.json:1: name: missing: a text is expected"},
		{"{\"name\": \"x\",\n\"nmae\": 1}", ":2: nmae: unknown key; known are name, "},
		{"{\"name\": \"x\",\n\"users\":\n{}}", ":3: users: a list [ … ] is expected"},
		{"{\"name\": \"x\",\n\"courses\":\n[3]}", ":3: courses[0]: an object { … } is"},
		{"{\"name\": \"x\", \"categories\": [\n{\"id\": 1, \"name\": \"]}\\\"\"},\n"
		 "{\"id\": 1,\n\"name\": \"b\"}]}",
		 ":3: categories[1].id: \"1\" stands there twice"},
		{"{\"name\": \"x\", \"categories\": [\n{\"id\": 1, \"name\": \"a\",\n"
		 "\"parent\": 9}]}",
		 ":3: categories[0].parent: there is no category \"9\""},
		{"{\"name\": \"x\", \"categories\": [{\"id\": 1, \"name\": \"a\"}],\n"
		 "\"courses\": [\n{\"id\": 1, \"category\": 1,\n\"file\": \"../etc/passwd\"}]}",
		 ":4: courses[0].file: the name of a file below backups/ is expected"},
		{"{\"name\": \"x\",\n\"users\": [{\"username\": \"u\",\n"
		 "\"can_create_in\": [7]}]}",
		 ":3: users[0].can_create_in: \"7\" is no category"},
		{"{\"name\": \"x\", \"users\": [{\"username\": \"u\"}],\n"
		 "\"roles\": [{\"user\": \"u\", \"role\": \"r\"}]}",
		 ":2: roles[0]: either course or category is expected"},
		{"{\"name\": \"x\",\n\"moodle_version\": \"four\"}",
		 ":2: moodle_version: a version number is expected"},
		{"{\"name\": \"x\", \"users\": [{\"username\":\n\"a\\u0007b\"}]}",
		 ":2: users[0].username: text without control characters"},
	};
	for (size_t i = 0; i < NV_ARRAY_LEN(cases); i++) {
		put_file(f, "src/site.json", cases[i].json);
		f->err = (struct nv_err){0};
		assert_null(nv_site_open(&f->src_config, &f->err));
		assert_int_equal(f->err.kind, NV_FATAL);
		assert_int_equal(f->err.reason, NV_R_config);
		if (!strstr(f->err.msg, cases[i].expected))
			fail_msg("%s\n  does not say: %s", f->err.msg, cases[i].expected);
	}
	unlink(path_of(f, "src/site.json"));
	assert_null(nv_site_open(&f->src_config, &f->err));
	assert_int_equal(f->err.reason, NV_R_config);
}

static void a_changed_site_json_is_read_again(void **state)
{
	struct fixture *f = *state;
	struct nv_catalog_reply r;
	assert_int_equal(run_catalog(f, "username", "ada", &r), 0);
	put_file(f, "src/site.json", "{\"name\": \"x\"}");
	assert_int_equal(run_catalog(f, "username", "ada", &r), 0);
	assert_int_equal(r.status, NV_CAT_UNKNOWN_USER);
	put_file(f, "src/site.json", "{\"name\": ");
	assert_int_equal(run_catalog(f, "username", "ada", &r), -1);
	assert_int_equal(f->err.kind, NV_RETRY); /* somebody is just editing it */
	put_file(f, "src/site.json", src_json);
	assert_int_equal(run_catalog(f, "username", "ada", &r), 0);
	assert_int_equal(r.status, NV_CAT_OK);
}

static void versions_are_those_of_site_json(void **state)
{
	struct fixture *f = *state;
	uint64_t version = 1;
	struct nv_list plugins;
	assert_int_equal(nv_site_versions(f->src, &version, &plugins, &f->arena, &f->err), 0);
	assert_true(version == 2024100705 && plugins.len == 1);
	assert_string_equal(((struct nv_plugin *)plugins.items)->name, "mod_quiz");
	assert_int_equal(nv_site_versions(f->dst, &version, &plugins, &f->arena, &f->err), 0);
	assert_true(version == 0 && plugins.len == 0);
	assert_non_null(strstr(nv_site_describe(f->src), "directory /"));
}

/* --- export --- */

static void export_checks_before_it_moves_a_byte(void **state)
{
	struct fixture *f = *state;
	char *course = f->request.course;
	f->request.course = nv_arena_strdup(&f->arena, "99");
	expect_export_refused(f, NULL, NV_R_course_missing);
	f->request.course = nv_arena_strdup(&f->arena, "../10");
	expect_export_refused(f, NULL, NV_R_course_missing);
	f->request.course = nv_arena_strdup(&f->arena, "11");
	expect_export_refused(f, NULL, NV_R_role_missing);
	f->request.user = nv_arena_strdup(&f->arena, "nobody");
	expect_export_refused(f, NULL, NV_R_unknown_user);
	f->request.user = nv_arena_strdup(&f->arena, "ada");
	f->request.course = course;
	f->request.moodle_version = 2024042200;
	expect_export_refused(f, NULL, NV_R_version_older);
	f->request.moodle_version = 2024100705;
	struct nv_plugin other = {nv_arena_strdup(&f->arena, "mod_forum"), 1};
	f->request.plugins = (struct nv_list){&other, 1};
	expect_export_refused(f, NULL, NV_R_plugin_missing);
	assert_non_null(strstr(f->err.msg, "mod_quiz"));
	struct nv_manifest about;
	struct nv_strs warnings;
	f->request.leave_out = true; /* the client's Moodle does that */
	assert_int_equal(run_export(f, NULL, &about, &warnings), 0);
	f->request.leave_out = false;
	other.name = nv_arena_strdup(&f->arena, "mod_quiz");
	assert_int_equal(run_export(f, NULL, &about, &warnings), 0);
	assert_string_equal(about.shortname, "P1");
	assert_string_equal(about.category, "BIO");
	assert_string_equal(about.moodle_version, "2024100705.01");
	assert_false(about.user_data);
	assert_int_equal(warnings.len, 0);
}

static void export_holds_to_the_policy_of_the_client(void **state)
{
	struct fixture *f = *state;
	const char *arts[] = {"ARTS", "BIO "};
	const char *sciences[] = {"SCI"};
	struct nv_config_client policy = {.name = "this-year"};
	struct nv_manifest about;
	struct nv_strs warnings;
	assert_int_equal(run_export(f, &policy, &about, &warnings), 0);
	f->request.user_data = true;
	expect_export_refused(f, &policy, NV_R_policy);
	policy.user_data = true;
	assert_int_equal(run_export(f, &policy, &about, &warnings), 0);
	policy.categories = arts;
	policy.categories_len = 2;
	expect_export_refused(f, &policy, NV_R_policy);
	policy.categories = sciences; /* the course is in a category below it */
	policy.categories_len = 1;
	assert_int_equal(run_export(f, &policy, &about, &warnings), 0);
	f->request.user = NULL;
	expect_export_refused(f, &policy, NV_R_policy);
	policy.without_user = true;
	assert_int_equal(run_export(f, &policy, &about, &warnings), 0);
}

static void export_says_that_an_archive_holds_user_data(void **state)
{
	struct fixture *f = *state;
	struct nv_config_client policy = {.name = "this-year"};
	struct nv_manifest about;
	struct nv_strs warnings;
	f->request.user = nv_arena_strdup(&f->arena, "dean");
	f->request.course = nv_arena_strdup(&f->arena, "11");
	expect_export_refused(f, &policy, NV_R_policy); /* not asked for, but they are in it */
	policy.user_data = true;
	assert_int_equal(run_export(f, &policy, &about, &warnings), 0);
	assert_true(about.user_data);
	assert_int_equal(warnings.len, 1);
	assert_non_null(strstr(warnings.items[0], "user data"));
	f->request.user_data = true;
	assert_int_equal(run_export(f, &policy, &about, &warnings), 0);
	assert_int_equal(warnings.len, 0);
}

static void note_progress(void *arg, const char *step, uint64_t done, uint64_t total)
{
	uint64_t *seen = arg;
	assert_string_equal(step, "export");
	assert_true(done >= seen[0] && done <= total);
	seen[0] = done;
	seen[1] = total;
}

static void export_tells_its_progress_and_can_be_cancelled(void **state)
{
	struct fixture *f = *state;
	uint64_t seen[2] = {0};
	unsigned count = 0;
	struct nv_job job = {.progress_cb = note_progress, .arg = seen};
	struct nv_sink sink = {.entry_cb = ignore_entry, .ctx = &count};
	struct nv_manifest about;
	assert_int_equal(nv_site_export(f->src, &f->request, NULL, NULL, &sink, &job, &about, NULL,
					&f->arena, &f->err),
			 0);
	assert_true(seen[0] >= sizeof big_content && seen[0] == seen[1]);
	atomic_store(&job.cancelled, true);
	assert_int_equal(nv_site_export(f->src, &f->request, NULL, NULL, &sink, &job, &about, NULL,
					&f->arena, &f->err),
			 -1);
	assert_int_equal(f->err.kind, NV_CANCELLED);
}

/* --- making sites --- */

static void a_site_is_made_from_a_folder_of_archives(void **state)
{
	struct fixture *f = *state;
	static const char *const names[] = {"a \"quoted\" name's.mbz", "Übung 1.MBZ",
					    "line\nbreak.mbz", "back\\slash.mbz", "bad\xff.mbz"};
	struct nv_config config = {0};
	struct nv_catalog_reply r;
	nv_mkdir_p(path_of(f, "mine"), 0700, NULL);
	for (size_t i = 0; i < NV_ARRAY_LEN(names); i++)
		make_backup(f, nv_arena_printf(&f->arena, "mine/%s", names[i]),
			    nv_arena_printf(&f->arena, "N%zu", i), i == 1);
	put_file(f, "mine/readme.txt", "no archive");
	if (nv_site_folder_create(path_of(f, "made"), "made", "tea\"cher", path_of(f, "mine"), NULL,
				  NULL, &f->err) < 0)
		fail_msg("%s", f->err.msg);
	nv_site_close(f->src);
	config.site.path = path_of(f, "made");
	f->src = nv_site_open(&config, &f->err);
	if (!f->src)
		fail_msg("%s", f->err.msg);
	assert_int_equal(run_catalog(f, "username", "tea\"cher", &r), 0);
	assert_int_equal(r.courses.len, NV_ARRAY_LEN(names));
	assert_true(r.moodle_version == 2024100705);
	assert_string_equal(((struct nv_course *)r.courses.items)->category,
			    NV_SITE_DIRECTORY_CATEGORY);
	assert_int_equal(
		nv_site_folder_create(path_of(f, "made"), "made", "t", NULL, NULL, NULL, &f->err),
		-1);
	assert_int_equal(f->err.reason, NV_R_conflict);
	assert_int_equal(
		nv_site_folder_create(path_of(f, "x"), "No Name", "t", NULL, NULL, NULL, &f->err),
		-1);
	/* Interrupted before its site.json was written: made on the second try. */
	unlink(path_of(f, "made/site.json"));
	assert_int_equal(nv_site_folder_create(path_of(f, "made"), "made", "t", path_of(f, "mine"),
					       NULL, NULL, &f->err),
			 0);
}

static void archives_of_another_file_system_are_copied(void **state)
{
	struct fixture *f = *state;
	char elsewhere[] = "/dev/shm/nv-site-XXXXXX";
	nv_auto_buf struct nv_buf was = {0}, is = {0};
	struct stat here, there;
	if (!mkdtemp(elsewhere) || stat(elsewhere, &there) < 0 || stat(f->dir, &here) < 0 ||
	    here.st_dev == there.st_dev) {
		print_message("SKIPPED: /dev/shm is no other file system\n");
		rmdir(elsewhere);
		return;
	}
	make_backup(f, "a.mbz", "A1", false);
	assert_int_equal(nv_read_file(path_of(f, "a.mbz"), 1 << 20, &was, &f->err), 0);
	nv_auto_free char *from = nv_asprintf("%s/a.mbz", elsewhere);
	assert_int_equal(nv_write_file(from, was.data, was.len, 0640, &f->err), 0);
	int rc = nv_site_folder_create(path_of(f, "made"), "made", "t", elsewhere, NULL, NULL,
				       &f->err);
	nv_remove_tree(elsewhere, NULL);
	if (rc < 0)
		fail_msg("%s", f->err.msg);
	assert_int_equal(nv_read_file(path_of(f, "made/backups/a.mbz"), 1 << 20, &is, &f->err), 0);
	assert_true(is.len == was.len && memcmp(is.data, was.data, is.len) == 0);
	assert_int_not_equal(access(path_of(f, "made/backups/a.mbz.part"), F_OK), 0);
}

static void collect_damaged(void *arg, const char *file, const struct nv_err *why)
{
	nv_buf_printf(arg, "%s: %s\n", file, why->msg);
}

static void a_damaged_file_neither_stops_a_site_nor_is_hidden(void **state)
{
	struct fixture *f = *state;
	nv_auto_buf struct nv_buf told = {0};
	struct nv_config config = {0};
	struct nv_catalog_reply r;
	assert_int_equal(nv_mkdir_p(path_of(f, "mine"), 0750, &f->err), 0);
	make_backup(f, "mine/a.mbz", "A1", false);
	put_file(f, "mine/b.mbz", "no archive");
	assert_int_equal(nv_mkdir_p(path_of(f, "mine/c.mbz"), 0750, &f->err), 0);
	assert_int_equal(symlink("/nowhere", path_of(f, "mine/d.mbz")), 0);
	make_backup_of(f, "mine/e.mbz", "E1", "99999999999999999999999999", false);
	if (nv_site_folder_create(path_of(f, "made"), "made", "t", path_of(f, "mine"),
				  collect_damaged, &told, &f->err) < 0)
		fail_msg("%s", f->err.msg);
	const char *said = (const char *)told.data;
	assert_non_null(strstr(said, "b.mbz: archive: b.mbz is neither"));
	assert_true(strstr(said, "c.mbz: ") && strstr(said, "d.mbz: ") && !strstr(said, "a.mbz"));
	nv_site_close(f->src);
	config.site.path = path_of(f, "made");
	f->src = nv_site_open(&config, &f->err);
	if (!f->src)
		fail_msg("%s", f->err.msg);
	assert_int_equal(run_catalog(f, "username", "t", &r), 0);
	assert_string_equal(ids_of(f, &r), "1,2,3,4,5");
	const struct nv_course *c = r.courses.items;
	for (size_t i = 0; i < r.courses.len; i++)
		assert_int_equal(c[i].damaged != NULL, i > 0 && i < 4);
	assert_string_equal(c[1].fullname, "b.mbz");
}

static void a_made_client_restores_what_a_made_server_has(void **state)
{
	struct fixture *f = *state;
	if (nv_site_folder_create(path_of(f, "client"), "client", "ada", NULL, NULL, NULL,
				  &f->err) < 0)
		fail_msg("%s", f->err.msg);
	nv_site_close(f->dst);
	f->dst_config.site.path = path_of(f, "client");
	f->dst_config.restore.default_category = NV_SITE_DIRECTORY_CATEGORY;
	f->dst_config.restore.check_course_create = true;
	f->dst = nv_site_open(&f->dst_config, &f->err);
	assert_non_null(f->dst);
	fetch(f, "10");
	struct nv_imported r = do_import(f);
	assert_true(r.enrolled && r.warnings.len == 0);
}

/* Every archive of tests/samples comes out with the same entries and bytes. */
static void real_archives_travel_unchanged(void **state)
{
	struct fixture *f = *state;
	const char *source = getenv("NAVETTE_SOURCE");
	const char *from = nv_arena_printf(&f->arena, "%s/tests/samples", source ? source : ".");
	struct nv_config config = {0};
	if (nv_site_folder_create(path_of(f, "real"), "real", "ada", from, NULL, NULL, &f->err) < 0)
		fail_msg("%s", f->err.msg);
	nv_site_close(f->src);
	config.site.path = path_of(f, "real");
	f->src = nv_site_open(&config, &f->err);
	if (!f->src)
		fail_msg("%s", f->err.msg);
	struct nv_catalog_reply r;
	assert_int_equal(run_catalog(f, "username", "ada", &r), 0);
	assert_true(r.courses.len > 0);
	const struct nv_course *c = r.courses.items;
	DIR *backups = opendir(path_of(f, "real/backups"));
	struct dirent *e;
	size_t archives = 0;
	char have[16][NV_SHA256_HEX];
	size_t have_len = 0;
	assert_true(r.courses.len <= NV_ARRAY_LEN(have));
	while (have_len < r.courses.len) {
		fetch(f, c[have_len].course);
		new_id(f);
		fingerprint(restored_mbz(f, do_import(f).course), have[have_len++]);
	}
	while ((e = readdir(backups))) {
		char wanted[NV_SHA256_HEX];
		size_t i = 0;
		if (e->d_name[0] == '.')
			continue;
		fingerprint(
			nv_arena_printf(&f->arena, "%s/%s", path_of(f, "real/backups"), e->d_name),
			wanted);
		while (i < have_len && strcmp(have[i], wanted) != 0)
			i++;
		assert_true(i < have_len); /* two forms of one course are equal: any may match */
		archives++;
	}
	closedir(backups);
	assert_int_equal(archives, r.courses.len);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(catalog_finds_roles_in_the_course_and_in_categories_above),
		TEST(catalog_reply_can_be_encoded),
		TEST(catalog_knows_unknown_from_ambiguous_users),
		TEST(catalog_ends_on_circular_categories),
		TEST(catalog_says_which_courses_are_damaged),
		TEST(a_changed_backup_is_read_again),
		TEST(a_mistake_in_site_json_is_named_with_its_line),
		TEST(a_changed_site_json_is_read_again),
		TEST(versions_are_those_of_site_json),
		TEST(export_checks_before_it_moves_a_byte),
		TEST(export_holds_to_the_policy_of_the_client),
		TEST(export_says_that_an_archive_holds_user_data),
		TEST(export_tells_its_progress_and_can_be_cancelled),
		TEST(a_site_is_made_from_a_folder_of_archives),
		TEST(a_damaged_file_neither_stops_a_site_nor_is_hidden),
		TEST(archives_of_another_file_system_are_copied),
		TEST(a_made_client_restores_what_a_made_server_has),
		TEST(real_archives_travel_unchanged),
	};
	nv_log_init("test", NV_ERROR);
	return cmocka_run_group_tests_name("site", tests, NULL, NULL);
}
