/* SPDX-License-Identifier: MIT */
#include "ops/readahead.h"

#include <fcntl.h>
#include <linux/stat.h> /* struct statx, which some C libraries lack */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char KIB[] = "4096";

/* Gets the device number with AT_STATX_DONT_SYNC: a stat() that needs a request would block,
 * since no thread serves requests yet. */
void readahead_find(struct readahead *r, const char *mountpoint)
{
	char path[80];
	struct statx st;

	r->fd = -1;
	if (syscall(SYS_statx, AT_FDCWD, mountpoint, AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC, 0U, &st))
		return;
	snprintf(path, sizeof(path), "/sys/class/bdi/%u:%u/read_ahead_kb", st.stx_dev_major,
		 st.stx_dev_minor);
	r->fd = open(path, O_RDWR | O_CLOEXEC);
}

void readahead_end(struct readahead *r)
{
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
}

void readahead_raise(struct readahead *r)
{
	char now[32] = "";

	if (r->fd < 0 || atomic_exchange_explicit(&r->raised, true, memory_order_relaxed))
		return;
	if (pread(r->fd, now, sizeof(now) - 1, 0) > 0 && atol(now) < atol(KIB) &&
	    pwrite(r->fd, KIB, strlen(KIB), 0) < 0)
		return; /* the kernel's value stays */
}
