/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The directory site.  Each test has a folder of its own with a course server (src) that has real
 * .mbz files, a staging store, and a client's site (dst). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/fault.h"
#include "core/base/fs.h"
#include "core/base/hash.h"
#include "core/base/id.h"
#include "core/base/log.h"
#include "core/site/directory.h"
#include "core/site/site.h"

static const struct nv_archive_limits no_limits = {1ull << 40, 10000000, 1ull << 40};

struct fixture {
	char dir[64];
	struct nv_config src_config;
	struct nv_config dst_config;
	struct nv_site *src;
	struct nv_site *dst;
	struct nv_store *store;
	struct nv_arena arena;
	struct nv_err err;
	struct nv_fetched fetched;
	bool has_fetched;
	struct nv_restore_request request;
	struct nv_import import;
	char *roles[1];
};

static char *path_of(struct fixture *f, const char *name)
{
	return nv_arena_printf(&f->arena, "%s/%s", f->dir, name);
}

static void put_file(struct fixture *f, const char *name, const char *text)
{
	assert_int_equal(nv_write_file(path_of(f, name), text, strlen(text), 0600, &f->err), 0);
}

static char *get_file(struct fixture *f, const char *name)
{
	nv_auto_buf struct nv_buf b = {0};
	assert_int_equal(nv_read_file(path_of(f, name), 1 << 24, &b, &f->err), 0);
	return nv_arena_strndup(&f->arena, b.data ? (const char *)b.data : "", b.len);
}

/* --- a small but true backup --- */

struct memory {
	const char *data;
	size_t len;
};

static ssize_t memory_read(void *ctx, void *buf, size_t len, struct nv_err *err)
{
	struct memory *m = ctx;
	(void)err;
	if (len > m->len)
		len = m->len;
	memcpy(buf, m->data, len);
	m->data += len;
	m->len -= len;
	return (ssize_t)len;
}

static char big_content[100000];

static void make_backup(struct fixture *f, const char *name, const char *shortname, bool users)
{
	for (size_t i = 0; i < sizeof(big_content); i++)
		big_content[i] = (char)(i * 7 + i / 251);
	uint8_t digest[NV_SHA1_LEN];
	char hex[NV_SHA1_HEX];
	struct nv_hash *h = nv_hash_new(NV_SHA1);
	nv_hash_update(h, big_content, sizeof(big_content));
	nv_hash_final(h, digest);
	nv_hash_free(h);
	nv_hex(digest, sizeof(digest), hex);
	char *xml = nv_arena_printf(
		&f->arena,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<moodle_backup><information>"
		"<name>backup.mbz</name><moodle_version>2024100705.01</moodle_version>"
		"<moodle_release>4.5.5+</moodle_release><backup_version>2024100700</backup_version>"
		"<backup_release>4.5</backup_release><backup_date>1795363153</backup_date>"
		"<include_files>1</include_files>"
		"<original_wwwroot>http://127.0.0.1</original_wwwroot>"
		"<original_course_id>2</original_course_id>"
		"<original_course_fullname>Course %s</original_course_fullname>"
		"<original_course_shortname>%s</original_course_shortname>"
		"<contents><activities><activity><moduleid>1</moduleid>"
		"<modulename>quiz</modulename><title>Q</title>"
		"<directory>activities/quiz_1</directory></activity></activities></contents>"
		"<settings><setting><level>root</level><name>users</name><value>%d</value>"
		"</setting></settings></information></moodle_backup>\n",
		shortname, shortname, users);
	char *files = nv_arena_printf(&f->arena, "files/%.2s/%s", hex, hex);
	const struct nv_entry entries[] = {
		{.path = "files", .folder = true, .mtime = 1795363153},
		{.path = files, .size = sizeof(big_content), .mtime = 1795363153},
		{.path = "moodle_backup.xml", .size = strlen(xml), .mtime = 1795363153},
	};
	struct memory content = {big_content, sizeof(big_content)};
	struct memory text = {xml, strlen(xml)};
	struct nv_source content_source = {memory_read, &content};
	struct nv_source text_source = {memory_read, &text};
	struct nv_mbz_writer *w = nv_mbz_create(path_of(f, name), entries, 3, &f->err);
	if (!w)
		fail_msg("%s", f->err.msg);
	assert_int_equal(nv_mbz_add(w, NULL, &f->err), 0);
	if (nv_mbz_add(w, &content_source, &f->err) < 0 || nv_mbz_add(w, &text_source, &f->err) < 0)
		fail_msg("%s", f->err.msg);
	assert_int_equal(nv_mbz_finish(w, &f->err), 0);
	nv_mbz_free(w);
}

/* --- fixture --- */

static const char src_json[] =
	"{\"name\": \"Last year\", \"moodle_version\": \"2024100705.01\",\n"
	" \"plugins\": [{\"name\": \"mod_quiz\", \"version\": 2024100700}],\n"
	" \"categories\": [\n"
	"  {\"id\": 1, \"idnumber\": \"SCI\", \"name\": \"Sciences\"},\n"
	"  {\"id\": 2, \"idnumber\": \"BIO\", \"name\": \"Biology\", \"parent\": 1},\n"
	"  {\"id\": 3, \"name\": \"Arts\"}],\n"
	" \"users\": [\n"
	"  {\"username\": \"ada\", \"email\": \"ada@example.org\", \"idnumber\": \"7\"},\n"
	"  {\"username\": \"bob\", \"email\": \"twin@example.org\"},\n"
	"  {\"username\": \"eve\", \"email\": \"twin@example.org\"},\n"
	"  {\"username\": \"dean\"}],\n"
	" \"roles\": [\n"
	"  {\"user\": \"ada\", \"role\": \"editingteacher\", \"course\": 10},\n"
	"  {\"user\": \"ada\", \"role\": \"student\", \"course\": 11},\n"
	"  {\"user\": \"dean\", \"role\": \"editingteacher\", \"category\": 1}],\n"
	" \"courses\": [\n"
	"  {\"id\": 10, \"file\": \"plain.mbz\", \"category\": 2},\n"
	"  {\"id\": 11, \"file\": \"users.mbz\", \"category\": 2,\n"
	"   \"shortname\": \"U'; DROP\", \"fullname\": \"\\u00dcbung <b>\"},\n"
	"  {\"id\": 12, \"file\": \"plain.mbz\", \"category\": 3}]}\n";

static const char dst_json[] =
	"{\"name\": \"This year\",\n"
	" \"categories\": [\n"
	"  {\"id\": 1, \"idnumber\": \"NEW\", \"name\": \"New\"},\n"
	"  {\"id\": 2, \"idnumber\": \"BIO\", \"name\": \"Biology\"},\n"
	"  {\"id\": 3, \"idnumber\": \"SUB\", \"name\": \"Below\", \"parent\": 2}],\n"
	" \"users\": [\n"
	"  {\"username\": \"ada\", \"name\": \"Ada Lövelace\", \"email\": \"ada@example.org\",\n"
	"   \"lang\": \"fr\", \"can_create_in\": [\"*\"]},\n"
	"  {\"username\": \"bob\", \"can_create_in\": [1]},\n"
	"  {\"username\": \"eve\"},\n"
	"  {\"username\": \"sub\", \"can_create_in\": [2]}]}\n";

static void open_sites(struct fixture *f)
{
	f->src_config.site.path = path_of(f, "src");
	f->dst_config.site.path = path_of(f, "dst");
	f->dst_config.store.path = path_of(f, "store");
	f->dst_config.restore.default_category = "NEW";
	f->dst_config.restore.enrol_role = "editingteacher";
	f->dst_config.restore.enrol_requester = true;
	f->src = nv_site_open(&f->src_config, &f->err);
	if (!f->src)
		fail_msg("%s", f->err.msg);
	f->dst = nv_site_open(&f->dst_config, &f->err);
	if (!f->dst)
		fail_msg("%s", f->err.msg);
	f->store = nv_store_open(&f->dst_config, &f->err);
	if (!f->store)
		fail_msg("%s", f->err.msg);
}

