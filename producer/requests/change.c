/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Operations on one request: show, its log, change, cancel, retry, run now, join.  Another's
 * request is "not there" for a teacher, whatever is asked. */
#include <string.h>

#include "base/log.h"
#include "core/status/claims.h"
#include "core/status/log.h"
#include "core/status/requests.h"
#include "core/status/status.h"
#include "producer/answer.h"
#include "producer/body.h"
#include "producer/requests/catalog.h"
#include "producer/requests/dispatch.h"
#include "producer/requests/download.h"
#include "producer/requests/request_input.h"
#include "producer/requests/requests.h"
#include "producer/requests/spool.h"
#include "producer/requests/versions.h"

struct act {
	struct app *app;
	struct nv_http_request *r;
	const struct session *s;
	const char *id;
	const char *what; /* for the log */
	bool anybodys;	  /* ownership is not looked at here */
	void (*next)(struct act *a, const struct nv_status_record *rec);
	struct request_input wish;
	struct nv_restore_request q;
	json_t *record;
	struct nv_err why; /* the new revision can be neither sent nor kept */
};

static void not_found(struct act *a)
{
	nv_http_problem(a->r, 404, NV_R_not_found, "there is no such request");
}

static void got(void *arg, const struct nv_err *err, const struct nv_status_record *rec)
{
	struct act *a = arg;
	if (err && err->reason != NV_R_not_found) {
		nv_api_fail(a->r, err);
	} else if (err || !rec) {
		not_found(a);
	} else if (!a->anybodys && !a->s->admin && !nv_request_is_ones_own(&rec->request, a->s)) {
		nv_api_refused(a->app, a->r, "rights", a->s->username);
		not_found(a);
	} else {
		a->next(a, rec);
	}
}

static struct act *begin(struct app *app, struct nv_http_request *r, const struct session *s,
			 const char *what)
{
	struct act *a = nv_arena_alloc(nv_http_arena(r), sizeof *a);
	*a = (struct act){.app = app, .r = r, .s = s, .what = what};
	a->id = nv_http_param(r, "id");
	return a;
}

static void find(struct act *a, void (*next)(struct act *a, const struct nv_status_record *rec))
{
	a->next = next;
	if (nv_uuid_valid(a->id))
		nv_status_get(a->app->status, a->id, got, a);
	else
		not_found(a);
}

static void answer_record(struct act *a, const struct nv_status_record *rec)
{
	nv_api_json(a->r, 200, nv_request_json(a->app, rec));
}

void nv_requests_show(struct app *app, struct nv_http_request *r, const struct session *s)
{
	find(begin(app, r, s, "show"), answer_record);
}

/* --- its log --- */

static void got_log(void *arg, const struct nv_err *err, const struct nv_status_line *lines,
		    size_t len, uint64_t dropped)
{
	struct act *a = arg;
	if (err) {
		nv_api_fail(a->r, err);
		return;
	}
	json_t *list = json_array();
	for (size_t i = 0; i < len; i++)
		json_array_append_new(list,
				      json_pack("{s:o, s:s, s:s, s:s}", "at",
						nv_api_time(lines[i].at), "from", lines[i].from,
						"level", lines[i].level, "text", lines[i].text));
	nv_api_json(a->r, 200,
		    json_pack("{s:o, s:I}", "lines", list, "dropped", (json_int_t)dropped));
}

static void read_log(struct act *a, const struct nv_status_record *rec)
{
	(void)rec;
	nv_status_log_read(a->app->status, a->id, got_log, a);
}

/* Administrators only: the route says so. */
void nv_requests_log(struct app *app, struct nv_http_request *r, const struct session *s)
{
	find(begin(app, r, s, "log"), read_log);
}

/* --- its archive --- */

static void bring_archive(struct act *a, const struct nv_status_record *rec)
{
	nv_download(a->app, a->r, a->s, rec);
}

