/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "producer/site_presence.h"

#include <string.h>

#include "core/status/admin.h"
#include "core/status/events.h"
#include "core/status/status.h"
#include "producer/answer.h"

#define NOTE_EVERY_MS 5000u
#define ARCHIVER_TTL_MS 86400000u
#define NOTE_NAME 320u
#define NOTES_MAX 64u /* of each site within NOTE_EVERY_MS */

/* Written at most every few seconds for each archiver.  Hosts are called what their site says, and
 * a site may make names up without end: what is old makes room, and each site has so much of it. */
struct note {
	struct note *next;
	uint64_t at; /* nv_mono_ms */
	char site[NOTE_NAME];
	char name[NOTE_NAME];
};

static void noted(void *arg, const struct nv_err *err)
{
	(void)arg; /* the next message says it again */
	(void)err;
}

static bool is_due(struct app *app, const char *site, const char *name)
{
	uint64_t now = nv_mono_ms();
	struct note *spare = NULL;
	unsigned len = 0;
	for (struct note *n = app->notes; n; n = n->next) {
		if (now - n->at >= NOTE_EVERY_MS) {
			spare = n;
			continue;
		}
		if (strcmp(n->name, name) == 0)
			return false;
		if (strcmp(n->site, site) == 0)
			len++;
	}
	if (len >= NOTES_MAX)
		return false;
	if (!spare) {
		spare = nv_alloc(sizeof *spare);
		spare->next = app->notes;
		app->notes = spare;
	}
	snprintf(spare->site, sizeof spare->site, "%s", site);
	snprintf(spare->name, sizeof spare->name, "%s", name);
	spare->at = now;
	return true;
}

void nv_site_presence_free(struct app *app)
{
	struct note *next;
	for (struct note *n = app->notes; n; n = next) {
		next = n->next;
		free(n);
	}
	app->notes = NULL;
}

static void note_answer(struct app *app, const char *site, const struct nv_catalog_reply *reply)
{
	char name[NOTE_NAME];
	json_t *kinds = json_array();
	for (size_t i = 0; i < reply->kinds.len; i++)
		json_array_append_new(kinds, nv_api_text(reply->kinds.items[i]));
	json_t *o =
		json_pack("{s:I, s:I, s:o, s:I, s:I, s:o}", "at", (json_int_t)reply->at, "status",
			  (json_int_t)reply->status, "error", nv_api_text(reply->error),
			  "moodle_version", (json_int_t)reply->moodle_version, "opens",
			  (json_int_t)reply->opens, "kinds", kinds);
	nv_auto_free char *value = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	snprintf(name, sizeof name, "answer:%s", site);
	nv_status_present(app->status, name, value, 0, noted, NULL);
}

/* What is in the way of all exports of a host: said when a request meets it, and when it has
 * passed. An export that begins tells the same, should that have got lost. */
static void note_hold(struct app *app, const char *site, const struct nv_status_event *e)
{
	char name[NOTE_NAME];
	bool held = e->state == NV_EV_HELD && e->hold;
	if (held && e->reason && !nv_reason_passes(nv_reason_from(e->reason)))
		return; /* another attempt is at it */
	snprintf(name, sizeof name, "hold:%s:%s", site, e->host);
	if (held && e->reason) {
		json_t *o = json_pack("{s:s, s:o, s:I}", "reason", e->reason, "message",
				      nv_api_text(e->message), "since", (json_int_t)nv_now_ms());
		nv_auto_free char *value = json_dumps(o, JSON_COMPACT);
		json_decref(o);
		nv_status_present(app->status, name, value, ARCHIVER_TTL_MS, noted, NULL);
	} else if (held || (e->seq == 1 && e->state != NV_EV_HELD)) {
		nv_status_absent(app->status, name, noted, NULL);
	}
}

void nv_site_presence_heard(struct app *app, const struct nv_envelope *env)
{
	char name[NOTE_NAME];
	if (env->kind == NV_KIND_CATALOG_REPLY) {
		note_answer(app, env->from, &env->body.catalog_reply);
	} else if (env->kind == NV_KIND_STATUS_EVENT && env->body.status_event.host) {
		snprintf(name, sizeof name, "archiver:%s:%s", env->from,
			 env->body.status_event.host);
		note_hold(app, env->from, &env->body.status_event);
		if (is_due(app, env->from, name))
			nv_status_present(app->status, name, "{}", ARCHIVER_TTL_MS, noted, NULL);
	}
}

/* --- what they understand --- */

const char *nv_site_presence_after(const char *name, const char *prefix)
{
	size_t len = strlen(prefix);
	return strncmp(name, prefix, len) == 0 ? name + len : NULL;
}

struct understanding {
	char *site;
	enum nv_kind kind;
	void (*cb)(void *arg, const struct nv_err *err, bool understood);
	void *arg;
};

/* Did the course server's last answer name this kind? */
static bool names_kind(const struct nv_presence *answer, const char *word)
{
	json_t *told = json_loads(answer->value, 0, NULL), *one;
	bool found = false;
	size_t i;
	json_array_foreach(json_object_get(told, "kinds"), i, one)
	{
		const char *s = json_string_value(one);
		found = found || (s && strcmp(s, word) == 0);
	}
	json_decref(told);
	return found;
}

static void understood(void *arg, const struct nv_err *err, const struct nv_presence *list,
		       size_t len)
{
	struct understanding *u = arg;
	const char *word = nv_kind_info(u->kind)->word;
	bool found = false;
	for (size_t i = 0; !err && i < len; i++) {
		const char *name = nv_site_presence_after(list[i].name, "answer:");
		if (name && strcmp(name, u->site) == 0)
			found = names_kind(&list[i], word);
	}
	u->cb(u->arg, err, found);
	free(u->site);
	free(u);
}

void nv_site_presence_understands(struct app *app, const char *site, enum nv_kind kind,
				  void (*cb)(void *arg, const struct nv_err *err, bool understood),
				  void *arg)
{
	struct understanding *u = nv_alloc(sizeof *u);
	*u = (struct understanding){.site = nv_strdup(site), .kind = kind, .cb = cb, .arg = arg};
	nv_status_presences(app->status, understood, u);
}
