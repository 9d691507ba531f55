/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The directory site: import and what comes after it (enrol, notify, history). */
#include "tests/unit/site_fixture.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static bool existed; /* what nv_site_preflight says */

static void expect_import_refused(struct fixture *f, enum nv_err_kind kind, enum nv_reason reason)
{
	struct nv_imported ret;
	assert_int_equal(try_import(f, &ret), -1);
	if (f->err.kind != kind || f->err.reason != reason)
		fail_msg("%s/%s is not %s/%s: %s", nv_err_kind_word(f->err.kind),
			 nv_reason_word(f->err.reason), nv_err_kind_word(kind),
			 nv_reason_word(reason), f->err.msg);
}

/* Run the import in a process of its own; its fault is set there.  Exit 0: imported. */
static pid_t import_in_child(struct fixture *f, const char *fault, const struct nv_job *job)
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid)
		return pid;
	struct nv_imported ret;
	struct nv_err err = {0};
	if (fault)
		setenv("NAVETTE_FAULT", fault, 1);
	int rc = nv_site_import(f->dst, &f->import, &f->fetched, job, &ret, &f->arena, &err);
	if (rc < 0)
		_exit(err.kind == NV_HOLD ? 10 : err.reason == NV_R_claim_lost ? 11 : 12);
	_exit(ret.existed ? 1 : 0);
}

