/* SPDX-License-Identifier: MIT */
#include "util/inherited.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>

static int occupy_standard_fds(void)
{
	for (int fd = 0; fd <= 2; fd++) {
		int got;

		if (fcntl(fd, F_GETFD) >= 0)
			continue;
		got = open("/dev/null", fd ? O_RDONLY : O_WRONLY);
		if (got < 0)
			got = open("/", O_PATH); /* a chroot without /dev */
		if (got < 0)
			return -errno;
	}
	return 0;
}

int inherited_repair(void)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGCHLD, SIG_DFL);
	signal(SIGXFSZ, SIG_IGN);
	return occupy_standard_fds();
}
