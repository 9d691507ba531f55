/* SPDX-License-Identifier: GPL-3.0-or-later */
/* GET /api/v1/requests/{id}/archive: assembles a request's archive on a thread, as a file that any
 * Moodle restores, then sends it.  HEAD says whether that would succeed.
 *
 * The file takes disk space until it is read, and readers may be slow or never finish.  So the
 * number of files is limited, per person and in total; before anything is fetched, there must be
 * room for it and for a reserve; and readers slower than producer.min_rate are disconnected.  The
 * file is unlinked before it is sent, so that it disappears with its connection. */
#include "producer/requests/download.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "core/archive/archive.h"
#include "core/daemon/workdir.h"
#include "core/status/status.h"
#include "producer/answer.h"
#include "producer/blocking_jobs.h"

struct download {
	struct download *prev, *next; /* of app->downloads */
	struct app *app;
	struct nv_http_request *r;
	const struct session *s;
	struct nv_archive_place place;
	char attempt[NV_UUID_SIZE];
	bool look; /* HEAD */
	int fd;	   /* of the file, which has no name any more; -1: none */
	uint64_t size;
	char *name;		      /* owned */
	_Atomic(struct nv_job *) job; /* while the thread works; used on the loop only */
	bool fits;		      /* HEAD: there is an archive, and room for it */
	bool done;		      /* the thread has ended, and there is an answer */
	atomic_bool ended;	      /* nobody reads that any more */
};

/* --- how many --- */

static void enlist(struct download *d)
{
	struct app *app = d->app;
	d->next = app->downloads;
	if (d->next)
		d->next->prev = d;
	app->downloads = d;
	nv_metric_set(app->m.downloads, NULL, (double)++app->downloads_len);
}

/* Its file is gone when both the thread and the reader have ended. */
static void release(struct download *d)
{
	struct app *app = d->app;
	if (!d->done || !d->ended)
		return;
	if (d->prev)
		d->prev->next = d->next;
	else
		app->downloads = d->next;
	if (d->next)
		d->next->prev = d->prev;
	nv_metric_set(app->m.downloads, NULL, (double)--app->downloads_len);
}

/* The reader has left, or has everything. */
static void ended(void *arg)
{
	struct download *d = arg;
	/* In this order: the thread stores its job before it looks whether the reader is there. */
	atomic_store(&d->ended, true);
	struct nv_job *job = atomic_load(&d->job);
	if (job)
		atomic_store(&job->cancelled, true);
	release(d);
}

/* The page asks by HEAD, whose answer has no body. */
static void fail(struct nv_http_request *r, const struct nv_err *err)
{
	nv_http_add_header(r, "X-Navette-Reason", nv_reason_word(err->reason));
	nv_api_fail(r, err);
}

static bool has_room_for_one(struct app *app, const struct session *s, struct nv_err *err)
{
	const struct nv_config_producer *c = &app->config->producer;
	uint64_t own = 0;
	for (const struct download *d = app->downloads; d; d = d->next)
		own += strcmp(d->s->identity, s->identity) == 0;
	if (own >= c->max_downloads_per_person)
		nv_api_err(err, 429, NV_R_busy,
			   "you are downloading %llu archives already; wait until one has arrived",
			   (unsigned long long)own);
	else if (app->downloads_len >= c->max_downloads)
		nv_api_err(
			err, 503, NV_R_busy,
			"many people are downloading archives just now; try again in some minutes");
	else
		return true;
	return false;
}

/* --- on a thread --- */

static int open_file(struct download *d, const char *path, struct nv_err *err)
{
	struct stat st;
	d->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (d->fd < 0 || fstat(d->fd, &st) < 0)
		return nv_fail_errno(err, errno, NV_RETRY, NV_R_io, "download: opening %s", path);
	d->size = (uint64_t)st.st_size;
	return 0;
}

/* The blobs, and the file made of them.  Others that wait for this thread have taken nothing yet;
 * those that are being read have taken theirs. */
static int ask_room(void *arg, const struct nv_manifest *m, const char *blobs, struct nv_err *err)
{
	struct download *d = arg;
	uint64_t need = 2 * m->size + d->app->config->producer.work_reserve;
	uint64_t room = 0;
	if (nv_disk_free(blobs, &room, err) < 0)
		return -1;
	if (m->size > UINT64_MAX / 4 || need > room)
		return nv_fail(err, NV_RETRY, NV_R_disk_full,
			       "download: %s has %" PRIu64 " bytes free, %" PRIu64 " are needed",
			       blobs, room, need);
	d->fits = true;
	/* HEAD ends here */
	return d->look ? nv_fail(err, NV_CANCELLED, NV_R_cancelled, "download: only asked for") : 0;
}

static int put_together(struct download *d, struct nv_store *store, uint64_t manifest_size,
			const char *dir, struct nv_job *job, struct nv_err *err)
{
	const struct nv_config *c = d->app->config;
	struct nv_archive_limits limits = {c->store.max_archive, c->store.max_entries,
					   c->store.max_ratio};
	nv_auto_free char *path = nv_asprintf("%s/archive.mbz", dir);
	struct nv_fetched fetched;
	struct nv_fetch_help help = {.reuse_cb = ask_room, .arg = d};
	if (nv_archive_fetch(store, &d->place, NULL, manifest_size, &limits, dir, &help, job,
			     &fetched, err) < 0)
		return d->look && d->fits ? 0 : -1;
	int rc = nv_archive_to_mbz(&fetched, path, job, err);
	if (rc == 0)
		rc = open_file(d, path, err);
	d->name = nv_archive_file_name(&fetched.manifest);
	nv_fetched_fini(&fetched);
	return rc;
}

