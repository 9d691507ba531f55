/* SPDX-License-Identifier: GPL-3.0-or-later */
/* DELETE /api/v1/users/{user}: what is known of somebody goes, on their request. */
#include <string.h>

#include "base/log.h"
#include "core/status/admin.h"
#include "producer/admin/admin.h"
#include "producer/answer.h"
#include "producer/app.h"
#include "producer/body.h"

struct forget {
	struct nv_http_request *r;
	const struct session *s;
	const char *user;
	bool dry;
};

static void forgotten(void *arg, const struct nv_err *err, const struct nv_forgotten *what)
{
	const struct forget *f = arg;
	if (err) {
		nv_api_fail(f->r, err);
		return;
	}
	/* The name is what shall be forgotten: not here. */
	if (!f->dry)
		NV_LOG(NV_INFO, "user.forgotten", NV_U("removed", what->removed),
		       NV_U("kept", what->kept), NV_U("traces", what->traces),
		       NV_P("by", f->s->username));
	nv_api_json(f->r, 200,
		    json_pack("{s:o, s:b, s:I, s:I, s:I}", "user", nv_api_text(f->user), "dry_run",
			      f->dry, "removed", (json_int_t)what->removed, "kept",
			      (json_int_t)what->kept, "traces", (json_int_t)what->traces));
}

static int read_query(const struct nv_http_request *r, bool *ret_dry, struct nv_err *err)
{
	const char *name;
	for (size_t i = 0; (name = nv_http_query_name(r, i)); i++) {
		const char *value = nv_http_query(r, name);
		if (strcmp(name, "dry_run") != 0)
			return nv_api_err(err, 422, NV_R_bad_message, "%.64s: unknown parameter",
					  name);
		*ret_dry = strcmp(value, "true") == 0;
		if (!*ret_dry && strcmp(value, "false") != 0)
			return nv_api_err(err, 422, NV_R_bad_message, "dry_run: not true or false");
	}
	return 0;
}

void nv_users_forget(struct app *app, struct nv_http_request *r, const struct session *s)
{
	struct forget *f = nv_arena_alloc(nv_http_arena(r), sizeof *f);
	struct nv_err err;
	*f = (struct forget){r, s, nv_http_param(r, "user"), false};
	if (nv_body_none(r, &err) < 0 || read_query(r, &f->dry, &err) < 0)
		nv_api_fail(r, &err);
	else
		nv_status_forget(app->status, f->user, f->dry, forgotten, f);
}
