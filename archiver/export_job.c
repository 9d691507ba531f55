/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One request's course, on a thread: the site exports it, entry by entry into the store.  Every run
 * is an attempt with a name of its own, so that two archivers on the same request do no harm. */
#include "archiver/export.h"
#include "base/log.h"
#include "core/daemon/workdir.h"

static void opened(void *arg)
{
	struct export *e = arg;
	e->opened = true; /* the loop looks with the next progress */
}

static int upload(struct export *e, const char *work_dir, const struct nv_archive_place *place,
		  struct nv_job *job, struct nv_err *err)
{
	const struct nv_config *c = e->a->config;
	struct nv_archive_limits limits = {c->store.max_archive, c->store.max_entries,
					   c->store.max_ratio};
	struct nv_archive_put *put =
		nv_archive_put_new(e->a->store, place, work_dir, c->store.blob_threshold, &limits,
				   e->a->known, job, err);
	if (!put)
		return -1;
	struct nv_sink sink = nv_archive_put_sink(put);
	nv_archive_put_tell(put, opened, e);
	int result =
		nv_site_export(e->a->site, nv_export_request(e), nv_config_client(c, e->env.from),
			       &limits, &sink, job, &e->about, &e->warnings, &e->arena, err);
	if (result == 0)
		result = nv_archive_put_commit(put, &e->about, e->manifest_sha256,
					       &e->manifest_size, &e->size, &e->entries, err);
	for (size_t i = 0; result == 0 && i < e->warnings.len; i++)
		nv_job_log(job, NV_WARN, "%s", e->warnings.items[i]); /* those not told yet */
	struct nv_err unsaved = {0};
	if (nv_hash_cache_save(e->a->known, &unsaved) < 0)
		NV_LOG(NV_WARN, "known.unsaved", NV_E(&unsaved));
	nv_archive_put_stats(put, &e->sent, &e->saved);
	nv_archive_put_free(put);
	return result;
}

int nv_export_work(struct nv_job *job, void *arg, struct nv_err *err)
{
	struct export *e = arg;
	struct nv_workdir dir;
	struct nv_archive_place place = {e->a->config->identity.site, e->env.from,
					 nv_export_request(e)->id, e->attempt};
	if (nv_workdir_open(e->a->config->archiver.work_dir, e->attempt, &dir, err) < 0) {
		nv_hold_judge(e->a->hold, job, e->outages, err);
		return -1;
	}
	int result = upload(e, dir.path, &place, job, err);
	nv_workdir_close(&dir, true);
	if (result < 0) {
		struct nv_err left = {0};
		if (nv_archive_delete(e->a->store, &place, &left) < 0)
			NV_LOG(NV_WARN, "archive.left", NV_S("req", place.id),
			       NV_S("attempt", place.attempt), NV_E(&left));
		nv_hold_judge(e->a->hold, job, e->outages, err);
	}
	return result;
}
