/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "worker/notify/mail.h"

#include <curl/curl.h>
#include <sodium.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"

/* Some servers look at a letter before they take it: given up too early, it comes twice. */
#define MAIL_TIMEOUT_S 20L
/* RFC 2047: an encoded word is at most 75 characters, so 45 bytes of text in base64. */
#define WORD_BYTES 45u

static void put_base64(struct nv_buf *out, const void *data, size_t len)
{
	char text[sodium_base64_ENCODED_LEN(WORD_BYTES, sodium_base64_VARIANT_ORIGINAL)];
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

static bool is_lang(const char *text)
{
	return text && *text &&
	       strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-") ==
		       strlen(text);
}

static void add_header(struct curl_slist **to, const char *name, const char *value)
{
	nv_auto_free char *line = nv_asprintf("%s: %s", name, value);
	struct curl_slist *longer = curl_slist_append(*to, line);
	if (!longer)
		abort(); /* no memory */
	*to = longer;
}

static void add_date(struct curl_slist **to, uint64_t date_ms)
{
	char date[64];
	time_t seconds = (time_t)(date_ms / 1000);
	struct tm tm;
	gmtime_r(&seconds, &tm);
	strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S +0000", &tm);
	add_header(to, "Date", date);
}

int nv_mail_headers(const struct nv_config *config, const struct nv_mail *m,
		    struct curl_slist **ret, struct nv_err *err)
{
	const char *from = config->notify.mail_from;
	if (!is_address(m->to) || !from || !is_address(from))
		return nv_fail(err, NV_REJECT, NV_R_config, "mail: \"%s\" is no address",
			       is_address(m->to) ? (from ? from : "") : m->to);
	const char *domain = strchr(from, '@') + 1;
	nv_auto_free char *sender = nv_asprintf("<%s>", from);
	nv_auto_free char *recipient = nv_asprintf("<%s>", m->to);
	nv_auto_free char *id = nv_asprintf("<%s@%s>", m->id, domain);
	nv_auto_free char *list = nv_asprintf("Navette <navette.%s>", domain);
	nv_auto_buf struct nv_buf subject = {0};
	put_words(&subject, m->subject);
	*ret = NULL;
	add_date(ret, m->date_ms);
	add_header(ret, "From", sender);
	add_header(ret, "To", recipient);
	add_header(ret, "Message-ID", id);
	add_header(ret, "Subject", subject.len ? (const char *)subject.data : "-");
	/* Nobody's out-of-office answers it; people can filter it. */
	add_header(ret, "Auto-Submitted", "auto-generated");
	add_header(ret, "List-Id", list);
	if (is_lang(m->lang))
		add_header(ret, "Content-Language", m->lang);
	return 0;
}

/* Lines end in CR LF, else quoted-printable would make one line of all. */
static void put_lines(struct nv_buf *out, const char *text)
{
	for (; *text; text++)
		if (*text == '\n')
			nv_buf_puts(out, "\r\n");
		else if (*text != '\r')
			nv_buf_put(out, text, 1);
}

static CURLcode add_part(curl_mime *mime, const struct nv_buf *text, const char *type)
{
	curl_mimepart *part = curl_mime_addpart(mime);
	CURLcode code = curl_mime_data(part, text->len ? (const char *)text->data : "", text->len);
	if (code == CURLE_OK)
		code = curl_mime_type(part, type);
	return code == CURLE_OK ? curl_mime_encoder(part, "quoted-printable") : code;
}

/* The plain one first: of alternatives the last that a program can show is the one it shows. */
static CURLcode add_parts(curl_mime *mime, const struct nv_mail *m)
{
	nv_auto_buf struct nv_buf text = {0}, html = {0};
	put_lines(&text, m->text);
	CURLcode code = add_part(mime, &text, "text/plain; charset=utf-8");
	if (!m->html || code != CURLE_OK)
		return code;
	nv_buf_puts(&html, "<!DOCTYPE html>\r\n<html");
	if (is_lang(m->lang))
		nv_buf_printf(&html, " lang=\"%s\"", m->lang);
	nv_buf_puts(&html, ">\r\n<head><meta charset=\"utf-8\"></head>\r\n<body>\r\n");
	put_lines(&html, m->html);
	nv_buf_puts(&html, "</body>\r\n</html>\r\n");
	return add_part(mime, &html, "text/html; charset=utf-8");
}

/* What the server was asked last: its refusal of a recipient or a message is no reason to try
 * again, that of a login, or of us as sender, is somebody's to mend. */
struct dialogue {
	char last[8];
	long answer; /* to it; 0: none */
	bool over;   /* libcurl ends it with QUIT, also what has failed */
};

static int listen_cb(CURL *curl, curl_infotype type, char *data, size_t size, void *arg)
{
	struct dialogue *d = arg;
	(void)curl;
	/* Commands go out as headers; what follows DATA is the message. */
	if (size < 4 || d->over)
		return 0;
	if (type == CURLINFO_HEADER_OUT && strncmp(data, "QUIT", 4) == 0) {
		d->over = true;
	} else if (type == CURLINFO_HEADER_OUT) {
		snprintf(d->last, sizeof d->last, "%.4s", data);
		d->answer = 0;
	} else if (type == CURLINFO_HEADER_IN) {
		char digits[4] = {data[0], data[1], data[2], '\0'};
		if (strspn(digits, "0123456789") == 3)
			d->answer = strtol(digits, NULL, 10);
	}
	return 0;
}

/* libcurl asks at least once a second, whatever it waits for.  Nothing is decided after QUIT, whose
 * answer it would wait for two minutes. */
static int patience_cb(void *arg, curl_off_t download, curl_off_t downloaded, curl_off_t upload,
		       curl_off_t uploaded)
{
	const struct dialogue *d = arg;
	(void)download;
	(void)downloaded;
	(void)upload;
	(void)uploaded;
	return d->over ? 1 : 0;
}

/* A connection that is kept would say QUIT in curl_easy_cleanup, with a handle that has neither our
 * functions nor our timeout. */
static void attend(CURL *curl, struct dialogue *d)
{
	curl_easy_setopt(curl, CURLOPT_VERBOSE, 1L); /* for listen_cb, which prints nothing */
	curl_easy_setopt(curl, CURLOPT_DEBUGFUNCTION, listen_cb);
	curl_easy_setopt(curl, CURLOPT_DEBUGDATA, d);
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, patience_cb);
	curl_easy_setopt(curl, CURLOPT_XFERINFODATA, d);
	curl_easy_setopt(curl, CURLOPT_FORBID_REUSE, 1L);
}

