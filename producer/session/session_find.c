/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Finding a session.  The session of a local account has no rights of its own: the account's
 * present ones apply, and a changed password ends it.  For a user from Moodle, the session keeps
 * the identity from the token, and the rights are requested again when older than
 * producer.rights_max_age (rights.c); another secret or another Moodle ends the session. */
#include "producer/session/session.h"

#include <string.h>

#include "base/hash.h"
#include "base/log.h"
#include "core/status/kv.h"
#include "producer/session/people.h"
#include "producer/session/rights.h"

struct finding {
	struct app *app;
	struct nv_http_request *r; /* NULL: none */
	struct nv_arena *arena;
	struct session s;
	struct rights rights; /* as the token said, at checked */
	uint64_t checked;
	session_cb cb;
	void *arg;
};

void nv_session_password_tag(const struct nv_account *a, char ret[SESSION_TAG_SIZE])
{
	uint8_t digest[NV_SHA256_LEN];
	nv_sha256(a->password, strlen(a->password), digest);
	nv_hex(digest, 8, ret);
}

void nv_session_launch_tag(const struct nv_config *c, char ret[SESSION_TAG_SIZE])
{
	/* What stands where cannot be taken otherwise: an issuer begins with http, and holds no
	 * second address. */
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

void nv_session_fill(const struct app *app, struct session *s, const struct nv_account *a,
		     struct nv_arena *arena)
{
	s->username = nv_arena_strdup(arena, a->username);
	s->identity = nv_arena_strdup(arena, nv_people_identity(app, a));
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

const char *nv_session_renewal(const struct app *app, const struct session *s, struct nv_arena *a)
{
	const char *home = app->config->launch.issuer;
	if (!s || !s->block || !home)
		return NULL;
	size_t len = strlen(home);
	len -= len && home[len - 1] == '/';
	return nv_arena_printf(a, "%.*s/blocks/navette/launch.php?instance=%llu", (int)len, home,
			       (unsigned long long)s->block);
}

/* --- of Moodle --- */

static bool tag_is(const char *tag, const char *now)
{
	return strcmp(tag, now) == 0;
}

static bool of_moodle(struct finding *f, json_t *o, const char *user, uint64_t begun)
{
	struct nv_arena *arena = f->arena;
	const struct nv_config *c = f->app->config;
	json_t *name, *mail, *lang;
	const char *tag;
	char now_tag[SESSION_TAG_SIZE];
	int admin, user_data, link;
	json_int_t checked = (json_int_t)begun, block = 0; /* an older producer noted neither */
	if (!c->launch.secret ||			   /* given up since */
	    json_unpack(o, "{s:s, s:o, s:o, s:o, s:b, s:b, s:b, s?:I, s?:I}", "tag", &tag, "name",
			&name, "mail", &mail, "lang", &lang, "admin", &admin, "user_data",
			&user_data, "link", &link, "checked", &checked, "block", &block))
		return false;
	nv_session_launch_tag(c, now_tag);
	if (!tag_is(tag, now_tag))
		return false;
	f->s.username = nv_arena_strdup(arena, user);
	f->s.identity = f->s.username;
	f->s.name = nv_arena_strdup(arena, json_string_value(name));
	f->s.mail = nv_arena_strdup(arena, json_string_value(mail));
	f->s.lang = nv_arena_strdup(arena, json_string_value(lang));
	f->s.home = c->launch.issuer;
	f->s.block = (uint64_t)block;
	f->checked = (uint64_t)checked;
	f->rights = (struct rights){
		.served = true, .manage = admin, .user_data = user_data, .link = link};
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

static void deleted(void *arg, const struct nv_err *err)
{
	(void)arg;
	(void)err; /* it is asked again with the next request */
}

static void confirmed(void *arg, const struct rights *now)
{
	struct finding *f = arg;
	if (!now) {
		f->cb(f->arg, NULL, SESSION_UNCONFIRMED, &f->s);
		return;
	}
	if (!now->served) {
		NV_LOG(NV_INFO, "session.withdrawn", NV_P("user", f->s.username));
		nv_kv_del(f->app->status, f->s.key, deleted, NULL);
		f->cb(f->arg, NULL, SESSION_WITHDRAWN, NULL);
		return;
	}
	f->s.admin = now->manage;
	f->s.may_user_data = now->user_data || now->manage;
	f->s.may_link = now->link || now->manage;
	name_capabilities(&f->s, f->arena);
	f->cb(f->arg, NULL, SESSION_LIVES, &f->s);
}

/* --- of an account --- */

static bool of_account(struct finding *f, const char *user, const char *tag)
{
	char now_tag[SESSION_TAG_SIZE];
	const struct nv_account *a = nv_people_find(f->app, user);
	if (!a)
		return false;
	nv_session_password_tag(a, now_tag);
	if (!tag_is(tag, now_tag))
		return false;
	nv_session_fill(f->app, &f->s, a, f->arena);
	return true;
}

/* --- what Redis has --- */

/* {"user", "csrf", "tag", "expires"}; or {"user", "csrf", "moodle": {…}, "expires"}. */
static bool read_stored(struct finding *f, const void *value, size_t len)
{
	const char *user, *csrf, *tag = NULL;
	json_t *moodle = NULL;
	json_int_t expires;
	json_t *o = json_loadb(value, len, 0, NULL);
	bool ok = o &&
		  !json_unpack(o, "{s:s, s:s, s?:s, s?:o, s:I}", "user", &user, "csrf", &csrf,
			       "tag", &tag, "moodle", &moodle, "expires", &expires) &&
		  (uint64_t)expires > nv_now_ms();
	if (ok) {
		uint64_t ttl = f->app->config->producer.session_ttl;
		uint64_t begun = (uint64_t)expires > ttl ? (uint64_t)expires - ttl : 0;
		ok = moodle ? of_moodle(f, moodle, user, begun) : tag && of_account(f, user, tag);
	}
	if (ok) {
		f->s.csrf = nv_arena_strdup(f->arena, csrf);
		f->s.expires = (uint64_t)expires;
	}
	json_decref(o);
	return ok;
}

static void found(void *arg, const struct nv_err *err, const void *value, size_t len)
{
	struct finding *f = arg;
	if (err)
		f->cb(f->arg, err, SESSION_ENDED, NULL);
	else if (!value || !read_stored(f, value, len))
		f->cb(f->arg, NULL, SESSION_ENDED, NULL);
	else if (f->r && !nv_http_known(f->r, f->s.identity))
		f->cb(f->arg, NULL, SESSION_CROWDED, NULL);
	else if (f->s.home)
		nv_rights_judge(
			f->app,
			&(struct rights_question){f->s.username, f->s.block, f->rights, f->checked},
			confirmed, f);
	else
		f->cb(f->arg, NULL, SESSION_LIVES, &f->s);
}

void nv_session_find(struct app *app, struct nv_http_request *r, const char *key,
		     struct nv_arena *arena, session_cb cb, void *arg)
{
	struct finding *f = nv_arena_alloc(arena, sizeof *f);
	*f = (struct finding){
		.app = app, .r = r, .arena = arena, .s.key = key, .cb = cb, .arg = arg};
	nv_kv_get(app->status, key, found, f);
}
