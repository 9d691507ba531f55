/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The set of an archive's paths: open addressing, doubled at 70 %, with the kind of each, so that a
 * path that stands twice, or an entry below a file, is noticed. */
#include "core/archive/archive_internal.h"

#include <string.h>
#include <sys/random.h>

#include "base/fs.h"

enum kind { NAME_FREE, NAME_FILE, NAME_FOLDER, NAME_IMPLIED /* above an entry, not one itself */ };

struct slot {
	const char *path; /* in the arena; not NUL-terminated at len for shared ones */
	uint64_t hash;
	enum kind kind;
};

struct nv_path_set {
	struct slot *slots;
	size_t cap; /* a power of two */
	size_t len;
	uint64_t seed; /* so that colliding names cannot be chosen */
	struct nv_arena arena;
};

struct nv_path_set *nv_path_set_new(void)
{
	struct nv_path_set *n = nv_alloc(sizeof *n);
	n->cap = 256;
	n->slots = nv_alloc(n->cap * sizeof *n->slots);
	if (getrandom(&n->seed, sizeof n->seed, 0) != (ssize_t)sizeof n->seed)
		n->seed = (uint64_t)(uintptr_t)n;
	return n;
}

void nv_path_set_free(struct nv_path_set *n)
{
	if (!n)
		return;
	free(n->slots);
	nv_arena_fini(&n->arena);
	free(n);
}

/* FNV-1a with a seed, and a finishing mix for the low bits. */
static uint64_t hash_path(const struct nv_path_set *n, const char *path, size_t len)
{
	uint64_t h = 0xcbf29ce484222325u ^ n->seed;
	for (size_t i = 0; i < len; i++)
		h = (h ^ (uint8_t)path[i]) * 0x100000001b3u;
	h ^= h >> 33;
	h *= 0xff51afd7ed558ccdu;
	return h ^ (h >> 33);
}

static struct slot *find(const struct nv_path_set *n, const char *path, size_t len, uint64_t hash)
{
	for (size_t i = hash & (n->cap - 1);; i = (i + 1) & (n->cap - 1)) {
		struct slot *s = &n->slots[i];
		if (s->kind == NAME_FREE ||
		    (s->hash == hash && strncmp(s->path, path, len) == 0 && s->path[len] == '\0'))
			return s;
	}
}

static void grow(struct nv_path_set *n)
{
	struct slot *old = n->slots;
	size_t old_cap = n->cap;
	n->cap *= 2;
	n->slots = nv_alloc(n->cap * sizeof *n->slots);
	for (size_t i = 0; i < old_cap; i++) {
		if (old[i].kind == NAME_FREE)
			continue;
		size_t at = old[i].hash & (n->cap - 1);
		while (n->slots[at].kind != NAME_FREE)
			at = (at + 1) & (n->cap - 1);
		n->slots[at] = old[i];
	}
	free(old);
}

static enum kind put_in(struct nv_path_set *n, const char *path, size_t len, enum kind kind)
{
	if ((n->len + 1) * 10 > n->cap * 7)
		grow(n);
	uint64_t hash = hash_path(n, path, len);
	struct slot *s = find(n, path, len, hash);
	enum kind was = s->kind;
	if (was == NAME_FREE) {
		*s = (struct slot){nv_arena_strndup(&n->arena, path, len), hash, kind};
		n->len++;
	} else if (was == NAME_IMPLIED) {
		s->kind = kind;
	}
	return was;
}

int nv_path_set_add(struct nv_path_set *n, const char *path, bool folder, struct nv_err *err)
{
	if (!nv_path_is_safe(path))
		return nv_fail(err, NV_REJECT, NV_R_archive_unsafe,
			       "archive: the entry name \"%s\" is refused", path);
	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		size_t len = (size_t)(slash - path);
		uint64_t hash = hash_path(n, path, len);
		const struct slot *s = find(n, path, len, hash);
		if (s->kind == NAME_FILE)
			return nv_fail(err, NV_REJECT, NV_R_archive_unsafe,
				       "archive: the entry %s lies below a file", path);
		if (s->kind == NAME_FREE)
			put_in(n, path, len, NAME_IMPLIED);
	}
	enum kind was = put_in(n, path, strlen(path), folder ? NAME_FOLDER : NAME_FILE);
	if (was == NAME_FREE || (was == NAME_IMPLIED && folder))
		return 0;
	return nv_fail(err, NV_REJECT, NV_R_archive_unsafe, "archive: the entry %s stands twice",
		       path);
}
