/* SPDX-License-Identifier: GPL-3.0-or-later */
/* GET /api/v1/requests/{id}/archive: what the store holds of a request, put together on a thread as
 * the file that any Moodle restores, then sent.  HEAD says whether there is one. */
#include "producer/download.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/archive/archive.h"
#include "core/base/log.h"
#include "core/daemon/workdir.h"
#include "producer/backroom.h"

struct download {
	struct app *app;
	struct nv_http_request *r;
	const struct session *s;
	struct nv_archive_place place;
	char attempt[NV_UUID_SIZE];
	bool look; /* HEAD */
	int fd;	   /* of the file, which has no name any more; -1: none */
	uint64_t size;
	char *name; /* owned */
};

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

static int put_together(struct download *d, struct nv_store *store, uint64_t manifest_size,
			const char *dir, struct nv_job *job, struct nv_err *err)
{
	const struct nv_config *c = d->app->config;
	struct nv_archive_limits limits = {c->store.max_archive, c->store.max_entries,
					   c->store.max_ratio};
	nv_auto_free char *path = nv_asprintf("%s/archive.mbz", dir);
	struct nv_fetched fetched;
	if (nv_archive_fetch(store, &d->place, NULL, manifest_size, &limits, dir, NULL, job,
			     &fetched, err) < 0)
		return -1;
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
	if (d->look)
		return 0;
	nv_uuid_new(name);
	if (nv_workdir_open(d->app->config->producer.work_dir, name, &dir, err) < 0)
		return -1;
	int rc = put_together(d, store, manifest_size, dir.path, job, err);
	nv_workdir_close(&dir, true);
	return rc;
}

static int work(struct app *app, struct nv_job *job, void *arg, struct nv_err *err)
{
	struct nv_store *store = nv_store_open(app->config, err);
	if (!store)
		return -1;
	int rc = bring(arg, store, job, err);
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

/* Answers last: with the answer the arena may go, and d with it. */
static void done(void *arg, const struct nv_err *err)
{
	struct download *d = arg;
	nv_auto_free char *name = d->name;
	struct nv_err mine = {0};
	if (err && d->fd >= 0)
		close(d->fd);
	if (!err && d->look) {
		nv_http_reply(d->r, 200, "application/vnd.moodle.backup", "", 0);
	} else if (!err) {
		send_file(d);
	} else if (err->reason == NV_R_not_found || err->reason == NV_R_store_missing) {
		api_err(&mine, 404, NV_R_not_found,
			"the store has no archive of this request: it is not exported yet, or "
			"restored");
		api_fail(d->r, &mine);
	} else {
		NV_LOG(NV_WARN, "archive.undelivered", NV_S("req", d->place.id), NV_E(err));
		api_err(&mine, 503, err->reason, "%s", err->msg);
		api_fail(d->r, &mine);
	}
}

bool download_offered(const struct app *app)
{
	const struct nv_config *c = app->config;
	return c->producer.work_dir && (c->store.path || c->store.url);
}

void download(struct app *app, struct nv_http_request *r, const struct session *s,
	      const struct nv_status_record *rec)
{
	struct nv_arena *arena = nv_http_arena(r);
	struct download *d = nv_arena_alloc(arena, sizeof *d);
	if (!download_offered(app)) {
		nv_http_problem(r, 404, NV_R_not_found,
				"no archives can be downloaded here (that needs producer.work_dir "
				"and the section store)");
		return;
	}
	*d = (struct download){
		.app = app, .r = r, .s = s, .look = !strcmp(nv_http_method(r), "HEAD"), .fd = -1};
	d->place = (struct nv_archive_place){.site = nv_arena_strdup(arena, rec->request.site),
					     .client = app->me.name,
					     .id = nv_arena_strdup(arena, rec->request.id)};
	struct back_job job = {.work = work, .done = done, .arg = d};
	back_run(app, BACK_ARCHIVE, &job);
}
