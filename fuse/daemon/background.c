/* SPDX-License-Identifier: MIT */
#include "daemon/background.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/exit_status.h"
#include "util/report.h"

/* Exits with the status of the child, or with 0 if the child sends a byte. */
static void wait_for_child(int ready, pid_t child)
{
	char byte;
	ssize_t n;
	int status = 0;

	do {
		n = read(ready, &byte, 1);
	} while (n < 0 && errno == EINTR);
	if (n == 1)
		_exit(EXIT_OK);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFSIGNALED(status))
		report(QC_LOG_ERROR, "background: signal %d has ended the daemon before it was ready",
		       WTERMSIG(status));
	_exit(WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : EXIT_RUNNING);
}

int background_start(struct background *b)
{
	int ends[2], r;
	pid_t child;

	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	child = fork();
	if (child < 0) {
		r = -errno;
		close(ends[0]);
		close(ends[1]);
		return r;
	}
	if (child > 0) {
		close(ends[1]);
		wait_for_child(ends[0], child);
	}
	close(ends[0]);
	b->ready = ends[1];
	return 0;
}

void background_leave_session(struct background *b)
{
	if (b->ready < 0)
		return;
	setsid();
	if (chdir("/"))
		report(QC_LOG_WARN, "/: cannot change to it: %s (the current folder stays busy)",
		       strerror(errno));
	b->null = open("/dev/null", O_RDWR | O_CLOEXEC);
}

bool background_ready(struct background *b)
{
	bool told;

	if (b->ready < 0)
		return true;
	if (b->null >= 0) {
		for (int fd = 0; fd <= 2; fd++)
			dup2(b->null, fd);
		close(b->null);
		b->null = -1;
	}
	told = write(b->ready, "", 1) == 1; /* SIGPIPE is ignored */
	close(b->ready);
	b->ready = -1;
	return told;
}
