/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Every command there is. */
#include "cli/cli.h"

#define PASSWORD_OPTION                                                                          \
	{                                                                                        \
		"password-file", 0, "FILE", "read the password from it, not from standard input" \
	}

static const struct cli_option check_options[] = {
	{"role", 0, "ROLE",
	 "producer, archiver, worker: what these need must be there (repeatable)"},
	{0},
};
static const struct cli_option account_options[] = {
	{"name", 0, "TEXT", "full name"},
	{"mail", 0, "ADDRESS", "mail address"},
	{"lang", 0, "LANG", "language, such as fr"},
	{"admin", 0, NULL, "may see and do everything"},
	{"capability", 0, "NAME",
	 "can_restore_user_datas, can_see_external_course_link (repeatable)"},
	PASSWORD_OPTION,
	{0},
};
static const struct cli_option passwd_options[] = {PASSWORD_OPTION, {0}};
static const struct cli_option site_options[] = {
	{"name", 0, "NAME", "the site's or client's name"},
	{"teacher", 0, "USER", "its one user, teacher in every course"},
	{"courses", 0, "DIR", "each .mbz file in it becomes a course"},
	{0},
};
static const struct cli_option mbz_options[] = {
	{"output", 'o', "FILE", "write it here (default: the course's short name)"},
	{"site", 0, "SITE", "the course server, where the configuration names several"},
	{"client", 0, "CLIENT", "the client, where the configuration names several"},
	{0},
};

const struct cli_command cli_commands[] = {
	{NULL, "help", "", 0, 0, "list all commands", NULL, NULL, cli_help},

	{NULL, "mbz", "ID", 1, 1, "write a request's archive as a file that any Moodle restores",
	 "Takes the newest complete archive of the request from the staging store.  Which "
	 "manifest\n"
	 "the course server signed is not known to this command: what the manifest names is\n"
	 "verified by SHA-256, the manifest itself is taken as the store gives it.",
	 mbz_options, cli_mbz},
	{NULL, "inspect", "FILE.mbz", 1, 1, "what is in a course archive", NULL, NULL, cli_inspect},

	{"config", "check", "[FILE]", 0, 1, "look for mistakes in a configuration",
	 "Every mistake is one line with file, line, key and what is allowed.", check_options,
	 cli_config_check},
	{"config", "example", "", 0, 0, "print a configuration with every key explained", NULL,
	 NULL, cli_config_example},
	{"keys", "new", "FILE", 1, 1, "make a secret key, print its public key", NULL, NULL,
	 cli_keys_new},
	{"keys", "show", "FILE", 1, 1, "print the public key of a secret key", NULL, NULL,
	 cli_keys_show},
	{"broker", "apply", "", 0, 0, "make exchanges, queues and users on the broker",
	 "For broker.clients and broker.sites, by broker.management_url.  Nothing is deleted; "
	 "made\n"
	 "passwords come into broker.credentials_dir.",
	 NULL, cli_broker_apply},
	{"broker", "check", "", 0, 0, "compare the broker with what it should be",
	 "Exit status 0 only if nothing differs.", NULL, cli_broker_check},
	{"broker", "definitions", "", 0, 0, "print the same as a definitions file for RabbitMQ",
	 NULL, NULL, cli_broker_definitions},
	{"account", "add", "USER", 1, 1, "make a local account", NULL, account_options,
	 cli_account_add},
	{"account", "passwd", "USER", 1, 1, "change its password", NULL, passwd_options,
	 cli_account_passwd},
	{"account", "remove", "USER", 1, 1, "remove it", NULL, NULL, cli_account_remove},
	{"account", "list", "", 0, 0, "the local accounts", NULL, NULL, cli_account_list},
	{"site", "create", "DIR", 1, 1, "make a folder that stands for a Moodle", NULL,
	 site_options, cli_site_create},
	{"site", "delete-course", "DIR COURSE", 2, 2, "delete a course that was restored there",
	 NULL, NULL, cli_site_delete_course},
};
const size_t cli_commands_len = NV_ARRAY_LEN(cli_commands);
