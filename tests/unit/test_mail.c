/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <curl/curl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "core/status/notices.h"
#include "core/status/status.h"
#include "worker/notify/mail.h"
#include "worker/notify/mail_text.h"

static struct nv_status_record failed_record(void)
{
	struct nv_status_record r = {.state = NV_ST_failed,
				     .reason = (char *)"role_missing",
				     .message = (char *)"site: teacher1 holds no role",
				     .failures = 2};
	r.request.id = (char *)"0199f3c0-0000-7000-8000-000000000000";
	r.request.user = (char *)"teacher1";
	r.request.user_name = (char *)"Zoé Élie";
	r.request.course = (char *)"42";
	r.request.fullname = (char *)"Algèbre <b>1</b>";
	r.request.site = (char *)"lastyear";
	return r;
}

static struct nv_mail_builder letter_of(const struct nv_mail_text_facts *f, enum nv_lang lang)
{
	struct nv_mail_builder l = {0};
	nv_mail_text(f, lang, &l);
	return l;
}

static const char *text_of(const struct nv_mail_builder *l)
{
	return (const char *)l->text.data;
}

#define nv_auto_letter __attribute__((cleanup(nv_mail_builder_fini))) struct nv_mail_builder

static void a_failure_says_why_and_what_to_do_in_the_users_language(void **state)
{
	(void)state;
	struct nv_status_record r = failed_record();
	struct nv_mail_text_facts f = {.record = &r,
				       .site_label = "Last year",
				       .page_url = "https://navette.example.org",
				       .admins_told = true};
	nv_auto_letter en = letter_of(&f, nv_lang_from("en", NV_LANG_fr));
	assert_string_equal((char *)en.subject.data, "Course not restored: Algèbre <b>1</b>");
	assert_string_equal(
		text_of(&en),
		"Hello Zoé Élie,\n\n"
		"The course \"Algèbre <b>1</b>\" from Last year could not be restored.\n\n"
		"You do not teach this course on the platform it comes from.\n\n"
		"Ask its teachers to give you a role in it, or to bring it themselves.\n\n"
		"Nothing was changed on this platform.\n\n"
		"The administrators have been told.\n\n"
		"Your courses and requests: https://navette.example.org\n");
	nv_auto_letter fr = letter_of(&f, nv_lang_from("fr_ca", NV_LANG_en));
	assert_string_equal((char *)fr.subject.data, "Cours non restauré : Algèbre <b>1</b>");
	assert_string_equal(
		text_of(&fr),
		"Bonjour Zoé Élie,\n\n"
		"Le cours « Algèbre <b>1</b> » de Last year n’a pas pu être restauré.\n\n"
		"Vous n’êtes pas enseignant de ce cours sur la plateforme d’où il vient.\n\n"
		"Demandez à ses enseignants de vous y donner un rôle, ou de le faire venir "
		"eux-mêmes.\n\n"
		"Rien n’a été modifié sur cette plateforme.\n\n"
		"Les administrateurs ont été prévenus.\n\n"
		"Vos cours et vos demandes : https://navette.example.org\n");
}

static void html_says_the_same_and_names_stay_text(void **state)
{
	(void)state;
	struct nv_status_record r = failed_record();
	struct nv_mail_text_facts f = {.record = &r,
				       .site_label = "L'an & co",
				       .page_url = "https://navette.example.org/?a=1&b=\"2\""};
	r.request.user_name = (char *)"<script>alert(1)</script>\r\nBcc: x";
	nv_auto_letter en = letter_of(&f, NV_LANG_en);
	assert_string_equal(
		(char *)en.html.data,
		"<p>Hello <bdi>&lt;script&gt;alert(1)&lt;/script&gt;  Bcc: x</bdi>,</p>\n"
		"<p>The course &quot;<bdi>Algèbre &lt;b&gt;1&lt;/b&gt;</bdi>&quot; from "
		"<bdi>L&#39;an &amp; co</bdi> could not be restored.</p>\n"
		"<p>You do not teach this course on the platform it comes from.</p>\n"
		"<p>Ask its teachers to give you a role in it, or to bring it themselves.</p>\n"
		"<p>Nothing was changed on this platform.</p>\n"
		"<p><a href=\"https://navette.example.org/?a=1&amp;b=&quot;2&quot;\">"
		"Your courses and requests</a></p>\n");
	assert_null(strstr(text_of(&en), "\r"));
	assert_null(strstr(text_of(&en), "\nBcc"));
}

