/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/daemon/seen_log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"

#define NONE UINT32_MAX

struct item {
	char key[NV_MEMO_KEY];
	uint64_t value;
	uint32_t next; /* in its bucket */
};

struct nv_seen_log {
	char *path;
	uint32_t capacity;
	uint32_t used;	 /* items in use */
	uint32_t oldest; /* the next to be overwritten, once all are in use */
	struct item *items;
	uint32_t *buckets; /* capacity of them: first item or NONE */
};

static uint32_t bucket_of(const struct nv_seen_log *m, const char *key)
{
	uint64_t h = 14695981039346656037u; /* FNV-1a, 64 bits */
	for (; *key; key++)
		h = (h ^ (unsigned char)*key) * 1099511628211u;
	return (uint32_t)(h % m->capacity);
}

static struct item *find(const struct nv_seen_log *m, const char *key)
{
	for (uint32_t i = m->buckets[bucket_of(m, key)]; i != NONE; i = m->items[i].next)
		if (strcmp(m->items[i].key, key) == 0)
			return &m->items[i];
	return NULL;
}

static void unlink_item(struct nv_seen_log *m, uint32_t index)
{
	uint32_t *at = &m->buckets[bucket_of(m, m->items[index].key)];
	while (*at != index)
		at = &m->items[*at].next;
	*at = m->items[index].next;
}

static void remember(struct nv_seen_log *m, const char *key, uint64_t value)
{
	struct item *known = find(m, key);
	if (known) {
		known->value = value;
		return;
	}
	uint32_t index = m->used;
	if (m->used < m->capacity) {
		m->used++;
	} else {
		index = m->oldest;
		m->oldest = (m->oldest + 1) % m->capacity;
		unlink_item(m, index);
	}
	struct item *it = &m->items[index];
	snprintf(it->key, sizeof it->key, "%s", key);
	it->value = value;
	uint32_t b = bucket_of(m, key);
	it->next = m->buckets[b];
	m->buckets[b] = index;
}

static void load(struct nv_seen_log *m, char *text)
{
	char *rest = text;
	for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
		char *blank = strchr(line, ' ');
		if (!blank || blank == line || blank - line >= (ptrdiff_t)NV_MEMO_KEY)
			continue; /* a line that a crash cut short */
		*blank = '\0';
		remember(m, line, strtoull(blank + 1, NULL, 10));
	}
}

/* Held while the file is read, written or replaced.  -1: this file system has no locks. */
static int lock_log(const struct nv_seen_log *m)
{
	nv_auto_free char *path = nv_asprintf("%s.lock", m->path);
	struct nv_err err = {0};
	int fd = -1;
	if (nv_lock_file(path, true, &fd, &err) < 0)
		NV_LOG(NV_WARN, "memo.unlocked", NV_E(&err));
	return fd;
}

static int compact(struct nv_seen_log *m, struct nv_err *err)
{
	nv_auto_buf struct nv_buf out = {0};
	for (uint32_t n = 0; n < m->used; n++) {
		const struct item *it = &m->items[(m->oldest + n) % m->used];
		nv_buf_printf(&out, "%s %" PRIu64 "\n", it->key, it->value);
	}
	return nv_write_file(m->path, out.len ? (const char *)out.data : "", out.len, 0600, err);
}

struct nv_seen_log *nv_seen_log_open(const char *path, size_t capacity, struct nv_err *err)
{
	struct nv_seen_log *m = nv_alloc(sizeof *m);
	m->path = nv_strdup(path);
	m->capacity = (uint32_t)capacity;
	m->items = nv_alloc(capacity * sizeof *m->items);
	m->buckets = nv_alloc(capacity * sizeof *m->buckets);
	memset(m->buckets, 0xff, capacity * sizeof *m->buckets);
	nv_auto_buf struct nv_buf text = {0};
	nv_auto_fd int lock = lock_log(m);
	int rc = access(path, F_OK) == 0 ? nv_read_file(path, 256u << 20, &text, err) : 0;
	if (rc == 0 && text.len)
		load(m, (char *)text.data);
	if (rc < 0 || compact(m, err) < 0) {
		nv_seen_log_close(m);
		return NULL;
	}
	(void)lock;
	return m;
}

void nv_seen_log_close(struct nv_seen_log *m)
{
	if (!m)
		return;
	free(m->path);
	free(m->items);
	free(m->buckets);
	free(m);
}

bool nv_seen_log_get(const struct nv_seen_log *m, const char *key, uint64_t *ret_value)
{
	const struct item *it = find(m, key);
	if (it && ret_value)
		*ret_value = it->value;
	return it != NULL;
}

bool nv_seen_log_is_empty(const struct nv_seen_log *m)
{
	return m->used == 0;
}

void nv_seen_log_each(const struct nv_seen_log *m,
		      void (*cb)(void *arg, const char *key, uint64_t value), void *arg)
{
	for (uint32_t n = 0; n < m->used; n++) {
		const struct item *it = &m->items[(m->oldest + n) % m->used];
		cb(arg, it->key, it->value);
	}
}

/* Opened each time: another process may have replaced the file. */
static int append(const struct nv_seen_log *m, const char *key, uint64_t value, struct nv_err *err)
{
	char line[NV_MEMO_KEY + 24];
	nv_auto_fd int lock = lock_log(m);
	nv_auto_fd int fd = open(m->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	(void)lock;
	if (fd < 0)
		return nv_fail_errno(err, errno, NV_RETRY, NV_R_io, "open");
	int len = snprintf(line, sizeof line, "%s %" PRIu64 "\n", key, value);
	return nv_write_all(fd, line, (size_t)len, err);
}

void nv_seen_log_put(struct nv_seen_log *m, const char *key, uint64_t value)
{
	struct nv_err err = {0};
	if (strlen(key) >= NV_MEMO_KEY)
		return;
	remember(m, key, value);
	if (append(m, key, value, &err) < 0)
		NV_LOG(NV_WARN, "memo.unwritten", NV_S("path", m->path), NV_E(&err));
}
