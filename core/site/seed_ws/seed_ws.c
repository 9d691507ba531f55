/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The seed-ws site: opening, the table of its calls, and those it cannot serve. */
#include "core/site/seed_ws/seed_ws.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/id.h"

#define TIMEOUT_MS 120000u	   /* where the configuration sets none */
#define BACKUP_TIMEOUT_MS 3600000u /* likewise */
#define PAUSE_MS 1000u

/* --- opening --- */

static void seed_close(struct nv_site *base)
{
	struct nv_seed *s = nv_seed(base);
	if (s->token)
		explicit_bzero(s->token, strlen(s->token));
	free(s->token);
	free(s->url);
	free(s->ca_file);
	free(s->work_dir);
	free(s->base.describe);
	pthread_mutex_destroy(&s->backups);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static const char *or_else(const char *text, const char *fallback)
{
	return text && *text ? text : fallback;
}

static bool is_token(const char *text)
{
	if (!text || !*text)
		return false;
	while (isalnum((unsigned char)*text))
		text++;
	return !*text;
}

static int check(const struct nv_config *c, struct nv_err *err)
{
	if (!c->site.url || !*c->site.url)
		return nv_fail(err, NV_FATAL, NV_R_config,
			       "site.url: the course server's address is missing");
	if (strpbrk(c->site.url, "?#"))
		return nv_fail(err, NV_FATAL, NV_R_config,
			       "site.url: %s is more than the address of a Moodle", c->site.url);
	if (!is_token(c->site.token))
		return nv_fail(err, NV_FATAL, NV_R_config,
			       "site.token_file: it holds no token of Moodle's (letters and "
			       "digits), or is missing, as NAVETTE_SITE_TOKEN is");
	if (c->site.ca_file && access(c->site.ca_file, R_OK) < 0)
		return nv_fail_errno(err, errno, NV_FATAL, NV_R_config, "site.ca_file: %s",
				     c->site.ca_file);
	return 0;
}

static void init_curl(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

static struct nv_site *seed_open(const struct nv_config *c, struct nv_err *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, init_curl);
	if (check(c, err) < 0)
		return NULL;
	struct nv_seed *s = nv_alloc(sizeof *s);
	s->base.ops = &nv_site_seed_ws_ops;
	s->url = nv_strdup(c->site.url);
	size_t len = strlen(s->url);
	while (len && s->url[len - 1] == '/')
		s->url[--len] = '\0';
	s->base.describe = nv_asprintf("seed-ws %s", s->url);
	s->token = nv_strdup(c->site.token);
	s->ca_file = nv_strdup(c->site.ca_file);
	s->work_dir = nv_strdup(or_else(c->archiver.work_dir, or_else(getenv("TMPDIR"), "/tmp")));
	s->timeout = c->site.timeout ? c->site.timeout : TIMEOUT_MS;
	s->backup_timeout = c->site.backup_timeout ? c->site.backup_timeout : BACKUP_TIMEOUT_MS;
	s->pause = PAUSE_MS;
	s->limits = (struct nv_archive_limits){c->store.max_archive, c->store.max_entries,
					       c->store.max_ratio};
	pthread_mutex_init(&s->backups, NULL);
	pthread_mutex_init(&s->lock, NULL);
	return &s->base;
}

/* --- supported operations --- */

/* The installed plugins are unknown. */
static int seed_versions(struct nv_site *base, uint64_t *ret_version, struct nv_list *ret_plugins,
			 struct nv_arena *arena, struct nv_err *err)
{
	struct nv_seed_session s;
	(void)arena;
	*ret_plugins = (struct nv_list){0};
	nv_seed_session_begin(&s, nv_seed(base), NULL, NV_R_internal);
	int rc = nv_seed_version(&s, ret_version, err);
	nv_seed_session_end(&s);
	return rc;
}

static int seed_probe(struct nv_site *base, const struct nv_job *job, struct nv_err *err)
{
	struct nv_seed_session s;
	uint64_t version = 0;
	struct nv_err why = {0};
	nv_seed_session_begin(&s, nv_seed(base), job, NV_R_site_unavailable);
	int rc = nv_seed_version(&s, &version, &why);
	nv_seed_session_end(&s);
	/* What it says itself (a token it does not know) is for an operator. */
	if (rc == 0 || why.kind != NV_RETRY || why.reason == NV_R_denied)
		return 0;
	*err = why;
	return -1;
}

/* --- unsupported operations --- */

static int source_only(struct nv_err *err)
{
	return nv_fail(err, NV_FATAL, NV_R_config,
		       "site.type: courses are only taken from a site of type seed-ws; restoring "
		       "needs a site of type moodle or folder");
}

static int seed_preflight(struct nv_site *base, const struct nv_import *in, uint64_t bytes,
			  bool *ret_existed, struct nv_err *err)
{
	(void)base;
	(void)in;
	(void)bytes;
	(void)ret_existed;
	return source_only(err);
}

static int seed_import(struct nv_site *base, const struct nv_import *in,
		       const struct nv_fetched *from, const struct nv_job *job,
		       struct nv_imported *ret, struct nv_arena *arena, struct nv_err *err)
{
	(void)base;
	(void)in;
	(void)from;
	(void)job;
	(void)arena;
	*ret = (struct nv_imported){0};
	return source_only(err);
}

static int seed_find(struct nv_site *base, const char *request_id, struct nv_imported *ret,
		     struct nv_arena *arena, struct nv_err *err)
{
	(void)base;
	(void)request_id;
	(void)arena;
	*ret = (struct nv_imported){0};
	return source_only(err);
}

static int seed_enrol(struct nv_site *base, const char *course, const char *user, const char *role,
		      struct nv_err *err)
{
	(void)base;
	(void)course;
	(void)user;
	(void)role;
	return source_only(err);
}

static int seed_notify(struct nv_site *base, const struct nv_notice *n, struct nv_err *err)
{
	(void)base;
	(void)n;
	return source_only(err);
}

static int seed_history(struct nv_site *base, nv_site_history_cb cb, void *arg, struct nv_err *err)
{
	(void)base;
	(void)cb;
	(void)arg;
	return source_only(err);
}

/* The archiver's sweep of its work folder finds what a crash left. */
static int seed_sweep(struct nv_site *base, struct nv_err *err)
{
	(void)base;
	(void)err;
	return 0;
}

const struct nv_site_ops nv_site_seed_ws_ops = {
	.type = "seed-ws",
	.open = seed_open,
	.close = seed_close,
	.versions = seed_versions,
	.probe = seed_probe,
	.catalog = nv_seed_catalog,
	.export = nv_seed_export,
	.preflight = seed_preflight,
	.import = seed_import,
	.find = seed_find,
	.enrol = seed_enrol,
	.notify = seed_notify,
	.history = seed_history,
	.sweep = seed_sweep,
};
