/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An archive's way into a store and out of it, as archiver and worker go it, for transfer.py:
 *
 *   transfer_tool put FOLDER WORK_DIR       files named by their SHA-1, as in a Moodle's pool
 *   transfer_tool fetch FOLDER WORK_DIR     what `put` printed on standard input
 *
 * The store is described by the environment (STORE_TYPE, STORE_URL …). */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/thread_pool.h"
#include "core/archive/archive.h"

static const struct nv_archive_limits limits = {UINT64_MAX, UINT64_MAX, UINT64_MAX};

static struct nv_config config(void)
{
	static const char *const types[] = {"directory", "webdav", "s3"};
	const char *type = getenv("STORE_TYPE");
	const char *transfers = getenv("STORE_TRANSFERS");
	struct nv_config c = {
		.store = {.path = getenv("STORE_PATH"),
			  .url = getenv("STORE_URL"),
			  .bucket = getenv("STORE_BUCKET"),
			  .region = "us-east-1",
			  .user = getenv("STORE_USER"),
			  .password = getenv("STORE_PASSWORD"),
			  .connect_timeout = 5000,
			  .stall_timeout = 60000,
			  .grace = 3600000,
			  .transfers = transfers ? strtoull(transfers, NULL, 10) : 4}};
	for (unsigned i = 0; type && i < NV_ARRAY_LEN(types); i++)
		if (strcmp(types[i], type) == 0)
			c.store.type = i;
	return c;
}

struct pool {
	const char *folder;
	char **names;
	size_t len;
	const struct nv_sink *to;
	bool large; /* this time those that become objects */
};

static int feed(void *ctx, size_t i, struct nv_err *err)
{
	const struct pool *p = ctx;
	nv_auto_free char *from = nv_asprintf("%s/%s", p->folder, p->names[i]);
	nv_auto_free char *path = nv_asprintf("files/%.2s/%s", p->names[i], p->names[i]);
	struct stat st;
	nv_auto_fd int fd = open(from, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return nv_fail(err, NV_REJECT, NV_R_io, "%s cannot be read", from);
	if ((st.st_size >= 65536) != p->large)
		return 0;
	struct nv_entry entry = {.path = path, .size = (uint64_t)st.st_size, .lasting = true};
	struct nv_source source = nv_source_fd(&fd);
	return p->to->entry_cb(p->to->ctx, &entry, &source, err);
}

static void list(struct pool *p)
{
	DIR *dir = opendir(p->folder);
	for (struct dirent *e; dir && (e = readdir(dir));) {
		if (*e->d_name == '.')
			continue;
		p->names = nv_realloc(p->names, (p->len + 1) * sizeof *p->names);
		p->names[p->len++] = nv_strdup(e->d_name);
	}
	if (dir)
		closedir(dir);
}

static int put(struct nv_store *s, const char *folder, const char *work, struct nv_err *err)
{
	char id[NV_UUID_SIZE];
	char attempt[NV_UUID_SIZE];
	char hex[NV_SHA256_HEX];
	uint8_t sha256[NV_SHA256_LEN];
	uint64_t size = 0;
	uint64_t bytes = 0;
	uint64_t entries = 0;
	struct nv_manifest about = {0};
	nv_uuid_new(id);
	nv_uuid_new(attempt);
	struct nv_archive_place place = {"bench", "bench", id, attempt};
	struct nv_archive_put *a =
		nv_archive_put_new(s, &place, work, 65536, &limits, NULL, NULL, err);
	if (!a)
		return -1;
	struct nv_sink to = nv_archive_put_sink(a);
	struct pool p = {.folder = folder, .to = &to};
	list(&p);
	int rc = nv_parallel(1, p.len, feed, &p, err);
	p.large = true;
	if (rc == 0)
		rc = nv_parallel(to.threads, p.len, feed, &p, err);
	if (rc == 0)
		rc = nv_archive_put_commit(a, &about, sha256, &size, &bytes, &entries, err);
	nv_archive_put_free(a);
	nv_hex(sha256, sizeof sha256, hex);
	if (rc == 0)
		printf("%s %s %s %" PRIu64 "\n", id, attempt, hex, size);
	while (p.len)
		free(p.names[--p.len]);
	free(p.names);
	return rc;
}

static int fetch(struct nv_store *s, const char *folder, struct nv_err *err)
{
	char line[256] = "";
	char *words[4] = {0};
	uint8_t sha256[NV_SHA256_LEN];
	struct nv_fetched fetched;
	char *rest = fgets(line, sizeof line, stdin);
	for (unsigned n = 0; n < 4; n++)
		words[n] = rest ? strsep(&rest, " \n") : NULL;
	if (!words[3] || nv_unhex(words[2], sha256, sizeof sha256) < 0)
		return nv_fail(err, NV_REJECT, NV_R_io, "what put printed is expected");
	uint64_t size = strtoull(words[3], NULL, 10);
	struct nv_archive_place place = {"bench", "bench", words[0], words[1]};
	int rc = nv_archive_fetch(s, &place, sha256, size, &limits, folder, NULL, NULL, &fetched,
				  err);
	if (rc == 0)
		nv_fetched_fini(&fetched);
	return rc;
}

int main(int argc, char **argv)
{
	struct nv_config c = config();
	struct nv_err err = {0};
	if (argc < 4) {
		fprintf(stderr, "usage: transfer_tool put|fetch FOLDER WORK_DIR\n");
		return 2;
	}
	struct nv_store *s = nv_store_open(&c, &err);
	int rc = -1;
	if (s)
		rc = strcmp(argv[1], "put") == 0 ? put(s, argv[2], argv[3], &err)
						 : fetch(s, argv[2], &err);
	if (rc < 0)
		fprintf(stderr, "%s\n", err.msg);
	nv_store_close(s);
	return rc < 0 ? 1 : 0;
}
