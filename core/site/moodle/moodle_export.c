/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Giving a course away: Moodle writes its backup into a folder of ours and names the contents,
 * which are read where Moodle keeps them.  It names most of them long before it is done, and what
 * becomes an object of its own is on its way meanwhile. */
#include <string.h>

#include "base/fs.h"
#include "base/id.h"
#include "base/thread_pool.h"
#include "core/site/moodle/moodle_internal.h"

struct export
{
	const struct nv_moodle *s;
	const struct nv_sink *to;
	const struct nv_job *job;
	struct nv_arena *arena;
	struct nv_strs warnings;
	struct nv_thread_pool *crew; /* for the larger contents; NULL: it has ended */
	struct nv_moodle_content *contents;
	size_t len;
	size_t cap;
	struct nv_arena paths;
};

static int send_content(void *ctx, void *item, struct nv_err *err)
{
	const struct export *e = ctx;
	return nv_moodle_feed_content(e->s, item, e->to, e->job, err);
}

/* May contents be fed while something else is? */
static bool at_once(const struct export *e)
{
	return e->to->threads > 1;
}

static int add_content(struct export *e, const json_t *file, struct nv_err *err)
{
	const char *sha1 = json_string_value(json_object_get(file, "sha1"));
	const char *path = json_string_value(json_object_get(file, "path"));
	const json_t *size = json_object_get(file, "size");
	uint8_t digest[NV_SHA1_LEN];
	if (!sha1 || nv_unhex(sha1, digest, sizeof digest) < 0 || !path || *path != '/' ||
	    !json_is_integer(size) || json_integer_value(size) < 0)
		return nv_fail(err, NV_RETRY, NV_R_export_failed,
			       "moodle export: a file without a proper sha1, size and path");
	if (e->len == e->cap) {
		e->cap = e->cap ? 2 * e->cap : 256;
		e->contents = nv_realloc(e->contents, e->cap * sizeof *e->contents);
	}
	struct nv_moodle_content *c = &e->contents[e->len++];
	memcpy(c->sha1, sha1, sizeof c->sha1);
	c->size = (uint64_t)json_integer_value(size);
	c->path = nv_arena_strdup(&e->paths, path);
	if (c->size < e->s->verified || !at_once(e))
		return 0;
	struct nv_moodle_content *own = nv_arena_alloc(&e->paths, sizeof *own);
	*own = *c; /* the list may move */
	nv_thread_pool_give(e->crew, own);
	return 0;
}

static int export_line(void *arg, const char *key, const json_t *value, struct nv_err *err)
{
	struct export *e = arg;
	if (nv_thread_pool_check(e->crew, err) < 0)
		return -1; /* nobody will have the rest */
	if (strcmp(key, "file") == 0)
		return add_content(e, value, err);
	if (strcmp(key, "warning") == 0)
		nv_moodle_warn(&e->warnings, json_string_value(value), e->arena);
	else if (strcmp(key, "progress") == 0)
		nv_job_progress(e->job, "export", nv_moodle_uint(value, "done"),
				nv_moodle_uint(value, "total"));
	return 0;
}

/* Below the folder that we gave it, and nowhere else. */
static int check_skeleton(const char *out, const char *skeleton, struct nv_err *err)
{
	size_t len = strlen(out);
	if (skeleton && strncmp(skeleton, out, len) == 0 && skeleton[len] == '/' &&
	    nv_path_is_safe(skeleton + len + 1))
		return 0;
	return nv_fail(err, NV_RETRY, NV_R_export_failed,
		       "moodle export: the backup is not in the folder %s", out);
}

static int feed(struct export *e, const json_t *result, const char *out, struct nv_manifest *ret,
		struct nv_strs *ret_warnings, struct nv_err *err)
{
	const char *skeleton = json_string_value(json_object_get(result, "skeleton"));
	if (check_skeleton(out, skeleton, err) < 0)
		return -1;
	*ret = (struct nv_manifest){
		.moodle_version = nv_moodle_text(result, "moodle_version", e->arena),
		.user_data = json_is_true(json_object_get(result, "user_data")),
	};
	ret->shortname =
		nv_moodle_cut(nv_moodle_text(result, "shortname", e->arena), 1333, e->arena);
	ret->fullname = nv_moodle_cut(nv_moodle_text(result, "fullname", e->arena), 1333, e->arena);
	ret->category = nv_moodle_cut(nv_moodle_text(result, "category", e->arena), 255, e->arena);
	nv_moodle_list(&nv_plugin_record, json_object_get(result, "needs"), NV_NEEDS_MAX,
		       &ret->needs, e->arena);
	nv_moodle_list(&nv_count_record, json_object_get(result, "inventory"), NV_INVENTORY_MAX,
		       &ret->inventory, e->arena);
	if (ret_warnings)
		*ret_warnings = e->warnings;
	if (nv_moodle_feed(e->s, skeleton, e->contents, e->len, e->to, e->job, err) < 0)
		return -1;
	for (size_t i = 0; i < e->len && !at_once(e); i++)
		if (e->contents[i].size >= e->s->verified)
			nv_thread_pool_give(e->crew, &e->contents[i]);
	struct nv_thread_pool *crew = e->crew;
	e->crew = NULL;
	return nv_thread_pool_end(crew, err);
}

static int export_into(struct export *e, const struct nv_restore_request *q,
		       const struct nv_config_client *policy, const struct nv_moodle_folder *folder,
		       struct nv_manifest *ret, struct nv_strs *ret_warnings, struct nv_err *err)
{
	nv_auto_json json_t *result = NULL;
	nv_auto_json json_t *input = json_pack("{s:o, s:o, s:s, s:s?}", "request",
					       nv_json_record(&nv_restore_request_record, q),
					       "policy", nv_moodle_policy(policy), "work_dir",
					       folder->out, "user_field", e->s->user_field);
	struct nv_moodle_call call = {
		.operation = "export",
		.req = q->id,
		.input = input,
		.tmp = folder->out,
		.job = e->job,
		.reason = NV_R_export_failed,
		.line_cb = export_line,
		.arg = e,
	};
	uint64_t began = nv_mono_ms();
	if (nv_moodle_ask(e->s, &call, &result, err) < 0)
		return -1;
	nv_job_log(e->job, NV_INFO, "Moodle wrote its backup in %.1f s, it names %zu files",
		   (double)(nv_mono_ms() - began) / 1000, e->len);
	return feed(e, result, folder->out, ret, ret_warnings, err);
}

int nv_moodle_export(struct nv_site *base, const struct nv_restore_request *q,
		     const struct nv_config_client *policy, const struct nv_archive_limits *limits,
		     const struct nv_sink *to, const struct nv_job *job, struct nv_manifest *ret,
		     struct nv_strs *ret_warnings, struct nv_arena *arena, struct nv_err *err)
{
	struct nv_moodle *s = nv_moodle(base);
	struct export e = {.s = s, .to = to, .job = job, .arena = arena};
	struct nv_moodle_folder folder;
	(void)limits; /* the sink counts */
	if (nv_moodle_folder_make(s, &folder, err) < 0)
		return -1;
	e.crew = nv_thread_pool_new(to->threads, send_content, &e);
	int rc = export_into(&e, q, policy, &folder, ret, ret_warnings, err);
	nv_thread_pool_abandon(e.crew);
	nv_moodle_folder_remove(&folder);
	free(e.contents);
	nv_arena_fini(&e.paths);
	return rc;
}
