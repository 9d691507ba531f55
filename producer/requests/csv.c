/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "producer/requests/csv.h"

#include <ctype.h>
#include <string.h>

#include "base/mem.h"
#include "producer/answer.h"
#include "producer/app.h"

enum kind { TEXT, SWITCH };
static const struct {
	const char *name;
	enum kind kind;
} columns[] = {
	{"site", TEXT},	       {"course", TEXT},
	{"user", TEXT},	       {"keep_category", SWITCH},
	{"category", TEXT},    {"user_data", SWITCH},
	{"enrolment", TEXT},   {"now", SWITCH},
	{"leave_out", SWITCH},
};
#define COLUMNS NV_ARRAY_LEN(columns)

struct reader {
	const char *at, *end;
	unsigned line;
	char separator;
	struct nv_buf cell; /* the one that was read last */
	struct nv_err *err;
};

enum after { CELL_MORE, CELL_LAST, CELL_END, CELL_BAD };

static bool ends_line(char c)
{
	return c == '\n' || c == '\r';
}

static void skip_line_end(struct reader *r)
{
	if (r->at < r->end && *r->at == '\r')
		r->at++;
	else if (r->at < r->end && *r->at == '\n') {
		r->at++;
		r->line++;
		return;
	}
	if (r->at < r->end && *r->at == '\n')
		r->at++;
	r->line++;
}

static int bad(struct reader *r, const char *what)
{
	return nv_api_err(r->err, 422, NV_R_bad_message, "line %u: %s", r->line, what);
}

/* Up to the closing quote; "" is one. */
static int read_quoted(struct reader *r)
{
	unsigned begins = r->line;
	for (r->at++; r->at < r->end; r->at++) {
		if (*r->at == '"') {
			if (++r->at == r->end || *r->at != '"')
				return 0;
		} else if (*r->at == '\n') {
			r->line++;
		}
		nv_buf_put(&r->cell, r->at, 1);
	}
	r->line = begins;
	return bad(r, "a quote is never closed");
}

/* One cell, and what follows it. */
static enum after read_cell(struct reader *r)
{
	r->cell.len = 0;
	if (r->at < r->end && *r->at == '"') {
		if (read_quoted(r) < 0)
			return CELL_BAD;
		if (r->at < r->end && *r->at != r->separator && !ends_line(*r->at)) {
			bad(r, "text after a closing quote");
			return CELL_BAD;
		}
	}
	for (; r->at < r->end && *r->at != r->separator && !ends_line(*r->at); r->at++)
		nv_buf_put(&r->cell, r->at, 1);
	nv_buf_put(&r->cell, "", 1);
	r->cell.len--;
	if (r->at == r->end)
		return CELL_END;
	if (*r->at == r->separator) {
		r->at++;
		return CELL_MORE;
	}
	skip_line_end(r);
	return CELL_LAST;
}

/* The cell without blanks around it. */
static const char *trimmed(struct reader *r, size_t *ret_len)
{
	const char *s = (const char *)r->cell.data;
	size_t len = r->cell.len;
	while (len && (*s == ' ' || *s == '\t')) {
		s++;
		len--;
	}
	while (len && (s[len - 1] == ' ' || s[len - 1] == '\t'))
		len--;
	*ret_len = len;
	return s;
}

static bool is(const char *s, size_t len, const char *word)
{
	return len == strlen(word) && strncasecmp(s, word, len) == 0;
}

/* --- the first line --- */

/* Of those that may separate, the first that stands outside of quotes. */
static char find_separator(const char *at, const char *end)
{
	bool quoted = false;
	for (; at < end && (quoted || !ends_line(*at)); at++) {
		if (*at == '"')
			quoted = !quoted;
		else if (!quoted && (*at == ',' || *at == ';' || *at == '\t'))
			return *at;
	}
	return ',';
}

static int name_column(struct reader *r, size_t *order, size_t len)
{
	size_t n;
	const char *s = trimmed(r, &n);
	for (size_t i = 0; i < COLUMNS; i++) {
		if (!is(s, n, columns[i].name))
			continue;
		for (size_t k = 0; k < len; k++)
			if (order[k] == i)
				return nv_api_err(r->err, 422, NV_R_bad_message,
						  "line 1: duplicate column %s", columns[i].name);
		order[len] = i;
		return 0;
	}
	return nv_api_err(
		r->err, 422, NV_R_bad_message,
		"line 1: \"%.*s\" is no column; there are site, course, user, keep_category, "
		"category, user_data, leave_out, enrolment and now",
		(int)(n < 64 ? n : 64), s);
}

