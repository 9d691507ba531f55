/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One call: feed the child, read its lines, stop it when it must end, reap it.  On the caller's
 * thread, by poll. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/id.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "core/site/moodle/moodle_internal.h"

#define TICK_MS 100	      /* how late a cancel may be noticed */
#define BLOCK 65536u	      /* bytes of one read */
#define LINE_MAX_BYTES 65536u /* of a line that is no answer */
#define ANSWER_MAX (8u << 20) /* of one that is, or holds a whole request */
#define ERR_LINE_MAX 1000u    /* of standard error, cut into lines of this length */
#define ERR_LINES_MAX 200u    /* logged of one call */
#define DRAIN_MAX (1u << 20)  /* read of a dead child's output: a pipe holds less */
#define LAST_LINES 5u	      /* of standard error, for the request's log */

struct run {
	const struct nv_moodle *s;
	const struct nv_moodle_call *call;
	struct nv_moodle_child child;
	struct nv_buf in;
	size_t sent;
	struct nv_buf out;
	size_t scanned; /* bytes of out known to hold no line end */
	struct nv_buf err;
	json_t *result;
	bool answered; /* by a result or an error */
	struct nv_err answer;
	bool stopping;
	bool broken; /* what it wrote cannot be used: no result makes that good */
	struct nv_err why;
	uint64_t until;	  /* nv_mono_ms, 0: no limit */
	uint64_t kill_at; /* 0: not yet decided */
	char last[256];	  /* the last it said on standard error */
	unsigned err_lines;
	char *last_lines[LAST_LINES]; /* a ring; no traces: they may hold arguments */
	unsigned last_len;
	uint8_t block[BLOCK];
};

/* --- log lines and warnings --- */

static void log_err_line(struct run *r, const char *event, char *line)
{
	nv_text_clean(line, strlen(line)); /* a child does not always write UTF-8 */
	/* The last lines of a PHP trace tell nothing. */
	if (*line && *line != '#' && strncmp(line, "  thrown in", 11) != 0) {
		size_t len = strlen(line);
		size_t max = sizeof r->last - 1;
		len = len < max ? len : max;
		while (len && len == max && ((unsigned char)line[len] & 0xc0) == 0x80)
			len--;
		memcpy(r->last, line, len);
		r->last[len] = '\0';
		char **place = &r->last_lines[r->last_len++ % LAST_LINES];
		free(*place);
		*place = nv_strdup(line);
	}
	if (*line && r->err_lines++ < ERR_LINES_MAX)
		NV_LOG(NV_WARN, event, NV_S("req", r->call->req), NV_S("op", r->call->operation),
		       NV_S("line", line));
}

/* A line for the request's log; the daemon cleans it. */
static void take_log(struct run *r, const json_t *value)
{
	const char *word = json_string_value(json_object_get(value, "level"));
	const char *text = json_string_value(json_object_get(value, "text"));
	enum nv_level level = NV_WARN;
	for (unsigned i = 0; word && nv_level_words[i]; i++)
		if (strcmp(word, nv_level_words[i]) == 0)
			level = (enum nv_level)i;
	if (text)
		nv_job_log(r->call->job, level, "%s", text);
}

/* It died without an answer, or with one that cannot say much: its last words. */
static void log_last_lines(struct run *r)
{
	if (r->stopping || (r->answered && r->answer.kind != NV_RETRY))
		return;
	unsigned from = r->last_len > LAST_LINES ? r->last_len - LAST_LINES : 0;
	for (unsigned i = from; i < r->last_len; i++)
		nv_job_log(r->call->job, NV_ERROR, "moodle %s, standard error: %s",
			   r->call->operation, r->last_lines[i % LAST_LINES]);
}

static void forget_last_lines(struct run *r)
{
	for (unsigned i = 0; i < LAST_LINES; i++)
		free(r->last_lines[i]);
}

