/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The clocks of the course servers, compared with ours.
 *
 * Conclusions from messages: one signed later than it arrived proves that its server is ahead of us
 * by at least that much; an answer signed before its question was asked (the question's id has the
 * time) proves that its server is behind.  Messages cannot tell which of the two clocks is wrong.
 *
 * While a clock is wrong the course server is asked at each check, to notice the end.  It may have
 * several archivers on different machines, which answer in turn: so one right answer is not enough,
 * but a number of them without a wrong one in between.  Requests still held some checks later are
 * published again: they were signed by the wrong clock, and might have to wait for as long as it
 * was ahead. */
#include <string.h>

#include "base/log.h"
#include "core/status/admin.h"
#include "core/status/requests.h"
#include "producer/admin/clock.h"
#include "producer/app.h"
#include "producer/requests/catalog.h"
#include "producer/requests/sweep.h"

#define KEEP_MS 86400000u
#define LOOKS 3u
#define RIGHT_ANSWERS (2 * LOOKS) /* in a row, until a clock that was wrong counts as right */

struct clocks {
	struct app *app;
	uv_timer_t timer;
	struct clock {
		int64_t ahead;	/* ms; negative: behind */
		unsigned looks; /* until what is held is sent again; 0: nothing is */
		unsigned right; /* right answers in a row while it counts as wrong */
		bool doubted;	/* by the course server, since the last look */
	} * of;			/* each configured course server */
};

static int64_t magnitude(int64_t ms)
{
	return ms < 0 ? -ms : ms;
}

static const char *direction(int64_t ms)
{
	return ms < 0 ? "behind" : "ahead of";
}

/* The span in minutes where it has some. */
void nv_clock_words(char *ret, size_t size, const char *site, int64_t ahead_ms)
{
	int64_t s = magnitude(ahead_ms) / 1000;
	snprintf(ret, size,
		 "the clock of the course server \"%s\" is %lld %s %s ours: one of the two is "
		 "wrong",
		 site, (long long)(s < 120 ? s : s / 60), s < 120 ? "seconds" : "minutes",
		 direction(ahead_ms));
}

static void told(void *arg, const struct nv_err *err)
{
	(void)arg; /* the next message says it again */
	(void)err;
}

static void sent_again(void *arg, const struct nv_err *err, uint64_t requests)
{
	struct app *app = arg;
	if (err || !requests)
		return; /* their messages go on by themselves, later */
	NV_LOG(NV_INFO, "clock.sent_again", NV_U("requests", requests));
	if (app->sweep)
		nv_sweep_now(app->sweep);
}

static void change(struct clocks *c, size_t i, int64_t ahead)
{
	struct app *app = c->app;
	const char *site = app->config->sites[i].name;
	struct clock *clock = &c->of[i];
	bool was_wrong = magnitude(clock->ahead) >= NV_CLOCK_WARN_MS;
	bool is_wrong = magnitude(ahead) >= NV_CLOCK_WARN_MS;
	if (is_wrong)
		clock->right = 0;
	else if (was_wrong && ++clock->right < RIGHT_ANSWERS)
		return;
	nv_auto_free char *name = nv_asprintf("clock:%s", site);
	nv_auto_free char *value = nv_asprintf("%lld", (long long)ahead);
	if (is_wrong)
		clock->looks = 0;
	else if (magnitude(clock->ahead) > (int64_t)NV_CLOCK_SKEW_MS)
		clock->looks = LOOKS;
	clock->ahead = ahead;
	nv_metric_set(app->m.clock_skew, site, (double)ahead / 1000);
	if (is_wrong)
		nv_status_present(app->status, name, value, KEEP_MS, told, NULL);
	else if (was_wrong)
		nv_status_absent(app->status, name, told, NULL);
	if (is_wrong == was_wrong)
		return;
	char words[256];
	nv_clock_words(words, sizeof words, site, ahead);
	NV_LOG(is_wrong ? NV_WARN : NV_INFO, is_wrong ? "clock.wrong" : "clock.right",
	       NV_S("site", site), NV_D("ahead_s", (double)ahead / 1000),
	       NV_S("what", is_wrong ? words : NULL));
}

