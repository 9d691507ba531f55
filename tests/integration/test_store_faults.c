/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the store does when disks fill up, writers die, and servers misbehave. */
#include "tests/integration/test_store.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/id.h"

static struct nv_config directory_config(const char *path)
{
	struct nv_config c = {0};
	c.store.type = NV_STORE_DIRECTORY;
	c.store.path = path;
	return c;
}

/* --- directory --- */

static void make_folder(const char *path)
{
	struct nv_err err = {0};
	if (nv_mkdir_p(path, 0750, &err) < 0)
		fail_msg("%s", err.msg);
}

static void a_folder_that_is_not_there_is_an_outage_and_not_made(void **state)
{
	(void)state;
	nv_auto_free char *root = nv_asprintf("%s/not/mounted", test_dir);
	nv_auto_free char *local = nv_asprintf("%s/local", test_dir);
	struct nv_config c = directory_config(root);
	struct nv_store *s = open_or_fail(&c);
	struct pattern p = {.size = 10};
	struct nv_source from = pattern_source(&p);
	struct nv_expect expect = {.size = 10};
	bool exists;
	uint64_t size;
	struct nv_err err[7] = {{0}};
	assert_int_equal(nv_store_put(s, "a/b", &expect, &from, NULL, NULL, &err[0]), -1);
	assert_int_equal(
		nv_store_get(s, "a/b", &expect, &(struct nv_store_to){.path = local}, &err[1]), -1);
	assert_int_equal(nv_store_head(s, "a/b", &exists, &size, &err[2]), -1);
	assert_int_equal(nv_store_delete(s, "a/b", &err[3]), -1);
	assert_int_equal(nv_store_list(s, "a/", NULL, NULL, &err[4]), -1);
	assert_int_equal(nv_store_sweep(s, &err[5]), -1);
	assert_int_equal(nv_store_probe(s, "a/b/", true, &err[6]), -1);
	for (size_t i = 0; i < NV_ARRAY_LEN(err); i++) {
		assert_int_equal(err[i].reason, NV_R_store_unavailable);
		assert_non_null(strstr(err[i].msg, root));
		assert_non_null(strstr(err[i].msg, "mount it"));
	}
	assert_int_not_equal(access(root, F_OK), 0);
	/* It goes on when the folder is there. */
	make_folder(root);
	put_pattern(s, "a/b", 10, 0);
	assert_int_equal(nv_store_probe(s, "c/d/", true, &err[6]), 0);
	nv_store_close(s);
}

static void an_empty_folder_is_no_store_that_was_written_to(void **state)
{
	(void)state;
	nv_auto_free char *root = nv_asprintf("%s/mounted", test_dir);
	nv_auto_free char *away = nv_asprintf("%s/unmounted", test_dir);
	struct nv_config c = directory_config(root);
	struct pattern p = {.size = 10};
	struct nv_source from = pattern_source(&p);
	struct nv_expect expect = {.size = 10};
	struct nv_err err = {0};
	make_folder(root);
	struct nv_store *writer = open_or_fail(&c), *reader = open_or_fail(&c);
	put_pattern(writer, "a/b", 10, 0);
	assert_int_equal(nv_store_delete(writer, "a/b", &err), 0);
	assert_int_equal(nv_store_probe(reader, "a/", false, &err), 0);
	/* Only the place where it was mounted is left. */
	assert_int_equal(rename(root, away), 0);
	make_folder(root);
	assert_int_equal(nv_store_probe(reader, "a/", false, &err), -1);
	assert_true(err.kind == NV_HOLD && err.reason == NV_R_store_unavailable);
	assert_non_null(strstr(err.msg, "mount it"));
	assert_int_equal(nv_store_put(writer, "a/b", &expect, &from, NULL, NULL, &err), -1);
	assert_int_equal(err.reason, NV_R_store_unavailable);
	assert_int_equal(rmdir(root), 0); /* nothing was written there */
	assert_int_equal(rename(away, root), 0);
	assert_int_equal(nv_store_probe(reader, "a/", false, &err), 0);
	put_pattern(writer, "a/b", 10, 0);
	/* Who has tidied up, or writes to it through a server, has no .tmp. */
	nv_auto_free char *tmp = nv_asprintf("%s/.tmp", root);
	assert_int_equal(rmdir(tmp), 0);
	assert_int_equal(nv_store_probe(reader, "a/", false, &err), 0);
	put_pattern(writer, "a/c", 10, 0);
	nv_store_close(writer);
	nv_store_close(reader);
}

