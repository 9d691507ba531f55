/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Metadata of a backup: moodle_backup.xml and course/course.xml, read as streams. */
#include "base/fs.h"
#include "core/archive/archive_internal.h"
#include "proto/inventory.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/xml.h"

#define MAX_PLUGINS 4096u
#define PLUGIN_MAX_LEN 96u /* with "mod_" at most 100, as the messages have it */

struct inspecting {
	struct nv_mbz_info *info;
	bool seen; /* moodle_backup.xml */
	char **plugins;
	size_t plugins_len;
	struct nv_count *counts;
	size_t counts_len;
	bool delegated; /* the section that is being read belongs to an activity */
	/* the setting that is being read */
	bool root_level;
	bool users_setting;
	bool setting_on;
};

/* --- one XML file --- */

/* Called when an element ends, after its children: names[0 … depth-1] lead to it, text is its own.
 */
typedef void (*leaf_cb)(struct inspecting *in, const char *const *names, int depth,
			const char *text);
struct xml_walk {
	struct inspecting *in;
	leaf_cb leaf;
};

static bool walk_end(void *arg, const char *const *names, unsigned depth, const char *text)
{
	struct xml_walk *w = arg;
	w->leaf(w->in, names, (int)depth, text);
	return false;
}

static int walk_failed(const char *name, const struct nv_xml *x, enum nv_xml_state state,
		       struct nv_err *err)
{
	enum nv_reason reason =
		state == NV_XML_REFUSED ? NV_R_archive_unsafe : NV_R_archive_corrupt;
	return nv_fail(err, NV_REJECT, reason, "archive: %s %s", name, nv_xml_why(x));
}

/* Reads the source to its end, or until the XML is wrong. */
static int walk_source(struct nv_xml *x, const char *name, const struct nv_source *from,
		       struct nv_err *err)
{
	nv_auto_free uint8_t *buf = nv_alloc_block(NV_ARCHIVE_BLOCK);
	enum nv_xml_state state = NV_XML_READING;
	ssize_t n = 1;
	while (n > 0 && state == NV_XML_READING) {
		n = from->read_cb(from->ctx, buf, NV_ARCHIVE_BLOCK, err);
		if (n < 0)
			return -1;
		state = n > 0 ? nv_xml_feed(x, buf, (size_t)n) : nv_xml_end(x);
	}
	return state == NV_XML_READING ? 0 : walk_failed(name, x, state, err);
}

static int walk_xml(struct inspecting *in, const char *name, const struct nv_source *from,
		    leaf_cb leaf, struct nv_err *err)
{
	struct xml_walk w = {.in = in, .leaf = leaf};
	/* Of any size: the archive's limits hold for it. */
	struct nv_xml *x = nv_xml_new(UINT64_MAX, walk_end, &w);
	int rc = walk_source(x, name, from, err);
	nv_xml_free(x);
	return rc;
}

static int drain(const struct nv_source *from, struct nv_err *err)
{
	nv_auto_free uint8_t *buf = nv_alloc_block(NV_ARCHIVE_BLOCK);
	ssize_t n;
	do
		n = from->read_cb(from->ctx, buf, NV_ARCHIVE_BLOCK, err);
	while (n > 0);
	return (int)n;
}

/* --- moodle_backup.xml --- */

static bool path_is(const char *const *names, int depth, int count, const char *const *want)
{
	if (depth != count)
		return false;
	for (int i = 0; i < count; i++)
		if (!names[i] || strcmp(names[i], want[i]) != 0)
			return false;
	return true;
}
#define PATH_IS(...)                                                              \
	path_is(names, depth, (int)NV_ARRAY_LEN(((const char *[]){__VA_ARGS__})), \
		(const char *const[]){__VA_ARGS__})

static void information_leaf(struct nv_mbz_info *info, const char *name, const char *text)
{
	const struct {
		const char *name;
		char **to;
	} texts[] = {
		{"moodle_version", &info->moodle_version},
		{"moodle_release", &info->moodle_release},
		{"backup_version", &info->backup_version},
		{"backup_release", &info->backup_release},
		{"original_wwwroot", &info->wwwroot},
		{"original_course_id", &info->course},
		{"original_course_shortname", &info->shortname},
		{"original_course_fullname", &info->fullname},
	};
	for (size_t i = 0; i < NV_ARRAY_LEN(texts); i++)
		if (strcmp(name, texts[i].name) == 0 && !*texts[i].to)
			*texts[i].to = nv_arena_strdup(&info->arena, text);
	if (strcmp(name, "include_files") == 0)
		info->files = strcmp(text, "1") == 0;
	else if (strcmp(name, "backup_date") == 0)
		info->backup_date = strtoull(text, NULL, 10);
}

