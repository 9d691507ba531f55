/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An archive that is being written into a directory store. */
#ifndef ARCHIVE_FIXTURE_H
#define ARCHIVE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/archive/archive.h"

extern const struct nv_archive_limits fixture_limits;

struct fixture {
	struct nv_store *store;
	struct nv_archive_place place;
	struct nv_archive_put *put;
	char dir[64];
	char root[80], work[80], there[80]; /* in it: the store, the archiver's and the worker's */
	char id[NV_UUID_SIZE], attempt[NV_UUID_SIZE];
	unsigned opened;
	uint8_t sha256[NV_SHA256_LEN];
	uint64_t manifest_size;
};

int fixture_setup(void **state);
int fixture_teardown(void **state);

/* A content of the pool, all of one letter, goes into the archive; its name among the fetched blobs
 * in ret. */
int fixture_feed(struct fixture *f, char letter, size_t len, char ret[128], struct nv_err *err);
int fixture_commit(struct fixture *f, struct nv_err *err);
/* Into there; of the whole archive. */
int fixture_fetch(struct fixture *f, const struct nv_fetch_help *help, struct nv_fetched *ret,
		  struct nv_err *err);

#endif
