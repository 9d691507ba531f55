/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Accepted requests that are not published yet, on the disk, so that they survive the loss of
 * Redis: one file per revision, <request>.<revision>, with the message's body in msgpack.
 *
 * A file is written and synced before the request is reported as accepted; it is removed when the
 * broker has confirmed the message, or the request was cancelled or changed.  While there are
 * files, each check gives them to Redis, which creates lost records again; the sweep publishes them
 * from there.
 *
 * No state of the files is kept in memory: producers may share a folder, and the files of a
 * producer that died are processed by the others, or at the next start.  A lock beside the folder
 * is held while files are written, so that files found under the lock are durable, and are not
 * removed by somebody else because of a disk error. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/sync_group.h"
#include "core/daemon/runner.h"
#include "core/status/requests.h"
#include "producer/app.h"
#include "producer/requests/spool.h"
#include "producer/requests/sweep.h"

#define FOLDER ".spool" /* what begins with a dot no sweep of work_dir touches */
#define FILES_MAX 10000u
#define NAME_SIZE (NV_UUID_SIZE + 16)
#define TEMP_AGE_S 3600 /* what a crash left half-written */

struct keep {
	struct keep *next;
	char name[NAME_SIZE];
	bool there; /* before the batch began */
	bool named; /* by the batch */
	bool left;  /* could not be removed when the batch failed */
	struct nv_buf body;
	spool_kept_cb cb;
	void *arg;
};

struct batch {
	struct spool *spool;
	struct keep *first;
};

struct spool {
	struct app *app;
	char *folder; /* NULL: there is no place */
	uv_timer_t timer;
	struct keep *first, *last; /* wait for the thread */
	struct batch *writing;	   /* by the thread; NULL: nothing is */
	/* the look under way */
	bool looking, again;
	struct nv_strs names; /* owned */
	size_t next;
	bool rebuilt;
	bool closed;
	void (*on_closed_cb)(struct app *app);
};

static void make_name(char ret[NAME_SIZE], const char *id, uint64_t rev)
{
	snprintf(ret, NAME_SIZE, "%s.%" PRIu64, id, rev);
}

static char *path_of(const struct spool *s, const char *name)
{
	return nv_asprintf("%s/%s", s->folder, name);
}

static bool is_ours(const char *name)
{
	char id[NV_UUID_SIZE];
	size_t len = strlen(name);
	if (len < NV_UUID_SIZE + 1 || len >= NAME_SIZE || name[NV_UUID_SIZE - 1] != '.')
		return false;
	memcpy(id, name, NV_UUID_SIZE - 1);
	id[NV_UUID_SIZE - 1] = '\0';
	const char *rev = name + NV_UUID_SIZE;
	return nv_uuid_valid(id) && strspn(rev, "0123456789") == strlen(rev);
}

/* Is it gone? */
static bool drop(const struct spool *s, const char *name)
{
	nv_auto_free char *path = path_of(s, name);
	if (unlink(path) == 0 || errno == ENOENT)
		return true;
	NV_LOG(NV_WARN, "spool.unremoved", NV_S("path", path), NV_S("err", strerror(errno)));
	return false;
}

/* --- keeping, on a thread --- */

static int count_files(const char *folder, size_t *ret, struct nv_err *err)
{
	DIR *dir = opendir(folder);
	if (!dir)
		return nv_fail_errno(err, errno, NV_RETRY, NV_R_io, "spool: %s", folder);
	*ret = 0;
	for (struct dirent *e; (e = readdir(dir)) != NULL;)
		*ret += is_ours(e->d_name);
	closedir(dir);
	return 0;
}

static char *temp_of(const struct spool *s, const struct keep *k)
{
	return nv_asprintf("%s/%s.%d.tmp", s->folder, k->name, (int)getpid());
}

static int write_temp(const struct spool *s, const struct keep *k, struct nv_sync_group *group,
		      struct nv_err *err)
{
	nv_auto_free char *temp = temp_of(s, k);
	nv_auto_fd int fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return nv_fail_errno(err, errno, NV_RETRY, NV_R_io, "spool: create %s", temp);
	if (nv_write_all(fd, k->body.data, k->body.len, err) < 0) {
		nv_err_prefix(err, "spool: %s", temp);
		return -1;
	}
	return nv_sync_group_content(group, &fd, temp, err);
}