static int read_header(struct reader *r, size_t order[COLUMNS], size_t *ret_len)
{
	enum after after;
	bool site = false, course = false;
	*ret_len = 0;
	do {
		after = read_cell(r);
		if (after == CELL_BAD)
			return -1;
		if (*ret_len == COLUMNS)
			return bad(r, "too many columns");
		if (name_column(r, order, *ret_len) < 0)
			return -1;
		site = site || order[*ret_len] == 0;
		course = course || order[*ret_len] == 1;
		++*ret_len;
	} while (after == CELL_MORE);
	return site && course ? 0
			      : nv_api_err(r->err, 422, NV_R_bad_message,
					   "line 1: there must be the columns site and course");
}

/* --- rows --- */

/* Of the right type where it can be; otherwise a text, and whoever reads the field says so. */
static json_t *value(enum kind kind, const char *s, size_t len)
{
	static const char *const yes[] = {"yes", "true", "1", "y", "oui", "vrai"};
	static const char *const no[] = {"no", "false", "0", "n", "non", "faux"};
	for (size_t i = 0; kind == SWITCH && i < NV_ARRAY_LEN(yes); i++) {
		if (is(s, len, yes[i]))
			return json_true();
		if (is(s, len, no[i]))
			return json_false();
	}
	return json_stringn(s, len); /* NULL: not UTF-8 */
}

/* ret_row: an object, or a text that says what is wrong; NULL: a blank line. */
static enum after read_row(struct reader *r, const size_t *order, size_t len, json_t **ret_row)
{
	enum after after;
	size_t cells = 0;
	bool blank = true, utf8 = true;
	json_t *o = json_object();
	*ret_row = NULL;
	do {
		size_t n;
		after = read_cell(r);
		if (after == CELL_BAD)
			break;
		const char *s = trimmed(r, &n);
		blank = blank && !n;
		if (cells < len && n) {
			json_t *v = value(columns[order[cells]].kind, s, n);
			utf8 = utf8 && v;
			json_object_set_new(o, columns[order[cells]].name, v);
		}
		/* a spreadsheet's empty columns at the end are none */
		if (cells < len || n)
			cells++;
	} while (after == CELL_MORE);
	if (after == CELL_BAD || blank) {
		json_decref(o);
		return after;
	}
	if (cells <= len && utf8) {
		json_object_set_new(o, "source", json_string("csv"));
		*ret_row = o;
		return after;
	}
	json_decref(o);
	*ret_row = json_string(utf8 ? "more cells than the first line has columns"
				    : "not UTF-8: save the list in that encoding");
	return after;
}

static int read_rows(struct reader *r, struct csv *ret)
{
	size_t order[COLUMNS], len;
	if (read_header(r, order, &len) < 0)
		return -1;
	while (r->at < r->end) {
		json_t *row;
		unsigned line = r->line;
		if (read_row(r, order, len, &row) == CELL_BAD)
			return -1;
		if (!row)
			continue;
		size_t n = json_array_size(ret->requests);
		if (n < CSV_ROWS_MAX)
			ret->lines[n] = line;
		json_array_append_new(ret->requests, row);
		if (n == CSV_ROWS_MAX)
			return nv_api_err(r->err, 422, NV_R_bad_message, "more than %u rows",
					  CSV_ROWS_MAX);
	}
	return json_array_size(ret->requests)
		       ? 0
		       : nv_api_err(r->err, 422, NV_R_bad_message, "there is no row");
}

int nv_csv_read(const char *text, size_t len, struct csv *ret, struct nv_err *err)
{
	struct reader r = {.at = text, .end = text + len, .line = 1, .err = err};
	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		r.at += 3;
	r.separator = find_separator(r.at, r.end);
	ret->requests = json_array();
	int rc = read_rows(&r, ret);
	nv_buf_fini(&r.cell);
	if (rc < 0) {
		json_decref(ret->requests);
		ret->requests = NULL;
	}
	return rc;
}