static void new_id(struct fixture *f)
{
	char id[NV_UUID_SIZE];
	nv_uuid_new(id);
	f->request.id = nv_arena_strdup(&f->arena, id);
}

static int set_up(void **state)
{
	struct fixture *f = nv_alloc(sizeof(*f));
	*state = f;
	snprintf(f->dir, sizeof(f->dir), "/tmp/nv-test-site-XXXXXX");
	if (!mkdtemp(f->dir))
		return -1;
	nv_mkdir_p(path_of(f, "src/backups"), 0700, NULL);
	nv_mkdir_p(path_of(f, "dst"), 0700, NULL);
	nv_mkdir_p(path_of(f, "store"), 0700, NULL);
	make_backup(f, "src/backups/plain.mbz", "P1", false);
	make_backup(f, "src/backups/users.mbz", "U1", true);
	put_file(f, "src/site.json", src_json);
	put_file(f, "dst/site.json", dst_json);
	open_sites(f);
	f->roles[0] = nv_arena_strdup(&f->arena, "editingteacher");
	f->request = (struct nv_restore_request){
		.rev = 1,
		.site = nv_arena_strdup(&f->arena, "last-year"),
		.course = nv_arena_strdup(&f->arena, "10"),
		.user = nv_arena_strdup(&f->arena, "ada"),
		.source = NV_SRC_API,
		.enrolment = NV_ENROL_MANUAL,
		.roles = {f->roles, 1},
		.requested = 1795363153000,
	};
	new_id(f);
	f->import = (struct nv_import){
		.request = &f->request,
		.config = &f->dst_config,
		.site = "last-year",
		.category = "BIO",
	};
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	nv_site_close(f->src);
	nv_site_close(f->dst);
	nv_store_close(f->store);
	if (f->has_fetched)
		nv_fetched_fini(&f->fetched);
	nv_remove_tree(f->dir, NULL);
	nv_arena_fini(&f->arena);
	free(f);
	return 0;
}

/* --- helpers --- */

static int run_catalog(struct fixture *f, const char *field, const char *user,
		       struct nv_catalog_reply *ret)
{
	struct nv_catalog_request q = {
		.id = f->request.id,
		.user = nv_arena_strdup(&f->arena, user),
		.user_field = nv_arena_strdup(&f->arena, field),
		.roles = {f->roles, 1},
	};
	return nv_site_catalog(f->src, &q, ret, &f->arena, &f->err);
}

/* "10,11" */
static const char *ids_of(struct fixture *f, const struct nv_catalog_reply *r)
{
	const struct nv_course *c = r->courses.items;
	char *all = nv_arena_strdup(&f->arena, "");
	for (size_t i = 0; i < r->courses.len; i++)
		all = nv_arena_printf(&f->arena, "%s%s%s", all, i ? "," : "", c[i].course);
	return all;
}

static int ignore_entry(void *ctx, const struct nv_entry *entry, const struct nv_source *from,
			struct nv_err *err)
{
	char block[4096];
	ssize_t n = 0;
	(void)entry;
	++*(unsigned *)ctx;
	while (from && (n = from->read_cb(from->ctx, block, sizeof(block), err)) > 0)
		;
	return n < 0 ? -1 : 0;
}

static int run_export(struct fixture *f, const struct nv_config_client *policy,
		      struct nv_manifest *ret, struct nv_strs *warnings)
{
	unsigned count = 0;
	struct nv_sink sink = {ignore_entry, &count};
	int rc = nv_site_export(f->src, &f->request, policy, &no_limits, &sink, NULL, ret, warnings,
				&f->arena, &f->err);
	assert_true(rc == 0 ? count == 3 : count == 0);
	return rc;
}

static void expect_export_refused(struct fixture *f, const struct nv_config_client *policy,
				  enum nv_reason reason)
{
	struct nv_manifest about = {0};
	struct nv_strs warnings = {0};
	f->err = (struct nv_err){0};
	assert_int_equal(run_export(f, policy, &about, &warnings), -1);
	assert_int_equal(f->err.kind, NV_REJECT);
	if (f->err.reason != reason)
		fail_msg("%s is not %s: %s", nv_reason_word(f->err.reason), nv_reason_word(reason),
			 f->err.msg);
}

/* Take a course through the store, as archiver and worker do. */
static void fetch_from(struct fixture *f, struct nv_site *from, const char *course)
{
	char attempt[NV_UUID_SIZE];
	uint8_t sha256[NV_SHA256_LEN];
	uint64_t manifest_size, size, entries;
	struct nv_manifest about = {0};
	struct nv_strs warnings = {0};
	nv_uuid_new(attempt);
	struct nv_archive_place place = {"last-year", "this-year", f->request.id, attempt};
	f->request.course = nv_arena_strdup(&f->arena, course);
	struct nv_archive_put *put = nv_archive_put_new(f->store, &place, path_of(f, "work"), 65536,
							&no_limits, NULL, &f->err);
	if (!put)
		fail_msg("%s", f->err.msg);
	struct nv_sink sink = nv_archive_put_sink(put);
	if (nv_site_export(from, &f->request, NULL, &no_limits, &sink, NULL, &about, &warnings,
			   &f->arena, &f->err) < 0)
		fail_msg("%s", f->err.msg);
	about.id = f->request.id;
	about.attempt = attempt;
	if (nv_archive_put_commit(put, &about, sha256, &manifest_size, &size, &entries, &f->err) <
	    0)
		fail_msg("%s", f->err.msg);
	nv_archive_put_free(put);
	if (f->has_fetched)
		nv_fetched_fini(&f->fetched);
	f->has_fetched = true;
	if (nv_archive_fetch(f->store, &place, sha256, manifest_size, &no_limits,
			     nv_arena_printf(&f->arena, "%s/fetched-%s", f->dir, attempt), NULL,
			     &f->fetched, &f->err) < 0)
		fail_msg("%s", f->err.msg);
}

static void fetch(struct fixture *f, const char *course)
{
	nv_mkdir_p(path_of(f, "work"), 0700, NULL);
	char *user = f->request.user;
	f->request.user = NULL; /* roles are not what is tested here */
	fetch_from(f, f->src, course);
	f->request.user = user;
}

static int try_import(struct fixture *f, struct nv_imported *ret)
{
	f->err = (struct nv_err){0};
	return nv_site_import(f->dst, &f->import, &f->fetched, NULL, ret, &f->arena, &f->err);
}

static struct nv_imported do_import(struct fixture *f)
{
	struct nv_imported ret;
	if (try_import(f, &ret) < 0)
		fail_msg("%s", f->err.msg);
	return ret;
}

static void expect_import_refused(struct fixture *f, enum nv_err_kind kind, enum nv_reason reason)
{
	struct nv_imported ret;
	assert_int_equal(try_import(f, &ret), -1);
	if (f->err.kind != kind || f->err.reason != reason)
		fail_msg("%s/%s is not %s/%s: %s", nv_err_kind_word(f->err.kind),
			 nv_reason_word(f->err.reason), nv_err_kind_word(kind),
			 nv_reason_word(reason), f->err.msg);
}

static unsigned count_in(struct fixture *f, const char *folder)
{
	unsigned count = 0;
	DIR *d = opendir(path_of(f, folder));
	struct dirent *e;
	while (d && (e = readdir(d)))
		count += e->d_name[0] != '.';
	if (d)
		closedir(d);
	return count;
}

/* Run the import in a process of its own; its fault is set there.  Exit 0: imported. */
static pid_t import_in_child(struct fixture *f, const char *fault, const struct nv_job *job)
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid)
		return pid;
	struct nv_imported ret;
	struct nv_err err = {0};
	if (fault)
		setenv("NAVETTE_FAULT", fault, 1);
	int rc = nv_site_import(f->dst, &f->import, &f->fetched, job, &ret, &f->arena, &err);
	if (rc < 0)
		_exit(err.kind == NV_HOLD ? 10 : err.reason == NV_R_claim_lost ? 11 : 12);
	_exit(ret.existed ? 1 : 0);
}

