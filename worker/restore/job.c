/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One request, on its thread: preflight → fetch what is missing → import.
 *
 * An archive that is here sooner than Moodle has begun to answer is brought without a question, if
 * it needs no plugin that the site was not asked for lately: the import looks at the same things.
 * That is 0.1 s of the 0.8 that the smallest course takes. */
#include <string.h>

#include "base/fault.h"
#include "base/fs.h"
#include "base/log.h"
#include "core/daemon/workdir.h"
#include "worker/restore/known_plugins.h"
#include "worker/worker.h"

#define SMALL (16u << 20) /* bytes of an archive, unpacked */

static struct nv_archive_place place_of(const struct nv_restore_job *j)
{
	return (struct nv_archive_place){j->site, j->worker->config->identity.client,
					 j->request->id, j->ready->attempt};
}

/* What does not work out is fetched instead, unless the job is to end. */
int nv_reuse_contents(void *arg, const struct nv_manifest *m, const char *blobs, struct nv_err *err)
{
	const struct nv_reuse_arg *b = arg;
	struct nv_reuse reuse = {m, blobs, b->worker->known};
	struct nv_err local = {0};
	if (nv_site_reuse(b->worker->site, b->request, &reuse, b->job, &local) < 0) {
		if (nv_job_check(b->job, err) < 0)
			return -1;
		NV_LOG(NV_WARN, "contents.unknown", NV_S("req", b->request), NV_E(&local));
	}
	return 0;
}

static void log_outcome(const struct nv_restore_job *j, const struct nv_job *job)
{
	const struct nv_imported *o = &j->outcome;
	const struct nv_difference *d = o->differences.items;
	for (size_t i = 0; i < o->warnings.len; i++)
		nv_job_log(job, NV_WARN, "%s", o->warnings.items[i]); /* those not told yet */
	for (size_t i = 0; i < o->differences.len; i++) {
		nv_auto_free char *text = nv_difference_text(&d[i]);
		nv_job_log(job, NV_WARN, "%s", text);
	}
	if (!o->compared)
		nv_job_log(job, NV_INFO,
			   "what arrived was not compared: one of the sites did not count");
	else if (!o->differences.len)
		nv_job_log(job, NV_INFO, "everything that the course server counted has arrived");
}

static int fetch_and_import(struct nv_restore_job *j, const char *dir, struct nv_job *job,
			    struct nv_err *err)
{
	const struct nv_config *c = j->worker->config;
	struct nv_archive_limits limits = {c->store.max_archive, c->store.max_entries,
					   c->store.max_ratio};
	struct nv_archive_place place = place_of(j);
	struct nv_reuse_arg reuse = {j->worker, j->request->id, job};
	struct nv_fetch_help help = {
		.known = j->worker->known, .reuse_cb = nv_reuse_contents, .arg = &reuse};
	struct nv_err unsaved = {0};
	struct nv_fetched fetched;
	int fetch_result =
		nv_archive_fetch(j->worker->store, &place, j->ready->manifest_sha256.data,
				 j->ready->manifest_size, &limits, dir, &help, job, &fetched, err);
	if (nv_hash_cache_save(j->worker->known, &unsaved) < 0)
		NV_LOG(NV_WARN, "known.unsaved", NV_E(&unsaved));
	if (fetch_result < 0)
		return -1;
	nv_fault("worker.after-fetch");
	struct nv_import in = {.request = j->request,
			       .config = c,
			       .site = j->site,
			       .category = fetched.manifest.category,
			       .retry_in = j->retry_in,
			       .needs = &j->ready->needs};
	nv_job_log(job, NV_INFO, "the archive is here, %llu bytes unpacked",
		   (unsigned long long)fetched.manifest.size);
	atomic_store(&j->importing, nv_mono_ms());
	nv_job_progress(job, "import", 0, 0);
	int result =
		nv_site_import(j->worker->site, &in, &fetched, job, &j->outcome, &j->arena, err);
	if (result == 0)
		log_outcome(j, job);
	nv_fetched_fini(&fetched);
	return result;
}

