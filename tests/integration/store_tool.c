/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A store of type s3, one call a run, for s3_test.py:
 *
 *   store_tool put KEY FILE [SHA256] | get KEY FILE | head KEY | delete KEY | list PREFIX | sweep
 *
 * What it is comes from the environment (S3_URL, S3_BUCKET …).  An error is one line "reason: text"
 * on standard error, and status 1. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/id.h"
#include "core/store/store.h"

static struct nv_config config(void)
{
	const char *by_host = getenv("S3_BY_HOST");
	const char *grace = getenv("S3_GRACE_MS");
	const char *transfers = getenv("S3_TRANSFERS");
	return (struct nv_config){
		.store = {.type = NV_STORE_S3,
			  .url = getenv("S3_URL"),
			  .bucket = getenv("S3_BUCKET"),
			  .region = getenv("S3_REGION"),
			  .prefix = getenv("S3_PREFIX"),
			  .user = getenv("S3_KEY"),
			  .password = getenv("S3_SECRET"),
			  .session_token = getenv("S3_TOKEN"),
			  .ca_file = getenv("S3_CA"),
			  .encryption = getenv("S3_ENCRYPTION"),
			  .transfers = transfers ? strtoull(transfers, NULL, 10) : 1,
			  .addressing = by_host ? NV_S3_BY_HOST : NV_S3_BY_PATH,
			  .connect_timeout = 5000,
			  .stall_timeout = 5000,
			  .grace = grace ? strtoull(grace, NULL, 10) : 3600000}};
}

static int put(struct nv_store *s, char **args, struct nv_err *err)
{
	uint8_t wanted[NV_SHA256_LEN];
	struct stat st;
	nv_auto_fd int fd = open(args[1], O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return nv_fail(err, NV_REJECT, NV_R_io, "%s cannot be read", args[1]);
	struct nv_source from = nv_source_fd(&fd);
	struct nv_expect expect = {.size = (uint64_t)st.st_size};
	if (*args[2] && nv_unhex(args[2], wanted, sizeof wanted) == 0)
		expect.sha256 = wanted;
	return nv_store_put(s, args[0], &expect, &from, NULL, NULL, err);
}

static int get(struct nv_store *s, char **args, struct nv_err *err)
{
	bool exists = false;
	struct nv_expect expect = {0};
	if (nv_store_head(s, args[0], &exists, &expect.size, err) < 0)
		return -1;
	return nv_store_get(s, args[0], &expect, &(struct nv_store_to){.path = args[1]}, err);
}

static int tell(void *arg, const char *key, uint64_t size, uint64_t modified_ms)
{
	(void)arg;
	printf("%s %" PRIu64 " %" PRIu64 "\n", key, size, modified_ms);
	return 0;
}

static int run(struct nv_store *s, char **args, struct nv_err *err)
{
	bool exists = false;
	uint64_t size = 0;
	if (strcmp(args[0], "put") == 0)
		return put(s, args + 1, err);
	if (strcmp(args[0], "get") == 0)
		return get(s, args + 1, err);
	if (strcmp(args[0], "delete") == 0)
		return nv_store_delete(s, args[1], err);
	if (strcmp(args[0], "list") == 0)
		return nv_store_list(s, args[1], tell, NULL, err);
	if (strcmp(args[0], "sweep") == 0)
		return nv_store_sweep(s, err);
	int rc = nv_store_head(s, args[1], &exists, &size, err);
	printf("%d %" PRIu64 "\n", exists, size);
	return rc;
}

int main(int argc, char **argv)
{
	struct nv_config c = config();
	struct nv_err err = {0};
	char none[1] = "";
	char *args[] = {none, none, none, none};
	for (int i = 1; i < argc && i <= 4; i++)
		args[i - 1] = argv[i];
	struct nv_store *s = nv_store_open(&c, &err);
	int rc = s ? run(s, args, &err) : -1;
	if (rc < 0)
		fprintf(stderr, "%s: %s\n", nv_reason_word(err.reason), err.msg);
	nv_store_close(s);
	return rc < 0 ? 1 : 0;
}
