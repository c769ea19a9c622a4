/* SPDX-License-Identifier: MIT */
/*
 * backing_change.h - the bytes that give an image another backing file.
 *
 * Called by a rebase.  The name, its length and its format must change at once, since a name
 * with another format is another disk.  So all fields that readers look at are changed by one
 * write inside the first sector.  A name that is not in that sector is written before, to
 * bytes that no field names.
 */
#ifndef QC_BACKING_CHANGE_H
#define QC_BACKING_CHANGE_H

#include "base/log.h"
#include "format/header_fields.h"

struct qc_backing_change {
	uint64_t name_offset; /* where the name is to be written first; 0: it is in the sector */
	bool append;	      /* the name must go to a new cluster: see below */
	uint8_t sector[SECTOR];
	size_t from, end; /* of `sector`: the bytes that change */
};

/*
 * qc_backing_change_plan() - find out what is to be written
 * @h, @first, @n:  the header, and the first @n bytes of the image: a cluster, or for version
 *		    1 at least a sector
 * @name:           "": no backing file
 * @format:         "": not declared; ignored in version 1
 *
 * With out->append (version 1 only) the caller allocates bytes for the name, and passes them to
 * qc_backing_change_set_name().
 * Return: 0;
 *	-EINVAL        a name of more than 1,023 bytes, or a format of more than 15
 *	-ENAMETOOLONG  no room for the name in the first cluster
 *	-EOPNOTSUPP    no room for the format in the first sector
 */
qc_err qc_backing_change_plan(const struct qc_header *h, const uint8_t *first, size_t n,
			      const char *name, const char *format,
			      struct qc_backing_change *out, struct qc_reason *why);

/* Sets the fields that name the backing file: @off and @len of its name. */
void qc_backing_change_set_name(struct qc_backing_change *c, uint64_t off, size_t len);

#endif
