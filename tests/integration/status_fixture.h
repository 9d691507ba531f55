/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the tests of core/status share: a loop, a Redis of their own, requests, and callbacks that
 * write down what they are told. */
#ifndef NV_TEST_STATUS_FIXTURE_H
#define NV_TEST_STATUS_FIXTURE_H

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* cmocka.h wants the four above it. */
#include <cmocka.h>

#include "base/id.h"
#include "core/status/claims.h"
#include "core/status/status.h"
#include "core/status/status_internal.h"

#define LEASE 60000u

struct fixture {
	uv_loop_t loop;
	struct nv_config config;
	struct nv_status *s;
	redisContext *raw; /* looks into Redis behind our back */
	int ups;
	int downs;
};

/* What a callback said. */
struct answer {
	bool done;
	bool failed;
	struct nv_err err;
	bool yes;
	uint64_t number;
	size_t len;
	char token[NV_TOKEN_SIZE];
	int result;
	bool have;
	enum nv_state state;
	uint64_t rev, total, failures, bytes, created, finished, place, next_try, held;
	char id[NV_UUID_SIZE], reason[64], message[256], course[64], warning[64], joined[64];
	char lost[64];
	bool published, deleted;
	char ids[1000][NV_UUID_SIZE];
	uint64_t counts[NV_ST_COUNT];
};

/* One answer is enough for all tests: each call starts it afresh. */
extern struct answer got;

void put(char *to, size_t size, const char *from);
void on_plain(void *arg, const struct nv_err *err);
void on_record(void *arg, const struct nv_err *err, const struct nv_status_record *r);
void on_list(void *arg, const struct nv_err *err, const struct nv_status_record *recs, size_t len,
	     uint64_t total);
void on_bool(void *arg, const struct nv_err *err, bool yes);
void on_number(void *arg, const struct nv_err *err, uint64_t n);
void on_value(void *arg, const struct nv_err *err, const void *value, size_t len);
void on_counts(void *arg, const struct nv_err *err, const uint64_t *counts);
void on_claim(void *arg, const struct nv_err *err, enum nv_claim_result result, const char *token);
void on_renew(void *arg, const struct nv_err *err, enum nv_renew_result result);
/* Run the loop until *what, at most so long; says whether it came. */
bool run_until(struct fixture *f, const bool *what, uint64_t ms);
/* got, emptied: pass it as arg with one of the on_… callbacks. */
void *fresh(void);
/* Until got is there; ok: and no error; refused: and this one. */
struct answer *wait_for(struct fixture *f);
struct answer *ok(struct fixture *f);
struct answer *refused(struct fixture *f, enum nv_err_kind kind, enum nv_reason reason);
/* Behind our back. */
void raw(struct fixture *f, const char *command);
long long raw_int(struct fixture *f, const char *command, const char *key);
uint16_t redis_port(void);
int redis_pid(void);
/* SIGKILL, and until it is gone; start again with the same data. */
void redis_kill(struct fixture *f);
void redis_start(struct fixture *f);
struct nv_status *status_new(struct fixture *f);
void on_closed(void *arg);
void status_close(struct fixture *f, struct nv_status *s);
int setup(void **state);
int teardown(void **state);
/* id: a new one where it is empty. */
struct nv_restore_request request(char *id, const char *user, const char *course);
struct answer *create(struct fixture *f, const struct nv_restore_request *q, bool only_one);
struct answer *get(struct fixture *f, const char *id);
struct answer *claim(struct fixture *f, const struct nv_restore_request *q, uint64_t lease);
struct answer *claim_as(struct fixture *f, const struct nv_restore_request *q, const char *attempt,
			uint64_t lease, bool reopen);
int renew(struct fixture *f, const char *id, const char *token, uint64_t done);
struct answer *finish(struct fixture *f, const struct nv_restore_request *q, const char *token,
		      enum nv_state to);
enum nv_state event(struct fixture *f, const struct nv_restore_request *q, char *attempt,
		    uint64_t seq, enum nv_event_state state, uint64_t done);
/* A record in this state, by the shortest way.  token: of the claim, where there is one. */
void bring_to(struct fixture *f, const struct nv_restore_request *q, enum nv_state to, char *token);
/* Goes on within with_redis; false: it could not. */
bool within_redis(int argc, char **argv);

#endif