/* What the course server said of its export is for people, too; the log has it already. */
static void add_export_warnings(struct nv_restore_job *j)
{
	const struct nv_strs *from = &j->ready->warnings;
	struct nv_strs *to = &j->outcome.warnings;
	char **items = nv_arena_alloc(&j->arena, (from->len + to->len + 1) * sizeof *items);
	size_t len = 0;
	for (size_t i = 0; i < from->len; i++)
		items[len++] = from->items[i];
	for (size_t i = 0; i < to->len; i++) {
		size_t k = 0;
		while (k < from->len && strcmp(from->items[k], to->items[i]) != 0)
			k++;
		if (k == from->len)
			items[len++] = to->items[i];
	}
	*to = (struct nv_strs){items, len};
}

/* Is the site to be asked before anything is fetched?  Who asked at archive.opened did not know yet
 * which plugins the course needs. */
static bool asks_first(const struct nv_restore_job *j)
{
	if (!nv_known_plugins_all(j->worker->known_plugins, &j->ready->needs,
				  j->request->leave_out))
		return true;
	return !j->asked && (!j->first || j->ready->size > SMALL);
}

static int ask_first(struct nv_restore_job *j, bool *ret_existed, struct nv_err *err)
{
	struct nv_import in = {.request = j->request,
			       .config = j->worker->config,
			       .site = j->site,
			       .needs = &j->ready->needs};
	if (!asks_first(j))
		return 0;
	if (nv_site_preflight(j->worker->site, &in, j->ready->size, ret_existed, err) < 0)
		return -1;
	if (!*ret_existed) /* otherwise nothing else was looked at */
		nv_known_plugins_add(j->worker->known_plugins, &j->ready->needs,
				     j->request->leave_out);
	return 0;
}

/* What was fetched is of use to the next try, and to nobody else.  Where the disk looks full with
 * it, it goes: nv_hold_judge must find only what others have left there. */
static bool is_kept(const struct nv_restore_job *j, const struct nv_err *why)
{
	struct nv_err full = {0};
	if (why->kind != NV_HOLD && (why->kind != NV_RETRY || j->last))
		return false;
	return why->reason != NV_R_disk_full &&
	       nv_disk_look(j->worker->config->worker.work_dir, &full) == 0;
}

static int restore(struct nv_restore_job *j, struct nv_job *job, struct nv_err *err)
{
	struct nv_site *site = j->worker->site;
	struct nv_workdir dir;
	bool existed = false;
	if (ask_first(j, &existed, err) < 0)
		return -1;
	/* A worker that died after the import left a course: nothing need be fetched. */
	if (existed && nv_site_find(site, j->request->id, &j->outcome, &j->arena, err) < 0)
		return -1;
	if (j->outcome.course) {
		nv_job_log(job, NV_INFO, "the course is there already: %s", j->outcome.course);
		add_export_warnings(j);
		return 0;
	}
	if (nv_workdir_open(j->worker->config->worker.work_dir, j->request->id, &dir, err) < 0)
		return -1;
	int result = fetch_and_import(j, dir.path, job, err);
	if (result == 0)
		add_export_warnings(j);
	nv_workdir_close(&dir, result == 0 || !is_kept(j, err));
	return result;
}

int nv_restore_work(struct nv_job *job, void *arg, struct nv_err *err)
{
	struct nv_restore_job *j = arg;
	if (restore(j, job, err) == 0)
		return 0;
	nv_hold_judge(j->worker->hold, job, j->outages, err);
	return -1;
}

uint64_t nv_restore_importing(const struct nv_restore_job *j)
{
	uint64_t began = atomic_load(&j->importing);
	uint64_t ms = began ? nv_mono_ms() - began : 0;
	return began && !ms ? 1 : ms;
}

int nv_restore_clean(struct nv_job *job, void *arg, struct nv_err *err)
{
	struct nv_restore_job *j = arg;
	struct nv_archive_place place = place_of(j);
	(void)job;
	nv_workdir_discard(j->worker->config->worker.work_dir, j->request->id);
	if (nv_archive_delete(j->worker->store, &place, err) < 0)
		NV_LOG(NV_WARN, "archive.left", NV_S("req", place.id),
		       NV_S("attempt", place.attempt), NV_E(err));
	return 0;
}
