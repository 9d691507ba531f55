/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/cli.h"

#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"

#define DEFAULT_CONFIG "/etc/navette/navette.yaml"

/* Understood by every command, before and behind its name. */
static const struct cli_option global_options[] = {
	{"config", 'c', "FILE",
	 "the configuration (default: $NAVETTE_CONFIG, then " DEFAULT_CONFIG ")"},
	{"json", 0, NULL, "print one JSON document"},
	{"help", 'h', NULL, "tell how to use it"},
	{"version", 0, NULL, "print the version"},
	{0},
};

/* --- help --- */

static void print_options(FILE *to, const struct cli_option *o)
{
	for (; o && o->name; o++) {
		nv_auto_free char *left =
			o->letter ? nv_asprintf("-%c, --%s%s%s", o->letter, o->name,
						o->value ? " " : "", o->value ? o->value : "")
				  : nv_asprintf("--%s%s%s", o->name, o->value ? " " : "",
						o->value ? o->value : "");
		fprintf(to, "  %-26s %s\n", left, o->help);
	}
}

static char *command_title(const struct cli_command *m)
{
	return nv_asprintf("%s%s%s", m->group ? m->group : "", m->group ? " " : "", m->name);
}

static void print_command_help(const struct cli_command *m)
{
	nv_auto_free char *title = command_title(m);
	printf("navette %s: %s\n\nusage: navette %s%s%s%s\n", title, m->help, title,
	       *m->arguments ? " " : "", m->arguments, m->options ? " [OPTIONS]" : "");
	if (m->more)
		printf("\n%s\n", m->more);
	printf("\n");
	if (m->options) {
		printf("options:\n");
		print_options(stdout, m->options);
		printf("\n");
	}
	printf("options of every command:\n");
	print_options(stdout, global_options);
}

static json_t *options_document(const struct cli_option *o)
{
	json_t *list = json_array();
	for (; o && o->name; o++)
		json_array_append_new(list,
				      json_pack("{s:s, s:s%, s:s?, s:s}", "name", o->name, "letter",
						&o->letter, (size_t)(o->letter != 0), "value",
						o->value, "help", o->help));
	return list;
}

static json_t *command_document(const struct cli_command *m)
{
	nv_auto_free char *title = command_title(m);
	return json_pack("{s:s, s:s, s:s, s:s?, s:o}", "command", title, "arguments", m->arguments,
			 "help", m->help, "more", m->more, "options", options_document(m->options));
}

/* All commands, or those of a group. */
static void print_overview(const char *group)
{
	printf("navette: brings courses from a remote Moodle onto this one\n\n"
	       "usage: navette COMMAND [ARGUMENTS] [OPTIONS]\n\n");
	for (size_t i = 0; i < nv_cli_commands_len; i++) {
		const struct cli_command *m = &nv_cli_commands[i];
		if (group && (!m->group || strcmp(m->group, group) != 0))
			continue;
		nv_auto_free char *title = command_title(m);
		nv_auto_free char *left =
			nv_asprintf("%s%s%s", title, *m->arguments ? " " : "", m->arguments);
		if (strlen(left) > 34)
			printf("  %s\n  %-34s %s\n", left, "", m->help);
		else
			printf("  %-34s %s\n", left, m->help);
	}
	printf("\noptions of every command:\n");
	print_options(stdout, global_options);
	printf("\nMore about one: navette COMMAND --help.  Exit status: 0 done, 1 failed, 2 wrong "
	       "usage.\n");
}

static int overview(struct cli *c, const char *group)
{
	if (!c->json) {
		print_overview(group);
		return CLI_OK;
	}
	json_t *list = json_array();
	for (size_t i = 0; i < nv_cli_commands_len; i++)
		if (!group ||
		    (nv_cli_commands[i].group && strcmp(nv_cli_commands[i].group, group) == 0))
			json_array_append_new(list, command_document(&nv_cli_commands[i]));
	return nv_cli_document(c,
			       json_pack("{s:o, s:o}", "commands", list, "options",
					 options_document(global_options)),
			       CLI_OK);
}

