/* SPDX-License-Identifier: MIT */
#include "daemon/background.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/exit_status.h"
#include "util/report.h"

static void wait_for_child(int ready, pid_t child)
{
	char byte;
	ssize_t n;
	int status;

	do {
		n = read(ready, &byte, 1);
	} while (n < 0 && errno == EINTR);
	if (n == 1)
		_exit(EXIT_OK);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	_exit(WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : EXIT_RUNNING);
}

int background_start(struct background *b)
{
	int ends[2];
	pid_t child;

	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	child = fork();
	if (child < 0)
		return -errno;
	if (child > 0) {
		close(ends[1]);
		wait_for_child(ends[0], child);
	}
	close(ends[0]);
	b->ready = ends[1];
	return 0;
}

void background_leave(const struct background *b)
{
	int null;

	if (b->ready < 0)
		return;
	setsid();
	if (chdir("/"))
		report(QC_LOG_WARN, "/: %s: the current folder stays busy", strerror(errno));
	null = open("/dev/null", O_RDWR);
	if (null >= 0) {
		for (int fd = 0; fd <= 2; fd++)
			dup2(null, fd);
		if (null > 2)
			close(null);
	}
}

void background_ready(struct background *b)
{
	if (b->ready < 0)
		return;
	if (write(b->ready, "", 1) != 1)
		_exit(EXIT_RUNNING); /* the parent is gone */
	close(b->ready);
	b->ready = -1;
}
