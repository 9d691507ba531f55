/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Notices as mail-like text files (RFC 5322 headers, RFC 2047 words), one a notice: mail/<id>.txt
 */
#include <ctype.h>
#include <string.h>
#include <time.h>

#include "base/hash.h"
#include "base/id.h"
#include "core/site/folder/folder_internal.h"

#define LOCK_WAIT_MS 5000u
#define WORD_BYTES 45u /* 60 characters in base64: a word of at most 75 */

/* Something a file may be called: ids that are no plain name are hashed. */
static char *plain_id(const char *id)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789-_.";
	uint8_t digest[NV_SHA256_LEN];
	char hex[NV_SHA256_HEX];
	size_t len = strlen(id);
	if (len && len <= 200 && id[0] != '.' && strspn(id, plain) == len)
		return nv_strdup(id);
	nv_sha256(id, len, digest);
	nv_hex(digest, sizeof digest, hex);
	return nv_strdup(hex);
}

static void put_base64(struct nv_buf *out, const uint8_t *data, size_t len)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	for (size_t i = 0; i < len; i += 3) {
		uint32_t v = (uint32_t)data[i] << 16;
		v |= i + 1 < len ? (uint32_t)data[i + 1] << 8 : 0;
		v |= i + 2 < len ? data[i + 2] : 0;
		char quad[4] = {digits[v >> 18], digits[v >> 12 & 63],
				i + 1 < len ? digits[v >> 6 & 63] : '=',
				i + 2 < len ? digits[v & 63] : '='};
		nv_buf_put(out, quad, sizeof quad);
	}
}

/* Bytes of the text that fit into one word without cutting a character. */
static size_t word_length(const char *text, size_t len)
{
	if (len <= WORD_BYTES)
		return len;
	size_t cut = WORD_BYTES;
	while (cut > 1 && ((unsigned char)text[cut] & 0xc0) == 0x80)
		cut--;
	return cut;
}

/* Text in a header: as it is where that is safe, else as encoded words; never a line break of
 * somebody's making. */
static void put_text(struct nv_buf *out, const char *text)
{
	size_t len = strlen(text);
	bool safe = len <= 60 && !strstr(text, "=?");
	for (size_t i = 0; i < len && safe; i++)
		safe = isascii((unsigned char)text[i]) && !iscntrl((unsigned char)text[i]) &&
		       !strchr("\"<>@,;:\\()[]", text[i]);
	if (safe) {
		nv_buf_put(out, text, len);
		return;
	}
	for (size_t done = 0; done < len;) {
		size_t n = word_length(text + done, len - done);
		nv_buf_puts(out, done ? "\n =?UTF-8?B?" : "=?UTF-8?B?");
		put_base64(out, (const uint8_t *)text + done, n);
		nv_buf_puts(out, "?=");
		done += n;
	}
}

/* An address or a language tag: without what would end it or the line. */
static void put_token(struct nv_buf *out, const char *text)
{
	for (; *text; text++) {
		if (!iscntrl((unsigned char)*text) && !strchr("<> ,;\"", *text))
			nv_buf_put(out, text, 1);
	}
}

static void put_date(struct nv_buf *out)
{
	static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
					     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	time_t now = time(NULL);
	struct tm t;
	gmtime_r(&now, &t);
	/* By hand: strftime's names depend on the locale. */
	nv_buf_printf(out, "Date: %s, %02d %s %d %02d:%02d:%02d +0000\n", days[t.tm_wday],
		      t.tm_mday, months[t.tm_mon], t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
}

static void compose(const struct nv_folder_model *m, const struct nv_folder_user *to,
		    const struct nv_notice *n, const char *id, struct nv_buf *out)
{
	const char *lang = n->lang && *n->lang ? n->lang : to->lang;
	nv_buf_puts(out, "From: ");
	put_text(out, m->name);
	nv_buf_puts(out, " <noreply@navette.invalid>\nTo: ");
	put_text(out, to->name);
	nv_buf_puts(out, " <");
	put_token(out, to->email ? to->email : to->username);
	nv_buf_puts(out, ">\n");
	put_date(out);
	nv_buf_puts(out, "Subject: ");
	put_text(out, n->subject ? n->subject : "");
	nv_buf_printf(out, "\nMessage-ID: <%s@navette.invalid>\nMIME-Version: 1.0\n", id);
	if (lang) {
		nv_buf_puts(out, "Content-Language: ");
		put_token(out, lang);
		nv_buf_puts(out, "\n");
	}
	nv_buf_puts(out, "Content-Type: text/plain; charset=utf-8\n"
			 "Content-Transfer-Encoding: 8bit\n\n");
	nv_buf_puts(out, n->text ? n->text : "");
	nv_buf_puts(out, "\n");
	if (n->url)
		nv_buf_printf(out, "\n%s\n", n->url);
}

int nv_folder_notify(struct nv_site *base, const struct nv_notice *n, struct nv_err *err)
{
	struct nv_folder_site *s = nv_folder_site(base);
	nv_auto_model struct nv_folder_model *m = nv_folder_model_get(s, err);
	nv_auto_buf struct nv_buf text = {0};
	nv_auto_free char *id = plain_id(n->id);
	nv_auto_free char *name = nv_asprintf("mail/%s.txt", id);
	nv_auto_free char *path = nv_asprintf("%s/%s", s->path, name);
	uint8_t digest[NV_SHA256_LEN];
	char hex[NV_SHA256_HEX];
	nv_auto_fd int lock = -1;
	size_t user = 0;
	if (!n->user) /* this kind of site knows no administrators */
		return 0;
	if (!m || nv_folder_find_user(m, s->user_field, n->user, &user, NULL, err) < 0)
		return -1;
	if (access(path, F_OK) == 0)
		return 0; /* delivered before */
	/* The lock only tells the sweep that the temporary file is somebody's; that one notice is
	 * one file comes from link(2). */
	nv_sha256(id, strlen(id), digest);
	nv_hex(digest, sizeof digest, hex);
	nv_auto_free char *lock_name = nv_asprintf("mail-%s", hex);
	if (nv_folder_make_folders(s->path, err) < 0 ||
	    nv_folder_lock(s->path, lock_name, LOCK_WAIT_MS, &lock, err) < 0)
		return -1;
	compose(m, &m->users[user], n, id, &text);
	const struct nv_folder_file file = {.lock = lock_name,
					    .name = name,
					    .data = text.data,
					    .len = text.len,
					    .only_new = true};
	return nv_folder_write(s->path, &file, err);
}
