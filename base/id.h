/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Ids (UUIDv7, RFC 9562), names, random tokens, and the clock. */
#ifndef NV_ID_H
#define NV_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NV_UUID_SIZE 37u  /* 36 characters and the NUL */
#define NV_TOKEN_SIZE 33u /* 128 random bits in lower-case hex and the NUL */
#define NV_NAME_MAX 32u	  /* characters of a client's or site's name */

/* A new UUIDv7: ordered by creation within a process; lower case. */
void nv_uuid_new(char ret[NV_UUID_SIZE]);
/* Exactly the 36-character lower-case form, version 7, RFC variant. */
bool nv_uuid_valid(const char *s);
/* The creation time in it, milliseconds since the epoch. */
uint64_t nv_uuid_time(const char *uuid);

/* From the kernel's random source. */
void nv_token_new(char ret[NV_TOKEN_SIZE]);

/* [a-z0-9][a-z0-9-]{0,31}: a valid name of a client or a site (it becomes part of queue names, user
 * names and paths). */
bool nv_name_valid(const char *s);

/* Milliseconds since the epoch, and of a monotonic clock. */
uint64_t nv_now_ms(void);
uint64_t nv_mono_ms(void);
uint64_t nv_boot_ms(void); /* monotonic, and goes on while the machine sleeps */
/* "2026-11-22T17:08:00.123Z"; ret holds 25 bytes. */
void nv_time_iso(uint64_t ms, char ret[25]);

/* A daily time window in a named time zone ("20:00-06:00", "Europe/Paris").  from == to: always
 * open. */
struct nv_window {
	bool set;	  /* false: always open */
	uint16_t from;	  /* minutes after midnight */
	uint16_t to;	  /* minutes after midnight, exclusive; < from: over midnight */
	const char *zone; /* borrowed; NULL: the process's own */
};
/* -1 when text is not HH:MM-HH:MM. */
int nv_window_parse(const char *text, struct nv_window *ret);
/* Is the window open now, and in how many milliseconds does that change? ret_change_ms may be NULL;
 * it is UINT64_MAX where the window is always open. */
bool nv_window_open(const struct nv_window *w, uint64_t now_ms, uint64_t *ret_change_ms);

#endif
