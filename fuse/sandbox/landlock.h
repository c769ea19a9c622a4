/* SPDX-License-Identifier: MIT */
/*
 * landlock.h - have the kernel restrict which files this process may open (landlock(7)).
 *
 * A file may be opened only at or below the path of a rule, and nothing can be executed.  Without
 * LANDLOCK_CREATE nothing can be created, removed or renamed.  Looking up names and reading
 * attributes stay possible, and so does every use of files that are open already.
 */
#ifndef LANDLOCK_H
#define LANDLOCK_H

#include <stdbool.h>
#include <stddef.h>

enum landlock_use {
	LANDLOCK_READ,
	LANDLOCK_WRITE,	 /* read, write and truncate */
	LANDLOCK_CREATE, /* the same; make, rename and remove regular files and directories */
	LANDLOCK_DEVICE, /* read, write and ioctl(2) */
};

struct landlock_rule {
	int fd; /* of the file or directory; O_PATH is enough */
	enum landlock_use use;
};

/*
 * landlock_restrict() - allow only what the rules say
 *
 * Holds for the calling thread and for threads that it creates.  Needs no_new_privs.
 * Return: the version of the kernel's interface, 1 and more; -ENOSYS, -EOPNOTSUPP the kernel has
 * none; another -errno.
 */
int landlock_restrict(const struct landlock_rule *rule, size_t n);

#endif
