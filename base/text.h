/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Untrusted text, from a library, a peer or a file: it must not break a log, a terminal or a
 * message. */
#ifndef NV_TEXT_H
#define NV_TEXT_H

#include <stddef.h>

/* Length of the well-formed UTF-8 sequence (of two bytes or more) at s, 0 when there is none.  C1
 * controls do not count as well-formed. */
size_t nv_utf8_len(const char *s);
/* Make s, in place, one line of UTF-8 of at most max bytes: control characters become blanks, what
 * is not UTF-8 becomes '?', and a character that does not fit is left out whole. */
void nv_text_clean(char *s, size_t max);
/* Called once, at the start of main: characters are UTF-8 whatever the environment says; numbers
 * and messages stay those of the C locale. */
void nv_text_locale(void);

#endif
