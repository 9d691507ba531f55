/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Starts a child process: its user, the descriptors it inherits (only three), and that it dies with
 * us. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/site/moodle/moodle_internal.h"

#define FD_MAX_BY_HAND 4096 /* descriptors looked at one by one on an old kernel */
#define ENV_MAX 8u
#define ARGS_MAX 8
#define USER_BUFFER 16384u /* bytes of a passwd entry */

/* --- whose --- */

int nv_moodle_user_find(const char *user, struct nv_moodle_user *ret, struct nv_err *err)
{
	*ret = (struct nv_moodle_user){.uid = geteuid(), .gid = getegid()};
	nv_auto_free char *buf = nv_alloc(USER_BUFFER);
	struct passwd entry;
	struct passwd *found = NULL;
	bool own = !user || !*user;
	int rc = own ? getpwuid_r(geteuid(), &entry, buf, USER_BUFFER, &found)
		     : getpwnam_r(user, &entry, buf, USER_BUFFER, &found);
	if (!found && own)
		return 0; /* an account without a name will do */
	if (!found)
		return nv_fail(err, NV_FATAL, NV_R_config, "site.user: there is no user %s%s%s",
			       user, rc ? ": " : "", rc ? strerror(rc) : "");
	ret->home = nv_strdup(entry.pw_dir);
	ret->name = nv_strdup(entry.pw_name);
	if (entry.pw_uid == geteuid())
		return 0;
	if (geteuid() != 0) {
		nv_moodle_user_fini(ret);
		return nv_fail(err, NV_FATAL, NV_R_config,
			       "site.user: only root may run Moodle's scripts as %s (or %s itself, "
			       "with site.user: \"\")",
			       user, user);
	}
	int groups = 64;
	ret->groups = nv_alloc((size_t)groups * sizeof *ret->groups);
	if (getgrouplist(user, entry.pw_gid, ret->groups, &groups) < 0) {
		ret->groups = nv_realloc(ret->groups, (size_t)groups * sizeof *ret->groups);
		if (getgrouplist(user, entry.pw_gid, ret->groups, &groups) < 0)
			groups = 0;
	}
	ret->groups_len = (size_t)groups;
	ret->uid = entry.pw_uid;
	ret->gid = entry.pw_gid;
	ret->other = true;
	return 0;
}

void nv_moodle_user_fini(struct nv_moodle_user *u)
{
	free(u->groups);
	free(u->name);
	free(u->home);
	*u = (struct nv_moodle_user){0};
}

void nv_moodle_as_user(const struct nv_moodle *s, bool on)
{
	if (!s->user.other)
		return;
	/* Of this thread only; changing back needs the real user's rights, which we keep. */
	setfsgid(on ? s->user.gid : getegid());
	setfsuid(on ? s->user.uid : geteuid());
}

/* --- between fork and exec: only what is safe after a fork of a program with threads --- */

struct plan {
	const struct nv_moodle *s;
	char *const *argv;
	char *const *envp;
	pid_t parent;
	int in, out, err;
	int status; /* errno goes here when it fails; closed by the exec */
};

