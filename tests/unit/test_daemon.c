/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/id.h"
#include "base/mem.h"
#include "core/daemon/runner.h"
#include "core/daemon/workdir.h"

/* --- jobs --- */

struct seen {
	uv_loop_t loop;
	struct nv_running *running;
	unsigned steps;
	char step[32];
	uint64_t done;
	bool ended;
	struct nv_err err; /* kind NV_OK: success */
};

static void on_progress(void *arg, const char *step, uint64_t done, uint64_t total)
{
	struct seen *s = arg;
	assert_int_equal(total, strcmp(step, "fetch") == 0 ? 1000 : 0);
	assert_true(done >= s->done);
	s->steps++;
	s->done = done;
	snprintf(s->step, sizeof s->step, "%s", step);
}

static void on_done(void *arg, const struct nv_err *err)
{
	struct seen *s = arg;
	assert_false(s->ended);
	s->ended = true;
	if (err)
		s->err = *err;
}

/* Works until it is told to stop, telling progress all the while. */
static int work_until_stopped(struct nv_job *job, void *arg, struct nv_err *err)
{
	(void)arg;
	for (uint64_t n = 0; nv_job_check(job, err) == 0; n++) {
		nv_job_progress(job, "fetch", n < 1000 ? n : 1000, 1000);
		usleep(1000);
	}
	return -1;
}

static int work_at_once(struct nv_job *job, void *arg, struct nv_err *err)
{
	(void)job;
	(void)arg;
	(void)err;
	return 0;
}

static void run_until_progress(struct seen *s)
{
	while (s->steps == 0)
		uv_run(&s->loop, UV_RUN_ONCE);
}

static void finish(struct seen *s)
{
	uv_run(&s->loop, UV_RUN_DEFAULT);
	assert_true(s->ended);
	assert_int_equal(uv_loop_close(&s->loop), 0);
}

static void start(struct seen *s, struct nv_run run)
{
	memset(s, 0, sizeof *s);
	uv_loop_init(&s->loop);
	run.on_progress_cb = on_progress;
	run.on_done_cb = on_done;
	run.arg = s;
	s->running = nv_run_start(&s->loop, &run);
}

static void a_job_ends_once_and_leaves_nothing_on_the_loop(void **state)
{
	(void)state;
	struct seen s;
	start(&s, (struct nv_run){.work = work_at_once});
	finish(&s);
	assert_int_equal(s.err.kind, NV_OK);
}

/* Tells nothing, until it is told to stop. */
static int work_in_silence(struct nv_job *job, void *arg, struct nv_err *err)
{
	(void)arg;
	while (nv_job_check(job, err) == 0)
		usleep(1000);
	return -1;
}

static void a_job_that_tells_nothing_is_in_its_first_step(void **state)
{
	(void)state;
	struct seen s;
	start(&s, (struct nv_run){.work = work_in_silence, .first_step = "begin"});
	run_until_progress(&s);
	assert_string_equal(s.step, "begin");
	nv_run_cancel(s.running);
	finish(&s);
	assert_int_equal(s.steps, 1);
}

struct heard {
	struct seen seen;
	unsigned lines;
	bool late;
};

static void on_line(void *arg, const struct nv_log_line *line)
{
	struct heard *h = arg;
	char want[32];
	snprintf(want, sizeof want, "line %u", h->lines++);
	assert_string_equal(line->text, want);
	assert_int_equal(line->level, NV_WARN);
	assert_true(line->at > 0);
	h->late = h->late || h->seen.ended;
}

static int work_that_talks(struct nv_job *job, void *arg, struct nv_err *err)
{
	(void)arg;
	(void)err;
	for (unsigned i = 0; i < 3; i++)
		nv_job_log(job, NV_WARN, "line %u", i);
	return 0;
}

