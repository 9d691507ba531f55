/* SPDX-License-Identifier: GPL-3.0-or-later */
/* broker apply, broker check, broker definitions. */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

#include "broker-config/admin.h"

static json_t *lines(const struct nv_buf *report)
{
	json_t *list = json_array();
	char *copy = nv_strndup(report->data ? (const char *)report->data : "", report->len);
	char *rest = copy;
	for (char *line; (line = strsep(&rest, "\n")) != NULL;)
		if (*line)
			json_array_append_new(list, nv_cli_string(line));
	free(copy);
	return list;
}

static void print_report(const struct cli *c, const struct nv_buf *report)
{
	if (!c->json && report->len)
		fwrite(report->data, 1, report->len, stdout);
}

int nv_cli_broker_apply(struct cli *c)
{
	const struct nv_config *config = nv_cli_config(c);
	nv_auto_buf struct nv_buf report = {0};
	struct nv_err err = {0};
	if (!config)
		return CLI_FAILED;
	int rc = nv_broker_apply(&config->broker, &report, &err);
	print_report(c, &report);
	if (c->json)
		return nv_cli_document(c,
				       json_pack("{s:b, s:o, s:o}", "ok", rc == 0, "done",
						 lines(&report), "error",
						 rc < 0 ? nv_cli_string(err.msg) : json_null()),
				       rc < 0 ? CLI_FAILED : CLI_OK);
	if (rc < 0)
		return nv_cli_fail(c, &err);
	puts(report.len ? "The broker is ready."
			: "The broker is ready; nothing had to be changed.");
	return CLI_OK;
}

int nv_cli_broker_check(struct cli *c)
{
	const struct nv_config *config = nv_cli_config(c);
	nv_auto_buf struct nv_buf report = {0};
	struct nv_err err = {0};
	struct nv_broker_differences found;
	if (!config)
		return CLI_FAILED;
	if (nv_broker_check(&config->broker, &report, &found, &err) < 0)
		return nv_cli_fail(c, &err);
	if (found.unseen)
		nv_buf_printf(&report, "not checked (this user may not see it): %s\n",
			      found.unseen);
	size_t differences = found.len;
	bool all = !found.unseen;
	nv_broker_differences_fini(&found);
	int status = differences ? CLI_FAILED : CLI_OK;
	if (c->json)
		return nv_cli_document(c,
				       json_pack("{s:b, s:I, s:o}", "ok", differences == 0,
						 "differences", (json_int_t)differences, "report",
						 lines(&report)),
				       status);
	print_report(c, &report);
	if (differences)
		printf("%zu differences; navette broker apply makes what is missing.\n",
		       differences);
	else
		puts(all ? "The broker is as it should be."
			 : "Everything that was checked is as it should be.");
	return status;
}

int nv_cli_broker_definitions(struct cli *c)
{
	const struct nv_config *config = nv_cli_config(c);
	nv_auto_buf struct nv_buf text = {0};
	struct nv_err err = {0};
	if (!config)
		return CLI_FAILED;
	if (nv_broker_definitions(&config->broker, &text, &err) < 0)
		return nv_cli_fail(c, &err);
	fwrite(text.data, 1, text.len, stdout); /* JSON, with and without --json */
	return CLI_OK;
}