static void forget_signals(void)
{
	struct sigaction usual = {.sa_handler = SIG_DFL};
	sigset_t none;
	for (int i = 1; i < NSIG; i++)
		sigaction(i, &usual, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void close_the_rest(void)
{
	if (close_range(3, ~0u, CLOSE_RANGE_CLOEXEC) == 0)
		return;
	for (int fd = 3; fd < FD_MAX_BY_HAND; fd++)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
}

static int become(const struct nv_moodle_user *u)
{
	if (!u->other)
		return 0;
	if (setgroups(u->groups_len, u->groups) < 0 || setresgid(u->gid, u->gid, u->gid) < 0 ||
	    setresuid(u->uid, u->uid, u->uid) < 0)
		return -1;
	return 0;
}

static _Noreturn void child_main(const struct plan *p)
{
	int why;
	if (setpgid(0, 0) < 0 || dup2(p->in, 0) < 0 || dup2(p->out, 1) < 0 || dup2(p->err, 2) < 0 ||
	    become(&p->s->user) < 0 || chdir("/") < 0)
		goto fail;
	/* After the change of user, which takes it away; and we may be an orphan already. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		goto fail;
	if (getppid() != p->parent)
		_exit(127);
	umask(022);
	close_the_rest();
	forget_signals();
	execve(p->s->php, p->argv, p->envp);
fail:
	why = errno;
	if (write(p->status, &why, sizeof why) < 0)
		_exit(126);
	_exit(127);
}

/* --- starting it --- */

/* Descriptors of a call, closed by close_ends where they are still ours. */
struct ends {
	int in[2];     /* [0] ours */
	int out[2];    /* [0] ours */
	int err[2];    /* [0] ours */
	int status[2]; /* [0] ours */
};

static void close_one(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void close_ends(struct ends *e)
{
	int *const all[] = {e->in, e->out, e->err, e->status};
	for (size_t i = 0; i < NV_ARRAY_LEN(all); i++) {
		close_one(&all[i][0]);
		close_one(&all[i][1]);
	}
}

/* Above the three that the child gets, in case somebody closed ours. */
static int lift(int *pair)
{
	for (int i = 0; i < 2; i++) {
		if (pair[i] > 2)
			continue;
		int fd = fcntl(pair[i], F_DUPFD_CLOEXEC, 3);
		if (fd < 0)
			return -1;
		close(pair[i]);
		pair[i] = fd;
	}
	return 0;
}

static int make_ends(struct ends *e)
{
	*e = (struct ends){{-1, -1}, {-1, -1}, {-1, -1}, {-1, -1}};
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, e->in) < 0 ||
	    pipe2(e->out, O_CLOEXEC) < 0 || pipe2(e->err, O_CLOEXEC) < 0 ||
	    pipe2(e->status, O_CLOEXEC) < 0 || lift(e->in) < 0 || lift(e->out) < 0 ||
	    lift(e->err) < 0 || lift(e->status) < 0 || fcntl(e->in[0], F_SETFL, O_NONBLOCK) < 0 ||
	    fcntl(e->out[0], F_SETFL, O_NONBLOCK) < 0 || fcntl(e->err[0], F_SETFL, O_NONBLOCK) < 0)
		return -1;
	return 0;
}

/* Nothing of our own environment: there may be secrets in it. */
static void make_environment(const struct nv_moodle *s, const char *tmp, struct nv_arena *arena,
			     char **ret)
{
	size_t n = 0;
	ret[n++] = nv_arena_strdup(arena, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:"
					  "/sbin:/bin");
	ret[n++] = nv_arena_strdup(arena, "LANG=C.UTF-8");
	ret[n++] = nv_arena_printf(arena, "HOME=%s", s->user.home ? s->user.home : "/");
	if (s->user.name)
		ret[n++] = nv_arena_printf(arena, "USER=%s", s->user.name);
	if (tmp)
		ret[n++] = nv_arena_printf(arena, "TMPDIR=%s", tmp);
	if (getenv("TZ"))
		ret[n++] = nv_arena_printf(arena, "TZ=%s", getenv("TZ"));
	ret[n] = NULL;
}

/* PHP ends at once when the folder it is given cannot be used. */
static bool can_cache(const struct nv_moodle *s)
{
	if (!s->cache_dir)
		return false;
	nv_moodle_as_user(s, true);
	nv_auto_fd int fd = open(s->cache_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	nv_moodle_as_user(s, false);
	return fd >= 0;
}

static void make_arguments(const struct nv_moodle *s, const char *operation, struct nv_arena *arena,
			   char **ret)
{
	size_t n = 0;
	ret[n++] = s->php;
	/* What goes wrong before the script begins must not stand among its answers. */
	ret[n++] = nv_arena_strdup(arena, "-ddisplay_errors=stderr");
	if (can_cache(s)) {
		ret[n++] = nv_arena_strdup(arena, "-dopcache.enable_cli=1");
		ret[n++] = nv_arena_strdup(arena, "-dopcache.file_cache_only=1");
		ret[n++] = nv_arena_printf(arena, "-dopcache.file_cache=%s", s->cache_dir);
	}
	ret[n++] = s->script;
	ret[n++] = nv_arena_strdup(arena, operation);
	ret[n] = NULL;
}

static pid_t fork_quietly(const struct plan *p)
{
	/* No handler of ours may run in the child. */
	sigset_t all;
	sigset_t before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pid_t pid = fork();
	if (pid == 0)
		child_main(p);
	int why = errno;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	errno = why;
	return pid;
}

/* 0 once the exec has happened, else its errno. */
static int wait_for_exec(int fd)
{
	int why = 0;
	ssize_t n;
	do
		n = read(fd, &why, sizeof why);
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)sizeof why ? why : 0;
}

int nv_moodle_spawn(const struct nv_moodle *s, const char *operation, const char *tmp,
		    struct nv_moodle_child *ret, struct nv_err *err)
{
	nv_auto_arena struct nv_arena arena = {0};
	char *envp[ENV_MAX];
	char *argv[ARGS_MAX];
	struct ends e;
	*ret = (struct nv_moodle_child){.pid = -1, .pidfd = -1, .in = -1, .out = -1, .err = -1};
	make_environment(s, tmp, &arena, envp);
	make_arguments(s, operation, &arena, argv);
	if (make_ends(&e) < 0) {
		int why = errno;
		close_ends(&e);
		return nv_fail_errno(err, why, NV_RETRY, NV_R_io, "moodle %s: making pipes",
				     operation);
	}
	struct plan p = {s, argv, envp, getpid(), e.in[1], e.out[1], e.err[1], e.status[1]};
	pid_t pid = fork_quietly(&p);
	int why = pid < 0 ? errno : 0;
	close_one(&e.status[1]);
	if (pid > 0 && (why = wait_for_exec(e.status[0])) != 0)
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	if (why) {
		close_ends(&e);
		return nv_fail_errno(err, why, NV_RETRY, NV_R_config, "moodle %s: starting %s",
				     operation, s->php);
	}
	*ret = (struct nv_moodle_child){pid, pidfd_open(pid, 0), e.in[0], e.out[0], e.err[0]};
	e.in[0] = e.out[0] = e.err[0] = -1;
	close_ends(&e);
	return 0;
}
