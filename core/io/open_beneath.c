/* SPDX-License-Identifier: MIT */
/*
 * open_beneath.c - open a path that must stay below a folder.
 *
 * That is left to the kernel, which knows about symbolic links and about names
 * that change while we look.  Where it cannot (before Linux 5.6, or under a
 * filter) we walk component by component, and refuse every link.
 */
#include "qcow.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int walk_beneath(int base, const char *path, int flags)
{
	int dir = openat(base, ".", O_PATH | O_DIRECTORY | O_CLOEXEC), next;
	char part[NAME_MAX + 1];

	while (dir >= 0) {
		size_t n = strcspn(path, "/");
		bool last = !path[n + strspn(path + n, "/")];

		if (n > NAME_MAX || !strncmp(path, "..", n > 2 ? n : 2)) {
			close(dir);
			errno = n > NAME_MAX ? ENAMETOOLONG : EXDEV;
			return -1;
		}
		memcpy(part, n ? path : ".", n ? n : 1);
		part[n ? n : 1] = 0;
		next = openat(dir, part, (last ? flags : O_PATH | O_DIRECTORY) | O_NOFOLLOW | O_CLOEXEC);
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
	return walk_beneath(base, path, flags);
}
