/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Log: each line is built aside and leaves by one write(2), so that lines of threads, and of
 * processes that share the descriptor, never mix. */
#include "core/base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

#include "core/base/id.h"
#include "core/base/mem.h"
#include "core/base/text.h"

/* The sink: the one global state of the program. */
static _Atomic(const char *) log_svc = "navette";
static atomic_int log_level = NV_INFO;
static atomic_int log_fd = 2;

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

static void put_field(struct nv_buf *b, const struct nv_log_field *f)
{
	switch (f->type) {
	case NV_LOG_STR:
		if (!f->s)
			return;
		nv_buf_printf(b, " %s=", f->key);
		put_value(b, f->s);
		return;
	case NV_LOG_UINT:
		nv_buf_printf(b, " %s=%" PRIu64, f->key, f->u);
		return;
	case NV_LOG_INT:
		nv_buf_printf(b, " %s=%" PRId64, f->key, f->i);
		return;
	case NV_LOG_DOUBLE:
		nv_buf_printf(b, " %s=%.6g", f->key, f->d);
		return;
	case NV_LOG_BOOL:
		nv_buf_printf(b, " %s=%s", f->key, f->b ? "yes" : "no");
		return;
	case NV_LOG_ERR:
		if (!f->e)
			return;
		nv_buf_printf(b, " kind=%s reason=%s", nv_err_kind_word(f->e->kind),
			      nv_reason_word(f->e->reason));
		if (f->e->code)
			nv_buf_printf(b, " code=%d", f->e->code);
		nv_buf_printf(b, " %s=", f->key);
		put_value(b, f->e->msg);
		return;
	}
}

void nv_log_write(enum nv_level level, const char *event, const struct nv_log_field *fields,
		  unsigned count)
{
	nv_auto_buf struct nv_buf line = {0};
	int saved = errno; /* a caller may log before it looks at errno */
	char ts[25];

	if ((int)level < atomic_load(&log_level))
		return;
	if ((unsigned)level >= NV_ARRAY_LEN(level_words))
		level = NV_ERROR;
	nv_time_iso(nv_now_ms(), ts);
	nv_buf_printf(&line, "ts=%s level=%s svc=%s event=%s", ts, level_words[level],
		      atomic_load(&log_svc), event);
	for (unsigned i = 0; i < count; i++)
		put_field(&line, &fields[i]);
	nv_buf_puts(&line, "\n");
	/* A log that cannot be written must not stop the work; there is nowhere to say it. */
	while (write(atomic_load(&log_fd), line.data, line.len) < 0 && errno == EINTR)
		;
	errno = saved;
}