static int wait_for(pid_t pid)
{
	int status = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void fingerprint_entry(struct nv_hash *h, const char *path, bool folder, uint64_t size)
{
	nv_hash_update(h, path, strlen(path) + 1);
	nv_hash_update(h, &folder, sizeof(folder));
	nv_hash_update(h, &size, sizeof(size));
}

static int hash_entry(void *ctx, const struct nv_entry *entry, const struct nv_source *from,
		      struct nv_err *err)
{
	char block[4096];
	ssize_t n = 0;
	fingerprint_entry(ctx, entry->path, entry->folder, entry->size);
	while (from && (n = from->read_cb(from->ctx, block, sizeof(block), err)) > 0)
		nv_hash_update(ctx, block, (size_t)n);
	return n < 0 ? -1 : 0;
}

/* Of all entries' names and bytes, in their order. */
static void fingerprint(const char *mbz, char ret[NV_SHA256_HEX])
{
	struct nv_err err = {0};
	uint8_t digest[NV_SHA256_LEN];
	struct nv_hash *h = nv_hash_new(NV_SHA256);
	struct nv_sink sink = {hash_entry, h};
	if (nv_mbz_read(mbz, &no_limits, &sink, NULL, &err) < 0)
		fail_msg("%s: %s", mbz, err.msg);
	nv_hash_final(h, digest);
	nv_hash_free(h);
	nv_hex(digest, sizeof(digest), ret);
}

static char *restored_mbz(struct fixture *f, const char *course)
{
	return nv_arena_printf(&f->arena, "%s/dst/courses/%s/backup.mbz", f->dir, course);
}

/* --- catalog --- */

static void catalog_finds_roles_in_the_course_and_in_categories_above(void **state)
{
	struct fixture *f = *state;
	struct nv_catalog_reply r;
	assert_int_equal(run_catalog(f, "username", "ada", &r), 0);
	assert_int_equal(r.status, NV_CAT_OK);
	assert_string_equal(ids_of(f, &r), "10"); /* student of 11, nothing in 12 */
	const struct nv_course *c = r.courses.items;
	assert_string_equal(c->shortname, "P1");
	assert_string_equal(c->fullname, "Course P1");
	assert_string_equal(c->category, "BIO");
	assert_string_equal(c->category_name, "Biology");
	assert_string_equal(c->role, "editingteacher");
	assert_true(c->size > 0);
	assert_true(r.at > 0 && r.moodle_version == 2024100705);
	assert_int_equal(run_catalog(f, "username", "dean", &r), 0);
	assert_string_equal(ids_of(f, &r), "10,11"); /* two categories up */
	c = r.courses.items;
	assert_string_equal(c[1].shortname, "U'; DROP");
	assert_string_equal(c[1].fullname, "Übung <b>");
	assert_int_equal(run_catalog(f, "username", "bob", &r), 0);
	assert_string_equal(ids_of(f, &r), "");
}

static void catalog_reply_can_be_encoded(void **state)
{
	struct fixture *f = *state;
	struct nv_catalog_reply r;
	nv_auto_buf struct nv_buf out = {0};
	assert_int_equal(run_catalog(f, "username", "dean", &r), 0);
	if (nv_record_encode(&nv_catalog_reply_record, &r, &out, &f->err) < 0)
		fail_msg("%s", f->err.msg);
}

static void catalog_knows_unknown_from_ambiguous_users(void **state)
{
	struct fixture *f = *state;
	struct nv_catalog_reply r;
	assert_int_equal(run_catalog(f, "username", "' OR 1=1 --", &r), 0);
	assert_int_equal(r.status, NV_CAT_UNKNOWN_USER);
	assert_int_equal(r.courses.len, 0);
	assert_int_equal(run_catalog(f, "email", "twin@example.org", &r), 0);
	assert_int_equal(r.status, NV_CAT_ERROR);
	assert_non_null(strstr(r.error, "several accounts"));
	assert_int_equal(run_catalog(f, "email", "ADA@example.org", &r), 0);
	assert_string_equal(ids_of(f, &r), "10");
	assert_int_equal(run_catalog(f, "idnumber", "7", &r), 0);
	assert_string_equal(ids_of(f, &r), "10");
	assert_int_equal(run_catalog(f, "idnumber", "", &r), 0);
	assert_int_equal(r.status, NV_CAT_UNKNOWN_USER); /* no idnumber is not an empty one */
	assert_int_equal(run_catalog(f, "password", "x", &r), 0);
	assert_int_equal(r.status, NV_CAT_ERROR);
}

static void catalog_ends_on_circular_categories(void **state)
{
	struct fixture *f = *state;
	struct nv_catalog_reply r;
	put_file(f, "src/site.json",
		 "{\"name\": \"x\", \"categories\": ["
		 "{\"id\": 1, \"name\": \"a\", \"parent\": 2},"
		 "{\"id\": 2, \"name\": \"b\", \"parent\": 1},"
		 "{\"id\": 3, \"name\": \"c\"}],"
		 "\"users\": [{\"username\": \"u\"}],"
		 "\"roles\": [{\"user\": \"u\", \"role\": \"editingteacher\", \"category\": 3}],"
		 "\"courses\": [{\"id\": 1, \"file\": \"plain.mbz\", \"category\": 1}]}");
	assert_int_equal(run_catalog(f, "username", "u", &r), 0);
	assert_int_equal(r.status, NV_CAT_OK);
	assert_int_equal(r.courses.len, 0);
}

static void catalog_shows_the_other_courses_when_one_file_is_damaged(void **state)
{
	struct fixture *f = *state;
	struct nv_catalog_reply r;
	put_file(f, "src/backups/users.mbz", "no archive");
	assert_int_equal(run_catalog(f, "username", "dean", &r), 0);
	assert_string_equal(ids_of(f, &r), "10");
	unlink(path_of(f, "src/backups/plain.mbz"));
	assert_int_equal(run_catalog(f, "username", "dean", &r), 0);
	assert_string_equal(ids_of(f, &r), "");
}

static void a_changed_backup_is_read_again(void **state)
{
	struct fixture *f = *state;
	struct nv_catalog_reply r;
	assert_int_equal(run_catalog(f, "username", "ada", &r), 0);
	unlink(path_of(f, "src/backups/plain.mbz"));
	make_backup(f, "src/backups/plain.mbz", "P2", false);
	assert_int_equal(run_catalog(f, "username", "ada", &r), 0);
	assert_string_equal(((struct nv_course *)r.courses.items)->shortname, "P2");
}

/* --- site.json --- */

static void a_mistake_in_site_json_is_named_with_its_line(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *json;
		const char *expected;
	} cases[] = {
		{"{\"name\": \"x\",\n \"users\": [}", "/src/site.json:2: not JSON: "},
		{"[]", "/src/site.json:1: an object { … } is expected"},
		{"{}", "/src/site.json:1: name: missing: a text is expected"},
		{"{\"name\": \"x\",\n\"nmae\": 1}", ":2: nmae: unknown key; known are name, "},
		{"{\"name\": \"x\",\n\"users\":\n{}}", ":3: users: a list [ … ] is expected"},
		{"{\"name\": \"x\",\n\"courses\":\n[3]}", ":3: courses[0]: an object { … } is"},
		{"{\"name\": \"x\", \"categories\": [\n{\"id\": 1, \"name\": \"]}\\\"\"},\n"
		 "{\"id\": 1,\n\"name\": \"b\"}]}",
		 ":3: categories[1].id: \"1\" stands there twice"},
		{"{\"name\": \"x\", \"categories\": [\n{\"id\": 1, \"name\": \"a\",\n"
		 "\"parent\": 9}]}",
		 ":3: categories[0].parent: there is no category \"9\""},
		{"{\"name\": \"x\", \"categories\": [{\"id\": 1, \"name\": \"a\"}],\n"
		 "\"courses\": [\n{\"id\": 1, \"category\": 1,\n\"file\": \"../etc/passwd\"}]}",
		 ":4: courses[0].file: the name of a file below backups/ is expected"},
		{"{\"name\": \"x\",\n\"users\": [{\"username\": \"u\",\n"
		 "\"can_create_in\": [7]}]}",
		 ":3: users[0].can_create_in: \"7\" is no category"},
		{"{\"name\": \"x\", \"users\": [{\"username\": \"u\"}],\n"
		 "\"roles\": [{\"user\": \"u\", \"role\": \"r\"}]}",
		 ":2: roles[0]: either course or category is expected"},
		{"{\"name\": \"x\",\n\"moodle_version\": \"four\"}",
		 ":2: moodle_version: a version number is expected"},
		{"{\"name\": \"x\", \"users\": [{\"username\":\n\"a\\u0007b\"}]}",
		 ":2: users[0].username: text without control characters"},
	};
	for (size_t i = 0; i < NV_ARRAY_LEN(cases); i++) {
		put_file(f, "src/site.json", cases[i].json);
		f->err = (struct nv_err){0};
		assert_null(nv_site_open(&f->src_config, &f->err));
		assert_int_equal(f->err.kind, NV_FATAL);
		assert_int_equal(f->err.reason, NV_R_config);
		if (!strstr(f->err.msg, cases[i].expected))
			fail_msg("%s\n  does not say: %s", f->err.msg, cases[i].expected);
	}
	unlink(path_of(f, "src/site.json"));
	assert_null(nv_site_open(&f->src_config, &f->err));
	assert_int_equal(f->err.reason, NV_R_config);
}

