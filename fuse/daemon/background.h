/* SPDX-License-Identifier: MIT */
/*
 * background.h - serve in the background, but say at the prompt how it began.
 *
 * The parent waits until the child is ready, or has failed, and ends with what
 * the child ends with.  The child makes no thread and takes no lock before it
 * is born, and keeps the terminal until it is ready.
 */
#ifndef BACKGROUND_H
#define BACKGROUND_H

struct background {
	int ready; /* the pipe to the parent; -1: there is none */
};

/* Forks.  Returns in the child; the parent does not come back.  -errno if that
 * is not possible. */
int background_start(struct background *b);

/* Leaves the terminal; from then on nothing can be said there. */
void background_leave(const struct background *b);

/* All is well: lets the parent go, with status 0. */
void background_ready(struct background *b);

#endif