static void what_is_no_web_address_becomes_no_link(void **state)
{
	(void)state;
	static const char *const wrong[] = {"javascript:alert(1)", "https://a b",
					    "data:text/html,x", "//x", ""};
	for (size_t i = 0; i < NV_ARRAY_LEN(wrong); i++) {
		nv_auto_letter l = {0};
		nv_mail_builder_link(&l, "Open", wrong[i]);
		assert_null(strstr((char *)l.html.data, "href"));
		assert_non_null(strstr(text_of(&l), wrong[i]));
	}
}

static void a_slot_in_a_name_stays_a_name(void **state)
{
	(void)state;
	const struct nv_slot slots[] = {{"course", "{site} {"}, {"site", "secret"}, {0}};
	nv_auto_letter l = {0};
	nv_mail_builder_para(&l, "{course}{nothing}|{course", slots);
	assert_string_equal(text_of(&l), "{site} {|{site} {\n");
	/* A long one is cut in a subject, between characters. */
	char name[1001];
	for (size_t i = 0; i < 1000; i += 2)
		memcpy(name + i, "é", 2);
	name[1000] = '\0';
	nv_mail_builder_subject(&l, "x{course}", (struct nv_slot[]){{"course", name}, {0}});
	assert_int_equal(l.subject.len, 1 + 120 + strlen("…"));
	assert_string_equal((char *)l.subject.data + 1 + 118, "é…");
}

static void administrators_get_the_details(void **state)
{
	(void)state;
	struct nv_status_record r = failed_record();
	struct nv_mail_text_facts f = {.record = &r,
				       .site_label = "Last year",
				       .page_url = "https://navette.example.org/",
				       .for_admin = true};
	nv_auto_letter en = letter_of(&f, NV_LANG_en);
	const char *text = text_of(&en);
	assert_non_null(strstr(text, "site: teacher1 holds no role"));
	assert_non_null(strstr(text, r.request.id));
	assert_non_null(strstr(text, "  attempts that failed: 2\n"));
	assert_non_null(strstr(text, "The user holds none of the required roles"));
	assert_null(strstr(text, "You "));
	nv_auto_free char *link =
		nv_asprintf("https://navette.example.org/#request=%s", r.request.id);
	assert_non_null(strstr(text, link));
	assert_non_null(strstr((char *)en.html.data, link));
	assert_non_null(strstr((char *)en.html.data,
			       "<tr><th align=\"left\">reason</th><td><bdi>role_missing</bdi>"));
}

static struct nv_status_record restored_record(void)
{
	struct nv_status_record r = failed_record();
	r.state = NV_ST_restored;
	r.reason = NULL;
	r.course = (char *)"7";
	r.course_url = (char *)"https://moodle.example/course/view.php?id=7";
	r.course_fullname = (char *)"Algèbre copy 1";
	return r;
}

static void success_says_whether_user_data_came_along(void **state)
{
	(void)state;
	struct nv_status_record r = restored_record();
	struct nv_mail_text_facts f = {.record = &r, .site_label = "Last year", .warnings = true};
	nv_auto_letter without = letter_of(&f, NV_LANG_en);
	assert_string_equal((char *)without.subject.data, "Course restored: Algèbre copy 1");
	assert_non_null(strstr(text_of(&without), "without user data"));
	assert_non_null(strstr(text_of(&without), r.course_url));
	assert_non_null(strstr((char *)without.html.data,
			       "<a href=\"https://moodle.example/course/view.php?id=7\">Open the "
			       "course</a>"));
	assert_null(strstr(text_of(&without), "The platform it comes from"));
	r.course_user_data = r.enrolled = true;
	r.course_url = NULL;
	f.site_url = "https://last.example.org";
	nv_auto_letter with = letter_of(&f, NV_LANG_fr);
	assert_non_null(strstr(text_of(&with), "Les données des utilisateurs ont été reprises."));
	assert_non_null(strstr(text_of(&with), "Vous y êtes inscrit."));
	assert_non_null(strstr(text_of(&with), "Son numéro ici est le 7."));
	assert_non_null(strstr(text_of(&with), "https://last.example.org"));
}

