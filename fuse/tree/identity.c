/* SPDX-License-Identifier: MIT */
#include "tree/identity.h"

#include <stdint.h>

#include "qcow.h"

struct identity identity_of(const struct stat *st)
{
	return (struct identity){ st->st_dev, st->st_ino, st->st_size, st->st_mtim,
				  st->st_ctim };
}

bool identity_same_file(const struct identity *a, const struct identity *b)
{
	return a->dev == b->dev && a->ino == b->ino;
}

static bool is_same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

bool identity_same_content(const struct identity *a, const struct identity *b)
{
	return identity_same_file(a, b) && a->size == b->size &&
	       is_same_time(a->mtime, b->mtime) && is_same_time(a->ctime, b->ctime);
}

static int64_t nanoseconds_of(struct timespec t)
{
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

bool identity_times_reliable(const struct identity *id)
{
	return qc_times_are_reliable(nanoseconds_of(id->mtime), nanoseconds_of(id->ctime));
}