static int wait_for(pid_t pid)
{
	int status = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

/* --- import --- */

static void an_import_makes_the_course_with_the_same_entries_and_bytes(void **state)
{
	struct fixture *f = *state;
	char before[NV_SHA256_HEX], after[NV_SHA256_HEX];
	fetch(f, "10");
	assert_int_equal(nv_site_preflight(f->dst, &f->import, 100000, &existed, &f->err), 0);
	assert_false(existed);
	struct nv_imported r = do_import(f);
	assert_string_equal(r.course, f->request.id);
	assert_string_equal(r.shortname, "P1");
	assert_string_equal(r.fullname, "Course P1");
	assert_string_equal(r.category, "NEW");
	assert_true(r.enrolled && !r.existed && !r.user_data && r.at > 0);
	assert_int_equal(r.warnings.len, 0);
	fingerprint(path_of(f, "src/backups/plain.mbz"), before);
	fingerprint(restored_mbz(f, r.course), after);
	assert_string_equal(before, after);
	assert_int_equal(count_in(f, "dst/tmp"), 0);
}

static void the_same_request_again_gets_the_same_course(void **state)
{
	struct fixture *f = *state;
	fetch(f, "10");
	struct nv_imported first = do_import(f);
	struct nv_imported again = do_import(f);
	assert_true(again.existed && again.enrolled);
	assert_int_equal(nv_site_preflight(f->dst, &f->import, 1, &existed, &f->err), 0);
	assert_true(existed);
	assert_string_equal(again.course, first.course);
	assert_string_equal(again.shortname, first.shortname);
	assert_true(again.at == first.at);
	assert_int_equal(count_in(f, "dst/courses"), 1);
	struct nv_imported found;
	assert_int_equal(nv_site_find(f->dst, f->request.id, &found, &f->arena, &f->err), 0);
	assert_string_equal(found.course, first.course);
	new_id(f);
	assert_int_equal(nv_site_find(f->dst, f->request.id, &found, &f->arena, &f->err), 0);
	assert_null(found.course);
	assert_int_equal(nv_site_find(f->dst, "../x", &found, &f->arena, &f->err), 0);
	assert_null(found.course);
}

static void copies_are_named_as_moodle_names_them(void **state)
{
	struct fixture *f = *state;
	fetch(f, "10");
	do_import(f);
	new_id(f);
	struct nv_imported second = do_import(f);
	new_id(f);
	struct nv_imported third = do_import(f);
	assert_string_equal(second.shortname, "P1_1");
	assert_string_equal(second.fullname, "Course P1 copy 1");
	assert_string_equal(third.shortname, "P1_2");
	assert_string_equal(third.fullname, "Course P1 copy 2");
	assert_int_equal(nv_site_directory_delete(path_of(f, "dst"), second.course, &f->err), 0);
	new_id(f);
	assert_string_equal(do_import(f).shortname, "P1_1"); /* the name is free again */
}

static void a_long_short_name_is_cut_in_front_of_the_copy_number(void **state)
{
	struct fixture *f = *state;
	char longest[2 * 101 + 1] = "";
	for (size_t i = 0; i < 101; i++)
		longest[2 * i] = '\xc3', longest[2 * i + 1] = '\xbc'; /* ü */
	fetch(f, "10");
	f->fetched.manifest.shortname = longest;
	struct nv_imported first = do_import(f);
	new_id(f);
	struct nv_imported second = do_import(f);
	assert_int_equal(strlen(first.shortname), 200); /* 100 characters */
	assert_int_equal(strlen(second.shortname), 196 + 2);
	assert_string_equal(second.shortname + 196, "_1"); /* 98 characters before it */
}

static void names_of_every_kind_travel_unchanged(void **state)
{
	struct fixture *f = *state;
	fetch(f, "11");
	struct nv_imported r = do_import(f);
	assert_string_equal(r.shortname, "U'; DROP");
	assert_string_equal(r.fullname, "Übung <b>");
	assert_true(r.user_data);
	f->fetched.manifest.shortname = nv_arena_strdup(&f->arena, "../../../tmp/\"x\"\n%s%n");
	f->fetched.manifest.fullname = f->fetched.manifest.shortname;
	new_id(f);
	r = do_import(f);
	assert_string_equal(r.shortname, f->fetched.manifest.shortname);
	struct nv_imported found;
	assert_int_equal(nv_site_find(f->dst, f->request.id, &found, &f->arena, &f->err), 0);
	assert_string_equal(found.shortname, r.shortname);
}

/* The course server says that course 10 had more than its backup holds. */
static void counted_more(struct fixture *f)
{
	static const char before[] = "{\"id\": 10, \"file\": \"plain.mbz\", \"category\": 2}";
	char *json = nv_arena_strdup(&f->arena, src_json);
	char *at = strstr(json, before);
	*at = '\0';
	put_file(f, "src/site.json",
		 nv_arena_printf(&f->arena,
				 "%s{\"id\": 10, \"file\": \"plain.mbz\", \"category\": 2, "
				 "\"inventory\": [{\"kind\": \"activity\", \"type\": \"wiki\", "
				 "\"count\": 2}, {\"kind\": \"activity\", \"type\": \"quiz\", "
				 "\"count\": 1}, {\"kind\": \"question\", \"type\": \"essay\", "
				 "\"count\": 3}]}%s",
				 json, at + sizeof before - 1));
}

static void assert_wiki_lost(const struct nv_imported *outcome)
{
	const struct nv_difference *d = outcome->differences.items;
	assert_true(outcome->compared);
	assert_int_equal(outcome->differences.len, 1);
	assert_string_equal(d->kind, "activity");
	assert_string_equal(d->type, "wiki");
	assert_true(d->had == 2 && d->has == 0);
}

static int note_outcome(void *arg, const struct nv_restore_request *request,
			const struct nv_imported *outcome, bool deleted)
{
	(void)request;
	(void)deleted;
	(*(unsigned *)arg)++;
	assert_wiki_lost(outcome);
	return 0;
}

static void what_the_course_had_and_the_archive_lacks_is_told_and_remembered(void **state)
{
	struct fixture *f = *state;
	struct nv_imported again;
	unsigned told = 0;
	counted_more(f);
	fetch(f, "10");
	struct nv_imported got = do_import(f);
	assert_wiki_lost(&got);
	assert_int_equal(nv_site_find(f->dst, f->request.id, &again, &f->arena, &f->err), 0);
	assert_wiki_lost(&again);
	assert_int_equal(nv_site_history(f->dst, note_outcome, &told, &f->err), 0);
	assert_int_equal(told, 1);
}

static void a_whole_course_has_no_differences(void **state)
{
	struct fixture *f = *state;
	fetch(f, "10");
	struct nv_imported got = do_import(f);
	assert_true(got.compared);
	assert_int_equal(got.differences.len, 0);
	/* An older archiver counts nothing. */
	f->fetched.manifest.inventory.len = 0;
	new_id(f);
	assert_false(do_import(f).compared);
}

static void a_plugin_that_is_missing_here_is_refused_here_too(void **state)
{
	struct fixture *f = *state;
	fetch(f, "10");
	f->import.needs = &f->fetched.manifest.needs;
	assert_int_equal(f->import.needs->len, 1);
	do_import(f); /* this site does not know its plugins */
	new_id(f);
	char *json = get_file(f, "dst/site.json");
	put_file(f, "dst/site.json",
		 nv_arena_printf(&f->arena,
				 "{\"plugins\": [{\"name\": \"mod_forum\", \"version\": 1}],%s",
				 json + 1));
	expect_import_refused(f, NV_REJECT, NV_R_plugin_missing);
	assert_non_null(strstr(f->err.msg, "needs the plugin mod_quiz"));
	f->err = (struct nv_err){0};
	assert_int_equal(nv_site_preflight(f->dst, &f->import, 1, &existed, &f->err), -1);
	assert_int_equal(f->err.reason, NV_R_plugin_missing);
	/* A block is left out, and said. */
	struct nv_plugin block = {(char *)"block_gone", 0};
	struct nv_list blocks = {&block, 1};
	f->import.needs = &blocks;
	f->err = (struct nv_err){0};
	struct nv_imported got = do_import(f);
	assert_int_equal(got.warnings.len, 1);
	assert_string_equal(got.warnings.items[0],
			    "The client lacks block_gone: the block is left out.");
}

static void ids_that_would_be_paths_are_refused(void **state)
{
	struct fixture *f = *state;
	fetch(f, "10");
	char *id = f->request.id;
	f->request.id = nv_arena_strdup(&f->arena, "../../escape");
	expect_import_refused(f, NV_REJECT, NV_R_bad_message);
	f->request.id = id;
	f->import.site = "../x";
	expect_import_refused(f, NV_REJECT, NV_R_bad_message);
	f->import.site = "last-year";
	f->request.course = nv_arena_strdup(&f->arena, "../../../../x"); /* only its hash is used */
	do_import(f);
}

static void the_category_is_the_original_one_the_one_asked_for_or_the_default(void **state)
{
	struct fixture *f = *state;
	fetch(f, "10");
	f->request.keep_category = true;
	assert_string_equal(do_import(f).category, "BIO");
	f->import.category = "GONE";
	new_id(f);
	struct nv_imported r = do_import(f);
	assert_string_equal(r.category, "NEW");
	assert_int_equal(r.warnings.len, 1);
	assert_non_null(strstr(r.warnings.items[0], "GONE"));
	f->import.category = NULL;
	new_id(f);
	r = do_import(f);
	assert_string_equal(r.category, "NEW");
	assert_int_equal(r.warnings.len, 1);
	f->request.keep_category = false;
	f->request.category = nv_arena_strdup(&f->arena, "SUB");
	new_id(f);
	assert_string_equal(do_import(f).category, "SUB");
	f->request.category = NULL;
	f->dst_config.restore.default_category = "NOWHERE";
	new_id(f);
	expect_import_refused(f, NV_REJECT, NV_R_category_missing);
	assert_int_equal(nv_site_preflight(f->dst, &f->import, 1, &existed, &f->err), -1);
	assert_int_equal(f->err.reason, NV_R_category_missing);
}

static void the_requester_must_be_allowed_to_create_courses_there(void **state)
{
	struct fixture *f = *state;
	fetch(f, "10");
	f->dst_config.restore.check_course_create = true;
	f->request.keep_category = true;
	assert_string_equal(do_import(f).category, "BIO"); /* ada: everywhere */
	new_id(f);
	f->request.user = nv_arena_strdup(&f->arena, "bob"); /* only in the default category */
	struct nv_imported r = do_import(f);
	assert_string_equal(r.category, "NEW");
	assert_int_equal(r.warnings.len, 1);
	new_id(f);
	f->request.user = nv_arena_strdup(&f->arena, "eve");
	expect_import_refused(f, NV_REJECT, NV_R_capability_missing);
	assert_int_equal(nv_site_preflight(f->dst, &f->import, 1, &existed, &f->err), -1);
	assert_int_equal(f->err.reason, NV_R_capability_missing);
	f->request.user = nv_arena_strdup(&f->arena, "sub"); /* in a category above it */
	f->import.category = "SUB";
	assert_string_equal(do_import(f).category, "SUB");
	new_id(f);
	f->request.user = NULL; /* an administrator */
	r = do_import(f);
	assert_false(r.enrolled);
	f->dst_config.restore.check_course_create = false;
	new_id(f);
	f->request.user = nv_arena_strdup(&f->arena, "eve");
	do_import(f);
}

static void an_unknown_requester_is_refused(void **state)
{
	struct fixture *f = *state;
	fetch(f, "10");
	f->request.user = nv_arena_strdup(&f->arena, "stranger");
	expect_import_refused(f, NV_REJECT, NV_R_unknown_user);
	f->dst_config.restore.enrol_requester = false;
	assert_false(do_import(f).enrolled);
}

static void preflight_asks_for_the_room_that_is_needed(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(nv_site_preflight(f->dst, &f->import, UINT64_MAX / 4, &existed, &f->err),
			 -1);
	assert_int_equal(f->err.kind, NV_RETRY);
	assert_int_equal(f->err.reason, NV_R_disk_full);
}

static void only_one_request_restores_a_remote_course(void **state)
{
	struct fixture *f = *state;
	fetch(f, "10");
	f->dst_config.restore.only_one = true;
	struct nv_imported first = do_import(f);
	assert_true(do_import(f).existed); /* the same request may come again */
	new_id(f);
	expect_import_refused(f, NV_REJECT, NV_R_already_restored);
	assert_int_equal(nv_site_preflight(f->dst, &f->import, 1, &existed, &f->err), -1);
	assert_int_equal(f->err.reason, NV_R_already_restored);
	f->import.site = "another-site"; /* the same number elsewhere is another course */
	do_import(f);
	f->import.site = "last-year";
	new_id(f);
	assert_int_equal(nv_site_directory_delete(path_of(f, "dst"), first.course, &f->err), 0);
	assert_int_equal(nv_site_preflight(f->dst, &f->import, 1, &existed, &f->err), 0);
	do_import(f); /* freed */
}

static void a_course_restored_before_only_one_was_set_counts(void **state)
{
	struct fixture *f = *state;
	fetch(f, "10");
	do_import(f);
	f->dst_config.restore.only_one = true;
	new_id(f);
	expect_import_refused(f, NV_REJECT, NV_R_already_restored);
}

static void two_processes_with_the_same_request_make_one_course(void **state)
{
	struct fixture *f = *state;
	fetch(f, "10");
	for (int round = 0; round < 10; round++) {
		new_id(f);
		pid_t a = import_in_child(f, NULL, NULL);
		pid_t b = import_in_child(f, NULL, NULL);
		int one = wait_for(a), two = wait_for(b);
		assert_true(WIFEXITED(one) && WIFEXITED(two));
		int made = (WEXITSTATUS(one) == 0) + (WEXITSTATUS(two) == 0);
		int other = WEXITSTATUS(one) + WEXITSTATUS(two);
		assert_int_equal(made, 1);
		assert_true(other == 1 || other == 10); /* existed, or busy */
		assert_int_equal(count_in(f, "dst/courses"), round + 1);
	}
	assert_int_equal(count_in(f, "dst/tmp"), 0);
}

static void two_requests_at_once_for_one_remote_course_make_one(void **state)
{
	struct fixture *f = *state;
	fetch(f, "10");
	f->dst_config.restore.only_one = true;
	pid_t a = import_in_child(f, NULL, NULL);
	new_id(f);
	pid_t b = import_in_child(f, NULL, NULL);
	int one = wait_for(a), two = wait_for(b);
	assert_int_equal((WEXITSTATUS(one) == 0) + (WEXITSTATUS(two) == 0), 1);
	assert_int_equal(count_in(f, "dst/courses"), 1);
}

static void many_processes_make_copies_of_different_names(void **state)
{
	struct fixture *f = *state;
	pid_t pids[6];
	fetch(f, "10");
	for (size_t i = 0; i < NV_ARRAY_LEN(pids); i++) {
		new_id(f);
		pids[i] = import_in_child(f, NULL, NULL);
	}
	for (size_t i = 0; i < NV_ARRAY_LEN(pids); i++)
		assert_int_equal(wait_for(pids[i]), 0);
	new_id(f);
	assert_string_equal(do_import(f).shortname, "P1_6");
}

#ifdef NAVETTE_FAULTS
static void killed_before_the_commit_leaves_nothing_after_the_sweep(void **state)
{
	struct fixture *f = *state;
	fetch(f, "10");
	f->dst_config.restore.only_one = true;
	int status = wait_for(import_in_child(f, "site.import.before-commit", NULL));
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_int_equal(count_in(f, "dst/courses"), 0);
	assert_int_equal(count_in(f, "dst/tmp"), 1);
	assert_int_equal(nv_site_sweep(f->dst, &f->err), 0);
	assert_int_equal(count_in(f, "dst/tmp"), 0);
	assert_int_equal(count_in(f, "dst/remote"), 0);
	assert_int_equal(count_in(f, "dst/locks"), 0);
	assert_false(do_import(f).existed);
	assert_int_equal(count_in(f, "dst/courses"), 1);
}

static void the_next_attempt_removes_what_a_killed_one_left(void **state)
{
	struct fixture *f = *state;
	fetch(f, "10");
	wait_for(import_in_child(f, "site.import.before-commit", NULL));
	assert_int_equal(count_in(f, "dst/tmp"), 1);
	do_import(f);
	assert_int_equal(count_in(f, "dst/tmp"), 0);
}

static void killed_after_the_commit_the_course_is_found(void **state)
{
	struct fixture *f = *state;
	fetch(f, "10");
	f->dst_config.restore.only_one = true;
	int status = wait_for(import_in_child(f, "site.import.after-commit", NULL));
	assert_true(WIFSIGNALED(status));
	struct nv_imported r = do_import(f);
	assert_true(r.existed && r.enrolled);
	assert_int_equal(count_in(f, "dst/courses"), 1);
	new_id(f);
	expect_import_refused(f, NV_REJECT, NV_R_already_restored);
}

static void a_stopped_importer_whose_lease_ended_changes_nothing(void **state)
{
	struct fixture *f = *state;
	/* Shared, so that the lease can end while the child is stopped, without a wait. */
	struct nv_job *job =
		mmap(NULL, sizeof *job, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;
	fetch(f, "10");
	f->dst_config.restore.only_one = true;
	pid_t pid = import_in_child(f, "site.import.before-commit:stop", job);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status));
	expect_import_refused(f, NV_HOLD, NV_R_busy); /* it holds the lock all the same */
	assert_int_equal(nv_site_sweep(f->dst, &f->err), 0);
	assert_int_equal(count_in(f, "dst/tmp"), 1); /* which the sweep respects */
	atomic_store(&job->lease_until, nv_mono_ms());
	kill(pid, SIGCONT);
	status = wait_for(pid);
	assert_int_equal(WEXITSTATUS(status), 11); /* claim lost */
	assert_int_equal(count_in(f, "dst/courses"), 0);
	assert_int_equal(count_in(f, "dst/tmp"), 0);
	assert_int_equal(count_in(f, "dst/remote"), 0);
	assert_false(do_import(f).existed);
	munmap(job, sizeof *job);
}
#endif

