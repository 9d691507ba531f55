/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What administrators look at, against a real Redis: lists in any order, texts, who is there, where
 * time goes. */
#include "core/status/admin.h"
#include "core/status/claims.h"
#include "core/status/requests.h"
#include "core/status/status.h"
#include "status_fixture.h"

static void make(struct fixture *f, char *id, const char *user, const char *name,
		 const char *fullname)
{
	struct nv_restore_request q = request(id, user, "7");

	q.user_name = (char *)(uintptr_t)name;
	q.fullname = (char *)(uintptr_t)fullname;
	assert_false(create(f, &q, false)->failed);
}

static uint64_t find(struct fixture *f, struct nv_status_filter filter)
{
	filter.limit = 10;
	nv_status_list(f->s, &filter, on_list, fresh());
	return ok(f)->total;
}

static void texts_are_found_in_any_case_and_only_where_they_are_looked_for(void **state)
{
	struct fixture *f = *state;
	char ids[3][NV_UUID_SIZE] = {"", "", ""};

	make(f, ids[0], "ann", "Ann Teacher", "Écologie des forêts");
	make(f, ids[1], "bob", "Bob ÉCOLIER", "History 100% [a-z]");
	make(f, ids[2], "cyd", NULL, NULL);
	assert_int_equal(find(f, (struct nv_status_filter){.text = "éCOL"}), 2);
	assert_int_equal(find(f, (struct nv_status_filter){.person = "éCOL"}), 1);
	assert_string_equal(got.ids[0], ids[1]);
	assert_int_equal(find(f, (struct nv_status_filter){.person = "history"}), 0);
	assert_int_equal(find(f, (struct nv_status_filter){.text = "100% [A-Z]"}), 1);
	assert_int_equal(find(f, (struct nv_status_filter){.text = "[a-z]+"}), 0);
	assert_int_equal(find(f, (struct nv_status_filter){.text = ids[2]}), 1);
	assert_int_equal(find(f, (struct nv_status_filter){.text = "forêts", .user = "bob"}), 0);
	/* A record written before there was a field to look into. */
	nv_auto_free char *key = nv_asprintf("nv:req:%s", ids[0]);
	assert_int_equal(raw_int(f, "HDEL %s find", key), 1);
	assert_int_equal(find(f, (struct nv_status_filter){.text = "écologie"}), 1);
}

static void lists_come_in_the_order_that_was_asked_for(void **state)
{
	struct fixture *f = *state;
	char ids[3][NV_UUID_SIZE] = {"", "", ""};

	make(f, ids[0], "ann", "Zoe", "beta");
	make(f, ids[1], "bob", "adam", "Gamma");
	make(f, ids[2], "cyd", "Mia", "Alpha");
	nv_status_cancel(f->s, ids[0], NULL, on_record, fresh());
	ok(f);
	static const struct {
		enum nv_status_sort sort;
		bool ascending;
		int order[3];
	} want[] = {
		{NV_SORT_CREATED, true, {0, 1, 2}},   {NV_SORT_CREATED, false, {2, 1, 0}},
		{NV_SORT_USER, true, {1, 2, 0}},      {NV_SORT_USER, false, {0, 2, 1}},
		{NV_SORT_COURSE, true, {2, 0, 1}},    {NV_SORT_COURSE, false, {1, 0, 2}},
		{NV_SORT_FINISHED, false, {0, 2, 1}},
	};
	for (size_t i = 0; i < NV_ARRAY_LEN(want); i++) {
		assert_int_equal(find(f, (struct nv_status_filter){.sort = want[i].sort,
								   .ascending = want[i].ascending}),
				 3);
		for (int k = 0; k < 3; k++)
			assert_string_equal(got.ids[k], ids[want[i].order[k]]);
	}
	find(f, (struct nv_status_filter){.sort = NV_SORT_MODIFIED});
	assert_string_equal(got.ids[0], ids[0]);
	/* Pages of it. */
	nv_status_list(f->s,
		       &(struct nv_status_filter){
			       .sort = NV_SORT_USER, .ascending = true, .offset = 1, .limit = 1},
		       on_list, fresh());
	assert_int_equal(ok(f)->total, 3);
	assert_int_equal(got.len, 1);
	assert_string_equal(got.ids[0], ids[2]);
}

#define MANY 11

