/* SPDX-License-Identifier: MIT */
/*
 * background.h - serve in the background, with the exit status of the start at the prompt.
 *
 * The parent waits until the child reports that it is ready, or until the child ends.  The
 * parent then ends with status 0, or with that of the child.  Invariant: until it is ready the
 * child writes its messages to the terminal of its parent.  It forks before it has threads or
 * locks, since fork(2) copies only the calling thread.
 */
#ifndef BACKGROUND_H
#define BACKGROUND_H

#include <stdbool.h>

struct background {
	int ready; /* pipe to the parent; -1: there is none, this is the foreground */
	int null;  /* /dev/null, open for the time after background_ready(); -1: none */
};

#define BACKGROUND_NONE ((struct background){ .ready = -1, .null = -1 })

/* Forks.  Returns in the child only; the parent exits.  Return: 0; -errno of pipe(2), fork(2). */
int background_start(struct background *b);

/* Leaves session, controlling terminal and working directory of the parent.  The sandbox would
 * forbid that, so call it before.  Does nothing in the foreground. */
void background_leave_session(struct background *b);

/* Closes the terminal and lets the parent exit with status 0.  May be called from any thread.
 * Returns false if the parent is gone: the user has given up.  Does nothing in the
 * foreground. */
bool background_ready(struct background *b);

#endif