static void a_job_s_lines_are_all_heard_before_its_end(void **state)
{
	struct heard h = {0};
	(void)state;
	uv_loop_init(&h.seen.loop);
	struct nv_run run = {
		.work = work_that_talks, .on_log_cb = on_line, .on_done_cb = on_done, .arg = &h};
	nv_run_start(&h.seen.loop, &run);
	uv_run(&h.seen.loop, UV_RUN_DEFAULT);
	assert_true(h.seen.ended);
	assert_int_equal(h.lines, 3);
	assert_false(h.late);
	assert_int_equal(uv_loop_close(&h.seen.loop), 0);
	nv_job_log(NULL, NV_WARN, "nobody");
}

static void a_cancelled_job_notices_and_says_so(void **state)
{
	(void)state;
	struct seen s;
	start(&s, (struct nv_run){.work = work_until_stopped});
	run_until_progress(&s);
	assert_string_equal(s.step, "fetch");
	nv_run_cancel(s.running);
	finish(&s);
	assert_int_equal(s.err.kind, NV_CANCELLED);
}

static void a_stopping_daemon_gets_its_job_back_without_a_used_attempt(void **state)
{
	(void)state;
	struct seen s;
	start(&s, (struct nv_run){.work = work_until_stopped});
	run_until_progress(&s);
	nv_run_stop(s.running);
	finish(&s);
	assert_int_equal(s.err.kind, NV_HOLD);
}

static void a_job_whose_lease_ends_stops_by_itself(void **state)
{
	(void)state;
	struct seen s;
	start(&s, (struct nv_run){.work = work_until_stopped, .lease_ms = 50});
	finish(&s);
	assert_int_equal(s.err.reason, NV_R_claim_lost);
}

static void a_renewed_lease_counts_from_when_it_was_asked_for(void **state)
{
	(void)state;
	struct seen s;
	start(&s, (struct nv_run){.work = work_until_stopped, .lease_ms = 60000});
	run_until_progress(&s);
	/* An answer that took longer than the lease renews nothing. */
	nv_run_lease(s.running, nv_mono_ms() - 200, 100);
	finish(&s);
	assert_int_equal(s.err.reason, NV_R_claim_lost);
}

static void a_job_beyond_its_time_limit_is_tried_again(void **state)
{
	(void)state;
	struct seen s;
	start(&s, (struct nv_run){.work = work_until_stopped, .timeout_ms = 50});
	finish(&s);
	assert_int_equal(s.err.kind, NV_RETRY);
	assert_int_equal(s.err.reason, NV_R_timeout);
}

/* --- work folders --- */

