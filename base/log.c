/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Log: each line is formatted first and written by one write(2), so that lines of several threads,
 * or of processes that share the descriptor, never mix. */
#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/id.h"
#include "base/mem.h"
#include "base/text.h"

/* The sink: the one global state of the program. */
static _Atomic(const char *) log_svc = "navette";
static atomic_int log_level = NV_INFO;
static atomic_int log_fd = 2;
static atomic_bool log_people;
static _Atomic(nv_log_sink) log_sink;

static const char *const level_words[] = {
	[NV_DEBUG] = "debug", [NV_INFO] = "info", [NV_WARN] = "warn", [NV_ERROR] = "error"};

void nv_log_init(const char *svc, enum nv_level level)
{
	atomic_store(&log_svc, svc);
	atomic_store(&log_level, (int)level);
}

void nv_log_set_level(enum nv_level level)
{
	atomic_store(&log_level, (int)level);
}

void nv_log_set_people(bool people)
{
	atomic_store(&log_people, people);
}

bool nv_log_people(void)
{
	return atomic_load(&log_people);
}

void nv_log_set_sink(nv_log_sink sink)
{
	atomic_store(&log_sink, sink);
}

void nv_log_set_fd(int fd)
{
	atomic_store(&log_fd, fd);
}

static bool is_plain(const char *s)
{
	if (!*s)
		return false;
	for (const unsigned char *p = (const unsigned char *)s; *p;) {
		size_t n = 1;

		if (*p >= 0x80)
			n = nv_utf8_len((const char *)p);
		else if (*p <= 0x20 || *p == 0x7f || *p == '"' || *p == '=' || *p == '\\')
			n = 0;
		if (!n)
			return false;
		p += n;
	}
	return true;
}

static void put_value(struct nv_buf *b, const char *s)
{
	if (is_plain(s)) {
		nv_buf_puts(b, s);
		return;
	}
	nv_buf_puts(b, "\"");
	for (const unsigned char *p = (const unsigned char *)s; *p;) {
		size_t n = *p >= 0x80 ? nv_utf8_len((const char *)p) : 1;

		if (*p == '"' || *p == '\\')
			nv_buf_printf(b, "\\%c", *p);
		else if (*p == '\n')
			nv_buf_puts(b, "\\n");
		else if (*p == '\t')
			nv_buf_puts(b, "\\t");
		else if (*p == '\r')
			nv_buf_puts(b, "\\r");
		else if (!n || *p < 0x20 || *p == 0x7f)
			nv_buf_printf(b, "\\x%02x", *p);
		else
			nv_buf_put(b, p, n);
		p += n ? n : 1;
	}
	nv_buf_puts(b, "\"");
}

void nv_log_values(const struct nv_log_field *f, nv_log_value_cb cb, void *arg)
{
	char number[32];

	switch (f->type) {
	case NV_LOG_PERSON:
		if (!nv_log_people())
			return;
		/* fall through */
	case NV_LOG_STR:
		if (f->s)
			cb(arg, f->key, f->s);
		return;
	case NV_LOG_UINT:
		snprintf(number, sizeof number, "%" PRIu64, f->u);
		break;
	case NV_LOG_INT:
		snprintf(number, sizeof number, "%" PRId64, f->i);
		break;
	case NV_LOG_DOUBLE:
		snprintf(number, sizeof number, "%.6g", f->d);
		break;
	case NV_LOG_BOOL:
		cb(arg, f->key, f->b ? "yes" : "no");
		return;
	case NV_LOG_ERR:
		if (!f->e)
			return;
		cb(arg, "kind", nv_err_kind_word(f->e->kind));
		cb(arg, "reason", nv_reason_word(f->e->reason));
		snprintf(number, sizeof number, "%d", f->e->code);
		if (f->e->code)
			cb(arg, "code", number);
		cb(arg, f->key, f->e->msg);
		return;
	}
	cb(arg, f->key, number);
}

static void put_pair(void *arg, const char *key, const char *value)
{
	struct nv_buf *line = arg;
	nv_buf_printf(line, " %s=", key);
	put_value(line, value);
}

static void write_line(const struct nv_log_entry *l)
{
	nv_auto_buf struct nv_buf line = {0};
	char ts[25];

	nv_time_iso(nv_now_ms(), ts);
	nv_buf_printf(&line, "ts=%s level=%s svc=%s %s\n", ts, level_words[l->level], l->svc,
		      l->text);
	/* A log that cannot be written must not stop the work, and there is nowhere to report
	 * it. */
	while (write(atomic_load(&log_fd), line.data, line.len) < 0 && errno == EINTR)
		;
}

void nv_log_write(enum nv_level level, const char *event, const struct nv_log_field *fields,
		  unsigned count)
{
	nv_auto_buf struct nv_buf text = {0};
	int saved = errno; /* a caller may log before it looks at errno */
	nv_log_sink sink = atomic_load(&log_sink);

	if ((int)level < atomic_load(&log_level))
		return;
	if ((unsigned)level >= NV_ARRAY_LEN(level_words))
		level = NV_ERROR;
	nv_buf_printf(&text, "event=%s", event);
	for (unsigned i = 0; i < count; i++)
		nv_log_values(&fields[i], put_pair, &text);
	nv_buf_put(&text, "", 1);
	struct nv_log_entry line = {
		level, event, fields, count, atomic_load(&log_svc), (const char *)text.data};
	(sink ? sink : write_line)(&line);
	errno = saved;
}
