/* SPDX-License-Identifier: GPL-3.0-or-later */
/* site create, site delete-course: directory sites. */
#include "cli/cli.h"

#include <stdio.h>

#include "core/site/directory.h"

int cli_site_create(struct cli *c)
{
	const char *name = cli_get(c, "name");
	const char *teacher = cli_get(c, "teacher");
	struct nv_err err = {0};
	if (!name || !teacher)
		return cli_usage(c, "--name and --teacher are needed");
	if (nv_site_directory_create(c->args[0], name, teacher, cli_get(c, "courses"), &err) < 0)
		return cli_fail(c, &err);
	if (c->json)
		return cli_document(c,
				    json_pack("{s:o, s:s, s:s}", "path", cli_string(c->args[0]),
					      "name", name, "category", NV_SITE_DIRECTORY_CATEGORY),
				    CLI_OK);
	printf("Site %s is in %s; its category is %s.\n", name, c->args[0],
	       NV_SITE_DIRECTORY_CATEGORY);
	return CLI_OK;
}

int cli_site_delete_course(struct cli *c)
{
	struct nv_err err = {0};
	if (nv_site_directory_delete(c->args[0], c->args[1], &err) < 0)
		return cli_fail(c, &err);
	if (c->json)
		return cli_document(c, json_pack("{s:o}", "deleted", cli_string(c->args[1])),
				    CLI_OK);
	printf("Course %s is deleted.\n", c->args[1]);
	return CLI_OK;
}
