/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Every call goes to the implementation that config->site.type names. */
#include "core/site/site.h"

static const struct nv_site_ops *const implementations[] = {
	[NV_SITE_FOLDER] = &nv_site_folder_ops,
	[NV_SITE_MOODLE] = &nv_site_moodle_ops,
	[NV_SITE_SEED_WS] = &nv_site_seed_ws_ops,
};

const char *const nv_notice_words[] = {
	[NV_NOTICE_restored] = "restored",
	[NV_NOTICE_failed] = "failed",
	[NV_NOTICE_problem] = "problem",
};

struct nv_site *nv_site_open(const struct nv_config *config, struct nv_err *err)
{
	size_t type = (size_t)config->site.type;
	if (type >= NV_ARRAY_LEN(implementations) || !implementations[type]) {
		nv_fail(err, NV_FATAL, NV_R_config, "site.type: unknown kind of site");
		return NULL;
	}
	return implementations[type]->open(config, err);
}

void nv_site_close(struct nv_site *s)
{
	if (s)
		s->ops->close(s);
}

const char *nv_site_describe(const struct nv_site *s)
{
	return s->describe;
}

int nv_site_versions(struct nv_site *s, uint64_t *ret_version, struct nv_list *ret_plugins,
		     struct nv_arena *arena, struct nv_err *err)
{
	return s->ops->versions(s, ret_version, ret_plugins, arena, err);
}

int nv_site_probe(struct nv_site *s, const struct nv_job *job, struct nv_err *err)
{
	struct nv_err why = {0};
	if (s->ops->probe(s, job, &why) == 0)
		return 0;
	return nv_fail(err, NV_HOLD,
		       nv_reason_passes(why.reason) ? why.reason : NV_R_site_unavailable, "%s",
		       why.msg);
}

int nv_site_settings(struct nv_site *s, struct nv_config_restore *io, struct nv_arena *arena,
		     struct nv_err *err)
{
	return s->ops->settings ? s->ops->settings(s, io, arena, err) : 0;
}

int nv_site_facts(struct nv_site *s, struct nv_site_facts *ret, struct nv_arena *arena,
		  struct nv_err *err)
{
	*ret = (struct nv_site_facts){0};
	return s->ops->facts ? s->ops->facts(s, ret, arena, err) : 0;
}

int nv_site_catalog(struct nv_site *s, const struct nv_catalog_request *q,
		    struct nv_catalog_reply *ret, struct nv_arena *arena, struct nv_err *err)
{
	return s->ops->catalog(s, q, ret, arena, err);
}

int nv_site_export(struct nv_site *s, const struct nv_restore_request *q,
		   const struct nv_config_client *policy, const struct nv_archive_limits *limits,
		   const struct nv_sink *to, const struct nv_job *job, struct nv_manifest *ret,
		   struct nv_strs *ret_warnings, struct nv_arena *arena, struct nv_err *err)
{
	return s->ops->export(s, q, policy, limits, to, job, ret, ret_warnings, arena, err);
}

int nv_site_preflight(struct nv_site *s, const struct nv_import *in, uint64_t bytes,
		      bool *ret_existed, struct nv_err *err)
{
	*ret_existed = false;
	return s->ops->preflight(s, in, bytes, ret_existed, err);
}

int nv_site_reuse(struct nv_site *s, const char *request_id, const struct nv_reuse *reuse,
		  const struct nv_job *job, struct nv_err *err)
{
	return s->ops->reuse ? s->ops->reuse(s, request_id, reuse, job, err) : 0;
}

int nv_site_import(struct nv_site *s, const struct nv_import *in, const struct nv_fetched *from,
		   const struct nv_job *job, struct nv_imported *ret, struct nv_arena *arena,
		   struct nv_err *err)
{
	return s->ops->import(s, in, from, job, ret, arena, err);
}

int nv_site_find(struct nv_site *s, const char *request_id, struct nv_imported *ret,
		 struct nv_arena *arena, struct nv_err *err)
{
	return s->ops->find(s, request_id, ret, arena, err);
}

int nv_site_enrol(struct nv_site *s, const char *course, const char *user, const char *role,
		  struct nv_err *err)
{
	return s->ops->enrol(s, course, user, role, err);
}

int nv_site_notify(struct nv_site *s, const struct nv_notice *n, struct nv_err *err)
{
	return s->ops->notify(s, n, err);
}

bool nv_site_tells_rights(const struct nv_config *config)
{
	return config->site.path && implementations[config->site.type]->rights;
}

int nv_site_rights(struct nv_site *s, struct nv_person_rights *io, size_t len,
		   const struct nv_job *job, struct nv_err *err)
{
	return s->ops->rights(s, io, len, job, err);
}

int nv_site_history(struct nv_site *s, nv_site_history_cb cb, void *arg, struct nv_err *err)
{
	return s->ops->history(s, cb, arg, err);
}

int nv_site_sweep(struct nv_site *s, struct nv_err *err)
{
	return s->ops->sweep(s, err);
}
