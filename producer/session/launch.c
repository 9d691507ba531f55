/* SPDX-License-Identifier: GPL-3.0-or-later */
/* /launch: a user comes from Moodle's button with a token, and gets a session.
 *
 * A token is valid once: its id is set in Redis before anything else, for as long as the token
 * would be accepted.  In case that key is lost (Redis emptied, say), the id is also announced to
 * all producers on the event stream before the user is signed in.  The token comes in the address,
 * or in the body of a form; then the browser is redirected to the page, so that the token stays in
 * no history.  A refusal is explained in plain words, in the browser's language; programs get a
 * problem document. */
#include <string.h>

#include "base/hash.h"
#include "base/log.h"
#include "core/status/events.h"
#include "core/status/kv.h"
#include "producer/app.h"
#include "producer/page.h"
#include "producer/session/launch.h"
#include "producer/session/session.h"
#include "producer/session/token.h"

struct launch {
	struct app *app;
	struct nv_http_request *r;
	struct token_claims claims;
	char id[NV_SHA256_HEX]; /* the token's, hashed */
};

/* --- refusing --- */

struct words {
	const char *lang, *title, *blocking_jobs;
	const char *late, *wrong, *unset, *away;
};
static const struct words english = {
	"en",
	"You are not signed in",
	"Back to Moodle",
	"This link from Moodle has been used already or is too old: it is good for one minute, and "
	"once. Go back to Moodle and open Navette again.",
	"This link does not come from our Moodle, or was changed on its way. Go back to Moodle and "
	"open Navette again. If it happens again, tell your administrator.",
	"Nobody can come here from Moodle: it is not set up.",
	"Navette is not available just now. Go back to Moodle and try again in some minutes.",
};
static const struct words french = {
	"fr",
	"Vous n’êtes pas connecté",
	"Retour à Moodle",
	"Ce lien venant de Moodle a déjà servi ou est trop ancien : il vaut une minute, et une "
	"seule "
	"fois. Retournez dans Moodle et ouvrez Navette à nouveau.",
	"Ce lien ne vient pas de notre Moodle, ou a été modifié en chemin. Retournez dans Moodle "
	"et "
	"ouvrez Navette à nouveau. Si cela se répète, prévenez votre administrateur.",
	"On ne peut pas venir ici depuis Moodle : ce n’est pas configuré.",
	"Navette n’est pas disponible pour le moment. Retournez dans Moodle et réessayez dans "
	"quelques minutes.",
};

static bool wants_html(const struct nv_http_request *r)
{
	const char *accept = nv_http_header(r, "Accept");
	return accept && strstr(accept, "text/html");
}

/* The first language the browser names decides: who wants neither reads English. */
static const struct words *words_for(const struct nv_http_request *r)
{
	const char *wanted = nv_http_header(r, "Accept-Language");
	return wanted && strncmp(wanted, "fr", 2) == 0 ? &french : &english;
}

/* Addresses from the configuration hold no quotes, but an ampersand perhaps. */
static const char *escaped(struct nv_arena *a, const char *s)
{
	nv_auto_buf struct nv_buf b = {0};
	for (; *s; s++) {
		if (strchr("&<>\"'", *s))
			nv_buf_printf(&b, "&#%d;", *s);
		else
			nv_buf_put(&b, s, 1);
	}
	nv_buf_puts(&b, "");
	return nv_arena_strndup(a, (const char *)b.data, b.len);
}

static void answer(struct launch *l, unsigned status, enum nv_reason reason, const char *word,
		   const char *(*pick)(const struct words *w))
{
	struct nv_arena *a = nv_http_arena(l->r);
	const struct words *w = words_for(l->r);
	const char *home = l->app->config->launch.issuer;
	if (status == 503)
		nv_http_add_header(l->r, "Retry-After", "5");
	if (!wants_html(l->r)) {
		nv_http_problem(l->r, status, reason, "token: %s: %s", word, pick(&english));
		return;
	}
	const char *link =
		home ? nv_arena_printf(a, "<p><a class=\"btn btn-primary\" href=\"%s\">%s</a></p>",
				       escaped(a, home), w->blocking_jobs)
		     : "";
	const char *html = nv_arena_printf(
		a,
		"<!DOCTYPE html><html lang=\"%s\"><head><meta charset=\"utf-8\"><title>%s · "
		"Navette</title><meta name=\"viewport\" content=\"width=device-width, "
		"initial-scale=1\"><link rel=\"icon\" href=\"%s\"><script "
		"src=\"%s\"></script><link rel=\"stylesheet\" href=\"%s\"></head><body><main "
		"class=\"container nv-narrow\"><h1>%s</h1>"
		"<p>%s</p>%s<p class=\"text-body-secondary\"><small>%s</small></p></main></body>"
		"</html>",
		w->lang, w->title, nv_page_path("icon.svg"), nv_page_path("theme.js"),
		nv_page_path("app.css"), w->title, pick(w), link, word);
	nv_http_reply(l->r, status, "text/html; charset=utf-8", html, strlen(html));
}

static const char *pick_late(const struct words *w)
{
	return w->late;
}
static const char *pick_wrong(const struct words *w)
{
	return w->wrong;
}
static const char *pick_unset(const struct words *w)
{
	return w->unset;
}
static const char *pick_away(const struct words *w)
{
	return w->away;
}