static void a_changed_site_json_is_read_again(void **state)
{
	struct fixture *f = *state;
	struct nv_catalog_reply r;
	assert_int_equal(run_catalog(f, "username", "ada", &r), 0);
	put_file(f, "src/site.json", "{\"name\": \"x\"}");
	assert_int_equal(run_catalog(f, "username", "ada", &r), 0);
	assert_int_equal(r.status, NV_CAT_UNKNOWN_USER);
	put_file(f, "src/site.json", "{\"name\": ");
	assert_int_equal(run_catalog(f, "username", "ada", &r), -1);
	assert_int_equal(f->err.kind, NV_RETRY); /* somebody is just editing it */
	put_file(f, "src/site.json", src_json);
	assert_int_equal(run_catalog(f, "username", "ada", &r), 0);
	assert_int_equal(r.status, NV_CAT_OK);
}

static void versions_are_those_of_site_json(void **state)
{
	struct fixture *f = *state;
	uint64_t version = 1;
	struct nv_list plugins;
	assert_int_equal(nv_site_versions(f->src, &version, &plugins, &f->arena, &f->err), 0);
	assert_true(version == 2024100705 && plugins.len == 1);
	assert_string_equal(((struct nv_plugin *)plugins.items)->name, "mod_quiz");
	assert_int_equal(nv_site_versions(f->dst, &version, &plugins, &f->arena, &f->err), 0);
	assert_true(version == 0 && plugins.len == 0);
	assert_non_null(strstr(nv_site_describe(f->src), "directory /"));
}

/* --- export --- */

static void export_checks_before_it_moves_a_byte(void **state)
{
	struct fixture *f = *state;
	char *course = f->request.course;
	f->request.course = nv_arena_strdup(&f->arena, "99");
	expect_export_refused(f, NULL, NV_R_course_missing);
	f->request.course = nv_arena_strdup(&f->arena, "../10");
	expect_export_refused(f, NULL, NV_R_course_missing);
	f->request.course = nv_arena_strdup(&f->arena, "11");
	expect_export_refused(f, NULL, NV_R_role_missing);
	f->request.user = nv_arena_strdup(&f->arena, "nobody");
	expect_export_refused(f, NULL, NV_R_unknown_user);
	f->request.user = nv_arena_strdup(&f->arena, "ada");
	f->request.course = course;
	f->request.moodle_version = 2024042200;
	expect_export_refused(f, NULL, NV_R_version_older);
	f->request.moodle_version = 2024100705;
	struct nv_plugin other = {nv_arena_strdup(&f->arena, "mod_forum"), 1};
	f->request.plugins = (struct nv_list){&other, 1};
	expect_export_refused(f, NULL, NV_R_plugin_missing);
	assert_non_null(strstr(f->err.msg, "mod_quiz"));
	other.name = nv_arena_strdup(&f->arena, "mod_quiz");
	struct nv_manifest about;
	struct nv_strs warnings;
	assert_int_equal(run_export(f, NULL, &about, &warnings), 0);
	assert_string_equal(about.shortname, "P1");
	assert_string_equal(about.category, "BIO");
	assert_string_equal(about.moodle_version, "2024100705.01");
	assert_false(about.user_data);
	assert_int_equal(warnings.len, 0);
}

static void export_holds_to_the_policy_of_the_client(void **state)
{
	struct fixture *f = *state;
	const char *arts[] = {"ARTS", "BIO "};
	const char *sciences[] = {"SCI"};
	struct nv_config_client policy = {.name = "this-year"};
	struct nv_manifest about;
	struct nv_strs warnings;
	assert_int_equal(run_export(f, &policy, &about, &warnings), 0);
	f->request.user_data = true;
	expect_export_refused(f, &policy, NV_R_policy);
	policy.user_data = true;
	assert_int_equal(run_export(f, &policy, &about, &warnings), 0);
	policy.categories = arts;
	policy.categories_len = 2;
	expect_export_refused(f, &policy, NV_R_policy);
	policy.categories = sciences; /* the course is in a category below it */
	policy.categories_len = 1;
	assert_int_equal(run_export(f, &policy, &about, &warnings), 0);
	f->request.user = NULL;
	expect_export_refused(f, &policy, NV_R_policy);
	policy.without_user = true;
	assert_int_equal(run_export(f, &policy, &about, &warnings), 0);
}

static void export_says_that_an_archive_holds_user_data(void **state)
{
	struct fixture *f = *state;
	struct nv_config_client policy = {.name = "this-year"};
	struct nv_manifest about;
	struct nv_strs warnings;
	f->request.user = nv_arena_strdup(&f->arena, "dean");
	f->request.course = nv_arena_strdup(&f->arena, "11");
	expect_export_refused(f, &policy, NV_R_policy); /* not asked for, but they are in it */
	policy.user_data = true;
	assert_int_equal(run_export(f, &policy, &about, &warnings), 0);
	assert_true(about.user_data);
	assert_int_equal(warnings.len, 1);
	assert_non_null(strstr(warnings.items[0], "user data"));
	f->request.user_data = true;
	assert_int_equal(run_export(f, &policy, &about, &warnings), 0);
	assert_int_equal(warnings.len, 0);
}

static void note_progress(void *arg, const char *step, uint64_t done, uint64_t total)
{
	uint64_t *seen = arg;
	assert_string_equal(step, "export");
	assert_true(done >= seen[0] && done <= total);
	seen[0] = done;
	seen[1] = total;
}

static void export_tells_its_progress_and_can_be_cancelled(void **state)
{
	struct fixture *f = *state;
	uint64_t seen[2] = {0};
	unsigned count = 0;
	struct nv_job job = {.progress_cb = note_progress, .arg = seen};
	struct nv_sink sink = {ignore_entry, &count};
	struct nv_manifest about;
	assert_int_equal(nv_site_export(f->src, &f->request, NULL, NULL, &sink, &job, &about, NULL,
					&f->arena, &f->err),
			 0);
	assert_true(seen[0] >= sizeof(big_content) && seen[0] == seen[1]);
	atomic_store(&job.cancelled, true);
	assert_int_equal(nv_site_export(f->src, &f->request, NULL, NULL, &sink, &job, &about, NULL,
					&f->arena, &f->err),
			 -1);
	assert_int_equal(f->err.kind, NV_CANCELLED);
}

/* --- import --- */