static int make_folder(void **state)
{
	char *dir = nv_strdup("/tmp/nv-work-XXXXXX");
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

static bool exists(const char *dir, const char *name)
{
	nv_auto_free char *path = nv_asprintf("%s/%s", dir, name);
	return access(path, F_OK) == 0;
}

static void a_folder_in_use_is_held_against_others_and_the_sweep(void **state)
{
	struct nv_workdir mine, other;
	struct nv_err err = {0};
	assert_int_equal(nv_workdir_open(*state, "job", &mine, &err), 0);
	assert_int_equal(nv_workdir_open(*state, "job", &other, &err), -1);
	assert_int_equal(err.kind, NV_HOLD);
	assert_int_equal(nv_workdir_sweep(*state, 0, &err), 0);
	assert_true(exists(*state, "job"));
	nv_workdir_close(&mine, true);
	assert_false(exists(*state, "job"));
}

static void a_folder_kept_for_a_later_try_is_taken_over_as_it_is(void **state)
{
	struct nv_workdir w;
	struct nv_err err = {0};
	assert_int_equal(nv_workdir_open(*state, "job", &w, &err), 0);
	nv_auto_free char *file = nv_asprintf("%s/part", w.path);
	assert_int_equal(nv_write_file(file, "x", 1, 0600, &err), 0);
	nv_workdir_close(&w, false);
	assert_int_equal(nv_workdir_open(*state, "job", &w, &err), 0);
	assert_true(exists(w.path, "part"));
	nv_workdir_close(&w, true);
}

static mode_t mode_of(const char *path)
{
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 0777;
}

/* Root's daemon lets Moodle's user into a job's folder, which must lead there. */
static void the_way_to_a_new_work_dir_may_be_passed_through_and_no_more(void **state)
{
	struct nv_err err = {0};
	nv_auto_free char *outer = nv_asprintf("%s/a", (char *)*state);
	nv_auto_free char *inner = nv_asprintf("%s/a/b", (char *)*state);
	nv_auto_free char *dir = nv_asprintf("%s/a/b/work", (char *)*state);
	nv_auto_free char *closed = nv_asprintf("%s/closed", (char *)*state);
	nv_auto_free char *below = nv_asprintf("%s/closed/x/", (char *)*state);
	mode_t before = umask(0077);
	assert_int_equal(mkdir(closed, 0700), 0);
	assert_int_equal(nv_workdir_make(dir, &err), 0);
	assert_int_equal(nv_workdir_make(dir, &err), 0);
	assert_int_equal(nv_workdir_make(below, &err), 0);
	umask(before);
	assert_int_equal(mode_of(outer), 0711);
	assert_int_equal(mode_of(inner), 0711);
	assert_int_equal(mode_of(dir), 0700);
	assert_int_equal(mode_of(closed), 0700); /* somebody else's folder stays as it is */
	assert_int_equal(mode_of(below), 0700);
	nv_auto_free char *file = nv_asprintf("%s/file", (char *)*state);
	nv_auto_free char *under = nv_asprintf("%s/file/work", (char *)*state);
	assert_int_equal(nv_write_file(file, "x", 1, 0600, &err), 0);
	assert_int_equal(nv_workdir_make(under, &err), -1);
	assert_int_equal(err.kind, NV_RETRY);
}

static void the_sweep_spares_what_is_young(void **state)
{
	struct nv_workdir w;
	struct nv_err err = {0};
	assert_int_equal(nv_workdir_open(*state, "job", &w, &err), 0);
	nv_workdir_close(&w, false);
	assert_int_equal(nv_workdir_sweep(*state, 3600000, &err), 0);
	assert_true(exists(*state, "job"));
	assert_int_equal(nv_workdir_sweep(*state, 0, &err), 0);
	assert_false(exists(*state, "job"));
}

static void a_killed_owner_frees_its_folder_for_the_sweep(void **state)
{
	int ready[2];
	char byte;
	struct nv_err err = {0};
	assert_int_equal(pipe(ready), 0);
	pid_t child = fork();
	if (child == 0) {
		struct nv_workdir w;
		if (nv_workdir_open(*state, "job", &w, NULL) == 0 && write(ready[1], "x", 1) == 1)
			pause();
		_exit(1);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(nv_workdir_sweep(*state, 0, &err), 0);
	assert_true(exists(*state, "job"));
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	assert_int_equal(nv_workdir_sweep(*state, 0, &err), 0);
	assert_false(exists(*state, "job"));
	close(ready[0]);
	close(ready[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_job_ends_once_and_leaves_nothing_on_the_loop),
		cmocka_unit_test(a_job_that_tells_nothing_is_in_its_first_step),
		cmocka_unit_test(a_job_s_lines_are_all_heard_before_its_end),
		cmocka_unit_test(a_cancelled_job_notices_and_says_so),
		cmocka_unit_test(a_stopping_daemon_gets_its_job_back_without_a_used_attempt),
		cmocka_unit_test(a_job_whose_lease_ends_stops_by_itself),
		cmocka_unit_test(a_renewed_lease_counts_from_when_it_was_asked_for),
		cmocka_unit_test(a_job_beyond_its_time_limit_is_tried_again),
#define T(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)
		T(a_folder_in_use_is_held_against_others_and_the_sweep),
		T(a_folder_kept_for_a_later_try_is_taken_over_as_it_is),
		T(the_way_to_a_new_work_dir_may_be_passed_through_and_no_more),
		T(the_sweep_spares_what_is_young),
		T(a_killed_owner_frees_its_folder_for_the_sweep),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