/* --- ending it --- */

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void stop(struct run *r, const struct nv_err *why)
{
	if (r->stopping)
		return;
	r->stopping = true;
	r->why = *why;
	kill(-r->child.pid, SIGTERM);
	r->kill_at = nv_mono_ms() + r->s->grace;
	close_fd(&r->child.in); /* nobody answers its questions any more */
	NV_LOG(NV_INFO, "moodle.stop", NV_S("req", r->call->req), NV_S("op", r->call->operation),
	       NV_E(why));
}

static void give_up(struct run *r, const struct nv_err *why)
{
	stop(r, why);
	r->broken = true;
}

static void give_up_for(struct run *r, const char *what)
{
	struct nv_err why = {0};
	nv_fail(&why, NV_RETRY, r->call->reason, "moodle %s: %s", r->call->operation, what);
	give_up(r, &why);
}

/* Is it still wanted? */
static void check(struct run *r)
{
	struct nv_err why = {0};
	uint64_t now = nv_mono_ms();
	if (!r->stopping && !r->answered && nv_job_check(r->call->job, &why) < 0)
		stop(r, &why);
	if (!r->stopping && !r->answered && r->until && now >= r->until) {
		nv_fail(&why, NV_RETRY, NV_R_timeout, "moodle %s: no answer within %llu ms",
			r->call->operation, (unsigned long long)r->call->timeout);
		stop(r, &why);
	}
	if (r->kill_at && now >= r->kill_at) {
		kill(-r->child.pid, SIGKILL);
		r->kill_at = now + 1000; /* until it is dead */
	}
}

/* --- lines --- */

static void take_error(struct run *r, const json_t *e)
{
	static const struct {
		const char *word;
		enum nv_err_kind kind;
	} kinds[] = {{"retry", NV_RETRY},
		     {"hold", NV_HOLD},
		     {"reject", NV_REJECT},
		     {"cancelled", NV_CANCELLED},
		     {"fatal", NV_FATAL}};
	const char *word = json_string_value(json_object_get(e, "kind"));
	const char *reason = json_string_value(json_object_get(e, "reason"));
	const char *message = json_string_value(json_object_get(e, "message"));
	enum nv_err_kind kind = NV_RETRY;
	enum nv_reason known = nv_reason_from(reason ? reason : "internal");
	for (size_t i = 0; word && i < NV_ARRAY_LEN(kinds); i++)
		if (strcmp(word, kinds[i].word) == 0)
			kind = kinds[i].kind;
	/* It was stopped by somebody else, and the request is still wanted. */
	if (kind == NV_CANCELLED) {
		kind = NV_RETRY;
		known = r->call->reason;
	}
	if (known == NV_R_internal || known == NV_R_none)
		known = r->call->reason;
	nv_fail(&r->answer, kind, known, "%s", message && *message ? message : "no message");
	r->answered = true;
}

static void take_confirm(struct run *r)
{
	struct nv_err why = {0};
	if (r->stopping || r->child.in < 0)
		return;
	if (nv_job_check(r->call->job, &why) < 0) {
		stop(r, &why);
		return;
	}
	nv_buf_puts(&r->in, "yes\n");
}

static void take_object(struct run *r, const json_t *object)
{
	const char *key = json_object_iter_key(json_object_iter((json_t *)(uintptr_t)object));
	const json_t *value = key ? json_object_get(object, key) : NULL;
	struct nv_err why = {0};
	if (!key || r->answered)
		return;
	if (strcmp(key, "warning") == 0 && json_is_string(value))
		nv_job_log(r->call->job, NV_WARN, "%s", json_string_value(value));
	if (strcmp(key, "result") == 0) {
		r->result = json_incref((json_t *)(uintptr_t)value);
		r->answered = true;
	} else if (strcmp(key, "error") == 0) {
		take_error(r, value);
	} else if (strcmp(key, "confirm") == 0) {
		take_confirm(r);
	} else if (strcmp(key, "log") == 0) {
		take_log(r, value);
	} else if (r->call->line_cb && !r->broken &&
		   r->call->line_cb(r->call->arg, key, value, &why) < 0) {
		give_up(r, &why);
	}
	/* The answer is complete; limit the time until the process ends. */
	if (r->answered && !r->kill_at)
		r->kill_at = nv_mono_ms() + r->s->grace;
}

