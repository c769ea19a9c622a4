/* SPDX-License-Identifier: MIT */
/*
 * sandbox.h - give up every privilege that serving does not need.
 *
 * The daemon enters the sandbox after the mount and before it reads requests.  An attacker that
 * controls it through a crafted image then finds no way to more privileges, few of root's
 * capabilities, no files but images, and few system calls.  On a kernel that lacks one of the
 * parts, the others are in force.
 */
#ifndef SANDBOX_H
#define SANDBOX_H

#include "sandbox/landlock.h"

/* A description of the sandbox; {0} is an empty one. */
struct sandbox {
	bool write;    /* images may be written */
	bool create;   /* files and directories may be made, renamed and removed */
	bool io_uring; /* requests come by io_uring */
	bool noatime;  /* files of other users are opened with O_NOATIME */
	struct landlock_rule *rule; /* files that may be opened later */
	size_t n;
};

/* Allows to open files at or below @path later.  Return: 0; -ENOENT after a log line: there is no
 * such path, and a file that appears there later cannot be opened; -ENOMEM. */
int sandbox_allow(struct sandbox *s, const char *path, enum landlock_use use);

/* The same for the file or directory of a descriptor, which the caller may close.
 * Return: 0; -EMFILE, -ENOMEM. */
int sandbox_allow_fd(struct sandbox *s, int fd, enum landlock_use use);

/*
 * sandbox_enter() - restrict this thread and all that it creates later
 *
 * Call it while the process has one thread, and after preload_libc_files().  Logs the parts that the kernel lacks, and the
 * parts in force.
 * Return: 0; -errno after a message: a part that the kernel has could not be put in force.
 */
int sandbox_enter(const struct sandbox *s);

/* Closes and frees the rules; *@s is empty then. */
void sandbox_free(struct sandbox *s);

#endif
