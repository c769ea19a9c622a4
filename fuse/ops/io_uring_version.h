/* SPDX-License-Identifier: MIT */
/* io_uring_version.h - which libfuse may use io_uring. */
#ifndef IO_URING_VERSION_H
#define IO_URING_VERSION_H

#include <stdbool.h>
#include <stdio.h>

/* Returns true for 3.18.2 and later.  Earlier versions have the faults CVE-2026-33150
 * and CVE-2026-33179 there.  The library at hand may be older than the one of the build. */
static inline bool io_uring_version_is_safe(const char *libfuse)
{
	unsigned int v[3] = { 0 };

	if (sscanf(libfuse, "%u.%u.%u", &v[0], &v[1], &v[2]) < 2)
		return false;
	if (v[0] != 3 || v[1] != 18)
		return v[0] > 3 || (v[0] == 3 && v[1] > 18);
	return v[2] >= 2;
}

#endif
