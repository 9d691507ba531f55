/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sessions: in Redis under the hash of their token, so that whoever reads Redis cannot use them.
 *
 * Of a local account they hold no rights: those are the account's, as it is at each request, and a
 * changed password ends the account's sessions.  Whoever came from Moodle has no account here: who
 * they are and what they may is kept as their token said it; another secret or another Moodle ends
 * their sessions. */
#include <string.h>
#include <strings.h>

#include "core/base/hash.h"
#include "core/base/log.h"
#include "producer/csrf.h"
#include "producer/download.h"
#include "producer/producer.h"

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

/* Changes with the password, tells nothing about it. */
static void password_tag(const struct nv_account *a, char ret[17])
{
	uint8_t digest[NV_SHA256_LEN];
	nv_sha256(a->password, strlen(a->password), digest);
	nv_hex(digest, 8, ret);
}

/* Changes with what tokens are signed with, and with who signs them. */
static void launch_tag(const struct nv_config *c, char ret[17])
{
	static const char name[] = "navette-launch";
	uint8_t digest[NV_SHA256_LEN];
	struct nv_hash *h = nv_hash_new(NV_SHA256);
	nv_hash_update(h, name, sizeof name - 1);
	nv_hash_update(h, c->launch.secret, strlen(c->launch.secret));
	nv_hash_update(h, c->launch.issuer, strlen(c->launch.issuer));
	nv_hash_final(h, digest);
	nv_hash_free(h);
	nv_hex(digest, 8, ret);
}

static void fill_session(const struct app *app, struct session *s, const struct nv_account *a,
			 struct nv_arena *arena)
{
	s->username = nv_arena_strdup(arena, a->username);
	s->identity = nv_arena_strdup(arena, people_identity(app, a));
	s->name = nv_arena_strdup(arena, a->name);
	s->mail = nv_arena_strdup(arena, a->mail);
	s->lang = nv_arena_strdup(arena, a->lang);
	s->admin = a->admin;
	s->may_user_data = nv_account_may(a, NV_CAP_USER_DATA);
	s->may_link = nv_account_may(a, NV_CAP_COURSE_LINK);
	s->capabilities = nv_arena_alloc(arena, (a->capabilities_len + 1) * sizeof(char *));
	for (size_t i = 0; i < a->capabilities_len; i++)
		s->capabilities[s->capabilities_len++] = nv_arena_strdup(arena, a->capabilities[i]);
}

/* --- finding it --- */

struct entering {
	struct app *app;
	struct nv_http_request *r;
	const struct api_route *route;
	struct session s;
};

