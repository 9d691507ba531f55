/* SPDX-License-Identifier: GPL-3.0-or-later */
/* dead list, show, requeue, discard: messages that were given up (core/bus/dead_letters.h). */
#include "core/bus/dead_letters.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/amqp.h"

#define CONNECTION "navette command"

/* --- which queue --- */

/* A number from the list, or the letter's id: as long as numbers never are, since no queue holds so
 * many. */
#define ID_MIN 8u
#define ID_SHOWN 12u

static bool is_id(const char *text)
{
	size_t len = strlen(text);
	return len >= ID_MIN && len < NV_LETTER_ID && strspn(text, "0123456789abcdef") == len;
}

static int check_name(struct cli *c)
{
	const char *text = c->args[0];
	char *end;
	bool number = *text >= '0' && *text <= '9' && strtoull(text, &end, 10) && !*end;
	if (!number && !is_id(text))
		return nv_cli_usage(
			c,
			"\"%s\" is neither a number from 1 nor an id of 8 characters or "
			"more",
			text);
	return CLI_OK;
}

/* NULL with *err. */
static const struct nv_letter *find_letter(const struct nv_dead *d, const char *text,
					   struct nv_err *err)
{
	const struct nv_letter *found = NULL;
	if (!is_id(text)) {
		found = nv_dead_by_number(d, strtoull(text, NULL, 10));
		if (!found)
			nv_fail(err, NV_REJECT, NV_R_not_found,
				"%s holds %zu messages, there is no number %s", d->queue.s, d->len,
				text);
		return found;
	}
	for (size_t i = 0; i < d->len; i++) {
		if (strncmp(d->letters[i].id, text, strlen(text)) != 0)
			continue;
		if (found && strcmp(found->id, d->letters[i].id) == 0)
			continue; /* the same bytes, given up at the same time: either will do */
		if (found) {
			nv_fail(err, NV_REJECT, NV_R_conflict,
				"%s holds several messages whose id begins with %s: give more of "
				"it",
				d->queue.s, text);
			return NULL;
		}
		found = &d->letters[i];
	}
	if (!found)
		nv_fail(err, NV_REJECT, NV_R_not_found, "%s holds no message %s (any more)",
			d->queue.s, text);
	return found;
}

static bool wanted(const struct cli *c, const char *owner)
{
	const char *queue = nv_cli_get(c, "queue");
	return !queue || strcmp(queue, nv_queue_dead(owner).s) == 0;
}

/* The owners whose dead queues are meant; 0 after an error was printed. */
static size_t owners_of(struct cli *c, bool just_one, struct cli_owner owners[CLI_OWNERS_MAX])
{
	const struct nv_config *config = nv_cli_config(c);
	if (!config)
		return 0;
	size_t all = nv_cli_owners(config, owners);
	size_t n = 0;
	for (size_t i = 0; i < all; i++)
		if (wanted(c, owners[i].name))
			owners[n++] = owners[i];
	if (!n)
		nv_cli_failf(c, NV_R_config, "%s names no client or site with such a queue",
			     config->path);
	if (n < 2 || !just_one)
		return n;
	nv_cli_usage(c, "which queue?  --queue %s or --queue %s", nv_queue_dead(owners[0].name).s,
		     nv_queue_dead(owners[1].name).s);
	return 0;
}

static int usage_or_failed(const struct cli *c)
{
	return c->config ? CLI_USAGE : CLI_FAILED;
}

/* --- list --- */

static json_t *letter_document(const struct nv_dead *d, const struct nv_letter *l)
{
	json_t *doc =
		json_pack("{s:I, s:s, s:s, s:o, s:o, s:o}", "n", (json_int_t)l->n, "id", l->id,
			  "dead_queue", d->queue.s, "queue", nv_cli_string(l->queue), "reason",
			  nv_cli_string(l->reason), "error", nv_cli_string(l->error));
	char iso[25] = "";
	if (l->at)
		nv_time_iso(l->at, iso);
	json_object_set_new(doc, "at", l->at ? json_string(iso) : json_null());
	json_object_set_new(doc, "host", nv_cli_string(l->host));
	json_object_set_new(doc, "kind", *l->kind ? nv_cli_string(l->kind) : json_null());
	json_object_set_new(doc, "mid", *l->mid ? nv_cli_string(l->mid) : json_null());
	json_object_set_new(doc, "size", json_integer((json_int_t)l->size));
	json_object_set_new(doc, "attempts", json_integer((json_int_t)l->attempts));
	json_object_set_new(doc, "requeued", json_integer((json_int_t)l->requeued));
	return doc;
}

