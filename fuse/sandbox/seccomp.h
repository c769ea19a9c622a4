/* SPDX-License-Identifier: MIT */
/* seccomp.h - restrict the system calls that this process may make. */
#ifndef SECCOMP_H
#define SECCOMP_H

#include <stdbool.h>
#include <stddef.h>

/*
 * seccomp_restrict() - load the filter
 * @io_uring: allow also the calls of io_uring
 * @create:   allow also the calls that make, rename and remove files
 *
 * Holds for the calling thread and for threads that it creates.  Needs no_new_privs.
 * Return: 0; -ENOSYS built without libseccomp; another -errno.
 */
int seccomp_restrict(bool io_uring, bool create);

/* Writes the version of libseccomp, or "none" if the program was built without. */
void seccomp_library(char *out, size_t n);

#endif
