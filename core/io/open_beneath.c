/* SPDX-License-Identifier: MIT */
/*
 * open_beneath.c - opens a path that must not leave a directory.
 *
 * openat2(2) does that, safe against symbolic links and concurrent renames.  Before Linux
 * 5.6, or under a seccomp filter, the path is opened component by component, and every
 * symbolic link is an error.
 */
#include "qcow.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int walk_components(int base, const char *path, int flags)
{
	int dir = openat(base, ".", O_PATH | O_DIRECTORY | O_CLOEXEC), next;
	char name[NAME_MAX + 1];

	while (dir >= 0) {
		size_t n = strcspn(path, "/");
		bool last = !path[n + strspn(path + n, "/")];

		if (n > NAME_MAX || !strncmp(path, "..", n > 2 ? n : 2)) {
			close(dir);
			errno = n > NAME_MAX ? ENAMETOOLONG : EXDEV;
			return -1;
		}
		memcpy(name, n ? path : ".", n ? n : 1);
		name[n ? n : 1] = 0;
		next = openat(dir, name, O_NOFOLLOW | O_CLOEXEC |
					 (last ? flags : O_PATH | O_DIRECTORY));
		close(dir);
		if (last)
			return next;
		dir = next;
		path += n + strspn(path + n, "/");
	}
	return -1;
}

int qc_open_beneath(int base, const char *path, int flags)
{
	struct open_how how = {
		.flags = (uint64_t)(flags | O_CLOEXEC),
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
	};
	int fd = (int)syscall(SYS_openat2, base, path, &how, sizeof(how));

	if (fd >= 0 || (errno != ENOSYS && errno != EPERM))
		return fd;
	return walk_components(base, path, flags);
}
