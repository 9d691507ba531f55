/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The present rights of users who came through Moodle's button.
 *
 * Their token carried them once.  Rights older than producer.rights_max_age are requested again
 * from Moodle, through the configured site: one call at a time, for all users waiting.  The answers
 * are cached for everybody's next requests.
 *
 * If Moodle does not answer, the last known rights stay valid, but not for longer than UNANSWERED
 * times that age.  After that, and at once if no Moodle can be asked, people come through Moodle's
 * button again. */
#include <string.h>

#include "base/log.h"
#include "core/site/site.h"
#include "producer/blocking_jobs.h"
#include "producer/session/rights.h"

#define UNANSWERED 6u	 /* times rights_max_age */
#define ANSWER_MS 10000u /* people wait for it */
#define AGAIN_MS 15000u	 /* after a question without an answer */
#define AHEAD_MS 60000u	 /* how far ahead of ours the clock may be that noted a time */

struct known {
	struct known *next;
	char *user;
	uint64_t block;
	uint64_t at; /* ms since the epoch */
	struct rights rights;
};

struct waiter {
	struct waiter *next;
	struct rights rights; /* what was known last */
	uint64_t at;
	rights_cb cb;
	void *arg;
};

/* Somebody Moodle is to be asked about. */
struct person {
	struct person *next;
	char *user;
	uint64_t block;
	struct waiter *waiters;
};

struct question {
	struct rights_desk *desk;
	struct nv_person_rights people[NV_RIGHTS_MAX];
	size_t len;
};

struct rights_desk {
	struct app *app;
	bool can_ask;
	struct known *known;
	struct person *asked;	/* of the question under way, in its order */
	struct person *waiting; /* for the next one */
	bool asking;
	uint64_t unanswered; /* nv_mono_ms of the last question without an answer; 0: none */
};

struct rights_desk *nv_rights_new(struct app *app)
{
	struct rights_desk *d = nv_alloc(sizeof *d);
	d->app = app;
	d->can_ask = nv_site_tells_rights(app->config);
	if (app->config->launch.secret && !d->can_ask)
		NV_LOG(NV_INFO, "rights.unasked",
		       NV_U("max_age", app->config->producer.rights_max_age),
		       NV_S("why", "no Moodle in section site: who came from Moodle comes through "
				   "it again after this time"));
	return d;
}

static void free_known(struct known *k)
{
	free(k->user);
	free(k);
}

void nv_rights_free(struct rights_desk *d)
{
	struct known *next;
	if (!d)
		return;
	for (struct known *k = d->known; k; k = next) {
		next = k->next;
		free_known(k);
	}
	free(d);
}

/* --- what is known --- */

static uint64_t max_age(const struct rights_desk *d)
{
	return d->app->config->producer.rights_max_age;
}

/* A time of another clock far ahead is no time: asking once more does no harm. */
static bool is_younger(uint64_t at, uint64_t age)
{
	uint64_t now = nv_now_ms();
	return at <= now + AHEAD_MS && at + age > now;
}

static struct known *find_known(const struct rights_desk *d, const char *user, uint64_t block)
{
	struct known *k = d->known;
	while (k && (k->block != block || strcmp(k->user, user) != 0))
		k = k->next;
	return k;
}

static void remember(struct rights_desk *d, const struct nv_person_rights *p)
{
	struct known *k = find_known(d, p->user, p->block);
	if (!k) {
		k = nv_alloc(sizeof *k);
		k->user = nv_strdup(p->user);
		k->block = p->block;
		k->next = d->known;
		d->known = k;
	}
	k->at = nv_now_ms();
	k->rights = (struct rights){.served = p->served,
				    .manage = p->manage,
				    .user_data = p->user_data,
				    .link = p->link};
}

static void forget_old(struct rights_desk *d)
{
	struct known **at = &d->known;
	while (*at) {
		struct known *k = *at;
		if (is_younger(k->at, UNANSWERED * max_age(d))) {
			at = &k->next;
		} else {
			*at = k->next;
			free_known(k);
		}
	}
}