static void an_import_makes_the_course_with_the_same_entries_and_bytes(void **state)
{
	struct fixture *f = *state;
	char before[NV_SHA256_HEX], after[NV_SHA256_HEX];
	fetch(f, "10");
	assert_int_equal(nv_site_preflight(f->dst, &f->import, 100000, &f->err), 0);
	struct nv_imported r = do_import(f);
	assert_string_equal(r.course, f->request.id);
	assert_string_equal(r.shortname, "P1");
	assert_string_equal(r.fullname, "Course P1");
	assert_string_equal(r.category, "NEW");
	assert_true(r.enrolled && !r.existed && !r.user_data && r.at > 0);
	assert_int_equal(r.warnings.len, 0);
	fingerprint(path_of(f, "src/backups/plain.mbz"), before);
	fingerprint(restored_mbz(f, r.course), after);
	assert_string_equal(before, after);
	assert_int_equal(count_in(f, "dst/tmp"), 0);
}

static void the_same_request_again_gets_the_same_course(void **state)
{
	struct fixture *f = *state;
	fetch(f, "10");
	struct nv_imported first = do_import(f);
	struct nv_imported again = do_import(f);
	assert_true(again.existed && again.enrolled);
	assert_string_equal(again.course, first.course);
	assert_string_equal(again.shortname, first.shortname);
	assert_true(again.at == first.at);
	assert_int_equal(count_in(f, "dst/courses"), 1);
	struct nv_imported found;
	assert_int_equal(nv_site_find(f->dst, f->request.id, &found, &f->arena, &f->err), 0);
	assert_string_equal(found.course, first.course);
	new_id(f);
	assert_int_equal(nv_site_find(f->dst, f->request.id, &found, &f->arena, &f->err), 0);
	assert_null(found.course);
	assert_int_equal(nv_site_find(f->dst, "../x", &found, &f->arena, &f->err), 0);
	assert_null(found.course);
}

static void copies_are_named_as_moodle_names_them(void **state)
{
	struct fixture *f = *state;
	fetch(f, "10");
	do_import(f);
	new_id(f);
	struct nv_imported second = do_import(f);
	new_id(f);
	struct nv_imported third = do_import(f);
	assert_string_equal(second.shortname, "P1_1");
	assert_string_equal(second.fullname, "Course P1 copy 1");
	assert_string_equal(third.shortname, "P1_2");
	assert_string_equal(third.fullname, "Course P1 copy 2");
	assert_int_equal(nv_site_directory_delete(path_of(f, "dst"), second.course, &f->err), 0);
	new_id(f);
	assert_string_equal(do_import(f).shortname, "P1_1"); /* the name is free again */
}

static void a_long_short_name_is_cut_in_front_of_the_copy_number(void **state)
{
	struct fixture *f = *state;
	char longest[2 * 101 + 1] = "";
	for (int i = 0; i < 101; i++)
		strcat(longest, "ü");
	fetch(f, "10");
	f->fetched.manifest.shortname = longest;
	struct nv_imported first = do_import(f);
	new_id(f);
	struct nv_imported second = do_import(f);
	assert_int_equal(strlen(first.shortname), 200); /* 100 characters */
	assert_int_equal(strlen(second.shortname), 2 * 98 + 2);
	assert_string_equal(second.shortname + 2 * 98, "_1");
}

static void names_of_every_kind_travel_unchanged(void **state)
{
	struct fixture *f = *state;
	fetch(f, "11");
	struct nv_imported r = do_import(f);
	assert_string_equal(r.shortname, "U'; DROP");
	assert_string_equal(r.fullname, "Übung <b>");
	assert_true(r.user_data);
	f->fetched.manifest.shortname = nv_arena_strdup(&f->arena, "../../../tmp/\"x\"\n%s%n");
	f->fetched.manifest.fullname = f->fetched.manifest.shortname;
	new_id(f);
	r = do_import(f);
	assert_string_equal(r.shortname, f->fetched.manifest.shortname);
	struct nv_imported found;
	assert_int_equal(nv_site_find(f->dst, f->request.id, &found, &f->arena, &f->err), 0);
	assert_string_equal(found.shortname, r.shortname);
}

static void ids_that_would_be_paths_are_refused(void **state)
{
	struct fixture *f = *state;
	fetch(f, "10");
	char *id = f->request.id;
	f->request.id = nv_arena_strdup(&f->arena, "../../escape");
	expect_import_refused(f, NV_REJECT, NV_R_bad_message);
	f->request.id = id;
	f->import.site = "../x";
	expect_import_refused(f, NV_REJECT, NV_R_bad_message);
	f->import.site = "last-year";
	f->request.course = nv_arena_strdup(&f->arena, "../../../../x"); /* only its hash is used */
	do_import(f);
}

static void the_category_is_the_original_one_the_one_asked_for_or_the_default(void **state)
{
	struct fixture *f = *state;
	fetch(f, "10");
	f->request.keep_category = true;
	assert_string_equal(do_import(f).category, "BIO");
	f->import.category = "GONE";
	new_id(f);
	struct nv_imported r = do_import(f);
	assert_string_equal(r.category, "NEW");
	assert_int_equal(r.warnings.len, 1);
	assert_non_null(strstr(r.warnings.items[0], "GONE"));
	f->import.category = NULL;
	new_id(f);
	r = do_import(f);
	assert_string_equal(r.category, "NEW");
	assert_int_equal(r.warnings.len, 1);
	f->request.keep_category = false;
	f->request.category = nv_arena_strdup(&f->arena, "SUB");
	new_id(f);
	assert_string_equal(do_import(f).category, "SUB");
	f->request.category = NULL;
	f->dst_config.restore.default_category = "NOWHERE";
	new_id(f);
	expect_import_refused(f, NV_REJECT, NV_R_category_missing);
	assert_int_equal(nv_site_preflight(f->dst, &f->import, 1, &f->err), -1);
	assert_int_equal(f->err.reason, NV_R_category_missing);
}

static void the_requester_must_be_allowed_to_create_courses_there(void **state)
{
	struct fixture *f = *state;
	fetch(f, "10");
	f->dst_config.restore.check_course_create = true;
	f->request.keep_category = true;
	assert_string_equal(do_import(f).category, "BIO"); /* ada: everywhere */
	new_id(f);
	f->request.user = nv_arena_strdup(&f->arena, "bob"); /* only in the default category */
	struct nv_imported r = do_import(f);
	assert_string_equal(r.category, "NEW");
	assert_int_equal(r.warnings.len, 1);
	new_id(f);
	f->request.user = nv_arena_strdup(&f->arena, "eve");
	expect_import_refused(f, NV_REJECT, NV_R_capability_missing);
	assert_int_equal(nv_site_preflight(f->dst, &f->import, 1, &f->err), -1);
	assert_int_equal(f->err.reason, NV_R_capability_missing);
	f->request.user = nv_arena_strdup(&f->arena, "sub"); /* in a category above it */
	f->import.category = "SUB";
	assert_string_equal(do_import(f).category, "SUB");
	new_id(f);
	f->request.user = NULL; /* an administrator */
	r = do_import(f);
	assert_false(r.enrolled);
	f->dst_config.restore.check_course_create = false;
	new_id(f);
	f->request.user = nv_arena_strdup(&f->arena, "eve");
	do_import(f);
}

static void an_unknown_requester_is_refused(void **state)
{
	struct fixture *f = *state;
	fetch(f, "10");
	f->request.user = nv_arena_strdup(&f->arena, "stranger");
	expect_import_refused(f, NV_REJECT, NV_R_unknown_user);
	f->dst_config.restore.enrol_requester = false;
	assert_false(do_import(f).enrolled);
}

static void preflight_asks_for_the_room_that_is_needed(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(nv_site_preflight(f->dst, &f->import, UINT64_MAX / 4, &f->err), -1);
	assert_int_equal(f->err.kind, NV_RETRY);
	assert_int_equal(f->err.reason, NV_R_disk_full);
}

static void only_one_request_restores_a_remote_course(void **state)
{
	struct fixture *f = *state;
	fetch(f, "10");
	f->dst_config.restore.only_one = true;
	struct nv_imported first = do_import(f);
	assert_true(do_import(f).existed); /* the same request may come again */
	new_id(f);
	expect_import_refused(f, NV_REJECT, NV_R_already_restored);
	assert_int_equal(nv_site_preflight(f->dst, &f->import, 1, &f->err), -1);
	assert_int_equal(f->err.reason, NV_R_already_restored);
	f->import.site = "another-site"; /* the same number elsewhere is another course */
	do_import(f);
	f->import.site = "last-year";
	new_id(f);
	assert_int_equal(nv_site_directory_delete(path_of(f, "dst"), first.course, &f->err), 0);
	assert_int_equal(nv_site_preflight(f->dst, &f->import, 1, &f->err), 0);
	do_import(f); /* freed */
}

