/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/fault.h"

#ifdef NAVETTE_FAULTS
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int first_time(void)
{
	const char *path = getenv("NAVETTE_FAULT_ONCE");
	int fd;

	if (!path)
		return 1;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return 0;
	close(fd);
	return 1;
}

void nv_fault(const char *name)
{
	const char *wanted = getenv("NAVETTE_FAULT");
	size_t len = strlen(name);

	if (!wanted || strncmp(wanted, name, len) != 0)
		return;
	if (wanted[len] != '\0' && wanted[len] != ':')
		return;
	if (first_time())
		(void)raise(strcmp(wanted + len, ":stop") == 0 ? SIGSTOP : SIGKILL);
}
#else
typedef int nv_fault_is_off; /* ISO C wants something in a file */
#endif