static void letter_row(struct cli_table *t, const struct nv_dead *d, const struct nv_letter *l)
{
	nv_auto_free char *n = nv_asprintf("%" PRIu64, l->n);
	nv_auto_free char *when = nv_cli_time(l->at);
	nv_auto_free char *size = nv_cli_size(l->size);
	nv_auto_free char *id = nv_strndup(l->id, ID_SHOWN);
	nv_cli_row(t, d->queue.s, n, id, when, l->queue ? l->queue : "?", *l->kind ? l->kind : "?",
		   size, l->reason ? l->reason : "?", l->error ? l->error : "", NULL);
}

static enum nv_look keep_none(void *arg, struct nv_letter *l)
{
	(void)arg;
	(void)l;
	return NV_LOOK_NOTE;
}

static int list_queue(struct nv_dead *d, json_t *list, struct cli_table *t, struct nv_err *err)
{
	int rc = nv_dead_take_all(d, 0, keep_none, NULL, err);
	for (size_t i = 0; i < d->len; i++) {
		letter_row(t, d, &d->letters[i]);
		json_array_append_new(list, letter_document(d, &d->letters[i]));
	}
	return rc;
}

int nv_cli_dead_list(struct cli *c)
{
	struct cli_owner owners[CLI_OWNERS_MAX];
	struct cli_table table = {0};
	struct nv_err err = {0};
	size_t n = owners_of(c, false, owners);
	int rc = 0;
	if (!n)
		return CLI_FAILED;
	json_t *list = json_array();
	nv_cli_row(&table, "DEAD QUEUE", "N", "ID", "WHEN", "FROM", "KIND", "SIZE", "REASON",
		   "ERROR", NULL);
	for (size_t i = 0; i < n && rc == 0; i++) {
		struct nv_dead d;
		/* one connection per queue, so that messages are put back before the next queue is
		 * read */
		rc = nv_dead_open(&d, c->config, owners[i].name, CONNECTION, &err);
		if (rc == 0)
			rc = list_queue(&d, list, &table, &err);
		nv_dead_close(&d);
	}
	if (rc < 0)
		nv_cli_fail(c, &err); /* after it, the rows that there are */
	return nv_cli_answer(c, json_pack("{s:o}", "messages", list), &table,
			     rc < 0 ? CLI_FAILED : CLI_OK);
}

/* --- show --- */

static void show_rows(struct cli_table *t, const struct nv_letter *l)
{
	const amqp_table_t *h = nv_letter_headers(l);
	nv_auto_free char *size = nv_asprintf("%zu bytes", l->size);
	nv_auto_free char *when = nv_cli_time(l->at);
	nv_cli_row(t, "Id:", l->id, NULL);
	nv_cli_row(t, "Kind:", *l->kind ? l->kind : "cannot be read", NULL);
	nv_cli_row(t, "Message:", *l->mid ? l->mid : "cannot be read", NULL);
	nv_cli_row(t, "Size:", size, NULL);
	nv_cli_row(t, "Given up:", when, NULL);
	for (int i = 0; i < h->num_entries; i++) {
		nv_auto_free char *key = nv_strndup(h->entries[i].key.bytes, h->entries[i].key.len);
		nv_auto_free char *value = nv_letter_header(l, key);
		nv_auto_free char *label = nv_asprintf("%s:", key);
		if (value)
			nv_cli_row(t, label, value, NULL);
	}
}

typedef int (*letter_use)(struct cli *c, struct nv_dead *d, const struct nv_letter *l,
			  struct nv_err *err);

