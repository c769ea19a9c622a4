/* SPDX-License-Identifier: MIT */
/*
 * salvage.h - reads tables of a damaged file: sectors that cannot be read are zeros.
 *
 * The walk over metadata ends at the first error of the file.  Through a salvaging file it goes
 * on, and the caller learns which bytes were not there.  Not for guest data.
 */
#ifndef QC_SALVAGE_H
#define QC_SALVAGE_H

#include "io/front_file.h"

/* Which sectors of a read failed, one bit for each. */
struct qc_sector_marks {
	uint8_t *bits;
	size_t room; /* bytes */
};

/* A salvaging file, with the number of bytes that its reads since qc_salvage_reset() did not get.
 * Used by one thread at a time. */
struct qc_salvage {
	struct qc_front_file front; /* front.file is the file to read through */
	uint64_t unread; /* bytes of sectors that failed */
	struct qc_sector_marks *marks; /* of the read that runs; else NULL */
};

/* Prepares a salvaging file in front of @real, which stays the caller's. */
void qc_salvage_init(struct qc_salvage *s, struct qc_file *real);
void qc_salvage_reset(struct qc_salvage *s);

/*
 * qc_salvage_read() - read a table, and mark each sector that failed
 * @off:    a multiple of 512
 * @marks:  first zeros; the caller frees marks->bits
 *
 * Return: 0; -ENOMEM
 */
qc_err qc_salvage_read(struct qc_salvage *s, uint64_t off, void *buf, size_t len,
		       struct qc_sector_marks *marks);

/* Returns true if the sector with this byte of the read failed. */
static inline bool qc_sector_is_marked(const struct qc_sector_marks *m, uint64_t byte)
{
	uint64_t i = byte / 512;

	return m->bits[i / 8] >> i % 8 & 1;
}

#endif
