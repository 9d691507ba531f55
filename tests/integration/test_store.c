/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The staging store: what every backend guarantees, run against each of them.  The WebDAV backends
 * are real servers: nginx, Apache and rclone (with_dav). */
#include "tests/integration/test_store.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"

char *test_dir;

/* --- patterns --- */

/* Of seed 0; bad_store.py knows it too. */
static uint8_t pattern_byte(uint64_t i)
{
	return (uint8_t)(i * 31 + i / 251);
}

static ssize_t pattern_read(void *ctx, void *buf, size_t len, struct nv_err *err)
{
	struct pattern *p = ctx;
	uint8_t *out = buf;
	(void)err;
	if (len > p->size - p->pos)
		len = (size_t)(p->size - p->pos);
	if (len > 70001)
		len = 70001; /* short reads are allowed */
	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)(pattern_byte(p->pos + i) + p->seed);
	p->pos += len;
	if (p->pos >= p->size / 2) {
		if (p->cancel)
			atomic_store(&p->cancel->cancelled, true);
		if (p->half_cb)
			p->half_cb();
		p->half_cb = NULL;
	}
	return (ssize_t)len;
}

struct nv_source pattern_source(struct pattern *p)
{
	return (struct nv_source){.read_cb = pattern_read, .ctx = p};
}

void pattern_digests(uint64_t size, uint64_t seed, uint8_t sha1[NV_SHA1_LEN],
		     uint8_t sha256[NV_SHA256_LEN])
{
	struct pattern p = {.size = size, .seed = seed};
	struct nv_hash *h1 = nv_hash_new(NV_SHA1);
	struct nv_hash *h256 = nv_hash_new(NV_SHA256);
	uint8_t buf[4096];
	ssize_t n;
	while ((n = pattern_read(&p, buf, sizeof buf, NULL)) > 0) {
		nv_hash_update(h1, buf, (size_t)n);
		nv_hash_update(h256, buf, (size_t)n);
	}
	nv_hash_final(h1, sha1);
	nv_hash_final(h256, sha256);
	nv_hash_free(h1);
	nv_hash_free(h256);
}

bool pattern_is_file(const char *path, uint64_t size, uint64_t seed)
{
	nv_auto_buf struct nv_buf buf = {0};
	struct nv_err err = {0};
	if (nv_read_file(path, 64u << 20, &buf, &err) < 0 || buf.len != size)
		return false;
	for (size_t i = 0; i < buf.len; i++)
		if (buf.data[i] != (uint8_t)(pattern_byte(i) + seed))
			return false;
	return true;
}

void pattern_to_file(const char *path, uint64_t len, uint64_t seed)
{
	nv_auto_free uint8_t *data = nv_alloc(len + 1);
	for (uint64_t i = 0; i < len; i++)
		data[i] = (uint8_t)(pattern_byte(i) + seed);
	struct nv_err err = {0};
	assert_int_equal(nv_write_file(path, data, len, 0600, &err), 0);
}

struct nv_store *open_or_fail(const struct nv_config *config)
{
	struct nv_err err = {0};
	struct nv_store *s = nv_store_open(config, &err);
	if (!s)
		fail_msg("%s", err.msg);
	return s;
}

void put_pattern(struct nv_store *s, const char *key, uint64_t size, uint64_t seed)
{
	uint8_t sha1[NV_SHA1_LEN];
	uint8_t sha256[NV_SHA256_LEN];
	uint8_t told[NV_SHA256_LEN];
	struct pattern p = {.size = size, .seed = seed};
	struct nv_source from = pattern_source(&p);
	struct nv_err err = {0};
	pattern_digests(size, seed, sha1, sha256);
	struct nv_expect expect = {.size = size, .sha1 = sha1, .sha256 = sha256};
	if (nv_store_put(s, key, &expect, &from, NULL, told, &err) < 0)
		fail_msg("%s", err.msg);
	assert_memory_equal(told, sha256, sizeof told);
}

/* --- the backends --- */

