/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A web-service function and its answer: JSON that is what was asked for, or Moodle's description
 * of an exception, or something else altogether (a login page, a proxy's error). */
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "core/site/seed_ws/seed_ws.h"

#define QUOTE_BYTES 200u
#define REST "webservice/rest/server.php"
#define INVALID_RESPONSE "invalidresponse"

/* --- error texts of the other side --- */

char *nv_seed_quote(const struct nv_seed *s, const char *text)
{
	nv_auto_buf struct nv_buf out = {0};
	size_t len = s->token ? strlen(s->token) : 0;
	const char *at;
	nv_buf_puts(&out, "");
	while (len && (at = strstr(text, s->token)) != NULL) {
		nv_buf_put(&out, text, (size_t)(at - text));
		nv_buf_puts(&out, "(token)");
		text = at + len;
	}
	nv_buf_puts(&out, text);
	nv_text_clean((char *)out.data, QUOTE_BYTES);
	return nv_strdup((char *)out.data);
}

int nv_seed_body_cb(void *ctx, const void *data, size_t len, struct nv_err *err)
{
	struct nv_seed_body *b = ctx;
	if (nv_buf_take(&b->buf, data, len))
		return 0;
	return nv_fail(err, NV_RETRY, NV_R_internal,
		       "seed-ws: %s: the answer has more than %zu bytes", b->what, b->buf.max);
}

/* --- refusals --- */

struct refusal {
	const char *word; /* Moodle's error code, or the beginning of one */
	enum nv_err_kind kind;
	enum nv_reason reason; /* none: the one of whoever asked */
	const char *text;
};
static const struct refusal refusals[] = {
	{"invalidtoken", NV_RETRY, NV_R_denied, "the course server does not know the token"},
	{"invalidtimedtoken", NV_RETRY, NV_R_denied, "the token has expired"},
	{"invaliduser", NV_RETRY, NV_R_denied, "the course server refuses the token's user"},
	{"accessexception", NV_RETRY, NV_R_denied,
	 "the token may not use this (service, its functions and users, its address range)"},
	{"accessnotallowed", NV_RETRY, NV_R_denied, "the token may not use this"},
	{"wsaccess", NV_RETRY, NV_R_denied, "the course server refuses the token's user"},
	{"nopermission", NV_RETRY, NV_R_denied, "the token's user lacks a capability"},
	{"requireloginerror", NV_RETRY, NV_R_denied, "the token's user may not sign in"},
	{"servicenotavailable", NV_RETRY, NV_R_denied, "the block's web service is switched off"},
	{"enablewsdescription", NV_RETRY, NV_R_denied, "web services are switched off"},
	{"sitemaintenance", NV_RETRY, NV_R_none,
	 "the course server is in maintenance mode, in which the older block does not work"},
	{"upgraderunning", NV_RETRY, NV_R_none, "the course server is being upgraded"},
	{INVALID_RESPONSE, NV_RETRY, NV_R_none,
	 "the course server's web service refuses its own answer, most likely since the name of "
	 "one "
	 "of the user's courses holds a \"<\": it has to be renamed there"},
	{"invalidusername", NV_REJECT, NV_R_unknown_user,
	 "the user has no account on the course server"},
	{"backup_check_course_not_exists", NV_REJECT, NV_R_course_missing,
	 "there is no such course"},
};

static const char *text_of(const json_t *answer, const char *key)
{
	const char *text = json_string_value(json_object_get(answer, key));
	return text ? text : "";
}

static int refused_by_moodle(const struct nv_seed_post *p, const json_t *answer, struct nv_err *err)
{
	const struct nv_seed *site = p->session->site;
	const char *code = text_of(answer, "errorcode");
	const char *said = text_of(answer, "message");
	struct refusal r = {"", NV_RETRY, p->session->reason, "the course server failed"};
	/* The block throws plain exceptions, whose only mark is a text that it has forgotten to
	 * translate. */
	if (strstr(said, "notcourseowner"))
		r = (struct refusal){"", NV_REJECT, NV_R_role_missing,
				     "the user holds none of the required roles in the course"};
	for (size_t i = 0; i < NV_ARRAY_LEN(refusals); i++)
		if (strncmp(code, refusals[i].word, strlen(refusals[i].word)) == 0)
			r = refusals[i];
	if (!*said)
		said = text_of(answer, "error"); /* the download script's form */
	nv_auto_free char *word = nv_seed_quote(site, *code ? code : text_of(answer, "exception"));
	nv_auto_free char *quote = nv_seed_quote(site, said);
	nv_fail(err, r.kind, r.reason ? r.reason : p->session->reason, "seed-ws: %s: %s (%s: %s)",
		p->what, r.text, word, quote);
	if (err && strcmp(code, INVALID_RESPONSE) == 0)
		err->code = NV_SEED_INVALID_RESPONSE;
	return -1;
}

static int refused_by_status(const struct nv_seed_post *p, struct nv_err *err)
{
	enum nv_reason reason = p->session->reason;
	const char *hint = "";
	if (p->status >= 300 && p->status < 400) {
		reason = NV_R_config;
		hint = " (redirects are not followed: site.url must be the Moodle's own address)";
	} else if (p->status == 401 || p->status == 403 || p->status == 407) {
		reason = NV_R_denied;
		hint = " (are web services and their REST protocol switched on there?)";
	} else if (p->status == 404) {
		reason = NV_R_config;
		hint = " (is site.url the Moodle's address, and the block installed there?)";
	} else if (p->status == 408 || p->status == 504) {
		reason = NV_R_timeout;
	} else if (p->status == 503) {
		hint = " (overloaded, or in maintenance mode, in which the older block does not "
		       "work)";
	}
	nv_fail(err, NV_RETRY, reason, "seed-ws: %s: the course server answers %d%s", p->what,
		p->status, hint);
	if (err)
		err->code = p->status;
	return -1;
}

int nv_seed_refused(const struct nv_seed_post *p, const json_t *answer, struct nv_err *err)
{
	if (json_is_object(answer) && (json_is_string(json_object_get(answer, "errorcode")) ||
				       json_is_string(json_object_get(answer, "exception"))))
		return refused_by_moodle(p, answer, err);
	if (p->status != 200 && p->status != 206)
		return refused_by_status(p, err);
	nv_auto_free char *type = nv_seed_quote(p->session->site, p->type);
	return nv_fail(err, NV_RETRY, p->session->reason,
		       "seed-ws: %s: the course server answers something else (%s) than was asked",
		       p->what, *type ? type : "of no type");
}

/* --- a call --- */

static int post_call(struct nv_seed_post *p, const struct nv_seed_call *call, struct nv_err *err)
{
	nv_auto_form struct nv_buf form = {0};
	nv_seed_form_add(&form, "wstoken", p->session->site->token);
	nv_seed_form_add(&form, "wsfunction", call->function);
	nv_seed_form_add(&form, "moodlewsrestformat", "json");
	for (const char *const *a = call->arguments; a && *a; a += 2)
		nv_seed_form_add(&form, a[0], a[1]);
	p->form = (char *)form.data;
	int rc = nv_seed_post(p, NULL, err);
	p->form = NULL;
	return rc;
}

int nv_seed_ask(struct nv_seed_session *s, const struct nv_seed_call *call, json_t **ret,
		struct nv_err *err)
{
	struct nv_seed_body body = {.buf.max = call->max, .what = call->function};
	struct nv_seed_post p = {.session = s,
				 .what = call->function,
				 .path = REST,
				 .timeout = call->timeout,
				 .body_cb = nv_seed_body_cb,
				 .ctx = &body};
	*ret = NULL;
	int rc = post_call(&p, call, err);
	json_t *answer =
		rc < 0 || !body.buf.len ? NULL : nv_json_parse(body.buf.data, body.buf.len, NULL);
	nv_buf_fini(&body.buf);
	if (rc < 0)
		return -1;
	if (p.status == 200 && answer && !json_object_get(answer, "exception") &&
	    !json_object_get(answer, "errorcode")) {
		*ret = answer;
		return 0;
	}
	nv_seed_refused(&p, answer, err);
	json_decref(answer);
	return -1;
}