int nv_cli_help(struct cli *c)
{
	return overview(c, NULL);
}

/* --- usage errors --- */

int nv_cli_usage(struct cli *c, const char *fmt, ...)
{
	struct nv_err err = {.kind = NV_REJECT, .reason = NV_R_none};
	va_list args;
	va_start(args, fmt);
	vsnprintf(err.msg, sizeof err.msg, fmt, args);
	va_end(args);
	nv_auto_free char *title = c->command ? command_title(c->command) : nv_strdup("help");
	nv_auto_free char *hint =
		c->command ? nv_asprintf("navette %s --help", title) : nv_strdup("navette help");
	if (c->json)
		return nv_cli_document(c,
				       json_pack("{s:{s:s, s:o, s:s}}", "error", "reason", "usage",
						 "message", nv_cli_string(err.msg), "hint", hint),
				       CLI_USAGE);
	nv_auto_free char *clean = nv_cli_clean(err.msg);
	fprintf(stderr, "navette: %s\nSee: %s\n", clean, hint);
	return CLI_USAGE;
}

/* --- command line --- */

const char *nv_cli_get_nth(const struct cli *c, const char *name, size_t n)
{
	for (size_t i = 0; i < c->given_len; i++)
		if (strcmp(c->given[i].option->name, name) == 0 && n-- == 0)
			return c->given[i].value;
	return NULL;
}

const char *nv_cli_get(const struct cli *c, const char *name)
{
	for (size_t i = c->given_len; i-- > 0;)
		if (strcmp(c->given[i].option->name, name) == 0)
			return c->given[i].value;
	return NULL;
}

bool nv_cli_has(const struct cli *c, const char *name)
{
	return nv_cli_get(c, name) != NULL;
}

static const struct cli_option *find_option(const struct cli_option *o, const char *name,
					    size_t len, char letter)
{
	for (; o && o->name; o++)
		if (letter ? o->letter == letter
			   : strlen(o->name) == len && memcmp(o->name, name, len) == 0)
			return o;
	return NULL;
}

/* The option that word names, and the value that may hang on it with '='. */
static const struct cli_option *match_option(const struct cli *c, const char *word,
					     const char **ret_value)
{
	bool is_long = word[1] == '-';
	const char *name = word + (is_long ? 2 : 1);
	const char *equals = is_long ? strchr(name, '=') : NULL;
	size_t len = equals ? (size_t)(equals - name) : strlen(name);
	char letter = is_long ? 0 : word[1];
	*ret_value = equals ? equals + 1 : NULL;
	if (!is_long && word[2])
		*ret_value = word + 2;
	const struct cli_option *o = find_option(global_options, name, len, letter);
	if (!o && c->command)
		o = find_option(c->command->options, name, len, letter);
	return o;
}

/* One option at argv[*i]; moves *i over its value.  0, or a usage error printed. */
static int take_option(struct cli *c, int argc, char **argv, int *i)
{
	const char *value;
	const struct cli_option *o = match_option(c, argv[*i], &value);
	if (!o)
		return nv_cli_usage(c, "unknown option %s", argv[*i]);
	if (!o->value && value)
		return nv_cli_usage(c, "--%s takes no value", o->name);
	if (o->value && !value && ++*i >= argc)
		return nv_cli_usage(c, "--%s needs a value: %s", o->name, o->value);
	if (c->given_len == CLI_GIVEN_MAX)
		return nv_cli_usage(c, "too many options");
	if (o->value && !value)
		value = argv[*i];
	c->given[c->given_len].option = o;
	c->given[c->given_len++].value = o->value ? value : "";
	return 0;
}

static bool is_group(const char *word)
{
	for (size_t i = 0; i < nv_cli_commands_len; i++)
		if (nv_cli_commands[i].group && strcmp(nv_cli_commands[i].group, word) == 0)
			return true;
	return false;
}