static void remarks_are_told_to_those_who_may_read_them(void **state)
{
	(void)state;
	char *warnings[] = {(char *)"the category <gone>", (char *)"a role\nis missing"};
	struct nv_status_record r = restored_record();
	struct nv_mail_text_facts f = {.record = &r, .site_label = "Last year", .warnings = true};
	r.warnings = (struct nv_strs){warnings, 2};
	nv_auto_letter loud = letter_of(&f, NV_LANG_en);
	assert_string_equal((char *)loud.subject.data,
			    "Course restored, with remarks: Algèbre copy 1");
	assert_non_null(
		strstr(text_of(&loud), "\n  - the category <gone>\n  - a role is missing\n"));
	assert_non_null(strstr((char *)loud.html.data,
			       "<ul>\n<li><bdi>the category &lt;gone&gt;</bdi></li>\n"
			       "<li><bdi>a role is missing</bdi></li>\n</ul>\n"));
	nv_auto_letter fort = letter_of(&f, NV_LANG_fr);
	assert_string_equal((char *)fort.subject.data,
			    "Cours restauré, avec des remarques : Algèbre copy 1");
	f.warnings = false;
	nv_auto_letter quiet = letter_of(&f, NV_LANG_en);
	assert_string_equal((char *)quiet.subject.data, "Course restored: Algèbre copy 1");
	assert_null(strstr(text_of(&quiet), "the category"));
}

static void what_did_not_arrive_is_told_whatever_is_set_about_remarks(void **state)
{
	(void)state;
	struct nv_difference lost[] = {{(char *)"activity", (char *)"wiki", 3, 1},
				       {(char *)"section", (char *)"", 5, 4},
				       {(char *)"<new>", (char *)"", 2, 0}};
	struct nv_status_record r = restored_record();
	struct nv_mail_text_facts f = {.record = &r, .site_label = "Last year", .warnings = false};
	r.differences = (struct nv_list){lost, 3};
	nv_auto_letter en = letter_of(&f, NV_LANG_en), fr = letter_of(&f, NV_LANG_fr);
	assert_string_equal((char *)en.subject.data,
			    "Course restored, with remarks: Algèbre copy 1");
	assert_non_null(strstr(text_of(&en), "Not everything has arrived."));
	assert_non_null(strstr(text_of(&en), "\n  - Activities (wiki): 3 before, 1 now\n"
					     "  - Sections: 5 before, 4 now\n"
					     "  - <new>: 2 before, 0 now\n"));
	assert_non_null(strstr((char *)en.html.data, "<bdi>&lt;new&gt;</bdi>: "));
	assert_non_null(strstr(text_of(&fr), "Tout n’est pas arrivé."));
	assert_non_null(strstr(text_of(&fr), "\n  - Activités (wiki) : 3 avant, 1 maintenant\n"));
}

static void a_cancelled_request_is_said_so(void **state)
{
	(void)state;
	struct nv_status_record r = failed_record();
	struct nv_mail_text_facts f = {.record = &r, .site_label = "Last year"};
	r.state = NV_ST_cancelled;
	nv_auto_letter en = letter_of(&f, NV_LANG_en), fr = letter_of(&f, NV_LANG_fr);
	assert_string_equal((char *)en.subject.data, "Restore cancelled: Algèbre <b>1</b>");
	assert_non_null(strstr(text_of(&en), "was cancelled.\n\nNothing was changed"));
	assert_string_equal((char *)fr.subject.data, "Restauration annulée : Algèbre <b>1</b>");
	assert_non_null(strstr(text_of(&fr), "a été annulée.\n\nRien n’a été modifié"));
}

