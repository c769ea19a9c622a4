/* SPDX-License-Identifier: MIT */
/*
 * seccomp.h - which system calls may still be made.
 */
#ifndef SECCOMP_H
#define SECCOMP_H

#include <stdbool.h>
#include <stddef.h>

/* For the calling thread and those that it makes; needs no_new_privs.  -errno:
 * -ENOSYS if this was not built in.  `rings`: also those of io_uring. */
int seccomp_restrict(bool rings);

/* Of libseccomp; "none" if this was not built in. */
void seccomp_library(char *out, size_t n);

#endif
