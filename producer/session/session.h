/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sessions: sessions.c begins and ends them, session_find.c finds them, events.c asks again and
 * again. */
#ifndef NV_PRODUCER_SESSION_SESSION_H
#define NV_PRODUCER_SESSION_SESSION_H

#include "producer/app.h"

/* Find the session and check the request's origin, then admit it to the route's handler, with the
 * session as its user; or answer 401, 403 or 503. */
void nv_sessions_enter(struct app *app, struct nv_http_request *r, const struct api_route *route);
/* Begins a session: stores it and answers 201. */
void nv_sessions_begin(struct app *app, struct nv_http_request *r, const struct nv_account *a);
/* The same for users coming from Moodle; redirects to the page. */
void nv_sessions_launch(struct app *app, struct nv_http_request *r, const struct session *s);
void nv_sessions_show(struct app *app, struct nv_http_request *r, const struct session *s);
void nv_sessions_end(struct app *app, struct nv_http_request *r, const struct session *s);

enum session_result {
	SESSION_LIVES,
	SESSION_ENDED,	     /* unknown, too old, signed out; the account or its password changed */
	SESSION_WITHDRAWN,   /* their Moodle no longer lets them use Navette */
	SESSION_CROWDED,     /* they have too many requests open already */
	SESSION_UNCONFIRMED, /* that Moodle could not be asked for too long: they come through it */
};
/* s, in the arena, when it lives; and when it is unconfirmed, for nv_session_renewal. */
typedef void (*session_cb)(void *arg, const struct nv_err *err, enum session_result result,
			   const struct session *s);
/* Finds the session under this key, with the user's present rights. cb is called once, possibly
 * before this returns; err: Redis is unavailable. key and arena must live until then. r: a request
 * waiting for admission, to be counted for the user before Moodle is asked; NULL: none. */
void nv_session_find(struct app *app, struct nv_http_request *r, const char *key,
		     struct nv_arena *arena, session_cb cb, void *arg);
/* Where somebody whose rights are unconfirmed gets a new session without typing anything; NULL: not
 * known. */
const char *nv_session_renewal(const struct app *app, const struct session *s, struct nv_arena *a);

/* Of a local account, as it is now. */
void nv_session_fill(const struct app *app, struct session *s, const struct nv_account *a,
		     struct nv_arena *arena);
#define SESSION_TAG_SIZE 17
/* A fingerprint that changes with the password but does not reveal it. */
void nv_session_password_tag(const struct nv_account *a, char ret[SESSION_TAG_SIZE]);
/* Changes with the signing secret and the issuer of tokens. */
void nv_session_launch_tag(const struct nv_config *c, char ret[SESSION_TAG_SIZE]);

#endif
