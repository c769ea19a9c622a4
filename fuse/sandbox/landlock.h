/* SPDX-License-Identifier: MIT */
/*
 * landlock.h - which files may still be opened, enforced by the kernel.
 *
 * Nothing may be executed, made, removed or renamed any more, and a file may be
 * opened only at or below one of the places.  To look at a name or at attributes
 * is not held back; nor is what was opened before.
 */
#ifndef LANDLOCK_H
#define LANDLOCK_H

#include <stdbool.h>
#include <stddef.h>

enum landlock_use {
	LANDLOCK_READ,
	LANDLOCK_WRITE,	 /* and read */
	LANDLOCK_DEVICE, /* and ioctl(2) */
};

struct landlock_rule {
	int fd; /* O_PATH will do */
	enum landlock_use use;
};

/* For the calling thread and those that it makes; needs no_new_privs.  The version
 * of the kernel's interface, or -errno: -ENOSYS or -EOPNOTSUPP if it has none. */
int landlock_restrict(const struct landlock_rule *place, size_t n);

#endif