static bool about_this_mail(const struct dialogue *d)
{
	return strcmp(d->last, "RCPT") == 0 || strcmp(d->last, "DATA") == 0;
}

static long tls_of(const struct nv_config *c)
{
	switch (c->notify.smtp_tls) {
	case NV_SMTP_TLS_OFF:
		return (long)CURLUSESSL_NONE;
	case NV_SMTP_TLS_OPTIONAL:
		return (long)CURLUSESSL_TRY;
	default:
		return (long)CURLUSESSL_ALL;
	}
}

static void set_server(CURL *curl, const struct nv_config *c)
{
	curl_easy_setopt(curl, CURLOPT_URL, c->notify.smtp_url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
	curl_easy_setopt(curl, CURLOPT_USE_SSL, tls_of(c)); /* smtps:// is encrypted anyway */
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
	if (c->notify.smtp_ca_file)
		curl_easy_setopt(curl, CURLOPT_CAINFO, c->notify.smtp_ca_file);
	if (c->notify.smtp_user) {
		curl_easy_setopt(curl, CURLOPT_USERNAME, c->notify.smtp_user);
		curl_easy_setopt(curl, CURLOPT_PASSWORD,
				 c->notify.smtp_password ? c->notify.smtp_password : "");
	}
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, MAIL_TIMEOUT_S);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
}

static int failed(const struct nv_config *c, const struct nv_mail *m, CURLcode code,
		  const struct dialogue *d, const char *problem, struct nv_err *err)
{
	if (code == CURLE_USE_SSL_FAILED)
		return nv_fail(err, NV_RETRY, NV_R_io,
			       "mail to %s: the mail server %s offers no STARTTLS, which "
			       "notify.smtp_tls requires: %s",
			       m->to, c->notify.smtp_url, problem);
	bool refused = about_this_mail(d) && d->answer >= 500;
	bool later = about_this_mail(d) && d->answer >= 400 && !refused;
	nv_fail(err, refused ? NV_REJECT : NV_RETRY, later ? NV_R_busy : NV_R_io,
		"mail to %s by %s: %s", m->to, c->notify.smtp_url, problem);
	if (d->answer >= 400) /* libcurl's text does not always say it */
		nv_err_prefix(err, "the server answers %ld", d->answer);
	return -1;
}

static CURLcode perform(CURL *curl, const struct nv_config *c, const struct nv_mail *m,
			struct curl_slist **headers)
{
	struct curl_slist *to = curl_slist_append(NULL, m->to);
	curl_mime *mime = curl_mime_init(curl);
	CURLcode code = add_parts(mime, m);
	/* libcurl takes the kind of the whole from here, and adds its boundary. */
	add_header(headers, "Content-Type", "multipart/alternative");
	curl_easy_setopt(curl, CURLOPT_MAIL_FROM, c->notify.mail_from);
	curl_easy_setopt(curl, CURLOPT_MAIL_RCPT, to);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, *headers);
	curl_easy_setopt(curl, CURLOPT_MIMEPOST, mime);
	if (code == CURLE_OK)
		code = curl_easy_perform(curl);
	curl_mime_free(mime);
	curl_slist_free_all(to);
	return code;
}

int nv_mail_send(const struct nv_config *config, const struct nv_mail *m, struct nv_err *err)
{
	struct curl_slist *headers = NULL;
	if (nv_mail_headers(config, m, &headers, err) < 0)
		return -1;
	char problem[CURL_ERROR_SIZE] = "";
	struct dialogue d = {0};
	CURL *curl = curl_easy_init();
	set_server(curl, config);
	attend(curl, &d);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, problem);
	CURLcode code = perform(curl, config, m, &headers);
	curl_easy_cleanup(curl);
	curl_slist_free_all(headers);
	return code == CURLE_OK ? 0
				: failed(config, m, code, &d,
					 *problem ? problem : curl_easy_strerror(code), err);
}
