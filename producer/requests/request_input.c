/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "producer/requests/request_input.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "producer/answer.h"
#include "producer/body.h"

/* --- reading --- */

static int read_options(const struct body *b, struct request_input *w)
{
	if (nv_body_bool(b, "keep_category", &w->keep_category_given, &w->keep_category) < 0 ||
	    nv_body_text_or_null(b, "category", 255, &w->category_given, &w->category) < 0 ||
	    nv_body_bool(b, "user_data", &w->user_data_given, &w->user_data) < 0 ||
	    nv_body_bool(b, "leave_out", &w->leave_out_given, &w->leave_out) < 0 ||
	    nv_body_word(b, "enrolment", nv_enrolment_words, &w->enrolment_given, &w->enrolment) <
		    0)
		return -1;
	return 0;
}

int nv_request_input_read_new(const struct body *b, struct request_input *ret)
{
	static const char *const fields[] = {"site",	 "course",    "user",	   "keep_category",
					     "category", "user_data", "leave_out", "enrolment",
					     "now",	 "source"};
	memset(ret, 0, sizeof *ret);
	if (nv_body_known(b, fields, NV_ARRAY_LEN(fields)) < 0 ||
	    nv_body_text(b, "site", NV_NAME_MAX, true, &ret->site) < 0 ||
	    nv_body_text(b, "course", 64, true, &ret->course) < 0 ||
	    nv_body_text_or_null(b, "user", 255, &ret->user_given, &ret->user) < 0 ||
	    read_options(b, ret) < 0 || nv_body_bool(b, "now", &ret->now_given, &ret->now) < 0 ||
	    nv_body_word(b, "source", nv_source_words, &ret->source_given, &ret->source) < 0)
		return -1;
	if (!nv_name_valid(ret->site))
		return nv_body_wrong(b, "site", "not the name of a course server");
	return 0;
}

int nv_request_input_read_change(const struct body *b, struct request_input *ret)
{
	static const char *const fields[] = {"rev",	  "keep_category", "category", "user_data",
					     "leave_out", "enrolment",	   "state"};
	static const char *const states[] = {[REQUEST_INPUT_SCHEDULED] = "scheduled",
					     [REQUEST_INPUT_CANCELLED] = "cancelled",
					     NULL};
	memset(ret, 0, sizeof *ret);
	if (nv_body_known(b, fields, NV_ARRAY_LEN(fields)) < 0 || read_options(b, ret) < 0 ||
	    nv_body_word(b, "state", states, &ret->state_given, &ret->state) < 0 ||
	    nv_body_uint(b, "rev", 1, 1000000, &ret->rev_given, &ret->rev) < 0)
		return -1;
	bool options = ret->keep_category_given || ret->category_given || ret->user_data_given ||
		       ret->leave_out_given || ret->enrolment_given;
	if (options && ret->state_given && ret->state == REQUEST_INPUT_CANCELLED)
		return nv_body_wrong(b, "state", "a cancellation cannot change other fields");
	if (!options && !ret->state_given)
		return nv_api_err(b->err, 422, NV_R_bad_message, "the body changes nothing");
	return 0;
}

/* --- judging --- */

struct judge {
	const struct nv_config *c;
	const struct session *s;
	const char *where;
	struct nv_err *err;
};

static int deny(const struct judge *j, const char *field, const char *why)
{
	return nv_api_err(j->err, 403, NV_R_denied, "%s%s: %s", j->where, field, why);
}

/* Without the capability the site's setting holds; saying the same is no offence. */
static int judge_user_data(const struct judge *j, const struct request_input *w,
			   struct nv_restore_request *q)
{
	static const char right[] = "only who holds " NV_CAP_USER_DATA " may choose this";
	if (w->user_data_given) {
		if (!j->s->may_user_data && w->user_data != q->user_data)
			return deny(j, "user_data", right);
		q->user_data = w->user_data;
	}
	if (w->enrolment_given) {
		if (!j->s->may_user_data && w->enrolment != q->enrolment)
			return deny(j, "enrolment", right);
		if (w->enrolment == NV_ENROL_WITH_USERS && !q->user_data &&
		    w->enrolment != q->enrolment)
			return nv_api_err(j->err, 422, NV_R_bad_message,
					  "%senrolment: with-users needs user_data", j->where);
		q->enrolment = w->enrolment;
	}
	return 0;
}

static void take_leave_out(const struct request_input *w, struct nv_restore_request *q)
{
	if (w->leave_out_given)
		q->leave_out = w->leave_out;
}

static int judge_category(const struct judge *j, const struct request_input *w,
			  struct nv_restore_request *q, struct nv_arena *a)
{
	if (w->keep_category_given) {
		if (w->keep_category && !j->c->restore.original_category && !j->s->admin)
			return deny(j, "keep_category", "this site does not offer it");
		q->keep_category = w->keep_category;
	}
	if (w->category_given) {
		if (w->category && !j->s->admin)
			return deny(j, "category", "only administrators may choose it");
		q->category = nv_arena_strdup(a, w->category);
	}
	return 0;
}

