/* SPDX-License-Identifier: GPL-3.0-or-later */
/* watch, and submit --wait: the producer's live events are followed until all requests are done.
 *
 * On a terminal one line a request is drawn anew; elsewhere a line is printed when a state or step
 * changes.  A producer that is away for a while does not end it. */
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/api.h"

#define PAUSE_MS 1000u	    /* before the stream is opened again */
#define AWAY_MAX_MS 300000u /* unreachable for so long: given up */
#define BAR_WIDTH 24u
#define LINES_MAX 30u /* drawn at once */

struct watched {
	const char *id; /* borrowed */
	json_t *doc;	/* as last seen; NULL: not yet */
	bool stale;	/* to be read */
	char last[96];	/* what was printed last */
};

struct watching {
	struct cli *c;
	struct cli_api *a;
	struct watched *items;
	size_t len;
	bool terminal;
	size_t drawn;	     /* lines of the last picture */
	uint64_t until;	     /* nv_mono_ms; 0: for ever */
	uint64_t away_since; /* 0: it answers */
	struct cli_events events;
	bool changed;		/* since the last picture */
	bool failed, timed_out; /* why the stream was ended; else all are done */
	struct nv_err err;
};

static bool is_final(const json_t *doc)
{
	const char *state = nv_cli_text(doc, "state");
	return state && (strcmp(state, "restored") == 0 || strcmp(state, "failed") == 0 ||
			 strcmp(state, "cancelled") == 0);
}

static bool is_restored(const json_t *doc)
{
	const char *state = nv_cli_text(doc, "state");
	return state && strcmp(state, "restored") == 0;
}

/* --- what is shown --- */

static char *course_name(const json_t *doc)
{
	const char *name = nv_cli_text(json_object_get(doc, "restored"), "shortname");
	if (!name)
		name = nv_cli_text(doc, "shortname");
	if (!name)
		name = nv_cli_text(doc, "course");
	return nv_cli_clean(name);
}

/* Per cent of the whole way: an export is the first half, an import the second. */
static unsigned percent(const json_t *doc)
{
	static const struct {
		const char *step;
		unsigned from, to;
	} steps[] = {{"export", 0, 30}, {"upload", 30, 50}, {"fetch", 50, 70}, {"import", 70, 100}};
	const char *step = nv_cli_text(doc, "step");
	const char *state = nv_cli_text(doc, "state");
	json_int_t done = json_integer_value(json_object_get(doc, "done"));
	json_int_t total = json_integer_value(json_object_get(doc, "total"));
	if (is_restored(doc))
		return 100;
	for (size_t i = 0; step && i < NV_ARRAY_LEN(steps); i++)
		if (strcmp(step, steps[i].step) == 0)
			return steps[i].from +
			       (total > 0 && done <= total
					? (unsigned)((double)(steps[i].to - steps[i].from) *
						     (double)done / (double)total)
					: 0);
	return state && strcmp(state, "ready") == 0 ? 50 : 0;
}

/* "exporting, upload", "failed: the staging store is full" */
static char *state_text(const json_t *doc)
{
	const char *state = nv_cli_text(doc, "state");
	const char *step = nv_cli_text(doc, "step");
	const char *message = nv_cli_text(doc, "message");
	if (!state)
		return nv_strdup("waiting for news");
	if (message && !is_restored(doc)) {
		const char *next_try = nv_cli_text(doc, "next_try");
		const char *held = nv_cli_text(doc, "held");
		nv_auto_free char *clean = nv_cli_clean(message);
		if (next_try && strlen(next_try) > 19)
			return nv_asprintf("%s, next try at %.8s UTC: %s", state, next_try + 11,
					   clean);
		return nv_asprintf("%s%s: %s", state, held ? ", held" : "", clean);
	}
	if (step && !is_final(doc))
		return nv_asprintf("%s, %s", state, step);
	return nv_strdup(state);
}

static unsigned terminal_width(void)
{
	struct winsize w;
	return ioctl(1, TIOCGWINSZ, &w) == 0 && w.ws_col >= 20 ? w.ws_col : 80;
}

/* Prints at most so many characters and clears the rest of the line. */
static void print_cut(const char *text, unsigned width)
{
	unsigned n = 0;
	for (const char *p = text; *p; p++) {
		if (((unsigned char)*p & 0xc0u) != 0x80 && ++n >= width)
			break;
		putchar(*p);
	}
	fputs("\033[K\n", stdout);
}

