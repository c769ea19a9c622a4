/* SPDX-License-Identifier: MIT */
/*
 * unread_areas.h - the areas of an image file that a copying program could not read.
 *
 * GNU ddrescue fills such areas of its copy with zeros and lists them in a mapfile (ddrescue
 * manual, "Mapfile structure").  A layer puts a masked file in front of such a copy, so that a
 * read of these areas fails as it did on the original.
 *
 * Invariant: a byte that the mapfile does not call finished is never used.
 */
#ifndef QC_UNREAD_AREAS_H
#define QC_UNREAD_AREAS_H

#include "base/log.h"
#include "io/file.h"

struct qc_unread_areas;

/*
 * qc_unread_areas_parse() - read a mapfile of ddrescue
 * @text, @len:  its content
 *
 * Areas that no line covers count as unread.
 * Return: 0; -EINVAL no mapfile, and @why names the line; -ENOMEM.
 */
qc_err qc_unread_areas_parse(const char *text, size_t len, struct qc_unread_areas **out,
			     struct qc_reason *why);
void qc_unread_areas_free(struct qc_unread_areas *a); /* NULL is allowed */

/*
 * qc_unread_areas_find() - find the run of read or of unread bytes at an offset
 * @len:  out: bytes from @off on of the same kind
 *
 * Return: true if the bytes are unread.
 */
bool qc_unread_areas_find(const struct qc_unread_areas *a, uint64_t off, uint64_t *len);

/*
 * qc_unread_areas_mask() - put a file in front of *f whose unread areas fail with -EIO
 * @f:  in and out; the masked file owns the file that was there
 * @a:  stays the caller's, and must outlive the file
 *
 * Return: 0; -ENOMEM, and *f is as before.
 */
qc_err qc_unread_areas_mask(struct qc_file **f, const struct qc_unread_areas *a);

/*
 * qc_unread_areas_fill() - make a file that reads the unread areas of a masked file as zeros
 * @masked:  stays the caller's, and must outlive the new file
 *
 * For tables of which the caller knows the unread parts.
 * Return: 0; -ENOMEM
 */
qc_err qc_unread_areas_fill(struct qc_file *masked, struct qc_file **out);

#endif
