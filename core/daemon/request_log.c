/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/daemon/request_log.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/id.h"
#include "base/mem.h"
#include "base/text.h"

#define KEPT_FOR_US 4u	/* places that a job cannot fill */
#define SAID_MAX 1024u	/* texts remembered */
#define SAID_BYTES 400u /* of each: a warning comes cut at 500 with the result */

/* --- secrets --- */

static void cover(char *from, const char *end)
{
	for (; from < end; from++)
		*from = '*';
}

/* s stands behind a word like "password"; what of the text is its value? */
static void cover_value(char *s, bool to_the_end)
{
	s += strspn(s, "\"' \t");
	if (*s != '=' && *s != ':')
		return;
	s++;
	s += strspn(s, "=>\"' \t");
	cover(s, s + (to_the_end ? strlen(s) : strcspn(s, "\"' \t&,;)<")));
}

/* scheme://user:password@host */
static void cover_address(char *text)
{
	for (char *s = text; (s = strstr(s, "://")) != NULL;) {
		s += 3;
		char *end = s + strcspn(s, "/ \t\"'");
		char *at = memchr(s, '@', (size_t)(end - s));
		char *colon = at ? memchr(s, ':', (size_t)(at - s)) : NULL;
		if (colon)
			cover(colon + 1, at);
	}
}

void nv_hide_secrets(char *text)
{
	static const struct {
		const char *word;
		bool to_the_end;
	} words[] = {{"password", false}, {"passwd", false}, {"dbpass", false},
		     {"token", false},	  {"secret", false}, {"sesskey", false},
		     {"api_key", false},  {"apikey", false}, {"authorization", true},
		     {"cookie", true}};
	for (size_t i = 0; i < NV_ARRAY_LEN(words); i++)
		for (char *s = text; (s = strcasestr(s, words[i].word)) != NULL;) {
			s += strlen(words[i].word);
			cover_value(s, words[i].to_the_end);
		}
	cover_address(text);
}

/* --- lines --- */

/* FNV-1a: http://www.isthe.com/chongo/tech/comp/fnv/ */
static uint64_t hash_of(const char *text)
{
	uint64_t h = 14695981039346656037u;
	for (size_t i = 0; text[i] && i < SAID_BYTES; i++)
		h = (h ^ (unsigned char)text[i]) * 1099511628211u;
	return h;
}

static bool was_said(struct nv_request_log *l, const char *text)
{
	uint64_t h = hash_of(text);
	for (size_t i = 0; i < l->said_len; i++)
		if (l->said[i] == h)
			return true;
	if (!l->said)
		l->said = nv_alloc(SAID_MAX * sizeof *l->said);
	if (l->said_len < SAID_MAX)
		l->said[l->said_len++] = h;
	return false;
}

static void put(struct nv_request_log *l, uint64_t at, enum nv_level level, const char *text)
{
	struct nv_log_line *line = &l->items[l->len++];
	*line = (struct nv_log_line){.at = at, .level = level, .text = nv_strdup(text)};
}

/* Say how many there was no room for, as soon as there is some. */
static void tell_left_out(struct nv_request_log *l, uint64_t at)
{
	char text[64];
	if (!l->left_out || l->len >= NV_LOG_LINES_MAX)
		return;
	snprintf(text, sizeof text, "%llu lines dropped here: too many at once",
		 (unsigned long long)l->left_out);
	l->left_out = 0;
	put(l, at, NV_WARN, text);
}

void nv_request_log_add(struct nv_request_log *l, uint64_t at, enum nv_level level,
			const char *text)
{
	char line[NV_LOG_LINE_BYTES + 1];
	snprintf(line, sizeof line, "%s", text);
	nv_text_clean(line, NV_LOG_LINE_BYTES);
	nv_hide_secrets(line);
	if (!*line || was_said(l, line))
		return;
	if (l->len + KEPT_FOR_US < NV_LOG_LINES_MAX)
		tell_left_out(l, at);
	if (l->len + KEPT_FOR_US < NV_LOG_LINES_MAX)
		put(l, at, level, line);
	else
		l->left_out++;
}

void nv_request_log_say(struct nv_request_log *l, enum nv_level level, const char *fmt, ...)
{
	char line[NV_LOG_LINE_BYTES + 1];
	uint64_t now = nv_now_ms();
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	nv_text_clean(line, NV_LOG_LINE_BYTES);
	nv_hide_secrets(line);
	tell_left_out(l, now);
	if (l->len < NV_LOG_LINES_MAX)
		put(l, now, level, line);
}

uint64_t nv_request_log_next(const struct nv_request_log *l)
{
	return l->first + l->len;
}

void nv_request_log_sent(struct nv_request_log *l, uint64_t next)
{
	size_t n = 0;
	while (n < l->len && l->first + n < next)
		free(l->items[n++].text);
	memmove(l->items, l->items + n, (l->len - n) * sizeof *l->items);
	l->len -= n;
	l->first += n;
}

void nv_request_log_fini(struct nv_request_log *l)
{
	nv_request_log_sent(l, UINT64_MAX);
	free(l->said);
	l->said = NULL;
}