struct backend {
	const char *name;
	const char *env; /* the address; NULL: directory */
	/* Golang's WebDAV, which rclone serves, keeps what it has of a PUT that broke off: whoever
	 * asks for an object's size or content notices. */
	bool keeps_parts;
	char *folder; /* of its objects */
};
static struct backend backends[] = {
	{.name = "directory"},
	{.name = "plain", .env = "NAVETTE_DAV_PLAIN"},
	{.name = "mkcol", .env = "NAVETTE_DAV_MKCOL"},
	{.name = "tls", .env = "NAVETTE_DAV_TLS"},
	{.name = "mtls", .env = "NAVETTE_DAV_MTLS"},
	{.name = "nginx-ext", .env = "NAVETTE_DAV_EXT"},
	{.name = "apache", .env = "NAVETTE_DAV_APACHE"},
	{.name = "rclone", .env = "NAVETTE_DAV_RCLONE", .keeps_parts = true},
	{.name = "s3", .env = "NAVETTE_S3"},
};

static struct nv_config config_of(const struct backend *b)
{
	struct nv_config c = {0};
	c.store.connect_timeout = 5000;
	c.store.stall_timeout = 5000;
	if (!b->env) {
		c.store.type = NV_STORE_DIRECTORY;
		c.store.path = b->folder;
		return c;
	}
	c.store.url = getenv(b->env);
	if (strcmp(b->name, "s3") == 0) {
		c.store.type = NV_STORE_S3;
		c.store.bucket = getenv("NAVETTE_S3_BUCKET");
		c.store.region = getenv("NAVETTE_S3_REGION");
		c.store.prefix = "navette/tests";
		c.store.user = getenv("NAVETTE_S3_KEY");
		c.store.password = getenv("NAVETTE_S3_SECRET");
		return c;
	}
	c.store.type = NV_STORE_WEBDAV;
	c.store.ca_file = getenv("NAVETTE_DAV_CA");
	if (strcmp(b->name, "tls") == 0) {
		c.store.user = getenv("NAVETTE_DAV_USER");
		c.store.password = getenv("NAVETTE_DAV_PASSWORD");
	}
	if (strcmp(b->name, "mtls") == 0) {
		c.store.cert_file = getenv("NAVETTE_DAV_CERT");
		c.store.cert_key_file = getenv("NAVETTE_DAV_KEY");
	}
	return c;
}

/* The test's own store; NULL after skip(). */
static struct nv_store *store_of(void **state)
{
	const struct backend *b = *state;
	if (b->env && !getenv(b->env)) {
		print_message("SKIPPED: %s needs a server, see with_dav, with_s3\n", b->name);
		skip();
	}
	struct nv_config c = config_of(b);
	return open_or_fail(&c);
}

static char *local_path(const char *name)
{
	return nv_asprintf("%s/%s", test_dir, name);
}

/* --- what every backend guarantees --- */

static void put_then_get_gives_the_same_bytes(void **state)
{
	struct nv_store *s = store_of(state);
	const struct backend *b = *state;
	const uint64_t sizes[] = {0, 1, 65536, 100000, 3u * 1024 * 1024 + 17, 20971520};
	size_t len = b->env ? NV_ARRAY_LEN(sizes) - 1 : NV_ARRAY_LEN(sizes);
	for (size_t i = 0; i < len; i++) {
		uint8_t sha1[NV_SHA1_LEN];
		uint8_t sha256[NV_SHA256_LEN];
		struct nv_err err = {0};
		nv_auto_free char *key =
			nv_asprintf("site/client/same/%zu/obj-%zu", i, (size_t)sizes[i]);
		nv_auto_free char *path = local_path("same");
		put_pattern(s, key, sizes[i], 1);
		bool exists = false;
		uint64_t size = 0;
		if (nv_store_head(s, key, &exists, &size, &err) < 0)
			fail_msg("%s", err.msg);
		assert_true(exists);
		assert_int_equal(size, sizes[i]);
		pattern_digests(sizes[i], 1, sha1, sha256);
		struct nv_expect expect = {.size = sizes[i], .sha1 = sha1, .sha256 = sha256};
		if (nv_store_get(s, key, &expect, &(struct nv_store_to){.path = path}, &err) < 0)
			fail_msg("%s", err.msg);
		assert_true(pattern_is_file(path, sizes[i], 1));
		assert_int_equal(nv_store_delete(s, key, &err), 0);
		assert_int_equal(nv_store_head(s, key, &exists, &size, &err), 0);
		assert_false(exists);
	}
	nv_store_close(s);
}

