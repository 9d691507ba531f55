/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Preloaded into `navette doctor`: what the machine says otherwise than it is, where the
 * environment asks for it. */
#include <stdlib.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <unistd.h>

const char *amqp_version(void);

const char *amqp_version(void)
{
	return getenv("LIE_OLD_LIBRARY") ? "0.10.0" : "0.11.0";
}

int adjtimex(struct timex *t)
{
	t->status = getenv("LIE_CLOCK_LOST") ? STA_UNSYNC : 0;
	return 0;
}

int statvfs(const char *restrict path, struct statvfs *restrict fs)
{
	const char *room = getenv("LIE_ROOM");
	if (access(path, F_OK) < 0)
		return -1;
	*fs = (struct statvfs){.f_bsize = 4096, .f_frsize = 4096, .f_blocks = 1ul << 30};
	fs->f_bavail = room ? strtoul(room, NULL, 10) / 4096 : 1ul << 30;
	return 0;
}
