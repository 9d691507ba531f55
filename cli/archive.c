/* SPDX-License-Identifier: GPL-3.0-or-later */
/* inspect, mbz, collect. */
#include "cli/cli.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "core/archive/archive.h"

/* Limits for operators' commands: larger than any course, smaller than a bomb. */
static const struct nv_archive_limits inspect_limits = {
	.max_bytes = 16ull << 40, .max_entries = 100000000, .max_ratio = 100000};

/* --- inspect --- */

static json_t *info_document(const struct nv_mbz_info *i)
{
	json_t *plugins = json_array();
	for (size_t k = 0; k < i->plugins.len; k++)
		json_array_append_new(plugins, nv_cli_string(i->plugins.items[k]));
	json_t *doc = json_object();
	json_object_set_new(doc, "shortname", nv_cli_string(i->shortname));
	json_object_set_new(doc, "fullname", nv_cli_string(i->fullname));
	json_object_set_new(doc, "course", nv_cli_string(i->course));
	json_object_set_new(doc, "category", nv_cli_string(i->category));
	json_object_set_new(doc, "moodle_version", nv_cli_string(i->moodle_version));
	json_object_set_new(doc, "moodle_release", nv_cli_string(i->moodle_release));
	json_object_set_new(doc, "backup_version", nv_cli_string(i->backup_version));
	json_object_set_new(doc, "backup_release", nv_cli_string(i->backup_release));
	json_object_set_new(doc, "backup_date", json_integer((json_int_t)i->backup_date));
	json_object_set_new(doc, "wwwroot", nv_cli_string(i->wwwroot));
	json_object_set_new(doc, "users", json_boolean(i->users));
	json_object_set_new(doc, "files", json_boolean(i->files));
	json_object_set_new(doc, "form", nv_cli_string(i->form));
	json_object_set_new(doc, "packed", json_integer((json_int_t)i->packed));
	json_object_set_new(doc, "unpacked", json_integer((json_int_t)i->unpacked));
	json_object_set_new(doc, "entries", json_integer((json_int_t)i->entries));
	json_object_set_new(doc, "file_contents", json_integer((json_int_t)i->file_contents));
	json_object_set_new(doc, "file_contents_bytes",
			    json_integer((json_int_t)i->file_contents_bytes));
	json_object_set_new(doc, "plugins", plugins);
	return doc;
}

static void info_rows(struct cli_table *t, const struct nv_mbz_info *i)
{
	nv_auto_free char *moodle =
		nv_asprintf("%s (version %s)", i->moodle_release ? i->moodle_release : "?",
			    i->moodle_version ? i->moodle_version : "?");
	nv_auto_free char *date = nv_cli_time(i->backup_date * 1000);
	nv_auto_free char *packed = nv_cli_size(i->packed);
	nv_auto_free char *unpacked = nv_cli_size(i->unpacked);
	nv_auto_free char *contents = nv_cli_size(i->file_contents_bytes);
	nv_auto_free char *size = nv_asprintf("%s as %s, %s unpacked", packed, i->form, unpacked);
	nv_auto_free char *files = nv_asprintf("%" PRIu64 " entries; %" PRIu64 " file contents, %s",
					       i->entries, i->file_contents, contents);
	nv_auto_buf struct nv_buf plugins = {0};
	nv_buf_puts(&plugins, "");
	for (size_t k = 0; k < i->plugins.len; k++)
		nv_buf_printf(&plugins, "%s%s", k ? ", " : "", i->plugins.items[k]);
	nv_cli_row(t, "Course:", i->fullname ? i->fullname : "?", NULL);
	nv_cli_row(t, "Short name:", i->shortname ? i->shortname : "?", NULL);
	nv_cli_row(t, "Id there:", i->course ? i->course : "?", NULL);
	nv_cli_row(t, "Category:", i->category ? i->category : "not named", NULL);
	nv_cli_row(t, "From:", i->wwwroot ? i->wwwroot : "?", NULL);
	nv_cli_row(t, "Moodle:", moodle, NULL);
	nv_cli_row(t, "Backup made:", date, NULL);
	nv_cli_row(t, "User data:", i->users ? "yes" : "no", NULL);
	nv_cli_row(t, "File contents:", i->files ? "yes" : "no", NULL);
	nv_cli_row(t, "Size:", size, NULL);
	nv_cli_row(t, "Entries:", files, NULL);
	nv_cli_row(t, "Plugins:", plugins.len ? (const char *)plugins.data : "none", NULL);
}