static void draw_item(const struct watched *w, unsigned width)
{
	char bar[BAR_WIDTH + 1];
	unsigned p = percent(w->doc);
	for (unsigned i = 0; i < BAR_WIDTH; i++)
		bar[i] = i * 100 < p * BAR_WIDTH ? '#' : '.';
	bar[BAR_WIDTH] = '\0';
	nv_auto_free char *name = course_name(w->doc);
	nv_auto_free char *state = state_text(w->doc);
	nv_auto_free char *line =
		nv_asprintf("[%s] %3u %%  %s: %s", bar, p, *name ? name : w->id, state);
	print_cut(line, width);
}

static size_t count(const struct watching *w, bool (*is)(const json_t *doc))
{
	size_t n = 0;
	for (size_t i = 0; i < w->len; i++)
		n += is(w->items[i].doc);
	return n;
}

static void draw(struct watching *w)
{
	unsigned width = terminal_width();
	size_t lines = 0;
	if (w->drawn)
		printf("\033[%zuA", w->drawn);
	bool few = w->len <= LINES_MAX;
	for (size_t i = 0; i < w->len && lines < LINES_MAX; i++) {
		const char *state = nv_cli_text(w->items[i].doc, "state");
		if (!few &&
		    (!state || is_final(w->items[i].doc) || strcmp(state, "scheduled") == 0))
			continue; /* of many, those at work */
		draw_item(&w->items[i], width);
		lines++;
	}
	if (!few) {
		printf("%zu of %zu done\033[K\n", count(w, is_final), w->len);
		lines++;
	}
	/* A shorter display than before: clear the rest of the old one. */
	fputs("\033[J", stdout);
	w->drawn = lines;
	fflush(stdout);
}

/* Where standard output is no terminal: a line when something changed. */
static void print_change(struct watched *w)
{
	nv_auto_free char *state = state_text(w->doc);
	if (strncmp(w->last, state, sizeof w->last - 1) == 0)
		return;
	snprintf(w->last, sizeof w->last, "%s", state);
	nv_auto_free char *name = course_name(w->doc);
	printf("%s  %s  %s\n", w->id, name, state);
	fflush(stdout);
}

/* --- asking --- */

static bool away_too_long(struct watching *w)
{
	uint64_t now = nv_mono_ms();
	if (!w->away_since)
		w->away_since = now;
	return now - w->away_since > AWAY_MAX_MS;
}

/* Read the item again; it stays stale if there is no answer. -1 with w->err. */
static int read_item(struct watching *w, struct watched *item)
{
	nv_auto_free char *path = nv_asprintf("/api/v1/requests/%s", item->id);
	json_t *doc =
		nv_cli_api_call(w->a, &(struct cli_call){.method = "GET", .path = path}, &w->err);
	if (!doc)
		return w->err.kind == NV_RETRY && !away_too_long(w) ? 0 : -1;
	json_decref(item->doc);
	item->doc = doc;
	item->stale = false;
	w->changed = true;
	w->away_since = 0;
	if (!w->c->json && !w->terminal)
		print_change(item);
	return 0;
}

static int read_stale(struct watching *w)
{
	for (size_t i = 0; i < w->len; i++) {
		struct watched *item = &w->items[i];
		if (!item->stale)
			continue;
		if (read_item(w, item) < 0)
			return -1;
		if (item->stale)
			break; /* no answer: do not let the next ones wait as well */
	}
	return 0;
}

static void all_stale(struct watching *w)
{
	for (size_t i = 0; i < w->len; i++)
		w->items[i].stale = !is_final(w->items[i].doc);
}

/* --- hearing --- */

/* Other than 0 ends the stream: all are done, it is time, or w->failed. */
static int go_on(struct watching *w)
{
	w->failed = read_stale(w) < 0;
	if (w->terminal && w->changed)
		draw(w);
	w->changed = false;
	w->timed_out = w->until && nv_mono_ms() >= w->until;
	return w->failed || w->timed_out || count(w, is_final) == w->len;
}

static int on_open(void *arg)
{
	struct watching *w = arg;
	/* After the last event the stream goes on by itself. */
	if (!w->events.last_id)
		all_stale(w);
	w->away_since = 0;
	return go_on(w);
}

static int on_tick(void *arg)
{
	return go_on(arg);
}

/* Progress is in the event; an end is read whole, with the course that came of it. */
static void apply(struct watched *item, const json_t *data)
{
	static const char *const parts[] = {"state",  "step",	 "done",     "total",
					    "reason", "message", "next_try", "held"};
	const json_t *state = json_object_get(data, "state");
	if (!item->doc || is_final(data)) {
		item->stale = true;
		return;
	}
	for (size_t i = 0; i < NV_ARRAY_LEN(parts); i++) {
		json_t *value = json_object_get(data, parts[i]);
		if (value && (i > 0 || !json_is_null(state)))
			json_object_set(item->doc, parts[i], value);
	}
}

