/* SPDX-License-Identifier: GPL-3.0-or-later */
/* dead list, show, requeue, discard: messages that were given up.
 *
 * A queue can only be looked into by taking its messages.  They are taken without acknowledging
 * them; when the connection closes, the broker puts them back where they were.  What is requeued is
 * published first, confirmed, and then acknowledged. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/amqp.h"
#include "core/base/hash.h"
#include "core/bus/bus.h"
#include "proto/envelope.h"

#define BACK_TRIES 100u
#define BACK_WAIT_US 20000u
#define CONFIRM_TIMEOUT_S 30

struct letter {
	uint64_t n; /* number that people see, from 1 */
	uint64_t tag;
	amqp_message_t message;
	char kind[64];
	char mid[NV_UUID_SIZE];
	uint64_t at;		       /* when it was given up, ms since the epoch */
	uint8_t digest[NV_SHA256_LEN]; /* of the body */
};

/* --- headers --- */

static const amqp_table_t *headers_of(const struct letter *l)
{
	const amqp_basic_properties_t *p = &l->message.properties;
	return p->_flags & AMQP_BASIC_HEADERS_FLAG ? &p->headers : &amqp_empty_table;
}

/* A text header, owned; NULL where there is none. */
static char *header(const struct letter *l, const char *key)
{
	const amqp_table_t *t = headers_of(l);
	for (int i = 0; i < t->num_entries; i++) {
		const amqp_table_entry_t *e = &t->entries[i];
		if (e->key.len != strlen(key) || memcmp(e->key.bytes, key, e->key.len) != 0)
			continue;
		if (e->value.kind == AMQP_FIELD_KIND_UTF8 || e->value.kind == AMQP_FIELD_KIND_BYTES)
			return nv_strndup(e->value.value.bytes.bytes, e->value.value.bytes.len);
	}
	return NULL;
}

/* Ours, or where the broker itself gave the message up, its own. */
static char *header_or(const struct letter *l, const char *key, const char *brokers)
{
	char *text = header(l, key);
	return text ? text : header(l, brokers);
}

static char *queue_of(const struct letter *l)
{
	return header_or(l, NV_H_QUEUE, "x-first-death-queue");
}

/* delivery_limit, expired … are the broker's words; ours are nv_reason_word. */
static char *reason_of(const struct letter *l)
{
	return header_or(l, NV_H_REASON, "x-first-death-reason");
}

static uint64_t header_number(const struct letter *l, const char *key)
{
	nv_auto_free char *text = header(l, key);
	return text ? strtoull(text, NULL, 10) : 0;
}

/* --- taking them --- */

struct dead {
	struct cli *c;
	struct cli_amqp *amqp;
	const char *owner;
	struct nv_topology_name queue;
	uint64_t held; /* taken and not acknowledged */
};

/* 1 with the next message (ret to be freed with amqp_destroy_message), 0 when there is none, -1. */
static int take(struct dead *d, struct letter *ret, struct nv_err *err)
{
	*ret = (struct letter){.n = 0};
	amqp_rpc_reply_t r =
		amqp_basic_get(d->amqp->conn, CLI_CHANNEL, amqp_cstring_bytes(d->queue.s), 0);
	nv_auto_free char *what = nv_asprintf("reading %s", d->queue.s);
	if (cli_amqp_reply(r, what, err) < 0)
		return -1;
	if (r.reply.id == AMQP_BASIC_GET_EMPTY_METHOD)
		return 0;
	ret->tag = ((const amqp_basic_get_ok_t *)r.reply.decoded)->delivery_tag;
	d->held++;
	r = amqp_read_message(d->amqp->conn, CLI_CHANNEL, &ret->message, 0);
	if (cli_amqp_reply(r, what, err) < 0)
		return -1;
	nv_envelope_peek(ret->message.body.bytes, ret->message.body.len, ret->kind,
			 sizeof(ret->kind), ret->mid);
	nv_sha256(ret->message.body.bytes, ret->message.body.len, ret->digest);
	ret->at = header_number(ret, NV_H_AT);
	amqp_maybe_release_buffers_on_channel(d->amqp->conn, CLI_CHANNEL);
	return 1;
}

/* --- all of them, in an order of their own --- */

struct letters {
	struct letter *items;
	size_t len;
};

static void letters_fini(struct letters *l)
{
	for (size_t i = 0; i < l->len; i++)
		amqp_destroy_message(&l->items[i].message);
	free(l->items);
}

