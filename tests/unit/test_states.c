/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Built twice, as debug and as release build: what an impossible move does differs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/states.h"

enum { NEW, RUNNING, ENDED };
static const struct nv_states lives = {.event = "life.state",
				       .len = 3,
				       .states = {[NEW] = {"new", NV_TO(RUNNING, ENDED)},
						  [RUNNING] = {"running", NV_TO(ENDED)},
						  [ENDED] = {"ended", 0}}};

/* In a process of its own: its exit status, and what it wrote into the log. */
static int move_aside(unsigned from, unsigned to, char *ret_log, size_t size)
{
	int log[2], status = 0;
	assert_int_equal(pipe(log), 0);
	pid_t child = fork();
	assert_true(child >= 0);
	if (!child) {
		dup2(log[1], 2);
		nv_log_init("test", NV_DEBUG);
		nv_states_move(&lives, from, to, "the request");
		_exit(0);
	}
	close(log[1]);
	size_t len = 0;
	for (ssize_t n; (n = read(log[0], ret_log + len, size - len - 1)) > 0;)
		len += (size_t)n;
	ret_log[len] = '\0';
	close(log[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

static void an_allowed_move_is_logged_at_debug(void **state)
{
	(void)state;
	char log[4096];
	assert_int_equal(move_aside(NEW, RUNNING, log, sizeof log), 0);
	assert_non_null(strstr(log, "level=debug"));
	assert_non_null(strstr(log, "event=life.state req=\"the request\" from=new to=running"));
}

static void is_caught(unsigned from, unsigned to, const char *words)
{
	char log[4096];
	int status = move_aside(from, to, log, sizeof log);
#ifdef NDEBUG
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 1);
#else
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
#endif
	assert_non_null(strstr(log, "level=error"));
	assert_non_null(strstr(log, "event=state.impossible req=\"the request\" kind=fatal"));
	assert_non_null(strstr(log, words));
}

static void an_impossible_move_ends_the_process(void **state)
{
	(void)state;
	is_caught(RUNNING, NEW, "life.state: no move from \\\"running\\\" to \\\"new\\\"");
	is_caught(RUNNING, RUNNING, "from \\\"running\\\" to \\\"running\\\"");
	is_caught(ENDED, ENDED, "from \\\"ended\\\" to \\\"ended\\\"");
}

static void what_is_no_state_is_an_impossible_move(void **state)
{
	(void)state;
	is_caught(NEW, 3, "from \\\"new\\\" to \\\"no state\\\"");
	is_caught(77, ENDED, "from \\\"no state\\\" to \\\"ended\\\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_allowed_move_is_logged_at_debug),
		cmocka_unit_test(an_impossible_move_ends_the_process),
		cmocka_unit_test(what_is_no_state_is_an_impossible_move),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
