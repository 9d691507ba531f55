/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Memory: see the header for why allocation never fails here. */
#include "base/mem.h"

#include <string.h>

#define CHUNK_SIZE 4096u
#define ALIGNMENT 16u

/* Must not allocate itself: reports the failure and ends the process. */
__attribute__((noreturn)) static void out_of_memory(void)
{
	static const char text[] = "navette: out of memory\n";

	(void)!write(STDERR_FILENO, text, sizeof text - 1);
	abort();
}

void *nv_alloc(size_t size)
{
	void *p = calloc(1, size ? size : 1);

	if (!p)
		out_of_memory();
	return p;
}

/* Reading a small file touches only few pages of a block. */
void *nv_alloc_block(size_t size)
{
	return nv_realloc(NULL, size);
}

void *nv_realloc(void *p, size_t size)
{
	void *q = realloc(p, size ? size : 1);

	if (!q)
		out_of_memory();
	return q;
}

char *nv_strdup(const char *s)
{
	return s ? nv_strndup(s, strlen(s)) : NULL;
}

char *nv_strndup(const char *s, size_t len)
{
	char *p;

	if (len == SIZE_MAX)
		out_of_memory();
	p = nv_alloc(len + 1);
	if (len)
		memcpy(p, s, len);
	return p;
}

/* vasprintf, but a failure (no memory, or a value that cannot be printed) ends the process. */
static char *print_new(size_t *ret_len, const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0)));
static char *print_new(size_t *ret_len, const char *fmt, va_list ap)
{
	char *p = NULL;
	int len = vasprintf(&p, fmt, ap);

	if (len < 0 || !p)
		out_of_memory();
	*ret_len = (size_t)len;
	return p;
}

char *nv_asprintf(const char *fmt, ...)
{
	va_list ap;
	size_t len;
	char *p;

	va_start(ap, fmt);
	p = print_new(&len, fmt, ap);
	va_end(ap);
	return p;
}

struct nv_arena_chunk {
	struct nv_arena_chunk *next;
	size_t used;
	size_t size;
	_Alignas(16) uint8_t data[];
};

void *nv_arena_alloc(struct nv_arena *a, size_t size)
{
	struct nv_arena_chunk *c = a->chunks;
	void *p;

	if (size > SIZE_MAX - ALIGNMENT - sizeof *c)
		out_of_memory();
	size = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
	if (!size)
		size = ALIGNMENT;
	if (!c || c->size - c->used < size) {
		size_t room = size > CHUNK_SIZE / 4 ? size : CHUNK_SIZE - sizeof *c;
		struct nv_arena_chunk *fresh = nv_alloc(sizeof *c + room);

		fresh->size = room;
		if (c && room == size) { /* big: inserted after the chunk that still has room */
			fresh->next = c->next;
			c->next = fresh;
		} else {
			fresh->next = c;
			a->chunks = fresh;
		}
		c = fresh;
	}
	p = c->data + c->used;
	c->used += size;
	return p;
}

char *nv_arena_strndup(struct nv_arena *a, const char *s, size_t len)
{
	char *p;

	if (len == SIZE_MAX)
		out_of_memory();
	p = nv_arena_alloc(a, len + 1);
	if (len)
		memcpy(p, s, len);
	return p;
}

char *nv_arena_strdup(struct nv_arena *a, const char *s)
{
	return s ? nv_arena_strndup(a, s, strlen(s)) : NULL;
}

char *nv_arena_printf(struct nv_arena *a, const char *fmt, ...)
{
	nv_auto_free char *text = NULL;
	va_list ap;
	size_t len;

	va_start(ap, fmt);
	text = print_new(&len, fmt, ap);
	va_end(ap);
	return nv_arena_strndup(a, text, len);
}

void nv_arena_fini(struct nv_arena *a)
{
	while (a->chunks) {
		struct nv_arena_chunk *c = a->chunks;

		a->chunks = c->next;
		free(c);
	}
}

/* Room for len more bytes and the NUL. */
static void reserve(struct nv_buf *b, size_t len)
{
	size_t want;
	size_t cap = b->cap ? b->cap : 64;

	if (len >= SIZE_MAX / 2 - b->len)
		out_of_memory();
	want = b->len + len + 1;
	if (want <= b->cap)
		return;
	while (cap < want)
		cap *= 2;
	b->data = nv_realloc(b->data, cap);
	b->cap = cap;
}

void nv_buf_put(struct nv_buf *b, const void *data, size_t len)
{
	reserve(b, len);
	if (len)
		memcpy(b->data + b->len, data, len);
	b->len += len;
	b->data[b->len] = 0;
}

void nv_buf_puts(struct nv_buf *b, const char *s)
{
	nv_buf_put(b, s, strlen(s));
}

void nv_buf_printf(struct nv_buf *b, const char *fmt, ...)
{
	nv_auto_free char *text = NULL;
	va_list ap;
	size_t len;

	va_start(ap, fmt);
	text = print_new(&len, fmt, ap);
	va_end(ap);
	nv_buf_put(b, text, len);
}

bool nv_buf_take(struct nv_buf *b, const void *data, size_t len)
{
	if (b->len > b->max || len > b->max - b->len)
		return false;
	nv_buf_put(b, data, len);
	return true;
}

size_t nv_buf_write_cb(char *data, size_t size, size_t count, void *buf)
{
	return nv_buf_take(buf, data, size * count) ? size * count : 0;
}

void nv_buf_fini(struct nv_buf *b)
{
	free(b->data);
	*b = (struct nv_buf){0};
}