static int judge_person(const struct judge *j, const struct request_input *w,
			struct nv_restore_request *q, struct nv_arena *a)
{
	const struct session *s = j->s;
	const char *user = s->admin || w->user_given ? w->user : s->identity;
	bool self = user && strcmp(user, s->identity) == 0;
	if (!s->admin && !self)
		return deny(j, "user", "only administrators may ask for others");
	q->user = nv_arena_strdup(a, user);
	if (!self)
		q->by = nv_arena_strdup(a, s->username);
	if (w->now && !s->admin)
		return deny(j, "now", "only administrators may ask for this");
	if (w->source_given && w->source == NV_SRC_ADMIN && !s->admin)
		return deny(j, "source", "only administrators may say so");
	q->now = w->now;
	q->source = w->source_given ? w->source
		    : !s->cookie    ? (uint64_t)NV_SRC_API
		    : self	    ? (uint64_t)NV_SRC_PAGE
				    : (uint64_t)NV_SRC_ADMIN;
	return 0;
}

static const struct nv_config_site *find_site(const struct nv_config *c, const char *name)
{
	for (size_t i = 0; i < c->sites_len; i++)
		if (strcmp(c->sites[i].name, name) == 0)
			return &c->sites[i];
	return NULL;
}

int nv_request_input_judge_new(const struct nv_config *c, const struct session *s,
			       const struct request_input *w, const char *where,
			       struct nv_restore_request *q, struct nv_arena *a, struct nv_err *err)
{
	struct judge j = {.c = c, .s = s, .where = where, .err = err};
	const struct nv_config_site *site = find_site(c, w->site);
	memset(q, 0, sizeof *q);
	if (!site)
		return nv_api_err(err, 422, NV_R_site_unknown,
				  "%ssite: there is no course server \"%s\"", where, w->site);
	q->rev = 1;
	q->site = nv_arena_strdup(a, w->site);
	q->course = nv_arena_strdup(a, w->course);
	q->requested = nv_now_ms();
	const char *const *roles = nv_config_search_roles(c, site, &q->roles.len);
	q->roles.items = nv_arena_alloc(a, (q->roles.len + 1) * sizeof(char *));
	for (size_t i = 0; i < q->roles.len; i++)
		q->roles.items[i] = nv_arena_strdup(a, roles[i]);
	q->keep_category = c->restore.original_category && c->restore.original_category_checked;
	q->user_data = c->restore.user_data;
	q->enrolment = c->restore.enrolment;
	q->leave_out = nv_config_leaves_out(c);
	take_leave_out(w, q);
	if (judge_person(&j, w, q, a) < 0 || judge_category(&j, w, q, a) < 0)
		return -1;
	return judge_user_data(&j, w, q);
}

int nv_request_input_judge_change(const struct nv_config *c, const struct session *s,
				  const struct request_input *w, struct nv_restore_request *q,
				  struct nv_arena *a, struct nv_err *err)
{
	struct judge j = {.c = c, .s = s, .where = "", .err = err};
	if (w->rev_given && w->rev != q->rev)
		return nv_api_err(err, 409, NV_R_conflict, "rev: the request is at revision %llu",
				  (unsigned long long)q->rev);
	take_leave_out(w, q);
	if (judge_category(&j, w, q, a) < 0)
		return -1;
	return judge_user_data(&j, w, q);
}

/* --- idempotency --- */

void nv_request_input_hash(const json_t *body, char ret[65])
{
	uint8_t digest[NV_SHA256_LEN];
	nv_auto_free char *text = json_dumps(body, JSON_COMPACT | JSON_SORT_KEYS);
	nv_sha256(text, strlen(text), digest);
	nv_hex(digest, sizeof digest, ret);
}

/* "user key", as long as the first space ends the name.  A name that holds one itself is told by
 * its length, behind a space, with which nothing of the first form begins: no two pairs hash the
 * same text. */
void nv_request_input_key_hash(const char *username, const char *key, char ret[65])
{
	uint8_t digest[NV_SHA256_LEN];
	nv_auto_free char *text =
		strchr(username, ' ') ? nv_asprintf(" %zu %s %s", strlen(username), username, key)
				      : nv_asprintf("%s %s", username, key);
	nv_sha256(text, strlen(text), digest);
	nv_hex(digest, sizeof digest, ret);
}

bool nv_request_input_key_valid(const char *key)
{
	size_t len = strlen(key);
	for (size_t i = 0; i < len; i++)
		if (key[i] < 0x20 || key[i] > 0x7e)
			return false;
	return len && len <= 200;
}