/* An importer killed at any moment, by the clock. */
static void killed_at_random_moments_there_is_one_course(void **state)
{
	struct fixture *f = *state;
	fetch(f, "10");
	for (unsigned i = 0; i < 20; i++) {
		new_id(f);
		pid_t pid = import_in_child(f, NULL, NULL);
		nanosleep(&(struct timespec){.tv_nsec = (long)(i * 700000)}, NULL);
		kill(pid, SIGKILL);
		wait_for(pid);
		do_import(f);
		assert_int_equal(count_in(f, "dst/courses"), i + 1);
	}
	assert_int_equal(nv_site_sweep(f->dst, &f->err), 0);
	assert_int_equal(count_in(f, "dst/tmp"), 0);
	assert_int_equal(count_in(f, "dst/locks"), 0);
}

static void a_cancelled_import_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	struct nv_job job = {0};
	struct nv_imported ret;
	fetch(f, "10");
	atomic_store(&job.cancelled, true);
	assert_int_equal(
		nv_site_import(f->dst, &f->import, &f->fetched, &job, &ret, &f->arena, &f->err),
		-1);
	assert_int_equal(f->err.kind, NV_CANCELLED);
	assert_int_equal(count_in(f, "dst/courses"), 0);
	assert_int_equal(count_in(f, "dst/tmp"), 0);
}