/* Ids run ahead of a clock that was set back: then they do not tell when the question was asked. */
static int64_t measure(const struct nv_envelope *answer, int64_t now)
{
	int64_t asked = (int64_t)nv_uuid_time(answer->body.catalog_reply.id);
	int64_t issued = (int64_t)answer->issued;
	if (issued > now)
		return issued - now;
	return issued < asked && asked <= now ? issued - asked : 0;
}

void nv_clock_heard(struct app *app, const struct nv_envelope *env, bool again)
{
	struct clocks *c = app->clocks;
	int64_t now = (int64_t)nv_now_ms(), issued = (int64_t)env->issued;
	for (size_t i = 0; c && i < app->config->sites_len; i++) {
		if (strcmp(app->config->sites[i].name, env->from) != 0)
			continue;
		if (env->kind == NV_KIND_CATALOG_REPLY) {
			change(c, i, measure(env, now));
		} else if (!again && issued - now > c->of[i].ahead &&
			   issued - now >= (int64_t)NV_CLOCK_WARN_MS) {
			change(c, i, issued - now);
		}
	}
}

void nv_clock_doubted(struct app *app, const char *site)
{
	struct clocks *c = app->clocks;
	for (size_t i = 0; c && i < app->config->sites_len; i++)
		if (strcmp(app->config->sites[i].name, site) == 0)
			c->of[i].doubted = true;
}

bool nv_clock_is_answer_fresh(const char *question)
{
	int64_t age = (int64_t)nv_now_ms() - (int64_t)nv_uuid_time(question);
	return magnitude(age) <= (int64_t)NV_CLOCK_SKEW_MS;
}

/* --- looking whether it is right again --- */

static void ask(struct app *app, const char *site)
{
	char id[NV_UUID_SIZE];
	nv_uuid_new(id);
	struct nv_catalog_request body = {
		.id = id, .user = (char[]){CATALOG_NOBODY}, .user_field = (char[]){"username"}};
	struct nv_send send = {.kind = NV_KIND_CATALOG_REQUEST,
			       .body = &body,
			       .to = nv_queue_catalog(site),
			       .ttl_ms = app->config->producer.catalog_timeout,
			       .drop_when_expired = true};
	nv_sender_send(&app->sender, &send, NULL, NULL);
}

static void tick(uv_timer_t *timer)
{
	struct clocks *c = timer->data;
	struct app *app = c->app;
	for (size_t i = 0; nv_bus_up(app->bus) && i < app->config->sites_len; i++) {
		const char *site = app->config->sites[i].name;
		bool is_wrong = magnitude(c->of[i].ahead) >= NV_CLOCK_WARN_MS;
		if (is_wrong || c->of[i].doubted)
			ask(app, site);
		c->of[i].doubted = false;
		if (!is_wrong && c->of[i].looks && !--c->of[i].looks)
			nv_status_republish_held(app->status, site, nv_reason_word(NV_R_clock),
						 sent_again, app);
	}
}

struct clocks *nv_clocks_new(struct app *app)
{
	struct clocks *c = nv_alloc(sizeof *c);
	uint64_t every = app->config->producer.sweep_after;
	c->app = app;
	c->of = nv_alloc((app->config->sites_len + 1) * sizeof *c->of);
	for (size_t i = 0; i < app->config->sites_len; i++)
		nv_metric_set(app->m.clock_skew, app->config->sites[i].name, 0);
	uv_timer_init(app->d->loop, &c->timer);
	c->timer.data = c;
	uv_timer_start(&c->timer, tick, every, every);
	return c;
}

static void timer_closed(uv_handle_t *handle)
{
	struct clocks *c = handle->data;
	free(c->of);
	free(c);
}

void nv_clocks_close(struct clocks *c)
{
	uv_close((uv_handle_t *)&c->timer, timer_closed);
}
