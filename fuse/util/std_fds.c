/* SPDX-License-Identifier: MIT */
#include "util/std_fds.h"

#include <errno.h>
#include <fcntl.h>

int std_fds_fill(void)
{
	for (int fd = 0; fd <= 2; fd++) {
		int mode = fd ? O_RDONLY : O_WRONLY, got;

		if (fcntl(fd, F_GETFD) >= 0)
			continue;
		got = open("/dev/null", mode);
		if (got < 0)
			got = open("/", O_PATH); /* in a chroot without /dev */
		if (got < 0)
			return -errno;
	}
	return 0;
}
