/* SPDX-License-Identifier: GPL-3.0-or-later */
/* site create, site delete-course: folder sites. */
#include "cli/cli.h"

#include <stdio.h>

#include "core/site/folder/folder.h"

struct damaged {
	const struct cli *c;
	json_t *files;
};

static void damaged(void *arg, const char *file, const struct nv_err *why)
{
	struct damaged *d = arg;
	json_array_append_new(d->files, json_pack("{s:o, s:o}", "file", nv_cli_string(file), "why",
						  nv_cli_string(why->msg)));
	if (d->c->json)
		return;
	nv_auto_free char *name = nv_cli_clean(file);
	nv_auto_free char *text = nv_cli_clean(why->msg);
	fprintf(stderr, "navette: %s is damaged: %s\n", name, text);
}

int nv_cli_site_create(struct cli *c)
{
	struct damaged d = {.c = c};
	const char *name = nv_cli_get(c, "name");
	const char *teacher = nv_cli_get(c, "teacher");
	struct nv_err err = {0};
	if (!name || !teacher)
		return nv_cli_usage(c, "--name and --teacher are needed");
	d.files = json_array();
	if (nv_site_folder_create(c->args[0], name, teacher, nv_cli_get(c, "courses"), damaged, &d,
				  &err) < 0) {
		json_decref(d.files);
		return nv_cli_fail(c, &err);
	}
	if (c->json)
		return nv_cli_document(
			c,
			json_pack("{s:o, s:s, s:s, s:o}", "path", nv_cli_string(c->args[0]), "name",
				  name, "category", NV_SITE_DIRECTORY_CATEGORY, "damaged", d.files),
			CLI_OK);
	json_decref(d.files);
	printf("Site %s is in %s; its category is %s.\n", name, c->args[0],
	       NV_SITE_DIRECTORY_CATEGORY);
	return CLI_OK;
}

int nv_cli_site_delete_course(struct cli *c)
{
	struct nv_err err = {0};
	if (nv_site_directory_delete(c->args[0], c->args[1], &err) < 0)
		return nv_cli_fail(c, &err);
	if (c->json)
		return nv_cli_document(c, json_pack("{s:o}", "deleted", nv_cli_string(c->args[1])),
				       CLI_OK);
	printf("Course %s is deleted.\n", c->args[1]);
	return CLI_OK;
}
