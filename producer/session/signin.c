/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Signing in with a local account.
 *
 * Attempts are counted in Redis before the password is verified, so that guessing is slow and
 * cannot keep the machine busy.  They are counted by account and address together, so that nobody
 * can lock out a user of another address.  Failures are also counted by address alone and by
 * account alone; these two limits do not apply to users who have signed in to the account from that
 * address before.
 *
 * Argon2id runs on the thread pool, two at a time (each needs 64 MiB); when the queue is long,
 * people are asked to try again. */
#include <sodium.h>
#include <string.h>

#include "base/address.h"
#include "base/hash.h"
#include "base/log.h"
#include "core/status/kv.h"
#include "producer/answer.h"
#include "producer/app.h"
#include "producer/body.h"
#include "producer/session/csrf.h"
#include "producer/session/people.h"
#include "producer/session/session.h"
#include "producer/session/signin.h"

#define THROTTLE_MS 300000u
#define PAIR_ATTEMPTS 10u     /* of an account from an address, in a row */
#define ADDRESS_FAILURES 300u /* a campus may have one address */
#define ACCOUNT_FAILURES 100u
#define KNOWN_MS (90ull * 24 * 3600 * 1000) /* since the last sign-in from there */
#define VERIFY_AT_ONCE 2u
#define VERIFY_WAITING 64u

struct attempt {
	uv_work_t work;
	struct app *app;
	struct nv_http_request *r;
	struct attempt *next;
	char *username;
	char *password;
	char *hash;		 /* NULL: nobody has that name */
	const char *pair_key;	 /* of account and address: attempts in a row */
	const char *known_key;	 /* likewise: they were right before */
	const char *address_key; /* failures, as the next */
	const char *account_key;
	const char *text; /* why there were too many */
	bool right;
};

static void wipe(struct attempt *a)
{
	if (a->password)
		sodium_memzero(a->password, strlen(a->password));
}

static void refuse(struct attempt *a, unsigned status, const char *why, const char *text)
{
	struct nv_err err;
	wipe(a);
	nv_api_refused(a->app, a->r, why, a->username);
	nv_api_err(&err, status, NV_R_denied, "%s", text);
	nv_api_fail(a->r, &err);
}

static void throttled(void *arg, const struct nv_err *unknown, uint64_t ms)
{
	struct attempt *a = arg;
	struct nv_err err;
	nv_api_err(&err, 429, NV_R_busy, "%s", a->text);
	nv_api_fail_for(a->r, &err, unknown ? THROTTLE_MS / 1000 : ms / 1000 + 1);
}

/* Until the counter under key begins anew. */
static void throttle(struct attempt *a, const char *key, const char *text)
{
	wipe(a);
	nv_api_refused(a->app, a->r, "throttled", a->username);
	a->text = text;
	nv_kv_left(a->app->status, key, throttled, a);
}

/* --- verifying --- */

static void next_verify(struct app *app);

static void counted_failure(void *arg, const struct nv_err *err, uint64_t value)
{
	struct attempt *a = arg;
	(void)err;
	(void)value;
	refuse(a, 401, "password", "user name or password is wrong");
}

static void address_counted(void *arg, const struct nv_err *err, uint64_t value)
{
	struct attempt *a = arg;
	(void)err;
	(void)value;
	nv_kv_count(a->app->status, a->account_key, THROTTLE_MS, counted_failure, a);
}

static void noted(void *arg, const struct nv_err *err, bool set)
{
	(void)arg;
	(void)err;
	(void)set;
}

static void forgotten(void *arg, const struct nv_err *err)
{
	(void)arg;
	(void)err;
}

static void verify_work(uv_work_t *work)
{
	struct attempt *a = work->data;
	a->right = nv_password_verify(a->hash, a->password);
}

static void turn_away(struct attempt *a)
{
	struct nv_err err;
	wipe(a);
	nv_api_err(&err, 503, NV_R_busy, "too many people sign in just now");
	nv_api_fail(a->r, &err);
}

