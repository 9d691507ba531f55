/* SPDX-License-Identifier: GPL-3.0-or-later */
/* account add, passwd, remove, list: the file that producer.accounts_file names. */
#include "cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/accounts/accounts.h"

/* NULL after an error was printed. */
static const char *accounts_file(struct cli *c)
{
	const struct nv_config *config = nv_cli_config(c);
	if (!config)
		return NULL;
	if (!config->producer.accounts_file)
		nv_cli_failf(c, NV_R_config, "%s: producer.accounts_file is not set", config->path);
	return config->producer.accounts_file;
}

static int done(struct cli *c, int rc, const struct nv_err *err, const char *what)
{
	if (rc < 0)
		return nv_cli_fail(c, err);
	if (c->json)
		return nv_cli_document(c,
				       json_pack("{s:s, s:o}", "done", what, "username",
						 nv_cli_string(c->args[0])),
				       CLI_OK);
	printf("Account %s is %s.\n", c->args[0], what);
	return CLI_OK;
}

static void wipe(char *password)
{
	explicit_bzero(password, strlen(password));
	free(password);
}

int nv_cli_account_add(struct cli *c)
{
	const char *path = accounts_file(c);
	char *capabilities[CLI_GIVEN_MAX];
	struct nv_account a = {.username = (char *)c->args[0],
			       .name = (char *)nv_cli_get(c, "name"),
			       .mail = (char *)nv_cli_get(c, "mail"),
			       .lang = (char *)nv_cli_get(c, "lang"),
			       .admin = nv_cli_has(c, "admin"),
			       .capabilities = capabilities};
	struct nv_err err = {0};
	const char *word;
	if (!path)
		return CLI_FAILED;
	while ((word = nv_cli_get_nth(c, "capability", a.capabilities_len)) != NULL)
		capabilities[a.capabilities_len++] = (char *)word;
	char *password = nv_cli_password(c, "Password", &err);
	if (!password)
		return nv_cli_fail(c, &err);
	int rc = nv_account_add(path, &a, password, &err);
	wipe(password);
	return done(c, rc, &err, "made");
}

int nv_cli_account_passwd(struct cli *c)
{
	const char *path = accounts_file(c);
	struct nv_err err = {0};
	if (!path)
		return CLI_FAILED;
	char *password = nv_cli_password(c, "New password", &err);
	if (!password)
		return nv_cli_fail(c, &err);
	int rc = nv_account_passwd(path, c->args[0], password, &err);
	wipe(password);
	return done(c, rc, &err, "changed");
}

int nv_cli_account_remove(struct cli *c)
{
	const char *path = accounts_file(c);
	struct nv_err err = {0};
	if (!path)
		return CLI_FAILED;
	return done(c, nv_account_remove(path, c->args[0], &err), &err, "removed");
}

static json_t *account_document(const struct nv_account *a)
{
	json_t *capabilities = json_array();
	for (size_t i = 0; i < a->capabilities_len; i++)
		json_array_append_new(capabilities, nv_cli_string(a->capabilities[i]));
	return json_pack("{s:o, s:o, s:o, s:o, s:b, s:o}", "username", nv_cli_string(a->username),
			 "name", nv_cli_string(a->name), "mail", nv_cli_string(a->mail), "lang",
			 nv_cli_string(a->lang), "admin", (int)a->admin, "capabilities",
			 capabilities);
}

int nv_cli_account_list(struct cli *c)
{
	const char *path = accounts_file(c);
	struct nv_accounts accounts;
	struct nv_err err = {0};
	struct cli_table table = {0};
	json_t *list = json_array();
	if (!path || nv_accounts_load(path, &accounts, &err) < 0) {
		json_decref(list);
		return path ? nv_cli_fail(c, &err) : CLI_FAILED;
	}
	nv_cli_row(&table, "USER", "NAME", "MAIL", "LANG", "RIGHTS", NULL);
	for (size_t i = 0; i < accounts.len; i++) {
		const struct nv_account *a = &accounts.items[i];
		nv_auto_buf struct nv_buf rights = {0};
		nv_buf_puts(&rights, a->admin ? "admin" : "");
		for (size_t k = 0; k < a->capabilities_len; k++)
			nv_buf_printf(&rights, "%s%s", rights.len ? "," : "", a->capabilities[k]);
		nv_cli_row(&table, a->username, a->name ? a->name : "", a->mail ? a->mail : "",
			   a->lang ? a->lang : "", (const char *)rights.data, NULL);
		json_array_append_new(list, account_document(a));
	}
	nv_accounts_fini(&accounts);
	return nv_cli_answer(c, json_pack("{s:o}", "accounts", list), &table, CLI_OK);
}
