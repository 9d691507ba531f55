/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Compares the topology with the broker's, and with apply creates what is missing. One walk does
 * both, so that check reports exactly what apply would change. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/id.h"
#include "broker-config/admin_internal.h"

struct walk {
	struct nv_mgmt m;
	const struct nv_broker_settings *broker;
	char *vhost;
	json_t *want; /* nv_broker_topology */
	bool apply;
	struct nv_buf *report;
	size_t differences;   /* found and not fixed */
	struct nv_buf unseen; /* what a read-only user may not see */
};

static const char *text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));
	return s ? s : "";
}

static int get(struct walk *w, const char *path, json_t **ret, struct nv_err *err)
{
	return nv_mgmt_call(&w->m, "GET", path, NULL, ret, err) < 0 ? -1 : 0;
}

/* Something is missing: create or report it. */
static int mend(struct walk *w, const char *method, const char *path, const json_t *body,
		const char *what, struct nv_err *err)
{
	if (!w->apply) {
		w->differences++;
		nv_buf_printf(w->report, "missing: %s\n", what);
		return 0;
	}
	int status = nv_mgmt_call(&w->m, method, path, body, NULL, err);
	if (status == 404)
		return nv_fail(err, NV_FATAL, NV_R_not_found, "broker: create %s: HTTP status 404",
			       what);
	if (status < 0) {
		nv_err_prefix(err, "create %s", what);
		return -1;
	}
	nv_buf_printf(w->report, "created: %s\n", what);
	return 0;
}

/* Something exists with other properties; deleting it is the administrator's decision. */
static void differs(struct walk *w, const char *what, const char *has, const char *should)
{
	w->differences++;
	nv_buf_printf(w->report, "differs: %s has %s, should have %s", what, has, should);
	nv_buf_puts(w->report,
		    w->apply ? "; delete it when it is not in use, then apply again\n" : "\n");
}

/* --- virtual host and feature flag --- */

static int walk_vhost(struct walk *w, struct nv_err *err)
{
	nv_auto_free char *path = NV_MGMT_PATH("vhosts", w->vhost);
	nv_auto_free char *what = nv_asprintf("virtual host %s", w->vhost);
	int status = nv_mgmt_call(&w->m, "GET", path, NULL, NULL, err);
	if (status < 0)
		return -1;
	if (status != 404)
		return 0;
	if (mend(w, "PUT", path, NULL, what, err))
		return -1;
	if (!w->apply)
		return 0;
	/* The user that creates the rest needs rights in it. */
	nv_auto_free char *mine = NV_MGMT_PATH("permissions", w->vhost, w->m.user);
	nv_auto_json json_t *all =
		json_pack("{s:s, s:s, s:s}", "configure", ".*", "write", ".*", "read", ".*");
	return nv_mgmt_call(&w->m, "PUT", mine, all, NULL, err) < 0 ? -1 : 0;
}

/* Dead-lettering at least once depends on it. */
static int walk_flag(struct walk *w, struct nv_err *err)
{
	nv_auto_json json_t *flags = NULL;
	size_t i = 0;
	json_t *flag = NULL;
	if (get(w, "feature-flags", &flags, err))
		return -1;
	json_array_foreach(flags, i, flag)
	{
		if (strcmp(text(flag, "name"), "stream_queue") != 0)
			continue;
		if (strcmp(text(flag, "state"), "enabled") == 0)
			return 0;
		nv_auto_json json_t *body = json_pack("{s:s}", "name", "stream_queue");
		return mend(w, "PUT", "feature-flags/stream_queue/enable", body,
			    "feature flag stream_queue", err);
	}
	return 0; /* a newer broker without the flag always has the feature */
}

/* --- exchanges, queues, bindings --- */

/* A list of the topology: the same steps for each, and what differs. */
struct part {
	const char *list; /* in the topology, and the management interface's name of it */
	const char *word; /* for one of it */
	const char *method;
	json_t *(*find)(json_t *have, const json_t *want); /* NULL: not there */
	char *(*path)(const struct walk *w, const struct part *p, const json_t *want);
	char *(*what)(const struct part *p, const json_t *want);
	/* Does an existing one differ? NULL: identified by all its properties. */
	void (*compare)(struct walk *w, const char *what, const json_t *has, const json_t *want);
};