/* Nobody answers: is what was known last good for some more time? */
static void tell_unanswered(const struct rights_desk *d, const struct waiter *w)
{
	w->cb(w->arg, is_younger(w->at, UNANSWERED * max_age(d)) ? &w->rights : NULL);
}

/* --- asking --- */

static void ask(struct rights_desk *d);

static int work(struct app *app, struct nv_job *job, void *arg, struct nv_err *err)
{
	struct question *q = arg;
	struct nv_site *site = nv_site_open(app->config, err);
	job->deadline = nv_mono_ms() + ANSWER_MS;
	int rc = site ? nv_site_rights(site, q->people, q->len, job, err) : -1;
	nv_site_close(site);
	return rc;
}

static void tell_person(const struct rights_desk *d, struct person *p, const struct rights *now)
{
	struct waiter *next;
	for (struct waiter *w = p->waiters; w; w = next) {
		next = w->next;
		if (now)
			w->cb(w->arg, now);
		else
			tell_unanswered(d, w);
		free(w);
	}
	free(p->user);
	free(p);
}

static void answered(void *arg, const struct nv_err *err)
{
	struct question *q = arg;
	struct rights_desk *d = q->desk;
	struct person *next, *first = d->asked;
	if (err)
		NV_LOG(NV_WARN, "rights.unanswered", NV_U("people", q->len), NV_E(err));
	d->unanswered = err ? nv_mono_ms() : 0;
	for (size_t i = 0; !err && i < q->len; i++)
		remember(d, &q->people[i]);
	d->asked = NULL;
	d->asking = false;
	for (struct person *p = first; p; p = next) {
		next = p->next;
		struct known *k = err ? NULL : find_known(d, p->user, p->block);
		struct rights now = k ? k->rights : (struct rights){0};
		tell_person(d, p, k ? &now : NULL);
	}
	free(q);
	forget_old(d);
	ask(d);
}

static void ask(struct rights_desk *d)
{
	if (d->asking || !d->waiting)
		return;
	struct question *q = nv_alloc(sizeof *q);
	struct person **end = &d->asked;
	q->desk = d;
	while (d->waiting && q->len < NV_RIGHTS_MAX) {
		struct person *p = d->waiting;
		d->waiting = p->next;
		p->next = NULL;
		*end = p;
		end = &p->next;
		q->people[q->len++] = (struct nv_person_rights){.user = p->user, .block = p->block};
	}
	d->asking = true;
	nv_blocking_jobs_run(d->app, BLOCKING_RIGHTS, &(struct blocking_job){work, answered, q});
}

static struct person *find_person(struct person *p, const char *user, uint64_t block)
{
	while (p && (p->block != block || strcmp(p->user, user) != 0))
		p = p->next;
	return p;
}

static void queue_up(struct rights_desk *d, const struct rights_question *q, const struct waiter *w)
{
	struct person *p = find_person(d->asked, q->user, q->block);
	if (!p)
		p = find_person(d->waiting, q->user, q->block);
	if (!p) {
		p = nv_alloc(sizeof *p);
		p->user = nv_strdup(q->user);
		p->block = q->block;
		p->next = d->waiting;
		d->waiting = p;
	}
	struct waiter *mine = nv_alloc(sizeof *mine);
	*mine = *w;
	mine->next = p->waiters;
	p->waiters = mine;
	ask(d);
}

void nv_rights_judge(struct app *app, const struct rights_question *q, rights_cb cb, void *arg)
{
	struct rights_desk *d = app->rights;
	const struct known *k = find_known(d, q->user, q->block);
	struct waiter w = {.rights = q->told, .at = q->at, .cb = cb, .arg = arg};
	if (k && k->at > q->at) {
		w.rights = k->rights;
		w.at = k->at;
	}
	if (is_younger(w.at, max_age(d)))
		cb(arg, &w.rights);
	else if (!d->can_ask)
		cb(arg, NULL);
	else if (d->unanswered && nv_mono_ms() - d->unanswered < AGAIN_MS)
		tell_unanswered(d, &w);
	else
		queue_up(d, q, &w);
}