static int compare(const void *a, const void *b)
{
	const struct letter *x = a, *y = b;
	if (x->at != y->at)
		return x->at < y->at ? -1 : 1;
	return memcmp(x->digest, y->digest, sizeof(x->digest));
}

/* A quorum queue does not keep the order of what was looked at and given back, so the numbers
 * people see follow when and what, not where. */
static int take_all(struct dead *d, struct letters *ret, struct nv_err *err)
{
	int rc;
	*ret = (struct letters){0};
	do {
		struct letter l;
		rc = take(d, &l, err);
		if (rc > 0) {
			ret->items = nv_realloc(ret->items, (ret->len + 1) * sizeof(*ret->items));
			ret->items[ret->len++] = l;
		}
	} while (rc > 0);
	if (ret->len)
		qsort(ret->items, ret->len, sizeof(*ret->items), compare);
	for (size_t i = 0; i < ret->len; i++)
		ret->items[i].n = i + 1;
	return rc;
}

static int ack(struct dead *d, const struct letter *l, struct nv_err *err)
{
	int status = amqp_basic_ack(d->amqp->conn, CLI_CHANNEL, l->tag, 0);
	amqp_rpc_reply_t r = {.reply_type = status ? AMQP_RESPONSE_LIBRARY_EXCEPTION
						   : AMQP_RESPONSE_NORMAL,
			      .library_error = status};
	d->held -= status ? 0 : 1;
	return cli_amqp_reply(r, "acknowledging a message", err);
}

/* Closing the connection gives back what is held, in its order (closing the channel would not keep
 * that).  See it there before we go: a quorum queue takes a moment, and the next command would find
 * fewer messages under other numbers. */
static void close_dead(struct dead *d)
{
	struct cli_queue q = {0};
	struct nv_err err = {0};
	cli_amqp_close(d->amqp);
	struct cli_amqp *again = d->held ? cli_amqp_open(d->c->config, &err) : NULL;
	for (unsigned n = 0; again && n < BACK_TRIES && q.ready < d->held; n++) {
		if (n)
			usleep(BACK_WAIT_US);
		if (cli_amqp_queue(again, d->queue.s, &q, &err) < 0)
			break;
	}
	cli_amqp_close(again);
}

/* --- which queue --- */

static int queue_number(struct cli *c, uint64_t *ret)
{
	char *end;
	const char *text = c->args[0];
	*ret = strtoull(text, &end, 10);
	if (*end || !*ret || *text < '0' || *text > '9')
		return cli_usage(c, "\"%s\" is not a number from 1", text);
	return CLI_OK;
}

static bool wanted(const struct cli *c, const char *owner)
{
	const char *queue = cli_get(c, "queue");
	return !queue || strcmp(queue, nv_queue_dead(owner).s) == 0;
}

/* The owners whose dead queues are meant; 0 after an error was printed. */
static size_t owners_of(struct cli *c, bool just_one, struct cli_owner owners[CLI_OWNERS_MAX])
{
	const struct nv_config *config = cli_config(c);
	if (!config)
		return 0;
	size_t all = cli_owners(config, owners);
	size_t n = 0;
	for (size_t i = 0; i < all; i++)
		if (wanted(c, owners[i].name))
			owners[n++] = owners[i];
	if (!n)
		cli_failf(c, NV_R_config, "%s names no client or site with such a queue",
			  config->path);
	if (n < 2 || !just_one)
		return n;
	cli_usage(c, "which queue?  --queue %s or --queue %s", nv_queue_dead(owners[0].name).s,
		  nv_queue_dead(owners[1].name).s);
	return 0;
}

static int usage_or_failed(const struct cli *c)
{
	return c->config ? CLI_USAGE : CLI_FAILED;
}

/* --- list --- */