static void a_missing_object_is_said_to_be_missing(void **state)
{
	struct nv_store *s = store_of(state);
	struct nv_err err = {0};
	nv_auto_free char *path = local_path("missing");
	bool exists = true;
	uint64_t size = 1;
	const uint64_t sizes[] = {0, 5};
	assert_int_equal(nv_store_head(s, "no/such/object", &exists, &size, &err), 0);
	assert_false(exists);
	for (size_t i = 0; i < NV_ARRAY_LEN(sizes); i++) {
		struct nv_expect expect = {.size = sizes[i]};
		assert_int_equal(nv_store_get(s, "no/such/object", &expect,
					      &(struct nv_store_to){.path = path}, &err),
				 -1);
		assert_int_equal(err.kind, NV_RETRY);
		assert_int_equal(err.reason, NV_R_store_missing);
		assert_non_null(strstr(err.msg, "no/such/object"));
	}
	assert_int_equal(nv_store_delete(s, "no/such/object", &err), 0);
	nv_store_close(s);
}

static void an_object_with_the_wrong_content_never_appears(void **state)
{
	struct nv_store *s = store_of(state);
	const struct backend *b = *state;
	uint8_t wrong[NV_SHA256_LEN] = {7};
	const uint64_t size = 300000;
	const struct {
		uint64_t announced;
		const uint8_t *sha1;
		const uint8_t *sha256;
	} cases[] = {
		{size, wrong, NULL},	{size, NULL, wrong}, {size + 1, NULL, NULL},
		{size - 1, NULL, NULL}, {0, NULL, NULL},
	};
	for (size_t i = 0; i < NV_ARRAY_LEN(cases); i++) {
		struct pattern p = {.size = size};
		struct nv_source from = pattern_source(&p);
		struct nv_expect expect = {.size = cases[i].announced,
					   .sha1 = cases[i].sha1,
					   .sha256 = cases[i].sha256};
		struct nv_err err = {0};
		bool exists = true;
		uint64_t found = 0;
		nv_auto_free char *key = nv_asprintf("wrong/object-%zu", i);
		assert_int_equal(nv_store_put(s, key, &expect, &from, NULL, NULL, &err), -1);
		assert_int_equal(err.kind, NV_REJECT);
		assert_int_equal(err.reason, NV_R_archive_corrupt);
		assert_int_equal(nv_store_head(s, key, &exists, &found, &err), 0);
		assert_true(!exists || (b->keeps_parts && found < cases[i].announced));
	}
	nv_store_close(s);
}

struct found {
	size_t count;
	size_t stop_at;
	uint64_t bytes;
	bool recent;
	char keys[1024];
};

static int found_cb(void *arg, const char *key, uint64_t size, uint64_t modified_ms)
{
	struct found *f = arg;
	f->count++;
	f->bytes += size;
	f->recent = modified_ms > 1700000000000u;
	(void)snprintf(f->keys + strlen(f->keys), sizeof f->keys - strlen(f->keys), "%s ", key);
	return f->count == f->stop_at;
}

static void listing_finds_all_objects_below_a_prefix(void **state)
{
	struct nv_store *s = store_of(state);
	struct nv_err err = {0};
	put_pattern(s, "l1/a", 10, 0);
	put_pattern(s, "l1/b/c", 20, 0);
	put_pattern(s, "l1/b/d/e", 30, 0);
	put_pattern(s, "l2/other", 40, 0);
	struct found all = {0};
	assert_int_equal(nv_store_list(s, "l1/", found_cb, &all, &err), 0);
	assert_int_equal(all.count, 3);
	assert_int_equal(all.bytes, 60);
	assert_true(all.recent);
	assert_non_null(strstr(all.keys, "l1/b/d/e "));
	struct found one = {.stop_at = 1};
	assert_int_equal(nv_store_list(s, "l1/", found_cb, &one, &err), 0);
	assert_int_equal(one.count, 1);
	struct found none = {0};
	assert_int_equal(nv_store_list(s, "nothing/here/", found_cb, &none, &err), 0);
	assert_int_equal(none.count, 0);
	struct found whole = {0};
	assert_int_equal(nv_store_list(s, "", found_cb, &whole, &err), 0);
	assert_true(whole.count >= 4);
	nv_store_close(s);
}

static void moved_cb(void *arg, uint64_t bytes)
{
	*(uint64_t *)arg += bytes;
}

