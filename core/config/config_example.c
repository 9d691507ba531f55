/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The commented example, from the table. */
#include "core/config/config_table.h"

#include <string.h>

#define WIDTH 92u

/* text in lines of comment, broken at blanks. */
static void put_comment(struct nv_buf *out, const char *indent, const char *text)
{
	size_t room = WIDTH - strlen(indent);

	while (*text) {
		size_t len = strlen(text);

		if (len > room) {
			len = room;
			while (len > 1 && text[len] != ' ')
				len--;
		}
		nv_buf_printf(out, "%s# %.*s\n", indent, (int)len, text);
		text += len;
		while (*text == ' ')
			text++;
	}
}

/* Description, allowed values, default, required by. */
static void put_doc(struct nv_buf *out, const char *indent, const struct nv_cfg_field *f, bool item)
{
	nv_auto_buf struct nv_buf text = {0};
	nv_auto_buf struct nv_buf allowed = {0};

	nv_cfg_allowed(f, &allowed);
	nv_buf_printf(&text, "%s Value: %s%s.", f->doc, f->list ? "one or a list, each " : "",
		      (char *)allowed.data);
	if (f->env)
		nv_buf_printf(&text, " The environment variable %s overrides it.", f->env);
	if (f->fallback)
		nv_buf_printf(&text, " Default: %s.", f->fallback);
	if (f->required && item)
		nv_buf_puts(&text, " Required.");
	else if (f->required) {
		nv_buf_puts(&text, " Required by ");
		nv_cfg_roles_text(f->required, &text);
		nv_buf_puts(&text, ".");
	}
	if (f->reloadable)
		nv_buf_puts(&text, " Reloadable without a restart.");
	put_comment(out, indent, (char *)text.data);
}

static void put_section(struct nv_buf *out, const struct nv_cfg_section *s)
{
	size_t len;
	const struct nv_cfg_field *rows = nv_cfg_rows(s, &len);

	nv_buf_puts(out, "\n");
	put_comment(out, "", s->doc);
	nv_buf_printf(out, "%s:\n", s->name);
	for (size_t i = 0; i < len; i++) {
		const struct nv_cfg_field *f = &rows[i];

		put_doc(out, "  ", f, s->items != NULL);
		nv_buf_printf(out, "  #%s%s: %s\n",
			      !s->items ? ""
			      : i == 0	? "- "
					: "  ",
			      f->key, f->fallback ? f->fallback : f->sample);
	}
}

void nv_config_example(struct nv_buf *out)
{
	put_comment(
		out, "",
		"Navette's configuration, with every key there is. A line with \"# \" is an "
		"explanation; a line with \"#\" and no blank, or more than one, is a setting: take "
		"the \"#\" away to set it. What is shown is the default or, where there is none, "
		"an example. Check a file with: navette config check");
	nv_buf_puts(out, "#\n");
	put_comment(
		out, "",
		"This file may be read by all who run Navette's programs; secrets are not in it "
		"but in files of their own.");
	for (size_t i = 0; i < nv_cfg_sections_len; i++)
		put_section(out, &nv_cfg_sections[i]);
}