static json_t *letter_document(const struct dead *d, const struct letter *l)
{
	nv_auto_free char *queue = queue_of(l);
	nv_auto_free char *reason = reason_of(l);
	nv_auto_free char *error = header(l, NV_H_ERROR);
	nv_auto_free char *host = header(l, NV_H_HOST);
	json_t *doc = json_pack("{s:I, s:s, s:o, s:o, s:o}", "n", (json_int_t)l->n, "dead_queue",
				d->queue.s, "queue", cli_string(queue), "reason",
				cli_string(reason), "error", cli_string(error));
	uint64_t at = header_number(l, NV_H_AT);
	char iso[25] = "";
	if (at)
		nv_time_iso(at, iso);
	json_object_set_new(doc, "at", at ? json_string(iso) : json_null());
	json_object_set_new(doc, "host", cli_string(host));
	json_object_set_new(doc, "kind", *l->kind ? cli_string(l->kind) : json_null());
	json_object_set_new(doc, "mid", *l->mid ? cli_string(l->mid) : json_null());
	json_object_set_new(doc, "size", json_integer((json_int_t)l->message.body.len));
	json_object_set_new(doc, "attempts",
			    json_integer((json_int_t)header_number(l, NV_H_ATTEMPT)));
	json_object_set_new(doc, "requeued",
			    json_integer((json_int_t)header_number(l, NV_H_REQUEUED)));
	return doc;
}

static void letter_row(struct cli_table *t, const struct dead *d, const struct letter *l)
{
	nv_auto_free char *n = nv_asprintf("%" PRIu64, l->n);
	nv_auto_free char *queue = queue_of(l);
	nv_auto_free char *reason = reason_of(l);
	nv_auto_free char *error = header(l, NV_H_ERROR);
	nv_auto_free char *when = cli_time(header_number(l, NV_H_AT));
	nv_auto_free char *size = cli_size(l->message.body.len);
	cli_row(t, d->queue.s, n, when, queue ? queue : "?", *l->kind ? l->kind : "?", size,
		reason ? reason : "?", error ? error : "", NULL);
}

static int list_queue(struct dead *d, json_t *list, struct cli_table *t, struct nv_err *err)
{
	struct letters all;
	int rc = take_all(d, &all, err);
	for (size_t i = 0; i < all.len; i++) {
		letter_row(t, d, &all.items[i]);
		json_array_append_new(list, letter_document(d, &all.items[i]));
	}
	letters_fini(&all);
	return rc;
}

/* A connection a queue, so that what is taken from one goes back before the next. */
static int open_dead(struct dead *d, struct cli *c, const char *owner, struct nv_err *err)
{
	*d = (struct dead){.c = c, .owner = owner, .queue = nv_queue_dead(owner)};
	d->amqp = cli_amqp_open(c->config, err);
	return d->amqp ? 0 : -1;
}

int cli_dead_list(struct cli *c)
{
	struct cli_owner owners[CLI_OWNERS_MAX];
	struct cli_table table = {0};
	struct nv_err err = {0};
	size_t n = owners_of(c, false, owners);
	int rc = 0;
	if (!n)
		return CLI_FAILED;
	json_t *list = json_array();
	cli_row(&table, "DEAD QUEUE", "N", "WHEN", "FROM", "KIND", "SIZE", "REASON", "ERROR", NULL);
	for (size_t i = 0; i < n && rc == 0; i++) {
		struct dead d;
		rc = open_dead(&d, c, owners[i].name, &err);
		if (rc == 0)
			rc = list_queue(&d, list, &table, &err);
		close_dead(&d);
	}
	if (rc < 0)
		cli_fail(c, &err); /* after it, the rows that there are */
	return cli_answer(c, json_pack("{s:o}", "messages", list), &table,
			  rc < 0 ? CLI_FAILED : CLI_OK);
}

/* --- show --- */

static void show_rows(struct cli_table *t, const struct letter *l)
{
	const amqp_table_t *h = headers_of(l);
	nv_auto_free char *size = nv_asprintf("%zu bytes", l->message.body.len);
	nv_auto_free char *when = cli_time(header_number(l, NV_H_AT));
	cli_row(t, "Kind:", *l->kind ? l->kind : "cannot be read", NULL);
	cli_row(t, "Message:", *l->mid ? l->mid : "cannot be read", NULL);
	cli_row(t, "Size:", size, NULL);
	cli_row(t, "Given up:", when, NULL);
	for (int i = 0; i < h->num_entries; i++) {
		nv_auto_free char *key = nv_strndup(h->entries[i].key.bytes, h->entries[i].key.len);
		nv_auto_free char *value = header(l, key);
		nv_auto_free char *label = nv_asprintf("%s:", key);
		if (value)
			cli_row(t, label, value, NULL);
	}
}

