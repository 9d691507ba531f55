/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/archive_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/hash.h"

#define THRESHOLD 65536u

const struct nv_archive_limits fixture_limits = {UINT64_MAX, 1000, 1000};

static void opened(void *arg)
{
	struct fixture *f = arg;
	f->opened++;
}

int fixture_setup(void **state)
{
	struct fixture *f = nv_alloc(sizeof *f);
	struct nv_err err = {0};
	nv_uuid_new(f->id);
	nv_uuid_new(f->attempt);
	(void)snprintf(f->dir, sizeof f->dir, "/tmp/navette-archive-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	(void)snprintf(f->root, sizeof f->root, "%s/store", f->dir);
	(void)snprintf(f->work, sizeof f->work, "%s/work", f->dir);
	(void)snprintf(f->there, sizeof f->there, "%s/there", f->dir);
	struct nv_config c = {.store = {.type = NV_STORE_DIRECTORY, .path = f->root}};
	f->place = (struct nv_archive_place){"lastyear", "campus", f->id, f->attempt};
	if (nv_mkdir_p(f->root, 0700, &err) < 0 || !(f->store = nv_store_open(&c, &err)) ||
	    !(f->put = nv_archive_put_new(f->store, &f->place, f->work, THRESHOLD, &fixture_limits,
					  NULL, NULL, &err)))
		fail_msg("%s", err.msg);
	nv_archive_put_tell(f->put, opened, f);
	*state = f;
	return 0;
}

int fixture_teardown(void **state)
{
	struct fixture *f = *state;
	struct nv_err err = {0};
	nv_archive_put_free(f->put); /* NULL: a test did */
	nv_store_close(f->store);
	nv_remove_tree(f->dir, &err);
	free(f);
	return 0;
}

int fixture_feed(struct fixture *f, char letter, size_t len, char ret[128], struct nv_err *err)
{
	nv_auto_free uint8_t *data = nv_alloc(len);
	uint8_t sha1[NV_SHA1_LEN];
	char hex[NV_SHA1_HEX];
	char path[64];
	memset(data, letter, len);
	struct nv_hash *h = nv_hash_new(NV_SHA1);
	nv_hash_update(h, data, len);
	nv_hash_final(h, sha1);
	nv_hash_free(h);
	nv_hex(sha1, sizeof sha1, hex);
	(void)snprintf(path, sizeof path, "files/%.2s/%s", hex, hex);
	(void)snprintf(ret, 128, "%s-%zu", hex, len);
	struct nv_entry entry = {.path = path, .size = len, .lasting = true};
	struct nv_bytes rest = {data, len};
	struct nv_source from = nv_source_bytes(&rest);
	struct nv_sink to = nv_archive_put_sink(f->put);
	return to.entry_cb(to.ctx, &entry, &from, err);
}

int fixture_commit(struct fixture *f, struct nv_err *err)
{
	struct nv_manifest about = {0};
	uint64_t size = 0;
	uint64_t entries = 0;
	return nv_archive_put_commit(f->put, &about, f->sha256, &f->manifest_size, &size, &entries,
				     err);
}

int fixture_fetch(struct fixture *f, const struct nv_fetch_help *help, struct nv_fetched *ret,
		  struct nv_err *err)
{
	return nv_archive_fetch(f->store, &f->place, f->sha256, f->manifest_size, &fixture_limits,
				f->there, help, NULL, ret, err);
}