void nv_requests_archive(struct app *app, struct nv_http_request *r, const struct session *s)
{
	find(begin(app, r, s, "archive"), bring_archive);
}

/* --- a new revision: change, retry, run now --- */

/* Older messages may still lie in the queue. */
static void withdraw_older(struct act *a)
{
	nv_dispatch_withdraw(a->app, &a->q, a->q.rev - 1, a->s->username);
}

/* It could not be kept, and cannot be undone either: it is on its way, perhaps. */
static void answer_unsafe(struct act *a)
{
	struct nv_err err;
	withdraw_older(a);
	nv_fail(&err, a->why.kind, a->why.reason,
		"the request has changed, it is at revision %llu and will be sent; but it may not "
		"be "
		"on the disk, and then would be lost with the status database: %s",
		(unsigned long long)a->q.rev, a->why.msg);
	nv_api_fail(a->r, &err);
}

/* The status database does not say whether it has undone it. */
static void answer_unknown(struct act *a)
{
	struct nv_err err;
	nv_fail(&err, a->why.kind, a->why.reason,
		"it is not known whether the request has changed (to revision %llu), look at it "
		"again: %s",
		(unsigned long long)a->q.rev, a->why.msg);
	nv_api_fail(a->r, &err);
}

static void undone(void *arg, const struct nv_err *err, const struct nv_status_record *rec)
{
	struct act *a = arg;
	struct nv_err why;
	if (err) {
		NV_LOG(NV_WARN, "request.not_undone", NV_S("req", a->id), NV_E(err));
		if (err->kind == NV_REJECT)
			answer_unsafe(a);
		else
			answer_unknown(a);
		return;
	}
	NV_LOG(NV_INFO, "request.undone", NV_S("req", a->id), NV_U("rev", a->q.rev));
	nv_fail(&why, a->why.kind, a->why.reason,
		"nothing has changed, the request is at revision %llu: %s",
		(unsigned long long)rec->request.rev, a->why.msg);
	nv_api_fail(a->r, &why);
}

static void published(void *arg, const struct nv_err *err, bool is)
{
	struct act *a = arg;
	if (!err) {
		withdraw_older(a);
		json_object_set_new(a->record, "published", json_boolean(is));
		nv_api_json(a->r, 200, a->record);
		return;
	}
	json_decref(a->record);
	a->why = *err;
	if (is)
		answer_unsafe(a);
	else
		nv_status_undo(a->app->status, a->id, a->q.rev, undone, a);
}

static void changed(void *arg, const struct nv_err *err, const struct nv_status_record *rec)
{
	struct act *a = arg;
	if (err) {
		nv_api_fail(a->r, err);
		return;
	}
	NV_LOG(NV_INFO, "request.changed", NV_S("req", a->id), NV_S("what", a->what),
	       NV_U("rev", a->q.rev), NV_P("by", a->s->username));
	a->record = nv_request_json(a->app, rec);
	nv_dispatch_request(a->app, &a->q, published, a);
}

static void next_revision(struct act *a)
{
	a->q.rev++;
	nv_status_change(a->app->status, &a->q, a->app->config->restore.only_one, changed, a);
}

static void conflict(struct act *a, const struct nv_status_record *rec, const char *text)
{
	nv_http_problem(a->r, 409, NV_R_conflict, "the request is %s: %s",
			nv_state_word(rec->state), text);
}

static void cancel_next(struct act *a, const struct nv_status_record *rec);

/* Options of what is scheduled; of what failed or was cancelled where it is asked for again in the
 * same breath (without user data, say). */