/* A sentence: begins with no small letter, ends with a full stop. */
static bool is_sentence(const char *text)
{
	return text && strlen(text) > 5 && !(text[0] >= 'a' && text[0] <= 'z') &&
	       text[strlen(text) - 1] == '.' && !strchr(text, '{');
}

static void every_reason_has_its_sentences_in_every_language(void **state)
{
	(void)state;
	for (unsigned i = 0; i < NV_R_COUNT; i++) {
		const struct nv_reason_words *en = nv_reason_words(NV_LANG_en, (enum nv_reason)i);
		const struct nv_reason_words *fr = nv_reason_words(NV_LANG_fr, (enum nv_reason)i);
		assert_true(is_sentence(en->why));
		assert_true(is_sentence(en->to_do));
		assert_true(is_sentence(fr->why));
		assert_true(is_sentence(fr->to_do));
		assert_string_not_equal(en->why, fr->why);
		assert_string_not_equal(en->to_do, fr->to_do);
		assert_int_equal(en->other == NULL, fr->other == NULL);
		/* What is said to the requester as such is said otherwise to others. */
		if (strstr(en->why, "You "))
			assert_true(is_sentence(en->other));
		if (strstr(fr->why, "Vous "))
			assert_true(is_sentence(fr->other));
	}
}

/* The slots of a phrase: as many of each in both languages. */
static void assert_same_slots(const char *one, const char *other)
{
	static const char *const known[] = {"{course}", "{site}", "{name}", "{reason}",
					    "{number}", "{time}", "{user}", "{kind}",
					    "{type}",	"{had}",  "{has}"};
	size_t found = 0, braces = 0;
	for (size_t i = 0; i < NV_ARRAY_LEN(known); i++) {
		assert_int_equal(strstr(one, known[i]) == NULL, strstr(other, known[i]) == NULL);
		found += strstr(one, known[i]) != NULL;
	}
	for (const char *at = one; (at = strchr(at, '{')) != NULL; at++)
		braces++;
	assert_int_equal(found, braces);
}

static void every_phrase_exists_in_every_language(void **state)
{
	(void)state;
	for (unsigned i = 0; i < NV_P_COUNT; i++) {
		const char *en = nv_phrase(NV_LANG_en, (enum nv_phrase)i);
		const char *fr = nv_phrase(NV_LANG_fr, (enum nv_phrase)i);
		assert_non_null(en);
		assert_non_null(fr);
		assert_same_slots(en, fr);
	}
	for (unsigned i = 0; i < NV_TE_COUNT; i++) {
		enum nv_string_event e = (enum nv_string_event)i;
		assert_non_null(nv_event_subject(NV_LANG_en, e));
		assert_non_null(nv_event_subject(NV_LANG_fr, e));
		assert_same_slots(nv_event_subject(NV_LANG_en, e), nv_event_subject(NV_LANG_fr, e));
		assert_non_null(nv_event_opening(NV_LANG_en, e));
		assert_non_null(nv_event_opening(NV_LANG_fr, e));
		assert_same_slots(nv_event_opening(NV_LANG_en, e), nv_event_opening(NV_LANG_fr, e));
	}
}

static void a_language_nobody_has_falls_back(void **state)
{
	(void)state;
	assert_int_equal(nv_lang_from("fr", NV_LANG_en), NV_LANG_fr);
	assert_int_equal(nv_lang_from("FR-be", NV_LANG_en), NV_LANG_fr);
	assert_int_equal(nv_lang_from("en_us", NV_LANG_fr), NV_LANG_en);
	assert_int_equal(nv_lang_from("fro", NV_LANG_en), NV_LANG_en); /* Old French */
	assert_int_equal(nv_lang_from("de", NV_LANG_fr), NV_LANG_fr);
	assert_int_equal(nv_lang_from("", NV_LANG_fr), NV_LANG_fr);
	assert_int_equal(nv_lang_from(NULL, NV_LANG_en), NV_LANG_en);
}