struct first {
	struct nv_store *store;
	pthread_barrier_t *begin;
	int rc;
	struct nv_err err;
};

static void *put_first(void *arg)
{
	struct first *f = arg;
	struct pattern p = {.size = 10};
	struct nv_source from = pattern_source(&p);
	struct nv_expect expect = {.size = 10, .passing = true};
	pthread_barrier_wait(f->begin);
	f->rc = nv_store_put(f->store, "a", &expect, &from, NULL, NULL, &f->err);
	return NULL;
}

static void the_first_writers_of_all_do_not_fail_each_other(void **state)
{
	(void)state;
	pthread_barrier_t begin;
	pthread_barrier_init(&begin, NULL, 4);
	for (unsigned round = 0; round < 200; round++) {
		nv_auto_free char *root = nv_asprintf("%s/first/%u", test_dir, round);
		struct nv_config c = directory_config(root);
		pthread_t threads[4];
		struct first f[4];
		make_folder(root);
		struct nv_store *s = open_or_fail(&c);
		for (size_t i = 0; i < 4; i++) {
			f[i] = (struct first){.store = s, .begin = &begin};
			assert_int_equal(pthread_create(&threads[i], NULL, put_first, &f[i]), 0);
		}
		for (size_t i = 0; i < 4; i++)
			pthread_join(threads[i], NULL);
		for (size_t i = 0; i < 4; i++)
			if (f[i].rc < 0)
				fail_msg("%s", f[i].err.msg);
		nv_store_close(s);
	}
	pthread_barrier_destroy(&begin);
}

static size_t temporaries(const char *root)
{
	nv_auto_free char *command = nv_asprintf("ls '%s/.tmp' | wc -l", root);
	FILE *f = popen(command, "r"); /* NOLINT(cert-env33-c): a test's own path */
	char text[32] = "";
	assert_non_null(f);
	assert_non_null(fgets(text, sizeof text, f));
	pclose(f);
	return strtoul(text, NULL, 10);
}

static struct nv_store *swept;
static void nv_sweep_now(void)
{
	struct nv_err err = {0};
	assert_int_equal(nv_store_sweep(swept, &err), 0);
}