static void change_next(struct act *a, const struct nv_status_record *rec)
{
	struct nv_err err;
	bool ended = rec->state == NV_ST_failed || rec->state == NV_ST_cancelled;
	bool again = ended && a->wish.state_given;
	if (rec->state != NV_ST_scheduled && !again) {
		conflict(a, rec, "it can be changed only while it is scheduled");
		return;
	}
	nv_request_copy(&a->q, &rec->request, nv_http_arena(a->r));
	if (nv_request_input_judge_change(a->app->config, a->s, &a->wish, &a->q,
					  nv_http_arena(a->r), &err) < 0) {
		if (nv_api_status(&err) == 403)
			nv_api_refused(a->app, a->r, "rights", a->s->username);
		nv_api_fail(a->r, &err);
		return;
	}
	if (again)
		nv_versions_fill(a->app, &a->q);
	next_revision(a);
}

static void withdraw_next(struct act *a, const struct nv_status_record *rec)
{
	struct nv_err err;
	if (a->wish.rev_given && a->wish.rev != rec->request.rev) {
		nv_api_err(&err, 409, NV_R_conflict, "rev: the request is at revision %llu",
			   (unsigned long long)rec->request.rev);
		nv_api_fail(a->r, &err);
	} else {
		cancel_next(a, rec);
	}
}

void nv_requests_change(struct app *app, struct nv_http_request *r, const struct session *s)
{
	struct nv_err err;
	struct act *a = begin(app, r, s, "change");
	json_t *o = nv_body_parse(r, &err);
	struct body b = {.o = o, .where = "", .err = &err};
	int rc = o ? nv_request_input_read_change(&b, &a->wish) : -1;
	a->wish.category = nv_arena_strdup(nv_http_arena(r), rc < 0 ? NULL : a->wish.category);
	json_decref(o);
	if (rc < 0)
		nv_api_fail(r, &err);
	else
		find(a, a->wish.state_given && a->wish.state == REQUEST_INPUT_CANCELLED
				? withdraw_next
				: change_next);
}

static bool refused_body(struct act *a)
{
	struct nv_err err;
	if (!nv_body_none(a->r, &err))
		return false;
	nv_api_fail(a->r, &err);
	return true;
}

static void retry_next(struct act *a, const struct nv_status_record *rec)
{
	if (rec->state != NV_ST_failed && rec->state != NV_ST_cancelled) {
		conflict(a, rec, "only failed or cancelled requests can be retried");
		return;
	}
	nv_request_copy(&a->q, &rec->request, nv_http_arena(a->r));
	nv_versions_fill(a->app, &a->q);
	next_revision(a);
}

void nv_requests_retry(struct app *app, struct nv_http_request *r, const struct session *s)
{
	struct act *a = begin(app, r, s, "retry");
	if (!refused_body(a))
		find(a, retry_next);
}

static void run_now_next(struct act *a, const struct nv_status_record *rec)
{
	if (rec->state != NV_ST_scheduled) {
		conflict(a, rec, "only scheduled requests can be run now");
		return;
	}
	if (rec->request.now) {
		answer_record(a, rec);
		return;
	}
	nv_request_copy(&a->q, &rec->request, nv_http_arena(a->r));
	a->q.now = true;
	next_revision(a);
}

void nv_requests_run_now(struct app *app, struct nv_http_request *r, const struct session *s)
{
	struct act *a = begin(app, r, s, "run-now");
	if (!refused_body(a))
		find(a, run_now_next);
}

/* --- cancel --- */

static void cancelled(void *arg, const struct nv_err *err, const struct nv_status_record *rec)
{
	struct act *a = arg;
	if (err) {
		nv_api_fail(a->r, err);
		return;
	}
	NV_LOG(NV_INFO, "request.cancelled", NV_S("req", a->id), NV_P("by", a->s->username));
	nv_spool_drop(a->app, rec->request.id, rec->request.rev);
	nv_dispatch_withdraw(a->app, &rec->request, rec->request.rev, a->s->username);
	answer_record(a, rec);
}

static void cancel_next(struct act *a, const struct nv_status_record *rec)
{
	if (rec->state == NV_ST_cancelled)
		answer_record(a, rec);
	else
		nv_status_cancel(a->app->status, a->id, a->s->username, cancelled, a);
}