static int on_event(void *arg, const char *name, const json_t *data)
{
	struct watching *w = arg;
	const char *id = nv_cli_text(data, "id");
	if (strcmp(name, "reset") == 0) /* what came meanwhile is not known any more */
		all_stale(w);
	for (size_t i = 0; id && strcmp(name, "request") == 0 && i < w->len; i++) {
		struct watched *item = &w->items[i];
		if (strcmp(item->id, id) != 0 || is_final(item->doc))
			continue;
		apply(item, data);
		w->changed = true;
		if (!item->stale && !w->c->json && !w->terminal)
			print_change(item);
	}
	return go_on(w);
}

static int follow(struct watching *w, struct nv_err *err)
{
	w->events = (struct cli_events){
		.open_cb = on_open, .event_cb = on_event, .tick_cb = on_tick, .arg = w};
	int rc;
	while ((rc = nv_cli_api_events(w->a, &w->events, err)) <= 0) {
		/* A session that was forgotten is renewed by reading. */
		if (rc < 0 && err->code == 401)
			all_stale(w);
		if ((rc < 0 && (err->kind != NV_RETRY || away_too_long(w))) || go_on(w))
			break;
		usleep(PAUSE_MS * 1000);
	}
	free(w->events.last_id);
	if (w->failed) {
		*err = w->err;
		return -1;
	}
	size_t left = w->len - count(w, is_final);
	if (left && w->timed_out)
		return nv_fail(err, NV_RETRY, NV_R_timeout, "%zu of %zu requests are not done yet",
			       left, w->len);
	return left ? -1 : 0;
}

/* --- the outcome --- */

static int outcome(struct watching *w, const struct nv_err *err)
{
	size_t restored = count(w, is_restored);
	int status = !err && restored == w->len ? CLI_OK : CLI_FAILED;
	if (w->c->json) {
		json_t *list = json_array();
		for (size_t i = 0; i < w->len; i++)
			json_array_append_new(
				list, w->items[i].doc ? json_incref(w->items[i].doc)
						      : json_pack("{s:s}", "id", w->items[i].id));
		json_t *doc = json_pack("{s:b, s:o}", "ok", status == CLI_OK, "requests", list);
		if (err)
			json_object_set_new(doc, "error",
					    json_pack("{s:s, s:o}", "reason",
						      nv_reason_word(err->reason), "message",
						      nv_cli_string(err->msg)));
		return nv_cli_document(w->c, doc, status);
	}
	if (err)
		return nv_cli_fail(w->c, err);
	printf("%zu of %zu restored", restored, w->len);
	if (restored < w->len)
		printf("; see navette show ID for the others");
	printf(".\n");
	return status;
}

int nv_cli_watch_all(struct cli_api *a, struct cli *c, const json_t *ids)
{
	const char *timeout = nv_cli_get(c, "timeout");
	const char *term = getenv("TERM");
	struct watching w = {.c = c,
			     .a = a,
			     .len = json_array_size(ids),
			     .terminal =
				     !c->json && isatty(1) && term && strcmp(term, "dumb") != 0};
	struct nv_err err = {0};
	uint64_t ms = 0;
	if (timeout && nv_parse_duration(timeout, &ms) < 0)
		return nv_cli_usage(c, "--timeout: \"%s\" is not a time such as 90s or 10m",
				    timeout);
	w.until = timeout ? nv_mono_ms() + ms : 0;
	w.items = nv_alloc((w.len + 1) * sizeof *w.items);
	for (size_t i = 0; i < w.len; i++)
		w.items[i].id = json_string_value(json_array_get(ids, i));
	int rc = follow(&w, &err);
	int status = outcome(&w, rc < 0 ? &err : NULL);
	for (size_t i = 0; i < w.len; i++)
		json_decref(w.items[i].doc);
	free(w.items);
	return status;
}

int nv_cli_watch(struct cli *c)
{
	json_t *ids = json_array();
	int status = CLI_OK;
	for (int i = 0; i < c->args_len && status == CLI_OK; i++) {
		if (!nv_uuid_valid(c->args[i]))
			status = nv_cli_usage(c, "\"%s\" is not the id of a request", c->args[i]);
		json_array_append_new(ids, nv_cli_string(c->args[i]));
	}
	struct cli_api *a = status == CLI_OK ? nv_cli_api_open(c) : NULL;
	if (a)
		status = nv_cli_watch_all(a, c, ids);
	else if (status == CLI_OK)
		status = CLI_FAILED;
	nv_cli_api_close(a);
	json_decref(ids);
	return status;
}
