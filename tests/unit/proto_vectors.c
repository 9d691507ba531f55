/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Our side of proto_vectors.py.
 *
 *   proto_vectors seal KIND NAME SEEDFILE          an envelope of the full sample, to stdout
 *   proto_vectors open KIND NAME PUBLICKEY < FILE  verify; mid and the body's bytes, to stdout
 */
#include "proto/envelope.h"
#include "tests/unit/proto_samples.h"

static int report(const struct nv_err *err)
{
	fprintf(stderr, "%s: %s\n", nv_reason_word(err->reason), err->msg);
	return 1;
}

static int seal(enum nv_kind kind, const char *name, const char *path)
{
	nv_auto_arena struct nv_arena arena = {0};
	nv_auto_buf struct nv_buf out = {0};
	struct nv_identity me;
	union sample_any body;
	struct nv_err err = {0};

	if (nv_identity_load(path, nv_kind_info(kind)->signer, name, &me, &err))
		return report(&err);
	sample_fill(nv_kind_info(kind)->record, &body, &arena, SAMPLE_FULL);
	if (nv_envelope_seal(kind, &body, &me, 60000, &out, NULL, &err))
		return report(&err);
	return fwrite(out.data, 1, out.len, stdout) != out.len;
}

static int open_it(enum nv_kind kind, const char *name, const char *key)
{
	static uint8_t data[1 << 20];
	nv_auto_buf struct nv_buf out = {0};
	size_t len = fread(data, 1, sizeof data, stdin);
	struct nv_keyring ring = {0};
	struct nv_envelope e;
	struct nv_err err = {0};
	int result = -1;

	if (nv_keyring_add(&ring, nv_kind_info(kind)->signer, name, key, &err))
		return report(&err);
	result = nv_envelope_open(data, len, &ring, 1u << kind, nv_now_ms(), &e, &err);
	nv_keyring_fini(&ring);
	if (result)
		return report(&err);
	printf("%s\n", e.mid);
	result = nv_record_encode(nv_kind_info(kind)->record, &e.body, &out, &err);
	nv_envelope_fini(&e);
	if (result)
		return report(&err);
	return fwrite(out.data, 1, out.len, stdout) != out.len;
}

int main(int argc, char **argv)
{
	enum nv_kind kind = argc == 5 ? nv_kind_from(argv[2]) : NV_KIND_COUNT;

	if (kind == NV_KIND_COUNT)
		return 2;
	if (strcmp(argv[1], "seal") == 0)
		return seal(kind, argv[3], argv[4]);
	return open_it(kind, argv[3], argv[4]);
}
