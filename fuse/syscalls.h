/* SPDX-License-Identifier: MIT */
/*
 * syscalls.h - which system calls may still be made.
 */
#ifndef SYSCALLS_H
#define SYSCALLS_H

/* For the calling thread and those that it makes; needs no_new_privs.  -errno:
 * -ENOSYS if this was not built in. */
int syscalls_restrict(void);

#endif
