/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Making a course: the fetched tree is lent to Moodle in a folder of its own, since Moodle writes
 * beside and into what it restores. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/fs.h"
#include "base/log.h"
#include "core/site/moodle/moodle_internal.h"

/* Of the import's progress, the part in which contents are brought in. */
#define CONTENTS_SHARE 300u
#define WHOLE 1000u

int nv_moodle_preflight(struct nv_site *base, const struct nv_import *in, uint64_t bytes,
			bool *ret_existed, struct nv_err *err)
{
	struct nv_moodle *s = nv_moodle(base);
	nv_auto_json json_t *result = NULL;
	nv_auto_json json_t *input = nv_moodle_import_json(in, bytes, in->moodle_version);
	/* Before the archive is there nobody knows its original category: the right to create a
	 * course in it is looked at by the import. */
	if (in->request->keep_category && !in->category)
		json_object_set_new(json_object_get(input, "settings"), "check_course_create",
				    json_false());
	struct nv_moodle_call call = {
		.operation = "preflight",
		.req = in->request->id,
		.input = input,
		.timeout = s->timeout,
		.reason = NV_R_import_failed,
	};
	if (nv_moodle_ask(s, &call, &result, err) < 0)
		return -1;
	*ret_existed = json_is_true(json_object_get(result, "existed"));
	return 0;
}

/* --- what it tells --- */

static int import_line(void *arg, const char *key, const json_t *value, struct nv_err *err)
{
	const struct nv_job *job = arg;
	(void)err;
	if (strcmp(key, "progress") != 0)
		return 0; /* warnings come again with the result */
	const char *step = json_string_value(json_object_get(value, "step"));
	uint64_t done = nv_moodle_uint(value, "done");
	uint64_t total = nv_moodle_uint(value, "total");
	bool contents = step && strcmp(step, "contents") == 0;
	if (!total || !step || (!contents && strcmp(step, "import") != 0))
		return 0;
	/* Two steps of one job, told as one that only grows. */
	double part = done < total ? (double)done / (double)total : 1;
	uint64_t share = contents ? CONTENTS_SHARE : WHOLE - CONTENTS_SHARE;
	nv_job_progress(job, "import",
			(contents ? 0 : CONTENTS_SHARE) + (uint64_t)(part * (double)share), WHOLE);
	return 0;
}

/* --- lending --- */

struct loan {
	char *site; /* <dir>/site: Moodle's while it works */
	char *tree; /* <dir>/site/tree */
	char *home; /* <dir>/tree */
	char *blobs;
};

static bool is_below(const char *path, const char *folder)
{
	size_t len = folder ? strlen(folder) : 0;
	return len && strncmp(path, folder, len) == 0 && path[len] == '/';
}

/* The children's user must get to the folder, and be able to write where Moodle does. */
static int open_up(const struct nv_moodle *s, const struct loan *l, const char *dir,
		   struct nv_err *err)
{
	if (!s->user.other)
		return 0;
	if (is_below(dir, s->import_dir) && nv_moodle_let_through(s, s->import_dir, err) < 0)
		return -1;
	if (nv_moodle_let_through(s, dir, err) < 0 || nv_moodle_give(s, l->blobs, err) < 0)
		return -1;
	return nv_moodle_give(s, l->site, err);
}

static int lend(const struct nv_moodle *s, const char *dir, struct loan *l, struct nv_err *err)
{
	*l = (struct loan){
		.site = nv_asprintf("%s/site", dir),
		.tree = nv_asprintf("%s/site/tree", dir),
		.home = nv_asprintf("%s/tree", dir),
		.blobs = nv_asprintf("%s/blobs", dir),
	};
	/* What a crash left: the tree has been made anew since. */
	if (nv_remove_tree(l->site, err) < 0 || nv_mkdir_p(l->site, 0700, err) < 0)
		return -1;
	if (rename(l->home, l->tree) < 0)
		return nv_fail_errno(err, errno, NV_RETRY, NV_R_io, "moodle import: moving %s",
				     l->home);
	return open_up(s, l, dir, err);
}

static void take_back(struct loan *l)
{
	struct nv_err err = {0};
	if (rename(l->tree, l->home) < 0 && errno != ENOENT)
		NV_LOG(NV_WARN, "moodle.left", NV_S("path", l->tree), NV_S("why", strerror(errno)));
	if (nv_remove_tree(l->site, &err) < 0)
		NV_LOG(NV_WARN, "moodle.left", NV_S("path", l->site), NV_E(&err));
	free(l->site);
	free(l->tree);
	free(l->home);
	free(l->blobs);
}

/* --- doing it --- */

static uint64_t version_of(const struct nv_import *in, const struct nv_fetched *from)
{
	return in->moodle_version ? in->moodle_version
				  : nv_moodle_version(from->manifest.moodle_version);
}

static int import_lent(const struct nv_moodle *s, const struct nv_import *in,
		       const struct nv_fetched *from, const struct loan *l,
		       const struct nv_job *job, json_t **ret_result, struct nv_err *err)
{
	nv_auto_json json_t *input =
		nv_moodle_import_json(in, from->manifest.size, version_of(in, from));
	json_object_set_new(input, "tree", json_string(l->tree));
	json_object_set_new(input, "blobs", json_string(l->blobs));
	json_object_set_new(input, "confirm", json_true());
	json_object_set_new(input, "inventory",
			    nv_json_list(&nv_count_record, &from->manifest.inventory));
	struct nv_moodle_call call = {
		.operation = "import",
		.req = in->request->id,
		.input = input,
		.tmp = l->site,
		.job = job,
		.confirms = true,
		.reason = NV_R_import_failed,
		.line_cb = import_line,
		.arg = (void *)(uintptr_t)job,
	};
	return nv_moodle_ask(s, &call, ret_result, err);
}

int nv_moodle_import(struct nv_site *base, const struct nv_import *in,
		     const struct nv_fetched *from, const struct nv_job *job,
		     struct nv_imported *ret, struct nv_arena *arena, struct nv_err *err)
{
	struct nv_moodle *s = nv_moodle(base);
	nv_auto_json json_t *result = NULL;
	struct loan l;
	int rc = lend(s, from->dir, &l, err);
	if (rc == 0)
		rc = import_lent(s, in, from, &l, job, &result, err);
	take_back(&l);
	if (rc < 0)
		return -1;
	nv_moodle_outcome(result, ret, arena);
	if (ret->course)
		return 0;
	return nv_fail(err, NV_RETRY, NV_R_import_failed,
		       "moodle import: the result names no course");
}
