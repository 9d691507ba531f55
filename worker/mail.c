/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "worker/mail.h"

#include <curl/curl.h>
#include <sodium.h>
#include <string.h>
#include <time.h>

#include "core/base/mem.h"

#define MAIL_TIMEOUT_S 10L
/* RFC 2047: an encoded word is at most 75 characters, so 45 bytes of text in base64. */
#define WORD_BYTES 45u
#define LINE_BYTES 57u /* 76 characters of base64 */

static void put_base64(struct nv_buf *out, const void *data, size_t len)
{
	char text[sodium_base64_ENCODED_LEN(LINE_BYTES, sodium_base64_VARIANT_ORIGINAL)];
	sodium_bin2base64(text, sizeof text, data, len, sodium_base64_VARIANT_ORIGINAL);
	nv_buf_puts(out, text);
}

/* A header's text as encoded words, never splitting a character between two. */
static void put_words(struct nv_buf *out, const char *text)
{
	size_t left = strlen(text);
	while (left > 0) {
		size_t len = left < WORD_BYTES ? left : WORD_BYTES;
		while (len > 1 && len < left && ((unsigned char)text[len] & 0xc0) == 0x80)
			len--;
		nv_buf_puts(out, "=?UTF-8?B?");
		put_base64(out, text, len);
		nv_buf_puts(out, "?=");
		text += len;
		left -= len;
		if (left)
			nv_buf_puts(out, "\r\n ");
	}
}

static bool is_address(const char *text)
{
	const char *at = strchr(text, '@');
	if (!at || at == text || !at[1])
		return false;
	for (; *text; text++)
		if ((unsigned char)*text <= ' ' || strchr("<>(),;:\"\\", *text) || *text == 0x7f)
			return false;
	return true;
}

int nv_mail_compose(const struct nv_config *config, const struct nv_mail *m, struct nv_buf *out,
		    struct nv_err *err)
{
	const char *from = config->notify.mail_from;
	if (!is_address(m->to) || !from || !is_address(from))
		return nv_fail(err, NV_REJECT, NV_R_config, "mail: \"%s\" is no address",
			       is_address(m->to) ? (from ? from : "") : m->to);
	char date[64];
	time_t seconds = (time_t)(m->date_ms / 1000);
	struct tm tm;
	gmtime_r(&seconds, &tm);
	strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S +0000", &tm);
	nv_buf_printf(out, "Date: %s\r\nFrom: <%s>\r\nTo: <%s>\r\nMessage-ID: <%s@%s>\r\nSubject: ",
		      date, from, m->to, m->id, strchr(from, '@') + 1);
	put_words(out, m->subject);
	nv_buf_puts(out, "\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
			 "Content-Type: text/plain; charset=utf-8\r\n"
			 "Content-Transfer-Encoding: base64\r\n\r\n");
	for (size_t at = 0, len = strlen(m->text); at < len; at += LINE_BYTES) {
		put_base64(out, m->text + at, len - at < LINE_BYTES ? len - at : LINE_BYTES);
		nv_buf_puts(out, "\r\n");
	}
	return 0;
}

struct upload {
	const struct nv_buf *data;
	size_t at;
};

static size_t read_message(char *to, size_t size, size_t count, void *arg)
{
	struct upload *u = arg;
	size_t len = u->data->len - u->at, room = size * count;
	if (len > room)
		len = room;
	memcpy(to, u->data->data + u->at, len);
	u->at += len;
	return len;
}

static void set_options(CURL *curl, const struct nv_config *c, struct curl_slist *to,
			struct upload *u, char *problem)
{
	curl_easy_setopt(curl, CURLOPT_URL, c->notify.smtp_url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
	/* smtps:// is encrypted anyway.  The configuration accepts smtp:// to this machine, whose
	 * mail server has seldom a certificate for its address, or where it may be plain. */
	curl_easy_setopt(curl, CURLOPT_USE_SSL,
			 c->notify.smtp_allow_plain ? (long)CURLUSESSL_TRY : (long)CURLUSESSL_NONE);
	if (c->notify.smtp_ca_file)
		curl_easy_setopt(curl, CURLOPT_CAINFO, c->notify.smtp_ca_file);
	if (c->notify.smtp_user) {
		curl_easy_setopt(curl, CURLOPT_USERNAME, c->notify.smtp_user);
		curl_easy_setopt(curl, CURLOPT_PASSWORD,
				 c->notify.smtp_password ? c->notify.smtp_password : "");
	}
	curl_easy_setopt(curl, CURLOPT_MAIL_FROM, c->notify.mail_from);
	curl_easy_setopt(curl, CURLOPT_MAIL_RCPT, to);
	curl_easy_setopt(curl, CURLOPT_READFUNCTION, read_message);
	curl_easy_setopt(curl, CURLOPT_READDATA, u);
	curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, MAIL_TIMEOUT_S);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, problem);
}

int nv_mail_send(const struct nv_config *config, const struct nv_mail *m, struct nv_err *err)
{
	nv_auto_buf struct nv_buf message = {0};
	if (nv_mail_compose(config, m, &message, err) < 0)
		return -1;
	char problem[CURL_ERROR_SIZE] = "";
	long answer = 0;
	struct upload u = {&message, 0};
	struct curl_slist *to = curl_slist_append(NULL, m->to);
	CURL *curl = curl_easy_init();
	set_options(curl, config, to, &u, problem);
	CURLcode code = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer);
	curl_easy_cleanup(curl);
	curl_slist_free_all(to);
	if (code == CURLE_OK)
		return 0;
	nv_fail(err, answer >= 500 ? NV_REJECT : NV_RETRY, NV_R_io, "mail to %s by %s: %s", m->to,
		config->notify.smtp_url, *problem ? problem : curl_easy_strerror(code));
	if (answer >= 400) /* libcurl's text does not always say it */
		nv_err_prefix(err, "the server answers %ld", answer);
	return -1;
}
