/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The seed-ws site against a course server made for it (seed_server.py): a real HTTP server, with
 * and without TLS, that goes wrong in every way a test asks for. */
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
#include <sys/wait.h>

#include "base/fs.h"
#include "base/hash.h"
#include "base/id.h"
#include "base/log.h"
#include "core/site/seed_ws/seed_ws.h"

#define TOKEN "5ec2e7a0b1c2d3e4f5a6b7c8d9e0f1a2"
#define ID "01938c5e-0000-7000-8000-000000000001"
#define WAIT_MS 20000u
#define MAX (64u << 20)

/* As in seed_server.py. */
enum {
	FILE_WHOLE = 102,
	BREAKS = 201,
	BREAKS_NO_RANGE,
	HTML,
	TEXT,
	CHANGES,
	NO_PROGRESS,
	DAMAGED,
	EMPTY,
	LONG,
	STALLS,
	CUT,
	WITHDRAWN,
	BUSY,
	SATISFIED,
};

static bool existed; /* what nv_site_preflight says */

static struct {
	char dir[64];
	pid_t pid;
	int in; /* the server ends with it */
	unsigned plain, tls;
} server;

struct fixture {
	char *work;
	char *url;
	struct nv_config config;
	struct nv_site *site;
	struct nv_restore_request request;
	struct nv_config_client policy;
	struct nv_manifest about;
	struct nv_strs warnings;
	struct nv_job job;
	struct nv_arena arena;
	struct nv_err err;
	unsigned entries; /* that came to the sink */
	uint64_t bytes;
	int log;
};

/* --- the server --- */

static void run_server(const int in[2], const int out[2])
{
	const char *source = getenv("NAVETTE_SOURCE");
	nv_auto_free char *script =
		nv_asprintf("%s/tests/unit/seed_server.py", source ? source : ".");
	dup2(in[0], 0);
	dup2(out[1], 1);
	for (int i = 0; i < 2; i++) {
		close(in[i]);
		close(out[i]);
	}
	execl("/usr/bin/python3", "python3", "-B", script, server.dir, (char *)NULL);
	_exit(127);
}

static int start_server(void **state)
{
	char name[] = "/tmp/navette-seed-XXXXXX";
	int in[2], out[2];
	char line[64] = "";
	(void)state;
	if (!mkdtemp(name) || pipe(in) < 0 || pipe(out) < 0)
		return -1;
	memcpy(server.dir, name, sizeof name);
	server.pid = fork();
	if (server.pid == 0)
		run_server(in, out);
	close(in[0]);
	close(out[1]);
	server.in = in[1];
	fcntl(server.in, F_SETFD, FD_CLOEXEC);
	for (size_t have = 0; have < sizeof line - 1 && !strchr(line, '\n');) {
		ssize_t n = read(out[0], line + have, sizeof line - 1 - have);
		if (n <= 0)
			break;
		have += (size_t)n;
	}
	close(out[0]);
	char *end = line;
	server.plain = (unsigned)strtoul(line, &end, 10);
	server.tls = (unsigned)strtoul(end, NULL, 10);
	return server.plain && server.tls ? 0 : -1;
}

static int stop_server(void **state)
{
	(void)state;
	close(server.in);
	kill(server.pid, SIGTERM);
	waitpid(server.pid, NULL, 0);
	return nv_remove_tree(server.dir, NULL);
}

static char *at_server(struct fixture *f, const char *name)
{
	return nv_arena_printf(&f->arena, "%s/%s", server.dir, name);
}

static char *text_of(struct fixture *f, const char *path)
{
	nv_auto_buf struct nv_buf text = {0};
	assert_int_equal(nv_read_file(path, 64u << 20, &text, &f->err), 0);
	return nv_arena_strndup(&f->arena, text.data ? (char *)text.data : "", text.len);
}

/* --- fixture --- */

static void open_site(struct fixture *f, const char *scheme, unsigned port, const char *ca)
{
	nv_site_close(f->site);
	f->url = nv_arena_printf(&f->arena, "%s://127.0.0.1:%u/", scheme, port);
	f->config.site.url = f->url;
	f->config.site.ca_file = ca ? at_server(f, ca) : NULL;
	f->site = nv_site_open(&f->config, &f->err);
	assert_non_null(f->site);
	nv_seed(f->site)->pause = 1;
}

