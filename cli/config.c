/* SPDX-License-Identifier: GPL-3.0-or-later */
/* config check, config example; and loading the configuration for other commands. */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>
#include <termios.h>

#include "base/fs.h"

#define PASSWORD_MAX 1024u

/* --- reading it --- */

static json_t *mistakes_list(const struct nv_buf *mistakes)
{
	json_t *list = json_array();
	char *copy = nv_strndup(mistakes->data ? (const char *)mistakes->data : "", mistakes->len);
	char *rest = copy;
	for (char *line; (line = strsep(&rest, "\n")) != NULL;)
		if (*line)
			json_array_append_new(list, nv_cli_string(line));
	free(copy);
	return list;
}

static int print_mistakes(struct cli *c, const char *path, const struct nv_buf *mistakes)
{
	if (c->json)
		return nv_cli_document(c,
				       json_pack("{s:{s:s, s:s, s:s}, s:o}", "error", "reason",
						 "config", "message", "the configuration is wrong",
						 "file", path, "mistakes", mistakes_list(mistakes)),
				       CLI_FAILED);
	fwrite(mistakes->data, 1, mistakes->len, stderr);
	return CLI_FAILED;
}

const struct nv_config *nv_cli_config(struct cli *c)
{
	nv_auto_buf struct nv_buf mistakes = {0};
	if (!c->config)
		c->config = nv_config_load(c->config_path, NV_ROLE_CLI, &mistakes);
	if (!c->config)
		print_mistakes(c, c->config_path, &mistakes);
	return c->config;
}

/* --- config check --- */

static unsigned role_from(const char *word)
{
	static const struct {
		const char *word;
		unsigned role;
	} roles[] = {
		{"producer", NV_ROLE_PRODUCER},
		{"archiver", NV_ROLE_ARCHIVER},
		{"worker", NV_ROLE_WORKER},
		{"cli", NV_ROLE_CLI},
	};
	for (size_t i = 0; i < NV_ARRAY_LEN(roles); i++)
		if (strcmp(roles[i].word, word) == 0)
			return roles[i].role;
	return 0;
}

int nv_cli_config_check(struct cli *c)
{
	const char *path = c->args_len ? c->args[0] : c->config_path;
	nv_auto_buf struct nv_buf mistakes = {0};
	unsigned roles = 0;
	const char *word;
	for (size_t i = 0; (word = nv_cli_get_nth(c, "role", i)) != NULL; i++) {
		unsigned role = role_from(word);
		if (!role)
			return nv_cli_usage(
				c, "--role: \"%s\" is not one of producer, archiver, worker, cli",
				word);
		roles |= role;
	}
	struct nv_config *config = nv_config_load(path, roles ? roles : NV_ROLE_CLI, &mistakes);
	if (!config)
		return print_mistakes(c, path, &mistakes);
	nv_config_free(config);
	if (c->json)
		return nv_cli_document(
			c, json_pack("{s:b, s:s, s:[]}", "ok", 1, "file", path, "mistakes"),
			CLI_OK);
	printf("%s: no mistakes\n", path);
	return CLI_OK;
}

int nv_cli_config_example(struct cli *c)
{
	nv_auto_buf struct nv_buf text = {0};
	nv_config_example(&text);
	if (c->json)
		return nv_cli_document(
			c, json_pack("{s:o}", "example", nv_cli_string((const char *)text.data)),
			CLI_OK);
	fwrite(text.data, 1, text.len, stdout);
	return CLI_OK;
}

/* --- passwords --- */

static int read_line(char *line, size_t size, struct nv_err *err)
{
	if (!fgets(line, (int)size, stdin))
		return nv_fail(err, NV_REJECT, NV_R_io,
			       "no password came from standard input (or use --password-file)");
	if (!strchr(line, '\n') && strlen(line) == size - 1)
		return nv_fail(err, NV_REJECT, NV_R_io, "the password is longer than %zu bytes",
			       size - 2);
	return 0;
}

static int ask(const char *prompt, char *line, size_t size, struct nv_err *err)
{
	struct termios old;
	if (tcgetattr(0, &old) < 0)
		return read_line(line, size, err);
	struct termios silent = old;
	silent.c_lflag &= ~(tcflag_t)ECHO;
	fprintf(stderr, "%s: ", prompt);
	tcsetattr(0, TCSAFLUSH, &silent);
	int rc = read_line(line, size, err);
	tcsetattr(0, TCSAFLUSH, &old);
	fputc('\n', stderr);
	return rc;
}

char *nv_cli_password(struct cli *c, const char *prompt, struct nv_err *err)
{
	const char *file = nv_cli_get(c, "password-file");
	char line[PASSWORD_MAX] = "";
	if (file) {
		nv_auto_buf struct nv_buf text = {0};
		if (nv_read_file(file, sizeof line - 1, &text, err) < 0)
			return NULL;
		if (text.len)
			memcpy(line, text.data, text.len);
		line[text.len] = '\0';
		explicit_bzero(text.data, text.len);
	} else if (ask(prompt, line, sizeof line, err) < 0) {
		return NULL;
	}
	line[strcspn(line, "\r\n")] = '\0';
	if (!*line) {
		nv_fail(err, NV_REJECT, NV_R_denied, "the password is empty");
		return NULL;
	}
	char *copy = nv_strdup(line);
	explicit_bzero(line, sizeof line);
	return copy;
}