/* A file size limit stands for a full disk. */
static void a_failed_write_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	fetch(f, "10");
	f->dst_config.restore.only_one = true;
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct nv_imported ret;
		struct rlimit small = {1000, 1000};
		signal(SIGXFSZ, SIG_IGN);
		setrlimit(RLIMIT_FSIZE, &small);
		_exit(try_import(f, &ret) < 0 && f->err.kind == NV_RETRY ? 7 : 8);
	}
	assert_int_equal(WEXITSTATUS(wait_for(pid)), 7);
	assert_int_equal(count_in(f, "dst/courses"), 0);
	assert_int_equal(count_in(f, "dst/tmp"), 0);
	assert_int_equal(count_in(f, "dst/remote"), 0);
	do_import(f);
}

static void a_deleted_course_does_not_come_back(void **state)
{
	struct fixture *f = *state;
	fetch(f, "10");
	struct nv_imported r = do_import(f);
	assert_int_equal(nv_site_directory_delete(path_of(f, "dst"), r.course, &f->err), 0);
	expect_import_refused(f, NV_REJECT, NV_R_course_missing);
	assert_int_equal(nv_site_directory_delete(path_of(f, "dst"), r.course, &f->err), -1);
	assert_int_equal(f->err.reason, NV_R_course_missing);
	assert_int_equal(nv_site_directory_delete(path_of(f, "dst"), "../src", &f->err), -1);
	assert_int_equal(count_in(f, "dst/tmp"), 0);
}