static const struct cli_command *find_command(const char *group, const char *name)
{
	for (size_t i = 0; i < nv_cli_commands_len; i++) {
		const struct cli_command *m = &nv_cli_commands[i];
		bool same_group = group ? m->group && strcmp(m->group, group) == 0 : !m->group;
		if (same_group && strcmp(m->name, name) == 0)
			return m;
	}
	return NULL;
}

/* A word that is not an option: part of the command's name, or an argument. */
static int take_word(struct cli *c, const char *word, const char **group)
{
	if (c->command) {
		c->args[c->args_len++] = word;
		return 0;
	}
	if (!*group && is_group(word)) {
		*group = word;
		return 0;
	}
	c->command = find_command(*group, word);
	if (!c->command && *group)
		return nv_cli_usage(c, "there is no command \"%s %s\"", *group, word);
	if (!c->command)
		return nv_cli_usage(c, "there is no command \"%s\"", word);
	return 0;
}

static int take_words(struct cli *c, int argc, char **argv, const char **group)
{
	bool options = true;
	for (int i = 1; i < argc; i++) {
		bool is_option = options && argv[i][0] == '-' && argv[i][1];
		int rc = 0;
		if (is_option && strcmp(argv[i], "--") == 0)
			options = false;
		else if (is_option)
			rc = take_option(c, argc, argv, &i);
		else
			rc = take_word(c, argv[i], group);
		if (rc)
			return rc;
	}
	return 0;
}

static int run(struct cli *c, const char *group)
{
	const struct cli_command *m = c->command;
	if (nv_cli_has(c, "version")) {
		if (c->json)
			return nv_cli_document(c, json_pack("{s:s}", "version", NAVETTE_VERSION),
					       CLI_OK);
		printf("navette %s\n", NAVETTE_VERSION);
		return CLI_OK;
	}
	if (!m && nv_cli_has(c, "help"))
		return overview(c, group);
	if (!m && group)
		return nv_cli_usage(c, "which command of \"%s\"?", group);
	if (!m)
		return nv_cli_usage(c, "which command?");
	if (nv_cli_has(c, "help")) {
		if (c->json)
			return nv_cli_document(c, command_document(m), CLI_OK);
		print_command_help(m);
		return CLI_OK;
	}
	if (c->args_len < m->min)
		return nv_cli_usage(c, "too few arguments: %s", m->arguments);
	if (m->max >= 0 && c->args_len > m->max)
		return nv_cli_usage(c, "unexpected argument \"%s\"", c->args[m->max]);
	return m->run(c);
}

int main(int argc, char **argv)
{
	const char *from_env = getenv("NAVETTE_CONFIG");
	const char *group = NULL;
	struct cli c = {0};
	setlocale(LC_ALL, "");
	setlocale(LC_NUMERIC, "C");
	nv_text_locale();
	signal(SIGPIPE, SIG_IGN);
	nv_log_init("navette", NV_WARN);
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "--json") == 0)
			c.json = true; /* for the errors of what stands before it */
	if (sodium_init() < 0)
		return nv_cli_failf(&c, NV_R_internal, "libsodium cannot be started");
	c.args = nv_alloc((size_t)(argc + 1) * sizeof *c.args);
	int status = take_words(&c, argc, argv, &group);
	c.config_path = nv_cli_get(&c, "config");
	if (!c.config_path)
		c.config_path = from_env && *from_env ? from_env : DEFAULT_CONFIG;
	if (status == 0)
		status = run(&c, group);
	nv_config_free(c.config);
	free(c.args);
	errno = 0;
	if (fflush(stdout) != 0 || ferror(stdout)) {
		if (errno != EPIPE) /* navette list | head */
			fprintf(stderr, "navette: writing to standard output failed\n");
		status = status ? status : CLI_FAILED;
	}
	return status;
}
