/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Removes settled dead letters of course servers.  The archivers themselves remove letters of
 * revisions that we have withdrawn; but where one copy of a message failed and another was served,
 * only we know that the request is restored.
 *
 * A course server is asked when it may have such letters: after each failure that it reports, and
 * once at the start.  While it has letters of ours, it is asked again when a request is settled. */
#include <string.h>

#include "base/log.h"
#include "core/status/requests.h"
#include "producer/admin/dead_tidy.h"
#include "producer/admin/site_letters.h"
#include "producer/answer.h"
#include "producer/app.h"

#define LOOKS 2u	/* after a failure: its letter may come a moment after the word */
#define PAGES 50u	/* answers of one look */
#define AWAY_MS 600000u /* between two questions to a course server that does not answer */

struct ours {
	char letter[33];
	char request[NV_UUID_SIZE];
	uint64_t rev;
};

struct tidy_sites {
	struct app *app;
	struct about {
		unsigned looks; /* so many more, if they find none */
		bool letters;	/* the last look has found some */
		uint64_t away;	/* it did not answer at this time (nv_mono_ms); 0: it did */
	} * of;			/* each configured course server */
	size_t at;		/* the one that is being asked */
	struct ours *list;	/* its letters */
	size_t len, next;
	unsigned pages; /* answers of this look */
	bool more;	/* and there are letters after the last of them */
	char last[33];
	uint64_t last_since;
	size_t gone;
	bool settled; /* requests were, before this look */
	bool again;   /* and since it began */
	bool running;
	bool closed;
};

static void next_site(struct tidy_sites *t);

static void end(struct tidy_sites *t)
{
	free(t->list);
	t->list = NULL;
	t->running = false;
	if (!t->closed)
		return;
	free(t->of);
	free(t);
}

static const struct nv_config_site *site_of(const struct tidy_sites *t)
{
	return &t->app->config->sites[t->at];
}

/* It refuses or does not answer: nothing more is asked of it for a while. */
static void give_up(struct tidy_sites *t, const struct nv_err *err)
{
	bool never = nv_api_status(err) == 409; /* it is too old, or may not */
	t->of[t->at] = (struct about){.looks = never ? 0 : LOOKS, .away = nv_mono_ms()};
	t->at++;
	next_site(t);
}

/* --- its letters, one by one --- */

static void next_letter(struct tidy_sites *t);
static void ask(struct tidy_sites *t);

static void say_gone(const struct tidy_sites *t)
{
	if (t->gone)
		NV_LOG(NV_INFO, "dead.removed", NV_U("letters", t->gone),
		       NV_S("site", site_of(t)->name));
}

static void discarded(void *arg, const struct nv_err *err, const struct nv_letters_reply *reply)
{
	struct tidy_sites *t = arg;
	(void)reply;
	t->gone += err == NULL;
	if (!err || nv_api_status(err) == 404) {
		next_letter(t);
		return;
	}
	NV_LOG(NV_WARN, "dead.unremoved", NV_S("site", site_of(t)->name), NV_E(err));
	say_gone(t);
	give_up(t, err);
}

static void discard(struct tidy_sites *t, const struct ours *l)
{
	struct letters_question q = {.what = NV_LETTERS_DISCARD, .letter = l->letter};
	nv_site_letters_ask(t->app, site_of(t), &q, discarded, t);
}

static void got(void *arg, const struct nv_err *err, const struct nv_status_record *rec)
{
	struct tidy_sites *t = arg;
	const struct ours *l = &t->list[t->next++];
	if (!t->closed && !err && rec && nv_dead_tidy_is_settled(rec, l->rev))
		discard(t, l);
	else
		next_letter(t);
}

static void next_letter(struct tidy_sites *t)
{
	if (t->closed) {
		end(t);
	} else if (t->next < t->len) {
		nv_status_get(t->app->status, t->list[t->next].request, got, t);
	} else if (t->more) {
		ask(t);
	} else {
		say_gone(t);
		t->at++;
		next_site(t);
	}
}

/* --- one course server after the other --- */

