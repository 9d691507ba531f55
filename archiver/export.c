/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One request's course: the site exports it on a thread, entry by entry into the store.
 *
 * The client hears of it with the runner's first look: an export that is over by then is said to be
 * ready at once, one message less in its queue.  What the log has to tell goes with the next
 * report.
 *
 * Every run is an attempt with a name of its own, so that two archivers on the same request do no
 * harm.  When the thread has ended, the artefact is durable (or deleted), and export_result.c goes
 * on. */
#include <string.h>

#include "archiver/export.h"
#include "base/log.h"
#include "core/daemon/workdir.h"

#define REPORT_EVERY_MS 1000u

static struct export *export_new(struct archiver *a, struct nv_delivery *d, struct nv_envelope *env)
{
	struct export *e = nv_alloc(sizeof *e);
	size_t len;
	const void *body = nv_delivery_body(d, &len);
	e->a = a;
	e->delivery = d;
	e->outages = nv_delivery_outages(d);
	e->env = *env;
	nv_buf_put(&e->sealed, body, len);
	nv_uuid_new(e->attempt);
	e->started = nv_mono_ms();
	e->next = a->exports;
	a->exports = e;
	nv_metric_add(a->metrics.running, NULL, 1);
	return e;
}

void nv_export_free(struct export *e)
{
	struct archiver *a = e->a;
	struct export **at = &a->exports;
	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
	nv_metric_add(a->metrics.running, NULL, -1);
	nv_envelope_fini(&e->env);
	nv_buf_fini(&e->sealed);
	nv_arena_fini(&e->arena);
	nv_request_log_fini(&e->lines);
	free(e);
	a->on_idle_cb(a);
}

/* --- on the loop --- */

/* A confirmed or lost progress report; the export may have ended meanwhile, so only its id comes.
 */
struct progress_sent {
	struct archiver *a;
	uint64_t lines; /* of the log, up to this one */
	char attempt[NV_UUID_SIZE];
};

static void progress_sent(void *arg, const struct nv_err *err)
{
	struct progress_sent *p = arg;
	for (struct export *e = p->a->exports; e; e = e->next) {
		if (strcmp(e->attempt, p->attempt) != 0)
			continue;
		e->reporting = false;
		if (!err)
			nv_request_log_sent(&e->lines, p->lines);
	}
	free(p);
}

static void export_progress(void *arg, const char *step, uint64_t done, uint64_t total)
{
	struct export *e = arg;
	uint64_t now = nv_mono_ms();
	if (e->opened && !e->announced)
		nv_export_announce(e);
	if (e->reporting || now - e->reported < REPORT_EVERY_MS)
		return;
	struct progress_sent *p = nv_alloc(sizeof *p);
	p->a = e->a;
	p->lines = nv_request_log_next(&e->lines);
	memcpy(p->attempt, e->attempt, sizeof p->attempt);
	e->reported = now;
	e->reporting = true;
	struct nv_report r = {NV_EV_EXPORTING, step, done, total, NULL, true};
	nv_export_report(e, &r, progress_sent, p);
}

static void export_line(void *arg, const struct nv_log_line *line)
{
	struct export *e = arg;
	nv_request_log_add(&e->lines, line->at, (enum nv_level)line->level, line->text);
}

static void export_ended(void *arg, const struct nv_err *err)
{
	struct export *e = arg;
	e->running = NULL;
	nv_metric_add(e->a->metrics.bytes, "sent", (double)e->sent);
	nv_metric_add(e->a->metrics.bytes, "saved", (double)e->saved);
	if (err) {
		e->why = *err;
		nv_export_failed(e);
	} else {
		nv_export_succeeded(e);
	}
}

/* --- the thread --- */

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

static int export_work(struct nv_job *job, void *arg, struct nv_err *err)
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

/* --- from the intake --- */

void nv_export_start(struct archiver *a, struct nv_delivery *d, struct nv_envelope *env)
{
	struct export *e = export_new(a, d, env);
	const struct nv_restore_request *q = nv_export_request(e);
	NV_LOG(NV_INFO, "export.started", NV_S("req", q->id), NV_U("rev", q->rev),
	       NV_S("client", e->env.from), NV_S("course", q->course), NV_P("user", q->user),
	       NV_S("attempt", e->attempt), NV_U("attempts", nv_delivery_attempt(d)));
	nv_request_log_say(&e->lines, NV_INFO, "export attempt %s begins, %u failed before",
			   e->attempt, nv_delivery_attempt(d));
	struct nv_run run = {.work = export_work,
			     .on_progress_cb = export_progress,
			     .on_log_cb = export_line,
			     .on_done_cb = export_ended,
			     .arg = e,
			     .first_step = "export",
			     .timeout_ms = a->config->archiver.job_timeout};
	e->running = nv_run_start(a->daemon->loop, &run);
}

struct export *nv_export_find(struct archiver *a, const char *client, const char *id)
{
	for (struct export *e = a->exports; e; e = e->next)
		if (strcmp(e->env.from, client) == 0 && strcmp(nv_export_request(e)->id, id) == 0)
			return e;
	return NULL;
}

bool nv_export_adopt(struct export *e, struct nv_delivery *d, const struct nv_envelope *env)
{
	if (!e->delivery || nv_delivery_live(e->delivery) || strcmp(e->env.mid, env->mid) != 0)
		return false;
	NV_LOG(NV_INFO, "export.adopted", NV_S("req", nv_export_request(e)->id),
	       NV_S("attempt", e->attempt));
	nv_bus_ack(e->delivery); /* of a connection that is gone: only frees it */
	e->delivery = d;
	return true;
}

void nv_export_withdraw(struct export *e, uint64_t rev)
{
	if (nv_export_request(e)->rev <= rev && e->running)
		nv_run_cancel(e->running);
}

void nv_export_stop_all(struct archiver *a)
{
	for (struct export *e = a->exports; e; e = e->next)
		if (e->running)
			nv_run_stop(e->running);
}

void nv_export_decline(struct archiver *a, struct nv_delivery *d, struct nv_envelope *env,
		       const struct nv_err *why)
{
	struct export *e = export_new(a, d, env);
	e->why = *why;
	nv_export_failed(e);
}
