/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/bus/dead_letters.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "core/bus/bus.h"
#include "proto/envelope.h"

#define BACK_TRIES 100u
#define BACK_WAIT_US 20000u
#define CONFIRM_TIMEOUT_MS 30000u

/* --- headers --- */

const amqp_table_t *nv_letter_headers(const struct nv_letter *l)
{
	const amqp_basic_properties_t *p = &l->message.properties;
	return p->_flags & AMQP_BASIC_HEADERS_FLAG ? &p->headers : &amqp_empty_table;
}

char *nv_letter_header(const struct nv_letter *l, const char *key)
{
	const amqp_table_t *t = nv_letter_headers(l);
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
static char *header_or(const struct nv_letter *l, const char *key, const char *brokers)
{
	char *text = nv_letter_header(l, key);
	return text ? text : nv_letter_header(l, brokers);
}

static uint64_t header_number(const struct nv_letter *l, const char *key)
{
	nv_auto_free char *text = nv_letter_header(l, key);
	return text ? strtoull(text, NULL, 10) : 0;
}

/* --- a letter --- */

static void letter_fini(struct nv_letter *l)
{
	if (l->whole)
		amqp_destroy_message(&l->message);
	free(l->queue);
	free(l->reason);
	free(l->error);
	free(l->host);
}

/* Twice the same at the same millisecond is the same: whichever is meant. */
static void make_id(struct nv_letter *l)
{
	uint8_t digest[NV_SHA256_LEN];
	char hex[NV_SHA256_HEX];
	nv_sha256(l->message.body.bytes, l->message.body.len, digest);
	nv_hex(digest, sizeof digest, hex);
	nv_auto_free char *both = nv_asprintf("%s %" PRIu64, hex, l->at);
	nv_sha256(both, strlen(both), digest);
	nv_hex(digest, sizeof digest, hex);
	memcpy(l->id, hex, NV_LETTER_ID - 1);
}

static void describe(struct nv_letter *l)
{
	nv_envelope_peek(l->message.body.bytes, l->message.body.len, l->kind, sizeof l->kind,
			 l->mid);
	l->size = l->message.body.len;
	l->at = header_number(l, NV_H_AT);
	l->attempts = header_number(l, NV_H_ATTEMPT);
	l->requeued = header_number(l, NV_H_REQUEUED);
	l->queue = header_or(l, NV_H_QUEUE, "x-first-death-queue");
	l->reason = header_or(l, NV_H_REASON, "x-first-death-reason");
	l->error = nv_letter_header(l, NV_H_ERROR);
	l->host = nv_letter_header(l, NV_H_HOST);
	make_id(l);
}

bool nv_letter_is_id(const char *text)
{
	uint8_t bytes[(NV_LETTER_ID - 1) / 2];
	return nv_unhex(text, bytes, sizeof bytes) == 0;
}

/* --- taking them --- */

/* 1 with the next letter (for letter_fini), 0 when there is none, -1. */
static int take(struct nv_dead *d, struct nv_letter *ret, struct nv_err *err)
{
	*ret = (struct nv_letter){.n = 0};
	amqp_rpc_reply_t r =
		amqp_basic_get(d->amqp->conn, NV_AMQP_CHANNEL, amqp_cstring_bytes(d->queue.s), 0);
	nv_auto_free char *what = nv_asprintf("reading %s", d->queue.s);
	if (nv_amqp_reply(r, what, err) < 0)
		return -1;
	if (r.reply.id == AMQP_BASIC_GET_EMPTY_METHOD)
		return 0;
	ret->tag = ((const amqp_basic_get_ok_t *)r.reply.decoded)->delivery_tag;
	d->held++;
	r = amqp_read_message(d->amqp->conn, NV_AMQP_CHANNEL, &ret->message, 0);
	if (nv_amqp_reply(r, what, err) < 0)
		return -1;
	ret->whole = true;
	describe(ret);
	amqp_maybe_release_buffers_on_channel(d->amqp->conn, NV_AMQP_CHANNEL);
	return 1;
}

static int compare(const void *a, const void *b)
{
	const struct nv_letter *x = a, *y = b;
	if (x->at != y->at)
		return x->at < y->at ? -1 : 1;
	return strcmp(x->id, y->id);
}

/* A quorum queue does not keep the order of what was looked at and given back, so the numbers
 * people see follow when and what, not where. */
static void put_in_order(struct nv_dead *d)
{
	if (d->len)
		qsort(d->letters, d->len, sizeof *d->letters, compare);
	for (size_t i = 0; i < d->len; i++)
		d->letters[i].n = i + 1;
}

static void keep(struct nv_dead *d, struct nv_letter *l, enum nv_look how)
{
	if (how == NV_LOOK_NOTE) {
		amqp_destroy_message(&l->message);
		l->whole = false;
	}
	d->letters = nv_realloc(d->letters, (d->len + 1) * sizeof *d->letters);
	d->letters[d->len++] = *l;
}

static int take_some(struct nv_dead *d, size_t most, const char *until, nv_look_fn look, void *arg,
		     struct nv_err *err)
{
	struct nv_letter l;
	int rc = 0;
	while (!d->more && (rc = take(d, &l, err)) > 0) {
		enum nv_look how = look ? look(arg, &l) : NV_LOOK_KEEP;
		bool last = until && strcmp(l.id, until) == 0;
		d->more = how != NV_LOOK_PASS && most && d->len == most;
		if (how == NV_LOOK_PASS || d->more)
			letter_fini(&l);
		else
			keep(d, &l, how);
		if (last)
			break;
	}
	put_in_order(d);
	return rc < 0 ? -1 : 0;
}

int nv_dead_take_all(struct nv_dead *d, size_t most, nv_look_fn look, void *arg, struct nv_err *err)
{
	return take_some(d, most, NULL, look, arg, err);
}

int nv_dead_take_until(struct nv_dead *d, const char *id, nv_look_fn look, void *arg,
		       struct nv_err *err)
{
	return take_some(d, 0, id, look, arg, err);
}

const struct nv_letter *nv_dead_by_number(const struct nv_dead *d, uint64_t n)
{
	return n && n <= d->len ? &d->letters[n - 1] : NULL;
}

const struct nv_letter *nv_dead_by_id(const struct nv_dead *d, const char *id)
{
	for (size_t i = 0; i < d->len; i++)
		if (strcmp(d->letters[i].id, id) == 0)
			return &d->letters[i];
	return NULL;
}

int nv_dead_discard(struct nv_dead *d, const struct nv_letter *l, struct nv_err *err)
{
	int status = amqp_basic_ack(d->amqp->conn, NV_AMQP_CHANNEL, l->tag, 0);
	amqp_rpc_reply_t r = {.reply_type = status ? AMQP_RESPONSE_LIBRARY_EXCEPTION
						   : AMQP_RESPONSE_NORMAL,
			      .library_error = status};
	d->held -= status ? 0 : 1;
	return nv_amqp_reply(r, "acknowledging a message", err);
}

/* --- opening and closing --- */

int nv_dead_open(struct nv_dead *d, const struct nv_config *config, const char *owner,
		 const char *name, struct nv_err *err)
{
	*d = (struct nv_dead){
		.config = config, .owner = owner, .name = name, .queue = nv_queue_dead(owner)};
	d->amqp = nv_amqp_open(config, name, err);
	return d->amqp ? 0 : -1;
}

/* Closing the connection gives back what is held, in its order (closing the channel would not keep
 * that).  See it there before we go: a quorum queue takes a moment, and who comes next would find
 * fewer messages under other numbers. */
void nv_dead_close(struct nv_dead *d)
{
	struct nv_amqp_queue_state q = {0};
	struct nv_err err = {0};
	for (size_t i = 0; i < d->len; i++)
		letter_fini(&d->letters[i]);
	free(d->letters);
	nv_amqp_close(d->amqp);
	struct nv_amqp *again = d->held ? nv_amqp_open(d->config, d->name, &err) : NULL;
	for (unsigned n = 0; again && n < BACK_TRIES && q.ready < d->held; n++) {
		if (n)
			usleep(BACK_WAIT_US);
		if (nv_amqp_queue(again, d->queue.s, &q, &err) < 0)
			break;
	}
	nv_amqp_close(again);
	d->letters = NULL;
	d->len = 0;
	d->amqp = NULL;
}

/* --- requeue --- */

static int skip_returned(struct nv_dead *d, struct nv_err *err)
{
	amqp_message_t message;
	amqp_rpc_reply_t r = amqp_read_message(d->amqp->conn, NV_AMQP_CHANNEL, &message, 0);
	if (nv_amqp_reply(r, "reading what came back", err) < 0)
		return -1;
	amqp_destroy_message(&message);
	return 0;
}

/* Waits for the broker's confirm of the one message under way. */
static int wait_confirmed(struct nv_dead *d, const char *queue, struct nv_err *err)
{
	uint64_t until = nv_mono_ms() + CONFIRM_TIMEOUT_MS;
	bool returned = false;
	for (;;) {
		amqp_frame_t frame;
		uint64_t now = nv_mono_ms();
		uint64_t left = now < until ? until - now : 1; /* 0 is for ever */
		struct timeval tv = {.tv_sec = (time_t)(left / 1000),
				     .tv_usec = (suseconds_t)(left % 1000) * 1000};
		int status = amqp_simple_wait_frame_noblock(d->amqp->conn, &frame, &tv);
		if (status)
			return nv_fail(err, NV_RETRY, NV_R_broker_unavailable,
				       "broker: waiting for a confirm: %s",
				       amqp_error_string2(status));
		if (frame.frame_type != AMQP_FRAME_METHOD)
			continue;
		amqp_method_number_t id = frame.payload.method.id;
		if (id == AMQP_BASIC_RETURN_METHOD) {
			if (skip_returned(d, err) < 0)
				return -1;
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
			return nv_amqp_reply(r, "publishing", err);
		}
	}
}

static int publish(struct nv_dead *d, const struct nv_letter *l, struct nv_err *err)
{
	const amqp_basic_properties_t *old = &l->message.properties;
	nv_auto_free char *count = nv_asprintf("%" PRIu64, l->requeued + 1);
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
	int status = amqp_basic_publish(d->amqp->conn, NV_AMQP_CHANNEL, amqp_cstring_bytes(self.s),
					amqp_cstring_bytes(l->queue), 1, 0, &p, l->message.body);
	if (status)
		return nv_fail(err, NV_RETRY, NV_R_broker_unavailable, "broker: publishing: %s",
			       amqp_error_string2(status));
	return wait_confirmed(d, l->queue, err);
}

static int select_confirms(struct nv_dead *d, struct nv_err *err)
{
	amqp_confirm_select(d->amqp->conn, NV_AMQP_CHANNEL);
	return nv_amqp_reply(amqp_get_rpc_reply(d->amqp->conn), "asking for confirms", err);
}

static int requeue(struct nv_dead *d, const struct nv_letter *l, struct nv_err *err)
{
	if (!l->queue || strcmp(l->queue, d->queue.s) == 0)
		return nv_fail(err, NV_REJECT, NV_R_bad_message,
			       "message %" PRIu64 " does not say which queue it came from", l->n);
	return publish(d, l, err) < 0 || nv_dead_discard(d, l, err) < 0 ? -1 : 0;
}

int nv_dead_requeue(struct nv_dead *d, const struct nv_letter *l, struct nv_err *err)
{
	return select_confirms(d, err) < 0 || requeue(d, l, err) < 0 ? -1 : 0;
}

int nv_dead_requeue_each(struct nv_dead *d, uint64_t *ret_done,
			 void (*failed_cb)(void *arg, const struct nv_err *why), void *arg,
			 struct nv_err *err)
{
	struct nv_amqp_queue_state q;
	if (select_confirms(d, err) < 0 || nv_amqp_queue(d->amqp, d->queue.s, &q, err) < 0)
		return -1;
	for (uint64_t n = 1; n <= q.ready; n++) {
		struct nv_letter l;
		struct nv_err one = {0};
		int rc = take(d, &l, err);
		if (rc <= 0)
			return rc;
		l.n = n;
		rc = requeue(d, &l, &one);
		letter_fini(&l);
		if (rc == 0)
			++*ret_done;
		else if (one.kind == NV_RETRY) {
			*err = one;
			return -1;
		} else {
			failed_cb(arg, &one);
		}
	}
	return 0;
}