static int set_up(void **state)
{
	static unsigned number;
	struct fixture *f = nv_alloc(sizeof *f);
	*state = f;
	f->work = nv_arena_printf(&f->arena, "%s/work-%u", server.dir, ++number);
	if (nv_mkdir_p(f->work, 0700, &f->err) < 0)
		return -1;
	unlink(at_server(f, "requests"));
	unlink(at_server(f, "gone"));
	unlink(at_server(f, "asked"));
	f->log = open(nv_arena_printf(&f->arena, "%s.log", f->work),
		      O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	nv_log_set_fd(f->log);
	nv_log_set_level(NV_DEBUG);
	f->config.site.type = NV_SITE_SEED_WS;
	f->config.site.token = TOKEN;
	f->config.site.timeout = WAIT_MS;
	f->config.site.backup_timeout = WAIT_MS;
	f->config.archiver.work_dir = f->work;
	f->config.store.max_archive = MAX;
	f->config.store.max_entries = 1000;
	f->config.store.max_ratio = 1000;
	f->request = (struct nv_restore_request){
		.id = nv_arena_strdup(&f->arena, ID),
		.rev = 1,
		.site = nv_arena_strdup(&f->arena, "last-year"),
		.course = nv_arena_strdup(&f->arena, "2"),
		.user = nv_arena_strdup(&f->arena, "teacher1"),
		.requested = 1,
	};
	f->policy = (struct nv_config_client){.name = "this-year"};
	open_site(f, "https", server.tls, "ca.pem");
	return 0;
}

static unsigned count_in(const char *path)
{
	DIR *dir = opendir(path);
	unsigned n = 0;
	assert_non_null(dir);
	for (struct dirent *e; (e = readdir(dir)) != NULL;)
		n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	closedir(dir);
	return n;
}

/* After every test: the token is in no log line, in no message and in no address. */
static int tear_down(void **state)
{
	struct fixture *f = *state;
	nv_site_close(f->site);
	nv_log_set_fd(2);
	close(f->log);
	assert_null(strstr(text_of(f, nv_arena_printf(&f->arena, "%s.log", f->work)), TOKEN));
	assert_null(strstr(f->err.msg, TOKEN));
	if (access(at_server(f, "requests"), F_OK) == 0)
		assert_null(strstr(text_of(f, at_server(f, "requests")), TOKEN));
	nv_remove_tree(f->work, NULL);
	nv_arena_fini(&f->arena);
	free(f);
	return 0;
}

static void expect_error(struct fixture *f, enum nv_err_kind kind, enum nv_reason reason)
{
	if (f->err.kind != kind || f->err.reason != reason)
		print_error("%s/%s: %s\n", nv_err_kind_word(f->err.kind),
			    nv_reason_word(f->err.reason), f->err.msg);
	assert_int_equal(f->err.kind, kind);
	assert_int_equal(f->err.reason, reason);
}

/* --- catalog --- */

static struct nv_catalog_reply ask_as(struct fixture *f, const char *user, const char *field)
{
	char *roles[] = {(char[]){"editingteacher"}, (char[]){"manager"}};
	struct nv_catalog_request q = {.id = (char[]){ID},
				       .user = nv_arena_strdup(&f->arena, user),
				       .user_field = nv_arena_strdup(&f->arena, field),
				       .roles = {roles, 2}};
	struct nv_catalog_reply reply = {0};
	assert_int_equal(nv_site_catalog(f->site, &q, &reply, &f->arena, &f->err), 0);
	assert_string_equal(reply.user, user);
	return reply;
}

static struct nv_catalog_reply ask(struct fixture *f, const char *user)
{
	return ask_as(f, user, "username");
}

static const struct nv_course *course_of(const struct nv_catalog_reply *r, size_t i)
{
	assert_true(i < r->courses.len);
	return (const struct nv_course *)r->courses.items + i;
}

static void expect_catalog_error(struct fixture *f, const char *user, const char *says)
{
	struct nv_catalog_reply r = ask(f, user);
	assert_int_equal(r.status, NV_CAT_ERROR);
	assert_int_equal(r.courses.len, 0);
	const char *error = r.error ? r.error : "";
	if (!strstr(error, says))
		print_error("%s: %s\n", user, error);
	assert_non_null(strstr(error, says));
	assert_true(strlen(error) <= 512);
	assert_null(strstr(error, TOKEN));
}

static void the_catalog_is_the_blocks_list(void **state)
{
	struct fixture *f = *state;
	struct nv_catalog_reply r = ask(f, "teacher1");
	assert_int_equal(r.status, NV_CAT_OK);
	assert_int_equal(r.courses.len, 10);
	assert_int_equal(r.moodle_version, 2024100705);
	assert_string_equal(course_of(&r, 0)->course, "2");
	assert_string_equal(course_of(&r, 0)->shortname, "C2");
	assert_string_equal(course_of(&r, 0)->fullname, "Course 2 — Été");
	assert_null(course_of(&r, 0)->category);
	assert_string_equal(course_of(&r, 1)->category, "SCI");
	assert_int_equal(course_of(&r, 0)->started, 1735689600000);
	assert_string_equal(course_of(&r, 0)->url,
			    nv_arena_printf(&f->arena, "%scourse/view.php?id=2", f->url));
	assert_non_null(strstr(text_of(f, at_server(f, "requests")),
			       "\"concernedroles\": \"editingteacher,manager\""));
}

static void recorded_answers_are_understood(void **state)
{
	struct fixture *f = *state;
	struct nv_catalog_reply r = ask(f, "recorded");
	assert_int_equal(r.status, NV_CAT_OK);
	assert_true(r.courses.len >= 3);
	for (size_t i = 0; i < r.courses.len; i++)
		assert_true(*course_of(&r, i)->shortname && *course_of(&r, i)->fullname);
	assert_int_equal(ask(f, "recorded-unknown").status, NV_CAT_UNKNOWN_USER);
}

static void an_unknown_user_is_a_status(void **state)
{
	struct fixture *f = *state;
	struct nv_catalog_reply r = ask(f, "nobody");
	assert_int_equal(r.status, NV_CAT_UNKNOWN_USER);
	assert_null(r.error);
	assert_int_equal(r.courses.len, 0);
}

static void answers_that_are_none_are_errors_that_say_so(void **state)
{
	struct fixture *f = *state;
	static const char *const broken[] = {"broken", "trailing", "doubled"};
	for (size_t i = 0; i < NV_ARRAY_LEN(broken); i++)
		expect_catalog_error(f, broken[i], "something else (application/json)");
	expect_catalog_error(f, "html", "something else (text/html; charset=utf-8)");
	expect_catalog_error(f, "object", "is no list");
	expect_catalog_error(f, "numbered", "course 1 of the answer has no proper shortname");
	expect_catalog_error(f, "negative", "no proper id");
	expect_catalog_error(f, "unnamed", "no proper shortname");
	expect_catalog_error(f, "unavailable", "answers 503");
	expect_catalog_error(f, "long", "has more than 16777216 bytes");
	expect_catalog_error(f, "closed", "maintenance mode");
	expect_catalog_error(f, "echo", "no luck with (token) at all");
	expect_catalog_error(f, "waves", "has to be renamed there");
	f->config.site.timeout = 300;
	open_site(f, "https", server.tls, "ca.pem");
	expect_catalog_error(f, "silent", "seed-ws");
}

static void the_list_is_held_to_the_messages_limits(void **state)
{
	struct fixture *f = *state;
	struct nv_catalog_reply r = ask(f, "long-names");
	assert_int_equal(r.courses.len, 1);
	assert_int_equal(strlen(course_of(&r, 0)->shortname), 1332);
	assert_int_equal(strlen(course_of(&r, 0)->fullname), 1333);
	assert_memory_equal(course_of(&r, 0)->fullname, "a b x", 5);
	assert_int_equal(ask(f, "many").courses.len, 5000);
}

static void the_block_knows_people_by_user_name_only(void **state)
{
	struct fixture *f = *state;
	struct nv_catalog_reply r = ask_as(f, "ada@example.org", "email");
	assert_int_equal(r.status, NV_CAT_ERROR);
	assert_non_null(strstr(r.error, "not by email"));
	assert_int_not_equal(access(at_server(f, "requests"), F_OK), 0);
}

/* --- who may be asked --- */

static int versions(struct fixture *f)
{
	uint64_t version = 0;
	struct nv_list plugins = {0};
	int rc = nv_site_versions(f->site, &version, &plugins, &f->arena, &f->err);
	assert_true(rc < 0 || version == 2024100705);
	return rc;
}

static void only_a_certificate_of_the_right_authority_is_trusted(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(versions(f), 0);
	open_site(f, "https", server.tls, "other.pem");
	assert_int_equal(versions(f), -1);
	expect_error(f, NV_RETRY, NV_R_config);
	assert_non_null(strstr(f->err.msg, "site.ca_file"));
	expect_catalog_error(f, "teacher1", "certificate");
	open_site(f, "https", server.tls, NULL);
	assert_int_equal(versions(f), -1);
	expect_error(f, NV_RETRY, NV_R_config);
	/* A name that the certificate does not have. */
	f->config.site.url = nv_arena_printf(&f->arena, "https://localhost:%u", server.tls);
	f->config.site.ca_file = at_server(f, "ca.pem");
	nv_site_close(f->site);
	f->site = nv_site_open(&f->config, &f->err);
	assert_int_equal(versions(f), -1);
	expect_error(f, NV_RETRY, NV_R_config);
	/* Nothing of all this got as far as a request. */
	const char *requests = text_of(f, at_server(f, "requests"));
	assert_ptr_equal(strchr(requests, '\n') + 1, requests + strlen(requests));
	open_site(f, "http", server.plain, NULL);
	assert_int_equal(versions(f), 0);
}

static void a_site_that_is_down_is_named(void **state)
{
	struct fixture *f = *state;
	open_site(f, "http", 1, NULL);
	assert_int_equal(versions(f), -1);
	expect_error(f, NV_RETRY, NV_R_internal);
	expect_catalog_error(f, "teacher1", "http://127.0.0.1:1");
}

static int export_it(struct fixture *f);

static void a_token_that_is_refused_is_a_clear_reason(void **state)
{
	struct fixture *f = *state;
	f->config.site.token = "0000000000000000000000000000dead";
	open_site(f, "https", server.tls, "ca.pem");
	assert_int_equal(versions(f), -1);
	expect_error(f, NV_RETRY, NV_R_denied);
	assert_null(strstr(f->err.msg, f->config.site.token));
	expect_catalog_error(f, "teacher1", "does not know the token (invalidtoken: Invalid token");
	assert_int_equal(export_it(f), -1);
	expect_error(f, NV_RETRY, NV_R_denied);
}

static void open_below(struct fixture *f, const char *folder)
{
	f->config.site.url =
		nv_arena_printf(&f->arena, "https://127.0.0.1:%u/%s/", server.tls, folder);
	nv_site_close(f->site);
	f->site = nv_site_open(&f->config, &f->err);
	assert_non_null(f->site);
}

static void redirects_are_not_followed(void **state)
{
	struct fixture *f = *state;
	open_below(f, "moved");
	assert_int_equal(versions(f), -1);
	expect_error(f, NV_RETRY, NV_R_config);
	assert_non_null(strstr(f->err.msg, "redirects"));
	open_below(f, "nowhere");
	assert_int_equal(versions(f), -1);
	expect_error(f, NV_RETRY, NV_R_config);
	assert_non_null(strstr(f->err.msg, "answers 404"));
}

static void a_service_that_lacks_something_is_told_at_once(void **state)
{
	struct fixture *f = *state;
	open_below(f, "poor");
	assert_int_equal(versions(f), -1);
	expect_error(f, NV_RETRY, NV_R_denied);
	assert_non_null(strstr(f->err.msg, "get_courses_zip"));
	open_below(f, "mute");
	assert_int_equal(versions(f), -1);
	expect_error(f, NV_RETRY, NV_R_denied);
	assert_non_null(strstr(f->err.msg, "download"));
}

static void what_cannot_be_a_site_does_not_open(void **state)
{
	struct fixture *f = *state;
	struct nv_config c = f->config;
	c.site.token = "with blank";
	assert_null(nv_site_open(&c, &f->err));
	expect_error(f, NV_FATAL, NV_R_config);
	assert_null(strstr(f->err.msg, "with blank"));
	c.site.token = NULL;
	assert_null(nv_site_open(&c, &f->err));
	c = f->config;
	c.site.url = "https://a.example/?x=1";
	assert_null(nv_site_open(&c, &f->err));
	c = f->config;
	c.site.ca_file = "/nowhere/ca.pem";
	assert_null(nv_site_open(&c, &f->err));
	expect_error(f, NV_FATAL, NV_R_config);
}

static void it_restores_nothing(void **state)
{
	struct fixture *f = *state;
	struct nv_imported out;
	struct nv_import in = {.request = &f->request, .config = &f->config};
	struct nv_notice notice = {.id = "x"};
	assert_int_equal(nv_site_preflight(f->site, &in, 1, &existed, &f->err), -1);
	expect_error(f, NV_FATAL, NV_R_config);
	assert_int_equal(nv_site_import(f->site, &in, NULL, NULL, &out, &f->arena, &f->err), -1);
	assert_int_equal(nv_site_find(f->site, ID, &out, &f->arena, &f->err), -1);
	assert_int_equal(nv_site_enrol(f->site, "1", "a", "b", &f->err), -1);
	assert_int_equal(nv_site_notify(f->site, &notice, &f->err), -1);
	assert_int_equal(nv_site_history(f->site, NULL, NULL, &f->err), -1);
	expect_error(f, NV_FATAL, NV_R_config);
	assert_int_equal(nv_site_sweep(f->site, &f->err), 0);
}

/* --- download --- */

static int download(struct fixture *f, uint64_t file, uint64_t max, bool *ret_verified)
{
	struct nv_seed_session s;
	char *path = nv_arena_printf(&f->arena, "%s/course.mbz", f->work);
	unlink(path);
	f->err = (struct nv_err){0};
	nv_seed_session_begin(&s, nv_seed(f->site), &f->job, NV_R_export_failed);
	int rc = nv_seed_download(&s, file, path, max, ret_verified, &f->err);
	nv_seed_session_end(&s);
	return rc;
}

static unsigned requests(struct fixture *f, const char *with)
{
	const char *text = text_of(f, at_server(f, "requests"));
	unsigned n = 0;
	for (; (text = strstr(text, with)) != NULL; text++)
		n++;
	return n;
}

static void a_download_that_breaks_off_goes_on_where_it_was(void **state)
{
	struct fixture *f = *state;
	bool verified = false;
	assert_int_equal(download(f, BREAKS, MAX, &verified), 0);
	assert_true(verified);
	assert_int_equal(requests(f, "POST"), 4);
	assert_int_equal(requests(f, "\"bytes="), 3);
	assert_int_equal(requests(f, "\"bytes=0-"), 0);
	assert_int_equal(download(f, FILE_WHOLE, MAX, &verified), 0);
	assert_true(verified);
}

static void it_begins_anew_where_the_server_does(void **state)
{
	struct fixture *f = *state;
	bool verified = false;
	assert_int_equal(download(f, BREAKS_NO_RANGE, MAX, &verified), 0);
	assert_true(verified);
	assert_int_equal(download(f, SATISFIED, MAX, &verified), 0);
	assert_true(verified);
	assert_int_equal(download(f, CHANGES, MAX, &verified), 0);
	assert_true(verified);
	assert_int_equal(download(f, BUSY, MAX, &verified), 0);
	assert_true(verified);
}

static void it_gives_up_where_nothing_moves_on(void **state)
{
	struct fixture *f = *state;
	bool verified = false;
	assert_int_equal(download(f, NO_PROGRESS, MAX, &verified), -1);
	expect_error(f, NV_RETRY, NV_R_export_failed);
	assert_int_equal(requests(f, "POST"), 6);
	nv_seed(f->site)->timeout = 200;
	assert_int_equal(download(f, STALLS, MAX, &verified), -1);
	expect_error(f, NV_RETRY, NV_R_timeout);
}

static void what_is_no_archive_is_not_taken_for_one(void **state)
{
	struct fixture *f = *state;
	bool verified = false;
	assert_int_equal(download(f, HTML, MAX, &verified), -1);
	expect_error(f, NV_RETRY, NV_R_export_failed);
	assert_non_null(strstr(f->err.msg, "(text/html)"));
	assert_int_equal(download(f, TEXT, MAX, &verified), -1);
	expect_error(f, NV_RETRY, NV_R_export_failed);
	assert_int_equal(download(f, EMPTY, MAX, &verified), -1);
	expect_error(f, NV_RETRY, NV_R_export_failed);
	assert_non_null(strstr(f->err.msg, "no more"));
	assert_int_equal(download(f, DAMAGED, MAX, &verified), -1);
	expect_error(f, NV_RETRY, NV_R_archive_corrupt);
	assert_int_equal(download(f, WITHDRAWN, MAX, &verified), -1);
	expect_error(f, NV_RETRY, NV_R_denied);
	assert_int_equal(download(f, CUT, MAX, &verified), 0);
	assert_false(verified);
}

static void a_download_has_a_size_limit(void **state)
{
	struct fixture *f = *state;
	bool verified = false;
	assert_int_equal(download(f, LONG, MAX, &verified), -1);
	expect_error(f, NV_REJECT, NV_R_archive_too_large);
	assert_int_equal(download(f, FILE_WHOLE, 1000, &verified), -1);
	expect_error(f, NV_REJECT, NV_R_archive_too_large);
	assert_int_equal(download(f, CUT, 200, &verified), -1);
	expect_error(f, NV_REJECT, NV_R_archive_too_large);
}

/* --- export --- */

static int take_entry(void *ctx, const struct nv_entry *entry, const struct nv_source *from,
		      struct nv_err *err)
{
	struct fixture *f = ctx;
	char buf[4096];
	f->entries++;
	for (ssize_t n = 1; from && n > 0;) {
		n = from->read_cb(from->ctx, buf, sizeof buf, err);
		if (n < 0)
			return -1;
		f->bytes += (uint64_t)n;
	}
	(void)entry;
	return 0;
}

/* Whatever comes of it, nothing stays in the work folder. */
static int export_it(struct fixture *f)
{
	struct nv_sink to = {.entry_cb = take_entry, .ctx = f};
	f->err = (struct nv_err){0};
	f->entries = 0;
	f->warnings = (struct nv_strs){0};
	int rc = nv_site_export(f->site, &f->request, &f->policy, NULL, &to, &f->job, &f->about,
				&f->warnings, &f->arena, &f->err);
	assert_int_equal(count_in(f->work), 0);
	assert_true(rc == 0 || f->entries == 0);
	return rc;
}

static int export_course(struct fixture *f, const char *course)
{
	f->request.course = nv_arena_strdup(&f->arena, course);
	return export_it(f);
}

static void a_course_comes_out_whole(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(export_course(f, "2"), 0);
	assert_int_equal(f->entries, 3);
	assert_true(f->bytes > 512000);
	assert_string_equal(f->about.shortname, "C2");
	assert_string_equal(f->about.fullname, "Course 2 — Été");
	assert_string_equal(f->about.moodle_version, "2024100705.01");
	assert_null(f->about.category);
	assert_false(f->about.user_data);
	assert_int_equal(f->warnings.len, 0);
	assert_int_equal(requests(f, "\"withuserdatas\": \"0\""), 1);
	assert_int_equal(export_course(f, "2"), 0);
	assert_int_equal(requests(f, "get_site_info"), 1); /* remembered */
}

static void user_data_is_what_the_policy_allows(void **state)
{
	struct fixture *f = *state;
	f->request.user_data = true;
	assert_int_equal(export_course(f, "3"), -1);
	expect_error(f, NV_REJECT, NV_R_policy);
	assert_int_not_equal(access(at_server(f, "requests"), F_OK), 0);
	/* The site puts them in unasked. */
	f->request.user_data = false;
	assert_int_equal(export_course(f, "3"), -1);
	expect_error(f, NV_REJECT, NV_R_policy);
	f->policy.user_data = true;
	assert_int_equal(export_course(f, "3"), 0);
	assert_true(f->about.user_data);
	assert_string_equal(f->about.category, "SCI");
	assert_int_equal(f->warnings.len, 1);
	f->request.user_data = true;
	assert_int_equal(export_course(f, "3"), 0);
	assert_int_equal(f->warnings.len, 0);
	assert_int_equal(requests(f, "\"withuserdatas\": \"1\""), 1);
	/* It leaves them out although they were asked for. */
	assert_int_equal(export_course(f, "2"), 0);
	assert_false(f->about.user_data);
	assert_int_equal(f->warnings.len, 1);
}

static void a_course_that_is_not_the_users_is_refused(void **state)
{
	struct fixture *f = *state;
	static const char *const none[] = {"51", "",   "0",  "02",
					   "x",	 "-2", "2 ", "1234567890123456789"};
	assert_int_equal(export_course(f, "50"), -1);
	expect_error(f, NV_REJECT, NV_R_role_missing);
	for (size_t i = 0; i < NV_ARRAY_LEN(none); i++) {
		assert_int_equal(export_course(f, none[i]), -1);
		expect_error(f, NV_REJECT, NV_R_course_missing);
	}
	f->request.user = nv_arena_strdup(&f->arena, "nobody");
	assert_int_equal(export_course(f, "2"), -1);
	expect_error(f, NV_REJECT, NV_R_unknown_user);
	assert_int_equal(requests(f, "courses_zip"), 0);
	/* The role is withdrawn between the question and the backup. */
	f->request.user = nv_arena_strdup(&f->arena, "teacher2");
	assert_int_equal(export_course(f, "2"), -1);
	expect_error(f, NV_REJECT, NV_R_role_missing);
}

static void a_name_that_moodle_lets_into_no_list_keeps_no_course_away(void **state)
{
	struct fixture *f = *state;
	f->request.user = nv_arena_strdup(&f->arena, "waves");
	assert_int_equal(export_course(f, "2"), 0);
	/* The block has been asked as that user, and looks at the roles itself. */
	assert_int_equal(requests(f, "\"username\": \"waves\", \"courseid\": \"2\""), 1);
	assert_int_equal(export_course(f, "51"), -1);
	expect_error(f, NV_REJECT, NV_R_course_missing);
}

static void a_request_without_a_user_is_for_whom_the_policy_names(void **state)
{
	struct fixture *f = *state;
	f->request.user = NULL;
	assert_int_equal(export_course(f, "2"), -1);
	expect_error(f, NV_REJECT, NV_R_policy);
	f->policy.without_user = true;
	assert_int_equal(export_course(f, "2"), 0);
	assert_int_equal(requests(f, "\"username\": \"\""), 1);
	assert_int_equal(export_course(f, "51"), -1);
	expect_error(f, NV_REJECT, NV_R_course_missing);
	assert_int_equal(export_course(f, "1"), -1);
	expect_error(f, NV_REJECT, NV_R_course_missing);
}

static void categories_are_held_to_as_far_as_they_can_be_seen(void **state)
{
	struct fixture *f = *state;
	const char *allowed[] = {"ART", "SCI"};
	f->policy.user_data = true;
	f->policy.categories = allowed;
	f->policy.categories_len = 1;
	assert_int_equal(export_course(f, "3"), -1);
	expect_error(f, NV_REJECT, NV_R_policy);
	f->policy.categories_len = 2;
	assert_int_equal(export_course(f, "3"), 0);
	assert_int_equal(export_course(f, "2"), -1); /* its category is not told */
	expect_error(f, NV_REJECT, NV_R_policy);
	f->policy.without_user = true;
	f->request.user = NULL;
	assert_int_equal(export_course(f, "3"), -1);
	expect_error(f, NV_REJECT, NV_R_policy);
}

static void what_the_client_lacks_is_refused_before_anything_is_passed_on(void **state)
{
	struct fixture *f = *state;
	struct nv_plugin has[] = {{.name = (char[]){"mod_page"}, .version = 1},
				  {.name = (char[]){"mod_quiz"}, .version = 1}};
	f->request.moodle_version = 2023100900;
	assert_int_equal(export_course(f, "2"), -1);
	expect_error(f, NV_REJECT, NV_R_version_older);
	assert_int_equal(requests(f, "courses_zip"), 0);
	f->request.moodle_version = 2024100705;
	assert_int_equal(export_course(f, "2"), 0);
	assert_int_equal(export_course(f, "4"), -1); /* the archive is newer than the site says */
	expect_error(f, NV_REJECT, NV_R_version_older);
	f->request.plugins = (struct nv_list){has, 2};
	assert_int_equal(export_course(f, "2"), 0);
	assert_int_equal(export_course(f, "5"), -1);
	expect_error(f, NV_REJECT, NV_R_plugin_missing);
	assert_non_null(strstr(f->err.msg, "mod_exotic"));
}

static void archives_that_are_not_the_course_are_refused(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(export_course(f, "6"), -1);
	expect_error(f, NV_RETRY, NV_R_export_failed);
	assert_int_equal(export_course(f, "7"), -1);
	expect_error(f, NV_REJECT, NV_R_export_failed);
	assert_int_equal(export_course(f, "8"), -1);
	expect_error(f, NV_RETRY, NV_R_export_failed);
	assert_int_equal(export_course(f, "10"), -1);
	expect_error(f, NV_REJECT, NV_R_archive_corrupt);
}

static void *cancel_when_asked(void *arg)
{
	struct fixture *f = arg;
	nv_auto_free char *path = nv_asprintf("%s/asked", server.dir);
	for (uint64_t until = nv_mono_ms() + WAIT_MS; access(path, F_OK) < 0;) {
		if (nv_mono_ms() > until)
			return NULL;
		usleep(5000);
	}
	f->job.cancelled = true;
	return NULL;
}

static void a_backup_that_takes_long_can_be_cancelled(void **state)
{
	struct fixture *f = *state;
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, cancel_when_asked, f), 0);
	assert_int_equal(export_course(f, "9"), -1);
	pthread_join(thread, NULL);
	expect_error(f, NV_CANCELLED, NV_R_cancelled);
	f->job.cancelled = false;
	f->config.site.backup_timeout = 300;
	open_site(f, "https", server.tls, "ca.pem");
	assert_int_equal(export_course(f, "9"), -1);
	expect_error(f, NV_RETRY, NV_R_timeout);
}

