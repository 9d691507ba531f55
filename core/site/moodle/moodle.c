/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The moodle site: opening, the table of its calls, and those that are one question and an answer.
 */
#include "core/site/moodle/moodle_internal.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/id.h"
#include "base/log.h"

#define TIMEOUT_MS 120000u /* where the configuration sets none */
#define GRACE_MS 10000u	   /* from SIGTERM to SIGKILL */
#define PLUGINS_MAX 2000u  /* as restore.request allows */
#define COURSES_MAX 5000u  /* as catalog.reply allows */
#define ERROR_BYTES 500u   /* as catalog.reply allows */
#define SCRIPT "blocks/navette/cli/navette.php"

/* --- opening --- */

static void moodle_close(struct nv_site *base)
{
	struct nv_moodle *s = nv_moodle(base);
	nv_moodle_user_fini(&s->user);
	free(s->path);
	free(s->script);
	free(s->php);
	free(s->export_dir);
	free(s->import_dir);
	free(s->cache_dir);
	free(s->user_field);
	free(s->base.describe);
	free(s);
}

static int find_files(struct nv_moodle *s, struct nv_err *err)
{
	nv_auto_free char *config = nv_asprintf("%s/config.php", s->path);
	if (access(s->php, X_OK) < 0)
		return nv_fail_errno(err, errno, NV_FATAL, NV_R_config, "site.php: %s", s->php);
	if (access(config, F_OK) < 0)
		return nv_fail_errno(err, errno, NV_FATAL, NV_R_config,
				     "site.path: %s, which every Moodle has", config);
	/* Moodle 5.1 moved what the web server serves into a folder of its own. */
	s->script = nv_asprintf("%s/public/" SCRIPT, s->path);
	if (access(s->script, F_OK) == 0)
		return 0;
	free(s->script);
	s->script = nv_asprintf("%s/" SCRIPT, s->path);
	if (access(s->script, F_OK) == 0)
		return 0;
	return nv_fail_errno(err, errno, NV_FATAL, NV_R_config,
			     "site.path: %s (is the plugin block_navette installed?)", s->script);
}

static const char *or_else(const char *text, const char *fallback)
{
	return text && *text ? text : fallback;
}

/* PHP keeps compiled scripts only for servers.  A command compiles all that it needs of Moodle each
 * time, unless it has a folder to keep them in; there, too, a script that has changed is compiled
 * anew. */
static void make_cache(struct nv_moodle *s, const char *work_dir)
{
	struct nv_err err = {0};
	if (!work_dir)
		return;
	nv_auto_free char *dir = nv_asprintf("%s/.opcache", work_dir);
	if (nv_mkdir_p(dir, 0700, &err) < 0 || nv_moodle_let_through(s, work_dir, &err) < 0 ||
	    (s->user.other && lchown(dir, s->user.uid, s->user.gid) < 0))
		return;
	s->cache_dir = nv_strdup(dir);
}

static struct nv_site *moodle_open(const struct nv_config *c, struct nv_err *err)
{
	if (!c->site.path || !*c->site.path) {
		nv_fail(err, NV_FATAL, NV_R_config, "site.path: the folder of Moodle is missing");
		return NULL;
	}
	struct nv_moodle *s = nv_alloc(sizeof *s);
	s->base.ops = &nv_site_moodle_ops;
	s->base.describe = nv_asprintf("moodle %s", c->site.path);
	s->path = nv_strdup(c->site.path);
	s->php = nv_strdup(or_else(c->site.php, "/usr/bin/php"));
	s->export_dir = nv_strdup(or_else(c->archiver.work_dir, or_else(getenv("TMPDIR"), "/tmp")));
	s->import_dir = nv_strdup(c->worker.work_dir);
	if (nv_config_restore_given(c, "user_field"))
		s->user_field = nv_strdup(or_else(c->restore.user_field, "username"));
	s->timeout = c->site.timeout ? c->site.timeout : TIMEOUT_MS;
	s->grace = GRACE_MS;
	s->verified = c->store.blob_threshold ? c->store.blob_threshold : UINT64_MAX;
	if (nv_moodle_user_find(c->site.user, &s->user, err) == 0 && find_files(s, err) == 0) {
		make_cache(s, or_else(c->archiver.work_dir, c->worker.work_dir));
		return &s->base;
	}
	moodle_close(&s->base);
	return NULL;
}

/* --- short questions --- */