/* A letter taken by number, for show, discard and requeue. */
static int with_letter(struct cli *c,
		       int (*use)(struct dead *d, const struct letter *l, struct nv_err *err))
{
	struct cli_owner owners[CLI_OWNERS_MAX];
	struct dead d;
	struct letters all = {0};
	struct nv_err err = {0};
	uint64_t n;
	if (queue_number(c, &n))
		return CLI_USAGE;
	if (!owners_of(c, true, owners))
		return usage_or_failed(c);
	int rc = open_dead(&d, c, owners[0].name, &err);
	if (rc == 0)
		rc = take_all(&d, &all, &err);
	const struct letter *l = all.items && n <= all.len ? &all.items[n - 1] : NULL;
	if (rc == 0 && !l)
		rc = nv_fail(&err, NV_REJECT, NV_R_not_found,
			     "%s holds %zu messages, there is no number %" PRIu64, d.queue.s,
			     all.len, n);
	if (rc == 0 && l)
		rc = use(&d, l, &err);
	letters_fini(&all);
	close_dead(&d);
	return rc < 0 ? cli_fail(c, &err) : CLI_OK;
}

static int show(struct dead *d, const struct letter *l, struct nv_err *err)
{
	struct cli_table table = {0};
	(void)err;
	show_rows(&table, l);
	cli_answer(d->c, letter_document(d, l), &table, CLI_OK);
	return 0;
}

int cli_dead_show(struct cli *c)
{
	return with_letter(c, show);
}

/* --- discard --- */

static int say(struct dead *d, const struct letter *l, const char *what)
{
	json_t *doc = letter_document(d, l);
	if (d->c->json) {
		cli_document(d->c, json_pack("{s:s, s:o}", "done", what, "message", doc), CLI_OK);
		return 0;
	}
	json_decref(doc);
	printf("Message %" PRIu64 " of %s is %s.\n", l->n, d->queue.s, what);
	return 0;
}

static int discard(struct dead *d, const struct letter *l, struct nv_err *err)
{
	return ack(d, l, err) < 0 ? -1 : say(d, l, "discarded");
}

int cli_dead_discard(struct cli *c)
{
	return with_letter(c, discard);
}

/* --- requeue --- */

/* Waits for the broker's confirm of the one message under way. */
static int wait_confirmed(struct dead *d, const char *queue, struct nv_err *err)
{
	struct timeval tv = {.tv_sec = CONFIRM_TIMEOUT_S};
	bool returned = false;
	for (;;) {
		amqp_frame_t frame;
		int status = amqp_simple_wait_frame_noblock(d->amqp->conn, &frame, &tv);
		if (status)
			return nv_fail(err, NV_RETRY, NV_R_broker_unavailable,
				       "broker: waiting for a confirm: %s",
				       amqp_error_string2(status));
		if (frame.frame_type != AMQP_FRAME_METHOD)
			continue;
		amqp_method_number_t id = frame.payload.method.id;
		if (id == AMQP_BASIC_RETURN_METHOD) {
			amqp_message_t message;
			amqp_read_message(d->amqp->conn, CLI_CHANNEL, &message, 0);
			amqp_destroy_message(&message);
			returned = true;
		} else if (id == AMQP_BASIC_ACK_METHOD && !returned) {
			return 0;
		} else if (id == AMQP_BASIC_ACK_METHOD) {
			return nv_fail(err, NV_REJECT, NV_R_unroutable,
				       "broker: %s no longer exists or takes nothing from %s",
				       queue, nv_exchange_self(d->owner).s);
		} else if (id == AMQP_BASIC_NACK_METHOD) {
			return nv_fail(err, NV_RETRY, NV_R_broker_unavailable,
				       "broker: %s refused the message", queue);
		} else if (id == AMQP_CHANNEL_CLOSE_METHOD || id == AMQP_CONNECTION_CLOSE_METHOD) {
			amqp_rpc_reply_t r = {.reply_type = AMQP_RESPONSE_SERVER_EXCEPTION,
					      .reply = frame.payload.method};
			return cli_amqp_reply(r, "publishing", err);
		}
	}
}

