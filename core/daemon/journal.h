/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The log as entries of systemd's journal (systemd.journal-fields(7)), if standard error is
 * connected to it: MESSAGE, PRIORITY (syslog's: 7 debug, 6 info, 4 warn, 3 error),
 * SYSLOG_IDENTIFIER, and NAVETTE_EVENT and NAVETTE_<KEY> for each field, so that
 *
 *   journalctl NAVETTE_REQ=01a2…        shows one request on this machine. */
#ifndef NV_DAEMON_JOURNAL_H
#define NV_DAEMON_JOURNAL_H

#include <stdbool.h>

/* true: the log now goes there. Decided by JOURNAL_STREAM (systemd.exec(5)), which must name our
 * own standard error: children with another one inherit the variable, too. */
bool nv_journal_use(void);

#endif
