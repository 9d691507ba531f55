/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Finding a request's archives in the store, without an archive.ready. */
#include "core/archive/archive_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/id.h"

#define MANIFEST "manifest"
#define ATTEMPTS_MAX 10000u /* of one request, removed at once */

struct finding {
	const char *prefix; /* <site>/<client>/archives/<id>/ */
	char *attempt;
	uint64_t size; /* of the manifest */
};

/* <prefix><attempt>/<name>: the name, and the attempt; NULL: something else. */
static const char *attempt_of(const char *prefix, const char *key, char ret_attempt[NV_UUID_SIZE])
{
	const char *rest = key + strlen(prefix);
	if (strncmp(key, prefix, strlen(prefix)) != 0 || strlen(rest) <= NV_UUID_SIZE ||
	    rest[NV_UUID_SIZE - 1] != '/')
		return NULL;
	memcpy(ret_attempt, rest, NV_UUID_SIZE - 1);
	ret_attempt[NV_UUID_SIZE - 1] = '\0';
	return nv_uuid_valid(ret_attempt) ? rest + NV_UUID_SIZE : NULL;
}

/* Attempts are UUIDv7: the newest is the greatest. */
static int look_at(void *arg, const char *key, uint64_t size, uint64_t modified_ms)
{
	struct finding *f = arg;
	char attempt[NV_UUID_SIZE];
	const char *name = attempt_of(f->prefix, key, attempt);
	(void)modified_ms;
	if (!name || strcmp(name, MANIFEST) != 0 || strcmp(attempt, f->attempt) <= 0)
		return 0;
	memcpy(f->attempt, attempt, sizeof attempt);
	f->size = size;
	return 0;
}

int nv_archive_find(struct nv_store *store, const struct nv_archive_place *place,
		    char ret_attempt[NV_UUID_SIZE], uint64_t *ret_manifest_size, struct nv_err *err)
{
	nv_auto_free char *prefix =
		nv_asprintf("%s/%s/archives/%s/", place->site, place->client, place->id);
	struct finding f = {.prefix = prefix, .attempt = ret_attempt};
	ret_attempt[0] = '\0';
	if (nv_store_list(store, prefix, look_at, &f, err) < 0)
		return -1;
	*ret_manifest_size = f.size;
	if (ret_attempt[0])
		return 0;
	return nv_fail(err, NV_REJECT, NV_R_not_found,
		       "%s holds no complete archive of request %s (%s for %s); once a course is "
		       "restored, its archive is removed",
		       nv_store_describe(store), place->id, place->site, place->client);
}

/* --- all of a request's --- */

struct attempts {
	const char *prefix;
	char (*ids)[NV_UUID_SIZE];
	size_t len;
};

static int add_attempt(void *arg, const char *key, uint64_t size, uint64_t modified_ms)
{
	struct attempts *a = arg;
	char id[NV_UUID_SIZE];
	(void)size;
	(void)modified_ms;
	if (!attempt_of(a->prefix, key, id))
		return 0;
	if (a->len == ATTEMPTS_MAX)
		return 1;
	for (size_t i = 0; i < a->len; i++)
		if (strcmp(a->ids[i], id) == 0)
			return 0;
	a->ids = nv_realloc(a->ids, (a->len + 1) * sizeof *a->ids);
	memcpy(a->ids[a->len++], id, sizeof id);
	return 0;
}

int nv_archive_delete_all(struct nv_store *store, const struct nv_archive_place *place,
			  const struct nv_job *job, struct nv_err *err)
{
	nv_auto_free char *prefix =
		nv_asprintf("%s/%s/archives/%s/", place->site, place->client, place->id);
	struct attempts a = {.prefix = prefix};
	int rc = nv_job_check(job, err) < 0 ? -1
					    : nv_store_list(store, prefix, add_attempt, &a, err);
	for (size_t i = 0; i < a.len && rc == 0; i++) {
		struct nv_archive_place one = *place;
		one.attempt = a.ids[i];
		rc = nv_archive_delete(store, &one, err);
	}
	free(a.ids);
	return rc;
}

/* The course's short name as a file name: letters, digits, the rest as '-'. */
char *nv_archive_file_name(const struct nv_manifest *m)
{
	char *name =
		nv_asprintf("%.100s.mbz", m->shortname && *m->shortname ? m->shortname : m->id);
	for (unsigned char *p = (unsigned char *)name; *p; p++)
		if (*p < 0x80 && !strchr("._-", *p) && !(*p >= '0' && *p <= '9') &&
		    !(*p >= 'a' && *p <= 'z') && !(*p >= 'A' && *p <= 'Z'))
			*p = '-';
	if (*name == '.' || *name == '-')
		*name = '_';
	return name;
}
