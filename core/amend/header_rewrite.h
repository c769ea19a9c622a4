/* SPDX-License-Identifier: MIT */
/*
 * header_rewrite.h - change the version, or the length of a header extension, in one write.
 *
 * Both move extensions and the name of the backing file.  QEMU writes the whole first cluster
 * then, which a crash can leave half written.  Here all that changes is in the first sector.  A
 * name that does not fit in there goes to bytes that the old header does not use, before the
 * first sector is written.
 */
#ifndef QC_HEADER_REWRITE_H
#define QC_HEADER_REWRITE_H

#include "base/log.h"
#include "update/writer.h"

struct qc_header_edit {
	uint32_t version; /* 2, 3 */
	uint64_t compatible, autoclear; /* of version 3 */
	const char *data_file; /* NULL: as it is */
};

/*
 * qc_header_rewrite() - write a changed header
 *
 * The feature name table goes if version 2 is wanted, or if it does not fit into the first
 * sector.
 * Context: in a drained section, with no dirty metadata.
 * Return: 0; -ENAMETOOLONG the new header does not fit, nothing was changed; -ENOMEM;
 *	an errno of the file
 */
qc_err qc_header_rewrite(struct qc_writer *w, const struct qc_header_edit *edit,
			 struct qc_reason *why);

/* The same without writing anything.  Return: as qc_header_rewrite() */
qc_err qc_header_rewrite_check(struct qc_writer *w, const struct qc_header_edit *edit,
			       struct qc_reason *why);

#endif