static int publish(struct dead *d, const struct letter *l, const char *queue, struct nv_err *err)
{
	const amqp_basic_properties_t *old = &l->message.properties;
	nv_auto_free char *count = nv_asprintf("%" PRIu64, header_number(l, NV_H_REQUEUED) + 1);
	amqp_table_entry_t entry = {
		.key = amqp_cstring_bytes(NV_H_REQUEUED),
		.value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes(count)}};
	amqp_basic_properties_t p = {
		._flags = AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_HEADERS_FLAG |
			  AMQP_BASIC_USER_ID_FLAG |
			  (old->_flags & (AMQP_BASIC_MESSAGE_ID_FLAG | AMQP_BASIC_TYPE_FLAG |
					  AMQP_BASIC_CONTENT_TYPE_FLAG)),
		.delivery_mode = 2,
		.user_id = amqp_cstring_bytes(d->amqp->user),
		.headers = {.num_entries = 1, .entries = &entry},
		.message_id = old->message_id,
		.type = old->type,
		.content_type = old->content_type,
	};
	struct nv_topology_name self = nv_exchange_self(d->owner);
	int status = amqp_basic_publish(d->amqp->conn, CLI_CHANNEL, amqp_cstring_bytes(self.s),
					amqp_cstring_bytes(queue), 1, 0, &p, l->message.body);
	if (status)
		return nv_fail(err, NV_RETRY, NV_R_broker_unavailable, "broker: publishing: %s",
			       amqp_error_string2(status));
	return wait_confirmed(d, queue, err);
}

static int select_confirms(struct dead *d, struct nv_err *err)
{
	amqp_confirm_select(d->amqp->conn, CLI_CHANNEL);
	return cli_amqp_reply(amqp_get_rpc_reply(d->amqp->conn), "asking for confirms", err);
}

static int requeue_letter(struct dead *d, const struct letter *l, struct nv_err *err)
{
	nv_auto_free char *queue = queue_of(l);
	if (!queue || strcmp(queue, d->queue.s) == 0)
		return nv_fail(err, NV_REJECT, NV_R_bad_message,
			       "message %" PRIu64 " does not say which queue it came from", l->n);
	return publish(d, l, queue, err) < 0 || ack(d, l, err) < 0 ? -1 : 0;
}

static int requeue(struct dead *d, const struct letter *l, struct nv_err *err)
{
	if (select_confirms(d, err) < 0 || requeue_letter(d, l, err) < 0)
		return -1;
	return say(d, l, "requeued");
}

/* As many as were there at the beginning: what is given up again meanwhile stays. */
static int requeue_all(struct dead *d, uint64_t *ret_done, json_t *failed, struct nv_err *err)
{
	struct cli_queue q;
	if (select_confirms(d, err) < 0 || cli_amqp_queue(d->amqp, d->queue.s, &q, err) < 0)
		return -1;
	for (uint64_t n = 1; n <= q.ready; n++) {
		struct letter l;
		struct nv_err one = {0};
		int rc = take(d, &l, err);
		l.n = n;
		if (rc <= 0)
			return rc;
		rc = requeue_letter(d, &l, &one);
		amqp_destroy_message(&l.message);
		if (rc == 0)
			++*ret_done;
		else if (one.kind == NV_RETRY) {
			*err = one;
			return -1;
		} else {
			json_array_append_new(failed, cli_string(one.msg));
		}
	}
	return 0;
}

static int print_requeued(struct cli *c, uint64_t done, json_t *failed)
{
	size_t i;
	const json_t *message;
	int status = json_array_size(failed) ? CLI_FAILED : CLI_OK;
	if (c->json)
		return cli_document(
			c, json_pack("{s:I, s:O}", "requeued", (json_int_t)done, "failed", failed),
			status);
	json_array_foreach(failed, i, message)
		fprintf(stderr, "navette: %s\n", json_string_value(message));
	printf("%" PRIu64 " messages requeued.\n", done);
	return status;
}

int cli_dead_requeue(struct cli *c)
{
	struct cli_owner owners[CLI_OWNERS_MAX];
	struct dead d;
	struct nv_err err = {0};
	uint64_t done = 0;
	if (c->args_len && cli_has(c, "all"))
		return cli_usage(c, "a number and --all do not go together");
	if (c->args_len)
		return with_letter(c, requeue);
	if (!cli_has(c, "all"))
		return cli_usage(c, "which?  A number from navette dead list, or --all");
	if (!owners_of(c, true, owners))
		return usage_or_failed(c);
	json_t *failed = json_array();
	int rc = open_dead(&d, c, owners[0].name, &err);
	if (rc == 0)
		rc = requeue_all(&d, &done, failed, &err);
	close_dead(&d);
	int status = rc < 0 ? cli_fail(c, &err) : print_requeued(c, done, failed);
	json_decref(failed);
	return status;
}