static void *export_alone(void *arg)
{
	struct fixture *f = arg;
	struct fixture own = {.site = f->site, .request = f->request};
	struct nv_sink to = {.entry_cb = take_entry, .ctx = &own};
	own.request.course = (char[]){"11"};
	int rc = nv_site_export(own.site, &own.request, NULL, NULL, &to, NULL, &own.about,
				&own.warnings, &own.arena, &own.err);
	nv_arena_fini(&own.arena);
	return rc == 0 ? f : NULL;
}

static void backups_are_made_and_fetched_one_after_the_other(void **state)
{
	struct fixture *f = *state;
	pthread_t threads[3];
	for (size_t i = 0; i < NV_ARRAY_LEN(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, export_alone, f), 0);
	for (size_t i = 0; i < NV_ARRAY_LEN(threads); i++) {
		void *rc = NULL;
		pthread_join(threads[i], &rc);
		assert_ptr_equal(rc, f);
	}
	assert_int_equal(requests(f, "courses_zip"), 3);
	assert_int_not_equal(access(at_server(f, "overlap"), F_OK), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(the_catalog_is_the_blocks_list),
		TEST(recorded_answers_are_understood),
		TEST(an_unknown_user_is_a_status),
		TEST(answers_that_are_none_are_errors_that_say_so),
		TEST(the_list_is_held_to_the_messages_limits),
		TEST(the_block_knows_people_by_user_name_only),
		TEST(only_a_certificate_of_the_right_authority_is_trusted),
		TEST(a_site_that_is_down_is_named),
		TEST(a_token_that_is_refused_is_a_clear_reason),
		TEST(redirects_are_not_followed),
		TEST(a_service_that_lacks_something_is_told_at_once),
		TEST(what_cannot_be_a_site_does_not_open),
		TEST(it_restores_nothing),
		TEST(a_download_that_breaks_off_goes_on_where_it_was),
		TEST(it_begins_anew_where_the_server_does),
		TEST(it_gives_up_where_nothing_moves_on),
		TEST(what_is_no_archive_is_not_taken_for_one),
		TEST(a_download_has_a_size_limit),
		TEST(a_course_comes_out_whole),
		TEST(user_data_is_what_the_policy_allows),
		TEST(a_course_that_is_not_the_users_is_refused),
		TEST(a_name_that_moodle_lets_into_no_list_keeps_no_course_away),
		TEST(a_request_without_a_user_is_for_whom_the_policy_names),
		TEST(categories_are_held_to_as_far_as_they_can_be_seen),
		TEST(what_the_client_lacks_is_refused_before_anything_is_passed_on),
		TEST(archives_that_are_not_the_course_are_refused),
		TEST(a_backup_that_takes_long_can_be_cancelled),
		TEST(backups_are_made_and_fetched_one_after_the_other),
	};
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, start_server, stop_server);
}
