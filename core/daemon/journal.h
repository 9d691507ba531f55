/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The log as entries of systemd's journal (systemd.journal-fields(7)), where it is what standard
 * error goes to: MESSAGE, PRIORITY (syslog's: 7 debug, 6 info, 4 warn, 3 error), SYSLOG_IDENTIFIER,
 * and NAVETTE_EVENT and NAVETTE_<KEY> for each field, so that
 *
 *   journalctl NAVETTE_REQ=01a2…        is the story of one request on this machine. */
#ifndef NV_DAEMON_JOURNAL_H
#define NV_DAEMON_JOURNAL_H

#include <stdbool.h>

/* true: from now on the log goes there.  By JOURNAL_STREAM (systemd.exec(5)), which a child with
 * another standard error inherits too: so it must name the very descriptor. */
bool nv_journal_use(void);

#endif
