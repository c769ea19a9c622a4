/* SPDX-License-Identifier: MIT */
/*
 * copy_chunk.h - a part of a disk on its way from one disk to another.
 *
 * A chunk has whole units of the target: clusters of an image, or the smallest hole of a raw
 * file.  It is read and sorted by one thread, and then stored by the same thread.
 */
#ifndef QC_COPY_CHUNK_H
#define QC_COPY_CHUNK_H

#include "copy/copy_disk.h"

/* How one unit is stored. */
enum qc_unit_state {
	QC_UNIT_SKIP, /* the target has these bytes already */
	QC_UNIT_ZERO,
	QC_UNIT_DATA,
	QC_UNIT_COMPRESSED,
};

struct qc_copy_chunk {
	uint64_t off, len; /* guest bytes; the disk may end inside the last unit */
	bool hole;	   /* the source has no data there: it is not read */
	uint8_t *buf;	   /* of the source */
	uint8_t *other;	   /* of the target, to compare; or compressed data.  NULL: not needed */
	enum qc_unit_state *state; /* of each unit */
	size_t *compressed;	   /* bytes of each unit in `other` */
};

/* A copy, as all its chunks see it. */
struct qc_copy_plan {
	struct qc_copy_disk from, to;
	struct qc_image *areas; /* of struct qc_copy */
	unsigned int flags; /* enum qc_copy_flag */
	uint64_t unit, chunk; /* bytes */
};

/* Return: 0; -ENOMEM */
qc_err qc_copy_chunk_new(const struct qc_copy_plan *p, struct qc_copy_chunk *out);
void qc_copy_chunk_free(struct qc_copy_chunk *c);

/* Reads the chunk, and finds out what becomes of each unit.  Return: as qc_read(). */
qc_err qc_copy_chunk_load(struct qc_copy_plan *p, struct qc_copy_chunk *c);

/* Writes the chunk to the target.  Return: as qc_write(). */
qc_err qc_copy_chunk_store(struct qc_copy_plan *p, struct qc_copy_chunk *c);

#endif
