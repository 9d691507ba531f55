/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Characters of a table's cell, except in the last column: one long name must not make all rows
 * wide. --json has it whole. */
#define CELL_MAX 60u

/* --- errors and documents --- */

int nv_cli_document(struct cli *c, json_t *doc, int status)
{
	if (c->printed) {
		json_decref(doc);
		return status;
	}
	c->printed = true;
	if (!doc || json_dumpf(doc, stdout, JSON_INDENT(2)) < 0) {
		fprintf(stderr, "navette: the answer cannot be written as JSON\n");
		status = CLI_FAILED;
	}
	putchar('\n');
	json_decref(doc);
	return status;
}

json_t *nv_cli_string(const char *text)
{
	if (!text)
		return json_null();
	json_t *s = json_string(text);
	if (s)
		return s;
	/* Not UTF-8: what is ASCII in it. */
	char *copy = nv_strdup(text);
	for (char *p = copy; *p; p++)
		if ((unsigned char)*p >= 0x80)
			*p = '?';
	s = json_string(copy);
	free(copy);
	return s;
}

int nv_cli_fail(struct cli *c, const struct nv_err *err)
{
	if (c->json)
		return nv_cli_document(c,
				       json_pack("{s:{s:s, s:s, s:o}}", "error", "kind",
						 nv_err_kind_word(err->kind), "reason",
						 nv_reason_word(err->reason), "message",
						 nv_cli_string(err->msg)),
				       CLI_FAILED);
	nv_auto_free char *clean = nv_cli_clean(err->msg);
	fflush(stdout);
	fprintf(stderr, "navette: %s\n", clean);
	return CLI_FAILED;
}

int nv_cli_failf(struct cli *c, enum nv_reason reason, const char *fmt, ...)
{
	struct nv_err err = {.kind = NV_REJECT, .reason = reason};
	va_list args;
	va_start(args, fmt);
	vsnprintf(err.msg, sizeof err.msg, fmt, args);
	va_end(args);
	return nv_cli_fail(c, &err);
}

/* --- texts --- */

char *nv_cli_clean(const char *text)
{
	char *copy = nv_strdup(text ? text : "");
	for (unsigned char *p = (unsigned char *)copy; *p; p++) {
		if (*p < 0x20 || *p == 0x7f)
			*p = ' ';
		/* C1 controls, U+0080 … U+009F, are c2 80 … c2 9f. */
		else if (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0)
			p[0] = p[1] = ' ';
	}
	return copy;
}

char *nv_cli_size(uint64_t bytes)
{
	static const char *const units[] = {"kB", "MB", "GB", "TB"};
	if (bytes < 1000)
		return nv_asprintf("%llu B", (unsigned long long)bytes);
	double value = (double)bytes / 1000;
	size_t u = 0;
	while (value >= 999.5 && u + 1 < NV_ARRAY_LEN(units)) {
		value /= 1000;
		u++;
	}
	return nv_asprintf(value < 9.95 ? "%.1f %s" : "%.0f %s", value, units[u]);
}

char *nv_cli_time(uint64_t ms)
{
	char text[32] = "";
	time_t seconds = (time_t)(ms / 1000);
	struct tm tm;
	if (ms && localtime_r(&seconds, &tm))
		strftime(text, sizeof text, "%Y-%m-%d %H:%M", &tm);
	return nv_strdup(text);
}

/* --- tables --- */

void nv_cli_row(struct cli_table *t, ...)
{
	va_list args;
	size_t n = 0;
	va_start(args, t);
	for (const char *cell; (cell = va_arg(args, const char *)) != NULL; n++) {
		t->cells = nv_realloc(t->cells, (t->len + 1) * sizeof *t->cells);
		t->cells[t->len++] = nv_cli_clean(cell);
	}
	va_end(args);
	if (!t->columns)
		t->columns = n;
}

/* Characters, not bytes. */
static size_t width(const char *s)
{
	size_t n = 0;
	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0u) != 0x80;
	return n;
}

/* At most CELL_MAX characters, the last of them "…" where something is left out. */
static void print_cell(const char *s)
{
	size_t n = 0;
	const char *end = s;
	if (width(s) <= CELL_MAX) {
		fputs(s, stdout);
		return;
	}
	for (; *end; end++)
		if (((unsigned char)*end & 0xc0u) != 0x80 && n++ == CELL_MAX - 1)
			break;
	printf("%.*s…", (int)(end - s), s);
}

static size_t printed_width(const char *s)
{
	size_t n = width(s);
	return n < CELL_MAX ? n : CELL_MAX;
}

static void table_print(const struct cli_table *t)
{
	for (size_t i = 0; i < t->len; i++) {
		size_t column = i % t->columns;
		bool last = column + 1 == t->columns;
		size_t widest = 0;
		for (size_t k = column; k < t->len; k += t->columns)
			if (printed_width(t->cells[k]) > widest)
				widest = printed_width(t->cells[k]);
		if (last) {
			puts(t->cells[i]);
			continue;
		}
		print_cell(t->cells[i]);
		printf("%*s", (int)(widest - printed_width(t->cells[i])) + 2, "");
	}
}

int nv_cli_answer(struct cli *c, json_t *doc, struct cli_table *t, int status)
{
	if (!c->json)
		table_print(t);
	for (size_t i = 0; i < t->len; i++)
		free(t->cells[i]);
	free(t->cells);
	*t = (struct cli_table){0};
	if (c->json)
		return nv_cli_document(c, doc, status);
	json_decref(doc);
	return status;
}