/* Two of a batch who keep the same revision have one temporary file: the first has named it for
 * both.  Not link(2), which would not take another's name: not every file system has it. */
static int name_file(const struct spool *s, struct keep *k, struct nv_err *err)
{
	nv_auto_free char *temp = temp_of(s, k);
	nv_auto_free char *path = path_of(s, k->name);
	int why = rename(temp, path) < 0 ? errno : 0;
	k->named = !why || (why == ENOENT && access(path, F_OK) == 0);
	if (k->named)
		return 0;
	return nv_fail_errno(err, why, NV_RETRY, NV_R_io, "spool: rename %s", temp);
}

static int name_files(const struct batch *b, struct nv_err *err)
{
	for (struct keep *k = b->first; k; k = k->next)
		if (!k->there && name_file(b->spool, k, err) < 0)
			return -1;
	return nv_fsync_dir(b->spool->folder, err);
}

/* What is refused leaves no file, or a later one would take it for kept. */
static void clean_up(const struct batch *b)
{
	for (struct keep *k = b->first; k; k = k->next) {
		nv_auto_free char *temp = temp_of(b->spool, k);
		(void)unlink(temp);
		k->left = k->named && !drop(b->spool, k->name);
	}
}

/* How many are not there yet? */
static size_t look_for_files(const struct batch *b)
{
	size_t missing = 0;
	for (struct keep *k = b->first; k; k = k->next) {
		nv_auto_free char *path = path_of(b->spool, k->name);
		k->there = access(path, F_OK) == 0;
		missing += !k->there;
	}
	return missing;
}

static int write_missing(const struct batch *b, struct nv_err *err)
{
	const struct spool *s = b->spool;
	struct nv_sync_group group;
	size_t files = 0;
	int rc = count_files(s->folder, &files, err);
	if (rc == 0 && files >= FILES_MAX)
		rc = nv_fail(err, NV_RETRY, NV_R_disk_full,
			     "spool: %zu requests wait for the message broker already", files);
	nv_sync_group_init(&group);
	for (const struct keep *k = b->first; rc == 0 && k; k = k->next)
		if (!k->there)
			rc = write_temp(s, k, &group, err);
	if (rc == 0)
		rc = nv_sync_group_end(&group, err);
	nv_sync_group_fini(&group);
	return rc < 0 ? rc : name_files(b, err);
}

/* Where there can be no lock, producers that share the folder may meet; each has one of its own
 * usually. */
static int lock_folder(const struct spool *s)
{
	nv_auto_free char *path = nv_asprintf("%s.lock", s->folder);
	struct nv_err err = {0};
	int fd = -1;
	if (nv_lock_file(path, true, &fd, &err) < 0)
		NV_LOG(NV_WARN, "spool.unlocked", NV_E(&err));
	return fd;
}

static int write_batch(struct nv_job *job, void *arg, struct nv_err *err)
{
	const struct batch *b = arg;
	(void)job; /* what is kept is a matter of milliseconds */
	nv_auto_fd int lock = lock_folder(b->spool);
	(void)lock;
	int rc = look_for_files(b) ? write_missing(b, err) : 0;
	if (rc < 0)
		clean_up(b);
	return rc;
}

/* --- keeping, on the loop --- */

static void end_when_idle(struct spool *s)
{
	if (s->closed && !s->writing && s->on_closed_cb) {
		void (*cb)(struct app *) = s->on_closed_cb;
		s->on_closed_cb = NULL;
		cb(s->app);
	}
}

static void write_next(struct spool *s);

static void written(void *arg, const struct nv_err *err)
{
	struct batch *b = arg;
	struct spool *s = b->spool;
	struct keep *next;
	if (err)
		NV_LOG(NV_ERROR, "spool.unwritten", NV_E(err));
	for (struct keep *k = b->first; k; k = next) {
		next = k->next;
		if (!err && !k->there)
			NV_LOG(NV_INFO, "spool.kept", NV_S("req", k->name));
		k->cb(k->arg, k->there ? NULL : err, k->left);
		nv_buf_fini(&k->body);
		free(k);
	}
	free(b);
	s->writing = NULL;
	write_next(s);
	end_when_idle(s);
}

/* All that has come meanwhile goes to the disk together. */
static void write_next(struct spool *s)
{
	if (s->writing || !s->first)
		return;
	struct batch *b = nv_alloc(sizeof *b);
	*b = (struct batch){s, s->first};
	s->first = s->last = NULL;
	s->writing = b;
	struct nv_run run = {.work = write_batch, .on_done_cb = written, .arg = b};
	nv_run_start(s->app->d->loop, &run);
}