/* A letter by its number or id, for show, discard and requeue. */
static int with_letter(struct cli *c, letter_use use)
{
	struct cli_owner owners[CLI_OWNERS_MAX];
	struct nv_dead d;
	struct nv_err err = {0};
	if (check_name(c))
		return CLI_USAGE;
	if (!owners_of(c, true, owners))
		return usage_or_failed(c);
	int rc = nv_dead_open(&d, c->config, owners[0].name, CONNECTION, &err);
	if (rc == 0)
		rc = nv_dead_take_all(&d, 0, NULL, NULL, &err);
	const struct nv_letter *l = rc == 0 ? find_letter(&d, c->args[0], &err) : NULL;
	rc = l ? use(c, &d, l, &err) : -1;
	nv_dead_close(&d);
	return rc < 0 ? nv_cli_fail(c, &err) : CLI_OK;
}

static int show(struct cli *c, struct nv_dead *d, const struct nv_letter *l, struct nv_err *err)
{
	struct cli_table table = {0};
	(void)err;
	show_rows(&table, l);
	nv_cli_answer(c, letter_document(d, l), &table, CLI_OK);
	return 0;
}

int nv_cli_dead_show(struct cli *c)
{
	return with_letter(c, show);
}

/* --- discard and requeue --- */

static int say(struct cli *c, const struct nv_dead *d, const struct nv_letter *l, const char *what)
{
	json_t *doc = letter_document(d, l);
	if (c->json) {
		nv_cli_document(c, json_pack("{s:s, s:o}", "done", what, "message", doc), CLI_OK);
		return 0;
	}
	json_decref(doc);
	printf("Message %" PRIu64 " of %s (%.*s) is %s.\n", l->n, d->queue.s, (int)ID_SHOWN, l->id,
	       what);
	return 0;
}

static int discard(struct cli *c, struct nv_dead *d, const struct nv_letter *l, struct nv_err *err)
{
	return nv_dead_discard(d, l, err) < 0 ? -1 : say(c, d, l, "discarded");
}

int nv_cli_dead_discard(struct cli *c)
{
	return with_letter(c, discard);
}

static int requeue(struct cli *c, struct nv_dead *d, const struct nv_letter *l, struct nv_err *err)
{
	return nv_dead_requeue(d, l, err) < 0 ? -1 : say(c, d, l, "requeued");
}

static void requeue_failed(void *arg, const struct nv_err *why)
{
	json_t *failed = arg;
	json_array_append_new(failed, nv_cli_string(why->msg));
}

static int print_requeued(struct cli *c, uint64_t done, json_t *failed)
{
	size_t i;
	const json_t *message;
	int status = json_array_size(failed) ? CLI_FAILED : CLI_OK;
	if (c->json)
		return nv_cli_document(
			c, json_pack("{s:I, s:O}", "requeued", (json_int_t)done, "failed", failed),
			status);
	json_array_foreach(failed, i, message)
		fprintf(stderr, "navette: %s\n", json_string_value(message));
	printf("%" PRIu64 " messages requeued.\n", done);
	return status;
}

int nv_cli_dead_requeue(struct cli *c)
{
	struct cli_owner owners[CLI_OWNERS_MAX];
	struct nv_dead d;
	struct nv_err err = {0};
	uint64_t done = 0;
	if (c->args_len && nv_cli_has(c, "all"))
		return nv_cli_usage(c, "one message and --all do not go together");
	if (c->args_len)
		return with_letter(c, requeue);
	if (!nv_cli_has(c, "all"))
		return nv_cli_usage(c,
				    "which?  A number or an id from navette dead list, or --all");
	if (!owners_of(c, true, owners))
		return usage_or_failed(c);
	json_t *failed = json_array();
	int rc = nv_dead_open(&d, c->config, owners[0].name, CONNECTION, &err);
	if (rc == 0)
		rc = nv_dead_requeue_each(&d, &done, requeue_failed, failed, &err);
	nv_dead_close(&d);
	int status = rc < 0 ? nv_cli_fail(c, &err) : print_requeued(c, done, failed);
	json_decref(failed);
	return status;
}