static struct nv_digest digest_of(uint64_t total)
{
	struct nv_digest d = {.total = total, .since = 1763846520000u};
	for (; d.rows_len < total && d.rows_len < NV_DIGEST_ROWS; d.rows_len++)
		d.rows[d.rows_len] = (struct nv_digest_row){.id = "0199f3c0",
							    .course = "C<1>",
							    .site = "old",
							    .user = d.rows_len ? "ada" : NULL,
							    .reason = "role_missing"};
	d.counts[0].reason = "role_missing";
	d.counts[0].number = total - total / 10;
	d.counts[1].reason = "store_full";
	d.counts[1].number = total / 10;
	d.counts_len = total < 10 ? 1 : 2;
	return d;
}

static void a_digest_counts_by_reason_and_lists_the_first(void **state)
{
	(void)state;
	struct nv_config_site sites[] = {{.name = "old", .label = "Last & year"}};
	struct nv_config c = {.sites = sites, .sites_len = 1};
	struct nv_digest many = digest_of(30), one = digest_of(1);
	nv_auto_letter en = {0}, fr = {0}, single = {0};
	c.producer.base_url = "https://navette.example.org";
	nv_mail_text_digest(&many, &c, NV_LANG_en, &en);
	assert_string_equal((char *)en.subject.data, "30 courses not restored");
	assert_non_null(strstr(text_of(&en), "since 2025-11-22 21:22 UTC."));
	assert_non_null(strstr(text_of(&en), "  - 27 × The user holds none"));
	assert_non_null(strstr(text_of(&en), "  - 3 × The store between"));
	assert_non_null(strstr(text_of(&en), "  - C<1>, from Last & year: The user holds"));
	assert_non_null(
		strstr(text_of(&en), "\n    https://navette.example.org/#request=0199f3c0\n"));
	assert_non_null(strstr(text_of(&en), "\nAnd 10 more.\n"));
	assert_non_null(strstr((char *)en.html.data,
			       "<li><bdi>C&lt;1&gt;</bdi>, from <bdi>Last &amp; year</bdi>, asked "
			       "for by <bdi>ada</bdi>: "));
	nv_mail_text_digest(&many, &c, NV_LANG_fr, &fr);
	assert_string_equal((char *)fr.subject.data, "30 cours non restaurés");
	assert_non_null(strstr(text_of(&fr), "\nEt 10 de plus.\n"));
	c.producer.base_url = NULL;
	nv_mail_text_digest(&one, &c, NV_LANG_en, &single);
	assert_string_equal((char *)single.subject.data, "1 course not restored");
	assert_null(strstr(text_of(&single), " more.\n"));
	assert_null(strstr(text_of(&single), "http"));
}

static void decode_words(const char *header, char *ret)
{
	/* "=?UTF-8?B?…?=" one after another, folded */
	*ret = '\0';
	for (const char *at = header; (at = strstr(at, "=?UTF-8?B?")) != NULL;) {
		at += strlen("=?UTF-8?B?");
		const char *end = strstr(at, "?=");
		unsigned char bytes[256];
		size_t len = 0;
		assert_non_null(end);
		assert_true(end - at <= 75 - 12);
		assert_int_equal(sodium_base642bin(bytes, sizeof bytes, at, (size_t)(end - at),
						   NULL, &len, NULL,
						   sodium_base64_VARIANT_ORIGINAL),
				 0);
		strncat(ret, (char *)bytes, len);
		at = end;
	}
}

static const char *header(const struct curl_slist *headers, const char *name)
{
	size_t len = strlen(name);
	for (; headers; headers = headers->next)
		if (strncmp(headers->data, name, len) == 0 && headers->data[len] == ':')
			return headers->data + len + 2;
	return NULL;
}

