/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The moodle site against a stand-in: site.php is a shell that runs the "navette.php" of each test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/fs.h"
#include "base/id.h"
#include "core/site/follow.h"
#include "core/site/moodle/moodle_internal.h"

#define ID "01938c5e-0000-7000-8000-000000000001"
#define SHA1_HELLO "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d" /* of "hello" */
#define SHA1_EMPTY "da39a3ee5e6b4b0d3255bfef95601890afd80709"
#define WAIT_MS 20000u

struct fixture {
	char dir[64];
	char *work;
	struct nv_config config;
	struct nv_site *site;
	struct nv_restore_request request;
	struct nv_import import;
	struct nv_job job;
	struct nv_arena arena;
	struct nv_err err;
	int log; /* what was logged */
};

/* --- helpers --- */

static bool existed; /* what nv_site_preflight says */

static char *at(struct fixture *f, const char *name)
{
	return nv_arena_printf(&f->arena, "%s/%s", f->dir, name);
}

static void put(struct fixture *f, const char *name, const char *text, mode_t mode)
{
	char *path = at(f, name);
	char *folder = nv_arena_strdup(&f->arena, path);
	*strrchr(folder, '/') = '\0';
	assert_int_equal(nv_mkdir_p(folder, 0755, &f->err), 0);
	assert_int_equal(nv_write_file(path, text, strlen(text), mode, &f->err), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static char *get(struct fixture *f, const char *name)
{
	nv_auto_buf struct nv_buf text = {0};
	assert_int_equal(nv_read_file(at(f, name), 16u << 20, &text, &f->err), 0);
	return nv_arena_strndup(&f->arena, text.data ? (char *)text.data : "", text.len);
}

/* What the script does; $D is the test's folder, $1 the operation. */
static void script(struct fixture *f, const char *text)
{
	put(f, "moodle/blocks/navette/cli/navette.php",
	    nv_arena_printf(&f->arena, "D=%s\n%s\n", f->dir, text), 0644);
}

static void wait_for(struct fixture *f, const char *name)
{
	uint64_t until = nv_mono_ms() + WAIT_MS;
	while (access(at(f, name), F_OK) < 0) {
		assert_true(nv_mono_ms() < until);
		usleep(5000);
	}
}

static pid_t pid_in(struct fixture *f, const char *name)
{
	wait_for(f, name);
	pid_t pid = (pid_t)strtol(get(f, name), NULL, 10);
	assert_true(pid > 1);
	return pid;
}

/* A zombie whose new parent is slow is dead, too. */
static bool is_alive(pid_t pid)
{
	nv_auto_free char *path = nv_asprintf("/proc/%d/stat", pid);
	nv_auto_buf struct nv_buf text = {0};
	if (nv_read_file(path, 4096, &text, NULL) < 0 || !text.data)
		return false;
	const char *state = strrchr((char *)text.data, ')');
	return state && state[2] != 'Z' && state[2] != 'X';
}

static void wait_for_death(pid_t pid)
{
	uint64_t until = nv_mono_ms() + WAIT_MS;
	while (is_alive(pid)) {
		assert_true(nv_mono_ms() < until);
		usleep(5000);
	}
}

static unsigned count_in(const char *path)
{
	DIR *dir = opendir(path);
	unsigned n = 0;
	if (!dir)
		return 0;
	for (struct dirent *e; (e = readdir(dir)) != NULL;)
		n += e->d_name[0] != '.'; /* hidden: what is kept on purpose */
	closedir(dir);
	return n;
}

static char *logged(struct fixture *f)
{
	return get(f, "log");
}

static int set_up(void **state)
{
	struct fixture *f = nv_alloc(sizeof *f);
	char name[] = "/tmp/navette-moodle-XXXXXX";
	*state = f;
	if (!mkdtemp(name))
		return -1;
	memcpy(f->dir, name, sizeof name);
	chmod(f->dir, 0755);
	f->work = at(f, "work");
	put(f, "php",
	    "#!/bin/sh\nwhile [ \"${1#-d}\" != \"$1\" ]; do shift; done\nexec /bin/sh \"$@\"\n",
	    0755);
	put(f, "moodle/config.php", "", 0644);
	script(f, "exit 0");
	f->log = open(at(f, "log"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	nv_log_set_fd(f->log);
	f->config.site.type = NV_SITE_MOODLE;
	f->config.site.path = at(f, "moodle");
	f->config.site.php = at(f, "php");
	f->config.site.user = "";
	f->config.site.timeout = WAIT_MS;
	f->config.archiver.work_dir = f->work;
	f->config.worker.work_dir = at(f, "fetched");
	f->config.restore.user_field = "username";
	f->config.restore.default_category = "DEF";
	f->config.restore.only_one = true;
	f->request = (struct nv_restore_request){
		.id = nv_arena_strdup(&f->arena, ID),
		.rev = 1,
		.site = nv_arena_strdup(&f->arena, "last-year"),
		.course = nv_arena_strdup(&f->arena, "7"),
		.user = nv_arena_strdup(&f->arena, "ada"),
		.enrolment = NV_ENROL_MANUAL,
		.requested = 1,
	};
	f->import = (struct nv_import){
		.request = &f->request, .config = &f->config, .site = "last-year"};
	f->site = nv_site_open(&f->config, &f->err);
	return f->site ? 0 : -1;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	nv_site_close(f->site);
	nv_log_set_fd(2);
	close(f->log);
	nv_remove_tree(f->dir, NULL);
	nv_arena_fini(&f->arena);
	free(f);
	return 0;
}

static int versions(struct fixture *f)
{
	uint64_t version = 0;
	struct nv_list plugins = {0};
	return nv_site_versions(f->site, &version, &plugins, &f->arena, &f->err);
}

static void expect_error(struct fixture *f, enum nv_err_kind kind, enum nv_reason reason)
{
	if (f->err.kind != kind || f->err.reason != reason)
		print_error("%s/%s: %s\n", nv_err_kind_word(f->err.kind),
			    nv_reason_word(f->err.reason), f->err.msg);
	assert_int_equal(f->err.kind, kind);
	assert_int_equal(f->err.reason, reason);
}

/* --- what is asked and answered --- */

static void versions_are_what_moodle_says(void **state)
{
	struct fixture *f = *state;
	uint64_t version = 0;
	struct nv_list plugins = {0};
	script(f, "[ $1 = versions ] && cat <<'X'\n"
		  "{\"result\":{\"version\":2024100705,\"plugins\":[{\"name\":\"mod_quiz\","
		  "\"version\":2024100700}],\"new\":1}}\nX");
	assert_int_equal(nv_site_versions(f->site, &version, &plugins, &f->arena, &f->err), 0);
	assert_int_equal(version, 2024100705);
	assert_int_equal(plugins.len, 1);
	assert_string_equal(((struct nv_plugin *)plugins.items)->name, "mod_quiz");
	assert_int_equal(((struct nv_plugin *)plugins.items)->version, 2024100700);
}

static void a_catalog_comes_course_by_course(void **state)
{
	struct fixture *f = *state;
	struct nv_catalog_request q = {.id = f->request.id,
				       .user = f->request.user,
				       .user_field = nv_arena_strdup(&f->arena, "idnumber")};
	struct nv_catalog_reply reply;
	nv_auto_buf struct nv_buf wire = {0};
	script(f, "read -r line; echo \"$line\" > $D/input\n"
		  "echo '{\"course\":{\"course\":\"3\",\"shortname\":\"S\",\"fullname\":\"F\","
		  "\"category\":null,\"role\":\"editingteacher\",\"size\":0,\"started\":5}}'\n"
		  "echo '{\"result\":{\"status\":\"ok\",\"error\":null,\"moodle_version\":9,"
		  "\"at\":1,\"count\":1}}'");
	assert_int_equal(nv_site_catalog(f->site, &q, &reply, &f->arena, &f->err), 0);
	assert_non_null(strstr(get(f, "input"), "\"user_field\":\"idnumber\""));
	assert_int_equal(reply.status, NV_CAT_OK);
	assert_int_equal(reply.courses.len, 1);
	const struct nv_course *course = reply.courses.items;
	assert_string_equal(course->shortname, "S");
	assert_null(course->category);
	assert_int_equal(course->started, 5);
	assert_int_equal(nv_record_encode(&nv_catalog_reply_record, &reply, &wire, &f->err), 0);

	script(f, "echo '{\"result\":{\"status\":\"unknown-user\",\"error\":null}}'");
	assert_int_equal(nv_site_catalog(f->site, &q, &reply, &f->arena, &f->err), 0);
	assert_int_equal(reply.status, NV_CAT_UNKNOWN_USER);
	script(f, "echo '{\"result\":{\"status\":\"dreaming\"}}'");
	assert_int_equal(nv_site_catalog(f->site, &q, &reply, &f->arena, &f->err), -1);
	expect_error(f, NV_RETRY, NV_R_internal);
}

static void settings_are_what_moodles_administrator_has_set(void **state)
{
	struct fixture *f = *state;
	struct nv_config_restore r = f->config.restore;
	r.enrol_role = "student";
	r.warnings_to_owner = true;
	r.lease = 7;
	script(f, "[ $1 = settings ] && cat <<'X'\n"
		  "{\"result\":{\"onlyoneremoteinstance\":false,\"restoreuserdata\":true,"
		  "\"enrolmentmode\":\"manual\",\"defaultcategory\":\"12\",\"enrollrole\":\"\","
		  "\"userfield\":\"idnumber\",\"warningstoowner\":\"no\",\"new\":1,"
		  "\"search_roles\":\" editingteacher,, manager \"}}\nX");
	assert_int_equal(nv_site_settings(f->site, &r, &f->arena, &f->err), 0);
	assert_false(r.only_one);
	assert_true(r.user_data);
	assert_int_equal(r.enrolment, NV_ENROL_MANUAL);
	assert_string_equal(r.default_category, "12");
	assert_string_equal(r.user_field, "idnumber");
	assert_int_equal(r.search_roles_len, 2);
	assert_string_equal(r.search_roles[0], "editingteacher");
	assert_string_equal(r.search_roles[1], "manager");
	/* What it does not say, or not as it should, stays. */
	assert_string_equal(r.enrol_role, "student");
	assert_true(r.warnings_to_owner);
	assert_int_equal(r.lease, 7);
}

static void rights_are_told_of_each_person_in_turn(void **state)
{
	struct fixture *f = *state;
	struct nv_person_rights people[] = {{.user = "ada", .block = 7}, {.user = "\"emmy\""}};
	assert_true(nv_site_tells_rights(&f->config));
	script(f, "[ $1 = rights ] && cat >$D/input && cat <<'X'\n"
		  "{\"result\":{\"people\":[{\"served\":true,\"caps\":[\"manage\",\"new\"]},"
		  "{\"served\":false,\"caps\":[]}]}}\nX");
	assert_int_equal(nv_site_rights(f->site, people, 2, NULL, &f->err), 0);
	assert_true(people[0].served && people[0].manage);
	assert_false(people[0].user_data || people[0].link || people[1].served);
	assert_string_equal(get(f, "input"), "{\"people\":[{\"user\":\"ada\",\"block\":7},"
					     "{\"user\":\"\\\"emmy\\\"\",\"block\":0}]}\n");
	/* Whatever else it answers is nobody's right. */
	static const char *const wrong[] = {
		"{}", "{\"people\":[]}", "{\"people\":[{\"served\":true,\"caps\":[]}]}",
		"{\"people\":[{\"served\":true,\"caps\":[]},{\"served\":1,\"caps\":[]}]}",
		"{\"people\":[{\"served\":true,\"caps\":[]},{\"served\":true,\"caps\":[7]}]}"};
	for (size_t i = 0; i < NV_ARRAY_LEN(wrong); i++) {
		script(f, nv_arena_printf(&f->arena, "cat >/dev/null; echo '{\"result\":%s}'",
					  wrong[i]));
		assert_int_equal(nv_site_rights(f->site, people, 2, NULL, &f->err), -1);
		expect_error(f, NV_RETRY, NV_R_internal);
	}
	f->config.site.type = NV_SITE_FOLDER;
	assert_false(nv_site_tells_rights(&f->config));
}

static void what_the_file_lacks_is_asked_of_moodle_and_not_sent_to_it(void **state)
{
	struct fixture *f = *state;
	nv_auto_buf struct nv_buf mistakes = {0};
	put(f, "navette.yaml",
	    nv_arena_printf(&f->arena,
			    "site: {type: moodle, path: %s, php: %s}\nrestore: {only_one: yes}\n",
			    at(f, "moodle"), at(f, "php")),
	    0644);
	struct nv_config *c = nv_config_load(at(f, "navette.yaml"), NV_ROLE_CLI, &mistakes);
	assert_non_null(c);
	script(f, "echo '{\"result\":{\"onlyoneremoteinstance\":false,\"enrollrole\":\"tutor\","
		  "\"autoenrol_requester\":false}}'");
	assert_int_equal(nv_follow_once(c, &f->err), 0);
	assert_true(c->restore.only_one);
	assert_false(c->restore.enrol_requester);
	assert_string_equal(c->restore.enrol_role, "tutor");
	f->import.config = c;
	nv_auto_json json_t *input = nv_moodle_import_json(&f->import, 1, 0);
	const json_t *settings = json_object_get(input, "settings");
	assert_int_equal(json_object_size(settings), 1);
	assert_true(json_is_true(json_object_get(settings, "only_one")));
	/* One that does not answer leaves what was known. */
	script(f, "exit 1");
	assert_int_equal(nv_follow_once(c, &f->err), -1);
	assert_int_equal(f->err.kind, NV_RETRY);
	assert_string_equal(c->restore.enrol_role, "tutor");
	c->site.path = at(f, "nowhere");
	assert_int_equal(nv_follow_once(c, &f->err), -1);
	assert_int_equal(f->err.kind, NV_FATAL);
	nv_config_free(c);
}

static void small_calls_carry_what_they_are_given(void **state)
{
	struct fixture *f = *state;
	struct nv_imported found;
	struct nv_notice notice = {.kind = NV_NOTICE_failed,
				   .lang = "fr",
				   .id = "n1",
				   .user = "ada",
				   .subject = "S \"quoted\"",
				   .text = "a\nb",
				   .html = "<p>a</p>"};
	script(f, "read -r line; printf '%s' \"$line\" > $D/$1; echo '{\"result\":{}}'");
	assert_int_equal(nv_site_find(f->site, ID, &found, &f->arena, &f->err), 0);
	assert_null(found.course);
	assert_string_equal(get(f, "find"), "{\"id\":\"" ID "\"}");
	assert_int_equal(nv_site_enrol(f->site, "12", "ada", "student", &f->err), 0);
	assert_string_equal(get(f, "enrol"), "{\"course\":\"12\",\"user\":\"ada\",\"role\":"
					     "\"student\",\"user_field\":\"username\"}");
	assert_int_equal(nv_site_notify(f->site, &notice, &f->err), 0);
	assert_non_null(strstr(get(f, "notify"), "\"text\":\"a\\nb\""));
	assert_non_null(strstr(get(f, "notify"), "\"provider\":\"failed\""));
	assert_non_null(strstr(get(f, "notify"), "\"html\":\"<p>a</p>\""));
	assert_non_null(strstr(get(f, "notify"), "\"lang\":\"fr\""));
	notice.kind = NV_NOTICE_problem;
	notice.user = NULL; /* the site's administrators */
	assert_int_equal(nv_site_notify(f->site, &notice, &f->err), 0);
	assert_non_null(strstr(get(f, "notify"), "\"provider\":\"problem\""));
	assert_non_null(strstr(get(f, "notify"), "\"user\":null"));
	f->request.keep_category = true;
	assert_int_equal(nv_site_preflight(f->site, &f->import, 77, &existed, &f->err), 0);
	assert_false(existed);
	assert_non_null(strstr(get(f, "preflight"), "\"bytes\":77"));
	assert_non_null(strstr(get(f, "preflight"), "\"enrolment\":\"manual\""));
	assert_non_null(strstr(get(f, "preflight"), "\"check_course_create\":false"));
	script(f, "echo '{\"result\":{\"existed\":true}}'");
	assert_int_equal(nv_site_preflight(f->site, &f->import, 77, &existed, &f->err), 0);
	assert_true(existed);
	script(f, "echo '{\"result\":{\"swept\":2}}'");
	assert_int_equal(nv_site_sweep(f->site, &f->err), 0);
	assert_non_null(strstr(logged(f), "moodle.swept"));
}

/* --- contents that are here --- */

static void what_is_here_is_lent_when_its_sha256_is_the_manifests(void **state)
{
	struct fixture *f = *state;
	static const uint8_t sha1[NV_SHA1_LEN] = {1}, others[NV_SHA1_LEN] = {2};
	uint8_t sha256[NV_SHA256_LEN];
	struct stat here, lent;
	nv_sha256("hello", 5, sha256);
	struct nv_manifest_entry e[] = {
		{.path = NULL, .folder = true},
		{.size = 5, .blob = true, .sha1 = {sha1, 20}, .sha256 = {sha256, 32}},
		{.size = 5, .blob = true, .sha1 = {others, 20}, .sha256 = {sha256, 32}},
	};
	struct nv_manifest m = {.entries = {e, 3}};
	struct nv_reuse reuse = {.manifest = &m, .blobs = at(f, "blobs")};
	assert_int_equal(nv_mkdir_p(reuse.blobs, 0700, &f->err), 0);
	put(f, "same", "hello", 0644);
	put(f, "other", "hallo", 0644); /* the SHA-1 is said to be right, the bytes are not */
	script(f, "cat >$D/contents\n"
		  "echo \"{\\\"content\\\":{\\\"i\\\":1,\\\"path\\\":\\\"$D/same\\\"}}\"\n"
		  "echo \"{\\\"content\\\":{\\\"i\\\":2,\\\"path\\\":\\\"$D/other\\\"}}\"\n"
		  "echo '{\"result\":{\"found\":2}}'");
	if (nv_site_reuse(f->site, f->request.id, &reuse, &f->job, &f->err) < 0)
		fail_msg("%s", f->err.msg);
	assert_non_null(strstr(get(f, "contents"),
			       "[1,\"0100000000000000000000000000000000000000\",5],[2,\"02"));
	assert_int_equal(count_in(reuse.blobs), 1);
	assert_int_equal(stat(at(f, "same"), &here), 0);
	assert_int_equal(stat(at(f, "blobs/0100000000000000000000000000000000000000-5"), &lent), 0);
	assert_int_equal(here.st_ino, lent.st_ino);
	script(f, "echo \"{\\\"content\\\":{\\\"i\\\":0,\\\"path\\\":\\\"$D/same\\\"}}\"\n"
		  "echo '{\"result\":{\"found\":1}}'");
	assert_int_equal(nv_site_reuse(f->site, f->request.id, &reuse, &f->job, &f->err), -1);
	expect_error(f, NV_RETRY, NV_R_internal);
	m.entries.len = 1; /* nothing to ask for: the script is not run */
	assert_int_equal(nv_site_reuse(f->site, f->request.id, &reuse, &f->job, &f->err), 0);
}

static int remember(void *arg, const struct nv_restore_request *request,
		    const struct nv_imported *outcome, bool deleted)
{
	struct nv_buf *b = arg;
	nv_buf_printf(b, "%s %s %d;", request->course, outcome->course, deleted);
	return 0;
}

static void history_is_told_row_by_row_and_survives_a_damaged_one(void **state)
{
	struct fixture *f = *state;
	nv_auto_buf struct nv_buf told = {0};
	nv_auto_json json_t *request = nv_json_record(&nv_restore_request_record, &f->request);
	nv_auto_free char *text = json_dumps(request, JSON_COMPACT);
	script(f, nv_arena_printf(&f->arena,
				  "echo '{\"restore\":{\"request\":null,\"outcome\":{}}}'\n"
				  "echo '{\"restore\":{\"site\":\"s\",\"request\":%s,\"outcome\":"
				  "{\"course\":\"4\",\"warnings\":[]},\"deleted\":false}}'\n"
				  "echo '{\"restore\":{\"site\":\"s\",\"request\":%s,\"outcome\":"
				  "{\"course\":\"5\"},\"deleted\":true}}'\n"
				  "echo '{\"result\":{\"count\":2}}'",
				  text, text));
	assert_int_equal(nv_site_history(f->site, remember, &told, &f->err), 0);
	assert_string_equal((char *)told.data, "7 4 0;7 5 1;");
}

static void nothing_of_ours_reaches_the_command_line_or_the_environment(void **state)
{
	struct fixture *f = *state;
	setenv("NAVETTE_BROKER_PASSWORD", "secret", 1);
	nv_auto_fd int leak = open("/dev/null", O_RDONLY); /* without O_CLOEXEC on purpose */
	script(f, "tr '\\0' '\\n' < /proc/$$/cmdline > $D/args; env > $D/env\n"
		  "ls /proc/self/fd > $D/fds; cut -d' ' -f5 /proc/$$/stat > $D/group; echo $$ > "
		  "$D/pid\n"
		  "echo '{\"result\":{}}'");
	assert_int_equal(nv_site_enrol(f->site, "12", "ada", "student", &f->err), 0);
	unsetenv("NAVETTE_BROKER_PASSWORD");
	assert_null(strstr(get(f, "args"), "ada"));
	assert_null(strstr(get(f, "env"), "secret"));
	assert_null(strstr(get(f, "env"), "NAVETTE"));
	assert_non_null(strstr(get(f, "env"), "PATH="));
	/* 0, 1, 2 and the one that ls reads with */
	assert_string_equal(get(f, "fds"), "0\n1\n2\n3\n");
	assert_int_equal(strtol(get(f, "group"), NULL, 10), strtol(get(f, "pid"), NULL, 10));
}

/* --- what goes wrong --- */

static void errors_keep_their_kind_and_reason(void **state)
{
	static const struct {
		const char *kind, *reason;
		enum nv_err_kind is;
		enum nv_reason why;
	} cases[] = {
		{"retry", "disk_full", NV_RETRY, NV_R_disk_full},
		{"hold", "busy", NV_HOLD, NV_R_busy},
		{"reject", "course_missing", NV_REJECT, NV_R_course_missing},
		{"fatal", "config", NV_FATAL, NV_R_config},
		/* nobody of ours asked for it */
		{"cancelled", "cancelled", NV_RETRY, NV_R_internal},
		{"odd", "newer_than_us", NV_RETRY, NV_R_internal},
	};
	struct fixture *f = *state;
	for (size_t i = 0; i < NV_ARRAY_LEN(cases); i++) {
		script(f, nv_arena_printf(&f->arena,
					  "echo '{\"error\":{\"kind\":\"%s\",\"reason\":\"%s\","
					  "\"message\":\"no. %zu\"}}'; exit 65",
					  cases[i].kind, cases[i].reason, i));
		assert_int_equal(versions(f), -1);
		expect_error(f, cases[i].is, cases[i].why);
		assert_string_equal(f->err.msg, nv_arena_printf(&f->arena, "no. %zu", i));
	}
}

static void a_probe_says_what_is_in_the_way_of_all(void **state)
{
	struct fixture *f = *state;
	script(f, "echo \"$1\" > $D/asked; echo '{\"result\":{}}'");
	assert_int_equal(nv_site_probe(f->site, NULL, &f->err), 0);
	assert_string_equal(get(f, "asked"), "check\n");
	script(f, "echo '{\"error\":{\"kind\":\"retry\",\"reason\":\"site_upgrading\","
		  "\"message\":\"not now\"}}'; exit 75");
	assert_int_equal(nv_site_probe(f->site, NULL, &f->err), -1);
	expect_error(f, NV_HOLD, NV_R_site_upgrading);
	assert_string_equal(f->err.msg, "not now");
	/* Whatever else it is, it is the site's. */
	script(f, "echo 'PHP Parse error' >&2; exit 255");
	assert_int_equal(nv_site_probe(f->site, NULL, &f->err), -1);
	expect_error(f, NV_HOLD, NV_R_site_unavailable);
	assert_non_null(strstr(f->err.msg, "PHP Parse error"));
	assert_int_equal(unlink(at(f, "php")), 0);
	assert_int_equal(nv_site_probe(f->site, NULL, &f->err), -1);
	expect_error(f, NV_HOLD, NV_R_site_unavailable);
}

static void an_older_plugin_is_not_in_the_way(void **state)
{
	struct fixture *f = *state;
	script(f, "echo '{\"error\":{\"kind\":\"reject\",\"reason\":\"bad_message\","
		  "\"message\":\"usage: php navette.php OPERATION\"}}'; exit 65");
	assert_int_equal(nv_site_probe(f->site, NULL, &f->err), 0);
}

static int ignore(void *ctx, const struct nv_entry *entry, const struct nv_source *from,
		  struct nv_err *err)
{
	char buf[4096];
	ssize_t n = 1;
	(void)ctx;
	(void)entry;
	while (from && n > 0)
		n = from->read_cb(from->ctx, buf, sizeof buf, err);
	return (int)n < 0 ? -1 : 0;
}

static int export_to(struct fixture *f, const struct nv_sink *to)
{
	struct nv_manifest m;
	struct nv_strs warnings = {0};
	return nv_site_export(f->site, &f->request, NULL, NULL, to, &f->job, &m, &warnings,
			      &f->arena, &f->err);
}

static int export_nowhere(struct fixture *f)
{
	struct nv_sink to = {.entry_cb = ignore};
	int rc = export_to(f, &to);
	assert_int_equal(count_in(f->work), 0);
	return rc;
}

static void an_end_without_an_answer_says_what_the_script_said_last(void **state)
{
	struct fixture *f = *state;
	script(f,
	       "echo first >&2; echo 'PHP Fatal error: out of memory' >&2; echo '#0 {main}' >&2\n"
	       "exit 255");
	assert_int_equal(export_nowhere(f), -1);
	expect_error(f, NV_RETRY, NV_R_export_failed);
	assert_non_null(strstr(f->err.msg, "255"));
	assert_non_null(strstr(f->err.msg, "out of memory"));
	script(f, "kill -SEGV $$");
	assert_int_equal(export_nowhere(f), -1);
	expect_error(f, NV_RETRY, NV_R_export_failed);
	assert_non_null(strstr(f->err.msg, "signal 11"));
}

/* "level|text" of each line for the request's log. */
static void on_line(void *arg, enum nv_level level, const char *text)
{
	nv_buf_printf(arg, "%s|%s\n", nv_level_words[level], text);
}

static char *lines_of(struct fixture *f, const char *what)
{
	nv_auto_buf struct nv_buf lines = {0};
	script(f, what);
	f->job.log_cb = on_line;
	f->job.arg = &lines;
	export_nowhere(f);
	f->job.log_cb = NULL;
	return nv_arena_strndup(&f->arena, lines.data ? (char *)lines.data : "", lines.len);
}

static void what_moodle_says_goes_to_the_request_s_log(void **state)
{
	struct fixture *f = *state;
	assert_string_equal(
		lines_of(f, "echo '{\"log\":{\"level\":\"error\",\"text\":\"Moodle: lost\"}}'\n"
			    "echo '{\"log\":{\"level\":\"info\",\"text\":\"begun\"}}'\n"
			    "echo '{\"log\":{\"level\":\"later\",\"text\":\"a newer word\"}}'\n"
			    "echo '{\"log\":{}}'; echo '{\"log\":3}'\n"
			    "echo '{\"warning\":\"for people\"}'; echo noise >&2\n"
			    "echo '{\"error\":{\"kind\":\"reject\",\"reason\":\"policy\","
			    "\"message\":\"no\"}}'; exit 65"),
		"error|Moodle: lost\ninfo|begun\nwarn|a newer word\nwarn|for people\n");
	/* It dies: its last words, without the trace, which may hold arguments. */
	char *lines =
		lines_of(f, "for i in 1 2 3 4 5 6 7; do echo \"word $i\" >&2; done\n"
			    "echo '#0 connect(secret)' >&2; echo '  thrown in x' >&2; exit 255");
	assert_null(strstr(lines, "word 2"));
	assert_non_null(strstr(lines, "error|moodle export, standard error: word 3\n"));
	assert_non_null(strstr(lines, "error|moodle export, standard error: word 7\n"));
	assert_null(strstr(lines, "secret"));
	assert_null(strstr(lines, "thrown"));
}

static void standard_error_goes_to_the_log_line_by_line(void **state)
{
	struct fixture *f = *state;
	script(f, "printf 'one\\ntwo \\377!\\nthree' >&2; seq 1 500 >&2\n"
		  "head -c 5000 /dev/zero | tr '\\0' x >&2; echo '{\"result\":{}}'");
	assert_int_equal(versions(f), 0);
	assert_non_null(strstr(logged(f), "event=moodle.stderr op=versions line=one\n"));
	assert_non_null(strstr(logged(f), "line=\"two ?!\""));
	assert_non_null(strstr(logged(f), "line=three1\n"));
	assert_null(strstr(logged(f), "line=400\n"));
	assert_non_null(strstr(logged(f), "dropped="));
}

static void what_is_no_json_is_logged_and_passed_over(void **state)
{
	struct fixture *f = *state;
	script(f, "echo 'PHP Warning: Module is already loaded'; echo '[1]'; echo\n"
		  "echo '{\"unheard\":1}'; echo '{}'; printf '{\"result\":{\"version\":3}}'");
	uint64_t version = 0;
	struct nv_list plugins = {0};
	assert_int_equal(nv_site_versions(f->site, &version, &plugins, &f->arena, &f->err), -1);
	/* a line is a line only with its end */
	script(f, "echo 'PHP Warning: Module is already loaded'; echo '[1]'; echo\n"
		  "echo '{\"unheard\":1}'; echo '{}'; echo '{\"result\":{\"version\":3}}'");
	assert_int_equal(nv_site_versions(f->site, &version, &plugins, &f->arena, &f->err), 0);
	assert_int_equal(version, 3);
	assert_non_null(strstr(logged(f), "already loaded"));
}

static void an_answer_may_be_long_but_other_lines_and_no_end_may_not(void **state)
{
	struct fixture *f = *state;
	uint64_t started = nv_mono_ms();
	script(f, "printf '{\"result\":{\"x\":\"'; head -c 4000000 /dev/zero | tr '\\0' x\n"
		  "printf '\"}}\\n'");
	assert_int_equal(versions(f), 0);
	script(f, "printf '{\"result\":{\"x\":\"'; exec tr '\\0' x < /dev/zero");
	assert_int_equal(versions(f), -1);
	expect_error(f, NV_RETRY, NV_R_internal);
	script(f, "exec tr '\\0' x < /dev/zero");
	assert_int_equal(export_nowhere(f), -1);
	expect_error(f, NV_RETRY, NV_R_export_failed);
	assert_true(nv_mono_ms() - started < WAIT_MS);
}

static void silence_beyond_the_limit_is_broken_off(void **state)
{
	struct fixture *f = *state;
	nv_moodle(f->site)->timeout = 300;
	script(f, "echo $$ > $D/pid; sleep 1000 & wait");
	assert_int_equal(versions(f), -1);
	expect_error(f, NV_RETRY, NV_R_timeout);
	assert_false(is_alive(pid_in(f, "pid")));
}

static void a_limit_holds_although_the_output_is_closed(void **state)
{
	struct fixture *f = *state;
	nv_moodle(f->site)->timeout = 300;
	script(f, "exec >&- 2>&- <&-; exec sleep 1000");
	assert_int_equal(versions(f), -1);
	expect_error(f, NV_RETRY, NV_R_timeout);
}

static void what_the_script_leaves_running_does_not_hold_us_up(void **state)
{
	struct fixture *f = *state;
	script(f, "sleep 1000 & echo $! > $D/pid.part; mv $D/pid.part $D/pid\n"
		  "echo '{\"result\":{}}'");
	assert_int_equal(versions(f), 0);
	wait_for_death(pid_in(f, "pid"));
}

static void a_script_that_answers_and_hangs_is_killed(void **state)
{
	struct fixture *f = *state;
	nv_moodle(f->site)->grace = 200;
	script(f, "trap '' TERM; echo '{\"result\":{}}'; exec sleep 1000");
	assert_int_equal(versions(f), 0);
}

/* --- being stopped --- */

static void *cancel_later(void *arg)
{
	struct fixture *f = arg;
	uint64_t until = nv_mono_ms() + WAIT_MS;
	nv_auto_free char *path = nv_asprintf("%s/ready", f->dir);
	while (access(path, F_OK) < 0 && nv_mono_ms() < until)
		usleep(5000);
	atomic_store(&f->job.cancelled, true);
	return NULL;
}

static int export_and_cancel(struct fixture *f)
{
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, cancel_later, f), 0);
	int rc = export_nowhere(f);
	pthread_join(thread, NULL);
	return rc;
}

static void a_cancel_ends_the_script_and_what_it_started(void **state)
{
	struct fixture *f = *state;
	script(f, "(sleep 1000 & echo $! > $D/grandchild; wait) & trap 'echo asked > $D/term; "
		  "echo \"{\\\"error\\\":{\\\"kind\\\":\\\"reject\\\"}}\"; exit 77' TERM\n"
		  "while [ ! -s $D/grandchild ]; do sleep 0.01; done; touch $D/ready; wait");
	assert_int_equal(export_and_cancel(f), -1);
	expect_error(f, NV_CANCELLED, NV_R_cancelled);
	assert_non_null(strstr(get(f, "term"), "asked"));
	wait_for_death(pid_in(f, "grandchild"));
}

static void who_does_not_listen_is_killed(void **state)
{
	struct fixture *f = *state;
	nv_moodle(f->site)->grace = 300;
	script(f,
	       "trap '' TERM; (trap '' TERM; echo x; exec sleep 1000) & echo $! > $D/grandchild\n"
	       "echo $$ > $D/pid; touch $D/ready; while :; do sleep 0.1; done");
	assert_int_equal(export_and_cancel(f), -1);
	expect_error(f, NV_CANCELLED, NV_R_cancelled);
	wait_for_death(pid_in(f, "grandchild"));
	assert_false(is_alive(pid_in(f, "pid")));
}

static void the_job_s_limits_hold(void **state)
{
	struct fixture *f = *state;
	script(f, "exec sleep 1000");
	f->job.deadline = nv_mono_ms() + 200;
	assert_int_equal(export_nowhere(f), -1);
	expect_error(f, NV_RETRY, NV_R_timeout);
	f->job.deadline = 0;
	atomic_store(&f->job.lease_until, nv_mono_ms() + 200);
	assert_int_equal(export_nowhere(f), -1);
	expect_error(f, NV_RETRY, NV_R_claim_lost);
	atomic_store(&f->job.lease_until, 0);
	atomic_store(&f->job.stopping, true);
	assert_int_equal(export_nowhere(f), -1);
	expect_error(f, NV_HOLD, NV_R_busy);
}

static void the_script_dies_with_us(void **state)
{
	struct fixture *f = *state;
	script(f, "echo $$ > $D/pid.part; mv $D/pid.part $D/pid; exec sleep 1000");
	pid_t parent = fork();
	if (parent == 0) {
		versions(f);
		_exit(0);
	}
	pid_t child = pid_in(f, "pid");
	assert_true(is_alive(child));
	kill(parent, SIGKILL);
	waitpid(parent, NULL, 0);
	wait_for_death(child);
}

/* --- export --- */

#define BACKUP_XML                                                        \
	"<moodle_backup><information><include_files>0</include_files>\\n" \
	"</information></moodle_backup>"
#define SKELETON                                                                                   \
	"read -r line; printf '%s' \"$line\" > $D/input\n"                                         \
	"W=$(printf '%s' \"$line\" | sed 's/.*\"work_dir\":\"\\([^\"]*\\)\".*/\\1/')/moodle/b\n"   \
	"mkdir -p $W/activities/x $W/files; printf '%b' '" BACKUP_XML "' > $W/moodle_backup.xml\n" \
	"printf files > $W/files.xml; printf a > $W/activities/x/a.xml\n"
#define RESULT                                                                         \
	"echo '{\"result\":{\"shortname\":\"S\",\"fullname\":\"F\",\"category\":null," \
	"\"moodle_version\":\"2024100705\",\"user_data\":true,\"skeleton\":\"'$W'\","  \
	"\"needs\":[{\"name\":\"mod_wiki\",\"version\":7},{\"name\":3}],"              \
	"\"inventory\":[{\"kind\":\"activity\",\"type\":\"wiki\",\"count\":2},7]}}'\n"
#define FILE_LINE(sha1, size, name)                                                               \
	"echo '{\"file\":{\"sha1\":\"" sha1 "\",\"size\":" #size ",\"path\":\"'$D/" name "'\"}}'" \
	"\n"

static int describe(void *ctx, const struct nv_entry *entry, const struct nv_source *from,
		    struct nv_err *err)
{
	struct nv_buf *b = ctx;
	char buf[4096];
	nv_buf_printf(b, "%s %c", entry->path, entry->folder ? 'd' : 'f');
	for (ssize_t n = 1; from && n > 0;) {
		n = from->read_cb(from->ctx, buf, 30, err);
		if (n < 0)
			return -1;
		nv_buf_put(b, n ? buf : "", (size_t)n);
	}
	nv_buf_puts(b, "|");
	return 0;
}

struct told {
	char step[16];
	uint64_t done, total;
};

static void note_progress(void *arg, const char *step, uint64_t done, uint64_t total)
{
	struct told *t = arg;
	(void)snprintf(t->step, sizeof t->step, "%s", step);
	t->done = done;
	t->total = total;
}

static void an_export_is_the_skeleton_and_then_the_contents(void **state)
{
	struct fixture *f = *state;
	const char *categories[] = {"science"};
	struct nv_config_client policy = {
		.name = "next", .user_data = true, .categories = categories, .categories_len = 1};
	nv_auto_buf struct nv_buf seen = {0};
	struct nv_sink to = {.entry_cb = describe, .ctx = &seen};
	struct nv_manifest m;
	struct nv_strs warnings = {0};
	struct told told = {0};
	f->job.progress_cb = note_progress;
	f->job.arg = &told;
	put(f, "hello", "hello", 0644);
	put(f, "empty", "", 0644);
	script(f, SKELETON "echo '{\"progress\":{\"step\":\"export\",\"done\":5,\"total\":9}}'\n"
			   "echo '{\"warning\":\"take care\"}'\n" FILE_LINE(SHA1_EMPTY, 0, "empty")
				   FILE_LINE(SHA1_HELLO, 5, "hello")
					   FILE_LINE(SHA1_HELLO, 5, "hello") RESULT);
	if (nv_site_export(f->site, &f->request, &policy, NULL, &to, &f->job, &m, &warnings,
			   &f->arena, &f->err) < 0)
		fail_msg("%s", f->err.msg);
	assert_string_equal(
		(char *)seen.data,
		"activities d|activities/x d|activities/x/a.xml fa|files.xml ffiles|"
		"moodle_backup.xml f<moodle_backup><information><include_files>1</include_files>\n"
		"</information></moodle_backup>|files d|files/aa d|files/da d|files/aa/" SHA1_HELLO
		" fhello|files/da/" SHA1_EMPTY " f|");
	assert_string_equal(m.shortname, "S");
	assert_null(m.category);
	assert_string_equal(m.moodle_version, "2024100705");
	assert_true(m.user_data);
	assert_int_equal(m.needs.len, 1);
	assert_string_equal(((struct nv_plugin *)m.needs.items)->name, "mod_wiki");
	assert_int_equal(((struct nv_plugin *)m.needs.items)->version, 7);
	assert_int_equal(m.inventory.len, 1);
	assert_string_equal(((struct nv_count *)m.inventory.items)->type, "wiki");
	assert_int_equal(((struct nv_count *)m.inventory.items)->count, 2);
	assert_int_equal(warnings.len, 1);
	assert_string_equal(warnings.items[0], "take care");
	assert_string_equal(told.step, "export");
	assert_int_equal(told.done, 5);
	assert_non_null(strstr(get(f, "input"),
			       "\"policy\":{\"name\":\"next\",\"user_data\":true,"
			       "\"without_user\":false,\"categories\":[\"science\"]}"));
	assert_int_equal(count_in(f->work), 0);
}

static void a_content_that_is_not_what_its_name_says_is_refused(void **state)
{
	struct fixture *f = *state;
	put(f, "hello", "hallo", 0644);
	script(f, SKELETON FILE_LINE(SHA1_HELLO, 5, "hello") RESULT);
	assert_int_equal(export_nowhere(f), -1);
	expect_error(f, NV_REJECT, NV_R_archive_corrupt);
	put(f, "hello", "hell", 0644);
	assert_int_equal(export_nowhere(f), -1);
	expect_error(f, NV_RETRY, NV_R_export_failed);
	script(f, SKELETON FILE_LINE(SHA1_HELLO, 5, "gone") RESULT);
	assert_int_equal(export_nowhere(f), -1);
	expect_error(f, NV_RETRY, NV_R_export_failed);
	script(f, SKELETON FILE_LINE("nonsense", 5, "hello") RESULT);
	assert_int_equal(export_nowhere(f), -1);
	expect_error(f, NV_RETRY, NV_R_export_failed);
}

static void nothing_is_read_outside_the_export_s_folder(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(nv_mkdir_p(at(f, "other"), 0755, &f->err), 0);
	script(f, SKELETON "W=$D/other\n" RESULT);
	assert_int_equal(export_nowhere(f), -1);
	expect_error(f, NV_RETRY, NV_R_export_failed);
	script(f, SKELETON "W=$W/../../../../other\n" RESULT);
	assert_int_equal(export_nowhere(f), -1);
	expect_error(f, NV_RETRY, NV_R_export_failed);
	script(f, SKELETON "ln -s /etc/passwd $W/x.xml\n" RESULT);
	assert_int_equal(export_nowhere(f), -1);
	expect_error(f, NV_RETRY, NV_R_export_failed);
	script(f, SKELETON "mkfifo $W/x.xml\n" RESULT);
	assert_int_equal(export_nowhere(f), -1);
	expect_error(f, NV_RETRY, NV_R_export_failed);
}

/* --- import --- */

#define IMPORT_HEAD "read -r line; printf '%s' \"$line\" > $D/input; pwd > $D/where\n"
#define COUNTED                                                            \
	"\"had\":[{\"kind\":\"activity\",\"type\":\"wiki\",\"count\":2}]," \
	"\"has\":[{\"kind\":\"activity\",\"type\":\"wiki\",\"count\":1}]"
#define IMPORTED                                                                            \
	"echo '{\"result\":{\"course\":\"42\",\"url\":\"http://x/42\",\"shortname\":\"S\"," \
	"\"fullname\":\"F\",\"category\":\"DEF\",\"user_data\":true,\"existed\":false,"     \
	"\"enrolled\":true,\"at\":17,\"warnings\":[\"w\"]," COUNTED "}}'\n"

static int import(struct fixture *f, struct nv_imported *ret)
{
	struct nv_fetched fetched = {.dir = at(f, "fetched/" ID)};
	struct nv_count count = {(char *)"activity", (char *)"wiki", 2};
	struct nv_plugin plugin = {(char *)"mod_wiki", 7};
	struct nv_list needs = {&plugin, 1};
	f->import.needs = &needs;
	fetched.manifest.inventory = (struct nv_list){&count, 1};
	fetched.manifest.size = 11;
	fetched.manifest.moodle_version = nv_arena_strdup(&f->arena, "2024100705.01");
	put(f, "fetched/" ID "/tree/moodle_backup.xml", "x", 0640);
	put(f, "fetched/" ID "/blobs/" SHA1_HELLO "-5", "hello", 0640);
	put(f, "fetched/" ID "/site/tree/old", "left by a crash", 0640);
	int rc = nv_site_import(f->site, &f->import, &fetched, &f->job, ret, &f->arena, &f->err);
	f->import.needs = NULL;
	/* The tree is where it was, and nothing else. */
	assert_int_equal(count_in(fetched.dir), 2);
	assert_string_equal(get(f, "fetched/" ID "/tree/moodle_backup.xml"), "x");
	return rc;
}

static void an_import_is_confirmed_and_gives_the_course(void **state)
{
	struct fixture *f = *state;
	struct nv_imported got;
	struct told told = {0};
	f->job.progress_cb = note_progress;
	f->job.arg = &told;
	script(f, IMPORT_HEAD
	       "T=$(printf '%s' \"$line\" | sed 's/.*\"tree\":\"\\([^\"]*\\)\".*/\\1/')\n"
	       "ls $T > $D/tree; touch $T/../moodle-s-own\n"
	       "echo '{\"progress\":{\"step\":\"contents\",\"done\":1,\"total\":2}}'\n"
	       "echo '{\"progress\":{\"step\":\"import\",\"done\":500,\"total\":1000}}'\n"
	       "echo '{\"confirm\":\"commit\"}'; read -r answer; [ $answer = yes ] || exit "
	       "1\n" IMPORTED);
	if (import(f, &got) < 0)
		fail_msg("%s", f->err.msg);
	assert_string_equal(got.course, "42");
	assert_string_equal(got.url, "http://x/42");
	assert_true(got.enrolled && got.user_data && !got.existed);
	assert_int_equal(got.at, 17);
	assert_int_equal(got.warnings.len, 1);
	assert_true(got.compared);
	assert_int_equal(got.differences.len, 1);
	assert_true(((struct nv_difference *)got.differences.items)->has == 1);
	assert_non_null(strstr(get(f, "input"),
			       "\"inventory\":[{\"kind\":\"activity\",\"type\":\"wiki\","
			       "\"count\":2}]"));
	assert_non_null(
		strstr(get(f, "input"), "\"needs\":[{\"name\":\"mod_wiki\",\"version\":7}]"));
	assert_string_equal(get(f, "tree"), "moodle_backup.xml\n");
	assert_non_null(strstr(get(f, "input"), "\"moodle_version\":2024100705,"));
	assert_non_null(strstr(get(f, "input"), "\"default_category\":\"DEF\""));
	assert_string_equal(told.step, "import");
	assert_int_equal(told.done, 650);
}

static void what_was_cancelled_is_not_confirmed(void **state)
{
	struct fixture *f = *state;
	struct nv_imported got;
	pthread_t thread;
	script(f,
	       IMPORT_HEAD "trap 'touch $D/term' TERM; touch $D/ready\n"
			   "while [ ! -e $D/term ]; do sleep 0.02; done\n"
			   "echo '{\"confirm\":\"commit\"}'; read -r answer\n"
			   "[ \"$answer\" = yes ] && touch $D/committed\n"
			   "echo '{\"error\":{\"kind\":\"cancelled\",\"reason\":\"cancelled\"}}'");
	assert_int_equal(pthread_create(&thread, NULL, cancel_later, f), 0);
	int rc = import(f, &got);
	pthread_join(thread, NULL);
	assert_int_equal(rc, -1);
	expect_error(f, NV_CANCELLED, NV_R_cancelled);
	assert_int_equal(access(at(f, "committed"), F_OK), -1);
}

static void what_was_committed_counts_although_it_was_cancelled(void **state)
{
	struct fixture *f = *state;
	struct nv_imported got;
	pthread_t thread;
	script(f, IMPORT_HEAD "trap 'touch $D/term' TERM; touch $D/ready\n"
			      "while [ ! -e $D/term ]; do sleep 0.02; done\n" IMPORTED);
	assert_int_equal(pthread_create(&thread, NULL, cancel_later, f), 0);
	int rc = import(f, &got);
	pthread_join(thread, NULL);
	assert_int_equal(rc, 0);
	assert_string_equal(got.course, "42");
}

/* --- opening, and another user --- */

static struct nv_site *open_with(struct fixture *f, const struct nv_config *c)
{
	struct nv_site *s = nv_site_open(c, &f->err);
	if (!s)
		expect_error(f, NV_FATAL, NV_R_config);
	return s;
}

static void what_is_missing_is_said_when_the_site_is_opened(void **state)
{
	struct fixture *f = *state;
	struct nv_config c = f->config;
	c.site.php = at(f, "no-php");
	assert_null(open_with(f, &c));
	c = f->config;
	c.site.path = f->dir;
	assert_null(open_with(f, &c));
	assert_non_null(strstr(f->err.msg, "config.php"));
	c = f->config;
	c.site.user = "nobody-of-that-name";
	assert_null(open_with(f, &c));
	put(f, "bare/config.php", "", 0644);
	c = f->config;
	c.site.path = at(f, "bare");
	assert_null(open_with(f, &c));
	assert_non_null(strstr(f->err.msg, "block_navette"));
	put(f, "bare/public/blocks/navette/cli/navette.php", "echo '{\"result\":{}}'", 0644);
	struct nv_site *s = open_with(f, &c);
	assert_non_null(s);
	nv_site_close(s);
	/* Taken away later: somebody will mend it. */
	unlink(at(f, "php"));
	assert_int_equal(versions(f), -1);
	expect_error(f, NV_RETRY, NV_R_config);
}

static void scripts_run_as_the_user_of_the_configuration(void **state)
{
	struct fixture *f = *state;
	struct nv_imported got;
	struct nv_config c = f->config;
	c.site.user = "nobody";
	if (geteuid() != 0) {
		assert_null(open_with(f, &c)); /* only root may */
		return;
	}
	nv_site_close(f->site);
	f->site = open_with(f, &c);
	assert_non_null(f->site);
	chmod(f->dir, 01777);
	script(f, "id -u > $D/uid; id -G > $D/groups; echo '{\"result\":{}}'");
	assert_int_equal(versions(f), 0);
	assert_int_equal(strtol(get(f, "uid"), NULL, 10), nv_moodle(f->site)->user.uid);
	assert_null(strstr(get(f, "groups"), "0"));

	put(f, "hello", "hello", 0644);
	script(f, SKELETON FILE_LINE(SHA1_HELLO, 5, "hello") RESULT);
	if (export_nowhere(f) < 0)
		fail_msg("%s", f->err.msg);
	/* A content that the user may not read is not read for them. */
	put(f, "hello", "hello", 0600);
	assert_int_equal(export_nowhere(f), -1);
	expect_error(f, NV_RETRY, NV_R_export_failed);

	script(f, IMPORT_HEAD
	       "T=$(printf '%s' \"$line\" | sed 's/.*\"tree\":\"\\([^\"]*\\)\".*/\\1/')\n"
	       "B=$(printf '%s' \"$line\" | sed 's/.*\"blobs\":\"\\([^\"]*\\)\".*/\\1/')\n"
	       "printf x > $T/moodle_backup.xml && cat $B/* > $D/blob && mkdir $T/../more || exit "
	       "1\n" IMPORTED);
	if (import(f, &got) < 0)
		fail_msg("%s", f->err.msg);
	assert_string_equal(get(f, "blob"), "hello");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(versions_are_what_moodle_says),
		TEST(a_catalog_comes_course_by_course),
		TEST(a_probe_says_what_is_in_the_way_of_all),
		TEST(an_older_plugin_is_not_in_the_way),
		TEST(settings_are_what_moodles_administrator_has_set),
		TEST(rights_are_told_of_each_person_in_turn),
		TEST(what_the_file_lacks_is_asked_of_moodle_and_not_sent_to_it),
		TEST(small_calls_carry_what_they_are_given),
		TEST(what_is_here_is_lent_when_its_sha256_is_the_manifests),
		TEST(history_is_told_row_by_row_and_survives_a_damaged_one),
		TEST(nothing_of_ours_reaches_the_command_line_or_the_environment),
		TEST(errors_keep_their_kind_and_reason),
		TEST(an_end_without_an_answer_says_what_the_script_said_last),
		TEST(what_moodle_says_goes_to_the_request_s_log),
		TEST(standard_error_goes_to_the_log_line_by_line),
		TEST(what_is_no_json_is_logged_and_passed_over),
		TEST(an_answer_may_be_long_but_other_lines_and_no_end_may_not),
		TEST(silence_beyond_the_limit_is_broken_off),
		TEST(a_limit_holds_although_the_output_is_closed),
		TEST(what_the_script_leaves_running_does_not_hold_us_up),
		TEST(a_script_that_answers_and_hangs_is_killed),
		TEST(a_cancel_ends_the_script_and_what_it_started),
		TEST(who_does_not_listen_is_killed),
		TEST(the_job_s_limits_hold),
		TEST(the_script_dies_with_us),
		TEST(an_export_is_the_skeleton_and_then_the_contents),
		TEST(a_content_that_is_not_what_its_name_says_is_refused),
		TEST(nothing_is_read_outside_the_export_s_folder),
		TEST(an_import_is_confirmed_and_gives_the_course),
		TEST(what_was_cancelled_is_not_confirmed),
		TEST(what_was_committed_counts_although_it_was_cancelled),
		TEST(what_is_missing_is_said_when_the_site_is_opened),
		TEST(scripts_run_as_the_user_of_the_configuration),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
