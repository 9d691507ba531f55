/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "worker/mail.h"
#include "worker/texts.h"

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

static void texts_of(const struct nv_text_facts *f, const char *lang, char **ret_subject,
		     char **ret_text)
{
	struct nv_buf subject = {0}, text = {0};
	nv_texts(f, lang, &subject, &text);
	*ret_subject = (char *)subject.data;
	*ret_text = (char *)text.data;
}

static void a_failure_says_why_in_the_users_language(void **state)
{
	(void)state;
	struct nv_status_record r = failed_record();
	struct nv_text_facts f = {.record = &r, .site_label = "Last year"};
	nv_auto_free char *subject = NULL, *text = NULL, *sujet = NULL, *texte = NULL;
	texts_of(&f, "en", &subject, &text);
	assert_string_equal(subject, "Course not restored: Algèbre <b>1</b>");
	assert_non_null(strstr(text, "Hello Zoé Élie"));
	assert_non_null(strstr(text, nv_reason_text(NV_R_role_missing)));
	assert_null(strstr(text, "site: teacher1 holds no role")); /* that is for administrators */
	texts_of(&f, "fr_ca", &sujet, &texte);
	assert_string_equal(sujet, "Cours non restauré : Algèbre <b>1</b>");
	assert_non_null(strstr(texte, "vous n'avez plus de rôle d'enseignant"));
}

static void administrators_get_the_details(void **state)
{
	(void)state;
	struct nv_status_record r = failed_record();
	struct nv_text_facts f = {.record = &r, .site_label = "Last year", .for_admin = true};
	nv_auto_free char *subject = NULL, *text = NULL;
	texts_of(&f, NULL, &subject, &text);
	assert_non_null(strstr(text, "site: teacher1 holds no role"));
	assert_non_null(strstr(text, r.request.id));
	assert_non_null(strstr(text, "attempts that failed: 2"));
}

static void success_says_whether_user_data_came_along(void **state)
{
	(void)state;
	struct nv_status_record r = failed_record();
	char *warnings[] = {(char *)"the category is gone"};
	r.state = NV_ST_restored;
	r.course_url = (char *)"https://moodle.example/course/view.php?id=7";
	r.course_fullname = (char *)"Algèbre copy 1";
	r.warnings = (struct nv_strs){warnings, 1};
	struct nv_text_facts f = {.record = &r, .site_label = "Last year", .warnings = true};
	nv_auto_free char *without = NULL, *with = NULL, *s1 = NULL, *s2 = NULL, *s3 = NULL,
			  *quiet = NULL;
	texts_of(&f, "en", &s1, &without);
	assert_non_null(strstr(without, "without user data"));
	assert_non_null(strstr(without, "the category is gone"));
	assert_non_null(strstr(without, r.course_url));
	r.course_user_data = true;
	texts_of(&f, "en", &s2, &with);
	assert_non_null(strstr(with, "User data came along"));
	f.warnings = false;
	texts_of(&f, "en", &s3, &quiet);
	assert_null(strstr(quiet, "the category is gone"));
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

static void the_subject_survives_its_encoding(void **state)
{
	(void)state;
	struct nv_config c = {0};
	struct nv_buf out = {0};
	char decoded[1024];
	/* Three-byte characters at every offset: none may be cut between two words. */
	const char *subject = "a€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€ z\r\nBcc: evil@example.org";
	struct nv_mail m = {.to = "t@example.org", .id = "id1", .subject = subject, .text = "x"};
	c.notify.mail_from = "navette@example.org";
	assert_int_equal(nv_mail_compose(&c, &m, &out, NULL), 0);
	char *start = strstr((char *)out.data, "Subject: ");
	char *end = strstr(start, "\r\nAuto-Submitted");
	assert_non_null(end);
	*end = '\0';
	assert_null(strstr(start, "Bcc:")); /* a line break in a name makes no header */
	decode_words(start, decoded);
	assert_string_equal(decoded, subject);
	nv_buf_fini(&out);
}

static void the_message_id_is_stable(void **state)
{
	(void)state;
	struct nv_config c = {0};
	struct nv_buf out = {0};
	struct nv_mail m = {
		.to = "t@example.org", .id = "req.1.failed", .subject = "s", .text = "t"};
	c.notify.mail_from = "navette@example.org";
	assert_int_equal(nv_mail_compose(&c, &m, &out, NULL), 0);
	assert_non_null(strstr((char *)out.data, "Message-ID: <req.1.failed@example.org>\r\n"));
	nv_buf_fini(&out);
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
		struct nv_buf out = {0};
		struct nv_err err = {0};
		struct nv_mail m = {.to = wrong[i], .id = "i", .subject = "s", .text = "t"};
		assert_int_equal(nv_mail_compose(&c, &m, &out, &err), -1);
		assert_int_equal(err.kind, NV_REJECT);
		nv_buf_fini(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_failure_says_why_in_the_users_language),
		cmocka_unit_test(administrators_get_the_details),
		cmocka_unit_test(success_says_whether_user_data_came_along),
		cmocka_unit_test(the_subject_survives_its_encoding),
		cmocka_unit_test(the_message_id_is_stable),
		cmocka_unit_test(an_address_that_is_none_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
