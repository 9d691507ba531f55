/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Ids, names, random tokens, and the clock. */
#include "base/id.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/hash.h"

/* Unpredictable bytes; without them ids and tokens would be worthless, so the process ends. */
static void random_bytes(uint8_t *ret, size_t len)
{
	while (len > 0) {
		ssize_t n = getrandom(ret, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			(void)fprintf(stderr, "navette: no random source\n");
			abort();
		}
		ret += n;
		len -= (size_t)n;
	}
}

/* The 60 ordering bits of the last id: 48 of milliseconds, 12 of a counter within the millisecond
 * (RFC 9562, section 6.2, method 1).  A clock set back, or more than 4096 ids in a millisecond,
 * makes the time part run ahead of the clock, so that the order is kept. */
static uint64_t next_order(void)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static uint64_t last;
	uint8_t seed[2];
	uint64_t order;

	random_bytes(seed, sizeof seed);
	order = nv_now_ms() << 12 | (uint64_t)(seed[0] & 7) << 8 | seed[1];
	pthread_mutex_lock(&lock);
	if (order >> 12 <= last >> 12)
		order = last + 1;
	last = order;
	pthread_mutex_unlock(&lock);
	return order;
}

void nv_uuid_new(char ret[NV_UUID_SIZE])
{
	uint64_t order = next_order();
	uint64_t ms = order >> 12;
	uint8_t b[16];
	char hex[33];

	random_bytes(b + 8, 8);
	for (int i = 0; i < 6; i++)
		b[i] = (uint8_t)(ms >> (40 - 8 * i));
	b[6] = (uint8_t)(0x70 | (order >> 8 & 0x0f));
	b[7] = (uint8_t)order;
	b[8] = (uint8_t)(0x80 | (b[8] & 0x3f));
	nv_hex(b, sizeof b, hex);
	(void)snprintf(ret, NV_UUID_SIZE, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12,
		       hex + 16, hex + 20);
}

bool nv_uuid_valid(const char *s)
{
	if (!s || strnlen(s, NV_UUID_SIZE) != NV_UUID_SIZE - 1)
		return false;
	for (size_t i = 0; i < NV_UUID_SIZE - 1; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? s[i] != '-' : !strchr("0123456789abcdef", s[i]))
			return false;
	}
	return s[14] == '7' && strchr("89ab", s[19]);
}

uint64_t nv_uuid_time(const char *uuid)
{
	char hex[13];

	if (!nv_uuid_valid(uuid))
		return 0;
	(void)snprintf(hex, sizeof hex, "%.8s%.4s", uuid, uuid + 9);
	return strtoull(hex, NULL, 16);
}

void nv_token_new(char ret[NV_TOKEN_SIZE])
{
	uint8_t b[16];

	random_bytes(b, sizeof b);
	nv_hex(b, sizeof b, ret);
}

bool nv_name_valid(const char *s)
{
	size_t len = s ? strnlen(s, NV_NAME_MAX + 1) : 0;

	if (len == 0 || len > NV_NAME_MAX || s[0] == '-')
		return false;
	return strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}

static uint64_t clock_ms(clockid_t which)
{
	struct timespec ts;

	if (clock_gettime(which, &ts) != 0)
		abort();
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

#ifdef NAVETTE_FAULTS
/* Tests shift the clock of one process: the file that NAVETTE_FAULT_CLOCK names holds the
 * milliseconds to add, and may change at any time. */
static int64_t set_wrong(void)
{
	const char *path = getenv("NAVETTE_FAULT_CLOCK");
	FILE *f = path ? fopen(path, "re") : NULL;
	char text[32] = "";

	if (!f)
		return 0;
	if (!fgets(text, sizeof text, f))
		text[0] = 0;
	fclose(f);
	return strtoll(text, NULL, 10);
}
#else
#define set_wrong() 0
#endif

uint64_t nv_now_ms(void)
{
	return clock_ms(CLOCK_REALTIME) + (uint64_t)set_wrong();
}

uint64_t nv_mono_ms(void)
{
	return clock_ms(CLOCK_MONOTONIC);
}

uint64_t nv_boot_ms(void)
{
	return clock_ms(CLOCK_BOOTTIME);
}

void nv_time_iso(uint64_t ms, char ret[25])
{
	const uint64_t last = 253402300799999; /* 9999-12-31T23:59:59.999Z */
	char text[64];
	struct tm tm;
	time_t t;

	if (ms > last)
		ms = last;
	t = (time_t)(ms / 1000);
	gmtime_r(&t, &tm);
	(void)snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900,
		       tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
		       (int)(ms % 1000));
	memcpy(ret, text, 24);
	ret[24] = '\0';
}
