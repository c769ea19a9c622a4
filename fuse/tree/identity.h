/* SPDX-License-Identifier: MIT */
/* identity.h - which file it is, and whether it has changed. */
#ifndef IDENTITY_H
#define IDENTITY_H

#include <stdbool.h>
#include <sys/stat.h>

/* Tells a file from another one, and from itself after a change. */
struct identity {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtime, ctime;
};

struct identity identity_of(const struct stat *st);
bool identity_same_file(const struct identity *a, const struct identity *b);
bool identity_same_content(const struct identity *a, const struct identity *b);

/* Returns true if a later change of the file will show in its times: qc_times_are_reliable(). */
bool identity_times_reliable(const struct identity *id);

#endif