static void the_subject_survives_its_encoding(void **state)
{
	(void)state;
	struct nv_config c = {0};
	struct curl_slist *headers = NULL;
	char decoded[1024];
	/* Three-byte characters at every offset: none may be cut between two words. */
	const char *subject = "a€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€ z\r\nBcc: evil@example.org";
	struct nv_mail m = {.to = "t@example.org", .id = "id1", .subject = subject, .text = "x"};
	c.notify.mail_from = "navette@example.org";
	assert_int_equal(nv_mail_headers(&c, &m, &headers, NULL), 0);
	/* A line break in a name makes no header. */
	for (const struct curl_slist *h = headers; h; h = h->next)
		assert_null(strstr(h->data, "Bcc:"));
	decode_words(header(headers, "Subject"), decoded);
	assert_string_equal(decoded, subject);
	curl_slist_free_all(headers);
}

static void the_header_says_what_the_mail_is(void **state)
{
	(void)state;
	struct nv_config c = {0};
	struct curl_slist *headers = NULL;
	struct nv_mail m = {.to = "t@example.org",
			    .id = "req.1.failed",
			    .subject = "s",
			    .text = "t",
			    .lang = "fr",
			    .date_ms = 1763846520000u};
	c.notify.mail_from = "navette@example.org";
	assert_int_equal(nv_mail_headers(&c, &m, &headers, NULL), 0);
	/* Stable: what is sent twice is seen as one. */
	assert_string_equal(header(headers, "Message-ID"), "<req.1.failed@example.org>");
	assert_string_equal(header(headers, "Date"), "Sat, 22 Nov 2025 21:22:00 +0000");
	assert_string_equal(header(headers, "Auto-Submitted"), "auto-generated");
	assert_string_equal(header(headers, "List-Id"), "Navette <navette.example.org>");
	assert_string_equal(header(headers, "Content-Language"), "fr");
	curl_slist_free_all(headers);
	m.lang = "fr\r\nBcc: x";
	assert_int_equal(nv_mail_headers(&c, &m, &headers, NULL), 0);
	assert_null(header(headers, "Content-Language"));
	curl_slist_free_all(headers);
}

static void an_address_that_is_none_is_refused(void **state)
{
	(void)state;
	static const char *const wrong[] = {"",
					    "nobody",
					    "@example.org",
					    "a@",
					    "a b@example.org",
					    "a@example.org\r\nRCPT TO:<b@example.org>",
					    "<a@example.org>",
					    "a@b,c@d"};
	struct nv_config c = {0};
	c.notify.mail_from = "navette@example.org";
	for (size_t i = 0; i < NV_ARRAY_LEN(wrong); i++) {
		struct curl_slist *headers = NULL;
		struct nv_err err = {0};
		struct nv_mail m = {.to = wrong[i], .id = "i", .subject = "s", .text = "t"};
		assert_int_equal(nv_mail_headers(&c, &m, &headers, &err), -1);
		assert_int_equal(err.kind, NV_REJECT);
		assert_null(headers);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_failure_says_why_and_what_to_do_in_the_users_language),
		cmocka_unit_test(html_says_the_same_and_names_stay_text),
		cmocka_unit_test(what_is_no_web_address_becomes_no_link),
		cmocka_unit_test(a_slot_in_a_name_stays_a_name),
		cmocka_unit_test(administrators_get_the_details),
		cmocka_unit_test(success_says_whether_user_data_came_along),
		cmocka_unit_test(remarks_are_told_to_those_who_may_read_them),
		cmocka_unit_test(what_did_not_arrive_is_told_whatever_is_set_about_remarks),
		cmocka_unit_test(a_cancelled_request_is_said_so),
		cmocka_unit_test(every_reason_has_its_sentences_in_every_language),
		cmocka_unit_test(every_phrase_exists_in_every_language),
		cmocka_unit_test(a_language_nobody_has_falls_back),
		cmocka_unit_test(a_digest_counts_by_reason_and_lists_the_first),
		cmocka_unit_test(the_subject_survives_its_encoding),
		cmocka_unit_test(the_header_says_what_the_mail_is),
		cmocka_unit_test(an_address_that_is_none_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
