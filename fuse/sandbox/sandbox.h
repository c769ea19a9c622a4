/* SPDX-License-Identifier: MIT */
/*
 * sandbox.h - the daemon gives up what serving does not need.
 *
 * What parses images of strangers shall have nothing worth taking: no way to more
 * privileges, of root's capabilities one, no file but image files, few system calls.
 * A kernel that lacks one of these has the others.
 */
#ifndef SANDBOX_H
#define SANDBOX_H

#include "sandbox/landlock.h"

/* What may be opened later; what is open is not held back. */
struct sandbox {
	bool write; /* some image may be written */
	bool rings; /* requests come by io_uring */
	bool noatime; /* files of others are read without a trace */
	struct landlock_rule *place;
	size_t n;
};

/* What is at `path`, or below it.  A path that is not there is left out, and so
 * will be what appears there later: -ENOENT, with a line in the log.  -ENOMEM. */
int sandbox_allow(struct sandbox *s, const char *path, enum landlock_use use);

/* Likewise, by a descriptor, which stays the caller's. */
int sandbox_allow_fd(struct sandbox *s, int fd, enum landlock_use use);

/* From now on, for the calling thread and all that it makes: to be called while
 * there is one.  Logs what the kernel lacks, and what is in force.  -errno if the
 * process could not be made safe, though the kernel can. */
int sandbox_enter(const struct sandbox *s);

void sandbox_free(struct sandbox *s);

#endif
