/* SPDX-License-Identifier: GPL-3.0-or-later */
/* cli_archive CONFIG FILE.mbz SITE CLIENT ID ATTEMPT WORK-DIR: puts a course archive into the
 * store, as an archiver does, for the test of navette mbz. */
#include <stdio.h>

#include "core/archive/archive.h"

static int put(struct nv_store *store, char **argv, struct nv_err *err)
{
	const struct nv_archive_limits limits = {1ull << 40, 1000000, 100000};
	const struct nv_archive_place place = {argv[3], argv[4], argv[5], argv[6]};
	char shortname[] = "A/B \"1\"";
	char fullname[] = "A test";
	struct nv_manifest about = {.shortname = shortname, .fullname = fullname};
	uint8_t sha256[NV_SHA256_LEN];
	uint64_t manifest_size, size, entries;
	struct nv_archive_put *p =
		nv_archive_put_new(store, &place, argv[7], 4096, &limits, NULL, NULL, err);
	if (!p)
		return -1;
	struct nv_sink to = nv_archive_put_sink(p);
	int rc = nv_mbz_read(argv[2], &limits, &to, NULL, err);
	if (rc == 0)
		rc = nv_archive_put_commit(p, &about, sha256, &manifest_size, &size, &entries, err);
	nv_archive_put_free(p);
	return rc;
}

int main(int argc, char **argv)
{
	nv_auto_buf struct nv_buf mistakes = {0};
	struct nv_err err = {0};
	if (argc != 8)
		return 2;
	struct nv_config *config = nv_config_load(argv[1], NV_ROLE_CLI, &mistakes);
	struct nv_store *store = config ? nv_store_open(config, &err) : NULL;
	int rc = store ? put(store, argv, &err) : -1;
	if (rc < 0)
		fprintf(stderr, "cli_archive: %s%s\n", err.msg,
			mistakes.data ? (const char *)mistakes.data : "");
	nv_store_close(store);
	nv_config_free(config);
	return rc < 0;
}