int nv_cli_inspect(struct cli *c)
{
	struct nv_mbz_info info;
	struct cli_table table = {0};
	struct nv_err err = {0};
	if (nv_mbz_inspect(c->args[0], &inspect_limits, NULL, &info, &err) < 0)
		return nv_cli_fail(c, &err);
	info_rows(&table, &info);
	json_t *doc = info_document(&info);
	nv_mbz_info_fini(&info);
	return nv_cli_answer(c, doc, &table, CLI_OK);
}

/* --- mbz: which archive --- */

static const char *only(const char *own, const char *const *names, size_t len, const char *given)
{
	if (given)
		return given;
	if (own)
		return own;
	return len == 1 ? names[0] : NULL;
}

/* Whose archives: what the options say, else what the configuration leaves no doubt about. */
static int find_place(struct cli *c, const struct nv_config *config, struct nv_archive_place *place)
{
	const char *site = config->sites_len ? config->sites[0].name : NULL;
	const char *client = config->clients_len ? config->clients[0].name : NULL;
	place->site = only(config->identity.site, &site, config->sites_len, nv_cli_get(c, "site"));
	place->client = only(config->identity.client, &client, config->clients_len,
			     nv_cli_get(c, "client"));
	place->id = c->args[0];
	if (!nv_uuid_valid(place->id))
		return nv_cli_usage(c, "\"%s\" is not the id of a request", place->id);
	if (!place->site || !nv_name_valid(place->site))
		return nv_cli_usage(c, "which course server?  Use --site");
	if (!place->client || !nv_name_valid(place->client))
		return nv_cli_usage(c, "which client?  Use --client");
	return CLI_OK;
}

/* --- mbz: bring it, write it --- */

struct job {
	struct cli *c;
	const char *output;
	const char *work;
	struct nv_store *store;
	struct nv_archive_place place;
	char attempt[NV_UUID_SIZE];
	uint64_t manifest_size;
};

static int written(const struct job *j, const struct nv_manifest *m, const char *path)
{
	if (j->c->json)
		return nv_cli_document(
			j->c,
			json_pack("{s:o, s:s, s:s, s:o, s:o, s:b, s:I}", "file",
				  nv_cli_string(path), "id", m->id, "attempt", m->attempt,
				  "shortname", nv_cli_string(m->shortname), "fullname",
				  nv_cli_string(m->fullname), "user_data", (int)m->user_data,
				  "unpacked", (json_int_t)m->size),
			CLI_OK);
	nv_auto_free char *name = nv_cli_clean(m->fullname ? m->fullname : m->shortname);
	printf("%s: %s\n", path, name);
	return CLI_OK;
}

static int fetch_and_write(struct job *j, const struct nv_config *config, struct nv_err *err)
{
	struct nv_archive_limits limits = {.max_bytes = config->store.max_archive,
					   .max_entries = config->store.max_entries,
					   .max_ratio = config->store.max_ratio};
	struct nv_fetched fetched;
	if (nv_archive_fetch(j->store, &j->place, NULL, j->manifest_size, &limits, j->work, NULL,
			     NULL, &fetched, err) < 0)
		return -1;
	nv_auto_free char *path =
		j->output ? nv_strdup(j->output) : nv_archive_file_name(&fetched.manifest);
	int rc = nv_archive_to_mbz(&fetched, path, NULL, err);
	if (rc == 0)
		written(j, &fetched.manifest, path);
	nv_fetched_fini(&fetched);
	return rc;
}