static uint64_t find_all(struct fixture *f, struct nv_status_filter filter)
{
	filter.limit = 100;
	nv_status_list(f->s, &filter, on_list, fresh());
	ok(f);
	assert_int_equal(got.total, got.len);
	return got.len;
}

static void looking_in_steps_finds_the_same_as_at_once(void **state)
{
	struct fixture *f = *state;
	char ids[MANY][NV_UUID_SIZE] = {""};
	const uint64_t steps[] = {1, 2, 3, MANY - 1, MANY, MANY + 1};
	const uint32_t two = 1u << NV_ST_cancelled | 1u << NV_ST_failed;

	for (int i = 0; i < MANY; i++) {
		nv_auto_free char *name = nv_asprintf("Name %02d", i * 7 % MANY);
		nv_auto_free char *course = nv_asprintf("%s %d", i % 2 ? "odd" : "even", i);
		make(f, ids[i], i % 3 ? "ann" : "bob", name, course);
	}
	for (int i = MANY - 1; i >= 0; i -= 2) {
		nv_status_cancel(f->s, ids[i], NULL, on_record, fresh());
		ok(f);
		for (uint64_t now = nv_now_ms(); nv_now_ms() == now;)
			; /* each at a time of its own */
	}
	for (int ties = 0; ties < 2; ties++) {
		for (size_t k = 0; k < NV_ARRAY_LEN(steps); k++) {
			nv_status_set_find_step(f->s, steps[k]);
			assert_int_equal(find_all(f, (struct nv_status_filter){.sort = NV_SORT_USER,
									       .ascending = true}),
					 MANY);
			for (int i = 0; i < MANY; i++)
				assert_string_equal(got.ids[i * 7 % MANY], ids[i]);
			assert_int_equal(find_all(f, (struct nv_status_filter){.text = "ODD"}), 5);
			assert_string_equal(got.ids[0], ids[9]);
			assert_int_equal(find_all(f, (struct nv_status_filter){.text = "odd",
									       .user = "bob"}),
					 2); /* 3 and 9 */
			assert_int_equal(find_all(f, (struct nv_status_filter){.text = "n",
									       .site = "old",
									       .user = "ann"}),
					 7);
			assert_int_equal(find_all(f, (struct nv_status_filter){.text = "name",
									       .states = two}),
					 6);
			/* The index of changes does not know states. */
			assert_int_equal(
				find_all(f, (struct nv_status_filter){.sort = NV_SORT_MODIFIED,
								      .states = two,
								      .ascending = true}),
				6);
			assert_string_equal(got.ids[0], ids[MANY - 1]);
			assert_string_equal(got.ids[5], ids[0]);
			assert_int_equal(find_all(f, (struct nv_status_filter){.text = "none"}), 0);
		}
		/* Once more with all created at the same moment. */
		for (int i = 0; i < MANY; i++)
			for (const char *const *index =
				     (const char *const[]){"all", "site:old", "user:ann",
							   "user:bob", NULL};
			     *index; index++) {
				nv_auto_free char *set =
					nv_asprintf("ZADD nv:idx:%s XX 5 %s", *index, ids[i]);
				raw_int(f, set, NULL);
			}
	}
}

/* --- who is there --- */

static char seen[200];

static void on_presences(void *arg, const struct nv_err *err, const struct nv_presence *list,
			 size_t len)
{
	struct answer *a = arg;

	assert_null(err);
	*seen = '\0';
	for (size_t i = 0; i < len; i++) {
		size_t at = strlen(seen);

		snprintf(seen + at, sizeof seen - at, "%s=%s;", list[i].name, list[i].value);
		assert_true(list[i].at + 60000 > nv_now_ms());
	}
	a->done = true;
}

static const char *present(struct fixture *f)
{
	nv_status_presences(f->s, on_presences, fresh());
	ok(f);
	return seen;
}

static void who_says_nothing_any_more_is_not_there(void **state)
{
	struct fixture *f = *state;

	assert_string_equal(present(f), "");
	nv_status_present(f->s, "one", "1", 60000, on_plain, fresh());
	ok(f);
	nv_status_present(f->s, "two", "2", 0, on_plain, fresh());
	ok(f);
	assert_string_equal(present(f), "one=1;two=2;");
	nv_status_present(f->s, "one", "new", 1, on_plain, fresh());
	ok(f);
	while (raw_int(f, "EXISTS %s", "nv:present:one"))
		;
	assert_string_equal(present(f), "two=2;");
	nv_status_absent(f->s, "two", on_plain, fresh());
	ok(f);
	assert_string_equal(present(f), "");
}

