/* SPDX-License-Identifier: MIT */
#include "daemon/helper_process.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/signal_handlers.h"

/* Changes the name of the process, and the command line that ps(1) shows. */
static void rename_process(char **argv, const char *name)
{
	char *end = argv[0];

	for (size_t i = 0; argv[i] && argv[i] == end; i++)
		end += strlen(end) + 1;
	memset(argv[0], 0, (size_t)(end - argv[0]));
	strncpy(argv[0], name, (size_t)(end - argv[0] - 1));
	prctl(PR_SET_NAME, name, 0, 0, 0);
}

static void close_fds(int first, int last)
{
	long max = sysconf(_SC_OPEN_MAX);

	if (first > last || !syscall(SYS_close_range, (unsigned int)first, (unsigned int)last, 0U))
		return;
	for (int fd = first; fd <= last && fd < max; fd++)
		close(fd);
}

static int compare_fds(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static void close_other_fds(const int *keep, size_t n)
{
	int sorted[HELPER_FDS_MAX], null = open("/dev/null", O_RDWR), next = 3;

	memcpy(sorted, keep, n * sizeof(*keep));
	for (int std = 0; std <= 2; std++)
		dup2(null, std);
	qsort(sorted, n, sizeof(*sorted), compare_fds);
	for (size_t i = 0; i < n; i++) {
		if (sorted[i] < next)
			continue;
		close_fds(next, sorted[i] - 1);
		next = sorted[i] + 1;
	}
	close_fds(next, INT_MAX);
}

void helper_process_begin(char **argv, const char *name, const int *keep, size_t n)
{
	rename_process(argv, name);
	signal_handlers_ignore_all();
	setsid();
	close_other_fds(keep, n);
	if (chdir("/"))
		_exit(1);
}
