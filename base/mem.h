/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Memory: allocation that ends the process on failure (a daemon that cannot allocate a few hundred
 * bytes cannot finish a job either; the broker gives its messages to another), an arena for decoded
 * messages, a growing byte buffer, and cleanup attributes for local values. */
#ifndef NV_MEM_H
#define NV_MEM_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void *nv_alloc(size_t size);		     /* zeroed; never NULL */
void *nv_alloc_block(size_t size);	     /* for data to be read into: not zeroed; never NULL */
void *nv_realloc(void *p, size_t size);	     /* never NULL */
char *nv_strdup(const char *s);		     /* NULL gives NULL */
char *nv_strndup(const char *s, size_t len); /* never NULL, NUL-terminated */
char *nv_asprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Arena: many small allocations freed at once. A zero-initialised one is empty. */
struct nv_arena {
	struct nv_arena_chunk *chunks;
};
void *nv_arena_alloc(struct nv_arena *a, size_t size); /* zeroed, 16-byte aligned, never NULL */
char *nv_arena_strndup(struct nv_arena *a, const char *s, size_t len);
char *nv_arena_strdup(struct nv_arena *a, const char *s); /* NULL gives NULL */
char *nv_arena_printf(struct nv_arena *a, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void nv_arena_fini(struct nv_arena *a);

/* Buffer: grows as needed; data[len] is always a NUL once anything was put in.
 * Zero-initialised is empty. */
struct nv_buf {
	uint8_t *data;
	size_t len;
	size_t cap;
	size_t max; /* of len, for nv_buf_take */
};
void nv_buf_put(struct nv_buf *b, const void *data, size_t len);
void nv_buf_puts(struct nv_buf *b, const char *s);
void nv_buf_printf(struct nv_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Appends all of it and returns true; or, if the buffer would exceed b->max bytes, appends nothing
 * and returns false. */
bool nv_buf_take(struct nv_buf *b, const void *data, size_t len);
/* nv_buf_take as libcurl's CURLOPT_WRITEFUNCTION; CURLOPT_WRITEDATA is the buffer.  An answer that
 * is too large ends the transfer with CURLE_WRITE_ERROR. */
size_t nv_buf_write_cb(char *data, size_t size, size_t count, void *buf);
void nv_buf_fini(struct nv_buf *b);

/* A borrowed run of bytes. */
struct nv_bytes {
	const uint8_t *data;
	size_t len;
};

static inline void nv_cleanup_free(void *p)
{
	free(*(void **)p);
}
static inline void nv_cleanup_fd(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}
static inline void nv_cleanup_file(FILE **f)
{
	if (*f)
		fclose(*f);
}
#define nv_auto_free __attribute__((cleanup(nv_cleanup_free)))
#define nv_auto_fd __attribute__((cleanup(nv_cleanup_fd)))
#define nv_auto_file __attribute__((cleanup(nv_cleanup_file)))
#define nv_auto_buf __attribute__((cleanup(nv_buf_fini)))
#define nv_auto_arena __attribute__((cleanup(nv_arena_fini)))

#define NV_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#endif
