/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Write the seeds of corpus/envelope: each kind as a signed envelope and as a bare record. */
#include <stdlib.h>

#include "base/fs.h"
#include "fuzz_envelope.h"
#include "proto/envelope.h"
#include "tests/unit/proto_samples.h"

static int die(const struct nv_err *err)
{
	fprintf(stderr, "%s\n", err->msg);
	return 1;
}

static int put(const char *dir, const char *name, const char *what, const struct nv_buf *b,
	       struct nv_err *err)
{
	nv_auto_free char *path = nv_asprintf("%s/%s.%s", dir, name, what);

	return nv_write_file(path, b->data, b->len, 0644, err);
}

static int load(char signer, struct nv_identity *ret, struct nv_err *err)
{
	char path[] = "/tmp/navette-fuzz-XXXXXX";
	nv_auto_fd int fd = mkstemp(path);
	int result;

	if (fd < 0)
		return nv_fail(err, NV_FATAL, NV_R_io, "cannot create %s", path);
	result = nv_write_all(fd, FUZZ_SECRET, sizeof(FUZZ_SECRET) - 1, err);
	if (!result)
		result = nv_identity_load(path, signer, FUZZ_NAME, ret, err);
	unlink(path);
	return result;
}

static int put_kind(const char *dir, enum nv_kind kind, struct nv_err *err)
{
	const struct nv_kind_info *info = nv_kind_info(kind);
	const uint8_t open_byte = kind % 2 ? FUZZ_OPEN_NOW : FUZZ_OPEN;
	const uint8_t record_byte = (uint8_t)(FUZZ_RECORD + kind);
	nv_auto_arena struct nv_arena arena = {0};
	nv_auto_buf struct nv_buf sealed = {0};
	nv_auto_buf struct nv_buf bare = {0};
	struct nv_identity me;
	union sample_any body;

	if (load(info->signer, &me, err))
		return -1;
	sample_fill(info->record, &body, &arena, SAMPLE_FULL);
	nv_buf_put(&sealed, &open_byte, 1);
	nv_buf_put(&bare, &record_byte, 1);
	if (nv_envelope_seal(kind, &body, &me, UINT64_MAX, &sealed, NULL, err) ||
	    nv_record_encode(info->record, &body, &bare, err) ||
	    put(dir, info->word, "envelope", &sealed, err))
		return -1;
	return put(dir, info->word, "record", &bare, err);
}

int main(int argc, char **argv)
{
	struct nv_err err = {0};

	if (argc != 2) {
		fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
		return 2;
	}
	if (nv_mkdir_p(argv[1], 0755, &err))
		return die(&err);
	for (unsigned i = 0; i < NV_KIND_COUNT; i++) {
		if (put_kind(argv[1], (enum nv_kind)i, &err))
			return die(&err);
	}
	return 0;
}