static int bring(struct download *d, struct nv_store *store, struct nv_job *job, struct nv_err *err)
{
	uint64_t manifest_size;
	char name[NV_UUID_SIZE];
	struct nv_workdir dir;
	d->place.attempt = d->attempt;
	if (nv_archive_find(store, &d->place, d->attempt, &manifest_size, err) < 0)
		return -1;
	nv_uuid_new(name);
	if (nv_workdir_open(d->app->config->producer.work_dir, name, &dir, err) < 0)
		return -1;
	int rc = put_together(d, store, manifest_size, dir.path, job, err);
	nv_workdir_close(&dir, true);
	return rc;
}

static int work(struct app *app, struct nv_job *job, void *arg, struct nv_err *err)
{
	struct download *d = arg;
	atomic_store(&d->job, job);
	if (atomic_load(&d->ended)) /* left while it waited for this thread */
		return nv_fail(err, NV_CANCELLED, NV_R_cancelled, "download: nobody waits for it");
	struct nv_store *store = nv_store_open(app->config, err);
	if (!store)
		return -1;
	int rc = bring(d, store, job, err);
	nv_store_close(store);
	return rc;
}

/* --- on the loop --- */

static void send_file(struct download *d)
{
	nv_auto_free char *disposition = nv_asprintf("attachment; filename=\"%s\"", d->name);
	for (unsigned char *p = (unsigned char *)disposition; *p; p++)
		if (*p >=
		    0x80) /* RFC 6266 has another parameter for those; the name is a help only */
			*p = '_';
	nv_http_add_header(d->r, "Content-Disposition", disposition);
	NV_LOG(NV_INFO, "archive.downloaded", NV_S("req", d->place.id), NV_U("bytes", d->size),
	       NV_P("by", d->s->username));
	nv_http_reply_file(d->r, 200, "application/vnd.moodle.backup", d->fd, d->size);
}

static void explain(const struct download *d, const struct nv_err *err, struct nv_err *ret)
{
	if (err->reason == NV_R_not_found || err->reason == NV_R_store_missing)
		nv_api_err(ret, 404, NV_R_not_found,
			   "the store has no archive of this request: it is not exported yet, or "
			   "restored");
	else if (err->reason == NV_R_disk_full && d->app->downloads_len > 1)
		nv_api_err(
			ret, 503, NV_R_disk_full,
			"there is no room for this archive while others are being downloaded; try "
			"again in some minutes");
	else if (err->reason == NV_R_disk_full)
		nv_api_err(ret, 507, NV_R_disk_full,
			   "Navette has not enough disk space to put this archive together; tell "
			   "your administrator");
	else
		nv_api_err(ret, 503, err->reason, "%s", err->msg);
}

/* Answers last: with the answer the arena may go, and d with it. */
static void done(void *arg, const struct nv_err *err)
{
	struct download *d = arg;
	nv_auto_free char *name = d->name;
	struct nv_http_request *r = d->r;
	struct nv_err mine = {0};
	atomic_store(&d->job, NULL);
	d->done = true;
	release(d);
	if (err && d->fd >= 0)
		close(d->fd);
	if (!err && d->look) {
		nv_http_reply(r, 200, "application/vnd.moodle.backup", "", 0);
	} else if (!err) {
		send_file(d);
	} else {
		if (err->reason != NV_R_not_found && err->reason != NV_R_cancelled)
			NV_LOG(NV_WARN, "archive.undelivered", NV_S("req", d->place.id), NV_E(err));
		explain(d, err, &mine);
		fail(r, &mine);
	}
}

void nv_download(struct app *app, struct nv_http_request *r, const struct session *s,
		 const struct nv_status_record *rec)
{
	struct nv_arena *arena = nv_http_arena(r);
	struct download *d = nv_arena_alloc(arena, sizeof *d);
	struct nv_err err;
	if (!app->offers_downloads) {
		nv_http_problem(r, 404, NV_R_not_found,
				"no archives can be downloaded here (that needs producer.work_dir "
				"and the section store)");
		return;
	}
	*d = (struct download){.app = app,
			       .r = r,
			       .s = s,
			       .look = strcmp(nv_http_method(r), "HEAD") == 0,
			       .fd = -1};
	d->place = (struct nv_archive_place){.site = nv_arena_strdup(arena, rec->request.site),
					     .client = app->me.name,
					     .id = nv_arena_strdup(arena, rec->request.id)};
	if (!has_room_for_one(app, s, &err)) {
		nv_api_refused(app, r, "throttled", s->username);
		fail(r, &err);
		return;
	}
	enlist(d);
	nv_http_on_end(r, ended, d);
	struct blocking_job job = {.work = work, .done = done, .arg = d};
	nv_blocking_jobs_run(app, BLOCKING_ARCHIVE, &job);
}