static void refuse(struct entering *e, unsigned status, const char *why, const char *text)
{
	struct nv_err err;
	api_refused(e->app, e->r, why, e->s.username);
	api_err(&err, status, NV_R_denied, "%s", text);
	api_fail(e->r, &err);
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
	switch (csrf_check(&f)) {
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

static bool of_account(struct entering *e, const char *user, const char *tag)
{
	char now_tag[17];
	const struct nv_account *a = people_find(e->app, user);
	if (!a)
		return false;
	password_tag(a, now_tag);
	if (strcmp(tag, now_tag) != 0)
		return false;
	fill_session(e->app, &e->s, a, nv_http_arena(e->r));
	return true;
}

/* Capabilities under the names that accounts have for them. */
static void name_capabilities(struct session *s, struct nv_arena *a)
{
	s->capabilities = nv_arena_alloc(a, 2 * sizeof(char *));
	s->capabilities_len = 0;
	if (s->may_user_data && !s->admin)
		s->capabilities[s->capabilities_len++] = nv_arena_strdup(a, NV_CAP_USER_DATA);
	if (s->may_link && !s->admin)
		s->capabilities[s->capabilities_len++] = nv_arena_strdup(a, NV_CAP_COURSE_LINK);
}

static bool of_moodle(struct entering *e, json_t *o, const char *user)
{
	struct nv_arena *arena = nv_http_arena(e->r);
	json_t *name, *mail, *lang;
	const char *tag;
	char now_tag[17];
	int admin, user_data, link;
	const struct nv_config *c = e->app->config;
	if (!c->launch.secret || /* given up since */
	    json_unpack(o, "{s:s, s:o, s:o, s:o, s:b, s:b, s:b}", "tag", &tag, "name", &name,
			"mail", &mail, "lang", &lang, "admin", &admin, "user_data", &user_data,
			"link", &link))
		return false;
	launch_tag(c, now_tag);
	if (strcmp(tag, now_tag) != 0)
		return false;
	e->s.username = nv_arena_strdup(arena, user);
	e->s.identity = e->s.username;
	e->s.name = nv_arena_strdup(arena, json_string_value(name));
	e->s.mail = nv_arena_strdup(arena, json_string_value(mail));
	e->s.lang = nv_arena_strdup(arena, json_string_value(lang));
	e->s.home = c->launch.issuer;
	e->s.admin = admin;
	e->s.may_user_data = user_data;
	e->s.may_link = link;
	name_capabilities(&e->s, arena);
	return true;
}

/* What Redis keeps: {"user", "csrf", "tag", "expires"}; or {"user", "csrf", "moodle": {…},
 * "expires"}. */
static bool read_stored(struct entering *e, const void *value, size_t len)
{
	const char *user, *csrf, *tag = NULL;
	json_t *moodle = NULL;
	json_int_t expires;
	json_t *o = json_loadb(value, len, 0, NULL);
	bool ok = o &&
		  !json_unpack(o, "{s:s, s:s, s?:s, s?:o, s:I}", "user", &user, "csrf", &csrf,
			       "tag", &tag, "moodle", &moodle, "expires", &expires) &&
		  (uint64_t)expires > nv_now_ms() &&
		  (moodle ? of_moodle(e, moodle, user) : tag && of_account(e, user, tag));
	if (ok) {
		e->s.csrf = nv_arena_strdup(nv_http_arena(e->r), csrf);
		e->s.expires = (uint64_t)expires;
	}
	json_decref(o);
	return ok;
}

static void found(void *arg, const struct nv_err *err, const void *value, size_t len)
{
	struct entering *e = arg;
	struct nv_err closing;
	if (err) {
		api_fail(e->r, err);
	} else if (!e->app->http) { /* Redis was slow, and what answers is being taken down */
		api_err(&closing, 503, NV_R_busy, "the server is just being stopped");
		api_fail(e->r, &closing);
	} else if (!value || !read_stored(e, value, len))
		refuse(e, 401, "session", "the session has ended; please sign in");
	else if (may_pass(e)) {
		nv_http_set_user(e->r, &e->s);
		nv_http_admit(e->r, e->s.identity);
	}
}

void sessions_enter(struct app *app, struct nv_http_request *r, const struct api_route *route)
{
	struct nv_arena *a = nv_http_arena(r);
	struct entering *e = nv_arena_alloc(a, sizeof *e);
	const char *token = nv_http_header(r, "Authorization");
	*e = (struct entering){.app = app, .r = r, .route = route};
	if (token && !strncasecmp(token, "Bearer ", 7)) {
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
		e->s.key = session_key(a, token);
		nv_kv_get(app->status, e->s.key, found, e);
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
	return api_time(now + change);
}

static json_t *options_json(const struct app *app, const struct session *s)
{
	const struct nv_config *c = app->config;
	return json_pack("{s:b, s:b, s:b, s:s, s:b, s:b, s:b, s:b, s:b, s:o}", "choose_user_data",
			 s->may_user_data, "user_data", c->restore.user_data, "choose_enrolment",
			 s->may_user_data, "enrolment", nv_enrolment_words[c->restore.enrolment],
			 "choose_category", c->restore.original_category, "keep_category",
			 c->restore.original_category && c->restore.original_category_checked,
			 "enrol_me", c->restore.enrol_button, "run_now", s->admin, "download",
			 download_offered(app), "next_run", next_run(c));
}

static json_t *session_json(const struct app *app, const struct session *s)
{
	json_t *capabilities = json_array();
	for (size_t i = 0; i < s->capabilities_len; i++)
		json_array_append_new(capabilities, json_string(s->capabilities[i]));
	json_t *user =
		json_pack("{s:s, s:o, s:o, s:o, s:b, s:o}", "username", s->username, "name",
			  api_text(s->name), "mail", api_text(s->mail), "lang", api_text(s->lang),
			  "admin", s->admin, "capabilities", capabilities);
	return json_pack("{s:o, s:s, s:o, s:o, s:o}", "user", user, "csrf", s->csrf, "expires",
			 api_time(s->expires), "home", api_text(s->home), "options",
			 options_json(app, s));
}

static void set_cookie(struct app *app, struct nv_http_request *r, const char *token,
		       uint64_t seconds)
{
	const char *base = app->config->producer.base_url;
	bool secure = base && !strncmp(base, "https://", 8);
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
		api_fail(b->r, err);
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
	api_json(b->r, 201, o);
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
	events_signed_out(b->app, key);
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

void sessions_begin(struct app *app, struct nv_http_request *r, const struct nv_account *a)
{
	struct beginning *b = nv_arena_alloc(nv_http_arena(r), sizeof *b);
	char tag[17];
	*b = (struct beginning){.app = app, .r = r};
	fill_session(app, &b->s, a, nv_http_arena(r));
	password_tag(a, tag);
	begin(b, "tag", json_string(tag));
}

void sessions_launch(struct app *app, struct nv_http_request *r, const struct session *s)
{
	struct beginning *b = nv_arena_alloc(nv_http_arena(r), sizeof *b);
	char tag[17];
	*b = (struct beginning){.app = app, .r = r, .s = *s, .launched = true};
	launch_tag(app->config, tag);
	begin(b, "moodle",
	      json_pack("{s:s, s:o, s:o, s:o, s:b, s:b, s:b}", "tag", tag, "name",
			api_text(s->name), "mail", api_text(s->mail), "lang", api_text(s->lang),
			"admin", s->admin, "user_data", s->may_user_data, "link", s->may_link));
}

/* --- showing, ending --- */

void sessions_show(struct app *app, struct nv_http_request *r, const struct session *s)
{
	api_json(r, 200, session_json(app, s));
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
		api_fail(e->r, err);
		return;
	}
	events_signed_out(e->app, e->key);
	set_cookie(e->app, e->r, "", 0);
	nv_http_reply(e->r, 204, NULL, NULL, 0);
}

void sessions_end(struct app *app, struct nv_http_request *r, const struct session *s)
{
	struct ending *e = nv_arena_alloc(nv_http_arena(r), sizeof *e);
	*e = (struct ending){.app = app, .r = r, .key = s->key};
	NV_LOG(NV_INFO, "session.ended", NV_P("user", s->username));
	nv_kv_del(app->status, s->key, ended, e);
}