static void take_line(struct run *r, char *line, size_t len)
{
	nv_auto_json json_t *object = nv_json_parse(line, len, NULL);
	if (json_is_object(object)) {
		take_object(r, object);
		return;
	}
	/* Something wrote past the block's channel. */
	nv_auto_free char *text = nv_strndup(line, len < ERR_LINE_MAX ? len : ERR_LINE_MAX);
	log_err_line(r, "moodle.stdout", text);
}

static bool begins(const struct nv_buf *b, size_t at, const char *with)
{
	size_t len = strlen(with);
	return b->len - at >= len && memcmp(b->data + at, with, len) == 0;
}

/* How long the line that begins at `at` may become. */
static size_t line_max(const struct nv_buf *b, size_t at)
{
	return begins(b, at, "{\"result\"") || begins(b, at, "{\"restore\"") ? ANSWER_MAX
									     : LINE_MAX_BYTES;
}

static void consume(struct nv_buf *b, size_t len)
{
	memmove(b->data, b->data + len, b->len - len);
	b->len -= len;
}

static void take_out(struct run *r)
{
	size_t at = 0;
	uint8_t *end;
	while (r->scanned < r->out.len &&
	       (end = memchr(r->out.data + r->scanned, '\n', r->out.len - r->scanned))) {
		size_t len = (size_t)(end - r->out.data) - at;
		if (len > line_max(&r->out, at))
			give_up_for(r, "it wrote a line that is too long");
		else
			take_line(r, (char *)r->out.data + at, len);
		at += len + 1;
		r->scanned = at;
	}
	r->scanned = r->out.len;
	if (r->out.len - at > line_max(&r->out, at)) {
		give_up_for(r, "it wrote a line that is too long");
		at = r->out.len; /* the rest of it is no line either, and read by nobody */
	}
	consume(&r->out, at);
	r->scanned -= at;
}

static void take_err(struct run *r, bool end)
{
	size_t at = 0;
	while (at < r->err.len) {
		uint8_t *from = r->err.data + at;
		size_t rest = r->err.len - at;
		uint8_t *nl = memchr(from, '\n', rest);
		size_t len = nl ? (size_t)(nl - from) : rest;
		if (!nl && !end && rest < ERR_LINE_MAX)
			break;
		len = len < ERR_LINE_MAX ? len : ERR_LINE_MAX;
		nv_auto_free char *line = nv_strndup((char *)from, len);
		log_err_line(r, "moodle.stderr", line);
		at += len + (nl == from + len ? 1 : 0);
	}
	if (at)
		consume(&r->err, at);
}

/* --- reading and writing --- */

/* Bytes read, 0 when there are none now; the descriptor is closed at its end. */
static size_t pull(struct run *r, int *fd, struct nv_buf *to)
{
	ssize_t n = *fd >= 0 ? read(*fd, r->block, sizeof r->block) : 0;
	if (n > 0) {
		nv_buf_put(to, r->block, (size_t)n);
		return (size_t)n;
	}
	if (n == 0 || (errno != EAGAIN && errno != EINTR))
		close_fd(fd);
	return 0;
}

static void push(struct run *r)
{
	ssize_t n = send(r->child.in, r->in.data + r->sent, r->in.len - r->sent, MSG_NOSIGNAL);
	if (n > 0)
		r->sent += (size_t)n;
	else if (n < 0 && errno != EAGAIN && errno != EINTR)
		close_fd(&r->child.in); /* it does not want to know: its answer will say why */
	if (r->sent == r->in.len && !r->call->confirms)
		close_fd(&r->child.in);
}