static void end_when_idle(struct app *app)
{
	if (app->signins.on_idle_cb && !app->signins.running)
		app->signins.on_idle_cb(app);
}

static void verified(uv_work_t *work, int status)
{
	struct attempt *a = work->data;
	(void)status;
	a->app->signins.running--;
	wipe(a);
	if (a->app->signins.on_idle_cb) {
		struct app *app = a->app;
		turn_away(a);
		end_when_idle(app);
		return;
	}
	next_verify(a->app);
	/* the account may have changed meanwhile */
	const struct nv_account *account = nv_people_find(a->app, a->username);
	if (!a->right || !account || strcmp(account->password, a->hash) != 0) {
		nv_kv_count(a->app->status, a->address_key, THROTTLE_MS, address_counted, a);
		return;
	}
	nv_kv_del(a->app->status, a->pair_key, forgotten, NULL);
	nv_kv_set(a->app->status, a->known_key, "1", 1, KNOWN_MS, false, noted, NULL);
	nv_sessions_begin(a->app, a->r, account);
}

static void next_verify(struct app *app)
{
	while (app->signins.first && app->signins.running < VERIFY_AT_ONCE) {
		struct attempt *a = app->signins.first;
		app->signins.first = a->next;
		if (!app->signins.first)
			app->signins.last = NULL;
		app->signins.len--;
		app->signins.running++;
		a->work.data = a;
		uv_queue_work(app->d->loop, &a->work, verify_work, verified);
	}
}

static void enqueue(struct attempt *a)
{
	if (a->app->signins.len >= VERIFY_WAITING || a->app->signins.on_idle_cb) {
		turn_away(a);
		return;
	}
	const struct nv_account *account = nv_people_find(a->app, a->username);
	a->hash = account ? nv_arena_strdup(nv_http_arena(a->r), account->password) : NULL;
	if (a->app->signins.last)
		a->app->signins.last->next = a;
	else
		a->app->signins.first = a;
	a->app->signins.last = a;
	a->app->signins.len++;
	next_verify(a->app);
}

void nv_signin_close(struct app *app, void (*cb)(struct app *app))
{
	app->signins.on_idle_cb = cb;
	while (app->signins.first) {
		struct attempt *a = app->signins.first;
		app->signins.first = a->next;
		app->signins.len--;
		turn_away(a);
	}
	app->signins.last = NULL;
	end_when_idle(app);
}

/* --- throttling --- */

static void pair_counted(void *arg, const struct nv_err *err, uint64_t value)
{
	struct attempt *a = arg;
	if (err) {
		wipe(a);
		nv_api_fail(a->r, err);
	} else if (value > PAIR_ATTEMPTS) {
		throttle(a, a->pair_key,
			 "too many attempts for this account from your address; wait some minutes");
	} else {
		enqueue(a);
	}
}

/* false: answered. */
static bool below(struct attempt *a, const struct nv_err *err, const void *value, size_t len,
		  const char *key, uint64_t limit, const char *text)
{
	char digits[21] = "";
	if (err) {
		wipe(a);
		nv_api_fail(a->r, err);
		return false;
	}
	if (value)
		memcpy(digits, value, len < sizeof digits - 1 ? len : sizeof digits - 1);
	if (strtoull(digits, NULL, 10) < limit)
		return true;
	throttle(a, key, text);
	return false;
}

static void account_read(void *arg, const struct nv_err *err, const void *value, size_t len)
{
	struct attempt *a = arg;
	if (below(a, err, value, len, a->account_key, ACCOUNT_FAILURES,
		  "too many failures for this account; wait some minutes, or sign in from where "
		  "you "
		  "have done so before"))
		nv_kv_count(a->app->status, a->pair_key, THROTTLE_MS, pair_counted, a);
}