/* --- enrol, notify, history --- */

static unsigned occurrences(const char *text, const char *what)
{
	unsigned count = 0;
	for (const char *p = text; (p = strstr(p, what)); p++)
		count++;
	return count;
}

static void enrolling_twice_is_once(void **state)
{
	struct fixture *f = *state;
	fetch(f, "10");
	struct nv_imported r = do_import(f);
	for (int i = 0; i < 2; i++)
		assert_int_equal(nv_site_enrol(f->dst, r.course, "eve", "editingteacher", &f->err),
				 0);
	char *json =
		get_file(f, nv_arena_printf(&f->arena, "dst/courses/%s/course.json", r.course));
	assert_int_equal(occurrences(json, "\"user\": \"eve\""), 1);
	assert_int_equal(occurrences(json, "\"user\": \"ada\""), 2); /* request and enrolment */
	assert_int_equal(nv_site_enrol(f->dst, r.course, "stranger", "student", &f->err), -1);
	assert_int_equal(f->err.reason, NV_R_unknown_user);
	assert_int_equal(nv_site_directory_delete(path_of(f, "dst"), r.course, &f->err), 0);
	assert_int_equal(nv_site_enrol(f->dst, r.course, "eve", "editingteacher", &f->err), -1);
	assert_int_equal(f->err.kind, NV_REJECT);
	assert_int_equal(f->err.reason, NV_R_course_missing);
	assert_int_equal(nv_site_enrol(f->dst, "../../x", "eve", "student", &f->err), -1);
	assert_int_equal(f->err.reason, NV_R_course_missing);
}