static int ask(struct nv_site *base, const char *operation, const char *req, const json_t *input,
	       json_t **ret_result, struct nv_err *err)
{
	const struct nv_moodle *s = nv_moodle(base);
	struct nv_moodle_call call = {
		.operation = operation,
		.req = req,
		.input = input,
		.timeout = s->timeout,
		.reason = NV_R_internal,
	};
	return nv_moodle_ask(s, &call, ret_result, err);
}

static int moodle_versions(struct nv_site *base, uint64_t *ret_version, struct nv_list *ret_plugins,
			   struct nv_arena *arena, struct nv_err *err)
{
	nv_auto_json json_t *result = NULL;
	if (ask(base, "versions", NULL, NULL, &result, err) < 0)
		return -1;
	const json_t *list = json_object_get(result, "plugins");
	const struct nv_record *record = nv_moodle_items(&nv_restore_request_record, "plugins");
	size_t len = json_array_size(list);
	len = len < PLUGINS_MAX ? len : PLUGINS_MAX;
	struct nv_plugin *plugins = nv_arena_alloc(arena, (len + 1) * sizeof *plugins);
	for (size_t i = 0; i < len; i++)
		if (nv_moodle_record(record, json_array_get(list, i), &plugins[i], arena, err) < 0)
			return -1;
	*ret_version = nv_moodle_uint(result, "version");
	*ret_plugins = (struct nv_list){plugins, len};
	return 0;
}

/* An older plugin does not know the question: then there is nothing to find out. */
static int moodle_probe(struct nv_site *base, const struct nv_job *job, struct nv_err *err)
{
	const struct nv_moodle *s = nv_moodle(base);
	struct nv_moodle_call call = {.operation = "check",
				      .job = job,
				      .timeout = s->timeout,
				      .reason = NV_R_site_unavailable};
	struct nv_err why = {0};
	if (nv_moodle_ask(s, &call, NULL, &why) == 0 ||
	    (why.kind == NV_REJECT && why.reason == NV_R_bad_message))
		return 0;
	*err = why;
	return -1;
}

static int moodle_find(struct nv_site *base, const char *request_id, struct nv_imported *ret,
		       struct nv_arena *arena, struct nv_err *err)
{
	nv_auto_json json_t *result = NULL;
	nv_auto_json json_t *input = json_pack("{s:s}", "id", request_id);
	*ret = (struct nv_imported){0};
	if (ask(base, "find", request_id, input, &result, err) < 0)
		return -1;
	nv_moodle_outcome(result, ret, arena);
	return 0;
}

static int moodle_enrol(struct nv_site *base, const char *course, const char *user,
			const char *role, struct nv_err *err)
{
	nv_auto_json json_t *input =
		json_pack("{s:s, s:s, s:s?, s:s?}", "course", course, "user", user, "role", role,
			  "user_field", nv_moodle(base)->user_field);
	return ask(base, "enrol", NULL, input, NULL, err);
}

static int moodle_notify(struct nv_site *base, const struct nv_notice *n, struct nv_err *err)
{
	nv_auto_json json_t *input =
		json_pack("{s:s, s:s, s:s?, s:s?, s:s?, s:s?, s:s?, s:s?, s:s?}", "id", n->id,
			  "provider", nv_notice_words[n->kind], "user", n->user, "user_field",
			  nv_moodle(base)->user_field, "lang", n->lang, "subject", n->subject,
			  "text", n->text, "html", n->html, "url", n->url);
	return ask(base, "notify", NULL, input, NULL, err);
}

static int moodle_sweep(struct nv_site *base, struct nv_err *err)
{
	nv_auto_json json_t *result = NULL;
	if (ask(base, "sweep", NULL, NULL, &result, err) < 0)
		return -1;
	uint64_t swept = nv_moodle_uint(result, "swept");
	if (swept)
		NV_LOG(NV_INFO, "moodle.swept", NV_U("restores", swept));
	return 0;
}

/* --- catalog --- */

struct catalog {
	struct nv_course *courses;
	size_t len;
	size_t cap;
	struct nv_arena *arena;
};

static int catalog_line(void *arg, const char *key, const json_t *value, struct nv_err *err)
{
	struct catalog *c = arg;
	if (strcmp(key, "course") != 0 || c->len == COURSES_MAX)
		return 0;
	if (c->len == c->cap) {
		c->cap = c->cap ? 2 * c->cap : 64;
		c->courses = nv_realloc(c->courses, c->cap * sizeof *c->courses);
	}
	return nv_moodle_record(nv_moodle_items(&nv_catalog_reply_record, "courses"), value,
				&c->courses[c->len++], c->arena, err);
}

