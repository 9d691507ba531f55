/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whatever a Moodle's script writes, on standard output ('O' in front) or standard error ('E'), is
 * taken line by line, and what becomes of it fits our messages.
 *
 * The file itself is included: what it does with lines is between it and the child, and here is no
 * child. */
#include "core/site/moodle/moodle_call.c"

#include <unistd.h>

#include "fuzz.h"

/* No process has this number, for what wants to end the child. */
#define NOBODY 0x3ffffff0

struct taking {
	struct nv_arena arena;
	struct nv_strs warnings;
};

static int line_cb(void *arg, const char *key, const json_t *value, struct nv_err *err)
{
	struct taking *t = arg;
	void *course;
	const struct nv_record *record = nv_moodle_items(&nv_catalog_reply_record, "courses");

	if (strcmp(key, "warning") == 0)
		nv_moodle_warn(&t->warnings, json_string_value(value), &t->arena);
	if (strcmp(key, "progress") == 0)
		(void)(nv_moodle_uint(value, "done") + nv_moodle_uint(value, "total"));
	if (strcmp(key, "course") != 0)
		return 0;
	course = nv_arena_alloc(&t->arena, record->size);
	return nv_moodle_record(record, value, course, &t->arena, err);
}

static void check_text(const char *text, size_t max)
{
	FUZZ_CHECK(!text || strlen(text) <= max);
}

static void take(struct run *r, struct nv_buf *to, const uint8_t *data, size_t size, bool err)
{
	for (size_t at = 0, step = 700; at < size; at += step) {
		if (step > size - at)
			step = size - at;
		nv_buf_put(to, data + at, step);
		if (err)
			take_err(r, false);
		else
			take_out(r);
		FUZZ_CHECK(r->scanned <= r->out.len);
	}
	if (err)
		take_err(r, true);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct nv_moodle site = {.grace = 1};
	struct taking t = {0};
	const struct nv_moodle_call call = {
		.operation = "fuzz", .reason = NV_R_export_failed, .line_cb = line_cb, .arg = &t};
	struct nv_imported outcome;
	struct run *r = nv_alloc(sizeof *r);

	nv_log_set_fd(-1);
	r->s = &site;
	r->call = &call;
	r->child = (struct nv_moodle_child){
		.pid = NOBODY, .pidfd = -1, .in = -1, .out = -1, .err = -1};
	if (size && data[0] == 'E')
		take(r, &r->err, data + 1, size - 1, true);
	else if (size)
		take(r, &r->out, data + 1, size - 1, false);
	if (r->result) {
		nv_moodle_outcome(r->result, &outcome, &t.arena);
		check_text(outcome.url, 1333u);
		check_text(outcome.shortname, 1333u);
		FUZZ_CHECK(outcome.warnings.len <= 100);
	}
	FUZZ_CHECK(t.warnings.len <= 100);
	FUZZ_CHECK(!r->answered || r->result || r->answer.kind != NV_OK);
	json_decref(r->result);
	nv_buf_fini(&r->in);
	nv_buf_fini(&r->out);
	nv_buf_fini(&r->err);
	forget_last_lines(r);
	free(r);
	nv_arena_fini(&t.arena);
	return 0;
}