int nv_spool_usable(const struct app *app, struct nv_err *err)
{
	if (app->spool && app->spool->folder)
		return 0;
	return nv_fail(err, NV_RETRY, NV_R_broker_unavailable,
		       "the message broker is away, and there is no folder to keep the request in "
		       "meanwhile (producer.work_dir is not set)");
}

void nv_spool_keep(struct app *app, const char *id, uint64_t rev, const struct nv_buf *body,
		   spool_kept_cb cb, void *arg)
{
	struct spool *s = app->spool;
	struct nv_err err = {0};
	if (nv_spool_usable(app, &err) < 0 || s->closed) {
		if (!err.kind)
			nv_fail(&err, NV_RETRY, NV_R_busy, "the producer is being stopped");
		cb(arg, &err, false);
		return;
	}
	struct keep *k = nv_alloc(sizeof *k);
	*k = (struct keep){.cb = cb, .arg = arg};
	make_name(k->name, id, rev);
	nv_buf_put(&k->body, body->data, body->len);
	if (s->last)
		s->last->next = k;
	else
		s->first = k;
	s->last = k;
	write_next(s);
}

void nv_spool_drop(struct app *app, const char *id, uint64_t rev)
{
	char name[NAME_SIZE];
	make_name(name, id, rev);
	if (app->spool && app->spool->folder)
		(void)drop(app->spool, name);
}

/* --- looking after what is kept --- */

static void look_at_next(struct spool *s);

static void forget_names(struct spool *s)
{
	for (size_t i = 0; i < s->names.len; i++)
		free(s->names.items[i]);
	free(s->names.items);
	s->names = (struct nv_strs){0};
}

static void list_files(struct spool *s)
{
	size_t room = 0;
	DIR *dir = opendir(s->folder);
	if (!dir) {
		NV_LOG(NV_ERROR, "spool.unread", NV_S("path", s->folder),
		       NV_S("err", strerror(errno)));
		return;
	}
	for (struct dirent *e; (e = readdir(dir)) != NULL;) {
		if (!is_ours(e->d_name))
			continue;
		if (s->names.len == room) {
			room = room ? 2 * room : 64;
			s->names.items = nv_realloc(s->names.items, room * sizeof(char *));
		}
		s->names.items[s->names.len++] = nv_strdup(e->d_name);
	}
	closedir(dir);
}

static void end_look(struct spool *s)
{
	bool again = s->again && !s->closed;
	forget_names(s);
	s->looking = s->again = false;
	if (s->rebuilt && s->app->sweep)
		nv_sweep_now(s->app->sweep);
	s->rebuilt = false;
	if (again)
		nv_spool_look(s);
}

/* Is there nothing left to do for this revision?  Changed, cancelled, restored by the site's
 * history; or the broker has it. */
static bool is_over(const struct nv_status_record *rec, uint64_t rev)
{
	if (rec->request.rev != rev)
		return rec->request.rev > rev || rec->state == NV_ST_restored;
	return rec->published || rec->state != NV_ST_scheduled;
}

static void told(void *arg, const struct nv_err *err, const struct nv_status_record *rec)
{
	struct spool *s = arg;
	const char *name = s->names.items[s->next++];
	if (err && err->kind != NV_REJECT) {
		end_look(s); /* Redis is away: another look comes */
		return;
	}
	if (err)
		NV_LOG(NV_WARN, "spool.dropped", NV_S("req", name), NV_E(err));
	if (err || is_over(rec, strtoull(name + NV_UUID_SIZE, NULL, 10)))
		(void)drop(s, name);
	else
		s->rebuilt = true;
	look_at_next(s);
}

/* What was read and is no request is put aside, for an administrator to see. */
static void put_aside(const struct spool *s, const char *name, const struct nv_err *why)
{
	nv_auto_free char *path = path_of(s, name);
	nv_auto_free char *aside = nv_asprintf("%s.unreadable", path);
	NV_LOG(NV_ERROR, "spool.unreadable", NV_S("path", aside), NV_E(why));
	(void)rename(path, aside);
}