static void a_course_restored_before_only_one_was_set_counts(void **state)
{
	struct fixture *f = *state;
	fetch(f, "10");
	do_import(f);
	f->dst_config.restore.only_one = true;
	new_id(f);
	expect_import_refused(f, NV_REJECT, NV_R_already_restored);
}

static void two_processes_with_the_same_request_make_one_course(void **state)
{
	struct fixture *f = *state;
	fetch(f, "10");
	for (int round = 0; round < 10; round++) {
		new_id(f);
		pid_t a = import_in_child(f, NULL, NULL);
		pid_t b = import_in_child(f, NULL, NULL);
		int one = wait_for(a), two = wait_for(b);
		assert_true(WIFEXITED(one) && WIFEXITED(two));
		int made = (WEXITSTATUS(one) == 0) + (WEXITSTATUS(two) == 0);
		int other = WEXITSTATUS(one) + WEXITSTATUS(two);
		assert_int_equal(made, 1);
		assert_true(other == 1 || other == 10); /* existed, or busy */
		assert_int_equal(count_in(f, "dst/courses"), round + 1);
	}
	assert_int_equal(count_in(f, "dst/tmp"), 0);
}

static void two_requests_at_once_for_one_remote_course_make_one(void **state)
{
	struct fixture *f = *state;
	fetch(f, "10");
	f->dst_config.restore.only_one = true;
	pid_t a = import_in_child(f, NULL, NULL);
	new_id(f);
	pid_t b = import_in_child(f, NULL, NULL);
	int one = wait_for(a), two = wait_for(b);
	assert_int_equal((WEXITSTATUS(one) == 0) + (WEXITSTATUS(two) == 0), 1);
	assert_int_equal(count_in(f, "dst/courses"), 1);
}

static void many_processes_make_copies_of_different_names(void **state)
{
	struct fixture *f = *state;
	pid_t pids[6];
	fetch(f, "10");
	for (size_t i = 0; i < NV_ARRAY_LEN(pids); i++) {
		new_id(f);
		pids[i] = import_in_child(f, NULL, NULL);
	}
	for (size_t i = 0; i < NV_ARRAY_LEN(pids); i++)
		assert_int_equal(wait_for(pids[i]), 0);
	new_id(f);
	assert_string_equal(do_import(f).shortname, "P1_6");
}

#ifdef NAVETTE_FAULTS
static void killed_before_the_commit_leaves_nothing_after_the_sweep(void **state)
{
	struct fixture *f = *state;
	fetch(f, "10");
	f->dst_config.restore.only_one = true;
	int status = wait_for(import_in_child(f, "site.import.before-commit", NULL));
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_int_equal(count_in(f, "dst/courses"), 0);
	assert_int_equal(count_in(f, "dst/tmp"), 1);
	assert_int_equal(nv_site_sweep(f->dst, &f->err), 0);
	assert_int_equal(count_in(f, "dst/tmp"), 0);
	assert_int_equal(count_in(f, "dst/remote"), 0);
	assert_int_equal(count_in(f, "dst/locks"), 0);
	assert_false(do_import(f).existed);
	assert_int_equal(count_in(f, "dst/courses"), 1);
}

static void the_next_attempt_removes_what_a_killed_one_left(void **state)
{
	struct fixture *f = *state;
	fetch(f, "10");
	wait_for(import_in_child(f, "site.import.before-commit", NULL));
	assert_int_equal(count_in(f, "dst/tmp"), 1);
	do_import(f);
	assert_int_equal(count_in(f, "dst/tmp"), 0);
}

static void killed_after_the_commit_the_course_is_found(void **state)
{
	struct fixture *f = *state;
	fetch(f, "10");
	f->dst_config.restore.only_one = true;
	int status = wait_for(import_in_child(f, "site.import.after-commit", NULL));
	assert_true(WIFSIGNALED(status));
	struct nv_imported r = do_import(f);
	assert_true(r.existed && r.enrolled);
	assert_int_equal(count_in(f, "dst/courses"), 1);
	new_id(f);
	expect_import_refused(f, NV_REJECT, NV_R_already_restored);
}

static void a_stopped_importer_whose_lease_ended_changes_nothing(void **state)
{
	struct fixture *f = *state;
	/* Shared, so that the lease can end while the child is stopped, without a wait. */
	struct nv_job *job =
		mmap(NULL, sizeof(*job), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;
	fetch(f, "10");
	f->dst_config.restore.only_one = true;
	pid_t pid = import_in_child(f, "site.import.before-commit:stop", job);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status));
	expect_import_refused(f, NV_HOLD, NV_R_busy); /* it holds the lock all the same */
	assert_int_equal(nv_site_sweep(f->dst, &f->err), 0);
	assert_int_equal(count_in(f, "dst/tmp"), 1); /* which the sweep respects */
	atomic_store(&job->lease_until, nv_mono_ms());
	kill(pid, SIGCONT);
	status = wait_for(pid);
	assert_int_equal(WEXITSTATUS(status), 11); /* claim lost */
	assert_int_equal(count_in(f, "dst/courses"), 0);
	assert_int_equal(count_in(f, "dst/tmp"), 0);
	assert_int_equal(count_in(f, "dst/remote"), 0);
	assert_false(do_import(f).existed);
	munmap(job, sizeof(*job));
}
#endif

/* An importer killed at any moment, by the clock. */
static void killed_at_random_moments_there_is_one_course(void **state)
{
	struct fixture *f = *state;
	fetch(f, "10");
	for (unsigned i = 0; i < 20; i++) {
		new_id(f);
		pid_t pid = import_in_child(f, NULL, NULL);
		nanosleep(&(struct timespec){.tv_nsec = (long)(i * 700000)}, NULL);
		kill(pid, SIGKILL);
		wait_for(pid);
		do_import(f);
		assert_int_equal(count_in(f, "dst/courses"), i + 1);
	}
	assert_int_equal(nv_site_sweep(f->dst, &f->err), 0);
	assert_int_equal(count_in(f, "dst/tmp"), 0);
	assert_int_equal(count_in(f, "dst/locks"), 0);
}

static void a_cancelled_import_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	struct nv_job job = {0};
	struct nv_imported ret;
	fetch(f, "10");
	atomic_store(&job.cancelled, true);
	assert_int_equal(
		nv_site_import(f->dst, &f->import, &f->fetched, &job, &ret, &f->arena, &f->err),
		-1);
	assert_int_equal(f->err.kind, NV_CANCELLED);
	assert_int_equal(count_in(f, "dst/courses"), 0);
	assert_int_equal(count_in(f, "dst/tmp"), 0);
}

static void a_deleted_course_does_not_come_back(void **state)
{
	struct fixture *f = *state;
	fetch(f, "10");
	struct nv_imported r = do_import(f);
	assert_int_equal(nv_site_directory_delete(path_of(f, "dst"), r.course, &f->err), 0);
	expect_import_refused(f, NV_REJECT, NV_R_course_missing);
	assert_int_equal(nv_site_directory_delete(path_of(f, "dst"), r.course, &f->err), -1);
	assert_int_equal(f->err.reason, NV_R_course_missing);
	assert_int_equal(nv_site_directory_delete(path_of(f, "dst"), "../src", &f->err), -1);
	assert_int_equal(count_in(f, "dst/tmp"), 0);
}

/* --- enrol, notify, history --- */

static unsigned occurrences(const char *text, const char *what)
{
	unsigned count = 0;
	for (const char *p = text; (p = strstr(p, what)); p++)
		count++;
	return count;
}