static int walk_part(struct walk *w, const struct part *p, struct nv_err *err)
{
	nv_auto_free char *all = NV_MGMT_PATH(p->list, w->vhost);
	nv_auto_json json_t *have = NULL;
	size_t i = 0;
	json_t *want = NULL;
	if (get(w, all, &have, err))
		return -1;
	json_array_foreach(json_object_get(w->want, p->list), i, want)
	{
		nv_auto_free char *path = p->path(w, p, want);
		nv_auto_free char *what = p->what(p, want);
		const json_t *has = p->find(have, want);
		if (!has && mend(w, p->method, path, want, what, err))
			return -1;
		if (has && p->compare)
			p->compare(w, what, has, want);
	}
	return 0;
}

static json_t *named(json_t *list, const char *name)
{
	size_t i = 0;
	json_t *item = NULL;
	json_array_foreach(list, i, item) if (strcmp(text(item, "name"), name) == 0) return item;
	return NULL;
}

static json_t *by_name(json_t *list, const json_t *want)
{
	return named(list, text(want, "name"));
}

static char *named_path(const struct walk *w, const struct part *p, const json_t *want)
{
	return NV_MGMT_PATH(p->list, w->vhost, text(want, "name"));
}

static char *named_what(const struct part *p, const json_t *want)
{
	return nv_asprintf("%s %s", p->word, text(want, "name"));
}

static void compare_exchange(struct walk *w, const char *what, const json_t *has,
			     const json_t *want)
{
	if (strcmp(text(has, "type"), text(want, "type")) != 0)
		differs(w, what, text(has, "type"), text(want, "type"));
	if (!json_is_true(json_object_get(has, "durable")))
		differs(w, what, "durable false", "durable true");
}

static void compare_queue(struct walk *w, const char *what, const json_t *has, const json_t *want)
{
	const json_t *there = json_object_get(has, "arguments");
	const json_t *should = json_object_get(want, "arguments");
	if (json_equal(there, should))
		return;
	char *a = json_dumps(there, JSON_COMPACT | JSON_SORT_KEYS);
	char *b = json_dumps(should, JSON_COMPACT | JSON_SORT_KEYS);
	differs(w, what, a ? a : "no arguments", b);
	free(a);
	free(b);
}

static bool same_binding(const json_t *a, const json_t *b)
{
	return strcmp(text(a, "source"), text(b, "source")) == 0 &&
	       strcmp(text(a, "destination"), text(b, "destination")) == 0 &&
	       strcmp(text(a, "destination_type"), text(b, "destination_type")) == 0 &&
	       strcmp(text(a, "routing_key"), text(b, "routing_key")) == 0;
}

static json_t *by_ends(json_t *list, const json_t *want)
{
	size_t i = 0;
	json_t *b = NULL;
	json_array_foreach(list, i, b) if (same_binding(b, want)) return b;
	return NULL;
}

static char *binding_path(const struct walk *w, const struct part *p, const json_t *want)
{
	bool queue = strcmp(text(want, "destination_type"), "queue") == 0;
	return NV_MGMT_PATH(p->list, w->vhost, "e", text(want, "source"), queue ? "q" : "e",
			    text(want, "destination"));
}

static char *binding_what(const struct part *p, const json_t *want)
{
	return nv_asprintf("%s %s → %s, key %s", p->word, text(want, "source"),
			   text(want, "destination"), text(want, "routing_key"));
}

