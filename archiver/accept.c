/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which requests are served. */
#include "archiver/archiver.h"

#include <string.h>

#include "base/log.h"

/* A finished message that neither a worker nor an operator has sent again: a replay. */
static bool was_finished(const struct archiver *a, const struct nv_delivery *d,
			 const struct nv_envelope *env)
{
	return !nv_delivery_header(d, NV_H_ATTEMPT) && !nv_delivery_header(d, NV_H_REQUEUED) &&
	       nv_seen_log_get(a->finished, env->mid, NULL);
}

static void withdrawn_key(char ret[NV_MEMO_KEY], const char *client, const char *id)
{
	snprintf(ret, NV_MEMO_KEY, "%s/%s", client, id);
}

bool nv_archiver_withdrawn(const struct archiver *a, const char *client, const char *id,
			   uint64_t rev)
{
	char key[NV_MEMO_KEY];
	uint64_t withdrawn = 0;
	withdrawn_key(key, client, id);
	return nv_seen_log_get(a->withdrawn, key, &withdrawn) && rev <= withdrawn;
}

/* A genuine request that has expired by our clock, or was signed in the future: its people are
 * told. What is being exported goes on and what was withdrawn ends, whatever the clocks say.
 * Whether it has expired, its client's clock decides. */
static void untimely(struct archiver *a, struct nv_delivery *d, struct nv_envelope *env,
		     struct nv_err *why)
{
	const struct nv_restore_request *q = &env->body.restore_request;
	struct export *running = nv_export_find(a, env->from, q->id);
	if (running && nv_export_adopt(running, d, env)) {
		nv_envelope_fini(env);
		return;
	}
	if (nv_archiver_withdrawn(a, env->from, q->id, q->rev)) {
		nv_fail(why, NV_CANCELLED, NV_R_cancelled, "withdrawn before it started");
	} else {
		if (why->reason == NV_R_expired)
			nv_client_clock_judge(a->client_clocks, env, why);
		nv_settle_bound_clock(d, why);
		if (why->reason == NV_R_clock)
			nv_clock_note(a->metrics.clock_skew, env);
	}
	nv_export_decline(a, d, env, why);
}

/* 0: go on. */
static int open_request(struct archiver *a, struct nv_delivery *d, struct nv_envelope *env)
{
	struct nv_err err = {0};
	size_t len;
	const void *body = nv_delivery_body(d, &len);
	unsigned want = 1u << NV_KIND_RESTORE_REQUEST;
	if (nv_envelope_open(body, len, &a->clients, want, nv_now_ms(), env, &err) == 0) {
		nv_clock_note(a->metrics.clock_skew, env);
		return 0;
	}
	struct nv_err again = {0};
	if ((err.reason == NV_R_expired || err.reason == NV_R_clock) &&
	    nv_envelope_open(body, len, &a->clients, want, 0, env, &again) == 0) {
		untimely(a, d, env, &err);
		return -1;
	}
	nv_settle_bound_clock(d, &err);
	nv_sender_refuse(&a->sender, &a->settle, d, &err, a->metrics.refused);
	return -1;
}

void nv_archiver_request(void *arg, struct nv_delivery *d)
{
	struct archiver *a = arg;
	struct nv_envelope env;
	struct nv_err err = {0};
	if (open_request(a, d, &env) < 0)
		return;
	const struct nv_restore_request *q = &env.body.restore_request;
	struct export *running = nv_export_find(a, env.from, q->id);
	if (strcmp(q->site, a->config->identity.site) != 0) {
		nv_fail(&err, NV_REJECT, NV_R_policy,
			"the request is for site \"%s\", this is \"%s\"", q->site,
			a->config->identity.site);
		nv_export_decline(a, d, &env, &err);
	} else if (nv_archiver_withdrawn(a, env.from, q->id, q->rev)) {
		nv_fail(&err, NV_CANCELLED, NV_R_cancelled, "withdrawn before it started");
		nv_export_decline(a, d, &env, &err);
	} else if (was_finished(a, d, &env) && nv_delivery_is_duplicate(d)) {
		NV_LOG(NV_INFO, "message.copy", NV_S("req", q->id), NV_S("mid", env.mid));
		nv_bus_ack(d);
		nv_envelope_fini(&env);
	} else if (was_finished(a, d, &env)) {
		nv_fail(&err, NV_REJECT, NV_R_replayed, "message %s was handled before", env.mid);
		nv_sender_refuse(&a->sender, &a->settle, d, &err, a->metrics.refused);
		nv_envelope_fini(&env);
	} else if (!running && nv_delivery_exhausted(d)) {
		nv_fail(&err, NV_REJECT, NV_R_attempts_exhausted,
			"the broker has brought this message too many times");
		nv_export_decline(a, d, &env, &err);
	} else if (!running) {
		nv_export_start(a, d, &env);
	} else if (nv_export_adopt(running, d, &env)) {
		nv_envelope_fini(&env);
	} else {
		nv_fail(&err, NV_HOLD, NV_R_busy, "the request is being exported already");
		nv_bus_settle(a->bus, &a->settle, d, &err, NULL, NULL);
		nv_envelope_fini(&env);
	}
}

void nv_archiver_control(void *arg, struct nv_delivery *d)
{
	struct archiver *a = arg;
	struct nv_envelope env;
	struct nv_err err = {0};
	char key[NV_MEMO_KEY];
	size_t len;
	const void *body = nv_delivery_body(d, &len);
	unsigned want = 1u << NV_KIND_CANCEL_REQUEST;
	/* Whatever the clocks say: it withdraws what its client has withdrawn, and no more. */
	if (nv_envelope_open(body, len, &a->clients, want, 0, &env, &err) < 0) {
		nv_sender_refuse(&a->sender, &a->settle, d, &err, a->metrics.refused);
		return;
	}
	const struct nv_cancel_request *q = &env.body.cancel_request;
	uint64_t before = 0;
	withdrawn_key(key, env.from, q->id);
	if (!nv_seen_log_get(a->withdrawn, key, &before) || before < q->rev)
		nv_seen_log_put(a->withdrawn, key, q->rev);
	nv_withdrawn_tidy_soon(a->tidy);
	NV_LOG(NV_INFO, "request.withdrawn", NV_S("req", q->id), NV_U("rev", q->rev),
	       NV_S("client", env.from), NV_P("by", q->by));
	struct export *running = nv_export_find(a, env.from, q->id);
	if (running)
		nv_export_withdraw(running, q->rev);
	nv_envelope_fini(&env);
	nv_bus_ack(d);
}