static void enrolling_twice_is_once(void **state)
{
	struct fixture *f = *state;
	fetch(f, "10");
	struct nv_imported r = do_import(f);
	for (int i = 0; i < 2; i++)
		assert_int_equal(nv_site_enrol(f->dst, r.course, "eve", "editingteacher", &f->err),
				 0);
	char *json =
		get_file(f, nv_arena_printf(&f->arena, "dst/courses/%s/course.json", r.course));
	assert_int_equal(occurrences(json, "\"user\": \"eve\""), 1);
	assert_int_equal(occurrences(json, "\"user\": \"ada\""), 2); /* request and enrolment */
	assert_int_equal(nv_site_enrol(f->dst, r.course, "stranger", "student", &f->err), -1);
	assert_int_equal(f->err.reason, NV_R_unknown_user);
	assert_int_equal(nv_site_directory_delete(path_of(f, "dst"), r.course, &f->err), 0);
	assert_int_equal(nv_site_enrol(f->dst, r.course, "eve", "editingteacher", &f->err), -1);
	assert_int_equal(f->err.kind, NV_REJECT);
	assert_int_equal(f->err.reason, NV_R_course_missing);
	assert_int_equal(nv_site_enrol(f->dst, "../../x", "eve", "student", &f->err), -1);
	assert_int_equal(f->err.reason, NV_R_course_missing);
}

struct enroller {
	struct fixture *f;
	const char *course;
	const char *user;
};

static void *enrol_often(void *arg)
{
	struct enroller *e = arg;
	for (int i = 0; i < 10; i++) {
		char role[16];
		struct nv_err err = {0};
		snprintf(role, sizeof(role), "role%d", i);
		if (nv_site_enrol(e->f->dst, e->course, e->user, role, &err) < 0)
			return arg;
	}
	return NULL;
}

static void enrolments_at_once_lose_none(void **state)
{
	struct fixture *f = *state;
	fetch(f, "10");
	struct nv_imported r = do_import(f);
	struct enroller who[] = {{f, r.course, "ada"}, {f, r.course, "bob"}, {f, r.course, "eve"}};
	pthread_t threads[NV_ARRAY_LEN(who)];
	for (size_t i = 0; i < NV_ARRAY_LEN(who); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, enrol_often, &who[i]), 0);
	for (int i = 0; i < 50; i++) /* which takes the lock files away all the time */
		assert_int_equal(nv_site_sweep(f->dst, &f->err), 0);
	for (size_t i = 0; i < NV_ARRAY_LEN(who); i++) {
		void *failed;
		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
	char *json =
		get_file(f, nv_arena_printf(&f->arena, "dst/courses/%s/course.json", r.course));
	assert_int_equal(occurrences(json, "\"role\": \"role"), 30);
}

static void a_notice_is_delivered_once(void **state)
{
	struct fixture *f = *state;
	struct nv_notice n = {
		.id = "0193-restored",
		.user = "ada",
		.subject = "Kurs wiederhergestellt: Übung\r\nBcc: all@example.org",
		.text = "Grüße,\nnavette",
		.url = "https://moodle.example/course/7",
	};
	for (int i = 0; i < 2; i++)
		assert_int_equal(nv_site_notify(f->dst, &n, &f->err), 0);
	assert_int_equal(count_in(f, "dst/mail"), 1);
	assert_int_equal(count_in(f, "dst/tmp"), 0);
	char *mail = get_file(f, "dst/mail/0193-restored.txt");
	assert_non_null(strstr(mail, "From: This year <"));
	assert_non_null(strstr(mail, "To: =?UTF-8?B?QWRhIEzDtnZlbGFjZQ==?= <ada@example.org>\n"));
	assert_non_null(strstr(mail, "\nMessage-ID: <0193-restored@navette.invalid>\n"));
	assert_non_null(strstr(mail, "\nDate: "));
	assert_non_null(strstr(mail, "\nSubject: =?UTF-8?B?"));
	assert_non_null(strstr(mail, "\nContent-Language: fr\n"));
	assert_non_null(strstr(mail, "\n\nGrüße,\nnavette\n\nhttps://moodle.example/course/7\n"));
	assert_null(strstr(mail, "Bcc"));
	n.id = "../../../etc/cron.d/x";
	assert_int_equal(nv_site_notify(f->dst, &n, &f->err), 0);
	assert_int_equal(nv_site_notify(f->dst, &n, &f->err), 0);
	assert_int_equal(count_in(f, "dst/mail"), 2);
	n.user = "stranger";
	assert_int_equal(nv_site_notify(f->dst, &n, &f->err), -1);
	assert_int_equal(f->err.reason, NV_R_unknown_user);
}

struct told {
	struct fixture *f;
	unsigned there;
	unsigned deleted;
	const struct nv_restore_request *expect;
};

