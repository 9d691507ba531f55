/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "worker/notify/mail_builder.h"

#include <string.h>

#define SUBJECT_VALUE_MAX 120u /* bytes */

enum form { SUBJECT, TEXT, HTML };

void nv_mail_builder_fini(struct nv_mail_builder *l)
{
	nv_buf_fini(&l->subject);
	nv_buf_fini(&l->text);
	nv_buf_fini(&l->html);
}

static const char *entity(char c)
{
	switch (c) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&quot;";
	case '\'':
		return "&#39;";
	default:
		return NULL;
	}
}

static void put_plain(struct nv_buf *out, const char *value, size_t len, bool html)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)value[i];
		const char *as = html ? entity(value[i]) : NULL;
		if (as)
			nv_buf_puts(out, as);
		else
			nv_buf_put(out, c < ' ' || c == 0x7f ? " " : &value[i], 1);
	}
}

static void put_value(struct nv_buf *out, const char *value, enum form form)
{
	size_t len = strlen(value), max = form == SUBJECT ? SUBJECT_VALUE_MAX : len;
	size_t cut = len < max ? len : max;
	while (cut < len && cut > 0 && ((unsigned char)value[cut] & 0xc0) == 0x80)
		cut--;
	if (form == HTML)
		nv_buf_puts(out, "<bdi>");
	put_plain(out, value, cut, form == HTML);
	if (cut < len)
		nv_buf_puts(out, "…");
	if (form == HTML)
		nv_buf_puts(out, "</bdi>");
}

static const struct nv_slot *find(const struct nv_slot *slots, const char *name, size_t len)
{
	for (; slots && slots->name; slots++)
		if (strlen(slots->name) == len && strncmp(slots->name, name, len) == 0)
			return slots;
	return NULL;
}

static void put_phrase(struct nv_buf *out, const char *phrase, const struct nv_slot *slots,
		       enum form form)
{
	for (;;) {
		size_t plain = strcspn(phrase, "{");
		put_plain(out, phrase, plain, form == HTML);
		phrase += plain;
		if (!*phrase)
			return;
		size_t len = strcspn(phrase + 1, "}");
		const struct nv_slot *s = find(slots, phrase + 1, len);
		if (s && s->value)
			put_value(out, s->value, form);
		phrase += 1 + len + (phrase[1 + len] == '}');
	}
}

static bool is_link(const char *url)
{
	if (strncmp(url, "https://", 8) != 0 && strncmp(url, "http://", 7) != 0)
		return false;
	for (; *url; url++)
		if ((unsigned char)*url <= ' ' || *url == 0x7f)
			return false;
	return true;
}

static const char *colon(const struct nv_mail_builder *l)
{
	return l->colon ? l->colon : ": ";
}

static void put_link(struct nv_mail_builder *l, const char *label, const char *url)
{
	struct nv_buf *html = &l->html;
	if (!is_link(url)) {
		put_plain(html, label, strlen(label), true);
		nv_buf_puts(html, colon(l));
		put_value(html, url, HTML);
		return;
	}
	nv_buf_puts(html, "<a href=\"");
	put_plain(html, url, strlen(url), true);
	nv_buf_puts(html, "\">");
	put_plain(html, label, strlen(label), true);
	nv_buf_puts(html, "</a>");
}

void nv_mail_builder_subject(struct nv_mail_builder *l, const char *phrase,
			     const struct nv_slot *slots)
{
	put_phrase(&l->subject, phrase, slots, SUBJECT);
}

/* Blocks of the text are apart by an empty line. */
static void begin_block(struct nv_mail_builder *l, const char *tag)
{
	if (l->text.len)
		nv_buf_puts(&l->text, "\n");
	nv_buf_puts(&l->html, tag);
}

void nv_mail_builder_para(struct nv_mail_builder *l, const char *phrase,
			  const struct nv_slot *slots)
{
	begin_block(l, "<p>");
	put_phrase(&l->text, phrase, slots, TEXT);
	put_phrase(&l->html, phrase, slots, HTML);
	nv_buf_puts(&l->text, "\n");
	nv_buf_puts(&l->html, "</p>\n");
}

void nv_mail_builder_link(struct nv_mail_builder *l, const char *label, const char *url)
{
	begin_block(l, "<p>");
	nv_buf_printf(&l->text, "%s%s", label, colon(l));
	put_value(&l->text, url, TEXT);
	put_link(l, label, url);
	nv_buf_puts(&l->text, "\n");
	nv_buf_puts(&l->html, "</p>\n");
}

void nv_mail_builder_list(struct nv_mail_builder *l, bool begin)
{
	if (begin)
		begin_block(l, "<ul>\n");
	else
		nv_buf_puts(&l->html, "</ul>\n");
}

void nv_mail_builder_item(struct nv_mail_builder *l, const char *phrase,
			  const struct nv_slot *slots, const char *label, const char *url)
{
	nv_buf_puts(&l->text, "  - ");
	nv_buf_puts(&l->html, "<li>");
	put_phrase(&l->text, phrase, slots, TEXT);
	put_phrase(&l->html, phrase, slots, HTML);
	nv_buf_puts(&l->text, "\n");
	if (url) {
		nv_buf_puts(&l->text, "    ");
		put_value(&l->text, url, TEXT);
		nv_buf_puts(&l->text, "\n");
		nv_buf_puts(&l->html, " ");
		put_link(l, label, url);
	}
	nv_buf_puts(&l->html, "</li>\n");
}

void nv_mail_builder_table(struct nv_mail_builder *l, bool begin)
{
	if (begin)
		begin_block(l, "<table>\n");
	else
		nv_buf_puts(&l->html, "</table>\n");
}

void nv_mail_builder_row(struct nv_mail_builder *l, const char *label, const char *value)
{
	nv_buf_printf(&l->text, "  %s%s", label, colon(l));
	put_value(&l->text, value, TEXT);
	nv_buf_puts(&l->text, "\n");
	nv_buf_puts(&l->html, "<tr><th align=\"left\">");
	put_plain(&l->html, label, strlen(label), true);
	nv_buf_puts(&l->html, "</th><td>");
	put_value(&l->html, value, HTML);
	nv_buf_puts(&l->html, "</td></tr>\n");
}