struct enroller {
	struct fixture *f;
	const char *course;
	const char *user;
};

static void *enrol_often(void *arg)
{
	struct enroller *e = arg;
	for (int i = 0; i < 10; i++) {
		char role[16];
		struct nv_err err = {0};
		snprintf(role, sizeof role, "role%d", i);
		if (nv_site_enrol(e->f->dst, e->course, e->user, role, &err) < 0)
			return arg;
	}
	return NULL;
}

static void enrolments_at_once_lose_none(void **state)
{
	struct fixture *f = *state;
	fetch(f, "10");
	struct nv_imported r = do_import(f);
	struct enroller who[] = {{f, r.course, "ada"}, {f, r.course, "bob"}, {f, r.course, "eve"}};
	pthread_t threads[NV_ARRAY_LEN(who)];
	for (size_t i = 0; i < NV_ARRAY_LEN(who); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, enrol_often, &who[i]), 0);
	for (int i = 0; i < 50; i++) /* which takes the lock files away all the time */
		assert_int_equal(nv_site_sweep(f->dst, &f->err), 0);
	for (size_t i = 0; i < NV_ARRAY_LEN(who); i++) {
		void *failed;
		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
	char *json =
		get_file(f, nv_arena_printf(&f->arena, "dst/courses/%s/course.json", r.course));
	assert_int_equal(occurrences(json, "\"role\": \"role"), 30);
}