static void reading_resumes_where_an_earlier_try_ended(void **state)
{
	struct nv_store *s = store_of(state);
	struct nv_err err = {0};
	uint8_t sha1[NV_SHA1_LEN];
	uint8_t sha256[NV_SHA256_LEN];
	const uint64_t size = 500000;
	uint64_t moved = 0;
	put_pattern(s, "resume/object", size, 2);
	pattern_digests(size, 2, sha1, sha256);
	struct nv_expect expect = {.size = size, .sha256 = sha256};
	nv_auto_free char *path = local_path("resume");
	nv_auto_free char *part = local_path("resume.part");
	pattern_to_file(part, 450000, 2);
	assert_int_equal(nv_store_get(s, "resume/object", &expect,
				      &(struct nv_store_to){
					      .path = path, .moved_cb = moved_cb, .arg = &moved},
				      &err),
			 0);
	assert_int_equal(moved, 50000);
	assert_true(pattern_is_file(path, size, 2));
	/* An earlier try's bytes that are not the object's do no harm. */
	pattern_to_file(part, 450000, 3);
	assert_int_equal(nv_store_get(s, "resume/object", &expect,
				      &(struct nv_store_to){
					      .path = path, .moved_cb = moved_cb, .arg = &moved},
				      &err),
			 0);
	assert_true(pattern_is_file(path, size, 2));
	pattern_to_file(part, size + 5, 3);
	assert_int_equal(nv_store_get(s, "resume/object", &expect,
				      &(struct nv_store_to){
					      .path = path, .moved_cb = moved_cb, .arg = &moved},
				      &err),
			 0);
	assert_true(pattern_is_file(path, size, 2));
	nv_store_close(s);
}

static void a_damaged_object_is_noticed_and_nothing_of_it_stays(void **state)
{
	struct nv_store *s = store_of(state);
	uint8_t wrong[NV_SHA256_LEN] = {9};
	nv_auto_free char *path = local_path("damaged");
	nv_auto_free char *part = local_path("damaged.part");
	put_pattern(s, "damaged/object", 200000, 4);
	const struct nv_expect cases[] = {
		{.size = 200000, .sha256 = wrong},
		{.size = 200001},
		{.size = 199999},
		{.size = 0},
	};
	for (size_t i = 0; i < NV_ARRAY_LEN(cases); i++) {
		struct nv_err err = {0};
		assert_int_equal(nv_store_get(s, "damaged/object", &cases[i],
					      &(struct nv_store_to){.path = path}, &err),
				 -1);
		assert_int_equal(err.kind, NV_RETRY);
		assert_int_equal(err.reason, NV_R_store_corrupt);
		assert_int_not_equal(access(path, F_OK), 0);
		assert_int_not_equal(access(part, F_OK), 0);
	}
	nv_store_close(s);
}

static void cancel_cb(void *arg, uint64_t bytes)
{
	struct nv_job *job = arg;
	(void)bytes;
	atomic_store(&job->cancelled, true);
}

static void a_cancelled_transfer_ends_at_once(void **state)
{
	struct nv_store *s = store_of(state);
	const struct backend *b = *state;
	const uint64_t size = 8u << 20;
	struct nv_err err = {0};
	struct nv_job job = {0};
	bool exists = true;
	uint64_t found = 0;
	struct pattern p = {.size = size, .cancel = &job};
	struct nv_source from = pattern_source(&p);
	struct nv_expect expect = {.size = size};
	assert_int_equal(nv_store_put(s, "cancel/object", &expect, &from, &job, NULL, &err), -1);
	assert_int_equal(err.kind, NV_CANCELLED);
	assert_true(p.pos < size);
	assert_int_equal(nv_store_head(s, "cancel/object", &exists, &found, &err), 0);
	assert_true(!exists || (b->keeps_parts && found < size));

	put_pattern(s, "cancel/object", size, 0);
	atomic_store(&job.cancelled, false);
	nv_auto_free char *path = local_path("cancel");
	nv_auto_free char *part = local_path("cancel.part");
	assert_int_equal(
		nv_store_get(s, "cancel/object", &expect,
			     &(struct nv_store_to){
				     .path = path, .job = &job, .moved_cb = cancel_cb, .arg = &job},
			     &err),
		-1);
	assert_int_equal(err.kind, NV_CANCELLED);
	struct stat st;
	assert_int_equal(stat(part, &st), 0);
	assert_true(st.st_size > 0 && (uint64_t)st.st_size < size);
	nv_store_close(s);
}

struct writer {
	struct nv_store *store;
	uint64_t seed;
	int rc;
};