static int read_catalog(const json_t *result, const struct nv_catalog_request *q,
			const struct catalog *c, struct nv_catalog_reply *ret,
			struct nv_arena *arena, struct nv_err *err)
{
	const char *status = json_string_value(json_object_get(result, "status"));
	uint64_t at = nv_moodle_uint(result, "at");
	*ret = (struct nv_catalog_reply){
		.id = nv_arena_strdup(arena, q->id),
		.user = nv_arena_strdup(arena, q->user),
		.error = nv_moodle_cut(json_string_value(json_object_get(result, "error")),
				       ERROR_BYTES, arena),
		.moodle_version = nv_moodle_uint(result, "moodle_version"),
		.at = at ? at : nv_now_ms(),
	};
	while (status && nv_catalog_status_words[ret->status] &&
	       strcmp(nv_catalog_status_words[ret->status], status) != 0)
		ret->status++;
	if (!status || !nv_catalog_status_words[ret->status])
		return nv_fail(err, NV_RETRY, NV_R_internal,
			       "moodle catalog: the result has no status that is known");
	struct nv_course *courses = nv_arena_alloc(arena, (c->len + 1) * sizeof *courses);
	if (c->len)
		memcpy(courses, c->courses, c->len * sizeof *courses);
	ret->courses = (struct nv_list){courses, c->len};
	return 0;
}

static int moodle_catalog(struct nv_site *base, const struct nv_catalog_request *q,
			  struct nv_catalog_reply *ret, struct nv_arena *arena, struct nv_err *err)
{
	const struct nv_moodle *s = nv_moodle(base);
	nv_auto_json json_t *result = NULL;
	nv_auto_json json_t *input = nv_json_record(&nv_catalog_request_record, q);
	struct catalog c = {.arena = arena};
	struct nv_moodle_call call = {
		.operation = "catalog",
		.req = q->id,
		.input = input,
		.timeout = s->timeout,
		.reason = NV_R_internal,
		.line_cb = catalog_line,
		.arg = &c,
	};
	int rc = nv_moodle_ask(s, &call, &result, err);
	if (rc == 0)
		rc = read_catalog(result, q, &c, ret, arena, err);
	free(c.courses);
	return rc;
}

/* --- history --- */

struct history {
	nv_site_history_cb cb;
	void *arg;
	bool stopped;
};

static int history_line(void *arg, const char *key, const json_t *value, struct nv_err *err)
{
	struct history *h = arg;
	nv_auto_arena struct nv_arena arena = {0};
	struct nv_restore_request request;
	struct nv_imported outcome;
	struct nv_err why = {0};
	(void)err;
	if (strcmp(key, "restore") != 0 || h->stopped)
		return 0;
	/* One damaged row must not hide the rest of the history. */
	if (nv_moodle_record(&nv_restore_request_record, json_object_get(value, "request"),
			     &request, &arena, &why) < 0) {
		NV_LOG(NV_WARN, "site.history", NV_E(&why));
		return 0;
	}
	nv_moodle_outcome(json_object_get(value, "outcome"), &outcome, &arena);
	h->stopped = h->cb(h->arg, &request, &outcome,
			   json_is_true(json_object_get(value, "deleted"))) != 0;
	return 0;
}

static int moodle_history(struct nv_site *base, nv_site_history_cb cb, void *arg,
			  struct nv_err *err)
{
	const struct nv_moodle *s = nv_moodle(base);
	struct history h = {.cb = cb, .arg = arg};
	struct nv_moodle_call call = {
		.operation = "history",
		.timeout = s->timeout,
		.reason = NV_R_internal,
		.line_cb = history_line,
		.arg = &h,
	};
	return nv_moodle_ask(s, &call, NULL, err);
}

const struct nv_site_ops nv_site_moodle_ops = {
	.type = "moodle",
	.open = moodle_open,
	.close = moodle_close,
	.versions = moodle_versions,
	.probe = moodle_probe,
	.settings = nv_moodle_settings,
	.facts = nv_moodle_facts,
	.catalog = moodle_catalog,
	.export = nv_moodle_export,
	.preflight = nv_moodle_preflight,
	.reuse = nv_moodle_reuse,
	.import = nv_moodle_import,
	.find = moodle_find,
	.enrol = moodle_enrol,
	.notify = moodle_notify,
	.rights = nv_moodle_rights,
	.history = moodle_history,
	.sweep = moodle_sweep,
};