static void add_plugin(struct inspecting *in, const char *module)
{
	if (!module[0] || strlen(module) > PLUGIN_MAX_LEN || in->plugins_len >= MAX_PLUGINS)
		return;
	for (size_t i = 0; i < in->plugins_len; i++)
		if (strcmp(in->plugins[i] + strlen("mod_"), module) == 0)
			return;
	char *name = nv_arena_printf(&in->info->arena, "mod_%s", module);
	in->plugins = nv_realloc(in->plugins, (in->plugins_len + 1) * sizeof(char *));
	in->plugins[in->plugins_len++] = name;
}

static void count(struct inspecting *in, const char *kind, const char *type, uint64_t number)
{
	size_t i = 0;
	while (i < in->counts_len &&
	       (strcmp(in->counts[i].kind, kind) != 0 || strcmp(in->counts[i].type, type) != 0))
		i++;
	if (i == NV_INVENTORY_MAX)
		return;
	if (i == in->counts_len) {
		in->counts = nv_realloc(in->counts, (i + 1) * sizeof *in->counts);
		in->counts[in->counts_len++] =
			(struct nv_count){.kind = nv_arena_strdup(&in->info->arena, kind),
					  .type = nv_arena_strdup(&in->info->arena, type)};
	}
	in->counts[i].count += number;
}

static void add_activity(struct inspecting *in, const char *module)
{
	add_plugin(in, module);
	if (*module && strlen(module) <= PLUGIN_MAX_LEN)
		count(in, "activity", module, 1);
}

/* Sections of an activity (subsections) come and go with it. */
static void section_leaf(struct inspecting *in, const char *name, const char *text)
{
	if (strcmp(name, "modname") == 0 && *text && strcmp(text, "$@NULL@$") != 0)
		in->delegated = true;
}

static void backup_leaf(struct inspecting *in, const char *const *names, int depth,
			const char *text)
{
	static const char *const section[] = {"moodle_backup", "information", "contents",
					      "sections", "section"};
	if (depth == 3 && names[0] && names[1] && names[2] &&
	    strcmp(names[0], "moodle_backup") == 0 && strcmp(names[1], "information") == 0)
		information_leaf(in->info, names[2], text);
	else if (PATH_IS("moodle_backup", "information", "contents", "activities", "activity",
			 "modulename"))
		add_activity(in, text);
	else if (depth == 6 && path_is(names, 5, 5, section))
		section_leaf(in, names[5], text);
	else if (path_is(names, depth, 5, section)) {
		if (!in->delegated)
			count(in, "section", "", 1);
		in->delegated = false;
	} else if (PATH_IS("moodle_backup", "information", "settings", "setting", "level"))
		in->root_level = strcmp(text, "root") == 0;
	else if (PATH_IS("moodle_backup", "information", "settings", "setting", "name"))
		in->users_setting = strcmp(text, "users") == 0;
	else if (PATH_IS("moodle_backup", "information", "settings", "setting", "value"))
		in->setting_on = strcmp(text, "1") == 0;
	else if (PATH_IS("moodle_backup", "information", "settings", "setting")) {
		if (in->root_level && in->users_setting)
			in->info->users = in->setting_on;
		in->root_level = in->users_setting = in->setting_on = false;
	}
}

/* --- course/course.xml --- */

static void course_leaf(struct inspecting *in, const char *const *names, int depth,
			const char *text)
{
	if (PATH_IS("course", "category", "name") && text[0] && !in->info->category)
		in->info->category = nv_arena_strdup(&in->info->arena, text);
}

/* --- the whole --- */