static void *write_many(void *arg)
{
	struct writer *w = arg;
	unsigned tries = 0;
	for (int i = 0; i < 10 && w->rc == 0; i++) {
		struct pattern p = {.size = 150000, .seed = w->seed};
		struct nv_source from = pattern_source(&p);
		struct nv_expect expect = {.size = p.size};
		struct nv_err err = {0};
		w->rc = nv_store_put(w->store, "two/writers/object", &expect, &from, NULL, NULL,
				     &err);
		/* A server may lock out the second: try again, as an archiver would. */
		if (w->rc < 0 && err.kind == NV_RETRY && tries++ < 2000) {
			w->rc = 0;
			i--;
			usleep(10000);
		} else if (w->rc < 0) {
			print_message("%s\n", err.msg);
		}
	}
	return NULL;
}

static void two_writers_of_one_key_leave_one_whole_object(void **state)
{
	struct nv_store *s = store_of(state);
	struct writer w[2] = {{.store = s, .seed = 10}, {.store = s, .seed = 20}};
	pthread_t threads[2];
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, write_many, &w[i]), 0);
	for (size_t i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(w[0].rc, 0);
	assert_int_equal(w[1].rc, 0);
	nv_auto_free char *path = local_path("writers");
	struct nv_expect expect = {.size = 150000};
	struct nv_err err = {0};
	assert_int_equal(nv_store_get(s, "two/writers/object", &expect,
				      &(struct nv_store_to){.path = path}, &err),
			 0);
	assert_true(pattern_is_file(path, 150000, 10) || pattern_is_file(path, 150000, 20));
	nv_store_close(s);
}

static void keys_that_leave_the_store_are_refused(void **state)
{
	struct nv_store *s = store_of(state);
	const char *bad[] = {"",	 "/abs",   "a//b",	"a/",  "../up",
			     "a/../b",	 ".tmp/x", "a/.hidden", "a b", "a%2e%2e",
			     "\xc3\xa9", "a?b",	   "a#b",	"a\nb"};
	for (size_t i = 0; i < NV_ARRAY_LEN(bad); i++) {
		struct nv_err err = {0};
		bool exists = false;
		uint64_t size = 0;
		assert_int_equal(nv_store_head(s, bad[i], &exists, &size, &err), -1);
		assert_int_equal(err.kind, NV_REJECT);
		assert_int_equal(nv_store_delete(s, bad[i], &err), -1);
	}
	nv_store_close(s);
}

/* --- running each for each --- */

static const struct CMUnitTest common[] = {
	cmocka_unit_test(put_then_get_gives_the_same_bytes),
	cmocka_unit_test(a_missing_object_is_said_to_be_missing),
	cmocka_unit_test(an_object_with_the_wrong_content_never_appears),
	cmocka_unit_test(listing_finds_all_objects_below_a_prefix),
	cmocka_unit_test(reading_resumes_where_an_earlier_try_ended),
	cmocka_unit_test(a_damaged_object_is_noticed_and_nothing_of_it_stays),
	cmocka_unit_test(a_cancelled_transfer_ends_at_once),
	cmocka_unit_test(two_writers_of_one_key_leave_one_whole_object),
	cmocka_unit_test(keys_that_leave_the_store_are_refused),
};

int main(void)
{
	char template[] = "/tmp/navette-store-XXXXXX";
	struct nv_err err = {0};
	signal(SIGPIPE, SIG_IGN);
	test_dir = mkdtemp(template);
	if (!test_dir)
		return 1;
	struct CMUnitTest tests[NV_ARRAY_LEN(common)];
	int failed = 0;
	for (size_t i = 0; i < NV_ARRAY_LEN(backends); i++) {
		backends[i].folder = nv_asprintf("%s/%s", test_dir, backends[i].name);
		if (mkdir(backends[i].folder, 0750) < 0)
			return 2;
		memcpy(tests, common, sizeof tests);
		for (size_t k = 0; k < NV_ARRAY_LEN(common); k++)
			tests[k].initial_state = &backends[i];
		failed += _cmocka_run_group_tests(backends[i].name, tests, NV_ARRAY_LEN(tests),
						  NULL, NULL);
		free(backends[i].folder);
	}
	failed += _cmocka_run_group_tests("faults", fault_tests, fault_tests_len, NULL, NULL);
	nv_remove_tree(test_dir, &err);
	return failed ? 1 : 0;
}
