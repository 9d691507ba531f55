/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sessions: in Redis under the hash of their token, so that reading Redis does not give access to
 * them.  Whether a session is still valid: session_find.c. */
#include <string.h>
#include <strings.h>

#include "base/hash.h"
#include "base/log.h"
#include "core/status/kv.h"
#include "producer/answer.h"
#include "producer/session/csrf.h"
#include "producer/session/session.h"

#define COOKIE "navette_session"
#define TOKEN_LEN 64u

static const char *session_key(struct nv_arena *a, const char *token)
{
	uint8_t digest[NV_SHA256_LEN];
	char hex[NV_SHA256_HEX];
	nv_sha256(token, strlen(token), digest);
	nv_hex(digest, sizeof digest, hex);
	return nv_arena_printf(a, "session:%s", hex);
}

/* --- the way in --- */

struct entering {
	struct app *app;
	struct nv_http_request *r;
	const struct api_route *route;
	struct session s;
};

static void refuse(struct entering *e, unsigned status, const char *why, const char *text)
{
	struct nv_err err;
	nv_api_refused(e->app, e->r, why, e->s.username);
	nv_api_err(&err, status, NV_R_denied, "%s", text);
	nv_api_fail(e->r, &err);
}

static bool is_token(const char *s)
{
	return strlen(s) == TOKEN_LEN && strspn(s, "0123456789abcdef") == TOKEN_LEN;
}

static bool may_pass(struct entering *e)
{
	struct csrf_facts f = {
		.method = nv_http_method(e->r),
		.cookie = e->s.cookie,
		.sent = nv_http_header(e->r, "X-Navette-CSRF"),
		.expected = e->s.csrf,
		.origin = nv_http_header(e->r, "Origin"),
		.fetch_site = nv_http_header(e->r, "Sec-Fetch-Site"),
		.host = nv_http_header(e->r, "Host"),
		.base_url = e->app->config->producer.base_url,
	};
	switch (nv_csrf_check(&f)) {
	case CSRF_OTHER_SITE:
		refuse(e, 403, "csrf", "this request comes from another site");
		return false;
	case CSRF_NO_TOKEN:
		refuse(e, 403, "csrf", "the header X-Navette-CSRF is missing or wrong");
		return false;
	case CSRF_FINE:
		break;
	}
	if (e->route->admin && !e->s.admin) {
		refuse(e, 403, "rights", "only administrators may do this");
		return false;
	}
	return true;
}

static void refuse_unconfirmed(struct entering *e, const struct session *s)
{
	const char *renewal = nv_session_renewal(e->app, s, nv_http_arena(e->r));
	if (renewal)
		nv_http_add_header(e->r, "X-Navette-Renew", renewal);
	e->s.username = s->username;
	refuse(e, 401, "unconfirmed",
	       "your rights in Moodle have not been confirmed for some time; please open Navette "
	       "from Moodle again");
}

static void refuse_crowded(struct entering *e)
{
	nv_http_add_header(e->r, "Retry-After", "5");
	nv_http_add_header(e->r, "Connection", "close");
	nv_http_problem(e->r, 429, NV_R_busy, "you have too many requests open at once");
}

static void found(void *arg, const struct nv_err *err, enum session_result result,
		  const struct session *s)
{
	struct entering *e = arg;
	struct nv_err closing;
	if (err) {
		nv_api_fail(e->r, err);
		return;
	}
	if (!e->app->http) { /* who was asked was slow, and what answers is being taken down */
		nv_api_err(&closing, 503, NV_R_busy, "the server is just being stopped");
		nv_api_fail(e->r, &closing);
		return;
	}
	switch (result) {
	case SESSION_ENDED:
		refuse(e, 401, "session", "the session has ended; please sign in");
		return;
	case SESSION_WITHDRAWN:
		refuse(e, 401, "withdrawn", "Moodle does not let you use Navette any more");
		return;
	case SESSION_CROWDED:
		refuse_crowded(e);
		return;
	case SESSION_UNCONFIRMED:
		refuse_unconfirmed(e, s);
		return;
	case SESSION_LIVES:
		break;
	}
	bool cookie = e->s.cookie;
	e->s = *s;
	e->s.cookie = cookie;
	if (!may_pass(e))
		return;
	nv_http_set_user(e->r, &e->s);
	nv_http_admit(e->r, e->s.identity);
}