/* Those that carry a restore.request and are no replays. */
static void take(struct tidy_sites *t, const struct nv_letters_reply *reply)
{
	const struct nv_dead_letter *l = reply->letters.items;
	t->list = nv_realloc(t->list, (reply->letters.len + 1) * sizeof *t->list);
	t->len = t->next = 0;
	for (size_t i = 0; i < reply->letters.len; i++, l++) {
		bool replay = l->reason && strcmp(l->reason, nv_reason_word(NV_R_replayed)) == 0;
		if (replay || !l->request || !l->rev)
			continue;
		struct ours *one = &t->list[t->len++];
		*one = (struct ours){.rev = l->rev};
		snprintf(one->letter, sizeof one->letter, "%s", l->id);
		snprintf(one->request, sizeof one->request, "%s", l->request);
	}
}

static void note_last(struct tidy_sites *t, const struct nv_letters_reply *reply)
{
	const struct nv_dead_letter *all = reply->letters.items;
	t->more = reply->more && reply->letters.len && ++t->pages < PAGES;
	if (!t->more)
		return;
	snprintf(t->last, sizeof t->last, "%s", all[reply->letters.len - 1].id);
	t->last_since = all[reply->letters.len - 1].since;
}

/* Somebody else may hold the letters just now: where there were some, it takes a second answer to
 * believe that there are none. */
static void note_letters(struct about *about, bool any)
{
	about->away = 0;
	about->looks -= about->looks > 0;
	if (about->letters && !any && !about->looks)
		about->looks = 1;
	about->letters = any;
}

static void listed(void *arg, const struct nv_err *err, const struct nv_letters_reply *reply)
{
	struct tidy_sites *t = arg;
	if (err) {
		say_gone(t);
		give_up(t, err);
		return;
	}
	if (!t->pages)
		note_letters(&t->of[t->at], reply->letters.len > 0);
	note_last(t, reply);
	take(t, reply);
	next_letter(t);
}

static void ask(struct tidy_sites *t)
{
	struct letters_question q = {.what = NV_LETTERS_LIST,
				     .letter = t->pages ? t->last : NULL,
				     .since = t->pages ? t->last_since : 0};
	nv_site_letters_ask(t->app, site_of(t), &q, listed, t);
}

static bool is_due(const struct tidy_sites *t, const struct about *about)
{
	bool away = about->away && nv_mono_ms() - about->away < AWAY_MS;
	return !away && (about->looks || (about->letters && t->settled));
}

static void next_site(struct tidy_sites *t)
{
	size_t sites = t->app->config->sites_len;
	while (t->at < sites && !is_due(t, &t->of[t->at]))
		t->at++;
	if (t->closed || t->at == sites) {
		end(t);
		return;
	}
	t->pages = 0;
	t->gone = 0;
	ask(t);
}

void nv_dead_tidy_sites_look(struct tidy_sites *t, bool settled)
{
	t->again = t->again || settled;
	if (t->running)
		return;
	t->settled = t->again;
	t->again = false;
	t->running = true;
	t->at = 0;
	next_site(t);
}

void nv_dead_tidy_sites_failed(struct tidy_sites *t, const char *site)
{
	const struct nv_config *c = t->app->config;
	for (size_t i = 0; i < c->sites_len; i++)
		if (strcmp(c->sites[i].name, site) == 0)
			t->of[i].looks = LOOKS;
}

void nv_dead_tidy_sites_seen(struct tidy_sites *t, const char *site)
{
	const struct nv_config *c = t->app->config;
	for (size_t i = 0; i < c->sites_len; i++)
		if (strcmp(c->sites[i].name, site) == 0) {
			t->of[i].looks += !t->of[i].looks;
			t->of[i].letters = true;
		}
}

struct tidy_sites *nv_dead_tidy_sites_new(struct app *app)
{
	struct tidy_sites *t = nv_alloc(sizeof *t);
	t->app = app;
	t->of = nv_alloc((app->config->sites_len + 1) * sizeof *t->of);
	for (size_t i = 0; i < app->config->sites_len; i++)
		t->of[i].looks = LOOKS;
	return t;
}

void nv_dead_tidy_sites_close(struct tidy_sites *t)
{
	t->closed = true;
	if (!t->running)
		end(t);
}