static void address_read(void *arg, const struct nv_err *err, const void *value, size_t len)
{
	struct attempt *a = arg;
	if (below(a, err, value, len, a->address_key, ADDRESS_FAILURES,
		  "too many failures from this address; wait some minutes"))
		nv_kv_get(a->app->status, a->account_key, account_read, a);
}

static void known_read(void *arg, const struct nv_err *err, const void *value, size_t len)
{
	struct attempt *a = arg;
	(void)len;
	if (err) {
		wipe(a);
		nv_api_fail(a->r, err);
	} else if (value) {
		nv_kv_count(a->app->status, a->pair_key, THROTTLE_MS, pair_counted, a);
	} else {
		nv_kv_get(a->app->status, a->address_key, address_read, a);
	}
}

/* --- the request --- */

static int read_attempt(struct attempt *a, json_t *o, struct nv_err *err)
{
	static const char *const fields[] = {"username", "password"};
	struct body b = {.o = o, .where = "", .err = err};
	const char *username = NULL, *password = NULL;
	struct nv_arena *arena = nv_http_arena(a->r);
	if (nv_body_known(&b, fields, NV_ARRAY_LEN(fields)) < 0 ||
	    nv_body_text(&b, "username", NV_USERNAME_MAX, true, &username) < 0 ||
	    nv_body_text(&b, "password", NV_PASSWORD_MAX, true, &password) < 0)
		return -1;
	a->username = nv_arena_strdup(arena, username);
	a->password = nv_arena_strdup(arena, password);
	return 0;
}

static const char *hashed(struct nv_arena *a, const char *text)
{
	char hex[NV_SHA256_HEX];
	nv_hash_hex(NV_SHA256, text, strlen(text), hex);
	return nv_arena_strdup(a, hex);
}

/* A name may hold anything that was typed, and who signs in from where is nobody's business: hashes
 * go into the keys.  Of IPv6 a network is counted as one address, since whoever has one address
 * there has all of it. */
static void make_keys(struct attempt *a)
{
	struct nv_arena *arena = nv_http_arena(a->r);
	const char *name = hashed(arena, a->username);
	char address[NV_ADDRESS_SIZE];
	struct nv_address peer;
	snprintf(address, sizeof address, "%s", nv_http_peer(a->r));
	if (nv_address_parse(address, &peer) == 0) {
		peer = nv_address_subscriber(&peer);
		nv_address_text(&peer, address);
	}
	const char *pair = hashed(arena, nv_arena_printf(arena, "%s %s", name, address));
	a->pair_key = nv_arena_printf(arena, "throttle:pair:%s", pair);
	a->known_key = nv_arena_printf(arena, "known:%s", pair);
	a->address_key = nv_arena_printf(arena, "throttle:address:%s", address);
	a->account_key = nv_arena_printf(arena, "throttle:failures:%s", name);
}

void nv_signin(struct app *app, struct nv_http_request *r, const struct session *s)
{
	(void)s;
	struct nv_err err;
	struct attempt *a = nv_arena_alloc(nv_http_arena(r), sizeof *a);
	a->app = app;
	a->r = r;
	struct csrf_facts f = {.method = nv_http_method(r),
			       .cookie = true,
			       .signing_in = true,
			       .origin = nv_http_header(r, "Origin"),
			       .fetch_site = nv_http_header(r, "Sec-Fetch-Site"),
			       .host = nv_http_header(r, "Host"),
			       .base_url = app->config->producer.base_url};
	if (nv_csrf_check(&f) != CSRF_FINE) {
		refuse(a, 403, "csrf", "this request comes from another site");
		return;
	}
	json_t *o = nv_body_parse(r, &err);
	int rc = o ? read_attempt(a, o, &err) : -1;
	json_decref(o);
	if (rc < 0) {
		nv_api_fail(r, &err);
		return;
	}
	make_keys(a);
	nv_kv_get(app->status, a->known_key, known_read, a);
}