static void sweeping_removes_dead_writers_files_and_leaves_live_ones(void **state)
{
	(void)state;
	nv_auto_free char *root = nv_asprintf("%s/sweep", test_dir);
	nv_auto_free char *dead = nv_asprintf("%s/.tmp/deadbeef", root);
	struct nv_config c = directory_config(root);
	nv_auto_free char *tmp = nv_asprintf("%s/.tmp", root);
	make_folder(tmp);
	swept = open_or_fail(&c);
	pattern_to_file(dead, 100, 0);
	assert_int_equal(temporaries(root), 1);
	struct pattern p = {.size = 1u << 20, .half_cb = nv_sweep_now};
	struct nv_source from = pattern_source(&p);
	struct nv_expect expect = {.size = p.size};
	struct nv_err err = {0};
	if (nv_store_put(swept, "live", &expect, &from, NULL, NULL, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(temporaries(root), 0);
	bool exists = false;
	uint64_t size = 0;
	assert_int_equal(nv_store_head(swept, "live", &exists, &size, &err), 0);
	assert_true(exists);
	nv_store_close(swept);
}

static void assert_full(struct nv_store *s, const char *root)
{
	struct pattern p = {.size = 2u << 20};
	struct nv_source from = pattern_source(&p);
	struct nv_expect expect = {.size = p.size};
	struct nv_err err = {0};
	bool exists = true;
	uint64_t size = 0;
	assert_int_equal(nv_store_put(s, "too/large", &expect, &from, NULL, NULL, &err), -1);
	assert_int_equal(err.kind, NV_RETRY);
	assert_int_equal(err.reason, NV_R_store_full);
	assert_int_equal(nv_store_head(s, "too/large", &exists, &size, &err), 0);
	assert_false(exists);
	assert_int_equal(temporaries(root), 0);
}

static void a_file_size_limit_is_told_as_a_full_store(void **state)
{
	(void)state;
	nv_auto_free char *root = nv_asprintf("%s/limit", test_dir);
	struct nv_config c = directory_config(root);
	make_folder(root);
	struct nv_store *s = open_or_fail(&c);
	struct rlimit before;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	struct rlimit small = {.rlim_cur = 1u << 20, .rlim_max = before.rlim_max};
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_full(s, root);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	nv_store_close(s);
}

static void a_full_disk_is_told_as_a_full_store(void **state)
{
	(void)state;
	nv_auto_free char *root = nv_asprintf("%s/tiny", test_dir);
	struct nv_err err = {0};
	assert_int_equal(nv_mkdir_p(root, 0700, &err), 0);
	if (mount("none", root, "tmpfs", 0, "size=1m") < 0) {
		print_message("SKIPPED: no right to mount a small tmpfs (%s)\n", strerror(errno));
		skip();
	}
	struct nv_config c = directory_config(root);
	make_folder(root);
	struct nv_store *s = open_or_fail(&c);
	assert_full(s, root);
	nv_store_close(s);
	assert_int_equal(umount(root), 0);
}

/* --- WebDAV: who may --- */

static void assert_put_fails(const struct nv_config *c, const char *key, uint64_t size,
			     enum nv_reason reason, uint64_t *ret_read)
{
	struct nv_store *s = open_or_fail(c);
	struct pattern p = {.size = size};
	struct nv_source from = pattern_source(&p);
	struct nv_expect expect = {.size = p.size};
	struct nv_err err = {0};
	assert_int_equal(nv_store_put(s, key, &expect, &from, NULL, NULL, &err), -1);
	if (err.reason != reason)
		fail_msg("%s, not %s: %s", nv_reason_word(err.reason), nv_reason_word(reason),
			 err.msg);
	assert_int_equal(err.kind, NV_RETRY);
	assert_non_null(strstr(err.msg, key));
	if (ret_read)
		*ret_read = p.pos;
	nv_store_close(s);
}

static struct nv_config dav_config(const char *url)
{
	struct nv_config c = {0};
	if (!url) {
		print_message("SKIPPED: needs nginx, see with_dav\n");
		skip();
	}
	c.store.type = NV_STORE_WEBDAV;
	c.store.url = url;
	c.store.connect_timeout = 3000;
	c.store.stall_timeout = 3000;
	return c;
}

static void wrong_credentials_are_told_as_denied(void **state)
{
	(void)state;
	struct nv_config c = dav_config(getenv("NAVETTE_DAV_TLS"));
	c.store.ca_file = getenv("NAVETTE_DAV_CA");
	assert_put_fails(&c, "denied/object", 1u << 20, NV_R_store_denied, NULL);
	c.store.user = getenv("NAVETTE_DAV_USER");
	c.store.password = "not it";
	assert_put_fails(&c, "denied/object", 1u << 20, NV_R_store_denied, NULL);
	struct nv_store *s = open_or_fail(&c);
	for (int write = 0; write <= 1; write++) {
		struct nv_err err = {0};
		assert_int_equal(nv_store_probe(s, "denied/", write, &err), -1);
		assert_int_equal(err.kind, NV_HOLD);
		assert_int_equal(err.reason, NV_R_store_denied);
	}
	nv_store_close(s);
}

static void an_unknown_certificate_is_not_trusted(void **state)
{
	(void)state;
	struct nv_config c = dav_config(getenv("NAVETTE_DAV_TLS"));
	c.store.user = getenv("NAVETTE_DAV_USER");
	c.store.password = getenv("NAVETTE_DAV_PASSWORD");
	assert_put_fails(&c, "untrusted/object", 10, NV_R_store_unavailable, NULL);
}

static void without_its_certificate_a_client_gets_nowhere(void **state)
{
	(void)state;
	struct nv_config c = dav_config(getenv("NAVETTE_DAV_MTLS"));
	c.store.ca_file = getenv("NAVETTE_DAV_CA");
	assert_put_fails(&c, "nocert/object", 10, NV_R_store_unavailable, NULL);
}

static void addresses_that_show_secrets_or_are_plain_are_refused(void **state)
{
	(void)state;
	const char *bad[] = {"http://staging.example.org/x", "http://127.example.org/x",
			     "https://user:secret@host/x",   "ftp://host/x",
			     "https://host/x?y=z",	     "nonsense"};
	for (size_t i = 0; i < NV_ARRAY_LEN(bad); i++) {
		struct nv_config c = dav_config(bad[i]);
		struct nv_err err = {0};
		assert_null(nv_store_open(&c, &err));
		assert_int_equal(err.kind, NV_FATAL);
		assert_int_equal(err.reason, NV_R_config);
		assert_null(strstr(err.msg, "secret@"));
	}
}

/* --- WebDAV: a server that misbehaves --- */

static pid_t bad_pid = -1;
static int bad_stdin = -1;
static int bad_port;

static int start_bad_store(void **state)
{
	(void)state;
	int in[2];
	int out[2];
	if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0)
		return -1;
	const char *source = getenv("NAVETTE_SOURCE");
	nv_auto_free char *script =
		nv_asprintf("%s/tests/integration/bad_store.py", source ? source : ".");
	bad_pid = fork();
	if (bad_pid == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		execl("/usr/bin/python3", "python3", script, (char *)NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	bad_stdin = in[1];
	char line[32] = "";
	size_t have = 0;
	ssize_t n = 1;
	while (n > 0 && have < sizeof line - 1 && !strchr(line, '\n')) {
		n = read(out[0], line + have, sizeof line - 1 - have);
		have += n > 0 ? (size_t)n : 0;
	}
	close(out[0]);
	bad_port = strchr(line, '\n') ? (int)strtol(line, NULL, 10) : 0;
	return bad_port > 0 ? 0 : -1;
}

static int stop_bad_store(void **state)
{
	(void)state;
	close(bad_stdin); /* it ends with its input */
	return waitpid(bad_pid, NULL, 0) == bad_pid ? 0 : -1;
}

static struct nv_config bad_config(const char *mode, char url[128])
{
	(void)snprintf(url, 128, "http://127.0.0.1:%d/%s", bad_port, mode);
	struct nv_config c = dav_config(url);
	c.store.stall_timeout = strcmp(mode, "stall") == 0 ? 1000 : 20000;
	c.store.connect_timeout = c.store.stall_timeout;
	return c;
}

static void refusals_are_told_apart(void **state)
{
	(void)state;
	const struct {
		const char *mode;
		enum nv_reason reason;
	} cases[] = {
		{"status-507", NV_R_store_full},	{"status-403", NV_R_store_denied},
		{"status-401", NV_R_store_denied},	{"status-500", NV_R_store_unavailable},
		{"status-503", NV_R_store_unavailable}, {"status-413", NV_R_store_denied},
		{"slow-507", NV_R_store_full},
	};
	for (size_t i = 0; i < NV_ARRAY_LEN(cases); i++) {
		char url[128];
		uint64_t sent = 0;
		struct nv_config c = bad_config(cases[i].mode, url);
		nv_auto_free char *key = nv_asprintf("refused/%s/object", cases[i].mode);
		assert_put_fails(&c, key, 16u << 20, cases[i].reason, &sent);
		/* The refusal comes before the body has crossed the network. */
		if (strncmp(cases[i].mode, "status", 6) == 0)
			assert_int_equal(sent, 0);
	}
}

/* As of S3 without the right to list: whether an object is missing or forbidden is not told. */
static void who_may_delete_is_let_in_although_missing_objects_are_403(void **state)
{
	(void)state;
	char url[128];
	struct nv_err err = {0};
	struct nv_config c = bad_config("head-403", url);
	struct nv_store *s = open_or_fail(&c);
	assert_int_equal(nv_store_probe(s, "old/new/", false, &err), 0);
	nv_store_close(s);
}

/* Returns nv_store_get's result; 0 only with the right bytes in the file. */
static int get_bad(const char *mode, uint64_t size, uint64_t *ret_moved, struct nv_err *err)
{
	char url[128];
	uint8_t sha1[NV_SHA1_LEN];
	uint8_t sha256[NV_SHA256_LEN];
	struct nv_config c = bad_config(mode, url);
	struct nv_store *s = open_or_fail(&c);
	nv_auto_free char *path = nv_asprintf("%s/bad-%s", test_dir, mode);
	nv_auto_free char *key = nv_asprintf("k/obj-%llu", (unsigned long long)size);
	pattern_digests(size, 0, sha1, sha256);
	struct nv_expect expect = {.size = size, .sha256 = sha256};
	int rc = nv_store_get(s, key, &expect, &(struct nv_store_to){.path = path}, err);
	if (rc == 0)
		assert_true(pattern_is_file(path, size, 0));
	else
		assert_int_not_equal(access(path, F_OK), 0);
	if (ret_moved) {
		struct stat st;
		nv_auto_free char *part = nv_asprintf("%s.part", path);
		*ret_moved = stat(part, &st) == 0 ? (uint64_t)st.st_size : 0;
	}
	nv_store_close(s);
	return rc;
}

static void a_broken_transfer_goes_on_where_it_broke(void **state)
{
	(void)state;
	struct nv_err err = {0};
	if (get_bad("cut-100000", 550000, NULL, &err) < 0)
		fail_msg("%s", err.msg);
	if (get_bad("norange", 300000, NULL, &err) < 0)
		fail_msg("%s", err.msg);
}

static void a_transfer_that_breaks_for_ever_is_given_up_and_kept(void **state)
{
	(void)state;
	struct nv_err err = {0};
	uint64_t have = 0;
	assert_int_equal(get_bad("cut-10000", 200000, &have, &err), -1);
	assert_int_equal(err.reason, NV_R_store_unavailable);
	assert_int_equal(have, 60000); /* once and five resumptions */
	assert_int_equal(get_bad("cut-10000", 200000, &have, &err), -1);
	assert_int_equal(have, 120000);
	uint64_t before = nv_mono_ms();
	assert_int_equal(get_bad("dead", 200000, &have, &err), -1);
	assert_int_equal(have, 0);
	assert_true(nv_mono_ms() - before < 10000);
}

static void flipped_and_missing_bytes_are_noticed(void **state)
{
	(void)state;
	struct nv_err err = {0};
	uint64_t have = 1;
	assert_int_equal(get_bad("flip", 100000, &have, &err), -1);
	assert_int_equal(err.reason, NV_R_store_corrupt);
	assert_int_equal(have, 0);
	assert_int_equal(get_bad("short", 100000, &have, &err), -1);
	assert_int_equal(err.reason, NV_R_store_corrupt);
}

static void a_stalled_transfer_times_out(void **state)
{
	(void)state;
	struct nv_err err = {0};
	uint64_t have = 0;
	uint64_t before = nv_mono_ms();
	/* Each resumption brings half of the rest and stalls again. */
	assert_int_equal(get_bad("stall", 1000, &have, &err), -1);
	assert_int_equal(err.kind, NV_RETRY);
	assert_int_equal(err.reason, NV_R_timeout);
	assert_true(have >= 900);
	assert_true(nv_mono_ms() - before < 20000);
}

static void redirects_are_not_followed(void **state)
{
	(void)state;
	struct nv_err err = {0};
	assert_int_equal(get_bad("redirect", 1000, NULL, &err), -1);
	assert_int_equal(err.reason, NV_R_store_unavailable);
	assert_int_equal(err.code, 307);
}

static void a_server_that_is_away_is_told_as_unavailable(void **state)
{
	(void)state;
	struct nv_config c = dav_config("http://127.0.0.1:1");
	assert_put_fails(&c, "away/object", 1000, NV_R_store_unavailable, NULL);
}

/* --- WebDAV: folders and listings --- */

static void a_folder_that_another_makes_meanwhile_says_nothing_about_the_server(void **state)
{
	(void)state;
	char url[128];
	struct nv_err err = {0};
	struct nv_config c = bad_config("folders", url);
	struct nv_store *s = open_or_fail(&c);
	put_pattern(s, "site/client/blobs/aa/obj-10", 10, 0);
	put_pattern(s, "site/client/blobs/bb/obj-10", 10, 0);
	put_pattern(s, "site/client/archives/1/2/obj-10", 10, 0);
	/* Somebody clears the store away: one try may fail, the next makes the folders again. */
	assert_int_equal(nv_store_delete(s, "site/all", &err), 0);
	struct pattern p = {.size = 10};
	struct nv_source from = pattern_source(&p);
	struct nv_expect expect = {.size = p.size};
	assert_int_equal(
		nv_store_put(s, "site/client/blobs/aa/obj-10", &expect, &from, NULL, NULL, &err),
		-1);
	assert_int_equal(err.kind, NV_RETRY);
	put_pattern(s, "site/client/blobs/aa/obj-10", 10, 0);
	nv_store_close(s);
}

static int note_key(void *arg, const char *key, uint64_t size, uint64_t modified_ms)
{
	(void)modified_ms;
	nv_buf_printf(arg, "%s:%llu ", key, (unsigned long long)size);
	return 0;
}

static int list_bad(const char *how, struct nv_buf *ret, struct nv_err *err)
{
	char url[128];
	nv_auto_free char *mode = nv_asprintf("list-%s", how);
	struct nv_config c = bad_config(mode, url);
	struct nv_store *s = open_or_fail(&c);
	nv_buf_puts(ret, "");
	int rc = nv_store_list(s, "k/", note_key, ret, err);
	nv_store_close(s);
	return rc;
}

static void a_listing_tells_only_of_what_lies_in_the_folder(void **state)
{
	(void)state;
	const char *good[] = {"outside", "full-address"};
	const char *bad[] = {"doctype", "endless", "elsewhere"};
	struct nv_err err = {0};
	for (size_t i = 0; i < NV_ARRAY_LEN(good); i++) {
		nv_auto_buf struct nv_buf keys = {0};
		if (list_bad(good[i], &keys, &err) < 0)
			fail_msg("%s: %s", good[i], err.msg);
		assert_string_equal((const char *)keys.data, "k/real:7 ");
	}
	for (size_t i = 0; i < NV_ARRAY_LEN(bad); i++) {
		nv_auto_buf struct nv_buf keys = {0};
		assert_int_equal(list_bad(bad[i], &keys, &err), -1);
		assert_int_equal(err.kind, NV_RETRY);
		assert_string_equal((const char *)keys.data, "");
	}
}

#define BAD(test) cmocka_unit_test_setup_teardown(test, start_bad_store, stop_bad_store)
const struct CMUnitTest fault_tests[] = {
	cmocka_unit_test(a_folder_that_is_not_there_is_an_outage_and_not_made),
	cmocka_unit_test(an_empty_folder_is_no_store_that_was_written_to),
	cmocka_unit_test(the_first_writers_of_all_do_not_fail_each_other),
	cmocka_unit_test(sweeping_removes_dead_writers_files_and_leaves_live_ones),
	cmocka_unit_test(a_file_size_limit_is_told_as_a_full_store),
	cmocka_unit_test(a_full_disk_is_told_as_a_full_store),
	cmocka_unit_test(wrong_credentials_are_told_as_denied),
	cmocka_unit_test(an_unknown_certificate_is_not_trusted),
	cmocka_unit_test(without_its_certificate_a_client_gets_nowhere),
	cmocka_unit_test(addresses_that_show_secrets_or_are_plain_are_refused),
	BAD(refusals_are_told_apart),
	BAD(who_may_delete_is_let_in_although_missing_objects_are_403),
	BAD(a_broken_transfer_goes_on_where_it_broke),
	BAD(a_transfer_that_breaks_for_ever_is_given_up_and_kept),
	BAD(flipped_and_missing_bytes_are_noticed),
	BAD(a_stalled_transfer_times_out),
	BAD(redirects_are_not_followed),
	BAD(a_folder_that_another_makes_meanwhile_says_nothing_about_the_server),
	BAD(a_listing_tells_only_of_what_lies_in_the_folder),
	cmocka_unit_test(a_server_that_is_away_is_told_as_unavailable),
};
const size_t fault_tests_len = NV_ARRAY_LEN(fault_tests);
