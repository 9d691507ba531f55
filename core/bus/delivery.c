/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A message on its way from frames to its receiver.  librabbitmq's decoded bytes live until its
 * pool is recycled and are not NUL-terminated, so everything is copied here. */
#include <inttypes.h>
#include <string.h>

#include "core/bus/bus_internal.h"

#define HEADERS_MAX 32 /* more are not ours: the broker adds a handful */

static char *copy(struct nv_delivery *d, amqp_bytes_t b)
{
	return nv_arena_strndup(&d->arena, b.len ? b.bytes : "", b.len);
}

struct nv_delivery *nv_delivery_new(struct nv_consumer *c, struct nv_session *s,
				    const amqp_basic_deliver_t *m)
{
	struct nv_delivery *d = nv_alloc(sizeof *d);
	d->consumer = c;
	atomic_fetch_add(&s->refs, 1);
	d->session = s;
	d->tag = m->delivery_tag;
	d->redelivered = m->redelivered;
	d->message_id = d->type = d->user = "";
	return d;
}

/* NULL for kinds that no header of ours has (tables, arrays: the broker's x-death). */
static const char *value_text(struct nv_delivery *d, const amqp_field_value_t *v)
{
	switch (v->kind) {
	case AMQP_FIELD_KIND_UTF8:
	case AMQP_FIELD_KIND_BYTES:
		return copy(d, v->value.bytes);
	case AMQP_FIELD_KIND_I32:
		return nv_arena_printf(&d->arena, "%" PRId32, v->value.i32);
	case AMQP_FIELD_KIND_I64:
		return nv_arena_printf(&d->arena, "%" PRId64, v->value.i64);
	case AMQP_FIELD_KIND_U64:
	case AMQP_FIELD_KIND_TIMESTAMP:
		return nv_arena_printf(&d->arena, "%" PRIu64, v->value.u64);
	default:
		return NULL;
	}
}

static void take_headers(struct nv_delivery *d, const amqp_table_t *t)
{
	int n = t->num_entries < HEADERS_MAX ? t->num_entries : HEADERS_MAX;
	d->headers = nv_arena_alloc(&d->arena, (size_t)(n + 1) * sizeof *d->headers);
	for (int i = 0; i < n; i++) {
		const char *value = value_text(d, &t->entries[i].value);
		if (!value)
			continue;
		d->headers[d->headers_len++] = (struct nv_header){
			.key = copy(d, t->entries[i].key),
			.value = value,
		};
	}
}

void nv_delivery_header_frame(struct nv_delivery *d, uint64_t size,
			      const amqp_basic_properties_t *p)
{
	d->size = size;
	d->truncated = size > NV_BUS_BODY_MAX;
	/* The broker announces the size before the body: oversized bodies are never kept in
	 * memory. */
	d->body = nv_alloc(d->truncated ? NV_BUS_BODY_CUT : (size_t)size + 1);
	if (p->_flags & AMQP_BASIC_MESSAGE_ID_FLAG)
		d->message_id = copy(d, p->message_id);
	if (p->_flags & AMQP_BASIC_TYPE_FLAG)
		d->type = copy(d, p->type);
	if (p->_flags & AMQP_BASIC_USER_ID_FLAG)
		d->user = copy(d, p->user_id);
	if (p->_flags & AMQP_BASIC_HEADERS_FLAG)
		take_headers(d, &p->headers);
	d->complete = size == 0;
	d->len = 0;
}

void nv_delivery_body_frame(struct nv_delivery *d, amqp_bytes_t part)
{
	uint64_t room = d->truncated ? NV_BUS_BODY_CUT : d->size;
	uint64_t have = d->seen;
	if (have < room && part.len) {
		size_t n = part.len < room - have ? part.len : (size_t)(room - have);
		memcpy(d->body + have, part.bytes, n);
		d->len = (size_t)have + n;
	}
	d->seen += part.len;
	d->complete = d->seen >= d->size;
}

void nv_delivery_free(struct nv_delivery *d)
{
	if (!d)
		return;
	nv_session_unref(d->session);
	nv_arena_fini(&d->arena);
	free(d->body);
	free(d);
}

/* --- the receiver's view --- */

const void *nv_delivery_body(const struct nv_delivery *d, size_t *ret_len)
{
	*ret_len = d->len;
	return d->body;
}

bool nv_delivery_truncated(const struct nv_delivery *d)
{
	return d->truncated;
}

const char *nv_delivery_queue(const struct nv_delivery *d)
{
	return d->consumer->queue;
}

const char *nv_delivery_message_id(const struct nv_delivery *d)
{
	return d->message_id;
}

const char *nv_delivery_type(const struct nv_delivery *d)
{
	return d->type;
}

const char *nv_delivery_user(const struct nv_delivery *d)
{
	return d->user;
}

const char *nv_delivery_header(const struct nv_delivery *d, const char *key)
{
	for (size_t i = 0; i < d->headers_len; i++)
		if (strcmp(d->headers[i].key, key) == 0)
			return d->headers[i].value;
	return NULL;
}

bool nv_delivery_redelivered(const struct nv_delivery *d)
{
	return d->redelivered;
}

bool nv_delivery_live(const struct nv_delivery *d)
{
	return atomic_load(&d->session->live);
}

/* --- sessions --- */

struct nv_session *nv_session_new(amqp_channel_t channel)
{
	struct nv_session *s = nv_alloc(sizeof *s);
	atomic_init(&s->refs, 1);
	atomic_init(&s->live, true);
	s->channel = channel;
	return s;
}

void nv_session_unref(struct nv_session *s)
{
	if (s && atomic_fetch_sub(&s->refs, 1) == 1)
		free(s);
}
