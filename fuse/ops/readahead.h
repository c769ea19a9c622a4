/* SPDX-License-Identifier: MIT */
/*
 * readahead.h - how far the kernel reads ahead in our files.
 *
 * One readahead request is the most that the worker threads can read and decompress in
 * parallel for a sequential reader.  The default of the kernel, 128 KiB, is two compressed
 * clusters.  If the daemon runs as root it can raise this setting of its mount.
 */
#ifndef READAHEAD_H
#define READAHEAD_H

#include <stdatomic.h>
#include <stdbool.h>

struct readahead {
	int fd; /* read_ahead_kb of our mount; -1: we may not change it */
	atomic_bool raised;
};

/* Opens the setting.  Call it right after the mount, before the sandbox forbids it. */
void readahead_find(struct readahead *r, const char *mountpoint);
void readahead_end(struct readahead *r);

/* Raises the setting, at the first call only.  Call it from a request: before the first
 * request the kernel has not set its own value yet, and would overwrite ours. */
void readahead_raise(struct readahead *r);

#endif
