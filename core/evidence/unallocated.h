/* SPDX-License-Identifier: MIT */
/* unallocated.h - the clusters of an image file that nothing references. */
#ifndef QC_UNALLOCATED_H
#define QC_UNALLOCATED_H

#include "evidence/piece_search.h"

/* The kind of a piece: counted or not. */
enum { QC_PIECE_FREE, QC_PIECE_LEAKED };

/* Appends all clusters without a reference, but for holes of the file system.  The end of a file
 * that is less than a cluster belongs to the slack.  Return: as qc_pieces_add() */
qc_err qc_unallocated_pieces(struct qc_tables *t, const struct qc_cluster_use *u,
			     struct qc_pieces *out);

#endif
