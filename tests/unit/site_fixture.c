/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/site_fixture.h"

#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

const struct nv_archive_limits no_limits = {1ull << 40, 10000000, 1ull << 40};

char *path_of(struct fixture *f, const char *name)
{
	return nv_arena_printf(&f->arena, "%s/%s", f->dir, name);
}

void put_file(struct fixture *f, const char *name, const char *text)
{
	assert_int_equal(nv_write_file(path_of(f, name), text, strlen(text), 0600, &f->err), 0);
}

char *get_file(struct fixture *f, const char *name)
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

char big_content[BIG_CONTENT];

void make_backup(struct fixture *f, const char *name, const char *shortname, bool users)
{
	make_backup_of(f, name, shortname, "2024100705.01", users);
}

void make_backup_of(struct fixture *f, const char *name, const char *shortname, const char *version,
		    bool users)
{
	for (size_t i = 0; i < sizeof big_content; i++)
		big_content[i] = (char)(i * 7 + i / 251);
	uint8_t digest[NV_SHA1_LEN];
	char hex[NV_SHA1_HEX];
	struct nv_hash *h = nv_hash_new(NV_SHA1);
	nv_hash_update(h, big_content, sizeof big_content);
	nv_hash_final(h, digest);
	nv_hash_free(h);
	nv_hex(digest, sizeof digest, hex);
	char *xml = nv_arena_printf(
		&f->arena,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<moodle_backup><information>"
		"<name>backup.mbz</name><moodle_version>%s</moodle_version>"
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
		version, shortname, shortname, users);
	char *files = nv_arena_printf(&f->arena, "files/%.2s/%s", hex, hex);
	const struct nv_entry entries[] = {
		{.path = "files", .folder = true, .mtime = 1795363153},
		{.path = files, .size = sizeof big_content, .mtime = 1795363153},
		{.path = "moodle_backup.xml", .size = strlen(xml), .mtime = 1795363153},
	};
	struct memory content = {big_content, sizeof big_content};
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

const char src_json[] =
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

void new_id(struct fixture *f)
{
	char id[NV_UUID_SIZE];
	nv_uuid_new(id);
	f->request.id = nv_arena_strdup(&f->arena, id);
}

int site_set_up(void **state)
{
	struct fixture *f = nv_alloc(sizeof *f);
	*state = f;
	snprintf(f->dir, sizeof f->dir, "/tmp/nv-test-site-XXXXXX");
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

int site_tear_down(void **state)
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

int ignore_entry(void *ctx, const struct nv_entry *entry, const struct nv_source *from,
		 struct nv_err *err)
{
	char block[4096];
	ssize_t n = 0;
	(void)entry;
	++*(unsigned *)ctx;
	while (from && (n = from->read_cb(from->ctx, block, sizeof block, err)) > 0)
		;
	return n < 0 ? -1 : 0;
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
							&no_limits, NULL, NULL, &f->err);
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
			     NULL, &f->fetched, &f->err) < 0)
		fail_msg("%s", f->err.msg);
}

void fetch(struct fixture *f, const char *course)
{
	nv_mkdir_p(path_of(f, "work"), 0700, NULL);
	char *user = f->request.user;
	f->request.user = NULL; /* roles are not what is tested here */
	fetch_from(f, f->src, course);
	f->request.user = user;
}

int try_import(struct fixture *f, struct nv_imported *ret)
{
	f->err = (struct nv_err){0};
	return nv_site_import(f->dst, &f->import, &f->fetched, NULL, ret, &f->arena, &f->err);
}

struct nv_imported do_import(struct fixture *f)
{
	struct nv_imported ret;
	if (try_import(f, &ret) < 0)
		fail_msg("%s", f->err.msg);
	return ret;
}

unsigned count_in(struct fixture *f, const char *folder)
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

static void fingerprint_entry(struct nv_hash *h, const char *path, bool folder, uint64_t size)
{
	nv_hash_update(h, path, strlen(path) + 1);
	nv_hash_update(h, &folder, sizeof folder);
	nv_hash_update(h, &size, sizeof size);
}

static int hash_entry(void *ctx, const struct nv_entry *entry, const struct nv_source *from,
		      struct nv_err *err)
{
	char block[4096];
	ssize_t n = 0;
	fingerprint_entry(ctx, entry->path, entry->folder, entry->size);
	while (from && (n = from->read_cb(from->ctx, block, sizeof block, err)) > 0)
		nv_hash_update(ctx, block, (size_t)n);
	return n < 0 ? -1 : 0;
}

/* Of all entries' names and bytes, in their order. */
void fingerprint(const char *mbz, char ret[NV_SHA256_HEX])
{
	struct nv_err err = {0};
	uint8_t digest[NV_SHA256_LEN];
	struct nv_hash *h = nv_hash_new(NV_SHA256);
	struct nv_sink sink = {.entry_cb = hash_entry, .ctx = h};
	if (nv_mbz_read(mbz, &no_limits, &sink, NULL, &err) < 0)
		fail_msg("%s: %s", mbz, err.msg);
	nv_hash_final(h, digest);
	nv_hash_free(h);
	nv_hex(digest, sizeof digest, ret);
}

char *restored_mbz(struct fixture *f, const char *course)
{
	return nv_arena_printf(&f->arena, "%s/dst/courses/%s/backup.mbz", f->dir, course);
}