static void a_notice_is_delivered_once(void **state)
{
	struct fixture *f = *state;
	struct nv_notice n = {
		.id = "0193-restored",
		.user = "ada",
		.subject = "Kurs wiederhergestellt: Übung\r\nBcc: all@example.org",
		.text = "Grüße,\nnavette",
		.url = "https://moodle.example/course/7",
	};
	for (int i = 0; i < 2; i++)
		assert_int_equal(nv_site_notify(f->dst, &n, &f->err), 0);
	assert_int_equal(count_in(f, "dst/mail"), 1);
	assert_int_equal(count_in(f, "dst/tmp"), 0);
	char *mail = get_file(f, "dst/mail/0193-restored.txt");
	assert_non_null(strstr(mail, "From: This year <"));
	assert_non_null(strstr(mail, "To: =?UTF-8?B?QWRhIEzDtnZlbGFjZQ==?= <ada@example.org>\n"));
	assert_non_null(strstr(mail, "\nMessage-ID: <0193-restored@navette.invalid>\n"));
	assert_non_null(strstr(mail, "\nDate: "));
	assert_non_null(strstr(mail, "\nSubject: =?UTF-8?B?"));
	assert_non_null(strstr(mail, "\nContent-Language: fr\n"));
	assert_non_null(strstr(mail, "\n\nGrüße,\nnavette\n\nhttps://moodle.example/course/7\n"));
	assert_null(strstr(mail, "Bcc"));
	n.id = "../../../etc/cron.d/x";
	assert_int_equal(nv_site_notify(f->dst, &n, &f->err), 0);
	assert_int_equal(nv_site_notify(f->dst, &n, &f->err), 0);
	assert_int_equal(count_in(f, "dst/mail"), 2);
	n.user = "stranger";
	assert_int_equal(nv_site_notify(f->dst, &n, &f->err), -1);
	assert_int_equal(f->err.reason, NV_R_unknown_user);
	n.user = NULL; /* administrators, of whom this kind of site knows none */
	n.kind = NV_NOTICE_problem;
	assert_int_equal(nv_site_notify(f->dst, &n, &f->err), 0);
	assert_int_equal(count_in(f, "dst/mail"), 2);
}

struct told {
	struct fixture *f;
	unsigned there;
	unsigned deleted;
	const struct nv_restore_request *expect;
};

