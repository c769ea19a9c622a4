/* SPDX-License-Identifier: MIT */
/*
 * reopen.c - another open file description of the same file.
 *
 * dup(2) would share the description, and with it the OFD locks and the access mode.  The
 * name of the file does not serve either: the file may have been renamed or replaced.
 */
#include "qcow.h"

#include <fcntl.h>
#include <stdio.h>

int qc_reopen(int fd, int flags)
{
	char self[40];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	return open(self, flags | O_CLOEXEC);
}
