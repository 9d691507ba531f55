/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/daemon/sender.h"

#include "base/log.h"
#include "base/mem.h"

void nv_sender_send(const struct nv_sender *c, const struct nv_send *s,
		    void (*cb)(void *arg, const struct nv_err *err), void *arg)
{
	nv_auto_buf struct nv_buf sealed = {0};
	char mid[NV_UUID_SIZE];
	struct nv_err err = {0};
	if (nv_envelope_seal(s->kind, s->body, c->me, s->ttl_ms, &sealed, mid, &err) < 0) {
		if (cb)
			cb(arg, &err);
		return;
	}
	struct nv_topology_name exchange = nv_exchange_from(c->owner);
	struct nv_publish p = {.exchange = exchange.s,
			       .routing_key = s->to.s,
			       .body = sealed.data,
			       .len = sealed.len,
			       .message_id = mid,
			       .type = nv_kind_info(s->kind)->word,
			       .expiration_ms = s->drop_when_expired ? s->ttl_ms : 0};
	if (s->header.key && s->header.value)
		p.headers[p.headers_len++] = s->header;
	nv_bus_publish(c->bus, &p, cb, arg);
}

struct nv_metric *nv_clock_metric(void)
{
	return nv_gauge("navette_clock_skew_seconds",
			"How far a peer's clock is ahead of ours, as far as its messages show.",
			"peer");
}

void nv_clock_note(struct nv_metric *m, const struct nv_envelope *env)
{
	uint64_t now = nv_now_ms();
	nv_metric_set(m, env->from, env->issued > now ? (double)(env->issued - now) / 1000 : 0);
}

void nv_sender_refuse(const struct nv_sender *c, const struct nv_settle *settle,
		      struct nv_delivery *d, const struct nv_err *why, struct nv_metric *refused)
{
	char kind[32] = "", mid[NV_UUID_SIZE] = "";
	size_t len;
	const void *body = nv_delivery_body(d, &len);
	nv_envelope_peek(body, len, kind, sizeof kind, mid);
	NV_LOG(NV_WARN, "message.refused", NV_S("queue", nv_delivery_queue(d)), NV_S("kind", kind),
	       NV_S("mid", mid), NV_S("user", nv_delivery_user(d)), NV_E(why));
	nv_metric_add(refused, nv_reason_word(why->reason), 1);
	nv_bus_settle(c->bus, settle, d, why, NULL, NULL);
}
