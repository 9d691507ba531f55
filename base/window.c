/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Daily time windows in a named zone.
 *
 * glibc converts times in another zone than the process's only by way of the environment variable
 * TZ, which belongs to all threads.  So a mutex is held around setenv, tzset and the conversions,
 * and TZ is restored before it is released.  A thread that converts local times or reads TZ without
 * that mutex would see the other zone; nothing in Navette does: logs and messages are UTC, and
 * local times are computed only here, about once a minute. */
#include "base/id.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"

#define DAY_MINUTES 1440
/* A window opens and closes at least once in two days, whatever the clocks are put to. */
#define SEARCH_MINUTES (3 * DAY_MINUTES)

static pthread_mutex_t zone_lock = PTHREAD_MUTEX_INITIALIZER;

static int parse_clock(const char *s, uint16_t *ret)
{
	int hours;
	int minutes;

	for (int i = 0; i < 5; i++)
		if (i == 2 ? s[i] != ':' : s[i] < '0' || s[i] > '9')
			return -1;
	hours = (s[0] - '0') * 10 + (s[1] - '0');
	minutes = (s[3] - '0') * 10 + (s[4] - '0');
	if (minutes > 59 || hours > 24 || (hours == 24 && minutes > 0))
		return -1;
	*ret = (uint16_t)(hours * 60 + minutes);
	return 0;
}

int nv_window_parse(const char *text, struct nv_window *ret)
{
	struct nv_window w = {.set = true};

	if (!text || strlen(text) != 11 || text[5] != '-')
		return -1;
	if (parse_clock(text, &w.from) < 0 || parse_clock(text + 6, &w.to) < 0)
		return -1;
	/* 24:00 is how people write the end of a day; as a beginning it is midnight. */
	if (w.from == DAY_MINUTES)
		w.from = 0;
	if (w.to == DAY_MINUTES)
		w.to = 0;
	if (strcmp(text, "00:00-24:00") == 0)
		w.to = 0;
	*ret = w;
	return 0;
}

static bool open_at_minute(const struct nv_window *w, int minute)
{
	if (w->from <= w->to)
		return minute >= w->from && minute < w->to;
	return minute >= w->from || minute < w->to;
}

/* The zone must be set. */
static bool open_at(const struct nv_window *w, time_t t)
{
	struct tm tm;

	localtime_r(&t, &tm);
	return open_at_minute(w, tm.tm_hour * 60 + tm.tm_min);
}

/* Steps by minutes and converts each time, which is right on days with a missing or repeated hour;
 * arithmetic on clock times is not. Offsets from UTC are whole minutes in all years that matter
 * here. */
static uint64_t next_change(const struct nv_window *w, uint64_t now_ms, bool open)
{
	time_t start = (time_t)(now_ms / 60000) * 60;

	for (int i = 1; i <= SEARCH_MINUTES; i++) {
		time_t t = start + (time_t)i * 60;

		if (open_at(w, t) != open)
			return (uint64_t)t * 1000 - now_ms;
	}
	return UINT64_MAX;
}

bool nv_window_open(const struct nv_window *w, uint64_t now_ms, uint64_t *ret_change_ms)
{
	nv_auto_free char *before = NULL;
	bool open;

	if (ret_change_ms)
		*ret_change_ms = UINT64_MAX;
	if (!w->set || w->from == w->to)
		return true;
	pthread_mutex_lock(&zone_lock);
	if (w->zone) {
		before = nv_strdup(getenv("TZ"));
		setenv("TZ", w->zone, 1);
	}
	tzset();
	open = open_at(w, (time_t)(now_ms / 1000));
	if (ret_change_ms)
		*ret_change_ms = next_change(w, now_ms, open);
	if (w->zone) {
		if (before)
			setenv("TZ", before, 1);
		else
			unsetenv("TZ");
		tzset();
	}
	pthread_mutex_unlock(&zone_lock);
	return open;
}
