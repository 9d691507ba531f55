/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Every command there is. */
#include "cli/cli.h"

#define PASSWORD_OPTION                                                                          \
	{                                                                                        \
		"password-file", 0, "FILE", "read the password from it, not from standard input" \
	}

static const struct cli_option check_options[] = {
	{"role", 0, "ROLE",
	 "producer, archiver, worker: require the keys that these need (repeatable)"},
	{0},
};
static const struct cli_option account_options[] = {
	{"name", 0, "TEXT", "full name"},
	{"mail", 0, "ADDRESS", "mail address"},
	{"lang", 0, "LANG", "language, such as fr"},
	{"admin", 0, NULL, "has all rights"},
	{"capability", 0, "NAME",
	 "can_restore_user_datas, can_see_external_course_link (repeatable)"},
	PASSWORD_OPTION,
	{0},
};
static const struct cli_option passwd_options[] = {PASSWORD_OPTION, {0}};
static const struct cli_option site_options[] = {
	{"name", 0, "NAME", "the site's or client's name"},
	{"teacher", 0, "USER", "its only user, teacher in every course"},
	{"courses", 0, "DIR", "each .mbz file in it becomes a course"},
	{0},
};
static const struct cli_option courses_options[] = {
	{"user", 0, "USER", "this user's courses (administrators)"},
	{"refresh", 0, NULL, "ask the course servers again, ignore cached answers"},
	{0},
};
static const struct cli_option submit_options[] = {
	{"all", 0, NULL, "every course of SITE that the user may bring"},
	{"user", 0, "USER", "for this user (administrators)"},
	{"no-user", 0, NULL, "without a user: nobody is enrolled (administrators)"},
	{"keep-category", 0, NULL, "into the category with the same identifier"},
	{"no-keep-category", 0, NULL, "into the default category"},
	{"category", 0, "CATEGORY", "into the category with this identifier (administrators)"},
	{"user-data", 0, NULL, "with user data"},
	{"no-user-data", 0, NULL, "without user data"},
	{"leave-out", 0, NULL, "leave out activities that the client's site has no plugin for"},
	{"no-leave-out", 0, NULL, "refuse a course that has such activities"},
	{"enrolment", 0, "MODE", "enrolment methods: always, with-users or manual"},
	{"now", 0, NULL, "outside the time window, too (administrators)"},
	{"wait", 0, NULL, "watch them until all are done"},
	{"timeout", 0, "TIME", "with --wait: give up after this time, such as 10m"},
	{0},
};
static const struct cli_option show_options[] = {
	{"log", 0, NULL, "its log instead: every attempt, every warning (administrators)"},
	{0},
};
static const struct cli_option list_options[] = {
	{"state", 0, "STATE", "only these: one or several, separated by commas"},
	{"site", 0, "SITE", "only of this course server"},
	{"course", 0, "COURSE", "only of this course"},
	{"user", 0, "USER", "only of this user (administrators)"},
	{"all", 0, NULL, "all of them, not only the newest 50"},
	{0},
};
static const struct cli_option retry_options[] = {
	{"without-user-data", 0, NULL, "ask for the course alone, where user data are what fails"},
	{0},
};
static const struct cli_option forget_options[] = {
	{"dry-run", 0, NULL, "only count, change nothing"},
	{0},
};
static const struct cli_option collect_options[] = {
	{"dry-run", 0, NULL, "only count what would be removed"},
	{0},
};
static const struct cli_option watch_options[] = {
	{"timeout", 0, "TIME", "give up after this time, such as 10m"},
	{0},
};
#define DEAD_LETTER                                                                                \
	"LETTER is its id, of which 8 characters or more are enough, or its number in the list, "  \
	"from 1. Numbers change as soon as a letter comes or goes: in scripts, and while daemons " \
	"run, use ids."
static const struct cli_option dead_options[] = {
	{"queue", 0, "NAME", "where this configuration has several: dead.<client or site>"},
	{0},
};
static const struct cli_option requeue_options[] = {
	{"all", 0, NULL, "every message"},
	{"queue", 0, "NAME", "where this configuration has several: dead.<client or site>"},
	{0},
};
static const struct cli_option mbz_options[] = {
	{"output", 'o', "FILE", "write it here (default: the course's short name)"},
	{"site", 0, "SITE", "the course server, where the configuration names several"},
	{"client", 0, "CLIENT", "the client, where the configuration names several"},
	{0},
};