static int bring(struct job *j, const struct nv_config *config, struct nv_err *err)
{
	if (nv_archive_find(j->store, &j->place, j->attempt, &j->manifest_size, err) < 0)
		return -1;
	j->place.attempt = j->attempt;
	/* Beside the result, where there is room for it if anywhere. */
	nv_auto_free char *work =
		nv_asprintf("%s.%s.work", j->output ? j->output : "navette", j->place.id);
	j->work = work;
	int rc = fetch_and_write(j, config, err);
	struct nv_err removal = {0};
	if (nv_remove_tree(work, &removal) < 0)
		fprintf(stderr, "navette: %s\n", removal.msg);
	return rc;
}

int nv_cli_mbz(struct cli *c)
{
	const struct nv_config *config = nv_cli_config(c);
	struct job j = {.c = c, .output = nv_cli_get(c, "output")};
	struct nv_err err = {0};
	if (!config)
		return CLI_FAILED;
	int status = find_place(c, config, &j.place);
	if (status)
		return status;
	if (!config->store.path && !config->store.url)
		return nv_cli_failf(c, NV_R_config, "%s: section store is missing", config->path);
	if (j.output && access(j.output, F_OK) == 0)
		return nv_cli_failf(c, NV_R_conflict, "%s exists already", j.output);
	j.store = nv_store_open(config, &err);
	if (!j.store)
		return nv_cli_fail(c, &err);
	int rc = bring(&j, config, &err);
	nv_store_close(j.store);
	return rc < 0 ? nv_cli_fail(c, &err) : CLI_OK;
}

/* --- collect --- */

static int collect_of(struct cli *c, struct nv_store *store, const char *client, const char *work,
		      struct cli_table *t, json_t *doc, struct nv_err *err)
{
	struct nv_collect what = nv_collect_configured(c->config);
	what.dry = nv_cli_has(c, "dry-run");
	if (nv_archive_collect(store, c->config->identity.site, client, work, &what, NULL, err) <
	    0) {
		nv_err_prefix(err, "client %s", client);
		return -1;
	}
	nv_auto_free char *archives = nv_asprintf("%" PRIu64, what.archives);
	nv_auto_free char *blobs = nv_asprintf("%" PRIu64, what.blobs);
	nv_auto_free char *bytes = nv_cli_size(what.bytes);
	nv_cli_row(t, client, archives, blobs, bytes, NULL);
	json_array_append_new(doc,
			      json_pack("{s:s, s:I, s:I, s:I}", "client", client, "archives",
					(json_int_t)what.archives, "blobs", (json_int_t)what.blobs,
					"bytes", (json_int_t)what.bytes));
	return 0;
}

static int collect_all(struct cli *c, const char *work)
{
	struct nv_err err = {0};
	struct cli_table table = {0};
	struct nv_store *store = nv_store_open(c->config, &err);
	if (!store)
		return nv_cli_fail(c, &err);
	json_t *doc = json_array();
	int rc = 0;
	nv_cli_row(&table, "CLIENT", "ARCHIVES", "BLOBS", "BLOBS' SIZE", NULL);
	for (size_t i = 0; i < c->config->clients_len && rc == 0; i++)
		rc = collect_of(c, store, c->config->clients[i].name, work, &table, doc, &err);
	nv_store_close(store);
	/* Also report what was removed before a failure. */
	int status = rc < 0 ? nv_cli_fail(c, &err) : CLI_OK;
	return nv_cli_answer(c, doc, &table, status);
}

int nv_cli_collect(struct cli *c)
{
	const struct nv_config *config = nv_cli_config(c);
	const char *tmp = getenv("TMPDIR");
	struct nv_err err = {0};
	if (!config)
		return CLI_FAILED;
	if (!config->identity.site || !config->clients_len ||
	    (!config->store.path && !config->store.url))
		return nv_cli_failf(c, NV_R_config,
				    "%s: collecting needs a course server's file: identity.site, "
				    "clients and section store",
				    config->path);
	nv_auto_free char *work = nv_asprintf("%s/navette-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	if (!mkdtemp(work))
		return nv_cli_failf(c, NV_R_internal, "%s: %s", work, strerror(errno));
	int status = collect_all(c, work);
	if (nv_remove_tree(work, &err) < 0)
		fprintf(stderr, "navette: %s\n", err.msg);
	return status;
}
