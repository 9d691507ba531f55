/* SPDX-License-Identifier: GPL-3.0-or-later */
/* site.json: read whole, checked whole, never changed afterwards.
 *
 * Lists are read in the order plugins, categories, users, courses, roles, so that a reference is
 * looked up in a list that is there already. */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/fs.h"
#include "base/id.h"
#include "base/json.h"
#include "core/site/folder/folder_internal.h"

#define SITE_JSON_MAX (64u << 20)

struct reader {
	const char *path;
	const char *text;
	struct nv_folder_model *m;
	json_t *categories; /* id → index; the same for the others */
	json_t *users;
	json_t *courses;
	struct nv_err *err;
	bool failed; /* the first mistake is the one reported */
};

/* The object that is being read: item `index` of the list `list`, or the whole (list NULL). */
struct item {
	const char *list;
	size_t index;
	const json_t *json;
};

static void mistake(struct reader *r, const struct item *at, const char *key, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
static void mistake(struct reader *r, const struct item *at, const char *key, const char *fmt, ...)
{
	struct nv_folder_step steps[3];
	size_t len = 0;
	char text[300];
	char where[160] = "";
	va_list ap;

	if (r->failed)
		return;
	r->failed = true;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (at->list) {
		steps[len++] = (struct nv_folder_step){.key = at->list};
		steps[len++] = (struct nv_folder_step){.index = at->index};
		snprintf(where, sizeof where, "%s[%zu]%s%s: ", at->list, at->index, key ? "." : "",
			 key ? key : "");
	} else if (key)
		snprintf(where, sizeof where, "%s: ", key);
	if (key)
		steps[len++] = (struct nv_folder_step){.key = key};
	nv_fail(r->err, NV_FATAL, NV_R_config, "%s:%u: %s%s", r->path,
		nv_folder_json_line(r->text, steps, len), where, text);
}

/* Unknown keys are slips of the pen. */
static void check_keys(struct reader *r, const struct item *at, const char *const *known)
{
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)at->json, key, value)
	{
		size_t i = 0;
		while (known[i] && strcmp(known[i], key) != 0)
			i++;
		if (known[i])
			continue;
		char list[200] = "";
		for (i = 0; known[i]; i++) {
			size_t used = strlen(list);
			snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", known[i]);
		}
		mistake(r, at, key, "unknown key; known are %s", list);
	}
}

enum text_kind {
	TEXT_OPTIONAL, /* NULL where absent or empty */
	TEXT_REQUIRED,
	TEXT_ID, /* required; a whole number is fine too */
};

static const char *get_text(struct reader *r, const struct item *at, const char *key,
			    enum text_kind kind, size_t max)
{
	const json_t *value = json_object_get(at->json, key);
	if (kind == TEXT_ID && json_is_integer(value) && json_integer_value(value) >= 0)
		return nv_arena_printf(&r->m->arena, "%lld", (long long)json_integer_value(value));
	if ((!value || json_is_null(value)) && kind == TEXT_OPTIONAL)
		return NULL;
	if (!json_is_string(value)) {
		mistake(r, at, key, "%s text%s is expected", value ? "a" : "missing: a",
			kind == TEXT_ID ? " or a whole number" : "");
		return NULL;
	}
	const char *text = json_string_value(value);
	size_t len = strlen(text);
	for (const char *p = text; *p; p++) {
		if (iscntrl((unsigned char)*p)) {
			mistake(r, at, key, "text without control characters is expected");
			return NULL;
		}
	}
	if (len > max)
		mistake(r, at, key, "at most %zu bytes are allowed, these are %zu", max, len);
	if (!len && kind != TEXT_OPTIONAL)
		mistake(r, at, key, "must not be empty");
	return len && !r->failed ? nv_arena_strdup(&r->m->arena, text) : NULL;
}

/* A version is a whole number; "2024100705.01", as Moodle's version.php has it, counts as its
 * whole part. */