static int tell(void *arg, const struct nv_restore_request *q, const struct nv_imported *outcome,
		bool deleted)
{
	struct told *t = arg;
	nv_auto_buf struct nv_buf asked = {0}, told = {0};
	struct nv_err err = {0};
	t->there += !deleted;
	t->deleted += deleted;
	assert_string_equal(outcome->course, q->id);
	if (strcmp(q->id, t->expect->id) != 0)
		return 0;
	/* Every field comes back as it was asked. */
	if (nv_record_encode(&nv_restore_request_record, t->expect, &asked, &err) < 0 ||
	    nv_record_encode(&nv_restore_request_record, q, &told, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(asked.len, told.len);
	assert_memory_equal(asked.data, told.data, asked.len);
	assert_int_equal(outcome->warnings.len, 1);
	assert_string_equal(outcome->category, "NEW");
	return 0;
}

static int stop_at_once(void *arg, const struct nv_restore_request *q,
			const struct nv_imported *outcome, bool deleted)
{
	(void)q;
	(void)outcome;
	(void)deleted;
	++*(unsigned *)arg;
	return 1;
}

static void history_tells_the_whole_request_and_deleted_courses(void **state)
{
	struct fixture *f = *state;
	struct nv_plugin plugins[] = {{nv_arena_strdup(&f->arena, "mod_quiz"), UINT64_MAX}};
	struct told t = {f, 0, 0, &f->request};
	unsigned calls = 0;
	assert_int_equal(nv_site_history(f->dst, tell, &t, &f->err), 0);
	assert_int_equal(t.there + t.deleted, 0);
	fetch(f, "10");
	struct nv_imported first = do_import(f);
	new_id(f);
	f->request.user_name = nv_arena_strdup(&f->arena, "Ada \"Ü\" \\ </b>");
	f->request.mail = nv_arena_strdup(&f->arena, "ada@example.org");
	f->request.by = nv_arena_strdup(&f->arena, "admin");
	f->request.source = NV_SRC_CSV;
	f->request.keep_category = true;
	f->request.enrolment = NV_ENROL_WITH_USERS;
	f->request.plugins = (struct nv_list){plugins, 1};
	f->import.category = "GONE";
	do_import(f);
	assert_int_equal(nv_site_directory_delete(path_of(f, "dst"), first.course, &f->err), 0);
	put_file(f, "dst/deleted/notes.txt", "not ours");
	assert_int_equal(nv_site_history(f->dst, tell, &t, &f->err), 0);
	assert_int_equal(t.there, 1);
	assert_int_equal(t.deleted, 1);
	assert_int_equal(nv_site_history(f->dst, stop_at_once, &calls, &f->err), 0);
	assert_int_equal(calls, 1);
}

static void a_damaged_course_json_is_named_and_hides_no_other(void **state)
{
	struct fixture *f = *state;
	fetch(f, "10");
	do_import(f);
	put_file(f, nv_arena_printf(&f->arena, "dst/courses/%s/course.json", f->request.id),
		 "{\"site\": 3");
	struct nv_imported found;
	assert_int_equal(nv_site_find(f->dst, f->request.id, &found, &f->arena, &f->err), -1);
	assert_non_null(strstr(f->err.msg, "course.json:1: damaged"));
	new_id(f);
	do_import(f);
	const struct nv_restore_request nobody = {.id = nv_arena_strdup(&f->arena, "x")};
	struct told t = {f, 0, 0, &nobody};
	assert_int_equal(nv_site_history(f->dst, tell, &t, &f->err), 0);
	assert_int_equal(t.there, 1);
}

/* --- making sites --- */

static void a_site_is_made_from_a_folder_of_archives(void **state)
{
	struct fixture *f = *state;
	static const char *const names[] = {"a \"quoted\" name's.mbz", "Übung 1.MBZ",
					    "line\nbreak.mbz", "back\\slash.mbz", "bad\xff.mbz"};
	struct nv_config config = {0};
	struct nv_catalog_reply r;
	nv_mkdir_p(path_of(f, "mine"), 0700, NULL);
	for (size_t i = 0; i < NV_ARRAY_LEN(names); i++)
		make_backup(f, nv_arena_printf(&f->arena, "mine/%s", names[i]),
			    nv_arena_printf(&f->arena, "N%zu", i), i == 1);
	put_file(f, "mine/readme.txt", "no archive");
	if (nv_site_directory_create(path_of(f, "made"), "made", "tea\"cher", path_of(f, "mine"),
				     &f->err) < 0)
		fail_msg("%s", f->err.msg);
	nv_site_close(f->src);
	config.site.path = path_of(f, "made");
	f->src = nv_site_open(&config, &f->err);
	if (!f->src)
		fail_msg("%s", f->err.msg);
	assert_int_equal(run_catalog(f, "username", "tea\"cher", &r), 0);
	assert_int_equal(r.courses.len, NV_ARRAY_LEN(names));
	assert_true(r.moodle_version == 2024100705);
	assert_string_equal(((struct nv_course *)r.courses.items)->category,
			    NV_SITE_DIRECTORY_CATEGORY);
	assert_int_equal(nv_site_directory_create(path_of(f, "made"), "made", "t", NULL, &f->err),
			 -1);
	assert_int_equal(f->err.reason, NV_R_conflict);
	assert_int_equal(nv_site_directory_create(path_of(f, "x"), "No Name", "t", NULL, &f->err),
			 -1);
	/* Interrupted before its site.json was written: made on the second try. */
	unlink(path_of(f, "made/site.json"));
	assert_int_equal(nv_site_directory_create(path_of(f, "made"), "made", "t",
						  path_of(f, "mine"), &f->err),
			 0);
	put_file(f, "mine/z.mbz", "no archive");
	assert_int_equal(nv_site_directory_create(path_of(f, "made2"), "made", "t",
						  path_of(f, "mine"), &f->err),
			 -1);
	assert_non_null(strstr(f->err.msg, "z.mbz"));
}

static void a_made_client_restores_what_a_made_server_has(void **state)
{
	struct fixture *f = *state;
	if (nv_site_directory_create(path_of(f, "client"), "client", "ada", NULL, &f->err) < 0)
		fail_msg("%s", f->err.msg);
	nv_site_close(f->dst);
	f->dst_config.site.path = path_of(f, "client");
	f->dst_config.restore.default_category = NV_SITE_DIRECTORY_CATEGORY;
	f->dst_config.restore.check_course_create = true;
	f->dst = nv_site_open(&f->dst_config, &f->err);
	assert_non_null(f->dst);
	fetch(f, "10");
	struct nv_imported r = do_import(f);
	assert_true(r.enrolled && r.warnings.len == 0);
}

/* Every archive of the fixtures (or samples) comes out with the same entries and bytes. */
static void real_archives_travel_unchanged(void **state)
{
	struct fixture *f = *state;
	const char *source = getenv("NAVETTE_SOURCE");
	static const char *const folders[] = {"../shared/fixtures/mbz", "tests/samples"};
	char *from = NULL;
	struct nv_config config = {0};
	for (size_t i = 0; source && !from && i < NV_ARRAY_LEN(folders); i++) {
		from = nv_arena_printf(&f->arena, "%s/%s", source, folders[i]);
		if (access(from, R_OK) < 0)
			from = NULL;
	}
	if (!from)
		skip();
	if (nv_site_directory_create(path_of(f, "real"), "real", "ada", from, &f->err) < 0)
		fail_msg("%s", f->err.msg);
	nv_site_close(f->src);
	config.site.path = path_of(f, "real");
	f->src = nv_site_open(&config, &f->err);
	if (!f->src)
		fail_msg("%s", f->err.msg);
	struct nv_catalog_reply r;
	assert_int_equal(run_catalog(f, "username", "ada", &r), 0);
	assert_true(r.courses.len > 0);
	const struct nv_course *c = r.courses.items;
	DIR *backups = opendir(path_of(f, "real/backups"));
	struct dirent *e;
	unsigned matched = 0;
	char have[16][NV_SHA256_HEX];
	size_t have_len = 0;
	for (size_t i = 0; i < r.courses.len && i < 16; i++) {
		fetch(f, c[i].course);
		new_id(f);
		fingerprint(restored_mbz(f, do_import(f).course), have[have_len++]);
	}
	while ((e = readdir(backups))) {
		char wanted[NV_SHA256_HEX];
		if (e->d_name[0] == '.')
			continue;
		fingerprint(
			nv_arena_printf(&f->arena, "%s/%s", path_of(f, "real/backups"), e->d_name),
			wanted);
		for (size_t i = 0; i < have_len; i++)
			matched += strcmp(have[i], wanted) == 0;
	}
	closedir(backups);
	assert_int_equal(matched, r.courses.len);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(catalog_finds_roles_in_the_course_and_in_categories_above),
		TEST(catalog_reply_can_be_encoded),
		TEST(catalog_knows_unknown_from_ambiguous_users),
		TEST(catalog_ends_on_circular_categories),
		TEST(catalog_shows_the_other_courses_when_one_file_is_damaged),
		TEST(a_changed_backup_is_read_again),
		TEST(a_mistake_in_site_json_is_named_with_its_line),
		TEST(a_changed_site_json_is_read_again),
		TEST(versions_are_those_of_site_json),
		TEST(export_checks_before_it_moves_a_byte),
		TEST(export_holds_to_the_policy_of_the_client),
		TEST(export_says_that_an_archive_holds_user_data),
		TEST(export_tells_its_progress_and_can_be_cancelled),
		TEST(an_import_makes_the_course_with_the_same_entries_and_bytes),
		TEST(the_same_request_again_gets_the_same_course),
		TEST(copies_are_named_as_moodle_names_them),
		TEST(a_long_short_name_is_cut_in_front_of_the_copy_number),
		TEST(names_of_every_kind_travel_unchanged),
		TEST(ids_that_would_be_paths_are_refused),
		TEST(the_category_is_the_original_one_the_one_asked_for_or_the_default),
		TEST(the_requester_must_be_allowed_to_create_courses_there),
		TEST(an_unknown_requester_is_refused),
		TEST(preflight_asks_for_the_room_that_is_needed),
		TEST(only_one_request_restores_a_remote_course),
		TEST(a_course_restored_before_only_one_was_set_counts),
		TEST(two_processes_with_the_same_request_make_one_course),
		TEST(two_requests_at_once_for_one_remote_course_make_one),
		TEST(many_processes_make_copies_of_different_names),
#ifdef NAVETTE_FAULTS
		TEST(killed_before_the_commit_leaves_nothing_after_the_sweep),
		TEST(the_next_attempt_removes_what_a_killed_one_left),
		TEST(killed_after_the_commit_the_course_is_found),
		TEST(a_stopped_importer_whose_lease_ended_changes_nothing),
#endif
		TEST(killed_at_random_moments_there_is_one_course),
		TEST(a_cancelled_import_leaves_nothing),
		TEST(a_deleted_course_does_not_come_back),
		TEST(enrolling_twice_is_once),
		TEST(enrolments_at_once_lose_none),
		TEST(a_notice_is_delivered_once),
		TEST(history_tells_the_whole_request_and_deleted_courses),
		TEST(a_damaged_course_json_is_named_and_hides_no_other),
		TEST(a_site_is_made_from_a_folder_of_archives),
		TEST(a_made_client_restores_what_a_made_server_has),
		TEST(real_archives_travel_unchanged),
	};
	nv_log_init("test", NV_ERROR);
	return cmocka_run_group_tests_name("site", tests, NULL, NULL);
}