static int inspect_entry(void *ctx, const struct nv_entry *entry, const struct nv_source *from,
			 struct nv_err *err)
{
	struct inspecting *in = ctx;
	in->info->entries++;
	in->info->unpacked += entry->size;
	if (entry->folder)
		return 0;
	if (strncmp(entry->path, "files/", 6) == 0) {
		in->info->file_contents++;
		in->info->file_contents_bytes += entry->size;
	}
	if (strcmp(entry->path, "moodle_backup.xml") == 0) {
		in->seen = true;
		return walk_xml(in, entry->path, from, backup_leaf, err);
	}
	if (strcmp(entry->path, "course/course.xml") == 0)
		return walk_xml(in, entry->path, from, course_leaf, err);
	return drain(from, err);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int inspect_check(const struct inspecting *in, struct nv_err *err)
{
	const struct nv_mbz_info *info = in->info;
	if (!in->seen)
		return nv_fail(err, NV_REJECT, NV_R_archive_corrupt,
			       "archive: it has no moodle_backup.xml: not a Moodle backup");
	if (!info->shortname || !info->fullname || !info->course || !info->moodle_version)
		return nv_fail(err, NV_REJECT, NV_R_archive_corrupt,
			       "archive: moodle_backup.xml does not name course and version");
	return 0;
}

/* Both kinds are counted, even where there is none. */
static void begin_counts(struct inspecting *in)
{
	count(in, "section", "", 0);
	count(in, "activity", "", 0);
}

static void keep_counts(const struct inspecting *in, struct nv_list *ret, struct nv_arena *arena)
{
	size_t bytes = in->counts_len * sizeof *in->counts;
	if (!bytes)
		return;
	*ret = (struct nv_list){nv_arena_alloc(arena, bytes), in->counts_len};
	memcpy(ret->items, in->counts, bytes);
}

int nv_mbz_inspect(const char *path, const struct nv_archive_limits *limits,
		   const struct nv_job *job, struct nv_mbz_info *ret, struct nv_err *err)
{
	*ret = (struct nv_mbz_info){0};
	enum nv_form form;
	struct nv_unpack *u = nv_unpack_mbz(path, limits, job, &form, err);
	if (!u)
		return -1;
	ret->packed = nv_unpack_packed(u);
	ret->form = nv_arena_strdup(&ret->arena, form == NV_FORM_ZIP ? "zip" : "tgz");
	nv_unpack_free(u);
	ret->files = true;
	struct inspecting in = {.info = ret};
	struct nv_sink to = {.entry_cb = inspect_entry, .ctx = &in};
	begin_counts(&in);
	int rc = nv_mbz_read(path, limits, &to, job, err);
	if (rc == 0)
		rc = inspect_check(&in, err);
	if (rc == 0 && in.plugins_len) {
		qsort(in.plugins, in.plugins_len, sizeof(char *), by_name);
		ret->plugins.len = in.plugins_len;
		ret->plugins.items = nv_arena_alloc(&ret->arena, in.plugins_len * sizeof(char *));
		memcpy(ret->plugins.items, in.plugins, in.plugins_len * sizeof(char *));
	}
	if (rc == 0)
		keep_counts(&in, &ret->inventory, &ret->arena);
	free(in.counts);
	free(in.plugins);
	if (rc < 0)
		nv_mbz_info_fini(ret);
	return rc;
}

#define VERSION_MAX_LEN 20u

uint64_t nv_moodle_version(const char *text)
{
	if (!text || strspn(text, "0123456789") != 10 || (text[10] && text[10] != '.') ||
	    strncmp(text, "20", 2) != 0 || strlen(text) > VERSION_MAX_LEN)
		return 0;
	return strtoull(text, NULL, 10);
}

void nv_mbz_info_fini(struct nv_mbz_info *i)
{
	nv_arena_fini(&i->arena);
	*i = (struct nv_mbz_info){0};
}

int nv_backup_inventory(const char *xml, struct nv_list *ret, struct nv_arena *arena,
			struct nv_err *err)
{
	nv_auto_fd int fd = open(xml, O_RDONLY | O_CLOEXEC);
	struct nv_mbz_info info = {.arena = *arena};
	struct inspecting in = {.info = &info};
	*ret = (struct nv_list){0};
	if (fd < 0)
		return nv_fail_errno(err, errno, NV_RETRY, NV_R_io, "open %s", xml);
	struct nv_source from = nv_source_fd(&fd);
	begin_counts(&in);
	int rc = walk_xml(&in, "moodle_backup.xml", &from, backup_leaf, err);
	*arena = info.arena; /* what it allocated is the caller's */
	if (rc == 0)
		keep_counts(&in, ret, arena);
	free(in.counts);
	free(in.plugins);
	return rc;
}
