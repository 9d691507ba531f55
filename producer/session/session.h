/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who asks: sessions.c begins and ends sessions, session_find.c finds them, events.c asks again
 * and again. */
#ifndef NV_PRODUCER_SESSION_SESSION_H
#define NV_PRODUCER_SESSION_SESSION_H

#include "producer/app.h"

/* Find the session and check where the request comes from, then admit it to the route's handler,
 * with the session as its user; or answer 401, 403 or 503. */
void nv_sessions_enter(struct app *app, struct nv_http_request *r, const struct api_route *route);
/* Begin one: stores it and answers 201. */
void nv_sessions_begin(struct app *app, struct nv_http_request *r, const struct nv_account *a);
/* The same for who comes from Moodle; answers with the way to the page. */
void nv_sessions_launch(struct app *app, struct nv_http_request *r, const struct session *s);
void nv_sessions_show(struct app *app, struct nv_http_request *r, const struct session *s);
void nv_sessions_end(struct app *app, struct nv_http_request *r, const struct session *s);

enum session_result {
	SESSION_LIVES,
	SESSION_ENDED,	     /* unknown, too old, signed out; the account or its password changed */
	SESSION_WITHDRAWN,   /* the Moodle they came from serves them no longer */
	SESSION_CROWDED,     /* they have too many requests open already */
	SESSION_UNCONFIRMED, /* that Moodle could not be asked for too long: they come through it */
};
/* s, in the arena, when it lives; and when it is unconfirmed, for nv_session_renewal. */
typedef void (*session_cb)(void *arg, const struct nv_err *err, enum session_result result,
			   const struct session *s);
/* Who has the session under this key, and what they may now.  cb once, at once perhaps; err: the
 * status database is away.  key and arena must live until then.  r: a request that waits to be
 * admitted, to count for them before Moodle is asked; NULL: none. */
void nv_session_find(struct app *app, struct nv_http_request *r, const char *key,
		     struct nv_arena *arena, session_cb cb, void *arg);
/* Where somebody whose rights are unconfirmed gets a new session without typing anything; NULL: not
 * known. */
const char *nv_session_renewal(const struct app *app, const struct session *s, struct nv_arena *a);

/* Of a local account, as it is now. */
void nv_session_fill(const struct app *app, struct session *s, const struct nv_account *a,
		     struct nv_arena *arena);
#define SESSION_TAG_SIZE 17
/* Changes with the password, tells nothing about it. */
void nv_session_password_tag(const struct nv_account *a, char ret[SESSION_TAG_SIZE]);
/* Changes with what tokens are signed with, and with who signs them. */
void nv_session_launch_tag(const struct nv_config *c, char ret[SESSION_TAG_SIZE]);

#endif