static uint64_t get_version(struct reader *r, const struct item *at, const char *key)
{
	const json_t *value = json_object_get(at->json, key);
	const char *text = json_string_value(value);
	char *end = NULL;
	if (!value || json_is_null(value))
		return 0;
	if (json_is_integer(value) && json_integer_value(value) >= 0)
		return (uint64_t)json_integer_value(value);
	if (json_is_real(value) && json_real_value(value) >= 0 && json_real_value(value) < 1e15)
		return (uint64_t)json_real_value(value);
	if (text && isdigit((unsigned char)*text) && strlen(text) < 20) {
		uint64_t version = strtoull(text, &end, 10);
		if (*end == '\0' || *end == '.')
			return version;
	}
	mistake(r, at, key, "a version number is expected, e.g. 2024100700");
	return 0;
}

/* What a reference names; NV_FOLDER_NONE where it is absent and need not be there. */
static size_t get_reference(struct reader *r, const struct item *at, const char *key,
			    const json_t *index, const char *what, bool required)
{
	if (!required && !json_object_get(at->json, key))
		return NV_FOLDER_NONE;
	if (!required && json_is_null(json_object_get(at->json, key)))
		return NV_FOLDER_NONE;
	const char *id = get_text(r, at, key, TEXT_ID, 255);
	const json_t *found = id ? json_object_get(index, id) : NULL;
	if (id && !found)
		mistake(r, at, key, "there is no %s \"%s\"", what, id);
	return found ? (size_t)json_integer_value(found) : NV_FOLDER_NONE;
}

static void remember(struct reader *r, const struct item *at, const char *key, json_t *index,
		     const char *id)
{
	if (!id)
		return;
	if (json_object_get(index, id))
		mistake(r, at, key, "\"%s\" stands there twice", id);
	json_object_set_new(index, id, json_integer((json_int_t)at->index));
}

/* The items of a list of objects, one after the other. */
struct list {
	const char *name;
	const json_t *json;
	size_t len;
};

static struct list get_list(struct reader *r, const json_t *root, const char *name)
{
	struct list l = {.name = name, .json = json_object_get(root, name)};
	struct item whole = {.json = root};
	if (l.json && !json_is_array(l.json))
		mistake(r, &whole, name, "a list [ … ] is expected");
	l.len = json_array_size(l.json);
	return l;
}

static bool next_item(struct reader *r, const struct list *l, struct item *at,
		      const char *const *known)
{
	at->index = at->list ? at->index + 1 : 0;
	at->list = l->name;
	if (r->failed || at->index >= l->len)
		return false;
	at->json = json_array_get(l->json, at->index);
	if (!json_is_object(at->json)) {
		mistake(r, at, NULL, "an object { … } is expected");
		return false;
	}
	check_keys(r, at, known);
	return !r->failed;
}

static void read_plugins(struct reader *r, const json_t *root)
{
	static const char *const known[] = {"name", "version", NULL};
	struct list l = get_list(r, root, "plugins");
	struct nv_plugin *plugins = nv_arena_alloc(&r->m->arena, (l.len + 1) * sizeof *plugins);
	for (struct item at = {0}; next_item(r, &l, &at, known);)
		plugins[at.index] = (struct nv_plugin){
			.name = (char *)get_text(r, &at, "name", TEXT_REQUIRED, 100),
			.version = get_version(r, &at, "version"),
		};
	r->m->plugins = (struct nv_list){plugins, l.len};
}

static void read_categories(struct reader *r, const json_t *root)
{
	static const char *const known[] = {"id", "idnumber", "name", "parent", NULL};
	struct list l = get_list(r, root, "categories");
	struct nv_folder_category *c = nv_arena_alloc(&r->m->arena, (l.len + 1) * sizeof *c);
	for (struct item at = {0}; next_item(r, &l, &at, known);) {
		c[at.index] = (struct nv_folder_category){
			.id = get_text(r, &at, "id", TEXT_ID, 64),
			.idnumber = get_text(r, &at, "idnumber", TEXT_OPTIONAL, 255),
			.name = get_text(r, &at, "name", TEXT_REQUIRED, NV_FOLDER_NAME_MAX),
			.parent = NV_FOLDER_NONE,
		};
		remember(r, &at, "id", r->categories, c[at.index].id);
	}
	/* A parent may stand further down. */
	for (struct item at = {0}; next_item(r, &l, &at, known);)
		c[at.index].parent =
			get_reference(r, &at, "parent", r->categories, "category", false);
	r->m->categories = c;
	r->m->categories_len = l.len;
}

