/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/text.h"

#include <locale.h>
#include <stdbool.h>

size_t nv_utf8_len(const char *text)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t n = s[0] >= 0xf0 && s[0] <= 0xf4	  ? 4
		   : s[0] >= 0xe0 && s[0] <= 0xef ? 3
		   : s[0] >= 0xc2 && s[0] <= 0xdf ? 2
						  : 0;

	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	/* C1 controls move a terminal's cursor just as escape sequences do. */
	if (s[0] == 0xc2 && s[1] < 0xa0)
		return 0;
	return n;
}

/* Does the text end within this UTF-8 sequence? */
static bool is_cut(const char *s)
{
	size_t n = 1;
	while (((unsigned char)s[n] & 0xc0) == 0x80)
		n++;
	return (unsigned char)*s >= 0xc2 && !s[n] && n < 4;
}

void nv_text_clean(char *s, size_t max)
{
	size_t at = 0;
	while (s[at]) {
		unsigned char c = (unsigned char)s[at];
		size_t n = c >= 0x80 ? nv_utf8_len(s + at) : 1;
		if (at + (n ? n : 1) > max || (n == 0 && is_cut(s + at)))
			break;
		if (n == 0)
			s[at] = '?';
		else if (c < 0x20 || c == 0x7f)
			s[at] = ' ';
		at += n ? n : 1;
	}
	s[at] = '\0';
}

void nv_text_locale(void)
{
	/* The first exists on every Debian. */
	if (!setlocale(LC_CTYPE, "C.UTF-8") && !setlocale(LC_CTYPE, "en_US.UTF-8"))
		setlocale(LC_CTYPE, "");
}
