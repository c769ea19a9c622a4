/* SPDX-License-Identifier: MIT */
/*
 * fd_reserve.c - the kernel hands out the lowest free descriptor.  So a free one near the limit
 * nearly always means that there are enough, and they need not be counted.
 */
#include "util/fd_reserve.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>

enum { RESERVE = 64, POLL_MAX = 128 };

/* Returns how many of the @n descriptors from @first on are free: poll(2) tells in one call. */
static int count_free_fds(int first, int n)
{
	struct pollfd p[POLL_MAX];
	int found = 0;

	for (int i = 0; i < n; i++)
		p[i] = (struct pollfd){ .fd = first + i };
	if (poll(p, (nfds_t)n, 0) < 0)
		return n;
	for (int i = 0; i < n; i++)
		found += (p[i].revents & POLLNVAL) != 0;
	return found;
}

bool fd_reserve_is_low(void)
{
	struct rlimit l;
	int limit, reserve, found = 0;

	if (getrlimit(RLIMIT_NOFILE, &l) || l.rlim_cur > 1 << 30)
		return false;
	limit = (int)l.rlim_cur;
	reserve = limit / 4 < RESERVE ? limit / 4 : RESERVE;
	if (fcntl(limit - reserve, F_GETFD) < 0)
		return false;
	for (int at = 0; found < reserve && at < limit; at += POLL_MAX)
		found += count_free_fds(at, limit - at < POLL_MAX ? limit - at : POLL_MAX);
	return found < reserve;
}