static bool starts_with(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

/* An extra binding could let a principal reach what it should not.  (control.S has the queues of
 * the archivers that run.) */
static int strange_bindings(struct walk *w, struct nv_err *err)
{
	nv_auto_free char *all = NV_MGMT_PATH("bindings", w->vhost);
	nv_auto_json json_t *have = NULL;
	json_t *want = json_object_get(w->want, "bindings");
	size_t i = 0;
	json_t *b = NULL;
	if (get(w, all, &have, err))
		return -1;
	json_array_foreach(have, i, b)
	{
		const char *source = text(b, "source");
		bool ours = starts_with(source, "from.") || starts_with(source, "self.") ||
			    starts_with(source, "retry.");
		if (!ours || !named(json_object_get(w->want, "exchanges"), source) ||
		    by_ends(want, b))
			continue;
		w->differences++;
		nv_buf_printf(w->report, "not ours: binding %s → %s, key %s\n", source,
			      text(b, "destination"), text(b, "routing_key"));
	}
	return 0;
}

/* In this order: a binding needs both its ends. */
static int walk_parts(struct walk *w, struct nv_err *err)
{
	static const struct part parts[] = {
		{"exchanges", "exchange", "PUT", by_name, named_path, named_what, compare_exchange},
		{"queues", "queue", "PUT", by_name, named_path, named_what, compare_queue},
		{"bindings", "binding", "POST", by_ends, binding_path, binding_what, NULL},
	};
	for (size_t i = 0; i < NV_ARRAY_LEN(parts); i++)
		if (walk_part(w, &parts[i], err))
			return -1;
	return strange_bindings(w, err);
}

/* --- users --- */

static char *password_path(const struct walk *w, const char *user)
{
	const char *dir = w->broker->credentials_dir;
	return dir ? nv_asprintf("%s/%s.password", dir, user) : NULL;
}

static int put_user(struct walk *w, const char *user, const char *password, struct nv_err *err)
{
	nv_auto_free char *path = NV_MGMT_PATH("users", user);
	nv_auto_json json_t *body = json_pack("{s:s, s:s}", "password", password, "tags", "");
	if (!body)
		return nv_fail(err, NV_FATAL, NV_R_config, "its password is not UTF-8");
	return nv_mgmt_call(&w->m, "PUT", path, body, NULL, err) < 0 ? -1 : 0;
}

/* A broker that was set up anew: existing passwords are kept. */
static int known_password(struct walk *w, const char *user, const char *file, struct nv_err *err)
{
	nv_auto_arena struct nv_arena arena = {0};
	nv_auto_buf struct nv_buf why = {0};
	const char *password = nv_read_secret(&arena, file, &why);
	if (!password)
		return nv_fail(err, NV_FATAL, NV_R_config,
			       "%s %s (without the file, a new password is made)", file,
			       (char *)why.data);
	if (put_user(w, user, password, err)) {
		nv_err_prefix(err, "user %s", user);
		return -1;
	}
	nv_buf_printf(w->report, "created: user %s, with the password in %s\n", user, file);
	return 0;
}

/* First the broker, then the file: a user whose file is missing gets a new password next time. */
static int new_password(struct walk *w, const char *user, const char *file, bool is_new,
			struct nv_err *err)
{
	char password[NV_TOKEN_SIZE];
	if (nv_mkdir_p(w->broker->credentials_dir, 0700, err))
		return -1;
	nv_token_new(password);
	if (put_user(w, user, password, err) ||
	    nv_write_file(file, password, strlen(password), 0600, err))
		return -1;
	nv_buf_printf(w->report, "%s: user %s, password in %s\n",
		      is_new ? "created" : "new password", user, file);
	return 0;
}

static int mend_user(struct walk *w, const char *user, bool is_new, struct nv_err *err)
{
	nv_auto_free char *file = password_path(w, user);
	bool have_file = file && access(file, F_OK) == 0;
	if (!is_new && have_file)
		return 0;
	if (!file)
		return nv_fail(err, NV_FATAL, NV_R_config,
			       "broker.credentials_dir: missing; it is where the password of %s "
			       "goes",
			       user);
	return have_file ? known_password(w, user, file, err)
			 : new_password(w, user, file, is_new, err);
}

static int walk_user(struct walk *w, const char *user, struct nv_err *err)
{
	nv_auto_free char *path = NV_MGMT_PATH("users", user);
	nv_auto_json json_t *have = NULL;
	int status = nv_mgmt_call(&w->m, "GET", path, NULL, &have, err);
	if (status < 0)
		return -1;
	if (w->apply)
		return mend_user(w, user, status == 404, err);
	if (status == 404) {
		w->differences++;
		nv_buf_printf(w->report, "missing: user %s\n", user);
	}
	const json_t *tags = json_object_get(have, "tags");
	if (json_array_size(tags) || json_string_length(tags)) {
		w->differences++;
		nv_buf_printf(w->report, "differs: user %s has tags, should have none\n", user);
	}
	return 0;
}

static int walk_permission(struct walk *w, const json_t *p, struct nv_err *err)
{
	static const char *const keys[] = {"configure", "write", "read"};
	const char *user = text(p, "user");
	nv_auto_free char *path = NV_MGMT_PATH("permissions", w->vhost, user);
	nv_auto_free char *what = nv_asprintf("permissions of %s", user);
	nv_auto_json json_t *have = NULL;
	int status = nv_mgmt_call(&w->m, "GET", path, NULL, &have, err);
	if (status < 0)
		return -1;
	if (status == 404)
		return mend(w, "PUT", path, p, what, err);
	for (size_t i = 0; i < NV_ARRAY_LEN(keys); i++) {
		if (strcmp(text(have, keys[i]), text(p, keys[i])) == 0)
			continue;
		if (w->apply)
			return mend(w, "PUT", path, p, what, err);
		nv_auto_free char *which = nv_asprintf("permission to %s of %s", keys[i], user);
		differs(w, which, text(have, keys[i]), text(p, keys[i]));
	}
	return 0;
}

static int walk_users(struct walk *w, struct nv_err *err)
{
	size_t i = 0;
	json_t *p = NULL;
	json_array_foreach(json_object_get(w->want, "permissions"), i,
			   p) if (walk_user(w, text(p, "user"), err) ||
				  walk_permission(w, p, err)) return -1;
	return 0;
}

/* --- both --- */

/* Full rights are needed to apply only. */
static int unless_unseen(struct walk *w, int rc, const char *what, struct nv_err *err)
{
	if (rc == 0 || w->apply || err->reason != NV_R_denied)
		return rc;
	*err = (struct nv_err){0};
	nv_buf_printf(&w->unseen, "%s%s", w->unseen.len ? ", " : "", what);
	return 0;
}

static int walk_all(struct walk *w, struct nv_err *err)
{
	static const struct {
		int (*part)(struct walk *w, struct nv_err *err);
		const char *what;
	} parts[] = {
		{walk_vhost, "the virtual host"},
		{walk_flag, "feature flags"},
		{walk_parts, "exchanges, queues, bindings"},
		{walk_users, "users, permissions"},
	};
	/* From here on a refusal is a matter of permission, not of authentication. */
	if (nv_mgmt_call(&w->m, "GET", "whoami", NULL, NULL, err) < 0)
		return -1;
	for (size_t i = 0; i < NV_ARRAY_LEN(parts); i++)
		if (unless_unseen(w, parts[i].part(w, err), parts[i].what, err))
			return -1;
	return 0;
}

static int walk(struct walk *w, struct nv_err *err)
{
	w->vhost = nv_broker_vhost(w->broker);
	w->want = nv_broker_topology(w->broker, w->vhost, err);
	int r = -1;
	if (w->want && nv_mgmt_init(&w->m, w->broker, err) == 0) {
		r = walk_all(w, err);
		nv_mgmt_fini(&w->m);
	}
	json_decref(w->want);
	free(w->vhost);
	return r;
}

int nv_broker_apply(const struct nv_broker_settings *broker, struct nv_buf *report,
		    struct nv_err *err)
{
	struct walk w = {.broker = broker, .apply = true, .report = report};
	if (walk(&w, err))
		return -1;
	if (w.differences)
		return nv_fail(err, NV_FATAL, NV_R_conflict,
			       "broker: %zu items exist with other properties, see the report",
			       w.differences);
	return 0;
}

int nv_broker_check(const struct nv_broker_settings *broker, struct nv_buf *report,
		    struct nv_broker_differences *ret, struct nv_err *err)
{
	struct walk w = {.broker = broker, .report = report};
	struct nv_err why = {0};
	*ret = (struct nv_broker_differences){0};
	if (walk(&w, &why)) {
		nv_buf_fini(&w.unseen);
		if (err)
			*err = why;
		return -1;
	}
	*ret = (struct nv_broker_differences){w.differences, (char *)w.unseen.data};
	return 0;
}

void nv_broker_differences_fini(struct nv_broker_differences *f)
{
	free(f->unseen);
	*f = (struct nv_broker_differences){0};
}

/* --- alarms --- */

static int one_node(const json_t *node, void (*cb)(void *, const char *, enum nv_broker_alarm),
		    void *arg)
{
	static const struct {
		const char *key;
		bool bad;
		enum nv_broker_alarm alarm;
	} looks[] = {
		{"running", false, NV_BROKER_DOWN},
		{"mem_alarm", true, NV_BROKER_ALARM_MEMORY},
		{"disk_free_alarm", true, NV_BROKER_ALARM_DISK},
	};
	int n = 0;
	for (size_t i = 0; i < NV_ARRAY_LEN(looks); i++) {
		const json_t *value = json_object_get(node, looks[i].key);
		if (json_is_boolean(value) && json_is_true(value) == looks[i].bad) {
			cb(arg, text(node, "name"), looks[i].alarm);
			n++;
		}
	}
	return n;
}

int nv_broker_alarms(const struct nv_broker_settings *broker,
		     void (*cb)(void *arg, const char *node, enum nv_broker_alarm alarm), void *arg,
		     struct nv_err *err)
{
	struct nv_mgmt m;
	nv_auto_json json_t *nodes = NULL;
	size_t i = 0;
	json_t *node = NULL;
	int n = 0;
	if (nv_mgmt_init(&m, broker, err) < 0)
		return -1;
	int status = nv_mgmt_call(&m, "GET", "nodes", NULL, &nodes, err);
	nv_mgmt_fini(&m);
	if (status < 0)
		return -1;
	if (!json_array_size(nodes))
		return nv_fail(err, NV_RETRY, NV_R_broker_unavailable,
			       "broker: GET /api/nodes: the answer names no node");
	json_array_foreach(nodes, i, node) n += one_node(node, cb, arg);
	return n;
}