static int tell(void *arg, const struct nv_restore_request *q, const struct nv_imported *outcome,
		bool deleted)
{
	struct told *t = arg;
	nv_auto_buf struct nv_buf asked = {0}, told = {0};
	struct nv_err err = {0};
	t->there += !deleted;
	t->deleted += deleted;
	assert_string_equal(outcome->course, q->id);
	if (strcmp(q->id, t->expect->id) != 0)
		return 0;
	/* Every field comes back as it was asked. */
	if (nv_record_encode(&nv_restore_request_record, t->expect, &asked, &err) < 0 ||
	    nv_record_encode(&nv_restore_request_record, q, &told, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(asked.len, told.len);
	assert_memory_equal(asked.data, told.data, asked.len);
	assert_int_equal(outcome->warnings.len, 1);
	assert_string_equal(outcome->category, "NEW");
	return 0;
}

static int stop_at_once(void *arg, const struct nv_restore_request *q,
			const struct nv_imported *outcome, bool deleted)
{
	(void)q;
	(void)outcome;
	(void)deleted;
	++*(unsigned *)arg;
	return 1;
}

static void history_tells_the_whole_request_and_deleted_courses(void **state)
{
	struct fixture *f = *state;
	struct nv_plugin plugins[] = {{nv_arena_strdup(&f->arena, "mod_quiz"), UINT64_MAX}};
	struct told t = {f, 0, 0, &f->request};
	unsigned calls = 0;
	assert_int_equal(nv_site_history(f->dst, tell, &t, &f->err), 0);
	assert_int_equal(t.there + t.deleted, 0);
	fetch(f, "10");
	struct nv_imported first = do_import(f);
	new_id(f);
	f->request.user_name = nv_arena_strdup(&f->arena, "Ada \"Ü\" \\ </b>");
	f->request.mail = nv_arena_strdup(&f->arena, "ada@example.org");
	f->request.by = nv_arena_strdup(&f->arena, "admin");
	f->request.source = NV_SRC_CSV;
	f->request.keep_category = true;
	f->request.enrolment = NV_ENROL_WITH_USERS;
	f->request.plugins = (struct nv_list){plugins, 1};
	f->import.category = "GONE";
	do_import(f);
	assert_int_equal(nv_site_directory_delete(path_of(f, "dst"), first.course, &f->err), 0);
	put_file(f, "dst/deleted/notes.txt", "not ours");
	assert_int_equal(nv_site_history(f->dst, tell, &t, &f->err), 0);
	assert_int_equal(t.there, 1);
	assert_int_equal(t.deleted, 1);
	assert_int_equal(nv_site_history(f->dst, stop_at_once, &calls, &f->err), 0);
	assert_int_equal(calls, 1);
}

static void a_damaged_course_json_is_named_and_hides_no_other(void **state)
{
	struct fixture *f = *state;
	fetch(f, "10");
	do_import(f);
	put_file(f, nv_arena_printf(&f->arena, "dst/courses/%s/course.json", f->request.id),
		 "{\"site\": 3");
	struct nv_imported found;
	assert_int_equal(nv_site_find(f->dst, f->request.id, &found, &f->arena, &f->err), -1);
	assert_non_null(strstr(f->err.msg, "course.json:1: damaged"));
	new_id(f);
	do_import(f);
	const struct nv_restore_request nobody = {.id = nv_arena_strdup(&f->arena, "x")};
	struct told t = {f, 0, 0, &nobody};
	assert_int_equal(nv_site_history(f->dst, tell, &t, &f->err), 0);
	assert_int_equal(t.there, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_import_makes_the_course_with_the_same_entries_and_bytes),
		TEST(the_same_request_again_gets_the_same_course),
		TEST(copies_are_named_as_moodle_names_them),
		TEST(a_long_short_name_is_cut_in_front_of_the_copy_number),
		TEST(names_of_every_kind_travel_unchanged),
		TEST(what_the_course_had_and_the_archive_lacks_is_told_and_remembered),
		TEST(a_whole_course_has_no_differences),
		TEST(a_plugin_that_is_missing_here_is_refused_here_too),
		TEST(ids_that_would_be_paths_are_refused),
		TEST(the_category_is_the_original_one_the_one_asked_for_or_the_default),
		TEST(the_requester_must_be_allowed_to_create_courses_there),
		TEST(an_unknown_requester_is_refused),
		TEST(preflight_asks_for_the_room_that_is_needed),
		TEST(only_one_request_restores_a_remote_course),
		TEST(a_course_restored_before_only_one_was_set_counts),
		TEST(two_processes_with_the_same_request_make_one_course),
		TEST(two_requests_at_once_for_one_remote_course_make_one),
		TEST(many_processes_make_copies_of_different_names),
#ifdef NAVETTE_FAULTS
		TEST(killed_before_the_commit_leaves_nothing_after_the_sweep),
		TEST(the_next_attempt_removes_what_a_killed_one_left),
		TEST(killed_after_the_commit_the_course_is_found),
		TEST(a_stopped_importer_whose_lease_ended_changes_nothing),
#endif
		TEST(killed_at_random_moments_there_is_one_course),
		TEST(a_cancelled_import_leaves_nothing),
		TEST(a_failed_write_leaves_nothing),
		TEST(a_deleted_course_does_not_come_back),
		TEST(enrolling_twice_is_once),
		TEST(enrolments_at_once_lose_none),
		TEST(a_notice_is_delivered_once),
		TEST(history_tells_the_whole_request_and_deleted_courses),
		TEST(a_damaged_course_json_is_named_and_hides_no_other),
	};
	nv_log_init("test", NV_ERROR);
	return cmocka_run_group_tests_name("site_import", tests, NULL, NULL);
}
