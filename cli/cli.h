/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Shared by the files of `navette`, the operator's command.
 *
 * One table (commands.c) names every command with its arguments, options, help and function; main.c
 * finds the command, parses the options and calls it.  A command returns the exit status. With
 * --json exactly one JSON document goes to standard output, an error being one too. */
#ifndef NV_CLI_H
#define NV_CLI_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "core/config/config.h"

enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

struct cli_option {
	const char *name;  /* without the dashes */
	char letter;	   /* short form; 0: none */
	const char *value; /* its argument, as the help shows it; NULL: a switch */
	const char *help;
};

struct cli;
struct cli_command {
	const char *group; /* first word; NULL: the name is a word of its own */
	const char *name;
	const char *arguments; /* as the help shows them */
	int min;	       /* arguments */
	int max;	       /* -1: any number */
	const char *help;      /* one line */
	const char *more;      /* what --help adds; may be NULL */
	const struct cli_option *options;
	int (*run)(struct cli *c);
};
extern const struct cli_command nv_cli_commands[];
extern const size_t nv_cli_commands_len;

#define CLI_GIVEN_MAX 128u

struct cli {
	const struct cli_command *command; /* NULL until it is found */
	bool json;
	bool printed;		  /* the JSON document is out */
	const char *config_path;  /* never NULL */
	struct nv_config *config; /* NULL until nv_cli_config */
	const char **args;
	int args_len;
	struct {
		const struct cli_option *option;
		const char *value;
	} given[CLI_GIVEN_MAX];
	size_t given_len;
};

/* --- main.c --- */

/* The option's value ("" for a switch), the last one if it was given several times; NULL: not
 * given. */
const char *nv_cli_get(const struct cli *c, const char *name);
/* The n-th value, from 0; NULL behind the last. */
const char *nv_cli_get_nth(const struct cli *c, const char *name, size_t n);
bool nv_cli_has(const struct cli *c, const char *name);
/* Prints what is wrong with the usage; returns CLI_USAGE. */
int nv_cli_usage(struct cli *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* --- output.c --- */

/* Prints the error; returns CLI_FAILED. */
int nv_cli_fail(struct cli *c, const struct nv_err *err);
int nv_cli_failf(struct cli *c, enum nv_reason reason, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* The command's document, with --json; takes doc.  Returns status. */
int nv_cli_document(struct cli *c, json_t *doc, int status);
/* Foreign text made safe for a terminal: no control characters; NULL becomes "". */
char *nv_cli_clean(const char *text);
/* "1.4 MB" */
char *nv_cli_size(uint64_t bytes);
/* "2026-11-22 17:08" in local time; "" for 0 */
char *nv_cli_time(uint64_t ms);
/* json_string for a text that may be NULL or not UTF-8 */
json_t *nv_cli_string(const char *text);

/* Rows of texts, printed with aligned columns.  Zero-initialised is empty. */
struct cli_table {
	char **cells;
	size_t len;
	size_t columns;
};
/* Ends with NULL; every row has as many as the first one; copied and cleaned. */
void nv_cli_row(struct cli_table *t, ...) __attribute__((sentinel));
/* Prints doc with --json, the table without; takes doc, empties the table.  Returns status. */
int nv_cli_answer(struct cli *c, json_t *doc, struct cli_table *t, int status);

/* --- config.c --- */

/* The configuration, or NULL after the mistakes were printed. */
const struct nv_config *nv_cli_config(struct cli *c);
/* One secret line: from the file of --password-file, else from standard input (asked for without
 * echo where that is a terminal).  owned; NULL with *err. */
char *nv_cli_password(struct cli *c, const char *prompt, struct nv_err *err);
int nv_cli_config_check(struct cli *c);
int nv_cli_config_example(struct cli *c);

/* --- the commands --- */

int nv_cli_keys_new(struct cli *c);
int nv_cli_keys_show(struct cli *c);
int nv_cli_broker_apply(struct cli *c);
int nv_cli_broker_check(struct cli *c);
int nv_cli_broker_definitions(struct cli *c);
int nv_cli_account_add(struct cli *c);
int nv_cli_account_remove(struct cli *c);
int nv_cli_account_passwd(struct cli *c);
int nv_cli_account_list(struct cli *c);
int nv_cli_site_create(struct cli *c);
int nv_cli_site_delete_course(struct cli *c);
int nv_cli_courses(struct cli *c);
int nv_cli_submit(struct cli *c);
int nv_cli_list(struct cli *c);
int nv_cli_show(struct cli *c);
int nv_cli_watch(struct cli *c);
int nv_cli_cancel(struct cli *c);
int nv_cli_retry(struct cli *c);
int nv_cli_now(struct cli *c);
int nv_cli_republish(struct cli *c);
int nv_cli_forget(struct cli *c);
int nv_cli_queues(struct cli *c);
int nv_cli_dead_list(struct cli *c);
int nv_cli_dead_show(struct cli *c);
int nv_cli_dead_requeue(struct cli *c);
int nv_cli_dead_discard(struct cli *c);
int nv_cli_mbz(struct cli *c);
int nv_cli_collect(struct cli *c);
int nv_cli_inspect(struct cli *c);
int nv_cli_doctor(struct cli *c);
int nv_cli_help(struct cli *c);

#endif
