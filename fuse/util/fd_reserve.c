/* SPDX-License-Identifier: MIT */
/*
 * fd_reserve.c - descriptors are given out from below: while a high one is free there is no
 * need to count.
 */
#include "util/fd_reserve.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>

enum { SPARE = 64, AT_ONCE = 128 };

/* How many of these are free, from `first` on. */
static int count_free(int first, int n)
{
	struct pollfd p[AT_ONCE];
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
	int limit, spare, found = 0;

	if (getrlimit(RLIMIT_NOFILE, &l) || l.rlim_cur > 1 << 30)
		return false;
	limit = (int)l.rlim_cur;
	spare = limit / 4 < SPARE ? limit / 4 : SPARE;
	if (fcntl(limit - spare, F_GETFD) < 0)
		return false;
	for (int at = 0; found < spare && at < limit; at += AT_ONCE)
		found += count_free(at, limit - at < AT_ONCE ? limit - at : AT_ONCE);
	return found < spare;
}