/* Says it of so many names and tells how many are there then. */
static long long names_after(struct fixture *f, const char *owner, int from, int to, uint64_t ttl)
{
	for (int i = from; i < to; i++) {
		char name[64];

		snprintf(name, sizeof name, "%s%d", owner, i);
		nv_status_present(f->s, name, "{}", ttl, on_plain, fresh());
		ok(f);
	}
	return raw_int(f, "ZCARD %s", "nv:present");
}

static void nobody_fills_the_list_with_names_they_make_up(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(names_after(f, "archiver:one:", 0, 70, 60000), 64);
	assert_int_equal(raw_int(f, "EXISTS %s", "nv:present:archiver:one:69"), 0);
	/* Others are still heard, and so are those that are known. */
	assert_int_equal(names_after(f, "archiver:two:", 0, 1, 60000), 65);
	assert_int_equal(names_after(f, "archiver:one:", 0, 1, 1), 65);
	while (raw_int(f, "EXISTS %s", "nv:present:archiver:one:0"))
		;
	/* Who has gone makes room. */
	assert_int_equal(names_after(f, "archiver:one:", 70, 72, 60000), 65);
	assert_int_equal(raw_int(f, "EXISTS %s", "nv:present:archiver:one:70"), 1);
	assert_int_equal(raw_int(f, "EXISTS %s", "nv:present:archiver:one:71"), 0);
	assert_int_equal(names_after(f, "name ", 0, 1000, 60000), 1000);
}

/* --- counts and times --- */

static uint64_t counted[2][NV_ST_COUNT];

static void on_site_counts(void *arg, const struct nv_err *err,
			   const uint64_t (*counts)[NV_ST_COUNT], size_t len)
{
	struct answer *a = arg;

	assert_null(err);
	assert_int_equal(len, 2);
	memcpy(counted, counts, sizeof counted);
	a->done = true;
}

static struct nv_status_spent spent;
static size_t spent_len;
static char spent_id[NV_UUID_SIZE];

static void on_steps(void *arg, const struct nv_err *err, const struct nv_status_spent *list,
		     size_t len)
{
	struct answer *a = arg;

	assert_null(err);
	spent_len = len;
	if (len) {
		spent = list[0];
		snprintf(spent_id, sizeof spent_id, "%s", list[0].id);
	}
	a->done = true;
}

static void counts_are_of_each_site(void **state)
{
	static const char *const sites[] = {"old", "older"};
	struct fixture *f = *state;
	char ids[3][NV_UUID_SIZE] = {"", "", ""};

	for (int i = 0; i < 3; i++)
		make(f, ids[i], "ann", "Ann", "A");
	nv_status_cancel(f->s, ids[0], NULL, on_record, fresh());
	ok(f);
	nv_status_site_counts(f->s, sites, 2, on_site_counts, fresh());
	ok(f);
	assert_int_equal(counted[0][NV_ST_scheduled], 2);
	assert_int_equal(counted[0][NV_ST_cancelled], 1);
	assert_int_equal(counted[1][NV_ST_scheduled], 0);
}

static uint64_t oldest[2];

static void on_oldest(void *arg, const struct nv_err *err, const uint64_t *ms, size_t len)
{
	struct answer *a = arg;

	assert_null(err);
	assert_int_equal(len, 2);
	memcpy(oldest, ms, sizeof oldest);
	a->done = true;
}

static void the_oldest_that_waits_is_known(void **state)
{
	struct fixture *f = *state;
	const char *sites[] = {"old", "older"};
	char first[NV_UUID_SIZE] = "", second[NV_UUID_SIZE] = "";
	uint64_t begin = nv_now_ms();

	make(f, first, "ann", "Ann", "A");
	uint64_t made = nv_now_ms();
	while (nv_now_ms() < made + 30)
		;
	make(f, second, "ann", "Ann", "A");
	nv_status_oldest(f->s, sites, 2, on_oldest, fresh());
	ok(f);
	assert_in_range(oldest[0], 29, nv_now_ms() - begin + 1);
	assert_int_equal(oldest[1], 0);
	nv_status_cancel(f->s, first, NULL, on_record, fresh());
	ok(f);
	nv_status_oldest(f->s, sites, 2, on_oldest, fresh());
	ok(f);
	assert_in_range(oldest[0], 0, nv_now_ms() - made - 30 + 1);
}