static void refuse(struct launch *l, const char *word, bool late)
{
	nv_metric_add(l->app->m.refused, "launch", 1);
	NV_LOG(NV_WARN, "launch.refused", NV_S("why", word), NV_P("user", l->claims.user),
	       NV_S("peer", nv_http_peer(l->r)));
	answer(l, 403, NV_R_denied, word, late ? pick_late : pick_wrong);
}

/* --- tokens that were used --- */

/* Nothing is good for longer, counted from its use. */
static uint64_t use_ms(const struct app *app)
{
	return (TOKEN_LIFE_MAX + 60ull) * 1000 + 2 * app->config->launch.leeway;
}

struct used {
	struct used *next;
	uint64_t until; /* ms since the epoch */
	char id[NV_SHA256_HEX];
};

static void forget_old(struct app *app)
{
	uint64_t now = nv_now_ms();
	for (struct used **at = &app->used_tokens; *at;) {
		struct used *u = *at;
		if (u->until > now) {
			at = &u->next;
		} else {
			*at = u->next;
			free(u);
		}
	}
}

static bool is_used(const struct app *app, const char *id)
{
	for (const struct used *u = app->used_tokens; u; u = u->next)
		if (strcmp(u->id, id) == 0)
			return true;
	return false;
}

void nv_launch_used(struct app *app, const char *id, uint64_t at)
{
	forget_old(app);
	if (at + use_ms(app) <= nv_now_ms() || strlen(id) != NV_SHA256_HEX - 1 || is_used(app, id))
		return;
	struct used *u = nv_alloc(sizeof *u);
	u->until = at + use_ms(app);
	memcpy(u->id, id, sizeof u->id);
	u->next = app->used_tokens;
	app->used_tokens = u;
	NV_LOG(NV_DEBUG, "launch.heard", NV_S("token", id));
}

void nv_launch_forget(struct app *app)
{
	while (app->used_tokens) {
		struct used *u = app->used_tokens;
		app->used_tokens = u->next;
		free(u);
	}
}

/* --- the way in --- */

static void announced(void *arg, const struct nv_err *err)
{
	struct launch *l = arg;
	const struct token_claims *c = &l->claims;
	if (err) {
		answer(l, 503, err->reason, "unavailable", pick_away);
		return;
	}
	struct session s = {.username = c->user,
			    .identity = c->user,
			    .name = c->name,
			    .mail = c->mail,
			    .lang = c->lang,
			    .home = l->app->config->launch.issuer,
			    .admin = c->manage,
			    .may_user_data = c->user_data || c->manage,
			    .may_link = c->link || c->manage,
			    .block = c->block};
	nv_sessions_launch(l->app, l->r, &s);
}

static void set(void *arg, const struct nv_err *err, bool first)
{
	struct launch *l = arg;
	if (err) {
		answer(l, 503, err->reason, "unavailable", pick_away);
	} else if (!first || is_used(l->app, l->id)) {
		refuse(l, "replayed", true);
	} else {
		nv_launch_used(l->app, l->id, nv_now_ms());
		nv_status_announce(l->app->status, LAUNCH_EVENT, l->id, NULL, announced, l);
	}
}

/* From the address; or from a form, which needs no unescaping: a token has none but [A-Za-z0-9_.-].
 */
static const char *find_token(struct nv_http_request *r)
{
	static const char name[] = "token=";
	size_t len;
	const char *body = nv_http_body(r, &len);
	if (strcmp(nv_http_method(r), "POST") == 0 && len > sizeof name &&
	    memcmp(body, name, sizeof name - 1) == 0)
		return nv_arena_strndup(nv_http_arena(r), body + sizeof name - 1,
					len - (sizeof name - 1));
	return nv_http_query(r, "token");
}

void nv_launch(struct app *app, struct nv_http_request *r, const struct session *none)
{
	const struct nv_config *c = app->config;
	struct nv_arena *a = nv_http_arena(r);
	struct launch *l = nv_arena_alloc(a, sizeof *l);
	uint64_t leeway = (c->launch.leeway + 999) / 1000;
	(void)none;
	*l = (struct launch){.app = app, .r = r};
	if (!c->launch.secret) {
		answer(l, 404, NV_R_not_found, "unset", pick_unset);
		return;
	}
	const char *token = find_token(r);
	if (!token) {
		refuse(l, "missing", false);
		return;
	}
	struct token_rules rules = {.secret = c->launch.secret,
				    .issuer = c->launch.issuer,
				    .audience = c->producer.base_url,
				    .leeway = leeway,
				    .now = nv_now_ms() / 1000};
	enum token_result result = nv_token_check(&rules, token, a, &l->claims);
	if (result != TOKEN_FINE) {
		refuse(l, nv_token_result_word(result), result == TOKEN_EXPIRED);
		return;
	}
	uint64_t rest = (l->claims.expires + leeway - rules.now + 60) * 1000;
	nv_hash_hex(NV_SHA256, l->claims.id, strlen(l->claims.id), l->id);
	nv_kv_set(app->status, nv_arena_printf(a, "launch:%s", l->id), "1", 1, rest, true, set, l);
}