void nv_sessions_enter(struct app *app, struct nv_http_request *r, const struct api_route *route)
{
	struct nv_arena *a = nv_http_arena(r);
	struct entering *e = nv_arena_alloc(a, sizeof *e);
	const char *token = nv_http_header(r, "Authorization");
	*e = (struct entering){.app = app, .r = r, .route = route};
	if (token && strncasecmp(token, "Bearer ", 7) == 0) {
		token += 7;
	} else {
		token = nv_http_cookie(r, COOKIE);
		e->s.cookie = true;
	}
	if (!token) {
		refuse(e, 401, "session", "please sign in");
	} else if (!is_token(token)) {
		refuse(e, 401, "session", "this is not a session's token");
	} else {
		nv_session_find(app, r, session_key(a, token), a, found, e);
	}
}

/* --- beginning --- */

struct beginning {
	struct app *app;
	struct nv_http_request *r;
	struct session s;
	bool launched; /* the browser is sent to the page */
	char token[TOKEN_LEN + 1];
	char csrf[NV_TOKEN_SIZE];
};

/* When this host's worker takes requests again; null: it does now, or its window is not ours to
 * know. */
static json_t *next_run(const struct nv_config *c)
{
	uint64_t now = nv_now_ms();
	uint64_t change;
	if (nv_window_open(&c->worker.window, now, &change))
		return json_null();
	return nv_api_time(now + change);
}

static json_t *options_json(const struct app *app, const struct session *s)
{
	const struct nv_config *c = app->config;
	return json_pack("{s:b, s:b, s:b, s:b, s:s, s:b, s:b, s:b, s:b, s:b, s:o}",
			 "choose_user_data", s->may_user_data, "user_data", c->restore.user_data,
			 "leave_out", nv_config_leaves_out(c), "choose_enrolment", s->may_user_data,
			 "enrolment", nv_enrolment_words[c->restore.enrolment], "choose_category",
			 c->restore.original_category, "keep_category",
			 c->restore.original_category && c->restore.original_category_checked,
			 "enrol_me", c->restore.enrol_button, "run_now", s->admin, "download",
			 app->offers_downloads, "next_run", next_run(c));
}

static json_t *session_json(const struct app *app, const struct session *s)
{
	json_t *capabilities = json_array();
	for (size_t i = 0; i < s->capabilities_len; i++)
		json_array_append_new(capabilities, json_string(s->capabilities[i]));
	json_t *user =
		json_pack("{s:s, s:o, s:o, s:o, s:b, s:o}", "username", s->username, "name",
			  nv_api_text(s->name), "mail", nv_api_text(s->mail), "lang",
			  nv_api_text(s->lang), "admin", s->admin, "capabilities", capabilities);
	return json_pack("{s:o, s:s, s:o, s:o, s:o}", "user", user, "csrf", s->csrf, "expires",
			 nv_api_time(s->expires), "home", nv_api_text(s->home), "options",
			 options_json(app, s));
}

static void set_cookie(struct app *app, struct nv_http_request *r, const char *token,
		       uint64_t seconds)
{
	const char *base = app->config->producer.base_url;
	bool secure = base && strncmp(base, "https://", 8) == 0;
	nv_http_add_header(r, "Set-Cookie",
			   nv_arena_printf(nv_http_arena(r),
					   COOKIE "=%s; Path=/; HttpOnly; SameSite=Lax; "
						  "Max-Age=%llu%s",
					   token, (unsigned long long)seconds,
					   secure ? "; Secure" : ""));
}