void nv_requests_cancel(struct app *app, struct nv_http_request *r, const struct session *s)
{
	struct act *a = begin(app, r, s, "cancel");
	if (!refused_body(a))
		find(a, cancel_next);
}

/* --- enrol me --- */

static void answer_enrolment(struct act *a, const char *state)
{
	nv_api_json(a->r, 202, json_pack("{s:s, s:s}", "request", a->id, "state", state));
}

static void enrol_sent(void *arg, const struct nv_err *err)
{
	struct act *a = arg;
	if (err)
		nv_api_fail(a->r, err);
	else
		answer_enrolment(a, "pending");
}

/* Pending is written first: the worker's answer must not be overwritten by it. */
static void enrol_pending(void *arg, const struct nv_err *err)
{
	struct act *a = arg;
	char id[NV_UUID_SIZE];
	if (err) {
		nv_api_fail(a->r, err);
		return;
	}
	nv_uuid_new(id);
	struct nv_enrol_request body = {
		.id = id,
		.request = (char *)(uintptr_t)a->id,
		.course = a->q.course,
		.user = (char *)(uintptr_t)a->s->identity,
		.user_name = (char *)(uintptr_t)a->s->name,
		.lang = (char *)(uintptr_t)a->s->lang,
		.requested = nv_now_ms(),
	};
	struct nv_send send = {.kind = NV_KIND_ENROL_REQUEST,
			       .body = &body,
			       .to = nv_queue_restore(a->app->me.name, true),
			       .ttl_ms = a->app->config->producer.request_ttl};
	NV_LOG(NV_INFO, "request.enrol", NV_S("req", a->id), NV_P("user", a->s->identity));
	nv_sender_send(&a->app->sender, &send, enrol_sent, a);
}

/* The course is one of theirs: now its copy must be there. */
static void enrol_there(struct act *a, const struct nv_status_record *rec)
{
	if (rec->state != NV_ST_restored || !rec->course) {
		conflict(a, rec, "there is no course to join yet");
		return;
	}
	if (rec->course_deleted) {
		nv_http_problem(a->r, 409, NV_R_course_missing, "the course was deleted since");
		return;
	}
	bool joined = rec->enrolled && nv_request_is_ones_own(&rec->request, a->s);
	for (size_t i = 0; i < rec->joined.len; i++)
		joined = joined || strcmp(rec->joined.items[i], a->s->identity) == 0;
	if (joined) {
		answer_enrolment(a, "joined");
		return;
	}
	a->q.course = nv_arena_strdup(nv_http_arena(a->r), rec->course);
	nv_status_join(a->app->status, a->id, a->s->identity, "pending", enrol_pending, a);
}

static void enrol_catalog(void *arg, const struct nv_err *err, const struct catalog_site *sites,
			  size_t len)
{
	struct act *a = arg;
	struct nv_err why;
	if (err) {
		nv_api_fail(a->r, err);
	} else if (!len) {
		not_found(a);
	} else if (nv_catalog_judge(&sites[0], a->q.course, &why) < 0) {
		if (nv_api_status(&why) == 403) {
			nv_api_refused(a->app, a->r, "rights", a->s->username);
			not_found(a);
		} else {
			nv_api_fail(a->r, &why);
		}
	} else {
		find(a, enrol_there);
	}
}

static void enrol_next(struct act *a, const struct nv_status_record *rec)
{
	a->q.course = nv_arena_strdup(nv_http_arena(a->r), rec->request.course);
	nv_catalog_ask(a->app, a->s->identity, rec->request.site, CATALOG_USUAL, enrol_catalog, a);
}

void nv_requests_enrol(struct app *app, struct nv_http_request *r, const struct session *s)
{
	struct act *a = begin(app, r, s, "enrol");
	a->anybodys = true;
	if (refused_body(a))
		return;
	if (!app->config->restore.enrol_button)
		nv_http_problem(r, 403, NV_R_denied, "this site does not offer it");
	else
		find(a, enrol_next);
}
