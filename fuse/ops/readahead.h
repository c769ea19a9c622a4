/* SPDX-License-Identifier: MIT */
/*
 * readahead.h - how far the kernel reads ahead of who reads one of our files from its
 * beginning to its end.
 *
 * What it asks for at once is all that can be read, and unpacked, side by side; by
 * default two compressed clusters.  It may be told to ask for more, by root.
 */
#ifndef READAHEAD_H
#define READAHEAD_H

#include <stdatomic.h>
#include <stdbool.h>

struct readahead {
	int fd; /* of the setting of our mount; -1: it is not for us to change */
	atomic_bool raised;
};

/* Right after the mount, while files can be opened. */
void readahead_find(struct readahead *r, const char *mountpoint);
void readahead_end(struct readahead *r);

/* At a request: until the first the kernel has a setting of its own to make. */
void readahead_raise(struct readahead *r);

#endif