static void begun(void *arg, const struct nv_err *err, bool set)
{
	struct beginning *b = arg;
	(void)set;
	if (err) {
		nv_api_fail(b->r, err);
		return;
	}
	NV_LOG(NV_INFO, "session.begun", NV_P("user", b->s.username),
	       NV_S("peer", nv_http_peer(b->r)), NV_S("by", b->launched ? "launch" : "password"));
	set_cookie(b->app, b->r, b->token, b->app->config->producer.session_ttl / 1000);
	if (b->launched) {
		nv_http_add_header(b->r, "Location", "/");
		nv_http_reply(b->r, 303, NULL, NULL, 0);
		return;
	}
	json_t *o = session_json(b->app, &b->s);
	json_object_set_new(o, "token", json_string(b->token));
	nv_api_json(b->r, 201, o);
}

static void old_deleted(void *arg, const struct nv_err *err)
{
	(void)arg;
	(void)err; /* it ends by time */
}

/* The browser's earlier session is over: its cookie is replaced. */
static void end_old(struct beginning *b)
{
	const char *token = nv_http_cookie(b->r, COOKIE);
	if (!token || !is_token(token))
		return;
	const char *key = session_key(nv_http_arena(b->r), token);
	b->app->on_signed_out_cb(b->app, key);
	nv_kv_del(b->app->status, key, old_deleted, NULL);
}

/* own: what is kept besides; taken. */
static void begin(struct beginning *b, const char *own_name, json_t *own)
{
	uint64_t ttl = b->app->config->producer.session_ttl;
	end_old(b);
	nv_token_new(b->token);
	nv_token_new(b->token + TOKEN_LEN / 2);
	nv_token_new(b->csrf);
	b->s.csrf = b->csrf;
	b->s.expires = nv_now_ms() + ttl;
	json_t *o = json_pack("{s:s, s:s, s:o, s:I}", "user", b->s.username, "csrf", b->csrf,
			      own_name, own, "expires", (json_int_t)b->s.expires);
	nv_auto_free char *text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	nv_kv_set(b->app->status, session_key(nv_http_arena(b->r), b->token), text, strlen(text),
		  ttl, false, begun, b);
}

void nv_sessions_begin(struct app *app, struct nv_http_request *r, const struct nv_account *a)
{
	struct beginning *b = nv_arena_alloc(nv_http_arena(r), sizeof *b);
	char tag[SESSION_TAG_SIZE];
	*b = (struct beginning){.app = app, .r = r};
	nv_session_fill(app, &b->s, a, nv_http_arena(r));
	nv_session_password_tag(a, tag);
	begin(b, "tag", json_string(tag));
}

void nv_sessions_launch(struct app *app, struct nv_http_request *r, const struct session *s)
{
	struct beginning *b = nv_arena_alloc(nv_http_arena(r), sizeof *b);
	char tag[SESSION_TAG_SIZE];
	*b = (struct beginning){.app = app, .r = r, .s = *s, .launched = true};
	nv_session_launch_tag(app->config, tag);
	begin(b, "moodle",
	      json_pack("{s:s, s:o, s:o, s:o, s:b, s:b, s:b, s:I, s:I}", "tag", tag, "name",
			nv_api_text(s->name), "mail", nv_api_text(s->mail), "lang",
			nv_api_text(s->lang), "admin", s->admin, "user_data", s->may_user_data,
			"link", s->may_link, "checked", (json_int_t)nv_now_ms(), "block",
			(json_int_t)s->block));
}

/* --- showing, ending --- */

void nv_sessions_show(struct app *app, struct nv_http_request *r, const struct session *s)
{
	nv_api_json(r, 200, session_json(app, s));
}

struct ending {
	struct app *app;
	struct nv_http_request *r;
	const char *key;
};

static void ended(void *arg, const struct nv_err *err)
{
	struct ending *e = arg;
	if (err) {
		nv_api_fail(e->r, err);
		return;
	}
	e->app->on_signed_out_cb(e->app, e->key);
	set_cookie(e->app, e->r, "", 0);
	nv_http_reply(e->r, 204, NULL, NULL, 0);
}

void nv_sessions_end(struct app *app, struct nv_http_request *r, const struct session *s)
{
	struct ending *e = nv_arena_alloc(nv_http_arena(r), sizeof *e);
	*e = (struct ending){.app = app, .r = r, .key = s->key};
	NV_LOG(NV_INFO, "session.ended", NV_P("user", s->username));
	nv_kv_del(app->status, s->key, ended, e);
}