static void read_create_in(struct reader *r, const struct item *at, struct nv_folder_user *u)
{
	const json_t *list = json_object_get(at->json, "can_create_in");
	size_t len = json_array_size(list);
	if (list && !json_is_array(list))
		mistake(r, at, "can_create_in",
			"a list of category ids is expected, or [\"*\"] for all");
	u->create_in = nv_arena_alloc(&r->m->arena, (len + 1) * sizeof *u->create_in);
	for (size_t i = 0; i < len && !r->failed; i++) {
		const json_t *value = json_array_get(list, i);
		char number[24] = "";
		if (json_is_integer(value))
			snprintf(number, sizeof number, "%lld",
				 (long long)json_integer_value(value));
		const char *id = json_is_string(value) ? json_string_value(value) : number;
		const json_t *found = json_object_get(r->categories, id);
		if (strcmp(id, "*") == 0)
			u->create_anywhere = true;
		else if (found)
			u->create_in[u->create_in_len++] = (size_t)json_integer_value(found);
		else
			mistake(r, at, "can_create_in",
				"\"%s\" is no category; ids of categories are expected, or \"*\"",
				id);
	}
}

static void read_users(struct reader *r, const json_t *root)
{
	static const char *const known[] = {"username", "name",		 "email", "idnumber",
					    "lang",	"can_create_in", NULL};
	struct list l = get_list(r, root, "users");
	struct nv_folder_user *u = nv_arena_alloc(&r->m->arena, (l.len + 1) * sizeof *u);
	for (struct item at = {0}; next_item(r, &l, &at, known);) {
		u[at.index] = (struct nv_folder_user){
			.username = get_text(r, &at, "username", TEXT_REQUIRED, 255),
			.name = get_text(r, &at, "name", TEXT_OPTIONAL, 255),
			.email = get_text(r, &at, "email", TEXT_OPTIONAL, 255),
			.idnumber = get_text(r, &at, "idnumber", TEXT_OPTIONAL, 255),
			.lang = get_text(r, &at, "lang", TEXT_OPTIONAL, 16),
		};
		if (!u[at.index].name)
			u[at.index].name = u[at.index].username;
		remember(r, &at, "username", r->users, u[at.index].username);
		read_create_in(r, &at, &u[at.index]);
	}
	r->m->users = u;
	r->m->users_len = l.len;
}

/* What the course had, where that is not what its backup holds. */
static void read_inventory(struct reader *r, const struct item *course, struct nv_folder_course *c)
{
	const json_t *list = json_object_get(course->json, "inventory");
	size_t len = json_array_size(list);
	struct nv_count *counts = nv_arena_alloc(&r->m->arena, (len + 1) * sizeof *counts);
	if (list && (!json_is_array(list) || len > NV_INVENTORY_MAX))
		mistake(r, course, "inventory", "a list [ … ] of at most 2000 is expected");
	for (size_t i = 0; i < len && !r->failed; i++) {
		struct nv_err why = {0};
		if (nv_json_to_record(&nv_count_record, json_array_get(list, i), &counts[i],
				      &r->m->arena, &why) < 0)
			mistake(r, course, "inventory",
				"objects with kind, type and count are expected");
	}
	c->inventory = (struct nv_list){counts, len};
}

static void read_courses(struct reader *r, const json_t *root)
{
	static const char *const known[] = {"id",	"file",	     "category", "shortname",
					    "fullname", "inventory", NULL};
	struct list l = get_list(r, root, "courses");
	struct nv_folder_course *c = nv_arena_alloc(&r->m->arena, (l.len + 1) * sizeof *c);
	for (struct item at = {0}; next_item(r, &l, &at, known);) {
		c[at.index] = (struct nv_folder_course){
			.id = get_text(r, &at, "id", TEXT_ID, 64),
			.file = get_text(r, &at, "file", TEXT_REQUIRED, 1024),
			.category =
				get_reference(r, &at, "category", r->categories, "category", true),
			.shortname =
				get_text(r, &at, "shortname", TEXT_OPTIONAL, NV_FOLDER_NAME_MAX),
			.fullname = get_text(r, &at, "fullname", TEXT_OPTIONAL, NV_FOLDER_NAME_MAX),
		};
		if (c[at.index].file && !nv_path_is_safe(c[at.index].file))
			mistake(r, &at, "file",
				"the name of a file below backups/ is expected, without .. and "
				"leading /");
		read_inventory(r, &at, &c[at.index]);
		remember(r, &at, "id", r->courses, c[at.index].id);
	}
	r->m->courses = c;
	r->m->courses_len = l.len;
}