/* The phases make up the whole, from the first to the last. */
static void each_phase_has_its_time(void **state)
{
	struct fixture *f = *state;
	char id[NV_UUID_SIZE] = "", token[NV_TOKEN_SIZE];
	struct nv_restore_request q = request(id, "ann", "7");
	uint64_t sum = 0, begin = nv_now_ms();

	bring_to(f, &q, NV_ST_importing, token);
	nv_status_steps(f->s, 10, on_steps, fresh());
	ok(f);
	assert_int_equal(spent_len, 0);
	uint64_t pause = nv_mono_ms() + 20;
	while (nv_mono_ms() < pause)
		;
	renew(f, id, token, 1);
	assert_false(finish(f, &q, token, NV_ST_restored)->failed);
	nv_status_steps(f->s, 10, on_steps, fresh());
	ok(f);
	assert_int_equal(spent_len, 1);
	assert_true(spent.ms[NV_PH_download] >= 20);
	for (int i = 0; i < NV_PH_COUNT; i++)
		sum += spent.ms[i];
	assert_true(sum <= nv_now_ms() - begin + 2);
	assert_true(spent.finished >= begin);
	nv_auto_free char *key = nv_asprintf("nv:req:%s", id);
	assert_int_equal(raw_int(f, "HEXISTS %s phase", key), 0);
}

/* Heartbeats are seldom: each says how long the import has been going on, and so does the end. */
static void an_import_counts_from_its_beginning(void **state)
{
	struct fixture *f = *state;
	char ids[2][NV_UUID_SIZE] = {"", ""}, token[NV_TOKEN_SIZE];

	for (int told = 0; told < 2; told++) {
		struct nv_restore_request q = request(ids[told], "ann", told ? "8" : "7");
		struct nv_status_outcome o = {
			.state = NV_ST_restored, .course = "42", .import_ms = 15};
		struct nv_status_progress p = {.step = "import", .import_ms = 15};
		bring_to(f, &q, NV_ST_importing, token);
		for (uint64_t until = nv_mono_ms() + 20; nv_mono_ms() < until;)
			;
		if (told) {
			nv_status_renew(f->s, q.id, token, LEASE, &p, on_renew, fresh());
			ok(f);
		}
		nv_status_finish(f->s, &q, token, &o, on_plain, fresh());
		ok(f);
		nv_status_steps(f->s, 1, on_steps, fresh());
		ok(f);
		assert_string_equal(spent_id, q.id);
		assert_true(spent.ms[NV_PH_import] >= 15);
		assert_true(told || spent.ms[NV_PH_import] == 15);
		assert_true(spent.ms[NV_PH_download] >= 4);
	}
}

/* One that says it has been going on for longer than the claim took nothing from what was before.
 */
static void an_import_takes_no_time_from_what_was_before(void **state)
{
	struct fixture *f = *state;
	char id[NV_UUID_SIZE] = "", token[NV_TOKEN_SIZE];
	struct nv_restore_request q = request(id, "ann", "7");
	struct nv_status_outcome o = {
		.state = NV_ST_restored, .course = "42", .import_ms = 3600000};
	uint64_t begin = nv_now_ms();

	bring_to(f, &q, NV_ST_importing, token);
	nv_status_finish(f->s, &q, token, &o, on_plain, fresh());
	ok(f);
	nv_status_steps(f->s, 1, on_steps, fresh());
	ok(f);
	assert_true(spent.ms[NV_PH_import] <= nv_now_ms() - begin + 2);
	assert_int_equal(spent.ms[NV_PH_download], 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		T(texts_are_found_in_any_case_and_only_where_they_are_looked_for),
		T(lists_come_in_the_order_that_was_asked_for),
		T(looking_in_steps_finds_the_same_as_at_once),
		T(who_says_nothing_any_more_is_not_there),
		T(nobody_fills_the_list_with_names_they_make_up),
		T(counts_are_of_each_site),
		T(the_oldest_that_waits_is_known),
		T(each_phase_has_its_time),
		T(an_import_counts_from_its_beginning),
		T(an_import_takes_no_time_from_what_was_before),
	};

	if (!within_redis(argc, argv))
		return 2;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
