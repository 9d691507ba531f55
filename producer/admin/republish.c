/* SPDX-License-Identifier: GPL-3.0-or-later */
/* POST /api/v1/requests/republish: the broker has lost its messages; what has not ended goes out
 * again.  The sweep does it. */
#include "base/log.h"
#include "core/status/requests.h"
#include "producer/admin/admin.h"
#include "producer/answer.h"
#include "producer/app.h"
#include "producer/body.h"
#include "producer/requests/sweep.h"

struct republish {
	struct app *app;
	struct nv_http_request *r;
	const struct session *s;
};

static void marked(void *arg, const struct nv_err *err, uint64_t requests)
{
	const struct republish *p = arg;
	if (err) {
		nv_api_fail(p->r, err);
		return;
	}
	NV_LOG(NV_INFO, "requests.republished", NV_U("requests", requests),
	       NV_P("by", p->s->username));
	nv_api_json(p->r, 202, json_pack("{s:I}", "requests", (json_int_t)requests));
	if (p->app->sweep)
		nv_sweep_now(p->app->sweep);
}

void nv_requests_republish(struct app *app, struct nv_http_request *r, const struct session *s)
{
	struct republish *p = nv_arena_alloc(nv_http_arena(r), sizeof *p);
	struct nv_err err;
	*p = (struct republish){app, r, s};
	if (nv_body_none(r, &err) < 0)
		nv_api_fail(r, &err);
	else
		nv_status_republish(app->status, marked, p);
}