static void read_roles(struct reader *r, const json_t *root)
{
	static const char *const known[] = {"user", "role", "course", "category", NULL};
	struct list l = get_list(r, root, "roles");
	struct nv_folder_role *o = nv_arena_alloc(&r->m->arena, (l.len + 1) * sizeof *o);
	for (struct item at = {0}; next_item(r, &l, &at, known);) {
		o[at.index] = (struct nv_folder_role){
			.user = get_reference(r, &at, "user", r->users, "user", true),
			.role = get_text(r, &at, "role", TEXT_REQUIRED, 100),
			.course = get_reference(r, &at, "course", r->courses, "course", false),
			.category =
				get_reference(r, &at, "category", r->categories, "category", false),
		};
		bool in_course = o[at.index].course != NV_FOLDER_NONE;
		bool in_category = o[at.index].category != NV_FOLDER_NONE;
		if (in_course == in_category)
			mistake(r, &at, NULL, "either course or category is expected");
	}
	r->m->roles = o;
	r->m->roles_len = l.len;
}

static void read_all(struct reader *r, const json_t *root)
{
	static const char *const known[] = {"name",  "moodle_version", "plugins", "categories",
					    "users", "roles",	       "courses", NULL};
	struct item whole = {.json = root};
	if (!json_is_object(root)) {
		mistake(r, &whole, NULL, "an object { … } is expected");
		return;
	}
	check_keys(r, &whole, known);
	r->m->name = get_text(r, &whole, "name", TEXT_REQUIRED, 255);
	r->m->moodle_version = get_version(r, &whole, "moodle_version");
	read_plugins(r, root);
	read_categories(r, root);
	read_users(r, root);
	read_courses(r, root);
	read_roles(r, root);
}

static int parse(struct reader *r, const struct nv_buf *text)
{
	json_error_t error;
	nv_auto_json json_t *root = nv_json_parse(text->data, text->len, &error);
	if (!root)
		return nv_fail(r->err, NV_FATAL, NV_R_config, "%s:%d: not JSON: %s", r->path,
			       error.line > 0 ? error.line : 1, error.text);
	read_all(r, root);
	return r->failed ? -1 : 0;
}

struct nv_folder_model *nv_folder_model_read(const char *path, struct nv_err *err)
{
	nv_auto_buf struct nv_buf text = {0};
	struct stat st;
	/* Looked at before it is read: what is written in between is found changed next time. */
	if (stat(path, &st) < 0) {
		nv_fail_errno(err, errno, NV_FATAL, NV_R_config, "%s", path);
		return NULL;
	}
	if (nv_read_file(path, SITE_JSON_MAX, &text, err) < 0)
		return NULL;
	struct nv_folder_model *m = nv_alloc(sizeof *m);
	atomic_init(&m->refs, 1);
	m->stamp = nv_folder_stamp_of(&st);
	struct reader r = {
		.path = path,
		.text = text.data ? (const char *)text.data : "",
		.m = m,
		.categories = json_object(),
		.users = json_object(),
		.courses = json_object(),
		.err = err,
	};
	int rc = parse(&r, &text);
	json_decref(r.categories);
	json_decref(r.users);
	json_decref(r.courses);
	if (rc == 0)
		return m;
	nv_folder_model_unref(m);
	return NULL;
}

void nv_folder_model_unref(struct nv_folder_model *m)
{
	if (!m || atomic_fetch_sub(&m->refs, 1) > 1)
		return;
	nv_arena_fini(&m->arena);
	free(m);
}