static bool has_ended(const struct run *r)
{
	/* Not reaped yet: its number, and its group's, stay its own. */
	siginfo_t info = {0};
	return waitid(P_PID, (id_t)r->child.pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	       info.si_pid == r->child.pid;
}

static void talk(struct run *r)
{
	while (!has_ended(r)) {
		check(r);
		bool pending = r->child.in >= 0 && r->sent < r->in.len;
		struct pollfd fds[] = {
			{.fd = pending ? r->child.in : -1, .events = POLLOUT},
			{.fd = r->child.out, .events = POLLIN},
			{.fd = r->child.err, .events = POLLIN},
			{.fd = r->child.pidfd, .events = POLLIN},
		};
		if (poll(fds, NV_ARRAY_LEN(fds), TICK_MS) <= 0)
			continue;
		if (fds[0].revents)
			push(r);
		if (fds[1].revents && pull(r, &r->child.out, &r->out))
			take_out(r);
		if (fds[2].revents && pull(r, &r->child.err, &r->err))
			take_err(r, false);
	}
}

/* It has ended: kill its descendants, read its last output. */
static int finish(struct run *r)
{
	int status = 0;
	kill(-r->child.pid, SIGKILL);
	for (size_t n = 1, sum = 0; n && sum < DRAIN_MAX; sum += n)
		if ((n = pull(r, &r->child.out, &r->out)))
			take_out(r);
	for (size_t n = 1, sum = 0; n && sum < DRAIN_MAX; sum += n)
		if ((n = pull(r, &r->child.err, &r->err)))
			take_err(r, false);
	take_err(r, true);
	while (waitpid(r->child.pid, &status, 0) < 0 && errno == EINTR)
		;
	if (r->err_lines > ERR_LINES_MAX)
		NV_LOG(NV_WARN, "moodle.stderr", NV_S("req", r->call->req),
		       NV_S("op", r->call->operation),
		       NV_U("dropped", r->err_lines - ERR_LINES_MAX));
	return status;
}

/* --- the whole --- */

static int outcome(const struct run *r, int status, struct nv_err *err)
{
	const char *said = *r->last ? ": " : "";
	/* A result counts even after a request to stop: it describes what was done. */
	if (r->result && !r->broken)
		return 0;
	if (r->stopping || r->answered) {
		if (err)
			*err = r->stopping ? r->why : r->answer;
		return -1;
	}
	if (WIFSIGNALED(status))
		return nv_fail(err, NV_RETRY, r->call->reason,
			       "moodle %s: the script was killed by signal %d%s%s",
			       r->call->operation, WTERMSIG(status), said, r->last);
	return nv_fail(err, NV_RETRY, r->call->reason,
		       "moodle %s: the script ended with status %d and no answer%s%s",
		       r->call->operation, WEXITSTATUS(status), said, r->last);
}

static void prepare_input(struct run *r)
{
	if (!r->call->input)
		return;
	nv_auto_free char *text = json_dumps(r->call->input, JSON_COMPACT);
	nv_buf_puts(&r->in, text ? text : "{}");
	nv_buf_puts(&r->in, "\n");
}

int nv_moodle_ask(const struct nv_moodle *s, const struct nv_moodle_call *call, json_t **ret_result,
		  struct nv_err *err)
{
	if (ret_result)
		*ret_result = NULL;
	if (nv_job_check(call->job, err) < 0)
		return -1;
	struct run *r = nv_alloc(sizeof *r);
	r->s = s;
	r->call = call;
	int rc = nv_moodle_spawn(s, call->operation, call->tmp, &r->child, err);
	if (rc == 0) {
		r->until = call->timeout ? nv_mono_ms() + call->timeout : 0;
		prepare_input(r);
		if (!r->in.len)
			close_fd(&r->child.in);
		talk(r);
		rc = outcome(r, finish(r), err);
		if (rc < 0)
			log_last_lines(r);
	}
	close_fd(&r->child.in);
	close_fd(&r->child.out);
	close_fd(&r->child.err);
	close_fd(&r->child.pidfd);
	if (rc == 0 && ret_result)
		*ret_result = json_incref(r->result);
	json_decref(r->result);
	nv_buf_fini(&r->in);
	nv_buf_fini(&r->out);
	nv_buf_fini(&r->err);
	forget_last_lines(r);
	free(r);
	return rc;
}