/* It may be taken away again, should the disk fail. */
static bool is_being_written(const struct spool *s, const char *name)
{
	for (const struct keep *k = s->writing ? s->writing->first : NULL; k; k = k->next)
		if (strcmp(k->name, name) == 0)
			return true;
	return false;
}

static void look_at_next(struct spool *s)
{
	while (!s->closed && s->next < s->names.len && nv_status_up(s->app->status)) {
		nv_auto_buf struct nv_buf body = {0};
		nv_auto_arena struct nv_arena arena = {0};
		struct nv_restore_request q;
		struct nv_err err = {0};
		const char *name = s->names.items[s->next];
		nv_auto_free char *path = path_of(s, name);
		if (is_being_written(s, name)) {
			s->next++;
			continue;
		}
		if (nv_read_file(path, NV_ENVELOPE_MAX, &body, &err) == 0 &&
		    nv_record_decode(&nv_restore_request_record, body.data, body.len, &q, &arena,
				     &err) == 0) {
			nv_status_accepted(s->app->status, &q, s->app->config->restore.only_one,
					   told, s);
			return;
		}
		if (err.kind == NV_REJECT)
			put_aside(s, name, &err);
		else if (err.code != ENOENT) /* the broker got it meanwhile */
			NV_LOG(NV_ERROR, "spool.unread", NV_S("path", path), NV_E(&err));
		s->next++;
	}
	end_look(s);
}

void nv_spool_look(struct spool *s)
{
	if (s->looking) {
		s->again = true;
		return;
	}
	if (!s->folder || s->closed || !nv_status_up(s->app->status))
		return;
	list_files(s);
	nv_metric_set(s->app->m.spooled, NULL, (double)s->names.len);
	s->looking = true;
	s->next = 0;
	look_at_next(s);
}

static void tick(uv_timer_t *timer)
{
	nv_spool_look(timer->data);
}

/* --- life --- */

/* Below work_dir; else where systemd, or the container's image, has a folder for us: of several in
 * $STATE_DIRECTORY (systemd.exec(5)) the last, which is the producer's own. */
char *nv_spool_beside(const struct app *app, const char *name)
{
	const char *dir = app->config->producer.work_dir;
	if (!dir) {
		const char *list = getenv("STATE_DIRECTORY");
		const char *colon = list ? strrchr(list, ':') : NULL;
		dir = colon ? colon + 1 : list;
	}
	return dir && *dir ? nv_asprintf("%s/%s", dir, name) : NULL;
}

static void remove_temps(const struct spool *s)
{
	DIR *dir = opendir(s->folder);
	if (!dir)
		return;
	for (struct dirent *e; (e = readdir(dir)) != NULL;) {
		nv_auto_free char *path = path_of(s, e->d_name);
		size_t len = strlen(e->d_name);
		struct stat st;
		if (len > 4 && strcmp(e->d_name + len - 4, ".tmp") == 0 && lstat(path, &st) == 0 &&
		    st.st_mtim.tv_sec + TEMP_AGE_S < (time_t)(nv_now_ms() / 1000))
			(void)unlink(path);
	}
	closedir(dir);
}

struct spool *nv_spool_new(struct app *app, struct nv_err *err)
{
	struct spool *s = nv_alloc(sizeof *s);
	uint64_t every = app->config->producer.sweep_after / 2;
	s->app = app;
	s->folder = nv_spool_beside(app, FOLDER);
	if (s->folder && nv_mkdir_p(s->folder, 0700, err) < 0) {
		free(s->folder);
		free(s);
		return NULL;
	}
	if (s->folder)
		remove_temps(s);
	else
		NV_LOG(NV_WARN, "spool.missing",
		       NV_S("err", "producer.work_dir is not set: while the message broker is "
				   "away, requests are refused"));
	uv_timer_init(app->d->loop, &s->timer);
	s->timer.data = s;
	uv_timer_start(&s->timer, tick, every < 1000 ? 1000 : every, every < 1000 ? 1000 : every);
	return s;
}

static void timer_closed(uv_handle_t *handle)
{
	struct spool *s = handle->data;
	s->closed = true;
	end_when_idle(s);
}

void nv_spool_close(struct spool *s, void (*cb)(struct app *app))
{
	s->on_closed_cb = cb;
	uv_close((uv_handle_t *)&s->timer, timer_closed);
}

void nv_spool_free(struct spool *s)
{
	if (!s)
		return;
	forget_names(s);
	free(s->folder);
	free(s);
}