const struct cli_command nv_cli_commands[] = {
	{NULL, "help", "", 0, 0, "list all commands", NULL, NULL, nv_cli_help},

	{NULL, "courses", "", 0, 0, "list the courses that can be restored", NULL, courses_options,
	 nv_cli_courses},
	{NULL, "submit", "SITE [COURSE...]", 1, -1, "request courses",
	 "COURSE is the course's id on SITE, as navette courses shows it.  With --wait, the exit\n"
	 "status is 0 only if every course is restored.",
	 submit_options, nv_cli_submit},
	{NULL, "list", "", 0, 0, "requests, newest first", NULL, list_options, nv_cli_list},
	{NULL, "show", "ID", 1, 1, "all about one request", NULL, show_options, nv_cli_show},
	{NULL, "watch", "ID...", 1, -1, "follow requests until all are done",
	 "Exit status 0 only if every one is restored.", watch_options, nv_cli_watch},
	{NULL, "cancel", "ID", 1, 1, "withdraw a request", NULL, NULL, nv_cli_cancel},
	{NULL, "retry", "ID", 1, 1, "retry failed or cancelled requests", NULL, retry_options,
	 nv_cli_retry},
	{NULL, "now", "ID", 1, 1, "serve it outside the time window, too", NULL, NULL, nv_cli_now},

	{NULL, "republish", "", 0, 0, "publish all unfinished requests again (administrators)",
	 "For a broker that has lost its messages.  Each course is still restored only once.", NULL,
	 nv_cli_republish},
	{NULL, "forget", "USER", 1, 1, "erase a user's data (administrators)",
	 "Records and logs of this person's requests that have ended, wishes to join other "
	 "courses, and "
	 "what\n"
	 "the streams of changes say of them.  Requests that have not ended are kept.  Backups, "
	 "and the\n"
	 "daemons' logs (user=), keep their own time; Moodle's data Moodle's privacy tool removes.",
	 forget_options, nv_cli_forget},

	{NULL, "queues", "", 0, 0, "number of messages in each queue",
	 "The queues of identity.client and identity.site, else of broker.clients and "
	 "broker.sites.\n"
	 "With broker.management_url, from there: numbers up to five seconds old.  Without, asked "
	 "of\n"
	 "each queue: exact, but without the messages being worked on.",
	 NULL, nv_cli_queues},
	{"dead", "list", "", 0, 0, "messages that were given up, with the reason", NULL,
	 dead_options, nv_cli_dead_list},
	{"dead", "show", "LETTER", 1, 1, "all about one of them", DEAD_LETTER, dead_options,
	 nv_cli_dead_show},
	{"dead", "requeue", "[LETTER]", 0, 1, "put one back into its queue", DEAD_LETTER,
	 requeue_options, nv_cli_dead_requeue},
	{"dead", "discard", "LETTER", 1, 1, "discard one", DEAD_LETTER, dead_options,
	 nv_cli_dead_discard},

	{NULL, "mbz", "ID", 1, 1, "write a request's archive as a file that any Moodle restores",
	 "Takes the newest complete archive of the request from the staging store, where it is "
	 "from\n"
	 "the export until the course is restored (after a failure: until it is collected).  Which "
	 "manifest\n"
	 "the course server signed is not known to this command: what the manifest names is\n"
	 "verified by SHA-256, the manifest itself is taken as the store gives it.",
	 mbz_options, nv_cli_mbz},
	{NULL, "collect", "", 0, 0, "garbage-collect the staging store (course server)",
	 "What the archiver does by itself at its start and from time to time, and by the same "
	 "rules: archives\n"
	 "older than store.keep, then blobs that no archive names and that are older than "
	 "store.grace; none while\n"
	 "an upload runs.",
	 collect_options, nv_cli_collect},
	{NULL, "inspect", "FILE.mbz", 1, 1, "list a course archive", NULL, NULL, nv_cli_inspect},

	{NULL, "doctor", "", 0, 0, "check this installation and say how to fix it",
	 "Looks at what the configuration names.  Exit status 0 only if nothing failed; a warning\n"
	 "is no failure.",
	 NULL, nv_cli_doctor},
	{"config", "check", "[FILE]", 0, 1, "check a configuration",
	 "Every mistake is one line with file, line, key and what is allowed.", check_options,
	 nv_cli_config_check},
	{"config", "example", "", 0, 0, "print a configuration with every key explained", NULL,
	 NULL, nv_cli_config_example},
	{"keys", "new", "FILE", 1, 1, "make a secret key, print its public key", NULL, NULL,
	 nv_cli_keys_new},
	{"keys", "show", "FILE", 1, 1, "print the public key of a secret key", NULL, NULL,
	 nv_cli_keys_show},
	{"broker", "apply", "", 0, 0, "make exchanges, queues and users on the broker",
	 "For broker.clients and broker.sites, by broker.management_url.  Nothing is deleted; "
	 "made\n"
	 "passwords come into broker.credentials_dir.",
	 NULL, nv_cli_broker_apply},
	{"broker", "check", "", 0, 0, "compare the broker with its intended topology",
	 "Exit status 0 only if nothing differs.", NULL, nv_cli_broker_check},
	{"broker", "definitions", "", 0, 0, "print the same as a definitions file for RabbitMQ",
	 NULL, NULL, nv_cli_broker_definitions},
	{"account", "add", "USER", 1, 1, "make a local account", NULL, account_options,
	 nv_cli_account_add},
	{"account", "passwd", "USER", 1, 1, "change its password", NULL, passwd_options,
	 nv_cli_account_passwd},
	{"account", "remove", "USER", 1, 1, "remove it", NULL, NULL, nv_cli_account_remove},
	{"account", "list", "", 0, 0, "the local accounts", NULL, NULL, nv_cli_account_list},
	{"site", "create", "DIR", 1, 1, "make a folder site, in place of a Moodle", NULL,
	 site_options, nv_cli_site_create},
	{"site", "delete-course", "DIR COURSE", 2, 2, "delete a course that was restored there",
	 NULL, NULL, nv_cli_site_delete_course},
};
const size_t nv_cli_commands_len = NV_ARRAY_LEN(nv_cli_commands);
